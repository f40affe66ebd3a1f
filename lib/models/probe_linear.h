/* The linear probe's fit and selection (drl/probe.h), down to the weights. Internal to lib/models; the tests check the
 * minimum. */
#ifndef DRL_MODELS_PROBE_LINEAR_H
#define DRL_MODELS_PROBE_LINEAR_H

#include "drl/probe.h"

/* params (classes, d + 1) written: W (classes, d) | b (classes) at the chosen strength. Input is checked by
 * drl_probe_linear. */
drl_status drl_linear_fit(drl_probe_result *result, double *params, const drl_codes *train, const drl_codes *val,
                          const drl_linear_cfg *cfg, drl_threads *team, drl_err *err);

#endif
