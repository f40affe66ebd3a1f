/* Label propagation over a graph of neighbours (drl/propagation.h) against plain dense computations in double: all
 * similarities sorted, W as a full matrix, Gaussian elimination. */
#include "probe_test.h"

#include "drl/propagation.h"

static drl_err err;

static void *room(size_t count, size_t size) {
    void *p = NULL;
    assert_int_equal(drl_alloc(&p, count, size, "test", NULL), DRL_OK);
    return p;
}

static drl_real *draw(size_t n, size_t d, uint32_t sub) {
    drl_real *x = room(n * d, sizeof *x);
    drl_rng_normal(drl_rng_stream(11, DRL_RNG_TEST, sub, 0), 0, x, n * d);
    return x;
}

/* +-1: inner products are small integers, exact in any order of summation, and ties are everywhere. */
static drl_real *draw_signs(size_t n, size_t d, uint32_t sub) {
    drl_real *x = draw(n, d, sub);
    for (size_t i = 0; i < n * d; i++) x[i] = x[i] > 0 ? 1 : -1;
    return x;
}

/* ---- Neighbours ---------------------------------------------------------------------------------------------------
 */

typedef struct candidate {
    double similarity;
    size_t index;
} candidate;

static int by_rank(const void *pa, const void *pb) {
    const candidate *a = pa, *b = pb;
    if (a->similarity != b->similarity) return a->similarity > b->similarity ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* all (n - 1) = every other row, the most similar first */
static void rank_all(candidate *all, const drl_real *x, size_t n, size_t d, size_t i) {
    for (size_t j = 0, at = 0; j < n; j++) {
        if (j == i) continue;
        double sum = 0;
        for (size_t c = 0; c < d; c++) sum += (double)x[i * d + c] * (double)x[j * d + c];
        all[at++] = (candidate){sum, j};
    }
    qsort(all, n - 1, sizeof *all, by_rank);
}

static drl_neighbours find(const drl_real *x, size_t n, size_t d, size_t k, size_t threads) {
    drl_threads *team = open_team(threads);
    drl_neighbours nb;
    if (drl_neighbours_find(&nb, x, n, d, k, team, &err) != DRL_OK) fail_msg("%s", err.message);
    drl_threads_close(team);
    assert_int_equal(nb.n, n);
    assert_int_equal(nb.k, k);
    return nb;
}

/* Every neighbour and its place, where products are exact, from 1, 2 and 3 threads. */
static void check_exact(const drl_real *x, size_t n, size_t d, size_t k) {
    candidate *all = room(n, sizeof *all);
    drl_neighbours nb[3];
    for (size_t t = 0; t < 3; t++) nb[t] = find(x, n, d, k, t + 1);
    for (size_t i = 0; i < n; i++) {
        rank_all(all, x, n, d, i);
        for (size_t e = 0; e < k; e++)
            for (size_t t = 0; t < 3; t++) {
                size_t index = nb[t].index[i * k + e];
                double similarity = (double)nb[t].similarity[i * k + e];
                if (index != all[e].index || !(similarity == all[e].similarity))
                    fail_msg("n %zu, d %zu, k %zu, %zu threads: row %zu, place %zu: %zu (%g), not %zu (%g)", n, d, k,
                             t + 1, i, e, index, similarity, all[e].index, all[e].similarity);
            }
    }
    for (size_t t = 0; t < 3; t++) drl_neighbours_free(&nb[t]);
    drl_free(all);
}

/* Sizes about the edges of blocks (512 rows), strips and vectors, primes; every k a list of candidates treats apart. */
static void test_neighbours_exact(void **state) {
    (void)state;
    static const struct {
        size_t n, d, k;
    } sizes[] = {{2, 1, 1},     {3, 5, 2},     {17, 3, 16},    {127, 16, 5},    {128, 16, 50},   {129, 16, 1},
                 {511, 16, 7},  {512, 16, 50}, {513, 16, 511}, {513, 16, 3},    {1024, 16, 50},  {1025, 1, 20},
                 {1031, 16, 2}, {1543, 13, 9}, {1543, 4, 150}, {2053, 16, 100}, {1600, 24, 1599}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        drl_real *x = draw_signs(sizes[s].n, sizes[s].d, (uint32_t)s);
        check_exact(x, sizes[s].n, sizes[s].d, sizes[s].k);
        drl_free(x);
    }
}

/* All rows the same: the order is that of the indices. Rows that come twice and more; rows of zeros. Similarities that
 * grow or fall with the index, so that lists are always or never cut. */
static void test_neighbours_ties(void **state) {
    (void)state;
    const size_t n = 1100, d = 8;
    drl_real *x = draw_signs(n, d, 100), *line = room(n, sizeof *line);
    for (size_t i = 1; i < n; i++)
        for (size_t c = 0; c < d; c++) x[i * d + c] = x[c];
    check_exact(x, n, d, 5);
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < d; c++) x[i * d + c] = i % 7 == 3 ? 0 : (drl_real)((i % 10 >> c % 4) & 1);
    check_exact(x, n, d, 40);
    for (size_t i = 0; i < n; i++) line[i] = (drl_real)(i + 1);
    check_exact(line, n, 1, 5);
    for (size_t i = 0; i < n; i++) line[i] = (drl_real)(n - i);
    check_exact(line, n, 1, 5);
    drl_free(line);
    drl_free(x);
}

