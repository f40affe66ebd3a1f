/* R3: control of the level of detail.                                                       [science.md, section 5]
 *
 * 2-dimensional codes trained with different densities of t: where the test images lie, and what is sampled from a grid
 * of codes; how much of the class a code holds, and how much of an image's low and high frequencies (detail.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "baselines.h"
#include "detail.h"
#include "drl/mem.h"

static drl_status check(const drl_arm *arm, drl_err *err) {
    const drl_model_cfg *m = &arm->settings.model;
    const drl_model_cfg any = {.model_code = DRL_CODE_TIME};
    if (!arm->method->diffusion || !arm->method->build || !drl_method_has_times(arm->method, &any)) /* nor ddae, cdae */
        return drl_fail(err, DRL_ERR_CONFIG,
                        "eval.methods: %s has no score network of all noise levels to sample from; "
                        "want drl or vdrl",
                        arm->method->name);
    if (drl_method_has_times(arm->method, m))
        return drl_fail(err, DRL_ERR_CONFIG, "model.code = time: one picture needs one code of an image; want static");
    return DRL_OK;
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

static drl_status make_table(const drl_evaluation *e, drl_err *err) {
    static const char *const head[] = {"codes",      "k-NN, Euclidean", "Linear probe",
                                       "silhouette", "low frequencies", "high frequencies"};
    enum { COLUMNS = sizeof head / sizeof *head };
    drl_table *table;
    char title[1100], stem[DRL_PATH_MAX], text[COLUMNS][48];
    snprintf(title, sizeof title, "R3: what codes hold, by the density of t, %s", e->dataset);
    drl_status st = drl_eval_stem(stem, e, "tables", err);
    if (st == DRL_OK) st = drl_table_new(&table, title, COLUMNS, head, err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; i < e->n_arms && st == DRL_OK; i++) {
        const struct {
            const char *metric;
            double scale;
        } columns[] = {{DETAIL_KNN, 100},
                       {drl_probe_metric[DRL_PROBE_LINEAR], 100},
                       {DETAIL_SILHOUETTE, 1},
                       {DETAIL_LOW, 100},
                       {DETAIL_HIGH, 100}};
        const char *cells[COLUMNS] = {e->arms[i].title};
        for (int c = 1; c < COLUMNS; c++) {
            drl_stats s = drl_eval_stats(e, i, columns[c - 1].metric, NAN);
            drl_eval_cell(text[c], sizeof *text, drl_eval_scaled(s, columns[c - 1].scale));
            cells[c] = text[c];
        }
        st = drl_table_add(table, cells, err);
    }
    if (st == DRL_OK) st = drl_eval_notes(table, e, err);
    if (st == DRL_OK)
        st = drl_table_note(
            table,
            "k-NN: 20 nearest by Euclidean distance of standardised codes. Silhouette: of the classes, from -1 to 1. "
            "Low and "
            "high frequencies: squared error, in %, of images sampled from the code of a test image against that "
            "image, over "
            "that of images sampled from the codes of others, with the same noise: 100 where the code says nothing of "
            "them. Low: the means of 4x4 pixels; high: what they leave.",
            err);
    if (st == DRL_OK) st = drl_table_write(table, stem, err);
    drl_table_free(table);
    if (st == DRL_OK) printf("table: %s.md (.csv, .tex)\n", stem);
    return st;
}

/* ---- Claims ------------------------------------------------------------------------------------------------------ */

/* The first arm whose t is drawn from such a density, or -1. */
static int trained_with(const drl_evaluation *e, drl_t_density_kind kind) {
    for (size_t i = 0; i < e->n_arms; i++)
        if (e->arms[i].settings.model.diffusion_t_density == (int)kind) return (int)i;
    return -1;
}

/* That a metric, in per cent, is larger in one arm than in the other. */
static void judge(drl_eval_claims *c, const char *id, const char *statement, const char *metric, int more, int less) {
    if (more < 0 || less < 0) return;
    size_t arms[] = {(size_t)more, (size_t)less};
    drl_eval_claims_add(c, id, statement,
                        drl_eval_scaled(drl_eval_metric_difference(c->e, arms[0], arms[1], metric), 100), arms, 2);
}

