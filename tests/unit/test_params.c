/* The parameter store, initial values, and the names and shapes of the paper's networks (drl/params.h). */
#define _DEFAULT_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drl/mem.h"
#include "drl/nets.h"
#include "drl/params.h"

static drl_param tensor(const char *name, bool trained, size_t rank, const size_t *shape) {
    drl_param p = {.rank = rank, .trained = trained, .init = {DRL_INIT_UNIFORM, 0.5}};
    snprintf(p.name, sizeof p.name, "%s", name);
    memcpy(p.shape, shape, rank * sizeof *shape);
    return p;
}
#define SHAPE(...)                                                                                                     \
    sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), (const size_t[]) {                                               \
        __VA_ARGS__                                                                                                    \
    }

static int add(drl_params *ps, const drl_param *p) {
    int index;
    drl_err err;
    if (drl_params_add(ps, &index, p, &err) != DRL_OK) fail_msg("%s", err.message);
    return index;
}

/* ---- The store --------------------------------------------------------------------------------------------------- */

static void tensors_lie_side_by_side(void **state) {
    (void)state;
    drl_params ps = {0};
    drl_param a = tensor("a", true, SHAPE(3, 5)), b = tensor("b", false, SHAPE(7)), c = tensor("c", true, SHAPE(17));
    assert_int_equal(add(&ps, &a), 0);
    assert_int_equal(add(&ps, &b), 1);
    assert_int_equal(add(&ps, &c), 2);
    assert_int_equal(ps.list[0].count, 15);
    assert_int_equal(drl_params_trained(&ps), 32);
    assert_int_equal(drl_params_alloc(&ps, NULL), DRL_OK);
    for (int i = 0; i < 3; i++) assert_int_equal((uintptr_t)drl_params_at(&ps, i) % DRL_ALIGN, 0);
    assert_true(drl_params_at(&ps, 2) >= drl_params_at(&ps, 0) + 15);
    assert_ptr_equal(drl_params_at(&ps, 1), ps.state);
    assert_int_equal(drl_params_find(&ps, "c"), 2);
    assert_int_equal(drl_params_find(&ps, "d"), -1);
    /* values are drawn, gaps stay zero */
    drl_params_init(&ps, 1);
    size_t zeros = 0;
    for (size_t i = 0; i < ps.n_value; i++) zeros += ps.value[i] == 0;
    assert_int_equal(zeros, ps.n_value - 32);
    drl_params_free(&ps);
    assert_null(ps.value);
}

static void duplicates_are_shared_or_refused(void **state) {
    (void)state;
    drl_params ps = {0};
    drl_err err;
    int index;
    drl_param a = tensor("a", true, SHAPE(4, 2)), same = a, other = tensor("a", true, SHAPE(2, 4)), kind = a,
              layout = a;
    drl_param empty = tensor("e", true, SHAPE(3, 0)), late = tensor("late", true, SHAPE(3));
    drl_param huge = tensor("h", true, SHAPE(SIZE_MAX / 2, 3));
    kind.trained = false;
    layout.layout = DRL_LAYOUT_HWIO;
    add(&ps, &a);
    assert_int_equal(add(&ps, &same), 0);
    assert_int_equal(ps.n, 1);
    const drl_param *bad[] = {&other, &kind, &layout, &empty, &huge};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(drl_params_add(&ps, &index, bad[i], &err), DRL_ERR_SHAPE);
        assert_non_null(strstr(err.message, bad[i]->name));
    }
    assert_int_equal(ps.n, 1);
    assert_int_equal(drl_params_alloc(&ps, NULL), DRL_OK);
    assert_int_equal(drl_params_add(&ps, &index, &late, &err), DRL_ERR_NOT_FOUND);
    assert_int_equal(add(&ps, &same), 0);
    drl_params_free(&ps);
}

/* (out, in, ky, kx) of the checkpoint and (ky, kx, in, out) in memory, there and back. */
static void layouts_go_round(void **state) {
    (void)state;
    drl_param p = tensor("w", true, SHAPE(5, 2, 3, 4));
    p.layout = DRL_LAYOUT_HWIO;
    p.count = 120;
    drl_real canonical[120], stored[120], back[120];
    for (int i = 0; i < 120; i++) canonical[i] = (drl_real)(i + 1);
    drl_param_from_canonical(&p, stored, canonical);
    for (size_t o = 0; o < 5; o++)
        for (size_t i = 0; i < 2; i++)
            for (size_t y = 0; y < 3; y++)
                for (size_t x = 0; x < 4; x++)
                    assert_true(stored[((y * 4 + x) * 2 + i) * 5 + o] == canonical[((o * 2 + i) * 3 + y) * 4 + x]);
    drl_param_to_canonical(&p, back, stored);
    assert_memory_equal(back, canonical, sizeof back);
    p.layout = DRL_LAYOUT_PLAIN;
    drl_param_from_canonical(&p, stored, canonical);
    assert_memory_equal(stored, canonical, sizeof stored);
}