/* Real features: similarities are those of double to rounding, none that is larger is missing, nothing comes twice, and
 * both directions of a pair have the same bits. */
static void test_neighbours_real(void **state) {
    (void)state;
    const size_t n = 1301, d = 128, k = 50;
    drl_real *x = draw(n, d, 200);
    assert_int_equal(drl_unit_rows(x, n, d, &err), DRL_OK);
    candidate *all = room(n, sizeof *all);
    drl_neighbours nb = find(x, n, d, k, 2);
    size_t mutual = 0;
    for (size_t i = 0; i < n; i++) {
        rank_all(all, x, n, d, i);
        for (size_t e = 0; e < k; e++) {
            size_t j = nb.index[i * k + e];
            assert_true(j < n && j != i);
            assert_close(nb.similarity[i * k + e], all[e].similarity, 1e-6);
            double sum = 0;
            for (size_t c = 0; c < d; c++) sum += (double)x[i * d + c] * (double)x[j * d + c];
            assert_close(nb.similarity[i * k + e], sum, 1e-6);
            for (size_t other = 0; other < e; other++) assert_true(nb.index[i * k + other] != j);
            for (size_t back = 0; back < k; back++)
                if (nb.index[j * k + back] == i) {
                    assert_true(nb.similarity[j * k + back] == nb.similarity[i * k + e]);
                    mutual++;
                }
        }
    }
    assert_true(mutual > n);
    drl_neighbours_free(&nb);
    drl_free(all);
    drl_free(x);
}

static void test_unit_rows(void **state) {
    (void)state;
    drl_real x[] = {3, 4, 0, 0, -2, 0, 1e30f, 1e30f, 1e-30f, 0}, bad[] = {1, 2, INFINITY, 2};
    assert_int_equal(drl_unit_rows(x, 5, 2, &err), DRL_OK);
    const double want[] = {0.6, 0.8, 0, 0, -1, 0, sqrt(0.5), sqrt(0.5), 1, 0};
    for (size_t i = 0; i < 10; i++) assert_close(x[i], want[i], 1e-7);
    assert_int_equal(drl_unit_rows(bad, 2, 2, &err), DRL_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "row 1"));
    assert_true(bad[0] == 1 && bad[1] == 2);
}

/* ---- Affinity -----------------------------------------------------------------------------------------------------
 */

/* w (n, n) = D^-1/2 max(S, S^T) D^-1/2 by its definition. */
static double *dense_affinity(const drl_neighbours *nb) {
    size_t n = nb->n;
    double *s = room(n * n, sizeof *s), *w = room(n * n, sizeof *w), *degree = room(n, sizeof *degree);
    for (size_t i = 0; i < n; i++)
        for (size_t e = 0; e < nb->k; e++) s[i * n + nb->index[i * nb->k + e]] = (double)nb->similarity[i * nb->k + e];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            w[i * n + j] = i == j ? 0 : fmax(0, fmax(s[i * n + j], s[j * n + i]));
            degree[i] += w[i * n + j];
        }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if (w[i * n + j] > 0) w[i * n + j] /= sqrt(degree[i]) * sqrt(degree[j]);
    drl_free(degree);
    drl_free(s);
    return w;
}

/* Entry for entry; returns the number of nodes without edges. */
static size_t check_affinity(const drl_sparse *w, const drl_neighbours *nb) {
    double *dense = dense_affinity(nb);
    size_t n = nb->n, alone = 0;
    assert_int_equal(w->n, n);
    assert_int_equal(w->row[0], 0);
    for (size_t i = 0; i < n; i++) {
        size_t e = w->row[i];
        for (size_t j = 0; j < n; j++) {
            if (!(dense[i * n + j] > 0)) continue;
            assert_true(e < w->row[i + 1] && w->column[e] == j); /* ascending, none missing, none more */
            assert_close(w->value[e], dense[i * n + j], 1e-6);
            e++;
        }
        assert_int_equal(e, w->row[i + 1]);
        alone += w->row[i] == w->row[i + 1];
    }
    drl_free(dense);
    return alone;
}

