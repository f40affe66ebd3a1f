/* What reports ask of rows: which t counts is chosen on validation, never on test. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drl/eval.h"

static drl_settings settings;
static drl_eval_row rows[64];
static drl_evaluation e;
static drl_arm arms[2];

static void add(size_t arm, const char *metric, double t, uint64_t seed, double value) {
    drl_eval_row *r = &rows[e.n_rows++];
    *r = (drl_eval_row){.arm = arm, .seed = seed, .t = t, .value = value};
    snprintf(r->metric, sizeof r->metric, "%s", metric);
}

static const drl_method plain = {.name = "plain", .title = "Plain"};

/* Two seeds of DRL at three times, of which 0.5 is best on validation (by the mean, and for seed 1), 1 on test; and of
 * a method without times. */
static int make_rows(void **state) {
    (void)state;
    static const double val[2][3] = {{0.5, 0.8, 0.7}, {0.6, 0.7, 0.75}},
                        test[2][3] = {{0.4, 0.5, 0.9}, {0.4, 0.6, 0.8}};
    memset(&e, 0, sizeof e);
    settings.eval.eval_times = (drl_list){3, {0, 0.5, 1}};
    settings.eval.eval_seeds = 2;
    settings.eval.probe_linear = true;
    settings.eval.probe_mlp = DRL_MLP_NONE;
    e.settings = &settings;
    e.rows = rows;
    e.n_arms = 2;
    e.arms = arms;
    arms[0] = (drl_arm){.method = drl_method_find("drl"), .settings = settings};
    arms[1] = (drl_arm){.method = &plain, .settings = settings};
    for (uint64_t seed = 1; seed <= 2; seed++)
        for (size_t k = 0; k < 3; k++) {
            add(0, "linear_val_accuracy", settings.eval.eval_times.v[k], seed, val[seed - 1][k]);
            add(0, "linear_accuracy", settings.eval.eval_times.v[k], seed, test[seed - 1][k]);
        }
    add(1, "linear_val_accuracy", NAN, 1, 0.3);
    add(1, "linear_accuracy", NAN, 1, 0.25);
    return 0;
}

static void values(void **state) {
    (void)state;
    assert_true(drl_eval_value(&e, 0, "linear_accuracy", 0.5, 2) == 0.6);
    assert_true(isnan(drl_eval_value(&e, 0, "linear_accuracy", 0.25, 2)));
    assert_true(isnan(drl_eval_value(&e, 0, "linear_accuracy", NAN, 2)));
    assert_true(isnan(drl_eval_value(&e, 0, "linear_accuracy", 0.5, 3)));
    assert_true(drl_eval_value(&e, 1, "linear_accuracy", NAN, 1) == 0.25);
    drl_stats s = drl_eval_stats(&e, 0, "linear_accuracy", 0.5);
    assert_true(s.n == 2 && fabs(s.mean - 0.55) < 1e-12);
    assert_int_equal(drl_eval_stats(&e, 1, "knn_accuracy", NAN).n, 0);
    assert_int_equal(drl_eval_find(&e, "plain", NULL), 1);
    assert_int_equal(drl_eval_find(&e, "ae", NULL), -1);
}

static void times(void **state) {
    (void)state;
    size_t n;
    assert_true(drl_eval_times(&e, 0, &n)[1] == 0.5 && n == 3);
    assert_true(isnan(drl_eval_times(&e, 1, &n)[0]) && n == 1);
    arms[0].settings.model.model_code = DRL_CODE_STATIC;
    assert_true(isnan(drl_eval_times(&e, 0, &n)[0]) && n == 1);
    arms[0].settings.model.model_code = DRL_CODE_TIME;
}

static void validation_chooses(void **state) {
    (void)state;
    assert_true(drl_eval_best_time(&e, 0, DRL_PROBE_LINEAR) == 0.5); /* 0.75 in the mean, against 0.725 */
    assert_true(isnan(drl_eval_best_time(&e, 1, DRL_PROBE_LINEAR)));
    assert_true(fabs(drl_eval_best(&e, 0, DRL_PROBE_LINEAR, 1) - 50) < 1e-12);
    assert_true(fabs(drl_eval_best(&e, 0, DRL_PROBE_LINEAR, 2) - 80) < 1e-12); /* its own best is t = 1 */
    drl_stats s = drl_eval_best_stats(&e, 0, DRL_PROBE_LINEAR);
    assert_true(s.n == 2 && fabs(s.mean - 65) < 1e-12);
    s = drl_eval_best_stats(&e, 1, DRL_PROBE_LINEAR);
    assert_true(s.n == 1 && fabs(s.mean - 25) < 1e-12);
    assert_int_equal(drl_eval_best_stats(&e, 1, DRL_PROBE_KNN).n, 0);

    /* whatever the test accuracies are */
    for (size_t i = 0; i < e.n_rows; i++)
        if (strcmp(rows[i].metric, "linear_accuracy") == 0) rows[i].value = 1 - rows[i].value;
    assert_true(drl_eval_best_time(&e, 0, DRL_PROBE_LINEAR) == 0.5);
    assert_true(fabs(drl_eval_best(&e, 0, DRL_PROBE_LINEAR, 2) - 20) < 1e-12);
}

static void cells(void **state) {
    (void)state;
    char text[48];
    drl_eval_cell(text, sizeof text, (drl_stats){0});
    assert_string_equal(text, "–");
    drl_eval_cell(text, sizeof text, (drl_stats){1, 12.345, 0, 0});
    assert_string_equal(text, "12.35");
    drl_eval_cell(text, sizeof text, (drl_stats){3, 12.345, 1, 2.5});
    assert_string_equal(text, "12.35 ± 2.50");
    assert_int_equal(drl_eval_first_probe(&settings), DRL_PROBE_LINEAR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(values, make_rows),
        cmocka_unit_test_setup(times, make_rows),
        cmocka_unit_test_setup(validation_chooses, make_rows),
        cmocka_unit_test_setup(cells, make_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
