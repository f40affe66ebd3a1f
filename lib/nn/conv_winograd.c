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
 * Tiles are worked on in blocks of whole rows of tiles whose transforms stay in the second-level cache; one block of
 * output channels after the other, so that products are still in the first-level cache when they are transformed back.
 * Needs even sides and whole vectors of channels. */
#include "nn/conv_vector.h"

enum { POSITIONS = 16 };
enum { GROUP = 2 * P };               /* tiles of the largest register tile */
enum { DEPTH = 8 };                   /* input channels of a register tile of the weight gradient */
enum { PART = 32 };                   /* input channels whose weight gradient is summed at a time, where it is large */
#define BLOCK_BYTES ((size_t)448 * 1024) /* of transforms in a block of tiles */
#define SUM_BYTES   ((size_t)320 * 1024) /* of the weight gradient's sums */

bool drl_conv_winograd_applies(const drl_conv_dims *d) {
    bool same = d->k == 3 && d->stride == 1 && d->pad == 1 && d->ho == d->h && d->wo == d->w;
    return same && d->h % 2 == 0 && d->w % 2 == 0 && d->cin % V == 0 && d->cout % V == 0 && d->cin % DEPTH == 0 &&
           d->cout % 8 == 0;
}

/* How the images are cut: rows of tiles are counted through all images. */
typedef struct tiling {
    size_t h, w, down, across; /* pixels and tiles of an image */
    size_t rows, room;         /* rows of tiles in a block; tiles it has room for, whole register tiles */
} tiling;

static size_t whole_groups(size_t tiles) {
    return (tiles + GROUP - 1) / GROUP * GROUP;
}

static tiling tiling_of(size_t h, size_t w, size_t bytes_a_tile) {
    tiling t = {.h = h, .w = w, .down = h / 2, .across = w / 2};
    size_t tiles = BLOCK_BYTES / bytes_a_tile;
    t.rows = tiles / t.across ? tiles / t.across : 1;
    t.room = whole_groups(t.rows * t.across);
    return t;
}

/* Numbers from one position to the next of `room` tiles of C channels. The odd cache line keeps the 16 positions of a
 * tile from meeting in the same set of the first-level cache, which a power of two would make them do. */
static size_t position_step(size_t room, size_t C) {
    return room * C + DRL_ALIGN / sizeof(drl_real);
}

/* ---- Transforms -------------------------------------------------------------------------------------------------- */

/* One column of B^T d: the pixels at `at` of four rows. */
static inline void input_column(vec t[4], const drl_real *const row[4], size_t at) {
    vec d0 = load(row[0] + at), d1 = load(row[1] + at), d2 = load(row[2] + at), d3 = load(row[3] + at);
    t[0] = d0 - d2, t[1] = d1 + d2, t[2] = d2 - d1, t[3] = d1 - d3;
}

/* v[position][tile][n] = B^T d B for a row of tiles and channels c0 .. c0 + n - 1 of four rows of pixels (w, C). The
 * columns left and right of the image are zero. Neighbouring tiles share two columns. */
static void gather_row(drl_real *v, size_t step, const drl_real *const row[4], size_t across, size_t C, size_t c0,
                       size_t n) {
    for (size_t c = 0; c < n; c += V) {
        vec t0[4] = {{0}}, t1[4], t2[4], t3[4];
        drl_real *to = v + c;
        size_t at = c0 + c;
        input_column(t1, row, at);
        for (size_t j = 1; j <= across; j++, to += n) {
            input_column(t2, row, at += C);
            if (j < across)
                input_column(t3, row, at += C);
            else
                for (int i = 0; i < 4; i++) t3[i] = (vec){0};
            for (size_t i = 0; i < 4; i++) {
                drl_real *p = to + 4 * i * step;
                store(p, t0[i] - t2[i]);
                store(p + step, t1[i] + t2[i]);
                store(p + 2 * step, t2[i] - t1[i]);
                store(p + 3 * step, t1[i] - t3[i]);
                t0[i] = t2[i], t1[i] = t3[i];
            }
        }
    }
}