/* Random features in few dimensions have negative similarities among their k nearest; a row of zeros has no edge. */
static void test_affinity(void **state) {
    (void)state;
    const size_t n = 300, d = 3, k = 150;
    drl_real *x = draw(n, d, 300);
    for (size_t c = 0; c < d; c++) x[5 * d + c] = x[299 * d + c] = 0;
    drl_neighbours nb = find(x, n, d, k, 2);
    size_t negative = 0;
    for (size_t e = 0; e < n * k; e++) negative += nb.similarity[e] < 0;
    assert_true(negative > 0);
    drl_sparse w;
    assert_int_equal(drl_affinity(&w, &nb, &err), DRL_OK);
    assert_int_equal(check_affinity(&w, &nb), 2);
    drl_sparse_free(&w);
    drl_neighbours_free(&nb);
    drl_free(x);
}

/* Lists of anyone's making: the two directions of an edge differ, a row is its own neighbour. */
static void test_affinity_any(void **state) {
    (void)state;
    uint32_t index[] = {1, 2, 0, 3, 2, 0, 1, 3};
    drl_real similarity[] = {0.5f, 0.25f, 0.75f, -1, 9, 0.125f, 0.0625f, 3};
    drl_neighbours nb = {4, 2, index, similarity};
    drl_sparse w;
    assert_int_equal(drl_affinity(&w, &nb, &err), DRL_OK);
    assert_int_equal(check_affinity(&w, &nb), 0);
    /* W: 01 0.75, 02 0.25, 13 0.0625; degrees 1, 0.8125, 0.25, 0.0625 */
    assert_int_equal(w.row[4], 6);
    assert_close(w.value[0], 0.75 / sqrt(0.8125), 1e-7);
    assert_close(w.value[w.row[3]], 0.0625 / sqrt(0.8125 * 0.0625), 1e-7);
    drl_sparse_free(&w);
    similarity[3] = NAN;
    assert_int_equal(drl_affinity(&w, &nb, &err), DRL_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "row 1"));
    similarity[3] = 1, index[3] = 4;
    assert_int_equal(drl_affinity(&w, &nb, &err), DRL_ERR_SHAPE);
    assert_null(w.row);
}

/* ---- Propagation --------------------------------------------------------------------------------------------------
 */

/* b (n, m) = a^-1 b by Gaussian elimination with row pivots; a is used up. */
static void eliminate(double *a, double *b, size_t n, size_t m) {
    for (size_t c = 0; c < n; c++) {
        size_t pivot = c;
        for (size_t i = c + 1; i < n; i++)
            if (fabs(a[i * n + c]) > fabs(a[pivot * n + c])) pivot = i;
        for (size_t j = 0; j < n && pivot != c; j++) {
            double t = a[c * n + j];
            a[c * n + j] = a[pivot * n + j], a[pivot * n + j] = t;
        }
        for (size_t j = 0; j < m && pivot != c; j++) {
            double t = b[c * m + j];
            b[c * m + j] = b[pivot * m + j], b[pivot * m + j] = t;
        }
        for (size_t i = 0; i < n; i++) {
            double factor = a[i * n + c] / a[c * n + c];
            if (i == c || factor == 0) continue;
            for (size_t j = c; j < n; j++) a[i * n + j] -= factor * a[c * n + j];
            for (size_t j = 0; j < m; j++) b[i * m + j] -= factor * b[c * m + j];
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) b[i * m + j] /= a[i * n + i];
}

/* f (n, m): the solution for these labels, clipped, divided by row sums, labelled rows one-hot. */
static double *dense_propagation(const drl_neighbours *nb, const int32_t *labels, size_t m, double alpha) {
    size_t n = nb->n;
    double *a = dense_affinity(nb), *f = room(n * m, sizeof *f);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) a[i * n + j] = (i == j) - alpha * a[i * n + j];
        if (labels[i] >= 0) f[i * m + (size_t)labels[i]] = 1;
    }
    eliminate(a, f, n, m);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t c = 0; c < m; c++) sum += f[i * m + c] = fmax(0, f[i * m + c]);
        for (size_t c = 0; c < m; c++) {
            f[i * m + c] = sum > 0 ? f[i * m + c] / sum : 1 / (double)m;
            if (labels[i] >= 0) f[i * m + c] = labels[i] == (int32_t)c;
        }
    }
    drl_free(a);
    return f;
}

/* Every `step`-th row has a label, of the classes in turn. */
static int32_t *spread_labels(size_t n, size_t classes, size_t step) {
    int32_t *labels = room(n, sizeof *labels);
    for (size_t i = 0; i < n; i++) labels[i] = i % step == 0 ? (int32_t)(i / step % classes) : -1;
    return labels;
}

static drl_sparse affinity(const drl_neighbours *nb) {
    drl_sparse w;
    if (drl_affinity(&w, nb, &err) != DRL_OK) fail_msg("%s", err.message);
    return w;
}

