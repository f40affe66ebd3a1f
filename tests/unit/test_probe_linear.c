/* The linear probe: closed optimum, gradient at the minimum and accuracy by plain loops in double, selection,
 * threads. */
#include "probe_test.h"

#include "models/probe_linear.h"

/* |gradient| of mean cross-entropy + l2/2 |W|^2 at params = W (classes, d) | b (classes), and |params|. */
static double gradient_norm(const double *params, const drl_codes *c, double l2, double *size) {
    size_t n = (c->d + 1) * c->classes, weights = c->d * c->classes;
    double *g = calloc(n, sizeof *g), *l = calloc(c->classes, sizeof *l), norm = 0;
    *size = 0;
    for (size_t i = 0; i < c->n; i++) {
        double sum = 0;
        for (size_t k = 0; k < c->classes; k++) {
            l[k] = params[weights + k];
            for (size_t j = 0; j < c->d; j++) l[k] += params[k * c->d + j] * (double)c->x[i * c->d + j];
            sum += l[k] = exp(l[k]);
        }
        for (size_t k = 0; k < c->classes; k++) {
            double dl = (l[k] / sum - (c->y[i] == (int32_t)k)) / (double)c->n;
            g[weights + k] += dl;
            for (size_t j = 0; j < c->d; j++) g[k * c->d + j] += dl * (double)c->x[i * c->d + j];
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (i < weights) g[i] += l2 * params[i];
        norm += g[i] * g[i];
        *size += params[i] * params[i];
    }
    *size = sqrt(*size);
    free(g);
    free(l);
    return sqrt(norm);
}

static void check_minimum(const drl_codes *train, double l2, double tolerance, double accuracy_at_least) {
    drl_linear_cfg cfg = {.strengths = 1, .l2 = {l2}, .max_iterations = 500, .tolerance = tolerance};
    double *params = calloc((train->d + 1) * train->classes, sizeof *params), size;
    drl_threads *team = open_team(2);
    drl_probe_result r;
    drl_err err;
    if (drl_linear_fit(&r, params, train, train, &cfg, team, &err) != DRL_OK) fail_msg("%s", err.message);
    double norm = gradient_norm(params, train, l2, &size);
    /* products in float, whose bits depend on the BLAS kernels: the gradient asked for is met to some 1e-5 */
    if (!(norm <= tolerance * (size > 1 ? size : 1) + 3e-5))
        fail_msg("l2 %g: |gradient| %g, |params| %g", l2, norm, size);
    assert_true(size > 0.1);
    assert_true(r.epoch > 0 && r.rate == l2 && r.val_accuracy >= accuracy_at_least);
    drl_threads_close(team);
    free(params);
}

/* Labels by the largest of three linear functions (separable), then a third of them redrawn; shifted codes, so that the
 * biases are large and would show a penalty. */
static void test_minimum(void **state) {
    (void)state;
    drl_codes c = make_codes(2500, 6, 3, 1, 5);
    drl_real *x = (drl_real *)(uintptr_t)c.x;
    int32_t *y = (int32_t *)(uintptr_t)c.y, *noise = calloc(c.n, sizeof *noise);
    memcpy(noise, y, c.n * sizeof *y);
    for (size_t i = 0; i < c.n * c.d; i++) x[i] += 1;
    for (size_t i = 0; i < c.n; i++) {
        const drl_real *r = x + i * c.d;
        y[i] = r[0] > r[1] && r[0] > r[2] ? 0 : r[1] > r[2] ? 1 : 2;
    }
    check_minimum(&c, 1e-4, 1e-5, 0.98);
    check_minimum(&c, 0.1, 1e-5, 0.8);
    for (size_t i = 0; i < c.n; i += 3) y[i] = noise[i];
    check_minimum(&c, 1e-6, 1e-5, 0.6);
    check_minimum(&c, 0, 1e-5, 0.6);
    free(noise);
    free_codes(c);
}

/* Codes that are all zero: W = 0 and softmax(b) = the class frequencies, whatever the penalty. */
static void test_closed_form(void **state) {
    (void)state;
    enum { N = 1500, CLASSES = 3, D = 2 };
    static drl_real x[N * D];
    static int32_t y[N];
    for (size_t i = 0; i < N; i++) y[i] = i % 10 < 6 ? 0 : i % 10 < 9 ? 1 : 2;
    drl_codes c = {N, D, CLASSES, x, y};
    drl_linear_cfg cfg = {.strengths = 1, .l2 = {10}, .max_iterations = 100, .tolerance = 1e-6};
    double p[(D + 1) * CLASSES];
    drl_threads *team = open_team(1);
    drl_probe_result r;
    assert_int_equal(drl_linear_fit(&r, p, &c, &c, &cfg, team, NULL), DRL_OK);
    for (size_t i = 0; i < D * CLASSES; i++) assert_close(p[i], 0, 1e-12);
    const double *b = p + D * CLASSES;
    assert_close(b[0] - b[1], log(6.0 / 3), 1e-4);
    assert_close(b[1] - b[2], log(3.0 / 1), 1e-4);
    assert_close(r.val_accuracy, 0.6, 1e-12);
    cfg.strengths = 3, cfg.l2[0] = 5, cfg.l2[1] = 10, cfg.l2[2] = 1; /* equal on validation: the first is taken */
    assert_int_equal(drl_linear_fit(&r, p, &c, &c, &cfg, team, NULL), DRL_OK);
    assert_true(r.rate == 5);
    drl_threads_close(team);
}

/* The best strength by validation, the first of equals; the same bits for any team. */
static void test_selection(void **state) {
    (void)state;
    drl_codes train = make_codes(3000, 8, 2, 0.3, 1), val = make_codes(1100, 8, 2, 0.3, 2);
    drl_linear_cfg cfg = {.strengths = 4, .l2 = {10, 1, 1e-3, 1e-3}, .max_iterations = 200, .tolerance = 1e-4};
    drl_probe_result r[4], one;
    drl_classifier *fit;
    drl_linear_cfg single = cfg;
    single.strengths = 1;
    double best = -1, rate = 0, params[4][9 * 2];
    for (size_t threads = 1; threads <= 3; threads++) {
        drl_threads *team = open_team(threads);
        memset(&r[threads], 0, sizeof r[threads]);
        assert_int_equal(drl_probe_linear(&fit, &r[threads], train, val, &cfg, team, NULL), DRL_OK);
        drl_classifier_free(fit);
        assert_int_equal(drl_linear_fit(&one, params[threads], &train, &val, &cfg, team, NULL), DRL_OK);
        for (size_t s = 0; threads == 1 && s < cfg.strengths; s++) {
            single.l2[0] = cfg.l2[s];
            assert_int_equal(drl_probe_linear(&fit, &one, train, val, &single, team, NULL), DRL_OK);
            drl_classifier_free(fit);
            if (one.val_accuracy > best) best = one.val_accuracy, rate = cfg.l2[s];
        }
        drl_threads_close(team);
    }
    assert_memory_equal(&r[1], &r[2], sizeof r[1]);
    assert_memory_equal(&r[1], &r[3], sizeof r[1]);
    assert_memory_equal(params[1], params[2], sizeof params[1]);
    assert_memory_equal(params[1], params[3], sizeof params[1]);
    assert_true(r[1].rate == rate && r[1].val_accuracy == best);
    free_codes(train);
    free_codes(val);
}

/* Codes that params classify right, by plain loops in double; *close counts those whose two largest logits are closer
 * than the products' rounding. */
static size_t count_right(const double *params, const drl_codes *c, size_t *close) {
    size_t right = 0;
    *close = 0;
    for (size_t i = 0; i < c->n; i++) {
        double top = -INFINITY, second = -INFINITY;
        size_t best = 0;
        for (size_t k = 0; k < c->classes; k++) {
            double l = params[c->classes * c->d + k];
            for (size_t j = 0; j < c->d; j++) l += params[k * c->d + j] * (double)c->x[i * c->d + j];
            if (l > top)
                second = top, top = l, best = k;
            else if (l > second)
                second = l;
        }
        right += (int32_t)best == c->y[i];
        *close += top - second < 1e-5;
    }
    return right;
}

/* The classifier counts what plain loops count with the weights of the same fit; more than one block of codes. */
static void test_accuracy(void **state) {
    (void)state;
    drl_codes train = make_codes(1500, 5, 4, 1, 1), val = make_codes(300, 5, 4, 1, 2),
              test = make_codes(2601, 5, 4, 1, 3);
    drl_linear_cfg cfg = drl_linear_default();
    drl_threads *team = open_team(2);
    drl_probe_result r, chosen;
    drl_classifier *fit;
    double params[6 * 4];
    size_t close;
    for (size_t i = 0; i < test.n; i += 2) { /* half of the labels are a linear function, the others not */
        const drl_real *x = test.x + i * 5;
        ((int32_t *)(uintptr_t)test.y)[i] = x[0] > 0 ? 1 : x[1] > 0 ? 2 : 3;
    }
    assert_int_equal(drl_linear_fit(&r, params, &train, &val, &cfg, team, NULL), DRL_OK);
    assert_int_equal(drl_probe_linear(&fit, &chosen, train, val, &cfg, team, NULL), DRL_OK);
    assert_memory_equal(&r, &chosen, sizeof r);
    size_t right = count_right(params, &test, &close);
    assert_true(close < 10 && right > 0 && right < test.n);
    assert_close(accuracy_of(fit, test, team) * (double)test.n, right, (double)close + 1e-6);
    drl_classifier_free(fit);
    drl_threads_close(team);
    free_codes(train);
    free_codes(val);
    free_codes(test);
}

static void test_bad_input(void **state) {
    (void)state;
    drl_codes c = make_codes(300, 3, 2, 0, 1), empty = c, narrow = make_codes(10, 2, 2, 0, 1);
    drl_threads *team = open_team(1);
    drl_linear_cfg cfg = drl_linear_default(), bad = cfg;
    drl_probe_result r;
    drl_classifier *fit = NULL;
    drl_err err;
    empty.n = 0;
    assert_int_equal(drl_probe_linear(&fit, &r, c, empty, &cfg, team, &err), DRL_ERR_SHAPE);
    assert_non_null(strstr(err.message, "validation codes: empty"));
    assert_int_equal(drl_probe_linear(&fit, &r, c, narrow, &cfg, team, &err), DRL_ERR_SHAPE);
    assert_non_null(strstr(err.message, "linear probe: validation codes: 2 dimensions"));
    bad.strengths = 9;
    assert_int_equal(drl_probe_linear(&fit, &r, c, c, &bad, team, &err), DRL_ERR_CONFIG);
    bad = cfg, bad.l2[1] = NAN;
    assert_int_equal(drl_probe_linear(&fit, &r, c, c, &bad, team, &err), DRL_ERR_CONFIG);
    bad = cfg, bad.tolerance = 0;
    assert_int_equal(drl_probe_linear(&fit, &r, c, c, &bad, team, &err), DRL_ERR_CONFIG);
    bad = cfg, bad.max_iterations = 1; /* stops early and still answers */
    assert_int_equal(drl_probe_linear(&fit, &r, c, c, &bad, team, &err), DRL_OK);
    assert_int_equal(r.epoch, 1);
    drl_classifier_free(fit);
    fit = NULL;
    drl_real *x = (drl_real *)(uintptr_t)c.x; /* finite codes whose sums are not */
    for (size_t i = 0; i < c.n * c.d; i++) x[i] = c.y[i / c.d] ? (drl_real)3e38 : (drl_real)-3e38;
    assert_int_equal(drl_probe_linear(&fit, &r, c, c, &cfg, team, &err), DRL_ERR_NUMERIC);
    assert_null(fit);
    drl_threads_close(team);
    free_codes(c);
    free_codes(narrow);
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_minimum), cmocka_unit_test(test_closed_form),
                                       cmocka_unit_test(test_selection), cmocka_unit_test(test_accuracy),
                                       cmocka_unit_test(test_bad_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
