/* The passes of normalisation (nn/norm.h) against plain loops in double: every width of the last column of vectors,
 * runs of pixels whole and not, a mean far from zero, a first pixel far from the rest. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "drl/mem.h"
#include "drl/rng.h"
#include "nn/norm.h"

static const size_t widths[] = {1, 3, 16, 17, 32, 50}, counts[] = {1, 2, 63, 64, 65, 1000};
enum { MAX_C = 50, MAX_PIXELS = 1000, GUARD = 16 };

typedef struct problem {
    size_t pixels, C;
    drl_real *x, *da, *y, mean[MAX_C], slope[MAX_C], bias[MAX_C], k[3][MAX_C];
    drl_affine n;
} problem;

static drl_real *numbers(size_t n, uint32_t stream) {
    drl_real *v;
    assert_int_equal(drl_alloc(&v, n + GUARD, sizeof *v, "test", NULL), DRL_OK);
    drl_rng_normal(drl_rng_stream(3, DRL_RNG_TEST, stream, 0), 0, v, n + GUARD);
    return v;
}

static void fill(drl_real *v, size_t n, uint32_t stream) {
    drl_rng_normal(drl_rng_stream(4, DRL_RNG_TEST, stream, 0), 0, v, n);
}

static void open_problem(problem *p, size_t pixels, size_t C, bool relu) {
    *p = (problem){.pixels = pixels, .C = C};
    p->x = numbers(pixels * C, 0), p->da = numbers(pixels * C, 1), p->y = numbers(pixels * C, 2);
    for (size_t e = 0; e < pixels * C; e++) p->x[e] += 30;
    for (size_t c = 0; c < C; c++) p->x[c] += 10; /* far from the rest */
    fill(p->mean, C, 0), fill(p->slope, C, 1), fill(p->bias, C, 2);
    for (uint32_t i = 0; i < 3; i++) fill(p->k[i], C, 3 + i);
    for (size_t c = 0; c < C; c++) p->mean[c] += 30;
    p->n = (drl_affine){p->mean, p->slope, p->bias, relu};
}

static void close_problem(problem *p) {
    drl_free(p->x), drl_free(p->da), drl_free(p->y);
}

static void for_each_problem(void (*check)(problem *p), bool relu) {
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (size_t j = 0; j < sizeof counts / sizeof *counts; j++) {
            problem p;
            open_problem(&p, counts[j], widths[i], relu);
            check(&p);
            close_problem(&p);
        }
}

static void near(double got, double want, double scale) {
    if (!(fabs(got - want) <= 1e-6 * scale)) fail_msg("got %.9g, want %.9g", got, want);
}

static void moments(problem *p) {
    double mean[MAX_C], m2[MAX_C];
    drl_channel_moments(mean, m2, p->x, p->pixels, p->C);
    for (size_t c = 0; c < p->C; c++) {
        double sum = 0, square = 0;
        for (size_t e = c; e < p->pixels * p->C; e += p->C) sum += (double)p->x[e];
        sum /= (double)p->pixels;
        for (size_t e = c; e < p->pixels * p->C; e += p->C) square += ((double)p->x[e] - sum) * ((double)p->x[e] - sum);
        near(mean[c], sum, 30);
        near(m2[c], square, square + 1e-3);
    }
}

static void sums(problem *p) {
    drl_real got[MAX_C] = {0};
    drl_channel_sums(got, p->x, (drl_real)0.5, p->pixels, p->C);
    drl_channel_sums(got, p->x, (drl_real)0.5, p->pixels, p->C); /* adds */
    for (size_t c = 0; c < p->C; c++) {
        double want = 0;
        for (size_t e = c; e < p->pixels * p->C; e += p->C) want += (double)p->x[e];
        near((double)got[c], want, want);
    }
}

static double affine_at(const problem *p, size_t e) {
    size_t c = e % p->C;
    return (double)p->slope[c] * ((double)p->x[e] - (double)p->mean[c]) + (double)p->bias[c];
}

/* The gradient that counts: none where the rectifier is shut. Values near its edge would be of either side. */
static double da_at(const problem *p, size_t e) {
    return p->n.relu && affine_at(p, e) <= 0 ? 0 : (double)p->da[e];
}

static void apply(problem *p) {
    drl_real guard = p->y[p->pixels * p->C];
    drl_norm_apply(p->y, p->x, &p->n, p->pixels, p->C);
    for (size_t e = 0; e < p->pixels * p->C; e++) {
        double want = affine_at(p, e);
        near((double)p->y[e], p->n.relu && want < 0 ? 0 : want, 20);
    }
    assert_true(p->y[p->pixels * p->C] == guard);
}

static void dots(problem *p) {
    double s[MAX_C] = {0}, d[MAX_C] = {0};
    drl_channel_dots(s, d, p->da, p->x, &p->n, p->pixels, p->C);
    for (size_t c = 0; c < p->C; c++) {
        double sum = 0, dot = 0, scale = 1;
        for (size_t e = c; e < p->pixels * p->C; e += p->C) {
            double off = (double)p->x[e] - (double)p->mean[c];
            sum += da_at(p, e), dot += da_at(p, e) * off, scale += fabs(da_at(p, e)) * (1 + fabs(off));
        }
        near(s[c], sum, scale), near(d[c], dot, scale);
    }
}

static void dx(problem *p) {
    for (int add = 0; add < 2; add++) {
        drl_real *before = numbers(p->pixels * p->C, 2), guard = before[p->pixels * p->C];
        fill(p->y, p->pixels * p->C, 9);
        for (size_t e = 0; add && e < p->pixels * p->C; e++) p->y[e] = before[e];
        p->y[p->pixels * p->C] = guard;
        drl_norm_dx(p->y, p->da, p->x, &p->n, p->k[0], p->k[1], p->k[2], add, p->pixels, p->C);
        for (size_t e = 0; e < p->pixels * p->C; e++) {
            size_t c = e % p->C;
            double off = (double)p->x[e] - (double)p->mean[c], want = add ? (double)before[e] : 0;
            want += (double)p->k[0][c] * da_at(p, e) + (double)p->k[1][c] * off + (double)p->k[2][c];
            near((double)p->y[e], want, 40);
        }
        assert_true(p->y[p->pixels * p->C] == guard);
        drl_free(before);
    }
}

#define TEST(name, relu)                                                                                               \
    static void test_##name##_##relu(void **state) {                                                                   \
        (void)state;                                                                                                   \
        for_each_problem(name, relu);                                                                                  \
    }
TEST(moments, false)
TEST(sums, false)
TEST(apply, false)
TEST(apply, true)
TEST(dots, false)
TEST(dots, true)
TEST(dx, false)
TEST(dx, true)

/* A NaN comes through the rectifier, for the trainer to find. */
static void test_nan(void **state) {
    (void)state;
    problem p;
    open_problem(&p, 2, 17, true);
    p.x[3] = p.x[16] = (drl_real)NAN;
    drl_norm_apply(p.y, p.x, &p.n, 2, 17);
    assert_true(isnan(p.y[3]) && isnan(p.y[16]) && !isnan(p.y[4]));
    close_problem(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments_false), cmocka_unit_test(test_sums_false), cmocka_unit_test(test_apply_false),
        cmocka_unit_test(test_apply_true),    cmocka_unit_test(test_dots_false), cmocka_unit_test(test_dots_true),
        cmocka_unit_test(test_dx_false),      cmocka_unit_test(test_dx_true),    cmocka_unit_test(test_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