static drl_propagation_result propagate(drl_real *f, const drl_sparse *w, const int32_t *labels, size_t classes,
                                        const drl_propagation_cfg *cfg, size_t threads) {
    drl_threads *team = open_team(threads);
    drl_propagation_result result;
    if (drl_propagate(f, &result, w, labels, classes, cfg, team, &err) != DRL_OK) fail_msg("%s", err.message);
    drl_threads_close(team);
    return result;
}

/* To a small residual, the whole of F; numbers of classes about the width of vectors. */
static void test_propagation_dense(void **state) {
    (void)state;
    const size_t n = 300, d = 8, k = 10;
    drl_real *x = draw(n, d, 400);
    assert_int_equal(drl_unit_rows(x, n, d, &err), DRL_OK);
    for (size_t c = 0; c < d; c++) x[7 * d + c] = 0; /* a node without edges */
    drl_neighbours nb = find(x, n, d, k, 1);
    drl_sparse w = affinity(&nb);
    assert_int_equal(w.row[7], w.row[8]);
    static const size_t classes[] = {1, 2, 10, 16, 17, 40};
    for (size_t s = 0; s < sizeof classes / sizeof *classes; s++) {
        size_t m = classes[s];
        int32_t *labels = spread_labels(n, m, 5);
        double *want = dense_propagation(&nb, labels, m, 0.9);
        drl_real *f = room(n * m, sizeof *f);
        drl_propagation_cfg cfg = {.alpha = 0.9, .tolerance = 2e-7, .iterations = 100};
        drl_propagation_result result = propagate(f, &w, labels, m, &cfg, 2);
        assert_true(result.residual <= 2e-7 && result.iterations < 100 && result.iterations > 3);
        for (size_t i = 0; i < n * m; i++)
            if (!(fabs((double)f[i] - want[i]) <= 2e-5))
                fail_msg("%zu classes, row %zu, class %zu: %g, not %g", m, i / m, i % m, (double)f[i], want[i]);
        for (size_t c = 0; c < m; c++) assert_close(f[7 * m + c], 1 / (double)m, 1e-7);
        drl_free(f);
        drl_free(want);
        drl_free(labels);
    }
    drl_sparse_free(&w);
    drl_neighbours_free(&nb);
    drl_free(x);
}

/* A path of three nodes, the ends labelled, alpha = 1/2: the middle is as near to one as to the other. Then the path
 * 2 - 1 - 0 - 3 - 4, labelled at its ends: the nodes beside them follow them, the middle is undecided. */
static void test_propagation_by_hand(void **state) {
    (void)state;
    uint32_t index[] = {1, 0, 1}, longer_index[] = {1, 2, 1, 0, 3};
    drl_real ones[] = {1, 1, 1, 1, 1}, f[10];
    drl_neighbours nb = {3, 1, index, ones}, longer = {5, 1, longer_index, ones};
    const int32_t labels[] = {0, -1, 1}, ends[] = {-1, -1, 0, -1, 1};
    drl_propagation_cfg cfg = {.alpha = 0.5, .tolerance = 1e-7, .iterations = 50};
    drl_sparse w = affinity(&nb);
    propagate(f, &w, labels, 2, &cfg, 1);
    const double want[] = {1, 0, 0.5, 0.5, 0, 1};
    for (size_t i = 0; i < 6; i++) assert_close(f[i], want[i], 1e-6);
    drl_sparse_free(&w);
    /* Its longer sister has no edge 0 - 3 but for node 3's own neighbour list: max(W, W^T) makes it one. */
    w = affinity(&longer);
    assert_int_equal(w.row[5], 8);
    propagate(f, &w, ends, 2, &cfg, 1);
    assert_close(f[0], 0.5, 1e-6);
    assert_true(f[2] > 0.9 && f[7] > 0.9 && f[2] < 1 && f[7] < 1);
    drl_sparse_free(&w);
}

/* Textbook conjugate gradients of one class on the dense matrix, in double. Returns the iterations made. */
static size_t dense_gradients(double *residual, const double *a, const int32_t *labels, int32_t class, size_t n,
                              double tolerance, size_t most) {
    double *r = room(n, sizeof *r), *p = room(n, sizeof *p), *q = room(n, sizeof *q), yy = 0, rr;
    size_t made = 0;
    for (size_t i = 0; i < n; i++) yy += r[i] = p[i] = labels[i] == class;
    for (rr = yy; sqrt(rr / yy) > tolerance && made < most; made++) {
        double pq = 0, before = rr;
        for (size_t i = 0; i < n; i++) {
            q[i] = 0;
            for (size_t j = 0; j < n; j++) q[i] += a[i * n + j] * p[j];
            pq += p[i] * q[i];
        }
        rr = 0;
        for (size_t i = 0; i < n; i++) r[i] -= before / pq * q[i], rr += r[i] * r[i];
        for (size_t i = 0; i < n; i++) p[i] = r[i] + rr / before * p[i];
    }
    *residual = sqrt(rr / yy);
    drl_free(q);
    drl_free(p);
    drl_free(r);
    return made;
}

