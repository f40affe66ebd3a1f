/* Mean and spread, paired comparisons, Holm's adjustment, the bootstrap (drl/stats.h). */
#include "drl/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "drl/mem.h"
#include "drl/rng.h"

/* Of a sum of n values and the sum of their squared distances from the mean. */
static drl_stats of_sums(size_t n, double mean, double squares) {
    drl_stats s = {.n = n, .mean = mean};
    if (n < 2) return s;
    s.std = sqrt(squares / (double)(n - 1));
    s.half95 = drl_student_t975(n - 1) * s.std / sqrt((double)n);
    return s;
}

drl_stats drl_stats_of(const double *values, size_t n) {
    double sum = 0, squares = 0;
    if (n == 0) return (drl_stats){.mean = NAN};
    for (size_t i = 0; i < n; i++) sum += values[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    return of_sums(n, mean, squares);
}

/* ---- One sample of differences ----------------------------------------------------------------------------------- */

double drl_stats_d_z(drl_stats d) {
    if (d.n < 2) return NAN;
    return d.std == 0 && d.mean == 0 ? 0 : d.mean / d.std;
}

double drl_stats_t(drl_stats d) {
    return drl_stats_d_z(d) * sqrt((double)d.n);
}

double drl_stats_p(drl_stats d) {
    return d.n < 2 ? NAN : drl_student_two_sided(drl_stats_t(d), (double)(d.n - 1));
}

double drl_stats_hedges(drl_stats d) {
    if (d.n < 3) return NAN;
    double m = 0.5 * (double)(d.n - 1);
    return exp(lgamma(m) - lgamma(m - 0.5)) / sqrt(m) * drl_stats_d_z(d);
}

/* ---- Two series, pair by pair ------------------------------------------------------------------------------------ */

/* Share of the 2^n assignments of signs, bit i of `signs` that of d[i], with |sum| >= observed. The margin keeps
 * sums that differ by rounding alone from counting as smaller. */
static double flip_all(const double *d, size_t n, double observed) {
    size_t count = 0, all = (size_t)1 << n;
    for (size_t signs = 0; signs < all; signs++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += signs >> i & 1 ? -d[i] : d[i];
        count += fabs(sum) >= observed;
    }
    return (double)count / (double)all;
}

/* The same of drawn assignments; the observed one counts among them. Draw f takes values f n ... f n + n - 1. */
static double flip_some(const double *a, const double *b, size_t n, double observed, uint64_t seed) {
    drl_rng rng = drl_rng_stream(seed, DRL_RNG_BOOTSTRAP, 1, 0);
    size_t count = 1;
    for (size_t f = 0; f < DRL_SIGN_FLIPS; f++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            double d = a[i] - b[i];
            if (isfinite(d)) sum += drl_rng_uniform_at(rng, f * n + i) < 0.5 ? -d : d;
        }
        count += fabs(sum) >= observed;
    }
    return (double)count / (DRL_SIGN_FLIPS + 1.0);
}

drl_paired drl_stats_paired(const double *a, const double *b, size_t n, uint64_t seed) {
    double few[DRL_SIGN_FLIP_EXACT], sum = 0, size = 0, squares = 0;
    size_t pairs = 0;
    for (size_t i = 0; i < n; i++) {
        double d = a[i] - b[i];
        if (!isfinite(d)) continue;
        if (pairs < DRL_SIGN_FLIP_EXACT) few[pairs] = d;
        pairs++;
        sum += d;
        size += fabs(d);
    }
    double mean = pairs ? sum / (double)pairs : NAN, observed = fabs(sum) - 1e-12 * size;
    for (size_t i = 0; i < n; i++) {
        double d = a[i] - b[i] - mean;
        if (isfinite(d)) squares += d * d;
    }
    drl_paired c = {.difference = of_sums(pairs, mean, squares), .exact = pairs <= DRL_SIGN_FLIP_EXACT};
    c.t = drl_stats_t(c.difference);
    c.p = drl_stats_p(c.difference);
    c.d_z = drl_stats_d_z(c.difference);
    c.hedges = drl_stats_hedges(c.difference);
    c.p_sign_flip = pairs == 0 ? NAN : c.exact ? flip_all(few, pairs, observed) : flip_some(a, b, n, observed, seed);
    return c;
}

/* ---- Many tests -------------------------------------------------------------------------------------------------- */

void drl_stats_holm(double *restrict adjusted, const double *restrict p, size_t m) {
    size_t tests = 0;
    double largest = 0;
    for (size_t i = 0; i < m; i++) {
        adjusted[i] = NAN;
        tests += !isnan(p[i]);
    }
    /* from the smallest to the largest, equal ones in their order */
    for (size_t rank = 0; rank < tests; rank++) {
        size_t next = m;
        for (size_t i = 0; i < m; i++) {
            bool left = isnan(adjusted[i]) && !isnan(p[i]);
            if (left && (next == m || p[i] < p[next])) next = i;
        }
        largest = fmax(largest, fmin(1, (double)(tests - rank) * p[next]));
        adjusted[next] = largest;
    }
}

/* ---- Bootstrap --------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

drl_status drl_stats_bootstrap(drl_interval *interval, const double *values, size_t n, double level, size_t resamples,
                               uint64_t seed, drl_err *err) {
    assert(level > 0 && level < 1 && resamples > 0);
    drl_rng rng = drl_rng_stream(seed, DRL_RNG_BOOTSTRAP, 0, 0);
    double *means;
    *interval = (drl_interval){NAN, NAN};
    if (n == 0) return drl_fail(err, DRL_ERR_NUMERIC, "bootstrap: no values");
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return drl_fail(err, DRL_ERR_NUMERIC, "bootstrap: value %zu of %zu is not a finite number", i + 1, n);
    if (n == 1) return DRL_OK;
    drl_status st = drl_alloc(&means, resamples, sizeof *means, "means of the bootstrap", err);
    if (st != DRL_OK) return st;
    for (size_t r = 0; r < resamples; r++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += values[(size_t)(drl_rng_uniform_at(rng, r * n + i) * (double)n)];
        means[r] = sum / (double)n;
    }
    qsort(means, resamples, sizeof *means, ascending);
    /* less a hair: (1 - 0.95) / 2 is not quite 0.025 */
    size_t k = (size_t)ceil(0.5 * (1 - level) * (double)resamples - 1e-9);
    if (k == 0) k = 1;
    *interval = (drl_interval){means[k - 1], means[resamples - k]};
    drl_free(means);
    return DRL_OK;
}