/* v of rows of tiles first .. first + rows - 1 of the images x (h, w, C). `zeros`: a row of w C zeros. */
static void gather(drl_real *v, size_t step, const drl_real *x, const tiling *t, size_t C, size_t c0, size_t n,
                   size_t first, size_t rows, const drl_real *zeros) {
    for (size_t r = first; r < first + rows; r++, v += t->across * n) {
        size_t y = r % t->down * 2, pitch = t->w * C;
        const drl_real *middle = x + (r / t->down * t->h + y) * pitch;
        const drl_real *const row[4] = {y > 0 ? middle - pitch : zeros, middle, middle + pitch,
                                        y + 2 < t->h ? middle + 2 * pitch : zeros};
        gather_row(v, step, row, t->across, C, c0, n);
    }
}

/* y (channels c0 .. c0 + n - 1 of C) = (or +=) alpha A^T m A for rows of tiles; m[position][tile][n] */
static void scatter(drl_real *y, const drl_real *m, size_t step, const tiling *t, size_t C, size_t c0, size_t n,
                    size_t first, size_t rows, drl_real alpha, bool add) {
    for (size_t r = first; r < first + rows; r++) {
        drl_real *top = y + (r / t->down * t->h + r % t->down * 2) * t->w * C + c0;
        for (size_t j = 0; j < t->across; j++, top += 2 * C, m += n)
            for (size_t c = 0; c < n; c += V) {
                vec a[2][4];
                for (size_t k = 0; k < 4; k++) {
                    const drl_real *p = m + k * step + c;
                    vec m1 = load(p + 4 * step), m2 = load(p + 8 * step);
                    a[0][k] = load(p) + (m1 + m2);
                    a[1][k] = (m1 - m2) - load(p + 12 * step);
                }
                for (size_t i = 0; i < 2; i++) {
                    drl_real *to = top + i * t->w * C + c;
                    vec left = alpha * (a[i][0] + (a[i][1] + a[i][2])), right = alpha * ((a[i][1] - a[i][2]) - a[i][3]);
                    store(to, add ? load(to) + left : left);
                    store(to + C, add ? load(to + C) + right : right);
                }
            }
    }
}

/* e[position][tile][C] = A dY A^T for rows of tiles,  A = rows (1 0), (1 1), (1 -1), (0 -1) */
static void spread(drl_real *e, size_t step, const drl_real *dy, const tiling *t, size_t C, size_t first, size_t rows) {
    for (size_t r = first; r < first + rows; r++) {
        const drl_real *top = dy + (r / t->down * t->h + r % t->down * 2) * t->w * C, *bottom = top + t->w * C;
        for (size_t j = 0; j < t->across; j++, top += 2 * C, bottom += 2 * C, e += C)
            for (size_t c = 0; c < C; c += V) {
                vec a[4][2];
                for (size_t k = 0; k < 2; k++) {
                    vec u = load(top + k * C + c), l = load(bottom + k * C + c);
                    a[0][k] = u, a[1][k] = u + l, a[2][k] = u - l, a[3][k] = -l;
                }
                for (size_t i = 0; i < 4; i++) {
                    drl_real *to = e + 4 * i * step + c;
                    store(to, a[i][0]);
                    store(to + step, a[i][0] + a[i][1]);
                    store(to + 2 * step, a[i][0] - a[i][1]);
                    store(to + 3 * step, -a[i][1]);
                }
            }
    }
}

