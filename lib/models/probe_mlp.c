/* The MLP probe's protocol (drl/probe.h): many fits side by side, selection on validation.
 *
 * A fit is one job at one learning rate. Fits of one job run in groups, each on one thread from the first weight to the
 * last validation accuracy: they have the order of the codes and what dropout keeps in common, which are drawn once for
 * a group; how the rates are grouped changes no bit. What a fit leaves is its best validation accuracy, that epoch and
 * a copy of the weights; those of the chosen rate become the classifier. */
#include "models/probe_mlp.h"

#include <assert.h>
#include <string.h>

#include "drl/interrupt.h"
#include "drl/mem.h"
#include "models/probe_common.h"

enum { SUB_ORDER = 4, SUB_DROPOUT }; /* subs of DRL_RNG_PROBE; 0..3 are the initial weights */

#define MAX_RATES (sizeof((drl_mlp_cfg){0}.rate) / sizeof(double))

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

/* One job at one rate; what a group leaves of it. */
typedef struct fit {
    double rate;
    drl_real *best;        /* (params) weights at the best validation accuracy */
    size_t correct, epoch; /* validation codes right there, epochs made        */
    bool running;
    drl_status status;
    drl_err err;
} fit;

/* Some rates of one job, in lockstep on one thread: they share what does not depend on the rate. */
typedef struct group {
    const drl_mlp_cfg *cfg;
    const drl_codes *train, *val;
    uint64_t seed;
    drl_mlp_net net;
    fit *fits; /* count of them */
    size_t count;
} group;

/* What a group needs while it runs. */
typedef struct workspace {
    drl_real *params; /* parameters and moments of all fits        */
    drl_mlp_state state[MAX_RATES];
    uint32_t *order;        /* (n) training codes in this epoch's order  */
    double loss[MAX_RATES]; /* of this epoch, summed over codes          */
    drl_mlp_feed feed;
    drl_mlp_scratch scratch;
} workspace;

static void workspace_free(workspace *w) {
    drl_mlp_scratch_free(&w->scratch);
    drl_mlp_feed_free(&w->feed);
    drl_free(w->order);
    drl_free(w->params);
}

static drl_status workspace_init(workspace *w, const group *g, drl_err *err) {
    *w = (workspace){0};
    size_t stride = drl_align_count(g->net.params, sizeof(drl_real)), batch = g->cfg->batch, rows;
    batch = batch < g->train->n ? batch : g->train->n;
    rows = batch > DRL_MLP_EVALUATION_ROWS ? batch : DRL_MLP_EVALUATION_ROWS;
    drl_status st =
        drl_alloc(&w->params, g->count * 3 * stride, sizeof(drl_real), "MLP probe: parameters and moments", err);
    if (st == DRL_OK) st = drl_alloc(&w->order, g->train->n, sizeof *w->order, "MLP probe: order", err);
    if (st == DRL_OK) st = drl_mlp_feed_init(&w->feed, &g->net, rows, err);
    if (st == DRL_OK) st = drl_mlp_scratch_init(&w->scratch, &g->net, rows, err);
    if (st != DRL_OK) {
        workspace_free(w);
        return st;
    }
    for (size_t r = 0; r < g->count; r++) {
        drl_real *p = w->params + 3 * r * stride;
        w->state[r] = (drl_mlp_state){p, p + stride, p + 2 * stride};
    }
    drl_mlp_init(w->state[0].p, &g->net, g->seed);
    for (size_t r = 1; r < g->count; r++) memcpy(w->state[r].p, w->state[0].p, g->net.params * sizeof(drl_real));
    return DRL_OK;
}

/* One pass over the training codes in the order of (seed, epoch), a few minibatches at a time, each of which every
 * running fit uses in turn. epoch = 1, 2, ... */
static void run_epoch(const group *g, workspace *w, size_t epoch) {
    size_t n = g->train->n, batch = g->cfg->batch < n ? g->cfg->batch : n, batches = (n + batch - 1) / batch;
    drl_rng_permutation(drl_rng_stream(g->seed, DRL_RNG_PROBE, SUB_ORDER, (uint32_t)epoch), w->order, n);
    for (size_t r = 0; r < g->count; r++) w->loss[r] = 0;
    for (size_t k = 0; k < batches;) {
        size_t first = (epoch - 1) * batches + k + 1, count = 0;
        for (; count < w->feed.capacity && k < batches; count++, k++) {
            size_t at = k * batch, rows = n - at < batch ? n - at : batch;
            drl_mlp_dropout dropout = {drl_mlp_dropout_below(g->cfg->dropout),
                                       drl_rng_stream(g->seed, DRL_RNG_PROBE, SUB_DROPOUT, (uint32_t)(first + count))};
            drl_mlp_feed_fill(&w->feed, count, &g->net, g->train, w->order + at, 0, rows, dropout);
        }
        for (size_t r = 0; r < g->count; r++)
            if (g->fits[r].running)
                w->loss[r] += drl_mlp_train(&w->state[r], &g->net, w->feed.batch, count, g->fits[r].rate,
                                            g->cfg->weight_decay, first, &w->scratch);
    }
}

