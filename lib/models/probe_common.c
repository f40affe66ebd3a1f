/* Standardisation of codes (drl/probe.h), and the checks and small functions all probes share. */
#include "models/probe_common.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

/* mean_j = x_0j + 1/n sum_i (x_ij - x_0j), then var_j = 1/n sum_i (x_ij - mean_j)^2, in double. Shifting by the first
 * row makes the mean of a constant column, and so its zero variance, exact. */
void drl_standardise_fit(double *mean, double *std, const drl_real *x, size_t n, size_t d) {
    memset(mean, 0, d * sizeof *mean);
    memset(std, 0, d * sizeof *std);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) mean[j] += (double)x[i * d + j] - (double)x[j];
    for (size_t j = 0; j < d && n > 0; j++) mean[j] = (double)x[j] + mean[j] / (double)n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) {
            double c = (double)x[i * d + j] - mean[j];
            std[j] += c * c;
        }
    for (size_t j = 0; j < d; j++) std[j] = std[j] == 0 ? 1 : sqrt(std[j] / (double)n);
}

void drl_standardise(drl_real *x, size_t n, size_t d, const double *mean, const double *std) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) x[i * d + j] = (drl_real)(((double)x[i * d + j] - mean[j]) / std[j]);
}

drl_status drl_probe_check(const drl_codes *c, const char *part, drl_err *err) {
    if (c->n == 0) return drl_fail(err, DRL_ERR_SHAPE, "%s: empty, at least one code is needed", part);
    if (c->d == 0) return drl_fail(err, DRL_ERR_SHAPE, "%s: codes have no dimensions (d = 0)", part);
    if (c->classes == 0) return drl_fail(err, DRL_ERR_SHAPE, "%s: no classes", part);
    if (c->n > INT_MAX || c->d > INT_MAX || c->classes > INT_MAX)
        return drl_fail(err, DRL_ERR_LIMIT, "%s: %zu codes of %zu dimensions in %zu classes: at most %d of each", part,
                        c->n, c->d, c->classes, INT_MAX);
    assert(c->x && c->y);
    for (size_t i = 0; i < c->n; i++) {
        if (c->y[i] < 0 || (size_t)c->y[i] >= c->classes)
            return drl_fail(err, DRL_ERR_FORMAT, "%s: label of row %zu is %d, not in 0..%zu", part, i, (int)c->y[i],
                            c->classes - 1);
        for (size_t j = 0; j < c->d; j++)
            if (!isfinite(c->x[i * c->d + j]))
                return drl_fail(err, DRL_ERR_NUMERIC, "%s: row %zu, dimension %zu is %g", part, i, j,
                                (double)c->x[i * c->d + j]);
    }
    return DRL_OK;
}

drl_status drl_probe_check_pair(const drl_codes *train, const drl_codes *other, const char *part, drl_err *err) {
    if (train->d != other->d)
        return drl_fail(err, DRL_ERR_SHAPE, "%s: %zu dimensions, the training codes have %zu", part, other->d,
                        train->d);
    if (train->classes != other->classes)
        return drl_fail(err, DRL_ERR_SHAPE, "%s: %zu classes, the training codes have %zu", part, other->classes,
                        train->classes);
    return DRL_OK;
}

size_t drl_probe_argmax(const drl_real *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

#ifdef DRL_F64
#define EXP exp
#else
#define EXP expf
#endif

double drl_probe_softmax(drl_real *restrict logits, const int32_t *restrict y, size_t n, size_t classes) {
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        drl_real *l = logits + i * classes, top = l[drl_probe_argmax(l, classes)], sum = 0;
        double own = (double)l[y[i]] - (double)top;
        for (size_t c = 0; c < classes; c++) sum += l[c] = EXP(l[c] - top);
        loss += log((double)sum) - own;
        drl_real inverse = 1 / sum;
        for (size_t c = 0; c < classes; c++) l[c] *= inverse;
    }
    return loss;
}
