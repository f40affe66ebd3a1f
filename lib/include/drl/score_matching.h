/* What the methods that match scores have in common: DRL, VDRL, plain denoising score matching, and others.
 *
 *   x_t = m(t) x_0 + s(t) eps,   score = factor(t) raw(x_t, t, z)
 *   loss = mean over the batch of  w/2 || s(t) score + eps ||^2  (w = 1)  +  gamma penalty(z)        [science, 3]
 * t is drawn from the configured density, which is the same as weighting the times by it.
 *
 * With mixup the encoder sees lambda x_0 + (1 - lambda) x_0', x_0' another image of the batch and lambda uniform (that
 * is Beta(1, 1)), and w = 2 lambda. */
#ifndef DRL_SCORE_MATCHING_H
#define DRL_SCORE_MATCHING_H

#include "drl/model.h"

typedef enum drl_encoder_kind { DRL_ENCODER_NONE, DRL_ENCODER_PLAIN, DRL_ENCODER_VARIATIONAL } drl_encoder_kind;

/* For drl_method.build, and .fill of its inputs. at: the one time of all images, which the encoder, then static, does
 * not see; negative: times are drawn. */
drl_status drl_score_matching_build(drl_model *m, drl_encoder_kind kind, drl_err *err);
void drl_score_matching_fill(drl_model *m, size_t shard, size_t first, size_t n, double at);

/* drl_method.trajectory of a code that is not static. */
bool drl_code_has_time(const drl_model_cfg *cfg);

#endif
