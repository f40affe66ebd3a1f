/* Reading safetensors files (drl/safetensors.h). The header is parsed and every claim in it checked against the size of
 * the file before room for any tensor is made. Writing is in safetensors_write.c.                    [vectors, 1] */
#define _POSIX_C_SOURCE 200809L
#include "drl/safetensors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "drl/mem.h"
#include "nn/safetensors_dtype.h"

#define MAX_HEADER ((uint64_t)16 << 20) /* a hundred thousand tensors; parsed, a hostile one takes 40 times as much */
#define MAX_WHOLE  9007199254740992.0   /* 2^53: cJSON's doubles hold every whole number up to here */

/* A tensor and where the header says its bytes are, counted from the end of the header. */
typedef struct entry {
    drl_st_tensor t;
    size_t begin, end, at; /* at: offset of the aligned copy */
} entry;

struct drl_st {
    cJSON *header; /* owns the names and the metadata */
    entry *list;
    size_t n;
    size_t *by_name, *by_offset; /* indices into list */
    unsigned char *data;
};

/* ---- The header -------------------------------------------------------------------------------------------------- */

/* The header's text, ended by a NUL of ours. A NUL of the file's own, raw or escaped, would hide what follows it. */
static drl_status read_header(char **text, size_t *length, FILE *f, uint64_t file_size, drl_err *err) {
    unsigned char raw[8];
    uint64_t n = 0;
    *text = NULL;
    if (file_size < 8 || fread(raw, 1, 8, f) != 8)
        return drl_fail(err, DRL_ERR_FORMAT, "too short for a safetensors file: %llu bytes",
                        (unsigned long long)file_size);
    for (int i = 7; i >= 0; i--) n = n << 8 | raw[i];
    if (n < 2 || n > file_size - 8 || n > MAX_HEADER)
        return drl_fail(err, DRL_ERR_FORMAT, "not a safetensors file: claims a header of %llu bytes, the file has %llu",
                        (unsigned long long)n, (unsigned long long)file_size);
    drl_status st = drl_alloc(text, (size_t)n + 1, 1, "safetensors header", err);
    if (st != DRL_OK) return st;
    *length = (size_t)n;
    if (fread(*text, 1, *length, f) != *length) return drl_fail(err, DRL_ERR_IO, "cannot read the header");
    if (memchr(*text, 0, *length) || strstr(*text, "\\u0000"))
        return drl_fail(err, DRL_ERR_FORMAT, "the header contains a NUL character");
    return DRL_OK;
}

static drl_status parse_header(cJSON **header, const char *text, size_t length, drl_err *err) {
    const char *end = NULL;
    *header = text[0] == '{' ? cJSON_ParseWithLengthOpts(text, length + 1, &end, 0) : NULL;
    if (!*header) return drl_fail(err, DRL_ERR_FORMAT, "the header is not a JSON object");
    for (; end < text + length; end++)
        if (*end != ' ') return drl_fail(err, DRL_ERR_FORMAT, "something other than spaces follows the header's JSON");
    return DRL_OK;
}

/* A whole number a double holds exactly. */
static bool whole(size_t *out, const cJSON *item) {
    double d = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(d >= 0 && d < MAX_WHOLE) || floor(d) != d) return false;
    *out = (size_t)d;
    return true;
}

static drl_status read_shape(drl_st_tensor *t, const cJSON *shape, drl_err *err) {
    if (!cJSON_IsArray(shape)) return drl_fail(err, DRL_ERR_FORMAT, "no shape");
    t->count = 1;
    for (const cJSON *d = shape->child; d; d = d->next) {
        if (t->rank == DRL_ST_RANK) return drl_fail(err, DRL_ERR_FORMAT, "more than %d dimensions", DRL_ST_RANK);
        if (!whole(&t->shape[t->rank], d))
            return drl_fail(err, DRL_ERR_FORMAT, "dimension %zu is not a whole number below 2^53", t->rank);
        if (!drl_mul_size(&t->count, t->count, t->shape[t->rank++]))
            return drl_fail(err, DRL_ERR_FORMAT, "more elements than can be addressed");
    }
    return DRL_OK;
}

