/* R3, where the truth is known: which factor of an image lives at which noise level.        [science.md, section 5]
 *
 * On images drawn with known factors (shape, place, colours, scale, texture), a linear probe for each factor: of codes
 * E(x, t) against t, and of static codes against the density of t they were trained with. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "baselines.h"
#include "drl/eval.h"
#include "drl/log.h"
#include "drl/mem.h"

#define METRIC 64

static void metric_of(char name[METRIC], const char *factor) {
    snprintf(name, METRIC, "factor_%.32s_accuracy", factor);
}

/* ---- Probes ------------------------------------------------------------------------------------------------------ */

/* Codes of a model at one time, the training images in the order of the probes' split. */
typedef struct codes {
    size_t n, n_val, n_test, d;
    uint32_t *index;      /* (n)              */
    drl_real *x, *x_test; /* standardised     */
    int32_t *y;           /* (n), of a factor */
} codes;

static void close_codes(codes *c) {
    drl_free(c->index);
    drl_free(c->x);
    drl_free(c->x_test);
    drl_free(c->y);
}

static drl_status open_codes(codes *c, const drl_subject *s, double t, drl_err *err) {
    const drl_images *im = s->model->data->split;
    double *mean = NULL;
    *c = (codes){.n = im[0].n, .n_val = drl_validation_size(im[0].n), .n_test = im[1].n};
    c->d = drl_model_code_size(s->model);
    drl_status st = drl_alloc(&c->index, c->n, sizeof *c->index, "split", err);
    if (st == DRL_OK) st = drl_alloc(&c->x, c->n * c->d, sizeof *c->x, "codes", err);
    if (st == DRL_OK) st = drl_alloc(&c->x_test, c->n_test * c->d, sizeof *c->x_test, "codes", err);
    if (st == DRL_OK) st = drl_alloc(&c->y, c->n, sizeof *c->y, "labels", err);
    if (st == DRL_OK) st = drl_alloc(&mean, 2 * c->d, sizeof *mean, "standardisation", err);
    if (st == DRL_OK) {
        drl_split_validation(c->index, c->n, s->seed);
        st = drl_model_encode(s->model, DRL_SPLIT_TRAIN, c->index, c->n, t, c->x, err);
    }
    if (st == DRL_OK) st = drl_model_encode(s->model, DRL_SPLIT_TEST, NULL, c->n_test, t, c->x_test, err);
    if (st == DRL_OK) {
        drl_standardise_fit(mean, mean + c->d, c->x, c->n - c->n_val, c->d);
        drl_standardise(c->x, c->n, c->d, mean, mean + c->d);
        drl_standardise(c->x_test, c->n_test, c->d, mean, mean + c->d);
    }
    drl_free(mean);
    return st;
}

/* Fits on the training part, chooses on the validation part, scores on the test images. */
static drl_status probe_factor(codes *c, const drl_subject *s, size_t factor, double row_t, drl_err *err) {
    const drl_dataset *data = s->model->data;
    size_t n_train = c->n - c->n_val, classes = data->factor_classes[factor];
    char metric[METRIC], detail[64];
    drl_linear_cfg cfg = drl_linear_default();
    drl_classifier *fit = NULL;
    drl_probe_result r;
    double accuracy;
    for (size_t i = 0; i < c->n; i++) c->y[i] = data->split[DRL_SPLIT_TRAIN].factors[factor][c->index[i]];
    drl_codes train = {n_train, c->d, classes, c->x, c->y};
    drl_codes val = {c->n_val, c->d, classes, c->x + n_train * c->d, c->y + n_train};
    drl_codes test = {c->n_test, c->d, classes, c->x_test, data->split[DRL_SPLIT_TEST].factors[factor]};
    drl_status st = drl_probe_linear(&fit, &r, train, val, &cfg, s->model->team, err);
    if (st == DRL_OK) st = drl_classifier_accuracy(&accuracy, fit, test, s->model->team, err);
    drl_classifier_free(fit);
    metric_of(metric, data->factor_names[factor]);
    snprintf(detail, sizeof detail, "linear; l2 %g", r.rate);
    return st == DRL_OK ? drl_store_put(s->store, s->run, metric, row_t, accuracy, detail, err) : st;
}

