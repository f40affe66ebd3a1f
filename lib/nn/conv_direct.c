/* Direct 3x3 convolution in vector code, without unrolling the image into a matrix.
 *
 * In NHWC the inputs under one row of the kernel, 3 pixels of cin channels, lie side by side: a run of 3 cin numbers.
 * So y[p, o] = sum over 3 kernel rows of  (run of pixel p) . (3 cin x cout block of the weights) and a tile of P pixels
 * x Q vectors of output channels stays in registers while the runs go by. Images are copied into a frame of zeros
 * first, so that no tap needs a test; weights are packed into blocks of Q vectors, zero-padded. The data gradient at
 * stride 1 is the same computation on dy with the kernel turned and transposed. The weight gradient keeps a tile of R
 * run positions x Q vectors in registers while pixels go by.
 */
#include "nn/conv_frame.h"
#include "nn/conv_vector.h"

enum { R = VECTOR_BYTES == 64 ? 12 : 6 }; /* run positions of a weight tile */

DRL_TILE(tile_full, Q)
DRL_TILE(tile_narrow, 1)
DRL_WEIGHT_TILE(weight_full, R, Q)
DRL_WEIGHT_TILE(weight_narrow, R, 1)

/* ---- Forward ----------------------------------------------------------------------------------------------------- */

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
            (vectors_of(cout, b) == 1 ? tile_narrow : tile_full)(acc, x, w, 3, run, f->row);
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

/* ---- Weight gradient --------------------------------------------------------------------------------------------- */

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
                    (narrow ? weight_narrow : weight_full)(
                        sums + ((b * 3 + ky) * padded + r) * B, B, framed + (y0 * d->stride + ky) * f->row + r,
                        dy + y0 * d->wo * step + b * B, rows, d->wo, d->stride * f->row, d->stride * d->cin, step);
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
        for (size_t p = 0; copy && p < pixels; p++) memcpy(spread + p * wide, g + p * d->cout, d->cout * sizeof *g);
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
