/* Resizing and blurring of pictures (augment_ops.h). */
#include <assert.h>
#include <math.h>

#include "augment_ops.h"

/* The two places of a window of n from `first` that output j of `whole` lies between, and the second's weight. */
typedef struct between {
    size_t at[2];
    drl_real second;
} between;

static between find(size_t j, size_t whole, size_t first, size_t n) {
    drl_real place = ((drl_real)j + (drl_real)0.5) * (drl_real)n / (drl_real)whole - (drl_real)0.5;
    if (place < 0) place = 0;
    size_t low = (size_t)place, high = low + 1 < n ? low + 1 : n - 1;
    return (between){{first + low, first + high}, place - (drl_real)low};
}

void drl_resize_window(drl_real *restrict out, const drl_real *restrict in, const picture_shape *s, size_t top,
                       size_t left, size_t rows, size_t columns) {
    size_t c = s->c, row = s->w * c;
    for (size_t y = 0; y < s->h; y++) {
        between v = find(y, s->h, top, rows);
        const drl_real *upper = in + v.at[0] * row, *lower = in + v.at[1] * row;
        for (size_t x = 0; x < s->w; x++, out += c) {
            between u = find(x, s->w, left, columns);
            for (size_t k = 0; k < c; k++) {
                size_t a = u.at[0] * c + k, b = u.at[1] * c + k;
                drl_real over = upper[a] + u.second * (upper[b] - upper[a]);
                drl_real under = lower[a] + u.second * (lower[b] - lower[a]);
                out[k] = over + v.second * (under - over);
            }
        }
    }
}

enum { MAX_KERNEL = 129 };

/* out = in convolved along one axis, whose n places are `step` numbers apart; the other axis has m, `pitch` apart. */
static void blur_axis(drl_real *restrict out, const drl_real *restrict in, const drl_real *kernel, size_t side,
                      size_t n, size_t step, size_t m, size_t pitch, size_t c) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) {
            drl_real sum[4] = {0};
            for (size_t t = 0; t < side; t++) {
                const drl_real *from = in + reflected((ptrdiff_t)(i + t) - (ptrdiff_t)(side / 2), n) * step + j * pitch;
                for (size_t k = 0; k < c; k++) sum[k] += kernel[t] * from[k];
            }
            for (size_t k = 0; k < c; k++) out[i * step + j * pitch + k] = sum[k];
        }
}

void drl_gaussian_blur(drl_real *x, drl_real *copy, const picture_shape *s, double sigma, size_t side) {
    assert(side % 2 == 1 && side <= MAX_KERNEL && side / 2 < s->h && side / 2 < s->w);
    drl_real kernel[MAX_KERNEL];
    double sum = 0, weight[MAX_KERNEL];
    for (size_t t = 0; t < side; t++) {
        double d = ((double)t - (double)(side / 2)) / sigma;
        sum += weight[t] = exp(-d * d / 2);
    }
    for (size_t t = 0; t < side; t++) kernel[t] = (drl_real)(weight[t] / sum);
    size_t row = s->w * s->c;
    blur_axis(copy, x, kernel, side, s->w, s->c, s->h, row, s->c);
    blur_axis(x, copy, kernel, side, s->h, row, s->w, s->c, s->c);
}