/* The factors at one time, as far as rows are missing. */
static drl_status probe_at(const drl_subject *s, double t, double row_t, drl_err *err) {
    const drl_dataset *data = s->model->data;
    codes c = {0};
    drl_status st = DRL_OK;
    for (size_t f = 0; f < data->factors && st == DRL_OK; f++) {
        char metric[METRIC];
        bool missing;
        metric_of(metric, data->factor_names[f]);
        st = drl_eval_missing(&missing, s, metric, row_t, err);
        if (st != DRL_OK || !missing) continue;
        if (!c.x) st = open_codes(&c, s, t, err);
        if (st == DRL_OK) st = probe_factor(&c, s, f, row_t, err);
    }
    close_codes(&c);
    return st;
}

static drl_status check_data(const drl_dataset *data, drl_err *err) {
    if (data->factors > 0) return DRL_OK;
    return drl_fail(err, DRL_ERR_CONFIG,
                    "%s: nothing is known of its images but the class; want --dataset synthetic:factors or "
                    "synthetic:shapes-grey",
                    data->name);
}

/* Whether the rows of all factors are there, at all times. */
static drl_status measured(bool *all, const drl_subject *s, drl_err *err) {
    const drl_list *times = &s->arm->settings.eval.eval_times;
    bool trajectory = drl_method_has_times(s->arm->method, &s->arm->settings.model);
    drl_status st = DRL_OK;
    *all = true;
    for (size_t i = 0; i < (trajectory ? times->n : 1) && *all; i++)
        for (size_t f = 0; f < s->data->factors && *all && st == DRL_OK; f++) {
            char metric[METRIC];
            bool missing;
            metric_of(metric, s->data->factor_names[f]);
            st = drl_eval_missing(&missing, s, metric, trajectory ? times->v[i] : NAN, err);
            *all = st == DRL_OK && !missing;
        }
    return st;
}

static drl_status measure(const drl_subject *s, drl_err *err) {
    const drl_list *times = &s->arm->settings.eval.eval_times;
    drl_log("%s: probing the factors", s->label);
    if (!drl_model_trajectory(s->model)) return probe_at(s, 0, NAN, err);
    drl_status st = DRL_OK;
    for (size_t i = 0; i < times->n && st == DRL_OK; i++) st = probe_at(s, times->v[i], times->v[i], err);
    return st;
}

/* ---- The report: factors down, codes across ---------------------------------------------------------------------- */

/* One column: an arm at a time. */
typedef struct column {
    size_t arm;
    double t;
    char label[128];
} column;

#define COLUMNS (DRL_EVAL_ARMS * DRL_LIST_MAX)

/* Whether arms of more than one method learn from noise: then columns say which. */
static bool many_methods(const drl_evaluation *e) {
    const drl_method *first = NULL;
    for (size_t i = 0; i < e->n_arms; i++) {
        if (!e->arms[i].method->diffusion) continue;
        if (first && e->arms[i].method != first) return true;
        first = e->arms[i].method;
    }
    return false;
}

/* The columns of codes along t, or of those without a time. */
static size_t columns_of(const drl_evaluation *e, column columns[COLUMNS], bool along_t) {
    size_t n = 0;
    for (size_t i = 0; i < e->n_arms; i++) {
        const drl_arm *a = &e->arms[i];
        const char *title = !many_methods(e) && a->variant[0] ? a->variant : a->title;
        size_t times;
        const double *t = drl_eval_times(e, i, &times);
        if (isnan(t[0]) == along_t) continue;
        for (size_t k = 0; k < times; k++) {
            column *c = &columns[n++];
            *c = (column){.arm = i, .t = t[k]};
            if (!along_t)
                snprintf(c->label, sizeof c->label, "%s", title);
            else if (many_methods(e))
                snprintf(c->label, sizeof c->label, "%s, t = %g", title, t[k]);
            else
                snprintf(c->label, sizeof c->label, "%g", t[k]);
        }
    }
    return n;
}

static drl_stats cell_of(const drl_evaluation *e, const column *c, size_t factor) {
    char metric[METRIC];
    metric_of(metric, e->data->factor_names[factor]);
    return drl_eval_scaled(drl_eval_stats(e, c->arm, metric, c->t), 100);
}

