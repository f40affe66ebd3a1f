/* Diffusion processes (drl/sde.h). 1 - exp(x) is written -expm1(x): at t = 1e-5 the plain form has lost its digits. */
#define _DEFAULT_SOURCE /* M_PI, M_SQRT1_2 */
#include "drl/sde.h"

#include <math.h>

drl_sde drl_sde_published(drl_sde_kind kind) {
    return (drl_sde){kind, 0.01, 50, 0.1, 20, 1e-5};
}

const char *drl_sde_name(drl_sde_kind kind) {
    static const char *const names[] = {"ve", "vp", "subvp"};
    return names[kind];
}

/* l(t) = integral of -b/2 */
static double log_mean(const drl_sde *s, double t) {
    return -0.25 * t * t * (s->beta_max - s->beta_min) - 0.5 * t * s->beta_min;
}

drl_sde_marginal drl_sde_marginal_at(const drl_sde *s, double t) {
    if (s->kind == DRL_SDE_VE) return (drl_sde_marginal){1, s->sigma_min * pow(s->sigma_max / s->sigma_min, t)};
    double l = log_mean(s, t), var = -expm1(2 * l);
    return (drl_sde_marginal){exp(l), s->kind == DRL_SDE_VP ? sqrt(var) : var};
}

drl_sde_coef drl_sde_coef_at(const drl_sde *s, double t) {
    if (s->kind == DRL_SDE_VE)
        return (drl_sde_coef){0, drl_sde_marginal_at(s, t).std * sqrt(2 * log(s->sigma_max / s->sigma_min))};
    double b = s->beta_min + t * (s->beta_max - s->beta_min);
    double g2 = s->kind == DRL_SDE_VP ? b : b * -expm1(4 * log_mean(s, t));
    return (drl_sde_coef){-0.5 * b, sqrt(g2)};
}

double drl_sde_label(const drl_sde *s, double t) {
    return s->kind == DRL_SDE_VE ? drl_sde_marginal_at(s, t).std : fmax(999 * t, 1e-3);
}

double drl_sde_score_factor(const drl_sde *s, double t) {
    double std = drl_sde_marginal_at(s, t).std;
    return s->kind == DRL_SDE_VE ? 1 / std : -1 / std;
}

drl_time_map drl_sde_time_map(const drl_sde *s) {
    return s->kind == DRL_SDE_VE ? DRL_TIME_VE : DRL_TIME_VP;
}

double drl_sde_prior_std(const drl_sde *s) {
    return s->kind == DRL_SDE_VE ? s->sigma_max : 1;
}

/* ---- Densities of t ---------------------------------------------------------------------------------------------- */

drl_t_density drl_t_density_detail(double x) {
    return (drl_t_density){DRL_T_GAUSSIAN, 1 - x, 0.1};
}

static double normal_cdf(double x) {
    return 0.5 * erfc(-x * M_SQRT1_2);
}

/* ln P(Z > z) of a standard normal Z, z >= 0; far out by the tail's asymptotic series, where erfc underflows. */
static double log_tail(double z) {
    if (z < 30) return log(0.5 * erfc(z * M_SQRT1_2));
    double y = 1 / (z * z);
    return -0.5 * z * z - log(z * sqrt(2 * M_PI)) + log1p(-y * (1 - 3 * y * (1 - 5 * y)));
}

/* The distance x from the mean, near <= x <= far (in standard deviations), at which a share u of the probability
 * between near and far lies below x. Both are on one side of the mean: ratios of tails keep their digits. */
static double tail_quantile(double near, double far, double u) {
    double start = log_tail(near), all = -expm1(log_tail(far) - start), lo = near, hi = far;
    for (int i = 0; i < 60; i++) {
        double mid = 0.5 * (lo + hi);
        if (-expm1(log_tail(mid) - start) < u * all)
            lo = mid;
        else
            hi = mid;
    }
    return 0.5 * (lo + hi);
}

/* The truncated Gaussian's quantile by bisection of its distribution function: 60 halvings leave nothing to gain. */
static double gaussian_quantile(const drl_t_density *d, double t_min, double u) {
    double low = (t_min - d->mean) / d->std, high = (1 - d->mean) / d->std;
    if (low > 0) return d->mean + d->std * tail_quantile(low, high, u);
    if (high < 0) return d->mean - d->std * tail_quantile(-high, -low, 1 - u);
    double below = normal_cdf(low), all = normal_cdf(high) - below, lo = t_min, hi = 1;
    for (int i = 0; i < 60; i++) {
        double mid = 0.5 * (lo + hi);
        if (normal_cdf((mid - d->mean) / d->std) - below < u * all)
            lo = mid;
        else
            hi = mid;
    }
    return 0.5 * (lo + hi);
}

double drl_t_quantile(const drl_t_density *d, double t_min, double u) {
    double span = 1 - t_min, t;
    switch (d->kind) {
    case DRL_T_LOW: t = 1 - span * sqrt(1 - u); break;                         /* 1 - F = ((1 - t)/span)^2 */
    case DRL_T_HIGH: t = sqrt(t_min * t_min + u * (1 - t_min * t_min)); break; /* F = (t^2 - t_min^2)/(1 - t_min^2) */
    case DRL_T_GAUSSIAN: t = gaussian_quantile(d, t_min, u); break;
    default: t = t_min + span * u;
    }
    return fmin(1, fmax(t_min, t)); /* rounding may step over the ends */
}
