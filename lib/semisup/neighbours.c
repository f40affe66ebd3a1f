/* Exact nearest neighbours by inner product (drl/propagation.h).
 *
 * The similarities are symmetric, so only pairs of blocks of rows i <= j are multiplied, and each similarity is offered
 * to both of its rows. The pairs are played as a tournament: in a round every block meets one other, so threads that
 * share out the pairs of a round never touch the same list of candidates. Products are cut the same way whatever the
 * number of threads, so every similarity has the same bits for any of them. */
#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "drl/blas.h"
#include "drl/mem.h"
#include "drl/propagation.h"
#include "nn/vector.h"
#include "semisup/candidates.h"
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define BLOCK 512 /* rows that meet each other */
#define STRIP 256 /* rows of a product: 256 x 512 similarities stay in the L2 cache */
static_assert(BLOCK % STRIP == 0 && BLOCK % V == 0, "whole strips and vectors");

typedef struct search {
    const drl_real *x; /* (n, d) */
    size_t n, d, blocks, round;
    drl_real *tiles; /* (threads, STRIP, BLOCK) */
    drl_candidates near;
    drl_neighbours *out;
    size_t *found; /* (blocks) first row whose neighbours are not all finite, or n */
} search;

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Bit l is set where s[l] is no smaller than `own` or columns[l]. NaN is not. */
static inline uint32_t lanes_at_least(const drl_real *s, drl_real own, const drl_real *columns) {
#if defined(__AVX512F__) && !defined(DRL_F64)
    __m512 v = _mm512_loadu_ps(s);
    return (uint32_t)_mm512_cmp_ps_mask(v, _mm512_set1_ps(own), _CMP_GE_OQ) |
           (uint32_t)_mm512_cmp_ps_mask(v, _mm512_loadu_ps(columns), _CMP_GE_OQ);
#else
    vec v = load(s), all = v - v;
    for (int l = 0; l < V; l++) all[l] = own;
    mask m = (v >= all) | (v >= load(columns));
    uint64_t words[VECTOR_BYTES / 8], any = 0;
    memcpy(words, &m, sizeof m);
    for (size_t w = 0; w < VECTOR_BYTES / 8; w++) any |= words[w];
    uint32_t bits = 0;
    for (int l = 0; any && l < V; l++) bits |= (uint32_t)(m[l] & 1) << l;
    return bits;
#endif
}

/* Offers similarity (i, j) of row i with `columns` rows from `first` on to both. */
static void offer(drl_candidates *near, size_t i, const drl_real *s, size_t first, size_t columns) {
    for (size_t at = 0; at < columns; at += V) {
        uint32_t bits = lanes_at_least(s + at, near->threshold[i], near->threshold + first + at);
        for (; bits; bits &= bits - 1) {
            size_t j = at + (size_t)__builtin_ctz(bits);
            if (s[j] >= near->threshold[i]) drl_candidates_add(near, i, s[j], (uint32_t)(first + j));
            if (s[j] >= near->threshold[first + j]) drl_candidates_add(near, first + j, s[j], (uint32_t)i);
        }
    }
}

/* All similarities of the rows of block a with those of block b >= a. NaN, which passes no comparison, stands where a
 * pair has been seen or is none, and fills the last vector. */
static void meet(search *s, size_t a, size_t b, size_t member) {
    size_t first = b * BLOCK, columns = least(BLOCK, s->n - first), whole = (columns + V - 1) / V * V;
    drl_real *tile = s->tiles + member * STRIP * BLOCK;
    for (size_t top = a * BLOCK, end = least(s->n, top + BLOCK); top < end; top += STRIP) {
        size_t rows = least(STRIP, end - top);
        drl_gemm(false, true, rows, columns, s->d, 1, s->x + top * s->d, s->d, s->x + first * s->d, s->d, 0, tile,
                 BLOCK);
        for (size_t r = 0; r < rows; r++) {
            drl_real *line = tile + r * BLOCK;
            for (size_t j = columns; j < whole; j++) line[j] = NAN;
            for (size_t j = 0; a == b && first + j <= top + r; j++) line[j] = NAN;
            offer(&s->near, top + r, line, first, columns);
        }
    }
}

static void meet_self(void *arg, size_t block, size_t member) {
    meet(arg, block, block, member);
}

/* Pair p of a round of an even number of players: the last stays, the others move round a circle, where those that face
 * each other meet. A player that is no block sits out. */
static void meet_pair(void *arg, size_t p, size_t member) {
    search *s = arg;
    size_t circle = (s->blocks + 1) / 2 * 2 - 1, a = (s->round + p) % circle,
           b = p == 0 ? circle : (s->round + circle - p) % circle;
    if (a >= s->blocks || b >= s->blocks) return;
    meet(s, least(a, b), a < b ? b : a, member);
}

