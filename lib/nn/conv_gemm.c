/* The portable convolution: blocks of output rows are unrolled into a matrix whose row holds the k*k*cin inputs of one
 * output pixel ("im2col"), small enough to stay in the second-level cache, and multiplied by OpenBLAS. */
#include "nn/conv_kernel.h"

#include <string.h>

#include "drl/blas.h"

#define BLOCK_BYTES ((size_t)192 * 1024)

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Output rows (of all images, counted through) in a block. */
static size_t block_rows(const drl_conv_dims *d) {
    size_t row = d->wo * d->k * d->k * (d->cin > d->cout ? d->cin : d->cout) * sizeof(drl_real);
    return row >= BLOCK_BYTES ? 1 : BLOCK_BYTES / row;
}

static bool is_pointwise(const drl_conv_dims *d) {
    return d->k == 1 && d->stride == 1;
}

/* col (rows * wo, k*k*c): the inputs of output rows first .. first + rows - 1 (row r belongs to image r / ho). `x` has
 * c channels; `dims` supplies everything else. */
static void unroll(drl_real *restrict col, const drl_real *restrict x, size_t c, size_t h, size_t w, size_t ho,
                   size_t wo, const drl_conv_dims *d, size_t stride, size_t pad, size_t first, size_t rows) {
    for (size_t r = first; r < first + rows; r++) {
        const drl_real *image = x + r / ho * h * w * c;
        size_t oy = r % ho;
        for (size_t ox = 0; ox < wo; ox++) {
            for (size_t ky = 0; ky < d->k; ky++) {
                size_t iy = oy * stride + ky - pad; /* wraps below zero, which is then >= h */
                size_t ix0 = ox * stride - pad;
                if (iy < h && ix0 < w && ix0 + d->k <= w) {
                    memcpy(col, image + (iy * w + ix0) * c, d->k * c * sizeof *col);
                    col += d->k * c;
                    continue;
                }
                for (size_t kx = 0; kx < d->k; kx++, col += c) {
                    size_t ix = ix0 + kx;
                    if (iy < h && ix < w)
                        memcpy(col, image + (iy * w + ix) * c, c * sizeof *col);
                    else
                        memset(col, 0, c * sizeof *col);
                }
            }
        }
    }
}

/* The transpose of unroll: adds the rows of col back to the pixels they came from. */
static void roll(drl_real *restrict x, const drl_real *restrict col, const drl_conv_dims *d, size_t first,
                 size_t rows) {
    for (size_t r = first; r < first + rows; r++) {
        drl_real *image = x + r / d->ho * d->h * d->w * d->cin;
        for (size_t ox = 0; ox < d->wo; ox++)
            for (size_t ky = 0; ky < d->k; ky++)
                for (size_t kx = 0; kx < d->k; kx++, col += d->cin) {
                    size_t iy = r % d->ho * d->stride + ky - d->pad, ix = ox * d->stride + kx - d->pad;
                    if (iy >= d->h || ix >= d->w) continue;
                    drl_real *restrict to = image + (iy * d->w + ix) * d->cin;
                    for (size_t c = 0; c < d->cin; c++) to[c] += col[c];
                }
    }
}

static size_t scratch_of(const drl_conv_dims *d) {
    size_t c = d->cin > d->cout ? d->cin : d->cout, taps = d->k * d->k;
    return (block_rows(d) * (d->wo > d->w ? d->wo : d->w) * taps * c + taps * d->cin * d->cout) * sizeof(drl_real) +
           4 * DRL_ALIGN;
}

/* y = start + alpha residual, to which the products are added */
static void begin(drl_real *restrict y, drl_real alpha, const drl_conv_sum *sum, const drl_conv_dims *d, size_t n) {
    size_t C = d->cout, pixels = d->ho * d->wo;
    for (size_t i = 0; i < n; i++) {
        const drl_real *restrict start = sum->start + i * sum->start_step;
        for (size_t p = i * pixels; p < (i + 1) * pixels; p++) {
            memcpy(y + p * C, start, C * sizeof *y);
            for (size_t c = 0; sum->residual && c < C; c++) y[p * C + c] += alpha * sum->residual[p * C + c];
        }
    }
}

static void rectify(drl_real *y, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = y[i] < 0 ? 0 : y[i];
}

