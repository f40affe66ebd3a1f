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

/* Three implementations of three passes:
 *   forward          y += alpha conv(x, w); y (n, ho, wo, cout) holds bias, residual and the like already
 *   backward_data    dx = (or += where add) alpha conv^T(dy, w)
 *   backward_weight  dw += alpha x (*) dy
 * scratch: bytes of arena any of the three may take. */
#define DRL_CONV_KERNEL(prefix)                                                                                        \
    void prefix##_forward(drl_real *y, const drl_real *x, const drl_real *w, drl_real alpha, const drl_conv_dims *d,   \
                          size_t n, drl_arena *scratch);                                                               \
    void prefix##_backward_data(drl_real *dx, const drl_real *dy, const drl_real *w, drl_real alpha, bool add,         \
                                const drl_conv_dims *d, size_t n, drl_arena *scratch);                                 \
    void prefix##_backward_weight(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,                 \
                                  const drl_conv_dims *d, size_t n, drl_arena *scratch);                               \
    size_t prefix##_scratch(const drl_conv_dims *d);

DRL_CONV_KERNEL(drl_conv)          /* the fastest that applies: what the op calls                      */
DRL_CONV_KERNEL(drl_conv_gemm)     /* any shape: unrolled images times weights, by OpenBLAS            */
DRL_CONV_KERNEL(drl_conv_direct)   /* 3x3 kernels (data gradient: stride 1 only): vector code          */
DRL_CONV_KERNEL(drl_conv_winograd) /* 3x3 at stride 1 where drl_conv_winograd_applies: fewer products  */
bool drl_conv_winograd_applies(const drl_conv_dims *d);

/* The most elaborate kernels drl_conv may use: Winograd's, unless the environment says DRL_CONV=gemm or DRL_CONV=direct
 * (read once). Part of what determines a result's bits. */
typedef enum drl_conv_level { DRL_CONV_GEMM, DRL_CONV_DIRECT, DRL_CONV_WINOGRAD } drl_conv_level;
drl_conv_level drl_conv_allowed(void);

/* *description = what the bits of a result depend on besides its inputs: kernels, vector width, BLAS kernels. Static
 * text. ERR_CONFIG where DRL_CONV is set to something else than gemm, direct or winograd. */
drl_status drl_conv_describe(const char **description, drl_err *err);

/* The plain loops the fast ones are tested against. */
void drl_conv_forward_ref(drl_real *y, const drl_real *x, const drl_real *w, drl_real alpha, const drl_conv_dims *d,
                          size_t n);
void drl_conv_backward_data_ref(drl_real *dx, const drl_real *dy, const drl_real *w, drl_real alpha, bool add,
                                const drl_conv_dims *d, size_t n);
void drl_conv_backward_weight_ref(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,
                                  const drl_conv_dims *d, size_t n);

#endif
