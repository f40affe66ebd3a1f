/* Table, claims and figure of R1, made from the rows of the run store alone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/file.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "downstream.h"

#define MAX_SEEDS 128
#define MAX_TIMES DRL_LIST_MAX

typedef struct row {
    char method[16], metric[32];
    uint64_t seed;
    double t, value;
} row;

typedef struct rows {
    row *list;
    size_t n, capacity;
    const char *config_hash; /* rows of other configurations are left aside */
} rows;

static drl_status keep_row(void *arg, const drl_row *r, drl_err *err) {
    rows *all = arg;
    if (strcmp(r->config_hash, all->config_hash) != 0) return DRL_OK;
    if (all->n == all->capacity) {
        row *list;
        size_t capacity = all->capacity ? 2 * all->capacity : 256;
        drl_status st = drl_alloc(&list, capacity, sizeof *list, "rows", err);
        if (st != DRL_OK) return st;
        if (all->n) memcpy(list, all->list, all->n * sizeof *list);
        drl_free(all->list);
        all->list = list;
        all->capacity = capacity;
    }
    row *to = &all->list[all->n++];
    *to = (row){.seed = r->seed, .t = r->t, .value = r->value};
    snprintf(to->method, sizeof to->method, "%s", r->method);
    snprintf(to->metric, sizeof to->metric, "%s", r->metric);
    return DRL_OK;
}

/* Statistics over seeds of one metric at one t (NaN: rows without a time), scaled by `unit`. */
static drl_stats stats_at(const rows *all, const char *method, const char *metric, double t, double unit) {
    double values[MAX_SEEDS];
    size_t n = 0;
    for (size_t i = 0; i < all->n && n < MAX_SEEDS; i++) {
        const row *r = &all->list[i];
        bool same_t = isnan(t) ? isnan(r->t) : r->t == t;
        if (same_t && strcmp(r->method, method) == 0 && strcmp(r->metric, metric) == 0) values[n++] = unit * r->value;
    }
    return n ? drl_stats_of(values, n) : (drl_stats){0};
}

static void format_cell(char *buf, size_t size, drl_stats s) {
    if (s.n == 0)
        snprintf(buf, size, "–");
    else if (s.n == 1)
        snprintf(buf, size, "%.2f", s.mean);
    else
        snprintf(buf, size, "%.2f ± %.2f", s.mean, s.half95);
}

/* The configured times that have rows of a metric. */
static size_t times_of(const rows *all, const settings *s, const char *metric, double times[MAX_TIMES]) {
    size_t n = 0;
    for (size_t i = 0; i < s->own.eval_times.n; i++)
        if (stats_at(all, s->model.model_method, metric, s->own.eval_times.v[i], 1).n)
            times[n++] = s->own.eval_times.v[i];
    return n;
}

static const struct {
    const char *method, *label;
} references[] = {{"untrained", "untrained encoder"}, {"pixels", "raw pixels"}};
enum { REFERENCES = sizeof references / sizeof *references };

