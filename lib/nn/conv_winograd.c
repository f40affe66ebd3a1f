/* 3x3 convolution at stride 1 by Winograd's minimal filtering F(2x2, 3x3): 16 products where the definition takes 36.
 *
 * An output tile of 2x2 pixels depends on 4x4 inputs d. With
 *   B^T = | 1  0 -1  0 |    G = |  1    0    0  |    A^T = | 1  1  1  0 |
 *         | 0  1  1  0 |        | 1/2  1/2  1/2 |          | 0  1 -1 -1 |
 *         | 0 -1  1  0 |        | 1/2 -1/2  1/2 |
 *         | 0  1  0 -1 |        |  0    0    1  |
 * the tile is  Y = A^T [ sum over channels (G g G^T) .* (B^T d B) ] A,  g the 3x3 kernel (Lavin and Gray 2016). The sum
 * over channels is, for each of the 16 positions, a product of (tiles x cin) and (cin x cout) matrices. The data
 * gradient is the same with the kernel turned and transposed; the weight gradient is
 *   dg = G^T [ sum over tiles (B^T d B) .* (A dY A^T) ] G.
 *
 * Tiles are worked on in blocks that stay in the second-level cache. Needs even sides and whole vectors of channels. */
#include "nn/conv_vector.h"

enum { TILES = 96 }; /* of a block: a multiple of P for every width of vectors */
enum { POSITIONS = 16 };
enum { DEPTH = 8 }; /* input channels of a weight tile */

_Static_assert(TILES % P == 0, "blocks are cut into whole register tiles");

DRL_TILE(tile_full, Q)
DRL_TILE(tile_narrow, 1)
DRL_WEIGHT_TILE(weight_full, DEPTH, Q)
DRL_WEIGHT_TILE(weight_narrow, DEPTH, 1)

bool drl_conv_winograd_applies(const drl_conv_dims *d) {
    bool same = d->k == 3 && d->stride == 1 && d->pad == 1 && d->ho == d->h && d->wo == d->w;
    return same && d->h % 2 == 0 && d->w % 2 == 0 && d->cin % V == 0 && d->cout % V == 0 && d->cin % DEPTH == 0 &&
           d->cout % 8 == 0;
}

/* Tiles are counted through all images: tile t is at (row, column) of image `image`. */
typedef struct place {
    size_t image, row, column; /* of the tile's first output pixel */
} place;

static place place_of(size_t t, size_t h, size_t w) {
    size_t across = w / 2, each = h / 2 * across;
    return (place){t / each, t % each / across * 2, t % across * 2};
}

/* ---- Transforms -------------------------------------------------------------------------------------------------- */

/* B^T d B for one vector of channels, in place. */
static inline void transform_input(vec d[4][4]) {
    for (int j = 0; j < 4; j++) {
        vec r0 = d[0][j] - d[2][j], r1 = d[1][j] + d[2][j], r2 = d[2][j] - d[1][j], r3 = d[1][j] - d[3][j];
        d[0][j] = r0, d[1][j] = r1, d[2][j] = r2, d[3][j] = r3;
    }
    for (int i = 0; i < 4; i++) {
        vec c0 = d[i][0] - d[i][2], c1 = d[i][1] + d[i][2], c2 = d[i][2] - d[i][1], c3 = d[i][1] - d[i][3];
        d[i][0] = c0, d[i][1] = c1, d[i][2] = c2, d[i][3] = c3;
    }
}

