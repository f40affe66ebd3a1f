/* Speed of the networks in use: evaluation mode, no gradients.
 *
 * `encode`: codes of images at a time t as drl_model_encode makes them: normalising the images, the encoder, copying
 * out the codes. `score`: one evaluation of the conditional score network as a sampler needs it at each of its steps:
 * x_t, t and code copied in, raw estimate copied out. Each graph holds what this use needs and nothing else, so that
 * the peak memory is that of the use. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "drl/mem.h"
#include "drl/rng.h"

enum { ENCODE, SCORE };
#define BENCH_OPTIONS(X)                                                                                               \
    X(ENUM, bench, what, "encode", DRL_CHOICES("encode|score"), "codes of images, or the score network")               \
    X(ENUM, bench, net, "paper", DRL_CHOICES(BENCH_NETS), "network and image")                                         \
    X(SIZE, bench, batch, "0", DRL_RANGE(0, 4096), "images a call; 0: 256 to encode, 64 for the score")                \
    X(SIZE, bench, rounds, "5", DRL_RANGE(1, BENCH_MAX_ROUNDS), "rounds; the median counts")                           \
    X(REAL, bench, seconds, "2", DRL_RANGE(0.1, 600), "least time of a round")                                         \
    X(BOOL, bench, json, "no", DRL_ANY, "print one JSON object")
DRL_CONFIG_STRUCT(bench_cfg, BENCH_OPTIONS);
static DRL_CONFIG_TABLE(bench_options, bench_cfg, BENCH_OPTIONS);

typedef struct network {
    int what;
    size_t batch;
    drl_dataset *data;
    drl_params params;
    drl_graph *graph;
    drl_tensor x, t, z, out;
    drl_real *noise, *code, *result; /* (batch, ...): x_t, z, and what comes out */
    uint32_t *index;                 /* (batch) images to encode */
} network;

/* drl_fill_fn */
static void fill(void *arg, size_t shard, size_t first, size_t n) {
    const network *w = arg;
    drl_real *x = drl_graph_value(w->graph, w->x, shard), *t = drl_graph_value(w->graph, w->t, shard);
    for (size_t i = 0; i < n; i++) t[i] = (drl_real)0.5;
    if (w->what == ENCODE) {
        drl_batch_images(x, w->data, DRL_SPLIT_TEST, w->index + first, n);
        return;
    }
    drl_shape s = drl_graph_shape(w->graph, w->x);
    size_t size = s.h * s.w * s.c, d = drl_graph_shape(w->graph, w->z).c;
    memcpy(x, w->noise + first * size, n * size * sizeof *x);
    memcpy(drl_graph_value(w->graph, w->z, shard), w->code + first * d, n * d * sizeof *x);
}

static drl_status evaluate(void *arg, drl_err *err) {
    (void)err;
    network *w = arg;
    drl_graph_run(w->graph, w->batch, 0, fill, w, false);
    drl_graph_read(w->graph, w->out, w->result);
    return DRL_OK;
}

