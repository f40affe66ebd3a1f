/* For sampler.c: the probability flow from 1 to t_end, of a prior x (n, size) that is drawn. */
#ifndef DRL_FLOW_H
#define DRL_FLOW_H

#include "drl/sampler.h"

drl_status drl_flow_sample(drl_real *x, size_t n, const drl_sde *sde, const drl_score *score,
                           const drl_sampler_cfg *cfg, size_t *evaluations, drl_err *err);

/* ERR_INTERRUPTED where a signal asks for it, ERR_NUMERIC where a number is not finite, else what cfg->progress says
 * of the state x (n) at time t. */
drl_status drl_sampler_look(const drl_sampler_cfg *cfg, size_t step, size_t steps, double t, const drl_real *x,
                            size_t n, drl_err *err);

#endif
