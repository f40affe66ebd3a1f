/* The normalised affinity matrix of a graph of neighbours (drl/propagation.h). */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "drl/mem.h"
#include "drl/propagation.h"

void drl_sparse_free(drl_sparse *w) {
    drl_free(w->row);
    drl_free(w->column);
    drl_free(w->value);
    *w = (drl_sparse){0};
}

static drl_status sparse_open(drl_sparse *w, size_t n, size_t entries, drl_err *err) {
    *w = (drl_sparse){.n = n};
    drl_status st = drl_alloc(&w->row, n + 1, sizeof *w->row, "rows of the graph", err);
    if (st == DRL_OK) st = drl_alloc(&w->column, entries, sizeof *w->column, "edges", err);
    if (st == DRL_OK) st = drl_alloc(&w->value, entries, sizeof *w->value, "weights of edges", err);
    if (st != DRL_OK) drl_sparse_free(w);
    return st;
}

/* ERR_SHAPE or ERR_NUMERIC where nb is no graph. *edges = its similarities above 0 to others. */
static drl_status check(size_t *edges, const drl_neighbours *nb, drl_err *err) {
    *edges = 0;
    for (size_t i = 0; i < nb->n; i++)
        for (size_t e = i * nb->k; e < (i + 1) * nb->k; e++) {
            if (nb->index[e] >= nb->n)
                return drl_fail(err, DRL_ERR_SHAPE, "row %zu has neighbour %u of %zu rows", i, (unsigned)nb->index[e],
                                nb->n);
            if (!isfinite(nb->similarity[e]))
                return drl_fail(err, DRL_ERR_NUMERIC, "a similarity of row %zu is %g", i, (double)nb->similarity[e]);
            *edges += nb->similarity[e] > 0 && nb->index[e] != i;
        }
    return DRL_OK;
}

/* row[i + 1] holds the number of entries of row i: makes row[i] the first entry of row i. */
static void add_up(size_t *row, size_t n) {
    row[0] = 0;
    for (size_t i = 0; i < n; i++) row[i + 1] += row[i];
}

/* Entry (column, row) goes to the next free place of its row; the places are row[], which moves on. */
static void append(drl_sparse *t, uint32_t row, size_t column, drl_real value) {
    size_t at = t->row[row]++;
    t->column[at] = (uint32_t)column;
    t->value[at] = value;
}

/* After every entry was appended, row[i] is the end of row i: makes it the start again. */
static void rewind_rows(drl_sparse *t) {
    memmove(t->row + 1, t->row, t->n * sizeof *t->row);
    t->row[0] = 0;
}

/* t = transpose of the edges of nb. Filled in the order of nb's rows, so its columns are ascending. */
static void transpose_neighbours(drl_sparse *t, const drl_neighbours *nb) {
    for (size_t i = 0; i < nb->n; i++)
        for (size_t e = i * nb->k; e < (i + 1) * nb->k; e++)
            t->row[nb->index[e] + 1] += nb->similarity[e] > 0 && nb->index[e] != i;
    add_up(t->row, t->n);
    for (size_t i = 0; i < nb->n; i++)
        for (size_t e = i * nb->k; e < (i + 1) * nb->k; e++)
            if (nb->similarity[e] > 0 && nb->index[e] != i) append(t, nb->index[e], i, nb->similarity[e]);
    rewind_rows(t);
}

static void transpose(drl_sparse *t, const drl_sparse *s) {
    for (size_t e = 0; e < s->row[s->n]; e++) t->row[s->column[e] + 1]++;
    add_up(t->row, t->n);
    for (size_t i = 0; i < s->n; i++)
        for (size_t e = s->row[i]; e < s->row[i + 1]; e++) append(t, s->column[e], i, s->value[e]);
    rewind_rows(t);
}

/* w = max(a, b), both with ascending columns. A column that comes twice in a row has its largest value. */
static void merge(drl_sparse *w, const drl_sparse *a, const drl_sparse *b) {
    size_t at = 0;
    for (size_t i = 0; i < w->n; i++) {
        size_t p = a->row[i], q = b->row[i], start = at;
        while (p < a->row[i + 1] || q < b->row[i + 1]) {
            bool first = q == b->row[i + 1] || (p < a->row[i + 1] && a->column[p] <= b->column[q]);
            const drl_sparse *from = first ? a : b;
            size_t e = first ? p++ : q++;
            if (at > start && w->column[at - 1] == from->column[e]) {
                if (from->value[e] > w->value[at - 1]) w->value[at - 1] = from->value[e];
            } else {
                w->column[at] = from->column[e];
                w->value[at++] = from->value[e];
            }
        }
        w->row[i + 1] = at;
    }
}

/* W_ij / sqrt(D_i D_j), the smaller of the two indices first, so that both halves are the same bits. */
static drl_status normalise(drl_sparse *w, drl_err *err) {
    double *scale = NULL;
    drl_status st = drl_alloc(&scale, w->n, sizeof *scale, "degrees", err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; i < w->n; i++) {
        for (size_t e = w->row[i]; e < w->row[i + 1]; e++) scale[i] += (double)w->value[e];
        scale[i] = scale[i] > 0 ? 1 / sqrt(scale[i]) : 0;
    }
    for (size_t i = 0; i < w->n; i++)
        for (size_t e = w->row[i]; e < w->row[i + 1]; e++) {
            size_t j = w->column[e], low = i < j ? i : j, high = i < j ? j : i;
            w->value[e] = (drl_real)((double)w->value[e] * scale[low] * scale[high]);
        }
    drl_free(scale);
    return DRL_OK;
}

drl_status drl_affinity(drl_sparse *w, const drl_neighbours *nb, drl_err *err) {
    drl_sparse in = {0}, out = {0};
    size_t edges;
    *w = (drl_sparse){0};
    drl_status st = check(&edges, nb, err);
    if (st == DRL_OK) st = sparse_open(&in, nb->n, edges, err);
    if (st == DRL_OK) st = sparse_open(&out, nb->n, edges, err);
    if (st == DRL_OK) st = sparse_open(w, nb->n, 2 * edges, err);
    if (st == DRL_OK) {
        transpose_neighbours(&in, nb);
        transpose(&out, &in); /* S again, with ascending columns */
        merge(w, &out, &in);
        st = normalise(w, err);
    }
    drl_sparse_free(&out);
    drl_sparse_free(&in);
    if (st == DRL_OK) return st;
    drl_sparse_free(w);
    return drl_err_context(err, st, "affinity");
}
