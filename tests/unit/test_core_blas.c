/* The choice of BLAS kernels, and GEMM against a plain loop (drl/blas.h). What the guard does to a process is tested in
 * tests/cli/test_blas_guard.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "drl/blas.h"
#include "drl/rng.h"

static void better_cores(void **state) {
    (void)state;
    static const struct {
        const char *loaded;
        bool avx512, avx2;
        const char *better;
    } cases[] = {
        /* AVX-512 offered: every narrower or unknown kernel set is replaced */
        {"Prescott", true, true, "SkylakeX"},
        {"Haswell", true, true, "SkylakeX"},
        {"Zen", true, true, "SkylakeX"},
        {"Sandybridge", true, true, "SkylakeX"},
        {"Unknown", true, true, "SkylakeX"},
        {"", true, true, "SkylakeX"},
        {"SkylakeX", true, true, NULL},
        {"SKYLAKEX", true, true, NULL}, /* builds for one CPU spell names in capitals */
        {"Cooperlake", true, true, NULL},
        {"SapphireRapids", true, true, NULL},
        /* AVX2 offered */
        {"Prescott", false, true, "Haswell"},
        {"Sandybridge", false, true, "Haswell"},
        {"Piledriver", false, true, "Haswell"},
        {"Unknown", false, true, "Haswell"},
        {"Haswell", false, true, NULL},
        {"Zen", false, true, NULL},
        {"SkylakeX", false, true, NULL}, /* OpenBLAS knows better */
        /* neither: nothing to gain */
        {"Prescott", false, false, NULL},
        {"Unknown", false, false, NULL},
        {"Nehalem", false, false, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *better = drl_blas_better_core(cases[i].loaded, cases[i].avx512, cases[i].avx2);
        if (cases[i].better) {
            assert_non_null(better);
            assert_string_equal(better, cases[i].better);
            assert_null(drl_blas_better_core(better, cases[i].avx512, cases[i].avx2)); /* one step is enough */
        } else {
            assert_null(better);
        }
    }
    assert_non_null(drl_blas_kernels());
}

/* C = alpha op(A) op(B) + beta C in double, and the same with absolute values: the scale of the rounding error. */
static void gemm_ref(double *want, double *scale, bool ta, bool tb, size_t m, size_t n, size_t k, double alpha,
                     const drl_real *a, size_t lda, const drl_real *b, size_t ldb, double beta, const drl_real *c,
                     size_t ldc) {
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0, size = 0;
            for (size_t l = 0; l < k; l++) {
                double p =
                    (double)(ta ? a[l * lda + i] : a[i * lda + l]) * (double)(tb ? b[j * ldb + l] : b[l * ldb + j]);
                sum += p, size += fabs(p);
            }
            double old = beta == 0 ? 0 : beta * (double)c[i * ldc + j];
            want[i * n + j] = alpha * sum + old;
            scale[i * n + j] = fabs(alpha) * size + fabs(old);
        }
}

static void check_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, double alpha, double beta) {
    size_t lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 1, ldc = n + 2; /* gaps prove the leading dimensions */
    size_t na = (ta ? k : m) * lda, nb = (tb ? n : k) * ldb, nc = m * ldc;
    drl_real *a = malloc(na * sizeof *a), *b = malloc(nb * sizeof *b), *c = malloc(nc * sizeof *c);
    double *want = malloc(m * n * sizeof *want), *scale = malloc(m * n * sizeof *scale);
    assert_true(a && b && c && want && scale);
    drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 0, 0), 0, a, na);
    drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 1, 0), 0, b, nb);
    if (beta == 0) /* C is not read then, not even where it is NaN */
        for (size_t i = 0; i < nc; i++) c[i] = (drl_real)NAN;
    else
        drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 2, 0), 0, c, nc);
    for (size_t i = 0; i < m; i++)
        for (size_t j = n; j < ldc; j++) c[i * ldc + j] = 42; /* the gaps of C must survive */

    gemm_ref(want, scale, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    drl_gemm(ta, tb, m, n, k, (drl_real)alpha, a, lda, b, ldb, (drl_real)beta, c, ldc);
    const double eps = sizeof(drl_real) == 4 ? 0x1p-24 : 0x1p-53, factor = (double)k + 3;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < ldc; j++)
            if (j < n)
                assert_true(fabs((double)c[i * ldc + j] - want[i * n + j]) <= factor * eps * scale[i * n + j]);
            else
                assert_true(c[i * ldc + j] == 42);
    free(a), free(b), free(c), free(want), free(scale);
}

static void gemm_is_the_plain_loop(void **state) {
    (void)state;
    static const size_t shapes[][3] = {{1, 1, 1}, {1, 17, 5}, {13, 1, 7}, {16, 16, 16}, {31, 33, 37}, {65, 48, 129}};
    static const double factors[][2] = {{1, 0}, {1, 1}, {-0.5, 2}, {0, 0.25}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t f = 0; f < sizeof factors / sizeof *factors; f++)
            for (int t = 0; t < 4; t++)
                check_gemm(t & 1, t & 2, shapes[s][0], shapes[s][1], shapes[s][2], factors[f][0], factors[f][1]);
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(better_cores),
        cmocka_unit_test(gemm_is_the_plain_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
