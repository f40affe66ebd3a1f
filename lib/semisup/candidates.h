/* Candidates for the k nearest neighbours of each row: a list a row that may grow to several times k and is then cut
 * back, so that most similarities are turned away by one comparison.
 *
 * The order of candidates is total (similarity descending, of equals the smaller index first), so the k best of all
 * that were offered do not depend on the order they were offered in. */
#ifndef DRL_SEMISUP_CANDIDATES_H
#define DRL_SEMISUP_CANDIDATES_H

#include "drl/err.h"
#include "drl/real.h"

typedef struct drl_candidates {
    size_t n, k, capacity;
    drl_real *threshold;  /* (n, and a vector more: +infinity) at least k candidates of the row are no smaller */
    uint32_t *limit;      /* (n) of those equal to the threshold, only indices below this may still enter      */
    uint32_t *count;      /* (n)                                                                               */
    drl_real *similarity; /* (n, capacity)                                                                     */
    uint32_t *index;      /* (n, capacity)                                                                     */
} drl_candidates;

/* Lists for n rows, `padding` thresholds more; 0 < k < n < 2^32 - 1. */
drl_status drl_candidates_open(drl_candidates *c, size_t n, size_t k, size_t padding, drl_err *err);
void drl_candidates_free(drl_candidates *c);

/* Cuts a full list back to between k and capacity - 1 candidates, and raises its threshold. */
void drl_candidates_cut(drl_candidates *c, size_t row);

/* index (k), similarity (k) = the best of the row in order. Returns their number, which is below k only where fewer
 * were offered. */
size_t drl_candidates_best(drl_candidates *c, size_t row, uint32_t *index, drl_real *similarity);

/* A candidate that has passed the threshold of its row: similarity >= threshold[row]. */
static inline void drl_candidates_add(drl_candidates *c, size_t row, drl_real similarity, uint32_t index) {
    if (similarity == c->threshold[row] && index >= c->limit[row]) return;
    size_t at = row * c->capacity + c->count[row];
    c->similarity[at] = similarity;
    c->index[at] = index;
    if (++c->count[row] == c->capacity) drl_candidates_cut(c, row);
}

#endif
