/* Statistics over seeds: mean and spread, Student's t, intervals, paired comparisons, Holm's adjustment.
 *
 * Methods are compared pair by pair: value i of both is of the same seed and the same split, so that what a seed does
 * to both cancels in the difference. Missing values are NaN. Nothing here allocates but drl_stats_bootstrap. */
#ifndef DRL_STATS_H
#define DRL_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drl/err.h"

/* Mean, sample standard deviation and half-width of the 95 % interval (Student's t) of n values; n = 1: both 0, which
 * stands for no interval; n = 0: mean NaN. A NaN among the values makes all three NaN. */
typedef struct drl_stats {
    size_t n;
    double mean, std, half95;
} drl_stats;
drl_stats drl_stats_of(const double *values, size_t n);

/* ---- Student's t with dof > 0 degrees of freedom ----------------------------------------------------------------- */

/* P(T <= t) and P(|T| >= |t|) = I_x(dof/2, 1/2), x = dof / (dof + t^2)           [DLMF 8.17; Abramowitz & Stegun 26.7]
 * Good to 1e-11, below 1e5 degrees of freedom to 1e-12 of the smallest probabilities too. t may be infinite; NaN gives
 * NaN. */
double drl_student_cdf(double t, double dof);
double drl_student_two_sided(double t, double dof);
/* The t with P(T <= t) = p, for 0 < p < 1 (asserted). */
double drl_student_quantile(double p, double dof);
/* The 97.5 % quantile (12.706 for 1, 4.303 for 2, ... 1.960). */
double drl_student_t975(size_t dof);

/* ---- One sample of differences ----------------------------------------------------------------------------------- */

/* t = mean sqrt(n) / std, on n - 1 degrees of freedom, and its two-sided p, of "the mean is 0". n < 2: both NaN. All
 * values equal (std 0, rounding apart): of a mean of 0 t is 0 and p 1, of any other t is infinite and p 0: the t test
 * has nothing to measure the mean by there, and says so with full confidence. */
double drl_stats_t(drl_stats d);
double drl_stats_p(drl_stats d);
/* Cohen's d_z = mean / std, the effect in standard deviations of the difference; and Hedges' g, the same without the
 * bias of few pairs, J(n - 1) d_z, J(m) = Gamma(m/2) / (sqrt(m/2) Gamma((m-1)/2)).                   [Hedges 1981]
 * d_z: n < 2 NaN, std 0 as t. g: NaN for n < 3, where J does not exist. */
double drl_stats_d_z(drl_stats d);
double drl_stats_hedges(drl_stats d);

/* ---- Two series, pair by pair ------------------------------------------------------------------------------------ */

typedef struct drl_paired {
    drl_stats difference; /* a - b, of the n pairs that have both; n = 0: mean NaN                      */
    double t, p;          /* drl_stats_t and _p: two-sided, assumes differences are about normal        */
    double p_sign_flip;   /* two-sided, assumes only that a and b may be exchanged; n = 0: NaN          */
    bool exact;           /* p_sign_flip is of all 2^n assignments of signs: n <= DRL_SIGN_FLIP_EXACT   */
    double d_z, hedges;
} drl_paired;
enum { DRL_SIGN_FLIP_EXACT = 16, DRL_SIGN_FLIPS = 65535 };

/* Compares a and b, n values each; pairs of which one is not finite are left out. p_sign_flip is the share of the
 * assignments of signs to the differences whose |sum| is at least the observed one: of all of them, or, with more than
 * DRL_SIGN_FLIP_EXACT pairs, (1 + k) / (1 + DRL_SIGN_FLIPS) of drawn ones (stream DRL_RNG_BOOTSTRAP of the seed, sub
 * 1). It is at least 2 / 2^n: with 3 pairs 0.25, so that fewer than 6 never reach 5 %.               [Fisher 1935, 21]
 */
drl_paired drl_stats_paired(const double *a, const double *b, size_t n, uint64_t seed);

/* ---- Many tests -------------------------------------------------------------------------------------------------- */

/* adjusted[i] = max over p_j <= p_i of min(1, (m - rank_j) p_j), rank 0 for the smallest: the smallest level at which
 * Holm's step-down procedure rejects hypothesis i. Order is kept.                                         [Holm 1979]
 * NaN stays NaN and does not count among the m. The buffers do not overlap. */
void drl_stats_holm(double *restrict adjusted, const double *restrict p, size_t m);

/* ---- Bootstrap --------------------------------------------------------------------------------------------------- */

typedef struct drl_interval {
    double lo, hi;
} drl_interval;
enum { DRL_BOOTSTRAP_RESAMPLES = 10000 };

/* Percentile interval of the mean: n values are drawn with replacement `resamples` times; of the sorted means the k-th
 * from below and from above, k = ceil(resamples (1 - level) / 2).                                [Efron 1979; 1981]
 * Draws are stream DRL_RNG_BOOTSTRAP of the seed, sub 0: the same for every call. n = 1: no interval, both NaN. Of few
 * values it is too narrow (the spread of n values, not of n - 1, and no t): Student's interval is the one to report
 * for three seeds. 0 < level < 1, resamples > 0 (asserted).
 * ERR_NUMERIC: no values, or one that is not finite. ERR_MEMORY. */
drl_status drl_stats_bootstrap(drl_interval *interval, const double *values, size_t n, double level, size_t resamples,
                               uint64_t seed, drl_err *err);

#endif
