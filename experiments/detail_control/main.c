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
    if (!arm->method->diffusion || !arm->method->build || arm->method->one_level) /* ae; ddae; cdae */
        return drl_fail(err, DRL_ERR_CONFIG,
                        "eval.methods: %s has no score network of all noise levels to sample from; want drl or vdrl",
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
    char sampler[120];
    snprintf(sampler, sizeof sampler,
             "Samples: predictor-corrector of %zu steps, weights of the last step of training.",
             e->settings->eval.eval_sampling);
    if (st == DRL_OK) st = drl_table_note(table, sampler, err);
    if (st == DRL_OK)
        st = drl_table_note(
            table,
            "k-NN: 20 nearest by Euclidean distance of standardised codes. Silhouette: of the classes, from -1 to 1. "
            "Low and high frequencies: squared error, in %, of images sampled from the code of a test image against "
            "that image, over that of images sampled from the codes of others, with the same noise: 100 where the code "
            "says nothing of them, or the network can do nothing with it: it was trained with the same density of t. "
            "Low: the means of 4x4 pixels; high: what they leave.",
            err);
    if (st == DRL_OK) st = drl_table_write(table, stem, err);
    drl_table_free(table);
    if (st == DRL_OK) printf("table: %s.md (.csv, .tex)\n", stem);
    return st;
}

/* ---- The figure -------------------------------------------------------------------------------------------------- */

/* The data file (plots/detail_control.gp says what is in it) and the file of the grids' pixels. */
static drl_status write_arm(FILE *points, FILE *pixels, const drl_evaluation *e, size_t arm, drl_err *err) {
    static detail_picture p;
    if (detail_run(e, arm) == 0) return DRL_OK; /* a report of what is there */
    drl_status st = detail_read(&p, e->out, detail_run(e, arm), err);
    if (st != DRL_OK) return st;
    char title[160];
    snprintf(title, sizeof title, "%s: k-NN %.1f %%", e->arms[arm].title,
             100 * drl_eval_value(e, arm, DETAIL_KNN, NAN, 1));
    for (size_t i = 0; i < p.points; i++) {
        fprintf(points, "%.4f %.4f %d %zu", (double)p.place[i][0], (double)p.place[i][1], (int)p.label[i], p.side);
        fputc(' ', points);
        drl_put_column(points, title);
        fputc('\n', points);
    }
    fputs("\n\n", points);
    for (size_t i = 0; i < p.side * p.side; i++)
        for (size_t c = 0; c < 3; c++) fputc(p.grid[i * p.channels + (p.channels >= 3 ? c : 0)], pixels);
    drl_free(p.grid);
    return DRL_OK;
}

static drl_status write_data(const drl_evaluation *e, const char *stem, const char *data, drl_err *err) {
    char path[DRL_PATH_MAX + 8];
    drl_new_file points, pixels;
    drl_status st = drl_new_file_open(&points, data, err);
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
        fputc(' ', points.f);
        drl_put_column(points.f, e->data->class_names[k]);
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

static drl_status report(const drl_evaluation *e, drl_err *err) {
    drl_status st = make_table(e, err);
    if (st == DRL_OK) st = drl_eval_export(e, err);
    if (st == DRL_OK) st = drl_eval_claims(e, err);
    if (st == DRL_OK && e->from[0]) st = detail_import(e, err);
    if (st == DRL_OK) st = detail_export(e, err);
    char title[80];
    snprintf(title, sizeof title, "Control of the level of detail (seed 1 of %zu)", e->settings->eval.eval_seeds);
    return st == DRL_OK ? drl_eval_figure(e, "detail_control", title, write_data, err) : st;
}

int main(int argc, char **argv) {
    static const drl_eval_program program = {
        .name = "detail_control",
        .summary = "What codes hold that are learned at high, low and all noise levels (R3).",
        .config_dir = "experiments/detail_control",
        .claims = true,
        .check = check,
        .measure = detail_measure,
        .report = report};
    drl_baselines_add();
    return drl_eval_main(&program, argc, argv);
}
