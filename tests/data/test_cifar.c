/* CIFAR-10 and CIFAR-100 from archives made here, of a few images a member. */
#include "archives.h"

#include "drl/data.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, MEMBERS = 7, PER_FILE = 4 };

/* Value of plane c, row y, column x of image i of member f: no two places of an image have the same three values. */
static uint8_t value(size_t f, size_t i, size_t c, size_t y, size_t x) {
    return (uint8_t)(c == 0 ? 8 * y + i : c == 1 ? 8 * x + f : x + 3 * y + 16 * i);
}

typedef struct archive_of {
    size_t labels, n[MEMBERS]; /* label bytes of a record, images of each member */
    size_t members;
    uint8_t bytes[MEMBERS][PER_FILE * (2 + 3 * PLANE)];
    entry entries[MEMBERS];
} archive_of;

static const char *const names10[] = {"cifar-10-batches-bin/data_batch_2.bin", "cifar-10-batches-bin/data_batch_1.bin",
                                      "cifar-10-batches-bin/data_batch_3.bin", "cifar-10-batches-bin/data_batch_4.bin",
                                      "cifar-10-batches-bin/test_batch.bin",   "cifar-10-batches-bin/data_batch_5.bin",
                                      "cifar-10-batches-bin/readme.html"};
static const char *const names100[] = {"cifar-100-binary/test.bin", "cifar-100-binary/train.bin"};

/* Labels (7 f + i) % 10, or 7 + i % 3 of a hundred; superclasses (3 f + i) % 20; f is the member's place in the
 * archive. */
static void make(archive_of *a, bool hundred) {
    a->labels = hundred ? 2 : 1;
    a->members = hundred ? 2 : MEMBERS;
    for (size_t f = 0; f < a->members; f++) {
        uint8_t *p = a->bytes[f];
        a->n[f] = f == 2 ? 1 : PER_FILE - f % 2;
        for (size_t i = 0; i < a->n[f]; i++) {
            if (hundred) *p++ = (uint8_t)((3 * f + i) % 20);
            *p++ = (uint8_t)(hundred ? 7 + i % 3 : (7 * f + i) % 10);
            for (size_t c = 0; c < 3; c++)
                for (size_t y = 0; y < SIDE; y++)
                    for (size_t x = 0; x < SIDE; x++) *p++ = value(f, i, c, y, x);
        }
        a->entries[f] = (entry){
            .name = hundred ? names100[f] : names10[f], .bytes = a->bytes[f], .size = (size_t)(p - a->bytes[f])};
    }
}

static archive_of small;

static drl_status open_cifar(drl_dataset **ds, bool hundred, size_t size, size_t limit, drl_err *err) {
    drl_dataset_cfg cfg = {.name = hundred ? "cifar100" : "cifar10",
                           .data_dir = files_dir,
                           .size = size,
                           .train_limit = limit,
                           .cache_dir = ""};
    return drl_dataset_open(ds, &cfg, err);
}

/* Image `at` of a split is image i of member f, in the middle of its square. */
static void assert_image(const drl_images *im, size_t at, size_t f, size_t i) {
    size_t margin = (im->h - SIDE) / 2;
    for (size_t y = 0; y < im->h; y++)
        for (size_t x = 0; x < im->w; x++)
            for (size_t c = 0; c < 3; c++) {
                bool in = y >= margin && y < margin + SIDE && x >= margin && x < margin + SIDE;
                assert_int_equal(im->pixels[((at * im->h + y) * im->w + x) * 3 + c],
                                 in ? value(f, i, c, y - margin, x - margin) : 0);
            }
}

