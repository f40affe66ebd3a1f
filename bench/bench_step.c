/* Speed of one full training step: batch assembly, noise, forward, backward, clipping, Adam, moving average.
 *
 * Rounds of steps alternate with rounds of the floor, oneDNN's convolutions of the same graph alone (floor.h), and with
 * the machine's peaks (peaks.h): all numbers are of one run. Afterwards the time by kind of op, against the peaks. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "drl/mem.h"
#include "floor.h"
#include "peaks.h"

#define BENCH_OPTIONS(X)                                                                                               \
    X(ENUM, bench, net, "paper", DRL_CHOICES(BENCH_NETS), "network and image")                                         \
    X(SIZE, bench, batch, "64", DRL_RANGE(1, 4096), "images a step")                                                   \
    X(SIZE, bench, rounds, "5", DRL_RANGE(1, BENCH_MAX_ROUNDS), "rounds; the median counts")                           \
    X(REAL, bench, seconds, "3", DRL_RANGE(0.1, 600), "least time of a round")                                         \
    X(BOOL, bench, floor, "yes", DRL_ANY, "measure oneDNN's convolutions too (needs libdnnl-dev when built)")          \
    X(BOOL, bench, layers, "no", DRL_ANY, "print the time of every node")                                              \
    X(BOOL, bench, json, "no", DRL_ANY, "print one JSON object")
DRL_CONFIG_STRUCT(bench_cfg, BENCH_OPTIONS);
static DRL_CONFIG_TABLE(bench_options, bench_cfg, BENCH_OPTIONS);

static drl_status step(void *arg, drl_err *err) {
    double loss;
    return drl_model_step(arg, &loss, err);
}

/* ---- Time by op -------------------------------------------------------------------------------------------------- */

/* What is added over the nodes of one kind, or over the convolutions of one shape. */
typedef struct cost {
    char label[48];
    double ms[2], gflop[2], gb[2]; /* forward, backward; of a step, threads side by side */
} cost;

enum { MAX_KINDS = 64 };
typedef struct profile {
    double per_step, batch; /* 1 / (threads * steps) */
    const bench_floor_layer *layers;
    size_t n_layers;
    double (*layer_ms)[2]; /* (n_layers): ours */
    bool nodes;            /* print every node */
    cost kinds[MAX_KINDS];
    size_t n_kinds;
} profile;

static void print_cost(const cost *c, const char *more) {
    printf("  %-16s", c->label);
    for (int b = 0; b < 2; b++)
        if (c->ms[b] > 0)
            printf(" %9.3f %7.1f %7.1f  ", c->ms[b], 1e3 * c->gflop[b] / c->ms[b], 1e3 * c->gb[b] / c->ms[b]);
        else
            printf(" %9s %7s %7s  ", "-", "-", "-");
    printf("%s\n", more);
}

static void print_heading(const char *what) {
    printf("  %-16s %9s %7s %7s   %9s %7s %7s\n", what, "forward", "GFLOP/s", "GB/s", "backward", "GFLOP/s", "GB/s");
}

static bool same_shape(const drl_conv_dims *d, const drl_profile_entry *e) {
    return d->k == e->kernel && d->stride == e->stride && d->h == e->x.h && d->w == e->x.w && d->cin == e->x.c &&
           d->ho == e->y.h && d->wo == e->y.w && d->cout == e->y.c;
}

/* drl_profile_fn: one node. The backward pass of a node that multiplies counts as twice its forward pass. */
static void add_node(void *arg, const drl_profile_entry *e) {
    profile *p = arg;
    bool back = e->backward_bytes > 0;
    cost c = {.ms = {1e3 * e->forward_seconds * p->per_step, 1e3 * e->backward_seconds * p->per_step},
              .gflop = {2e-9 * e->macs * p->batch, back ? 4e-9 * e->macs * p->batch : 0},
              .gb = {1e-9 * e->forward_bytes * p->batch, 1e-9 * e->backward_bytes * p->batch}};
    snprintf(c.label, sizeof c.label, "%s", e->op);
    if (e->kernel) snprintf(c.label, sizeof c.label, "%s %zux%zu s%zu", e->op, e->kernel, e->kernel, e->stride);
    if (p->nodes) {
        char more[256];
        snprintf(more, sizeof more, "%zux%zux%zu -> %zux%zux%zu %s", e->x.h, e->x.w, e->x.c, e->y.h, e->y.w, e->y.c,
                 e->name);
        print_cost(&c, more);
    }
    size_t k = 0;
    while (k < p->n_kinds && strcmp(p->kinds[k].label, c.label) != 0) k++;
    if (k == MAX_KINDS) return;
    if (k == p->n_kinds) memcpy(p->kinds[p->n_kinds++].label, c.label, sizeof c.label);
    for (int b = 0; b < 2; b++) {
        p->kinds[k].ms[b] += c.ms[b];
        p->kinds[k].gflop[b] += c.gflop[b];
        p->kinds[k].gb[b] += c.gb[b];
        for (size_t i = 0; i < p->n_layers; i++)
            if (same_shape(&p->layers[i].dims, e)) p->layer_ms[i][b] += c.ms[b];
    }
}

