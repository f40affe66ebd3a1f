/* Speed of the 3x3 convolution kernels, layer by layer, on one thread: forward, data and weight gradient of a shard of
 * 16 images, in GFLOP/s counted as the direct convolution needs them (so that Winograd's may exceed the peak), beside
 * the sgemm peak of the same run. Processor time, so that a busy machine does not spoil the rates. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "drl/blas.h"
#include "drl/mem.h"
#include "drl/rng.h"
#include "nn/conv_kernel.h"

enum { IMAGES = 16, ROUNDS = 7 };

/* Side, input and output channels: the layers of the paper's networks. */
static const size_t layers[][3] = {{32, 16, 16}, {32, 32, 32}, {32, 48, 16},  {16, 32, 32}, {16, 64, 64},
                                   {8, 32, 32},  {8, 64, 32},  {8, 128, 128}, {4, 32, 32},  {4, 96, 32}};

typedef struct problem {
    drl_conv_dims d;
    drl_real *x, *y, *w;
    drl_arena scratch;
} problem;

typedef void (*pass_fn)(problem *p);
#define PASSES(family)                                                                                                 \
    static void family##_f(problem *p) {                                                                               \
        drl_conv_sum sum = {.start = p->w};                                                                            \
        drl_conv_##family.forward(p->y, p->x, p->w, (drl_real)1e-3, &sum, &p->d, IMAGES, &p->scratch);                 \
    }                                                                                                                  \
    static void family##_d(problem *p) {                                                                               \
        drl_conv_##family.backward_data(p->x, p->y, p->w, (drl_real)1e-3, false, &p->d, IMAGES, &p->scratch);          \
    }                                                                                                                  \
    static void family##_w(problem *p) {                                                                               \
        drl_conv_##family.backward_weight(p->w, p->x, p->y, (drl_real)1e-9, &p->d, IMAGES, &p->scratch);               \
    }
PASSES(gemm)
PASSES(direct)
PASSES(winograd2)
PASSES(winograd4)

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* GFLOP/s of a pass, median of rounds of at least 20 ms. */
static double rate(problem *p, pass_fn pass, double gflop) {
    double round[ROUNDS];
    pass(p);
    for (int r = 0; r < ROUNDS; r++) {
        double start = cpu_seconds();
        int calls = 0;
        for (; cpu_seconds() - start < 0.02; calls++) pass(p);
        round[r] = gflop * calls / (cpu_seconds() - start);
    }
    qsort(round, ROUNDS, sizeof *round, by_value);
    return round[ROUNDS / 2];
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

static void product(problem *p) {
    drl_gemm(false, false, 512, 512, 512, 1, p->x, 512, p->y, 512, 0, p->w, 512);
}

int main(int argc, char **argv) {
    drl_blas_guard(argv);
    if (argc > 1) {
        fprintf(stderr, "bench_ops: takes no arguments, got '%s'\n", argv[1]);
        return 2;
    }
    static const pass_fn passes[12] = {gemm_f,      gemm_d,      gemm_w,      direct_f,    direct_d,    direct_w,
                                       winograd2_f, winograd2_d, winograd2_w, winograd4_f, winograd4_d, winograd4_w};
    problem p = {.x = filled(512 * 512, 0), .y = filled(512 * 512, 1), .w = filled(512 * 512, 2)};
    printf("sgemm 512: %.1f GFLOP/s (OpenBLAS %s)\n", rate(&p, product, 2e-9 * 512 * 512 * 512), drl_blas_kernels());
    drl_free(p.x), drl_free(p.y), drl_free(p.w);
    printf("%-18s %20s %20s %20s %20s\n", "3x3 layer", "gemm: fwd data wgt", "direct", "winograd2", "winograd4");
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        size_t s = layers[i][0], in = layers[i][1], out = layers[i][2];
        p = (problem){.d = {s, s, in, s, s, out, 3, 1, 1}};
        p.x = filled(IMAGES * s * s * in, 0), p.y = filled(IMAGES * s * s * out, 1), p.w = filled(9 * in * out, 2);
        size_t scratch = 0;
        for (const drl_conv_family *const *f = drl_conv_families; *f; f++)
            scratch = (*f)->scratch(&p.d) > scratch ? (*f)->scratch(&p.d) : scratch;
        if (drl_arena_init(&p.scratch, scratch, "bench", NULL) != DRL_OK) return EXIT_FAILURE;
        printf("%2zux%-2zu %3zu -> %-3zu  ", s, s, in, out);
        for (int k = 0; k < 12; k++)
            printf(" %6.1f", rate(&p, passes[k], 18e-9 * (double)(IMAGES * s * s) * (double)(in * out)));
        printf("\n");
        drl_arena_free(&p.scratch);
        drl_free(p.x), drl_free(p.y), drl_free(p.w);
    }
    return EXIT_SUCCESS;
}
