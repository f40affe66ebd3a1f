/* 3x3 convolution at stride 1 by Winograd's minimal filtering F(m x m, 3x3) (nn/conv_winograd.h).
 *
 * For each of the n^2 positions the sum over channels is a product of (tiles x cin) and (cin x cout) matrices. The data
 * gradient is the same with the kernel turned and transposed; the weight gradient sums over tiles.
 *
 * Tiles are worked on in blocks of whole rows of tiles whose transforms stay in the second-level cache; one block of
 * output channels after the other, so that products are still near when they are transformed back. Needs sides that
 * are multiples of m and whole vectors of channels. */
#include "nn/conv_winograd.h"

enum { GROUP = 2 * P }; /* tiles of the largest register tile */
enum { DEPTH = 8 };     /* input channels of a register tile of the weight gradient */
enum { PART = 32 };     /* input channels whose weight gradient is summed at a time, where it is large */
#define BLOCK_BYTES ((size_t)448 * 1024) /* of transforms in a block of tiles, at least */
#define SUM_BYTES   ((size_t)320 * 1024) /* of the weight gradient's sums */

static bool applies(const drl_conv_dims *d, const winograd *f) {
    bool same = d->k == 3 && d->stride == 1 && d->pad == 1 && d->ho == d->h && d->wo == d->w;
    return same && d->h % f->m == 0 && d->w % f->m == 0 && d->cin % V == 0 && d->cout % V == 0 && d->cin % DEPTH == 0 &&
           d->cout % 8 == 0;
}

/* How the images are cut: rows of tiles are counted through all images. */
typedef struct tiling {
    size_t m, h, w, down, across; /* pixels of a tile's side; pixels and tiles of an image */
    size_t rows, room;            /* rows of tiles in a block; tiles it has room for, whole register tiles */
} tiling;

static size_t whole_groups(size_t tiles) {
    return (tiles + GROUP - 1) / GROUP * GROUP;
}

/* The fewest rows of tiles that are whole register tiles. */
static size_t whole_rows(size_t across) {
    size_t rows = 1;
    while (rows * across % GROUP != 0) rows++;
    return rows;
}

/* `channels`: numbers a tile has at each position, in all transforms of the pass; `kernels`: numbers of the transformed
 * kernels, which are read once a block, so that larger ones want larger blocks. */
static tiling tiling_of(const winograd *f, size_t h, size_t w, size_t channels, size_t kernels) {
    tiling t = {.m = f->m, .h = h, .w = w, .down = h / f->m, .across = w / f->m};
    size_t bytes = BLOCK_BYTES + kernels * sizeof(drl_real) / 8;
    size_t tiles = bytes / (f->n * f->n * channels * sizeof(drl_real)), whole = whole_rows(t.across);
    t.rows = tiles / t.across ? tiles / t.across : 1;
    if (t.rows > whole) t.rows -= t.rows % whole;
    t.room = whole_groups(t.rows * t.across);
    return t;
}

/* First pixel of row of tiles r, in pixels of all images. */
static size_t first_pixel(const tiling *t, size_t r) {
    return (r / t->down * t->h + r % t->down * t->m) * t->w;
}

/* Numbers from one position to the next of `room` rows (tiles, channels) of C numbers. The odd cache line keeps the
 * positions of a tile from meeting in the same set of the first-level cache, which a power of two would make them do.
 */
static size_t position_step(size_t room, size_t C) {
    return room * C + DRL_ALIGN / sizeof(drl_real);
}

/* v of channels c0 .. c0 + n - 1 of rows of tiles first .. first + rows - 1 of the images x (h, w, C). `zeros`: a row
 * of w C zeros. */
static void gather(const winograd *f, drl_real *v, size_t step, const drl_real *x, const tiling *t, size_t C, size_t c0,
                   size_t n, size_t first, size_t rows, const drl_real *zeros) {
    for (size_t r = first; r < first + rows; r++, v += t->across * n) {
        const drl_real *row[MAX_SIDE], *top = x + first_pixel(t, r) * C + c0;
        for (size_t i = 0; i < f->n; i++) {
            size_t y = r % t->down * t->m + i - 1; /* wraps above the image, which is then too large */
            row[i] = y < t->h ? top + i * t->w * C - t->w * C : zeros;
        }
        f->gather(v, step, row, t->across, C, n);
    }
}

