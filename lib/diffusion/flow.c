/* The probability flow: sampling and likelihoods (drl/sampler.h). The flow's state is kept in double, (x, l) with
 * l (images) the log density's change per dimension; likelihoods alone have an l. */
#define _DEFAULT_SOURCE /* M_PI */
#include "diffusion/flow.h"

#include <math.h>

#include "diffusion/rk45.h"
#include "drl/mem.h"

typedef struct flow {
    const drl_sde *sde;
    const drl_score *score;
    const drl_sampler_cfg *cfg;
    size_t images, n, probes, step, asked; /* n numbers of all states; accepted steps; scores asked for */
    drl_real *x, *s;                       /* (n) states and scores as the score takes them            */
    drl_real *v, *pulled;                  /* (probes, n) and (n)                                      */
} flow;

static void to_real(drl_real *x, const double *y, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = (drl_real)y[i];
}

/* x' = f x - g^2/2 score, given the score in w->s */
static void drift(const flow *w, drl_sde_coef k, const double *y, double *dy) {
    const double half = 0.5 * k.diffusion * k.diffusion;
    for (size_t i = 0; i < w->n; i++) dy[i] = k.drift * y[i] - half * (double)w->s[i];
}

static drl_status velocity(void *arg, double t, const double *y, double *dy, drl_err *err) {
    flow *w = arg;
    to_real(w->x, y, w->n);
    w->asked++;
    drl_status st = w->score->at(w->score->arg, w->x, w->images, t, w->s, err);
    if (st == DRL_OK) drift(w, drl_sde_coef_at(w->sde, t), y, dy);
    return st;
}

/* And l' = f - g^2/2 (mean over the probes of v^T J v) / size. */
static drl_status velocity_and_divergence(void *arg, double t, const double *y, double *dy, drl_err *err) {
    flow *w = arg;
    const size_t size = w->score->size;
    const drl_sde_coef k = drl_sde_coef_at(w->sde, t);
    const double part = 0.5 * k.diffusion * k.diffusion / (double)(w->probes * size);
    double *dl = dy + w->n;
    to_real(w->x, y, w->n);
    for (size_t i = 0; i < w->images; i++) dl[i] = k.drift;
    for (size_t p = 0; p < w->probes; p++) {
        const drl_real *v = w->v + p * w->n;
        w->asked++;
        drl_status st = w->score->pull(w->score->arg, w->x, v, w->images, t, w->s, w->pulled, err);
        if (st != DRL_OK) return st;
        for (size_t i = 0; i < w->images; i++) {
            double vJv = 0;
            for (size_t j = i * size; j < (i + 1) * size; j++) vJv += (double)v[j] * (double)w->pulled[j];
            dl[i] -= part * vJv;
        }
    }
    drift(w, k, y, dy);
    return DRL_OK;
}

static drl_status after_step(void *arg, double t, const double *y, drl_err *err) {
    flow *w = arg;
    to_real(w->x, y, w->n);
    return drl_sampler_look(w->cfg, ++w->step, 0, t, w->x, w->n, err);
}

/* Integrates y (length numbers) of the states x. */
static drl_status integrate(flow *w, double *y, size_t length, double from, double to, drl_err *err) {
    const drl_sampler_cfg *cfg = w->cfg;
    if (!(cfg->rtol > 0 && cfg->atol > 0))
        return drl_fail(err, DRL_ERR_CONFIG, "tolerances %g and %g: want positive ones", cfg->rtol, cfg->atol);
    drl_rk45_cfg rk = {.f = length > w->n ? velocity_and_divergence : velocity,
                       .step = after_step,
                       .arg = w,
                       .rtol = cfg->rtol,
                       .atol = cfg->atol,
                       .part = w->n};
    to_real(w->x, y, w->n);
    drl_status st = drl_sampler_look(cfg, 0, 0, from, w->x, w->n, err);
    return st == DRL_OK ? drl_rk45(y, length, from, to, &rk, err) : st;
}

