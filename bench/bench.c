/* What the benchmarks share (bench.h). */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "drl/blas.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "nn/conv_kernel.h"

/* ---- Networks ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *dataset;
    bool small;
} nets[] = {{"paper", "synthetic:factors", false},
            {"grey", "synthetic:shapes-grey", false},
            {"desk", "synthetic:shapes-grey", true}};

const char *bench_net_name(int net) {
    return nets[net].name;
}

drl_status bench_net_open(int net, size_t batch, drl_model_cfg *cfg, drl_dataset **data, drl_err *err) {
    size_t n;
    const drl_option *options = drl_model_options(&n);
    drl_config_defaults(cfg, options, n); /* the paper's */
    cfg->train_batch = batch;
    if (nets[net].small) {
        cfg->model_encoder_depth = 10;
        cfg->model_encoder_width = 1;
        cfg->model_score_mult = (drl_list){3, {1, 2, 2}};
        cfg->model_score_blocks = 1;
        cfg->model_score_attention = 8;
    }
    drl_dataset_cfg dc = {.name = nets[net].dataset, .size = cfg->data_size};
    return drl_dataset_open(data, &dc, err);
}

/* ---- Measuring --------------------------------------------------------------------------------------------------- */

drl_status bench_round(double *seconds, bench_fn fn, void *arg, double least_seconds, drl_err *err) {
    drl_status st = fn(arg, err);
    size_t calls = 0, allocations = drl_mem_get_stats().calls;
    double start = drl_now();
    while (st == DRL_OK && (calls < 2 || drl_now() - start < least_seconds)) {
        st = fn(arg, err);
        calls++;
    }
    *seconds = (drl_now() - start) / (double)(calls ? calls : 1);
    allocations = drl_mem_get_stats().calls - allocations;
    if (st == DRL_OK && allocations > 0)
        return drl_fail(err, DRL_ERR_MEMORY, "%zu allocations in %zu calls that should make none", allocations, calls);
    return st;
}

double bench_cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *v, size_t n) {
    qsort(v, n, sizeof *v, by_value);
    return v[n / 2];
}

/* Linux counts it for the program; ru_maxrss includes what the caller held before it started this one. */
double bench_peak_rss_mb(void) {
    double kib = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0) kib = strtod(line + 6, NULL);
    if (f) fclose(f);
    if (kib > 0) return kib / 1024;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

/* ---- Printing and the command line ------------------------------------------------------------------------------- */

const char *bench_kernels(void) {
    const char *text;
    return drl_conv_describe(&text, NULL) == DRL_OK ? text : "?";
}

void bench_print_json(const bench_result *r, const char *more) {
    printf("{\"bench\": \"%s\", \"net\": \"%s\", \"batch\": %zu, \"threads\": %zu, \"seconds\": %.6f, "
           "\"images_per_second\": %.2f, %s\"peak_rss_mb\": %.1f, \"kernels\": \"%s\"}\n",
           r->bench, r->net, r->batch, r->threads, r->seconds, (double)r->batch / r->seconds, more, r->peak_rss_mb,
           bench_kernels());
}

int bench_main(int argc, char **argv, const char *summary, const drl_option *options, size_t n, void *cfg,
               bench_run_fn run) {
    drl_blas_guard(argv);
    drl_cli cli;
    drl_err err = {0};
    drl_status st = drl_cli_parse(&cli, argc, argv, summary, options, n, &err);
    if (st == DRL_OK && cli.action != DRL_CLI_RUN) return drl_cli_answer(&cli);
    if (st == DRL_OK) drl_config_defaults(cfg, options, n);
    for (size_t i = 0; st == DRL_OK && i < cli.n_sets; i++) st = drl_config_set(cfg, options, n, cli.sets[i], &err);
    if (st == DRL_OK) st = run(&cli, cfg, &err);
    return st == DRL_OK ? EXIT_SUCCESS : drl_cli_report(&cli, &err);
}
