/* The BLAS guard and the one entry to dense linear algebra.
 *
 * Threads: the library's own team splits the work (drl/threads.h), so OpenBLAS always runs single-threaded. */
#ifndef DRL_BLAS_H
#define DRL_BLAS_H

#include <stdbool.h>

#include "drl/real.h"

/* Call first in every main(). OpenBLAS before 0.3.25 takes CPUs it does not know for very old ones (upstream issues
 * 3485, 4267) and loses a factor of five. Where the kernels it chose are below what CPUID offers, this restarts the
 * program once with a fitting OPENBLAS_CORETYPE and says so in one line on standard error. A value the user has set is
 * respected. Never loops. Also sets OpenBLAS to one thread and flushes denormals on the calling thread. */
void drl_blas_guard(char **argv);

/* Name of the kernels in use ("SkylakeX", "Haswell", ...). */
const char *drl_blas_kernels(void);

/* What the guard would ask for: the OPENBLAS_CORETYPE that `loaded` (a core name) should be replaced by on a CPU with
 * these features, or NULL where the loaded kernels are as good. A pure function, for the tests. */
const char *drl_blas_better_core(const char *loaded, bool has_avx512, bool has_avx2);

/* Flush-to-zero and denormals-are-zero on the calling thread (x86); nothing elsewhere. */
void drl_flush_denormals(void);

/* C (m, n) = alpha op(A) op(B) + beta C, row-major with leading dimensions lda, ldb, ldc; op(A) is (m, k).
 * C is not read where beta is 0. Sizes fit an int (asserted). */
void drl_gemm(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, drl_real alpha, const drl_real *a, size_t lda,
              const drl_real *b, size_t ldb, drl_real beta, drl_real *c, size_t ldc);

#endif
