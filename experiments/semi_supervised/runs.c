/* One pretraining under one split of labels: propagation over frozen codes, training on the labelled images alone, and
 * LaplaceNet, for every number of labels (semi.h). */
#define _DEFAULT_SOURCE /* strsep */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/hash.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "semi.h"

const char *const semi_way[SEMI_WAYS] = {"propagation", "supervised", "laplacenet"};

/* ---- Settings ---------------------------------------------------------------------------------------------------- */

static DRL_CONFIG_TABLE(own_options, semi_own, SEMI_OWN_OPTIONS);

const semi_cfg *semi_settings(const drl_settings *s) {
    return (const semi_cfg *)(const void *)s->own;
}

const drl_option *semi_options(size_t *n) {
    static drl_option table[64];
    size_t rows;
    const drl_option *from = drl_laplacenet_options(&rows);
    *n = 0;
    drl_options_append(table, n, 64, from, rows, offsetof(semi_cfg, net));
    from = own_options(&rows);
    drl_options_append(table, n, 64, from, rows, offsetof(semi_cfg, own));
    return table;
}

/* How many labels, and which files they are read from, is said by the rows. */
bool semi_counts(const drl_method *method, const drl_option *o) {
    if (strcmp(o->section, "semi") == 0) return strcmp(o->key, "labels") != 0 && strcmp(o->key, "label_files") != 0;
    if (strcmp(o->section, "eval") == 0 || strcmp(o->section, "run") == 0 || strcmp(o->section, "probe") == 0)
        return false;
    return drl_method_depends(method, o);
}

bool semi_is_none(const drl_arm *arm) {
    return strcmp(arm->method->name, "untrained") == 0;
}

drl_status semi_check(const drl_arm *arm, drl_err *err) {
    if (arm->method->labels)
        return drl_fail(err, DRL_ERR_CONFIG, "eval.methods: %s has seen the labels of nearly all training images",
                        arm->method->name);
    const semi_own *own = &semi_settings(&arm->settings)->own;
    if (own->semi_labels.n == 0 && !own->semi_label_files[0])
        return drl_fail(err, DRL_ERR_CONFIG, "semi.labels: want at least one number of labels");
    if (!semi_is_none(arm) && !drl_method_trainer(arm->method)->build)
        return drl_fail(err, DRL_ERR_CONFIG, "eval.methods: %s trains no encoder that LaplaceNet could start from",
                        arm->method->name);
    return DRL_OK;
}

void semi_metric(char metric[SEMI_METRIC], const char *way, size_t labels) {
    snprintf(metric, SEMI_METRIC, "%s/%zu", way, labels);
}

/* ---- A job: one split -------------------------------------------------------------------------------------------- */

typedef struct job {
    const drl_subject *s;
    const semi_cfg *cfg;
    drl_model *model;               /* opened when first needed */
    drl_sparse graph[DRL_LIST_MAX]; /* of its frozen codes, by time; made when first needed */
    const drl_labels *labels;       /* of the part that is being done */
    char digest[65];                /* of them: part of every row's detail */
} job;

/* Split s starts from the model of seed 1 + (s - 1) mod models. */
static uint64_t model_seed(const drl_subject *s, const semi_cfg *cfg) {
    return cfg->own.semi_models ? 1 + (s->seed - 1) % cfg->own.semi_models : s->seed;
}

static drl_status need_model(job *j, drl_err *err) {
    const drl_subject *s = j->s;
    if (j->model) return DRL_OK;
    uint64_t seed = model_seed(s, j->cfg);
    char label[128];
    snprintf(label, sizeof label, "%s%s%s, model of seed %llu", s->arm->method->name, s->arm->variant[0] ? " " : "",
             s->arm->variant, (unsigned long long)seed);
    drl_train_run run = {.label = label,
                         .provenance = drl_provenance(),
                         .checkpoint_seconds = s->arm->settings.eval.run_checkpoint_seconds,
                         .resume = s->resume || s->seed != seed}; /* a shared model is begun anew once */
    return drl_model_obtain(&j->model, &s->arm->settings.model, s->data, seed, s->team, s->out, &run, err);
}

