/* The floor of a training step: the graph's convolutions alone, by oneDNN, layer by layer, in plain NHWC.
 *
 * Forward (with bias), data gradient (where the graph asks for it) and weight gradient of every distinct shape are
 * timed on the full batch, with oneDNN's own threads, each several times in a row on the same buffers; the floor is the
 * sum over layers and passes of the medians. Weights are in the format oneDNN likes best, reordered beforehand. Nothing
 * else a step does is in it, so no step built from these convolutions can be faster.
 *
 * A process of its own measures it, forked before any thread is started: no OpenMP thread ever runs in the process that
 * times the step, and its memory is not counted. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include "drl/graph.h"
#include "nn/conv_kernel.h"

enum { FLOOR_FORWARD, FLOOR_DATA, FLOOR_WEIGHT, FLOOR_PASSES };

/* A distinct shape. */
typedef struct bench_floor_layer {
    drl_conv_dims dims;
    size_t count[FLOOR_PASSES];   /* how often the graph has each pass */
    double seconds[FLOOR_PASSES]; /* of one: median over the rounds so far */
    double least[FLOOR_PASSES];   /* the same, least */
} bench_floor_layer;

typedef struct bench_floor bench_floor;

/* "oneDNN 2.6.3", or NULL where the program was built without it: then there is no floor to open. */
const char *bench_floor_library(void);

/* Starts the process. Call before any thread is started and anything is printed. */
drl_status bench_floor_open(bench_floor **out, drl_err *err);
void bench_floor_close(bench_floor *f);

/* Collects the convolutions of a planned graph and sends them over; up to `rounds` rounds will follow. */
drl_status bench_floor_plan(bench_floor *f, const drl_graph *g, size_t threads, size_t rounds, drl_err *err);

/* Measures every layer once more; the other process sleeps afterwards. */
drl_status bench_floor_round(bench_floor *f, drl_err *err);

/* The sum, with the medians over the rounds so far; with the least of them: much less where other programs disturbed
 * the rounds (oneDNN's threads wait for each other by spinning, so it suffers more than the step does). */
double bench_floor_seconds(const bench_floor *f);
double bench_floor_least(const bench_floor *f);
const bench_floor_layer *bench_floor_layers(const bench_floor *f, size_t *n);

/* ---- What the other process does (floor_onednn.c) ---------------------------------------------------------------- */

typedef struct floor_timer floor_timer;
drl_status floor_timer_open(floor_timer **out, const bench_floor_layer *layers, size_t n, size_t batch, size_t threads,
                            drl_err *err);
/* seconds (n, FLOOR_PASSES) = of one execution, median of several; 0 where the graph has no such pass. */
drl_status floor_timer_run(floor_timer *t, double *seconds, drl_err *err);

#endif
