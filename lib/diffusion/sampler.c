/* Euler-Maruyama and predictor-corrector sampling (drl/sampler.h). The probability flow is in flow.c. */
#include "drl/sampler.h"

#include "diffusion/flow.h"
#include "drl/interrupt.h"
#include "drl/mem.h"

enum { PRIOR, PREDICTOR, CORRECTOR }; /* sub of the random streams */

typedef struct chain {
    const drl_sde *sde;
    const drl_score *score;
    const drl_sampler_cfg *cfg;
    size_t n, asked; /* images; scores asked for */
    double t_end;
    drl_real *x, *grad, *noise; /* (n, size) */
} chain;

drl_sampler_cfg drl_sampler_published(void) {
    return (drl_sampler_cfg){.kind = DRL_SAMPLER_PC,
                             .steps = 1000,
                             .corrector = 1,
                             .snr = 0.16,
                             .rtol = 1e-5,
                             .atol = 1e-5,
                             .denoise = true};
}

double drl_sampler_end(const drl_sampler_cfg *cfg, const drl_sde *sde) {
    return cfg->t_end > 0 ? cfg->t_end : sde->kind == DRL_SDE_VE ? 1e-5 : 1e-3;
}

drl_status drl_sampler_look(const drl_sampler_cfg *cfg, size_t step, size_t steps, double t, const drl_real *x,
                            size_t n, drl_err *err) {
    if (drl_interrupted()) return drl_fail(err, DRL_ERR_INTERRUPTED, "interrupted at t = %g", t);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return drl_fail(err, DRL_ERR_NUMERIC, "a state is not finite at t = %g", t);
    return cfg->progress ? cfg->progress(cfg->arg, step, steps, t, x, err) : DRL_OK;
}

/* noise (n, size), standard normal: a stream a step, in it a range an image. */
static void draw(chain *c, uint32_t sub, size_t step) {
    const size_t size = c->score->size;
    drl_rng rng = drl_rng_stream(c->cfg->seed, DRL_RNG_SAMPLE, sub, (uint32_t)step);
    if (!c->cfg->same_noise) {
        drl_rng_normal(rng, c->cfg->first * size, c->noise, c->n * size);
        return;
    }
    drl_rng_normal(rng, 0, c->noise, size);
    for (size_t i = size; i < c->n * size; i++) c->noise[i] = c->noise[i - size];
}

static drl_status ask(chain *c, double t, drl_err *err) {
    c->asked++;
    return c->score->at(c->score->arg, c->x, c->n, t, c->grad, err);
}

/* x <- a x + b score + c z */
typedef struct update {
    double a, b, c;
} update;

static void apply(chain *c, update u) {
    const drl_real a = (drl_real)u.a, b = (drl_real)u.b, s = (drl_real)u.c;
    const drl_real *restrict grad = c->grad, *restrict noise = c->noise;
    drl_real *restrict x = c->x;
    for (size_t i = 0; i < c->n * c->score->size; i++) x[i] = a * x[i] + b * grad[i] + s * noise[i];
}

/* Mean Euclidean norm of the images. */
static double mean_norm(const chain *c, const drl_real *v) {
    double sum = 0;
    for (size_t i = 0; i < c->n; i++) {
        double square = 0;
        for (const drl_real *e = v + i * c->score->size; e < v + (i + 1) * c->score->size; e++)
            square += (double)*e * (double)*e;
        sum += sqrt(square);
    }
    return sum / (double)c->n;
}

/* ---- Times and coefficients of the i-th of N steps --------------------------------------------------------------- */

static double time_of(const chain *c, size_t i) {
    size_t N = c->cfg->steps;
    return i == N ? 0 : 1 - (double)i * (1 - c->t_end) / (double)(N - 1);
}

static double step_length(const chain *c, size_t i) {
    return i + 1 == c->cfg->steps ? c->t_end : (1 - c->t_end) / (double)(c->cfg->steps - 1);
}

/* k/(N - 1), k = N - 1 - i */
static double place(const chain *c, size_t i) {
    return (double)(c->cfg->steps - 1 - i) / (double)(c->cfg->steps - 1);
}

static double beta_of(const chain *c, size_t i) {
    const drl_sde *s = c->sde;
    return step_length(c, i) * (s->beta_min + place(c, i) * (s->beta_max - s->beta_min));
}

static double sigma_of(const chain *c, size_t i) {
    return i == c->cfg->steps ? 0 : drl_sde_marginal_at(c->sde, place(c, i)).std;
}

