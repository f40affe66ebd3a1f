/* Student's quantile against the tables, and the statistics of values done by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "drl/results.h"

static void assert_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("got %.12g, want %.12g +- %g", got, want, tolerance);
}

/* 1 and 2 degrees of freedom have closed forms: tan(0.475 pi) and 0.95 sqrt(2 / (1 - 0.95^2)); the rest are the
 * tables' values, and 1.959964 is the normal distribution's. */
static void quantiles(void **state) {
    (void)state;
    assert_near(drl_student_t975(1), tan(0.475 * acos(-1)), 1e-9);
    assert_near(drl_student_t975(2), 0.95 * sqrt(2 / (1 - 0.95 * 0.95)), 1e-11);
    static const struct {
        size_t dof;
        double t;
    } table[] = {{3, 3.182446},  {4, 2.776445},  {5, 2.570582},   {9, 2.262157},   {10, 2.228139},
                 {20, 2.085963}, {30, 2.042272}, {100, 1.983972}, {1000, 1.962339}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_near(drl_student_t975(table[i].dof), table[i].t, 6e-7);
    assert_near(drl_student_t975(100000000), 1.959964, 1e-6);
    for (size_t dof = 1; dof < 200; dof++) assert_true(drl_student_t975(dof) > drl_student_t975(dof + 1));
}

static void by_hand(void **state) {
    (void)state;
    const double v[] = {80, 82, 84};
    drl_stats s = drl_stats_of(v, 3);
    assert_int_equal(s.n, 3);
    assert_near(s.mean, 82, 1e-12);
    assert_near(s.std, 2, 1e-12);
    assert_near(s.half95, 4.302652729911275 * 2 / sqrt(3), 1e-9);
    s = drl_stats_of(v, 2);
    assert_near(s.std, sqrt(2), 1e-12);
    assert_near(s.half95, 12.706204736174698, 1e-8);
}

static void few_values(void **state) {
    (void)state;
    const double v[] = {7, NAN};
    drl_stats s = drl_stats_of(v, 1);
    assert_true(s.n == 1 && s.mean == 7 && s.std == 0 && s.half95 == 0);
    s = drl_stats_of(v, 0);
    assert_true(s.n == 0 && isnan(s.mean) && s.std == 0 && s.half95 == 0);
    s = drl_stats_of(v, 2);
    assert_true(isnan(s.mean) && isnan(s.half95));
}

/* A large common part does not drown the spread. */
static void offset(void **state) {
    (void)state;
    const double v[] = {1e9 + 1, 1e9 + 2, 1e9 + 3};
    assert_near(drl_stats_of(v, 3).std, 1, 1e-9);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(quantiles), cmocka_unit_test(by_hand),
                                       cmocka_unit_test(few_values), cmocka_unit_test(offset)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
