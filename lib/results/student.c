/* Student's distribution (drl/stats.h). */
#include <assert.h>
#include <math.h>

#include "drl/stats.h"

/* Continued fraction of the incomplete beta function by Lentz's method (Numerical Recipes 6.4; DLMF 8.17.22). It
 * converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x) {
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int m = 1; m < 10000; m++) {
        for (int odd = 0; odd < 2; odd++) {
            double term = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                              : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
            d = 1 + term * d;
            c = 1 + term / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            if (fabs(c) < tiny) c = tiny;
            f *= c * d;
        }
        if (fabs(c * d - 1) < 3e-16) break;
    }
    return f;
}

/* ln Gamma(a + 1/2) - ln Gamma(a); of large a by its asymptotic series, since the difference of the two cancels. */
static double log_gamma_half(double a) {
    if (a < 20) return lgamma(a + 0.5) - lgamma(a);
    double r = 1 / (a * a);
    return 0.5 * log(a) - (1.0 / 8 - r * (1.0 / 192 - r * (1.0 / 640 - r * (17.0 / 14336)))) / a;
}

double drl_student_two_sided(double t, double dof) {
    assert(dof > 0);
    if (isnan(t)) return NAN;
    double a = 0.5 * dof, u = fabs(t) / sqrt(dof), x = 1 / (1 + u * u), y = 1 / (1 + 1 / (u * u));
    if (u == 0) return 1;
    /* of the normal distribution: Wallace's approximation, whose error falls with dof^-2 */
    if (dof >= 1e6) return erfc((8 * dof + 1) / (8 * dof + 3) * sqrt(0.5 * dof * log1p(u * u)));
    /* x^a y^(1/2) / B(a, 1/2) */
    double front = exp(log_gamma_half(a) - 0.5 * log(acos(-1)) - a * log1p(u * u) + 0.5 * log(y));
    if (x < (a + 1) / (a + 2.5)) return front * beta_fraction(a, 0.5, x) / a;
    return 1 - front * beta_fraction(0.5, a, y) / 0.5;
}

double drl_student_cdf(double t, double dof) {
    double tail = 0.5 * drl_student_two_sided(t, dof);
    return t > 0 ? 1 - tail : tail;
}

double drl_student_quantile(double p, double dof) {
    assert(p > 0 && p < 1 && dof > 0);
    double both = 2 * fmin(p, 1 - p), lo = 0, hi = 1;
    while (drl_student_two_sided(hi, dof) > both) lo = hi, hi *= 2;
    /* halved until no number lies between */
    for (double t; t = lo + 0.5 * (hi - lo), t > lo && t < hi;) {
        if (drl_student_two_sided(t, dof) > both)
            lo = t;
        else
            hi = t;
    }
    return p < 0.5 ? -hi : p > 0.5 ? hi : 0;
}

double drl_student_t975(size_t dof) {
    return drl_student_quantile(0.975, (double)dof);
}
