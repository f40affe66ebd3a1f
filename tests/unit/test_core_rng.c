/* Random streams: known answers, addressing, independence and distributions (drl/rng.h). All seeds are fixed, so every
 * statistical bound holds always or never; each is the 99.9 % point or five standard errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drl/rng.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* The three "philox4x32 10" lines of Random123's tests/kat_vectors: counter, key, result. */
static const struct {
    uint32_t counter[4], key[2], result[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

/* A block is addressed by its 64-bit index; uniform_at shows the first 53 bits of any block, u32 all of the low ones.
 */
static void known_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(known); i++) {
        drl_rng rng = {{known[i].key[0], known[i].key[1]}, {known[i].counter[2], known[i].counter[3]}};
        uint64_t index = known[i].counter[0] | (uint64_t)known[i].counter[1] << 32;
        double want = ldexp(known[i].result[0], -32) + ldexp(known[i].result[1] >> 11, -53);
        assert_true(drl_rng_uniform_at(rng, index) == want);
    }
    uint32_t out[4];
    drl_rng_u32(drl_rng_stream(0, DRL_RNG_TEST, 0, 0), 0, out, 4);
    assert_memory_equal(out, known[0].result, sizeof out);
}

/* The layout of keys and counters is part of every published result: it must not drift. */
static void stream_addresses(void **state) {
    (void)state;
    drl_rng rng = drl_rng_stream(0x0123456789abcdefu, DRL_RNG_NOISE, 0xabcdef, 77);
    assert_int_equal(rng.key[0], 0x89abcdef);
    assert_int_equal(rng.key[1], 0x01234567);
    assert_int_equal(rng.hi[0], 77);
    assert_int_equal(rng.hi[1], 0x04abcdef);
}

/* Value i is the same whatever range it is asked for in, also across the 32-bit boundary of the block counter. */
static void values_do_not_depend_on_the_range(void **state) {
    (void)state;
    enum { N = 67 };
    static const uint64_t bases[] = {0, 1, 1u << 20, (1ull << 34) - 20};
    for (size_t b = 0; b < COUNT(bases); b++) {
        drl_rng rng = drl_rng_stream(5, DRL_RNG_TEST, 3, 9);
        uint32_t all[N], part[N + 1];
        drl_real uniform[N], normal[N], real[N + 1];
        drl_rng_u32(rng, bases[b], all, N);
        drl_rng_uniform(rng, bases[b], uniform, N);
        drl_rng_normal(rng, bases[b], normal, N);
        for (size_t first = 0; first < 9; first++)
            for (size_t n = 0; n + first <= N; n += n < 10 ? 1 : 11) {
                part[n] = 0xdeadbeef;
                drl_rng_u32(rng, bases[b] + first, part, n);
                assert_memory_equal(part, all + first, n * sizeof *part);
                assert_int_equal(part[n], 0xdeadbeef); /* nothing written behind the end */
                real[n] = 42;
                drl_rng_uniform(rng, bases[b] + first, real, n);
                assert_memory_equal(real, uniform + first, n * sizeof *real);
                drl_rng_normal(rng, bases[b] + first, real, n);
                assert_memory_equal(real, normal + first, n * sizeof *real);
                assert_true(real[n] == 42);
            }
    }
}

/* Streams that differ in one coordinate share no more equal values than chance allows and do not correlate. */
static void streams_differ(void **state) {
    (void)state;
    enum { N = 20000 };
    const drl_rng streams[] = {drl_rng_stream(1, DRL_RNG_TEST, 0, 0),
                               drl_rng_stream(2, DRL_RNG_TEST, 0, 0),
                               drl_rng_stream(1 + (1ull << 32), DRL_RNG_TEST, 0, 0),
                               drl_rng_stream(1, DRL_RNG_NOISE, 0, 0),
                               drl_rng_stream(1, DRL_RNG_TEST, 1, 0),
                               drl_rng_stream(1, DRL_RNG_TEST, 0, 1)};
    static drl_real x[COUNT(streams)][N];
    for (size_t s = 0; s < COUNT(streams); s++) drl_rng_normal(streams[s], 0, x[s], N);
    for (size_t s = 0; s < COUNT(streams); s++)
        for (size_t r = 0; r < s; r++) {
            double dot = 0;
            for (size_t i = 0; i < N; i++) dot += (double)x[s][i] * (double)x[r][i];
            assert_true(fabs(dot / N) <= 5 / sqrt(N));
        }
}

static int ascending(const void *a, const void *b) {
    drl_real x = *(const drl_real *)a, y = *(const drl_real *)b;
    return (x > y) - (x < y);
}

/* Kolmogorov-Smirnov: largest distance between the empirical distribution and cdf, times sqrt(n). Sorts x. */
static double ks_statistic(drl_real *x, size_t n, double (*cdf)(double)) {
    qsort(x, n, sizeof *x, ascending);
    double d = 0;
    for (size_t i = 0; i < n; i++) {
        double f = cdf((double)x[i]), lo = f - (double)i / (double)n, hi = (double)(i + 1) / (double)n - f;
        d = fmax(d, fmax(lo, hi));
    }
    return d * sqrt((double)n);
}

