/* Dormand and Prince's explicit Runge-Kutta pair of orders 5 and 4, with adaptive steps.
 *
 * Of our own because the state is a batch whose parts are held to the tolerances separately, and whose sums have to be
 * added in the same order on any machine. */
#ifndef DRL_RK45_H
#define DRL_RK45_H

#include <stddef.h>

#include "drl/err.h"

typedef struct drl_rk45_cfg {
    /* dy (n) = dy/dt at (t, y). */
    drl_status (*f)(void *arg, double t, const double *y, double *dy, drl_err *err);
    /* After every step; may be NULL. What it returns ends the integration unless DRL_OK. */
    drl_status (*step)(void *arg, double t, const double *y, drl_err *err);
    void *arg;
    double rtol, atol;
    size_t part; /* y[0 .. part) and y[part .. n) are two parts; n: one */
} drl_rk45_cfg;

/* y (n) = y(to), given y(from); to may be smaller. A step is taken where
 *   max over the parts of RMS( error / (atol + rtol max(|y|, |y_new|)) ) < 1,   error of the order-4 solution,
 * the next one is 0.9 / norm^(1/5) times as long, between 0.2 and 10 times, and not longer right after a refusal; the
 * first one as in Hairer, Norsett, Wanner, Solving ODEs I, II.4. All as scipy.integrate.RK45, but for the parts.
 * ERR_NUMERIC where steps become too small to be told from t; ERR_MEMORY. */
drl_status drl_rk45(double *y, size_t n, double from, double to, const drl_rk45_cfg *cfg, drl_err *err);

#endif
