/* Distribution alignment, pseudo-labels and the whole chain (drl/propagation.h). */
#include <limits.h>
#include <string.h>

#include "drl/log.h"
#include "drl/mem.h"
#include "semisup/labels_check.h"

drl_status drl_labels_check(const int32_t *labels, size_t n, size_t classes, bool each, drl_err *err) {
    if (classes == 0) return drl_fail(err, DRL_ERR_SHAPE, "no classes");
    if (n > INT_MAX || classes > INT_MAX)
        return drl_fail(err, DRL_ERR_LIMIT, "%zu rows in %zu classes: at most %d of each", n, classes, INT_MAX);
    size_t *count = NULL, labelled = 0;
    drl_status st = drl_alloc(&count, classes, sizeof *count, "counts", err);
    for (size_t i = 0; i < n && st == DRL_OK; i++) {
        if (labels[i] < -1 || labels[i] >= (int32_t)classes)
            st =
                drl_fail(err, DRL_ERR_FORMAT, "label of row %zu is %d, not in -1..%zu", i, (int)labels[i], classes - 1);
        else if (labels[i] >= 0)
            count[labels[i]]++, labelled++;
    }
    for (size_t c = 0; c < classes && st == DRL_OK && each; c++)
        if (count[c] == 0) st = drl_fail(err, DRL_ERR_CONFIG, "class %zu of %zu has no labelled row", c, classes);
    if (st == DRL_OK && labelled == 0) st = drl_fail(err, DRL_ERR_CONFIG, "no row is labelled");
    drl_free(count);
    return st;
}

static size_t argmax(const drl_real *f, size_t classes) {
    size_t best = 0;
    for (size_t c = 1; c < classes; c++)
        if (f[c] > f[best]) best = c;
    return best;
}

void drl_pseudo_labels(int32_t *pseudo, const drl_real *f, size_t n, size_t classes) {
    for (size_t i = 0; i < n; i++) pseudo[i] = (int32_t)argmax(f + i * classes, classes);
}

/* Multiplies the classes of a row by their factors and divides it by its sum. */
static void scale_row(drl_real *f, const drl_real *factor, size_t classes) {
    double sum = 0;
    for (size_t c = 0; c < classes; c++) sum += (double)(f[c] *= factor[c]);
    for (size_t c = 0; c < classes && sum > 0; c++) f[c] = (drl_real)((double)f[c] / sum);
}

/* factor (C) from the counts of labelled and of unlabelled rows a class. Returns whether any is not 1. */
static bool find_factors(drl_real *factor, const double *labelled, const double *pseudo, size_t classes,
                         size_t n_labelled, size_t n_unlabelled) {
    bool any = false;
    for (size_t c = 0; c < classes; c++) {
        /* Products of counts, so that equal shares give exactly 1. */
        double ratio = pseudo[c] > 0 ? labelled[c] * (double)n_unlabelled / (pseudo[c] * (double)n_labelled) : INFINITY;
        factor[c] = (drl_real)(ratio < 0.99 ? 0.99 : ratio > 1.01 ? 1.01 : ratio);
        any |= factor[c] != 1;
    }
    return any;
}

/* The rounds; counts (2, C) zeroed, factor (C). */
static void align(drl_real *f, const int32_t *labels, size_t n, size_t classes, size_t rounds, double *counts,
                  drl_real *factor) {
    double *labelled = counts, *pseudo = counts + classes;
    size_t n_labelled = 0;
    for (size_t i = 0; i < n; i++)
        if (labels[i] >= 0)
            labelled[labels[i]]++, n_labelled++;
        else
            pseudo[argmax(f + i * classes, classes)]++;
    /* Factors that are all 1 change nothing, in this round or any after it. */
    for (size_t round = 0; round < rounds; round++) {
        if (!find_factors(factor, labelled, pseudo, classes, n_labelled, n - n_labelled)) return;
        memset(pseudo, 0, classes * sizeof *pseudo);
        for (size_t i = 0; i < n; i++)
            if (labels[i] < 0) {
                scale_row(f + i * classes, factor, classes);
                pseudo[argmax(f + i * classes, classes)]++;
            }
    }
}

drl_status drl_align(drl_real *f, const int32_t *labels, size_t n, size_t classes, size_t rounds, drl_err *err) {
    double *counts = NULL;
    drl_real *factor = NULL;
    drl_status st = drl_labels_check(labels, n, classes, false, err);
    if (st == DRL_OK) st = drl_alloc(&counts, 2 * classes, sizeof *counts, "counts", err);
    if (st == DRL_OK) st = drl_alloc(&factor, classes, sizeof *factor, "factors", err);
    if (st == DRL_OK) align(f, labels, n, classes, rounds, counts, factor);
    drl_free(factor);
    drl_free(counts);
    return st == DRL_OK ? st : drl_err_context(err, st, "distribution alignment");
}

/* *w = the affinity matrix of the codes. */
static drl_status make_graph(drl_sparse *w, const drl_real *codes, size_t n, size_t d, size_t k, drl_threads *team,
                             drl_err *err) {
    drl_real *x = NULL;
    drl_neighbours nb = {0};
    size_t size;
    if (!drl_mul_size(&size, n, d))
        return drl_fail(err, DRL_ERR_MEMORY, "%zu codes of %zu dimensions are too many", n, d);
    drl_status st = drl_alloc(&x, size, sizeof *x, "codes", err);
    if (st == DRL_OK) {
        memcpy(x, codes, size * sizeof *x);
        st = drl_unit_rows(x, n, d, err);
    }
    if (st == DRL_OK) st = drl_neighbours_find(&nb, x, n, d, k, team, err);
    drl_free(x);
    if (st == DRL_OK) st = drl_affinity(w, &nb, err);
    drl_neighbours_free(&nb);
    return st;
}

drl_status drl_pseudo_label(int32_t *pseudo, drl_propagation_result *result, const drl_real *codes, size_t n, size_t d,
                            size_t k, const int32_t *labels, size_t classes, const drl_propagation_cfg *cfg,
                            drl_threads *team, drl_err *err) {
    double start = drl_now(), graph_seconds = 0;
    drl_propagation_result made = {0};
    drl_sparse w = {0};
    drl_real *f = NULL;
    size_t size;
    drl_status st = drl_labels_check(labels, n, classes, true, err);
    if (st == DRL_OK && !drl_mul_size(&size, n, classes))
        st = drl_fail(err, DRL_ERR_MEMORY, "%zu classes of %zu rows are too many", classes, n);
    if (st == DRL_OK) st = drl_alloc(&f, size, sizeof *f, "class probabilities", err);
    if (st == DRL_OK) st = make_graph(&w, codes, n, d, k, team, err);
    graph_seconds = drl_now() - start;
    if (st == DRL_OK) st = drl_propagate(f, &made, &w, labels, classes, cfg, team, err);
    if (st == DRL_OK) st = drl_align(f, labels, n, classes, cfg->align_rounds, err);
    if (st == DRL_OK) drl_pseudo_labels(pseudo, f, n, classes);
    made.graph_seconds = graph_seconds;
    if (result) *result = made;
    drl_sparse_free(&w);
    drl_free(f);
    return st == DRL_OK ? st : drl_err_context(err, st, "pseudo-labels");
}
