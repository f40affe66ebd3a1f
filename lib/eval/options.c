/* The settings of an evaluation: those of models, and its own (lib/eval/eval.h). */
#include <assert.h>
#include <string.h>

#include "eval/eval.h"

#define OPTIONS_MAX 224

static DRL_CONFIG_TABLE(own_options, drl_eval_cfg, DRL_EVAL_OPTIONS);

const drl_option *drl_eval_options(const drl_eval_program *program, size_t *n) {
    static drl_option table[OPTIONS_MAX];
    size_t rows, kept = 0;
    const drl_option *from = drl_model_options(&rows);
    *n = 0;
    drl_options_append(table, n, OPTIONS_MAX, from, rows, offsetof(drl_settings, model));
    for (size_t i = 0; i < *n; i++) /* eval.methods says which */
        if (strcmp(table[i].section, "model") != 0 || strcmp(table[i].key, "method") != 0) table[kept++] = table[i];
    *n = kept;
    from = own_options(&rows);
    drl_options_append(table, n, OPTIONS_MAX, from, rows, offsetof(drl_settings, eval));
    if (!program->options) return table;
    from = program->options(&rows);
    drl_options_append(table, n, OPTIONS_MAX, from, rows, offsetof(drl_settings, own));
    for (size_t i = *n - rows; i < *n; i++)
        assert(table[i].offset + table[i].size <= offsetof(drl_settings, own) + DRL_EVAL_OWN);
    return table;
}

bool drl_eval_counts(const drl_eval_program *program, const drl_method *method, const drl_option *o) {
    if (program->counts) return program->counts(method, o);
    if (strcmp(o->section, "eval") == 0 || strcmp(o->section, "run") == 0) return false;
    return strcmp(o->section, "probe") == 0 || drl_method_depends(method, o);
}
