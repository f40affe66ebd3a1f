/* Pseudo-labels by label propagation over a graph of nearest neighbours: the graph half of LaplaceNet.
 *                                  [Sellars, Aviles-Rivero, Schoenlieb 2021, arXiv 2106.04527; science.md, section 5,
 * R2]
 *
 *   codes -> unit rows -> k nearest by inner product -> W_n = D^-1/2 W D^-1/2 -> (I - alpha W_n) F = Y
 *         -> distribution alignment -> argmax
 *
 * Shapes: n rows of d features, C classes, all row-major. All results are the same bits for any number of threads.
 * Errors name the row or class: ERR_CONFIG for k or a cfg outside its range and for a class without labelled rows;
 * ERR_FORMAT for a label out of range; ERR_NUMERIC for what is not finite; ERR_SHAPE for no features, no classes or a
 * graph that is none; ERR_LIMIT for sizes beyond 2^31 - 1; ERR_MEMORY. */
#ifndef DRL_PROPAGATION_H
#define DRL_PROPAGATION_H

#include <stdint.h>

#include "drl/err.h"
#include "drl/real.h"
#include "drl/threads.h"

/* ---- The graph ------------------------------------------------------------------------------------------------------
 * x_i = x_i / |x_i| for every row of x (n, d), in place. A zero row stays zero. A row that is not finite is
 * ERR_NUMERIC, and x stays as it was. */
drl_status drl_unit_rows(drl_real *x, size_t n, size_t d, drl_err *err);

/* The k rows with the largest inner product to each row, itself excluded: similarity descending, of equals the smaller
 * index first. */
typedef struct drl_neighbours {
    size_t n, k;
    uint32_t *index;      /* (n, k) */
    drl_real *similarity; /* (n, k) */
} drl_neighbours;

/* *out = exact neighbours of the rows of x (n, d); the caller frees them. similarity(i, j) and similarity(j, i) are the
 * same bits. Takes n^2 d operations and holds about n (4 k + 64) candidates, never the n^2 similarities. ERR_CONFIG for
 * k = 0 and k >= n; ERR_NUMERIC for a row of x, or similarities of one, that are not finite. On failure *out holds
 * nothing. */
drl_status drl_neighbours_find(drl_neighbours *out, const drl_real *x, size_t n, size_t d, size_t k, drl_threads *team,
                               drl_err *err);
void drl_neighbours_free(drl_neighbours *nb);

/* A sparse (n, n) matrix by rows: entries row[i] .. row[i + 1] - 1 are those of row i, columns ascending. */
typedef struct drl_sparse {
    size_t n;
    size_t *row;      /* (n + 1)  */
    uint32_t *column; /* (row[n]) */
    drl_real *value;  /* (row[n]) */
} drl_sparse;

/* *w = D^-1/2 W D^-1/2 with W = max(S, S^T), S the similarities of nb: one that is 0 or negative is no edge, nor is one
 * to itself. D = diag(sum_j W_ij). A node without edges has an empty row. Symmetric to the bit; eigenvalues in [-1, 1].
 * The caller frees it; on failure *w holds nothing. */
drl_status drl_affinity(drl_sparse *w, const drl_neighbours *nb, drl_err *err);
void drl_sparse_free(drl_sparse *w);

/* ---- Propagation ----------------------------------------------------------------------------------------------------
 */
typedef struct drl_propagation_cfg {
    double alpha;        /* in [0, 1)                                                     */
    double tolerance;    /* on |residual| / |y| of every class, above 0                   */
    size_t iterations;   /* of conjugate gradients at most, from 1                        */
    size_t align_rounds; /* of distribution alignment, in drl_pseudo_label                */
} drl_propagation_cfg;
drl_propagation_cfg drl_propagation_published(void); /* 0.99, 1e-3, 30, 100 */

typedef struct drl_propagation_result {
    size_t iterations;                   /* made: those of the class that took most                               */
    double residual;                     /* largest |residual| / |y| of a class, as conjugate gradients carry it on */
    double graph_seconds, solve_seconds; /* neighbours and affinity (drl_pseudo_label, else 0); the propagation   */
} drl_propagation_result;

/* f (n, C) written: solves (I - alpha w) F = Y with Y_ic = 1 where labels[i] = c, by conjugate gradients from F = 0,
 * all classes side by side, each with its own scalars and finished when its relative residual is within the tolerance
 * or the iterations are used up. Then F is clipped at 0 and each row divided by its sum; a row of zeros, which no label
 * reaches, becomes 1/C, and a labelled row its label. labels (n) in [0, C), or -1 where unknown. result may be NULL;
 * f and result are unspecified on failure. */
drl_status drl_propagate(drl_real *f, drl_propagation_result *result, const drl_sparse *w, const int32_t *labels,
                         size_t classes, const drl_propagation_cfg *cfg, drl_threads *team, drl_err *err);

/* Distribution alignment of f (n, C), rows non-negative with sum 1, in place. In each round the factor of class c is
 *   (its share of the labelled rows) / (its share of the argmax of the unlabelled rows), clipped to [0.99, 1.01],
 * 1.01 where no argmax is c; column c of the unlabelled rows is multiplied by it, and those rows are divided by their
 * sums. Where all factors are 1, f stays as it is, to the bit. ERR_CONFIG where no row is labelled. */
drl_status drl_align(drl_real *f, const int32_t *labels, size_t n, size_t classes, size_t rounds, drl_err *err);

/* pseudo[i] = argmax_c f_ic, the first of equals. */
void drl_pseudo_labels(int32_t *pseudo, const drl_real *f, size_t n, size_t classes);

/* pseudo (n) = the whole chain on codes (n, d), which are only read. A labelled row has its label. result as above. */
drl_status drl_pseudo_label(int32_t *pseudo, drl_propagation_result *result, const drl_real *codes, size_t n, size_t d,
                            size_t k, const int32_t *labels, size_t classes, const drl_propagation_cfg *cfg,
                            drl_threads *team, drl_err *err);

#endif
