/* The arms of an evaluation: methods under variants of the settings (drl/eval.h). */
#define _DEFAULT_SOURCE /* strsep */
#include <stdio.h>
#include <string.h>

#include "drl/log.h"
#include "eval/eval.h"

#define VARIANTS_MAX DRL_EVAL_ARMS
#define SETS_MAX     8
#define DETAIL       "eval.detail=" /* stands for the density of t */

/* "VP: diffusion.sde=vp train.rate=1e-4" */
typedef struct variant {
    const char *name;
    const char *sets[SETS_MAX];
    size_t n_sets;
} variant;

/* text without the blanks at its ends. */
static char *trim(char *text) {
    text += strspn(text, " ");
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == ' ') text[--n] = '\0';
    return text;
}

static drl_status read_variant(variant *v, char *text, const drl_eval_program *program, drl_err *err) {
    char *rest = strchr(text, ':'), *set;
    size_t n;
    const drl_option *options = drl_eval_options(program, &n);
    if (rest) *rest++ = '\0';
    v->name = trim(text);
    v->n_sets = 0;
    if (!rest || !*v->name || strlen(v->name) >= sizeof((drl_arm *)0)->variant)
        return drl_fail(err, DRL_ERR_CONFIG, "eval.variants: '%.60s': want NAME: SECTION.KEY=VALUE ...", v->name);
    while ((set = strsep(&rest, " ")) != NULL) {
        if (!*set) continue;
        if (v->n_sets == SETS_MAX)
            return drl_fail(err, DRL_ERR_CONFIG, "eval.variants: %s sets more than %d keys", v->name, SETS_MAX);
        drl_status st = drl_config_set(NULL, options, n, set, err);
        if (st != DRL_OK) return drl_err_context(err, st, "eval.variants: %s", v->name);
        bool shared = strncmp(set, "eval.", 5) == 0 || strncmp(set, "data.", 5) == 0 || strncmp(set, "run.", 4) == 0;
        if (shared && strncmp(set, DETAIL, strlen(DETAIL)) != 0)
            return drl_fail(err, DRL_ERR_CONFIG, "eval.variants: %s: %s is the same for all arms", v->name, set);
        v->sets[v->n_sets++] = set;
    }
    return v->n_sets ? DRL_OK : drl_fail(err, DRL_ERR_CONFIG, "eval.variants: %s sets nothing", v->name);
}

static bool sets_density(const variant *v) {
    for (size_t k = 0; k < v->n_sets; k++)
        if (strncmp(v->sets[k], "diffusion.t_", 12) == 0 || strncmp(v->sets[k], DETAIL, strlen(DETAIL)) == 0)
            return true;
    return false;
}

/* text is cut up and kept. *n = 0 where it is empty. Where the density of t is given, variants of it are left out. */
static drl_status read_variants(variant list[VARIANTS_MAX], size_t *n, char *text, bool density,
                                const drl_eval_program *program, drl_err *err) {
    char *one;
    *n = 0;
    if (!*trim(text)) return DRL_OK;
    while ((one = strsep(&text, "|")) != NULL) {
        if (*n == VARIANTS_MAX) return drl_fail(err, DRL_ERR_CONFIG, "eval.variants: more than %d", VARIANTS_MAX);
        drl_status st = read_variant(&list[*n], one, program, err);
        if (st != DRL_OK) return st;
        for (size_t i = 0; i < *n; i++)
            if (strcmp(list[i].name, list[*n].name) == 0)
                return drl_fail(err, DRL_ERR_CONFIG, "eval.variants: %s is named twice", list[i].name);
        if (density && sets_density(&list[*n]))
            drl_log("eval.detail says the density of t: the variant %s is left out", list[*n].name);
        else
            ++*n;
    }
    return DRL_OK;
}

