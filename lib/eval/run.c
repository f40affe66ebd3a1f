/* One method with one seed: trained, measured, probed (lib/eval/eval.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/hash.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "eval/eval.h"

#define EXPERIMENT "evaluation" /* of all programs: they share their runs */

void drl_eval_settings(drl_settings *out, const drl_eval *e, size_t method) {
    *out = e->s;
    snprintf(out->model.model_method, sizeof out->model.model_method, "%s", e->methods[method]->name);
    out->model.train_steps = e->steps[method];
}

/* Whether a setting changes what is measured of a method; how often and how much is measured is none of these. */
static bool counts(const drl_method *method, const drl_option *o) {
    if (strcmp(o->section, "eval") == 0 || strcmp(o->section, "run") == 0) return false;
    return strcmp(o->section, "probe") == 0 || drl_method_depends(method, o);
}

drl_status drl_eval_identify(char **text, char hash[65], const drl_eval *e, size_t method, drl_err *err) {
    drl_settings *s = NULL;
    drl_option *used = NULL;
    size_t n, kept = 0;
    const drl_option *options = drl_eval_options(&n);
    char *all;
    *text = NULL;
    drl_status st = drl_alloc(&s, 1, sizeof *s, "configuration", err);
    if (st == DRL_OK) st = drl_alloc(&used, n, sizeof *used, "configuration", err);
    if (st == DRL_OK) {
        drl_eval_settings(s, e, method);
        for (size_t i = 0; i < n; i++)
            if (counts(e->methods[method], &options[i])) used[kept++] = options[i];
        st = drl_config_text(text, s, used, kept, err);
    }
    if (st == DRL_OK) {
        size_t room = strlen(*text) + 256;
        if ((st = drl_alloc(&all, room, 1, "configuration", err)) == DRL_OK) {
            snprintf(all, room, "drl model %d, probes %d\n%s\nmethod %s\ndata %s\nprecision %s\n", DRL_MODEL_VERSION,
                     DRL_PROBE_VERSION, *text, e->methods[method]->name, e->data->sha256, DRL_REAL_NAME);
            drl_sha256(hash, all, strlen(all));
            drl_free(all);
        }
    }
    drl_free(used);
    drl_free(s);
    return st;
}

drl_status drl_eval_open_run(drl_eval *e, const char *experiment, size_t method, uint64_t seed, int64_t *id,
                             drl_err *err) {
    char *text, hash[65];
    drl_status st = drl_eval_identify(&text, hash, e, method, err);
    if (st == DRL_OK) {
        drl_run_info info = {.experiment = experiment,
                             .method = e->methods[method]->name,
                             .dataset = e->data->name,
                             .scale = drl_scale_name(e->cli.scale),
                             .config = text,
                             .config_hash = hash,
                             .dataset_sha256 = e->data->sha256,
                             .seed = seed,
                             .anew = !e->cli.resume};
        st = drl_store_run(e->store, id, &info, err);
    }
    drl_free(text);
    return st;
}

/* ---- What methods measure: rows PREFIX + name, then PREFIX + "measured", which says that all are there ------------
 */

#define INITIAL "initial_" /* prefix of what is measured before training; after it there is none */

static drl_status is_measured(bool *found, drl_eval *e, int64_t id, const char *prefix, drl_err *err) {
    char name[48];
    double value;
    *found = false;
    snprintf(name, sizeof name, "%smeasured", prefix);
    return e->cli.resume ? drl_store_get(e->store, id, name, NAN, found, &value, NULL, 0, err) : DRL_OK;
}

static drl_status measure(drl_eval *e, drl_model *m, int64_t id, const char *prefix, drl_err *err) {
    drl_measure what[DRL_MEASURES + 1];
    size_t n;
    drl_status st = drl_model_measure(m, what, &n, err);
    if (st != DRL_OK) return st;
    what[n++] = (drl_measure){"measured", 1};
    for (size_t i = 0; i < n && st == DRL_OK; i++) {
        char name[48];
        snprintf(name, sizeof name, "%s%.31s", prefix, what[i].name);
        st = drl_store_put(e->store, id, name, NAN, what[i].value, "", err);
    }
    return st;
}

static drl_status measure_untrained(drl_eval *e, const drl_settings *s, int64_t id, uint64_t seed, drl_err *err) {
    drl_model *m;
    bool found;
    drl_status st = is_measured(&found, e, id, INITIAL, err);
    if (st != DRL_OK || found) return st;
    st = drl_model_open(&m, &s->model, e->data, seed, e->team, err);
    if (st == DRL_OK) st = measure(e, m, id, INITIAL, err);
    drl_model_close(m);
    return st;
}

static drl_status measure_trained(drl_eval *e, drl_model *m, int64_t id, drl_err *err) {
    bool found;
    drl_status st = is_measured(&found, e, id, "", err);
    return st == DRL_OK && !found ? measure(e, m, id, "", err) : st;
}

/* ---- One method with one seed ------------------------------------------------------------------------------------ */

static drl_status put_training(drl_eval *e, const drl_model *m, int64_t id, const drl_train_run *run, drl_err *err) {
    const struct {
        const char *name;
        double value;
        bool known;
    } rows[] = {{"parameters", (double)drl_params_trained(&m->params), true},
                {"train_images", (double)m->optim.step * (double)m->cfg.train_batch, true},
                {"train_seconds", run->seconds, run->seconds > 0},
                {"train_images_per_second", run->images_per_second, run->seconds > 0}};
    drl_status st = DRL_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && st == DRL_OK; i++)
        if (rows[i].known) st = drl_store_put(e->store, id, rows[i].name, NAN, rows[i].value, "", err);
    return st;
}

static drl_status probe_all(drl_eval *e, drl_model *m, int64_t id, uint64_t seed, drl_err *err) {
    const drl_list *times = &e->s.eval.eval_times;
    if (!drl_model_trajectory(m)) return drl_eval_probe(e, m, id, 0, NAN, seed, err);
    drl_status st = DRL_OK;
    for (size_t i = 0; st == DRL_OK && i < times->n; i++)
        st = drl_eval_probe(e, m, id, times->v[i], times->v[i], seed, err);
    return st;
}

drl_status drl_eval_run(drl_eval *e, size_t method, uint64_t seed, int64_t *id, drl_err *err) {
    drl_settings *s;
    drl_model *m = NULL;
    char label[96];
    drl_status st = drl_alloc(&s, 1, sizeof *s, "settings", err);
    if (st != DRL_OK) return st;
    drl_eval_settings(s, e, method);
    snprintf(label, sizeof label, "%s seed %llu", e->methods[method]->name, (unsigned long long)seed);
    drl_train_run run = {.label = label,
                         .provenance = drl_provenance(),
                         .checkpoint_seconds = s->eval.run_checkpoint_seconds,
                         .resume = e->cli.resume};
    st = drl_eval_open_run(e, EXPERIMENT, method, seed, id, err);
    bool measures = e->methods[method]->measure != NULL;
    if (st == DRL_OK && measures) st = measure_untrained(e, s, *id, seed, err);
    if (st == DRL_OK) st = drl_model_obtain(&m, &s->model, e->data, seed, e->team, e->cli.out, &run, err);
    if (st == DRL_OK) st = put_training(e, m, *id, &run, err);
    if (st == DRL_OK && measures) st = measure_trained(e, m, *id, err);
    if (st == DRL_OK) drl_log("%s: probing its codes", label);
    if (st == DRL_OK) st = probe_all(e, m, *id, seed, err);
    drl_model_close(m);
    drl_free(s);
    return st;
}
