/* Scopes of a graph and what two parts of it share: names, what is trained, target networks, running statistics. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drl/blas.h"
#include "drl/graph.h"
#include "drl/nets.h"
#include "drl/ops.h"
#include "drl/rng.h"

enum { SIDE = 8, IMAGE = SIDE * SIDE * 3, BATCH = 5 };

static drl_threads *team;

/* One encoder twice, as encoder(view 0) and target.encoder(view 1), a head over the former, and a loss that has a
 * gradient to give to both. */
typedef struct model {
    drl_params params;
    drl_graph *g;
    drl_tensor view[2], time, code[2], loss;
    drl_real data[2][BATCH * IMAGE];
} model;

static void fill(void *arg, size_t shard, size_t first, size_t n) {
    model *m = arg;
    for (int v = 0; v < 2; v++)
        memcpy(drl_graph_value(m->g, m->view[v], shard), m->data[v] + first * IMAGE, n * IMAGE * sizeof(drl_real));
    for (size_t i = 0; i < n; i++) drl_graph_value(m->g, m->time, shard)[i] = (drl_real)0.3;
}

static void open_model(model *m) {
    const drl_graph_cfg cfg = {.batch = BATCH, .shard = 2, .training = true, .backward = true};
    const drl_encoder_cfg encoder = {.depth = 10, .width = 0.25};
    drl_err err;
    *m = (model){.g = NULL};
    assert_int_equal(drl_graph_new(&m->g, &cfg, &m->params, &err), DRL_OK);
    for (int v = 0; v < 2; v++) m->view[v] = drl_graph_input(m->g, NULL, (drl_shape){SIDE, SIDE, 3}, true);
    m->time = drl_graph_input(m->g, "time", (drl_shape){1, 1, 1}, false);
    m->code[0] = drl_encoder(m->g, m->view[0], m->time, &encoder);
    drl_graph_scope(m->g, "target.", true);
    m->code[1] = drl_encoder(m->g, m->view[1], m->time, &encoder);
    drl_graph_scope(m->g, "", false);
    drl_shape d = drl_graph_shape(m->g, m->code[0]);
    drl_tensor p = drl_mlp_head(m->g, m->code[0], "head", &(drl_mlp_head_cfg){.hidden = 6, .out = d.c, .norm = true});
    m->loss = drl_op_nt_xent(m->g, p, m->code[1], 0.5);
    for (int v = 0; v < 2; v++) drl_graph_output(m->g, m->code[v]);
    drl_graph_root(m->g, m->loss, 1);
    assert_int_equal(drl_params_alloc(&m->params, &err), DRL_OK);
    drl_params_init(&m->params, 1);
    assert_int_equal(drl_graph_plan(m->g, team, &err), DRL_OK);
    for (int v = 0; v < 2; v++)
        drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 0, 0), 0, m->data[v], BATCH * IMAGE); /* one image, two views */
}

static void close_model(model *m) {
    drl_graph_free(m->g);
    drl_params_free(&m->params);
}

static const drl_param *param(const model *m, const char *prefix, const char *name) {
    char full[2 * DRL_PARAM_NAME];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    int i = drl_params_find(&m->params, full);
    return i < 0 ? NULL : &m->params.list[i];
}

/* Every parameter of the encoder exists twice, the second time in the state; the head only once. */
static void test_names(void **state) {
    (void)state;
    static model m;
    size_t pairs = 0;
    open_model(&m);
    for (size_t i = 0; i < m.params.n; i++) {
        const drl_param *p = &m.params.list[i], *twin = param(&m, "target.", p->name);
        if (strncmp(p->name, "target.", 7) == 0) {
            assert_false(p->trained);
            assert_non_null(param(&m, "", p->name + 7));
        } else if (strncmp(p->name, "encoder.", 8) == 0) {
            assert_non_null(twin);
            assert_int_equal(p->count, twin->count);
            pairs += p->trained;
        } else {
            assert_null(twin);
            assert_true(strncmp(p->name, "head.", 5) == 0);
        }
    }
    assert_true(pairs > 20);
    assert_true(param(&m, "", "encoder.stem.weight")->trained && param(&m, "", "head.lin1.weight")->trained);
    assert_true(drl_graph_find(m.g, "target.encoder.stem") > drl_graph_find(m.g, "encoder.stem"));
    assert_true(drl_graph_find(m.g, "target.encoder.stage1.block0") >= 0 && drl_graph_find(m.g, "head") >= 0);
    assert_int_equal(drl_graph_find(m.g, "target.head"), -1);
    close_model(&m);
}

