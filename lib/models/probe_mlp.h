/* The MLP probe's network, loss and optimiser (drl/probe.h), apart from the protocol around them. Internal to
 * lib/models; the tests check the pieces.
 *
 *   h = relu(x W1^T + b1) * keep / (1 - p),   logits = h W2^T + b2,   loss = mean_i cross-entropy(logits_i, y_i)
 *
 * All parameters lie in one block: W1 (hidden, d) | b1 (hidden) | W2 (classes, hidden) | b2 (classes); gradients, Adam
 * moments and the copy of the best weights have the same layout. */
#ifndef DRL_MODELS_PROBE_MLP_H
#define DRL_MODELS_PROBE_MLP_H

#include "drl/probe.h"
#include "drl/rng.h"

typedef struct drl_mlp_net {
    size_t d, hidden, classes;
    size_t b1, w2, b2, params; /* offsets into the block (W1 is at 0) and its size */
} drl_mlp_net;

/* Offsets from the three sizes; ERR_LIMIT where they do not fit 2^31 - 1 parameters. */
drl_status drl_mlp_net_init(drl_mlp_net *net, size_t d, size_t hidden, size_t classes, drl_err *err);

/* Weights and biases uniform in +-1/sqrt(fan_in), a function of (seed) alone. */
void drl_mlp_init(drl_real *params, const drl_mlp_net *net, uint64_t seed);

/* Activations of up to `rows` codes. */
typedef struct drl_mlp_scratch {
    size_t rows;
    drl_real *x;      /* (rows, d) gathered codes                                    */
    drl_real *h, *dh; /* (rows, hidden)                                              */
    drl_real *logits; /* (rows, classes); after the loss: its gradient               */
    int32_t *y;       /* (rows) gathered labels                                      */
    uint32_t *bits;   /* (rows, ceil(hidden / 2)) random words, 16 bits to an element */
    void *block;      /* what all of the above point into                            */
} drl_mlp_scratch;
drl_status drl_mlp_scratch_init(drl_mlp_scratch *s, const drl_mlp_net *net, size_t rows, drl_err *err);
void drl_mlp_scratch_free(drl_mlp_scratch *s);

/* Dropout: an element is zeroed where its 16 random bits are below `below` = round(65536 p), so p is rounded to a
 * multiple of 2^-16 (0.25 is exact); the others are scaled by 1/(1 - below/65536), which keeps the mean exactly. */
typedef struct drl_mlp_dropout {
    uint32_t below; /* 0: none */
    drl_rng stream; /* of this minibatch */
} drl_mlp_dropout;
uint32_t drl_mlp_dropout_below(double p);

/* grad (params) = d loss / d params of codes x (n, d) with labels y (n), overwritten; returns the mean loss. n <= rows.
 * x and y may be the scratch's own. */
double drl_mlp_loss_grad(drl_real *restrict grad, const drl_real *params, const drl_mlp_net *net, const drl_real *x,
                         const int32_t *y, size_t n, drl_mlp_dropout dropout, const drl_mlp_scratch *s);

/* Number of the codes whose largest logit (without dropout) is their label's; in chunks of `rows`. */
size_t drl_mlp_correct(const drl_real *params, const drl_mlp_net *net, const drl_codes *codes,
                       const drl_mlp_scratch *s);

/* Adam (Kingma & Ba 2015; beta 0.9, 0.999, eps 1e-8) with weight decay in the gradient, step = 1, 2, ...:
 *   g' = g + decay p,  m = b1 m + (1 - b1) g',  v = b2 v + (1 - b2) g'^2,
 *   p -= rate/(1 - b1^step) m / (sqrt(v / (1 - b2^step)) + eps). */
void drl_mlp_adam(drl_real *restrict p, drl_real *restrict m, drl_real *restrict v, const drl_real *restrict g,
                  size_t n, double rate, double decay, size_t step);

#endif