/* The batches in order of their numbers, whatever their order in the archive. */
static void test_cifar10(void **state) {
    (void)state;
    static const size_t order[] = {1, 0, 2, 3, 5}; /* places of batches 1 .. 5 */
    static const char *const files[] = {"cifar-10-binary.tar.gz", "cifar10/cifar-10-binary.tar.gz",
                                        "cifar10/cifar-10-binary.zip", "cifar10/cifar-10-binary.7z"};
    drl_dataset *ds;
    drl_err err;
    make(&small, false);
    mkdir(files_path("cifar10"), 0755);
    for (size_t k = 0; k < 4; k++) {
        archive_file(files[k], small.entries, small.members);
        size_t size = k == 0 ? 0 : 32 + 2 * k;
        if (open_cifar(&ds, false, size, 0, &err) != DRL_OK) fail_msg("%s", err.message);
        const drl_images *train = &ds->split[DRL_SPLIT_TRAIN], *test = &ds->split[DRL_SPLIT_TEST];
        assert_true(train->n == 3 + 4 + 1 + 3 + 3 && test->n == 4 && train->c == 3 && ds->factors == 0);
        assert_true(train->h == (size ? size : 32) && train->w == train->h);
        for (size_t b = 0, at = 0; b < 5; b++)
            for (size_t i = 0; i < small.n[order[b]]; i++, at++) {
                assert_image(train, at, order[b], i);
                assert_int_equal(train->labels[at], (7 * order[b] + i) % 10);
            }
        for (size_t i = 0; i < 4; i++) assert_image(test, i, 4, i);
        assert_string_equal(ds->class_names[0], "airplane");
        assert_string_equal(ds->class_names[9], "truck");
        assert_int_equal(strlen(ds->sha256), 64);
        drl_dataset_free(ds);
        assert_int_equal(open_cifar(&ds, false, 0, 5, &err), DRL_OK);
        assert_int_equal(ds->split[DRL_SPLIT_TRAIN].n, 5);
        assert_image(&ds->split[DRL_SPLIT_TRAIN], 4, 0, 1);
        drl_dataset_free(ds);
        unlink(files_path(files[k]));
    }
    assert_refused(open_cifar(&ds, false, 0, 0, &err), &err, 0, "cifar10: no cifar-10-binary.tar.gz in ");
}

static void test_cifar100(void **state) {
    (void)state;
    drl_dataset *ds;
    drl_err err;
    make(&small, true);
    archive_file("cifar-100-binary.tar.gz", small.entries, small.members);
    if (open_cifar(&ds, true, 0, 0, &err) != DRL_OK) fail_msg("%s", err.message);
    const drl_images *train = &ds->split[DRL_SPLIT_TRAIN];
    assert_true(train->n == 3 && ds->split[DRL_SPLIT_TEST].n == 4 && ds->classes == 100);
    for (size_t i = 0; i < 3; i++) {
        assert_image(train, i, 1, i);
        assert_int_equal(train->labels[i], 7 + i);
        assert_int_equal(train->factors[0][i], 3 + i);
    }
    assert_true(ds->factors == 1 && ds->factor_classes[0] == 20);
    assert_string_equal(ds->class_names[1], "aquarium_fish");
    assert_string_equal(ds->class_names[99], "worm");
    drl_dataset_free(ds);
}

/* Names in the archive count where they are complete. */
static void test_class_names(void **state) {
    (void)state;
    static const struct {
        const char *text, *first, *last;
    } cases[] = {{"a0\nb\nc\nd\ne\nf\ng\nh\ni\nj9\n\n", "a0", "j9"},
                 {"a0\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\nh\r\ni\r\nj9", "a0", "j9"},
                 {"a\nb\n", "airplane", "truck"},
                 {"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n", "airplane", "truck"},
                 {"a name longer than there is room for it\nb\nc\nd\ne\nf\ng\nh\ni\nj\n", "airplane", "truck"},
                 {"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\x01\n", "airplane", "truck"},
                 {"", "airplane", "truck"}};
    drl_dataset *ds;
    drl_err err;
    make(&small, false);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        small.entries[6] = (entry){.name = "x/batches.meta.txt", .bytes = cases[k].text, .size = strlen(cases[k].text)};
        archive_file("cifar-10-binary.tar.gz", small.entries, 7);
        if (open_cifar(&ds, false, 0, 0, &err) != DRL_OK) fail_msg("%s", err.message);
        assert_string_equal(ds->class_names[0], cases[k].first);
        assert_string_equal(ds->class_names[9], cases[k].last);
        drl_dataset_free(ds);
    }
}

static void refused(bool hundred, const char *piece) {
    drl_dataset *ds;
    drl_err err;
    archive_file(hundred ? "cifar-100-binary.tar.gz" : "cifar-10-binary.tar.gz", small.entries, small.members);
    assert_refused(open_cifar(&ds, hundred, 0, 0, &err), &err, 0, piece);
    assert_non_null(strstr(err.message, hundred ? "cifar-100-binary.tar.gz: " : "cifar-10-binary.tar.gz: "));
}

