/* Student's distribution against tables, closed forms and integrals; statistics done by hand, published examples, and
 * every resample there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "drl/stats.h"

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
    assert_near(s.half95, 4.302652729749464 * 2 / sqrt(3), 1e-9);
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

/* ---- Student's distribution -------------------------------------------------------------------------------------- */

/* Abramowitz & Stegun, table 26.10, rounded to three places. */
static void published_quantiles(void **state) {
    (void)state;
    static const double p[] = {0.90, 0.95, 0.975, 0.99, 0.995};
    static const struct {
        double dof, t[5];
    } table[] = {{1, {3.078, 6.314, 12.706, 31.821, 63.657}}, {2, {1.886, 2.920, 4.303, 6.965, 9.925}},
                 {3, {1.638, 2.353, 3.182, 4.541, 5.841}},    {4, {1.533, 2.132, 2.776, 3.747, 4.604}},
                 {5, {1.476, 2.015, 2.571, 3.365, 4.032}},    {10, {1.372, 1.812, 2.228, 2.764, 3.169}},
                 {30, {1.310, 1.697, 2.042, 2.457, 2.750}},   {120, {1.289, 1.658, 1.980, 2.358, 2.617}}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t k = 0; k < 5; k++) {
            assert_near(drl_student_quantile(p[k], table[i].dof), table[i].t[k], 5.01e-4);
            assert_near(drl_student_quantile(1 - p[k], table[i].dof), -table[i].t[k], 5.01e-4);
        }
    assert_true(drl_student_quantile(0.5, 3) == 0);
}

/* Closed forms for 1, 2 and 4 degrees of freedom, far out too, where the probability is small. */
static void closed_forms(void **state) {
    (void)state;
    const double pi = acos(-1);
    for (double t = 1e-6; t < 1e9; t *= 1.7) {
        double t2 = t * t, two = 2 / (sqrt(2 + t2) * (sqrt(2 + t2) + t));
        assert_near(drl_student_two_sided(t, 1), 2 / pi * atan2(1, t), 1e-13 * atan2(1, t));
        assert_near(drl_student_two_sided(-t, 2), two, 1e-13 * two);
        double s = t / sqrt(4 + t2);
        assert_near(drl_student_two_sided(t, 4), 1 - 1.5 * s + 0.5 * s * s * s, 1e-13);
        assert_near(drl_student_cdf(t, 2), 1 - 0.5 * two, 1e-13);
        assert_near(drl_student_cdf(-t, 2), 0.5 * two, 1e-13 * two);
    }
    assert_true(drl_student_cdf(0, 7) == 0.5 && drl_student_two_sided(0, 7) == 1);
    assert_true(drl_student_cdf(INFINITY, 3) == 1 && drl_student_cdf(-INFINITY, 3) == 0);
    assert_true(isnan(drl_student_cdf(NAN, 3)) && isnan(drl_student_two_sided(NAN, 1e7)));
}

/* P(|T| < t) of a whole number of degrees of freedom, a finite sum.          [Abramowitz & Stegun 26.7.3, 26.7.4] */
static double finite_sum(double t, int dof) {
    double angle = atan(t / sqrt(dof)), c = cos(angle), term = dof % 2 ? c : 1, sum = 0;
    for (int k = dof % 2 ? 1 : 0; k <= dof - 2; k += 2) {
        sum += term;
        term *= c * c * (k + 1) / (k + 2);
    }
    return dof % 2 ? 2 / acos(-1) * (angle + sin(angle) * sum) : sin(angle) * sum;
}

static void finite_sums(void **state) {
    (void)state;
    for (int dof = 1; dof <= 101; dof++) {
        for (double t = 0.01; t < 40; t *= 1.3)
            assert_near(drl_student_two_sided(t, dof), 1 - finite_sum(t, dof), 1e-13);
        assert_near(finite_sum(drl_student_t975((size_t)dof), dof), 0.95, 1e-13);
        assert_near(finite_sum(drl_student_quantile(0.2, dof), dof), -0.6, 1e-13);
    }
}

