/* Lists of candidates (semisup/candidates.h). */
#include "semisup/candidates.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "drl/mem.h"

#define SPARE  3  /* a list holds up to (1 + SPARE) k candidates and */
#define SLACK  64 /* so many more                                    */
#define HALVES 24 /* of an interval of thresholds, before a list is sorted instead */

drl_status drl_candidates_open(drl_candidates *c, size_t n, size_t k, size_t padding, drl_err *err) {
    assert(k > 0 && k < n && n < UINT32_MAX);
    size_t capacity = k + SPARE * k + SLACK, all;
    if (capacity > n) capacity = n; /* never full: n - 1 others are all there is */
    *c = (drl_candidates){.n = n, .k = k, .capacity = capacity};
    if (!drl_mul_size(&all, n, capacity))
        return drl_fail(err, DRL_ERR_MEMORY, "%zu candidates for each of %zu rows are too many", capacity, n);
    drl_status st = drl_alloc(&c->threshold, n + padding, sizeof *c->threshold, "thresholds", err);
    if (st == DRL_OK) st = drl_alloc(&c->limit, n, sizeof *c->limit, "limits", err);
    if (st == DRL_OK) st = drl_alloc(&c->count, n, sizeof *c->count, "counts", err);
    if (st == DRL_OK) st = drl_alloc(&c->similarity, all, sizeof *c->similarity, "candidates' similarities", err);
    if (st == DRL_OK) st = drl_alloc(&c->index, all, sizeof *c->index, "candidates' indices", err);
    if (st != DRL_OK) {
        drl_candidates_free(c);
        return st;
    }
    for (size_t i = 0; i < n + padding; i++) c->threshold[i] = i < n ? -INFINITY : INFINITY;
    for (size_t i = 0; i < n; i++) c->limit[i] = UINT32_MAX;
    return DRL_OK;
}

void drl_candidates_free(drl_candidates *c) {
    drl_free(c->threshold);
    drl_free(c->limit);
    drl_free(c->count);
    drl_free(c->similarity);
    drl_free(c->index);
    *c = (drl_candidates){0};
}

/* Shell's sort of both arrays: similarity descending, of equals the smaller index first. */
static void sort(drl_real *s, uint32_t *index, size_t n) {
    for (size_t gap = n / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11)
        for (size_t i = gap; i < n; i++) {
            drl_real similarity = s[i];
            uint32_t own = index[i];
            size_t at = i;
            for (; at >= gap; at -= gap) {
                drl_real other = s[at - gap];
                if (other > similarity || (other == similarity && index[at - gap] < own)) break;
                s[at] = other;
                index[at] = index[at - gap];
            }
            s[at] = similarity;
            index[at] = own;
        }
}

static size_t count_at_least(const drl_real *s, size_t n, drl_real t) {
    int32_t count = 0;
    for (size_t i = 0; i < n; i++) count += s[i] >= t;
    return (size_t)count;
}

/* Keeps the candidates with a similarity of at least t, in their order. Returns their number. */
static size_t keep_at_least(drl_real *s, uint32_t *index, size_t n, drl_real t) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        drl_real similarity = s[i];
        s[kept] = similarity;
        index[kept] = index[i];
        kept += similarity >= t;
    }
    return kept;
}

/* Halves the interval of the similarities until a threshold leaves k or a few more; where many are equal there may be
 * none. Returns whether it was found, and then drops what is below. */
static bool drop_below(drl_candidates *c, size_t row) {
    drl_real *s = c->similarity + row * c->capacity, low = s[0], high = s[0];
    size_t n = c->count[row], most = c->k + (n - c->k) / 8;
    for (size_t i = 1; i < n; i++) {
        low = s[i] < low ? s[i] : low;
        high = s[i] > high ? s[i] : high;
    }
    for (int halves = 0; halves < HALVES; halves++) {
        drl_real t = low + (high - low) / 2;
        size_t above = count_at_least(s, n, t);
        if (above >= c->k && above <= most) {
            c->count[row] = (uint32_t)keep_at_least(s, c->index + row * c->capacity, n, t);
            c->threshold[row] = t;
            c->limit[row] = UINT32_MAX;
            return true;
        }
        *(above < c->k ? &high : &low) = t;
    }
    return false;
}

void drl_candidates_cut(drl_candidates *c, size_t row) {
    drl_real *s = c->similarity + row * c->capacity;
    uint32_t *index = c->index + row * c->capacity;
    if (drop_below(c, row)) return;
    sort(s, index, c->count[row]);
    c->count[row] = (uint32_t)c->k;
    c->threshold[row] = s[c->k - 1];
    c->limit[row] = index[c->k - 1];
}

size_t drl_candidates_best(drl_candidates *c, size_t row, uint32_t *index, drl_real *similarity) {
    if (c->count[row] > c->k + 16) drop_below(c, row);
    drl_real *s = c->similarity + row * c->capacity;
    uint32_t *from = c->index + row * c->capacity;
    size_t n = c->count[row], best = n < c->k ? n : c->k;
    sort(s, from, n);
    memcpy(similarity, s, best * sizeof *s);
    memcpy(index, from, best * sizeof *from);
    return best;
}
