/* Products of runs of numbers with packed matrices, in register tiles: what direct convolution and attention are made
 * of.
 *
 *   y[p, o] = finished sum over the runs of pixel p:  sum_{r, i} x[p; r, i] packed[(r, i), o]
 * A matrix product (m, K) x (K, n) is the case of a row of m pixels with one run of K numbers each. Any sizes. */
#ifndef DRL_NN_PRODUCT_H
#define DRL_NN_PRODUCT_H

#include "nn/conv_vector.h"

/* Pixels (i, j), i < h, j < w, at i * row + j * step from the first. */
typedef struct drl_grid {
    size_t row, step;
} drl_grid;

/* What a pixel's sum runs over: `rows` runs of `run` numbers, `pitch` apart. */
typedef struct drl_runs {
    size_t rows, run, pitch;
} drl_runs;

/* Where a result goes and how, as finish() has it; residual lies as y does. */
typedef struct drl_result {
    drl_real *y, alpha;
    ending how;
    const drl_real *start, *residual;
} drl_result;

/* packed[block][k][B] = w[k][block * B + ..] of a matrix w (K, n), rows ld apart; zeros beyond n. Takes drl_packed_size
 * numbers. */
static inline size_t drl_packed_size(size_t K, size_t n) {
    return blocks_of(n) * B * K;
}
void drl_pack(drl_real *packed, const drl_real *w, size_t K, size_t n, size_t ld);
/* The same of the transpose of a matrix w (n, K), rows ld apart. */
void drl_pack_transposed(drl_real *packed, const drl_real *w, size_t K, size_t n, size_t ld);

/* The n channels of the h x w pixels of `to` from those of `from`. */
void drl_product(const drl_result *res, drl_grid to, const drl_real *x, drl_grid from, size_t h, size_t w,
                 const drl_runs *t, const drl_real *packed, size_t n);

/* y (m, n), rows ldy apart, = (or +=) alpha x packed, x (m, K), rows ldx apart. */
void drl_matrix_product(drl_real *y, size_t ldy, drl_real alpha, bool add, const drl_real *x, size_t ldx, size_t m,
                        size_t K, const drl_real *packed, size_t n);

/* y (m, n), rows ldy apart, += x^T e over k rows of x (k, m), ldx apart, and e (k, n), lde apart. m is a multiple of
 * DRL_DEPTH and n one of V. */
enum { DRL_DEPTH = 8 };
void drl_outer_product(drl_real *y, size_t ldy, const drl_real *x, size_t ldx, const drl_real *e, size_t lde, size_t k,
                       size_t m, size_t n);

#endif
