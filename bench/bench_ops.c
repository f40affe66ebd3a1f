/* Speed of the convolution kernels, layer by layer, on one thread: forward, data and weight gradient of a shard of 16
 * images, in GFLOP/s counted as the direct convolution needs them (so that Winograd's may exceed the peak), weights
 * prepared beforehand, beside the sgemm peak of the same run. Processor time, so that a busy machine does not spoil the
 * rates. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "drl/blas.h"
#include "drl/mem.h"
#include "drl/rng.h"
#include "nn/conv_kernel.h"

enum { IMAGES = 16, ROUNDS = 7 };

/* Side, input and output channels, kernel and stride: layers of the paper's networks. */
static const size_t layers[][5] = {{32, 16, 16, 3, 1}, {32, 32, 32, 3, 1}, {32, 48, 16, 3, 1}, {16, 32, 32, 3, 1},
                                   {16, 64, 64, 3, 1}, {8, 32, 32, 3, 1},  {8, 64, 32, 3, 1},  {8, 128, 128, 3, 1},
                                   {4, 32, 32, 3, 1},  {4, 96, 32, 3, 1},  {32, 64, 64, 3, 2}, {16, 128, 128, 3, 2},
                                   {32, 16, 32, 1, 1}, {16, 32, 32, 1, 1}, {8, 64, 32, 1, 1},  {32, 32, 64, 1, 2},
                                   {16, 64, 128, 1, 2}};

typedef struct problem {
    drl_conv_dims d;
    drl_real *x, *y, *w, *kernel[2]; /* kernel: the weights prepared for forward and data gradient */
    drl_arena scratch;
} problem;

/* Passes of a family, in the order of the columns. */
enum { FORWARD, DATA, WEIGHT, PASSES };
static const char pass_names[] = "fwd data wgt";
enum { MAX_FAMILIES = 8 };

static void run_pass(problem *p, const drl_conv_family *f, int pass) {
    const drl_conv_sum sum = {.start = p->w};
    switch (pass) {
    case FORWARD: f->forward(p->y, p->x, p->kernel[0], (drl_real)1e-3, &sum, &p->d, IMAGES, &p->scratch); break;
    case DATA: f->backward_data(p->x, p->y, p->kernel[1], (drl_real)1e-3, false, &p->d, IMAGES, &p->scratch); break;
    default: f->backward_weight(p->w, p->x, p->y, (drl_real)1e-9, &p->d, IMAGES, &p->scratch);
    }
}

static void product(problem *p) {
    drl_gemm(false, false, 512, 512, 512, 1, p->x, 512, p->y, 512, 0, p->w, 512);
}

/* GFLOP/s of a family's pass (family NULL: of the matrix product), median of rounds of at least 20 ms. */
static double rate(problem *p, const drl_conv_family *f, int pass, double gflop) {
    double round[ROUNDS];
    for (int r = -1; r < ROUNDS; r++) { /* one to warm up */
        double start = bench_cpu_seconds();
        int calls = 0;
        for (; bench_cpu_seconds() - start < (r < 0 ? 1e-6 : 0.02); calls++)
            if (f)
                run_pass(p, f, pass);
            else
                product(p);
        if (r < 0) continue;
        round[r] = gflop * calls / (bench_cpu_seconds() - start);
    }
    return bench_median(round, ROUNDS);
}

static drl_real *filled(size_t n, uint32_t stream) {
    drl_real *v;
    drl_err err;
    if (drl_alloc(&v, n, sizeof *v, "bench", &err) != DRL_OK) {
        fprintf(stderr, "bench_ops: %s\n", err.message);
        exit(EXIT_FAILURE);
    }
    drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, stream, 0), 0, v, n);
    return v;
}

