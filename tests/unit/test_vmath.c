/* exp, sigmoid, SiLU and its derivative of nn/vmath.h against the C library in double, over the whole range. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "nn/vmath.h"

#define LOWEST  (-87.0)
#define HIGHEST 88.0

static double relative(double got, double want) {
    return fabs(got - want) / fabs(want);
}

/* Two million arguments, evenly spaced, not multiples of anything. */
static void test_exp(void **state) {
    (void)state;
    double worst = 0;
    for (int i = 0; i <= 2000000; i++) {
        drl_real x = (drl_real)(LOWEST + (HIGHEST - LOWEST) * i / 2000000.0);
        double err = relative((double)drl_exp(x), exp((double)x));
        if (!(err <= worst)) worst = err;
    }
    print_message("    exp: worst relative error %.2e\n", worst);
    assert_true(worst < 2e-7);
}

/* Small arguments, of either sign, down to the smallest numbers: e^x is 1 + x to rounding. */
static void test_exp_near_zero(void **state) {
    (void)state;
    assert_true(drl_exp(0) == 1);
    for (drl_real x = (drl_real)0.3; x > (drl_real)1e-37; x *= (drl_real)0.77) {
        assert_true(relative((double)drl_exp(x), exp((double)x)) < 2e-7);
        assert_true(relative((double)drl_exp(-x), exp(-(double)x)) < 2e-7);
    }
}

/* Beyond the range the ends' values, finite and above zero; NaN stays. */
static void test_exp_extremes(void **state) {
    (void)state;
    static const float far[] = {89, 1000, 1e10f, FLT_MAX, INFINITY};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        assert_true(drl_exp(far[i]) == drl_exp(88) && isfinite(drl_exp(far[i])));
        assert_true(drl_exp(-far[i]) == drl_exp(-87) && drl_exp(-far[i]) >= FLT_MIN);
    }
    assert_true(isnan(drl_exp(NAN)) && isnan(drl_exp(-NAN)));
    assert_true(isnan(drl_sigmoid(NAN)) && isnan(drl_silu1(NAN)) && isnan(drl_dsilu1(NAN)));
}

/* Never falls from one float to the next by more than rounding. */
static void test_exp_monotone(void **state) {
    (void)state;
    drl_real last = 0;
    for (double x = LOWEST; x < HIGHEST; x += 1e-3) {
        drl_real y = drl_exp((drl_real)x);
        assert_true(y > last);
        last = y;
    }
}

static void test_silu(void **state) {
    (void)state;
    double worst[3] = {0};
    for (double v = -80; v <= 80; v += 1e-3) {
        drl_real x = (drl_real)v;
        double s = 1 / (1 + exp(-(double)x)), d = s * (1 + (double)x * (1 - s));
        double err[3] = {relative((double)drl_sigmoid(x), s),
                         fabs((double)drl_silu1(x) - (double)x * s) / (1e-30 + fabs((double)x * s)),
                         fabs((double)drl_dsilu1(x) - d)}; /* the derivative passes through 0: absolute */
        for (int i = 0; i < 3; i++)
            if (!(err[i] <= worst[i])) worst[i] = err[i];
    }
    print_message("    sigmoid %.2e, silu %.2e (relative), silu' %.2e (absolute)\n", worst[0], worst[1], worst[2]);
    assert_true(worst[0] < 5e-7 && worst[1] < 5e-7 && worst[2] < 3e-7);
    assert_true(drl_silu1(0) == 0 && drl_dsilu1(0) == (drl_real)0.5);
    assert_true(drl_silu1(1e10f) == 1e10f && fabs((double)drl_silu1(-1e10f)) < 1e-27);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp),          cmocka_unit_test(test_exp_near_zero), cmocka_unit_test(test_exp_extremes),
        cmocka_unit_test(test_exp_monotone), cmocka_unit_test(test_silu),
    };
    return cmocka_run_group_tests_name("vector functions", tests, NULL, NULL) ? 1 : 0;
}
