/* What methods cost here: the plan of a dry run, and budgets of equal time (lib/eval/eval.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "drl/log.h"
#include "drl/mem.h"
#include "drl/runs.h"
#include "eval/eval.h"

#define ROUNDS 3 /* of a comparison of two methods' steps */

/* Opens the model of an arm and makes a step, which warms caches. */
static drl_status open_warm(drl_model **m, drl_eval *e, const drl_arm *arm, drl_err *err) {
    double loss;
    *m = NULL;
    drl_status st = drl_model_open(m, &arm->settings.model, e->data, 1, e->team, err);
    if (st == DRL_OK && (*m)->train) st = drl_model_step(*m, &loss, err);
    return st;
}

/* *step = seconds a step takes, by steps made for so long. */
static drl_status time_steps(double *step, drl_model *m, double seconds, drl_err *err) {
    double loss, start = drl_now();
    size_t steps = 0;
    drl_status st = DRL_OK;
    for (; st == DRL_OK && (steps == 0 || drl_now() - start < seconds); steps++) st = drl_model_step(m, &loss, err);
    *step = (drl_now() - start) / (double)steps;
    return st;
}

/* ---- Equal time -------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* *ratio = what a step of the reference takes in steps of the method: the median of rounds taken in turn. */
static drl_status compare_steps(double *ratio, drl_eval *e, const drl_arm *reference, const drl_arm *arm,
                                drl_err *err) {
    drl_model *m[2] = {NULL, NULL};
    double ratios[ROUNDS];
    drl_status st = open_warm(&m[0], e, reference, err);
    if (st == DRL_OK) st = open_warm(&m[1], e, arm, err);
    for (int r = 0; r < ROUNDS && st == DRL_OK; r++) {
        double step[2] = {1, 1};
        st = time_steps(&step[0], m[0], 1, err);
        if (st == DRL_OK) st = time_steps(&step[1], m[1], 1, err);
        ratios[r] = step[0] / step[1];
    }
    if (st == DRL_OK) {
        qsort(ratios, ROUNDS, sizeof *ratios, by_value);
        *ratio = ratios[ROUNDS / 2];
    }
    drl_model_close(m[0]);
    drl_model_close(m[1]);
    return st;
}

#define BUDGET "budget" /* experiment of the runs that hold what was measured */

/* Measures and stores *steps of a method that take as long as the reference's, where the store has no such row. */
static drl_status measure_steps(double *steps, drl_eval *e, const drl_arm *reference, const drl_arm *arm,
                                const char *metric, drl_err *err) {
    int64_t id;
    bool found = false;
    double ratio;
    drl_status st = drl_eval_open_run(e, BUDGET, arm, 1, &id, err);
    if (st == DRL_OK) st = drl_store_begin(e->store, id, drl_threads_count(e->team), err);
    if (st == DRL_OK && e->cli.resume) st = drl_store_get(e->store, id, metric, NAN, &found, steps, NULL, 0, err);
    if (st == DRL_OK && !found && (st = compare_steps(&ratio, e, reference, arm, err)) == DRL_OK) {
        *steps = fmax(1, round((double)reference->settings.model.train_steps * ratio / 10) * 10);
        st = drl_store_put(e->store, id, metric, NAN, *steps, "measured in turn", err);
    }
    return drl_store_finish(e->store, st, err);
}

/* *steps as the store has them, for a report. */
static drl_status look_up_steps(double *steps, drl_eval *e, const drl_arm *arm, const char *metric, drl_err *err) {
    int64_t id;
    bool found = false;
    drl_status st = drl_eval_find_run(e, BUDGET, arm, 1, &id, err);
    if (st == DRL_OK && id > 0) st = drl_store_get(e->store, id, metric, NAN, &found, steps, NULL, 0, err);
    if (st == DRL_OK && !found)
        st =
            drl_fail(err, DRL_ERR_NOT_FOUND, "%s: how many steps of %s take as long as the first method's is not there",
                     e->cli.out, arm->title);
    return st;
}