/* ---- Forward and data gradient ----------------------------------------------------------------------------------- */

/* p[tile][channels] = v[tile][in] u[in][B] for n tiles (a multiple of `tiles`), a block of `vectors` vectors. */
#define DRL_PRODUCT(name, tiles, vectors)                                                                              \
    static void name(drl_real *restrict p, const drl_real *restrict v, const drl_real *restrict u, size_t in,          \
                     size_t n) {                                                                                       \
        for (size_t t = 0; t < n; t += tiles, v += tiles * in, p += tiles * (vectors)*V) {                             \
            vec a[tiles][vectors] = {{{0}}};                                                                           \
            const drl_real *w = u;                                                                                     \
            for (size_t r = 0; r < in; r++, w += B) {                                                                  \
                vec k[vectors];                                                                                        \
                for (int q = 0; q < vectors; q++) k[q] = load(w + q * V);                                              \
                for (int i = 0; i < tiles; i++)                                                                        \
                    for (int q = 0; q < vectors; q++) a[i][q] += v[(size_t)i * in + r] * k[q];                         \
            }                                                                                                          \
            for (int i = 0; i < tiles; i++)                                                                            \
                for (int q = 0; q < vectors; q++) store(p + (i * (vectors) + q) * V, a[i][q]);                         \
        }                                                                                                              \
    }
DRL_PRODUCT(product_full, P, Q)
DRL_PRODUCT(product_narrow, GROUP, 1)

/* What becomes of the sums (drl_conv_sum; NULL: added or written). */
typedef struct result {
    drl_real *y, alpha;
    ending how;
    const drl_conv_sum *sum;
} result;

/* p transformed back into channels c0 .. c0 + n - 1 of C. */
static void scatter(const winograd *f, const result *res, const drl_real *p, size_t step, const tiling *t, size_t C,
                    size_t c0, size_t n, size_t first, size_t rows) {
    for (size_t r = first; r < first + rows; r++, p += t->across * n) {
        size_t at = first_pixel(t, r) * C + c0;
        winograd_target to = {.y = res->y + at, .pitch = t->w * C, .C = C, .how = res->how, .alpha = res->alpha};
        to.start = to.residual = to.y; /* not read, but for the endings that have them */
        if (res->sum) to.start = res->sum->start + r / t->down * res->sum->start_step + c0;
        if (res->how == RESIDUAL) to.residual = res->sum->residual + at;
        f->scatter(&to, p, step, t->across, n);
    }
}

/* Numbers of the transformed kernels from `in` to `out` channels. */
static size_t kernel_size(const winograd *f, size_t in, size_t out) {
    return f->n * f->n * blocks_of(out) * position_step(in, B);
}

/* The convolution of n images x (h, w, in) with transformed kernels u. */
static void convolve(const winograd *f, const result *res, const drl_real *x, const drl_real *u, size_t h, size_t w,
                     size_t in, size_t out, size_t n, drl_arena *scratch) {
    size_t positions = f->n * f->n, u_step = position_step(in, B);
    tiling t = tiling_of(f, h, w, in + B, kernel_size(f, in, out));
    size_t v_step = position_step(t.room, in), p_step = position_step(t.room, B);
    drl_real *v = drl_arena_take(scratch, positions * v_step * sizeof *v);
    drl_real *p = drl_arena_take(scratch, positions * p_step * sizeof *p);
    drl_real *zeros = drl_arena_take(scratch, w * in * sizeof *zeros);
    memset(zeros, 0, w * in * sizeof *zeros);
    for (size_t first = 0, all = n * t.down; first < all; first += t.rows) {
        size_t rows = min_size(t.rows, all - first), tiles = rows * t.across, whole = whole_groups(tiles);
        gather(f, v, v_step, x, &t, in, 0, in, first, rows, zeros);
        for (size_t k = 0; tiles < whole && k < positions; k++) /* what the last register tile reads beyond the tiles */
            memset(v + k * v_step + tiles * in, 0, (whole - tiles) * in * sizeof *v);
        for (size_t b = 0; b < blocks_of(out); b++) {
            size_t vectors = vectors_of(out, b);
            for (size_t k = 0; k < positions; k++)
                (vectors == 1 ? product_narrow : product_full)(p + k * p_step, v + k * v_step,
                                                               u + (b * positions + k) * u_step, in, whole);
            scatter(f, res, p, p_step, &t, out, b * B, vectors * V, first, rows);
        }
    }
}

