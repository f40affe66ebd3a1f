/* Checkpoints: one safetensors file that holds everything a run continues from, in canonical shapes.
 *
 *   NAME          every parameter and running statistic, under the names of vectors 3
 *   ema/NAME, adam/m/NAME, adam/v/NAME     of trained parameters
 *   log/loss      mean loss of every DRL_HISTORY_STEPS steps;  log/partial  sum of the steps since, as float64
 *   __metadata__  format, key (what determines the model), step, config, kernels, digest (of all the others and all
 * tensors) Random numbers have no state: they are functions of (seed, step). The file depends on nothing else, so equal
 * runs give equal bytes. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "drl/file.h"
#include "drl/hash.h"
#include "drl/mem.h"
#include "drl/model.h"
#include "drl/safetensors.h"
#include "models/checkpoint.h"
#include "nn/conv_kernel.h"
#include "nn/safetensors_dtype.h"

#define FORMAT "drl-checkpoint-1"

/* The flat blocks of a model and the prefix of their tensors' names. */
typedef struct block {
    const char *prefix;
    drl_real *base;
    bool trained;
} block;

enum { BLOCKS = 5 };

static void blocks_of(const drl_model *m, block out[BLOCKS]) {
    const block all[BLOCKS] = {{"", m->params.value, true},
                               {"", m->params.state, false},
                               {"ema/", m->optim.ema, true},
                               {"adam/m/", m->optim.m, true},
                               {"adam/v/", m->optim.v, true}};
    memcpy(out, all, sizeof all);
}

static const char *path_of(char *buf, size_t size, const char *dir, const char *name) {
    snprintf(buf, size, "%s/%s", dir, name);
    return buf;
}

static size_t history_length(const drl_model *m) {
    size_t steps = (size_t)m->optim.step;
    return (steps < m->cfg.train_steps ? steps : m->cfg.train_steps) / DRL_HISTORY_STEPS;
}

/* ---- Digest: any bent byte is seen ------------------------------------------------------------------------------- */

