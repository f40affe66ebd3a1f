/* Reading claims.ini (lib/eval/claims_file.h). */
#define _DEFAULT_SOURCE /* strsep */
#include <stdio.h>
#include <string.h>

#include "drl/ini.h"
#include "eval/eval.h"

static drl_status take(char *field, size_t size, const char *key, const char *value, drl_err *err) {
    if (field[0]) return drl_fail(err, DRL_ERR_CONFIG, "%s is given twice", key);
    if (!value[0]) return drl_fail(err, DRL_ERR_CONFIG, "%s is empty", key);
    if (strlen(value) >= size) return drl_fail(err, DRL_ERR_CONFIG, "%s: more than %zu characters", key, size - 1);
    memcpy(field, value, strlen(value) + 1);
    return DRL_OK;
}

/* "drl", or "drl SECTION.KEY=VALUE ...". */
static drl_status take_arm(drl_claim_arm *arm, const drl_claims_file *f, const char *key, const char *value,
                           drl_err *err) {
    char text[256] = "", *rest = text, *word;
    if (arm->method) return drl_fail(err, DRL_ERR_CONFIG, "%s is given twice", key);
    drl_status st = take(text, sizeof text, key, value, err);
    while (st == DRL_OK && (word = strsep(&rest, " \t")) != NULL) {
        if (!*word) continue;
        if (!arm->method) {
            arm->method = drl_method_find(word);
            if (!arm->method)
                st = drl_fail(err, DRL_ERR_CONFIG, "%s: unknown method '%.40s'; the methods are: %s", key, word,
                              drl_method_names());
        } else if (arm->n_sets == DRL_CLAIM_SETS || strlen(word) >= sizeof *arm->sets) {
            st = drl_fail(err, DRL_ERR_CONFIG, "%s: more than %d settings, or one too long", key, DRL_CLAIM_SETS);
        } else if ((st = drl_config_set(NULL, f->options, f->n_options, word, err)) == DRL_OK) {
            snprintf(arm->sets[arm->n_sets++], sizeof *arm->sets, "%s", word);
        } else {
            st = drl_err_context(err, st, "%s", key);
        }
    }
    return st;
}

/* The entry of a section: the last one, or a new one. */
static drl_status entry_of(drl_claim_entry **entry, drl_claims_file *f, const char *section, drl_err *err) {
    *entry = f->n ? &f->v[f->n - 1] : NULL;
    if (*entry && strcmp((*entry)->id, section) == 0) return DRL_OK;
    if (!section[0]) return drl_fail(err, DRL_ERR_CONFIG, "no [claim] above");
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->v[i].id, section) == 0) return drl_fail(err, DRL_ERR_CONFIG, "[%s] is there already", section);
    if (f->n == DRL_CLAIMS_MAX) return drl_fail(err, DRL_ERR_LIMIT, "more than %d claims", DRL_CLAIMS_MAX);
    *entry = &f->v[f->n++];
    **entry = (drl_claim_entry){.id = ""};
    return take((*entry)->id, sizeof(*entry)->id, "the name of the claim", section, err);
}

static drl_status on_pair(void *arg, const char *section, const char *key, const char *value, int line, drl_err *err) {
    drl_claims_file *f = arg;
    drl_claim_entry *e;
    (void)line;
    drl_status st = entry_of(&e, f, section, err);
    if (st != DRL_OK) return st;
    if (strcmp(key, "statement") == 0) return take(e->statement, sizeof e->statement, key, value, err);
    if (strcmp(key, "measure") == 0) return take(e->measure, sizeof e->measure, key, value, err);
    if (strcmp(key, "of") == 0) return take_arm(&e->of, f, key, value, err);
    if (strcmp(key, "minus") == 0) return take_arm(&e->minus, f, key, value, err);
    if (strcmp(key, "source") != 0)
        return drl_fail(err, DRL_ERR_CONFIG, "unknown key %.40s; a claim has: statement, source, measure, of, minus",
                        key);
    if (strcmp(value, "paper") != 0 && strcmp(value, "own") != 0)
        return drl_fail(err, DRL_ERR_CONFIG, "source: '%.40s': want paper or own", value);
    return take(e->source, sizeof e->source, key, value, err);
}

/* What is wrong with an entry that is read, or NULL. */
static const char *lacking(const drl_claim_entry *e) {
    const char *star = strchr(e->measure, '*');
    bool peak = strcmp(e->measure, "peak") == 0;
    if (!e->statement[0]) return "no statement";
    if (!e->source[0]) return "no source: paper or own";
    if (!e->measure[0]) return "no measure";
    if (!e->of.method) return "nothing to measure: of = METHOD";
    if (peak && e->minus.method) return "a peak is of one code: minus has no place";
    if (!peak && !e->minus.method) return "nothing to compare with: minus = METHOD";
    if (star && strchr(star + 1, '*')) return "measure: more than one '*'";
    if (!star && strchr(e->statement, '*')) return "'*' in the statement: measure has none";
    if (!star != !strchr(e->id, '*')) return "'*' wants its place in measure and in the claim's name";
    return NULL;
}

drl_status drl_claims_read(drl_claims_file *file, const char *path, const drl_eval_program *program, drl_err *err) {
    file->n = 0;
    file->options = drl_eval_options(program, &file->n_options);
    drl_status st = drl_ini_read(path, on_pair, file, err);
    for (size_t i = 0; i < file->n && st == DRL_OK; i++) {
        const char *lack = lacking(&file->v[i]);
        if (lack) st = drl_fail(err, DRL_ERR_CONFIG, "%s: [%s]: %s", path, file->v[i].id, lack);
    }
    if (st == DRL_OK && file->n == 0) st = drl_fail(err, DRL_ERR_CONFIG, "%s: no claims", path);
    return st;
}
