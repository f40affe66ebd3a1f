/* R4: the process in which codes are learned.                                               [science.md, section 5]
 *
 * R1 under variants of the process: VE, VP and sub-VP, the same encoder and budget. One t means different noise in
 * different processes, so accuracy is also drawn against the signal-to-noise ratio m(t)^2 / s(t)^2 of x_t, where the
 * curves can be compared. Tables, claims and figure are made from the rows of the run store. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "baselines.h"
#include "drl/eval.h"

/* log10 of m^2 / s^2 at time t of an arm's process; t from the smallest that is trained. */
static double log_snr(const drl_arm *arm, double t) {
    drl_sde sde = drl_sde_published((drl_sde_kind)arm->settings.model.diffusion_sde);
    drl_sde_marginal k = drl_sde_marginal_at(&sde, fmax(t, sde.t_min));
    return 2 * log10(k.mean / k.std);
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

static drl_status add_row(drl_table *table, const drl_evaluation *e, size_t arm, drl_err *err) {
    char text[3 + DRL_PROBES][48];
    const char *cells[4 + DRL_PROBES] = {e->arms[arm].title, text[0], text[1], text[2]};
    size_t n;
    drl_probe_kind first = drl_eval_first_probe(e->settings);
    const double *times = drl_eval_times(e, arm, &n);
    double t = drl_eval_best_time(e, arm, first), lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        drl_stats s = drl_eval_stats(e, arm, drl_probe_metric[first], times[i]);
        if (s.n) lo = fmin(lo, 100 * s.mean), hi = fmax(hi, 100 * s.mean);
    }
    for (int i = 0; i < 3; i++) snprintf(text[i], sizeof *text, "–");
    if (!isnan(t)) {
        snprintf(text[0], sizeof *text, "%g", t);
        snprintf(text[1], sizeof *text, "%.1f", log_snr(&e->arms[arm], t));
    }
    if (n > 1 && hi >= lo) snprintf(text[2], sizeof *text, "%.2f to %.2f", lo, hi);
    for (int probe = 0; probe < DRL_PROBES; probe++) {
        drl_eval_cell(text[3 + probe], sizeof *text, drl_eval_best_stats(e, arm, (drl_probe_kind)probe));
        cells[4 + probe] = text[3 + probe];
    }
    return drl_table_add(table, cells, err);
}

static drl_status make_table(const drl_evaluation *e, drl_err *err) {
    drl_table *table;
    char title[1100], stem[DRL_PATH_MAX];
    snprintf(title, sizeof title, "R4: accuracy of probes on frozen codes by process, %s", e->dataset);
    const char *head[4 + DRL_PROBES] = {"code", "best t", "log10 m²/s² there", "range over t"};
    for (int probe = 0; probe < DRL_PROBES; probe++) head[4 + probe] = drl_probe_title[probe];
    drl_status st = drl_eval_stem(stem, e, "tables", err);
    if (st == DRL_OK) st = drl_table_new(&table, title, 4 + DRL_PROBES, head, err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; st == DRL_OK && i < e->n_arms; i++) st = add_row(table, e, i, err);
    if (st == DRL_OK) st = drl_eval_mark(table, e, &(drl_eval_marking){4, DRL_PROBES, e->n_arms, NULL, NULL}, err);
    if (st == DRL_OK) st = drl_eval_notes(table, e, err);
    if (st == DRL_OK)
        st = drl_table_note(table,
                            "Best t and the range over t are by the first probe; the accuracies of each probe are at "
                            "the t that is best on its own validation accuracy.",
                            err);
    if (st == DRL_OK) st = drl_table_write(table, stem, err);
    drl_table_free(table);
    if (st == DRL_OK) printf("table: %s.md (.csv, .tex)\n", stem);
    return st;
}

/* ---- The figure -------------------------------------------------------------------------------------------------- */

/* Two panels for every method that varies, against t and against log10 m^2/s^2; the others are lines in all of them. */
static drl_status write_curves(const drl_evaluation *e, const char *stem, const char *data, drl_err *err) {
    (void)stem;
    enum { PANELS = 16 };
    static drl_eval_points points[2 * DRL_EVAL_ARMS * PANELS / 2];
    static drl_curve curves[2 * DRL_EVAL_ARMS * PANELS / 2];
    static char panels[2 * PANELS][80];
    drl_probe_kind probe = drl_eval_first_probe(e->settings);
    size_t n = 0, n_panels = 0;
    for (int against_snr = 0; against_snr < 2; against_snr++)
        for (size_t i = 0; i < e->n_arms && n_panels < PANELS; i++) {
            const drl_method *method = e->arms[i].method;
            size_t times;
            if (isnan(drl_eval_times(e, i, &times)[0]) || (i > 0 && e->arms[i - 1].method == method))
                continue; /* the first arm of a method */
            char *panel = panels[n_panels++];
            snprintf(panel, sizeof *panels, "%s%s", method->title, against_snr ? ", by noise" : "");
            for (size_t k = 0; k < e->n_arms; k++) {
                const drl_arm *arm = &e->arms[k];
                if (arm->method->diffusion && arm->method != method) continue;
                if (!drl_eval_curve(&curves[n], &points[n], e, k, probe, against_snr ? log_snr : NULL)) continue;
                curves[n].panel = panel;
                if (arm->variant[0] && curves[n].kind == DRL_CURVE_LINE) curves[n].label = arm->variant;
                n++;
            }
        }
    return drl_curves_write(data, curves, n, err);
}

static drl_status make_figure(const drl_evaluation *e, drl_err *err) {
    char title[80];
    bool any = false;
    for (size_t i = 0, times; i < e->n_arms; i++) any = any || !isnan(drl_eval_times(e, i, &times)[0]);
    snprintf(title, sizeof title, "Accuracy by process (%s, %zu seed%s)",
             drl_probe_title[drl_eval_first_probe(e->settings)], e->settings->eval.eval_seeds,
             e->settings->eval.eval_seeds == 1 ? "" : "s");
    if (any) return drl_eval_figure(e, "sde_ablation", title, write_curves, err);
    printf("figure: none, no code of these methods depends on t\n");
    return DRL_OK;
}

static drl_status report(const drl_evaluation *e, drl_err *err) {
    drl_status st = make_table(e, err);
    if (st == DRL_OK) st = drl_eval_export(e, err);
    if (st == DRL_OK) st = drl_eval_claims(e, err);
    return st == DRL_OK ? make_figure(e, err) : st;
}

int main(int argc, char **argv) {
    static const drl_eval_program program = {
        .name = "sde_ablation",
        .summary = "Accuracy of probes on frozen codes learned in different diffusion processes (R4).",
        .config_dir = "experiments/sde_ablation",
        .claims = true,
        .report = report};
    drl_baselines_add();
    return drl_eval_main(&program, argc, argv);
}
