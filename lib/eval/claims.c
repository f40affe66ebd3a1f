/* Claims of a report, beside what was measured (drl/eval.h). */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/eval.h"
#include "drl/mem.h"

void drl_eval_claims_begin(drl_eval_claims *c, const drl_evaluation *e, const char *title, drl_err *err) {
    static const char *const head[] = {"id",       "statement", "effect measured (points)", "n", "d_z",
                                       "p (Holm)", "verdict"};
    char line[1200];
    drl_probe_kind probe = drl_eval_first_probe(e->settings);
    *c = (drl_eval_claims){.e = e, .probe = probe, .measure = drl_probe_title[probe], .err = err};
    snprintf(line, sizeof line, "%s: claims, %s, %s scale, %zu seed(s)", title, e->dataset, e->scale,
             e->settings->eval.eval_seeds);
    c->status = drl_table_new(&c->table, line, sizeof head / sizeof *head, head, err);
    if (c->status == DRL_OK) c->status = drl_alloc(&c->claims, DRL_EVAL_CLAIMS, sizeof *c->claims, "claims", err);
}

void drl_eval_claims_add(drl_eval_claims *c, const char *id, const char *statement, drl_stats effect,
                         const size_t *arms, size_t n) {
    if (c->status != DRL_OK) return;
    drl_eval_claim *claim = &c->claims[c->n];
    assert(n <= sizeof claim->arms / sizeof *claim->arms);
    if (c->n == DRL_EVAL_CLAIMS) {
        c->status = drl_fail(c->err, DRL_ERR_LIMIT, "%s: more than %d claims", id, DRL_EVAL_CLAIMS);
        return;
    }
    claim->effect = effect;
    claim->n_arms = n;
    memcpy(claim->arms, arms, n * sizeof *arms);
    snprintf(claim->id, sizeof claim->id, "%s", id);
    snprintf(claim->statement, sizeof claim->statement, "%s", statement);
    c->n++;
}

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

/* One claim into the table and the store. */
static drl_status put(const drl_eval_claims *c, const drl_eval_claim *claim, double p_holm) {
    char effect[48], seeds[24], d_z[32], p[32], runs[DRL_EVAL_ARMS * DRL_EVAL_SEEDS * 21] = "";
    const char *verdict = drl_verdict(claim->effect, c->e->scale);
    for (size_t i = 0; i < claim->n_arms; i++) list_runs(runs, sizeof runs, c->e, claim->arms[i]);
    const drl_claim row = {.id = claim->id,
                           .dataset = c->e->dataset,
                           .scale = c->e->scale,
                           .probe = c->measure,
                           .runs = runs,
                           .statement = claim->statement,
                           .rule = drl_verdict_rule,
                           .effect = claim->effect,
                           .verdict = verdict,
                           .d_z = drl_stats_d_z(claim->effect),
                           .p_holm = p_holm};
    drl_eval_cell(effect, sizeof effect, claim->effect);
    snprintf(seeds, sizeof seeds, "%zu", claim->effect.n);
    format_finite(d_z, "%.2f", row.d_z);
    format_finite(p, "%.2g", p_holm);
    const char *cells[] = {claim->id, claim->statement, effect, seeds, d_z, p, verdict};
    drl_status st = drl_table_add(c->table, cells, c->err);
    return st == DRL_OK ? drl_store_claim(c->e->store, &row, c->err) : st;
}

/* All of them: p is adjusted over the claims of this report. */
static drl_status put_all(const drl_eval_claims *c) {
    double p[DRL_EVAL_CLAIMS], adjusted[DRL_EVAL_CLAIMS];
    drl_status st = DRL_OK;
    for (size_t i = 0; i < c->n; i++) p[i] = drl_stats_p(c->claims[i].effect);
    drl_stats_holm(adjusted, p, c->n);
    for (size_t i = 0; i < c->n && st == DRL_OK; i++) st = put(c, &c->claims[i], adjusted[i]);
    return st;
}

static drl_status write_table(const drl_eval_claims *c, const char *note, char path[DRL_PATH_MAX + 16]) {
    static const char columns[] =
        "n: seeds; d_z: mean of the effect over its standard deviation between seeds; p: paired t test of no effect, "
        "two-sided, adjusted by Holm over the claims of this table. The rule uses neither.";
    char line[1200], stem[DRL_PATH_MAX];
    snprintf(line, sizeof line, "Effect, by the %s, seed by seed: %s Rule: %s.", c->measure, note, drl_verdict_rule);
    drl_status st = drl_table_note(c->table, line, c->err);
    if (st == DRL_OK) st = drl_table_note(c->table, columns, c->err);
    if (st == DRL_OK) st = drl_eval_stem(stem, c->e, "tables", c->err);
    if (st != DRL_OK) return st;
    snprintf(path, DRL_PATH_MAX + 16, "%s-claims", stem);
    return drl_table_write(c->table, path, c->err);
}

drl_status drl_eval_claims_end(drl_eval_claims *c, const char *note) {
    char path[DRL_PATH_MAX + 16];
    if (c->status == DRL_OK) c->status = put_all(c);
    if (c->status == DRL_OK) c->status = write_table(c, note, path);
    drl_table_free(c->table);
    drl_free(c->claims);
    if (c->status != DRL_OK) return c->status;
    printf("claims: %s.md (.csv, .tex)\n", path);
    snprintf(path, sizeof path, "%s/claims.csv", c->e->out);
    c->status = drl_store_export_claims(c->e->store, path, c->err);
    if (c->status == DRL_OK) printf("claims of all programs: %s\n", path);
    return c->status;
}
