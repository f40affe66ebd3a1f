/* What the benchmarks share: networks, timed rounds, peak memory, the JSON line, the command line. */
#ifndef BENCH_H
#define BENCH_H

#include "drl/cli.h"
#include "drl/data.h"
#include "drl/model.h"

/* `paper`: WRN-28-2 encoder, score network 16 x (1,2,2,2), on 3x32x32; `grey`: the same on 1x32x32; `desk`: WRN-10-1
 * and 16 x (1,2,2), on 1x32x32. The order of the choices is that of the functions' `net`. */
#define BENCH_NETS       "paper|grey|desk"
#define BENCH_MAX_ROUNDS 101
const char *bench_net_name(int net);

/* *cfg = the network's configuration with this training batch; *data = synthetic images of its shape, to be freed. */
drl_status bench_net_open(int net, size_t batch, drl_model_cfg *cfg, drl_dataset **data, drl_err *err);

/* Seconds a call: one call to warm up, then at least two, for at least so many seconds. A call that allocates fails:
 * what is timed plans first. */
typedef drl_status (*bench_fn)(void *arg, drl_err *err);
drl_status bench_round(double *seconds, bench_fn fn, void *arg, double least_seconds, drl_err *err);

/* Processor time of this thread so far, in seconds: what a busy machine spoils least. */
double bench_cpu_seconds(void);

/* Sorts v (n > 0) and returns its middle element. */
double bench_median(double *v, size_t n);

/* Most memory this process has held resident so far, in MB. */
double bench_peak_rss_mb(void);

/* One result. The JSON object has these members, images_per_second, the kernels in use, and `more`: further members as
 * JSON text, each followed by ", ". */
typedef struct bench_result {
    const char *bench, *net;
    size_t batch, threads;
    double seconds, peak_rss_mb;
} bench_result;
void bench_print_json(const bench_result *r, const char *more);

/* The kernels in use: "winograd, vectors of 64 bytes, OpenBLAS SkylakeX". */
const char *bench_kernels(void);

/* main() of a benchmark: reads the options of the command line into cfg and calls run. Returns the exit status. */
typedef drl_status (*bench_run_fn)(const drl_cli *cli, const void *cfg, drl_err *err);
int bench_main(int argc, char **argv, const char *summary, const drl_option *options, size_t n, void *cfg,
               bench_run_fn run);

#endif
