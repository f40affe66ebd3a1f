/* Speed of the published MLP probe against plain matrix products.                          [science.md, section 5, R1]
 *
 * One fit (45 000 training and 5 000 validation codes, 512 hidden units, 10 classes, batch 256) runs for a few epochs
 * on one thread. Its rate counts the floating-point operations of its matrix products only; the peak is that of a
 * product of 1024 x 1024 matrices, the best of a few in the same run. All times are processor time of the one thread,
 * so waiting for other programs does not count; what they take of caches and of a shared core does. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drl/blas.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "drl/probe.h"
#include "drl/rng.h"

#define TRAIN   45000
#define VAL     5000
#define TEST    10000
#define CLASSES 10
#define PEAK_N  1024

typedef struct measurement {
    size_t d, threads;
    double epoch_seconds, gflops, peak_gflops, protocol_seconds;
} measurement;

/* Processor time of this thread. */
static double cpu_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* Normal codes; the label is a function of the first four signs, so that there is something to learn. */
static void draw_codes(drl_real *x, int32_t *y, size_t n, size_t d, uint32_t sub) {
    drl_rng_normal(drl_rng_stream(7, DRL_RNG_TEST, sub, 0), 0, x, n * d);
    for (size_t i = 0; i < n; i++) {
        int32_t bits = 0;
        for (size_t j = 0; j < 4; j++) bits = 2 * bits + (x[i * d + j] > 0);
        y[i] = bits % CLASSES;
    }
}