/* At the published settings, and cut short: iterations and residual are those of the class that takes most, alone.
 * Class 0 lives in the first 500 rows, class 1 in a small component of the graph, where it takes fewer iterations, and
 * class 2 in nodes without edges, where the first iteration leaves no residual at all. */
static void test_residual(void **state) {
    (void)state;
    const size_t n = 600, d = 18, k = 10, m = 3;
    drl_real *x = draw(n, d, 500), *f = room(n * m, sizeof *f);
    int32_t *labels = room(n, sizeof *labels);
    for (size_t i = 0; i < n; i++) {
        labels[i] = i == 300 || i == 17 ? 0 : i == 520 || i == 531 ? 1 : i == 570 ? 2 : -1;
        for (size_t c = 0; c < d; c++)
            x[i * d + c] = i < 500 && c < 16 ? x[i * d + c] : i >= 500 && i < 560 && c >= 16 ? fabsf(x[i * d + c]) : 0;
    }
    assert_int_equal(drl_unit_rows(x, n, d, &err), DRL_OK);
    drl_neighbours nb = find(x, n, d, k, 1);
    drl_sparse w = affinity(&nb);
    double *a = dense_affinity(&nb);
    for (size_t e = 0; e < n * n; e++) a[e] = (e / n == e % n) - 0.99 * a[e];
    drl_propagation_cfg cfg = drl_propagation_published();
    assert_true(cfg.alpha == 0.99 && cfg.tolerance == 1e-3 && cfg.iterations == 30 && cfg.align_rounds == 100);
    size_t longest = 30;
    for (int part = 0; part < 2; part++) {
        double residual, worst = 0;
        size_t made, most = 0, least = 1000;
        for (int32_t c = 0; c < (int32_t)m; c++) {
            made = dense_gradients(&residual, a, labels, c, n, 1e-3, cfg.iterations);
            worst = fmax(worst, residual);
            most = made > most ? made : most;
            least = made < least ? made : least;
        }
        drl_propagation_result result = propagate(f, &w, labels, m, &cfg, 2);
        assert_int_equal(result.iterations, most);
        assert_close(result.residual, worst, 1e-3 * worst);
        if (part == 0) {
            assert_true(result.residual <= 1e-3 && most < 30 && least == 1);
            longest = most;
            double *want = dense_propagation(&nb, labels, m, 0.99);
            for (size_t e = 0; e < n * m; e++) assert_close(f[e], want[e], 0.05);
            drl_free(want);
        } else {
            assert_true(result.residual > 1e-3);
        }
        cfg.iterations = longest - 1;
    }
    drl_free(a);
    drl_sparse_free(&w);
    drl_neighbours_free(&nb);
    drl_free(labels);
    drl_free(f);
    drl_free(x);
}

/* ---- Known answers: two moons, blobs --------------------------------------------------------------------------------
 */

/* Two half circles that embrace each other, noise 0.06, and a third dimension that makes nearness an inner product: on
 * the unit sphere, points near each other in the plane are the most similar. One label a moon, at its middle. */
static void make_moons(drl_real *x, int32_t *y, size_t n) {
    drl_rng rng = drl_rng_stream(12, DRL_RNG_TEST, 0, 0);
    drl_real *noise = room(2 * n, sizeof *noise);
    drl_rng_normal(drl_rng_stream(12, DRL_RNG_TEST, 1, 0), 0, noise, 2 * n);
    for (size_t i = 0; i < n; i++) {
        double a = 3.14159265358979 * drl_rng_uniform_at(rng, i), px = cos(a), py = sin(a);
        y[i] = (int32_t)(i % 2);
        if (y[i]) px = 1 - px, py = 0.5 - py;
        x[3 * i] = (drl_real)(px - 0.5 + 0.06 * (double)noise[2 * i]);
        x[3 * i + 1] = (drl_real)(py - 0.25 + 0.06 * (double)noise[2 * i + 1]);
        x[3 * i + 2] = 2.5;
    }
    drl_free(noise);
}

/* Share of the unlabelled rows that get their class, through the whole chain. */
static double chain_accuracy(const drl_real *x, size_t n, size_t d, size_t k, const int32_t *y, const int32_t *labels,
                             size_t classes, const drl_propagation_cfg *cfg) {
    drl_threads *team = open_team(2);
    int32_t *pseudo = room(n, sizeof *pseudo);
    drl_propagation_result result;
    if (drl_pseudo_label(pseudo, &result, x, n, d, k, labels, classes, cfg, team, &err) != DRL_OK)
        fail_msg("%s", err.message);
    assert_true(result.iterations > 0 && result.graph_seconds > 0 && result.solve_seconds > 0);
    size_t right = 0, unlabelled = 0;
    for (size_t i = 0; i < n; i++) {
        if (labels[i] >= 0) assert_int_equal(pseudo[i], labels[i]);
        right += labels[i] < 0 && pseudo[i] == y[i];
        unlabelled += labels[i] < 0;
    }
    drl_free(pseudo);
    drl_threads_close(team);
    return (double)right / (double)unlabelled;
}

