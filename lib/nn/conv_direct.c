/* Direct 3x3 convolution in vector code, without unrolling the image into a matrix.
 *
 * In NHWC the inputs under one row of the kernel, 3 pixels of cin channels, lie side by side: a run of 3 cin numbers. So
 *   y[p, o] = sum over 3 kernel rows of  (run of pixel p) . (3 cin x cout block of the weights)
 * and a tile of P pixels x Q vectors of output channels stays in registers while the runs go by. Images are copied into
 * a frame of zeros first, so that no tap needs a test; weights are packed into blocks of Q vectors, zero-padded. The data
 * gradient at stride 1 is the same computation on dy with the kernel turned and transposed. The weight gradient keeps a
 * tile of R run positions x Q vectors in registers while pixels go by.
 *
 * Vectors are the compiler's (GCC and Clang); their width follows the instruction set compiled for. */
#include "nn/conv_kernel.h"

#include <string.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
enum { P = 8, R = 12 };
#elif defined(__AVX__)
#define VECTOR_BYTES 32
enum { P = 6, R = 6 };
#else
#define VECTOR_BYTES 16
enum { P = 6, R = 6 };
#endif

enum { V = VECTOR_BYTES / sizeof(drl_real), Q = 2, B = V * Q }; /* lanes, vectors and channels of a block */

typedef drl_real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef drl_real loose __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(drl_real)), may_alias));

static inline vec load(const drl_real *p) {
    return *(const loose *)p;
}