/* Measured once, and then a row of the store: so that the same command finds the same models again. */
static drl_status equal_time(drl_eval *e, const drl_arm *reference, drl_arm *arm, bool measure, drl_err *err) {
    char metric[64], hash[65], *text;
    double steps = 0;
    drl_status st = drl_eval_identify(&text, hash, e, reference, err);
    drl_free(text);
    if (st != DRL_OK) return st;
    snprintf(metric, sizeof metric, "steps_as_long_as_%.24s_%.12s", reference->method->name, hash);
    st = measure ? measure_steps(&steps, e, reference, arm, metric, err) : look_up_steps(&steps, e, arm, metric, err);
    if (st == DRL_OK) {
        arm->settings.model.train_steps = (size_t)steps;
        drl_log("budget: %s trains %zu steps, as long as %s's %zu", arm->title, arm->settings.model.train_steps,
                reference->title, reference->settings.model.train_steps);
    }
    return st;
}

drl_status drl_eval_budget(drl_eval *e, bool measure, drl_err *err) {
    const drl_arm *reference = NULL;
    drl_status st = DRL_OK;
    if (e->s.eval.eval_budget != DRL_BUDGET_TIME) return DRL_OK;
    for (size_t i = 0; i < e->n_arms; i++)
        if (e->arms[i].settings.model.train_steps != e->s.model.train_steps)
            return drl_fail(err, DRL_ERR_CONFIG,
                            "eval.variants: %s sets train.steps, which eval.budget = time does too",
                            e->arms[i].variant);
    for (size_t i = 0; i < e->n_arms && st == DRL_OK; i++) {
        if (!drl_method_trainer(e->arms[i].method)->build) continue;
        if (!reference)
            reference = &e->arms[i];
        else
            st = equal_time(e, reference, &e->arms[i], measure, err);
    }
    return st;
}

/* ---- The plan ---------------------------------------------------------------------------------------------------- */

/* *seconds = what the MLP probe of one set of d-dimensional codes takes at most, from one epoch on a few random ones.
 */
static drl_status time_mlp(double *seconds, drl_eval *e, size_t d, drl_err *err) {
    enum { ROWS = 4096, FEW = 16 };
    *seconds = 0;
    if (!drl_eval_wants(&e->s, DRL_PROBE_MLP)) return DRL_OK;
    drl_mlp_cfg full = e->s.eval.probe_mlp == DRL_MLP_FAST ? drl_mlp_fast() : drl_mlp_published(), one = full;
    one.epochs = one.rates = 1;
    drl_real *x = NULL;
    int32_t *y = NULL;
    drl_classifier *fit = NULL;
    drl_probe_result result;
    drl_status st = drl_alloc(&x, ROWS * d, sizeof *x, "codes", err);
    if (st == DRL_OK) st = drl_alloc(&y, ROWS, sizeof *y, "labels", err);
    if (st == DRL_OK) {
        drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 0, 0), 0, x, ROWS * d);
        for (size_t i = 0; i < ROWS; i++) y[i] = (int32_t)(i % e->data->classes);
        drl_codes codes = {ROWS, d, e->data->classes, x, y}, few = {FEW, d, e->data->classes, x, y};
        drl_mlp_job job = {.train = codes, .val = few, .seed = 1};
        double start = drl_now();
        st = drl_probe_mlp(&fit, &result, &job, 1, &one, e->team, err);
        size_t threads = drl_threads_count(e->team); /* of which a job uses one a rate, at most */
        double epochs = (double)(full.epochs * full.rates) / (double)(threads < full.rates ? threads : full.rates);
        *seconds = (drl_now() - start) * epochs * 0.9 * (double)e->data->split[DRL_SPLIT_TRAIN].n / ROWS;
    }
    drl_classifier_free(fit);
    drl_free(x);
    drl_free(y);
    return st;
}

/* Models of one arm, all seeds, and seconds: training, encoding, MLP probes, or what the program does instead. */
typedef struct cost {
    size_t models;
    double train, encode, probe, own, memory;
} cost;

/* What the program does with all seeds of an arm: `run`, or encoding and probing of as many sets of d-dimensional
 * codes. */
