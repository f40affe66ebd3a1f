/* Register tiles and the last touch of a result, which the vector kernels of convolution share. */
#ifndef DRL_NN_CONV_VECTOR_H
#define DRL_NN_CONV_VECTOR_H

#include "nn/conv_kernel.h"
#include "nn/vector.h"

enum { P = VECTOR_BYTES == 64 ? 8 : 6 }; /* pixels of a tile */
enum { Q = 2, B = V * Q };               /* vectors and channels of a block */

static inline size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t blocks_of(size_t channels) {
    return (channels + B - 1) / B;
}

/* A block of at most V channels is computed with one vector instead of Q. */
static inline size_t vectors_of(size_t channels, size_t block) {
    return channels - block * B <= V ? 1 : Q;
}

/* What becomes of a finished sum `a` at y: y = alpha a, y += alpha a, y = start + alpha a, y = start + alpha (a + r),
 * y = max(start + alpha a, 0). */
typedef enum ending { WRITE, ADD, START, RESIDUAL, RECTIFIED } ending;

/* Of a convolution's forward pass. */
static inline ending ending_of(const drl_conv_sum *sum) {
    return sum->rectified ? RECTIFIED : sum->residual ? RESIDUAL : START;
}

static inline void finish(drl_real *y, vec a, ending how, drl_real alpha, const drl_real *start, const drl_real *r) {
    switch (how) {
    case WRITE: store(y, alpha * a); break;
    case ADD: store(y, load(y) + alpha * a); break;
    case START: store(y, load(start) + alpha * a); break;
    case RECTIFIED: store(y, rectified(load(start) + alpha * a)); break;
    default: store(y, load(start) + alpha * (a + load(r)));
    }
}

/* Calls f(..., how) with a constant last argument in each case, for the compiler to make a loop of each. */
#define DRL_FOR_EACH_ENDING(how, f, ...)                                                                               \
    do {                                                                                                               \
        switch (how) {                                                                                                 \
        case WRITE: f(__VA_ARGS__, WRITE); break;                                                                      \
        case ADD: f(__VA_ARGS__, ADD); break;                                                                          \
        case START: f(__VA_ARGS__, START); break;                                                                      \
        case RECTIFIED: f(__VA_ARGS__, RECTIFIED); break;                                                              \
        default: f(__VA_ARGS__, RESIDUAL);                                                                             \
        }                                                                                                              \
    } while (0)

/* y[p][q] = finished sum over `rows` rows and a run of  x[p][row, r] * w[row, r, q]  for P pixels and `vectors`
 * vectors; `start` is of the block, r[p] as y[p]. */
#define DRL_TILE(name, vectors)                                                                                        \
    static void name(drl_real *const y[P], const drl_real *const x[P], const drl_real *w, size_t rows, size_t run,     \
                     size_t row, ending how, drl_real alpha, const drl_real *start, const drl_real *const r[P]) {      \
        vec a[P][vectors] = {{{0}}};                                                                                   \
        for (size_t ky = 0; ky < rows; ky++)                                                                           \
            for (size_t i = 0; i < run; i++, w += B) {                                                                 \
                vec k[vectors];                                                                                        \
                for (int q = 0; q < vectors; q++) k[q] = load(w + q * V);                                              \
                for (int p = 0; p < P; p++) {                                                                          \
                    drl_real value = x[p][ky * row + i];                                                               \
                    for (int q = 0; q < vectors; q++) a[p][q] += value * k[q];                                         \
                }                                                                                                      \
            }                                                                                                          \
        for (int p = 0; p < P; p++)                                                                                    \
            for (int q = 0; q < vectors; q++) finish(y[p] + q * V, a[p][q], how, alpha, start + q * V, r[p] + q * V);  \
    }

/* sum[r][.] (`depth` rows, `pitch` apart) += over `rows` rows of `pixels` pixels: x[row, p, r] * dy[row, p, .] */
#define DRL_WEIGHT_TILE(name, depth, vectors)                                                                          \
    static void name(drl_real *sum, size_t pitch, const drl_real *x, const drl_real *dy, size_t rows, size_t pixels,   \
                     size_t x_row, size_t x_step, size_t dy_step) {                                                    \
        vec a[depth][vectors];                                                                                         \
        for (int r = 0; r < depth; r++)                                                                                \
            for (int q = 0; q < vectors; q++) a[r][q] = load(sum + (size_t)r * pitch + q * V);                         \
        for (size_t y = 0; y < rows; y++, x += x_row) {                                                                \
            const drl_real *xp = x;                                                                                    \
            for (size_t p = 0; p < pixels; p++, xp += x_step, dy += dy_step) {                                         \
                vec g[vectors];                                                                                        \
                for (int q = 0; q < vectors; q++) g[q] = load(dy + q * V);                                             \
                for (int r = 0; r < depth; r++)                                                                        \
                    for (int q = 0; q < vectors; q++) a[r][q] += xp[r] * g[q];                                         \
            }                                                                                                          \
        }                                                                                                              \
        for (int r = 0; r < depth; r++)                                                                                \
            for (int q = 0; q < vectors; q++) store(sum + (size_t)r * pitch + q * V, a[r][q]);                         \
    }

#endif
