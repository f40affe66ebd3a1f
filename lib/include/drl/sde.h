/* Diffusion processes as small values, in double.                              [science, 2; vectors, 8]
 *
 *   dx = f(t) x dt + g(t) dw,   x_t = m(t) x_0 + s(t) eps,   t in [0, 1]
 *
 *            f           g                                   m         s                        label
 *   VE       0           s sqrt(2 ln(smax/smin))             1         smin (smax/smin)^t       s
 *   VP       -b/2        sqrt(b)                             e^l       sqrt(1 - e^2l)           max(999 t, 1e-3)
 *   sub-VP   -b/2        sqrt(b (1 - e^4l))                  e^l       1 - e^2l                 max(999 t, 1e-3)
 * with b(t) = b0 + t (b1 - b0), l(t) = -t^2 (b1 - b0)/4 - t b0/2; smin 0.01, smax 50, b0 0.1, b1 20. */
#ifndef DRL_SDE_H
#define DRL_SDE_H

#include <stdbool.h>
#include <stdint.h>

#include "drl/err.h"
#include "drl/ops.h"
#include "drl/rng.h"

typedef enum drl_sde_kind { DRL_SDE_VE, DRL_SDE_VP, DRL_SDE_SUBVP } drl_sde_kind;

typedef struct drl_sde {
    drl_sde_kind kind;
    double sigma_min, sigma_max, beta_min, beta_max;
    double t_min; /* smallest training time; 1e-5 */
} drl_sde;

/* The published constants. */
drl_sde drl_sde_published(drl_sde_kind kind);
const char *drl_sde_name(drl_sde_kind kind);

typedef struct drl_sde_coef {
    double drift, diffusion; /* f(t), g(t) */
} drl_sde_coef;
drl_sde_coef drl_sde_coef_at(const drl_sde *sde, double t);

typedef struct drl_sde_marginal {
    double mean, std; /* m(t), s(t) */
} drl_sde_marginal;
drl_sde_marginal drl_sde_marginal_at(const drl_sde *sde, double t);

/* What the score network's time embedding takes the logarithm of. */
double drl_sde_label(const drl_sde *sde, double t);
/* The score is raw * factor: 1/s(t) for VE (the network's output over the label), -1/s(t) otherwise. */
double drl_sde_score_factor(const drl_sde *sde, double t);
/* How the network's time input t becomes the embedding's scalar. */
drl_time_map drl_sde_time_map(const drl_sde *sde);
/* Standard deviation of the prior at t = 1: sigma_max, or 1. */
double drl_sde_prior_std(const drl_sde *sde);

/* ---- The density t is drawn from: control of the level of detail ----------------------------------- [science, 3]
 * Drawing t from a density p(t) instead of the uniform one multiplies the objective's weight at t by p(t): the same
 * minimiser for every t with p(t) > 0, another compromise between them.
 *   uniform    U(t_min, 1)
 *   low        density proportional to 1 - t:   low noise, fine detail
 *   high       density proportional to t:       high noise, coarse content
 *   gaussian   N(mean, std^2) truncated to [t_min, 1] */
typedef enum drl_t_density_kind { DRL_T_UNIFORM, DRL_T_LOW, DRL_T_HIGH, DRL_T_GAUSSIAN } drl_t_density_kind;

typedef struct drl_t_density {
    drl_t_density_kind kind;
    double mean, std; /* of the Gaussian */
} drl_t_density;

/* The level of detail x in [0, 1] as a density: Gaussian of mean 1 - x and deviation 0.1. Of VE that is noise of 50,
 * 5.9, 0.71, 0.084 and 0.01 deviations of the images around x = 0 (coarse), 0.25, 0.5, 0.75 and 1 (fine). */
drl_t_density drl_t_density_detail(double x);

/* The t whose distribution function (on [t_min, 1]) is u in [0, 1): drawing by inversion. */
double drl_t_quantile(const drl_t_density *density, double t_min, double u);

#endif