/* 1 label a moon. The nearest labelled row, which is what codes without a graph give, is wrong for a seventh. */
static void test_two_moons(void **state) {
    (void)state;
    const size_t n = 1000;
    drl_real *x = room(3 * n, sizeof *x);
    int32_t *y = room(n, sizeof *y), *labels = room(n, sizeof *labels);
    make_moons(x, y, n);
    size_t middle[2] = {0, 1};
    for (size_t i = 0; i < n; i++) {
        size_t *m = &middle[y[i]];
        double centre = y[i] ? 0.5 : -0.5;
        if (fabs((double)x[3 * i] - centre) < fabs((double)x[3 * *m] - centre)) *m = i;
        labels[i] = -1;
    }
    for (int32_t c = 0; c < 2; c++) labels[middle[c]] = c;
    size_t nearest = 0;
    for (size_t i = 0; i < n; i++) {
        double distance[2];
        for (size_t c = 0; c < 2; c++) {
            const drl_real *other = x + 3 * middle[c];
            distance[c] = hypot((double)(x[3 * i] - other[0]), (double)(x[3 * i + 1] - other[1]));
        }
        nearest += (distance[1] < distance[0]) == y[i];
    }
    assert_true(nearest < n * 87 / 100);
    drl_propagation_cfg cfg = {.alpha = 0.99, .tolerance = 1e-3, .iterations = 200, .align_rounds = 100};
    double accuracy = chain_accuracy(x, n, 3, 10, y, labels, 2, &cfg);
    if (!(accuracy >= 0.99)) fail_msg("accuracy %g on two moons", accuracy);
    drl_free(labels);
    drl_free(y);
    drl_free(x);
}

/* Ten Gaussian blobs about random unit vectors in 32 dimensions, 1 label each, published settings. The noise has the
 * length of the centres, so that one label alone classifies badly: its blob is known by its neighbours. */
static void test_blobs(void **state) {
    (void)state;
    const size_t n = 2000, d = 32, classes = 10;
    drl_real *x = draw(n, d, 600), *centre = draw(classes, d, 601);
    int32_t *y = room(n, sizeof *y), *labels = room(n, sizeof *labels);
    assert_int_equal(drl_unit_rows(centre, classes, d, &err), DRL_OK);
    for (size_t i = 0; i < n; i++) {
        y[i] = (int32_t)(i % classes);
        labels[i] = i < classes ? y[i] : -1;
        for (size_t c = 0; c < d; c++) x[i * d + c] = (drl_real)(0.15 * x[i * d + c] + centre[(size_t)y[i] * d + c]);
    }
    drl_propagation_cfg cfg = drl_propagation_published();
    double accuracy = chain_accuracy(x, n, d, 50, y, labels, classes, &cfg);
    if (!(accuracy >= 0.98)) fail_msg("accuracy %g on blobs", accuracy);
    drl_free(labels);
    drl_free(y);
    drl_free(centre);
    drl_free(x);
}

/* ---- Alignment and pseudo-labels ------------------------------------------------------------------------------------
 */

/* Shares 1/3, 2/3 of three labelled rows and of six others: no bit moves, though the rows do not sum to exactly 1. */
static void test_aligned(void **state) {
    (void)state;
    const int32_t labels[] = {0, 1, 1, -1, -1, -1, -1, -1, -1};
    drl_real f[18] = {1, 0, 0, 1, 0, 1, 0.9f, 0.1f, 0.3f, 0.7f, 0.7f, 0.3f, 0.1f, 0.9f, 0.2f, 0.8000001f, 0.35f, 0.65f};
    drl_real before[18];
    memcpy(before, f, sizeof f);
    assert_int_equal(drl_align(f, labels, 9, 2, 100, &err), DRL_OK);
    assert_memory_equal(f, before, sizeof f);
    f[6] = 0.4f, f[7] = 0.6f; /* 1/6, 5/6 */
    assert_int_equal(drl_align(f, labels, 9, 2, 0, &err), DRL_OK);
    assert_true(f[6] == 0.4f);
    assert_int_equal(drl_align(f, labels, 9, 2, 1, &err), DRL_OK);
    assert_close(f[6], 0.4 * 1.01 / (0.4 * 1.01 + 0.6 * 0.99), 1e-6);
}

/* Round after round by the definition, in double, to the end and after a few. Unequal shares; the third class starts
 * without any argmax. */
