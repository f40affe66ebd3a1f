/* Writing safetensors files (drl/safetensors.h): all tensors in the order they were added, back to back; to a temporary
 * name beside the file, then fsync and rename, so that a crash leaves the old file or the new one.   [vectors, 1] */
#define _POSIX_C_SOURCE 200809L
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drl/mem.h"
#include "drl/safetensors.h"
#include "drl/temporary.h"
#include "nn/safetensors_dtype.h"

#define METADATA "__metadata__"

typedef struct piece {
    const void *data;
    size_t bytes;
} piece;

struct drl_st_writer {
    cJSON *header;
    piece *list; /* data of the tensors, in order */
    size_t n, capacity, size;
};

drl_status drl_st_writer_new(drl_st_writer **out, drl_err *err) {
    drl_st_writer *w;
    *out = NULL;
    drl_status st = drl_alloc(&w, 1, sizeof *w, "safetensors writer", err);
    if (st != DRL_OK) return st;
    w->header = cJSON_CreateObject();
    if (!w->header) {
        drl_free(w);
        return drl_fail(err, DRL_ERR_MEMORY, "safetensors writer");
    }
    *out = w;
    return DRL_OK;
}

void drl_st_writer_free(drl_st_writer *w) {
    if (!w) return;
    cJSON_Delete(w->header);
    drl_free(w->list);
    drl_free(w);
}

static drl_status reserve(drl_st_writer *w, drl_err *err) {
    if (w->n < w->capacity) return DRL_OK;
    size_t capacity = w->capacity ? 2 * w->capacity : 64;
    piece *list;
    drl_status st = drl_alloc(&list, capacity, sizeof *list, "safetensors writer", err);
    if (st != DRL_OK) return st;
    if (w->n) memcpy(list, w->list, w->n * sizeof *list);
    drl_free(w->list);
    w->list = list;
    w->capacity = capacity;
    return DRL_OK;
}

/* {"dtype": .., "shape": [..], "data_offsets": [begin, end]} under `name`. */
static bool describe(cJSON *header, const char *name, const char *dtype, size_t rank, const size_t *shape, size_t begin,
                     size_t end) {
    cJSON *e = cJSON_AddObjectToObject(header, name);
    if (!e || !cJSON_AddStringToObject(e, "dtype", dtype)) return false;
    cJSON *s = cJSON_AddArrayToObject(e, "shape"), *o = s ? cJSON_AddArrayToObject(e, "data_offsets") : NULL;
    bool ok = o && cJSON_AddItemToArray(o, cJSON_CreateNumber((double)begin)) &&
              cJSON_AddItemToArray(o, cJSON_CreateNumber((double)end));
    for (size_t d = 0; ok && d < rank; d++) ok = cJSON_AddItemToArray(s, cJSON_CreateNumber((double)shape[d]));
    return ok;
}

drl_status drl_st_add(drl_st_writer *w, const char *name, const char *dtype, size_t rank, const size_t *shape,
                      const void *data, drl_err *err) {
    size_t bytes = drl_st_dtype_size(dtype), end;
    if (bytes == 0) return drl_fail(err, DRL_ERR_CONFIG, "%s: dtype %s cannot be written", name, dtype);
    if (rank > DRL_ST_RANK)
        return drl_fail(err, DRL_ERR_SHAPE, "%s: %zu dimensions, at most %d can be written", name, rank, DRL_ST_RANK);
    if (strcmp(name, METADATA) == 0 || cJSON_GetObjectItemCaseSensitive(w->header, name))
        return drl_fail(err, DRL_ERR_CONFIG, "%s: the name is taken", name);
    for (size_t d = 0; d < rank; d++)
        if (!drl_mul_size(&bytes, bytes, shape[d])) return drl_fail(err, DRL_ERR_LIMIT, "%s: too large", name);
    if (__builtin_add_overflow(w->size, bytes, &end) || end >= (uint64_t)1 << 53)
        return drl_fail(err, DRL_ERR_LIMIT, "%s: too large", name);
    drl_status st = reserve(w, err);
    if (st != DRL_OK) return st;
    if (!describe(w->header, name, dtype, rank, shape, w->size, end))
        return drl_fail(err, DRL_ERR_MEMORY, "%s: header", name);
    w->list[w->n++] = (piece){data, bytes};
    w->size = end;
    return DRL_OK;
}

drl_status drl_st_add_metadata(drl_st_writer *w, const char *key, const char *value, drl_err *err) {
    cJSON *meta = cJSON_GetObjectItemCaseSensitive(w->header, METADATA);
    if (!meta) meta = cJSON_AddObjectToObject(w->header, METADATA);
    if (cJSON_GetObjectItemCaseSensitive(meta, key))
        return drl_fail(err, DRL_ERR_CONFIG, "metadata %s: the name is taken", key);
    if (!meta || !cJSON_AddStringToObject(meta, key, value)) return drl_fail(err, DRL_ERR_MEMORY, "metadata %s", key);
    return DRL_OK;
}

/* Length, header padded with spaces to a multiple of 8, data. */
static bool write_all(const drl_st_writer *w, const char *text, FILE *f) {
    size_t length = strlen(text), padded = (length + 7) / 8 * 8;
    unsigned char raw[8];
    for (int i = 0; i < 8; i++) raw[i] = (unsigned char)((uint64_t)padded >> (8 * i));
    bool ok = fwrite(raw, 1, 8, f) == 8 && fwrite(text, 1, length, f) == length;
    ok = ok && fwrite("        ", 1, padded - length, f) == padded - length;
    for (size_t i = 0; ok && i < w->n; i++) ok = fwrite(w->list[i].data, 1, w->list[i].bytes, f) == w->list[i].bytes;
    return ok && fflush(f) == 0 && fsync(fileno(f)) == 0;
}

/* The rename itself reaches the disk with the directory. A file system that cannot sync directories is left alone. */
static void sync_directory(const char *path) {
    char directory[4096];
    const char *slash = strrchr(path, '/');
    snprintf(directory, sizeof directory, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    int fd = open(directory, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

static drl_status write_file(const drl_st_writer *w, const char *text, const char *path, drl_err *err) {
    char temporary[4096];
    if (!drl_temporary_name(temporary, sizeof temporary, path))
        return drl_fail(err, DRL_ERR_IO, "%s: the name is too long", path);
    FILE *f = fopen(temporary, "wb");
    if (!f) return drl_fail(err, DRL_ERR_IO, "%s: cannot write: %s", temporary, strerror(errno));
    bool ok = write_all(w, text, f);
    int why = errno;
    if (fclose(f) != 0 && ok) ok = false, why = errno;
    if (ok && rename(temporary, path) != 0) ok = false, why = errno;
    if (!ok) {
        remove(temporary);
        return drl_fail(err, DRL_ERR_IO, "%s: cannot write: %s", path, strerror(why));
    }
    sync_directory(path);
    return DRL_OK;
}

drl_status drl_st_write(const drl_st_writer *w, const char *path, drl_err *err) {
    char *text = cJSON_PrintUnformatted(w->header);
    if (!text) return drl_fail(err, DRL_ERR_MEMORY, "%s: header", path);
    drl_status st = write_file(w, text, path, err);
    cJSON_free(text);
    return st;
}