/* GFLOP/s of a square product, the best of a few. a holds two factors and the product. */
static double gemm_peak(drl_real *a) {
    size_t size = (size_t)PEAK_N * PEAK_N;
    double best = 0;
    for (int repeat = 0; repeat < 8; repeat++) {
        double start = cpu_now();
        drl_gemm(false, false, PEAK_N, PEAK_N, PEAK_N, 1, a, PEAK_N, a + size, PEAK_N, 0, a + 2 * size, PEAK_N);
        double rate = 2e-9 * PEAK_N * (double)size / (cpu_now() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

/* Operations of one epoch: forward and weight gradients of both layers, data gradient of the second; validation
 * forward. */
static double epoch_gflop(size_t d, size_t hidden) {
    double first = 2.0 * (double)d * (double)hidden, second = 2.0 * (double)hidden * CLASSES;
    return 1e-9 * (TRAIN * (2 * first + 3 * second) + VAL * (first + second));
}

/* Seconds of a fit of so many epochs, less the fixed part, which the shortest fit shows. */
static drl_status time_fits(measurement *m, const drl_mlp_job *job, drl_real *peak, size_t epochs, drl_err *err) {
    drl_threads *team;
    drl_status st = drl_threads_open(&team, 1, err);
    if (st != DRL_OK) return st;
    double seconds[2] = {0, 0};
    drl_mlp_cfg cfg = drl_mlp_published();
    for (int part = 0; part < 2 && st == DRL_OK; part++) {
        drl_probe_result result;
        cfg.rates = 1;
        cfg.epochs = part == 0 ? 1 : 1 + epochs;
        double rate = gemm_peak(peak), start = cpu_now();
        st = drl_probe_mlp(&result, job, 1, &cfg, team, err);
        seconds[part] = cpu_now() - start;
        m->peak_gflops = rate > m->peak_gflops ? rate : m->peak_gflops;
    }
    m->epoch_seconds = (seconds[1] - seconds[0]) / (double)epochs;
    m->gflops = epoch_gflop(m->d, cfg.hidden) / m->epoch_seconds;
    drl_threads_close(team);
    return st;
}

static drl_status measure(measurement *m, size_t epochs, drl_err *err) {
    const size_t n = TRAIN + VAL + TEST;
    drl_real *x = NULL, *peak = NULL;
    int32_t *y = NULL;
    drl_status st = drl_alloc(&x, n * m->d, sizeof *x, "codes", err);
    if (st == DRL_OK) st = drl_alloc(&y, n, sizeof *y, "labels", err);
    if (st == DRL_OK) st = drl_alloc(&peak, (size_t)3 * PEAK_N * PEAK_N, sizeof *peak, "matrices", err);
    if (st == DRL_OK) {
        draw_codes(x, y, n, m->d, (uint32_t)m->d);
        drl_rng_uniform(drl_rng_stream(7, DRL_RNG_TEST, 0, 1), 0, peak, (size_t)2 * PEAK_N * PEAK_N);
        drl_mlp_job job = {.train = {TRAIN, m->d, CLASSES, x, y}, .seed = 1};
        job.val = (drl_codes){VAL, m->d, CLASSES, x + TRAIN * m->d, y + TRAIN};
        job.test = (drl_codes){TEST, m->d, CLASSES, x + (TRAIN + VAL) * m->d, y + TRAIN + VAL};
        st = time_fits(m, &job, peak, epochs, err);
    }
    drl_free(peak);
    drl_free(y);
    drl_free(x);
    /* 11 times, 3 seeds and every rate are independent fits: they fill all processors. */
    drl_mlp_cfg cfg = drl_mlp_published();
    m->threads = drl_threads_available();
    m->protocol_seconds = m->epoch_seconds * (double)(11 * 3 * cfg.rates * cfg.epochs) / (double)m->threads;
    return st;
}

static void print_text(const measurement *m) {
    char whole[32];
    drl_format_duration(whole, sizeof whole, m->protocol_seconds);
    printf(
        "d %3zu: %.1f ms an epoch, %.1f GFLOP/s of %.1f (ratio %.2f); 11 times x 3 seeds x 6 rates x 100 epochs on %zu "
        "threads: %s\n",
        m->d, 1e3 * m->epoch_seconds, m->gflops, m->peak_gflops, m->gflops / m->peak_gflops, m->threads, whole);
}

static void print_json(const measurement *m, size_t n) {
    printf("{\"bench\": \"probe\", \"kernels\": \"%s\", \"rows\": [", drl_blas_kernels());
    for (size_t i = 0; i < n; i++)
        printf("%s{\"d\": %zu, \"epoch_seconds\": %.6g, \"gflops\": %.6g, \"gemm_peak_gflops\": %.6g, \"ratio\": %.4g, "
               "\"threads\": %zu, \"protocol_seconds\": %.6g}",
               i ? ", " : "", m[i].d, m[i].epoch_seconds, m[i].gflops, m[i].peak_gflops, m[i].gflops / m[i].peak_gflops,
               m[i].threads, m[i].protocol_seconds);
    printf("]}\n");
}

static int usage(FILE *to, int status) {
    fprintf(to, "usage: bench_probe [--json] [--epochs N]\n"
                "  --json      one JSON object on standard output\n"
                "  --epochs N  epochs to time, 1 to 100 (3)\n");
    return status;
}

int main(int argc, char **argv) {
    drl_blas_guard(argv);
    bool json = false;
    size_t epochs = 3;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) return usage(stdout, 0);
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--epochs") == 0 && i + 1 < argc) {
            char *end;
            long n = strtol(argv[++i], &end, 10);
            if (*end || end == argv[i] || n < 1 || n > 100) return usage(stderr, 2);
            epochs = (size_t)n;
        } else {
            return usage(stderr, 2);
        }
    }
    measurement rows[] = {{.d = 64}, {.d = 128}};
    const size_t n = sizeof rows / sizeof *rows;
    for (size_t i = 0; i < n; i++) {
        drl_err err;
        if (measure(&rows[i], epochs, &err) != DRL_OK) {
            fprintf(stderr, "bench_probe: %s\n", err.message);
            return 1;
        }
        if (!json) print_text(&rows[i]);
    }
    if (json) print_json(rows, n);
    return 0;
}
