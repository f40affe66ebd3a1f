/* The methods known, and their settings (drl/method.h). */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "drl/model.h"

#define METHODS_MAX 64
#define OPTIONS_MAX 192

extern const drl_method drl_method_drl, drl_method_vdrl, drl_method_dsm;
static const drl_method *methods[METHODS_MAX] = {&drl_method_drl, &drl_method_vdrl, &drl_method_dsm};
static size_t n_methods = 3;

const drl_method *drl_method_at(size_t i) {
    return i < n_methods ? methods[i] : NULL;
}

const drl_method *drl_method_find(const char *name) {
    for (size_t i = 0; i < n_methods; i++)
        if (strcmp(methods[i]->name, name) == 0) return methods[i];
    return NULL;
}

void drl_methods_add(const drl_method *const *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        assert(n_methods < METHODS_MAX && !drl_method_find(list[i]->name));
        methods[n_methods++] = list[i];
        assert(drl_method_offset(list[i]) + list[i]->own_size <= DRL_METHODS_OWN * sizeof(double));
    }
}

const char *drl_method_names(void) {
    static char text[METHODS_MAX * 24];
    text[0] = '\0';
    for (size_t i = 0; i < n_methods; i++)
        if (methods[i]->encoder)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", text[0] ? ", " : "", methods[i]->name);
    return text;
}

size_t drl_method_offset(const drl_method *method) {
    size_t at = 0;
    for (size_t i = 0; methods[i] != method; i++) {
        assert(i + 1 < n_methods);
        at += (methods[i]->own_size + sizeof(double) - 1) / sizeof(double) * sizeof(double);
    }
    return at;
}

const drl_method *drl_method_trainer(const drl_method *method) {
    return method->trained_as ? drl_method_find(method->trained_as) : method;
}

bool drl_method_has_times(const drl_method *method, const drl_model_cfg *cfg) {
    return method->trajectory && method->trajectory(cfg);
}

const void *drl_method_settings(const drl_model_cfg *cfg, const drl_method *method) {
    return (const char *)cfg->own + drl_method_offset(method);
}

/* ---- The table of all settings ----------------------------------------------------------------------------------- */

static DRL_CONFIG_TABLE(own_options, drl_model_cfg, DRL_MODEL_OPTIONS);

const drl_option *drl_model_options(size_t *n) {
    static drl_option table[OPTIONS_MAX];
    size_t rows;
    const drl_option *from = own_options(&rows);
    *n = 0;
    drl_options_append(table, n, OPTIONS_MAX, from, rows, 0);
    for (size_t i = 0; i < n_methods; i++) {
        if (!methods[i]->options) continue;
        from = methods[i]->options(&rows);
        drl_options_append(table, n, OPTIONS_MAX, from, rows,
                           offsetof(drl_model_cfg, own) + drl_method_offset(methods[i]));
    }
    return table;
}

/* Whether a section is the method's own: its name with '-' written '_'. */
static bool owns(const drl_method *method, const char *section) {
    size_t n = strlen(method->name);
    if (!method->options || strlen(section) != n) return false;
    for (size_t i = 0; i < n; i++)
        if (section[i] != (method->name[i] == '-' ? '_' : method->name[i])) return false;
    return true;
}

/* Of the score network and its objective, in section [model]. */
static bool of_diffusion(const char *key) {
    return strncmp(key, "score_", 6) == 0 || strcmp(key, "code") == 0 || strcmp(key, "dropout") == 0;
}

bool drl_method_depends(const drl_method *method, const drl_option *option) {
    const char *section = option->section;
    if (strcmp(section, "data") == 0) return true;
    if (strcmp(section, "model") == 0) return method->diffusion || !of_diffusion(option->key);
    if (strcmp(section, "diffusion") == 0) return method->diffusion;
    if (strcmp(section, "train") == 0 || strcmp(section, "augment") == 0)
        return drl_method_trainer(method)->build != NULL;
    return owns(method, section);
}
