/* Speed of the published MLP probe against plain matrix products.                          [science.md, section 5, R1]
 *
 * One job a thread (45 000 training and 5 000 validation codes, 512 hidden units, 10 classes, batch 256, all six rates)
 * runs for a few epochs through drl_probe_mlp, side by side on all threads, as the protocol's 33 jobs do. The time of
 * the epochs is that of the run less that of a run of one epoch. Rates count the floating-point operations of the
 * probe's matrix products only; the peak is that of products of 1024 x 1024 matrices on as many threads, the best of a
 * few before each run.
 *
 *   epoch_seconds          wall time over the number of fit-epochs (one rate of one job for one epoch) made in it, by
 * all threads together: a single fit takes threads times as long fit_epochs_per_second  its inverse protocol_seconds
 * epoch_seconds x 6 rates x 11 times x 3 seeds x 100 epochs cpu_seconds            processor time of a fit-epoch, and
 * cpu_ratio, the rate by it over the peak by processor time: what other programs take of the processors does not count,
 * only what they take of caches */
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
#define CLASSES 10
#define PEAK_N  1024
#define SETS    4 /* of codes: more jobs share them */

typedef struct measurement {
    size_t d, threads;
    double epoch_seconds, gflops, peak_gflops; /* by wall time, all threads */
    double cpu_seconds, cpu_ratio;
    double protocol_seconds;
} measurement;

typedef struct moment {
    double wall, cpu;
} moment;

/* Wall time and processor time of all threads. */
static moment now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (moment){drl_now(), (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec};
}

