/* Dormand-Prince 5(4) (diffusion/rk45.h). */
#include "diffusion/rk45.h"

#include <math.h>
#include <string.h>

#include "drl/mem.h"

enum { STAGES = 7 }; /* the seventh is the first of the next step */

/* Dormand, Prince 1980, table 2: k_s = f(t + c_s h, y + h sum_j a_sj k_j); row 6 gives the order-5 solution. */
static const double c[STAGES] = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};
static const double a[STAGES][STAGES - 1] = {
    {0},
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
};
/* order 4 minus order 5 */
static const double e[STAGES] = {-71.0 / 57600, 0, 71.0 / 16695, -71.0 / 1920, 17253.0 / 339200, -22.0 / 525, 1.0 / 40};

typedef struct solver {
    const drl_rk45_cfg *cfg;
    size_t n;
    double *y, *next, *k[STAGES], *memory;
} solver;

static double scale_of(const solver *s, double size) {
    return s->cfg->atol + s->cfg->rtol * size;
}

/* Largest over the parts of the root mean square of d_i / scale_i, scales by the larger of |y| and |other|. */
static double norm(const solver *s, const double *d, const double *other) {
    const size_t ends[] = {s->cfg->part, s->n};
    double largest = 0;
    for (size_t p = 0, i = 0; p < 2; p++) {
        double sum = 0;
        size_t first = i;
        for (; i < ends[p]; i++) {
            double q = d[i] / scale_of(s, fmax(fabs(s->y[i]), fabs(other[i])));
            sum += q * q;
        }
        if (i > first) sum = sqrt(sum / (double)(i - first));
        if (!isnan(largest) && !(sum <= largest)) largest = sum; /* NaN stays */
    }
    return largest;
}

/* out = y + h sum over the first `stages` of w_j k_j, without y where `base` is 0 */
static void combine(const solver *s, double *out, double base, double h, const double *w, int stages) {
    for (size_t i = 0; i < s->n; i++) {
        double sum = 0;
        for (int j = 0; j < stages; j++) sum += w[j] * s->k[j][i];
        out[i] = base * s->y[i] + h * sum;
    }
}

/* Length of the first step; k[0] holds f(from, y). Uses k[1] and next. */
static drl_status first_step(solver *s, double *h, double from, double to, drl_err *err) {
    double length = fabs(to - from), sign = to < from ? -1 : 1;
    double d0 = norm(s, s->y, s->y), d1 = norm(s, s->k[0], s->y);
    double h0 = fmin(d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1, length);
    combine(s, s->next, 1, sign * h0, (const double[]){1}, 1);
    drl_status st = s->cfg->f(s->cfg->arg, from + sign * h0, s->next, s->k[1], err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; i < s->n; i++) s->next[i] = s->k[1][i] - s->k[0][i];
    double d2 = norm(s, s->next, s->y) / h0, most = fmax(d1, d2);
    double h1 = most <= 1e-15 ? fmax(1e-6, 1e-3 * h0) : pow(0.01 / most, 0.2);
    *h = fmin(fmin(100 * h0, h1), length);
    return DRL_OK;
}

/* next = the order-5 solution a step of h further, k[6] = f there, *error = the norm of the order-4 solution's error */
static drl_status try_step(solver *s, double t, double h, double *error, drl_err *err) {
    for (int i = 1; i < STAGES; i++) {
        combine(s, s->next, 1, h, a[i], i);
        drl_status st = s->cfg->f(s->cfg->arg, t + c[i] * h, s->next, s->k[i], err);
        if (st != DRL_OK) return st;
    }
    combine(s, s->k[1], 0, h, e, STAGES); /* e_1 = 0 and k[1] is not needed again */
    *error = norm(s, s->k[1], s->next);
    return DRL_OK;
}

static void swap(double **p, double **q) {
    double *r = *p;
    *p = *q;
    *q = r;
}

static drl_status integrate(solver *s, double from, double to, drl_err *err) {
    double t = from, h = 0, error;
    drl_status st = s->cfg->f(s->cfg->arg, t, s->y, s->k[0], err);
    if (st == DRL_OK) st = first_step(s, &h, from, to, err);
    for (bool refused = false; st == DRL_OK && t != to;) {
        if (!(h >= 10 * fabs(nextafter(t, to) - t)))
            return drl_fail(err, DRL_ERR_NUMERIC, "the tolerances cannot be held at t = %g", t);
        double end = to > t ? fmin(t + h, to) : fmax(t - h, to);
        h = fabs(end - t);
        if ((st = try_step(s, t, end - t, &error, err)) != DRL_OK) break;
        if (!(error < 1)) {
            h *= fmax(0.2, 0.9 * pow(error, -0.2)); /* NaN: 0.2 */
            refused = true;
            continue;
        }
        h *= fmin(refused ? 1 : 10, 0.9 * pow(error, -0.2));
        refused = false;
        t = end;
        swap(&s->y, &s->next);
        swap(&s->k[0], &s->k[STAGES - 1]);
        if (s->cfg->step) st = s->cfg->step(s->cfg->arg, t, s->y, err);
    }
    return st;
}

drl_status drl_rk45(double *y, size_t n, double from, double to, const drl_rk45_cfg *cfg, drl_err *err) {
    solver s = {.cfg = cfg, .n = n};
    drl_status st = drl_alloc(&s.memory, (STAGES + 2) * n, sizeof(double), "integrator", err);
    if (st != DRL_OK) return st;
    s.y = s.memory, s.next = s.memory + n;
    for (size_t i = 0; i < STAGES; i++) s.k[i] = s.memory + (2 + i) * n;
    memcpy(s.y, y, n * sizeof *y);
    st = integrate(&s, from, to, err);
    if (st == DRL_OK) memcpy(y, s.y, n * sizeof *y);
    drl_free(s.memory);
    return st;
}
