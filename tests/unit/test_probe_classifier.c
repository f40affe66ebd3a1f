/* Fitted probes of every kind: asking one for its accuracy leaves it as it is, and it holds what it needs. */
#include "probe_test.h"

enum { D = 6, CLASSES = 3, KINDS = 3 };
static const char *const names[KINDS] = {"MLP probe", "linear probe", "k-NN probe"};

/* Labels that are learnt in part: the largest of the first three dimensions, a third of them redrawn. */
static drl_codes draw(size_t n, uint64_t seed) {
    drl_codes c = make_codes(n, D, CLASSES, 1, seed);
    int32_t *y = (int32_t *)(uintptr_t)c.y;
    for (size_t i = 0; i < n; i++) {
        const drl_real *x = c.x + i * D;
        if (i % 3) y[i] = x[0] > x[1] && x[0] > x[2] ? 0 : x[1] > x[2] ? 1 : 2;
    }
    return c;
}

/* A fit of each kind; r[0] and r[1] what the MLP and linear probes chose. */
static void fit_all(drl_classifier *fits[KINDS], drl_probe_result r[2], drl_codes train, drl_codes val,
                    drl_threads *team) {
    drl_mlp_cfg mlp = {.hidden = 40, .epochs = 3, .batch = 300, .rates = 2, .rate = {1e-2, 1e-3}, .dropout = 0.25};
    drl_linear_cfg linear = drl_linear_default();
    drl_mlp_job job = {train, val, 1};
    drl_err err;
    if (drl_probe_mlp(&fits[0], &r[0], &job, 1, &mlp, team, &err) != DRL_OK) fail_msg("%s", err.message);
    if (drl_probe_linear(&fits[1], &r[1], train, val, &linear, team, &err) != DRL_OK) fail_msg("%s", err.message);
    if (drl_probe_knn(&fits[2], train, 20, DRL_COSINE, &err) != DRL_OK) fail_msg("%s", err.message);
}

/* What was chosen on the validation codes is what the fit has: their accuracy comes out again, bit for bit. */
static void test_validation(void **state) {
    (void)state;
    drl_codes train = draw(900, 1), val = draw(1301, 2);
    drl_threads *team = open_team(2);
    drl_classifier *fits[KINDS];
    drl_probe_result r[2];
    fit_all(fits, r, train, val, team);
    for (int k = 0; k < 2; k++) {
        assert_true(accuracy_of(fits[k], val, team) == r[k].val_accuracy);
        assert_true(r[k].val_accuracy > 0.6 && r[k].val_accuracy < 1);
    }
    for (int k = 0; k < KINDS; k++) drl_classifier_free(fits[k]);
    drl_threads_close(team);
    free_codes(train);
    free_codes(val);
}

/* The same accuracy on every call and any team, whatever else was asked in between; in parts what it is as a whole. The
 * codes are more than the pieces they are cut into. */
static void test_scoring(void **state) {
    (void)state;
    drl_codes train = draw(900, 1), val = draw(300, 2), test = draw(2600, 3), other = draw(500, 4);
    drl_threads *team = open_team(2);
    drl_classifier *fits[KINDS];
    drl_probe_result r[2];
    fit_all(fits, r, train, val, team);
    for (int k = 0; k < KINDS; k++) {
        double accuracy = accuracy_of(fits[k], test, team), right = 0;
        accuracy_of(fits[k], other, team);
        accuracy_of(fits[(k + 1) % KINDS], other, team);
        assert_true(accuracy_of(fits[k], test, team) == accuracy);
        for (size_t threads = 1; threads <= 3; threads++) {
            drl_threads *some = open_team(threads);
            assert_true(accuracy_of(fits[k], test, some) == accuracy);
            drl_threads_close(some);
        }
        for (size_t at = 0; at < test.n; at += 130) {
            drl_codes part = {130, D, CLASSES, test.x + at * D, test.y + at};
            right += 130 * accuracy_of(fits[k], part, team);
        }
        /* a part's rows lie elsewhere in the blocks of the products, which may round a near tie the other way */
        assert_close(right / (double)test.n, accuracy, 2.5 / (double)test.n);
        assert_true(accuracy > 0.5 && accuracy < 1);
    }
    for (int k = 0; k < KINDS; k++) drl_classifier_free(fits[k]);
    drl_threads_close(team);
    free_codes(train);
    free_codes(val);
    free_codes(test);
    free_codes(other);
}

