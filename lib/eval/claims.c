/* Claims of a report, beside what was measured (drl/eval.h). */
#include <stdio.h>
#include <string.h>

#include "drl/eval.h"

void drl_eval_claims_begin(drl_eval_claims *c, const drl_evaluation *e, const char *title, drl_err *err) {
    static const char *const head[] = {"id", "statement", "effect measured (points)", "verdict"};
    char line[1200];
    drl_probe_kind probe = drl_eval_first_probe(e->settings);
    *c = (drl_eval_claims){.e = e, .probe = probe, .measure = drl_probe_title[probe], .err = err};
    snprintf(line, sizeof line, "%s: claims, %s, %s scale, %zu seed(s)", title, e->dataset, e->scale,
             e->settings->eval.eval_seeds);
    c->status = drl_table_new(&c->table, line, 4, head, err);
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

void drl_eval_claims_add(drl_eval_claims *c, const char *id, const char *statement, drl_stats effect,
                         const size_t *arms, size_t n) {
    char text[48], runs[DRL_EVAL_ARMS * DRL_EVAL_SEEDS * 21] = "";
    const char *verdict = drl_verdict(effect, c->e->scale);
    if (c->status != DRL_OK) return;
    drl_eval_cell(text, sizeof text, effect);
    for (size_t i = 0; i < n; i++) list_runs(runs, sizeof runs, c->e, arms[i]);
    const char *cells[] = {id, statement, text, verdict};
    const drl_claim row = {id,        c->e->dataset,    c->e->scale, c->measure, runs,
                           statement, drl_verdict_rule, effect,      verdict};
    c->status = drl_table_add(c->table, cells, c->err);
    if (c->status == DRL_OK) c->status = drl_store_claim(c->e->store, &row, c->err);
}

drl_status drl_eval_claims_end(drl_eval_claims *c, const char *note) {
    char line[1200], stem[DRL_PATH_MAX], path[DRL_PATH_MAX + 16];
    snprintf(line, sizeof line, "Effect, by the %s, seed by seed: %s Rule: %s.", c->measure, note, drl_verdict_rule);
    if (c->status == DRL_OK) c->status = drl_table_note(c->table, line, c->err);
    if (c->status == DRL_OK) c->status = drl_eval_stem(stem, c->e, "tables", c->err);
    if (c->status == DRL_OK) {
        snprintf(path, sizeof path, "%s-claims", stem);
        c->status = drl_table_write(c->table, path, c->err);
    }
    drl_table_free(c->table);
    if (c->status != DRL_OK) return c->status;
    printf("claims: %s.md (.csv, .tex)\n", path);
    snprintf(path, sizeof path, "%s/claims.csv", c->e->out);
    c->status = drl_store_export_claims(c->e->store, path, c->err);
    if (c->status == DRL_OK) printf("claims of all programs: %s\n", path);
    return c->status;
}
