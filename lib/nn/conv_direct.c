/* Direct convolution in vector code, without unrolling the image into a matrix: any shape.
 *
 * In NHWC the inputs under one row of the kernel, k pixels of cin channels, lie side by side: a run of k cin numbers.
 * So y[p, o] = sum over the k kernel rows of  (run of pixel p) . (k cin x cout block of the weights) and a tile of P
 * pixels x Q vectors of output channels stays in registers while the runs go by. Where the kernel reaches beyond the
 * image, images are copied into a frame of zeros first, so that no tap needs a test; weights are packed into blocks of
 * Q vectors, zero-padded.
 *
 * The data gradient is the same computation on dy with the kernel turned and transposed. At stride s the pixels of dx
 * fall into s x s classes by the parity of their row and column; those of a class meet the same taps of the kernel, and
 * each class is a small convolution of stride 1 on dy. The weight gradient keeps a tile of run positions x Q vectors in
 * registers while pixels go by. */
#include <assert.h>

#include "nn/conv_frame.h"
#include "nn/product.h"

enum { R = VECTOR_BYTES == 64 ? 12 : 6 }; /* run positions of a weight tile; */
enum { R1 = 8 };      /* of one where the kernel is 1x1 and R1 divides the run, so that none spills */
enum { CLASSES = 4 }; /* of parities: stride at most 2 */

DRL_WEIGHT_TILE(weight_full, R, Q)
DRL_WEIGHT_TILE(weight_narrow, R, 1)
DRL_WEIGHT_TILE(weight_full1, R1, Q)
DRL_WEIGHT_TILE(weight_narrow1, R1, 1)

/* A 1x1 kernel at stride 1 sees no neighbours: all images are one tall one, where nothing else sets them apart. */
static drl_conv_dims merged(const drl_conv_dims *d, size_t *n, bool apart) {
    drl_conv_dims m = *d;
    if (d->k != 1 || d->stride != 1 || apart) return m;
    m.h = m.ho = d->h * *n;
    *n = 1;
    return m;
}

/* ---- Forward and data gradient ----------------------------------------------------------------------------------- */

static bool needs_frame(const drl_conv_dims *d, const frame *f) {
    return d->pad != 0 || f->h > d->h || f->w > d->w;
}

static void forward(drl_real *y, const drl_real *x, const drl_real *k, drl_real alpha, const drl_conv_sum *sum,
                    const drl_conv_dims *dims, size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch);
    drl_conv_dims d = merged(dims, &n, sum->start_step != 0);
    frame f = frame_of(d.h, d.w, d.cin, d.ho, d.wo, d.k, d.stride, d.pad);
    bool copy = needs_frame(&d, &f);
    drl_real *framed = copy ? drl_arena_take(scratch, f.size * sizeof *framed) : NULL;
    const drl_runs t = {d.k, d.k * d.cin, f.row};
    const drl_grid to = {d.wo * d.cout, d.cout}, from = {d.stride * f.row, d.stride * d.cin};
    for (size_t i = 0; i < n; i++) {
        const drl_real *image = x + i * d.h * d.w * d.cin;
        if (copy) fill_frame(framed, image, &f, d.h, d.w, d.pad);
        size_t at = i * d.ho * d.wo * d.cout;
        const drl_result res = {y + at, alpha, ending_of(sum), sum->start + i * sum->start_step,
                                sum->residual ? sum->residual + at : NULL};
        drl_product(&res, to, copy ? framed : image, from, d.ho, d.wo, &t, k, d.cout);
    }
    drl_arena_release(scratch, mark);
}

/* The kernel's rows (or columns) that reach input rows of one parity, the last one first, and the output row that the
 * first of them stands in for the first such input row: -1 or -2 where that is above the image. */
typedef struct reach {
    size_t n, k[3];
    int at;
} reach;

static reach reach_of(const drl_conv_dims *d, size_t parity) {
    reach r = {0};
    for (size_t k = d->k; k-- > 0;) {
        int offset = (int)(parity + d->pad) - (int)k;
        if (offset % (int)d->stride != 0) continue;
        if (r.n == 0) r.at = offset / (int)d->stride;
        r.k[r.n++] = k;
    }
    return r;
}

/* Input rows of a parity. */
static size_t rows_of(size_t h, size_t parity, size_t stride) {
    return h > parity ? (h - parity - 1) / stride + 1 : 0;
}

/* The frame of dy in which every class finds its taps; *before: zeros on top and left. */
static frame back_frame(const drl_conv_dims *d, size_t *before) {
    size_t h = 0, w = 0, b = 0;
    for (size_t parity = 0; parity < d->stride; parity++) {
        reach r = reach_of(d, parity);
        if (r.at < 0 && (size_t)-r.at > b) b = (size_t)-r.at;
    }
    for (size_t parity = 0; parity < d->stride; parity++) {
        reach r = reach_of(d, parity);
        if (r.n == 0) continue;
        size_t start = (size_t)((int)b + r.at) + r.n - 1;
        size_t down = start + rows_of(d->h, parity, d->stride), right = start + rows_of(d->w, parity, d->stride);
        h = down > h ? down : h, w = right > w ? right : w;
    }
    *before = b;
    h = h > d->ho + b ? h : d->ho + b, w = w > d->wo + b ? w : d->wo + b;
    return (frame){h, w, d->cout, w * d->cout, h * w * d->cout};
}

