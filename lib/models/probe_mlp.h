/* The MLP probe's network, loss and optimiser (drl/probe.h), apart from the protocol around them. Internal to
 * lib/models; the tests check the pieces.
 *
 *   h = relu(x W1^T + b1) * keep / (1 - p),   logits = h W2^T + b2,   loss = mean_i cross-entropy(logits_i, y_i)
 *
 * All parameters lie in one block, as the kernels want them (models/probe_kernels.h): one panel after the other, each
 * with its hidden units' rows of W1^T | b1 | W2, then b2. Gradients, Adam moments and the copy of the best weights have
 * the same layout. What only pads is zero in all of them and stays so. */
#ifndef DRL_MODELS_PROBE_MLP_H
#define DRL_MODELS_PROBE_MLP_H

#include "drl/probe.h"
#include "drl/rng.h"

typedef struct drl_mlp_net {
    size_t d, hidden, classes;
    size_t depth, outputs; /* d and classes, padded                                     */
    size_t panels, panel;  /* how many, elements of each                                */
    size_t b2, params;     /* offset of b2 and size of the block, padding included      */
} drl_mlp_net;

/* ERR_LIMIT where they do not fit 2^31 - 1 parameters. */
drl_status drl_mlp_net_init(drl_mlp_net *net, size_t d, size_t hidden, size_t classes, drl_err *err);

/* Offsets into the block of W1 (hidden, d), b1 (hidden), W2 (classes, hidden), b2 (classes). */
size_t drl_mlp_w1(const drl_mlp_net *net, size_t j, size_t k);
size_t drl_mlp_b1(const drl_mlp_net *net, size_t j);
size_t drl_mlp_w2(const drl_mlp_net *net, size_t c, size_t j);
size_t drl_mlp_b2(const drl_mlp_net *net, size_t c);

/* Weights and biases uniform in +-1/sqrt(fan_in), a function of (seed) alone. */
void drl_mlp_init(drl_real *params, const drl_mlp_net *net, uint64_t seed);

/* Dropout: an element is zeroed where its 16 random bits are below `below` = round(65536 p), so p is rounded to a
 * multiple of 2^-16 (0.25 is exact); the others are scaled by 1/(1 - below/65536), which keeps the mean exactly. */
typedef struct drl_mlp_dropout {
    uint32_t below; /* 0: none */
    drl_rng stream; /* of this minibatch */
} drl_mlp_dropout;
uint32_t drl_mlp_dropout_below(double p);

/* A minibatch ready for use: n codes, packed and padded to `rows`, and what dropout keeps. */
typedef struct drl_mlp_batch {
    size_t n, rows;
    drl_real *x;    /* (depth / P, rows, P)                        */
    int32_t *y;     /* (n)                                         */
    uint32_t *keep; /* (panels, rows) one bit to an element        */
    drl_real scale; /* of the elements kept; 1 without dropout     */
    bool dropout;   /* false: keep is not used                     */
} drl_mlp_batch;

/* Room for a few minibatches of at most `rows` codes, so that several fits can use what was gathered and drawn once. */
enum { DRL_MLP_FEED = 16 };
typedef struct drl_mlp_feed {
    size_t capacity, rows;
    drl_mlp_batch batch[DRL_MLP_FEED]; /* capacity of them */
    uint32_t *words;                   /* (ceil(hidden / 2)) random words of a row */
    void *block;
} drl_mlp_feed;
drl_status drl_mlp_feed_init(drl_mlp_feed *feed, const drl_mlp_net *net, size_t rows, drl_err *err);
void drl_mlp_feed_free(drl_mlp_feed *feed);

/* Codes evaluated at once, at least: rows of the feed where no minibatch is larger. */
#define DRL_MLP_EVALUATION_ROWS 256

/* Minibatch b of the feed = codes index[0 .. n) (NULL: 0 .. n - 1 from `first` on) with this dropout; n <= rows. */
void drl_mlp_feed_fill(drl_mlp_feed *feed, size_t b, const drl_mlp_net *net, const drl_codes *codes,
                       const uint32_t *index, size_t first, size_t n, drl_mlp_dropout dropout);

/* Activations of up to `rows` codes and the gradient of one panel. */
typedef struct drl_mlp_scratch {
    size_t rows, h_step;
    drl_real *h;         /* (panels, h_step)                                     */
    drl_real *dh, *g;    /* one panel's (rows, J), and its gradient              */
    drl_real *l, *dl;    /* (outputs, rows) logits, (rows, outputs) their gradient */
    drl_real *top, *sum; /* (rows) largest logit, sum of exponentials            */
    drl_real *db2;       /* (outputs)                                            */
    void *block;         /* what all of the above point into                     */
} drl_mlp_scratch;
drl_status drl_mlp_scratch_init(drl_mlp_scratch *s, const drl_mlp_net *net, size_t rows, drl_err *err);
void drl_mlp_scratch_free(drl_mlp_scratch *s);

/* grad (params) = d loss / d params of a minibatch, overwritten; returns the mean loss. */
double drl_mlp_loss_grad(drl_real *restrict grad, const drl_real *params, const drl_mlp_net *net,
                         const drl_mlp_batch *batch, const drl_mlp_scratch *s);

/* Number of the codes whose largest logit is their label's, the first of equals. */
size_t drl_mlp_correct(const drl_real *params, const drl_mlp_net *net, const drl_mlp_batch *batch,
                       const drl_mlp_scratch *s);

/* correct[r] = codes that params[r] classify right, for r < count; 0 where params[r] is NULL. */
void drl_mlp_count_correct(size_t *correct, drl_real *const *params, size_t count, const drl_mlp_net *net,
                           const drl_codes *codes, drl_mlp_feed *feed, const drl_mlp_scratch *s);

/* *fit = a classifier with these weights (net->params of them, from drl_alloc), which it owns from then on. */
drl_status drl_mlp_classifier(drl_classifier **fit, const drl_mlp_net *net, drl_real *weights, drl_err *err);

/* Adam (Kingma & Ba 2015; beta 0.9, 0.999, eps 1e-8) with weight decay in the gradient, step = 1, 2, ...:
 *   g' = g + decay p,  m = b1 m + (1 - b1) g',  v = b2 v + (1 - b2) g'^2,
 *   p -= rate/(1 - b1^step) m / (sqrt(v / (1 - b2^step)) + eps).
 * The bias corrections are the same for all elements and formed once a step. */
typedef struct drl_mlp_adam_step {
    drl_real rate;  /* rate / (1 - b1^step)     */
    drl_real root;  /* 1 / sqrt(1 - b2^step)    */
    drl_real decay; /* weight decay             */
} drl_mlp_adam_step;
drl_mlp_adam_step drl_mlp_adam_at(double rate, double decay, size_t step);
void drl_mlp_adam(drl_real *restrict p, drl_real *restrict m, drl_real *restrict v, const drl_real *restrict g,
                  size_t n, drl_mlp_adam_step at);

/* Parameters and moments of a fit. */
typedef struct drl_mlp_state {
    drl_real *p, *m, *v; /* (params) each */
} drl_mlp_state;

/* Trains on `count` minibatches one after the other, which are steps first, first + 1, ...: for each what
 * drl_mlp_loss_grad and drl_mlp_adam do, but with one pass over parameters and moments a step. Returns
 * the loss summed over codes. */
double drl_mlp_train(const drl_mlp_state *state, const drl_mlp_net *net, const drl_mlp_batch *batches, size_t count,
                     double rate, double decay, size_t first, const drl_mlp_scratch *s);

#endif
