/* IDX files in memory: contents, every cut, every changed header byte, absurd claims. */
#include "files.h"

#include "data/idx.h"

static buffer file;

static void test_images(void **state) {
    (void)state;
    drl_idx_images im;
    drl_err err;
    idx_images(&file, 3, 5, 7);
    assert_int_equal(drl_idx_parse_images(&im, file.bytes, file.size, &err), DRL_OK);
    assert_int_equal(im.n, 3);
    assert_int_equal(im.h, 5);
    assert_int_equal(im.w, 7);
    assert_ptr_equal(im.pixels, file.bytes + 16);
    for (size_t n = 0; n < file.size; n++)
        assert_refused(drl_idx_parse_images(&im, file.bytes, n, &err), &err, 0,
                       n < 16 ? "IDX header: want 16 bytes" : "claims 3 images of 5 x 7");
    assert_refused(drl_idx_parse_images(&im, file.bytes, file.size + 1, &err), &err, 0, "106 bytes follow");
    /* Every changed byte of the header changes the magic number or a dimension. */
    for (size_t i = 0; i < 16; i++)
        for (int bit = 0; bit < 8; bit++) {
            file.bytes[i] ^= (uint8_t)(1 << bit);
            assert_refused(drl_idx_parse_images(&im, file.bytes, file.size, &err), &err, 0, "");
            file.bytes[i] ^= (uint8_t)(1 << bit);
        }
}

static void test_labels(void **state) {
    (void)state;
    drl_idx_labels labels;
    drl_err err;
    idx_labels(&file, 20, 10);
    assert_int_equal(drl_idx_parse_labels(&labels, file.bytes, file.size, 0, 10, &err), DRL_OK);
    assert_int_equal(labels.n, 20);
    assert_ptr_equal(labels.labels, file.bytes + 8);
    for (size_t n = 0; n < file.size; n++)
        assert_refused(drl_idx_parse_labels(&labels, file.bytes, n, 0, 10, &err), &err, 0,
                       n < 8 ? "header" : "claims 20");
    assert_refused(drl_idx_parse_labels(&labels, file.bytes, file.size + 1, 0, 10, &err), &err, 0, "21 bytes follow");
    for (size_t i = 0; i < 8; i++) {
        file.bytes[i] ^= 0x04;
        assert_refused(drl_idx_parse_labels(&labels, file.bytes, file.size, 0, 10, &err), &err, 0, "");
        file.bytes[i] ^= 0x04;
    }
    assert_refused(drl_idx_parse_labels(&labels, file.bytes, file.size, 0, 9, &err), &err, 0,
                   "label 9 is 9, want 0 .. 8");
    /* Classes that count from 1, as EMNIST's letters do. */
    assert_refused(drl_idx_parse_labels(&labels, file.bytes, file.size, 1, 10, &err), &err, 0,
                   "label 0 is 0, want 1 .. 10");
    for (size_t i = 0; i < 20; i++) file.bytes[8 + i]++;
    assert_int_equal(drl_idx_parse_labels(&labels, file.bytes, file.size, 1, 10, &err), DRL_OK);
    assert_refused(drl_idx_parse_labels(&labels, file.bytes, file.size, 1, 9, &err), &err, 0,
                   "label 9 is 10, want 1 .. 9");
    file.bytes[8 + 13] = 200;
    assert_refused(drl_idx_parse_labels(&labels, file.bytes, file.size, 1, 10, &err), &err, 0, "label 13 is 200");
}

static void test_magic(void **state) {
    (void)state;
    drl_idx_images im;
    drl_idx_labels labels;
    drl_err err;
    idx_labels(&file, 20, 10);
    drl_status st = drl_idx_parse_images(&im, file.bytes, file.size, &err);
    assert_refused(st, &err, 0, "want 0x00000803 (IDX images), got 0x00000801 (IDX labels)");
    st = drl_idx_parse_images(&im, file.bytes, 4, &err);
    assert_refused(st, &err, 0, "got 0x00000801");
    idx_images(&file, 2, 2, 2);
    st = drl_idx_parse_labels(&labels, file.bytes, file.size, 0, 10, &err);
    assert_refused(st, &err, 0, "want 0x00000801 (IDX labels), got 0x00000803 (IDX images)");
    st = drl_idx_parse_images(&im, (const uint8_t *)"<!DOCTYPE html>..", 17, &err);
    assert_refused(st, &err, 0, "got 0x3c21444f");
}

/* Dimensions whose product is huge, wraps round 2^64 to the right size, or is nothing. */
static void test_claims(void **state) {
    (void)state;
    static const uint32_t claims[][3] = {
        {0xffffffff, 0xffffffff, 0xffffffff},
        {0x80000000, 0x80000000, 4}, /* 2^64: 0 where the product wraps */
        {0xffffffff, 1, 1},
        {1, 0xffffffff, 0xffffffff},
        {0, 28, 28},
        {1, 0, 28},
        {1, 28, 0},
    };
    drl_idx_images im;
    drl_err err;
    for (size_t c = 0; c < sizeof claims / sizeof *claims; c++) {
        file.size = 0;
        put_be32(&file, 0x803);
        for (int d = 0; d < 3; d++) put_be32(&file, claims[c][d]);
        assert_refused(drl_idx_parse_images(&im, file.bytes, 16, &err), &err, 0, c == 4 ? "no images" : "claims");
    }
    drl_idx_labels labels;
    file.size = 0;
    put_be32(&file, 0x801), put_be32(&file, 0);
    assert_refused(drl_idx_parse_labels(&labels, file.bytes, 8, 0, 10, &err), &err, 0, "no labels");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_images), cmocka_unit_test(test_labels),
                                       cmocka_unit_test(test_magic), cmocka_unit_test(test_claims)};
    return cmocka_run_group_tests_name("idx", tests, NULL, NULL);
}