static void test_align_rounds(void **state) {
    (void)state;
    enum { N = 400, C = 4 };
    static double want[N][C];
    static drl_real f[N * C];
    static int32_t labels[N];
    static const size_t rounds[] = {1, 2, 7, 100};
    for (size_t s = 0; s < sizeof rounds / sizeof *rounds; s++) {
        drl_rng rng = drl_rng_stream(13, DRL_RNG_TEST, 0, 0);
        double own[C] = {0}, n_own = 0;
        for (size_t i = 0; i < N; i++) {
            double sum = 0;
            labels[i] = i < 50 ? (int32_t)(i < 20 ? 0 : i < 30 ? 1 : i < 45 ? 2 : 3) : -1;
            if (labels[i] >= 0) own[labels[i]] += 1, n_own += 1;
            for (size_t c = 0; c < C; c++) {
                want[i][c] = (0.5 + drl_rng_uniform_at(rng, i * C + c)) * (c == 2 ? 0.3 : 1);
                if (labels[i] >= 0) want[i][c] = labels[i] == (int32_t)c;
                sum += want[i][c];
            }
            for (size_t c = 0; c < C; c++) f[i * C + c] = (drl_real)(want[i][c] /= sum);
        }
        size_t moved = 0;
        for (size_t r = 0; r < rounds[s]; r++) {
            double count[C] = {0}, factor[C];
            for (size_t i = 50; i < N; i++) {
                size_t top = 0;
                for (size_t c = 1; c < C; c++) top = want[i][c] > want[i][top] ? c : top;
                count[top] += 1;
            }
            if (r == 0) assert_true(count[2] == 0);
            for (size_t c = 0; c < C; c++)
                factor[c] = count[c] > 0 ? fmin(1.01, fmax(0.99, own[c] / n_own / (count[c] / (N - 50.0)))) : 1.01;
            for (size_t i = 50; i < N; i++) {
                double sum = 0;
                for (size_t c = 0; c < C; c++) sum += want[i][c] *= factor[c];
                for (size_t c = 0; c < C; c++) want[i][c] /= sum;
            }
        }
        assert_int_equal(drl_align(f, labels, N, C, rounds[s], &err), DRL_OK);
        for (size_t i = 0; i < N; i++)
            for (size_t c = 0; c < C; c++) {
                assert_close(f[i * C + c], want[i][c], rounds[s] > 7 ? 5e-3 : 1e-6);
                moved += i >= 50 && f[i * C + c] > 0;
            }
        assert_int_equal(moved, (N - 50) * C);
    }
}

static void test_argmax(void **state) {
    (void)state;
    const drl_real f[] = {0, 1, 0, 0.5f, 0.25f, 0.5f, 0, 0, 0, 0.1f, 0.2f, 0.7f};
    int32_t pseudo[4];
    drl_pseudo_labels(pseudo, f, 4, 3);
    const int32_t want[] = {1, 0, 0, 2};
    assert_memory_equal(pseudo, want, sizeof want);
}

/* ---- The number of threads, errors --------------------------------------------------------------------------------
 */

static void test_same_bits(void **state) {
    (void)state;
    const size_t n = 2311, d = 24, k = 20, m = 10;
    drl_real *x = draw(n, d, 700), *f[4];
    int32_t *labels = spread_labels(n, m, 50);
    drl_propagation_cfg cfg = drl_propagation_published();
    drl_neighbours nb[4];
    assert_int_equal(drl_unit_rows(x, n, d, &err), DRL_OK);
    for (size_t t = 1; t <= 3; t++) {
        nb[t] = find(x, n, d, k, t);
        drl_sparse w = affinity(&nb[t]);
        f[t] = room(n * m, sizeof *x);
        propagate(f[t], &w, labels, m, &cfg, t);
        drl_sparse_free(&w);
        assert_memory_equal(nb[t].index, nb[1].index, n * k * sizeof *nb[t].index);
        assert_memory_equal(nb[t].similarity, nb[1].similarity, n * k * sizeof(drl_real));
        assert_memory_equal(f[t], f[1], n * m * sizeof(drl_real));
    }
    for (size_t t = 1; t <= 3; t++) {
        drl_neighbours_free(&nb[t]);
        drl_free(f[t]);
    }
    drl_free(labels);
    drl_free(x);
}

