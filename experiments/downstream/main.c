/* R1: downstream classification along the trajectory.                                       [science.md, section 5]
 *
 * Test accuracy of probes on frozen codes E(x, t) against t, of the methods whose codes depend on t; all others are
 * horizontal lines. Tables, claims and figure are made from the rows of the run store. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "baselines.h"
#include "drl/eval.h"

/* ---- The table: a row for every code ----------------------------------------------------------------------------- */

static drl_status add_row(drl_table *table, const drl_evaluation *e, size_t method, double t, drl_err *err) {
    char label[96], text[DRL_PROBES][48];
    const char *cells[1 + DRL_PROBES] = {label};
    snprintf(label, sizeof label, isnan(t) ? "%s" : "%s, t = %g", e->methods[method]->title, t);
    for (int probe = 0; probe < DRL_PROBES; probe++) {
        drl_stats s = drl_eval_stats(e, method, drl_probe_metric[probe], t);
        drl_eval_cell(text[probe], sizeof text[probe], (drl_stats){s.n, 100 * s.mean, 100 * s.std, 100 * s.half95});
        cells[1 + probe] = text[probe];
    }
    return drl_table_add(table, cells, err);
}

static drl_status make_table(const drl_evaluation *e, drl_err *err) {
    drl_table *table;
    char title[1100], stem[DRL_PATH_MAX];
    snprintf(title, sizeof title, "R1: accuracy of probes on frozen codes, %s", e->dataset);
    const char *head[1 + DRL_PROBES] = {"code"};
    for (int probe = 0; probe < DRL_PROBES; probe++) head[1 + probe] = drl_probe_title[probe];
    drl_status st = drl_eval_stem(stem, e, "tables", err);
    if (st == DRL_OK) st = drl_table_new(&table, title, 1 + DRL_PROBES, head, err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; st == DRL_OK && i < e->n_methods; i++) {
        size_t n;
        const double *times = drl_eval_times(e, i, &n);
        for (size_t k = 0; st == DRL_OK && k < n; k++) st = add_row(table, e, i, times[k], err);
    }
    if (st == DRL_OK) st = drl_eval_notes(table, e, err);
    if (st == DRL_OK) st = drl_table_write(table, stem, err);
    drl_table_free(table);
    if (st == DRL_OK) printf("table: %s.md (.csv, .tex)\n", stem);
    return st;
}

/* ---- Claims: the paper's sentences beside what was measured ------------------------------------------------------ */

/* Mean accuracy at the interior times minus that at one end, 0 the first and 1 the last: on average 0 for a flat curve,
 * whatever its noise, which the largest of many times minus an end is not. NaN where a row is missing. */
static double drop(const drl_evaluation *e, size_t method, drl_probe_kind probe, int end, uint64_t seed) {
    size_t n;
    const double *times = drl_eval_times(e, method, &n);
    double interior = 0;
    for (size_t i = 1; i + 1 < n; i++)
        interior += 100 * drl_eval_value(e, method, drl_probe_metric[probe], times[i], seed);
    return interior / (double)(n - 2) -
           100 * drl_eval_value(e, method, drl_probe_metric[probe], times[end ? n - 1 : 0], seed);
}

/* `better` minus `worse`, each at the t that its validation accuracy chooses; without `worse` the smaller of the drops
 * of `better` toward the two ends, which both have to be there. */
typedef struct claim {
    const char *id, *better, *worse, *statement;
} claim;

