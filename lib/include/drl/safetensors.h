/* Safetensors files: an 8-byte length, a JSON header, raw little-endian tensors.                     [vectors, 1]
 *
 * Reading trusts nothing: sizes in the header are claims that are checked against the file before anything is
 * allocated by them. Writing is atomic: temporary name in the same directory, fsync, rename. */
#ifndef DRL_SAFETENSORS_H
#define DRL_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "drl/err.h"

#define DRL_ST_RANK 8

typedef struct drl_st_tensor {
    const char *name;
    char dtype[8]; /* "F32", "F64", "I32", "I64" or "U8"; others are refused */
    size_t rank, shape[DRL_ST_RANK], count;
    const void *data; /* count elements, 64-byte aligned copy of the file's bytes, lent until close */
} drl_st_tensor;

typedef struct drl_st drl_st;

/* Reads a whole file. Errors name path and tensor. */
drl_status drl_st_open(drl_st **st, const char *path, drl_err *err);
void drl_st_close(drl_st *st);
size_t drl_st_count(const drl_st *st);
const drl_st_tensor *drl_st_at(const drl_st *st, size_t i);           /* in header order */
const drl_st_tensor *drl_st_find(const drl_st *st, const char *name); /* NULL where there is none */
const char *drl_st_metadata(const drl_st *st, const char *key); /* a string of __metadata__, NULL where there is none */

/* A file being put together. Tensors' data is lent until drl_st_write. */
typedef struct drl_st_writer drl_st_writer;
drl_status drl_st_writer_new(drl_st_writer **w, drl_err *err);
void drl_st_writer_free(drl_st_writer *w);
drl_status drl_st_add(drl_st_writer *w, const char *name, const char *dtype, size_t rank, const size_t *shape,
                      const void *data, drl_err *err);
drl_status drl_st_add_metadata(drl_st_writer *w, const char *key, const char *value, drl_err *err);
drl_status drl_st_write(const drl_st_writer *w, const char *path, drl_err *err);

#endif
