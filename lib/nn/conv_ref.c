/* Convolution by its definition: six plain loops, the reference of the fast kernels. */
#include <stdbool.h>
#include <string.h>

#include "nn/conv_kernel.h"

/* Calls `body` for every (output element, input element) pair that a tap joins, with yi, xi, wi the three offsets. */
#define FOR_EACH_TAP(body)                                                                                             \
    for (size_t b = 0; b < n; b++)                                                                                     \
        for (size_t oy = 0; oy < d->ho; oy++)                                                                          \
            for (size_t ox = 0; ox < d->wo; ox++)                                                                      \
                for (size_t ky = 0; ky < d->k; ky++)                                                                   \
                    for (size_t kx = 0; kx < d->k; kx++) {                                                             \
                        size_t iy = oy * d->stride + ky - d->pad, ix = ox * d->stride + kx - d->pad;                   \
                        if (iy >= d->h || ix >= d->w) continue; /* zero padding; "negative" wraps around */            \
                        for (size_t i = 0; i < d->cin; i++)                                                            \
                            for (size_t o = 0; o < d->cout; o++) {                                                     \
                                size_t yi = ((b * d->ho + oy) * d->wo + ox) * d->cout + o;                             \
                                size_t xi = ((b * d->h + iy) * d->w + ix) * d->cin + i;                                \
                                size_t wi = ((ky * d->k + kx) * d->cin + i) * d->cout + o;                             \
                                body;                                                                                  \
                            }                                                                                          \
                    }

void drl_conv_forward_ref(drl_real *y, const drl_real *x, const drl_real *w, drl_real alpha, const drl_conv_sum *sum,
                          const drl_conv_dims *d, size_t n) {
    size_t size = d->ho * d->wo * d->cout;
    for (size_t e = 0; e < n * size; e++)
        y[e] = sum->start[e / size * sum->start_step + e % d->cout] + (sum->residual ? alpha * sum->residual[e] : 0);
    FOR_EACH_TAP(y[yi] += alpha * w[wi] * x[xi])
    for (size_t e = 0; sum->rectified && e < n * size; e++) y[e] = y[e] < 0 ? 0 : y[e];
}

void drl_conv_backward_data_ref(drl_real *dx, const drl_real *dy, const drl_real *w, drl_real alpha, bool add,
                                const drl_conv_dims *d, size_t n) {
    if (!add) memset(dx, 0, n * d->h * d->w * d->cin * sizeof *dx);
    FOR_EACH_TAP(dx[xi] += alpha * w[wi] * dy[yi])
}

void drl_conv_backward_weight_ref(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,
                                  const drl_conv_dims *d, size_t n) {
    FOR_EACH_TAP(dw[wi] += alpha * x[xi] * dy[yi])
}
