/* The fast convolution kernels against the plain loops, and the plain loops against each other's adjoint. Compiled in
 * float here and in double by tests/gradient. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drl/blas.h"
#include "drl/rng.h"
#include "nn/conv_kernel.h"

#ifdef DRL_F64
#define TOLERANCE 1e-13
#else
#define TOLERANCE 3e-6
#endif
#define GUARD ((size_t)16) /* elements behind every tensor that must stay as they are */

/* One shape with everything a kernel reads and writes. */
typedef struct problem {
    const drl_conv_family *k;
    drl_conv_dims d;
    size_t n, x_size, y_size, w_size;
    drl_real *x, *y, *w, *start, *kernel, *out, *want;
    drl_arena scratch;
} problem;

static drl_real *filled(size_t n, uint32_t stream) {
    drl_real *p;
    assert_int_equal(drl_alloc(&p, n + GUARD, sizeof *p, "test", NULL), DRL_OK);
    drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, stream, 0), 0, p, n + GUARD);
    return p;
}

static void open_problem(problem *p, const drl_conv_family *k, const drl_conv_dims *d, size_t n) {
    *p = (problem){.k = k, .d = *d, .n = n};
    p->x_size = n * d->h * d->w * d->cin;
    p->y_size = n * d->ho * d->wo * d->cout;
    p->w_size = d->k * d->k * d->cin * d->cout;
    size_t most = p->x_size > p->y_size ? p->x_size : p->y_size;
    most = most > p->w_size ? most : p->w_size;
    p->x = filled(p->x_size, 0);
    p->y = filled(p->y_size, 1);
    p->w = filled(p->w_size, 2);
    p->start = filled(n * d->cout, 4);
    p->kernel = filled(k->prepared(d), 5);
    p->out = filled(most, 3);
    p->want = filled(most, 3);
    assert_int_equal(drl_arena_init(&p->scratch, k->scratch(d), "test", NULL), DRL_OK);
}

static void close_problem(problem *p) {
    drl_real *all[] = {p->x, p->y, p->w, p->start, p->kernel, p->out, p->want};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) drl_free(all[i]);
    drl_arena_free(&p->scratch);
}

/* The result and what lies behind it, relative to the largest of the wanted numbers (which may all be rectified to 0);
 * scratch is given back. */
static void compare(const problem *p, size_t size, const char *what, double alpha, bool add) {
    double largest = 1e-3, worst = 0;
    for (size_t i = 0; i < size; i++) largest = fmax(largest, fabs((double)p->want[i]));
    for (size_t i = 0; i < size; i++) {
        double err = fabs((double)p->out[i] - (double)p->want[i]) / largest;
        if (!(err <= worst)) worst = err;
    }
    const drl_conv_dims *d = &p->d;
    if (!(worst <= TOLERANCE) || memcmp(p->out + size, p->want + size, GUARD * sizeof *p->out) != 0 || p->scratch.used)
        fail_msg("%s %s: n %zu, %zux%zux%zu to %zux%zux%zu, k %zu, stride %zu, pad %zu, alpha %g, add %d: error %g",
                 p->k->name, what, p->n, d->h, d->w, d->cin, d->ho, d->wo, d->cout, d->k, d->stride, d->pad, alpha, add,
                 worst);
}

static void restart(problem *p, size_t size) {
    drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 3, 0), 0, p->out, size + GUARD);
    memcpy(p->want, p->out, (size + GUARD) * sizeof *p->out);
}

/* The weights as the family wants them for a direction. */
static const drl_real *kernel_of(problem *p, bool backward) {
    if (p->k->prepared(&p->d) == 0) return p->w;
    p->k->prepare(p->kernel, p->w, backward, &p->d, &p->scratch);
    return p->kernel;
}

static void check_kernel(const drl_conv_family *k, const drl_conv_dims *d, size_t n, drl_real alpha, bool add) {
    problem p;
    open_problem(&p, k, d, n);
    for (int variant = 0; variant < 6; variant++) { /* start shared or of each image; plain, residual, rectified */
        drl_conv_sum sum = {.start = p.start, .start_step = variant % 2 ? d->cout : 0};
        if (variant / 2 == 1) sum.residual = p.y;
        sum.rectified = variant / 2 == 2;
        restart(&p, p.y_size);
        memset(p.out, 0xff, p.y_size * sizeof *p.out); /* NaN must not shine through */
        k->forward(p.out, p.x, kernel_of(&p, false), alpha, &sum, d, n, &p.scratch);
        drl_conv_forward_ref(p.want, p.x, p.w, alpha, &sum, d, n);
        compare(&p, p.y_size, "forward", (double)alpha, variant);
    }

    restart(&p, p.x_size);
    if (!add) memset(p.out, 0xff, p.x_size * sizeof *p.out);
    k->backward_data(p.out, p.y, kernel_of(&p, true), alpha, add, d, n, &p.scratch);
    drl_conv_backward_data_ref(p.want, p.y, p.w, alpha, add, d, n);
    compare(&p, p.x_size, "backward_data", (double)alpha, add);

    restart(&p, p.w_size);
    k->backward_weight(p.out, p.x, p.y, alpha, d, n, &p.scratch);
    drl_conv_backward_weight_ref(p.want, p.x, p.y, alpha, d, n);
    compare(&p, p.w_size, "backward_weight", (double)alpha, true);
    close_problem(&p);
}