/* u[block][position][in][B] = G g G^T of a kernel w (9, in, out), zeros beyond out. */
static void transform_kernel(drl_real *u, const drl_real *w, size_t in, size_t out) {
    size_t position = in * B, tap = in * out;
    const drl_real half = (drl_real)0.5;
    for (size_t i = 0; i < in; i++)
        for (size_t o = 0; o < blocks_of(out) * B; o += V) {
            vec g[3][3], r[4][3];
            drl_real *to = u + (o / B * POSITIONS * in + i) * B + o % B;
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

/* m[tile][channels] = v[tile][in] u[in][B] for n tiles (a multiple of `tiles`), a block of `vectors` vectors. */
#define DRL_PRODUCT(name, tiles, vectors)                                                                              \
    static inline void name(drl_real *restrict m, const drl_real *restrict v, const drl_real *restrict u, size_t in,   \
                            size_t n) {                                                                                \
        for (size_t t = 0; t < n; t += tiles, v += tiles * in, m += tiles * (vectors) * V) {                           \
            vec a[tiles][vectors] = {{{0}}};                                                                           \
            const drl_real *w = u;                                                                                     \
            for (size_t r = 0; r < in; r++, w += B) {                                                                  \
                vec k[vectors];                                                                                        \
                for (int q = 0; q < vectors; q++) k[q] = load(w + q * V);                                              \
                for (int p = 0; p < tiles; p++)                                                                        \
                    for (int q = 0; q < vectors; q++) a[p][q] += v[(size_t)p * in + r] * k[q];                         \
            }                                                                                                          \
            for (int p = 0; p < tiles; p++)                                                                            \
                for (int q = 0; q < vectors; q++) store(m + (p * (vectors) + q) * V, a[p][q]);                         \
        }                                                                                                              \
    }
DRL_PRODUCT(product_full, P, Q)
DRL_PRODUCT(product_narrow, GROUP, 1)

/* y = (or +=) alpha conv of n images x (h, w, in) with transformed kernels u */
static void convolve(drl_real *y, const drl_real *x, const drl_real *u, size_t h, size_t w, size_t in, size_t out,
                     drl_real alpha, bool add, size_t n, drl_arena *scratch) {
    tiling t = tiling_of(h, w, POSITIONS * (in + B) * sizeof(drl_real));
    size_t v_step = position_step(t.room, in), m_step = position_step(t.room, B);
    drl_real *v = drl_arena_take(scratch, POSITIONS * v_step * sizeof *v);
    drl_real *m = drl_arena_take(scratch, POSITIONS * m_step * sizeof *m);
    drl_real *zeros = drl_arena_take(scratch, w * in * sizeof *zeros);
    memset(zeros, 0, w * in * sizeof *zeros);
    for (size_t first = 0, all = n * t.down; first < all; first += t.rows) {
        size_t rows = min_size(t.rows, all - first), tiles = rows * t.across, whole = whole_groups(tiles);
        gather(v, v_step, x, &t, in, 0, in, first, rows, zeros);
        for (size_t p = 0; tiles < whole && p < POSITIONS; p++) /* what the last register tile reads beyond the tiles */
            memset(v + p * v_step + tiles * in, 0, (whole - tiles) * in * sizeof *v);
        for (size_t b = 0; b < blocks_of(out); b++) {
            size_t vectors = vectors_of(out, b);
            for (size_t p = 0; p < POSITIONS; p++)
                (vectors == 1 ? product_narrow : product_full)(m + p * m_step, v + p * v_step,
                                                               u + (b * POSITIONS + p) * in * B, in, whole);
            scatter(y, m, m_step, &t, out, b * B, vectors * V, first, rows, alpha, add);
        }
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

DRL_WEIGHT_TILE(weight_full, DEPTH, Q)
DRL_WEIGHT_TILE(weight_narrow, DEPTH, 1)

/* du[position][in][out] += v^T e over n tiles */
static void accumulate(drl_real *du, const drl_real *v, size_t v_step, const drl_real *e, size_t e_step, size_t in,
                       size_t out, size_t n) {
    for (size_t p = 0; p < POSITIONS; p++)
        for (size_t b = 0; b < blocks_of(out); b++)
            for (size_t i = 0; i < in; i += DEPTH)
                (vectors_of(out, b) == 1 ? weight_narrow : weight_full)(
                    du + (p * in + i) * out + b * B, out, v + p * v_step + i, e + p * e_step + b * B, 1, n, 0, in, out);
}

/* dw[t][i][o] += alpha (G^T du G)[t] for `size` pairs (i, o) of du[position][size]; `tap` numbers from one tap of dw to
 * the next.  G^T = rows (1 1/2 1/2 0), (0 1/2 -1/2 0), (0 1/2 1/2 1) */
static void add_kernel_gradient(drl_real *restrict dw, size_t tap, const drl_real *restrict du, size_t size,
                                drl_real alpha) {
    const drl_real half = (drl_real)0.5;
    for (size_t e = 0; e < size; e += V) {
        vec r[3][4];
        for (size_t j = 0; j < 4; j++) {
            vec m0 = load(du + j * size + e), m1 = half * load(du + (4 + j) * size + e);
            vec m2 = half * load(du + (8 + j) * size + e), m3 = load(du + (12 + j) * size + e);
            r[0][j] = m0 + (m1 + m2), r[1][j] = m1 - m2, r[2][j] = (m1 + m2) + m3;
        }
        for (size_t i = 0; i < 3; i++) {
            vec c1 = half * r[i][1], c2 = half * r[i][2];
            drl_real *to = dw + 3 * i * tap + e;
            store(to, load(to) + alpha * (r[i][0] + (c1 + c2)));
            store(to + tap, load(to + tap) + alpha * (c1 - c2));
            store(to + 2 * tap, load(to + 2 * tap) + alpha * ((c1 + c2) + r[i][3]));
        }
    }
}

/* Input channels whose sums are worked on together: all where they stay in the second-level cache. */
static size_t part_of(const drl_conv_dims *d) {
    bool fits = POSITIONS * d->cin * d->cout * sizeof(drl_real) <= SUM_BYTES;
    return fits || d->cin % PART != 0 ? d->cin : PART;
}

void drl_conv_winograd_backward_weight(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,
                                       const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch), in = d->cin, out = d->cout, part = part_of(d);
    tiling t = tiling_of(d->h, d->w, POSITIONS * (part + out) * sizeof(drl_real));
    size_t v_step = position_step(t.room, part), e_step = position_step(t.room, out);
    drl_real *du = drl_arena_take(scratch, POSITIONS * part * out * sizeof *du);
    drl_real *v = drl_arena_take(scratch, POSITIONS * v_step * sizeof *v);
    drl_real *e = drl_arena_take(scratch, POSITIONS * e_step * sizeof *e);
    drl_real *zeros = drl_arena_take(scratch, d->w * in * sizeof *zeros);
    memset(zeros, 0, d->w * in * sizeof *zeros);
    for (size_t c0 = 0; c0 < in; c0 += part) {
        memset(du, 0, POSITIONS * part * out * sizeof *du);
        for (size_t first = 0, all = n * t.down; first < all; first += t.rows) {
            size_t rows = min_size(t.rows, all - first);
            gather(v, v_step, x, &t, in, c0, part, first, rows, zeros);
            spread(e, e_step, dy, &t, out, first, rows);
            accumulate(du, v, v_step, e, e_step, part, out, rows * t.across);
        }
        add_kernel_gradient(dw + c0 * out, in * out, du, part * out, alpha);
    }
    drl_arena_release(scratch, mark);
}

/* The two kinds of pass take different things; the larger sum counts. */
size_t drl_conv_winograd_scratch(const drl_conv_dims *d) {
    size_t widest = d->cin > d->cout ? d->cin : d->cout, part = part_of(d);
    tiling pass = tiling_of(d->h, d->w, POSITIONS * (d->cin + B) * sizeof(drl_real));
    tiling back = tiling_of(d->h, d->w, POSITIONS * (d->cout + B) * sizeof(drl_real));
    tiling weight = tiling_of(d->h, d->w, POSITIONS * (part + d->cout) * sizeof(drl_real));
    size_t kernel = (POSITIONS + 9) * (widest + B) * widest, v = position_step(pass.room, d->cin);
    size_t m = position_step(pass.room > back.room ? pass.room : back.room, B);
    v = v > position_step(back.room, d->cout) ? v : position_step(back.room, d->cout);
    size_t convolution = kernel + POSITIONS * (v + m);
    size_t gradient = POSITIONS * (part * d->cout + position_step(weight.room, part) + position_step(weight.room, d->cout));
    return ((convolution > gradient ? convolution : gradient) + d->w * widest) * sizeof(drl_real) + 5 * DRL_ALIGN;
}
