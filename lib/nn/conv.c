/* Which convolution kernel serves which shape (nn/conv_kernel.h). */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "nn/conv_kernel.h"

bool drl_conv_direct_allowed(void) {
    static atomic_int known; /* 0 not asked yet, 1 no, 2 yes */
    int value = atomic_load(&known);
    if (value == 0) {
        const char *wanted = getenv("DRL_CONV");
        value = wanted && strcmp(wanted, "gemm") == 0 ? 1 : 2;
        atomic_store(&known, value);
    }
    return value == 2;
}

static bool direct(const drl_conv_dims *d) {
    return d->k == 3 && drl_conv_direct_allowed();
}

void drl_conv_forward(drl_real *y, const drl_real *x, const drl_real *w, drl_real alpha, const drl_conv_dims *d,
                      size_t n, drl_arena *scratch) {
    (direct(d) ? drl_conv_direct_forward : drl_conv_gemm_forward)(y, x, w, alpha, d, n, scratch);
}

void drl_conv_backward_data(drl_real *dx, const drl_real *dy, const drl_real *w, drl_real alpha, bool add,
                            const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    bool same = d->stride == 1 && d->ho == d->h && d->wo == d->w;
    (direct(d) && same ? drl_conv_direct_backward_data : drl_conv_gemm_backward_data)(dx, dy, w, alpha, add, d, n,
                                                                                      scratch);
}

void drl_conv_backward_weight(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,
                              const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    (direct(d) ? drl_conv_direct_backward_weight : drl_conv_gemm_backward_weight)(dw, x, dy, alpha, d, n, scratch);
}

size_t drl_conv_scratch(const drl_conv_dims *d) {
    size_t gemm = drl_conv_gemm_scratch(d), fast = d->k == 3 ? drl_conv_direct_scratch(d) : 0;
    return gemm > fast ? gemm : fast;
}