static const claim claims[] = {
    {"R1.peak.drl", "drl", NULL, "DRL's accuracy peaks at an intermediate t and falls toward both ends (paper)"},
    {"R1.peak.vdrl", "vdrl", NULL, "VDRL's accuracy peaks at an intermediate t and falls toward both ends (paper)"},
    {"R1.drl.ae", "drl", "ae", "the best t of DRL beats AE (paper)"},
    {"R1.drl.vae", "drl", "vae", "the best t of DRL beats VAE (paper)"},
    {"R1.drl.simclr-gauss", "drl", "simclr-gauss", "the best t of DRL beats SimCLR-Gauss (paper)"},
    {"R1.vdrl.ae", "vdrl", "ae", "the best t of VDRL beats AE (paper)"},
    {"R1.vdrl.vae", "vdrl", "vae", "the best t of VDRL beats VAE (paper)"},
    {"R1.vdrl.simclr-gauss", "vdrl", "simclr-gauss", "the best t of VDRL beats SimCLR-Gauss (paper)"},
    {"R1.simclr.drl", "simclr", "drl", "full SimCLR, with its augmentations, is above DRL (paper)"},
    {"R1.simclr.vdrl", "simclr", "vdrl", "full SimCLR, with its augmentations, is above VDRL (paper)"},
    {"R1.drl.untrained", "drl", "untrained", "DRL beats the untrained encoder (own bound)"},
    {"R1.drl.pixels", "drl", "pixels", "DRL beats the raw pixels (own bound)"},
};

/* Over the seeds; of a peak, toward one end. */
static drl_stats one_effect(const drl_evaluation *e, const claim *c, drl_probe_kind probe, int end) {
    double effects[DRL_EVAL_SEEDS];
    size_t n = 0, better = (size_t)drl_eval_find(e, c->better);
    for (uint64_t seed = 1; seed <= e->settings->eval.eval_seeds; seed++) {
        double effect = c->worse ? drl_eval_best(e, better, probe, seed) -
                                       drl_eval_best(e, (size_t)drl_eval_find(e, c->worse), probe, seed)
                                 : drop(e, better, probe, end, seed);
        if (isfinite(effect)) effects[n++] = effect;
    }
    return n ? drl_stats_of(effects, n) : (drl_stats){0};
}

/* Of two drops the one whose interval reaches lower: it decides whether both lie above 0. */
static drl_stats effect_of(const drl_evaluation *e, const claim *c, drl_probe_kind probe) {
    drl_stats first = one_effect(e, c, probe, 0), last = one_effect(e, c, probe, 1);
    return first.mean - first.half95 <= last.mean - last.half95 ? first : last;
}

/* Whether the evaluation holds what a claim is about. */
static bool is_measured(const drl_evaluation *e, const claim *c) {
    int better = drl_eval_find(e, c->better);
    size_t n = 0;
    if (better >= 0) drl_eval_times(e, (size_t)better, &n);
    return better >= 0 && (c->worse ? drl_eval_find(e, c->worse) >= 0 : n >= 3);
}

/* Adds the runs of a method to a text. */
static void list_runs(char *text, size_t size, const drl_evaluation *e, const char *method) {
    size_t seeds = e->settings->eval.eval_seeds, first = (size_t)drl_eval_find(e, method) * seeds;
    for (size_t i = 0; i < seeds; i++) {
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%lld", used ? " " : "", (long long)e->runs[first + i]);
    }
}

static drl_status judge(const drl_evaluation *e, const claim *c, drl_probe_kind probe, drl_table *table, drl_err *err) {
    char text[48], runs[2 * DRL_EVAL_SEEDS * 21] = "";
    drl_stats effect = effect_of(e, c, probe);
    const char *verdict = drl_verdict(effect, e->scale);
    drl_eval_cell(text, sizeof text, effect);
    const char *cells[] = {c->id, c->statement, text, verdict};
    const drl_claim row = {c->id,  e->dataset, e->scale, drl_probe_title[probe], runs, c->statement, drl_verdict_rule,
                           effect, verdict};
    list_runs(runs, sizeof runs, e, c->better);
    if (c->worse) list_runs(runs, sizeof runs, e, c->worse);
    drl_status st = drl_table_add(table, cells, err);
    return st == DRL_OK ? drl_store_claim(e->store, &row, err) : st;
}

