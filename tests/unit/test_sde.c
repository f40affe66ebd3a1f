/* Diffusion processes against the equations that define them, and the densities of t (drl/sde.h). */
#define _DEFAULT_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "drl/rng.h"
#include "drl/sde.h"

enum { KINDS = 3 };
static const double some_times[] = {1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999};
#define TIMES (sizeof some_times / sizeof *some_times)

/* |got - want| <= tol |want|, so written that a NaN fails. */
static void near(double got, double want, double tol, const char *what, int kind, double t) {
    if (!(fabs(got - want) <= tol * fabs(want)))
        fail_msg("%s of %s at t = %g: %.17g, want %.17g", what, drl_sde_name((drl_sde_kind)kind), t, got, want);
}

/* ---- Marginal and coefficients ----------------------------------------------------------------------------------- */

static double mean_at(const drl_sde *s, double t) {
    return drl_sde_marginal_at(s, t).mean;
}

static double variance_at(const drl_sde *s, double t) {
    double std = drl_sde_marginal_at(s, t).std;
    return std * std;
}

/* Central differences, extrapolated once: error O(h^4). */
static double slope(double (*f)(const drl_sde *, double), const drl_sde *s, double t) {
    double h = 1e-3 * t, coarse = (f(s, t + h) - f(s, t - h)) / (2 * h), fine = (f(s, t + h / 2) - f(s, t - h / 2)) / h;
    return (4 * fine - coarse) / 3;
}

/* m' = f m and (s^2)' = 2 f s^2 + g^2. */
static void marginals_solve_their_equations(void **state) {
    (void)state;
    for (int k = 0; k < KINDS; k++) {
        drl_sde s = drl_sde_published((drl_sde_kind)k);
        for (size_t i = 0; i < TIMES; i++) {
            double t = some_times[i];
            drl_sde_coef c = drl_sde_coef_at(&s, t);
            double dm = slope(mean_at, &s, t), dv = slope(variance_at, &s, t);
            if (k == DRL_SDE_VE)
                assert_true(dm == 0 && c.drift == 0);
            else
                near(dm, c.drift * mean_at(&s, t), 1e-6, "mean'", k, t);
            near(dv, 2 * c.drift * variance_at(&s, t) + c.diffusion * c.diffusion, 1e-7, "(std^2)'", k, t);
        }
    }
}

/* The formulas of the header once more, in long double: nothing is lost at small t. */
static void small_times_keep_their_digits(void **state) {
    (void)state;
    for (int k = 0; k < KINDS; k++) {
        drl_sde s = drl_sde_published((drl_sde_kind)k);
        for (size_t i = 0; i < TIMES; i++) {
            double t = some_times[i];
            long double T = t, b = 0.1L + 19.9L * T, l = -0.25L * 19.9L * T * T - 0.05L * T;
            long double mean = k == DRL_SDE_VE ? 1 : expl(l), var = -expm1l(2 * l);
            long double std = k == DRL_SDE_VE ? 0.01L * powl(5000, T) : k == DRL_SDE_VP ? sqrtl(var) : var;
            long double g = k == DRL_SDE_VE   ? std * sqrtl(2 * logl(5000))
                            : k == DRL_SDE_VP ? sqrtl(b)
                                              : sqrtl(b * -expm1l(4 * l));
            near(mean_at(&s, t), (double)mean, 1e-14, "mean", k, t);
            near(drl_sde_marginal_at(&s, t).std, (double)std, 1e-14, "std", k, t);
            near(drl_sde_coef_at(&s, t).diffusion, (double)g, 1e-14, "diffusion", k, t);
        }
    }
}