/* *missing tells whether a row is still to be made: it is not there, or was made of other labels. */
static drl_status is_missing(bool *missing, const job *j, const char *metric, double t, drl_err *err) {
    const drl_subject *s = j->s;
    bool found = false;
    double value;
    char detail[256] = "";
    drl_status st =
        s->resume ? drl_store_get(s->store, s->run, metric, t, &found, &value, detail, sizeof detail, err) : DRL_OK;
    *missing = !found || !strstr(detail, j->digest);
    return st;
}

static drl_status put(const job *j, const char *metric, double t, double value, const char *how, drl_err *err) {
    char detail[256];
    snprintf(detail, sizeof detail, "%s; labels %s", how, j->digest);
    return drl_store_put(j->s->store, j->s->run, metric, t, value, detail, err);
}

/* ---- Propagation over frozen codes ------------------------------------------------------------------------------- */

static drl_status make_graph(drl_sparse *graph, job *j, double t, drl_err *err) {
    drl_status st = need_model(j, err);
    if (st != DRL_OK) return st;
    size_t n = j->s->data->split[DRL_SPLIT_TRAIN].n, d = drl_model_code_size(j->model);
    drl_neighbours nb = {0};
    drl_real *codes;
    st = drl_alloc(&codes, n * d, sizeof *codes, "codes", err);
    if (st == DRL_OK) st = drl_model_encode(j->model, DRL_SPLIT_TRAIN, NULL, n, t, codes, err);
    if (st == DRL_OK) st = drl_unit_rows(codes, n, d, err);
    if (st == DRL_OK) st = drl_neighbours_find(&nb, codes, n, d, j->cfg->net.semi_neighbours, j->s->team, err);
    if (st == DRL_OK) st = drl_affinity(graph, &nb, err);
    drl_neighbours_free(&nb);
    drl_free(codes);
    return st;
}

/* *accuracy = fraction of the unlabelled training images whose pseudo-label along the graph is their class. */
static drl_status propagate(double *accuracy, const job *j, const drl_sparse *graph, drl_err *err) {
    const drl_dataset *data = j->s->data;
    const drl_propagation_cfg cfg = drl_propagation_published();
    size_t n = graph->n, right = 0;
    int32_t *known, *pseudo = NULL;
    drl_real *f = NULL;
    drl_status st = drl_alloc(&known, n, sizeof *known, "labels", err);
    if (st == DRL_OK) st = drl_alloc(&pseudo, n, sizeof *pseudo, "pseudo-labels", err);
    if (st == DRL_OK) st = drl_alloc(&f, n * data->classes, sizeof *f, "propagation", err);
    if (st == DRL_OK) {
        for (size_t i = 0; i < n; i++) known[i] = -1;
        for (size_t i = 0; i < j->labels->n; i++)
            known[j->labels->index[i]] = data->split[DRL_SPLIT_TRAIN].labels[j->labels->index[i]];
        st = drl_propagate(f, NULL, graph, known, data->classes, &cfg, j->s->team, err);
    }
    if (st == DRL_OK) st = drl_align(f, known, n, data->classes, cfg.align_rounds, err);
    if (st == DRL_OK) {
        drl_pseudo_labels(pseudo, f, n, data->classes);
        for (size_t i = 0; i < n; i++) right += known[i] < 0 && pseudo[i] == data->split[DRL_SPLIT_TRAIN].labels[i];
        *accuracy = (double)right / (double)(n - j->labels->n);
    }
    drl_free(known);
    drl_free(pseudo);
    drl_free(f);
    return st;
}