static bool all_finite(const drl_real *x, size_t n) {
    bool finite = true;
    for (size_t i = 0; i < n; i++) finite &= isfinite(x[i]) != 0;
    return finite;
}

/* After an epoch: keeps the weights where they are the best so far, ends a fit that is done or out of hand. */
static void judge(const group *g, fit *f, const workspace *w, size_t r, size_t epoch, size_t correct) {
    const drl_real *p = w->state[r].p;
    double loss = w->loss[r];
    if (!isfinite(loss) || !all_finite(p, g->net.params)) {
        f->status = drl_fail(&f->err, DRL_ERR_NUMERIC, "epoch %zu: the %s not finite (mean loss %g)", epoch,
                             isfinite(loss) ? "weights are" : "loss is", loss / (double)g->train->n);
        f->running = false;
    } else if (f->epoch == 0 || correct > f->correct) {
        f->correct = correct;
        f->epoch = epoch;
        memcpy(f->best, p, g->net.params * sizeof *p);
    } else if (g->cfg->patience > 0 && epoch - f->epoch >= g->cfg->patience) {
        f->running = false;
    }
}

static void run_group(void *arg, size_t index, size_t member) {
    (void)member;
    group *g = (group *)arg + index;
    workspace w;
    drl_err err = {0};
    drl_status st = workspace_init(&w, g, &err);
    size_t left = st == DRL_OK ? g->count : 0;
    for (size_t r = 0; r < g->count; r++) g->fits[r].running = st == DRL_OK;
    for (size_t epoch = 1; epoch <= g->cfg->epochs && left > 0 && st == DRL_OK; epoch++) {
        if (drl_interrupted()) {
            st = drl_fail(&err, DRL_ERR_INTERRUPTED, "interrupted");
            break;
        }
        drl_real *params[MAX_RATES];
        size_t correct[MAX_RATES];
        run_epoch(g, &w, epoch);
        for (size_t r = 0; r < g->count; r++) params[r] = g->fits[r].running ? w.state[r].p : NULL;
        drl_mlp_count_correct(correct, params, g->count, &g->net, g->val, &w.feed, &w.scratch);
        left = 0;
        for (size_t r = 0; r < g->count; r++) {
            if (g->fits[r].running) judge(g, &g->fits[r], &w, r, epoch, correct[r]);
            left += g->fits[r].running;
        }
    }
    for (size_t r = 0; r < g->count && st != DRL_OK; r++)
        if (g->fits[r].status == DRL_OK) g->fits[r].status = st, g->fits[r].err = err;
    workspace_free(&w);
}

static drl_status check_cfg(const drl_mlp_cfg *cfg, drl_err *err) {
    const drl_status bad = DRL_ERR_CONFIG;
    if (cfg->hidden == 0 || cfg->epochs == 0 || cfg->batch == 0)
        return drl_fail(err, bad, "MLP probe: hidden %zu, epochs %zu, batch %zu: all must be at least 1", cfg->hidden,
                        cfg->epochs, cfg->batch);
    if (cfg->rates == 0 || cfg->rates > MAX_RATES)
        return drl_fail(err, bad, "MLP probe: %zu learning rates, 1 to %zu are allowed", cfg->rates, MAX_RATES);
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
    if (st == DRL_OK) st = drl_probe_check_pair(&job->train, &job->val, "validation codes", err);
    if (st != DRL_OK) return st;
    /* Minibatches are numbered in 32 bits: they name the dropout streams. */
    size_t batches = (job->train.n - 1) / cfg->batch + 1;
    if (cfg->epochs > UINT32_MAX / batches)
        return drl_fail(err, DRL_ERR_LIMIT, "%zu epochs of %zu minibatches: at most 2^32 - 1 in all", cfg->epochs,
                        batches);
    return DRL_OK;
}

/* Into how many groups the rates of every job are split: the number that keeps the threads busy for the shortest time,
 * the smallest of equals. What a group shares takes about a seventh of what a fit takes by itself. */
static size_t groups_of(size_t n_jobs, size_t rates, size_t threads) {
    size_t best = 1;
    double shortest = INFINITY;
    for (size_t n = 1; n <= rates; n++) {
        double rounds = ceil((double)n_jobs * (double)n / (double)threads);
        double time = rounds * (1 + 7 * (double)((rates + n - 1) / n));
        if (time < shortest) shortest = time, best = n;
    }
    return best;
}

/* The fits of one job lie side by side, rates in the order of cfg, and are shared out among its groups; each gets room
 * for its best weights. */
