/* Optimisers over a flat parameter block: clipping, Adam or SGD, and the moving average.            [vectors, 10] */
#ifndef DRL_OPTIM_H
#define DRL_OPTIM_H

#include <stdbool.h>
#include <stdint.h>

#include "drl/err.h"
#include "drl/real.h"
#include "drl/threads.h"

typedef enum drl_optim_kind { DRL_ADAM, DRL_SGD_NESTEROV } drl_optim_kind;

typedef struct drl_optim_cfg {
    drl_optim_kind kind;
    double rate;         /* peak learning rate                                                                    */
    uint64_t warmup;     /* rate of the step after n earlier ones: rate * min(n / warmup, 1); 0: no warm-up       */
    double clip;         /* gradients times min(1, clip / (norm + 1e-6)); <= 0: no clipping                       */
    double weight_decay; /* added to the gradient, after clipping: g += weight_decay p                            */
    double ema;          /* decay min(ema, (1 + n)/(10 + n)), n updates including this one; 0: no average         */
} drl_optim_cfg;

/* The published settings: Adam 2e-4 (0.9, 0.999, 1e-8), warm-up 5000, clip 1, no decay, average 0.999. */
drl_optim_cfg drl_optim_published(void);

/* State over n numbers. m, v, ema have the layout of the parameters; v is unused (zero) by SGD. Owned. */
typedef struct drl_optim {
    drl_optim_cfg cfg;
    size_t n;
    drl_real *m, *v, *ema;
    uint64_t step;        /* n of the warm-up: steps made before the next one                                     */
    uint64_t updates;     /* Adam's k of the next step is updates + 1                                             */
    uint64_t ema_updates; /* updates the average has seen                                                         */
} drl_optim;

/* ema starts as a copy of `params`. */
drl_status drl_optim_init(drl_optim *o, const drl_optim_cfg *cfg, const drl_real *params, size_t n, drl_err *err);
void drl_optim_free(drl_optim *o);

/* Learning rate and averaging decay that the next step will use. */
double drl_optim_rate(const drl_optim *o);
double drl_optim_ema_decay(const drl_optim *o);

/* One step: params, m, v, ema are updated from `gradient` (n), whose squared norm is given (drl_graph_collect returns
 * it). Runs in fixed blocks on the team: same bits for any number of threads. */
void drl_optim_step(drl_optim *o, drl_real *params, const drl_real *gradient, double squared_norm, drl_threads *team);

#endif
