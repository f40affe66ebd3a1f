/* Which convolution kernel serves which shape (nn/conv_kernel.h). */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/blas.h"
#include "nn/conv_vector.h"

drl_conv_level drl_conv_allowed(void) {
    static atomic_int known; /* level + 1; 0: not asked yet */
    int value = atomic_load(&known);
    if (value == 0) {
        const char *wanted = getenv("DRL_CONV");
        drl_conv_level level = DRL_CONV_WINOGRAD;
        if (wanted && strcmp(wanted, "gemm") == 0) level = DRL_CONV_GEMM;
        if (wanted && strcmp(wanted, "direct") == 0) level = DRL_CONV_DIRECT;
        value = (int)level + 1;
        atomic_store(&known, value);
    }
    return (drl_conv_level)(value - 1);
}

/* The best kernel for the shape that is allowed; the direct data gradient is for stride 1 only. */
static drl_conv_level choose(const drl_conv_dims *d, bool backward_data) {
    drl_conv_level allowed = drl_conv_allowed();
    bool same = d->stride == 1 && d->ho == d->h && d->wo == d->w;
    if (d->k != 3 || (backward_data && !same)) return DRL_CONV_GEMM;
    if (allowed == DRL_CONV_WINOGRAD && !drl_conv_winograd_applies(d)) return DRL_CONV_DIRECT;
    return allowed;
}

void drl_conv_forward(drl_real *y, const drl_real *x, const drl_real *w, drl_real alpha, const drl_conv_dims *d,
                      size_t n, drl_arena *scratch) {
    switch (choose(d, false)) {
    case DRL_CONV_WINOGRAD: drl_conv_winograd_forward(y, x, w, alpha, d, n, scratch); break;
    case DRL_CONV_DIRECT: drl_conv_direct_forward(y, x, w, alpha, d, n, scratch); break;
    default: drl_conv_gemm_forward(y, x, w, alpha, d, n, scratch);
    }
}

void drl_conv_backward_data(drl_real *dx, const drl_real *dy, const drl_real *w, drl_real alpha, bool add,
                            const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    switch (choose(d, true)) {
    case DRL_CONV_WINOGRAD: drl_conv_winograd_backward_data(dx, dy, w, alpha, add, d, n, scratch); break;
    case DRL_CONV_DIRECT: drl_conv_direct_backward_data(dx, dy, w, alpha, add, d, n, scratch); break;
    default: drl_conv_gemm_backward_data(dx, dy, w, alpha, add, d, n, scratch);
    }
}

void drl_conv_backward_weight(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,
                              const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    switch (choose(d, false)) {
    case DRL_CONV_WINOGRAD: drl_conv_winograd_backward_weight(dw, x, dy, alpha, d, n, scratch); break;
    case DRL_CONV_DIRECT: drl_conv_direct_backward_weight(dw, x, dy, alpha, d, n, scratch); break;
    default: drl_conv_gemm_backward_weight(dw, x, dy, alpha, d, n, scratch);
    }
}

size_t drl_conv_scratch(const drl_conv_dims *d) {
    size_t most = drl_conv_gemm_scratch(d);
    if (d->k != 3) return most;
    size_t direct = drl_conv_direct_scratch(d);
    if (direct > most) most = direct;
    if (!drl_conv_winograd_applies(d)) return most;
    size_t winograd = drl_conv_winograd_scratch(d);
    return winograd > most ? winograd : most;
}

drl_status drl_conv_describe(const char **description, drl_err *err) {
    static const char *const names[] = {"gemm", "direct", "winograd"};
    static char text[128];
    const char *wanted = getenv("DRL_CONV"), *used = names[drl_conv_allowed()];
    if (wanted && strcmp(wanted, used) != 0)
        return drl_fail(err, DRL_ERR_CONFIG, "DRL_CONV=%s: want gemm, direct or winograd", wanted);
    snprintf(text, sizeof text, "%s, vectors of %d bytes, OpenBLAS %s", used, VECTOR_BYTES, drl_blas_kernels());
    *description = text;
    return DRL_OK;
}