/* v[position][tile][C] of tiles first .. first + n - 1 of the images x (h, w, C). `zeros`: C zeros. */
static void gather(drl_real *v, const drl_real *x, size_t h, size_t w, size_t C, size_t first, size_t n,
                   const drl_real *zeros) {
    for (size_t t = 0; t < n; t++) {
        place at = place_of(first + t, h, w);
        const drl_real *image = x + at.image * h * w * C, *pixel[4][4];
        for (size_t i = 0; i < 4; i++)
            for (size_t j = 0; j < 4; j++) {
                size_t y = at.row + i - 1, z = at.column + j - 1; /* wraps below zero, which is then too large */
                pixel[i][j] = y < h && z < w ? image + (y * w + z) * C : zeros;
            }
        for (size_t c = 0; c < C; c += V) {
            vec d[4][4];
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 4; j++) d[i][j] = load(pixel[i][j] + c);
            transform_input(d);
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 4; j++) store(v + ((size_t)(4 * i + j) * TILES + t) * C + c, d[i][j]);
        }
    }
}

/* y = (or +=) alpha A^T m A for n tiles; m[position][tile][C] */
static void scatter(drl_real *y, const drl_real *m, size_t h, size_t w, size_t C, size_t first, size_t n,
                    drl_real alpha, bool add) {
    for (size_t t = 0; t < n; t++) {
        place at = place_of(first + t, h, w);
        drl_real *out = y + ((at.image * h + at.row) * w + at.column) * C;
        for (size_t c = 0; c < C; c += V) {
            vec a[2][4];
            for (int j = 0; j < 4; j++) {
                const drl_real *column = m + ((size_t)j * TILES + t) * C + c;
                const size_t row = 4 * (size_t)TILES * C;
                vec m0 = load(column), m1 = load(column + row), m2 = load(column + 2 * row);
                vec m3 = load(column + 3 * row);
                a[0][j] = m0 + m1 + m2;
                a[1][j] = m1 - m2 - m3;
            }
            for (size_t i = 0; i < 2; i++) {
                drl_real *to = out + i * w * C + c;
                vec left = alpha * (a[i][0] + a[i][1] + a[i][2]), right = alpha * (a[i][1] - a[i][2] - a[i][3]);
                store(to, add ? load(to) + left : left);
                store(to + C, add ? load(to + C) + right : right);
            }
        }
    }
}

/* e[position][tile][C] = A dY A^T,  A = rows (1 0), (1 1), (1 -1), (0 -1) */
static void spread(drl_real *e, const drl_real *dy, size_t h, size_t w, size_t C, size_t first, size_t n) {
    for (size_t t = 0; t < n; t++) {
        place at = place_of(first + t, h, w);
        const drl_real *from = dy + ((at.image * h + at.row) * w + at.column) * C;
        for (size_t c = 0; c < C; c += V) {
            vec r[4][2];
            for (size_t j = 0; j < 2; j++) {
                vec top = load(from + j * C + c), bottom = load(from + w * C + j * C + c);
                r[0][j] = top, r[1][j] = top + bottom, r[2][j] = top - bottom, r[3][j] = -bottom;
            }
            for (size_t i = 0; i < 4; i++) {
                drl_real *to = e + (4 * i * TILES + t) * C + c;
                const size_t step = (size_t)TILES * C;
                store(to, r[i][0]);
                store(to + step, r[i][0] + r[i][1]);
                store(to + 2 * step, r[i][0] - r[i][1]);
                store(to + 3 * step, -r[i][1]);
            }
        }
    }
}

/* u[position][block][in][B] = G g G^T of a kernel w (9, in, out), zeros beyond out. */
static void transform_kernel(drl_real *u, const drl_real *w, size_t in, size_t out) {
    size_t blocks = blocks_of(out), position = blocks * in * B, tap = in * out;
    const drl_real half = (drl_real)0.5;
    for (size_t i = 0; i < in; i++)
        for (size_t o = 0; o < blocks * B; o += V) {
            vec g[3][3], r[4][3];
            drl_real *to = u + (o / B * in + i) * B + o % B;
            for (size_t t = 0; t < 9; t++) g[t / 3][t % 3] = o < out ? load(w + t * tap + i * out + o) : (vec){0};
            for (int j = 0; j < 3; j++) {
                vec ends = half * (g[0][j] + g[2][j]), middle = half * g[1][j];
                r[0][j] = g[0][j], r[1][j] = ends + middle, r[2][j] = ends - middle, r[3][j] = g[2][j];
            }
            for (size_t k = 0; k < 4; k++) {
                vec ends = half * (r[k][0] + r[k][2]), middle = half * r[k][1];
                store(to + (4 * k + 0) * position, r[k][0]);
                store(to + (4 * k + 1) * position, ends + middle);
                store(to + (4 * k + 2) * position, ends - middle);
                store(to + (4 * k + 3) * position, r[k][2]);
            }
        }
}

