/* Graphs as a whole, on a tiny model: the memory plan, threads, partial batches and repeated runs change no bit. */
#include <math.h>

#include "graph_model.h"

#include "drl/blas.h"
#include "nn/graph_impl.h"

static drl_params params;
static drl_threads *teams[4];
static drl_real *start_state; /* running statistics before any run */

static const drl_graph_cfg base = {.batch = MODEL_BATCH, .shard = 2, .training = true, .backward = true, .seed = 5};

static drl_graph_cfg with(size_t batch, bool keep) {
    drl_graph_cfg cfg = base;
    cfg.batch = batch;
    cfg.keep = keep;
    return cfg;
}

/* Results of one run of a fresh graph from the same state; the caller frees them. */
static drl_real *results_of(const drl_graph_cfg *cfg, size_t threads, size_t n, uint32_t step) {
    model m;
    model_open(&m, &params, cfg, teams[threads]);
    if (!start_state) {
        start_state = model_block(params.n_state);
        memcpy(start_state, params.state, params.n_state * sizeof *start_state);
    }
    memcpy(params.state, start_state, params.n_state * sizeof *start_state);
    drl_real *r = model_block(model_results(&m));
    /* Whatever a run reads before it writes it becomes NaN. */
    memset(m.g->memory, 0xff, m.g->blocks * m.g->block * sizeof *m.g->memory);
    model_run(&m, n, step, r);
    for (size_t i = 0; i < model_results(&m); i++) assert_true(isfinite(r[i]));
    model_close(&m);
    return r;
}

static size_t result_bytes(void) {
    return model_results(&(model){.params = &params}) * sizeof(drl_real);
}

/* Runs two configurations and compares all bits. */
static void same(const drl_graph_cfg *a, size_t threads_a, const drl_graph_cfg *b, size_t threads_b, size_t n) {
    drl_real *p = results_of(a, threads_a, n, 1), *q = results_of(b, threads_b, n, 1);
    assert_memory_equal(p, q, result_bytes());
    drl_free(p);
    drl_free(q);
}

/* Reused memory gives what memory of one's own gives, with less of it. */
static void test_memory_plan(void **state) {
    (void)state;
    const drl_graph_cfg kept = with(MODEL_BATCH, true);
    same(&base, 1, &kept, 1, MODEL_BATCH);
    size_t bytes[2];
    for (int keep = 0; keep < 2; keep++) {
        const drl_graph_cfg cfg = with(MODEL_BATCH, keep);
        model m;
        model_open(&m, &params, &cfg, teams[1]);
        drl_graph_stats s = drl_graph_get_stats(m.g);
        bytes[keep] = s.tensor_bytes;
        assert_true(s.nodes > 50 && s.macs > 1e5 && s.gradient_bytes >= 4 * params.n_value * sizeof(drl_real));
        model_close(&m);
    }
    assert_true(bytes[0] < bytes[1] / 2);
}

typedef struct profile_sum {
    size_t nodes, of_images; /* all; convolutions of input images */
    double macs;
} profile_sum;

/* drl_profile_fn */
static void add_entry(void *arg, const drl_profile_entry *e) {
    profile_sum *sum = arg;
    sum->nodes++;
    sum->macs += e->macs;
    assert_true(e->op && e->name && e->forward_seconds > 0 && e->forward_bytes > 0);
    assert_true(e->backward_bytes > 0 ? e->backward_seconds > 0 : e->backward_seconds == 0);
    size_t x = e->x.h * e->x.w * e->x.c, y = e->y.h * e->y.w * e->y.c;
    if (!e->kernel || e->x.c != 3) return;
    /* A convolution of input images: reads x and writes y, then reads x and dy; no gradient of x. */
    assert_true(e->forward_bytes == (double)((x + y) * sizeof(drl_real)) && e->backward_bytes == e->forward_bytes);
    assert_true(e->macs == (double)(y * e->kernel * e->kernel * 3));
    sum->of_images++;
}