/* packed[block][(row, column, o)][i] = w[row][column][block * B + i][o] over the taps of a class */
static void pack_class(drl_real *restrict to, const drl_real *restrict w, const reach *ry, const reach *rx,
                       const drl_conv_dims *d) {
    size_t in = d->cin, out = d->cout;
    for (size_t b = 0; b < blocks_of(in); b++) {
        size_t channels = min_size(B, in - b * B);
        for (size_t t = 0; t < ry->n * rx->n; t++) {
            const drl_real *from = w + ((ry->k[t / rx->n] * d->k + rx->k[t % rx->n]) * in + b * B) * out;
            for (size_t o = 0; o < out; o++, to += B) {
                for (size_t i = 0; i < channels; i++) to[i] = from[i * out + o];
                memset(to + channels, 0, (B - channels) * sizeof *to);
            }
        }
    }
}

/* Numbers of a class's packed weights; class c is of parities c / stride and c % stride. */
static size_t class_size(const drl_conv_dims *d, size_t c) {
    reach ry = reach_of(d, c / d->stride), rx = reach_of(d, c % d->stride);
    return drl_packed_size(ry.n * rx.n * d->cout, d->cin);
}

static size_t prepared(const drl_conv_dims *d) {
    size_t forward = drl_packed_size(d->k * d->k * d->cin, d->cout);
    size_t backward = drl_packed_size(d->k * d->k * d->cout, d->cin); /* every tap is in one class */
    return forward > backward ? forward : backward;
}

static void prepare(drl_real *k, const drl_real *w, bool backward, const drl_conv_dims *d, drl_arena *scratch) {
    (void)scratch;
    if (!backward) drl_pack(k, w, d->k * d->k * d->cin, d->cout, d->cout);
    for (size_t c = 0; backward && c < d->stride * d->stride; k += class_size(d, c), c++) {
        reach ry = reach_of(d, c / d->stride), rx = reach_of(d, c % d->stride);
        pack_class(k, w, &ry, &rx, d);
    }
}

/* One class of the pixels of an image's dx, from framed dy. */
static void class_data(drl_real *dx, const drl_real *framed, const frame *f, size_t before, size_t py, size_t px,
                       const drl_real *packed, drl_real alpha, bool add, const drl_conv_dims *d) {
    reach ry = reach_of(d, py), rx = reach_of(d, px);
    size_t h = rows_of(d->h, py, d->stride), w = rows_of(d->w, px, d->stride), C = d->cin;
    const drl_grid to = {d->stride * d->w * C, d->stride * C}, from = {f->row, f->c};
    drl_real *first = dx + (py * d->w + px) * C;
    if (h == 0 || w == 0) return;
    if (ry.n == 0 || rx.n == 0) { /* no output sees these pixels */
        for (size_t i = 0; !add && i < h; i++)
            for (size_t j = 0; j < w; j++) memset(first + i * to.row + j * to.step, 0, C * sizeof *dx);
        return;
    }
    const drl_runs t = {ry.n, rx.n * d->cout, f->row};
    const drl_real *x = framed + (size_t)((int)before + ry.at) * f->row + (size_t)((int)before + rx.at) * f->c;
    const drl_result res = {first, alpha, add ? ADD : WRITE, NULL, NULL};
    drl_product(&res, to, x, from, h, w, &t, packed, C);
}

static void backward_data(drl_real *dx, const drl_real *dy, const drl_real *k, drl_real alpha, bool add,
                          const drl_conv_dims *dims, size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch), before, s = dims->stride;
    assert(s * s <= CLASSES);
    drl_conv_dims d = merged(dims, &n, false);
    frame f = back_frame(&d, &before);
    bool copy = before > 0 || f.h > d.ho || f.w > d.wo;
    drl_real *framed = copy ? drl_arena_take(scratch, f.size * sizeof *framed) : NULL;
    const drl_real *packed[CLASSES];
    for (size_t c = 0; c < s * s; k += class_size(&d, c), c++) packed[c] = k;
    for (size_t i = 0; i < n; i++) {
        const drl_real *image = dy + i * d.ho * d.wo * d.cout;
        if (copy) fill_frame(framed, image, &f, d.ho, d.wo, before);
        for (size_t c = 0; c < s * s; c++)
            class_data(dx + i * d.h * d.w * d.cin, copy ? framed : image, &f, before, c / s, c % s, packed[c], alpha,
                       add, &d);
    }
    drl_arena_release(scratch, mark);
}

/* ---- Weight gradient --------------------------------------------------------------------------------------------- */

static bool runs_are_whole(const drl_conv_dims *d) {
    return d->k == 1 && d->cin % R1 == 0;
}

