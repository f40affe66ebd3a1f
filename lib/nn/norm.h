/* The passes that all normalisations over pixels are made of. x, y, da, dx are (pixels, C); C is any number. Sums run
 * over at most 64 pixels in drl_real and over these runs in double: fast and, for thousands of pixels, as good as
 * double throughout. */
#ifndef DRL_NN_NORM_H
#define DRL_NN_NORM_H

#include <stdbool.h>
#include <stddef.h>

#include "drl/real.h"

/* Per channel, (C) each:  a = slope (x - mean) + bias. Taking the mean off first keeps the digits of a small variance
 * on a large mean. With relu, what follows is max(a, 0). */
typedef struct drl_affine {
    const drl_real *mean, *slope, *bias;
    bool relu;
} drl_affine;

/* mean[c] = mean of x[p,c];  m2[c] = sum_p (x[p,c] - mean[c])^2. One pass, about the mean of some pixels. */
void drl_channel_moments(double *mean, double *m2, const drl_real *x, size_t pixels, size_t C);
/* sum[c] += scale sum_p x[p,c] */
void drl_channel_sums(drl_real *sum, const drl_real *x, drl_real scale, size_t pixels, size_t C);
/* y = a, or max(a, 0) with relu. NaN stays NaN, for the trainer to find. y may be x. */
void drl_norm_apply(drl_real *y, const drl_real *x, const drl_affine *n, size_t pixels, size_t C);
/* sums[c] += sum_p da[p,c];  dots[c] += sum_p da[p,c] (x[p,c] - mean[c]);  with relu, da counts as 0 where a <= 0. */
void drl_channel_dots(double *sums, double *dots, const drl_real *da, const drl_real *x, const drl_affine *n,
                      size_t pixels, size_t C);
/* dx = (or +=) k0[c] da + k1[c] (x - mean[c]) + k2[c]; da as above. */
void drl_norm_dx(drl_real *dx, const drl_real *da, const drl_real *x, const drl_affine *n, const drl_real *k0,
                 const drl_real *k1, const drl_real *k2, bool add, size_t pixels, size_t C);

#endif