static bool codes_agree(model *m) {
    static drl_real code[2][BATCH * 64];
    size_t n = BATCH * drl_graph_shape(m->g, m->code[0]).c;
    assert_true(n <= BATCH * 64);
    drl_graph_run(m->g, BATCH, 0, fill, m, true);
    for (int v = 0; v < 2; v++) drl_graph_read(m->g, m->code[v], code[v]);
    return memcmp(code[0], code[1], n * sizeof(drl_real)) == 0;
}

/* Drawn by name, the two networks differ; copied, they give the same bits on the same view; the frozen one has no
 * gradient and a run leaves it alone, but for its running statistics. */
static void test_copy(void **state) {
    (void)state;
    static model m;
    open_model(&m);
    assert_false(codes_agree(&m));
    size_t pairs = 0;
    for (size_t i = 0; i < m.params.n; i++) pairs += strncmp(m.params.list[i].name, "target.", 7) == 0;
    assert_int_equal(drl_params_follow(&m.params, "target.", 0), pairs);
    assert_true(codes_agree(&m));
    for (size_t s = 0; s < drl_graph_shards(m.g); s++) {
        assert_null(drl_graph_gradient(m.g, m.view[1], s));
        assert_non_null(drl_graph_gradient(m.g, m.view[0], s));
    }
    const drl_param *w = param(&m, "", "encoder.stem.weight"), *t = param(&m, "target.", "encoder.stem.weight");
    assert_memory_equal(m.params.value + w->offset, m.params.state + t->offset, w->count * sizeof(drl_real));
    const drl_param *mean = param(&m, "target.", "encoder.bn.running_mean");
    double moved = 0;
    for (size_t i = 0; i < mean->count; i++) moved += fabs((double)m.params.state[mean->offset + i]);
    assert_true(moved > 0);
    close_model(&m);
}

/* target = keep target + (1 - keep) source for what is trained; running statistics and frequencies stay. */
static void test_follow(void **state) {
    (void)state;
    static model m;
    static drl_real before[1 << 16];
    open_model(&m);
    assert_true(m.params.n_state <= sizeof before / sizeof *before);
    drl_params_follow(&m.params, "target.", 0);
    size_t trained = 0;
    for (size_t i = 0; i < m.params.n; i++) { /* all sources move */
        const drl_param *p = &m.params.list[i];
        if (strncmp(p->name, "target.", 7) == 0) continue;
        for (size_t e = 0; e < p->count; e++) drl_params_at(&m.params, (int)i)[e] += (drl_real)0.5;
        trained += p->trained && strncmp(p->name, "encoder.", 8) == 0;
    }
    memcpy(before, m.params.state, m.params.n_state * sizeof *before);
    assert_int_equal(drl_params_follow(&m.params, "target.", 0.9), trained);
    for (size_t i = 0; i < m.params.n; i++) {
        const drl_param *p = &m.params.list[i];
        if (p->trained) continue;
        bool target = strncmp(p->name, "target.", 7) == 0;
        const drl_param *source = target ? param(&m, "", p->name + 7) : NULL;
        for (size_t e = 0; e < p->count; e++) {
            double was = (double)before[p->offset + e], is = (double)m.params.state[p->offset + e];
            bool follows = source && source->trained;
            assert_true(follows ? fabs(is - (was + 0.05)) <= 1e-6 * (1 + fabs(was)) : is == was);
        }
    }
    assert_int_equal(drl_params_follow(&m.params, "nothing.", 0), 0);
    close_model(&m);
}

/* ---- One batch norm on two inputs ------------------------------------------------------------------------------ */

enum { C = 3 };

typedef struct pair {
    drl_graph *g;
    drl_tensor x[2];
    drl_real data[2][BATCH * C];
} pair;