static double uniform_cdf(double x) {
    return x;
}

static double normal_cdf(double x) {
    return 0.5 * erfc(-x / sqrt(2));
}

#define KS_999 1.95 /* 99.9 % point of the Kolmogorov distribution */

static void uniform_values(void **state) {
    (void)state;
    enum { N = 200000 };
    drl_real *x = malloc(N * sizeof *x);
    assert_non_null(x);
    drl_rng rng = drl_rng_stream(11, DRL_RNG_TEST, 0, 0);
    drl_rng_uniform(rng, 0, x, N);
    for (size_t i = 0; i < N; i++) assert_true(x[i] >= 0 && x[i] < 1 && x[i] * 0x1p24f == floor((double)x[i] * 0x1p24));
    assert_true(ks_statistic(x, N, uniform_cdf) <= KS_999);
    for (size_t i = 0; i < N; i++) x[i] = (drl_real)drl_rng_uniform_at(rng, i);
    assert_true(ks_statistic(x, N, uniform_cdf) <= KS_999);
    free(x);
}

static void normal_values(void **state) {
    (void)state;
    enum { N = 400000 };
    drl_real *x = malloc(N * sizeof *x);
    assert_non_null(x);
    drl_rng_normal(drl_rng_stream(12, DRL_RNG_TEST, 0, 0), 0, x, N);
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, lag[4] = {0};
    for (size_t i = 0; i < N; i++) {
        double v = (double)x[i];
        m1 += v, m2 += v * v, m3 += v * v * v, m4 += v * v * v * v;
        for (size_t k = 1; k <= 4 && k <= i; k++) lag[k - 1] += v * (double)x[i - k];
    }
    /* Standard errors of the raw moments of N(0, 1): sqrt(1, 2, 15, 96) / sqrt(n); of a lagged product: 1 / sqrt(n). */
    const double se = 1 / sqrt(N);
    assert_true(fabs(m1 / N) <= 5 * se);
    assert_true(fabs(m2 / N - 1) <= 5 * sqrt(2) * se);
    assert_true(fabs(m3 / N) <= 5 * sqrt(15) * se);
    assert_true(fabs(m4 / N - 3) <= 5 * sqrt(96) * se);
    for (size_t k = 0; k < 4; k++) assert_true(fabs(lag[k] / N) <= 5 * se);
    assert_true(ks_statistic(x, N, normal_cdf) <= KS_999);
    free(x);
}

static void permutations_are_permutations(void **state) {
    (void)state;
    enum { MAX = 10007 };
    static const size_t sizes[] = {0, 1, 2, 3, 64, MAX};
    static uint32_t perm[MAX + 1], again[MAX];
    static unsigned char seen[MAX];
    drl_rng rng = drl_rng_stream(13, DRL_RNG_SHUFFLE, 0, 4);
    for (size_t s = 0; s < COUNT(sizes); s++) {
        size_t n = sizes[s];
        memset(seen, 0, sizeof seen);
        perm[n] = 0xdeadbeef;
        drl_rng_permutation(rng, perm, n);
        for (size_t i = 0; i < n; i++) assert_true(perm[i] < n && !seen[perm[i]]++);
        assert_int_equal(perm[n], 0xdeadbeef);
        drl_rng_permutation(rng, again, n);
        assert_memory_equal(again, perm, n * sizeof *perm);
    }
}

/* Each of the 5! orders of five things comes up equally often: chi-square with 119 degrees of freedom. */
static void permutations_are_uniform(void **state) {
    (void)state;
    enum { ORDERS = 120, DRAWS = 500 * ORDERS };
    unsigned count[ORDERS] = {0};
    for (uint32_t draw = 0; draw < DRAWS; draw++) {
        uint32_t p[5];
        drl_rng_permutation(drl_rng_stream(14, DRL_RNG_TEST, 0, draw), p, 5);
        size_t rank = 0; /* Lehmer code: how many later entries are smaller */
        for (size_t i = 0; i < 5; i++) {
            size_t smaller = 0;
            for (size_t j = i + 1; j < 5; j++) smaller += p[j] < p[i];
            rank = rank * (5 - i) + smaller;
        }
        assert_true(rank < ORDERS);
        count[rank]++;
    }
    double chi2 = 0, want = (double)DRAWS / ORDERS;
    for (size_t r = 0; r < ORDERS; r++) chi2 += (count[r] - want) * (count[r] - want) / want;
    assert_true(chi2 <= 172.0); /* 99.9 % point is 172.0 */
    assert_true(chi2 >= 77.0);  /* 0.1 % point: too even is not random either */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(stream_addresses),
        cmocka_unit_test(values_do_not_depend_on_the_range),
        cmocka_unit_test(streams_differ),
        cmocka_unit_test(uniform_values),
        cmocka_unit_test(normal_values),
        cmocka_unit_test(permutations_are_permutations),
        cmocka_unit_test(permutations_are_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
