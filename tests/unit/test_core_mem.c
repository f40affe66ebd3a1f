/* Aligned memory and the arena (drl/mem.h). */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "drl/mem.h"

static void blocks_are_aligned_and_zero(void **state) {
    (void)state;
    for (size_t n = 0; n < 200; n += n < 70 ? 1 : 13) {
        unsigned char *p = (unsigned char *)1;
        assert_int_equal(drl_alloc(&p, n, 1, "block", NULL), DRL_OK);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % DRL_ALIGN, 0);
        for (size_t i = 0; i < n; i++) assert_int_equal(p[i], 0);
        memset(p, 0xa5, n);
        drl_free(p);
    }
    drl_free(NULL);
}

static void impossible_sizes_are_refused(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{SIZE_MAX, 2}, {SIZE_MAX / 2 + 1, 2}, {SIZE_MAX, 1}, {SIZE_MAX - 100, 1}};
    drl_mem_stats before = drl_mem_get_stats();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        drl_err err = {0};
        void *p = &err;
        assert_int_equal(drl_alloc(&p, sizes[i][0], sizes[i][1], "codes", &err), DRL_ERR_MEMORY);
        assert_null(p);
        assert_memory_equal(err.message, "codes: ", 7);
    }
    drl_arena arena;
    for (size_t less = 0; less < 130; less++) {
        assert_int_equal(drl_arena_init(&arena, SIZE_MAX - less, "scratch", NULL), DRL_ERR_MEMORY);
        assert_null(arena.base);
    }
    assert_int_equal(drl_mem_get_stats().bytes, before.bytes);
}

static void products_and_rounding(void **state) {
    (void)state;
    size_t out = 42;
    assert_false(drl_mul_size(&out, SIZE_MAX / 3, 4));
    assert_true(drl_mul_size(&out, SIZE_MAX / 4, 4));
    assert_int_equal(out, SIZE_MAX / 4 * 4);
    static const size_t cases[][3] = {{0, 4, 0},  {1, 4, 16},   {16, 4, 16}, {17, 4, 32},
                                      {9, 8, 16}, {65, 1, 128}, {5, 64, 5},  {3, 32, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(drl_align_count(cases[i][0], cases[i][1]), cases[i][2]);
}

static void statistics_follow(void **state) {
    (void)state;
    drl_mem_stats a = drl_mem_get_stats();
    double *p;
    float *q;
    assert_int_equal(drl_alloc(&p, 100000, sizeof *p, "p", NULL), DRL_OK);
    assert_int_equal(drl_alloc(&q, 10, sizeof *q, "q", NULL), DRL_OK);
    drl_mem_stats b = drl_mem_get_stats();
    assert_int_equal(b.bytes - a.bytes, 100000 * sizeof *p + 10 * sizeof *q);
    assert_int_equal(b.calls - a.calls, 2);
    assert_true(b.peak_bytes >= b.bytes);
    drl_free(p);
    drl_free(q);
    drl_mem_stats c = drl_mem_get_stats();
    assert_int_equal(c.bytes, a.bytes);
    assert_int_equal(c.peak_bytes, b.peak_bytes);
}

static void arena_marks(void **state) {
    (void)state;
    drl_arena a;
    assert_int_equal(drl_arena_init(&a, 1000, "scratch", NULL), DRL_OK);
    assert_int_equal(a.size, 1024);
    size_t calls = drl_mem_get_stats().calls;

    unsigned char *x = drl_arena_take(&a, 1);
    size_t mark = drl_arena_mark(&a);
    unsigned char *y = drl_arena_take(&a, 100), *z = drl_arena_take(&a, 64);
    assert_ptr_equal(y, x + 64);
    assert_ptr_equal(z, y + 128);
    drl_arena_release(&a, mark);
    assert_ptr_equal(drl_arena_take(&a, 960), y); /* exactly what is left */
    assert_int_equal(a.used, a.size);
    assert_ptr_equal(drl_arena_take(&a, 0), a.base + a.size);
    drl_arena_release(&a, 0);
    assert_int_equal(a.used, 0);
    assert_int_equal(a.peak, 1024);
    assert_int_equal(drl_mem_get_stats().calls, calls); /* lending never allocates */
    drl_arena_free(&a);
    assert_null(a.base);
}

static void debug_builds_lend_nan(void **state) {
    (void)state;
#ifdef DRL_DEBUG_FILL
    drl_arena a;
    assert_int_equal(drl_arena_init(&a, 256, "scratch", NULL), DRL_OK);
    float *f = drl_arena_take(&a, 100);
    for (int i = 0; i < 25; i++) assert_true(f[i] != f[i]);
    drl_arena_free(&a);
#else
    skip();
#endif
}

static void sanitizer_guards_the_edges(void **state) {
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    int __asan_address_is_poisoned(void const volatile *addr);
    unsigned char *p;
    assert_int_equal(drl_alloc(&p, 13, 1, "p", NULL), DRL_OK);
    assert_true(__asan_address_is_poisoned(p - 1));
    assert_false(__asan_address_is_poisoned(p));
    assert_false(__asan_address_is_poisoned(p + 12));
    assert_true(__asan_address_is_poisoned(p + 13));
    drl_free(p);
    drl_arena a;
    assert_int_equal(drl_arena_init(&a, 256, "scratch", NULL), DRL_OK);
    unsigned char *x = drl_arena_take(&a, 64);
    assert_false(__asan_address_is_poisoned(x + 63));
    assert_true(__asan_address_is_poisoned(x + 64));
    drl_arena_release(&a, 0);
    assert_true(__asan_address_is_poisoned(x));
    drl_arena_free(&a);
#else
    skip();
#endif
}

/* Asserts are on in every preset, release included: taking more than was planned aborts. */
static void overdrawn_arena_aborts(void **state) {
    (void)state;
    static const size_t sizes[] = {129, 1000, SIZE_MAX, SIZE_MAX - 62};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        drl_arena a;
        assert_int_equal(drl_arena_init(&a, 128, "scratch", NULL), DRL_OK);
        fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            if (!freopen("/dev/null", "w", stderr)) _exit(2);
            drl_arena_take(&a, sizes[i]);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        drl_arena_free(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_zero),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(products_and_rounding),
        cmocka_unit_test(statistics_follow),
        cmocka_unit_test(arena_marks),
        cmocka_unit_test(debug_builds_lend_nan),
        cmocka_unit_test(sanitizer_guards_the_edges),
        cmocka_unit_test(overdrawn_arena_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
