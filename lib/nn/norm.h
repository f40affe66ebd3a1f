/* Per-channel sums that all normalisations are made of. x is (pixels, C). Runs of at most 64 pixels are added in
 * drl_real, the runs in double: fast and, for thousands of pixels, as good as double throughout. */
#ifndef DRL_NN_NORM_H
#define DRL_NN_NORM_H

#include <stdbool.h>

#include "drl/mem.h"
#include "drl/real.h"

/* sum[c] = sum_p x[p,c] */
void drl_channel_sums(double *sum, const drl_real *x, size_t pixels, size_t C, drl_arena *scratch);
/* square[c] = sum_p (x[p,c] - mean[c])^2 */
void drl_channel_squares(double *square, const drl_real *x, const double *mean, size_t pixels, size_t C,
                         drl_arena *scratch);
/* sums[c] = sum_p da[p,c];  dots[c] = sum_p da[p,c] (x[p,c] - mean[c]) */
void drl_channel_dots(double *sums, double *dots, const drl_real *da, const drl_real *x, const drl_real *mean,
                      size_t pixels, size_t C, drl_arena *scratch);
/* dx (or +=) k0[c] da + k1[c] (x - mean[c]) + k2[c] */
void drl_norm_dx(drl_real *dx, const drl_real *da, const drl_real *x, const drl_real *mean, const drl_real *k0,
                 const drl_real *k1, const drl_real *k2, bool add, size_t pixels, size_t C);
/* Bytes of scratch that a normalisation of C channels takes for its vectors, whole images not counted. */
size_t drl_norm_scratch(size_t C);

#endif