static drl_status propagate_frozen(job *j, drl_err *err) {
    const drl_settings *settings = &j->s->arm->settings;
    bool trajectory = drl_method_has_times(j->s->arm->method, &settings->model);
    size_t times = trajectory ? settings->eval.eval_times.n : 1;
    char metric[SEMI_METRIC];
    drl_status st = DRL_OK;
    semi_metric(metric, semi_way[SEMI_PROPAGATION], j->labels->n);
    for (size_t k = 0; k < times && st == DRL_OK; k++) {
        double t = trajectory ? settings->eval.eval_times.v[k] : 0, row_t = trajectory ? t : NAN, accuracy;
        bool missing;
        st = is_missing(&missing, j, metric, row_t, err);
        if (st != DRL_OK || !missing) continue;
        if (!j->graph[k].row) st = make_graph(&j->graph[k], j, t, err);
        if (st == DRL_OK) st = propagate(&accuracy, j, &j->graph[k], err);
        if (st == DRL_OK) st = put(j, metric, row_t, accuracy, "frozen codes, unlabelled training images", err);
    }
    return st;
}

/* ---- Training ---------------------------------------------------------------------------------------------------- */

/* Epochs first, the accuracy last: where it is there, all is. */
static drl_status put_results(const job *j, drl_laplacenet *net, const char *metric, drl_err *err) {
    char pseudo[SEMI_METRIC], time[SEMI_METRIC], how[64];
    size_t epochs;
    double accuracy;
    const drl_laplacenet_epoch *history = drl_laplacenet_history(net, &epochs);
    semi_metric(pseudo, SEMI_PSEUDO, j->labels->n);
    semi_metric(time, SEMI_TIME, j->labels->n);
    snprintf(how, sizeof how, "%zu steps, t at last %.4f", drl_laplacenet_steps(net), drl_laplacenet_time(net));
    drl_status st = drl_laplacenet_test(net, &accuracy, err);
    for (size_t i = 0; i < epochs && st == DRL_OK; i++) {
        st = put(j, pseudo, (double)(i + 1), history[i].accuracy, "unlabelled training images", err);
        if (st == DRL_OK) st = put(j, time, (double)(i + 1), history[i].time, "of the encoder", err);
    }
    return st == DRL_OK ? put(j, metric, NAN, accuracy, how, err) : st;
}

static drl_status open_net(drl_laplacenet **net, const job *j, size_t supervised_steps, drl_err *err) {
    const drl_arm *arm = j->s->arm;
    bool none = semi_is_none(arm);
    drl_laplacenet_start start = {.cfg = &j->cfg->net,
                                  .pretrained = none ? NULL : j->model,
                                  .model = &arm->settings.model,
                                  .data = j->s->data,
                                  .labels = j->labels,
                                  .seed = j->s->seed,
                                  .supervised_steps = supervised_steps,
                                  .trajectory = none || drl_method_has_times(arm->method, &arm->settings.model)};
    return drl_laplacenet_open(net, &start, j->s->team, err);
}

static drl_status fit(job *j, int way, drl_err *err) {
    char metric[SEMI_METRIC], dir[DRL_PATH_MAX], label[128], dataset[DRL_DATASET_SHORT_MAX];
    bool missing;
    drl_laplacenet *net = NULL;
    semi_metric(metric, semi_way[way], j->labels->n);
    drl_status st = is_missing(&missing, j, metric, NAN, err);
    if (st != DRL_OK || !missing) return st;
    if (!semi_is_none(j->s->arm) && (st = need_model(j, err)) != DRL_OK) return st;
    st = open_net(&net, j, way == SEMI_SUPERVISED ? j->cfg->own.semi_supervised_steps : 0, err);
    if (st != DRL_OK) return st;
    drl_dataset_short_name(dataset, j->s->data->name);
    snprintf(dir, sizeof dir, "%.3000s/laplacenet/%s-%s-%.12s", j->s->out, j->s->arm->method->name, dataset,
             drl_laplacenet_key(net));
    snprintf(label, sizeof label, "%.60s, %s", j->s->label, metric);
    drl_train_run run = {.dir = dir,
                         .label = label,
                         .checkpoint_seconds = j->s->arm->settings.eval.run_checkpoint_seconds,
                         .resume = j->s->resume};
    st = drl_laplacenet_train(net, &run, err);
    if (st == DRL_OK) st = put_results(j, net, metric, err);
    drl_laplacenet_close(net);
    return st;
}

