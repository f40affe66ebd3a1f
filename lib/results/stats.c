/* Mean, spread and Student's interval (drl/results.h). */
#include <assert.h>
#include <math.h>

#include "drl/results.h"

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
        if (fabs(c * d - 1) < 1e-16) break;
    }
    return f;
}

/* I_x(a, b), the regularised incomplete beta function. */
static double beta_regularised(double a, double b, double x) {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double drl_student_t975(size_t dof) {
    assert(dof > 0);
    /* P(|T| < t) = I_y(1/2, dof/2) with y = t^2 / (dof + t^2): bisect for the y where it is 0.95 */
    double nu = (double)dof, lo = 0, hi = 1;
    for (int i = 0; i < 200; i++) {
        double y = 0.5 * (lo + hi);
        if (beta_regularised(0.5, 0.5 * nu, y) < 0.95)
            lo = y;
        else
            hi = y;
    }
    double y = 0.5 * (lo + hi);
    return sqrt(nu * y / (1 - y));
}

drl_stats drl_stats_of(const double *values, size_t n) {
    drl_stats s = {.n = n, .mean = NAN};
    if (n == 0) return s;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    s.mean = sum / (double)n;
    if (n == 1) return s;
    for (size_t i = 0; i < n; i++) squares += (values[i] - s.mean) * (values[i] - s.mean);
    s.std = sqrt(squares / (double)(n - 1));
    s.half95 = drl_student_t975(n - 1) * s.std / sqrt((double)n);
    return s;
}
