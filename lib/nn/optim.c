/* Optimisers (drl/optim.h): one pass over fixed blocks of the flat parameters. */
#include "drl/optim.h"

#include <math.h>
#include <string.h>

#include "drl/mem.h"

#define BLOCK ((size_t)4096)
static const double beta1 = 0.9, beta2 = 0.999, adam_eps = 1e-8, sgd_momentum = 0.9;

drl_optim_cfg drl_optim_published(void) {
    return (drl_optim_cfg){DRL_ADAM, 2e-4, 5000, 1.0, 0, 0.999};
}

drl_status drl_optim_init(drl_optim *o, const drl_optim_cfg *cfg, const drl_real *params, size_t n, drl_err *err) {
    *o = (drl_optim){.cfg = *cfg, .n = n};
    drl_status st = drl_alloc(&o->m, n, sizeof *o->m, "optimiser state", err);
    if (st == DRL_OK) st = drl_alloc(&o->v, n, sizeof *o->v, "optimiser state", err);
    if (st == DRL_OK) st = drl_alloc(&o->ema, n, sizeof *o->ema, "moving average", err);
    if (st == DRL_OK)
        memcpy(o->ema, params, n * sizeof *params);
    else
        drl_optim_free(o);
    return st;
}

void drl_optim_free(drl_optim *o) {
    drl_free(o->m);
    drl_free(o->v);
    drl_free(o->ema);
    *o = (drl_optim){0};
}

double drl_optim_rate(const drl_optim *o) {
    if (o->cfg.warmup == 0 || o->step >= o->cfg.warmup) return o->cfg.rate;
    return o->cfg.rate * (double)o->step / (double)o->cfg.warmup;
}

double drl_optim_ema_decay(const drl_optim *o) {
    double n = (double)(o->ema_updates + 1);
    return fmin(o->cfg.ema, (1 + n) / (10 + n));
}

typedef struct step_arg {
    drl_optim *o;
    drl_real *p;
    const drl_real *g;
    double clip, rate, decay;
} step_arg;

/* m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  p -= rate (m / (1-b1^k)) / ( sqrt(v / (1-b2^k)) + eps ) */
static void adam_block(const step_arg *a, size_t from, size_t to) {
    double k = (double)(a->o->updates + 1);
    const drl_real size = (drl_real)(a->rate / (1 - pow(beta1, k))), unbias = (drl_real)(1 / sqrt(1 - pow(beta2, k)));
    const drl_real clip = (drl_real)a->clip, wd = (drl_real)a->o->cfg.weight_decay, eps = (drl_real)adam_eps;
    const drl_real b1 = (drl_real)beta1, b2 = (drl_real)beta2, c1 = (drl_real)(1 - beta1), c2 = (drl_real)(1 - beta2);
    drl_real *restrict p = a->p, *restrict m = a->o->m, *restrict v = a->o->v;
    const drl_real *restrict gradient = a->g;
    for (size_t i = from; i < to; i++) {
        drl_real g = clip * gradient[i] + wd * p[i];
        m[i] = b1 * m[i] + c1 * g;
        v[i] = b2 * v[i] + c2 * g * g;
#ifdef DRL_F64
        p[i] -= size * m[i] / (sqrt(v[i]) * unbias + eps);
#else
        p[i] -= size * m[i] / (sqrtf(v[i]) * unbias + eps);
#endif
    }
}

/* m = 0.9 m + g (first step m = g);  p -= rate (g + 0.9 m) */
static void sgd_block(const step_arg *a, size_t from, size_t to) {
    const drl_real clip = (drl_real)a->clip, wd = (drl_real)a->o->cfg.weight_decay, rate = (drl_real)a->rate;
    const drl_real mu = (drl_real)sgd_momentum;
    drl_real *restrict p = a->p, *restrict m = a->o->m;
    const drl_real *restrict gradient = a->g;
    for (size_t i = from; i < to; i++) {
        drl_real g = clip * gradient[i] + wd * p[i];
        m[i] = mu * m[i] + g;
        p[i] -= rate * (g + mu * m[i]);
    }
}

static void step_block(void *arg, size_t block, size_t member) {
    (void)member;
    const step_arg *a = arg;
    size_t from = block * BLOCK, to = from + BLOCK < a->o->n ? from + BLOCK : a->o->n;
    if (a->o->cfg.kind == DRL_ADAM)
        adam_block(a, from, to);
    else
        sgd_block(a, from, to);
    if (a->o->cfg.ema <= 0) return;
    /* ema -= (1 - d) (ema - p) */
    const drl_real weight = (drl_real)(1 - a->decay), *restrict p = a->p;
    drl_real *restrict ema = a->o->ema;
    for (size_t i = from; i < to; i++) ema[i] -= weight * (ema[i] - p[i]);
}

void drl_optim_step(drl_optim *o, drl_real *params, const drl_real *gradient, double squared_norm, drl_threads *team) {
    double norm = sqrt(squared_norm), clip = 1;
    if (o->cfg.clip > 0) clip = fmin(1, o->cfg.clip / (norm + 1e-6));
    step_arg a = {o, params, gradient, clip, drl_optim_rate(o), drl_optim_ema_decay(o)};
    drl_threads_for(team, (o->n + BLOCK - 1) / BLOCK, step_block, &a);
    o->step++;
    o->updates++;
    if (o->cfg.ema > 0) o->ema_updates++;
}