static void fill_pair(void *arg, size_t shard, size_t first, size_t n) {
    pair *p = arg;
    for (int v = 0; v < 2; v++)
        memcpy(drl_graph_value(p->g, p->x[v], shard), p->data[v] + first * C, n * C * sizeof(drl_real));
}

/* The running values move twice, first by the first use's batch. */
static void test_shared_statistics(void **state) {
    (void)state;
    pair p = {.g = NULL};
    drl_params params = {0};
    const drl_graph_cfg cfg = {.batch = BATCH, .shard = 2, .training = true};
    assert_int_equal(drl_graph_new(&p.g, &cfg, &params, NULL), DRL_OK);
    for (int v = 0; v < 2; v++) {
        p.x[v] = drl_graph_input(p.g, NULL, (drl_shape){1, 1, C}, false);
        drl_graph_output(p.g, drl_op_batch_norm(p.g, p.x[v], "bn", 1e-5, 0.3, 0));
        drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 0, (uint32_t)v), 0, p.data[v], BATCH * C);
    }
    assert_int_equal(params.n, 4);
    assert_int_equal(drl_params_alloc(&params, NULL), DRL_OK);
    drl_params_init(&params, 1);
    assert_int_equal(drl_graph_plan(p.g, team, NULL), DRL_OK);
    drl_graph_run(p.g, BATCH, 0, fill_pair, &p, false);
    const drl_real *mean = drl_params_at(&params, drl_params_find(&params, "bn.running_mean"));
    const drl_real *var = drl_params_at(&params, drl_params_find(&params, "bn.running_var"));
    for (size_t c = 0; c < C; c++) {
        double want_mean = 0, want_var = 1;
        for (int v = 0; v < 2; v++) {
            double m = 0, s = 0;
            for (size_t i = 0; i < BATCH; i++) m += (double)p.data[v][i * C + c] / BATCH;
            for (size_t i = 0; i < BATCH; i++) s += pow((double)p.data[v][i * C + c] - m, 2) / (BATCH - 1);
            want_mean = 0.7 * want_mean + 0.3 * m;
            want_var = 0.7 * want_var + 0.3 * s;
        }
        assert_true(fabs((double)mean[c] - want_mean) <= 1e-6);
        assert_true(fabs((double)var[c] - want_var) <= 1e-6);
    }
    drl_graph_free(p.g);
    drl_params_free(&params);
}

/* ---- Refusals -------------------------------------------------------------------------------------------------- */

static void test_refusals(void **state) {
    (void)state;
    char name[DRL_PARAM_NAME + 8];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    for (int which = 0; which < 3; which++) {
        drl_params params = {0};
        drl_graph *g;
        assert_int_equal(drl_graph_new(&g, &(drl_graph_cfg){.batch = 2, .training = true}, &params, NULL), DRL_OK);
        drl_tensor z = drl_graph_input(g, "z", (drl_shape){1, 1, 3}, false);
        drl_op_linear(g, z, "lin", 2, drl_init_zero(), drl_init_zero());
        drl_graph_scope(g, which == 0 ? name : which == 1 ? name + 12 : "", true);
        drl_op_linear(g, z, "lin", 2, drl_init_zero(), drl_init_zero()); /* 2: is trained and is not */
        assert_int_equal(drl_params_alloc(&params, NULL), DRL_OK);
        drl_err err;
        assert_int_equal(drl_graph_plan(g, team, &err), which < 2 ? DRL_ERR_CONFIG : DRL_ERR_SHAPE);
        assert_non_null(strstr(err.message, which < 2 ? "too long" : "lin.weight: trained in one place"));
        drl_graph_free(g);
        drl_params_free(&params);
    }
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    if (drl_threads_open(&team, 2, NULL) != DRL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),    cmocka_unit_test(test_copy),
        cmocka_unit_test(test_follow),   cmocka_unit_test(test_shared_statistics),
        cmocka_unit_test(test_refusals),
    };
    int failed = cmocka_run_group_tests_name("scopes", tests, NULL, NULL);
    drl_threads_close(team);
    return failed ? 1 : 0;
}