static drl_status make_claims(const drl_evaluation *e, drl_err *err) {
    static const char *const head[] = {"id", "statement", "effect measured (points)", "verdict"};
    drl_probe_kind probe = drl_eval_first_probe(e->settings);
    drl_table *table;
    char stem[DRL_PATH_MAX], path[DRL_PATH_MAX + 16], note[600], title[1100];
    snprintf(title, sizeof title, "R1: claims, %s, %s scale, %zu seed(s)", e->dataset, e->scale,
             e->settings->eval.eval_seeds);
    drl_status st = drl_eval_stem(stem, e, "tables", err);
    if (st == DRL_OK) st = drl_table_new(&table, title, 4, head, err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; st == DRL_OK && i < sizeof claims / sizeof *claims; i++) {
        if (is_measured(e, &claims[i])) st = judge(e, &claims[i], probe, table, err);
    }
    snprintf(
        note, sizeof note,
        "Effect, by the %s, seed by seed: mean over the interior times minus the accuracy at an end, the smaller of "
        "the two drops (R1.peak); else the first accuracy minus the second, each at the t that is best on "
        "validation. Rule: %s.",
        drl_probe_title[probe], drl_verdict_rule);
    if (st == DRL_OK) st = drl_table_note(table, note, err);
    snprintf(path, sizeof path, "%s-claims", stem);
    if (st == DRL_OK) st = drl_table_write(table, path, err);
    drl_table_free(table);
    if (st == DRL_OK) printf("claims: %s.md (.csv, .tex)\n", path);
    snprintf(path, sizeof path, "%s/claims.csv", e->out);
    if (st == DRL_OK) st = drl_store_export_claims(e->store, path, err);
    if (st == DRL_OK) printf("claims of all programs: %s\n", path);
    return st;
}

/* ---- The figure -------------------------------------------------------------------------------------------------- */

typedef struct points {
    double mean[DRL_LIST_MAX], half95[DRL_LIST_MAX];
} points;

/* The curve of one method by one probe, with its band, or its line; false where rows are missing. */
static bool make_curve(const drl_evaluation *e, size_t method, drl_probe_kind probe, points *p, drl_curve *curve) {
    size_t n;
    const double *times = drl_eval_times(e, method, &n);
    bool line = n == 1;
    for (size_t i = 0; i < n; i++) {
        drl_stats s = drl_eval_stats(e, method, drl_probe_metric[probe], times[i]);
        if (s.n == 0) return false;
        p->mean[i] = 100 * s.mean;
        p->half95[i] = 100 * s.half95;
    }
    *curve = (drl_curve){e->methods[method]->title,
                         drl_probe_title[probe],
                         line ? DRL_CURVE_REFERENCE : DRL_CURVE_LINE,
                         n,
                         line ? NULL : times,
                         p->mean,
                         line ? NULL : p->half95}; /* bands of many lines would hide each other */
    return true;
}

static drl_status make_figure(const drl_evaluation *e, drl_err *err) {
    static points store[DRL_PROBES * DRL_EVAL_METHODS];
    static drl_curve curves[DRL_PROBES * DRL_EVAL_METHODS];
    size_t n = 0;
    for (int probe = 0; probe < DRL_PROBES; probe++)
        for (size_t i = 0; i < e->n_methods && drl_eval_wants(e->settings, (drl_probe_kind)probe); i++)
            n += make_curve(e, i, (drl_probe_kind)probe, &store[n], &curves[n]);
    char stem[DRL_PATH_MAX], data[DRL_PATH_MAX + 8], title[1200];
    drl_status st = drl_eval_stem(stem, e, "figures", err);
    snprintf(data, sizeof data, "%s.dat", stem);
    snprintf(title, sizeof title, "Downstream accuracy along the trajectory: %s, %s scale", e->dataset, e->scale);
    if (st == DRL_OK) st = drl_curves_write(data, curves, n, err);
    if (st == DRL_OK) st = drl_figure("downstream", data, title, stem, err);
    if (st == DRL_OK) printf("figure: %s.svg (.png)\n", stem);
    return st;
}

static drl_status report(const drl_evaluation *e, drl_err *err) {
    drl_status st = make_table(e, err);
    if (st == DRL_OK) st = drl_eval_export(e, err);
    if (st == DRL_OK) st = make_claims(e, err);
    return st == DRL_OK ? make_figure(e, err) : st;
}

int main(int argc, char **argv) {
    static const drl_eval_program program = {
        .name = "downstream",
        .summary = "Accuracy of probes on frozen codes against the encoder's time t, and baselines (R1).",
        .config_dir = DRL_SOURCE_DIR "/experiments/downstream",
        .report = report};
    drl_baselines_add();
    return drl_eval_main(&program, argc, argv);
}
