/* One arm with one seed: trained, measured, probed (lib/eval/eval.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/hash.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "drl/runs.h"
#include "eval/eval.h"

#define EXPERIMENT "evaluation" /* of all programs without `run`: they share their runs */

drl_status drl_eval_identify(char **text, char hash[65], const drl_eval *e, const drl_arm *arm, drl_err *err) {
    drl_option *used = NULL;
    size_t n, kept = 0;
    const drl_option *options = drl_eval_options(e->program, &n);
    char *all;
    *text = NULL;
    drl_status st = drl_alloc(&used, n, sizeof *used, "configuration", err);
    if (st == DRL_OK) {
        for (size_t i = 0; i < n; i++)
            if (drl_eval_counts(e->program, arm->method, &options[i])) used[kept++] = options[i];
        st = drl_config_text(text, &arm->settings, used, kept, err);
    }
    if (st == DRL_OK) {
        size_t room = strlen(*text) + 256;
        if ((st = drl_alloc(&all, room, 1, "configuration", err)) == DRL_OK) {
            snprintf(all, room, "drl model %d, probes %d\n%s\nmethod %s\ndata %s\nprecision %s\n", DRL_MODEL_VERSION,
                     DRL_PROBE_VERSION, *text, arm->method->name, e->data->sha256, DRL_REAL_NAME);
            drl_sha256(hash, all, strlen(all));
            drl_free(all);
        }
    }
    drl_free(used);
    return st;
}

static drl_status with_run(drl_eval *e, const char *experiment, const drl_arm *arm, uint64_t seed, int64_t *id,
                           drl_status (*what)(drl_store *, int64_t *, const drl_run_info *, drl_err *), drl_err *err) {
    char *text, hash[65];
    drl_status st = drl_eval_identify(&text, hash, e, arm, err);
    if (st == DRL_OK) {
        drl_run_info info = {.experiment = experiment,
                             .method = arm->method->name,
                             .dataset = e->data->name,
                             .scale = drl_scale_name(e->cli.scale),
                             .config = text,
                             .config_hash = hash,
                             .dataset_sha256 = e->data->sha256,
                             .seed = seed,
                             .anew = !e->cli.resume};
        st = what(e->store, id, &info, err);
    }
    drl_free(text);
    return st;
}

drl_status drl_eval_open_run(drl_eval *e, const char *experiment, const drl_arm *arm, uint64_t seed, int64_t *id,
                             drl_err *err) {
    return with_run(e, experiment, arm, seed, id, drl_store_run, err);
}

static const char *experiment_of(const drl_eval *e) {
    return e->program->run ? e->program->name : EXPERIMENT;
}

drl_status drl_eval_find_run(drl_eval *e, const char *experiment, const drl_arm *arm, uint64_t seed, int64_t *id,
                             drl_err *err) {
    return with_run(e, experiment ? experiment : experiment_of(e), arm, seed, id, drl_store_find_run, err);
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

/* ---- One arm with one seed --------------------------------------------------------------------------------------- */

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

static drl_status probe_all(drl_eval *e, const drl_arm *arm, drl_model *m, int64_t id, uint64_t seed, drl_err *err) {
    const drl_list *times = &arm->settings.eval.eval_times;
    if (!drl_model_trajectory(m)) return drl_eval_probe(e, arm, m, id, 0, NAN, seed, err);
    drl_status st = DRL_OK;
    for (size_t i = 0; st == DRL_OK && i < times->n; i++)
        st = drl_eval_probe(e, arm, m, id, times->v[i], times->v[i], seed, err);
    return st;
}

drl_status drl_eval_missing(bool *missing, const drl_subject *s, const char *metric, double t, drl_err *err) {
    bool found = false;
    double value;
    drl_status st = s->resume ? drl_store_get(s->store, s->run, metric, t, &found, &value, NULL, 0, err) : DRL_OK;
    *missing = !found;
    return st;
}

drl_subject drl_eval_subject(const drl_eval *e, const drl_arm *arm, uint64_t seed, int64_t run, const char *label) {
    return (drl_subject){.arm = arm,
                         .seed = seed,
                         .data = e->data,
                         .team = e->team,
                         .store = e->store,
                         .run = run,
                         .out = e->cli.out,
                         .label = label,
                         .data_dir = e->cli.data_dir,
                         .resume = e->cli.resume};
}

/* Whether every row of an arm and seed is there, imported from elsewhere say, so that not even its model is wanted. */
static drl_status is_complete(bool *complete, drl_eval *e, const drl_arm *arm, const drl_subject *s, drl_err *err) {
    bool missing = false, trajectory = drl_method_has_times(arm->method, &arm->settings.model);
    const drl_list *times = &arm->settings.eval.eval_times;
    *complete = false;
    if (!e->cli.resume || (e->program->measure && !e->program->measured)) return DRL_OK;
    drl_status st = drl_eval_missing(&missing, s, arm->method->measure ? "measured" : "parameters", NAN, err);
    *complete = !missing;
    for (size_t i = 0; st == DRL_OK && *complete && i < (trajectory ? times->n : 1); i++)
        st = drl_eval_probed(complete, e, arm, s->run, trajectory ? times->v[i] : NAN, err);
    if (st == DRL_OK && *complete && e->program->measured) st = e->program->measured(complete, s, err);
    return st;
}

static drl_status evaluate(drl_eval *e, const drl_arm *arm, uint64_t seed, int64_t id, drl_err *err) {
    drl_model *m = NULL;
    char label[112];
    snprintf(label, sizeof label, "%s%s%s seed %llu", arm->method->name, arm->variant[0] ? " " : "", arm->variant,
             (unsigned long long)seed);
    drl_train_run run = {.label = label,
                         .provenance = drl_provenance(),
                         .checkpoint_seconds = arm->settings.eval.run_checkpoint_seconds,
                         .resume = e->cli.resume};
    drl_subject subject = drl_eval_subject(e, arm, seed, id, label);
    if (e->program->run) return e->program->run(&subject, err);
    bool measures = arm->method->measure != NULL, complete;
    drl_status st = is_complete(&complete, e, arm, &subject, err);
    if (st == DRL_OK && complete) drl_log("%s: all rows are there", label);
    if (st != DRL_OK || complete) return st;
    if (measures) st = measure_untrained(e, &arm->settings, id, seed, err);
    if (st == DRL_OK) st = drl_model_obtain(&m, &arm->settings.model, e->data, seed, e->team, e->cli.out, &run, err);
    if (st == DRL_OK) st = put_training(e, m, id, &run, err);
    if (st == DRL_OK && measures) st = measure_trained(e, m, id, err);
    if (st == DRL_OK) drl_log("%s: probing its codes", label);
    if (st == DRL_OK) st = probe_all(e, arm, m, id, seed, err);
    subject.model = m;
    if (st == DRL_OK && e->program->measure) st = e->program->measure(&subject, err);
    drl_model_close(m);
    return st;
}

drl_status drl_eval_run(drl_eval *e, const drl_arm *arm, uint64_t seed, int64_t *id, drl_err *err) {
    drl_status st = drl_eval_open_run(e, experiment_of(e), arm, seed, id, err);
    if (st == DRL_OK) st = drl_store_begin(e->store, *id, drl_threads_count(e->team), err);
    if (st == DRL_OK) st = drl_store_finish(e->store, evaluate(e, arm, seed, *id, err), err);
    return st;
}
