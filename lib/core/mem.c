/* Aligned memory and the arena (drl/mem.h). */
#define _DEFAULT_SOURCE /* madvise */
#include "drl/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

static atomic_size_t held, peak, calls;

/* Large blocks lie on huge pages where the system has them: passes over hundreds of megabytes of activations would
 * otherwise spend much of their time on address translation. */
#define HUGE_PAGE  ((size_t)2 << 20)
#define HUGE_BLOCK (2 * HUGE_PAGE)

/* Zeroed memory of `bytes`, a multiple of DRL_ALIGN. */
static void *new_block(size_t bytes) {
    bool huge = bytes >= HUGE_BLOCK && bytes <= SIZE_MAX - HUGE_PAGE;
    size_t rounded = huge ? (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE : bytes;
    void *p = aligned_alloc(huge ? HUGE_PAGE : DRL_ALIGN, rounded);
    if (!p) return NULL;
#ifdef MADV_HUGEPAGE
    if (huge) (void)madvise(p, rounded, MADV_HUGEPAGE); /* advice: nothing is lost where it is not taken */
#endif
    return memset(p, 0, bytes);
}

/* Every block starts with one aligned header that remembers its size for the statistics. */
typedef struct header {
    size_t bytes;
} header;

bool drl_mul_size(size_t *out, size_t count, size_t size) {
    return !__builtin_mul_overflow(count, size, out);
}

size_t drl_align_count(size_t n, size_t size) {
    assert(size > 0 && DRL_ALIGN % size == 0);
    size_t unit = DRL_ALIGN / size;
    return (n + unit - 1) / unit * unit;
}

drl_status drl_alloc(void *out, size_t count, size_t size, const char *what, drl_err *err) {
    size_t bytes, total;
    memcpy(out, &(void *){NULL}, sizeof(void *));
    if (!drl_mul_size(&bytes, count, size) || __builtin_add_overflow(bytes, (size_t)(2 * DRL_ALIGN - 1), &total))
        return drl_fail(err, DRL_ERR_MEMORY, "%s: %zu x %zu bytes is more than can be addressed", what, count, size);
    total = total / DRL_ALIGN * DRL_ALIGN;
    unsigned char *p = new_block(total);
    if (!p) return drl_fail(err, DRL_ERR_MEMORY, "%s: cannot allocate %zu bytes", what, bytes);
    ((header *)p)->bytes = bytes;
    atomic_fetch_add(&calls, 1);
    size_t now = atomic_fetch_add(&held, bytes) + bytes, old = atomic_load(&peak);
    while (now > old && !atomic_compare_exchange_weak(&peak, &old, now)) {
    }
    unsigned char *data = p + DRL_ALIGN;
    POISON(p, DRL_ALIGN);
    POISON(data + bytes, total - DRL_ALIGN - bytes);
    memcpy(out, &(void *){data}, sizeof(void *));
    return DRL_OK;
}

void drl_free(void *p) {
    if (!p) return;
    unsigned char *block = (unsigned char *)p - DRL_ALIGN;
    UNPOISON(block, DRL_ALIGN);
    atomic_fetch_sub(&held, ((header *)block)->bytes);
    free(block);
}

drl_mem_stats drl_mem_get_stats(void) {
    return (drl_mem_stats){atomic_load(&held), atomic_load(&peak), atomic_load(&calls)};
}

drl_status drl_arena_init(drl_arena *a, size_t size, const char *what, drl_err *err) {
    *a = (drl_arena){0};
    if (__builtin_add_overflow(size, (size_t)(DRL_ALIGN - 1), &size))
        return drl_fail(err, DRL_ERR_MEMORY, "%s: the size asked for is more than can be addressed", what);
    size = size / DRL_ALIGN * DRL_ALIGN;
    drl_status st = drl_alloc(&a->base, size, 1, what, err);
    if (st == DRL_OK) {
        a->size = size;
        POISON(a->base, size);
    }
    return st;
}

void drl_arena_free(drl_arena *a) {
    if (a->base) UNPOISON(a->base, a->size);
    drl_free(a->base);
    *a = (drl_arena){0};
}

void *drl_arena_take(drl_arena *a, size_t bytes) {
    size_t rounded = (bytes + DRL_ALIGN - 1) / DRL_ALIGN * DRL_ALIGN;
    assert(rounded >= bytes && rounded <= a->size - a->used && "scratch was planned too small");
    unsigned char *p = a->base + a->used;
    a->used += rounded;
    if (a->used > a->peak) a->peak = a->used;
    UNPOISON(p, rounded);
#ifdef DRL_DEBUG_FILL
    memset(p, 0xff, rounded); /* all bits set is a NaN in every floating-point type */
#endif
    return p;
}

size_t drl_arena_mark(const drl_arena *a) {
    return a->used;
}

void drl_arena_release(drl_arena *a, size_t mark) {
    assert(mark <= a->used);
    POISON(a->base + mark, a->used - mark);
    a->used = mark;
}