drl_status drl_flow_sample(drl_real *x, size_t n, const drl_sde *sde, const drl_score *score,
                           const drl_sampler_cfg *cfg, size_t *evaluations, drl_err *err) {
    flow w = {.sde = sde, .score = score, .cfg = cfg, .images = n, .n = n * score->size, .x = x};
    double *y;
    drl_status st = drl_alloc(&y, w.n, sizeof *y, "states of the flow", err);
    if (st != DRL_OK) return st;
    if ((st = drl_alloc(&w.s, w.n, sizeof *w.s, "scores of the flow", err)) == DRL_OK) {
        for (size_t i = 0; i < w.n; i++) y[i] = (double)x[i];
        st = integrate(&w, y, w.n, 1, drl_sampler_end(cfg, sde), err);
        to_real(x, y, w.n);
    }
    *evaluations = w.asked;
    drl_free(w.s);
    drl_free(y);
    return st;
}

/* ---- Likelihoods ------------------------------------------------------------------------------------------------- */

/* Signs of equal probability, one 32-bit number each. */
static void draw_probes(flow *w) {
    for (size_t p = 0; p < w->probes; p++) {
        drl_rng rng = drl_rng_stream(w->cfg->seed, DRL_RNG_TRACE, (uint32_t)p, 0);
        drl_real *v = w->v + p * w->n;
        drl_rng_uniform(rng, w->cfg->first * w->score->size, v, w->n);
        for (size_t i = 0; i < w->n; i++) v[i] = v[i] < (drl_real)0.5 ? -1 : 1;
    }
}

/* log N(x; 0, std^2) + size l */
static double log_density(const flow *w, const double *x, double l) {
    const double std = drl_sde_prior_std(w->sde), size = (double)w->score->size;
    double square = 0;
    for (size_t j = 0; j < w->score->size; j++) square += x[j] * x[j];
    return size * l - 0.5 * square / (std * std) - 0.5 * size * log(2 * M_PI * std * std);
}

drl_status drl_log_likelihood(double *log_p, const drl_real *x, size_t n, size_t probes, const drl_sde *sde,
                              const drl_score *score, const drl_sampler_cfg *cfg, size_t *evaluations, drl_err *err) {
    flow w = {.sde = sde, .score = score, .cfg = cfg, .images = n, .n = n * score->size, .probes = probes};
    double *y = NULL, t_end = drl_sampler_end(cfg, sde);
    if (!score->pull || probes == 0)
        return drl_fail(err, DRL_ERR_CONFIG, "a likelihood takes a score with its derivative, and at least one probe");
    if (!(t_end < 1)) return drl_fail(err, DRL_ERR_CONFIG, "a likelihood at t = %g: want a time below 1", t_end);
    drl_status st = drl_alloc(&y, w.n + n, sizeof *y, "states of the flow", err);
    if (st == DRL_OK) st = drl_alloc(&w.x, w.n, sizeof *w.x, "states of the flow", err);
    if (st == DRL_OK) st = drl_alloc(&w.s, w.n, sizeof *w.s, "scores of the flow", err);
    if (st == DRL_OK) st = drl_alloc(&w.pulled, w.n, sizeof *w.pulled, "derivatives of the flow", err);
    if (st == DRL_OK) st = drl_alloc(&w.v, probes * w.n, sizeof *w.v, "probes of the trace", err);
    if (st == DRL_OK) {
        draw_probes(&w);
        for (size_t i = 0; i < w.n; i++) y[i] = (double)x[i];
        st = integrate(&w, y, w.n + n, t_end, 1, err);
    }
    for (size_t i = 0; i < n && st == DRL_OK; i++) log_p[i] = log_density(&w, y + i * score->size, y[w.n + i]);
    if (evaluations) *evaluations = w.asked;
    drl_free(w.v);
    drl_free(w.pulled);
    drl_free(w.s);
    drl_free(w.x);
    drl_free(y);
    return st;
}
