/* Aligned memory and the arena.
 *
 * All numeric buffers are 64-byte aligned (one cache line, one AVX-512 register). Programs plan, allocate once and
 * run: nothing here is called inside a training loop except the arena's mark/take/release, which never allocate. */
#ifndef DRL_MEM_H
#define DRL_MEM_H

#include <stdbool.h>
#include <stddef.h>

#include "drl/err.h"

#define DRL_ALIGN 64u

/* count * size with overflow check; false (and *out untouched) where the product does not fit a size_t. */
bool drl_mul_size(size_t *out, size_t count, size_t size);

/* n rounded up to a multiple of DRL_ALIGN / size elements, so that what follows stays aligned.
 * size divides DRL_ALIGN (asserted). */
size_t drl_align_count(size_t n, size_t size);

/* *out = zeroed, 64-byte aligned block of count * size bytes (count = 0 gives a valid block of no elements).
 * The caller owns it and frees it with drl_free. ERR_MEMORY names `what` and the size asked for.
 * AddressSanitizer builds poison what lies before the block and behind it. */
drl_status drl_alloc(void *out, size_t count, size_t size, const char *what, drl_err *err);
void drl_free(void *p);

/* Bytes currently held, the most ever held, and the number of calls so far, all through drl_alloc: process-wide. */
typedef struct drl_mem_stats {
    size_t bytes, peak_bytes, calls;
} drl_mem_stats;
drl_mem_stats drl_mem_get_stats(void);

/* A stack of scratch memory. take() lends aligned bytes that are valid until the arena is released to a mark set
 * before. Debug builds fill lent memory with NaN patterns; AddressSanitizer builds poison what is not lent. */
typedef struct drl_arena {
    unsigned char *base;
    size_t size, used, peak;
} drl_arena;

drl_status drl_arena_init(drl_arena *a, size_t size, const char *what, drl_err *err);
void drl_arena_free(drl_arena *a);
/* Asserts that the arena holds `bytes` more: sizes are planned, so running out is a bug. */
void *drl_arena_take(drl_arena *a, size_t bytes);
size_t drl_arena_mark(const drl_arena *a);
void drl_arena_release(drl_arena *a, size_t mark);

#endif