static void check_shape(const drl_conv_dims *d, size_t n, drl_real alpha, bool add) {
    for (const drl_conv_family *const *k = drl_conv_families; *k; k++)
        if ((*k)->applies(d)) check_kernel(*k, d, n, alpha, add);
}

/* Kernel, stride and the zeros on the left and in all: every convolution that the op makes. */
static const struct kind {
    size_t k, stride, pad, padding;
} kinds[] = {{1, 1, 0, 0}, {1, 2, 0, 0}, {3, 1, 1, 2}, {3, 2, 1, 2}, {3, 1, 0, 1}, {3, 2, 0, 1}};

static bool dims_of(drl_conv_dims *d, const struct kind *k, size_t h, size_t w, size_t cin, size_t cout) {
    if (h + k->padding < k->k || w + k->padding < k->k) return false;
    *d = (drl_conv_dims){.h = h, .w = w, .cin = cin, .cout = cout, .k = k->k, .stride = k->stride, .pad = k->pad};
    d->ho = (h + k->padding - k->k) / k->stride + 1;
    d->wo = (w + k->padding - k->k) / k->stride + 1;
    return true;
}

/* Every kind and image side, square and not, with channels, images, alpha and add cycling through their values. */
static void test_sizes(void **state) {
    (void)state;
    static const size_t sides[] = {1, 2, 3, 5, 7, 8, 16, 33}, channels[] = {1, 3, 16, 17, 48};
    static const drl_real alphas[] = {1, (drl_real)-0.7};
    size_t run = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t i = 0; i < 8; i++)
            for (size_t turn = 0; turn < 2; turn++, run++) {
                drl_conv_dims d;
                size_t h = sides[i], w = turn ? sides[(i + 5) % 8] : h;
                size_t cin = channels[run % 5], cout = channels[(run / 5 + run) % 5];
                if (h * w > 300 && cin * cout > 300) cin = 3; /* the plain loops are slow */
                if (dims_of(&d, &kinds[k], h, w, cin, cout))
                    check_shape(&d, 1 + run % 3, alphas[run / 2 % 2], run % 3 == 0);
            }
}

/* Every pair of channels on a small image. */
static void test_channels(void **state) {
    (void)state;
    static const size_t channels[] = {1, 3, 16, 17, 48};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t i = 0; i < 25; i++) {
            drl_conv_dims d;
            assert_true(dims_of(&d, &kinds[k], 3, 5, channels[i / 5], channels[i % 5]));
            check_shape(&d, 1 + i % 3, (drl_real)0.71, i % 2);
        }
}

/* Images so large that the unrolled matrix takes several blocks, whose borders fall within an image. */
static void test_blocks(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        drl_conv_dims d;
        assert_true(dims_of(&d, &kinds[k], 33, 17, 48, 3));
        check_shape(&d, 2, 1, true);
        assert_true(dims_of(&d, &kinds[k], 5, 130, 3, 48));
        check_shape(&d, 3, 1, false);
    }
}

/* What Winograd's kernels take: even sides and whole vectors of channels; few and many tiles, full and narrow blocks.
 */
static void test_winograd(void **state) {
    (void)state;
    static const size_t sides[][2] = {{2, 2}, {4, 4}, {6, 10}, {8, 8}, {32, 16}}, channels[] = {16, 32, 48, 64};
    for (size_t s = 0; s < sizeof sides / sizeof *sides; s++)
        for (size_t i = 0; i < 16; i++) {
            drl_conv_dims d;
            if (sides[s][0] * channels[i / 4] * channels[i % 4] > 20000 && i % 3)
                continue; /* the plain loops are slow */
            assert_true(dims_of(&d, &kinds[2], sides[s][0], sides[s][1], channels[i / 4], channels[i % 4]));
            assert_true(drl_conv_winograd2.applies(&d));
            check_shape(&d, 1 + i % 3, (drl_real)-1.3, i % 2);
        }
}

/* A kernel of one tap moves the image by one pixel: checks the plain loops against something simpler still. */
static void test_shift(void **state) {
    (void)state;
    drl_conv_dims d;
    assert_true(dims_of(&d, &kinds[2], 4, 3, 1, 1));
    drl_real x[12], y[12], w[9] = {0}, start = 5;
    drl_conv_sum sum = {.start = &start};
    for (int i = 0; i < 12; i++) x[i] = (drl_real)(i + 1);
    w[0 * 3 + 1] = 1; /* ky = 0, kx = 1: the pixel above */
    drl_conv_forward_ref(y, x, w, 2, &sum, &d, 1);
    for (int i = 0; i < 12; i++) assert_true(y[i] == 5 + (i < 3 ? 0 : 2 * x[i - 3]));
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),    cmocka_unit_test(test_channels), cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_winograd), cmocka_unit_test(test_shift),
    };
    return cmocka_run_group_tests_name("convolution kernels, " DRL_REAL_NAME, tests, NULL, NULL) ? 1 : 0;
}
