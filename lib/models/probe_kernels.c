/* The MLP probe's kernels (models/probe_kernels.h) in the compiler's vector types (GCC and Clang).
 *
 * On a Zen 5 core (AVX-512) they do about nine tenths of the multiply-adds it can. Prefetching moments and the next
 * panel's hidden units from the outer caches was tried and took longer.
 *
 * Both products with the codes hold P x Q vectors of sums in registers: for each step along the sum, Q vectors of the
 * panel and P codes, each of which the multiply-add spreads over all lanes. */
#include "models/probe_kernels.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum { P = DRL_MLP_P, Q = DRL_MLP_Q, J = DRL_MLP_J };

#ifdef DRL_F64
typedef int64_t lane;
#else
typedef int32_t lane;
#endif

void drl_mlp_pack(drl_real *restrict x, const drl_real *restrict codes, const uint32_t *restrict index, size_t n,
                  size_t rows, size_t d, size_t depth) {
    size_t whole = d / P;
    for (size_t i = 0; i < n; i++) {
        const drl_real *from = codes + (index ? index[i] : i) * d;
        drl_real *to = x + i * P;
        for (size_t k = 0; k < whole; k++) memcpy(to + k * rows * P, from + k * P, P * sizeof *x);
        if (whole * P == depth) continue;
        for (size_t k = 0; k < P; k++) to[whole * rows * P + k] = whole * P + k < d ? from[whole * P + k] : 0;
    }
    for (size_t k = 0; k < depth; k += P) memset(x + k * rows + n * P, 0, (rows - n) * P * sizeof *x);
}

/* One tile: P rows of one panel. x points to the first row's first dimensions. */
static void forward_tile(drl_real *restrict h, const drl_real *restrict x, size_t x_step,
                         const drl_real *restrict weights, const uint32_t keep[P], drl_real scale, size_t depth) {
    vec a[P][Q];
    for (int p = 0; p < P; p++)
        for (int q = 0; q < Q; q++) a[p][q] = load(weights + depth * J + q * V);
    for (size_t k = 0; k < depth; k += P, x += x_step)
        for (int r = 0; r < P; r++, weights += J) {
            vec w[Q];
            for (int q = 0; q < Q; q++) w[q] = load(weights + q * V);
            for (int p = 0; p < P; p++)
                for (int q = 0; q < Q; q++) a[p][q] += x[p * P + r] * w[q];
        }
    for (int q = 0; q < Q; q++) {
        mask bit;
        for (int l = 0; l < V; l++) bit[l] = (lane)(uint32_t)(1u << (q * V + l));
        for (int p = 0; p < P; p++) {
            vec s = a[p][q] * scale;
            mask kept = (bit & (lane)keep[p]) != 0, active = s > 0;
            store(h + p * J + q * V, (vec)((mask)s & kept & active));
        }
    }
}

void drl_mlp_forward_panel(drl_real *restrict h, const drl_real *restrict x, const drl_real *restrict weights,
                           const uint32_t *restrict keep, drl_real scale, size_t rows, size_t depth) {
    assert(rows % P == 0 && depth % P == 0);
    uint32_t all[P];
    memset(all, 0xff, sizeof all);
    for (size_t i = 0; i < rows; i += P)
        forward_tile(h + i * J, x + i * P, rows * P, weights, keep ? keep + i : all, scale, depth);
}

/* Lanes 0 .. V/2 - 1: sums of the pairs of neighbouring lanes of a; the others: those of b. */
static inline vec add_pairs(vec a, vec b) {
#if defined(__clang__)
    vec sums;
    for (int l = 0; l < V / 2; l++) sums[l] = a[2 * l] + a[2 * l + 1], sums[V / 2 + l] = b[2 * l] + b[2 * l + 1];
    return sums;
#else
    mask even, odd;
    for (int l = 0; l < V; l++) even[l] = 2 * l, odd[l] = 2 * l + 1;
    return __builtin_shuffle(a, b, even) + __builtin_shuffle(a, b, odd);
#endif
}

/* Lane r of the result is the sum of the lanes of a[r]. */
static inline vec add_lanes(const vec a[V]) {
    vec t[V];
    memcpy(t, a, sizeof t);
#pragma GCC unroll 4
    for (int n = V / 2; n > 0; n /= 2)
#pragma GCC unroll 8
        for (int r = 0; r < n; r++) t[r] = add_pairs(t[2 * r], t[2 * r + 1]);
    return t[0];
}

/* Two classes of P rows. */
static void logits_tile(drl_real *restrict l, size_t pitch, const drl_real *restrict h, size_t h_step,
                        const drl_real *restrict w2, size_t w2_step, const drl_real *restrict b2, size_t panels) {
    vec a[2 * P] = {{0}};
    drl_real sums[2 * P];
    for (size_t panel = 0; panel < panels; panel++, h += h_step, w2 += w2_step)
        for (int q = 0; q < Q; q++) {
            vec first = load(w2 + q * V), second = load(w2 + J + q * V);
            for (int p = 0; p < P; p++) {
                vec unit = load(h + p * J + q * V);
                a[p] += unit * first;
                a[P + p] += unit * second;
            }
        }
    for (int r = 0; r < 2 * P; r += V) store(sums + r, add_lanes(a + r));
    for (int p = 0; p < P; p++) l[p] = b2[0] + sums[p];
    for (int p = 0; p < P; p++) l[pitch + (size_t)p] = b2[1] + sums[P + p];
}