/* All three ways with the labels given. */
static drl_status do_labels(job *j, const drl_labels *labels, drl_err *err) {
    j->labels = labels;
    drl_sha256(j->digest, labels->index, labels->n * sizeof *labels->index);
    drl_status st = propagate_frozen(j, err);
    for (int way = SEMI_SUPERVISED; way < SEMI_WAYS && st == DRL_OK; way++) st = fit(j, way, err);
    return st;
}

/* ---- Labels ------------------------------------------------------------------------------------------------------ */

static drl_status do_draws(job *j, drl_err *err) {
    const drl_list *counts = &j->cfg->own.semi_labels;
    drl_status st = DRL_OK;
    for (size_t i = 0; i < counts->n && st == DRL_OK; i++) {
        drl_labels labels;
        st = drl_labels_draw(&labels, j->s->data, (size_t)counts->v[i], j->s->seed, err);
        if (st == DRL_OK) st = do_labels(j, &labels, err);
        drl_labels_free(&labels);
    }
    return st;
}

/* Of the files with equally many labels, the first is that of split 1, the second that of split 2, and so on. */
static drl_status do_file(job *j, size_t seen[DRL_LIST_MAX][2], const drl_picture_names *names, const char *path,
                          drl_err *err) {
    drl_labels labels;
    size_t k = 0;
    drl_status st = drl_labels_read(&labels, j->s->data, names, path, err);
    if (st != DRL_OK) return st;
    while (k < DRL_LIST_MAX && seen[k][1] && seen[k][0] != labels.n) k++;
    if (k == DRL_LIST_MAX)
        st = drl_fail(err, DRL_ERR_CONFIG, "semi.label_files: more than %d numbers of labels", DRL_LIST_MAX);
    else {
        seen[k][0] = labels.n;
        if (++seen[k][1] == j->s->seed) st = do_labels(j, &labels, err);
    }
    drl_labels_free(&labels);
    return st;
}

static drl_status do_files(job *j, drl_err *err) {
    char files[DRL_STRING_MAX], *rest = files, *path;
    size_t seen[DRL_LIST_MAX][2] = {{0}};
    drl_picture_names *names = NULL;
    drl_err none;
    const drl_dataset_cfg dc = drl_model_dataset_cfg(&j->s->arm->settings.model, j->s->data_dir, j->s->team);
    snprintf(files, sizeof files, "%s", j->cfg->own.semi_label_files);
    drl_status st = drl_dataset_names(&names, j->s->data, &dc, DRL_SPLIT_TRAIN, &none);
    if (st != DRL_OK && st != DRL_ERR_NOT_FOUND) return drl_fail(err, st, "%s", none.message);
    for (st = DRL_OK; st == DRL_OK && (path = strsep(&rest, ",")) != NULL;) {
        path += strspn(path, " ");
        if (*path) st = do_file(j, seen, names, path, err);
    }
    drl_picture_names_free(names);
    return st;
}

drl_status semi_run(const drl_subject *s, drl_err *err) {
    job *j;
    drl_status st = drl_alloc(&j, 1, sizeof *j, "split", err);
    if (st != DRL_OK) return st;
    j->s = s;
    j->cfg = semi_settings(&s->arm->settings);
    st = j->cfg->own.semi_label_files[0] ? do_files(j, err) : do_draws(j, err);
    for (size_t k = 0; k < DRL_LIST_MAX; k++) drl_sparse_free(&j->graph[k]);
    drl_model_close(j->model);
    drl_free(j);
    return st;
}

