/* What the machine could do at best, measured in the same run on the same threads. */
#ifndef BENCH_PEAKS_H
#define BENCH_PEAKS_H

#include "drl/real.h"
#include "drl/threads.h"

typedef struct bench_peaks {
    double fma_gflops; /* fused multiply-adds on registers, two operations each, in the widest vectors compiled for  */
    double memory_gbs; /* y = a x over a buffer larger than the last-level cache; bytes read and bytes written       */
    drl_threads *team;
    size_t n; /* numbers in x and in y */
    drl_real *x, *y;
} bench_peaks;

/* Allocates the buffer: twice the last-level cache, 128 MB to 2 GB. The team is lent. */
drl_status bench_peaks_open(bench_peaks *p, drl_threads *team, drl_err *err);
void bench_peaks_close(bench_peaks *p);

/* Measures both for about a quarter of a second; keeps the best so far. */
void bench_peaks_measure(bench_peaks *p);

#endif
