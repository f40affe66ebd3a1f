/* Convolution kernels behind one interface: n images of one shard, on one thread. Tensors NHWC, weights (ky, kx, in,
 * out). Zero padding: `pad` rows and columns on top and left; what lies beyond the image at the bottom and right is zero
 * too, as far as the output reaches. */
#ifndef DRL_NN_CONV_KERNEL_H
#define DRL_NN_CONV_KERNEL_H

#include "drl/mem.h"
#include "drl/real.h"

typedef struct drl_conv_dims {
    size_t h, w, cin, ho, wo, cout, k, stride, pad;
} drl_conv_dims;

/* y += alpha * conv(x, w): y (n, ho, wo, cout) holds bias, residual and the like already. */
void drl_conv_forward(drl_real *y, const drl_real *x, const drl_real *w, drl_real alpha, const drl_conv_dims *d,
                      size_t n, drl_arena *scratch);
/* dx = (or += where add) alpha * conv^T(dy, w). */
void drl_conv_backward_data(drl_real *dx, const drl_real *dy, const drl_real *w, drl_real alpha, bool add,
                            const drl_conv_dims *d, size_t n, drl_arena *scratch);
/* dw += alpha * x (*) dy. */
void drl_conv_backward_weight(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,
                              const drl_conv_dims *d, size_t n, drl_arena *scratch);
/* Bytes of scratch the three may take. */
size_t drl_conv_scratch(const drl_conv_dims *d);

/* The plain loops the fast ones are tested against. */
void drl_conv_forward_ref(drl_real *y, const drl_real *x, const drl_real *w, drl_real alpha, const drl_conv_dims *d,
                          size_t n);
void drl_conv_backward_data_ref(drl_real *dx, const drl_real *dy, const drl_real *w, drl_real alpha, bool add,
                                const drl_conv_dims *d, size_t n);
void drl_conv_backward_weight_ref(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,
                                  const drl_conv_dims *d, size_t n);

#endif
