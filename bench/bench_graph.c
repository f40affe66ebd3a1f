/* Speed of label propagation's graph: exact neighbours, affinity, propagation.                [science.md, section 5,
 * R2]
 *
 * Features are unit rows: max(0, centre + noise) of ten Gaussian clusters, which is what an encoder's last rectifier
 * leaves, or plain Gaussian noise. With bench.save they and the neighbours are written to be compared with a peer's. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "drl/propagation.h"
#include "drl/rng.h"

#define BENCH_OPTIONS(X)                                                                                               \
    X(ENUM, bench, features, "clusters", DRL_CHOICES("clusters|noise"), "what the rows are")                           \
    X(SIZE, bench, rows, "50000", DRL_RANGE(2, 10000000), "rows of features")                                          \
    X(SIZE, bench, dim, "128", DRL_RANGE(1, 65536), "features of a row")                                               \
    X(SIZE, bench, k, "50", DRL_RANGE(1, 65536), "neighbours of a row")                                                \
    X(SIZE, bench, labels, "10", DRL_RANGE(1, 10000), "labelled rows of each of the 10 classes")                       \
    X(SIZE, bench, rounds, "3", DRL_RANGE(1, BENCH_MAX_ROUNDS), "rounds; the median counts")                           \
    X(STRING, bench, save, "", DRL_ANY, "write PATH.features (float) and PATH.neighbours (uint32), row by row")        \
    X(BOOL, bench, json, "no", DRL_ANY, "print one JSON object")
DRL_CONFIG_STRUCT(bench_cfg, BENCH_OPTIONS);
static DRL_CONFIG_TABLE(bench_options, bench_cfg, BENCH_OPTIONS);

enum { CLASSES = 10 };

typedef struct measurement {
    double neighbours[BENCH_MAX_ROUNDS], cpu[BENCH_MAX_ROUNDS], affinity[BENCH_MAX_ROUNDS],
        propagation[BENCH_MAX_ROUNDS];
    size_t edges;
    drl_propagation_result result;
    double share; /* of unlabelled rows that get the class of their cluster */
} measurement;

/* Processor time of all threads, which other programs spoil less than they do the clock's. */
static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* x (n, d), class[i] = i mod 10 */
static drl_status draw_features(drl_real *x, int32_t *class, const bench_cfg *b, drl_err *err) {
    size_t n = b->bench_rows, d = b->bench_dim;
    drl_real *centre = NULL;
    drl_status st = drl_alloc(&centre, CLASSES * d, sizeof *centre, "centres", err);
    if (st != DRL_OK) return st;
    drl_rng_normal(drl_rng_stream(7, DRL_RNG_TEST, 0, 0), 0, centre, CLASSES * d);
    drl_rng_normal(drl_rng_stream(7, DRL_RNG_TEST, 1, 0), 0, x, n * d);
    for (size_t i = 0; i < n; i++) {
        class[i] = (int32_t)(i % CLASSES);
        for (size_t j = 0; j < d && b->bench_features == 0; j++) {
            drl_real v = centre[(size_t) class[i] * d + j] + x[i * d + j];
            x[i * d + j] = v > 0 ? v : 0;
        }
    }
    drl_free(centre);
    return drl_unit_rows(x, n, d, err);
}

static drl_status write_array(const char *path, const char *what, const void *p, size_t size, drl_err *err) {
    char name[DRL_STRING_MAX + 32];
    snprintf(name, sizeof name, "%s.%s", path, what);
    FILE *f = fopen(name, "wb");
    bool whole = f && fwrite(p, 1, size, f) == size;
    if (f && fclose(f) != 0) whole = false;
    return whole ? DRL_OK : drl_fail(err, DRL_ERR_IO, "%s: cannot write: %s", name, strerror(errno));
}

static drl_status save(const char *path, const drl_real *x, size_t d, const drl_neighbours *nb, drl_err *err) {
    drl_status st = write_array(path, "features", x, nb->n * d * sizeof *x, err);
    if (st == DRL_OK) st = write_array(path, "neighbours", nb->index, nb->n * nb->k * sizeof *nb->index, err);
    return st;
}

/* Of rows without a label; noise has no classes to find, so 1/10 is right there. */
static double right_share(const drl_real *f, const int32_t *class, const int32_t *labels, size_t n) {
    size_t right = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t pseudo;
        drl_pseudo_labels(&pseudo, f + i * CLASSES, 1, CLASSES);
        all += labels[i] < 0;
        right += labels[i] < 0 && pseudo == class[i];
    }
    return all ? (double)right / (double)all : 1;
}