/* turned (9, out, in) = the kernel w (9, in, out) turned by 180 degrees, in and out exchanged */
static void turn_kernel(drl_real *restrict turned, const drl_real *restrict w, size_t in, size_t out) {
    for (size_t t = 0; t < 9; t++)
        for (size_t o0 = 0; o0 < out; o0 += 8)
            for (size_t i = 0; i < in; i++)
                for (size_t o = o0; o < o0 + 8; o++) turned[(t * out + o) * in + i] = w[((8 - t) * in + i) * out + o];
}

/* ---- Forward and data gradient ----------------------------------------------------------------------------------- */

/* m[position][tile][out] = v[position][tile][in] u[position] for n tiles */
static void multiply(drl_real *m, const drl_real *v, const drl_real *u, size_t in, size_t out, size_t n) {
    size_t blocks = blocks_of(out);
    for (size_t p = 0; p < POSITIONS; p++)
        for (size_t b = 0; b < blocks; b++) {
            size_t vectors = vectors_of(out, b);
            for (size_t t = 0; t < n; t += P) {
                const drl_real *x[P];
                for (size_t k = 0; k < P; k++) x[k] = v + (p * TILES + t + k) * in;
                vec acc[P][Q];
                (vectors == 1 ? tile_narrow : tile_full)(acc, x, u + (p * blocks + b) * in * B, 1, in, 0);
                for (size_t k = 0; k < P; k++)
                    for (size_t q = 0; q < vectors; q++)
                        store(m + (p * TILES + t + k) * out + b * B + q * V, acc[k][q]);
            }
        }
}

/* y = (or +=) alpha conv of n images x (h, w, in) with transformed kernels u */
static void convolve(drl_real *y, const drl_real *x, const drl_real *u, size_t h, size_t w, size_t in, size_t out,
                     drl_real alpha, bool add, size_t n, drl_arena *scratch) {
    drl_real *v = drl_arena_take(scratch, POSITIONS * TILES * in * sizeof *v);
    drl_real *m = drl_arena_take(scratch, POSITIONS * TILES * out * sizeof *m);
    drl_real *zeros = drl_arena_take(scratch, in * sizeof *zeros);
    memset(zeros, 0, in * sizeof *zeros);
    size_t tiles = n * (h / 2) * (w / 2);
    for (size_t first = 0; first < tiles; first += TILES) {
        size_t k = min_size(TILES, tiles - first);
        gather(v, x, h, w, in, first, k, zeros);
        for (size_t p = 0; k % P && p < POSITIONS; p++) /* what the last register tile reads beyond the tiles */
            memset(v + (p * TILES + k) * in, 0, (P - k % P) * in * sizeof *v);
        multiply(m, v, u, in, out, k);
        scatter(y, m, h, w, out, first, k, alpha, add);
    }
}

void drl_conv_winograd_forward(drl_real *y, const drl_real *x, const drl_real *w, drl_real alpha,
                               const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch);
    drl_real *u = drl_arena_take(scratch, POSITIONS * blocks_of(d->cout) * B * d->cin * sizeof *u);
    transform_kernel(u, w, d->cin, d->cout);
    convolve(y, x, u, d->h, d->w, d->cin, d->cout, alpha, true, n, scratch);
    drl_arena_release(scratch, mark);
}

