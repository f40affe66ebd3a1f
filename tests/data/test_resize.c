/* Resizing against values computed elsewhere: area by repeating and averaging blocks in NumPy, bicubic by Pillow on
 * floating-point pictures (Image.BICUBIC of mode F), both of sample(y, x, 0) after a centred square crop. */
#include "pictures.h"

#include "data/picture.h"

static drl_picture make(size_t h, size_t w, size_t c) {
    drl_picture p = {h, w, c, NULL};
    assert_int_equal(drl_alloc(&p.pixels, h * w * c, 1, "picture", NULL), DRL_OK);
    for (size_t i = 0; i < h * w * c; i++) p.pixels[i] = sample(i / (w * c), i / c % w, 0);
    return p;
}

static void test_values(void **state) {
    (void)state;
    static const struct {
        size_t h, w, side;
        drl_resize filter;
        uint8_t want[25];
    } cases[] = {
        {7, 9, 3, DRL_RESIZE_AREA, {67, 121, 82, 134, 131, 112, 163, 118, 135}},
        {7, 9, 3, DRL_RESIZE_BICUBIC, {75, 129, 89, 135, 140, 112, 158, 119, 140}},
        {5, 5, 4, DRL_RESIZE_AREA, {5, 28, 51, 74, 27, 94, 162, 148, 68, 119, 139, 169, 128, 183, 63, 138}},
        {5, 5, 4, DRL_RESIZE_BICUBIC, {3, 24, 45, 78, 20, 94, 178, 149, 70, 117, 142, 175, 137, 193, 42, 140}},
        {3, 4, 5, DRL_RESIZE_AREA, {0,  4,  13, 22, 26, 2,   10,  26, 41, 49,  7,   22, 51,
                                    80, 95, 21, 43, 86, 129, 150, 28, 53, 103, 153, 178}},
        {3, 4, 5, DRL_RESIZE_BICUBIC, {0,  3,  10, 18, 22, 0,   8,   24, 40, 48,  4,   20, 51,
                                       82, 98, 16, 41, 86, 132, 157, 24, 53, 107, 161, 190}},
        {9, 7, 2, DRL_RESIZE_AREA, {100, 147, 136, 150}},
        {9, 7, 2, DRL_RESIZE_BICUBIC, {114, 146, 134, 144}},
        {40, 37, 3, DRL_RESIZE_AREA, {142, 117, 117, 137, 133, 129, 128, 134, 126}},
        {40, 37, 3, DRL_RESIZE_BICUBIC, {142, 121, 119, 137, 132, 127, 126, 132, 126}},
    };
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++)
        for (size_t c = 1; c <= 3; c += 2) {
            size_t side = cases[t].side;
            uint8_t out[75];
            drl_picture p = make(cases[t].h, cases[t].w, c);
            assert_int_equal(drl_picture_resize(out, &p, side, cases[t].filter, NULL), DRL_OK);
            for (size_t i = 0; i < side * side * c; i++) assert_int_equal(out[i], cases[t].want[i / c]);
            drl_picture_free(&p);
        }
}

/* Constant pictures stay constant whatever the sizes, black and white included; the channels do not mix. */
static void test_constant(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 7, 31, 32, 64, 97};
    static uint8_t out[97 * 97 * 3];
    for (size_t a = 0; a < 8; a++)
        for (size_t b = 0; b < 8; b++)
            for (int f = 0; f < 2; f++) {
                drl_picture p = make(sizes[a] + b, sizes[a], 3);
                for (size_t i = 0; i < p.h * p.w * 3; i++) p.pixels[i] = i % 3 == 0 ? 0 : i % 3 == 1 ? 255 : 131;
                assert_int_equal(drl_picture_resize(out, &p, sizes[b], f ? DRL_RESIZE_AREA : DRL_RESIZE_BICUBIC, NULL),
                                 DRL_OK);
                for (size_t i = 0; i < sizes[b] * sizes[b] * 3; i++)
                    assert_int_equal(out[i], i % 3 == 0 ? 0 : i % 3 == 1 ? 255 : 131);
                drl_picture_free(&p);
            }
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

/* The size it has: a crop, from the middle. */
static void test_crop(void **state) {
    (void)state;
    uint8_t out[36];
    drl_picture p = make(6, 11, 1);
    assert_int_equal(drl_picture_resize(out, &p, 6, DRL_RESIZE_BICUBIC, NULL), DRL_OK);
    for (size_t i = 0; i < 36; i++) assert_int_equal(out[i], sample(i / 6, i % 6 + 2, 0));
    drl_picture_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_constant),
        cmocka_unit_test(test_crop),
    };
    return cmocka_run_group_tests_name("resize", tests, NULL, NULL);
}
