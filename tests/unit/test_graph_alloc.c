/* Runs allocate nothing: every call of the allocator from the library's objects is counted (the linker sends malloc and
 * its kin here, see CMakeLists.txt), while a tiny model runs forward and backward on two threads. */
#include "allocations.h"
#include "graph_model.h"

#include <stdlib.h>

#include "drl/blas.h"

static void test_no_allocation(void **state) {
    (void)state;
    drl_params params = {0};
    drl_threads *team;
    model m;
    const drl_graph_cfg cfg = {.batch = MODEL_BATCH, .shard = 2, .training = true, .backward = true};
    assert_int_equal(drl_threads_open(&team, 2, NULL), DRL_OK);
    model_open(&m, &params, &cfg, team);
    drl_real *gradient = model_block(params.n_value);
    assert_true(atomic_load(&allocator_calls) > 10); /* the count works: planning allocates */
    size_t before = atomic_load(&allocator_calls);
    drl_mem_stats stats = drl_mem_get_stats();
    for (uint32_t step = 0; step < 3; step++) {
        drl_graph_run(m.g, MODEL_BATCH - step, step, model_fill, &m, true);
        assert_true(drl_graph_collect(m.g, gradient) > 0);
        assert_true(drl_graph_mean(m.g, m.loss) > 0);
    }
    assert_int_equal(atomic_load(&allocator_calls), before);
    assert_int_equal(drl_mem_get_stats().calls, stats.calls);
    assert_int_equal(drl_mem_get_stats().bytes, stats.bytes);
    drl_free(gradient);
    model_close(&m);
    drl_threads_close(team);
    drl_params_free(&params);
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_allocation)};
    return cmocka_run_group_tests_name("allocation", tests, NULL, NULL) ? 1 : 0;
}