static drl_status plan_use(cost *c, drl_eval *e, const drl_arm *arm, size_t sets, double encode, size_t d,
                           drl_err *err) {
    double mlp;
    if (e->program->run) {
        drl_subject subject = drl_eval_subject(e, arm, 1, 0, arm->title);
        return e->program->plan(&c->models, &c->own, &subject, err);
    }
    drl_status st = time_mlp(&mlp, e, d, err);
    c->models = e->s.eval.eval_seeds;
    c->encode = encode * (double)sets;
    if (st == DRL_OK) c->probe = mlp * (double)sets;
    return st;
}

static drl_status plan_arm(cost *c, drl_eval *e, const drl_arm *arm, drl_err *err) {
    enum { SAMPLE = 1024 };
    drl_model *m;
    drl_real *codes = NULL;
    double step = 0;
    *c = (cost){0};
    drl_status st = open_warm(&m, e, arm, err);
    if (st == DRL_OK && m->train) st = time_steps(&step, m, 2, err);
    const drl_images *im = e->data->split;
    size_t d = st == DRL_OK ? drl_model_code_size(m) : 0, sample = im[0].n < SAMPLE ? im[0].n : SAMPLE;
    if (st == DRL_OK) st = drl_alloc(&codes, sample * d + 1, sizeof *codes, "codes", err);
    double start = drl_now();
    if (st == DRL_OK) st = drl_model_encode(m, DRL_SPLIT_TRAIN, NULL, sample, 0, codes, err);
    double encode = (drl_now() - start) / (double)sample * (double)(im[0].n + im[1].n);
    drl_free(codes);
    size_t sets = st == DRL_OK && drl_model_trajectory(m) ? e->s.eval.eval_times.n : 1;
    if (st == DRL_OK) st = plan_use(c, e, arm, e->s.eval.eval_seeds * sets, encode, d, err);
    if (st == DRL_OK) {
        char took[32], rate[64] = "nothing to train";
        if (!m->train) c->models = 0;
        c->train = step * (double)(arm->settings.model.train_steps * c->models);
        drl_graph_stats gs = m->train ? drl_graph_get_stats(m->train) : (drl_graph_stats){0};
        c->memory = (double)(gs.tensor_bytes + gs.gradient_bytes) * 1e-6;
        if (m->train)
            snprintf(rate, sizeof rate, "%zu steps of %zu images; measured %.0f images/s",
                     arm->settings.model.train_steps, m->cfg.train_batch, (double)m->cfg.train_batch / step);
        printf("  %-13s %9zu parameters %8.1f M multiply-accumulates an image; %s: %s\n", arm->title,
               drl_params_trained(&m->params), gs.macs * 1e-6, rate, drl_format_duration(took, sizeof took, c->train));
    }
    drl_model_close(m);
    return st;
}

drl_status drl_eval_dry_run(drl_eval *e, drl_err *err) {
    cost all = {0};
    char text[4][32];
    printf("%s on %s, scale %s: plan, %zu arms, %zu seeds\n", e->program->name, e->data->name,
           drl_scale_name(e->cli.scale), e->n_arms, e->s.eval.eval_seeds);
    for (size_t i = 0; i < e->n_arms; i++) {
        cost c;
        drl_status st = plan_arm(&c, e, &e->arms[i], err);
        if (st != DRL_OK) return st;
        all = (cost){all.models + c.models, all.train + c.train, all.encode + c.encode,
                     all.probe + c.probe,   all.own + c.own,     fmax(all.memory, c.memory)};
    }
    printf("  models to train: %zu\n  training %s, ", all.models,
           drl_format_duration(text[0], sizeof *text, all.train));
    if (e->program->run)
        printf("%s with them %s\n", e->program->name, drl_format_duration(text[1], sizeof *text, all.own));
    else
        printf("encoding %s, MLP probes at most %s; linear and k-NN probes take seconds each\n",
               drl_format_duration(text[1], sizeof *text, all.encode),
               drl_format_duration(text[2], sizeof *text, all.probe));
    printf("  together about %s from nothing; models and rows found in --out are used again\n",
           drl_format_duration(text[3], sizeof *text, all.train + all.encode + all.probe + all.own));
    printf("  memory of a step at most %.0f MB\n", all.memory);
    if (e->program->measure) printf("  (what %s measures besides is not counted)\n", e->program->name);
    if (e->s.eval.eval_budget == DRL_BUDGET_TIME) printf("  (steps before the time budget is measured)\n");
    return DRL_OK;
}