static drl_status add_factor(drl_table *table, const drl_evaluation *e, const column *columns, size_t n, size_t factor,
                             drl_err *err) {
    static char text[COLUMNS][48];
    const char *cells[2 + COLUMNS];
    char chance[16];
    snprintf(chance, sizeof chance, "%.1f", 100.0 / (double)e->data->factor_classes[factor]);
    cells[0] = e->data->factor_names[factor];
    cells[1] = chance;
    for (size_t k = 0; k < n; k++) {
        drl_eval_cell(text[k], sizeof *text, cell_of(e, &columns[k], factor));
        cells[2 + k] = text[k];
    }
    return drl_table_add(table, cells, err);
}

/* One table for codes along t, one for those without a time; nothing where there are none. */
static drl_status make_table(const drl_evaluation *e, bool along_t, drl_err *err) {
    static column columns[COLUMNS];
    const char *head[2 + COLUMNS] = {"factor", "chance"};
    char title[1200], stem[DRL_PATH_MAX], path[DRL_PATH_MAX + 16];
    size_t n = columns_of(e, columns, along_t);
    drl_table *table;
    if (n == 0) return DRL_OK;
    for (size_t k = 0; k < n; k++) head[2 + k] = columns[k].label;
    snprintf(title, sizeof title, "R3: accuracy of a linear probe for each factor, %s, %s",
             along_t ? "by time t of the code" : "by code", e->dataset);
    drl_status st = drl_eval_stem(stem, e, "tables", err);
    if (st == DRL_OK) st = drl_table_new(&table, title, 2 + n, head, err);
    if (st != DRL_OK) return st;
    for (size_t f = 0; f < e->data->factors && st == DRL_OK; f++) st = add_factor(table, e, columns, n, f, err);
    if (st == DRL_OK) st = drl_eval_notes(table, e, err);
    snprintf(path, sizeof path, "%s-%s", stem, along_t ? "time" : "codes");
    if (st == DRL_OK) st = drl_table_write(table, path, err);
    drl_table_free(table);
    if (st == DRL_OK) printf("table: %s.md (.csv, .tex)\n", path);
    return st;
}

/* ---- The figure -------------------------------------------------------------------------------------------------- */

static drl_status write_cells(const drl_evaluation *e, const char *stem, const char *data, drl_err *err) {
    (void)stem;
    static column columns[COLUMNS];
    drl_new_file file;
    drl_status st = drl_new_file_open(&file, data, err);
    if (st != DRL_OK) return st;
    fputs("# column row accuracy chance \"column\" \"factor\" \"panel\"\n", file.f);
    for (int along_t = 1, blocks = 0; along_t >= 0; along_t--) {
        size_t n = columns_of(e, columns, along_t);
        if (n > 0 && blocks++) fputs("\n\n", file.f);
        for (size_t f = 0; f < e->data->factors; f++)
            for (size_t k = 0; k < n; k++) {
                fprintf(file.f, "%zu %zu %.6g %.6g ", k + 1, f + 1, cell_of(e, &columns[k], f).mean,
                        100.0 / (double)e->data->factor_classes[f]);
                drl_put_column(file.f, columns[k].label);
                fputc(' ', file.f);
                drl_put_column(file.f, e->data->factor_names[f]);
                fprintf(file.f, " \"%s\"\n", along_t ? "time t of the code" : "static codes, by level of detail");
            }
    }
    return drl_new_file_commit(&file, err);
}

static drl_status report(const drl_evaluation *e, drl_err *err) {
    drl_status st = make_table(e, true, err);
    if (st == DRL_OK) st = make_table(e, false, err);
    if (st == DRL_OK) st = drl_eval_export(e, err);
    if (st == DRL_OK) st = drl_eval_claims(e, err);
    char title[80];
    snprintf(title, sizeof title, "Factors known to codes (%%, %zu seed%s)", e->settings->eval.eval_seeds,
             e->settings->eval.eval_seeds == 1 ? "" : "s");
    return st == DRL_OK ? drl_eval_figure(e, "detail_factors", title, write_cells, err) : st;
}

int main(int argc, char **argv) {
    static const drl_eval_program program = {
        .name = "detail_factors",
        .summary = "Which known factor of an image is in codes of which noise level (R3).",
        .config_dir = "experiments/detail_factors",
        .claims = true,
        .check_data = check_data,
        .measure = measure,
        .measured = measured,
        .report = report};
    drl_baselines_add();
    return drl_eval_main(&program, argc, argv);
}
