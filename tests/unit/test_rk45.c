/* The Dormand-Prince integrator (diffusion/rk45.h) on equations with known solutions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/rk45.h"

static size_t asked, steps;

static drl_status count_step(void *arg, double t, const double *y, drl_err *err) {
    (void)arg, (void)t, (void)y, (void)err;
    steps++;
    return DRL_OK;
}

/* Two circles: (cos t, sin t) and a faster one. */
static drl_status circles(void *arg, double t, const double *y, double *dy, drl_err *err) {
    (void)t, (void)err;
    const double fast = *(const double *)arg;
    asked++;
    dy[0] = -y[1], dy[1] = y[0];
    dy[2] = -fast * y[3], dy[3] = fast * y[2];
    return DRL_OK;
}

static double circle_error(double tolerance, double from, double to, double fast) {
    double y[4] = {cos(from), sin(from), cos(fast * from), sin(fast * from)};
    const drl_rk45_cfg cfg = {
        .f = circles, .step = count_step, .arg = &fast, .rtol = tolerance, .atol = tolerance, .part = 4};
    drl_err err;
    asked = steps = 0;
    if (drl_rk45(y, 4, from, to, &cfg, &err) != DRL_OK) fail_msg("%s", err.message);
    return fmax(hypot(y[0] - cos(to), y[1] - sin(to)), hypot(y[2] - cos(fast * to), y[3] - sin(fast * to)));
}

/* Error in proportion to the tolerance, cost to its fifth root: a wrong digit in any coefficient lowers the order. */
static void order_is_five(void **state) {
    (void)state;
    double before = 0;
    for (int digits = 4; digits <= 12; digits += 4) {
        double tolerance = pow(10, -digits), error = circle_error(tolerance, 0, 10, 2);
        if (!(error < 30 * tolerance)) fail_msg("tolerance %g: error %g", tolerance, error);
        double cost = (double)asked, growth = cost / before;
        if (digits > 4 && !(growth > 5.3 && growth < 7.0)) fail_msg("cost grows by %g, 10^(4/5) is 6.3", growth);
        assert_true(asked >= 2 + 6 * steps && asked <= 2 + 6 * steps + 6 * (steps / 4 + 1)); /* few refusals */
        before = cost;
    }
    assert_true(circle_error(1e-9, 4, -3, 2) < 3e-8); /* backwards */
}

/* y' = t^4 is integrated exactly by the fifth-order weights, whatever the steps. */
static drl_status power(void *arg, double t, const double *y, double *dy, drl_err *err) {
    (void)arg, (void)y, (void)err;
    dy[0] = t * t * t * t;
    return DRL_OK;
}

/* y' = -sqrt(y): a step beyond y = 0 is no number, and so refused however loose the tolerances. */
static drl_status root(void *arg, double t, const double *y, double *dy, drl_err *err) {
    (void)t, (void)err;
    dy[0] = -sqrt(y[0]);
    if (isnan(dy[0])) ++*(size_t *)arg;
    return DRL_OK;
}

static void a_step_to_no_number_is_refused(void **state) {
    (void)state;
    double y = 1;
    size_t beyond = 0;
    const drl_rk45_cfg cfg = {.f = root, .arg = &beyond, .rtol = 1, .atol = 1, .part = 1};
    assert_int_equal(drl_rk45(&y, 1, 0, 1.99, &cfg, NULL), DRL_OK);
    assert_true(beyond > 0);
    assert_true(y >= 0 && y < 0.1); /* (1 - t/2)^2 = 2.5e-5 */
}

static void weights_are_exact_to_degree_four(void **state) {
    (void)state;
    double y = 0;
    const drl_rk45_cfg cfg = {.f = power, .rtol = 1, .atol = 1, .part = 1};
    assert_int_equal(drl_rk45(&y, 1, 0, 3, &cfg, NULL), DRL_OK);
    assert_true(fabs(y - 243.0 / 5) < 1e-12);
}

/* One number beside 100 000 that stand still: as a part of its own it is as exact as alone, in the common mean square
 * it is not seen. */
static drl_status one_moves(void *arg, double t, const double *y, double *dy, drl_err *err) {
    (void)t, (void)err;
    const size_t n = *(const size_t *)arg;
    for (size_t i = 0; i < n; i++) dy[i] = 0;
    dy[n - 1] = y[n - 1] * cos(10 * t);
    return DRL_OK;
}

static void parts_are_held_to_the_tolerances(void **state) {
    (void)state;
    enum { N = 100001 };
    static double y[N];
    static const size_t n = N;
    double error[2], want = exp(sin(10 * 2.0) / 10);
    for (size_t split = 0; split < 2; split++) {
        for (size_t i = 0; i < N; i++) y[i] = 1;
        const drl_rk45_cfg cfg = {
            .f = one_moves, .arg = (void *)(uintptr_t)&n, .rtol = 1e-6, .atol = 1e-6, .part = split ? N - 1 : N};
        assert_int_equal(drl_rk45(y, N, 0, 2, &cfg, NULL), DRL_OK);
        error[split] = fabs(y[N - 1] - want);
    }
    if (!(error[1] < 2e-5 && error[0] > 1e-4)) fail_msg("errors %g in one, %g as a part", error[0], error[1]);
}

/* y' = y^2 from 1 has no solution beyond t = 1; what f says ends the integration. */
static drl_status blow_up(void *arg, double t, const double *y, double *dy, drl_err *err) {
    dy[0] = y[0] * y[0];
    return arg && t > 0.5 ? drl_fail(err, DRL_ERR_IO, "enough") : DRL_OK;
}

static void failures_are_told(void **state) {
    (void)state;
    double y = 1;
    drl_err err;
    drl_rk45_cfg cfg = {.f = blow_up, .rtol = 1e-6, .atol = 1e-6, .part = 1};
    assert_int_equal(drl_rk45(&y, 1, 0, 2, &cfg, &err), DRL_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "tolerances cannot be held at t = 1"));
    assert_true(y == 1);
    cfg.arg = &y;
    assert_int_equal(drl_rk45(&y, 1, 0, 2, &cfg, &err), DRL_ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_five),
        cmocka_unit_test(weights_are_exact_to_degree_four),
        cmocka_unit_test(a_step_to_no_number_is_refused),
        cmocka_unit_test(parts_are_held_to_the_tolerances),
        cmocka_unit_test(failures_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
