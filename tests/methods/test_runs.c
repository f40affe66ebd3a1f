/* What holds for the training of every method: the same bits on any number of threads and after a restart, and steps
 * that allocate nothing. The linker sends the library's calls of the allocator here (CMakeLists.txt). */
#define _DEFAULT_SOURCE
#include "allocations.h"
#include "methods.h"

#include <unistd.h>

enum { STEPS = SLOW ? 4 : 6, HALF = STEPS / 2 };

static drl_threads *teams[4]; /* by size */

static int open_teams(void **state) {
    for (size_t t = 1; t <= 3; t++)
        if (drl_threads_open(&teams[t], t, NULL) != DRL_OK) return -1;
    return methods_setup(state);
}

static int close_teams(void **state) {
    for (size_t t = 1; t <= 3; t++) drl_threads_close(teams[t]);
    return methods_teardown(state);
}

static drl_model *open_on(const drl_method *method, drl_threads *threads) {
    drl_model_cfg cfg = small_cfg(method, NULL);
    return open_cfg(&cfg, 1, threads);
}

static void assert_same(const drl_model *a, const drl_model *b, const char *what) {
    const size_t value = a->params.n_value * sizeof(drl_real);
    if (memcmp(a->params.value, b->params.value, value) != 0) fail_msg("%s: other parameters", what);
    if (memcmp(a->params.state, b->params.state, a->params.n_state * sizeof(drl_real)) != 0)
        fail_msg("%s: other statistics or parameters that are not trained", what);
    if (memcmp(a->optim.m, b->optim.m, value) != 0 || memcmp(a->optim.v, b->optim.v, value) != 0 ||
        memcmp(a->optim.ema, b->optim.ema, value) != 0)
        fail_msg("%s: another state of the optimiser", what);
    assert_int_equal(a->optim.step, b->optim.step);
    assert_int_equal(a->optim.updates, b->optim.updates);
    assert_int_equal(a->optim.ema_updates, b->optim.ema_updates);
    assert_memory_equal(&a->history_sum, &b->history_sum, sizeof a->history_sum);
}

static void threads_and_restarts(const drl_method *method) {
    char dir[] = "/tmp/drl_methods_XXXXXX", path[64];
    bool found;
    drl_err err;
    assert_non_null(mkdtemp(dir));
    drl_model *m[4], *start = open_on(method, teams[2]);
    for (size_t t = 1; t <= 3; t++) {
        m[t] = open_on(method, teams[t]);
        for (int i = 0; i < STEPS; i++) {
            if (t == 2 && i == HALF && drl_checkpoint_write(m[t], dir, NULL, &err) != DRL_OK)
                fail_msg("%s", err.message);
            step(m[t]);
        }
    }
    assert_true(memcmp(m[1]->params.value, start->params.value, m[1]->params.n_value * sizeof(drl_real)) != 0);
    assert_same(m[1], m[2], "2 threads");
    assert_same(m[1], m[3], "3 threads");
    /* into a model that has gone on by itself */
    step(start);
    if (drl_checkpoint_read(start, dir, &found, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_true(found && start->optim.step == HALF);
    for (int i = HALF; i < STEPS; i++) step(start);
    assert_same(m[1], start, "restarted");
    for (size_t t = 1; t <= 3; t++) drl_model_close(m[t]);
    drl_model_close(start);
    static const char *const names[] = {"checkpoint.safetensors", "checkpoint.json"};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(remove(path), 0);
    }
    assert_int_equal(rmdir(dir), 0);
}

static void steps_allocate_nothing(const drl_method *method) {
    size_t before = atomic_load(&allocator_calls);
    drl_model *m = open_on(method, teams[2]);
    assert_true(atomic_load(&allocator_calls) > before + 10); /* the count works */
    step(m);
    before = atomic_load(&allocator_calls);
    for (int i = 0; i < 3; i++) step(m);
    assert_int_equal(atomic_load(&allocator_calls), before);
    drl_model_close(m);
}

static void every_run(void **state) {
    threads_and_restarts(*state);
    steps_allocate_nothing(*state);
}

int main(int argc, char **argv) {
    struct CMUnitTest tests[MANY_METHODS];
    methods_begin(argv);
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    size_t n = methods_tests(tests, every_run, is_trained);
    return _cmocka_run_group_tests("runs", tests, n, open_teams, close_teams) ? 1 : 0;
}
