/* The order of the training images and the validation split. */
#include "files.h"

#include "drl/data.h"

enum { N = 103, BATCH = 16 };

/* Positions 0 .. 3 N - 1 read batch by batch: three permutations, all different. */
static void test_epochs_are_permutations(void **state) {
    (void)state;
    drl_order order;
    drl_err err;
    uint32_t all[3 * N + BATCH];
    assert_int_equal(drl_order_init(&order, 7, N, &err), DRL_OK);
    for (uint64_t k = 0; k * BATCH < 3 * N; k++) drl_order_batch(&order, k, BATCH, all + k * BATCH);
    for (int e = 0; e < 3; e++) {
        bool seen[N] = {false};
        size_t in_place = 0;
        for (size_t i = 0; i < N; i++) {
            uint32_t v = all[(size_t)e * N + i];
            assert_true(v < N && !seen[v]);
            seen[v] = true;
            in_place += v == i;
        }
        assert_true(in_place < 10);
    }
    assert_memory_not_equal(all, all + N, N * sizeof *all);
    assert_memory_not_equal(all, all + 2 * N, N * sizeof *all);
    assert_memory_not_equal(all + N, all + 2 * N, N * sizeof *all);
    drl_order_free(&order);
}

/* A batch is a function of (seed, k): asked in order, backwards, and by a fresh order, far out too. */
static void test_any_order_of_asking(void **state) {
    (void)state;
    enum { BATCHES = 40 };
    static uint32_t forward[BATCHES][BATCH];
    uint32_t index[BATCH];
    drl_order order, fresh;
    drl_err err;
    assert_int_equal(drl_order_init(&order, 7, N, &err), DRL_OK);
    for (uint64_t k = 0; k < BATCHES; k++) drl_order_batch(&order, k, BATCH, forward[k]);
    for (uint64_t k = BATCHES; k-- > 0;) {
        drl_order_batch(&order, k, BATCH, index);
        assert_memory_equal(index, forward[k], sizeof index);
        assert_int_equal(drl_order_init(&fresh, 7, N, &err), DRL_OK);
        drl_order_batch(&fresh, k, BATCH, index);
        assert_memory_equal(index, forward[k], sizeof index);
        drl_order_free(&fresh);
    }
    /* Other seed, other order; and epochs 2^32 apart differ. */
    assert_int_equal(drl_order_init(&fresh, 8, N, &err), DRL_OK);
    drl_order_batch(&fresh, 0, BATCH, index);
    assert_memory_not_equal(index, forward[0], sizeof index);
    drl_order_free(&fresh);
    drl_order_batch(&order, (uint64_t)N << 32, BATCH, index);
    assert_memory_not_equal(index, forward[0], sizeof index);
    drl_order_free(&order);
}

/* A batch larger than two epochs, and a batch size other than the first asked for. */
static void test_large_batch(void **state) {
    (void)state;
    drl_order order;
    drl_err err;
    uint32_t large[3 * 5], one;
    assert_int_equal(drl_order_init(&order, 1, 5, &err), DRL_OK);
    drl_order_batch(&order, 0, 15, large);
    for (uint64_t k = 15; k-- > 0;) {
        drl_order_batch(&order, k, 1, &one);
        assert_int_equal(one, large[k]);
    }
    drl_order_free(&order);
    assert_int_equal(drl_order_init(&order, 1, 0, &err), DRL_ERR_CONFIG);
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

/* Over many epochs every image comes first about equally often: chi-square with 9 degrees of freedom. */
static void test_uniform(void **state) {
    (void)state;
    enum { EPOCHS = 2000 };
    drl_order order;
    drl_err err;
    uint32_t index[10];
    double count[10] = {0}, chi2 = 0;
    assert_int_equal(drl_order_init(&order, 3, 10, &err), DRL_OK);
    for (uint64_t e = 0; e < EPOCHS; e++) {
        drl_order_batch(&order, e, 10, index);
        count[index[0]]++;
    }
    for (int i = 0; i < 10; i++) chi2 += (count[i] - 200) * (count[i] - 200) / 200;
    if (!(chi2 < 27.9)) fail_msg("chi-square %g, 0.999 quantile is 27.9", chi2);
    drl_order_free(&order);
}

static void test_validation(void **state) {
    (void)state;
    uint32_t a[N], b[N];
    size_t count[N] = {0};
    drl_split_validation(a, N, 5);
    for (size_t i = 0; i < N; i++) {
        assert_true(a[i] < N);
        count[a[i]]++;
    }
    for (size_t i = 0; i < N; i++) assert_int_equal(count[i], 1);
    drl_split_validation(b, N, 5);
    assert_memory_equal(a, b, sizeof a);
    drl_split_validation(b, N, 6);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epochs_are_permutations),
        cmocka_unit_test(test_any_order_of_asking),
        cmocka_unit_test(test_large_batch),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_validation),
    };
    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