/* Run positions rounded up to whole tiles. */
static size_t padded_run(const drl_conv_dims *d) {
    return runs_are_whole(d) ? d->cin : (d->k * d->cin + R - 1) / R * R;
}

/* Rows of dy that are worked on together: enough pixels to pay for loading and storing the sums, few enough that their
 * part of x and dy stays in the first-level cache. */
static size_t chunk_rows(const drl_conv_dims *d) {
    size_t rows = 128 / d->wo;
    return rows < 1 ? 1 : min_size(rows, d->ho);
}

/* sums[block][ky][padded_run][B] += this image's part; x has `pitch` numbers a row, dy `step` a pixel. */
static void weight_image(drl_real *sums, const drl_real *x, size_t pitch, const drl_real *dy, size_t step,
                         const drl_conv_dims *d) {
    size_t padded = padded_run(d), chunk = chunk_rows(d), tile = runs_are_whole(d) ? R1 : R;
    for (size_t y0 = 0; y0 < d->ho; y0 += chunk) {
        size_t rows = min_size(chunk, d->ho - y0);
        for (size_t b = 0; b < blocks_of(d->cout); b++) {
            bool narrow = vectors_of(d->cout, b) == 1;
            for (size_t ky = 0; ky < d->k; ky++)
                for (size_t r = 0; r < padded; r += tile)
                    (tile == R1 ? (narrow ? weight_narrow1 : weight_full1) : (narrow ? weight_narrow : weight_full))(
                        sums + ((b * d->k + ky) * padded + r) * B, B, x + (y0 * d->stride + ky) * pitch + r,
                        dy + y0 * d->wo * step + b * B, rows, d->wo, d->stride * pitch, d->stride * d->cin, step);
        }
    }
}

/* dw[ky, r, o] += alpha sums */
static void unpack_sums(drl_real *dw, const drl_real *sums, drl_real alpha, const drl_conv_dims *d) {
    size_t padded = padded_run(d), run = d->k * d->cin;
    for (size_t b = 0; b < blocks_of(d->cout); b++) {
        size_t channels = min_size(B, d->cout - b * B);
        for (size_t ky = 0; ky < d->k; ky++)
            for (size_t r = 0; r < run; r++) {
                drl_real *restrict to = dw + (ky * run + r) * d->cout + b * B;
                const drl_real *restrict from = sums + ((b * d->k + ky) * padded + r) * B;
                for (size_t o = 0; o < channels; o++) to[o] += alpha * from[o];
            }
    }
}

static void backward_weight(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha,
                            const drl_conv_dims *dims, size_t n, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch);
    /* Channels that do not fill vectors are copied into rows that do, image by image. */
    bool spread = dims->cout % V != 0;
    drl_conv_dims d = merged(dims, &n, spread || !runs_are_whole(dims)); /* copies are of single images */
    size_t pixels = d.ho * d.wo, wide = blocks_of(d.cout) * B;
    frame f = frame_of(d.h, d.w, d.cin, d.ho, d.wo, d.k, d.stride, d.pad);
    bool copy = needs_frame(&d, &f) || !runs_are_whole(&d);
    size_t n_sums = blocks_of(d.cout) * d.k * padded_run(&d) * B;
    drl_real *sums = drl_arena_take(scratch, n_sums * sizeof *sums);
    drl_real *framed = copy ? drl_arena_take(scratch, (f.size + R) * sizeof *framed) : NULL;
    drl_real *wider = spread ? drl_arena_take(scratch, pixels * wide * sizeof *wider) : NULL;
    memset(sums, 0, n_sums * sizeof *sums);
    if (copy) memset(framed + f.size, 0, R * sizeof *framed);
    if (spread) memset(wider, 0, pixels * wide * sizeof *wider);
    for (size_t i = 0; i < n; i++) {
        const drl_real *image = x + i * d.h * d.w * d.cin, *g = dy + i * pixels * d.cout;
        if (copy) fill_frame(framed, image, &f, d.h, d.w, d.pad);
        for (size_t p = 0; spread && p < pixels; p++) memcpy(wider + p * wide, g + p * d.cout, d.cout * sizeof *g);
        weight_image(sums, copy ? framed : image, f.row, spread ? wider : g, spread ? wide : d.cout, &d);
    }
    unpack_sums(dw, sums, alpha, &d);
    drl_arena_release(scratch, mark);
}

static size_t scratch_of(const drl_conv_dims *d) {
    size_t before, wider = d->ho * d->wo * blocks_of(d->cout) * B;
    frame in = frame_of(d->h, d->w, d->cin, d->ho, d->wo, d->k, d->stride, d->pad), back = back_frame(d, &before);
    size_t sums = blocks_of(d->cout) * d->k * padded_run(d) * B, framed = in.size > back.size ? in.size : back.size;
    return (sums + framed + R + wider) * sizeof(drl_real) + 3 * DRL_ALIGN;
}

static bool applies(const drl_conv_dims *d) {
    return d->stride * d->stride <= CLASSES && d->k <= 3;
}

const drl_conv_family drl_conv_direct = {"direct",      prepared,        prepare,    forward,
                                         backward_data, backward_weight, scratch_of, applies};
