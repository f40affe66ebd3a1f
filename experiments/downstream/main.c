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

static drl_status add_row(drl_table *table, const drl_evaluation *e, size_t arm, double t, drl_err *err) {
    char label[96], text[DRL_PROBES][48];
    const char *cells[1 + DRL_PROBES] = {label};
    snprintf(label, sizeof label, isnan(t) ? "%s" : "%s, t = %g", e->arms[arm].title, t);
    for (int probe = 0; probe < DRL_PROBES; probe++) {
        drl_stats s = drl_eval_stats(e, arm, drl_probe_metric[probe], t);
        drl_eval_cell(text[probe], sizeof text[probe], drl_eval_scaled(s, 100));
        cells[1 + probe] = text[probe];
    }
    return drl_table_add(table, cells, err);
}

/* The accuracy of a row of the table, rows being those of make_table. */
static double value_of(const drl_evaluation *e, size_t row, size_t *arm, drl_probe_kind probe, uint64_t seed) {
    size_t n;
    const double *times = drl_eval_times(e, *arm = 0, &n);
    while (row >= n) {
        row -= n;
        times = drl_eval_times(e, ++*arm, &n);
    }
    return drl_eval_value(e, *arm, drl_probe_metric[probe], times[row], seed);
}

static drl_status make_table(const drl_evaluation *e, drl_err *err) {
    drl_table *table;
    size_t rows = 0;
    char title[1100], stem[DRL_PATH_MAX];
    snprintf(title, sizeof title, "R1: accuracy of probes on frozen codes, %s", e->dataset);
    const char *head[1 + DRL_PROBES] = {"code"};
    for (int probe = 0; probe < DRL_PROBES; probe++) head[1 + probe] = drl_probe_title[probe];
    drl_status st = drl_eval_stem(stem, e, "tables", err);
    if (st == DRL_OK) st = drl_table_new(&table, title, 1 + DRL_PROBES, head, err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; st == DRL_OK && i < e->n_arms; i++) {
        size_t n;
        const double *times = drl_eval_times(e, i, &n);
        for (size_t k = 0; st == DRL_OK && k < n; k++, rows++) st = add_row(table, e, i, times[k], err);
    }
    if (st == DRL_OK) st = drl_eval_mark(table, 1, e, rows, value_of, err);
    if (st == DRL_OK) st = drl_eval_notes(table, e, err);
    if (st == DRL_OK) st = drl_table_write(table, stem, err);
    drl_table_free(table);
    if (st == DRL_OK) printf("table: %s.md (.csv, .tex)\n", stem);
    return st;
}

/* ---- Claims: the paper's sentences beside what was measured ------------------------------------------------------ */

/* Mean accuracy at the interior times minus that at one end, 0 the first and 1 the last: on average 0 for a flat curve,
 * whatever its noise, which the largest of many times minus an end is not. NaN where a row is missing. */
static double drop(const drl_evaluation *e, size_t arm, drl_probe_kind probe, int end, uint64_t seed) {
    size_t n;
    const double *times = drl_eval_times(e, arm, &n);
    double interior = 0;
    for (size_t i = 1; i + 1 < n; i++)
        interior += 100 * drl_eval_value(e, arm, drl_probe_metric[probe], times[i], seed);
    return interior / (double)(n - 2) -
           100 * drl_eval_value(e, arm, drl_probe_metric[probe], times[end ? n - 1 : 0], seed);
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

/* Of the drops toward the two ends, over the seeds, the one whose interval reaches lower: it decides whether both lie
 * above 0. */
static drl_stats lower_drop(const drl_evaluation *e, size_t arm, drl_probe_kind probe) {
    drl_stats drops[2];
    for (int end = 0; end < 2; end++) {
        double values[DRL_EVAL_SEEDS];
        size_t n = 0;
        for (uint64_t seed = 1; seed <= e->settings->eval.eval_seeds; seed++) {
            double v = drop(e, arm, probe, end, seed);
            if (isfinite(v)) values[n++] = v;
        }
        drops[end] = n ? drl_stats_of(values, n) : (drl_stats){0};
    }
    return drops[0].mean - drops[0].half95 <= drops[1].mean - drops[1].half95 ? drops[0] : drops[1];
}

/* Whether the evaluation holds what a claim is about. */
static bool is_measured(const drl_evaluation *e, const claim *c) {
    int better = drl_eval_find(e, c->better, "");
    size_t n = 0;
    if (better >= 0) drl_eval_times(e, (size_t)better, &n);
    return better >= 0 && (c->worse ? drl_eval_find(e, c->worse, "") >= 0 : n >= 3);
}

static void judge(drl_eval_claims *to, const claim *c) {
    size_t arms[] = {(size_t)drl_eval_find(to->e, c->better, ""),
                     c->worse ? (size_t)drl_eval_find(to->e, c->worse, "") : 0};
    drl_stats effect =
        c->worse ? drl_eval_difference(to->e, arms[0], arms[1], to->probe) : lower_drop(to->e, arms[0], to->probe);
    drl_eval_claims_add(to, c->id, c->statement, effect, arms, c->worse ? 2 : 1);
}

static drl_status make_claims(const drl_evaluation *e, drl_err *err) {
    drl_eval_claims c;
    drl_eval_claims_begin(&c, e, "R1", err);
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
        if (is_measured(e, &claims[i])) judge(&c, &claims[i]);
    return drl_eval_claims_end(
        &c, "mean over the interior times minus the accuracy at an end, the smaller of the two drops (R1.peak); else "
            "the first accuracy minus the second, each at the t that is best on validation.");
}

/* ---- The figure -------------------------------------------------------------------------------------------------- */

static drl_status write_curves(const drl_evaluation *e, const char *stem, const char *data, drl_err *err) {
    (void)stem;
    static drl_eval_points points[DRL_PROBES * DRL_EVAL_ARMS];
    static drl_curve curves[DRL_PROBES * DRL_EVAL_ARMS];
    size_t n = 0;
    for (int probe = 0; probe < DRL_PROBES; probe++)
        for (size_t i = 0; i < e->n_arms && drl_eval_wants(e->settings, (drl_probe_kind)probe); i++)
            n += drl_eval_curve(&curves[n], &points[n], e, i, (drl_probe_kind)probe, NULL);
    return drl_curves_write(data, curves, n, err);
}

static drl_status report(const drl_evaluation *e, drl_err *err) {
    drl_status st = make_table(e, err);
    if (st == DRL_OK) st = drl_eval_export(e, err);
    if (st == DRL_OK) st = make_claims(e, err);
    if (st != DRL_OK) return st;
    return drl_eval_figure(e, "downstream", "Downstream accuracy along the trajectory", write_curves, err);
}

int main(int argc, char **argv) {
    static const drl_eval_program program = {
        .name = "downstream",
        .summary = "Accuracy of probes on frozen codes against the encoder's time t, and baselines (R1).",
        .config_dir = "experiments/downstream",
        .report = report};
    drl_baselines_add();
    return drl_eval_main(&program, argc, argv);
}
