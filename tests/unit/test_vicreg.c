/* VICReg against plain loops, for runs smaller than the batch and more shards than numbers; the same bits whatever the
 * number of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "drl/blas.h"
#include "drl/graph.h"
#include "drl/ops.h"
#include "drl/rng.h"

enum { BATCH = 11, MOST = 19, TEAMS = 3 };
static const double INVARIANCE = 25, VARIANCE = 20, COVARIANCE = 1.5;

static drl_threads *teams[TEAMS];

typedef struct model {
    drl_graph *g;
    drl_tensor z[2], y;
    size_t d;
    drl_real data[2][BATCH * MOST], loss[BATCH], dz[2][BATCH * MOST];
} model;

static void fill(void *arg, size_t shard, size_t first, size_t n) {
    model *m = arg;
    for (int side = 0; side < 2; side++)
        memcpy(drl_graph_value(m->g, m->z[side], shard), m->data[side] + first * m->d, n * m->d * sizeof(drl_real));
}

/* Losses and gradients of n images. */
static void run(model *m, size_t d, size_t n, size_t shard, drl_threads *team) {
    const drl_graph_cfg cfg = {.batch = BATCH, .shard = shard, .training = true, .backward = true};
    drl_params params = {0};
    drl_err err;
    m->d = d;
    assert_int_equal(drl_graph_new(&m->g, &cfg, &params, &err), DRL_OK);
    for (int side = 0; side < 2; side++) {
        m->z[side] = drl_graph_input(m->g, NULL, (drl_shape){1, 1, d}, true);
        drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 0, (uint32_t)side), 0, m->data[side], BATCH * d);
        for (size_t i = 0; i < BATCH * d; i++) m->data[side][i] = m->data[side][i] * (drl_real)0.7 + 3;
    }
    m->y = drl_op_vicreg(m->g, m->z[0], m->z[1], INVARIANCE, VARIANCE, COVARIANCE);
    drl_graph_root(m->g, m->y, 1);
    assert_int_equal(drl_params_alloc(&params, &err), DRL_OK);
    assert_int_equal(drl_graph_plan(m->g, team, &err), DRL_OK);
    drl_graph_run(m->g, n, 0, fill, m, true);
    drl_graph_read(m->g, m->y, m->loss);
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < n; i++)
            memcpy(m->dz[side] + i * d, drl_graph_gradient(m->g, m->z[side], i / shard) + i % shard * d,
                   d * sizeof(drl_real));
    drl_graph_free(m->g);
    drl_params_free(&params);
}

/* Covariance of columns j and k of n rows, two passes. */
static double covariance(const drl_real *z, size_t n, size_t d, size_t j, size_t k) {
    double mj = 0, mk = 0, sum = 0;
    for (size_t i = 0; i < n; i++) mj += (double)z[i * d + j] / (double)n, mk += (double)z[i * d + k] / (double)n;
    for (size_t i = 0; i < n; i++) sum += ((double)z[i * d + j] - mj) * ((double)z[i * d + k] - mk);
    return n > 1 ? sum / (double)(n - 1) : 0;
}

static double plain_loss(const model *m, size_t n) {
    double loss = 0, d = (double)m->d;
    for (size_t i = 0; i < n * m->d; i++)
        loss += INVARIANCE * pow((double)m->data[0][i] - (double)m->data[1][i], 2) / ((double)n * d);
    for (int side = 0; side < 2; side++)
        for (size_t j = 0; j < m->d; j++)
            for (size_t k = 0; k < m->d; k++) {
                double c = covariance(m->data[side], n, m->d, j, k);
                loss += j == k ? VARIANCE / 2 * fmax(0, 1 - sqrt(c + 1e-4)) / d : COVARIANCE * c * c / d;
            }
    return loss;
}

static void test_loss(void **state) {
    (void)state;
    static model m;
    static const size_t sizes[] = {1, 2, 7, MOST}, shards[] = {1, 2, 4, BATCH};
    for (size_t a = 0; a < 4; a++)
        for (size_t s = 0; s < 4; s++)
            for (size_t n = 1; n <= BATCH; n++) {
                run(&m, sizes[a], n, shards[s], teams[1]);
                double mean = 0, want = plain_loss(&m, n);
                for (size_t i = 0; i < n; i++) mean += (double)m.loss[i] / (double)n;
                assert_true(fabs(mean - want) <= 1e-6 * want);
            }
}

static void test_threads(void **state) {
    (void)state;
    static model one, many;
    for (size_t shard = 1; shard <= 4; shard++)
        for (int t = 1; t < TEAMS; t++) {
            run(&one, 7, BATCH - 1, shard, teams[0]);
            run(&many, 7, BATCH - 1, shard, teams[t]);
            assert_memory_equal(one.loss, many.loss, (BATCH - 1) * sizeof(drl_real));
            for (int side = 0; side < 2; side++)
                assert_memory_equal(one.dz[side], many.dz[side], (BATCH - 1) * 7 * sizeof(drl_real));
        }
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    for (size_t t = 0; t < TEAMS; t++)
        if (drl_threads_open(&teams[t], t + 1, NULL) != DRL_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_loss), cmocka_unit_test(test_threads)};
    int failed = cmocka_run_group_tests_name("vicreg", tests, NULL, NULL);
    for (size_t t = 0; t < TEAMS; t++) drl_threads_close(teams[t]);
    return failed ? 1 : 0;
}
