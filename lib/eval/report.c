/* What reports have in common (drl/eval.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/eval.h"
#include "drl/log.h"

void drl_eval_cell(char *buf, size_t size, drl_stats s) {
    if (s.n == 0)
        snprintf(buf, size, "–");
    else if (s.n == 1)
        snprintf(buf, size, "%.2f", s.mean);
    else
        snprintf(buf, size, "%.2f ± %.2f", s.mean, s.half95);
}

drl_status drl_eval_stem(char path[DRL_PATH_MAX], const drl_evaluation *e, const char *kind, drl_err *err) {
    char dir[DRL_PATH_MAX], name[DRL_DATASET_SHORT_MAX];
    drl_dataset_short_name(name, e->dataset);
    snprintf(dir, sizeof dir, "%s/%s", e->out, kind);
    const char *own = e->settings->eval.eval_name;
    int n = snprintf(path, DRL_PATH_MAX, "%s/%s/%s%s%s-%s-%s", e->out, kind, e->program, own[0] ? "-" : "", own, name,
                     e->scale);
    if (n < 0 || n >= DRL_PATH_MAX - 64) return drl_fail(err, DRL_ERR_IO, "%.200s...: name too long", e->out);
    drl_status st = drl_make_dirs(dir, err);
    if (st == DRL_OK) drl_temporary_sweep(dir);
    return st;
}

drl_status drl_eval_notes(drl_table *table, const drl_evaluation *e, drl_err *err) {
    const drl_model_cfg *m = &e->settings->model;
    const drl_eval_cfg *v = &e->settings->eval;
    static const char *const sdes[] = {"VE", "VP", "sub-VP"};
    static const char *const densities[] = {"uniform", "low", "high", "Gaussian"};
    static const char *const budgets[] = {"the same number of training images for all",
                                          "as long as the first method, on the machine that ran it, for all"};
    static const char *const protocols[] = {"published (6 rates, 100 epochs, best epoch on validation)",
                                            "fast (2 rates, at most 20 epochs, stopped on validation)", "none"};
    char line[800];
    snprintf(
        line, sizeof line,
        "Scale %s%s; %zu seed(s); test accuracy in %%, mean ± half-width of the 95 %% interval over seeds; where codes "
        "depend on t, at the t that is best on validation unless a t is given.",
        e->scale, strcmp(e->scale, "smoke") == 0 ? " (checks the path, means nothing)" : "", v->eval_seeds);
    drl_status st = drl_table_note(table, line, err);
    snprintf(line, sizeof line,
             "Encoder WideResNet-%zu-%g, %s process, density of t %s, %s codes, Adam of rate %g with %zu steps of "
             "warm-up, %zu images a "
             "step. Budget: %s (%zu steps%s).",
             m->model_encoder_depth, m->model_encoder_width, sdes[m->diffusion_sde], densities[m->diffusion_t_density],
             m->model_code == DRL_CODE_TIME ? "time-conditioned" : "static", m->train_rate, m->train_warmup,
             m->train_batch, budgets[v->eval_budget], m->train_steps,
             v->eval_budget == DRL_BUDGET_TIME ? " of the first" : "");
    if (st == DRL_OK) st = drl_table_note(table, line, err);
    if (st == DRL_OK && v->eval_variants[0]) {
        snprintf(line, sizeof line, "Variants of these settings: %.700s.", v->eval_variants);
        st = drl_table_note(table, line, err);
    }
    char neighbours[48];
    snprintf(neighbours, sizeof neighbours, "k = %zu, cosine", v->probe_neighbours);
    snprintf(
        line, sizeof line,
        "MLP probe: %s. Linear probe: %s. k-NN: %s. Codes %sstandardised for MLP and linear. A tenth of the training "
        "images is the validation part.",
        protocols[v->probe_mlp], v->probe_linear ? "logistic regression to convergence" : "none",
        v->probe_neighbours ? neighbours : "none", v->probe_standardise ? "" : "not ");
    if (st == DRL_OK) st = drl_table_note(table, line, err);
    return st == DRL_OK ? drl_table_command(table, e->command, err) : st;
}

drl_status drl_eval_export(const drl_evaluation *e, drl_err *err) {
    char stem[DRL_PATH_MAX];
    drl_status st = drl_eval_stem(stem, e, "tables", err);
    int64_t runs[DRL_EVAL_ARMS * DRL_EVAL_SEEDS];
    size_t n = 0;
    for (size_t i = 0; i < e->n_arms * e->settings->eval.eval_seeds; i++)
        if (e->runs[i] > 0) runs[n++] = e->runs[i];
    if (st == DRL_OK) st = drl_store_export(e->store, runs, n, stem, err);
    if (st == DRL_OK) printf("rows: %s-rows.csv, runs: %s-runs.json\n", stem, stem);
    return st;
}

bool drl_eval_curve(drl_curve *curve, drl_eval_points *points, const drl_evaluation *e, size_t arm,
                    drl_probe_kind probe, double (*x)(const drl_arm *arm, double t)) {
    size_t n;
    const double *times = drl_eval_times(e, arm, &n);
    bool line = isnan(times[0]);
    for (size_t i = 0; i < n; i++) {
        drl_stats s = drl_eval_stats(e, arm, drl_probe_metric[probe], times[i]);
        if (s.n == 0) return false;
        points->x[i] = x && !line ? x(&e->arms[arm], times[i]) : times[i];
        points->mean[i] = 100 * s.mean;
        points->half95[i] = 100 * s.half95;
    }
    *curve = (drl_curve){.label = e->arms[arm].title,
                         .panel = drl_probe_title[probe],
                         .kind = line ? DRL_CURVE_REFERENCE : DRL_CURVE_LINE,
                         .n = n,
                         .t = line ? NULL : points->x,
                         .mean = points->mean,
                         .half95 = line ? NULL : points->half95};
    return true;
}

drl_status drl_eval_figure(const drl_evaluation *e, const char *script, const char *title,
                           drl_status (*write)(const drl_evaluation *e, const char *stem, const char *data,
                                               drl_err *err),
                           drl_err *err) {
    char stem[DRL_PATH_MAX], data[DRL_PATH_MAX + 8], line[1400];
    drl_status st = drl_eval_stem(stem, e, "figures", err);
    snprintf(data, sizeof data, "%s.dat", stem);
    snprintf(line, sizeof line, "%s: %s, %s scale", title, e->dataset, e->scale);
    if (st == DRL_OK) st = write(e, stem, data, err);
    if (st == DRL_OK) st = drl_figure(script, data, line, stem, err);
    if (st == DRL_OK) printf("figure: %s.svg (.png, .pdf)\n", stem);
    return st;
}
