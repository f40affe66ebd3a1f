/* Writing and reading checkpoint.safetensors (models/checkpoint_file.h). */
#include "models/checkpoint_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "drl/file.h"
#include "drl/hash.h"
#include "drl/mem.h"
#include "nn/conv_kernel.h"
#include "nn/safetensors_dtype.h"

static void path_of(char path[DRL_PATH_MAX], const char *dir) {
    snprintf(path, DRL_PATH_MAX, "%s/checkpoint.safetensors", dir);
}

/* ---- Digest ------------------------------------------------------------------------------------------------------ */

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

drl_status drl_checkpoint_begin(drl_checkpoint_out *out, const char *format, const char *key, uint64_t step,
                                const char *config, size_t reals, drl_err *err) {
    *out = (drl_checkpoint_out){.format = format, .key = key, .config = config};
    snprintf(out->step, sizeof out->step, "%llu", (unsigned long long)step);
    drl_status st = drl_conv_describe(&out->kernels, err);
    if (st == DRL_OK) st = drl_alloc(&out->copy, reals, sizeof *out->copy, "checkpoint", err);
    if (st == DRL_OK) st = drl_st_writer_new(&out->w, err);
    if (st == DRL_OK) digest_begin(out->digest, key, out->step, config, out->kernels);
    return st;
}

static drl_status put(drl_checkpoint_out *out, const char *name, const char *dtype, size_t rank, const size_t *shape,
                      const void *data, size_t bytes, drl_err *err) {
    digest_add(out->digest, name, data, bytes);
    return drl_st_add(out->w, name, dtype, rank, shape, data, err);
}

drl_status drl_checkpoint_put(drl_checkpoint_out *out, const char *name, const char *dtype, size_t count,
                              const void *data, drl_err *err) {
    return put(out, name, dtype, 1, &count, data, count * drl_st_dtype_size(dtype), err);
}

drl_status drl_checkpoint_put_block(drl_checkpoint_out *out, const drl_params *params, drl_checkpoint_block block,
                                    drl_err *err) {
    drl_status st = DRL_OK;
    for (size_t i = 0; i < params->n && st == DRL_OK; i++) {
        const drl_param *p = &params->list[i];
        char name[DRL_PARAM_NAME + 16];
        if (p->trained != block.trained) continue;
        drl_real *copy = out->copy + out->used;
        snprintf(name, sizeof name, "%s%s", block.prefix, p->name);
        drl_param_to_canonical(p, copy, block.base + p->offset);
        st = put(out, name, DRL_REAL_DTYPE, p->rank, p->shape, copy, p->count * sizeof *copy, err);
        out->used += p->count;
    }
    return st;
}

drl_status drl_checkpoint_commit(drl_checkpoint_out *out, const char *dir, drl_err *err) {
    char path[DRL_PATH_MAX];
    const char *metadata[][2] = {{"format", out->format}, {"key", out->key},         {"step", out->step},
                                 {"config", out->config}, {"kernels", out->kernels}, {"digest", out->digest}};
    drl_status st = DRL_OK;
    for (size_t i = 0; st == DRL_OK && i < 6; i++)
        st = drl_st_add_metadata(out->w, metadata[i][0], metadata[i][1], err);
    path_of(path, dir);
    return st == DRL_OK ? drl_st_write(out->w, path, err) : st;
}

void drl_checkpoint_end(drl_checkpoint_out *out) {
    drl_st_writer_free(out->w);
    drl_free(out->copy);
    *out = (drl_checkpoint_out){0};
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

drl_status drl_checkpoint_open(drl_st **file, const char *dir, drl_err *err) {
    char path[DRL_PATH_MAX];
    struct stat info;
    *file = NULL;
    path_of(path, dir);
    if (stat(path, &info) == 0) return drl_st_open(file, path, err);
    return errno == ENOENT ? DRL_OK : drl_fail(err, DRL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
}

static drl_status check_digest(const drl_st *file, drl_err *err) {
    const char *key = drl_st_metadata(file, "key"), *step = drl_st_metadata(file, "step");
    const char *config = drl_st_metadata(file, "config"), *want = drl_st_metadata(file, "digest");
    char digest[65];
    digest_begin(digest, key ? key : "", step ? step : "", config ? config : "", drl_st_metadata(file, "kernels"));
    for (size_t i = 0; i < drl_st_count(file); i++) {
        const drl_st_tensor *t = drl_st_at(file, i);
        digest_add(digest, t->name, t->data, t->count * drl_st_dtype_size(t->dtype));
    }
    if (want && strcmp(want, digest) == 0) return DRL_OK;
    return drl_fail(err, DRL_ERR_FORMAT, "damaged: its contents do not match its digest; remove it to start over");
}

static drl_status check_kernels(const drl_st *file, drl_err *err) {
    const char *began = drl_st_metadata(file, "kernels"), *now;
    drl_status st = drl_conv_describe(&now, err);
    if (st != DRL_OK || (began && strcmp(began, now) == 0)) return st;
    return drl_fail(err, DRL_ERR_CONFIG, "was begun with the kernels \"%s\", these are \"%s\": --resume no starts over",
                    began ? began : "unknown", now);
}

drl_status drl_checkpoint_verify(uint64_t *step, const drl_st *file, const char *format, const char *key, size_t steps,
                                 drl_err *err) {
    const char *its_format = drl_st_metadata(file, "format"), *its_key = drl_st_metadata(file, "key");
    const char *text = drl_st_metadata(file, "step");
    if (!its_format || strcmp(its_format, format) != 0)
        return drl_fail(err, DRL_ERR_FORMAT, "not a checkpoint (%s)", format);
    if (!its_key || strcmp(its_key, key) != 0)
        return drl_fail(err, DRL_ERR_FORMAT, "belongs to a model of another configuration, data or seed");
    drl_status st = check_digest(file, err);
    if (st != DRL_OK) return st;
    char *end;
    errno = 0;
    *step = text ? strtoull(text, &end, 10) : 0;
    if (!text || *end || errno || *step > steps)
        return drl_fail(err, DRL_ERR_FORMAT, "step \"%s\" is not in 0 .. %zu", text ? text : "", steps);
    return *step < steps ? check_kernels(file, err) : DRL_OK;
}

const void *drl_checkpoint_get(const drl_st *file, const char *name, const char *dtype, size_t count, drl_err *err) {
    const drl_st_tensor *t = drl_st_find(file, name);
    if (t && strcmp(t->dtype, dtype) == 0 && t->rank == 1 && t->count == count) return t->data;
    if (t)
        drl_fail(err, DRL_ERR_FORMAT, "tensor %s is not of %zu %s", name, count, dtype);
    else
        drl_fail(err, DRL_ERR_FORMAT, "tensor %s is missing", name);
    return NULL;
}

/* One tensor of the file into its place. */
static drl_status get_tensor(const drl_st *file, const char *prefix, const drl_param *p, drl_real *to, drl_err *err) {
    char name[DRL_PARAM_NAME + 16];
    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    const drl_st_tensor *t = drl_st_find(file, name);
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

drl_status drl_checkpoint_get_block(const drl_params *params, drl_checkpoint_block block, const drl_st *file,
                                    drl_err *err) {
    drl_status st = DRL_OK;
    for (size_t i = 0; i < params->n && st == DRL_OK; i++) {
        const drl_param *p = &params->list[i];
        if (p->trained == block.trained) st = get_tensor(file, block.prefix, p, block.base + p->offset, err);
    }
    return st;
}
