/* Checkpoints: one safetensors file that holds everything a run continues from, in canonical shapes.
 *
 *   NAME          every parameter and running statistic, under the names of vectors 3
 *   ema/NAME, adam/m/NAME, adam/v/NAME     of trained parameters
 *   log/loss      mean loss of every DRL_HISTORY_STEPS steps;  log/partial  sum of the steps since, as float64
 *   __metadata__  as of every checkpoint (models/checkpoint_file.h); the key is that of what determines the model
 * Random numbers have no state: they are functions of (seed, step). The file depends on nothing else, so equal
 * runs give equal bytes. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/file.h"
#include "drl/mem.h"
#include "drl/model.h"
#include "models/checkpoint.h"
#include "models/checkpoint_file.h"

#define FORMAT "drl-checkpoint-1"

enum { BLOCKS = 5 };

static void blocks_of(const drl_model *m, drl_checkpoint_block out[BLOCKS]) {
    const drl_checkpoint_block all[BLOCKS] = {{"", m->params.value, true},
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

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

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
    drl_checkpoint_out out = {0};
    drl_checkpoint_block blocks[BLOCKS];
    char *config = NULL;
    size_t entries = history_length(m);
    blocks_of(m, blocks);
    drl_status st = drl_model_text(&config, m, err);
    if (st == DRL_OK)
        st = drl_checkpoint_begin(&out, FORMAT, m->key, m->optim.step, config,
                                  4 * m->params.n_value + m->params.n_state, err);
    for (int b = 0; b < BLOCKS && st == DRL_OK; b++) st = drl_checkpoint_put_block(&out, &m->params, blocks[b], err);
    if (st == DRL_OK) st = drl_checkpoint_put(&out, "log/partial", "F64", 1, &m->history_sum, err);
    if (st == DRL_OK && entries) st = drl_checkpoint_put(&out, "log/loss", "F32", entries, m->history, err);
    if (st == DRL_OK) st = drl_checkpoint_commit(&out, dir, err);
    if (st == DRL_OK) st = write_json(m, dir, config, provenance, err);
    drl_checkpoint_end(&out);
    drl_free(config);
    return st;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static drl_status read_log(drl_model *m, const drl_st *file, drl_err *err) {
    size_t entries = history_length(m);
    const double *partial = drl_checkpoint_get(file, "log/partial", "F64", 1, err);
    const float *loss = partial && entries ? drl_checkpoint_get(file, "log/loss", "F32", entries, err) : NULL;
    if (!partial || (entries && !loss)) return DRL_ERR_FORMAT;
    bool finite = isfinite(*partial);
    for (size_t i = 0; i < entries; i++) finite = finite && isfinite(loss[i]);
    if (!finite) return drl_fail(err, DRL_ERR_FORMAT, "the loss history is not finite");
    m->history_sum = *partial;
    if (entries) memcpy(m->history, loss, entries * sizeof *m->history);
    return DRL_OK;
}

static drl_status read_all(drl_model *m, const drl_st *file, drl_err *err) {
    drl_checkpoint_block blocks[BLOCKS];
    uint64_t steps;
    blocks_of(m, blocks);
    drl_status st = drl_checkpoint_verify(&steps, file, FORMAT, m->key, m->cfg.train_steps, err);
    for (int b = 0; b < BLOCKS && st == DRL_OK; b++) st = drl_checkpoint_get_block(&m->params, blocks[b], file, err);
    if (st != DRL_OK) return st;
    m->optim.step = m->optim.updates = steps;
    m->optim.ema_updates = m->optim.cfg.ema > 0 ? steps : 0;
    return read_log(m, file, err);
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

/* A number of checkpoint.json; 0 where it is not there. */
static double read_number(const char *dir, const char *key) {
    cJSON *o = drl_checkpoint_json(dir);
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(o, key);
    double value = cJSON_IsNumber(number) && number->valuedouble > 0 ? number->valuedouble : 0;
    cJSON_Delete(o);
    return isfinite(value) ? value : 0;
}

bool drl_checkpoint_settled(const drl_model *m, const char *dir) {
    return read_number(dir, "step") == (double)m->optim.step;
}

drl_status drl_checkpoint_read(drl_model *m, const char *dir, bool *found, drl_err *err) {
    drl_st *file;
    drl_status st = drl_checkpoint_open(&file, dir, err);
    *found = file != NULL;
    if (!file) return st;
    st = read_all(m, file, err);
    drl_st_close(file);
    if (st != DRL_OK) return drl_err_context(err, st, "%s/checkpoint.safetensors", dir);
    m->train_seconds = read_number(dir, "train_seconds"); /* which it alone knows */
    return DRL_OK;
}
