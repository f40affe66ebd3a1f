/* Bands of images and errors by band, on values worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drl/bands.h"
#include "drl/rng.h"

/* 3x3 pixels in squares of 2: the last row and column are squares of their own. Two channels, the second negative. */
static void squares(void **state) {
    (void)state;
    const drl_images im = {.h = 3, .w = 3, .c = 2};
    static const double x[9] = {1, 3, 10, 5, 7, 20, 2, 4, 9}, low[9] = {4, 4, 15, 4, 4, 15, 3, 3, 9};
    drl_real image[18], l[18], h[18];
    for (int i = 0; i < 9; i++) image[2 * i] = (drl_real)x[i], image[2 * i + 1] = (drl_real)-x[i];
    drl_bands(l, h, image, &im, 2);
    for (int i = 0; i < 9; i++) {
        assert_true(l[2 * i] == (drl_real)low[i] && l[2 * i + 1] == (drl_real)-low[i]);
        assert_true(h[2 * i] == (drl_real)(x[i] - low[i]) && h[2 * i + 1] == (drl_real)(low[i] - x[i]));
    }
    drl_bands(l, h, image, &im, 1);
    for (int i = 0; i < 18; i++) assert_true(l[i] == image[i] && h[i] == 0);
}

/* |x|^2 = |low|^2 + |high|^2, on noise. */
static void orthogonal(void **state) {
    (void)state;
    enum { SIZE = 16 * 16 * 3 };
    const drl_images im = {.h = 16, .w = 16, .c = 3};
    drl_real x[SIZE], low[SIZE], high[SIZE];
    double all = 0, bands = 0, of_low = 0;
    drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 0, 0), 0, x, SIZE);
    drl_bands(low, high, x, &im, 4);
    for (int i = 0; i < SIZE; i++) {
        all += (double)x[i] * (double)x[i];
        of_low += (double)low[i] * (double)low[i];
        bands += (double)low[i] * (double)low[i] + (double)high[i] * (double)high[i];
    }
    assert_true(fabs(bands / all - 1) < 1e-5);
    assert_true(of_low > 0.02 * all && of_low < 0.12 * all); /* a sixteenth, of white noise */
}

static void ratios(void **state) {
    (void)state;
    const drl_real x[] = {0, 0, 2, 0, 0, 4}, same[] = {1, 1, 1, 1, 1, 1}, turned[] = {2, 0, 0, 4, 0, 0};
    assert_true(drl_error_ratio(x, x, 3, 2) == 0);
    assert_true(fabs(drl_error_ratio(x, same, 3, 2) - 1) < 1e-12);
    /* own: 4 + 20 + 16; others: y0 with 1, 2: 0, 20; y1 with 0, 2: 16, 0; y2 with 0, 1: 0, 4; means 40/3 and 40/6 */
    assert_true(fabs(drl_error_ratio(x, turned, 3, 2) - 2) < 1e-12);
    assert_true(drl_error_ratio(same, same, 3, 2) == 1);
    const drl_real half[] = {0, 0, 1, 0, 0, 2};
    double r = drl_error_ratio(x, half, 3, 2);
    assert_true(r > 0 && r < 0.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(squares), cmocka_unit_test(orthogonal),
                                       cmocka_unit_test(ratios)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
