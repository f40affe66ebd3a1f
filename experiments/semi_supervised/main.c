/* R2: semi-supervised image classification, with and without pretraining.                   [science.md, section 5]
 *
 * Test accuracy of LaplaceNet from random weights and from encoders that were pretrained without labels, against the
 * number of labels; beside it, from the same weights, training on the labelled images alone, and label propagation
 * over the frozen codes. A seed is a split of the labels. Tables, claims and figure are made from the rows of the run
 * store. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baselines.h"
#include "drl/mem.h"
#include "semi.h"

/* ---- Numbers of labels ------------------------------------------------------------------------------------------- */

static int rising(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Those asked for; where labels are read from files, those that there are rows of. */
static size_t counts_of(const drl_evaluation *e, size_t counts[DRL_LIST_MAX]) {
    const semi_own *own = &semi_settings(e->settings)->own;
    const char *prefix = semi_way[SEMI_SUPERVISED];
    size_t n = 0, length = strlen(prefix);
    if (!own->semi_label_files[0])
        for (; n < own->semi_labels.n; n++) counts[n] = (size_t)own->semi_labels.v[n];
    for (size_t i = 0; own->semi_label_files[0] && i < e->n_rows && n < DRL_LIST_MAX; i++) {
        const char *metric = e->rows[i].metric;
        if (strncmp(metric, prefix, length) != 0 || metric[length] != '/') continue;
        size_t count = strtoull(metric + length + 1, NULL, 10), k = 0;
        while (k < n && counts[k] != count) k++;
        if (k == n) counts[n++] = count;
    }
    qsort(counts, n, sizeof *counts, rising);
    return n;
}

static const char *title_of(const drl_arm *arm) {
    return semi_is_none(arm) ? "none" : arm->title;
}

static drl_stats accuracy_of(const drl_evaluation *e, size_t arm, const char *way, size_t labels, double t) {
    char metric[SEMI_METRIC];
    semi_metric(metric, way, labels);
    return drl_eval_scaled(drl_eval_stats(e, arm, metric, t), 100);
}

/* ---- The table: pretraining and way down, numbers of labels across ----------------------------------------------- */

static drl_status add_row(drl_table *table, const drl_evaluation *e, size_t arm, int way, double t,
                          const size_t *counts, size_t n, drl_err *err) {
    static const char *const titles[SEMI_WAYS] = {"propagation over frozen codes", "labelled images alone",
                                                  "LaplaceNet"};
    char text[DRL_LIST_MAX][48], title[128];
    const char *cells[2 + DRL_LIST_MAX] = {title_of(&e->arms[arm]), title};
    snprintf(title, sizeof title, isnan(t) ? "%s" : "%s, t = %g", titles[way], t);
    for (size_t k = 0; k < n; k++) {
        drl_eval_cell(text[k], sizeof *text, accuracy_of(e, arm, semi_way[way], counts[k], t));
        cells[2 + k] = text[k];
    }
    return drl_table_add(table, cells, err);
}

static drl_status add_arm(drl_table *table, const drl_evaluation *e, size_t arm, const size_t *counts, size_t n,
                          drl_err *err) {
    size_t times;
    const double *t = drl_eval_times(e, arm, &times);
    drl_status st = DRL_OK;
    for (size_t k = 0; k < times && st == DRL_OK; k++)
        st = add_row(table, e, arm, SEMI_PROPAGATION, t[k], counts, n, err);
    for (int way = SEMI_SUPERVISED; way < SEMI_WAYS && st == DRL_OK; way++)
        st = add_row(table, e, arm, way, NAN, counts, n, err);
    return st;
}

static drl_status add_notes(drl_table *table, const drl_evaluation *e, drl_err *err) {
    const drl_model_cfg *m = &e->settings->model;
    const semi_cfg *s = semi_settings(e->settings);
    char line[1200], epoch[64];
    snprintf(epoch, sizeof epoch, s->net.semi_epoch_steps ? "every %zu steps" : "whenever all images were seen",
             s->net.semi_epoch_steps);
    snprintf(line, sizeof line,
             "Scale %s%s. Test accuracy in %% (propagation: accuracy on the unlabelled training images, which takes no "
             "part in the marks), mean ± "
             "half-width of the 95 %% interval over %zu split(s) of the labels.",
             e->scale, strcmp(e->scale, "smoke") == 0 ? " (checks the path, means nothing)" : "",
             e->settings->eval.eval_seeds);
    drl_status st = drl_table_note(table, line, err);
    if (s->own.semi_models)
        snprintf(line, sizeof line,
                 "Encoder WideResNet-%zu-%g, pretrained for %zu steps of %zu images; splits take turns in %zu "
                 "pretrained model(s).",
                 m->model_encoder_depth, m->model_encoder_width, m->train_steps, m->train_batch, s->own.semi_models);
    else
        snprintf(line, sizeof line,
                 "Encoder WideResNet-%zu-%g, pretrained for %zu steps of %zu images, anew for every split.",
                 m->model_encoder_depth, m->model_encoder_width, m->train_steps, m->train_batch);
    if (st == DRL_OK) st = drl_table_note(table, line, err);
    snprintf(line, sizeof line,
             "LaplaceNet: %zu passes over the labelled images (each %zu times), then %zu steps of %zu images, %zu of "
             "them labelled, under %zu augmentation(s), pseudo-labels anew %s from %zu neighbours; SGD of rate %g. "
             "Labelled images alone: %zu steps.",
             s->net.semi_start_passes, s->net.semi_start_repeats, s->net.semi_steps, s->net.semi_batch,
             s->net.semi_labelled, s->net.semi_views, epoch, s->net.semi_neighbours, s->net.semi_rate,
             s->own.semi_supervised_steps);
    if (st == DRL_OK) st = drl_table_note(table, line, err);
    return st == DRL_OK ? drl_table_command(table, e->command, err) : st;
}

/* What marks compare: test accuracies, of which propagation's, on other images, is none. The rows are those of add_arm.
 */
static double value_of(const drl_evaluation *e, const void *counts, size_t row, size_t column, size_t *arm,
                       uint64_t seed) {
    char metric[SEMI_METRIC];
    size_t times;
    drl_eval_times(e, *arm = 0, &times);
    while (row >= times + SEMI_WAYS - 1) {
        row -= times + SEMI_WAYS - 1;
        drl_eval_times(e, ++*arm, &times);
    }
    if (row < times) return NAN;
    semi_metric(metric, semi_way[SEMI_SUPERVISED + row - times], ((const size_t *)counts)[column]);
    return drl_eval_value(e, *arm, metric, NAN, seed);
}

static drl_status make_table(const drl_evaluation *e, drl_err *err) {
    drl_table *table;
    char title[1100], stem[DRL_PATH_MAX], label[DRL_LIST_MAX][32];
    const char *head[2 + DRL_LIST_MAX] = {"pretraining", "then"};
    size_t counts[DRL_LIST_MAX], n = counts_of(e, counts), rows = 0, times;
    for (size_t k = 0; k < n; k++) {
        snprintf(label[k], sizeof *label, "%zu labels", counts[k]);
        head[2 + k] = label[k];
    }
    snprintf(title, sizeof title, "R2: semi-supervised classification, %s", e->dataset);
    drl_status st = drl_eval_stem(stem, e, "tables", err);
    if (st == DRL_OK) st = drl_table_new(&table, title, 2 + n, head, err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; i < e->n_arms && st == DRL_OK; i++) {
        st = add_arm(table, e, i, counts, n, err);
        drl_eval_times(e, i, &times);
        rows += times + SEMI_WAYS - 1;
    }
    if (st == DRL_OK) st = drl_eval_mark(table, e, &(drl_eval_marking){2, n, rows, value_of, counts}, err);
    if (st == DRL_OK) st = add_notes(table, e, err);
    if (st == DRL_OK) st = drl_table_write(table, stem, err);
    drl_table_free(table);
    if (st == DRL_OK) printf("table: %s.md (.csv, .tex)\n", stem);
    return st;
}

/* ---- The figure -------------------------------------------------------------------------------------------------- */

#define CURVES_MAX ((2 + DRL_LIST_MAX) * DRL_EVAL_ARMS)
#define POINTS_MAX 1000 /* epochs drawn */

typedef struct points {
    double x[POINTS_MAX], mean[POINTS_MAX], half95[POINTS_MAX];
} points;

static void add_point(points *p, size_t *n, double x, drl_stats s) {
    if (s.n == 0 || *n == POINTS_MAX) return;
    p->x[*n] = x;
    p->mean[*n] = s.mean;
    p->half95[(*n)++] = s.half95;
}

static bool as_curve(drl_curve *c, const points *p, size_t n, const char *label, const char *panel) {
    *c = (drl_curve){.label = label,
                     .panel = panel,
                     .kind = DRL_CURVE_LINE,
                     .n = n,
                     .t = p->x,
                     .mean = p->mean,
                     .half95 = p->half95};
    return n > 0;
}

/* Accuracy against the number of labels, one panel a way; and that of the pseudo-labels against the epoch, one a number
 * of labels. */
static drl_status write_points(const drl_evaluation *e, const char *stem, const char *data, drl_err *err) {
    static drl_curve curves[CURVES_MAX];
    static char titles[DRL_LIST_MAX][64];
    static const char *const panels[] = {"LaplaceNet", "labelled images alone"};
    static const int ways[] = {SEMI_LAPLACENET, SEMI_SUPERVISED};
    size_t counts[DRL_LIST_MAX], n = counts_of(e, counts), used = 0;
    points *p;
    (void)stem;
    drl_status st = drl_alloc(&p, (2 + n) * e->n_arms, sizeof *p, "points of the figure", err);
    if (st != DRL_OK) return st;
    for (size_t way = 0; way < 2; way++)
        for (size_t i = 0; i < e->n_arms; i++) {
            size_t m = 0;
            for (size_t k = 0; k < n; k++)
                add_point(&p[used], &m, (double)counts[k], accuracy_of(e, i, semi_way[ways[way]], counts[k], NAN));
            used += as_curve(&curves[used], &p[used], m, title_of(&e->arms[i]), panels[way]);
        }
    for (size_t k = 0; k < n; k++) {
        snprintf(titles[k], sizeof *titles, "pseudo-labels, %zu labels", counts[k]);
        for (size_t i = 0; i < e->n_arms; i++) {
            size_t m = 0;
            drl_stats s = accuracy_of(e, i, SEMI_PSEUDO, counts[k], 1);
            for (size_t epoch = 1; s.n > 0 && epoch <= POINTS_MAX; epoch++) {
                add_point(&p[used], &m, (double)epoch, s);
                s = accuracy_of(e, i, SEMI_PSEUDO, counts[k], (double)(epoch + 1));
            }
            used += as_curve(&curves[used], &p[used], m, title_of(&e->arms[i]), titles[k]);
        }
    }
    st = drl_curves_write(data, curves, used, err);
    drl_free(p);
    return st;
}

/* Rows end in /LABELS: those of other numbers of labels than are asked for are not wanted. */
static bool wants(const drl_settings *settings, const char *metric) {
    const semi_own *own = &semi_settings(settings)->own;
    const char *slash = strrchr(metric, '/');
    size_t k = 0;
    if (own->semi_label_files[0] || !slash) return true;
    while (k < own->semi_labels.n && own->semi_labels.v[k] != strtod(slash + 1, NULL)) k++;
    return k < own->semi_labels.n;
}

static drl_status report(const drl_evaluation *e, drl_err *err) {
    drl_status st = make_table(e, err);
    if (st == DRL_OK) st = drl_eval_export(e, err);
    if (st == DRL_OK) st = drl_eval_claims(e, err);
    if (st != DRL_OK) return st;
    return drl_eval_figure(e, "semi_supervised", "Semi-supervised classification", write_points, err);
}

int main(int argc, char **argv) {
    static const drl_eval_program program = {.name = "semi_supervised",
                                             .summary = "LaplaceNet with and without pretraining, by the number of "
                                                        "labels (R2).",
                                             .config_dir = "experiments/semi_supervised",
                                             .claims = true,
                                             .check = semi_check,
                                             .options = semi_options,
                                             .counts = semi_counts,
                                             .run = semi_run,
                                             .plan = semi_plan,
                                             .wants = wants,
                                             .report = report};
    drl_baselines_add();
    return drl_eval_main(&program, argc, argv);
}
