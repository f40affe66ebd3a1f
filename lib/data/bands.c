/* Low and high frequencies of images, and errors of reconstructions (drl/bands.h). */
#include "drl/bands.h"

#include <assert.h>

/* One square of one channel: x, low and high point at its first pixel. */
static void split_square(drl_real *low, drl_real *high, const drl_real *x, size_t rows, size_t columns, size_t row,
                         size_t pixel) {
    double sum = 0;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) sum += (double)x[i * row + j * pixel];
    drl_real mean = (drl_real)(sum / (double)(rows * columns));
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            low[i * row + j * pixel] = mean;
            high[i * row + j * pixel] = x[i * row + j * pixel] - mean;
        }
}

void drl_bands(drl_real *restrict low, drl_real *restrict high, const drl_real *restrict x, const drl_images *im,
               size_t block) {
    assert(block > 0);
    for (size_t top = 0; top < im->h; top += block)
        for (size_t left = 0; left < im->w; left += block)
            for (size_t c = 0; c < im->c; c++) {
                size_t rows = im->h - top < block ? im->h - top : block;
                size_t columns = im->w - left < block ? im->w - left : block, at = (top * im->w + left) * im->c + c;
                split_square(low + at, high + at, x + at, rows, columns, im->w * im->c, im->c);
            }
}

static double distance2(const drl_real *a, const drl_real *b, size_t size) {
    double sum = 0;
    for (size_t e = 0; e < size; e++) sum += ((double)a[e] - (double)b[e]) * ((double)a[e] - (double)b[e]);
    return sum;
}

double drl_error_ratio(const drl_real *x, const drl_real *y, size_t n, size_t size) {
    double own = 0, others = 0;
    assert(n >= 2);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) *(i == j ? &own : &others) += distance2(y + j * size, x + i * size, size);
    return others > 0 ? own * (double)(n - 1) / others : 1;
}