static moment since(moment start) {
    moment end = now();
    return (moment){end.wall - start.wall, end.cpu - start.cpu};
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

/* Square products, one to a thread: each thread has two factors and room for the product. */
typedef struct peak {
    drl_real *matrices;
    double gflops, cpu_gflops; /* best of all so far: all threads by wall time; one by its processor time */
} peak;

static void multiply(void *arg, size_t member) {
    const size_t size = (size_t)PEAK_N * PEAK_N;
    drl_real *a = ((peak *)arg)->matrices + 3 * size * member;
    drl_gemm(false, false, PEAK_N, PEAK_N, PEAK_N, 1, a, PEAK_N, a + size, PEAK_N, 0, a + 2 * size, PEAK_N);
}

static void measure_peak(peak *p, drl_threads *team) {
    double gflop = 2e-9 * PEAK_N * PEAK_N * PEAK_N, threads = (double)drl_threads_count(team);
    for (int repeat = 0; repeat < 8; repeat++) {
        moment start = now();
        drl_threads_run(team, multiply, p);
        moment took = since(start);
        p->gflops = fmax(p->gflops, threads * gflop / took.wall);
        p->cpu_gflops = fmax(p->cpu_gflops, threads * gflop / took.cpu);
    }
}

/* Operations of one epoch: forward and weight gradients of both layers, data gradient of the second; validation
 * forward. */
static double epoch_gflop(size_t d, size_t hidden) {
    double first = 2.0 * (double)d * (double)hidden, second = 2.0 * (double)hidden * CLASSES;
    return 1e-9 * (TRAIN * (2 * first + 3 * second) + VAL * (first + second));
}

/* Time of so many epochs of all jobs, less the fixed part, which a run of one epoch shows. */
static drl_status time_jobs(measurement *m, const drl_mlp_job *jobs, peak *p, size_t epochs, drl_threads *team,
                            drl_err *err) {
    moment took[2] = {{0, 0}, {0, 0}};
    drl_mlp_cfg cfg = drl_mlp_published();
    double whole = 11.0 * 3.0 * (double)(cfg.rates * cfg.epochs), fit_epochs;
    drl_probe_result *results = NULL;
    drl_classifier **fits = NULL;
    drl_status st = drl_alloc(&results, m->threads, sizeof *results, "results", err);
    if (st == DRL_OK) st = drl_alloc(&fits, m->threads, sizeof(drl_classifier *), "fits", err);
    for (int part = 0; part < 2 && st == DRL_OK; part++) {
        cfg.epochs = part == 0 ? 1 : 1 + epochs;
        measure_peak(p, team);
        moment start = now();
        st = drl_probe_mlp(fits, results, jobs, m->threads, &cfg, team, err);
        took[part] = since(start);
        for (size_t j = 0; j < m->threads && st == DRL_OK; j++) drl_classifier_free(fits[j]);
    }
    drl_free(fits);
    drl_free(results);
    fit_epochs = (double)(epochs * m->threads * cfg.rates);
    m->epoch_seconds = (took[1].wall - took[0].wall) / fit_epochs;
    m->cpu_seconds = (took[1].cpu - took[0].cpu) / fit_epochs;
    m->gflops = epoch_gflop(m->d, cfg.hidden) / m->epoch_seconds;
    m->peak_gflops = p->gflops;
    m->cpu_ratio = epoch_gflop(m->d, cfg.hidden) / m->cpu_seconds / p->cpu_gflops;
    m->protocol_seconds = m->epoch_seconds * whole;
    return st;
}

static drl_status measure(measurement *m, size_t epochs, drl_threads *team, drl_err *err) {
    const size_t n = TRAIN + VAL, matrix = (size_t)PEAK_N * PEAK_N, sets = m->threads < SETS ? m->threads : SETS;
    drl_real *x = NULL;
    int32_t *y = NULL;
    drl_mlp_job *jobs = NULL;
    peak p = {0};
    drl_status st = drl_alloc(&x, sets * n * m->d, sizeof *x, "codes", err);
    if (st == DRL_OK) st = drl_alloc(&y, sets * n, sizeof *y, "labels", err);
    if (st == DRL_OK) st = drl_alloc(&jobs, m->threads, sizeof *jobs, "jobs", err);
    if (st == DRL_OK) st = drl_alloc(&p.matrices, m->threads * 3 * matrix, sizeof *p.matrices, "matrices", err);
    if (st == DRL_OK) {
        for (size_t s = 0; s < sets; s++) draw_codes(x + s * n * m->d, y + s * n, n, m->d, (uint32_t)(m->d + s));
        drl_rng_uniform(drl_rng_stream(7, DRL_RNG_TEST, 0, 1), 0, p.matrices, m->threads * 3 * matrix);
        for (size_t j = 0; j < m->threads; j++) {
            const drl_real *xj = x + j % sets * n * m->d;
            const int32_t *yj = y + j % sets * n;
            jobs[j] = (drl_mlp_job){.train = {TRAIN, m->d, CLASSES, xj, yj}, .seed = j + 1};
            jobs[j].val = (drl_codes){VAL, m->d, CLASSES, xj + TRAIN * m->d, yj + TRAIN};
        }
        st = time_jobs(m, jobs, &p, epochs, team, err);
    }
    drl_free(p.matrices);
    drl_free(jobs);
    drl_free(y);
    drl_free(x);
    return st;
}

static void print_text(const measurement *m) {
    char whole[32];
    drl_format_duration(whole, sizeof whole, m->protocol_seconds);
    printf("d %3zu, %zu threads: %.1f ms a fit-epoch (%.1f a second), %.1f GFLOP/s of %.1f (ratio %.2f); %.1f ms of "
           "processor time (ratio %.2f); 11 times x 3 seeds x 6 rates x 100 epochs: %s\n",
           m->d, m->threads, 1e3 * m->epoch_seconds, 1 / m->epoch_seconds, m->gflops, m->peak_gflops,
           m->gflops / m->peak_gflops, 1e3 * m->cpu_seconds, m->cpu_ratio, whole);
}

static void print_json(const measurement *m, size_t n) {
    printf("{\"bench\": \"probe\", \"kernels\": \"%s\", \"rows\": [", drl_blas_kernels());
    for (size_t i = 0; i < n; i++)
        printf("%s{\"d\": %zu, \"epoch_seconds\": %.6g, \"gflops\": %.6g, \"gemm_peak_gflops\": %.6g, \"ratio\": %.4g, "
               "\"threads\": %zu, \"fit_epochs_per_second\": %.6g, \"protocol_seconds\": %.6g, \"cpu_seconds\": %.6g, "
               "\"cpu_ratio\": %.4g}",
               i ? ", " : "", m[i].d, m[i].epoch_seconds, m[i].gflops, m[i].peak_gflops, m[i].gflops / m[i].peak_gflops,
               m[i].threads, 1 / m[i].epoch_seconds, m[i].protocol_seconds, m[i].cpu_seconds, m[i].cpu_ratio);
    printf("]}\n");
}

static int usage(FILE *to, int status) {
    fprintf(to, "usage: bench_probe [--json] [--epochs N] [--threads N]\n"
                "  --json       one JSON object on standard output\n"
                "  --epochs N   epochs to time, 1 to 100 (3)\n"
                "  --threads N  threads, each with a job of six fits, 1 to 1024 (all processors)\n");
    return status;
}

/* The whole of text as a number in [1, top], or 0. */
static size_t parse_count(const char *text, long top) {
    char *end;
    long n = strtol(text, &end, 10);
    return *end || end == text || n < 1 || n > top ? 0 : (size_t)n;
}

int main(int argc, char **argv) {
    drl_blas_guard(argv);
    bool json = false;
    size_t epochs = 3, threads = drl_threads_available();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) return usage(stdout, 0);
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--epochs") == 0 && i + 1 < argc) {
            if (!(epochs = parse_count(argv[++i], 100))) return usage(stderr, 2);
        } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
            if (!(threads = parse_count(argv[++i], 1024))) return usage(stderr, 2);
        } else {
            return usage(stderr, 2);
        }
    }
    measurement rows[] = {{.d = 64}, {.d = 128}};
    const size_t n = sizeof rows / sizeof *rows;
    drl_threads *team = NULL;
    drl_err err;
    drl_status st = drl_threads_open(&team, threads, &err);
    for (size_t i = 0; i < n && st == DRL_OK; i++) {
        rows[i].threads = threads;
        st = measure(&rows[i], epochs, team, &err);
        if (st == DRL_OK && !json) print_text(&rows[i]);
    }
    if (team) drl_threads_close(team);
    if (st != DRL_OK) {
        fprintf(stderr, "bench_probe: %s\n", err.message);
        return 1;
    }
    if (json) print_json(rows, n);
    return 0;
}
