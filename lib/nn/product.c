/* Products of runs with packed matrices (nn/product.h). */
#include "nn/product.h"

#include <assert.h>

DRL_TILE(tile_full, Q)
DRL_TILE(tile_narrow, 1)
DRL_WEIGHT_TILE(outer_full, DRL_DEPTH, Q)
DRL_WEIGHT_TILE(outer_narrow, DRL_DEPTH, 1)

void drl_pack(drl_real *restrict packed, const drl_real *restrict w, size_t K, size_t n, size_t ld) {
    for (size_t b = 0; b < n; b += B) {
        size_t width = min_size(B, n - b);
        for (size_t k = 0; k < K; k++, packed += B) {
            memcpy(packed, w + k * ld + b, width * sizeof *packed);
            memset(packed + width, 0, (B - width) * sizeof *packed);
        }
    }
}

/* Eight rows of the result at a time, so that cache lines are read and written whole. */
void drl_pack_transposed(drl_real *restrict packed, const drl_real *restrict w, size_t K, size_t n, size_t ld) {
    for (size_t b = 0; b < n; b += B, packed += K * B) {
        size_t width = min_size(B, n - b);
        for (size_t k0 = 0; k0 < K; k0 += 8) {
            size_t rows = min_size(8, K - k0);
            for (size_t o = 0; o < width; o++)
                for (size_t k = 0; k < rows; k++) packed[(k0 + k) * B + o] = w[(b + o) * ld + k0 + k];
            for (size_t k = 0; k < rows; k++) memset(packed + (k0 + k) * B + width, 0, (B - width) * sizeof *packed);
        }
    }
}

/* The pixels of a register tile; missing ones repeat the last. */
typedef struct cursor {
    const drl_real *in[P]; /* of x                        */
    size_t at[P];          /* of the result and residual */
} cursor;

/* Moves on to the tile that starts at pixel `first`. */
static void advance(cursor *c, size_t first, size_t pixels, size_t w, drl_grid to, const drl_real *x, drl_grid from,
                    bool flat) {
    if (flat && first > 0 && first + P <= pixels) {
        for (size_t p = 0; p < P; p++) c->in[p] += P * from.step, c->at[p] += P * to.step;
        return;
    }
    size_t i = first / w, j = first % w;
    for (size_t p = 0; p < P; p++) {
        c->in[p] = x + i * from.row + j * from.step;
        c->at[p] = i * to.row + j * to.step;
        if (first + p + 1 < pixels && ++j == w) j = 0, i++;
    }
}

/* Channels that are no whole vectors, one by one. */
static void finish_channels(const drl_result *res, size_t at, size_t first, const drl_real *sums, size_t channels) {
    for (size_t c = 0; c < channels; c++) {
        drl_real *y = res->y + at + c, a = sums[c];
        if (res->how == RESIDUAL) a += res->residual[at + c];
        *y = res->alpha * a + (res->how == WRITE ? 0 : res->how == ADD ? *y : res->start[first + c]);
        if (res->how == RECTIFIED && *y < 0) *y = 0;
    }
}

void drl_product(const drl_result *res, drl_grid to, const drl_real *x, drl_grid from, size_t h, size_t w,
                 const drl_runs *t, const drl_real *packed, size_t n) {
    drl_real sums[P][B], sink[B] = {0};
    const size_t pixels = h * w;
    const bool flat = h == 1 || (from.row == w * from.step && to.row == w * to.step);
    for (size_t b = 0; b < n; b += B, packed += t->rows * t->run * B) {
        size_t channels = min_size(B, n - b), vectors = channels <= V ? 1 : Q;
        bool whole = channels == vectors * V;
        ending how = whole ? res->how : WRITE;
        const drl_real *start = how >= START ? res->start + b : sink;
        cursor c;
        for (size_t first = 0; first < pixels; first += P) {
            size_t count = min_size(P, pixels - first);
            drl_real *out[P];
            const drl_real *residual[P];
            advance(&c, first, pixels, w, to, x, from, flat);
            for (size_t p = 0; p < P; p++) {
                out[p] = !whole ? sums[p] : p < count ? res->y + c.at[p] + b : sink;
                residual[p] = how == RESIDUAL ? res->residual + c.at[p] + b : sink;
            }
            (vectors == 1 ? tile_narrow : tile_full)(out, c.in, packed, t->rows, t->run, t->pitch, how,
                                                     whole ? res->alpha : 1, start, residual);
            for (size_t p = 0; !whole && p < count; p++) finish_channels(res, c.at[p] + b, b, sums[p], channels);
        }
    }
}

void drl_matrix_product(drl_real *y, size_t ldy, drl_real alpha, bool add, const drl_real *x, size_t ldx, size_t m,
                        size_t K, const drl_real *packed, size_t n) {
    const drl_result res = {y, alpha, add ? ADD : WRITE, NULL, NULL};
    const drl_runs t = {1, K, 0};
    drl_product(&res, (drl_grid){m * ldy, ldy}, x, (drl_grid){m * ldx, ldx}, 1, m, &t, packed, n);
}

void drl_outer_product(drl_real *y, size_t ldy, const drl_real *x, size_t ldx, const drl_real *e, size_t lde, size_t k,
                       size_t m, size_t n) {
    assert(m % DRL_DEPTH == 0 && n % V == 0);
    for (size_t b = 0; b < n; b += B)
        for (size_t i = 0; i < m; i += DRL_DEPTH)
            (n - b < B ? outer_narrow : outer_full)(y + i * ldy + b, ldy, x + i, e + b, 1, k, 0, ldx, lde);
}
