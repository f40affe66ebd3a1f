/* Winograd's minimal filterings F(m x m, 3x3) behind one interface: what conv_winograd.c multiplies and
 * conv_winograd2.c and conv_winograd4.c transform. An output tile of m x m pixels depends on n x n inputs, n = m + 2,
 * and takes n^2 products, one at each position: Y = A^T [ sum over channels (G g G^T) .* (B^T d B) ] A (Lavin and Gray
 * 2016) dg = G^T [ sum over tiles (B^T d B) .* (A dY A^T) ] G All functions work on whole vectors of channels. `step`:
 * numbers from one position of a transform to the next. */
#ifndef DRL_NN_CONV_WINOGRAD_H
#define DRL_NN_CONV_WINOGRAD_H

#include "nn/conv_vector.h"

enum { MAX_SIDE = 6 }; /* of an input tile */

/* Where a row of tiles goes: channels of y, the first row of pixels, `pitch` apart, C numbers a pixel; the rest as
 * finish() has it. */
typedef struct winograd_target {
    drl_real *y;
    size_t pitch, C;
    ending how;
    drl_real alpha;
    const drl_real *start, *residual;
} winograd_target;

typedef struct winograd {
    size_t m, n;
    /* v[position][tile][channels] = B^T d B for a row of `across` tiles; row: n rows of pixels of C numbers, of which
     * the first `channels` are taken. The columns left and right of the image are zero. */
    void (*gather)(drl_real *v, size_t step, const drl_real *const row[], size_t across, size_t C, size_t channels);
    /* y = A^T p A of products p[position][tile][channels] */
    void (*scatter)(const winograd_target *to, const drl_real *p, size_t step, size_t across, size_t channels);
    /* e[position][tile][C] = A dY A^T of m rows of pixels dy, `pitch` apart */
    void (*spread)(drl_real *e, size_t step, const drl_real *dy, size_t pitch, size_t across, size_t C);
    /* u[block][position][in][B] = G g G^T of a kernel w (9, in, out), zeros beyond out */
    void (*kernel)(drl_real *u, size_t step, const drl_real *w, size_t in, size_t out);
    /* dw[t][e] += alpha (G^T du G)[t] for `size` pairs e of channels, du[position][e]; taps t are `tap` apart */
    void (*gradient)(drl_real *dw, size_t tap, const drl_real *du, size_t size, drl_real alpha);
} winograd;

extern const winograd drl_winograd2, drl_winograd4;

#endif