/* Simpson's rule on cos^(dof - 1) between two angles. */
static double integral(double from, double to, double dof) {
    enum { STEPS = 20000 };
    double sum = 0, h = (to - from) / STEPS;
    for (int i = 0; i <= STEPS; i++)
        sum += (i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2) * pow(fmax(0, cos(from + i * h)), dof - 1);
    return sum * h / 3;
}

/* With T = sqrt(dof) tan(angle) the density is proportional to cos^(dof - 1), whose integral needs no gamma function.
 */
static void integrated(void **state) {
    (void)state;
    static const double dofs[] = {5, 6, 9, 17, 38, 39, 40, 41, 63.5, 100, 1000, 123456};
    static const double ts[] = {0.1, 0.7, 1, 1.7, 1.8, 2.5, 4, 8};
    for (size_t i = 0; i < sizeof dofs / sizeof *dofs; i++) {
        double far = fmin(0.5 * acos(-1), 40 / sqrt(dofs[i])), all = integral(0, far, dofs[i]);
        for (size_t k = 0; k < sizeof ts / sizeof *ts; k++) {
            double angle = fmin(far, atan(ts[k] / sqrt(dofs[i]))), tail = integral(angle, far, dofs[i]) / all;
            assert_near(drl_student_two_sided(ts[k], dofs[i]), tail, 1e-11);
        }
    }
}

/* The quantile undoes the distribution; and the two ways to compute it meet at a million degrees of freedom. */
static void inverse_and_seam(void **state) {
    (void)state;
    static const double dofs[] = {0.5, 1, 2, 3.3, 8, 50, 1e4, 1e9}, ps[] = {1e-12, 1e-4, 0.025, 0.3, 0.5, 0.75, 0.9999};
    for (size_t i = 0; i < sizeof dofs / sizeof *dofs; i++)
        for (size_t k = 0; k < sizeof ps / sizeof *ps; k++)
            assert_near(drl_student_cdf(drl_student_quantile(ps[k], dofs[i]), dofs[i]), ps[k], 1e-12 * ps[k]);
    for (double t = 0.1; t < 8; t += 0.3) {
        double below = drl_student_two_sided(t, 999999.9), above = drl_student_two_sided(t, 1000000);
        assert_near(above, below, 1e-11);
    }
}

/* ---- Paired comparisons ------------------------------------------------------------------------------------------ */

/* Student's sleep data (Biometrika 6, 1908): extra hours of the same ten patients. R's t.test(paired = TRUE) prints
 * t = -4.0621, p = 0.002833 and an interval of -2.4598858 to -0.7001142. Every difference has the same sign, and one is
 * 0: of the 1024 assignments of signs 4 are as extreme. */