static drl_status make_claims(const drl_evaluation *e, drl_err *err) {
    int uniform = trained_with(e, DRL_T_UNIFORM), high = trained_with(e, DRL_T_HIGH), low = trained_with(e, DRL_T_LOW);
    drl_eval_claims c;
    drl_eval_claims_begin(&c, e, "R3", err);
    c.measure = "k-NN of codes, errors of samples";
    judge(&c, "R3.separate.low", "codes of high noise separate the classes better than those of low noise (paper)",
          DETAIL_KNN, high, low);
    judge(&c, "R3.separate.uniform", "codes of high noise separate the classes better than those of uniform t (paper)",
          DETAIL_KNN, high, uniform);
    judge(&c, "R3.fine", "codes of low noise hold more of the high frequencies than those of high noise (paper)",
          DETAIL_HIGH, high, low);
    judge(&c, "R3.coarse", "codes of high noise hold more of the low frequencies than those of low noise (paper)",
          DETAIL_LOW, low, high);
    return drl_eval_claims_end(
        &c,
        "k-NN accuracy of the first codes minus that of the second (R3.separate); relative error of samples, in %, of "
        "the second minus that of the first (R3.fine, R3.coarse).");
}

/* ---- The figure -------------------------------------------------------------------------------------------------- */

/* A text in the quotes of a gnuplot data file. */
static void put_text(FILE *f, const char *text) {
    fputs(" \"", f);
    for (; *text; text++) fputc(*text == '"' ? '\'' : *text, f);
    fputc('"', f);
}

/* The data file (plots/detail_control.gp says what is in it) and the file of the grids' pixels. */
static drl_status write_arm(FILE *points, FILE *pixels, const drl_evaluation *e, size_t arm, drl_err *err) {
    static detail_picture p;
    drl_status st = detail_read(&p, e->out, e->runs[arm * e->settings->eval.eval_seeds], err);
    if (st != DRL_OK) return st;
    char title[160];
    snprintf(title, sizeof title, "%s: k-NN %.1f %%", e->arms[arm].title,
             100 * drl_eval_value(e, arm, DETAIL_KNN, NAN, 1));
    for (size_t i = 0; i < p.points; i++) {
        fprintf(points, "%.4f %.4f %d %zu", (double)p.place[i][0], (double)p.place[i][1], (int)p.label[i], p.side);
        put_text(points, title);
        fputc('\n', points);
    }
    fputs("\n\n", points);
    for (size_t i = 0; i < p.side * p.side; i++)
        for (size_t c = 0; c < 3; c++) fputc(p.grid[i * p.channels + (p.channels >= 3 ? c : 0)], pixels);
    drl_free(p.grid);
    return DRL_OK;
}

static drl_status write_data(const char *stem, const drl_evaluation *e, drl_err *err) {
    char path[DRL_PATH_MAX + 8];
    drl_new_file points, pixels;
    snprintf(path, sizeof path, "%s.dat", stem);
    drl_status st = drl_new_file_open(&points, path, err);
    if (st != DRL_OK) return st;
    snprintf(path, sizeof path, "%s.rgb", stem);
    if ((st = drl_new_file_open(&pixels, path, err)) != DRL_OK) {
        drl_new_file_discard(&points);
        return st;
    }
    fputs("# x y class side \"title\", a block for each panel; then class \"name\"\n", points.f);
    for (size_t i = 0; i < e->n_arms && st == DRL_OK; i++) st = write_arm(points.f, pixels.f, e, i, err);
    for (size_t k = 0; k < e->data->classes; k++) {
        fprintf(points.f, "%zu", k);
        put_text(points.f, e->data->class_names[k]);
        fputc('\n', points.f);
    }
    if (st != DRL_OK) {
        drl_new_file_discard(&points);
        drl_new_file_discard(&pixels);
        return st;
    }
    if ((st = drl_new_file_commit(&pixels, err)) != DRL_OK) {
        drl_new_file_discard(&points);
        return st;
    }
    return drl_new_file_commit(&points, err);
}

static drl_status make_figure(const drl_evaluation *e, drl_err *err) {
    char stem[DRL_PATH_MAX], data[DRL_PATH_MAX + 8], title[1200];
    drl_status st = drl_eval_stem(stem, e, "figures", err);
    snprintf(data, sizeof data, "%s.dat", stem);
    snprintf(title, sizeof title, "Control of the level of detail: %s, %s scale, seed 1 of %zu", e->dataset, e->scale,
             e->settings->eval.eval_seeds);
    if (st == DRL_OK) st = write_data(stem, e, err);
    if (st == DRL_OK) st = drl_figure("detail_control", data, title, stem, err);
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
        .name = "detail_control",
        .summary = "What codes hold that are learned at high, low and all noise levels (R3).",
        .config_dir = DRL_SOURCE_DIR "/experiments/detail_control",
        .check = check,
        .measure = detail_measure,
        .report = report};
    drl_baselines_add();
    return drl_eval_main(&program, argc, argv);
}
