/* Denoising score matching recovers a score that is known: a small network trained by drl_op_dsm_loss on samples of a
 * correlated Gaussian, under each process, against the exact score.                              [science, 1, 2, 3] */
#include "known_scores.h"

#include "drl/blas.h"
#include "drl/graph.h"
#include "drl/mem.h"
#include "drl/ops.h"
#include "drl/optim.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEPS = 150 }; /* sanitizers make everything some fifty times slower */
static const double enough = 0.5;
#else
enum { STEPS = 1500 };
static const double enough = 0.02;
#endif
enum { BATCH = 256, HIDDEN = 64, FREQUENCIES = 6 };
enum { X, T, NOISE, STD, FACTOR, WEIGHT, INPUTS };

static drl_threads *team;

typedef struct net {
    gaussian g;
    double lower[DIM][DIM]; /* Cholesky factor of the covariance */
    drl_params params;
    drl_optim optim;
    drl_real *gradient;
    drl_graph *graph;
    drl_tensor in[INPUTS], raw;
    double at;      /* the time of all states; negative: drawn, for training */
    uint32_t index; /* of the batch's draws */
    drl_real x[BATCH * DIM], t[BATCH];
} net;

/* x_t = m x_0 + s eps; the network sees x_t / sqrt(m^2 + s^2), whose size does not depend on t. */
static void fill(void *arg, size_t shard, size_t first, size_t n) {
    net *w = arg;
    drl_real *in[INPUTS], z[BATCH * DIM];
    for (int i = 0; i < INPUTS; i++) in[i] = drl_graph_value(w->graph, w->in[i], shard);
    drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 0, w->index), first * DIM, z, n * DIM);
    drl_rng_normal(drl_rng_stream(1, DRL_RNG_NOISE, 0, w->index), first * DIM, in[NOISE], n * DIM);
    drl_rng times = drl_rng_stream(1, DRL_RNG_TIME, 0, w->index);
    for (size_t i = 0; i < n; i++) {
        const drl_t_density uniform = {DRL_T_UNIFORM, 0, 1};
        double t = w->at < 0 ? drl_t_quantile(&uniform, 1e-3, drl_rng_uniform_at(times, first + i)) : w->at;
        drl_sde_marginal k = drl_sde_marginal_at(&w->g.sde, t);
        in[T][i] = w->t[first + i] = (drl_real)t;
        in[STD][i] = (drl_real)k.std;
        in[FACTOR][i] = (drl_real)drl_sde_score_factor(&w->g.sde, t);
        in[WEIGHT][i] = 1;
        for (int r = 0; r < DIM; r++) {
            double x0 = w->g.mean[r];
            for (int c = 0; c <= r; c++) x0 += w->lower[r][c] * (double)z[i * DIM + (size_t)c];
            double xt = k.mean * x0 + k.std * (double)in[NOISE][i * DIM + (size_t)r];
            w->x[(first + i) * DIM + (size_t)r] = (drl_real)xt;
            in[X][i * DIM + (size_t)r] = (drl_real)(xt / hypot(k.mean, k.std));
        }
    }
}

