/* The k-NN probe against a full sort of all similarities. The test labels are the oracle's answers, so the accuracy
 * must be exactly 1. */
#include "probe_test.h"

typedef struct candidate {
    double similarity;
    size_t index;
} candidate;

static drl_similarity kind = DRL_COSINE; /* what the tests search by */

/* More similar first, then the earlier row. */
static int by_rank(const void *pa, const void *pb) {
    const candidate *a = pa, *b = pb;
    if (a->similarity != b->similarity) return a->similarity > b->similarity ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static double cosine(const drl_real *a, const drl_real *b, size_t d) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t j = 0; j < d; j++) ab += (double)a[j] * b[j], aa += (double)a[j] * a[j], bb += (double)b[j] * b[j];
    return aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : 0;
}

/* The negative half of the squared distance: what the probe's similarity is but for a constant of the query. */
static double nearness(const drl_real *a, const drl_real *b, size_t d) {
    double sum = 0;
    for (size_t j = 0; j < d; j++) sum -= 0.5 * ((double)a[j] - b[j]) * ((double)a[j] - b[j]);
    return sum;
}

static int32_t oracle(const drl_codes *train, const drl_real *query, size_t k, double *margin) {
    candidate *all = calloc(train->n, sizeof *all);
    double votes[16] = {0}, sums[16] = {0};
    for (size_t i = 0; i < train->n; i++)
        all[i] = (candidate){(kind == DRL_COSINE ? cosine : nearness)(query, train->x + i * train->d, train->d), i};
    qsort(all, train->n, sizeof *all, by_rank);
    for (size_t i = 0; i < k && i < train->n; i++) {
        votes[train->y[all[i].index]] += 1;
        sums[train->y[all[i].index]] += all[i].similarity;
    }
    *margin = k < train->n ? all[k - 1].similarity - all[k].similarity : 1;
    free(all);
    int32_t best = 0;
    for (int32_t c = 1; c < (int32_t)train->classes; c++)
        if (votes[c] > votes[best] || (votes[c] == votes[best] && sums[c] > sums[best])) best = c;
    return best;
}

static double knn(drl_codes train, drl_codes test, size_t k, size_t threads) {
    drl_threads *team = open_team(threads);
    drl_classifier *fit;
    drl_err err;
    if (drl_probe_knn(&fit, train, k, kind, &err) != DRL_OK) fail_msg("%s", err.message);
    double accuracy = accuracy_of(fit, test, team);
    drl_classifier_free(fit);
    drl_threads_close(team);
    return accuracy;
}

static void label_by_oracle(const drl_codes *train, const drl_codes *test, size_t k, int32_t *y) {
    for (size_t i = 0; i < test->n; i++) {
        double margin;
        y[i] = oracle(train, test->x + i * test->d, k, &margin);
    }
}

/* Codes of +-1 in 16 dimensions have exact cosines, a multiple of 1/8: ties everywhere, in any order of summation. */
static void test_ties(void **state) {
    (void)state;
    drl_codes train = make_codes(1301, 16, 7, 1, 1), test = make_codes(259, 16, 7, 1, 2);
    drl_real *sets[] = {(drl_real *)(uintptr_t)train.x, (drl_real *)(uintptr_t)test.x};
    for (size_t i = 0; i < 1301 * 16; i++) sets[0][i] = sets[0][i] > 0 ? 1 : -1;
    for (size_t i = 0; i < 259 * 16; i++) sets[1][i] = sets[1][i] > 0 ? 1 : -1;
    for (size_t j = 0; j < 16; j++) sets[0][5 * 16 + j] = sets[1][3 * 16 + j] = 0; /* zero norm */
    static const size_t ks[] = {1, 2, 4, 20, 1301, 5000};
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        label_by_oracle(&train, &test, ks[i], (int32_t *)(uintptr_t)test.y);
        for (size_t threads = 1; threads <= 3; threads++)
            if (!(knn(train, test, ks[i], threads) == 1)) fail_msg("k %zu, %zu threads", ks[i], threads);
    }
    free_codes(train);
    free_codes(test);
}