/* The accuracy turns with the labels of the codes asked about: the answers do not. */
static void test_labels(void **state) {
    (void)state;
    drl_codes train = draw(600, 5), val = draw(200, 6), test = draw(400, 7);
    int32_t *y = (int32_t *)(uintptr_t)test.y;
    drl_threads *team = open_team(1);
    drl_classifier *fits[KINDS];
    drl_probe_result r[2];
    fit_all(fits, r, train, val, team);
    for (int k = 0; k < KINDS; k++) {
        double sum = 0;
        for (int turn = 0; turn < CLASSES; turn++) {
            sum += accuracy_of(fits[k], test, team);
            for (size_t i = 0; i < test.n; i++) y[i] = (y[i] + 1) % CLASSES;
        }
        assert_close(sum, 1, 1e-12); /* every code has one answer, right for one of the three labels */
    }
    for (int k = 0; k < KINDS; k++) drl_classifier_free(fits[k]);
    drl_threads_close(team);
    free_codes(train);
    free_codes(val);
    free_codes(test);
}

/* MLP and linear fits need nothing of the codes they were fitted to; all memory comes back. */
static void test_ownership(void **state) {
    (void)state;
    size_t before = drl_mem_get_stats().bytes;
    drl_codes train = draw(600, 8), val = draw(200, 9), test = draw(400, 10);
    drl_threads *team = open_team(1);
    drl_classifier *fits[KINDS];
    drl_probe_result r[2];
    double accuracy[2];
    fit_all(fits, r, train, val, team);
    drl_classifier_free(fits[2]);
    for (int k = 0; k < 2; k++) accuracy[k] = accuracy_of(fits[k], test, team);
    for (size_t i = 0; i < train.n * D; i++) ((drl_real *)(uintptr_t)train.x)[i] = (drl_real)NAN;
    free_codes(train);
    free_codes(val);
    for (int k = 0; k < 2; k++) {
        assert_true(accuracy_of(fits[k], test, team) == accuracy[k]);
        drl_classifier_free(fits[k]);
    }
    drl_classifier_free(NULL);
    free_codes(test);
    drl_threads_close(team);
    assert_int_equal(drl_mem_get_stats().bytes, before);
}

static void expect(const drl_classifier *fit, drl_codes codes, drl_threads *team, drl_status status, const char *name,
                   const char *text) {
    double accuracy = -1;
    drl_err err = {0};
    assert_int_equal(drl_classifier_accuracy(&accuracy, fit, codes, team, &err), status);
    assert_true(accuracy == -1);
    if (!strstr(err.message, text) || strncmp(err.message, name, strlen(name)) != 0)
        fail_msg("message: %s", err.message);
}

static void test_bad_codes(void **state) {
    (void)state;
    drl_codes train = draw(300, 11), val = draw(100, 12), good = draw(50, 13), c = good;
    drl_real *x = (drl_real *)(uintptr_t)good.x, kept = x[7 * D + 2];
    int32_t *y = (int32_t *)(uintptr_t)good.y, label = y[9];
    drl_threads *team = open_team(2);
    drl_classifier *fits[KINDS];
    drl_probe_result r[2];
    fit_all(fits, r, train, val, team);
    for (int k = 0; k < KINDS; k++) {
        const drl_classifier *fit = fits[k];
        size_t before = drl_mem_get_stats().bytes;
        double accuracy = accuracy_of(fit, good, team);
        c.n = 0, expect(fit, c, team, DRL_ERR_SHAPE, names[k], "codes to classify: empty"), c = good;
        c.d = D - 1, expect(fit, c, team, DRL_ERR_SHAPE, names[k], "5 dimensions, the training codes have 6"), c = good;
        c.d = 0, expect(fit, c, team, DRL_ERR_SHAPE, names[k], "d = 0"), c = good;
        c.classes = 4, expect(fit, c, team, DRL_ERR_SHAPE, names[k], "4 classes, the training codes have 3"), c = good;
        c.n = (size_t)1 << 40, expect(fit, c, team, DRL_ERR_LIMIT, names[k], "at most"), c = good;
        y[9] = CLASSES, expect(fit, c, team, DRL_ERR_FORMAT, names[k], "row 9 is 3"), y[9] = label;
        x[7 * D + 2] = (drl_real)NAN, expect(fit, c, team, DRL_ERR_NUMERIC, names[k], "row 7, dimension 2");
        x[7 * D + 2] = kept;
        assert_true(accuracy_of(fit, good, team) == accuracy);
        assert_int_equal(drl_mem_get_stats().bytes, before);
    }
    for (int k = 0; k < KINDS; k++) drl_classifier_free(fits[k]);
    drl_threads_close(team);
    free_codes(train);
    free_codes(val);
    free_codes(good);
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_validation), cmocka_unit_test(test_scoring),
                                       cmocka_unit_test(test_labels), cmocka_unit_test(test_ownership),
                                       cmocka_unit_test(test_bad_codes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