static void ends_are_data_and_prior(void **state) {
    (void)state;
    for (int k = 0; k < KINDS; k++) {
        drl_sde s = drl_sde_published((drl_sde_kind)k);
        drl_sde_marginal start = drl_sde_marginal_at(&s, 0), end = drl_sde_marginal_at(&s, 1);
        assert_true(start.mean == 1);
        if (k == DRL_SDE_VE) {
            near(start.std, 0.01, 1e-15, "std", k, 0);
            near(end.std, 50, 1e-14, "std", k, 1);
            assert_true(end.mean == 1 && drl_sde_prior_std(&s) == 50);
        } else {
            assert_true(start.std == 0 && drl_sde_prior_std(&s) == 1);
            near(end.mean, exp(-5.025), 1e-14, "mean", k, 1);
            near(end.std, k == DRL_SDE_VP ? sqrt(1 - exp(-10.05)) : 1 - exp(-10.05), 1e-14, "std", k, 1);
        }
        assert_true(s.t_min == 1e-5);
    }
}

/* The label, what turns the network's output into a score, and how the time input is read. */
static void label_and_score_factor(void **state) {
    (void)state;
    drl_sde ve = drl_sde_published(DRL_SDE_VE), vp = drl_sde_published(DRL_SDE_VP),
            sub = drl_sde_published(DRL_SDE_SUBVP);
    for (size_t i = 0; i < TIMES; i++) {
        double t = some_times[i];
        near(drl_sde_label(&ve, t), 0.01 * pow(5000, t), 1e-13, "label", 0, t);
        near(drl_sde_label(&vp, t), 999 * t, 1e-15, "label", 1, t);
        near(drl_sde_label(&sub, t), 999 * t, 1e-15, "label", 2, t);
        near(drl_sde_score_factor(&ve, t) * drl_sde_marginal_at(&ve, t).std, 1, 1e-15, "factor", 0, t);
        near(drl_sde_score_factor(&vp, t) * drl_sde_marginal_at(&vp, t).std, -1, 1e-15, "factor", 1, t);
        near(drl_sde_score_factor(&sub, t) * drl_sde_marginal_at(&sub, t).std, -1, 1e-15, "factor", 2, t);
    }
    assert_true(drl_sde_label(&vp, 0) == 1e-3);
    assert_int_equal(drl_sde_time_map(&ve), DRL_TIME_VE);
    assert_int_equal(drl_sde_time_map(&sub), DRL_TIME_VP);
    assert_string_equal(drl_sde_name(DRL_SDE_SUBVP), "subvp");
}

/* ---- Densities of t ---------------------------------------------------------------------------------------------- */

static const double t_min = 1e-5;

/* Means inside, outside and so far outside that the plain distribution function is 0 or 1 everywhere. */
static const drl_t_density densities[] = {
    {DRL_T_UNIFORM, 0, 1},       {DRL_T_LOW, 0, 1},          {DRL_T_HIGH, 0, 1},         {DRL_T_GAUSSIAN, 0.5, 0.2},
    {DRL_T_GAUSSIAN, 0.9, 0.01}, {DRL_T_GAUSSIAN, -0.3, 1},  {DRL_T_GAUSSIAN, 1.2, 0.1}, {DRL_T_GAUSSIAN, -1, 0.1},
    {DRL_T_GAUSSIAN, 10, 0.2},   {DRL_T_GAUSSIAN, -10, 0.2}, {DRL_T_GAUSSIAN, 0, 100},
};
#define DENSITIES (sizeof densities / sizeof *densities)

/* The density up to a factor, scaled by its largest value on [t_min, 1]. */
static double density_at(const drl_t_density *d, double t) {
    if (d->kind == DRL_T_LOW) return 1 - t;
    if (d->kind == DRL_T_HIGH) return t;
    if (d->kind == DRL_T_UNIFORM) return 1;
    double top = fmin(1, fmax(t_min, d->mean)), z = (t - d->mean) / d->std, z0 = (top - d->mean) / d->std;
    return exp(0.5 * (z0 - z) * (z0 + z));
}

