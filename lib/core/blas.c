/* The BLAS guard (drl/blas.h) and the GEMM wrapper. */
#define _POSIX_C_SOURCE 200809L
#include "drl/blas.h"

#include <assert.h>
#include <cblas.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Vector width of a kernel set: 3 AVX-512, 2 AVX2 with FMA, 1 AVX, 0 less or unknown. */
static int core_rank(const char *core) {
    static const struct {
        const char *name;
        int rank;
    } known[] = {
        {"SkylakeX", 3},  {"Cooperlake", 3},  {"SapphireRapids", 3}, {"Haswell", 2},   {"Zen", 2},
        {"Excavator", 1}, {"Steamroller", 1}, {"Piledriver", 1},     {"Bulldozer", 1}, {"Sandybridge", 1},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(core, known[i].name) == 0) return known[i].rank;
    return 0;
}

const char *drl_blas_better_core(const char *loaded, bool has_avx512, bool has_avx2) {
    int offered = has_avx512 ? 3 : has_avx2 ? 2 : 0;
    if (core_rank(loaded) >= offered) return NULL;
    return offered == 3 ? "SkylakeX" : "Haswell";
}

const char *drl_blas_kernels(void) {
    return openblas_get_corename();
}

void drl_flush_denormals(void) {
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040u); /* FTZ | DAZ */
#endif
}

#if defined(__x86_64__)
/* Runs this program again. By its real path where that can be read, so that ps and top keep showing its name. Returns
 * only on failure. */
static void restart(char **argv) {
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    execv(path, argv);
    execv("/proc/self/exe", argv);
}
#endif

void drl_blas_guard(char **argv) {
    openblas_set_num_threads(1);
    drl_flush_denormals();
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const char *better = drl_blas_better_core(openblas_get_corename(), avx512, avx2);
    /* A library built for one CPU only has no other kernels to offer. */
    if (!better || getenv("OPENBLAS_CORETYPE") || !strstr(openblas_get_config(), "DYNAMIC_ARCH")) return;
    fprintf(stderr, "OpenBLAS took this CPU for \"%s\"; restarting with OPENBLAS_CORETYPE=%s\n",
            openblas_get_corename(), better);
    if (setenv("OPENBLAS_CORETYPE", better, 1) != 0) return;
    restart(argv); /* returned, so it failed: the slow kernels have to do */
    unsetenv("OPENBLAS_CORETYPE");
#else
    (void)argv;
#endif
}

void drl_gemm(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, drl_real alpha, const drl_real *a, size_t lda,
              const drl_real *b, size_t ldb, drl_real beta, drl_real *c, size_t ldc) {
    enum CBLAS_TRANSPOSE ta = trans_a ? CblasTrans : CblasNoTrans, tb = trans_b ? CblasTrans : CblasNoTrans;
    assert(m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX);
#ifdef DRL_F64
    cblas_dgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
#else
    cblas_sgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
#endif
}
