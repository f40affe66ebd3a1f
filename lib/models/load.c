/* Opening a trained model from its directory (drl/model.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "drl/log.h"
#include "drl/mem.h"
#include "drl/model.h"
#include "drl/safetensors.h"
#include "models/checkpoint.h"

drl_dataset_cfg drl_model_dataset_cfg(const drl_model_cfg *cfg, const char *data_dir, drl_threads *team) {
    return (drl_dataset_cfg){.name = cfg->data_dataset,
                             .data_dir = data_dir && data_dir[0] ? data_dir : NULL,
                             .size = cfg->data_size,
                             .resize = (drl_resize)cfg->data_resize,
                             .skip_bad = cfg->data_skip_bad,
                             .train_limit = cfg->data_train_limit,
                             .test_limit = cfg->data_test_limit,
                             .team = team};
}

static drl_status find_checkpoint(char path[DRL_PATH_MAX], const char *dir, drl_err *err) {
    struct stat info;
    if (stat(dir, &info) != 0) return drl_fail(err, DRL_ERR_NOT_FOUND, "model %s: %s", dir, strerror(errno));
    if (!S_ISDIR(info.st_mode)) return drl_fail(err, DRL_ERR_NOT_FOUND, "model %s: not a directory", dir);
    int n = snprintf(path, DRL_PATH_MAX, "%s/checkpoint.safetensors", dir);
    if (n < 0 || n >= DRL_PATH_MAX) return drl_fail(err, DRL_ERR_NOT_FOUND, "model %.200s...: name too long", dir);
    if (stat(path, &info) == 0) return DRL_OK;
    return drl_fail(err, DRL_ERR_NOT_FOUND,
                    "model %s: no checkpoint.safetensors in it; models are in OUT/models/METHOD-DATASET-KEY", dir);
}

/* The settings in the checkpoint: what cannot be read there is a damaged file, not a wrong command line. */
static drl_status read_settings(drl_model_cfg *cfg, const char *path, drl_err *err) {
    size_t n;
    const drl_option *options = drl_model_options(&n);
    drl_st *file;
    drl_err own = {0};
    drl_status st = drl_st_open(&file, path, err);
    if (st != DRL_OK) return st;
    const char *text = drl_st_metadata(file, "config");
    drl_config_defaults(cfg, options, n);
    if (!text)
        st = drl_fail(err, DRL_ERR_FORMAT, "%s: not the checkpoint of a model: it holds no settings", path);
    else if ((st = drl_config_parse(cfg, options, n, text, &own)) == DRL_ERR_CONFIG)
        st = drl_fail(err, DRL_ERR_FORMAT, "%s: its settings cannot be used here: %s", path, own.message);
    else if (st != DRL_OK)
        st = drl_fail(err, st, "%s: %s", path, own.message);
    drl_st_close(file);
    return st;
}

/* checkpoint.json: the seed, and the digest of the data (hex, "" where it does not say). */
static drl_status read_origin(uint64_t *seed, char sha256[65], const char *dir, drl_err *err) {
    cJSON *o = drl_checkpoint_json(dir);
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(o, "seed");
    const cJSON *digest = cJSON_GetObjectItemCaseSensitive(o, "dataset_sha256");
    bool known = cJSON_IsNumber(number) && number->valuedouble >= 0 && number->valuedouble < 0x1p63;
    if (known) *seed = (uint64_t)number->valuedouble;
    snprintf(sha256, 65, "%s", cJSON_IsString(digest) ? digest->valuestring : "");
    cJSON_Delete(o);
    if (known) return DRL_OK;
    return drl_fail(err, DRL_ERR_FORMAT, "model %s: no checkpoint.json with a seed, which the weights are checked by",
                    dir);
}

/* Both are the caller's to close, on failure too. */
static drl_status load(drl_model **m, drl_dataset **data, drl_model_cfg *cfg, const char *dir, const char *data_dir,
                       drl_threads *team, drl_err *err) {
    char path[DRL_PATH_MAX], sha256[65];
    uint64_t seed = 0;
    bool found = false;
    drl_status st = find_checkpoint(path, dir, err);
    if (st == DRL_OK) st = read_settings(cfg, path, err);
    if (st == DRL_OK) st = read_origin(&seed, sha256, dir, err);
    if (st != DRL_OK) return st;
    const drl_dataset_cfg dc = drl_model_dataset_cfg(cfg, data_dir, team);
    if ((st = drl_dataset_open(data, &dc, err)) != DRL_OK) return drl_err_context(err, st, "data of model %s", dir);
    if (sha256[0] && strcmp(sha256, (*data)->sha256) != 0)
        return drl_fail(err, DRL_ERR_FORMAT, "model %s: was trained on other data: SHA-256 %.12s, %s has %.12s", dir,
                        sha256, (*data)->name, (*data)->sha256);
    st = drl_model_open(m, cfg, *data, seed, team, err);
    if (st == DRL_ERR_CONFIG) { /* no command line's fault */
        drl_err own = *err;
        st = drl_fail(err, DRL_ERR_FORMAT, "%s: its settings cannot be used here: %s", path, own.message);
    }
    if (st == DRL_OK) st = drl_checkpoint_read(*m, dir, &found, err);
    if (st != DRL_OK) return st;
    if (!found) return drl_fail(err, DRL_ERR_NOT_FOUND, "%s: has just been removed", path);
    if ((*m)->optim.step < cfg->train_steps)
        drl_log("%s: training is not finished, step %llu of %zu", dir, (unsigned long long)(*m)->optim.step,
                cfg->train_steps);
    return DRL_OK;
}

drl_status drl_model_load(drl_model **m, drl_dataset **data, const char *dir, const char *data_dir, drl_threads *team,
                          drl_err *err) {
    drl_model_cfg *cfg;
    *m = NULL;
    *data = NULL;
    drl_status st = drl_alloc(&cfg, 1, sizeof *cfg, "model's settings", err);
    if (st != DRL_OK) return st;
    if ((st = load(m, data, cfg, dir, data_dir, team, err)) != DRL_OK) {
        drl_model_close(*m);
        drl_dataset_free(*data);
        *m = NULL;
        *data = NULL;
    }
    drl_free(cfg);
    return st;
}