/* One entry {"dtype": .., "shape": [..], "data_offsets": [begin, end]}, with nothing else in it. */
static drl_status read_entry(entry *e, const cJSON *item, size_t data_size, drl_err *err) {
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    if (!cJSON_IsObject(item) || cJSON_GetArraySize(item) != 3 || !cJSON_IsString(dtype) || !cJSON_IsArray(offsets))
        return drl_fail(err, DRL_ERR_FORMAT, "want dtype, shape and data_offsets, each once");
    size_t size = drl_st_dtype_size(dtype->valuestring), bytes;
    if (size == 0)
        return drl_fail(err, DRL_ERR_FORMAT, "dtype %.16s is not F32, F64, I32, I64 or U8", dtype->valuestring);
    snprintf(e->t.dtype, sizeof e->t.dtype, "%s", dtype->valuestring);
    drl_status st = read_shape(&e->t, cJSON_GetObjectItemCaseSensitive(item, "shape"), err);
    if (st != DRL_OK) return st;
    if (cJSON_GetArraySize(offsets) != 2 || !whole(&e->begin, offsets->child) || !whole(&e->end, offsets->child->next))
        return drl_fail(err, DRL_ERR_FORMAT, "data_offsets are not two whole numbers below 2^53");
    if (e->begin > e->end || e->end > data_size)
        return drl_fail(err, DRL_ERR_FORMAT, "bytes %zu to %zu do not lie in the %zu bytes of data", e->begin, e->end,
                        data_size);
    if (!drl_mul_size(&bytes, e->t.count, size) || bytes != e->end - e->begin)
        return drl_fail(err, DRL_ERR_FORMAT, "%zu elements of %zu bytes do not fill bytes %zu to %zu", e->t.count, size,
                        e->begin, e->end);
    return DRL_OK;
}

static drl_status check_metadata(const cJSON *item, drl_err *err) {
    if (!cJSON_IsObject(item)) return drl_fail(err, DRL_ERR_FORMAT, "not an object");
    for (const cJSON *m = item->child; m; m = m->next)
        if (!cJSON_IsString(m)) return drl_fail(err, DRL_ERR_FORMAT, "%.80s is not a string", m->string);
    return DRL_OK;
}

static drl_status read_entries(drl_st *st, size_t data_size, drl_err *err) {
    size_t room = (size_t)cJSON_GetArraySize(st->header);
    drl_status s = drl_alloc(&st->list, room, sizeof *st->list, "table of tensors", err);
    if (s == DRL_OK) s = drl_alloc(&st->by_name, room, sizeof *st->by_name, "table of tensors", err);
    if (s == DRL_OK) s = drl_alloc(&st->by_offset, room, sizeof *st->by_offset, "table of tensors", err);
    if (s != DRL_OK) return s;
    for (const cJSON *item = st->header->child; item && s == DRL_OK; item = item->next) {
        if (strcmp(item->string, "__metadata__") == 0) {
            s = check_metadata(item, err);
        } else {
            st->by_name[st->n] = st->by_offset[st->n] = st->n;
            st->list[st->n].t.name = item->string;
            s = read_entry(&st->list[st->n++], item, data_size, err);
        }
        if (s != DRL_OK) drl_err_context(err, s, "%.80s", item->string);
    }
    return s;
}

/* ---- Two orders: by name (to find, and to see duplicates) and by offset (to see overlaps and gaps)
 * ------------------- */

static int name_order(const entry *list, size_t a, size_t b) {
    return strcmp(list[a].t.name, list[b].t.name);
}

static int offset_order(const entry *list, size_t a, size_t b) {
    if (list[a].begin != list[b].begin) return list[a].begin < list[b].begin ? -1 : 1;
    return list[a].end < list[b].end ? -1 : list[a].end > list[b].end;
}

typedef int (*order_fn)(const entry *list, size_t a, size_t b);

/* Heap sort of indices: qsort has no argument for the table. */
static void sift(size_t *index, size_t root, size_t n, const entry *list, order_fn order) {
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && order(list, index[child], index[child + 1]) < 0) child++;
        if (order(list, index[root], index[child]) >= 0) return;
        size_t t = index[root];
        index[root] = index[child];
        index[child] = t;
    }
}

static void sort(size_t *index, size_t n, const entry *list, order_fn order) {
    for (size_t i = n / 2; i-- > 0;) sift(index, i, n, list, order);
    for (size_t end = n; end-- > 1;) {
        size_t t = index[0];
        index[0] = index[end];
        index[end] = t;
        sift(index, 0, end, list, order);
    }
}