void drl_conv_winograd_backward_data(drl_real *dx, const drl_real *dy, const drl_real *w, drl_real alpha, bool add,
                                     const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch);
    drl_real *u = drl_arena_take(scratch, POSITIONS * blocks_of(d->cin) * B * d->cout * sizeof *u);
    drl_real *turned = drl_arena_take(scratch, 9 * d->cin * d->cout * sizeof *turned);
    turn_kernel(turned, w, d->cin, d->cout);
    transform_kernel(u, turned, d->cout, d->cin);
    convolve(dx, dy, u, d->h, d->w, d->cout, d->cin, alpha, add, n, scratch);
    drl_arena_release(scratch, mark);
}

/* ---- Weight gradient --------------------------------------------------------------------------------------------- */

/* du[position][in][out] += v^T e over n tiles */
static void accumulate(drl_real *du, const drl_real *v, const drl_real *e, size_t in, size_t out, size_t n) {
    for (size_t p = 0; p < POSITIONS; p++)
        for (size_t b = 0; b < blocks_of(out); b++)
            for (size_t i = 0; i < in; i += DEPTH)
                (vectors_of(out, b) == 1 ? weight_narrow : weight_full)(du + (p * in + i) * out + b * B, out,
                                                                        v + p * TILES * in + i,
                                                                        e + p * TILES * out + b * B, 1, n, 0, in, out);
}

/* dw[t][i][o] += alpha (G^T du G)[t],  G^T = rows (1 1/2 1/2 0), (0 1/2 -1/2 0), (0 1/2 1/2 1) */
static void add_kernel_gradient(drl_real *restrict dw, const drl_real *restrict du, size_t size, drl_real alpha) {
    const drl_real half = (drl_real)0.5;
    for (size_t e = 0; e < size; e++) {
        drl_real r[3][4];
        for (size_t j = 0; j < 4; j++) {
            drl_real m0 = du[j * size + e], m1 = half * du[(4 + j) * size + e], m2 = half * du[(8 + j) * size + e];
            r[0][j] = m0 + m1 + m2, r[1][j] = m1 - m2, r[2][j] = m1 + m2 + du[(12 + j) * size + e];
        }
        for (size_t i = 0; i < 3; i++) {
            drl_real c1 = half * r[i][1], c2 = half * r[i][2];
            dw[(3 * i + 0) * size + e] += alpha * (r[i][0] + c1 + c2);
            dw[(3 * i + 1) * size + e] += alpha * (c1 - c2);
            dw[(3 * i + 2) * size + e] += alpha * (c1 + c2 + r[i][3]);
        }
    }
}

void drl_conv_winograd_backward_weight(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,
                                       const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch), in = d->cin, out = d->cout;
    drl_real *du = drl_arena_take(scratch, POSITIONS * in * out * sizeof *du);
    drl_real *v = drl_arena_take(scratch, POSITIONS * TILES * in * sizeof *v);
    drl_real *e = drl_arena_take(scratch, POSITIONS * TILES * out * sizeof *e);
    drl_real *zeros = drl_arena_take(scratch, in * sizeof *zeros);
    memset(zeros, 0, in * sizeof *zeros);
    memset(du, 0, POSITIONS * in * out * sizeof *du);
    size_t tiles = n * (d->h / 2) * (d->w / 2);
    for (size_t first = 0; first < tiles; first += TILES) {
        size_t k = min_size(TILES, tiles - first);
        gather(v, x, d->h, d->w, in, first, k, zeros);
        spread(e, dy, d->h, d->w, out, first, k);
        accumulate(du, v, e, in, out, k);
    }
    add_kernel_gradient(dw, du, in * out, alpha);
    drl_arena_release(scratch, mark);
}

size_t drl_conv_winograd_scratch(const drl_conv_dims *d) {
    size_t widest = d->cin > d->cout ? d->cin : d->cout;
    size_t kernel = (POSITIONS + 9) * (widest + B) * widest, block = POSITIONS * TILES * (d->cin + d->cout);
    return (kernel + block + widest) * sizeof(drl_real) + 5 * DRL_ALIGN;
}