static size_t count_seeds(const rows *all, const settings *s) {
    for (int probe = 0; probe < PROBES; probe++)
        for (size_t i = 0; i < s->own.eval_times.n; i++) {
            size_t n = stats_at(all, s->model.model_method, probe_metric[probe], s->own.eval_times.v[i], 1).n;
            if (n) return n;
        }
    return 0;
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

static drl_status add_table_row(drl_table *table, const rows *all, const char *label, const char *method, double t,
                                drl_err *err) {
    char text[PROBES][48];
    const char *cells[1 + PROBES] = {label};
    for (int probe = 0; probe < PROBES; probe++) {
        format_cell(text[probe], sizeof text[probe], stats_at(all, method, probe_metric[probe], t, 100));
        cells[1 + probe] = text[probe];
    }
    return drl_table_add(table, cells, err);
}

static drl_status add_notes(drl_table *table, const rows *all, const char *scale, const settings *s, drl_err *err) {
    const drl_model_cfg *m = &s->model;
    char line[DRL_STRING_MAX + 400], took[32];
    double seconds = stats_at(all, m->model_method, "train_seconds", NAN, 1).mean;
    double rate = stats_at(all, m->model_method, "train_images_per_second", NAN, 1).mean;
    snprintf(
        line, sizeof line,
        "Scale %s%s; %zu seed(s); test accuracy in %%, mean ± half-width of the 95 %% interval over seeds. Method %s, "
        "%s code.",
        scale, strcmp(scale, "smoke") == 0 ? " (checks the path, means nothing)" : "", count_seeds(all, s),
        m->model_method, m->model_code == DRL_CODE_TIME ? "time-conditioned" : "static");
    drl_status st = drl_table_note(table, line, err);
    static const char *const sdes[] = {"VE", "VP", "sub-VP"};
    snprintf(
        line, sizeof line,
        "Encoder WideResNet-%zu-%g, %s process, %zu steps of %zu images (rate %g, warm-up %zu); trained in %s a seed, "
        "%.0f images/s.",
        m->model_encoder_depth, m->model_encoder_width, sdes[m->diffusion_sde], m->train_steps, m->train_batch,
        m->train_rate, m->train_warmup, drl_format_duration(took, sizeof took, seconds), rate);
    if (st == DRL_OK) st = drl_table_note(table, line, err);
    static const char *const protocols[] = {"published (6 rates, 100 epochs, best epoch on validation)",
                                            "fast (2 rates, at most 20 epochs, stopped on validation)", "none"};
    snprintf(line, sizeof line, "MLP probe: %s. k-NN: k = %zu, cosine. Codes %sstandardised for MLP and linear.",
             protocols[s->own.probe_mlp], s->own.probe_neighbours, s->own.probe_standardise ? "" : "not ");
    return st == DRL_OK ? drl_table_note(table, line, err) : st;
}

static drl_status make_table(const rows *all, const char *stem, const char *dataset, const char *scale,
                             const settings *s, drl_err *err) {
    drl_table *table;
    char title[DRL_STRING_MAX + 64], label[64];
    snprintf(title, sizeof title, "R1: accuracy of probes on frozen codes, %s", dataset);
    const char *head[1 + PROBES] = {"code"};
    for (int probe = 0; probe < PROBES; probe++) head[1 + probe] = probe_title[probe];
    drl_status st = drl_table_new(&table, title, 1 + PROBES, head, err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; st == DRL_OK && i < s->own.eval_times.n; i++) {
        const drl_method *method = drl_method_find(s->model.model_method);
        snprintf(label, sizeof label, "%s, t = %g", method->title, s->own.eval_times.v[i]);
        st = add_table_row(table, all, label, s->model.model_method, s->own.eval_times.v[i], err);
    }
    for (int r = 0; st == DRL_OK && s->own.eval_references && r < REFERENCES; r++)
        st = add_table_row(table, all, references[r].label, references[r].method, NAN, err);
    if (st == DRL_OK) st = add_notes(table, all, scale, s, err);
    if (st == DRL_OK) st = drl_table_write(table, stem, err);
    drl_table_free(table);
    return st;
}

/* ---- Claims: the paper's sentence beside what was measured ------------------------------------------------------- */

/* The verdict on "effect > 0", by a rule fixed before any run: at least three seeds, and an interval that does not hold
 * 0. Smoke scale gives none. */
static const char *verdict(drl_stats effect, const char *scale) {
    if (strcmp(scale, "smoke") == 0) return "none at this scale";
    if (effect.n < 3) return "inconclusive (fewer than 3 seeds)";
    if (effect.mean - effect.half95 > 0) return "reproduced";
    return effect.mean + effect.half95 < 0 ? "not reproduced" : "inconclusive";
}

/* One accuracy in percent (t NaN: a row without a time); NaN where there is none. */
static double accuracy(const rows *all, const char *method, const char *metric, double t, uint64_t seed) {
    for (size_t i = 0; i < all->n; i++) {
        const row *r = &all->list[i];
        bool same_t = isnan(t) ? isnan(r->t) : r->t == t;
        if (same_t && r->seed == seed && strcmp(r->method, method) == 0 && strcmp(r->metric, metric) == 0)
            return 100 * r->value;
    }
    return NAN;
}

/* Mean accuracy at the interior times minus the mean at the two ends: 0 on average for a flat curve, whatever its
 * noise, which the largest of many times minus the largest of two is not. NaN with fewer than three times or a missing
 * row. */
static double peak_effect(const rows *all, const settings *s, const char *metric, uint64_t seed) {
    const drl_list *times = &s->own.eval_times;
    double ends = 0, interior = 0;
    if (times->n < 3) return NAN;
    for (size_t i = 0; i < times->n; i++) {
        bool is_end = i == 0 || i + 1 == times->n;
        *(is_end ? &ends : &interior) += accuracy(all, s->model.model_method, metric, times->v[i], seed);
    }
    return interior / (double)(times->n - 2) - ends / 2;
}

/* Test accuracy at the t with the best validation accuracy minus the reference's of the same seed. The test set does
 * not choose; k-NN has no validation accuracy, and counts by its mean over the times. */
static double reference_effect(const rows *all, const settings *s, int probe, const char *reference, uint64_t seed) {
    const drl_list *times = &s->own.eval_times;
    const char *method = s->model.model_method, *metric = probe_metric[probe];
    double best = -INFINITY, chosen = NAN, sum = 0;
    char validation[64];
    snprintf(validation, sizeof validation, "%.*s_val_accuracy", (int)strcspn(metric, "_"), metric);
    for (size_t i = 0; i < times->n; i++) {
        double val = accuracy(all, method, validation, times->v[i], seed);
        sum += accuracy(all, method, metric, times->v[i], seed);
        if (val > best) {
            best = val;
            chosen = accuracy(all, method, metric, times->v[i], seed);
        }
    }
    if (probe == PROBE_KNN) chosen = sum / (double)times->n;
    return chosen - accuracy(all, reference, metric, NAN, seed);
}

/* Statistics over the seeds that have every row an effect needs. */
static drl_stats effect_of(const rows *all, const settings *s, int probe, const char *reference) {
    double effects[MAX_SEEDS];
    size_t n = 0;
    for (uint64_t seed = 1; seed <= MAX_SEEDS; seed++) {
        double e = reference ? reference_effect(all, s, probe, reference, seed)
                             : peak_effect(all, s, probe_metric[probe], seed);
        if (isfinite(e)) effects[n++] = e;
    }
    return n ? drl_stats_of(effects, n) : (drl_stats){0};
}

static drl_status make_claims(const rows *all, const char *stem, const char *scale, const settings *s, drl_err *err) {
    static const struct {
        const char *id, *statement, *reference;
    } claims[] = {
        {"R1.peak", "accuracy peaks at an intermediate t and falls toward both ends (paper)", NULL},
        {"R1.untrained", "the trained encoder beats the untrained one (own sanity bound)", "untrained"},
        {"R1.pixels", "the trained encoder beats the raw pixels (own sanity bound)", "pixels"},
    };
    int first = -1; /* the first probe of the table counts */
    for (int probe = PROBES; probe-- > 0;)
        if (probe_wanted(s, probe)) first = probe;
    static const char *const head[] = {"id", "statement", "effect measured (points)", "verdict"};
    drl_table *table;
    drl_status st = drl_table_new(&table, "R1: claims", 4, head, err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; first >= 0 && st == DRL_OK && i < sizeof claims / sizeof *claims; i++) {
        if (claims[i].reference && !s->own.eval_references) continue;
        drl_stats effect = effect_of(all, s, first, claims[i].reference);
        char text[48];
        format_cell(text, sizeof text, effect);
        const char *cells[] = {claims[i].id, claims[i].statement, text, verdict(effect, scale)};
        st = drl_table_add(table, cells, err);
    }
    if (st == DRL_OK)
        st = drl_table_note(
            table,
            "Effect, by the first probe of the table, seed by seed: mean over interior times minus mean of the two "
            "ends (R1.peak); accuracy at the t that is best on validation minus the reference (others). Rule: "
            "reproduced where the 95 % interval over at least 3 seeds lies above 0, not reproduced where "
            "it lies below.",
            err);
    if (st == DRL_OK) st = drl_table_write(table, stem, err);
    drl_table_free(table);
    return st;
}

/* ---- The figure -------------------------------------------------------------------------------------------------- */

static drl_status make_figure(const rows *all, const char *out, const char *stem, const char *dataset,
                              const char *scale, const settings *s, drl_err *err) {
    static double times[PROBES][MAX_TIMES], mean[PROBES][1 + REFERENCES][MAX_TIMES],
        half[PROBES][1 + REFERENCES][MAX_TIMES];
    drl_curve curves[PROBES * (1 + REFERENCES)];
    size_t n = 0;
    for (int probe = 0; probe < PROBES; probe++) {
        size_t n_times = times_of(all, s, probe_metric[probe], times[probe]);
        if (n_times == 0) continue;
        for (size_t i = 0; i < n_times; i++) {
            drl_stats v = stats_at(all, s->model.model_method, probe_metric[probe], times[probe][i], 100);
            mean[probe][0][i] = v.mean;
            half[probe][0][i] = v.half95;
        }
        curves[n++] = (drl_curve){drl_method_find(s->model.model_method)->title,
                                  probe_title[probe],
                                  DRL_CURVE_LINE,
                                  n_times,
                                  times[probe],
                                  mean[probe][0],
                                  half[probe][0]};
        for (int r = 0; s->own.eval_references && r < REFERENCES; r++) {
            drl_stats v = stats_at(all, references[r].method, probe_metric[probe], NAN, 100);
            if (v.n == 0) continue;
            mean[probe][1 + r][0] = v.mean;
            half[probe][1 + r][0] = v.half95;
            curves[n++] = (drl_curve){references[r].label, probe_title[probe], DRL_CURVE_REFERENCE, 1, NULL,
                                      mean[probe][1 + r],  half[probe][1 + r]};
        }
    }
    if (n == 0) return drl_fail(err, DRL_ERR_NOT_FOUND, "no rows to draw: every probe is switched off");
    char data[1200], title[DRL_STRING_MAX + 64];
    snprintf(data, sizeof data, "%s/figures/%s.dat", out, stem);
    snprintf(title, sizeof title, "Downstream accuracy along the trajectory: %s, %s scale", dataset, scale);
    drl_status st = drl_curves_write(data, curves, n, err);
    char figure[1200];
    snprintf(figure, sizeof figure, "%s/figures/%s", out, stem);
    return st == DRL_OK ? drl_figure("downstream", data, title, figure, err) : st;
}

drl_status write_report(drl_store *store, const char *out, const char *dataset, const char *scale,
                        const char *config_hash, const settings *s, drl_err *err) {
    rows all = {.config_hash = config_hash};
    char stem[160], path[1200], name[DRL_DATASET_SHORT_MAX];
    drl_dataset_short_name(name, dataset);
    snprintf(stem, sizeof stem, EXPERIMENT "-%s-%s", name, scale);
    drl_status st = drl_store_rows(store, EXPERIMENT, dataset, scale, keep_row, &all, err);
    const char *const dirs[] = {"tables", "figures"};
    for (int i = 0; st == DRL_OK && i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", out, dirs[i]);
        st = drl_make_dirs(path, err);
        if (st == DRL_OK) drl_temporary_sweep(path);
    }
    snprintf(path, sizeof path, "%s/tables/%s", out, stem);
    if (st == DRL_OK) st = make_table(&all, path, dataset, scale, s, err);
    if (st == DRL_OK) printf("table: %s.md (.csv, .tex)\n", path);
    if (st == DRL_OK) st = drl_store_export(store, EXPERIMENT, dataset, scale, config_hash, path, err);
    if (st == DRL_OK) printf("rows: %s-rows.csv, runs: %s-runs.json\n", path, path);
    snprintf(path, sizeof path, "%s/tables/%s-claims", out, stem);
    if (st == DRL_OK) st = make_claims(&all, path, scale, s, err);
    if (st == DRL_OK) printf("claims: %s.md (.csv, .tex)\n", path);
    if (st == DRL_OK) st = make_figure(&all, out, stem, dataset, scale, s, err);
    if (st == DRL_OK) printf("figure: %s/figures/%s.svg (.png)\n", out, stem);
    drl_free(all.list);
    return st;
}