static void forward(const winograd *f, drl_real *y, const drl_real *x, const drl_real *u, drl_real alpha,
                    const drl_conv_sum *sum, const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch);
    const result res = {y, alpha, ending_of(sum), sum};
    convolve(f, &res, x, u, d->h, d->w, d->cin, d->cout, n, scratch);
    drl_arena_release(scratch, mark);
}

static void backward_data(const winograd *f, drl_real *dx, const drl_real *dy, const drl_real *u, drl_real alpha,
                          bool add, const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch);
    const result res = {dx, alpha, add ? ADD : WRITE, NULL};
    convolve(f, &res, dy, u, d->h, d->w, d->cout, d->cin, n, scratch);
    drl_arena_release(scratch, mark);
}

static size_t prepared(const winograd *f, const drl_conv_dims *d) {
    size_t forward = kernel_size(f, d->cin, d->cout), backward = kernel_size(f, d->cout, d->cin);
    return forward > backward ? forward : backward;
}

/* turned (9, out, in) = the kernel w (9, in, out) turned by 180 degrees, in and out exchanged */
static void turn_kernel(drl_real *restrict turned, const drl_real *restrict w, size_t in, size_t out) {
    for (size_t t = 0; t < 9; t++)
        for (size_t o0 = 0; o0 < out; o0 += 8)
            for (size_t i = 0; i < in; i++)
                for (size_t o = o0; o < o0 + 8; o++) turned[(t * out + o) * in + i] = w[((8 - t) * in + i) * out + o];
}

static void prepare(const winograd *f, drl_real *u, const drl_real *w, bool backward, const drl_conv_dims *d,
                    drl_arena *scratch) {
    if (!backward) {
        f->kernel(u, position_step(d->cin, B), w, d->cin, d->cout);
        return;
    }
    size_t mark = drl_arena_mark(scratch);
    drl_real *turned = drl_arena_take(scratch, 9 * d->cin * d->cout * sizeof *turned);
    turn_kernel(turned, w, d->cin, d->cout);
    f->kernel(u, position_step(d->cout, B), turned, d->cout, d->cin);
    drl_arena_release(scratch, mark);
}

/* ---- Weight gradient --------------------------------------------------------------------------------------------- */

DRL_WEIGHT_TILE(weight_full, DEPTH, Q)
DRL_WEIGHT_TILE(weight_narrow, DEPTH, 1)

/* du[in][out] += v^T e over n tiles, at one position */
static void accumulate(drl_real *du, const drl_real *v, const drl_real *e, size_t in, size_t out, size_t n) {
    for (size_t b = 0; b < blocks_of(out); b++)
        for (size_t i = 0; i < in; i += DEPTH)
            (vectors_of(out, b) == 1 ? weight_narrow : weight_full)(du + i * out + b * B, out, v + i, e + b * B, 1, n,
                                                                    0, in, out);
}

/* Input channels whose sums are worked on together: all where they stay in the second-level cache. */
static size_t part_of(const winograd *f, const drl_conv_dims *d) {
    bool fits = f->n * f->n * d->cin * d->cout * sizeof(drl_real) <= SUM_BYTES;
    return fits || d->cin % PART != 0 ? d->cin : PART;
}