/* Whether one of a variant's keys counts for a method. */
static bool concerns(const variant *v, const drl_method *method, const drl_eval_program *program) {
    size_t n;
    const drl_option *options = drl_eval_options(program, &n);
    for (size_t k = 0; k < v->n_sets; k++) {
        if (method->diffusion && strncmp(v->sets[k], DETAIL, strlen(DETAIL)) == 0) return true;
        for (size_t i = 0; i < n; i++) {
            size_t section = strlen(options[i].section), key = strlen(options[i].key);
            bool same = strncmp(v->sets[k], options[i].section, section) == 0 && v->sets[k][section] == '.' &&
                        strncmp(v->sets[k] + section + 1, options[i].key, key) == 0 &&
                        v->sets[k][section + 1 + key] == '=';
            if (same && drl_eval_counts(program, method, &options[i])) return true;
        }
    }
    return false;
}

/* eval.detail, where it is asked for, as settings of [diffusion]. */
static void set_detail(drl_settings *s) {
    if (s->eval.eval_detail < 0) return;
    drl_t_density density = drl_t_density_detail(s->eval.eval_detail);
    s->model.diffusion_t_density = density.kind;
    s->model.diffusion_t_mean = density.mean;
    s->model.diffusion_t_std = density.std;
}

/* v NULL: the method as configured. */
static drl_status add_arm(drl_eval *e, const drl_method *method, const variant *v, drl_err *err) {
    size_t n;
    const drl_option *options = drl_eval_options(e->program, &n);
    drl_status st = DRL_OK;
    if (e->n_arms == DRL_EVAL_ARMS)
        return drl_fail(err, DRL_ERR_CONFIG, "eval.methods: more than %d, variants counted", DRL_EVAL_ARMS);
    drl_arm *arm = &e->arms[e->n_arms++];
    *arm = (drl_arm){.method = method, .settings = e->s};
    arm->settings.eval.eval_detail = -1; /* is in [diffusion] already */
    snprintf(arm->variant, sizeof arm->variant, "%s", v ? v->name : "");
    snprintf(arm->title, sizeof arm->title, "%s%s%s", method->title, v ? ", " : "", v ? v->name : "");
    snprintf(arm->settings.model.model_method, sizeof arm->settings.model.model_method, "%s", method->name);
    for (size_t i = 0; v && i < v->n_sets && st == DRL_OK; i++)
        st = drl_config_set(&arm->settings, options, n, v->sets[i], err);
    set_detail(&arm->settings);
    return st;
}

static drl_status add_method(drl_eval *e, const char *name, const variant *variants, size_t n, drl_err *err) {
    const drl_method *method = drl_method_find(name);
    bool varies = false;
    drl_status st = DRL_OK;
    if (!method)
        return drl_fail(err, DRL_ERR_CONFIG, "eval.methods: '%.40s' is unknown; the methods are: %s", name,
                        drl_method_names());
    if (!method->encoder) return drl_fail(err, DRL_ERR_CONFIG, "eval.methods: %s learns no code to evaluate", name);
    for (size_t i = 0; i < e->n_arms; i++)
        if (e->arms[i].method == method) return drl_fail(err, DRL_ERR_CONFIG, "eval.methods: %s is named twice", name);
    for (size_t i = 0; i < n && !varies; i++) varies = concerns(&variants[i], method, e->program);
    if (!varies) return add_arm(e, method, NULL, err);
    for (size_t i = 0; i < n && st == DRL_OK; i++) st = add_arm(e, method, &variants[i], err);
    return st;
}

drl_status drl_eval_arms(drl_eval *e, drl_err *err) {
    static variant variants[VARIANTS_MAX];
    char names[DRL_STRING_MAX], texts[DRL_STRING_MAX], *rest = names, *name;
    size_t n;
    snprintf(names, sizeof names, "%s", e->s.eval.eval_methods);
    snprintf(texts, sizeof texts, "%s", e->s.eval.eval_variants);
    e->n_arms = 0;
    set_detail(&e->s);
    drl_status st = read_variants(variants, &n, texts, e->s.eval.eval_detail >= 0, e->program, err);
    while (st == DRL_OK && (name = strsep(&rest, ",")) != NULL) {
        name = trim(name);
        if (*name) st = add_method(e, name, variants, n, err);
    }
    if (st == DRL_OK && e->n_arms == 0) st = drl_fail(err, DRL_ERR_CONFIG, "eval.methods: want at least one");
    return st;
}