/* Both sides of every distinct convolution: milliseconds of a step, of all layers of that shape together. */
static void print_floor(const profile *p) {
    printf("convolutions, ms a step: oneDNN's forward, data and weight gradient; our forward and backward\n"
           "  %-34s %5s %8s %8s %8s   %8s %8s\n",
           "shape", "times", "forward", "data", "weight", "forward", "backward");
    double sum[FLOOR_PASSES + 2] = {0};
    for (size_t i = 0; i < p->n_layers; i++) {
        const bench_floor_layer *l = &p->layers[i];
        const drl_conv_dims *d = &l->dims;
        char shape[96];
        snprintf(shape, sizeof shape, "%zux%zu s%zu %zux%zux%zu -> %zux%zux%zu", d->k, d->k, d->stride, d->h, d->w,
                 d->cin, d->ho, d->wo, d->cout);
        double ms[FLOOR_PASSES + 2];
        for (int k = 0; k < FLOOR_PASSES; k++) ms[k] = 1e3 * (double)l->count[k] * l->seconds[k];
        for (int b = 0; b < 2; b++) ms[FLOOR_PASSES + b] = p->layer_ms[i][b];
        for (int k = 0; k < FLOOR_PASSES + 2; k++) sum[k] += ms[k];
        printf("  %-34s %5zu %8.3f %8.3f %8.3f   %8.3f %8.3f\n", shape, l->count[FLOOR_FORWARD], ms[0], ms[1], ms[2],
               ms[3], ms[4]);
    }
    printf("  %-34s %5s %8.3f %8.3f %8.3f   %8.3f %8.3f\n", "all", "", sum[0], sum[1], sum[2], sum[3], sum[4]);
}

/* Runs a few profiled steps and prints where their time went. */
static drl_status print_profile(drl_model *m, const bench_cfg *b, const bench_floor *floor, double seconds,
                                drl_err *err) {
    const size_t threads = drl_threads_count(m->team), steps = 1 + (size_t)(b->bench_seconds / seconds);
    profile p = {.per_step = 1 / (double)(steps * threads), .batch = (double)b->bench_batch, .nodes = b->bench_layers};
    if (floor) p.layers = bench_floor_layers(floor, &p.n_layers);
    drl_status st = drl_alloc(&p.layer_ms, p.n_layers, sizeof *p.layer_ms, "layers", err);
    drl_graph_profile(m->train, true);
    for (size_t i = 0; st == DRL_OK && i < steps; i++) st = step(m, err);
    if (st != DRL_OK) return st;
    if (b->bench_layers) {
        printf("ms by node, mean over threads\n");
        print_heading("node");
    }
    drl_graph_profile_read(m->train, add_node, &p);
    printf("ms by kind of op, mean over threads; rates of all threads together\n");
    print_heading("op");
    for (size_t k = 0; k < p.n_kinds; k++) print_cost(&p.kinds[k], "");
    if (floor) print_floor(&p);
    drl_free(p.layer_ms);
    return DRL_OK;
}

/* ---- The run ----------------------------------------------------------------------------------------------------- */

typedef struct measurement {
    bench_result result;
    double gflop;
    bench_peaks peaks;
    bench_floor *floor; /* NULL: none */
} measurement;

