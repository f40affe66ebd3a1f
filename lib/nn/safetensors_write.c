/* Writing safetensors files (drl/safetensors.h): all tensors in the order they were added, back to back.
 *                                                                                                     [vectors, 1] */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "drl/file.h"
#include "drl/mem.h"
#include "drl/safetensors.h"
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

/* Length, header padded with spaces to a multiple of 8, data. The file remembers a failure until it is committed. */
static void write_all(const drl_st_writer *w, const char *text, FILE *f) {
    size_t length = strlen(text), padded = (length + 7) / 8 * 8;
    unsigned char raw[8];
    for (int i = 0; i < 8; i++) raw[i] = (unsigned char)((uint64_t)padded >> (8 * i));
    fwrite(raw, 1, 8, f);
    fwrite(text, 1, length, f);
    fwrite("        ", 1, padded - length, f);
    for (size_t i = 0; i < w->n && !ferror(f); i++) fwrite(w->list[i].data, 1, w->list[i].bytes, f);
}

drl_status drl_st_write(const drl_st_writer *w, const char *path, drl_err *err) {
    char *text = cJSON_PrintUnformatted(w->header);
    if (!text) return drl_fail(err, DRL_ERR_MEMORY, "%s: header", path);
    drl_new_file file;
    drl_status st = drl_new_file_open(&file, path, err);
    if (st == DRL_OK) {
        write_all(w, text, file.f);
        st = drl_new_file_commit(&file, err);
    }
    cJSON_free(text);
    return st;
}
