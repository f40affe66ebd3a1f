/* The linear probe in two halves (drl/probe.h): fit and selection, which see no test codes, and the accuracy of given
 * weights. Internal to lib/models; the tests check the minimum. */
#ifndef DRL_MODELS_PROBE_LINEAR_H
#define DRL_MODELS_PROBE_LINEAR_H

#include "drl/probe.h"

/* params (classes, d + 1) written: W (classes, d) | b (classes) at the chosen strength; result but for the test
 * accuracy. Input is checked by drl_probe_linear. */
drl_status drl_linear_fit(drl_probe_result *result, double *params, const drl_codes *train, const drl_codes *val,
                          const drl_linear_cfg *cfg, drl_threads *team, drl_err *err);

/* *accuracy = fraction of codes whose largest logit W x + b is their label's. */
drl_status drl_linear_accuracy(double *accuracy, const double *params, const drl_codes *codes, drl_threads *team,
                               drl_err *err);

#endif