/* The profile accounts for every node, and counts from when it was switched on. */
static void test_profile(void **state) {
    (void)state;
    model m;
    model_open(&m, &params, &base, teams[2]);
    drl_graph_stats stats = drl_graph_get_stats(m.g);
    profile_sum sum = {0};
    drl_graph_profile_read(m.g, add_entry, &sum);
    assert_int_equal(sum.nodes, 0); /* off */
    drl_graph_profile(m.g, true);
    drl_graph_run(m.g, MODEL_BATCH, 1, model_fill, &m, true);
    drl_graph_profile_read(m.g, add_entry, &sum);
    assert_int_equal(sum.nodes, stats.nodes);
    assert_true(sum.macs == stats.macs);
    assert_true(sum.of_images >= 2); /* encoder's and score network's */
    model_close(&m);
    memcpy(params.state, start_state, params.n_state * sizeof *start_state);
}

static void test_threads(void **state) {
    (void)state;
    for (size_t t = 2; t <= 3; t++)
        for (size_t n = 1; n <= MODEL_BATCH; n += 2) same(&base, 1, &base, t, n);
}

/* n images in a graph planned for more are n images in a graph planned for n. */
static void test_partial_batches(void **state) {
    (void)state;
    for (size_t n = 2; n < MODEL_BATCH; n++) {
        const drl_graph_cfg exact = with(n, false);
        same(&base, 2, &exact, 1, n);
    }
}

/* One graph, many runs: the same step gives the same bits, whatever ran in between; another step other dropout. */
static void test_repeat(void **state) {
    (void)state;
    model m;
    model_open(&m, &params, &base, teams[2]);
    drl_real *r[3];
    for (int i = 0; i < 3; i++) r[i] = model_block(model_results(&m));
    for (int i = 0; i < 3; i++) {
        memcpy(params.state, start_state, params.n_state * sizeof *start_state);
        model_run(&m, MODEL_BATCH, i == 1 ? 2 : 1, r[i]);
        drl_real *other = model_block(model_results(&m));
        model_run(&m, 3, 9, other);
        drl_free(other);
    }
    assert_memory_equal(r[0], r[2], result_bytes());
    assert_memory_equal(r[0], r[1], MODEL_BATCH * 16 * sizeof(drl_real)); /* the encoder has no dropout */
    assert_memory_not_equal(r[0], r[1], result_bytes());
    for (int i = 0; i < 3; i++) drl_free(r[i]);
    model_close(&m);
}

/* Forward alone gives the forward results of a run with gradients; so does a graph without gradients. */
static void test_forward_alone(void **state) {
    (void)state;
    drl_graph_cfg cfg = base;
    drl_real code[3][MODEL_BATCH * 16], score[3][MODEL_BATCH * IMAGE];
    for (int i = 0; i < 3; i++) {
        model m;
        cfg.backward = i < 2;
        model_open(&m, &params, &cfg, teams[2]);
        drl_graph_run(m.g, MODEL_BATCH, 1, model_fill, &m, i == 0);
        drl_graph_read(m.g, m.code, code[i]);
        drl_graph_read(m.g, m.score, score[i]);
        model_close(&m);
        assert_memory_equal(code[i], code[0], sizeof code[0]);
        assert_memory_equal(score[i], score[0], sizeof score[0]);
    }
}

/* In evaluation an image's code does not depend on its neighbours, up to the rounding of products of other sizes. */
static void test_evaluation(void **state) {
    (void)state;
    drl_graph_cfg cfg = base;
    cfg.training = cfg.backward = false;
    drl_real all[MODEL_BATCH * 16], few[MODEL_BATCH * 16];
    model m;
    model_open(&m, &params, &cfg, teams[2]);
    drl_graph_run(m.g, MODEL_BATCH, 0, model_fill, &m, false);
    drl_graph_read(m.g, m.code, all);
    drl_graph_run(m.g, 3, 1, model_fill, &m, false); /* no dropout either: the step does not matter */
    drl_graph_read(m.g, m.code, few);
    double largest = 0;
    for (size_t i = 0; i < 3 * 16; i++) largest = fmax(largest, (double)all[i]);
    for (size_t i = 0; i < 3 * 16; i++) assert_true(fabs((double)(all[i] - few[i])) <= 1e-6 * largest);
    model_close(&m);
}

