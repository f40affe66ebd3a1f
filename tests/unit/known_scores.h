/* Data whose scores are known at every t: independent mixtures of two Gaussians along each axis, and a correlated
 * Gaussian. The including program is one translation unit, so everything is static inline. */
#ifndef KNOWN_SCORES_H
#define KNOWN_SCORES_H

#define _DEFAULT_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drl/sampler.h"

/* ---- Mixtures: w N(mean_0, std_0^2) + (1 - w) N(mean_1, std_1^2) on each axis ------------------------------------ */

enum { AXES = 4 };

typedef struct axis {
    double w, mean[2], std[2];
} axis;

/* Two Gaussians, w = 1, and two mixtures. */
static const axis axes[AXES] = {
    {1, {0, 0}, {1, 1}}, {1, {1, 0}, {0.5, 1}}, {0.3, {-1.2, 0.8}, {0.25, 0.4}}, {0.5, {-2, 1}, {0.5, 0.2}}};

/* The axis at time t: means m mean, variances m^2 std^2 + s^2. */
static inline axis axis_at(const drl_sde *sde, const axis *a, double t) {
    drl_sde_marginal k = drl_sde_marginal_at(sde, t);
    axis out = *a;
    for (int c = 0; c < 2; c++) out.mean[c] *= k.mean, out.std[c] = hypot(k.mean * a->std[c], k.std);
    return out;
}

/* d/dx log p(x): the components' scores, weighted by their share of the density. */
static inline double axis_score(const axis *a, double x) {
    double z0 = (x - a->mean[0]) / a->std[0], s0 = -z0 / a->std[0];
    if (a->w == 1) return s0;
    double z1 = (x - a->mean[1]) / a->std[1], s1 = -z1 / a->std[1];
    double odds = (1 - a->w) / a->w * a->std[0] / a->std[1] * exp(0.5 * (z0 * z0 - z1 * z1)), share = 1 / (1 + odds);
    return share * s0 + (1 - share) * s1;
}

static inline double axis_mean(const axis *a) {
    return a->w * a->mean[0] + (1 - a->w) * a->mean[1];
}

static inline double axis_std(const axis *a) {
    double square = 0, mean = axis_mean(a);
    for (int c = 0; c < 2; c++)
        square += (c ? 1 - a->w : a->w) * (a->std[c] * a->std[c] + (a->mean[c] - mean) * (a->mean[c] - mean));
    return sqrt(square);
}

static inline double axis_cdf(const axis *a, double x) {
    double p = 0;
    for (int c = 0; c < 2; c++) p += (c ? 1 - a->w : a->w) * 0.5 * erfc((a->mean[c] - x) / (a->std[c] * sqrt(2)));
    return p;
}

static inline double axis_quantile(const axis *a, double u) {
    double lo = -20, hi = 20;
    for (int i = 0; i < 50; i++) {
        double mid = 0.5 * (lo + hi);
        *(axis_cdf(a, mid) < u ? &lo : &hi) = mid;
    }
    return 0.5 * (lo + hi);
}

/* arg: the process */
static inline drl_status mixtures_at(void *arg, const drl_real *x, size_t n, double t, drl_real *out, drl_err *err) {
    (void)err;
    axis now[AXES];
    for (int j = 0; j < AXES; j++) now[j] = axis_at(arg, &axes[j], t);
    for (size_t i = 0; i < n * AXES; i++) out[i] = (drl_real)axis_score(&now[i % AXES], (double)x[i]);
    return DRL_OK;
}

static inline drl_score mixtures(drl_sde *sde) {
    return (drl_score){.size = AXES, .at = mixtures_at, .arg = sde};
}

/* ---- A correlated Gaussian in three dimensions ------------------------------------------------------------------- */

enum { DIM = 3 };

typedef struct gaussian {
    drl_sde sde;
    double mean[DIM], cov[DIM][DIM];
} gaussian;

/* out = m^2 cov + s^2 I inverted; returns its determinant. */
static inline double precision_at(const gaussian *g, double t, double out[DIM][DIM]) {
    drl_sde_marginal k = drl_sde_marginal_at(&g->sde, t);
    double c[DIM][DIM];
    for (int i = 0; i < DIM; i++)
        for (int j = 0; j < DIM; j++) c[i][j] = k.mean * k.mean * g->cov[i][j] + (i == j ? k.std * k.std : 0);
    /* adjugate over determinant */
    for (int i = 0; i < DIM; i++)
        for (int j = 0; j < DIM; j++) {
            int a = (j + 1) % 3, b = (j + 2) % 3, p = (i + 1) % 3, q = (i + 2) % 3;
            out[i][j] = c[a][p] * c[b][q] - c[a][q] * c[b][p];
        }
    double det = c[0][0] * out[0][0] + c[0][1] * out[1][0] + c[0][2] * out[2][0];
    for (int i = 0; i < DIM; i++)
        for (int j = 0; j < DIM; j++) out[i][j] /= det;
    return det;
}

/* out = -P (x - m mean), pulled = -P v */
static inline drl_status gaussian_pull(void *arg, const drl_real *x, const drl_real *v, size_t n, double t,
                                       drl_real *out, drl_real *pulled, drl_err *err) {
    (void)err;
    const gaussian *g = arg;
    double P[DIM][DIM], m = drl_sde_marginal_at(&g->sde, t).mean;
    precision_at(g, t, P);
    for (size_t i = 0; i < n; i++)
        for (int r = 0; r < DIM; r++) {
            double score = 0, pull = 0;
            for (int k = 0; k < DIM; k++) {
                score -= P[r][k] * ((double)x[i * DIM + (size_t)k] - m * g->mean[k]);
                if (v) pull -= P[r][k] * (double)v[i * DIM + (size_t)k];
            }
            out[i * DIM + (size_t)r] = (drl_real)score;
            if (v) pulled[i * DIM + (size_t)r] = (drl_real)pull;
        }
    return DRL_OK;
}

static inline drl_status gaussian_at(void *arg, const drl_real *x, size_t n, double t, drl_real *out, drl_err *err) {
    return gaussian_pull(arg, x, NULL, n, t, out, NULL, err);
}

static inline drl_score gaussian_score(gaussian *g) {
    return (drl_score){.size = DIM, .at = gaussian_at, .pull = gaussian_pull, .arg = g};
}

static inline double gaussian_log_density(const gaussian *g, double t, const drl_real *x) {
    double P[DIM][DIM], det = precision_at(g, t, P), m = drl_sde_marginal_at(&g->sde, t).mean, square = 0;
    for (int i = 0; i < DIM; i++)
        for (int j = 0; j < DIM; j++)
            square += P[i][j] * ((double)x[i] - m * g->mean[i]) * ((double)x[j] - m * g->mean[j]);
    return -0.5 * (square + log(det) + DIM * log(2 * M_PI));
}

#endif
