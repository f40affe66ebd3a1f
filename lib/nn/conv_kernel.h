/* Convolution kernels behind one interface: n images of one shard, on one thread. Tensors NHWC, weights (ky, kx, in,
 * out). Zero padding: `pad` rows and columns on top and left; what lies beyond the image at the bottom and right is
 * zero too, as far as the output reaches. */
#ifndef DRL_NN_CONV_KERNEL_H
#define DRL_NN_CONV_KERNEL_H

#include <stdbool.h>

#include "drl/mem.h"
#include "drl/real.h"

typedef struct drl_conv_dims {
    size_t h, w, cin, ho, wo, cout, k, stride, pad;
} drl_conv_dims;

/* What a convolution is added to:  y[n,p,o] = start[n * start_step + o] + alpha ( residual[n,p,o] + conv[n,p,o] ).
 * start_step is 0 where all images share the start; residual: NULL for none. Rectified, without a residual: what is
 * negative becomes 0. */
typedef struct drl_conv_sum {
    const drl_real *start, *residual;
    size_t start_step;
    bool rectified;
} drl_conv_sum;

/* A family of kernels, the three passes of a convolution on n images:
 *   forward          y as above, y (n, ho, wo, cout)
 *   backward_data    dx = (or += where add) alpha conv^T(dy, w)
 *   backward_weight  dw += alpha x (*) dy
 * The first two take the weights as `prepare` has laid them out for their direction, once for all shards: `prepared`
 * numbers (enough for either direction), or, where that is 0, the weights themselves.
 * scratch: bytes of arena that any of the functions may take. applies: whether the family serves this shape. */
typedef struct drl_conv_family {
    const char *name;
    size_t (*prepared)(const drl_conv_dims *d);
    void (*prepare)(drl_real *k, const drl_real *w, bool backward, const drl_conv_dims *d, drl_arena *scratch);
    void (*forward)(drl_real *y, const drl_real *x, const drl_real *k, drl_real alpha, const drl_conv_sum *sum,
                    const drl_conv_dims *d, size_t n, drl_arena *scratch);
    void (*backward_data)(drl_real *dx, const drl_real *dy, const drl_real *k, drl_real alpha, bool add,
                          const drl_conv_dims *d, size_t n, drl_arena *scratch);
    void (*backward_weight)(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha, const drl_conv_dims *d,
                            size_t n, drl_arena *scratch);
    size_t (*scratch)(const drl_conv_dims *d);
    bool (*applies)(const drl_conv_dims *d);
} drl_conv_family;

extern const drl_conv_family drl_conv_gemm;      /* any shape: unrolled images times weights, by OpenBLAS           */
extern const drl_conv_family drl_conv_direct;    /* any shape of stride 1 or 2: vector code                         */
extern const drl_conv_family drl_conv_winograd2; /* 3x3 at stride 1, sides multiples of 2, whole vectors of channels */
extern const drl_conv_family drl_conv_winograd4; /* the same with multiples of 4                                    */

/* The families from the plainest to the most elaborate, NULL at the end. */
extern const drl_conv_family *const drl_conv_families[];

/* The fastest family for a shape, none more elaborate than the environment's DRL_CONV names (read once; default: all).
 * Part of what determines a result's bits. */
const drl_conv_family *drl_conv_choose(const drl_conv_dims *d);

/* *description = what the bits of a result depend on besides its inputs: kernels, vector width, BLAS kernels. Static
 * text. ERR_CONFIG where DRL_CONV is set to something else than the name of a family. */
drl_status drl_conv_describe(const char **description, drl_err *err);

/* The plain loops the fast ones are tested against. */
void drl_conv_forward_ref(drl_real *y, const drl_real *x, const drl_real *w, drl_real alpha, const drl_conv_sum *sum,
                          const drl_conv_dims *d, size_t n);
void drl_conv_backward_data_ref(drl_real *dx, const drl_real *dy, const drl_real *w, drl_real alpha, bool add,
                                const drl_conv_dims *d, size_t n);
void drl_conv_backward_weight_ref(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,
                                  const drl_conv_dims *d, size_t n);

#endif
