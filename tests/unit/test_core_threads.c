/* The thread team (drl/threads.h). What members write is plain memory, so that ThreadSanitizer checks the ordering the
 * team promises; members only record and the main thread asserts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drl/blas.h"
#include "drl/mem.h"
#include "drl/threads.h"

#define MAX_MEMBERS 5

/* Runs check(team, members) on teams of 1 .. MAX_MEMBERS. */
static void on_teams(void (*check)(drl_threads *team, size_t members)) {
    for (size_t members = 1; members <= MAX_MEMBERS; members++) {
        drl_threads *team;
        assert_int_equal(drl_threads_open(&team, members, NULL), DRL_OK);
        assert_int_equal(drl_threads_count(team), members);
        check(team, members);
        drl_threads_close(team);
    }
}

static void count_member(void *arg, size_t member) {
    ((unsigned *)arg)[member]++;
}

static void check_run(drl_threads *team, size_t members) {
    unsigned runs[MAX_MEMBERS + 1] = {0};
    for (unsigned round = 1; round <= 300; round++) {
        drl_threads_run(team, count_member, runs);
        for (size_t m = 0; m <= MAX_MEMBERS; m++) assert_int_equal(runs[m], m < members ? round : 0);
    }
}

static void every_member_runs_once(void **state) {
    (void)state;
    on_teams(check_run);
}

/* Round after round each member writes its cell, waits, and reads everyone's. */
typedef struct barrier_arg {
    drl_threads *team;
    size_t members;
    unsigned cell[MAX_MEMBERS], wrong[MAX_MEMBERS];
} barrier_arg;

static void use_barrier(void *arg, size_t member) {
    barrier_arg *b = arg;
    for (unsigned round = 1; round <= 200; round++) {
        b->cell[member] = round;
        drl_threads_barrier(b->team);
        for (size_t m = 0; m < b->members; m++) b->wrong[member] += b->cell[m] != round;
        drl_threads_barrier(b->team);
    }
}

static void check_barrier(drl_threads *team, size_t members) {
    barrier_arg b = {.team = team, .members = members};
    for (int run = 0; run < 3; run++) {
        drl_threads_run(team, use_barrier, &b);
        for (size_t m = 0; m < members; m++) assert_int_equal(b.wrong[m], 0);
    }
}

static void barriers_separate_rounds(void **state) {
    (void)state;
    on_teams(check_barrier);
}

typedef struct for_arg {
    unsigned visits[1000];
    atomic_uint bad_member;
    size_t members;
} for_arg;

static void visit(void *arg, size_t i, size_t member) {
    for_arg *f = arg;
    f->visits[i]++;
    if (member >= f->members) atomic_fetch_add(&f->bad_member, 1);
}

static void check_for(drl_threads *team, size_t members) {
    static const size_t sizes[] = {0, 1, 2, 3, 7, 100, 999};
    for (unsigned round = 0; round < 40; round++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            for_arg f = {.members = members};
            drl_threads_for(team, sizes[s], visit, &f);
            for (size_t i = 0; i < 1000; i++) assert_int_equal(f.visits[i], i < sizes[s]);
            assert_int_equal(atomic_load(&f.bad_member), 0);
        }
}

static void for_visits_each_index_once(void **state) {
    (void)state;
    on_teams(check_for);
}

/* Members sleep when nothing comes; the next job must wake them. */
static void spin_a_while(void *arg, size_t member) {
    for (volatile unsigned i = 0; i < (member + 1) * 100000u; i++) {
    }
    count_member(arg, member);
}

static void check_sleep(drl_threads *team, size_t members) {
    unsigned runs[MAX_MEMBERS] = {0};
    for (unsigned round = 1; round <= 10; round++) {
        drl_threads_run(team, spin_a_while, runs);
        for (volatile unsigned i = 0; i < 300000; i++) {
        }
        for (size_t m = 0; m < members; m++) assert_int_equal(runs[m], round);
    }
}

static void sleepers_wake(void **state) {
    (void)state;
    on_teams(check_sleep);
}

/* float32 arithmetic must be the same on every member, or results would depend on who computed them. */
static void multiply_tiny(void *arg, size_t member) {
    volatile float tiny = 1e-30f;
    ((float *)arg)[member] = tiny * 1e-10f;
}

static void check_denormals(drl_threads *team, size_t members) {
    float product[MAX_MEMBERS];
    drl_threads_run(team, multiply_tiny, product);
    for (size_t m = 1; m < members; m++) assert_memory_equal(&product[m], &product[0], sizeof *product);
#if defined(__x86_64__)
    assert_true(product[0] == 0);
#endif
}

static void members_flush_denormals_like_the_caller(void **state) {
    (void)state;
    drl_flush_denormals();
    on_teams(check_denormals);
}

static void open_and_close(void **state) {
    (void)state;
    size_t held = drl_mem_get_stats().bytes;
    for (int round = 0; round < 50; round++)
        for (size_t members = 1; members <= MAX_MEMBERS; members++) {
            drl_threads *team;
            assert_int_equal(drl_threads_open(&team, members, NULL), DRL_OK);
            drl_threads_close(team); /* without a run */
        }
    drl_threads_close(NULL);

    drl_threads *team = (drl_threads *)&held;
    drl_err err = {0};
    assert_int_equal(drl_threads_open(&team, 1025, &err), DRL_ERR_CONFIG);
    assert_null(team);
    assert_string_equal(err.message, "1025 threads asked for, at most 1024 are allowed");

    assert_int_equal(drl_threads_open(&team, 0, &err), DRL_OK);
    assert_int_equal(drl_threads_count(team), drl_threads_available());
    assert_true(drl_threads_available() >= 1);
    drl_threads_close(team);
    assert_int_equal(drl_mem_get_stats().bytes, held);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_runs_once),
        cmocka_unit_test(barriers_separate_rounds),
        cmocka_unit_test(for_visits_each_index_once),
        cmocka_unit_test(sleepers_wake),
        cmocka_unit_test(members_flush_denormals_like_the_caller),
        cmocka_unit_test(open_and_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