static void finish_block(void *arg, size_t block, size_t member) {
    search *s = arg;
    drl_neighbours *out = s->out;
    (void)member;
    s->found[block] = s->n;
    for (size_t i = block * BLOCK, end = least(s->n, i + BLOCK), k = out->k; i < end; i++) {
        drl_real *similarity = out->similarity + i * k;
        bool whole = drl_candidates_best(&s->near, i, out->index + i * k, similarity) == k;
        if (!(whole && isfinite(similarity[0]) && isfinite(similarity[k - 1])))
            s->found[block] = least(s->found[block], i);
    }
}

static drl_status run(search *s, drl_threads *team, drl_err *err) {
    drl_threads_for(team, s->blocks, meet_self, s);
    size_t players = (s->blocks + 1) / 2 * 2;
    for (s->round = 0; s->round + 1 < players; s->round++) drl_threads_for(team, players / 2, meet_pair, s);
    drl_threads_for(team, s->blocks, finish_block, s);
    for (size_t b = 0; b < s->blocks; b++)
        if (s->found[b] < s->n)
            return drl_fail(err, DRL_ERR_NUMERIC, "similarities of row %zu overflow: are the rows of unit length?",
                            s->found[b]);
    return DRL_OK;
}

static drl_status check_rows(const drl_real *x, size_t n, size_t d, drl_err *err) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++)
            if (!isfinite(x[i * d + j]))
                return drl_fail(err, DRL_ERR_NUMERIC, "row %zu, feature %zu is %g", i, j, (double)x[i * d + j]);
    return DRL_OK;
}

static drl_status check(const drl_real *x, size_t n, size_t d, size_t k, drl_err *err) {
    if (k == 0) return drl_fail(err, DRL_ERR_CONFIG, "k = 0 neighbours, at least 1 is needed");
    if (k >= n)
        return drl_fail(err, DRL_ERR_CONFIG, "k = %zu neighbours of %zu rows: at most one less than rows", k, n);
    if (d == 0) return drl_fail(err, DRL_ERR_SHAPE, "rows have no features (d = 0)");
    if (n > INT_MAX || d > INT_MAX)
        return drl_fail(err, DRL_ERR_LIMIT, "%zu rows of %zu features: at most %d of each", n, d, INT_MAX);
    return check_rows(x, n, d, err);
}

drl_status drl_neighbours_find(drl_neighbours *out, const drl_real *x, size_t n, size_t d, size_t k, drl_threads *team,
                               drl_err *err) {
    *out = (drl_neighbours){.n = n, .k = k};
    search s = {.x = x, .n = n, .d = d, .blocks = (n + BLOCK - 1) / BLOCK, .out = out};
    size_t all;
    drl_status st = check(x, n, d, k, err);
    if (st == DRL_OK && !drl_mul_size(&all, n, k))
        st = drl_fail(err, DRL_ERR_MEMORY, "%zu neighbours for each of %zu rows are too many", k, n);
    if (st == DRL_OK) st = drl_alloc(&s.found, s.blocks, sizeof *s.found, "blocks", err);
    if (st == DRL_OK)
        st = drl_alloc(&s.tiles, drl_threads_count(team) * STRIP * BLOCK, sizeof *s.tiles, "similarities", err);
    if (st == DRL_OK) st = drl_candidates_open(&s.near, n, k, V, err);
    if (st == DRL_OK) st = drl_alloc(&out->index, all, sizeof *out->index, "neighbours", err);
    if (st == DRL_OK) st = drl_alloc(&out->similarity, all, sizeof *out->similarity, "similarities", err);
    if (st == DRL_OK) st = run(&s, team, err);
    drl_candidates_free(&s.near);
    drl_free(s.tiles);
    drl_free(s.found);
    if (st == DRL_OK) return st;
    drl_neighbours_free(out);
    return drl_err_context(err, st, "nearest neighbours");
}

void drl_neighbours_free(drl_neighbours *nb) {
    drl_free(nb->index);
    drl_free(nb->similarity);
    *nb = (drl_neighbours){0};
}

drl_status drl_unit_rows(drl_real *x, size_t n, size_t d, drl_err *err) {
    drl_status st = check_rows(x, n, d, err);
    if (st != DRL_OK) return drl_err_context(err, st, "unit rows");
    for (size_t i = 0; i < n; i++, x += d) {
        /* Dividing by the largest element first keeps the squares in range. */
        double top = 0, sum = 0;
        for (size_t j = 0; j < d; j++) top = fmax(top, fabs((double)x[j]));
        for (size_t j = 0; j < d && top > 0; j++) sum += ((double)x[j] / top) * ((double)x[j] / top);
        double norm = sqrt(sum);
        for (size_t j = 0; j < d && top > 0; j++) x[j] = (drl_real)((double)x[j] / top / norm);
    }
    return DRL_OK;
}