static inline void store(drl_real *p, vec v) {
    *(loose *)p = v;
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t blocks_of(size_t channels) {
    return (channels + B - 1) / B;
}

/* Where a layer's blocks begin: a last block of at most V channels is computed with one vector instead of Q. */
static size_t vectors_of(size_t channels, size_t block) {
    return channels - block * B <= V ? 1 : Q;
}

/* ---- Frames: images with zeros around them ------------------------------------------------------------------------ */

typedef struct frame {
    size_t h, w, c;     /* with the zeros */
    size_t row, size;   /* elements of a row and of the frame; R more follow, which tiles may read but never use */
} frame;

/* The frame an image of h x w pixels needs: `before` zeros on top and left, and as many after it as ho x wo outputs at
 * `stride` reach. */
static frame frame_of(size_t h, size_t w, size_t c, size_t ho, size_t wo, size_t stride, size_t before) {
    size_t fh = (ho - 1) * stride + 3, fw = (wo - 1) * stride + 3;
    fh = fh > h + before ? fh : h + before;
    fw = fw > w + before ? fw : w + before;
    return (frame){fh, fw, c, fw * c, fh * fw * c};
}

static void fill_frame(drl_real *restrict to, const drl_real *restrict image, const frame *f, size_t h, size_t w,
                       size_t before) {
    for (size_t y = 0; y < f->h; y++, to += f->row) {
        if (y < before || y >= before + h) {
            memset(to, 0, f->row * sizeof *to);
            continue;
        }
        memset(to, 0, before * f->c * sizeof *to);
        memcpy(to + before * f->c, image + (y - before) * w * f->c, w * f->c * sizeof *to);
        memset(to + (before + w) * f->c, 0, (f->w - before - w) * f->c * sizeof *to);
    }
}

/* ---- Forward ------------------------------------------------------------------------------------------------------ */

/* acc[p][q] = sum over 3 rows and a run of x[p][row, r] * w[row, r, q] for P pixels and `vectors` vectors. */
#define TILE(name, vectors)                                                                                            \
    static void name(vec acc[P][Q], const drl_real *const x[P], const drl_real *w, size_t run, size_t row) {           \
        vec a[P][vectors] = {{{0}}};                                                                                   \
        for (size_t ky = 0; ky < 3; ky++)                                                                              \
            for (size_t r = 0; r < run; r++, w += B) {                                                                 \
                vec k[vectors];                                                                                        \
                for (int q = 0; q < vectors; q++) k[q] = load(w + q * V);                                              \
                for (int p = 0; p < P; p++) {                                                                          \
                    drl_real value = x[p][ky * row + r];                                                               \
                    for (int q = 0; q < vectors; q++) a[p][q] += value * k[q];                                         \
                }                                                                                                      \
            }                                                                                                          \
        for (int p = 0; p < P; p++)                                                                                    \
            for (int q = 0; q < vectors; q++) acc[p][q] = a[p][q];                                                     \
    }
TILE(tile_full, Q)
TILE(tile_narrow, 1)

/* y (cout channels from `first` on) = (or +=) alpha acc, of the pixels at y[p * cout] */
static void put(drl_real *y, const vec acc[P][Q], size_t pixels, size_t channels, size_t cout, drl_real alpha,
                bool add) {
    for (size_t p = 0; p < pixels; p++, y += cout) {
        if (channels % V == 0) {
            for (size_t q = 0; q < channels / V; q++)
                store(y + q * V, alpha * acc[p][q] + (add ? load(y + q * V) : (vec){0}));
            continue;
        }
        for (size_t c = 0; c < channels; c++) y[c] = (add ? y[c] : 0) + alpha * acc[p][c / V][c % V];
    }
}

/* One framed image: y (ho, wo, cout) = (or +=) alpha conv. `packed` holds blocks of (3 run) x B. */
static void convolve(drl_real *y, const drl_real *framed, const frame *f, const drl_real *packed, size_t ho, size_t wo,
                     size_t cout, size_t stride, drl_real alpha, bool add) {
    size_t run = 3 * f->c, pixels = ho * wo;
    for (size_t b = 0; b < blocks_of(cout); b++) {
        const drl_real *w = packed + b * 3 * run * B;
        size_t channels = min_size(B, cout - b * B);
        for (size_t p0 = 0; p0 < pixels; p0 += P) {
            const drl_real *x[P];
            for (size_t p = 0; p < P; p++) {
                size_t at = min_size(p0 + p, pixels - 1); /* missing pixels repeat the last and are not put */
                x[p] = framed + at / wo * stride * f->row + at % wo * stride * f->c;
            }
            vec acc[P][Q];
            (vectors_of(cout, b) == 1 ? tile_narrow : tile_full)(acc, x, w, run, f->row);
            put(y + p0 * cout + b * B, (const vec(*)[Q])acc, min_size(P, pixels - p0), channels, cout, alpha, add);
        }
    }
}

/* packed[block][t * in + i][o] = w[t][i][block * B + o], zeros beyond cout */
static void pack(drl_real *restrict to, const drl_real *restrict w, size_t in, size_t out) {
    for (size_t b = 0; b < blocks_of(out); b++) {
        size_t channels = min_size(B, out - b * B);
        for (size_t r = 0; r < 9 * in; r++, to += B) {
            memcpy(to, w + r * out + b * B, channels * sizeof *to);
            memset(to + channels, 0, (B - channels) * sizeof *to);
        }
    }
}

/* The same of the turned and transposed kernel: rows are (t, o), columns i; tap t is the original's 8 - t. */
static void pack_turned(drl_real *restrict to, const drl_real *restrict w, size_t in, size_t out) {
    for (size_t b = 0; b < blocks_of(in); b++) {
        size_t channels = min_size(B, in - b * B);
        for (size_t t = 0; t < 9; t++)
            for (size_t o = 0; o < out; o++, to += B) {
                for (size_t i = 0; i < channels; i++) to[i] = w[((8 - t) * in + b * B + i) * out + o];
                memset(to + channels, 0, (B - channels) * sizeof *to);
            }
    }
}

void drl_conv_direct_forward(drl_real *y, const drl_real *x, const drl_real *w, drl_real alpha, const drl_conv_dims *d,
                             size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch);
    frame f = frame_of(d->h, d->w, d->cin, d->ho, d->wo, d->stride, d->pad);
    drl_real *packed = drl_arena_take(scratch, blocks_of(d->cout) * 9 * d->cin * B * sizeof *packed);
    drl_real *framed = drl_arena_take(scratch, (f.size + R) * sizeof *framed);
    pack(packed, w, d->cin, d->cout);
    for (size_t i = 0; i < n; i++) {
        fill_frame(framed, x + i * d->h * d->w * d->cin, &f, d->h, d->w, d->pad);
        convolve(y + i * d->ho * d->wo * d->cout, framed, &f, packed, d->ho, d->wo, d->cout, d->stride, alpha, true);
    }
    drl_arena_release(scratch, mark);
}

