/* The claims of claims.ini beside what was measured (drl/eval.h). */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/mem.h"
#include "eval/claims_file.h"

#define JUDGED_MAX 256 /* claims of a report, each '*' filled in */

/* One claim, measured. */
typedef struct judged {
    char id[176], statement[256], by[64]; /* by: title of the probe, or the metric */
    const char *source;
    drl_stats effect;
    size_t arms[2], n_arms;
} judged;

typedef struct judging {
    const drl_evaluation *e;
    drl_probe_kind probe;
    size_t n;
    judged *v;                /* (JUDGED_MAX) */
    bool probes, peaks, rows; /* the kinds of measure there are */
} judging;

/* ---- Arms -------------------------------------------------------------------------------------------------------- */

/* Whether all settings of an arm are as a claim wants them: setting them changes nothing. */
static drl_status fits(bool *fit, const drl_evaluation *e, const drl_arm *arm, const drl_claim_arm *want,
                       drl_err *err) {
    drl_settings *copy;
    drl_status st = drl_alloc(&copy, 1, sizeof *copy, "settings", err);
    if (st != DRL_OK) return st;
    memcpy(copy, &arm->settings, sizeof *copy);
    for (size_t i = 0; i < want->n_sets && st == DRL_OK; i++)
        st = drl_config_set(copy, e->claims->options, e->claims->n_options, want->sets[i], err);
    *fit = memcmp(copy, &arm->settings, sizeof *copy) == 0;
    drl_free(copy);
    return st;
}

/* *place = the arm a claim is about, or the number of arms. */
static drl_status find_arm(size_t *place, const drl_evaluation *e, const drl_claim_arm *want, drl_err *err) {
    drl_status st = DRL_OK;
    for (*place = 0; *place < e->n_arms; ++*place) {
        const drl_arm *arm = &e->arms[*place];
        bool fit = want->n_sets > 0 || arm->variant[0] == '\0';
        if (arm->method != want->method) continue;
        if (fit) st = fits(&fit, e, arm, want, err);
        if (st != DRL_OK || fit) return st;
    }
    return st;
}

/* ---- Effects ----------------------------------------------------------------------------------------------------- */

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
    if (drops[0].n == 0 || drops[1].n == 0) return (drl_stats){0};
    return drops[0].mean - drops[0].half95 <= drops[1].mean - drops[1].half95 ? drops[0] : drops[1];
}

/* to = from with `fill` for every '*'. */
static void fill_in(char *to, size_t size, const char *from, const char *fill) {
    size_t used = 0;
    for (to[0] = '\0'; *from && used + 1 < size; from++) {
        int n =
            *from == '*' ? snprintf(to + used, size - used, "%s", fill) : snprintf(to + used, size - used, "%c", *from);
        used += (size_t)n;
    }
}

static drl_status add(judging *j, const drl_claim_entry *entry, const size_t arms[2], const char *metric,
                      const char *fill, drl_err *err) {
    if (j->n == JUDGED_MAX) return drl_fail(err, DRL_ERR_LIMIT, "%s: more than %d claims", entry->id, JUDGED_MAX);
    judged *c = &j->v[j->n++];
    *c = (judged){.source = entry->source, .arms = {arms[0], arms[1]}, .n_arms = entry->minus.method ? 2 : 1};
    fill_in(c->id, sizeof c->id, entry->id, fill);
    const char *name = j->e->settings->eval.eval_name; /* of a run beside the program's own: claims beside its own */
    size_t used = strlen(c->id);
    if (name[0]) snprintf(c->id + used, sizeof c->id - used, "@%.64s", name);
    fill_in(c->statement, sizeof c->statement, entry->statement, fill);
    snprintf(c->by, sizeof c->by, "%s", metric ? metric : drl_probe_title[j->probe]);
    if (metric)
        c->effect = drl_eval_scaled(drl_eval_metric_difference(j->e, arms[0], arms[1], metric), 100);
    else if (c->n_arms == 2)
        c->effect = drl_eval_difference(j->e, arms[0], arms[1], j->probe);
    else
        c->effect = lower_drop(j->e, arms[0], j->probe);
    j->rows = j->rows || metric;
    j->probes = j->probes || (!metric && c->n_arms == 2);
    j->peaks = j->peaks || c->n_arms == 1;
    return DRL_OK;
}

