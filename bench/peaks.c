/* Peaks of arithmetic and memory (peaks.h). */
#define _DEFAULT_SOURCE /* _SC_LEVEL3_CACHE_SIZE */
#include "peaks.h"

#include <unistd.h>

#include "drl/log.h"
#include "drl/mem.h"
#include "nn/vector.h"

/* Chains of dependent multiply-adds: more than latency times units of any processor so far (4 x 2), and few enough
 * for 16 registers. */
enum { CHAINS = 12, FMA_STEPS = 1 << 22, TRIES = 6 };

static void multiply_add(void *arg, size_t member) {
    drl_real *sum = arg;
    vec acc[CHAINS], a, b;
    for (int c = 0; c < CHAINS; c++) acc[c] = (vec){0} + (drl_real)c; /* equal chains would become one */
    for (int l = 0; l < V; l++) {
        a[l] = (drl_real)0.999 - (drl_real)1e-4 * (drl_real)l;
        b[l] = (drl_real)(member + 1);
    }
    for (size_t i = 0; i < FMA_STEPS; i++)
        for (int c = 0; c < CHAINS; c++) acc[c] = acc[c] * a + b;
    drl_real total = 0;
    for (int c = 0; c < CHAINS; c++)
        for (int l = 0; l < V; l++) total += acc[c][l];
    sum[member * DRL_ALIGN / sizeof(drl_real)] = total; /* so that the sums are needed; a cache line each */
}

static void scale(void *arg, size_t member) {
    const bench_peaks *p = arg;
    size_t members = drl_threads_count(p->team);
    drl_real *restrict y = p->y;
    const drl_real *restrict x = p->x;
    for (size_t i = member * p->n / members, to = (member + 1) * p->n / members; i < to; i++)
        y[i] = (drl_real)0.5 * x[i];
}

drl_status bench_peaks_open(bench_peaks *p, drl_threads *team, drl_err *err) {
    *p = (bench_peaks){.team = team};
    long cache = -1;
#ifdef _SC_LEVEL3_CACHE_SIZE
    cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
    const size_t least = (size_t)128 << 20, most = (size_t)2 << 30;
    size_t bytes = cache > 0 ? 2 * (size_t)cache : 0;
    bytes = bytes < least ? least : bytes > most ? most : bytes;
    p->n = bytes / (2 * sizeof(drl_real));
    drl_status st = drl_alloc(&p->x, p->n, sizeof *p->x, "memory peak", err);
    return st == DRL_OK ? drl_alloc(&p->y, p->n, sizeof *p->y, "memory peak", err) : st;
}

void bench_peaks_close(bench_peaks *p) {
    drl_free(p->x);
    drl_free(p->y);
}

/* Seconds of the team's best of a few tries. */
static double best(bench_peaks *p, void (*fn)(void *arg, size_t member), void *arg) {
    double least = INFINITY;
    for (int i = 0; i <= TRIES; i++) {
        double start = drl_now();
        drl_threads_run(p->team, fn, arg);
        if (i > 0) least = fmin(least, drl_now() - start); /* the first one warms up */
    }
    return least;
}

void bench_peaks_measure(bench_peaks *p) {
    double operations = 2.0 * CHAINS * V * FMA_STEPS * (double)drl_threads_count(p->team);
    p->fma_gflops = fmax(p->fma_gflops, 1e-9 * operations / best(p, multiply_add, p->y));
    p->memory_gbs = fmax(p->memory_gbs, 2e-9 * (double)(p->n * sizeof(drl_real)) / best(p, scale, p));
}