static drl_status build(network *w, const drl_model_cfg *cfg, drl_threads *team, drl_err *err) {
    const drl_images *im = &w->data->split[DRL_SPLIT_TEST];
    const drl_shape image = {im->h, im->w, im->c}, scalar = {1, 1, 1};
    drl_graph_cfg gc = {.batch = w->batch, .shard = w->what == ENCODE ? DRL_ENCODE_SHARD : cfg->train_shard};
    drl_status st = drl_graph_new(&w->graph, &gc, &w->params, err);
    if (st != DRL_OK) return st;
    drl_encoder_cfg ec;
    drl_model_encoder_cfg(cfg, &ec);
    size_t widths[3];
    drl_encoder_widths(&ec, widths);
    w->x = drl_graph_input(w->graph, "x", image, false);
    w->t = drl_graph_input(w->graph, "t", scalar, false);
    w->z = -1;
    if (w->what == ENCODE) {
        w->out = drl_encoder(w->graph, w->x, w->t, &ec);
    } else {
        drl_sde sde = drl_sde_published((drl_sde_kind)cfg->diffusion_sde);
        drl_score_cfg sc;
        drl_model_score_cfg(cfg, &sde, &sc);
        w->z = drl_graph_input(w->graph, "z", (drl_shape){1, 1, widths[2]}, false);
        w->out = drl_score_net(w->graph, w->x, w->t, w->z, &sc);
    }
    drl_graph_output(w->graph, w->out);
    if ((st = drl_params_alloc(&w->params, err)) != DRL_OK) return st;
    drl_params_init(&w->params, 1);
    if ((st = drl_graph_plan(w->graph, team, err)) != DRL_OK) return st;

    drl_shape out = drl_graph_shape(w->graph, w->out);
    size_t size = im->h * im->w * im->c, d = widths[2];
    st = drl_alloc(&w->result, w->batch * out.h * out.w * out.c, sizeof *w->result, "result", err);
    if (st == DRL_OK) st = drl_alloc(&w->index, w->batch, sizeof *w->index, "batch", err);
    if (st == DRL_OK) st = drl_alloc(&w->noise, w->what == SCORE ? w->batch * size : 0, sizeof *w->noise, "x_t", err);
    if (st == DRL_OK) st = drl_alloc(&w->code, w->what == SCORE ? w->batch * d : 0, sizeof *w->code, "code", err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; i < w->batch; i++) w->index[i] = (uint32_t)(i % im->n);
    if (w->what == SCORE) {
        drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 0, 0), 0, w->noise, w->batch * size);
        drl_rng_uniform(drl_rng_stream(1, DRL_RNG_TEST, 1, 0), 0, w->code, w->batch * d);
    }
    return DRL_OK;
}

static drl_status run(const drl_cli *cli, const void *cfg, drl_err *err) {
    const bench_cfg *b = cfg;
    double round[BENCH_MAX_ROUNDS];
    drl_threads *team = NULL;
    drl_model_cfg mc;
    network w = {.what = b->bench_what, .batch = b->bench_batch};
    if (w.batch == 0) w.batch = w.what == ENCODE ? 256 : 64;
    drl_status st = drl_threads_open(&team, cli->threads, err);
    if (st == DRL_OK) st = bench_net_open(b->bench_net, w.batch, &mc, &w.data, err);
    if (st == DRL_OK) st = build(&w, &mc, team, err);
    for (size_t i = 0; st == DRL_OK && i < b->bench_rounds; i++)
        st = bench_round(&round[i], evaluate, &w, b->bench_seconds, err);
    if (st == DRL_OK) {
        bench_result r = {
            w.what == ENCODE ? "encode" : "score", bench_net_name(b->bench_net), w.batch, drl_threads_count(team),
            bench_median(round, b->bench_rounds),  bench_peak_rss_mb()};
        double gflop = 2e-9 * drl_graph_get_stats(w.graph).macs * (double)w.batch;
        if (b->bench_json)
            bench_print_json(&r, "");
        else
            printf("%s, %s network, batch %zu, %zu threads, %s: %.1f ms a batch, %.1f images/s, %.1f GFLOP a batch, "
                   "%.1f GFLOP/s, peak memory %.0f MB\n",
                   r.bench, r.net, r.batch, r.threads, bench_kernels(), 1e3 * r.seconds, (double)r.batch / r.seconds,
                   gflop, gflop / r.seconds, r.peak_rss_mb);
    }
    drl_graph_free(w.graph);
    drl_params_free(&w.params);
    drl_dataset_free(w.data);
    drl_free(w.noise);
    drl_free(w.code);
    drl_free(w.result);
    drl_free(w.index);
    drl_threads_close(team);
    return st;
}

int main(int argc, char **argv) {
    bench_cfg cfg;
    size_t n;
    const drl_option *options = bench_options(&n);
    return bench_main(argc, argv, "Speed of the encoder and of the score network in evaluation mode.", options, n, &cfg,
                      run);
}