void drl_conv_direct_backward_data(drl_real *dx, const drl_real *dy, const drl_real *w, drl_real alpha, bool add,
                                   const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch), before = 2 - d->pad;
    frame f = frame_of(d->ho, d->wo, d->cout, d->h, d->w, 1, before);
    drl_real *packed = drl_arena_take(scratch, blocks_of(d->cin) * 9 * d->cout * B * sizeof *packed);
    drl_real *framed = drl_arena_take(scratch, (f.size + R) * sizeof *framed);
    pack_turned(packed, w, d->cin, d->cout);
    for (size_t i = 0; i < n; i++) {
        fill_frame(framed, dy + i * d->ho * d->wo * d->cout, &f, d->ho, d->wo, before);
        convolve(dx + i * d->h * d->w * d->cin, framed, &f, packed, d->h, d->w, d->cin, 1, alpha, add);
    }
    drl_arena_release(scratch, mark);
}

/* ---- Weight gradient ---------------------------------------------------------------------------------------------- */

/* sum[r][.] (R rows of B) += over `rows` rows of `pixels` pixels: x[row, p, r] * dy[row, p, .] */
#define WEIGHT_TILE(name, vectors)                                                                                     \
    static void name(drl_real *sum, const drl_real *x, const drl_real *dy, size_t rows, size_t pixels, size_t x_row,   \
                     size_t x_step, size_t dy_step) {                                                                  \
        vec a[R][vectors];                                                                                             \
        for (int r = 0; r < R; r++)                                                                                    \
            for (int q = 0; q < vectors; q++) a[r][q] = load(sum + r * B + q * V);                                     \
        for (size_t y = 0; y < rows; y++, x += x_row) {                                                                \
            const drl_real *xp = x;                                                                                    \
            for (size_t p = 0; p < pixels; p++, xp += x_step, dy += dy_step) {                                         \
                vec g[vectors];                                                                                        \
                for (int q = 0; q < vectors; q++) g[q] = load(dy + q * V);                                             \
                for (int r = 0; r < R; r++)                                                                            \
                    for (int q = 0; q < vectors; q++) a[r][q] += xp[r] * g[q];                                         \
            }                                                                                                          \
        }                                                                                                              \
        for (int r = 0; r < R; r++)                                                                                    \
            for (int q = 0; q < vectors; q++) store(sum + r * B + q * V, a[r][q]);                                     \
    }
WEIGHT_TILE(weight_full, Q)
WEIGHT_TILE(weight_narrow, 1)

/* Run positions rounded up to whole tiles. */
static size_t padded_run(size_t cin) {
    return (3 * cin + R - 1) / R * R;
}

/* Rows of dy that are worked on together: enough pixels to pay for loading and storing the sums, few enough that their
 * part of x and dy stays in the first-level cache. */
static size_t chunk_rows(const drl_conv_dims *d) {
    size_t rows = 128 / d->wo;
    return rows < 1 ? 1 : min_size(rows, d->ho);
}

static bool needs_copy(const drl_conv_dims *d) {
    return d->cout % V != 0 || (d->cout % B != 0 && d->cout % B > V && d->cout % B % V != 0);
}