void drl_mlp_logits(drl_real *restrict l, size_t pitch, const drl_real *restrict h, size_t h_step,
                    const drl_real *restrict w2, size_t w2_step, const drl_real *restrict b2, size_t panels,
                    size_t rows, size_t outputs) {
    assert(rows % P == 0 && outputs % 2 == 0);
    for (size_t i = 0; i < rows; i += P)
        for (size_t c = 0; c < outputs; c += 2)
            logits_tile(l + c * pitch + i, pitch, h + i * J, h_step, w2 + c * J, w2_step, b2 + c, panels);
}

/* dW2 of `classes` classes and one vector of hidden units, and their part of dh: the first classes start dh, the last
 * finish it and leave its sum over rows in db. */
#define BACKWARD_CLASSES(name, classes)                                                                                \
    static void name(drl_real *restrict dw, drl_real *restrict db, drl_real *restrict dh, const drl_real *restrict h,  \
                     const drl_real *restrict w2, const drl_real *restrict dl, drl_real scale, size_t rows,            \
                     size_t outputs, bool first, bool last) {                                                          \
        vec w[classes], sum[classes], bias = {0};                                                                      \
        for (int c = 0; c < (classes); c++) w[c] = load(w2 + c * J) * scale, sum[c] = (vec){0};                        \
        for (size_t i = 0; i < rows; i++, h += J, dh += J, dl += outputs) {                                            \
            vec unit = load(h), a = first ? (vec){0} : load(dh), b = {0};                                              \
            for (int c = 0; c < (classes); c += 2) {                                                                   \
                a += dl[c] * w[c], b += dl[c + 1] * w[c + 1];                                                          \
                sum[c] += dl[c] * unit, sum[c + 1] += dl[c + 1] * unit;                                                \
            }                                                                                                          \
            a += b;                                                                                                    \
            if (last) {                                                                                                \
                a = keep_where(unit > 0, a);                                                                           \
                bias += a;                                                                                             \
            }                                                                                                          \
            store(dh, a);                                                                                              \
        }                                                                                                              \
        for (int c = 0; c < (classes); c++) store(dw + c * J, sum[c]);                                                 \
        if (last) store(db, bias);                                                                                     \
    }
BACKWARD_CLASSES(backward_2, 2)
#if VECTOR_BYTES == 64
enum { MANY = 10 }; /* as many as the registers hold */
BACKWARD_CLASSES(backward_many, 10)
#else
enum { MANY = 4 };
BACKWARD_CLASSES(backward_many, 4)
#endif

/* dW1 of P dimensions: rows of the gradient from `dw` on. */
static void weight_tile(drl_real *restrict dw, const drl_real *restrict dh, const drl_real *restrict x, size_t rows) {
    vec a[P][Q] = {{{0}}};
    for (size_t i = 0; i < rows; i++, x += P, dh += J) {
        vec g[Q];
        for (int q = 0; q < Q; q++) g[q] = load(dh + q * V);
        for (int p = 0; p < P; p++)
            for (int q = 0; q < Q; q++) a[p][q] += x[p] * g[q];
    }
    for (int p = 0; p < P; p++)
        for (int q = 0; q < Q; q++) store(dw + p * J + q * V, a[p][q]);
}

void drl_mlp_backward_panel(drl_real *restrict g, drl_real *restrict dh, const drl_real *restrict h,
                            const drl_real *restrict x, const drl_real *restrict weights, const drl_real *restrict dl,
                            drl_real scale, size_t rows, size_t depth, size_t outputs) {
    assert(depth % P == 0 && outputs % 2 == 0 && outputs > 0);
    drl_real *db = g + depth * J, *dw2 = db + J;
    const drl_real *w2 = weights + (depth + 1) * J;
    for (size_t q = 0; q < J; q += V)
        for (size_t c = 0; c < outputs;) {
            size_t classes = outputs - c >= MANY ? MANY : 2;
            (classes == 2 ? backward_2 : backward_many)(dw2 + c * J + q, db + q, dh + q, h + q, w2 + c * J + q, dl + c,
                                                        scale, rows, outputs, c == 0, c + classes == outputs);
            c += classes;
        }
    for (size_t k = 0; k < depth; k += P) weight_tile(g + k * J, dh, x + k * rows, rows);
}

/* The J bits of one panel: units first .. first + J - 1, whose 16 bits lie `shift` up in the words from `words` on. */
static inline uint32_t keep_bits(const uint32_t *words, int shift, uint32_t below) {
    uint32_t bits = 0;
    for (int j = 0; j < J; j++) bits |= (uint32_t)((words[j] >> shift & 0xffffu) >= below) << j;
    return bits;
}

void drl_mlp_keep_row(uint32_t *restrict keep, size_t rows, const uint32_t *restrict words, uint32_t below,
                      size_t hidden, size_t panels) {
    size_t half = (hidden + 1) / 2, whole = half / J;
    if (half % J != 0 || hidden % 2 != 0) {
        drl_mlp_keep_row_ref(keep, rows, words, below, hidden, panels);
        return;
    }
    for (size_t p = 0; p < whole; p++) {
        keep[p * rows] = keep_bits(words + p * J, 0, below);
        keep[(whole + p) * rows] = keep_bits(words + p * J, 16, below);
    }
}
