/* The silhouette against values worked out by hand. */
#include "probe_test.h"

static double silhouette_of(drl_codes codes) {
    double value;
    drl_err err;
    drl_threads *team = open_team(2);
    if (drl_silhouette(&value, codes, team, &err) != DRL_OK) fail_msg("%s", err.message);
    drl_threads_close(team);
    return value;
}

/* On a line: class 0 at 0 and 2, class 1 at 10, alone. a and b of the first: 2 and 10; of the second: 2 and 8. */
static void by_hand(void **state) {
    (void)state;
    const drl_real x[] = {0, 2, 10};
    const int32_t y[] = {0, 0, 1};
    assert_true(fabs(silhouette_of((drl_codes){3, 1, 2, x, y}) - (0.8 + 0.75) / 3) < 1e-12);
}

/* The nearest other class counts, distances are Euclidean, and a mixture of classes is below 0. */
static void nearest_class(void **state) {
    (void)state;
    const drl_real x[] = {0, 0, 0, 0, 3, 4, 3, 4, 60, 80, 60, 80};
    const int32_t apart[] = {0, 0, 1, 1, 2, 2}, mixed[] = {0, 1, 0, 1, 2, 2};
    assert_true(fabs(silhouette_of((drl_codes){6, 2, 3, x, apart}) - 1) < 1e-12);
    /* each of the first four: a = 5, b = (0 + 5) / 2; the last two: 1 */
    assert_true(fabs(silhouette_of((drl_codes){6, 2, 3, x, mixed}) - (4 * -0.5 + 2) / 6) < 1e-12);
}

static void nothing_to_separate(void **state) {
    (void)state;
    const drl_real x[] = {1, 1, 1, 5}, bad[] = {1, NAN};
    const int32_t one[] = {0, 0, 0, 0}, two[] = {0, 0, 1, 1};
    double value;
    drl_err err;
    assert_true(silhouette_of((drl_codes){4, 1, 1, x, one}) == 0);
    assert_true(silhouette_of((drl_codes){3, 1, 2, x, two}) == 0); /* all in one place */
    drl_threads *team = open_team(1);
    assert_int_equal(drl_silhouette(&value, (drl_codes){2, 1, 1, bad, one}, team, &err), DRL_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "silhouette: codes"));
    drl_threads_close(team);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(nearest_class),
                                       cmocka_unit_test(nothing_to_separate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