/* ---- What it takes ----------------------------------------------------------------------------------------------- */

/* Seconds of a step, and of one epoch's pseudo-labels: codes of a few images, scaled, and a graph of a few, scaled by
 * the square. */
static drl_status time_net(double *step, double *epoch, drl_laplacenet *net, const drl_subject *s, drl_err *err) {
    enum { FEW = 4096 };
    const size_t all = s->data->split[DRL_SPLIT_TRAIN].n, n = all < FEW ? all : FEW;
    size_t d = drl_laplacenet_code_size(net), k = n > 51 ? 50 : n - 1, steps = 0;
    drl_neighbours nb = {0};
    drl_real *codes;
    double loss, start;
    drl_status st = drl_alloc(&codes, n * d, sizeof *codes, "codes", err);
    if (st == DRL_OK) st = drl_laplacenet_step(net, &loss, err); /* warms caches */
    for (start = drl_now(); st == DRL_OK && (steps == 0 || drl_now() - start < 2); steps++)
        st = drl_laplacenet_step(net, &loss, err);
    *step = (drl_now() - start) / (double)(steps ? steps : 1);
    start = drl_now();
    if (st == DRL_OK) st = drl_laplacenet_encode(net, DRL_SPLIT_TRAIN, n, codes, err);
    *epoch = (drl_now() - start) * (double)all / (double)n;
    start = drl_now();
    if (st == DRL_OK) st = drl_unit_rows(codes, n, d, err);
    if (st == DRL_OK) st = drl_neighbours_find(&nb, codes, n, d, k, s->team, err);
    *epoch += (drl_now() - start) * pow((double)all / (double)n, 2);
    drl_neighbours_free(&nb);
    drl_free(codes);
    return st;
}

drl_status semi_plan(size_t *models, double *seconds, const drl_subject *s, drl_err *err) {
    const semi_cfg *cfg = semi_settings(&s->arm->settings);
    const drl_eval_cfg *eval = &s->arm->settings.eval;
    const drl_list *counts = &cfg->own.semi_labels;
    drl_labels labels = {0};
    drl_laplacenet *net = NULL, *start = NULL;
    double step = 0, epoch = 0, steps = 0, epochs = 0;
    size_t used = cfg->own.semi_models ? cfg->own.semi_models : eval->eval_seeds;
    *models = used < eval->eval_seeds ? used : eval->eval_seeds;
    drl_status st = drl_labels_draw(&labels, s->data, (size_t)counts->v[0], 1, err);
    if (st == DRL_OK) { /* from random weights, which do not matter here */
        drl_laplacenet_start from = {.cfg = &cfg->net,
                                     .model = &s->arm->settings.model,
                                     .data = s->data,
                                     .labels = &labels,
                                     .seed = 1,
                                     .trajectory = true};
        st = drl_laplacenet_open(&net, &from, s->team, err);
        from.supervised_steps = (size_t)1 << 30; /* as many as fit the time */
        if (st == DRL_OK) st = drl_laplacenet_open(&start, &from, s->team, err);
    }
    if (st == DRL_OK) st = time_net(&step, &epoch, start, s, err);
    if (st == DRL_OK) {
        steps = (double)(drl_laplacenet_steps(net) + cfg->own.semi_supervised_steps);
        epochs = (double)drl_laplacenet_epochs(net);
        double times = drl_method_has_times(s->arm->method, &s->arm->settings.model) ? (double)eval->eval_times.n : 1;
        *seconds = (double)eval->eval_seeds * ((double)counts->n * (steps * step + epochs * epoch) + times * epoch);
        printf("  %-13s LaplaceNet: %.2f s a step, %.1f s an epoch's pseudo-labels; %.0f steps and %.0f epochs a split "
               "and number of labels\n",
               s->arm->title, step, epoch, steps, epochs);
    }
    drl_laplacenet_close(net);
    drl_laplacenet_close(start);
    drl_labels_free(&labels);
    return st;
}