static void sleep_data(void **state) {
    (void)state;
    static const double drug1[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0},
                        drug2[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
    drl_paired c = drl_stats_paired(drug1, drug2, 10, 1);
    assert_int_equal(c.difference.n, 10);
    assert_near(c.difference.mean, -1.58, 1e-12);
    assert_near(c.difference.mean - c.difference.half95, -2.4598858, 5e-8);
    assert_near(c.difference.mean + c.difference.half95, -0.7001142, 5e-8);
    assert_near(c.t, -4.0621, 5e-5);
    assert_near(c.p, 0.002833, 5e-7);
    assert_true(c.exact && c.p_sign_flip == 4.0 / 1024);
    assert_near(c.d_z, -1.58 / sqrt(13.616 / 9), 1e-12); /* 13.616: squared distances from the mean */
    /* J(9) = Gamma(4.5) / (sqrt(4.5) Gamma(4)), Gamma(4.5) = 105 sqrt(pi) / 16 */
    assert_near(c.hedges / c.d_z, 105 * sqrt(acos(-1)) / 16 / (sqrt(4.5) * 6), 1e-12);
}

/* Darwin's maize, in eighths of an inch (Fisher, The Design of Experiments, 1935, 17 and 21): t = 2.148, and 863 of the
 * 32768 assignments of signs with a sum of 314 or more, as many with -314 or less. */
static void darwins_maize(void **state) {
    (void)state;
    static const double d[] = {49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48}, zero[15];
    drl_paired c = drl_stats_paired(d, zero, 15, 1);
    assert_near(c.t, 2.148, 5e-4);
    assert_near(c.p, 0.0497, 5e-5);
    assert_true(c.exact && c.p_sign_flip == 2 * 863.0 / 32768);
}

/* Shares of the signs' assignments by their sums: value after value, a table of how often each whole sum occurs. */
static double flips_by_counting(const int *d, size_t n) {
    enum { MIDDLE = 4000 };
    static double ways[2 * MIDDLE + 1], next[2 * MIDDLE + 1];
    int observed = 0;
    double extreme = 0;
    for (int s = 0; s <= 2 * MIDDLE; s++) ways[s] = s == MIDDLE;
    for (size_t i = 0; i < n; i++) {
        int size = abs(d[i]);
        observed += d[i];
        for (int s = 0; s <= 2 * MIDDLE; s++)
            next[s] = 0.5 * (s >= size ? ways[s - size] : 0) + 0.5 * (s + size <= 2 * MIDDLE ? ways[s + size] : 0);
        for (int s = 0; s <= 2 * MIDDLE; s++) ways[s] = next[s];
    }
    for (int s = 0; s <= 2 * MIDDLE; s++)
        if (abs(s - MIDDLE) >= abs(observed)) extreme += ways[s];
    return extreme;
}

/* All assignments up to 16 pairs; drawn ones from 17 on, within five standard deviations of their share. */
static void sign_flips(void **state) {
    (void)state;
    double a[24], b[24];
    int d[24];
    for (size_t n = 1; n <= 24; n++) {
        for (size_t i = 0; i < n; i++) {
            d[i] = (int)((i * 37 + n * 11) % 29) - 11;
            a[i] = 0.01 * d[i] + 80.1 + (double)i; /* sums that rounding would tell apart */
            b[i] = 80.1 + (double)i;
        }
        drl_paired c = drl_stats_paired(a, b, n, 5);
        double want = flips_by_counting(d, n);
        assert_int_equal(c.exact, n <= 16);
        assert_near(c.p_sign_flip, want, c.exact ? 1e-15 : 5 * sqrt(want * (1 - want) / DRL_SIGN_FLIPS) + 2e-5);
        if (!c.exact) {
            assert_true(drl_stats_paired(a, b, n, 5).p_sign_flip == c.p_sign_flip);
            assert_true(drl_stats_paired(a, b, n, 6).p_sign_flip != c.p_sign_flip);
        }
        if (n > 1) assert_near(drl_stats_paired(b, a, n, 5).t, -c.t, 1e-9 * fabs(c.t));
    }
}

static void pairs_with_missing_values(void **state) {
    (void)state;
    static const double a[] = {NAN, 5, 2, INFINITY, 7, 9}, b[] = {1, 1, NAN, 3, 2, 3}, full_a[] = {5, 7, 9},
                        full_b[] = {1, 2, 3};
    drl_paired c = drl_stats_paired(a, b, 6, 1), want = drl_stats_paired(full_a, full_b, 3, 1);
    assert_int_equal(c.difference.n, 3);
    assert_near(c.difference.mean, 5, 1e-14);
    assert_near(c.difference.std, 1, 1e-14);
    assert_near(c.p, want.p, 1e-15);
    assert_true(c.p_sign_flip == 0.25);
    assert_near(c.d_z, 5, 1e-13);
    assert_near(c.hedges, 5 / sqrt(acos(-1)), 1e-13); /* J(2) = 1 / Gamma(1/2) */
}

static void degenerate_pairs(void **state) {
    (void)state;
    static const double a[] = {3, 4, 5, 6}, b[] = {1, 2, 3, 4};
    drl_paired c = drl_stats_paired(a, b, 4, 1); /* all differences equal */
    assert_true(c.t == INFINITY && c.p == 0 && c.d_z == INFINITY && c.p_sign_flip == 0.125);
    c = drl_stats_paired(b, a, 4, 1);
    assert_true(c.t == -INFINITY && c.p == 0 && c.difference.mean == -2 && c.difference.half95 == 0);
    c = drl_stats_paired(a, a, 4, 1); /* and 0 */
    assert_true(c.t == 0 && c.p == 1 && c.d_z == 0 && c.hedges == 0 && c.p_sign_flip == 1);
    c = drl_stats_paired(a, b, 1, 1);
    assert_true(c.difference.n == 1 && c.difference.mean == 2 && c.difference.half95 == 0 && c.p_sign_flip == 1);
    assert_true(isnan(c.t) && isnan(c.p) && isnan(c.d_z) && isnan(c.hedges));
    c = drl_stats_paired(a, b, 2, 1);
    assert_true(c.d_z == INFINITY && isnan(c.hedges));
    c = drl_stats_paired(a, b, 0, 1);
    assert_true(c.difference.n == 0 && isnan(c.difference.mean) && isnan(c.p) && isnan(c.p_sign_flip));
}

/* ---- Holm -------------------------------------------------------------------------------------------------------- */

static void holm_by_hand(void **state) {
    (void)state;
    static const double p[] = {0.01, 0.04, 0.03, 0.005}, want[] = {0.03, 0.06, 0.06, 0.02};
    static const double q[] = {NAN, 0.02, 0.01, 0.01, 0, NAN, 1}, want_q[] = {NAN, 0.04, 0.04, 0.04, 0, NAN, 1};
    double got[7];
    drl_stats_holm(got, p, 4);
    for (int i = 0; i < 4; i++) assert_near(got[i], want[i], 1e-15);
    drl_stats_holm(got, q, 7);
    for (int i = 0; i < 7; i++)
        if (isnan(want_q[i]))
            assert_true(isnan(got[i]));
        else
            assert_near(got[i], want_q[i], 1e-15);
}

/* Whether Holm's procedure rejects hypothesis i at a level: from the smallest p on, as long as p <= level / (m - rank).
 */
static bool rejects(const double *p, size_t m, size_t i, double level) {
    bool done[16] = {false};
    for (size_t rank = 0; rank < m; rank++) {
        size_t k = m;
        for (size_t j = 0; j < m; j++)
            if (!done[j] && (k == m || p[j] < p[k])) k = j;
        if (p[k] > level / (double)(m - rank)) return false;
        if (k == i) return true;
        done[k] = true;
    }
    return false;
}

/* The adjusted p is the level at which the procedure begins to reject. */
static void holm_by_definition(void **state) {
    (void)state;
    double p[12], got[12];
    srand(3);
    for (size_t m = 1; m <= 12; m++)
        for (int again = 0; again < 50; again++) {
            for (size_t i = 0; i < m; i++) p[i] = 0.01 * (rand() % 20) / (again % 4 + 1); /* often equal */
            drl_stats_holm(got, p, m);
            for (size_t i = 0; i < m; i++) {
                assert_true(got[i] >= p[i] && got[i] <= 1);
                if (got[i] < 1) assert_true(rejects(p, m, i, got[i] * (1 + 1e-9)));
                if (got[i] > 0) assert_false(rejects(p, m, i, got[i] * (1 - 1e-9)));
            }
        }
}

/* ---- Bootstrap --------------------------------------------------------------------------------------------------- */

/* Share of all n^n resamples whose mean is below x, and not above x. */
static void enumerate(const double *v, size_t n, double x, double *below, double *not_above) {
    size_t all = 1, count[2] = {0, 0};
    for (size_t i = 0; i < n; i++) all *= n;
    for (size_t r = 0; r < all; r++) {
        double sum = 0;
        for (size_t i = 0, rest = r; i < n; i++, rest /= n) sum += v[rest % n];
        count[0] += sum / (double)n < x - 1e-9;
        count[1] += sum / (double)n <= x + 1e-9;
    }
    *below = (double)count[0] / (double)all;
    *not_above = (double)count[1] / (double)all;
}

/* At both ends the share of all resamples steps over (1 - level) / 2, up to five standard deviations of the draw. */
static void bootstrap_of_all_resamples(void **state) {
    (void)state;
    static const double v[] = {0.31, -1.7, 2.9, 4.03, 11.3}, levels[] = {0.5, 0.8, 0.9, 0.95};
    enum { DRAWS = 40000 };
    for (size_t n = 2; n <= 5; n++)
        for (size_t k = 0; k < 4; k++) {
            drl_interval i;
            double p = 0.5 * (1 - levels[k]), slack = 5 * sqrt(p * (1 - p) / DRAWS), below, not_above;
            assert_int_equal(drl_stats_bootstrap(&i, v, n, levels[k], DRAWS, 7, NULL), DRL_OK);
            enumerate(v, n, i.lo, &below, &not_above);
            if (!(below <= p + slack && not_above >= p - slack)) fail_msg("lo %g: %g %g", i.lo, below, not_above);
            enumerate(v, n, i.hi, &below, &not_above);
            if (!(below <= 1 - p + slack && not_above >= 1 - p - slack))
                fail_msg("hi %g: %g %g", i.hi, below, not_above);
        }
}

/* With n^n large the ends lie close together, and the interval of normal theory is near. */
static void bootstrap_of_many(void **state) {
    (void)state;
    double v[400], sum = 0, squares = 0;
    for (int i = 0; i < 400; i++) v[i] = i % 20, sum += v[i], squares += v[i] * v[i];
    double mean = sum / 400, error = sqrt((squares / 400 - mean * mean) / 400);
    drl_interval i, again, other;
    assert_int_equal(drl_stats_bootstrap(&i, v, 400, 0.95, DRL_BOOTSTRAP_RESAMPLES, 1, NULL), DRL_OK);
    assert_near(i.lo, mean - 1.959964 * error, 0.05 * error + 0.01);
    assert_near(i.hi, mean + 1.959964 * error, 0.05 * error + 0.01);
    assert_int_equal(drl_stats_bootstrap(&again, v, 400, 0.95, DRL_BOOTSTRAP_RESAMPLES, 1, NULL), DRL_OK);
    assert_int_equal(drl_stats_bootstrap(&other, v, 400, 0.95, DRL_BOOTSTRAP_RESAMPLES, 2, NULL), DRL_OK);
    assert_true(i.lo == again.lo && i.hi == again.hi && (i.lo != other.lo || i.hi != other.hi));
}

static void bootstrap_of_few(void **state) {
    (void)state;
    static const double v[] = {4, 1, NAN}, same[] = {3, 3, 3};
    drl_interval i;
    drl_err err = {0};
    assert_int_equal(drl_stats_bootstrap(&i, v, 1, 0.95, 100, 1, NULL), DRL_OK);
    assert_true(isnan(i.lo) && isnan(i.hi));
    assert_int_equal(drl_stats_bootstrap(&i, same, 3, 0.95, 1, 1, NULL), DRL_OK);
    assert_true(i.lo == 3 && i.hi == 3);
    assert_int_equal(drl_stats_bootstrap(&i, v, 3, 0.95, 100, 1, &err), DRL_ERR_NUMERIC);
    assert_string_equal(err.message, "bootstrap: value 3 of 3 is not a finite number");
    assert_true(isnan(i.lo) && isnan(i.hi));
    assert_int_equal(drl_stats_bootstrap(&i, v, 0, 0.95, 100, 1, &err), DRL_ERR_NUMERIC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(few_values),
        cmocka_unit_test(offset),
        cmocka_unit_test(published_quantiles),
        cmocka_unit_test(closed_forms),
        cmocka_unit_test(finite_sums),
        cmocka_unit_test(integrated),
        cmocka_unit_test(inverse_and_seam),
        cmocka_unit_test(sleep_data),
        cmocka_unit_test(darwins_maize),
        cmocka_unit_test(sign_flips),
        cmocka_unit_test(pairs_with_missing_values),
        cmocka_unit_test(degenerate_pairs),
        cmocka_unit_test(holm_by_hand),
        cmocka_unit_test(holm_by_definition),
        cmocka_unit_test(bootstrap_of_all_resamples),
        cmocka_unit_test(bootstrap_of_many),
        cmocka_unit_test(bootstrap_of_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
