/* The k-nearest-neighbour probe (drl/probe.h): similarities by blocked products of codes, normalised ones for
 * the cosine.
 *
 * A block of queries meets the training codes block by block, always in the same order, on one thread; each query keeps
 * its k best so far, sorted. Both block sizes are fixed, so every similarity has the same bits for any number of
 * threads. */
#include <string.h>

#include "drl/blas.h"
#include "drl/mem.h"
#include "models/probe_classifier.h"
#include "models/probe_common.h"

#define QUERIES 128 /* to a block */
#define KEYS    512 /* training codes to a block: 128 x 512 similarities stay in the L2 cache */
#define GROUP   32  /* similarities compared at once with the worst neighbour kept */

typedef struct neighbour {
    drl_real similarity;
    int32_t label;
} neighbour;

typedef struct search {
    const drl_codes *train, *codes; /* known, to classify */
    size_t k;
    drl_similarity kind;
    const drl_real *keys; /* (n, d) training codes, prepared   */
    const drl_real *half; /* (n) |z|^2 / 2; of the cosine NULL */
    drl_real *queries;    /* (threads, QUERIES, d) prepared    */
    drl_real *similarity; /* (threads, QUERIES, KEYS)          */
    neighbour *near;      /* (threads, QUERIES, k) best first  */
    double *votes;        /* (threads, 2, classes)             */
    size_t *correct;      /* (blocks of queries)               */
} search;

/* out = x / |x|; a code of zero norm stays zero and so has similarity 0 to everything. Scaling by the largest element
 * first keeps the squares in range. */
static void normalise(drl_real *restrict out, const drl_real *restrict x, size_t n, size_t d) {
    for (size_t i = 0; i < n; i++, x += d, out += d) {
        double top = 0, sum = 0;
        for (size_t j = 0; j < d; j++) top = fabs((double)x[j]) > top ? fabs((double)x[j]) : top;
        for (size_t j = 0; j < d && top > 0; j++) sum += ((double)x[j] / top) * ((double)x[j] / top);
        double norm = sqrt(sum);
        for (size_t j = 0; j < d; j++) out[j] = top > 0 ? (drl_real)((double)x[j] / top / norm) : 0;
    }
}

static void prepare(drl_similarity kind, drl_real *out, const drl_real *x, size_t n, size_t d) {
    if (kind == DRL_COSINE)
        normalise(out, x, n, d);
    else
        memcpy(out, x, n * d * sizeof *out);
}

/* |z|^2 / 2 */
static drl_real half_square(const drl_real *z, size_t d) {
    double sum = 0;
    for (size_t j = 0; j < d; j++) sum += (double)z[j] * (double)z[j];
    return (drl_real)(0.5 * sum);
}

/* Sorts the candidate in among the best k, before the first that is less similar: of equals the earlier stays ahead. */
static void insert(neighbour *near, size_t k, neighbour candidate) {
    size_t at = k - 1;
    for (; at > 0 && candidate.similarity > near[at - 1].similarity; at--) near[at] = near[at - 1];
    near[at] = candidate;
}

/* Offers n similarities to the neighbours of one query. A group none of which beats the worst kept is passed over. */
static void offer(neighbour *near, size_t k, const drl_real *s, const int32_t *label, size_t n) {
    for (size_t g = 0; g < n; g += GROUP) {
        size_t end = g + GROUP < n ? g + GROUP : n;
        drl_real worst = near[k - 1].similarity;
        int any = 0;
        for (size_t i = g; i < end; i++) any |= s[i] > worst;
        for (size_t i = g; any && i < end; i++)
            if (s[i] > near[k - 1].similarity) insert(near, k, (neighbour){s[i], label[i]});
    }
}

/* Class with the most votes, then the larger summed similarity, then the smaller number. */
static size_t vote(const neighbour *near, size_t k, double *votes, size_t classes) {
    double *sum = votes + classes;
    memset(votes, 0, 2 * classes * sizeof *votes);
    for (size_t i = 0; i < k; i++) {
        votes[near[i].label] += 1;
        sum[near[i].label] += (double)near[i].similarity;
    }
    size_t best = 0;
    for (size_t c = 1; c < classes; c++)
        if (votes[c] > votes[best] || (votes[c] == votes[best] && sum[c] > sum[best])) best = c;
    return best;
}