/* hex = SHA-256 of what it was, a name, and the SHA-256 of the bytes. */
static void digest_add(char hex[65], const char *name, const void *bytes, size_t size) {
    char text[3 * 65 + DRL_PARAM_NAME + 16], inner[65];
    drl_sha256(inner, bytes, size);
    int n = snprintf(text, sizeof text, "%s %s %s", hex, name, inner);
    drl_sha256(hex, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static void digest_begin(char hex[65], const char *key, const char *step, const char *config, const char *kernels) {
    hex[0] = '\0';
    digest_add(hex, "key", key, strlen(key));
    digest_add(hex, "step", step, strlen(step));
    digest_add(hex, "config", config, strlen(config));
    if (kernels) digest_add(hex, "kernels", kernels, strlen(kernels));
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static drl_status put(drl_st_writer *w, char digest[65], const char *name, const char *dtype, size_t rank,
                      const size_t *shape, const void *data, size_t bytes, drl_err *err) {
    digest_add(digest, name, data, bytes);
    return drl_st_add(w, name, dtype, rank, shape, data, err);
}

/* Adds all tensors; `copy` (as long as all blocks together) receives them in canonical order. */
static drl_status add_blocks(drl_st_writer *w, char digest[65], const drl_model *m, drl_real *copy, drl_err *err) {
    block blocks[BLOCKS];
    blocks_of(m, blocks);
    for (int b = 0; b < BLOCKS; b++)
        for (size_t i = 0; i < m->params.n; i++) {
            const drl_param *p = &m->params.list[i];
            if (p->trained != blocks[b].trained) continue;
            char name[DRL_PARAM_NAME + 16];
            snprintf(name, sizeof name, "%s%s", blocks[b].prefix, p->name);
            drl_param_to_canonical(p, copy, blocks[b].base + p->offset);
            drl_status st = put(w, digest, name, DRL_REAL_DTYPE, p->rank, p->shape, copy, p->count * sizeof *copy, err);
            if (st != DRL_OK) return st;
            copy += p->count;
        }
    return DRL_OK;
}

static drl_status add_log(drl_st_writer *w, char digest[65], const drl_model *m, drl_err *err) {
    size_t entries = history_length(m), one = 1;
    drl_status st = put(w, digest, "log/partial", "F64", 1, &one, &m->history_sum, sizeof m->history_sum, err);
    if (st == DRL_OK && entries)
        st = put(w, digest, "log/loss", "F32", 1, &entries, m->history, entries * sizeof *m->history, err);
    return st;
}

/* checkpoint.json: the same facts for people, with provenance. */
static drl_status write_json(const drl_model *m, const char *dir, const char *config, const char *provenance,
                             drl_err *err) {
    char path[4096], step[32];
    cJSON *o = cJSON_CreateObject(), *origin = provenance ? cJSON_Parse(provenance) : NULL;
    snprintf(step, sizeof step, "%llu", (unsigned long long)m->optim.step);
    cJSON_AddStringToObject(o, "key", m->key);
    cJSON_AddStringToObject(o, "method", m->trainer->name);
    cJSON_AddStringToObject(o, "dataset", m->data->name);
    cJSON_AddStringToObject(o, "dataset_sha256", m->data->sha256);
    cJSON_AddNumberToObject(o, "seed", (double)m->seed);
    cJSON_AddRawToObject(o, "step", step);
    cJSON_AddNumberToObject(o, "steps", (double)m->cfg.train_steps);
    cJSON_AddNumberToObject(o, "train_seconds", m->train_seconds);
    cJSON_AddNumberToObject(o, "parameters", (double)drl_params_trained(&m->params));
    cJSON_AddStringToObject(o, "config", config);
    if (origin) cJSON_AddItemToObject(o, "provenance", origin);
    char *text = cJSON_Print(o);
    cJSON_Delete(o);
    if (!text) return drl_fail(err, DRL_ERR_MEMORY, "%s: checkpoint.json", dir);
    drl_status st = drl_write_file(path_of(path, sizeof path, dir, "checkpoint.json"), text, strlen(text), err);
    cJSON_free(text);
    return st;
}

drl_status drl_checkpoint_write(const drl_model *m, const char *dir, const char *provenance, drl_err *err) {
    char path[4096], step[32], digest[65], *config = NULL;
    const char *kernels = NULL;
    drl_real *copy = NULL;
    drl_st_writer *w = NULL;
    drl_status st = drl_model_text(&config, m, err);
    if (st == DRL_OK) st = drl_alloc(&copy, 4 * m->params.n_value + m->params.n_state, sizeof *copy, "checkpoint", err);
    if (st == DRL_OK) st = drl_conv_describe(&kernels, err);
    if (st == DRL_OK) st = drl_st_writer_new(&w, err);
    snprintf(step, sizeof step, "%llu", (unsigned long long)m->optim.step);
    if (st == DRL_OK) digest_begin(digest, m->key, step, config, kernels);
    if (st == DRL_OK) st = add_blocks(w, digest, m, copy, err);
    if (st == DRL_OK) st = add_log(w, digest, m, err);
    const char *metadata[][2] = {{"format", FORMAT}, {"key", m->key},      {"step", step},
                                 {"config", config}, {"kernels", kernels}, {"digest", digest}};
    for (size_t i = 0; st == DRL_OK && i < 6; i++) st = drl_st_add_metadata(w, metadata[i][0], metadata[i][1], err);
    if (st == DRL_OK) st = drl_st_write(w, path_of(path, sizeof path, dir, "checkpoint.safetensors"), err);
    if (st == DRL_OK) st = write_json(m, dir, config, provenance, err);
    drl_st_writer_free(w);
    drl_free(copy);
    drl_free(config);
    return st;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

/* One tensor of the file into its place; the whole of it must be finite and of the model's shape. */
static drl_status read_tensor(const drl_st *st, const char *prefix, const drl_param *p, drl_real *to, drl_err *err) {
    char name[DRL_PARAM_NAME + 16];
    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    const drl_st_tensor *t = drl_st_find(st, name);
    if (!t) return drl_fail(err, DRL_ERR_FORMAT, "tensor %s is missing", name);
    if (strcmp(t->dtype, DRL_REAL_DTYPE) != 0 || t->rank != p->rank ||
        memcmp(t->shape, p->shape, p->rank * sizeof *p->shape) != 0)
        return drl_fail(err, DRL_ERR_FORMAT, "tensor %s has another shape or type than the model's", name);
    const drl_real *values = t->data;
    for (size_t i = 0; i < t->count; i++)
        if (!isfinite(values[i])) return drl_fail(err, DRL_ERR_FORMAT, "tensor %s: element %zu is not finite", name, i);
    drl_param_from_canonical(p, to, values);
    return DRL_OK;
}

static drl_status read_log(drl_model *m, const drl_st *st, drl_err *err) {
    const drl_st_tensor *loss = drl_st_find(st, "log/loss"), *partial = drl_st_find(st, "log/partial");
    size_t entries = history_length(m);
    if (!partial || partial->count != 1 || strcmp(partial->dtype, "F64") != 0 ||
        (entries && (!loss || loss->count != entries || strcmp(loss->dtype, "F32") != 0)))
        return drl_fail(err, DRL_ERR_FORMAT, "the loss history does not fit the step");
    memcpy(&m->history_sum, partial->data, sizeof m->history_sum);
    bool finite = isfinite(m->history_sum);
    for (size_t i = 0; i < entries; i++) finite = finite && isfinite(((const float *)loss->data)[i]);
    if (!finite) return drl_fail(err, DRL_ERR_FORMAT, "the loss history is not finite");
    if (entries) memcpy(m->history, loss->data, entries * sizeof *m->history);
    return DRL_OK;
}

static drl_status check_digest(const drl_st *st, drl_err *err) {
    const char *key = drl_st_metadata(st, "key"), *step = drl_st_metadata(st, "step");
    const char *config = drl_st_metadata(st, "config"), *want = drl_st_metadata(st, "digest");
    char digest[65];
    digest_begin(digest, key ? key : "", step ? step : "", config ? config : "", drl_st_metadata(st, "kernels"));
    for (size_t i = 0; i < drl_st_count(st); i++) {
        const drl_st_tensor *t = drl_st_at(st, i);
        digest_add(digest, t->name, t->data, t->count * drl_st_dtype_size(t->dtype));
    }
    if (want && strcmp(want, digest) == 0) return DRL_OK;
    return drl_fail(err, DRL_ERR_FORMAT, "damaged: its contents do not match its digest; remove it to start over");
}

/* A run is continued with the kernels it began with, or its bits would be neither's. A finished one may be used by any.
 */
static drl_status check_kernels(const drl_st *st, drl_err *err) {
    const char *began = drl_st_metadata(st, "kernels"), *now;
    drl_status s = drl_conv_describe(&now, err);
    if (s != DRL_OK || (began && strcmp(began, now) == 0)) return s;
    return drl_fail(err, DRL_ERR_CONFIG, "was begun with the kernels \"%s\", these are \"%s\": --resume no starts over",
                    began ? began : "unknown", now);
}

static drl_status read_all(drl_model *m, const drl_st *st, drl_err *err) {
    const char *format = drl_st_metadata(st, "format"), *key = drl_st_metadata(st, "key");
    const char *step = drl_st_metadata(st, "step");
    if (!format || strcmp(format, FORMAT) != 0) return drl_fail(err, DRL_ERR_FORMAT, "not a checkpoint (%s)", FORMAT);
    if (!key || strcmp(key, m->key) != 0)
        return drl_fail(err, DRL_ERR_FORMAT, "belongs to a model of another configuration, data or seed");
    drl_status s = check_digest(st, err);
    if (s != DRL_OK) return s;
    char *end;
    errno = 0;
    unsigned long long steps = step ? strtoull(step, &end, 10) : 0;
    if (!step || *end || errno || steps > m->cfg.train_steps)
        return drl_fail(err, DRL_ERR_FORMAT, "step \"%s\" is not in 0 .. %zu", step ? step : "", m->cfg.train_steps);
    if (steps < m->cfg.train_steps && (s = check_kernels(st, err)) != DRL_OK) return s;
    block blocks[BLOCKS];
    blocks_of(m, blocks);
    for (int b = 0; b < BLOCKS; b++)
        for (size_t i = 0; i < m->params.n; i++) {
            const drl_param *p = &m->params.list[i];
            if (p->trained != blocks[b].trained) continue;
            s = read_tensor(st, blocks[b].prefix, p, blocks[b].base + p->offset, err);
            if (s != DRL_OK) return s;
        }
    m->optim.step = m->optim.updates = steps;
    m->optim.ema_updates = m->optim.cfg.ema > 0 ? steps : 0;
    return read_log(m, st, err);
}

cJSON *drl_checkpoint_json(const char *dir) {
    char path[4096], text[1 << 16];
    FILE *f = fopen(path_of(path, sizeof path, dir, "checkpoint.json"), "rb");
    if (!f) return NULL;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return cJSON_Parse(text);
}

/* Seconds of training so far, which checkpoint.json alone knows; 0 where it does not. */
static double read_seconds(const char *dir) {
    cJSON *o = drl_checkpoint_json(dir);
    const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(o, "train_seconds");
    double value = cJSON_IsNumber(seconds) && seconds->valuedouble > 0 ? seconds->valuedouble : 0;
    cJSON_Delete(o);
    return isfinite(value) ? value : 0;
}

drl_status drl_checkpoint_read(drl_model *m, const char *dir, bool *found, drl_err *err) {
    char path[4096];
    path_of(path, sizeof path, dir, "checkpoint.safetensors");
    struct stat info;
    *found = stat(path, &info) == 0;
    if (!*found && errno == ENOENT) return DRL_OK;
    if (!*found) return drl_fail(err, DRL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    drl_st *file;
    drl_status st = drl_st_open(&file, path, err);
    if (st != DRL_OK) return st;
    st = read_all(m, file, err);
    drl_st_close(file);
    if (st != DRL_OK) return drl_err_context(err, st, "%s", path);
    m->train_seconds = read_seconds(dir);
    return DRL_OK;
}