static drl_status measure(measurement *r, drl_model *m, const bench_cfg *b, drl_err *err) {
    double round[BENCH_MAX_ROUNDS];
    drl_status st = step(m, err);
    r->result.peak_rss_mb = bench_peak_rss_mb(); /* of the step alone: nothing else has been allocated yet */
    if (st == DRL_OK) st = bench_peaks_open(&r->peaks, m->team, err);
    if (st == DRL_OK && r->floor)
        st = bench_floor_plan(r->floor, m->train, drl_threads_count(m->team), b->bench_rounds, err);
    for (size_t i = 0; st == DRL_OK && i < b->bench_rounds; i++) {
        if (r->floor) st = bench_floor_round(r->floor, err);
        bench_peaks_measure(&r->peaks);
        if (st == DRL_OK) st = bench_round(&round[i], step, m, b->bench_seconds, err);
    }
    if (st == DRL_OK) r->result.seconds = bench_median(round, b->bench_rounds);
    return st;
}

static void print_json(const measurement *r) {
    char floor[32] = "null", more[256];
    if (r->floor) snprintf(floor, sizeof floor, "%.6f", bench_floor_seconds(r->floor));
    snprintf(more, sizeof more, "\"gflop\": %.2f, \"floor_seconds\": %s, \"fma_gflops\": %.1f, \"memory_gbs\": %.1f, ",
             r->gflop, floor, r->peaks.fma_gflops, r->peaks.memory_gbs);
    bench_print_json(&r->result, more);
}

static void print_text(const measurement *r, bool floor_wanted) {
    double seconds = r->result.seconds;
    printf("%s network, batch %zu, %zu threads, %s: %.1f ms a step, %.1f images/s, %.1f GFLOP a step, "
           "%.1f GFLOP/s, peak memory %.0f MB\n",
           r->result.net, r->result.batch, r->result.threads, bench_kernels(), 1e3 * seconds,
           (double)r->result.batch / seconds, r->gflop, r->gflop / seconds, r->result.peak_rss_mb);
    if (r->floor)
        printf("floor, %s's convolutions alone: %.1f ms (at best %.1f ms); the step takes %.2f times as long\n",
               bench_floor_library(), 1e3 * bench_floor_seconds(r->floor), 1e3 * bench_floor_least(r->floor),
               seconds / bench_floor_seconds(r->floor));
    else if (floor_wanted)
        printf("floor: no oneDNN here (apt-get install libdnnl-dev, then configure and build again)\n");
    printf("peaks: %.1f GFLOP/s of multiply-adds, %.1f GB/s of memory\n", r->peaks.fma_gflops, r->peaks.memory_gbs);
}

static drl_status run(const drl_cli *cli, const void *cfg, drl_err *err) {
    const bench_cfg *b = cfg;
    drl_threads *team = NULL;
    drl_dataset *data = NULL;
    drl_model *m = NULL;
    drl_model_cfg mc;
    measurement r = {0};
    drl_status st = DRL_OK;
    if (b->bench_floor && bench_floor_library()) st = bench_floor_open(&r.floor, err); /* before any thread */
    if (st == DRL_OK) st = drl_threads_open(&team, cli->threads, err);
    if (st == DRL_OK) st = bench_net_open(b->bench_net, b->bench_batch, &mc, &data, err);
    if (st == DRL_OK) st = drl_model_open(&m, &mc, data, 1, team, err);
    if (st == DRL_OK) {
        r.result = (bench_result){"step", bench_net_name(b->bench_net), b->bench_batch, drl_threads_count(team), 0, 0};
        r.gflop = 6e-9 * drl_graph_get_stats(m->train).macs * (double)b->bench_batch;
        st = measure(&r, m, b, err);
    }
    if (st == DRL_OK && b->bench_json) print_json(&r);
    if (st == DRL_OK && !b->bench_json) {
        print_text(&r, b->bench_floor);
        st = print_profile(m, b, r.floor, r.result.seconds, err);
    }
    bench_peaks_close(&r.peaks);
    drl_model_close(m);
    drl_dataset_free(data);
    drl_threads_close(team);
    bench_floor_close(r.floor);
    return st;
}

int main(int argc, char **argv) {
    bench_cfg cfg;
    size_t n;
    const drl_option *options = bench_options(&n);
    return bench_main(argc, argv,
                      "Speed of one training step, beside its floor and the machine's peaks.\n"
                      "apt-get install libdnnl-dev python3-torch for the floor and the peer.",
                      options, n, &cfg, run);
}