static update predictor(const chain *c, size_t i) {
    if (c->cfg->kind == DRL_SAMPLER_PC && c->sde->kind == DRL_SDE_VE) {
        double from = sigma_of(c, i), to = sigma_of(c, i + 1), v = from * from - to * to;
        return (update){1, v, sqrt(v)};
    }
    if (c->cfg->kind == DRL_SAMPLER_PC && c->sde->kind == DRL_SDE_VP) {
        double beta = beta_of(c, i);
        return (update){2 - sqrt(1 - beta), beta, sqrt(beta)};
    }
    drl_sde_coef k = drl_sde_coef_at(c->sde, time_of(c, i));
    double h = step_length(c, i), g = k.diffusion;
    return (update){1 - h * k.drift, h * g * g, sqrt(h) * g};
}

/* ---- The chain --------------------------------------------------------------------------------------------------- */

/* A Langevin step at t_i, its size such that noise and score have the ratio r. */
static drl_status correct(chain *c, size_t i, size_t j, drl_err *err) {
    drl_status st = ask(c, time_of(c, i), err);
    if (st != DRL_OK) return st;
    draw(c, CORRECTOR + (uint32_t)j, i);
    double alpha = c->sde->kind == DRL_SDE_VE ? 1 : 1 - beta_of(c, i);
    double ratio = c->cfg->snr * mean_norm(c, c->noise) / mean_norm(c, c->grad), e = 2 * alpha * ratio * ratio;
    apply(c, (update){1, e, sqrt(2 * e)});
    return DRL_OK;
}

static drl_status predict(chain *c, size_t i, drl_err *err) {
    drl_status st = ask(c, time_of(c, i), err);
    if (st != DRL_OK) return st;
    update u = predictor(c, i);
    if (c->cfg->denoise && i + 1 == c->cfg->steps) u.c = 0;
    draw(c, PREDICTOR, i);
    apply(c, u);
    return DRL_OK;
}

static drl_status run(chain *c, drl_err *err) {
    const drl_sampler_cfg *cfg = c->cfg;
    const size_t N = cfg->steps, correctors = cfg->kind == DRL_SAMPLER_PC ? cfg->corrector : 0;
    drl_status st = drl_sampler_look(cfg, 0, N, 1, c->x, c->n * c->score->size, err);
    for (size_t i = 0; i < N && st == DRL_OK; i++) {
        for (size_t j = 0; j < correctors && st == DRL_OK; j++) st = correct(c, i, j, err);
        if (st == DRL_OK) st = predict(c, i, err);
        if (st == DRL_OK) st = drl_sampler_look(cfg, i + 1, N, time_of(c, i + 1), c->x, c->n * c->score->size, err);
    }
    return st;
}

static drl_status check(const chain *c, drl_err *err) {
    const drl_sampler_cfg *cfg = c->cfg;
    if (!(c->t_end > 0 && c->t_end < 1))
        return drl_fail(err, DRL_ERR_CONFIG, "sampling stops at t = %g: want a time between 0 and 1", c->t_end);
    if (cfg->kind == DRL_SAMPLER_ODE) return DRL_OK;
    if (cfg->steps < 2 || cfg->steps > UINT32_MAX)
        return drl_fail(err, DRL_ERR_CONFIG, "%zu steps: want at least 2", cfg->steps);
    if (cfg->kind == DRL_SAMPLER_EM) return DRL_OK;
    if (cfg->corrector > 0 && !(cfg->snr > 0))
        return drl_fail(err, DRL_ERR_CONFIG, "snr %g of the corrector: want a positive one", cfg->snr);
    if (c->sde->kind != DRL_SDE_VE && !(beta_of(c, 0) < 1))
        return drl_fail(err, DRL_ERR_CONFIG, "%zu steps of predictor and corrector are too few for %s: want %.0f",
                        cfg->steps, drl_sde_name(c->sde->kind), floor(c->sde->beta_max * (1 - c->t_end)) + 2);
    return DRL_OK;
}

drl_status drl_sample(drl_real *x, size_t n, const drl_sde *sde, const drl_score *score, const drl_sampler_cfg *cfg,
                      size_t *evaluations, drl_err *err) {
    chain c = {sde, score, cfg, n, 0, drl_sampler_end(cfg, sde), x, NULL, NULL};
    drl_status st = check(&c, err);
    if (st == DRL_OK) st = drl_alloc(&c.noise, n * score->size, sizeof *x, "noise of the sampler", err);
    if (st == DRL_OK) st = drl_alloc(&c.grad, n * score->size, sizeof *x, "scores of the sampler", err);
    if (st == DRL_OK) {
        const drl_real std = (drl_real)drl_sde_prior_std(sde);
        draw(&c, PRIOR, 0);
        for (size_t i = 0; i < n * score->size; i++) x[i] = std * c.noise[i];
        st = cfg->kind == DRL_SAMPLER_ODE ? drl_flow_sample(x, n, sde, score, cfg, &c.asked, err) : run(&c, err);
    }
    if (evaluations) *evaluations = c.asked;
    drl_free(c.noise);
    drl_free(c.grad);
    return st;
}
