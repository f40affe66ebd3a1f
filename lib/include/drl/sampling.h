/* Sampling with trained models: the score of a model's network as a drl_score, and likelihoods of images.
 *                                                                                                [science, 2, 3, 7]
 *   score(x, t) = factor(t) raw(x, t, z)                        factor 1/s(t) of VE and -1/s(t) otherwise (drl/sde.h)
 *
 * z is what state i is conditioned on: given, or the code of image i of the data, which is E(x_0, t) at every time t of
 * the sampling where the model's codes depend on t, as it was in training. Of VDRL it is the mean. No dropout.
 *
 *     drl_score_model_open(&s, model, &(drl_score_model_cfg){0}, err);
 *     drl_score_model_images(s, DRL_SPLIT_TEST, index, n, err);
 *     drl_score score = drl_score_model_score(s);
 *     drl_sample(x, n, &model->sde, &score, &cfg, NULL, err);
 *     drl_batch_pixels(pixels, model->data, x, n);                                                     (drl/data.h) */
#ifndef DRL_SAMPLING_H
#define DRL_SAMPLING_H

#include "drl/model.h"
#include "drl/sampler.h"

typedef enum drl_weights {
    DRL_WEIGHTS_EMA, /* the moving average of score network and encoder [published]; running statistics of batch norms
                        are those of training */
    DRL_WEIGHTS_RAW, /* as the last step left them */
} drl_weights;

#define DRL_SCORE_BATCH 64
typedef struct drl_score_model_cfg {
    drl_weights weights;
    size_t batch; /* most states the network takes at a time; more are cut; 0: DRL_SCORE_BATCH */
    bool pull;    /* the score has a derivative, for likelihoods: takes gradients' memory     */
} drl_score_model_cfg;

typedef struct drl_score_model drl_score_model;

/* Copies the weights of m, which is lent and may be trained on. ERR_CONFIG for a method without a score network, or
 * with one of a single noise level, and for the average of a model that was trained without. */
drl_status drl_score_model_open(drl_score_model **s, const drl_model *m, const drl_score_model_cfg *cfg, drl_err *err);
void drl_score_model_close(drl_score_model *s);

/* Numbers of a code; 0: the network takes none, and the two calls below are not needed (ERR_CONFIG). */
size_t drl_score_model_code_size(const drl_score_model *s);

/* Conditions states 0 .. n - 1 on codes z (n, d), copied, the same at all times. */
drl_status drl_score_model_codes(drl_score_model *s, const drl_real *z, size_t n, drl_err *err);
/* Conditions them on the codes of images index[0 .. n) of a split. */
drl_status drl_score_model_images(drl_score_model *s, drl_split split, const uint32_t *index, size_t n, drl_err *err);

/* The score, valid until s is closed. It is asked for as many states as it is conditioned on (ERR_SHAPE). */
drl_score drl_score_model_score(drl_score_model *s);

/* bits (n) = -log2 p(x)/d + mean over the channels of log2(256 std[c]), bits a dimension of images index[0 .. n) of a
 * split with d numbers, uniformly dequantised: x is (byte + u)/256, u in [0, 1), normalised as the data are. Where the
 * network takes codes, each image is conditioned on its own: these are not bits of a code that could do without it. In
 * batches of s; settings and errors as of drl_log_likelihood. s needs `pull`, and is conditioned anew. */
drl_status drl_bits_per_dim(double *bits, drl_score_model *s, drl_split split, const uint32_t *index, size_t n,
                            size_t probes, const drl_sampler_cfg *cfg, size_t *evaluations, drl_err *err);

#endif