static void backward_weight(const winograd *f, drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,
                            const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch), in = d->cin, out = d->cout, part = part_of(f, d), positions = f->n * f->n;
    tiling t = tiling_of(f, d->h, d->w, part + out, 0);
    size_t v_step = position_step(t.room, part), e_step = position_step(t.room, out), size = part * out;
    drl_real *du = drl_arena_take(scratch, positions * size * sizeof *du);
    drl_real *v = drl_arena_take(scratch, positions * v_step * sizeof *v);
    drl_real *e = drl_arena_take(scratch, positions * e_step * sizeof *e);
    drl_real *zeros = drl_arena_take(scratch, d->w * in * sizeof *zeros);
    memset(zeros, 0, d->w * in * sizeof *zeros);
    for (size_t c0 = 0; c0 < in; c0 += part) {
        memset(du, 0, positions * size * sizeof *du);
        for (size_t first = 0, all = n * t.down; first < all; first += t.rows) {
            size_t rows = min_size(t.rows, all - first);
            gather(f, v, v_step, x, &t, in, c0, part, first, rows, zeros);
            for (size_t r = 0; r < rows; r++)
                f->spread(e + r * t.across * out, e_step, dy + first_pixel(&t, first + r) * out, t.w * out, t.across,
                          out);
            for (size_t k = 0; k < positions; k++)
                accumulate(du + k * size, v + k * v_step, e + k * e_step, part, out, rows * t.across);
        }
        f->gradient(dw + c0 * out, in * out, du, size, alpha);
    }
    drl_arena_release(scratch, mark);
}

/* ---- Scratch, and both filterings under their names -------------------------------------------------------------- */

/* Numbers that convolve() takes. */
static size_t convolve_scratch(const winograd *f, size_t h, size_t w, size_t in, size_t out) {
    tiling t = tiling_of(f, h, w, in + B, kernel_size(f, in, out));
    return f->n * f->n * (position_step(t.room, in) + position_step(t.room, B)) + w * in;
}

static size_t scratch_of(const winograd *f, const drl_conv_dims *d) {
    size_t part = part_of(f, d), most = 9 * d->cin * d->cout;
    tiling t = tiling_of(f, d->h, d->w, part + d->cout, 0);
    size_t passes[3] = {
        convolve_scratch(f, d->h, d->w, d->cin, d->cout), convolve_scratch(f, d->h, d->w, d->cout, d->cin),
        f->n * f->n * (part * d->cout + position_step(t.room, part) + position_step(t.room, d->cout)) + d->w * d->cin};
    for (int i = 0; i < 3; i++) most = passes[i] > most ? passes[i] : most;
    return most * sizeof(drl_real) + 4 * DRL_ALIGN;
}

#define DRL_CONV_WINOGRAD(m)                                                                                           \
    static bool applies##m(const drl_conv_dims *d) {                                                                   \
        return applies(d, &drl_winograd##m);                                                                           \
    }                                                                                                                  \
    static size_t prepared##m(const drl_conv_dims *d) {                                                                \
        return prepared(&drl_winograd##m, d);                                                                          \
    }                                                                                                                  \
    static void prepare##m(drl_real *u, const drl_real *w, bool backward, const drl_conv_dims *d,                      \
                           drl_arena *scratch) {                                                                       \
        prepare(&drl_winograd##m, u, w, backward, d, scratch);                                                         \
    }                                                                                                                  \
    static void forward##m(drl_real *y, const drl_real *x, const drl_real *u, drl_real alpha, const drl_conv_sum *sum, \
                           const drl_conv_dims *d, size_t n, drl_arena *scratch) {                                     \
        forward(&drl_winograd##m, y, x, u, alpha, sum, d, n, scratch);                                                 \
    }                                                                                                                  \
    static void backward_data##m(drl_real *dx, const drl_real *dy, const drl_real *u, drl_real alpha, bool add,        \
                                 const drl_conv_dims *d, size_t n, drl_arena *scratch) {                               \
        backward_data(&drl_winograd##m, dx, dy, u, alpha, add, d, n, scratch);                                         \
    }                                                                                                                  \
    static void backward_weight##m(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,                \
                                   const drl_conv_dims *d, size_t n, drl_arena *scratch) {                             \
        backward_weight(&drl_winograd##m, dw, x, dy, alpha, d, n, scratch);                                            \
    }                                                                                                                  \
    static size_t scratch##m(const drl_conv_dims *d) {                                                                 \
        return scratch_of(&drl_winograd##m, d);                                                                        \
    }                                                                                                                  \
    const drl_conv_family drl_conv_winograd##m = {"winograd" #m,    prepared##m,        prepare##m, forward##m,        \
                                                  backward_data##m, backward_weight##m, scratch##m, applies##m};
DRL_CONV_WINOGRAD(2)
DRL_CONV_WINOGRAD(4)