/* ---- Initial values ---------------------------------------------------------------------------------------------- */

static void draws_have_their_bounds_and_moments(void **state) {
    (void)state;
    drl_params ps = {0};
    enum { N = 20000 };
    drl_param u = tensor("u", true, SHAPE(N)), g = tensor("g", true, SHAPE(N)), c = tensor("c", true, SHAPE(9));
    g.init = (drl_init){DRL_INIT_NORMAL, 16};
    c.init = (drl_init){DRL_INIT_CONSTANT, 1};
    add(&ps, &u), add(&ps, &g), add(&ps, &c);
    assert_int_equal(drl_params_alloc(&ps, NULL), DRL_OK);
    drl_params_init(&ps, 3);
    static const double std[] = {0.28867513, 16}; /* 0.5 / sqrt 3 */
    for (int k = 0; k < 2; k++) {
        double sum = 0, square = 0, top = 0;
        for (int i = 0; i < N; i++) {
            double v = (double)drl_params_at(&ps, k)[i];
            sum += v, square += v * v, top = fmax(top, fabs(v));
        }
        assert_true(fabs(sum / N) < 5 * std[k] / sqrt(N));
        assert_true(fabs(sqrt(square / N) / std[k] - 1) < 0.03);
        if (k == 0) assert_true(top <= 0.5 && top > 0.499);
    }
    for (int i = 0; i < 9; i++) assert_true(drl_params_at(&ps, 2)[i] == 1);
    drl_params_free(&ps);
}

/* A tensor's start is a function of seed and name: not of its place, nor of what else there is, nor of the layout. */
static void a_start_depends_on_seed_and_name(void **state) {
    (void)state;
    drl_params small = {0}, large = {0};
    drl_param a = tensor("net.a", true, SHAPE(6, 2, 3, 3)), b = tensor("net.b", true, SHAPE(6, 2, 3, 3)), a2 = a;
    drl_param before = tensor("net.0", true, SHAPE(33));
    a2.layout = DRL_LAYOUT_HWIO;
    add(&small, &a);
    add(&large, &before), add(&large, &b), add(&large, &a2);
    assert_int_equal(drl_params_alloc(&small, NULL) | drl_params_alloc(&large, NULL), DRL_OK);
    drl_params_init(&small, 1), drl_params_init(&large, 1);
    drl_real canonical[108];
    drl_param_to_canonical(&large.list[2], canonical, drl_params_at(&large, 2));
    assert_memory_equal(canonical, drl_params_at(&small, 0), sizeof canonical);
    assert_true(memcmp(drl_params_at(&large, 1), drl_params_at(&small, 0), sizeof canonical) != 0);
    drl_params_init(&large, 2);
    drl_param_to_canonical(&large.list[2], canonical, drl_params_at(&large, 2));
    assert_true(memcmp(canonical, drl_params_at(&small, 0), sizeof canonical) != 0);
    drl_params_free(&small), drl_params_free(&large);
}

/* ---- The paper's networks
 * -------------------------------------------------------------------------------------------- */

/* Both networks at the paper's size on 3 x 32 x 32 images. levels: 4 in the paper. */
static void paper_networks(drl_params *ps, bool variational, size_t levels) {
    drl_graph *g;
    drl_err err;
    drl_graph_cfg gc = {.batch = 1, .shard = 1};
    drl_encoder_cfg ec = {.depth = 28, .width = 2, .variational = variational};
    drl_score_cfg sc = {.nf = 16, .levels = levels, .mult = {1, 2, 2, 2}, .blocks = 2, .time_map = DRL_TIME_VE};
    drl_score_attention_at(&sc, 32, 16);
    assert_int_equal(drl_graph_new(&g, &gc, ps, NULL), DRL_OK);
    drl_tensor x = drl_graph_input(g, "x", (drl_shape){32, 32, 3}, false);
    drl_tensor t = drl_graph_input(g, "t", (drl_shape){1, 1, 1}, false);
    drl_tensor z = drl_encoder(g, x, t, &ec);
    if (variational) z = drl_graph_input(g, "z", (drl_shape){1, 1, 128}, false);
    drl_graph_output(g, drl_score_net(g, x, t, z, &sc));
    if (drl_params_alloc(ps, &err) != DRL_OK) fail_msg("%s", err.message);
    drl_graph_free(g);
}

/* "name 64x32 trained" of the list against one tensor of the store. */
static void assert_listed(const drl_params *ps, const char *name, const char *shape, const char *kind) {
    char have[64] = "";
    int i = drl_params_find(ps, name);
    if (i < 0) fail_msg("%s is missing", name);
    const drl_param *p = &ps->list[i];
    for (size_t d = 0; d < p->rank; d++)
        snprintf(have + strlen(have), sizeof have - strlen(have), "%s%zu", d ? "x" : "", p->shape[d]);
    if (strcmp(have, shape) != 0) fail_msg("%s: %s, want %s", name, have, shape);
    if (p->trained != (strcmp(kind, "trained") == 0)) fail_msg("%s is not %s", name, kind);
    bool is_conv = p->rank == 4;
    if ((p->layout == DRL_LAYOUT_HWIO) != is_conv) fail_msg("%s: layout", name);
}