/* sums[block][ky][padded_run][B] += this image's part; dy has `step` numbers a pixel. */
static void weight_image(drl_real *sums, const drl_real *framed, const frame *f, const drl_real *dy, size_t step,
                         const drl_conv_dims *d) {
    size_t padded = padded_run(d->cin), chunk = chunk_rows(d);
    for (size_t y0 = 0; y0 < d->ho; y0 += chunk) {
        size_t rows = min_size(chunk, d->ho - y0);
        for (size_t b = 0; b < blocks_of(d->cout); b++) {
            bool narrow = vectors_of(d->cout, b) == 1;
            for (size_t ky = 0; ky < 3; ky++)
                for (size_t r = 0; r < padded; r += R)
                    (narrow ? weight_narrow : weight_full)(sums + ((b * 3 + ky) * padded + r) * B,
                                                           framed + (y0 * d->stride + ky) * f->row + r,
                                                           dy + y0 * d->wo * step + b * B, rows, d->wo,
                                                           d->stride * f->row, d->stride * d->cin, step);
        }
    }
}

/* dw[ky, r, o] += alpha sums */
static void unpack_sums(drl_real *dw, const drl_real *sums, drl_real alpha, const drl_conv_dims *d) {
    size_t padded = padded_run(d->cin), run = 3 * d->cin;
    for (size_t b = 0; b < blocks_of(d->cout); b++) {
        size_t channels = min_size(B, d->cout - b * B);
        for (size_t ky = 0; ky < 3; ky++)
            for (size_t r = 0; r < run; r++) {
                drl_real *restrict to = dw + (ky * run + r) * d->cout + b * B;
                const drl_real *restrict from = sums + ((b * 3 + ky) * padded + r) * B;
                for (size_t o = 0; o < channels; o++) to[o] += alpha * from[o];
            }
    }
}

void drl_conv_direct_backward_weight(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,
                                     const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch), pixels = d->ho * d->wo, wide = blocks_of(d->cout) * B;
    frame f = frame_of(d->h, d->w, d->cin, d->ho, d->wo, d->stride, d->pad);
    size_t n_sums = blocks_of(d->cout) * 3 * padded_run(d->cin) * B;
    drl_real *sums = drl_arena_take(scratch, n_sums * sizeof *sums);
    drl_real *framed = drl_arena_take(scratch, (f.size + R) * sizeof *framed);
    memset(sums, 0, n_sums * sizeof *sums);
    memset(framed + f.size, 0, R * sizeof *framed);
    /* Channels that do not fill vectors are copied into rows that do, once an image. */
    bool copy = needs_copy(d);
    drl_real *spread = copy ? drl_arena_take(scratch, pixels * wide * sizeof *spread) : NULL;
    if (copy) memset(spread, 0, pixels * wide * sizeof *spread);
    for (size_t i = 0; i < n; i++) {
        const drl_real *g = dy + i * pixels * d->cout;
        fill_frame(framed, x + i * d->h * d->w * d->cin, &f, d->h, d->w, d->pad);
        for (size_t p = 0; copy && p < pixels; p++)
            memcpy(spread + p * wide, g + p * d->cout, d->cout * sizeof *g);
        weight_image(sums, framed, &f, copy ? spread : g, copy ? wide : d->cout, d);
    }
    unpack_sums(dw, sums, alpha, d);
    drl_arena_release(scratch, mark);
}

size_t drl_conv_direct_scratch(const drl_conv_dims *d) {
    frame in = frame_of(d->h, d->w, d->cin, d->ho, d->wo, d->stride, d->pad);
    frame back = frame_of(d->ho, d->wo, d->cout, d->h, d->w, 1, 2);
    size_t widest = d->cin > d->cout ? d->cin : d->cout;
    size_t packed = blocks_of(widest) * 9 * (widest + R) * B, spread = d->ho * d->wo * blocks_of(d->cout) * B;
    size_t framed = (in.size > back.size ? in.size : back.size) + R;
    return (packed + framed + spread) * sizeof(drl_real) + 4 * DRL_ALIGN;
}
