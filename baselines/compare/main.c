/* compare: methods side by side. One table of what each costs and how good its codes are, one of the bounds that must
 * hold if everything works, and a figure. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baselines.h"
#include "drl/eval.h"
#include "drl/log.h"

/* ---- The table --------------------------------------------------------------------------------------------------- */

static double mean_of(const drl_evaluation *e, size_t arm, const char *metric) {
    drl_stats s = drl_eval_stats(e, arm, metric, NAN);
    return s.n ? s.mean : NAN;
}

static void format_count(char *buf, size_t size, double count) {
    if (count > 0)
        snprintf(buf, size, "%.0f", count);
    else
        snprintf(buf, size, "–");
}

static drl_status add_method(drl_table *table, const drl_evaluation *e, size_t i, drl_err *err) {
    enum { COLUMNS = 9 };
    char text[COLUMNS][112];
    const char *cells[COLUMNS];
    double seconds = mean_of(e, i, "train_seconds");
    snprintf(text[0], sizeof *text, "%s", e->arms[i].title);
    format_count(text[1], sizeof *text, mean_of(e, i, "parameters"));
    format_count(text[2], sizeof *text, mean_of(e, i, "train_images"));
    if (seconds > 0)
        drl_format_duration(text[3], sizeof *text, seconds);
    else
        snprintf(text[3], sizeof *text, "–");
    format_count(text[4], sizeof *text, mean_of(e, i, "train_images_per_second"));
    for (int probe = 0; probe < DRL_PROBES; probe++)
        drl_eval_cell(text[5 + probe], sizeof *text, drl_eval_best_stats(e, i, (drl_probe_kind)probe));
    double t = drl_eval_best_time(e, i, drl_eval_first_probe(e->settings));
    snprintf(text[8], sizeof *text, isnan(t) ? "–" : "%g", t);
    for (int c = 0; c < COLUMNS; c++) cells[c] = text[c];
    return drl_table_add(table, cells, err);
}

static drl_status make_table(const drl_evaluation *e, drl_err *err) {
    static const char *const head[] = {"method",        "parameters", "training images",
                                       "training time", "images/s",   "MLP probe",
                                       "Linear probe",  "k-NN",       "best t"};
    drl_table *table;
    char title[1100], stem[DRL_PATH_MAX];
    snprintf(title, sizeof title, "Methods compared, %s", e->dataset);
    drl_status st = drl_eval_stem(stem, e, "tables", err);
    if (st == DRL_OK) st = drl_table_new(&table, title, sizeof head / sizeof *head, head, err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; st == DRL_OK && i < e->n_arms; i++) st = add_method(table, e, i, err);
    if (st == DRL_OK) st = drl_eval_mark(table, e, &(drl_eval_marking){5, DRL_PROBES, e->n_arms, NULL, NULL}, err);
    if (st == DRL_OK) st = drl_eval_notes(table, e, err);
    if (st == DRL_OK)
        st = drl_table_note(
            table,
            "Training time and images/s are of one seed, as measured while the table's models were "
            "trained. Where codes depend on t, accuracies are those at the t that each seed's own validation "
            "accuracy by the same probe chooses; best t is that of the first probe, by the mean over the "
            "seeds.",
            err);
    if (st == DRL_OK) st = drl_table_write(table, stem, err);
    drl_table_free(table);
    if (st == DRL_OK) printf("table: %s.md (.csv, .tex)\n", stem);
    return st;
}

/* ---- Bounds ------------------------------------------------------------------------------------------------------ */

static drl_status add_bound(drl_table *table, const char *bound, const char *measured, bool holds, drl_err *err) {
    const char *cells[] = {bound, measured, holds ? "yes" : "no"};
    return drl_table_add(table, cells, err);
}

/* The accuracy of `better` is above that of `worse`. */
static drl_status add_order(drl_table *table, const drl_evaluation *e, size_t better, size_t worse, drl_err *err) {
    drl_probe_kind probe = drl_eval_first_probe(e->settings);
    drl_stats a = drl_eval_best_stats(e, better, probe), b = drl_eval_best_stats(e, worse, probe);
    char bound[224], measured[128];
    snprintf(bound, sizeof bound, "%s above %s", e->arms[better].title, e->arms[worse].title);
    snprintf(measured, sizeof measured, "%.2f against %.2f %%", a.mean, b.mean);
    return add_bound(table, bound, measured, a.n && b.n && a.mean > b.mean, err);
}

static drl_status add_orders(drl_table *table, const drl_evaluation *e, drl_err *err) {
    int supervised = drl_eval_find(e, "supervised", NULL), untrained = drl_eval_find(e, "untrained", NULL);
    drl_status st = DRL_OK;
    for (size_t i = 0; st == DRL_OK && i < e->n_arms; i++) {
        if (!drl_method_trainer(e->arms[i].method)->build || e->arms[i].method->labels) continue;
        if (supervised >= 0) st = add_order(table, e, (size_t)supervised, i, err);
        if (st == DRL_OK && untrained >= 0) st = add_order(table, e, i, (size_t)untrained, err);
    }
    return st;
}