/* Two hidden layers on [x, time features]; factor(t) raw is the score. */
static void open_net(net *w, drl_sde_kind kind) {
    const drl_graph_cfg cfg = {.batch = BATCH, .shard = BATCH / 4, .training = true, .backward = true};
    const drl_init init = {DRL_INIT_UNIFORM, 0.2};
    *w = (net){.g = {drl_sde_published(kind), {0.5, -0.5, 0}, {{1, 0.6, 0}, {0.6, 1, -0.3}, {0, -0.3, 0.5}}}, .at = -1};
    for (int r = 0; r < DIM; r++)
        for (int c = 0; c <= r; c++) {
            double sum = w->g.cov[r][c];
            for (int k = 0; k < c; k++) sum -= w->lower[r][k] * w->lower[c][k];
            w->lower[r][c] = r == c ? sqrt(sum) : sum / w->lower[c][c];
        }
    assert_int_equal(drl_graph_new(&w->graph, &cfg, &w->params, NULL), DRL_OK);
    for (int i = 0; i < INPUTS; i++)
        w->in[i] = drl_graph_input(w->graph, NULL, (drl_shape){1, 1, i == X || i == NOISE ? DIM : 1}, false);
    drl_tensor t = drl_op_time_features(w->graph, w->in[T], "time", FREQUENCIES, drl_sde_time_map(&w->g.sde));
    drl_tensor h = drl_op_concat(w->graph, w->in[X], t);
    h = drl_op_silu(w->graph, drl_op_linear(w->graph, h, "lin1", HIDDEN, init, init));
    h = drl_op_silu(w->graph, drl_op_linear(w->graph, h, "lin2", HIDDEN, init, init));
    w->raw = drl_op_linear(w->graph, h, "lin3", DIM, init, init);
    drl_graph_output(w->graph, w->raw);
    drl_tensor score = drl_op_scale_images(w->graph, w->raw, w->in[FACTOR]);
    drl_graph_root(w->graph, drl_op_dsm_loss(w->graph, score, w->in[NOISE], w->in[STD], w->in[WEIGHT]), 1);
    assert_int_equal(drl_params_alloc(&w->params, NULL), DRL_OK);
    assert_int_equal(drl_graph_plan(w->graph, team, NULL), DRL_OK);
    drl_params_init(&w->params, 1);
    /* slow waves: the drawn ones are for images */
    drl_real *f = drl_params_at(&w->params, drl_params_find(&w->params, "time"));
    for (int k = 0; k < FREQUENCIES; k++) f[k] = (drl_real)(0.04 * (k + 1));
    const drl_optim_cfg optim = {.kind = DRL_ADAM, .rate = 3e-3, .warmup = 20, .clip = 10, .ema = 0.99};
    assert_int_equal(drl_optim_init(&w->optim, &optim, w->params.value, w->params.n_value, NULL), DRL_OK);
    assert_int_equal(drl_alloc(&w->gradient, w->params.n_value, sizeof *w->gradient, "test", NULL), DRL_OK);
}

static void close_net(net *w) {
    drl_graph_free(w->graph);
    drl_params_free(&w->params);
    drl_optim_free(&w->optim);
    drl_free(w->gradient);
}

static void train(net *w) {
    for (w->index = 0; w->index < STEPS; w->index++) {
        drl_graph_run(w->graph, BATCH, w->index, fill, w, true);
        double norm2 = drl_graph_collect(w->graph, w->gradient);
        drl_optim_step(&w->optim, w->params.value, w->gradient, norm2, team);
    }
    memcpy(w->params.value, w->optim.ema, w->params.n_value * sizeof *w->params.value);
}

/* E |estimate - score|^2 / E |score|^2 over states of p_t that training has not seen. */
static double relative_error(net *w, double t) {
    drl_real raw[BATCH * DIM], want[BATCH * DIM];
    double error = 0, size = 0, factor = drl_sde_score_factor(&w->g.sde, t);
    w->at = t;
    w->index = UINT32_MAX;
    drl_graph_run(w->graph, BATCH, 0, fill, w, false);
    w->at = -1;
    drl_graph_read(w->graph, w->raw, raw);
    assert_int_equal(gaussian_at(&w->g, w->x, BATCH, t, want, NULL), DRL_OK);
    for (int i = 0; i < BATCH * DIM; i++) {
        error += pow(factor * (double)raw[i] - (double)want[i], 2);
        size += pow((double)want[i], 2);
    }
    return error / size;
}

/* Errors are 0.0001 to 0.009, without training above 0.6. At smaller t, s^2 |score|^2 is a small part of the noise that
 * the loss is made of, and is learned last. */
static void a_gaussians_score_is_learned(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        static const double times[] = {0.3, 0.5, 0.7, 0.9};
        static net w;
        open_net(&w, (drl_sde_kind)kind);
        for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
            double before = relative_error(&w, times[i]);
            if (!(before > 0.6)) fail_msg("not trained, t = %g: %g", times[i], before);
        }
        train(&w);
        for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
            double error = relative_error(&w, times[i]);
            if (!(error < enough)) fail_msg("%s at t = %g: %g", drl_sde_name(w.g.sde.kind), times[i], error);
        }
        close_net(&w);
    }
}

static int open_team(void **state) {
    (void)state;
    return drl_threads_open(&team, 1, NULL) == DRL_OK ? 0 : -1;
}

static int close_team(void **state) {
    (void)state;
    drl_threads_close(team);
    return drl_mem_get_stats().bytes == 0 ? 0 : -1; /* nothing is left allocated */
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv); /* one thread a GEMM, as in the programs */
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_gaussians_score_is_learned)};
    return cmocka_run_group_tests(tests, open_team, close_team);
}
