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
static double value_of(const drl_evaluation *e, const void *arg, size_t row, size_t probe, size_t *arm, uint64_t seed) {
    size_t n;
    (void)arg;
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
    if (st == DRL_OK) st = drl_eval_mark(table, e, &(drl_eval_marking){1, DRL_PROBES, rows, value_of, NULL}, err);
    if (st == DRL_OK) st = drl_eval_notes(table, e, err);
    if (st == DRL_OK) st = drl_table_write(table, stem, err);
    drl_table_free(table);
    if (st == DRL_OK) printf("table: %s.md (.csv, .tex)\n", stem);
    return st;
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
    if (st == DRL_OK) st = drl_eval_claims(e, err);
    if (st != DRL_OK) return st;
    return drl_eval_figure(e, "downstream", "Downstream accuracy along the trajectory", write_curves, err);
}

int main(int argc, char **argv) {
    static const drl_eval_program program = {
        .name = "downstream",
        .summary = "Accuracy of probes on frozen codes against the encoder's time t, and baselines (R1).",
        .config_dir = "experiments/downstream",
        .claims = true,
        .report = report};
    drl_baselines_add();
    return drl_eval_main(&program, argc, argv);
}