static void names_and_shapes_are_the_papers(void **state) {
    (void)state;
    for (int variational = 0; variational < 2; variational++) {
        drl_params ps = {0};
        paper_networks(&ps, variational, 4);
        FILE *f = fopen(DRL_TEST_DIR "/golden/params_paper.txt", "r");
        assert_non_null(f);
        char line[256], name[128], shape[64], kind[32];
        size_t listed = 0;
        while (fgets(line, sizeof line, f)) {
            if (line[0] == '#') continue;
            assert_int_equal(sscanf(line, "%127s %63s %31s", name, shape, kind), 3);
            if (!variational && strncmp(name, "encoder.latent.", 15) == 0) continue;
            assert_listed(&ps, name, shape, kind);
            listed++;
        }
        fclose(f);
        assert_true(listed > 500);
        assert_int_equal(ps.n, listed); /* and no other */
        drl_params_free(&ps);
    }
}

/* Largest |value| of a tensor, which a uniform start keeps within its bound and nearly reaches. */
static void assert_bound(const drl_params *ps, const char *name, double bound) {
    int i = drl_params_find(ps, name);
    assert_true(i >= 0);
    double top = 0;
    for (size_t e = 0; e < ps->list[i].count; e++) top = fmax(top, fabs((double)drl_params_at(ps, i)[e]));
    if (!(top <= bound * (1 + 1e-6) && top >= 0.9 * bound)) fail_msg("%s: reaches %g, want %g", name, top, bound);
}

/* The table of vectors 7, a row or two of each kind; and a level more changes no other layer's start. */
static void starts_are_the_papers(void **state) {
    (void)state;
    drl_params ps = {0}, fewer = {0};
    paper_networks(&ps, true, 4);
    paper_networks(&fewer, true, 3);
    drl_params_init(&ps, 1), drl_params_init(&fewer, 1);
    assert_bound(&ps, "encoder.stem.weight", 1 / sqrt(27));
    assert_bound(&ps, "encoder.stage1.block0.conv1.weight", 1 / sqrt(16 * 9));
    assert_bound(&ps, "encoder.latent.weight", 1 / sqrt(128));
    assert_bound(&ps, "encoder.latent.bias", 1 / sqrt(128));
    assert_bound(&ps, "encoder.time.lin1.weight", sqrt(3 / 48.0));
    assert_bound(&ps, "encoder.time.lin1.bias", 0);
    assert_bound(&ps, "score.z_temb.weight", 1 / sqrt(128));
    assert_bound(&ps, "score.conv_in.weight", sqrt(3 / (9 * (3 + 16) / 2.0)));
    assert_bound(&ps, "score.down0.block0.conv1.weight", sqrt(3 / (9 * 16.0)));
    assert_bound(&ps, "score.down0.block0.conv2.weight", sqrt(3e-10 / (9 * 16.0)));
    assert_bound(&ps, "score.mid.attn.q.weight", sqrt(0.3 / 64));
    assert_bound(&ps, "score.mid.attn.out.weight", sqrt(3e-10 / 64));
    assert_bound(&ps, "score.conv_out.weight", sqrt(3e-10 / (9 * (16 + 3) / 2.0)));
    assert_bound(&ps, "score.norm_out.weight", 1);
    assert_bound(&ps, "encoder.bn.running_var", 1);
    assert_bound(&ps, "encoder.bn.running_mean", 0);
    int a = drl_params_find(&ps, "encoder.time.fourier"), b = drl_params_find(&ps, "score.time.fourier");
    assert_memory_not_equal(drl_params_at(&ps, a), drl_params_at(&ps, b), 16 * sizeof(drl_real));
    size_t shared = 0;
    for (size_t i = 0; i < fewer.n; i++) {
        const drl_param *p = &fewer.list[i];
        int j = drl_params_find(&ps, p->name);
        if (j < 0 || ps.list[j].count != p->count || memcmp(ps.list[j].shape, p->shape, sizeof p->shape) != 0) continue;
        if (memcmp(&p->init, &ps.list[j].init, sizeof p->init) != 0) continue;
        shared++;
        assert_memory_equal(drl_params_at(&fewer, (int)i), drl_params_at(&ps, j), p->count * sizeof(drl_real));
    }
    assert_true(shared > fewer.n * 9 / 10);
    drl_params_free(&ps), drl_params_free(&fewer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_lie_side_by_side),
        cmocka_unit_test(duplicates_are_shared_or_refused),
        cmocka_unit_test(layouts_go_round),
        cmocka_unit_test(draws_have_their_bounds_and_moments),
        cmocka_unit_test(a_start_depends_on_seed_and_name),
        cmocka_unit_test(names_and_shapes_are_the_papers),
        cmocka_unit_test(starts_are_the_papers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