static drl_status prepare_job(group *groups, size_t n_groups, fit *fits, const drl_mlp_job *job, const drl_mlp_cfg *cfg,
                              drl_err *err) {
    drl_mlp_net net;
    drl_status st = drl_mlp_net_init(&net, job->train.d, cfg->hidden, job->train.classes, err);
    for (size_t r = 0; st == DRL_OK && r < cfg->rates; r++) {
        fits[r].rate = cfg->rate[r];
        st = drl_alloc(&fits[r].best, net.params, sizeof(drl_real), "MLP probe: best weights", err);
    }
    for (size_t k = 0; st == DRL_OK && k < n_groups; k++) {
        size_t from = k * cfg->rates / n_groups, to = (k + 1) * cfg->rates / n_groups;
        groups[k] = (group){.cfg = cfg, .train = &job->train, .val = &job->val, .seed = job->seed, .net = net};
        groups[k].fits = fits + from;
        groups[k].count = to - from;
    }
    return st;
}

/* The first of the rates with the most validation codes right. */
static fit *choose(fit *fits, size_t rates) {
    fit *best = fits;
    for (size_t r = 1; r < rates; r++)
        if (fits[r].correct > best->correct) best = fits + r;
    return best;
}

/* Runs all groups, then turns the chosen fit of each job, in made[j], into a classifier, which takes its weights. */
static drl_status run_all(drl_classifier **made, drl_probe_result *result, const drl_mlp_job *jobs, size_t n_jobs,
                          const drl_mlp_cfg *cfg, group *groups, size_t n_groups, fit *fits, drl_threads *team,
                          drl_err *err) {
    drl_threads_for(team, n_jobs * n_groups, run_group, groups);
    for (size_t i = 0; i < n_jobs * cfg->rates; i++) {
        if (fits[i].status == DRL_OK) continue;
        drl_fail(err, fits[i].status, "%s", fits[i].err.message);
        return drl_err_context(err, fits[i].status, "MLP probe: job %zu, learning rate %g", i / cfg->rates,
                               fits[i].rate);
    }
    for (size_t j = 0; j < n_jobs; j++) {
        fit *chosen = choose(fits + j * cfg->rates, cfg->rates);
        drl_status st = drl_mlp_classifier(&made[j], &groups[j * n_groups].net, chosen->best, err);
        if (st != DRL_OK) return st;
        chosen->best = NULL;
    }
    for (size_t j = 0; j < n_jobs; j++) {
        const fit *chosen = choose(fits + j * cfg->rates, cfg->rates);
        result[j] = (drl_probe_result){.val_accuracy = (double)chosen->correct / (double)jobs[j].val.n,
                                       .rate = chosen->rate,
                                       .epoch = chosen->epoch};
    }
    return DRL_OK;
}

drl_status drl_probe_mlp(drl_classifier **fits, drl_probe_result *result, const drl_mlp_job *jobs, size_t n_jobs,
                         const drl_mlp_cfg *cfg, drl_threads *team, drl_err *err) {
    drl_status st = check_cfg(cfg, err);
    if (st != DRL_OK) return st;
    for (size_t j = 0; j < n_jobs; j++)
        if ((st = check_job(&jobs[j], cfg, err)) != DRL_OK) return drl_err_context(err, st, "MLP probe: job %zu", j);
    fit *tried = NULL;
    group *groups = NULL;
    drl_classifier **made = NULL;
    size_t units, n_groups = groups_of(n_jobs, cfg->rates, drl_threads_count(team));
    if (!drl_mul_size(&units, n_jobs, cfg->rates)) return drl_fail(err, DRL_ERR_LIMIT, "MLP probe: %zu jobs", n_jobs);
    if ((st = drl_alloc(&tried, units, sizeof *tried, "MLP probe: fits", err)) != DRL_OK) goto done;
    if ((st = drl_alloc(&groups, n_jobs * n_groups, sizeof *groups, "MLP probe: groups", err)) != DRL_OK) goto done;
    if ((st = drl_alloc(&made, n_jobs, sizeof(drl_classifier *), "MLP probe: classifiers", err)) != DRL_OK) goto done;
    for (size_t j = 0; j < n_jobs; j++)
        if ((st = prepare_job(groups + j * n_groups, n_groups, tried + j * cfg->rates, &jobs[j], cfg, err)) != DRL_OK)
            goto done;
    st = run_all(made, result, jobs, n_jobs, cfg, groups, n_groups, tried, team, err);
    for (size_t j = 0; j < n_jobs; j++) {
        if (st == DRL_OK)
            fits[j] = made[j];
        else
            drl_classifier_free(made[j]);
    }
done:
    for (size_t i = 0; tried && i < units; i++) drl_free(tried[i].best);
    drl_free(made);
    drl_free(groups);
    drl_free(tried);
    return st;
}