/* Rows of an unrolled image times the weights, block by block, each finished while it is near. */
static void forward(drl_real *y, const drl_real *x, const drl_real *w, drl_real alpha, const drl_conv_sum *sum,
                    const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    begin(y, alpha, sum, d, n);
    size_t depth = d->k * d->k * d->cin, step = block_rows(d), rows = n * d->ho;
    if (is_pointwise(d)) {
        drl_gemm(false, false, rows * d->wo, d->cout, depth, alpha, x, depth, w, d->cout, 1, y, d->cout);
        if (sum->rectified) rectify(y, rows * d->wo * d->cout);
        return;
    }
    size_t mark = drl_arena_mark(scratch);
    drl_real *col = drl_arena_take(scratch, step * d->wo * depth * sizeof *col);
    for (size_t r = 0; r < rows; r += step) {
        size_t m = min_size(step, rows - r);
        unroll(col, x, d->cin, d->h, d->w, d->ho, d->wo, d, d->stride, d->pad, r, m);
        drl_real *block = y + r * d->wo * d->cout;
        drl_gemm(false, false, m * d->wo, d->cout, depth, alpha, col, depth, w, d->cout, 1, block, d->cout);
        if (sum->rectified) rectify(block, m * d->wo * d->cout);
    }
    drl_arena_release(scratch, mark);
}

/* Stride 1, output as large as the input: the data gradient is itself a convolution of dy, with the kernel turned by
 * 180 degrees and in and out exchanged. */
static void backward_data_same(drl_real *dx, const drl_real *dy, const drl_real *w, drl_real alpha, bool add,
                               const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    size_t taps = d->k * d->k, depth = taps * d->cout, step = block_rows(d), rows = n * d->h;
    drl_real *turned = drl_arena_take(scratch, depth * d->cin * sizeof *turned);
    for (size_t t = 0; t < taps; t++)
        for (size_t i = 0; i < d->cin; i++)
            for (size_t o = 0; o < d->cout; o++)
                turned[((taps - 1 - t) * d->cout + o) * d->cin + i] = w[(t * d->cin + i) * d->cout + o];
    drl_real *col = drl_arena_take(scratch, step * d->w * depth * sizeof *col);
    for (size_t r = 0; r < rows; r += step) {
        size_t m = min_size(step, rows - r);
        unroll(col, dy, d->cout, d->ho, d->wo, d->h, d->w, d, 1, d->k - 1 - d->pad, r, m);
        drl_gemm(false, false, m * d->w, d->cin, depth, alpha, col, depth, turned, d->cin, add, dx + r * d->w * d->cin,
                 d->cin);
    }
}

static void backward_data(drl_real *dx, const drl_real *dy, const drl_real *w, drl_real alpha, bool add,
                          const drl_conv_dims *d, size_t n, drl_arena *scratch) {
    size_t depth = d->k * d->k * d->cin, step = block_rows(d), rows = n * d->ho, mark = drl_arena_mark(scratch);
    if (is_pointwise(d)) {
        drl_gemm(false, true, rows * d->wo, depth, d->cout, alpha, dy, d->cout, w, d->cout, add, dx, depth);
    } else if (d->stride == 1 && d->ho == d->h && d->wo == d->w) {
        backward_data_same(dx, dy, w, alpha, add, d, n, scratch);
    } else {
        if (!add) memset(dx, 0, n * d->h * d->w * d->cin * sizeof *dx);
        drl_real *col = drl_arena_take(scratch, step * d->wo * depth * sizeof *col);
        for (size_t r = 0; r < rows; r += step) {
            size_t m = min_size(step, rows - r);
            drl_gemm(false, true, m * d->wo, depth, d->cout, alpha, dy + r * d->wo * d->cout, d->cout, w, d->cout, 0,
                     col, depth);
            roll(dx, col, d, r, m);
        }
    }
    drl_arena_release(scratch, mark);
}

static void backward_weight(drl_real *dw, const drl_real *x, const drl_real *dy, drl_real alpha, const drl_conv_dims *d,
                            size_t n, drl_arena *scratch) {
    size_t depth = d->k * d->k * d->cin, step = block_rows(d), rows = n * d->ho;
    if (is_pointwise(d)) {
        drl_gemm(true, false, depth, d->cout, rows * d->wo, alpha, x, depth, dy, d->cout, 1, dw, d->cout);
        return;
    }
    size_t mark = drl_arena_mark(scratch);
    drl_real *col = drl_arena_take(scratch, step * d->wo * depth * sizeof *col);
    for (size_t r = 0; r < rows; r += step) {
        size_t m = min_size(step, rows - r);
        unroll(col, x, d->cin, d->h, d->w, d->ho, d->wo, d, d->stride, d->pad, r, m);
        drl_gemm(true, false, depth, d->cout, m * d->wo, alpha, col, depth, dy + r * d->wo * d->cout, d->cout, 1, dw,
                 d->cout);
    }
    drl_arena_release(scratch, mark);
}

static bool applies(const drl_conv_dims *d) {
    (void)d;
    return true;
}

static size_t prepared(const drl_conv_dims *d) {
    (void)d;
    return 0;
}

const drl_conv_family drl_conv_gemm = {"gemm",        prepared,        NULL,       forward,
                                       backward_data, backward_weight, scratch_of, applies};