/* Names are different, and the tensors tile the data: each begins where the one before it ended. */
static drl_status check_whole(drl_st *st, size_t data_size, drl_err *err) {
    sort(st->by_name, st->n, st->list, name_order);
    sort(st->by_offset, st->n, st->list, offset_order);
    for (size_t i = 1; i < st->n; i++)
        if (name_order(st->list, st->by_name[i - 1], st->by_name[i]) == 0)
            return drl_fail(err, DRL_ERR_FORMAT, "%.80s: there are two tensors of this name",
                            st->list[st->by_name[i]].t.name);
    size_t end = 0;
    for (size_t i = 0; i < st->n; i++) {
        const entry *e = &st->list[st->by_offset[i]];
        if (e->begin != end)
            return drl_fail(err, DRL_ERR_FORMAT, "%.80s: begins at byte %zu, where the data before it ends at %zu",
                            e->t.name, e->begin, end);
        end = e->end;
    }
    if (end != data_size)
        return drl_fail(err, DRL_ERR_FORMAT, "%zu bytes of data follow the header, the tensors have %zu", data_size,
                        end);
    return DRL_OK;
}

/* ---- The data ---------------------------------------------------------------------------------------------------- */

static drl_status read_data(drl_st *st, FILE *f, drl_err *err) {
    size_t total = 0;
    for (size_t i = 0; i < st->n; i++) {
        entry *e = &st->list[st->by_offset[i]];
        e->at = total;
        total += drl_align_count(e->end - e->begin, 1);
    }
    drl_status s = drl_alloc(&st->data, total, 1, "tensors", err);
    if (s != DRL_OK) return s;
    for (size_t i = 0; i < st->n; i++) {
        entry *e = &st->list[st->by_offset[i]];
        size_t bytes = e->end - e->begin;
        e->t.data = st->data + e->at;
        if (fread(st->data + e->at, 1, bytes, f) != bytes)
            return drl_fail(err, DRL_ERR_IO, "%.80s: cannot read its %zu bytes", e->t.name, bytes);
    }
    return DRL_OK;
}

static drl_status read_file(drl_st *st, FILE *f, uint64_t file_size, drl_err *err) {
    char *text = NULL;
    size_t length = 0;
    drl_status s = read_header(&text, &length, f, file_size, err);
    if (s == DRL_OK) s = parse_header(&st->header, text, length, err);
    drl_free(text);
    size_t data_size = (size_t)(file_size - 8 - length);
    if (s == DRL_OK) s = read_entries(st, data_size, err);
    if (s == DRL_OK) s = check_whole(st, data_size, err);
    return s == DRL_OK ? read_data(st, f, err) : s;
}

drl_status drl_st_open(drl_st **out, const char *path, drl_err *err) {
    drl_st *st;
    struct stat info;
    *out = NULL;
    if (stat(path, &info) != 0) return drl_fail(err, DRL_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return drl_fail(err, DRL_ERR_IO, "%s: not a regular file", path);
    FILE *f = fopen(path, "rb");
    if (!f) return drl_fail(err, DRL_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    drl_status s = drl_alloc(&st, 1, sizeof *st, "safetensors file", err);
    if (s == DRL_OK) s = read_file(st, f, (uint64_t)info.st_size, err);
    fclose(f);
    if (s != DRL_OK) {
        drl_st_close(st);
        return drl_err_context(err, s, "%s", path);
    }
    *out = st;
    return DRL_OK;
}

void drl_st_close(drl_st *st) {
    if (!st) return;
    cJSON_Delete(st->header);
    drl_free(st->list);
    drl_free(st->by_name);
    drl_free(st->by_offset);
    drl_free(st->data);
    drl_free(st);
}

size_t drl_st_count(const drl_st *st) {
    return st->n;
}

const drl_st_tensor *drl_st_at(const drl_st *st, size_t i) {
    return &st->list[i].t;
}

const drl_st_tensor *drl_st_find(const drl_st *st, const char *name) {
    for (size_t from = 0, to = st->n; from < to;) {
        size_t middle = from + (to - from) / 2;
        const drl_st_tensor *t = &st->list[st->by_name[middle]].t;
        int order = strcmp(name, t->name);
        if (order == 0) return t;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

const char *drl_st_metadata(const drl_st *st, const char *key) {
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(st->header, "__metadata__");
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(meta, key));
}
