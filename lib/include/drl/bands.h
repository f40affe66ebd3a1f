/* How much of an image, by spatial frequency, another has. */
#ifndef DRL_BANDS_H
#define DRL_BANDS_H

#include "drl/data.h"

/* x (h, w, c) = low + high: low is in every pixel the mean of its square of side `block`, squares being cut off at the
 * right and lower edge; high is what it leaves. The two are orthogonal, so that |x|^2 = |low|^2 + |high|^2. h, w and c
 * are those of `images`; block >= 1 (asserted). Buffers do not overlap. */
void drl_bands(drl_real *restrict low, drl_real *restrict high, const drl_real *restrict x, const drl_images *images,
               size_t block);

/* Mean over i of |y_i - x_i|^2 over the mean over i != j of |y_j - x_i|^2; x, y (n, size), n >= 2 (asserted). 0 where
 * every y is its x; 1 where y_i says no more of x_i than any other y does, and so where all y are one; 1 where both are
 * 0. */
double drl_error_ratio(const drl_real *x, const drl_real *y, size_t n, size_t size);

#endif
