/* The MLP probe's protocol (drl/probe.h): many fits side by side, selection on validation, one look at the test set.
 *
 * A fit is one job at one learning rate. It runs on one thread from its first weight to its last validation accuracy
 * and is handed the training and validation codes only; what it leaves is its best validation accuracy, that epoch and
 * a copy of the weights. The test codes enter in evaluate_job, after the rate is chosen. */
#include "models/probe_mlp.h"

#include <assert.h>
#include <string.h>

#include "drl/interrupt.h"
#include "drl/mem.h"
#include "models/probe_common.h"

enum { SUB_ORDER = 4, SUB_DROPOUT }; /* subs of DRL_RNG_PROBE; 0..3 are the initial weights */

#define EVALUATION_ROWS 256 /* codes evaluated at once, at least */

drl_mlp_cfg drl_mlp_published(void) {
    return (drl_mlp_cfg){.hidden = 512,
                         .epochs = 100,
                         .batch = 256,
                         .rates = 6,
                         .rate = {1e-3, 7.5e-4, 5e-4, 2.5e-4, 1e-4, 5e-5},
                         .dropout = 0.25,
                         .weight_decay = 1e-5};
}

drl_mlp_cfg drl_mlp_fast(void) {
    drl_mlp_cfg cfg = drl_mlp_published();
    cfg.epochs = 20;
    cfg.patience = 3;
    cfg.rates = 2;
    memset(cfg.rate, 0, sizeof cfg.rate);
    cfg.rate[0] = 1e-3;
    cfg.rate[1] = 2.5e-4;
    return cfg;
}

/* One job at one rate; read: cfg .. rate, written: best .. err. */
typedef struct fit {
    const drl_mlp_cfg *cfg;
    const drl_codes *train, *val;
    uint64_t seed;
    double rate;
    drl_mlp_net net;
    drl_real *best;        /* (params) weights at the best validation accuracy */
    size_t correct, epoch; /* validation codes right there, epochs made        */
    drl_status status;
    drl_err err;
} fit;

/* What a fit needs while it runs. */
typedef struct workspace {
    drl_real *params, *grad, *m, *v; /* (params) each; params points to the block of all four */
    uint32_t *order;                 /* (n) training codes in this epoch's order              */
    drl_mlp_scratch scratch;
} workspace;

static size_t scratch_rows(size_t batch) {
    return batch > EVALUATION_ROWS ? batch : EVALUATION_ROWS;
}

static void workspace_free(workspace *w) {
    drl_mlp_scratch_free(&w->scratch);
    drl_free(w->order);
    drl_free(w->params);
}

static drl_status workspace_init(workspace *w, const fit *f, size_t batch, drl_err *err) {
    *w = (workspace){0};
    size_t stride = drl_align_count(f->net.params, sizeof(drl_real));
    drl_status st = drl_alloc(&w->params, 4 * stride, sizeof(drl_real), "MLP probe: parameters and moments", err);
    if (st == DRL_OK) st = drl_alloc(&w->order, f->train->n, sizeof *w->order, "MLP probe: order", err);
    if (st == DRL_OK) st = drl_mlp_scratch_init(&w->scratch, &f->net, scratch_rows(batch), err);
    if (st != DRL_OK) {
        workspace_free(w);
        return st;
    }
    w->grad = w->params + stride, w->m = w->grad + stride, w->v = w->m + stride;
    return DRL_OK;
}

/* One pass over the training codes in the order of (seed, epoch); returns the summed loss. epoch = 1, 2, ... */
static double run_epoch(const fit *f, workspace *w, size_t batch, size_t epoch) {
    size_t n = f->train->n, d = f->net.d, batches = (n + batch - 1) / batch;
    double loss = 0;
    drl_rng_permutation(drl_rng_stream(f->seed, DRL_RNG_PROBE, SUB_ORDER, (uint32_t)epoch), w->order, n);
    for (size_t k = 0; k < batches; k++) {
        size_t at = k * batch, rows = n - at < batch ? n - at : batch, step = (epoch - 1) * batches + k + 1;
        for (size_t i = 0; i < rows; i++) {
            size_t from = w->order[at + i];
            memcpy(w->scratch.x + i * d, f->train->x + from * d, d * sizeof(drl_real));
            w->scratch.y[i] = f->train->y[from];
        }
        drl_mlp_dropout dropout = {drl_mlp_dropout_below(f->cfg->dropout),
                                   drl_rng_stream(f->seed, DRL_RNG_PROBE, SUB_DROPOUT, (uint32_t)step)};
        loss += (double)rows *
                drl_mlp_loss_grad(w->grad, w->params, &f->net, w->scratch.x, w->scratch.y, rows, dropout, &w->scratch);
        drl_mlp_adam(w->params, w->m, w->v, w->grad, f->net.params, f->rate, f->cfg->weight_decay, step);
    }
    return loss;
}

