/* Label propagation by conjugate gradients (drl/propagation.h), all classes side by side.   [Hestenes and Stiefel 1952]
 *
 * Vectors of all classes are matrices (n, pitch): a row is a node, its classes filled up to whole vectors, so that an
 * edge of the graph is one multiply-add of a vector. Sums over nodes are made in double, in pieces of a fixed number of
 * nodes that are then added in order. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "drl/log.h"
#include "drl/mem.h"
#include "nn/vector.h"
#include "semisup/labels_check.h"

#define PIECE 256 /* nodes */

typedef struct solver {
    const drl_sparse *w;
    drl_real alpha;
    size_t n, classes, pitch, pieces;
    drl_real *f, *r, *p, *q; /* (n, pitch) solution, residual, direction, A direction */
    drl_real *step;          /* (pitch) of the classes: of the solution, then of the direction; 0 where finished */
    double *partial;         /* (pieces, pitch) */
    double *total;           /* (pitch)         */
} solver;

static size_t end_of(const solver *s, size_t piece) {
    return (piece + 1) * PIECE < s->n ? (piece + 1) * PIECE : s->n;
}

/* sum_c += a_c b_c */
static void add_products(double *restrict sum, const drl_real *a, const drl_real *b, size_t pitch) {
    for (size_t c = 0; c < pitch; c++) sum[c] += (double)a[c] * (double)b[c];
}

/* q = (I - alpha w) p; partial sums of p q */
static void apply_piece(void *arg, size_t piece, size_t member) {
    solver *s = arg;
    const drl_sparse *w = s->w;
    size_t pitch = s->pitch;
    double *sum = s->partial + piece * pitch;
    (void)member;
    memset(sum, 0, pitch * sizeof *sum);
    for (size_t i = piece * PIECE, end = end_of(s, piece); i < end; i++) {
        for (size_t c = 0; c < pitch; c += V) {
            vec a = {0};
            for (size_t e = w->row[i]; e < w->row[i + 1]; e++) a += w->value[e] * load(s->p + w->column[e] * pitch + c);
            store(s->q + i * pitch + c, load(s->p + i * pitch + c) - s->alpha * a);
        }
        add_products(sum, s->p + i * pitch, s->q + i * pitch, pitch);
    }
}

/* f += step p, r -= step q; partial sums of r r */
static void advance_piece(void *arg, size_t piece, size_t member) {
    solver *s = arg;
    size_t pitch = s->pitch;
    double *sum = s->partial + piece * pitch;
    (void)member;
    memset(sum, 0, pitch * sizeof *sum);
    for (size_t i = piece * PIECE, end = end_of(s, piece); i < end; i++) {
        drl_real *restrict f = s->f + i * pitch, *restrict r = s->r + i * pitch;
        const drl_real *p = s->p + i * pitch, *q = s->q + i * pitch, *step = s->step;
        for (size_t c = 0; c < pitch; c++) f[c] += step[c] * p[c], r[c] -= step[c] * q[c];
        add_products(sum, r, r, pitch);
    }
}

/* p = r + step p */
static void turn_piece(void *arg, size_t piece, size_t member) {
    solver *s = arg;
    (void)member;
    for (size_t i = piece * PIECE * s->pitch, end = end_of(s, piece) * s->pitch; i < end; i += s->pitch)
        for (size_t c = 0; c < s->pitch; c++) s->p[i + c] = s->r[i + c] + s->step[c] * s->p[i + c];
}

/* total = the partial sums of all pieces, in their order */
static void add_pieces(solver *s) {
    memset(s->total, 0, s->pitch * sizeof *s->total);
    for (size_t piece = 0; piece < s->pieces; piece++)
        for (size_t c = 0; c < s->pitch; c++) s->total[c] += s->partial[piece * s->pitch + c];
}

/* Largest |r| / |y| of a class; `active` classes are those beyond the tolerance. rr and yy (pitch): squares. */
static double worst_residual(size_t *active, const solver *s, const double *rr, const double *yy, double tolerance) {
    double worst = 0;
    *active = 0;
    for (size_t c = 0; c < s->classes; c++) {
        double relative = sqrt(rr[c] / yy[c]);
        worst = fmax(worst, relative);
        *active += relative > tolerance;
    }
    return worst;
}

/* From f = 0, r = p = y, with yy (pitch) = the squared lengths of the columns of y. rr (pitch) written. */
static drl_status solve(solver *s, drl_propagation_result *result, double *rr, const double *yy,
                        const drl_propagation_cfg *cfg, drl_threads *team, drl_err *err) {
    size_t active;
    memcpy(rr, yy, s->pitch * sizeof *rr);
    result->iterations = 0;
    result->residual = worst_residual(&active, s, rr, yy, cfg->tolerance);
    while (active > 0 && result->iterations < cfg->iterations) {
        drl_threads_for(team, s->pieces, apply_piece, s);
        add_pieces(s);
        for (size_t c = 0; c < s->classes; c++) {
            bool finished = sqrt(rr[c] / yy[c]) <= cfg->tolerance;
            if (!finished && !(s->total[c] > 0 && isfinite(s->total[c])))
                return drl_fail(err, DRL_ERR_NUMERIC, "class %zu: I - alpha W is not positive definite", c);
            s->step[c] = finished ? 0 : (drl_real)(rr[c] / s->total[c]);
        }
        drl_threads_for(team, s->pieces, advance_piece, s);
        add_pieces(s);
        for (size_t c = 0; c < s->classes; c++) {
            bool finished = s->step[c] == 0;
            double before = rr[c];
            if (!finished) rr[c] = s->total[c];
            s->step[c] = finished ? 0 : (drl_real)(rr[c] / before);
        }
        drl_threads_for(team, s->pieces, turn_piece, s);
        result->iterations++;
        result->residual = worst_residual(&active, s, rr, yy, cfg->tolerance);
    }
    return DRL_OK;
}