/* Whether a metric fits a pattern; fill = what its '*' stands for. */
static bool matches(char fill[48], const char *pattern, const char *metric) {
    const char *star = strchr(pattern, '*');
    fill[0] = '\0';
    if (!star) return strcmp(metric, pattern) == 0;
    size_t before = (size_t)(star - pattern), after = strlen(star + 1), length = strlen(metric);
    if (length <= before + after || strncmp(metric, pattern, before) != 0 ||
        strcmp(metric + length - after, star + 1) != 0)
        return false;
    snprintf(fill, 48, "%.*s", (int)(length - before - after), metric + before);
    return true;
}

static int by_number(const void *a, const void *b) {
    double x = strtod(a, NULL), y = strtod(b, NULL);
    return x == y ? strcmp(a, b) : (x > y) - (x < y);
}

/* A claim for every metric of the first arm that fits the measure. */
static drl_status add_all(judging *j, const drl_claim_entry *entry, const size_t arms[2], drl_err *err) {
    enum { FILLS = 64 };
    char fills[FILLS][48], fill[48], metric[64];
    size_t n = 0;
    drl_status st = DRL_OK;
    for (size_t i = 0; i < j->e->n_rows; i++) {
        const drl_eval_row *row = &j->e->rows[i];
        size_t k = 0;
        if (row->arm != arms[0] || !isnan(row->t) || !matches(fill, entry->measure, row->metric)) continue;
        while (k < n && strcmp(fills[k], fill) != 0) k++;
        if (k == FILLS) return drl_fail(err, DRL_ERR_LIMIT, "%s: more than %d claims", entry->id, FILLS);
        if (k == n) memcpy(fills[n++], fill, sizeof fill);
    }
    qsort(fills, n, sizeof *fills, by_number);
    for (size_t k = 0; k < n && st == DRL_OK; k++) {
        fill_in(metric, sizeof metric, entry->measure, fills[k]);
        st = add(j, entry, arms, metric, fills[k], err);
    }
    return st;
}

/* Nothing, where the evaluation does not hold what a claim is about. */
static drl_status judge(judging *j, const drl_claim_entry *entry, drl_err *err) {
    size_t arms[2] = {0}, times;
    drl_status st = find_arm(&arms[0], j->e, &entry->of, err);
    if (st == DRL_OK && entry->minus.method) st = find_arm(&arms[1], j->e, &entry->minus, err);
    if (st != DRL_OK || arms[0] == j->e->n_arms || arms[1] == j->e->n_arms) return st;
    bool peak = strcmp(entry->measure, "peak") == 0;
    if (peak || strcmp(entry->measure, "probe") == 0) {
        drl_eval_times(j->e, arms[0], &times);
        bool measured = j->probe < DRL_PROBES && (!peak || times >= 3);
        return measured ? add(j, entry, arms, NULL, "", err) : DRL_OK;
    }
    return add_all(j, entry, arms, err);
}

/* ---- Into the table and the store -------------------------------------------------------------------------------- */

/* Adds the runs of an arm to a text. */
static void list_runs(char *text, size_t size, const drl_evaluation *e, size_t arm) {
    size_t seeds = e->settings->eval.eval_seeds;
    for (size_t i = 0; i < seeds; i++) {
        size_t used = strlen(text);
        if (e->runs[arm * seeds + i] == 0) continue; /* there is none */
        snprintf(text + used, size - used, "%s%lld", used ? " " : "", (long long)e->runs[arm * seeds + i]);
    }
}

/* "2.31", or nothing where there is none. */
static void format_finite(char text[32], const char *format, double value) {
    text[0] = '\0';
    if (isfinite(value)) snprintf(text, 32, format, value);
}

static drl_status put(drl_table *table, const judging *j, const judged *c, double p_holm, drl_err *err) {
    char effect[48], seeds[24], d_z[32], p[32], runs[2 * DRL_EVAL_SEEDS * 21] = "";
    const char *verdict = drl_verdict(c->effect, j->e->scale);
    for (size_t i = 0; i < c->n_arms; i++) list_runs(runs, sizeof runs, j->e, c->arms[i]);
    const drl_claim row = {.id = c->id,
                           .dataset = j->e->dataset,
                           .scale = j->e->scale,
                           .probe = c->by,
                           .source = c->source,
                           .runs = runs,
                           .statement = c->statement,
                           .rule = drl_verdict_rule,
                           .effect = c->effect,
                           .verdict = verdict,
                           .d_z = drl_stats_d_z(c->effect),
                           .p_holm = p_holm};
    drl_eval_cell(effect, sizeof effect, c->effect);
    snprintf(seeds, sizeof seeds, "%zu", c->effect.n);
    format_finite(d_z, "%.2f", row.d_z);
    format_finite(p, "%.2g", p_holm);
    const char *cells[] = {c->id, c->statement, c->source, c->by, effect, seeds, d_z, p, verdict};
    drl_status st = drl_table_add(table, cells, err);
    return st == DRL_OK ? drl_store_claim(j->e->store, &row, err) : st;
}

