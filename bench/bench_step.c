/* Speed of one full training step: batch assembly, noise, forward, backward, clipping, Adam, moving average.
 *
 * Networks: `paper` (WRN-28-2 encoder, score network 16 x (1,2,2,2), 3x32x32, batch 64) and `desk` (WRN-10-1, 16 x
 * (1,2,2), 1x32x32). Prints the median of several rounds, images/s and the time by kind of op; --set bench.json=yes
 * gives one object. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "drl/blas.h"
#include "drl/cli.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "drl/model.h"

#define BENCH_OPTIONS(X)                                                                                               \
    X(ENUM, bench, net, "paper", DRL_CHOICES("paper|desk"), "network and image")                                       \
    X(SIZE, bench, batch, "64", DRL_RANGE(1, 4096), "images a step")                                                   \
    X(SIZE, bench, rounds, "5", DRL_RANGE(1, 101), "rounds; the median counts")                                        \
    X(REAL, bench, seconds, "3", DRL_RANGE(0.1, 600), "least time of a round")                                         \
    X(BOOL, bench, json, "no", DRL_ANY, "print one JSON object")
DRL_CONFIG_STRUCT(bench_cfg, BENCH_OPTIONS);
static DRL_CONFIG_TABLE(bench_options, bench_cfg, BENCH_OPTIONS)

    static void network(drl_model_cfg *m, const bench_cfg *b) {
    size_t n;
    const drl_option *options = drl_model_options(&n);
    drl_config_defaults(m, options, n); /* the paper's */
    m->train_batch = b->bench_batch;
    if (b->bench_net == 0) return;
    m->model_encoder_depth = 10;
    m->model_encoder_width = 1;
    m->model_score_mult = (drl_list){3, {1, 2, 2}};
    m->model_score_blocks = 1;
    m->model_score_attention = 8;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds a step, median over rounds. */
static drl_status measure(drl_model *m, const bench_cfg *b, double *seconds, drl_err *err) {
    double round[101], loss;
    drl_status st = drl_model_step(m, &loss, err);
    for (size_t r = 0; st == DRL_OK && r < b->bench_rounds; r++) {
        double start = drl_now();
        size_t steps = 0;
        while (st == DRL_OK && (steps < 2 || drl_now() - start < b->bench_seconds)) {
            st = drl_model_step(m, &loss, err);
            steps++;
        }
        round[r] = (drl_now() - start) / (double)steps;
    }
    if (st != DRL_OK) return st;
    qsort(round, b->bench_rounds, sizeof *round, by_value);
    *seconds = round[b->bench_rounds / 2];
    return st;
}

static void print_op(void *arg, const char *op, double forward, double backward) {
    const double *per = arg; /* 1 / (threads * steps) */
    printf("  %-16s forward %8.3f ms  backward %8.3f ms\n", op, 1e3 * forward * *per, 1e3 * backward * *per);
}

static drl_status run(const drl_cli *cli, const bench_cfg *b, drl_err *err) {
    drl_threads *team = NULL;
    drl_dataset *data = NULL;
    drl_model *m = NULL;
    drl_model_cfg cfg;
    network(&cfg, b);
    drl_dataset_cfg dc = {.name = b->bench_net == 0 ? "synthetic:factors" : "synthetic:shapes-grey", .size = 32};
    double seconds = 0, loss;
    drl_status st = drl_threads_open(&team, cli->threads, err);
    if (st == DRL_OK) st = drl_dataset_open(&data, &dc, err);
    if (st == DRL_OK) st = drl_model_open(&m, &cfg, data, 1, team, err);
    if (st == DRL_OK) st = measure(m, b, &seconds, err);
    if (st != DRL_OK) goto done;
    drl_graph_stats gs = drl_graph_get_stats(m->train);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double gflop = 6e-9 * gs.macs * (double)b->bench_batch, rate = (double)b->bench_batch / seconds;
    const char *net = b->bench_net == 0 ? "paper" : "desk";
    if (b->bench_json) {
        printf("{\"bench\": \"step\", \"net\": \"%s\", \"batch\": %zu, \"threads\": %zu, \"seconds\": %.6f, "
               "\"images_per_second\": %.2f, \"gflop\": %.2f, \"peak_rss_mb\": %.1f, \"kernels\": \"%s\"}\n",
               net, b->bench_batch, drl_threads_count(team), seconds, rate, gflop, (double)usage.ru_maxrss / 1024,
               drl_blas_kernels());
        goto done;
    }
    printf("%s network, batch %zu, %zu threads, OpenBLAS %s: %.1f ms a step, %.1f images/s, %.1f GFLOP a step, "
           "%.1f GFLOP/s, peak memory %.0f MB\n",
           net, b->bench_batch, drl_threads_count(team), drl_blas_kernels(), 1e3 * seconds, rate, gflop,
           gflop / seconds, (double)usage.ru_maxrss / 1024);
    drl_graph_profile(m->train, true);
    size_t steps = 1 + (size_t)(2 / seconds);
    for (size_t i = 0; st == DRL_OK && i < steps; i++) st = drl_model_step(m, &loss, err);
    double per = 1 / (double)(steps * drl_threads_count(team));
    printf("time by op, mean over threads:\n");
    drl_graph_profile_read(m->train, print_op, &per);
done:
    drl_model_close(m);
    drl_dataset_free(data);
    drl_threads_close(team);
    return st;
}

int main(int argc, char **argv) {
    drl_blas_guard(argv);
    drl_cli cli;
    bench_cfg cfg;
    drl_err err = {0};
    size_t n;
    const drl_option *options = bench_options(&n);
    drl_status st = drl_cli_parse(&cli, argc, argv, "Speed of one training step.", options, n, &err);
    if (st == DRL_OK && cli.action != DRL_CLI_RUN) return drl_cli_answer(&cli);
    if (st == DRL_OK) {
        drl_config_defaults(&cfg, options, n);
        for (size_t i = 0; st == DRL_OK && i < cli.n_sets; i++)
            st = drl_config_set(&cfg, options, n, cli.sets[i], &err);
    }
    if (st == DRL_OK) st = run(&cli, &cfg, &err);
    return st == DRL_OK ? EXIT_SUCCESS : drl_cli_report(&cli, &err);
}
