/* Counts the calls of the allocator from the library's objects: the linker sends malloc and its kin here, where a test
 * is linked with --wrap=malloc and so on. */
#ifndef DRL_TESTS_ALLOCATIONS_H
#define DRL_TESTS_ALLOCATIONS_H

#include <stdatomic.h>
#include <stddef.h>

static atomic_size_t allocator_calls;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

void *__wrap_malloc(size_t size) {
    atomic_fetch_add(&allocator_calls, 1);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
    atomic_fetch_add(&allocator_calls, 1);
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size) {
    atomic_fetch_add(&allocator_calls, 1);
    return __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size) {
    atomic_fetch_add(&allocator_calls, 1);
    return __real_aligned_alloc(align, size);
}

#endif