/* f (n, C): clipped at 0, rows divided by their sums; rows of zeros 1/C; labelled rows their label. */
static void write_result(drl_real *f, const solver *s, const int32_t *labels) {
    for (size_t i = 0; i < s->n; i++, f += s->classes) {
        const drl_real *from = s->f + i * s->pitch;
        double sum = 0;
        for (size_t c = 0; c < s->classes; c++) {
            f[c] = labels[i] >= 0 ? labels[i] == (int32_t)c : from[c] > 0 ? from[c] : 0;
            sum += (double)f[c];
        }
        for (size_t c = 0; c < s->classes; c++)
            f[c] = sum > 0 ? (drl_real)((double)f[c] / sum) : 1 / (drl_real)s->classes;
    }
}

drl_propagation_cfg drl_propagation_published(void) {
    return (drl_propagation_cfg){.alpha = 0.99, .tolerance = 1e-3, .iterations = 30, .align_rounds = 100};
}

static drl_status check(const drl_propagation_cfg *cfg, drl_err *err) {
    if (!(cfg->alpha >= 0 && cfg->alpha < 1))
        return drl_fail(err, DRL_ERR_CONFIG, "alpha is %g, not in [0, 1)", cfg->alpha);
    if (!(cfg->tolerance > 0)) return drl_fail(err, DRL_ERR_CONFIG, "tolerance is %g, not above 0", cfg->tolerance);
    if (cfg->iterations == 0) return drl_fail(err, DRL_ERR_CONFIG, "0 iterations, at least 1 is needed");
    return DRL_OK;
}

static drl_status solver_open(solver *s, double **squares, drl_err *err) {
    size_t size;
    if (!drl_mul_size(&size, s->n, s->pitch))
        return drl_fail(err, DRL_ERR_MEMORY, "%zu classes of %zu rows are too many", s->classes, s->n);
    drl_status st = drl_alloc(&s->f, size, sizeof *s->f, "solution", err);
    if (st == DRL_OK) st = drl_alloc(&s->r, size, sizeof *s->r, "residuals", err);
    if (st == DRL_OK) st = drl_alloc(&s->p, size, sizeof *s->p, "directions", err);
    if (st == DRL_OK) st = drl_alloc(&s->q, size, sizeof *s->q, "products", err);
    if (st == DRL_OK) st = drl_alloc(&s->step, s->pitch, sizeof *s->step, "steps", err);
    if (st == DRL_OK) st = drl_alloc(&s->partial, s->pieces * s->pitch, sizeof *s->partial, "partial sums", err);
    if (st == DRL_OK) st = drl_alloc(&s->total, s->pitch, sizeof *s->total, "sums", err);
    if (st == DRL_OK) st = drl_alloc(squares, 2 * s->pitch, sizeof **squares, "squares", err);
    return st;
}

static void solver_free(solver *s) {
    drl_free(s->f);
    drl_free(s->r);
    drl_free(s->p);
    drl_free(s->q);
    drl_free(s->step);
    drl_free(s->partial);
    drl_free(s->total);
}

drl_status drl_propagate(drl_real *f, drl_propagation_result *result, const drl_sparse *w, const int32_t *labels,
                         size_t classes, const drl_propagation_cfg *cfg, drl_threads *team, drl_err *err) {
    double start = drl_now(), *squares = NULL;
    drl_propagation_result made = {0};
    solver s = {.w = w, .n = w->n, .classes = classes, .alpha = (drl_real)cfg->alpha};
    s.pitch = (classes + V - 1) / V * V;
    s.pieces = (s.n + PIECE - 1) / PIECE;
    drl_status st = check(cfg, err);
    if (st == DRL_OK) st = drl_labels_check(labels, s.n, classes, true, err);
    if (st == DRL_OK) st = solver_open(&s, &squares, err);
    if (st == DRL_OK) {
        double *rr = squares, *yy = squares + s.pitch; /* |y_c|^2 is the number of labelled rows */
        for (size_t i = 0; i < s.n; i++)
            if (labels[i] >= 0) {
                s.r[i * s.pitch + (size_t)labels[i]] = s.p[i * s.pitch + (size_t)labels[i]] = 1;
                yy[labels[i]] += 1;
            }
        st = solve(&s, &made, rr, yy, cfg, team, err);
    }
    if (st == DRL_OK) write_result(f, &s, labels);
    made.solve_seconds = drl_now() - start;
    if (result) *result = made;
    solver_free(&s);
    drl_free(squares);
    return st == DRL_OK ? st : drl_err_context(err, st, "label propagation");
}