static void test_bad_neighbours(void **state) {
    (void)state;
    drl_threads *team = open_team(2);
    drl_neighbours nb;
    drl_real x[] = {1, 2, 3, 4, 5, 6}, huge[] = {1, 2, 1e30f, 1e30f, 1e30f, -1e30f};
    assert_int_equal(drl_neighbours_find(&nb, x, 3, 2, 3, team, &err), DRL_ERR_CONFIG);
    assert_non_null(strstr(err.message, "k = 3"));
    assert_int_equal(drl_neighbours_find(&nb, x, 3, 2, 0, team, &err), DRL_ERR_CONFIG);
    assert_int_equal(drl_neighbours_find(&nb, x, 0, 2, 1, team, &err), DRL_ERR_CONFIG);
    assert_int_equal(drl_neighbours_find(&nb, x, 3, 0, 1, team, &err), DRL_ERR_SHAPE);
    assert_int_equal(drl_neighbours_find(&nb, x, (size_t)1 << 40, 2, 1, team, &err), DRL_ERR_LIMIT);
    assert_int_equal(drl_neighbours_find(&nb, huge, 3, 2, 2, team, &err), DRL_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "row 1"));
    x[5] = NAN;
    assert_int_equal(drl_neighbours_find(&nb, x, 3, 2, 1, team, &err), DRL_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "row 2"));
    assert_null(nb.index);
    assert_null(nb.similarity);
    drl_threads_close(team);
}

static void test_bad_propagation(void **state) {
    (void)state;
    drl_threads *team = open_team(1);
    const drl_real codes[] = {1, 2, 2, 1, 1, 1, 2, NAN};
    drl_real f[12];
    uint32_t index[] = {1, 0, 1};
    drl_real similarity[] = {1, 1, 1};
    drl_neighbours nb = {3, 1, index, similarity};
    drl_sparse w = affinity(&nb);
    drl_propagation_cfg cfg = drl_propagation_published(), bad;
    int32_t labels[] = {0, -1, 1, -1}, pseudo[4];
    assert_int_equal(drl_propagate(f, NULL, &w, labels, 2, &cfg, team, &err), DRL_OK);
    assert_int_equal(drl_propagate(f, NULL, &w, labels, 3, &cfg, team, &err), DRL_ERR_CONFIG);
    assert_non_null(strstr(err.message, "class 2"));
    assert_int_equal(drl_propagate(f, NULL, &w, labels, 0, &cfg, team, &err), DRL_ERR_SHAPE);
    assert_int_equal(drl_propagate(f, NULL, &w, labels, 1, &cfg, team, &err), DRL_ERR_FORMAT);
    assert_non_null(strstr(err.message, "row 2"));
    labels[1] = -2;
    assert_int_equal(drl_propagate(f, NULL, &w, labels, 2, &cfg, team, &err), DRL_ERR_FORMAT);
    labels[1] = -1;
    const double alphas[] = {1, -0.1, NAN}, tolerances[] = {0, -1, NAN};
    for (size_t i = 0; i < 3; i++) {
        bad = cfg, bad.alpha = alphas[i];
        assert_int_equal(drl_propagate(f, NULL, &w, labels, 2, &bad, team, &err), DRL_ERR_CONFIG);
        bad = cfg, bad.tolerance = tolerances[i];
        assert_int_equal(drl_propagate(f, NULL, &w, labels, 2, &bad, team, &err), DRL_ERR_CONFIG);
    }
    bad = cfg, bad.iterations = 0;
    assert_int_equal(drl_propagate(f, NULL, &w, labels, 2, &bad, team, &err), DRL_ERR_CONFIG);
    w.value[0] = NAN;
    assert_int_equal(drl_propagate(f, NULL, &w, labels, 2, &cfg, team, &err), DRL_ERR_NUMERIC);
    const int32_t none[] = {-1, -1};
    assert_int_equal(drl_align(f, none, 2, 2, 1, &err), DRL_ERR_CONFIG);
    assert_int_equal(drl_pseudo_label(pseudo, NULL, codes, 3, 2, 3, labels, 2, &cfg, team, &err), DRL_ERR_CONFIG);
    assert_int_equal(drl_pseudo_label(pseudo, NULL, codes, 4, 2, 1, labels, 2, &cfg, team, &err), DRL_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "row 3"));
    assert_int_equal(drl_pseudo_label(pseudo, NULL, codes, 3, 2, 1, labels, 2, &cfg, team, &err), DRL_OK);
    drl_sparse_free(&w);
    drl_threads_close(team);
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_neighbours_exact),
                                       cmocka_unit_test(test_neighbours_ties),
                                       cmocka_unit_test(test_neighbours_real),
                                       cmocka_unit_test(test_unit_rows),
                                       cmocka_unit_test(test_affinity),
                                       cmocka_unit_test(test_affinity_any),
                                       cmocka_unit_test(test_propagation_dense),
                                       cmocka_unit_test(test_propagation_by_hand),
                                       cmocka_unit_test(test_residual),
                                       cmocka_unit_test(test_two_moons),
                                       cmocka_unit_test(test_blobs),
                                       cmocka_unit_test(test_aligned),
                                       cmocka_unit_test(test_align_rounds),
                                       cmocka_unit_test(test_argmax),
                                       cmocka_unit_test(test_same_bits),
                                       cmocka_unit_test(test_bad_neighbours),
                                       cmocka_unit_test(test_bad_propagation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