/* One round; the affinity matrix and neighbours of the last are freed here too. */
static drl_status measure_round(measurement *m, size_t round, const drl_real *x, drl_real *f, const int32_t *class,
                                const int32_t *labels, const bench_cfg *b, drl_threads *team, drl_err *err) {
    drl_neighbours nb = {0};
    drl_sparse w = {0};
    drl_propagation_cfg cfg = drl_propagation_published();
    double start = drl_now(), cpu = cpu_seconds();
    drl_status st = drl_neighbours_find(&nb, x, b->bench_rows, b->bench_dim, b->bench_k, team, err);
    m->neighbours[round] = drl_now() - start;
    m->cpu[round] = cpu_seconds() - cpu;
    start = drl_now();
    if (st == DRL_OK) st = drl_affinity(&w, &nb, err);
    m->affinity[round] = drl_now() - start;
    if (st == DRL_OK && round == 0 && b->bench_save[0]) st = save(b->bench_save, x, b->bench_dim, &nb, err);
    drl_neighbours_free(&nb);
    start = drl_now();
    if (st == DRL_OK) st = drl_propagate(f, &m->result, &w, labels, CLASSES, &cfg, team, err);
    m->propagation[round] = drl_now() - start;
    if (st == DRL_OK) {
        m->edges = w.row[w.n];
        m->share = right_share(f, class, labels, w.n);
    }
    drl_sparse_free(&w);
    return st;
}

static drl_status measure(measurement *m, const bench_cfg *b, drl_threads *team, drl_err *err) {
    size_t n = b->bench_rows, labelled = b->bench_labels * CLASSES;
    if (n < labelled) return drl_fail(err, DRL_ERR_CONFIG, "%zu labels for %zu rows", labelled, n);
    drl_real *x = NULL, *f = NULL;
    int32_t *class = NULL, *labels = NULL;
    drl_status st = drl_alloc(&x, n * b->bench_dim, sizeof *x, "features", err);
    if (st == DRL_OK) st = drl_alloc(&f, n * CLASSES, sizeof *f, "probabilities", err);
    if (st == DRL_OK) st = drl_alloc(&class, n, sizeof *class, "classes", err);
    if (st == DRL_OK) st = drl_alloc(&labels, n, sizeof *labels, "labels", err);
    if (st == DRL_OK) st = draw_features(x, class, b, err);
    for (size_t i = 0; i < n && st == DRL_OK; i++) labels[i] = i < labelled ? class[i] : -1;
    for (size_t r = 0; r < b->bench_rounds && st == DRL_OK; r++)
        st = measure_round(m, r, x, f, class, labels, b, team, err);
    drl_free(labels);
    drl_free(class);
    drl_free(f);
    drl_free(x);
    return st;
}

static drl_status run(const drl_cli *cli, const void *cfg, drl_err *err) {
    const bench_cfg *b = cfg;
    measurement m = {0};
    drl_threads *team = NULL;
    drl_status st = drl_threads_open(&team, cli->threads, err);
    if (st == DRL_OK) st = measure(&m, b, team, err);
    if (st != DRL_OK) {
        drl_threads_close(team);
        return st;
    }
    double neighbours = bench_median(m.neighbours, b->bench_rounds), cpu = bench_median(m.cpu, b->bench_rounds),
           affinity = bench_median(m.affinity, b->bench_rounds),
           propagation = bench_median(m.propagation, b->bench_rounds);
    const char *features = b->bench_features == 0 ? "clusters" : "noise";
    if (b->bench_json) {
        char more[512];
        snprintf(more, sizeof more,
                 "\"dim\": %zu, \"k\": %zu, \"cpu_seconds\": %.6f, \"affinity_seconds\": %.6f, "
                 "\"propagation_seconds\": %.6f, "
                 "\"iterations\": %zu, \"residual\": %.3g, \"edges\": %zu, \"accuracy\": %.4f, ",
                 b->bench_dim, b->bench_k, cpu, affinity, propagation, m.result.iterations, m.result.residual, m.edges,
                 m.share);
        bench_print_json(
            &(bench_result){"graph", features, b->bench_rows, drl_threads_count(team), neighbours, bench_peak_rss_mb()},
            more);
    } else {
        printf("%s, %zu rows of %zu features, k = %zu, %zu threads: neighbours %.2f s (%.2f s of processor "
               "time), affinity %.2f s (%zu entries)\n"
               "propagation of %d classes %.2f s (%zu iterations, residual %.2g), %.1f %% of the classes right\n"
               "peak memory %.0f MB; %s\n",
               features, b->bench_rows, b->bench_dim, b->bench_k, drl_threads_count(team), neighbours, cpu, affinity,
               m.edges, CLASSES, propagation, m.result.iterations, m.result.residual, 100 * m.share,
               bench_peak_rss_mb(), bench_kernels());
    }
    drl_threads_close(team);
    return st;
}

int main(int argc, char **argv) {
    bench_cfg cfg;
    size_t n;
    const drl_option *options = bench_options(&n);
    return bench_main(argc, argv, "Speed of the graph of nearest neighbours and of label propagation on it.", options,
                      n, &cfg, run);
}