/* All of them: p is adjusted over the claims of this report. */
static drl_status put_all(drl_table *table, const judging *j, drl_err *err) {
    double p[JUDGED_MAX], adjusted[JUDGED_MAX];
    drl_status st = DRL_OK;
    for (size_t i = 0; i < j->n; i++) p[i] = drl_stats_p(j->v[i].effect);
    drl_stats_holm(adjusted, p, j->n);
    for (size_t i = 0; i < j->n && st == DRL_OK; i++) st = put(table, j, &j->v[i], adjusted[i], err);
    return st;
}

static drl_status add_notes(drl_table *table, const judging *j, drl_err *err) {
    static const char columns[] =
        "n: seeds; d_z: mean of the effect over its standard deviation between seeds; p: paired t test of no effect, "
        "two-sided, adjusted by Holm over the claims of this table. The rule uses neither.";
    char line[1400];
    snprintf(line, sizeof line,
             "Effect, in points (hundredths), seed by seed; above 0 is what the statement says. %s%s%sRule: %s.",
             j->probes ? "By a probe: the first accuracy minus the second, each at the t that is best on validation. "
                       : "",
             j->peaks ? "Of a peak: the mean over the interior times minus the accuracy at an end, of the two drops "
                        "the one whose interval reaches lower. "
                      : "",
             j->rows ? "By a metric: 100 times what claims.ini of the program subtracts. " : "", drl_verdict_rule);
    drl_status st = drl_table_note(table, line, err);
    return st == DRL_OK ? drl_table_note(table, columns, err) : st;
}

/* The table of this report; none where no claim is about it. */
static drl_status write_table(const judging *j, drl_err *err) {
    static const char *const head[] = {"id", "statement", "source",   "by",     "effect (points)",
                                       "n",  "d_z",       "p (Holm)", "verdict"};
    const drl_evaluation *e = j->e;
    char title[1200], path[DRL_PATH_MAX + 16], stem[DRL_PATH_MAX];
    drl_table *table = NULL;
    if (j->n == 0) return DRL_OK;
    snprintf(title, sizeof title, "Claims of %s, %s, %s scale, %zu seed(s)", e->program, e->dataset, e->scale,
             e->settings->eval.eval_seeds);
    drl_status st = drl_eval_stem(stem, e, "tables", err);
    if (st == DRL_OK) st = drl_table_new(&table, title, sizeof head / sizeof *head, head, err);
    if (st == DRL_OK) st = put_all(table, j, err);
    if (st == DRL_OK) st = add_notes(table, j, err);
    snprintf(path, sizeof path, "%s-claims", st == DRL_OK ? stem : "");
    if (st == DRL_OK) st = drl_table_write(table, path, err);
    if (st == DRL_OK) printf("claims: %s.md (.csv, .tex)\n", path);
    drl_table_free(table);
    return st;
}

drl_status drl_eval_claims(const drl_evaluation *e, drl_err *err) {
    assert(e->claims);
    char path[DRL_PATH_MAX + 16];
    judging j = {.e = e, .probe = drl_eval_first_probe(e->settings)};
    drl_status st = drl_alloc(&j.v, JUDGED_MAX, sizeof *j.v, "claims", err);
    for (size_t i = 0; i < e->claims->n && st == DRL_OK; i++) st = judge(&j, &e->claims->v[i], err);
    if (st == DRL_OK) st = write_table(&j, err);
    snprintf(path, sizeof path, "%s/claims.csv", e->out);
    if (st == DRL_OK) st = drl_store_export_claims(e->store, path, err);
    if (st == DRL_OK) printf("claims of all programs: %s\n", path);
    drl_free(j.v);
    return st;
}