static bool all_finite(const drl_real *x, size_t n) {
    bool finite = true;
    for (size_t i = 0; i < n; i++) finite &= isfinite(x[i]) != 0;
    return finite;
}

static void run_fit(void *arg, size_t index, size_t member) {
    (void)member;
    fit *f = (fit *)arg + index;
    size_t batch = f->cfg->batch < f->train->n ? f->cfg->batch : f->train->n, bytes = f->net.params * sizeof(drl_real);
    workspace w;
    if ((f->status = workspace_init(&w, f, batch, &f->err)) != DRL_OK) return;
    drl_mlp_init(w.params, &f->net, f->seed);
    for (size_t epoch = 1; epoch <= f->cfg->epochs; epoch++) {
        if (drl_interrupted()) {
            f->status = drl_fail(&f->err, DRL_ERR_INTERRUPTED, "interrupted");
            break;
        }
        double loss = run_epoch(f, &w, batch, epoch);
        if (!isfinite(loss) || !all_finite(w.params, f->net.params)) {
            f->status = drl_fail(&f->err, DRL_ERR_NUMERIC, "epoch %zu: the %s not finite (mean loss %g)", epoch,
                                 isfinite(loss) ? "weights are" : "loss is", loss / (double)f->train->n);
            break;
        }
        size_t correct = drl_mlp_correct(w.params, &f->net, f->val, &w.scratch);
        if (f->epoch == 0 || correct > f->correct) {
            f->correct = correct;
            f->epoch = epoch;
            memcpy(f->best, w.params, bytes);
        } else if (f->cfg->patience > 0 && epoch - f->epoch >= f->cfg->patience) {
            break;
        }
    }
    workspace_free(&w);
}

/* The chosen fit of one job, and the only place that sees its test codes. */
typedef struct evaluation {
    const fit *chosen;
    const drl_codes *test;
    size_t correct;
    drl_status status;
    drl_err err;
} evaluation;

static void evaluate_job(void *arg, size_t j, size_t member) {
    (void)member;
    evaluation *e = (evaluation *)arg + j;
    drl_mlp_scratch s;
    if ((e->status = drl_mlp_scratch_init(&s, &e->chosen->net, EVALUATION_ROWS, &e->err)) != DRL_OK) return;
    e->correct = drl_mlp_correct(e->chosen->best, &e->chosen->net, e->test, &s);
    drl_mlp_scratch_free(&s);
}

static drl_status check_cfg(const drl_mlp_cfg *cfg, drl_err *err) {
    const drl_status bad = DRL_ERR_CONFIG;
    if (cfg->hidden == 0 || cfg->epochs == 0 || cfg->batch == 0)
        return drl_fail(err, bad, "MLP probe: hidden %zu, epochs %zu, batch %zu: all must be at least 1", cfg->hidden,
                        cfg->epochs, cfg->batch);
    if (cfg->rates == 0 || cfg->rates > sizeof cfg->rate / sizeof *cfg->rate)
        return drl_fail(err, bad, "MLP probe: %zu learning rates, 1 to %zu are allowed", cfg->rates,
                        sizeof cfg->rate / sizeof *cfg->rate);
    for (size_t r = 0; r < cfg->rates; r++)
        if (!(cfg->rate[r] > 0 && isfinite(cfg->rate[r])))
            return drl_fail(err, bad, "MLP probe: learning rate %g must be positive", cfg->rate[r]);
    if (!(cfg->dropout >= 0 && cfg->dropout < 1))
        return drl_fail(err, bad, "MLP probe: dropout %g is not in [0, 1)", cfg->dropout);
    if (!(cfg->weight_decay >= 0 && isfinite(cfg->weight_decay)))
        return drl_fail(err, bad, "MLP probe: weight decay %g must not be negative", cfg->weight_decay);
    return DRL_OK;
}

