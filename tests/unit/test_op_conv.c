/* The convolution op by the formula of drl/ops.h, from weights in canonical order (out, c, ky, kx): where zeros are
 * added, which row and column comes first, and what bias, addend, residual and scale do. A gradient check cannot see a
 * convolution that is consistently another one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "drl/blas.h"
#include "drl/graph.h"
#include "drl/mem.h"
#include "drl/ops.h"
#include "drl/rng.h"

enum { N = 3, C = 2, OUT = 3, MOST = 7 };
enum { X, ADDEND, RESIDUAL, N_INPUTS };

typedef struct problem {
    drl_graph *g;
    drl_tensor in[N_INPUTS];
    size_t size[N_INPUTS]; /* elements an image */
    drl_real data[N_INPUTS][N * MOST * MOST * OUT];
    drl_real weight[OUT * C * 9], bias[OUT]; /* canonical */
} problem;

static void fill(void *arg, size_t shard, size_t first, size_t n) {
    problem *p = arg;
    for (int i = 0; i < N_INPUTS; i++)
        memcpy(drl_graph_value(p->g, p->in[i], shard), p->data[i] + first * p->size[i],
               n * p->size[i] * sizeof(drl_real));
}

/* scale ( sum_{a,b,c} weight[o,c,a,b] x[n, i s + a - p, j s + b - p, c] + bias[o] + v[n,o] + r[n,i,j,o] ) */
static double formula(const problem *p, const drl_conv_cfg *cfg, drl_shape xs, drl_shape ys, size_t n, long i, long j,
                      size_t o) {
    long h = (long)xs.h, w = (long)xs.w, s = (long)cfg->stride, k = (long)cfg->k, pad = cfg->pad_end ? 0 : k / 2;
    double sum = (double)p->bias[o] + (double)p->data[ADDEND][n * OUT + o] +
                 (double)p->data[RESIDUAL][((n * ys.h + (size_t)i) * ys.w + (size_t)j) * OUT + o];
    for (size_t c = 0; c < C; c++)
        for (long a = 0; a < k; a++)
            for (long b = 0; b < k; b++) {
                long y = i * s + a - pad, x = j * s + b - pad;
                if (y < 0 || y >= h || x < 0 || x >= w) continue;
                sum += (double)p->weight[((o * C + c) * (size_t)k + (size_t)a) * (size_t)k + (size_t)b] *
                       (double)p->data[X][((n * xs.h + (size_t)y) * xs.w + (size_t)x) * C + c];
            }
    return cfg->scale * sum;
}

static void check(drl_conv_cfg cfg, drl_shape xs, drl_shape ys, drl_threads *team) {
    static problem p;
    drl_params params = {0};
    drl_err err;
    const drl_shape shapes[N_INPUTS] = {xs, {1, 1, OUT}, ys};
    assert_int_equal(drl_graph_new(&p.g, &(drl_graph_cfg){.batch = N, .shard = 2}, &params, &err), DRL_OK);
    for (int i = 0; i < N_INPUTS; i++) {
        p.in[i] = drl_graph_input(p.g, NULL, shapes[i], false);
        p.size[i] = shapes[i].h * shapes[i].w * shapes[i].c;
        drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, (uint32_t)i, 0), 0, p.data[i], N * p.size[i]);
    }
    cfg.channel_add = p.in[ADDEND];
    cfg.residual = p.in[RESIDUAL];
    drl_tensor y = drl_op_conv(p.g, p.in[X], "conv", &cfg);
    drl_graph_output(p.g, y);
    assert_int_equal(drl_params_alloc(&params, &err), DRL_OK);
    const drl_param *w = &params.list[drl_params_find(&params, "conv.weight")];
    const drl_param *b = &params.list[drl_params_find(&params, "conv.bias")];
    drl_rng_normal(drl_rng_stream(2, DRL_RNG_TEST, 0, 0), 0, p.weight, w->count);
    drl_rng_normal(drl_rng_stream(2, DRL_RNG_TEST, 1, 0), 0, p.bias, b->count);
    drl_param_from_canonical(w, params.value + w->offset, p.weight);
    drl_param_from_canonical(b, params.value + b->offset, p.bias);
    assert_int_equal(drl_graph_plan(p.g, team, &err), DRL_OK);
    drl_graph_run(p.g, N, 0, fill, &p, false);

    drl_shape got = drl_graph_shape(p.g, y);
    assert_memory_equal(&got, &ys, sizeof ys);
    drl_real out[N * MOST * MOST * OUT];
    drl_graph_read(p.g, y, out);
    for (size_t e = 0; e < N * ys.h * ys.w * OUT; e++) {
        size_t o = e % OUT, j = e / OUT % ys.w, i = e / OUT / ys.w % ys.h, n = e / OUT / ys.w / ys.h;
        double want = formula(&p, &cfg, xs, ys, n, (long)i, (long)j, o);
        if (!(fabs((double)out[e] - want) <= 1e-5))
            fail_msg("k %zu, stride %zu, pad_end %d, %zux%zu: y[%zu,%zu,%zu,%zu] = %g, want %g", cfg.k, cfg.stride,
                     cfg.pad_end, xs.h, xs.w, n, i, j, o, (double)out[e], want);
    }
    drl_graph_free(p.g);
    drl_params_free(&params);
}

/* Output sides follow from the definition, written out here for every kind of convolution and image. */
static void test_conv(void **state) {
    drl_threads *team = *state;
    static const struct {
        drl_conv_cfg cfg;
        drl_shape xs, ys;
    } cases[] = {
        {{.out = OUT, .k = 1, .stride = 1, .scale = 1}, {5, 4, C}, {5, 4, OUT}},
        {{.out = OUT, .k = 1, .stride = 2, .scale = 0.5}, {5, 4, C}, {3, 2, OUT}},
        {{.out = OUT, .k = 3, .stride = 1, .scale = 0.7}, {5, 4, C}, {5, 4, OUT}},
        {{.out = OUT, .k = 3, .stride = 1, .scale = 1}, {1, 1, C}, {1, 1, OUT}},
        {{.out = OUT, .k = 3, .stride = 2, .scale = 1}, {7, 6, C}, {4, 3, OUT}},
        {{.out = OUT, .k = 3, .stride = 2, .scale = -2}, {1, 2, C}, {1, 1, OUT}},
        {{.out = OUT, .k = 3, .stride = 2, .scale = 1, .pad_end = true}, {6, 4, C}, {3, 2, OUT}},
        {{.out = OUT, .k = 3, .stride = 2, .scale = 1, .pad_end = true}, {7, 5, C}, {3, 2, OUT}},
        {{.out = OUT, .k = 3, .stride = 1, .scale = 1, .pad_end = true}, {4, 5, C}, {3, 4, OUT}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(cases[i].cfg, cases[i].xs, cases[i].ys, team);
}

int main(int argc, char **argv) {
    (void)argc;
    drl_threads *team;
    drl_blas_guard(argv);
    if (drl_threads_open(&team, 2, NULL) != DRL_OK) return 1;
    const struct CMUnitTest tests[] = {{.name = "test_conv", .test_func = test_conv, .initial_state = team}};
    int failed = cmocka_run_group_tests_name("convolution op", tests, NULL, NULL);
    drl_threads_close(team);
    return failed ? 1 : 0;
}