/* Its integral by Simpson's rule, fine enough for the narrowest case. */
static double integral(const drl_t_density *d, double from, double to) {
    const int n = 4000;
    double h = (to - from) / n, sum = density_at(d, from) + density_at(d, to);
    for (int i = 1; i < n; i++) sum += (i % 2 ? 4 : 2) * density_at(d, from + i * h);
    return sum * h / 3;
}

static void quantile_inverts_the_distribution(void **state) {
    (void)state;
    for (size_t k = 0; k < DENSITIES; k++) {
        const drl_t_density *d = &densities[k];
        double all = integral(d, t_min, 1), before = 0;
        for (double u = 0.02; u < 1; u += 0.06) {
            double t = drl_t_quantile(d, t_min, u), below = integral(d, t_min, t) / all;
            if (!(fabs(below - u) <= 1e-6)) fail_msg("density %zu: F(%.9g) = %.9g, want %g", k, t, below, u);
            if (!(t > before)) fail_msg("density %zu: the quantile does not rise at u = %g", k, u);
            before = t;
        }
    }
}

/* u = 0 and the largest u below 1 stay inside, as float too. */
static void edges_stay_inside(void **state) {
    (void)state;
    static const double mean[] = {-10, -1, 0, 0.5, 1, 2, 10}, std[] = {1e-3, 0.1, 100};
    for (size_t k = 0; k < 3 + 7 * 3; k++) {
        drl_t_density d = {(drl_t_density_kind)k, 0, 1};
        if (k >= 3) d = (drl_t_density){DRL_T_GAUSSIAN, mean[(k - 3) / 3], std[(k - 3) % 3]};
        double low = drl_t_quantile(&d, t_min, 0), high = drl_t_quantile(&d, t_min, 1 - 0x1p-53);
        bool inside = low >= t_min && low <= high && high <= 1 && (float)high <= 1 && (float)low >= (float)t_min;
        if (!inside) fail_msg("kind %d, mean %g, std %g: from %.17g to %.17g", d.kind, d.mean, d.std, low, high);
        if (k < 3) assert_true(low < 1.001 * t_min && high > 1 - 1e-6);
    }
}

/* Chi-square of 20 000 draws in 20 bins against the density: 19 degrees of freedom, 43.8 is passed once in 1000. */
static void draws_have_the_density(void **state) {
    (void)state;
    enum { BINS = 20, DRAWS = 20000 };
    for (size_t k = 0; k < 7; k++) {
        const drl_t_density *d = &densities[k];
        drl_rng rng = drl_rng_stream(3, DRL_RNG_TIME, 0, (uint32_t)k);
        size_t count[BINS] = {0};
        double lo = fmax(t_min, d->kind == DRL_T_GAUSSIAN ? d->mean - 4 * d->std : 0), all = integral(d, t_min, 1);
        for (uint64_t i = 0; i < DRAWS; i++) {
            double t = drl_t_quantile(d, t_min, drl_rng_uniform_at(rng, i));
            assert_true(t >= t_min && t <= 1);
            double at = (t - lo) / (1 - lo) * BINS;
            count[at < 0 ? 0 : at < BINS ? (size_t)at : BINS - 1]++;
        }
        double chi2 = 0;
        for (int b = 0; b < BINS; b++) {
            double from = b == 0 ? t_min : lo + (1 - lo) * b / BINS, to = lo + (1 - lo) * (b + 1) / BINS;
            double want = DRAWS * integral(d, from, to) / all;
            if (want > 1) chi2 += ((double)count[b] - want) * ((double)count[b] - want) / want;
        }
        if (!(chi2 < 43.8)) fail_msg("density %zu: chi-square %g", k, chi2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marginals_solve_their_equations),
        cmocka_unit_test(small_times_keep_their_digits),
        cmocka_unit_test(ends_are_data_and_prior),
        cmocka_unit_test(label_and_score_factor),
        cmocka_unit_test(quantile_inverts_the_distribution),
        cmocka_unit_test(edges_stay_inside),
        cmocka_unit_test(draws_have_the_density),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