/* Real codes; queries whose k-th and next neighbour are closer than rounding are labelled by the oracle too, but a
 * wrong answer is allowed for as many as there are of them. */
static void test_random(void **state) {
    (void)state;
    drl_codes train = make_codes(700, 5, 4, 1, 3), test = make_codes(130, 5, 4, 1, 4);
    size_t close = 0;
    for (size_t i = 0; i < test.n; i++) {
        double margin;
        ((int32_t *)(uintptr_t)test.y)[i] = oracle(&train, test.x + i * 5, 20, &margin);
        close += margin < 1e-6;
    }
    assert_true(close < 3);
    assert_true(knn(train, test, 20, 2) * 130 >= 130 - (double)close - 0.5);
    free_codes(train);
    free_codes(test);
}

static void test_random_euclidean(void **state) {
    kind = DRL_EUCLIDEAN;
    test_random(state);
    kind = DRL_COSINE;
}

/* Labels of their own: the accuracy is the share of them that the oracle gives. Exact cosines, as above. */
static void test_share(void **state) {
    (void)state;
    drl_codes train = make_codes(500, 16, 3, 1, 5), test = make_codes(201, 16, 3, 1, 6);
    drl_real *sets[] = {(drl_real *)(uintptr_t)train.x, (drl_real *)(uintptr_t)test.x};
    for (size_t i = 0; i < 500 * 16; i++) sets[0][i] = sets[0][i] > 0 ? 1 : -1;
    for (size_t i = 0; i < 201 * 16; i++) sets[1][i] = sets[1][i] > 0 ? 1 : -1;
    size_t right = 0;
    double margin;
    for (size_t i = 0; i < test.n; i++) right += oracle(&train, test.x + i * 16, 7, &margin) == test.y[i];
    assert_true(right > 0 && right < test.n);
    assert_true(knn(train, test, 7, 2) == (double)right / (double)test.n);
    free_codes(train);
    free_codes(test);
}

/* Two votes against two: the class with the larger summed similarity; sums equal too: the smaller class. */
static void test_votes(void **state) {
    (void)state;
    const drl_real x[] = {1, 0, 0, 1, 1, 1, 3, 4}, query[] = {1, 0};
    const int32_t near_first[] = {2, 1, 1, 2}, mixed[] = {1, 2, 2, 1}, answer2[] = {2}, answer1[] = {1};
    /* cosines to (1, 0): 1, 0, 0.707, 0.6; class of rows 0 and 3 sums to 1.6, of rows 1 and 2 to 0.707. */
    drl_codes train = {4, 2, 3, x, near_first}, test = {1, 2, 3, query, answer2};
    assert_true(knn(train, test, 4, 1) == 1);
    train.y = mixed, test.y = answer1;
    assert_true(knn(train, test, 4, 1) == 1);
    const drl_real same[] = {2, 0, 3, 0};
    const int32_t twice[] = {2, 1};
    drl_codes equal = {2, 2, 3, same, twice};
    assert_true(knn(equal, test, 2, 1) == 1);
}

static void test_bad_input(void **state) {
    (void)state;
    const drl_real x[] = {1, 2}, bad[] = {1, NAN};
    const int32_t y[] = {0, 0};
    drl_codes c = {1, 2, 1, x, y}, nan = {1, 2, 1, bad, y}, empty = {0, 2, 1, x, y};
    drl_classifier *fit = NULL;
    drl_err err;
    assert_int_equal(drl_probe_knn(&fit, c, 0, kind, &err), DRL_ERR_CONFIG);
    assert_int_equal(drl_probe_knn(&fit, empty, 1, kind, &err), DRL_ERR_SHAPE);
    assert_int_equal(drl_probe_knn(&fit, nan, 1, kind, &err), DRL_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "k-NN probe: training codes"));
    assert_null(fit);
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ties),  cmocka_unit_test(test_random), cmocka_unit_test(test_random_euclidean),
        cmocka_unit_test(test_share), cmocka_unit_test(test_votes),  cmocka_unit_test(test_bad_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