/* What a method measures of itself: reconstruction, and how its codes lie on the sphere before and after training. */
static drl_status add_measured(drl_table *table, const drl_evaluation *e, size_t i, drl_err *err) {
    const char *title = e->arms[i].title;
    char bound[200], measured[160];
    double error = mean_of(e, i, "reconstruction_error"), mean_image = mean_of(e, i, "mean_image_error");
    drl_status st = DRL_OK;
    if (error > 0) {
        snprintf(bound, sizeof bound, "%s: error of reconstruction at most a fifth of the mean image's", title);
        snprintf(measured, sizeof measured, "%.4g against %.4g: %.1f times less", error, mean_image,
                 mean_image / error);
        st = add_bound(table, bound, measured, mean_image >= 5 * error, err);
    }
    static const char *const falls[] = {"uniformity", "contrast"};
    for (int k = 0; k < 2 && st == DRL_OK; k++) {
        char initial[48];
        snprintf(initial, sizeof initial, "initial_%s", falls[k]);
        double before = mean_of(e, i, initial), after = mean_of(e, i, falls[k]);
        if (isnan(before) || isnan(after)) continue;
        snprintf(bound, sizeof bound, "%s: %s falls in training", title, falls[k]);
        snprintf(measured, sizeof measured, "%.4g before, %.4g after", before, after);
        if (k == 1)
            snprintf(measured + strlen(measured), sizeof measured - strlen(measured), " (alignment %.3g, then %.3g)",
                     mean_of(e, i, "initial_alignment"), mean_of(e, i, "alignment"));
        st = add_bound(table, bound, measured, after < before, err);
    }
    return st;
}

static drl_status make_bounds(const drl_evaluation *e, drl_err *err) {
    static const char *const head[] = {"bound", "measured", "holds"};
    drl_table *table;
    char stem[DRL_PATH_MAX], path[DRL_PATH_MAX + 16], title[1200];
    snprintf(title, sizeof title, "Bounds that hold where everything works: %s, %s scale%s", e->dataset, e->scale,
             strcmp(e->scale, "smoke") == 0 ? " (which trains too little to say anything)" : "");
    drl_status st = drl_eval_stem(stem, e, "tables", err);
    if (st == DRL_OK) st = drl_table_new(&table, title, 3, head, err);
    if (st != DRL_OK) return st;
    st = add_orders(table, e, err);
    for (size_t i = 0; st == DRL_OK && i < e->n_arms; i++) st = add_measured(table, e, i, err);
    if (st == DRL_OK)
        st = drl_table_note(
            table,
            "Means over the seeds; accuracies by the first probe. Errors: 1/2 |y - x|^2 of normalised "
            "images, summed over the pixels, of images the method has trained on. On the sphere: alignment E |f(x) - "
            "f(x')|^2 for two pictures of an image, uniformity log E exp(-2 |f(x_i) - f(x_j)|^2) for "
            "different images, contrast the alignment over E |f(x_i) - f(x_j)|^2. An untrained network "
            "maps everything to nearly one point, so that alignment alone may rise.",
            err);
    snprintf(path, sizeof path, "%s-bounds", stem);
    if (st == DRL_OK) st = drl_table_write(table, path, err);
    drl_table_free(table);
    if (st == DRL_OK) printf("bounds: %s.md (.csv, .tex)\n", path);
    return st;
}

/* ---- The figure -------------------------------------------------------------------------------------------------- */

typedef struct entry {
    const char *label;
    drl_stats by[DRL_PROBES];
    double key; /* mean by the first probe */
} entry;

static int by_key(const void *a, const void *b) {
    double x = ((const entry *)a)->key, y = ((const entry *)b)->key;
    return (x > y) - (x < y);
}

/* The data file of plots/compare.gp: a block for each probe, a row for each method, the best last. */
static drl_status write_entries(const char *path, const entry *entries, size_t n, const drl_settings *s, drl_err *err) {
    drl_new_file file;
    drl_status st = drl_new_file_open(&file, path, err);
    if (st != DRL_OK) return st;
    fputs("# place mean half95 \"method\" \"probe\"\n", file.f);
    for (int probe = 0, blocks = 0; probe < DRL_PROBES; probe++) {
        if (!drl_eval_wants(s, (drl_probe_kind)probe)) continue;
        if (blocks++) fputs("\n\n", file.f);
        for (size_t i = 0; i < n; i++) {
            fprintf(file.f, "%zu %.6g %.6g ", i + 1, entries[i].by[probe].mean, entries[i].by[probe].half95);
            drl_put_column(file.f, entries[i].label);
            fprintf(file.f, " \"%s\"\n", drl_probe_title[probe]);
        }
    }
    return drl_new_file_commit(&file, err);
}

static drl_status write_figure(const drl_evaluation *e, const char *stem, const char *data, drl_err *err) {
    (void)stem;
    entry entries[DRL_EVAL_ARMS];
    for (size_t i = 0; i < e->n_arms; i++) {
        entries[i] = (entry){.label = e->arms[i].title};
        for (int probe = 0; probe < DRL_PROBES; probe++)
            entries[i].by[probe] = drl_eval_best_stats(e, i, (drl_probe_kind)probe);
        entries[i].key = entries[i].by[drl_eval_first_probe(e->settings)].mean;
    }
    qsort(entries, e->n_arms, sizeof *entries, by_key);
    return write_entries(data, entries, e->n_arms, e->settings, err);
}

static drl_status report(const drl_evaluation *e, drl_err *err) {
    drl_status st = make_table(e, err);
    if (st == DRL_OK) st = drl_eval_export(e, err);
    if (st == DRL_OK) st = make_bounds(e, err);
    return st == DRL_OK ? drl_eval_figure(e, "compare", "Methods compared", write_figure, err) : st;
}

int main(int argc, char **argv) {
    static const drl_eval_program program = {
        .name = "compare",
        .summary = "Methods of representation learning side by side: cost, and accuracy of probes on their codes.",
        .config_dir = "baselines/compare",
        .report = report};
    drl_baselines_add();
    return drl_eval_main(&program, argc, argv);
}