static void search_block(void *arg, size_t block, size_t member) {
    search *s = arg;
    size_t d = s->train->d, n = s->train->n, k = s->k, first = block * QUERIES, left = s->codes->n - first;
    size_t rows = left < QUERIES ? left : QUERIES;
    drl_real *queries = s->queries + member * QUERIES * d, *similarity = s->similarity + member * QUERIES * KEYS;
    neighbour *near = s->near + member * QUERIES * k;
    prepare(s->kind, queries, s->codes->x + first * d, rows, d);
    for (size_t i = 0; i < rows * k; i++) near[i] = (neighbour){-INFINITY, 0};
    for (size_t at = 0; at < n; at += KEYS) {
        size_t keys = n - at < KEYS ? n - at : KEYS;
        drl_gemm(false, true, rows, keys, d, 1, queries, d, s->keys + at * d, d, 0, similarity, KEYS);
        for (size_t i = 0; i < rows && s->half; i++)
            for (size_t j = 0; j < keys; j++) similarity[i * KEYS + j] -= s->half[at + j];
        for (size_t i = 0; i < rows; i++) offer(near + i * k, k, similarity + i * KEYS, s->train->y + at, keys);
    }
    double *votes = s->votes + member * 2 * s->train->classes;
    s->correct[block] = 0;
    for (size_t i = 0; i < rows; i++)
        s->correct[block] += vote(near + i * k, k, votes, s->train->classes) == (size_t)s->codes->y[first + i];
}

/* Allocates, searches, counts. */
static drl_status run(double *accuracy, search *s, drl_threads *team, drl_err *err) {
    size_t d = s->train->d, members = drl_threads_count(team), blocks = (s->codes->n + QUERIES - 1) / QUERIES, rows,
           size;
    drl_real *keys = NULL, *half = NULL;
    if (!drl_mul_size(&rows, members * QUERIES, s->k > d ? s->k : d) || !drl_mul_size(&size, s->train->n, d))
        return drl_fail(err, DRL_ERR_MEMORY, "%zu codes of %zu dimensions are too many", s->train->n, d);
    drl_status st = drl_alloc(&keys, size, sizeof *keys, "prepared codes", err);
    if (st == DRL_OK && s->kind == DRL_EUCLIDEAN) st = drl_alloc(&half, s->train->n, sizeof *half, "lengths", err);
    if (st == DRL_OK) st = drl_alloc(&s->queries, members * QUERIES * d, sizeof *s->queries, "queries", err);
    if (st == DRL_OK) st = drl_alloc(&s->similarity, members * QUERIES * KEYS, sizeof *s->similarity, "products", err);
    if (st == DRL_OK) st = drl_alloc(&s->near, members * QUERIES * s->k, sizeof *s->near, "neighbours", err);
    if (st == DRL_OK) st = drl_alloc(&s->votes, members * 2 * s->train->classes, sizeof *s->votes, "votes", err);
    if (st == DRL_OK) st = drl_alloc(&s->correct, blocks, sizeof *s->correct, "counts", err);
    if (st == DRL_OK) {
        prepare(s->kind, keys, s->train->x, s->train->n, d);
        for (size_t i = 0; i < s->train->n && half; i++) half[i] = half_square(keys + i * d, d);
        s->keys = keys;
        s->half = half;
        drl_threads_for(team, blocks, search_block, s);
        size_t correct = 0;
        for (size_t b = 0; b < blocks; b++) correct += s->correct[b];
        *accuracy = (double)correct / (double)s->codes->n;
    }
    drl_free(s->correct);
    drl_free(s->votes);
    drl_free(s->near);
    drl_free(s->similarity);
    drl_free(s->queries);
    drl_free(half);
    drl_free(keys);
    return st;
}

typedef struct knn_fit {
    drl_classifier base;
    drl_codes train; /* the caller keeps x and y */
    size_t k;        /* at most train.n */
    drl_similarity kind;
} knn_fit;

static drl_status knn_accuracy(double *accuracy, const drl_classifier *fit, const drl_codes *codes, drl_threads *team,
                               drl_err *err) {
    const knn_fit *f = (const knn_fit *)fit;
    search s = {.train = &f->train, .codes = codes, .k = f->k, .kind = f->kind};
    return run(accuracy, &s, team, err);
}

static const drl_classifier_type knn_type = {.name = "k-NN probe", .accuracy = knn_accuracy};

drl_status drl_probe_knn(drl_classifier **fit, drl_codes train, size_t k, drl_similarity similarity, drl_err *err) {
    knn_fit *f = NULL;
    drl_status st = drl_probe_check(&train, "training codes", err);
    if (st == DRL_OK && k == 0) st = drl_fail(err, DRL_ERR_CONFIG, "k = 0 neighbours, at least 1 is needed");
    if (st == DRL_OK) st = drl_alloc(&f, 1, sizeof *f, "fit", err);
    if (st != DRL_OK) return drl_err_context(err, st, "%s", knn_type.name);
    f->base = (drl_classifier){&knn_type, train.d, train.classes};
    f->train = train;
    f->k = k < train.n ? k : train.n;
    f->kind = similarity;
    *fit = &f->base;
    return DRL_OK;
}
