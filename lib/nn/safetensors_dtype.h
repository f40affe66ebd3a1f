/* Element types of safetensors files, shared by reader and writer. */
#ifndef DRL_NN_SAFETENSORS_DTYPE_H
#define DRL_NN_SAFETENSORS_DTYPE_H

#include <stddef.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read and written as they lie in memory");

/* Bytes of an element; 0 for a type that is not supported. */
static inline size_t drl_st_dtype_size(const char *dtype) {
    static const struct {
        const char *name;
        size_t size;
    } known[] = {{"F32", 4}, {"F64", 8}, {"I32", 4}, {"I64", 8}, {"U8", 1}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(dtype, known[i].name) == 0) return known[i].size;
    return 0;
}

#endif