/* All rates of one layer; 0 where a family does not apply. */
static drl_status measure(double rates[MAX_FAMILIES][PASSES], const drl_conv_dims *d, drl_err *err) {
    problem p = {.d = *d};
    size_t scratch = 0;
    for (const drl_conv_family *const *f = drl_conv_families; *f; f++)
        if ((*f)->applies(d) && (*f)->scratch(d) > scratch) scratch = (*f)->scratch(d);
    drl_status st = drl_arena_init(&p.scratch, scratch, "bench", err);
    if (st != DRL_OK) return st;
    p.x = filled(IMAGES * d->h * d->w * d->cin, 0);
    p.y = filled(IMAGES * d->ho * d->wo * d->cout, 1);
    p.w = filled(d->k * d->k * d->cin * d->cout, 2);
    double gflop = 2e-9 * (double)(IMAGES * d->ho * d->wo * d->cout) * (double)(d->k * d->k * d->cin);
    for (int f = 0; drl_conv_families[f]; f++) {
        const drl_conv_family *family = drl_conv_families[f];
        bool applies = family->applies(d), prepares = applies && family->prepared(d) > 0;
        for (int k = 0; k < 2; k++) {
            p.kernel[k] = prepares ? filled(family->prepared(d), 3) : p.w;
            if (prepares) family->prepare(p.kernel[k], p.w, k == 1, d, &p.scratch);
        }
        for (int k = 0; k < PASSES; k++) rates[f][k] = applies ? rate(&p, family, k, gflop) : 0;
        for (int k = 0; prepares && k < 2; k++) drl_free(p.kernel[k]);
    }
    drl_arena_free(&p.scratch);
    drl_free(p.x), drl_free(p.y), drl_free(p.w);
    return DRL_OK;
}

static void print_text(const drl_conv_dims *d, double rates[MAX_FAMILIES][PASSES]) {
    printf("%zux%zu s%zu %2zux%-2zu %3zu -> %-3zu ", d->k, d->k, d->stride, d->h, d->w, d->cin, d->cout);
    for (int f = 0; drl_conv_families[f]; f++)
        for (int k = 0; k < PASSES; k++)
            if (rates[f][k] > 0)
                printf(" %6.1f", rates[f][k]);
            else
                printf(" %6s", "-");
    printf("\n");
}

static void print_json(const drl_conv_dims *d, double rates[MAX_FAMILIES][PASSES], bool first) {
    printf("%s{\"kernel\": %zu, \"stride\": %zu, \"side\": %zu, \"in\": %zu, \"out\": %zu", first ? "" : ", ", d->k,
           d->stride, d->h, d->cin, d->cout);
    for (int f = 0; drl_conv_families[f]; f++) {
        printf(", \"%s\": ", drl_conv_families[f]->name);
        for (int k = 0; k < PASSES; k++)
            if (rates[f][k] > 0)
                printf("%s%.1f", k ? ", " : "[", rates[f][k]);
            else
                printf("%snull", k ? ", " : "[");
        printf("]");
    }
    printf("}");
}

static void print_heading(double peak) {
    printf("sgemm 512: %.1f GFLOP/s (OpenBLAS %s)\n%-23s", peak, drl_blas_kernels(), "layer");
    for (int f = 0; drl_conv_families[f]; f++) {
        char title[64];
        snprintf(title, sizeof title, "%s: %s", drl_conv_families[f]->name, pass_names);
        printf(" %20s", title);
    }
    printf("\n");
}

int main(int argc, char **argv) {
    drl_blas_guard(argv);
    bool json = argc == 2 && strcmp(argv[1], "--json") == 0, help = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (argc > 1 && !json) {
        fprintf(help ? stdout : stderr, "usage: bench_ops [--json]\n"
                                        "  --json  one JSON object on standard output\n");
        return help ? 0 : 2;
    }
    problem p = {.x = filled(512 * 512, 0), .y = filled(512 * 512, 1), .w = filled(512 * 512, 2)};
    double peak = rate(&p, NULL, 0, 2e-9 * 512 * 512 * 512);
    drl_free(p.x), drl_free(p.y), drl_free(p.w);
    if (json)
        printf("{\"bench\": \"ops\", \"images\": %d, \"gemm_peak_gflops\": %.1f, \"rows\": [", IMAGES, peak);
    else
        print_heading(peak);
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        const size_t s = layers[i][0], k = layers[i][3], stride = layers[i][4], to = s / stride;
        const drl_conv_dims d = {s, s, layers[i][1], to, to, layers[i][2], k, stride, k == 3};
        double rates[MAX_FAMILIES][PASSES];
        drl_err err;
        if (measure(rates, &d, &err) != DRL_OK) {
            fprintf(stderr, "bench_ops: %s\n", err.message);
            return EXIT_FAILURE;
        }
        if (json)
            print_json(&d, rates, i == 0);
        else
            print_text(&d, rates);
        fflush(stdout);
    }
    if (json) printf("], \"kernels\": \"%s\"}\n", bench_kernels());
    return EXIT_SUCCESS;
}