static void test_refused(void **state) {
    (void)state;
    drl_dataset *ds;
    drl_err err;
    make(&small, false), small.bytes[3][3073] = 10;
    refused(false, "data_batch_4.bin: image 1: label is 10, want 0 .. 9");
    make(&small, false), small.bytes[4][0] = 255;
    refused(false, "test_batch.bin: image 0: label is 255, want 0 .. 9");
    make(&small, false), small.entries[3].size -= 3073 - 1200;
    refused(false, "data_batch_4.bin: image 2: want 3073 bytes, got 1200");
    make(&small, false), small.entries[2].size = 0;
    refused(false, "data_batch_3.bin: holds no images");
    make(&small, false), small.entries[5].name = "data_batch_6.bin";
    refused(false, "has no member data_batch_5.bin");
    make(&small, false), small.entries[6].name = "elsewhere/test_batch.bin";
    refused(false, "elsewhere/test_batch.bin: there is another test_batch.bin");
    make(&small, true), small.bytes[1][1] = 100;
    refused(true, "train.bin: image 0: label is 100, want 0 .. 99");
    make(&small, true), small.bytes[0][3074] = 20;
    refused(true, "test.bin: image 1: superclass is 20, want 0 .. 19");
    make(&small, false);
    assert_refused(open_cifar(&ds, false, 28, 0, &err), &err, 0, "images are 32 x 32, larger than the 28 x 28");
    for (size_t f = 0; f < 6; f++)
        for (size_t i = 0; i < small.n[f]; i++) small.bytes[f][3073 * i] = 3;
    archive_file("cifar-10-binary.tar.gz", small.entries, 6);
    assert_refused(open_cifar(&ds, false, 0, 0, &err), &err, 0, "all 14 training images are of one class (cat)");
}

/* Bytes changed and cuts through the whole path: an archive of noise, so that the bytes carry data. */
static void test_flips_and_cuts(void **state) {
    (void)state;
    drl_dataset *good, *ds;
    drl_err err;
    make(&small, false);
    uint32_t noise = 1;
    for (size_t f = 0; f < 6; f++)
        for (size_t k = 0; k < small.entries[f].size; k++)
            if (k % 3073) small.bytes[f][k] = (uint8_t)((noise = noise * 1664525u + 1013904223u) >> 24);
    size_t size, accepted = 0, tried = 0;
    uint8_t *bytes = archive_make(&size, ".tar.gz", small.entries, 6);
    files_write("cifar-10-binary.tar.gz", bytes, size);
    assert_int_equal(open_cifar(&good, false, 0, 0, &err), DRL_OK);
    const drl_images *want = &good->split[DRL_SPLIT_TRAIN];
    size_t held = drl_mem_get_stats().bytes;
    for (size_t i = 0; i < size; i += i < 40 || i + 40 > size ? 1 : 331, tried++) {
        bytes[i] ^= 0x10;
        files_write("cifar-10-binary.tar.gz", bytes, size);
        bytes[i] ^= 0x10;
        if (open_cifar(&ds, false, 0, 0, &err) == DRL_OK) {
            const drl_images *got = &ds->split[DRL_SPLIT_TRAIN];
            assert_memory_equal(got->pixels, want->pixels, want->n * PLANE * 3);
            assert_memory_equal(got->labels, want->labels, want->n * sizeof *want->labels);
            accepted++;
        } else {
            assert_int_equal(drl_mem_get_stats().bytes, held);
        }
        drl_dataset_free(ds);
        files_write("cifar-10-binary.tar.gz", bytes, i);
        assert_refused(open_cifar(&ds, false, 0, 0, &err), &err, held, "cifar-10-binary.tar.gz: ");
    }
    assert_true(tried > 200 && accepted < 12); /* the gzip header's time stamp, XFL and OS */
    drl_dataset_free(good);
    free(bytes);
}

int main(void) {
    unsetenv("DRL_DATA_DIR");
    setenv("XDG_DATA_HOME", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cifar10), cmocka_unit_test(test_cifar100),       cmocka_unit_test(test_class_names),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_flips_and_cuts),
    };
    return cmocka_run_group_tests_name("cifar", tests, files_make, files_remove);
}
