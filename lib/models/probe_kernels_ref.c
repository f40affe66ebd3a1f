/* The MLP probe's kernels as plain loops (models/probe_kernels.h), for the tests. */
#include "models/probe_kernels.h"

enum { P = DRL_MLP_P, J = DRL_MLP_J };

/* Dimension k of row i in packed codes. */
static size_t packed(size_t i, size_t k, size_t rows) {
    return (k / P * rows + i) * P + k % P;
}

void drl_mlp_pack_ref(drl_real *restrict x, const drl_real *restrict codes, const uint32_t *restrict index, size_t n,
                      size_t rows, size_t d, size_t depth) {
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < depth; k++)
            x[packed(i, k, rows)] = i < n && k < d ? codes[(index ? index[i] : i) * d + k] : 0;
}

void drl_mlp_forward_panel_ref(drl_real *restrict h, const drl_real *restrict x, const drl_real *restrict weights,
                               const uint32_t *restrict keep, drl_real scale, size_t rows, size_t depth) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < J; j++) {
            drl_real a = weights[depth * J + j];
            for (size_t k = 0; k < depth; k++) a += x[packed(i, k, rows)] * weights[k * J + j];
            h[i * J + j] = a > 0 && (!keep || (keep[i] >> j & 1)) ? a * scale : 0;
        }
}

void drl_mlp_logits_ref(drl_real *restrict l, size_t pitch, const drl_real *restrict h, size_t h_step,
                        const drl_real *restrict w2, size_t w2_step, const drl_real *restrict b2, size_t panels,
                        size_t rows, size_t outputs) {
    for (size_t c = 0; c < outputs; c++)
        for (size_t i = 0; i < rows; i++) {
            drl_real a = b2[c];
            for (size_t p = 0; p < panels; p++)
                for (size_t j = 0; j < J; j++) a += h[p * h_step + i * J + j] * w2[p * w2_step + c * J + j];
            l[c * pitch + i] = a;
        }
}

void drl_mlp_backward_panel_ref(drl_real *restrict g, drl_real *restrict dh, const drl_real *restrict h,
                                const drl_real *restrict x, const drl_real *restrict weights,
                                const drl_real *restrict dl, drl_real scale, size_t rows, size_t depth,
                                size_t outputs) {
    const drl_real *w2 = weights + (depth + 1) * J;
    for (size_t k = 0; k < (depth + 1 + outputs) * J; k++) g[k] = 0;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < J; j++) {
            drl_real unit = h[i * J + j], a = 0;
            for (size_t c = 0; c < outputs; c++) {
                a += dl[i * outputs + c] * w2[c * J + j];
                g[(depth + 1 + c) * J + j] += dl[i * outputs + c] * unit;
            }
            a = unit > 0 ? a * scale : 0;
            dh[i * J + j] = a;
            g[depth * J + j] += a;
            for (size_t k = 0; k < depth; k++) g[k * J + j] += a * x[packed(i, k, rows)];
        }
}

void drl_mlp_keep_row_ref(uint32_t *restrict keep, size_t rows, const uint32_t *restrict words, uint32_t below,
                          size_t hidden, size_t panels) {
    size_t half = (hidden + 1) / 2;
    for (size_t p = 0; p < panels; p++) {
        uint32_t bits = 0;
        for (size_t j = p * J; j < (p + 1) * J && j < hidden; j++) {
            uint32_t sixteen = j < half ? words[j] & 0xffffu : words[j - half] >> 16;
            bits |= (uint32_t)(sixteen >= below) << (j - p * J);
        }
        keep[p * rows] = bits;
    }
}
