/* The best of a table's columns, and what a test does not tell from it (drl/eval.h). */
#include <math.h>

#include "drl/eval.h"
#include "drl/mem.h"

#define SEEDS_TO_TEST 3
#define LEVEL         0.05

/* A column: values (rows, seeds); mean and number of them, p and p adjusted, of every row. */
typedef struct contest {
    size_t rows, seeds, best; /* best = rows: nothing to compare */
    double *values, *mean, *p, *adjusted;
    size_t *n;
} contest;

static void count(contest *c) {
    for (size_t r = 0; r < c->rows; r++) {
        double sum = 0;
        c->n[r] = 0;
        for (size_t s = 0; s < c->seeds; s++) {
            double v = c->values[r * c->seeds + s];
            if (isfinite(v)) sum += v, c->n[r]++;
        }
        c->mean[r] = c->n[r] ? sum / (double)c->n[r] : NAN;
    }
}

/* The largest mean of the rows with the most seeds: means over other seeds say little beside it. */
static void find_best(contest *c) {
    size_t most = 0, measured = 0;
    c->best = c->rows;
    for (size_t r = 0; r < c->rows; r++) {
        if (c->n[r] > most) most = c->n[r];
        measured += c->n[r] > 0;
    }
    if (measured < 2) return;
    for (size_t r = 0; r < c->rows; r++)
        if (c->n[r] == most && (c->best == c->rows || c->mean[r] > c->mean[c->best])) c->best = r;
}

/* Sums of the same values in another order are the same mean. */
static bool equals_best(const contest *c, size_t row) {
    return c->n[row] == c->n[c->best] && c->mean[c->best] - c->mean[row] <= 1e-9;
}

/* p of "as good as the best", seed by seed, of the rows that are not; NaN: not tested. */
static void test_against_best(contest *c) {
    double differences[DRL_EVAL_SEEDS];
    for (size_t r = 0; r < c->rows; r++) {
        size_t pairs = 0;
        for (size_t s = 0; s < c->seeds; s++) {
            double d = c->values[c->best * c->seeds + s] - c->values[r * c->seeds + s];
            if (isfinite(d)) differences[pairs++] = d;
        }
        bool tested = pairs >= SEEDS_TO_TEST && !equals_best(c, r);
        c->p[r] = tested ? drl_stats_p(drl_stats_of(differences, pairs)) : NAN;
    }
    drl_stats_holm(c->adjusted, c->p, c->rows);
}

static void mark_column(drl_table *table, size_t column, contest *c) {
    count(c);
    find_best(c);
    if (c->best == c->rows) return;
    test_against_best(c);
    for (size_t r = 0; r < c->rows; r++) {
        if (equals_best(c, r))
            drl_table_mark(table, r, column, DRL_MARK_BEST);
        else if (c->adjusted[r] >= LEVEL)
            drl_table_mark(table, r, column, DRL_MARK_TIE);
    }
}

static double best_of_arm(const drl_evaluation *e, const void *arg, size_t row, size_t column, size_t *arm,
                          uint64_t seed) {
    (void)arg;
    *arm = row;
    return drl_eval_best(e, row, (drl_probe_kind)column, seed);
}

static drl_status add_note(drl_table *table, const drl_evaluation *e, drl_err *err) {
    bool tested = e->settings->eval.eval_seeds >= SEEDS_TO_TEST;
    return drl_table_note(
        table,
        tested ? "Bold: the largest mean of a column; codes learned from labels take no part. Italic (underlined in "
                 "LaTeX): the difference from it, seed by seed, is not significant at 5 % (paired t test, two-sided, p "
                 "adjusted by Holm over the rows of the column that have at least 3 seeds)."
               : "Bold: the largest mean of a column; codes learned from labels take no part. No test is made with "
                 "fewer than 3 seeds.",
        err);
}

drl_status drl_eval_mark(drl_table *table, const drl_evaluation *e, const drl_eval_marking *what, drl_err *err) {
    size_t rows = what->rows;
    drl_eval_cell_value *value = what->value ? what->value : best_of_arm;
    contest c = {.rows = rows, .seeds = e->settings->eval.eval_seeds};
    drl_status st = drl_alloc(&c.values, rows * (c.seeds + 3), sizeof *c.values, "values of a table", err);
    if (st == DRL_OK) st = drl_alloc(&c.n, rows, sizeof *c.n, "values of a table", err);
    if (st == DRL_OK) {
        c.mean = c.values + rows * c.seeds;
        c.p = c.mean + rows;
        c.adjusted = c.p + rows;
        for (size_t column = 0; column < what->columns; column++) {
            for (size_t i = 0; i < rows * c.seeds; i++) {
                size_t arm = 0;
                double v = value(e, what->arg, i / c.seeds, column, &arm, i % c.seeds + 1);
                c.values[i] = e->arms[arm].method->labels ? NAN : v;
            }
            mark_column(table, what->first + column, &c);
        }
        st = add_note(table, e, err);
    }
    drl_free(c.n);
    drl_free(c.values);
    return st;
}