static drl_status check_job(const drl_mlp_job *job, const drl_mlp_cfg *cfg, drl_err *err) {
    drl_status st = drl_probe_check(&job->train, "training codes", err);
    if (st == DRL_OK) st = drl_probe_check(&job->val, "validation codes", err);
    if (st == DRL_OK) st = drl_probe_check(&job->test, "test codes", err);
    if (st == DRL_OK) st = drl_probe_check_pair(&job->train, &job->val, "validation codes", err);
    if (st == DRL_OK) st = drl_probe_check_pair(&job->train, &job->test, "test codes", err);
    if (st != DRL_OK) return st;
    /* Minibatches are numbered in 32 bits: they name the dropout streams. */
    size_t batches = (job->train.n - 1) / cfg->batch + 1;
    if (cfg->epochs > UINT32_MAX / batches)
        return drl_fail(err, DRL_ERR_LIMIT, "%zu epochs of %zu minibatches: at most 2^32 - 1 in all", cfg->epochs,
                        batches);
    return DRL_OK;
}

/* The fits of one job lie side by side, rates in the order of cfg; each gets room for its best weights. */
static drl_status prepare_fits(fit *fits, const drl_mlp_job *job, const drl_mlp_cfg *cfg, drl_err *err) {
    drl_mlp_net net;
    drl_status st = drl_mlp_net_init(&net, job->train.d, cfg->hidden, job->train.classes, err);
    for (size_t r = 0; st == DRL_OK && r < cfg->rates; r++) {
        fits[r] = (fit){.cfg = cfg, .train = &job->train, .val = &job->val, .seed = job->seed, .net = net};
        fits[r].rate = cfg->rate[r];
        st = drl_alloc(&fits[r].best, net.params, sizeof(drl_real), "MLP probe: best weights", err);
    }
    return st;
}

/* The first of the rates with the most validation codes right. */
static const fit *choose(const fit *fits, size_t rates) {
    const fit *best = fits;
    for (size_t r = 1; r < rates; r++)
        if (fits[r].correct > best->correct) best = fits + r;
    return best;
}

static drl_status run_all(drl_probe_result *result, const drl_mlp_job *jobs, size_t n_jobs, const drl_mlp_cfg *cfg,
                          fit *fits, evaluation *evals, drl_threads *team, drl_err *err) {
    drl_threads_for(team, n_jobs * cfg->rates, run_fit, fits);
    for (size_t i = 0; i < n_jobs * cfg->rates; i++) {
        if (fits[i].status == DRL_OK) continue;
        drl_fail(err, fits[i].status, "%s", fits[i].err.message);
        return drl_err_context(err, fits[i].status, "MLP probe: job %zu, learning rate %g", i / cfg->rates,
                               fits[i].rate);
    }
    for (size_t j = 0; j < n_jobs; j++)
        evals[j] = (evaluation){.chosen = choose(fits + j * cfg->rates, cfg->rates), .test = &jobs[j].test};
    drl_threads_for(team, n_jobs, evaluate_job, evals);
    for (size_t j = 0; j < n_jobs; j++)
        if (evals[j].status != DRL_OK) return drl_fail(err, evals[j].status, "%s", evals[j].err.message);
    for (size_t j = 0; j < n_jobs; j++) {
        const evaluation *e = &evals[j];
        result[j] = (drl_probe_result){.test_accuracy = (double)e->correct / (double)jobs[j].test.n,
                                       .val_accuracy = (double)e->chosen->correct / (double)jobs[j].val.n,
                                       .rate = e->chosen->rate,
                                       .epoch = e->chosen->epoch};
    }
    return DRL_OK;
}

drl_status drl_probe_mlp(drl_probe_result *result, const drl_mlp_job *jobs, size_t n_jobs, const drl_mlp_cfg *cfg,
                         drl_threads *team, drl_err *err) {
    drl_status st = check_cfg(cfg, err);
    if (st != DRL_OK) return st;
    for (size_t j = 0; j < n_jobs; j++)
        if ((st = check_job(&jobs[j], cfg, err)) != DRL_OK) return drl_err_context(err, st, "MLP probe: job %zu", j);
    fit *fits = NULL;
    evaluation *evals = NULL;
    size_t units;
    if (!drl_mul_size(&units, n_jobs, cfg->rates)) return drl_fail(err, DRL_ERR_LIMIT, "MLP probe: %zu jobs", n_jobs);
    if ((st = drl_alloc(&fits, units, sizeof *fits, "MLP probe: fits", err)) != DRL_OK) goto done;
    if ((st = drl_alloc(&evals, n_jobs, sizeof *evals, "MLP probe: evaluations", err)) != DRL_OK) goto done;
    for (size_t j = 0; j < n_jobs; j++)
        if ((st = prepare_fits(fits + j * cfg->rates, &jobs[j], cfg, err)) != DRL_OK) goto done;
    st = run_all(result, jobs, n_jobs, cfg, fits, evals, team, err);
done:
    for (size_t i = 0; fits && i < units; i++) drl_free(fits[i].best);
    drl_free(evals);
    drl_free(fits);
    return st;
}
