/* The MLP probe's inner loops, each over one panel: a few neighbouring hidden units, as many as fill Q vectors of the
 * instruction set compiled for. Internal to lib/models; every kernel has a plain loop, `_ref`, the tests hold it to.
 *
 * Sizes are padded so that no kernel has a tail: codes d to `depth` (a multiple of P), rows of a minibatch to a
 * multiple of ROWS, classes to `outputs` (even), hidden units to whole panels of J. Padding is zero wherever it is
 * summed over: codes, weights and d loss / d logits; so the padded weights get zero gradients and stay zero.
 *
 *   panel of weights (depth + 1 + outputs, J): the rows of W1^T | b1 | the rows of W2, for J hidden units
 *   packed codes x (depth / P, rows, P): P neighbouring dimensions of all rows, then the next P
 *   hidden units h, dh (rows, J) of one panel
 *   logits l (outputs, pitch), column i for row i; dl (rows, outputs) row-major
 *   keep (rows): bit j says whether dropout keeps unit j of the panel
 *
 * Float sums run over rows or dimensions one by one, in the order of their indices; those over hidden units in V
 * interleaved parts. Buffers do not overlap; they need no alignment, but are fastest on cache lines. */
#ifndef DRL_MODELS_PROBE_KERNELS_H
#define DRL_MODELS_PROBE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "nn/vector.h"

enum {
    DRL_MLP_V = V,
    DRL_MLP_P = VECTOR_BYTES == 64 ? 8 : 4, /* codes, or dimensions, side by side */
    DRL_MLP_Q = 2,
    DRL_MLP_J = DRL_MLP_V * DRL_MLP_Q, /* hidden units of a panel, at most 32 */
    DRL_MLP_ROWS = (int)DRL_MLP_P > (int)DRL_MLP_V ? (int)DRL_MLP_P : (int)DRL_MLP_V
};

/* x = rows index[0 .. n) of codes (., d), packed; index NULL: rows 0 .. n - 1. Rows n .. rows - 1 become zero. */
void drl_mlp_pack(drl_real *restrict x, const drl_real *restrict codes, const uint32_t *restrict index, size_t n,
                  size_t rows, size_t d, size_t depth);
void drl_mlp_pack_ref(drl_real *restrict x, const drl_real *restrict codes, const uint32_t *restrict index, size_t n,
                      size_t rows, size_t d, size_t depth);

/* h = relu(x W1^T + b1) scale where kept, 0 elsewhere. keep NULL: all are. */
void drl_mlp_forward_panel(drl_real *restrict h, const drl_real *restrict x, const drl_real *restrict weights,
                           const uint32_t *restrict keep, drl_real scale, size_t rows, size_t depth);
void drl_mlp_forward_panel_ref(drl_real *restrict h, const drl_real *restrict x, const drl_real *restrict weights,
                               const uint32_t *restrict keep, drl_real scale, size_t rows, size_t depth);

/* l = h W2^T + b2 over all panels; h and w2 point to the first panel's, the next lie h_step and w2_step further on.
 * Writes columns 0 .. rows - 1. */
void drl_mlp_logits(drl_real *restrict l, size_t pitch, const drl_real *restrict h, size_t h_step,
                    const drl_real *restrict w2, size_t w2_step, const drl_real *restrict b2, size_t panels,
                    size_t rows, size_t outputs);
void drl_mlp_logits_ref(drl_real *restrict l, size_t pitch, const drl_real *restrict h, size_t h_step,
                        const drl_real *restrict w2, size_t w2_step, const drl_real *restrict b2, size_t panels,
                        size_t rows, size_t outputs);

/* The gradient of the panel's weights, laid out as they are, and dh on the way:
 *   dW2 = dl^T h,  dh = scale (dl W2) where h > 0 and 0 elsewhere,  db1 = sum over rows of dh,  dW1 = dh^T x.
 * h > 0 exactly where the unit was active and kept. g and dh are overwritten. */
void drl_mlp_backward_panel(drl_real *restrict g, drl_real *restrict dh, const drl_real *restrict h,
                            const drl_real *restrict x, const drl_real *restrict weights, const drl_real *restrict dl,
                            drl_real scale, size_t rows, size_t depth, size_t outputs);
void drl_mlp_backward_panel_ref(drl_real *restrict g, drl_real *restrict dh, const drl_real *restrict h,
                                const drl_real *restrict x, const drl_real *restrict weights,
                                const drl_real *restrict dl, drl_real scale, size_t rows, size_t depth, size_t outputs);

/* keep[p * rows + i] for all panels p of row i from the random words of the row: column j of the first half of the
 * hidden units takes the low, of the second half the high 16 bits of word j mod ceil(hidden / 2), and is kept where
 * they reach `below`. Bits of padded units are 0. */
void drl_mlp_keep_row(uint32_t *restrict keep, size_t rows, const uint32_t *restrict words, uint32_t below,
                      size_t hidden, size_t panels);
void drl_mlp_keep_row_ref(uint32_t *restrict keep, size_t rows, const uint32_t *restrict words, uint32_t below,
                          size_t hidden, size_t panels);

#endif