/* A pixel that is no number reaches code, losses and gradient: no op hides it. */
static void test_nan(void **state) {
    (void)state;
    model m;
    model_open(&m, &params, &base, teams[1]);
    drl_real *r = model_block(model_results(&m)), code[MODEL_BATCH * 16];
    m.data[X0][IMAGE + 5] = NAN;
    drl_graph_run(m.g, MODEL_BATCH, 1, model_fill, &m, true);
    drl_graph_read(m.g, m.code, code);
    for (int i = 0; i < 16; i++) assert_true(isnan(code[16 + i]));
    assert_true(isnan(drl_graph_mean(m.g, m.loss)) && isnan(drl_graph_mean(m.g, m.penalty)));
    assert_true(isnan(drl_graph_collect(m.g, r)));
    drl_free(r);
    model_close(&m);
    memcpy(params.state, start_state, params.n_state * sizeof *start_state);
}

/* A graph may be freed after its team. */
static void test_order_of_release(void **state) {
    (void)state;
    model m;
    drl_threads *team;
    assert_int_equal(drl_threads_open(&team, 2, NULL), DRL_OK);
    model_open(&m, &params, &base, team);
    drl_graph_run(m.g, 2, 1, model_fill, &m, true);
    drl_threads_close(team);
    model_close(&m);
}

/* What an output in the middle does not need is not computed; the output's bits are those of the graph without it. */
static void test_unread(void **state) {
    (void)state;
    drl_real codes[2][MODEL_BATCH * 16];
    size_t nodes[2], d = 0;
    for (int more = 0; more < 2; more++) {
        const drl_graph_cfg cfg = {.batch = MODEL_BATCH, .shard = 2};
        drl_graph *g;
        drl_tensor in[2];
        assert_int_equal(drl_graph_new(&g, &cfg, &params, NULL), DRL_OK);
        model m = {.params = &params, .g = g};
        in[0] = drl_graph_input(g, NULL, (drl_shape){SIDE, SIDE, 3}, false);
        in[1] = drl_graph_input(g, NULL, (drl_shape){1, 1, 1}, false);
        m.code = drl_encoder(g, in[0], in[1], &(drl_encoder_cfg){.depth = 10, .width = 0.25});
        drl_graph_output(g, m.code);
        if (more) drl_op_relu(g, drl_op_add(g, m.code, m.code, 1)); /* nobody reads this */
        assert_int_equal(drl_graph_plan(g, teams[2], NULL), DRL_OK);
        nodes[more] = drl_graph_get_stats(g).nodes;
        for (size_t s = 0; s < 4; s++) /* independent shards are filled one after the other: here all alike */
            for (size_t i = 0; i < 2 * SIDE * SIDE * 3; i++) drl_graph_value(g, in[0], s)[i] = (drl_real)(i % 7) - 3;
        for (size_t s = 0; s < 4; s++)
            for (size_t i = 0; i < 2; i++) drl_graph_value(g, in[1], s)[i] = (drl_real)0.5;
        drl_graph_run(g, 2, 0, NULL, NULL, false);
        d = drl_graph_shape(g, m.code).c;
        assert_true(2 * d <= MODEL_BATCH * 16);
        drl_graph_read(g, m.code, codes[more]);
        drl_graph_free(g);
    }
    assert_int_equal(nodes[1], nodes[0]);
    assert_memory_equal(codes[0], codes[1], 2 * d * sizeof(drl_real));
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    for (size_t t = 1; t <= 3; t++)
        if (drl_threads_open(&teams[t], t, NULL) != DRL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_plan),     cmocka_unit_test(test_profile), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_partial_batches), cmocka_unit_test(test_repeat),  cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_forward_alone),   cmocka_unit_test(test_nan),     cmocka_unit_test(test_order_of_release),
        cmocka_unit_test(test_unread),
    };
    int failed = cmocka_run_group_tests_name("graphs", tests, NULL, NULL);
    drl_free(start_state);
    drl_params_free(&params);
    for (size_t t = 1; t <= 3; t++) drl_threads_close(teams[t]);
    return failed ? 1 : 0;
}
