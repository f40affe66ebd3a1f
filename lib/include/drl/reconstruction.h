/* What autoencoders share: the decoder behind a code, and how well it reconstructs. */
#ifndef DRL_RECONSTRUCTION_H
#define DRL_RECONSTRUCTION_H

#include "drl/views.h"

/* For drl_method.check: ERR_CONFIG for a decoder's width that is no multiple of 4; `key` is the setting's name. */
drl_status drl_reconstruction_check(size_t width, const char *key, drl_err *err);

/* The decoder (drl/nets.h) of the model's images behind a code: z (n, 1, 1, d) -> (n, h, w, c), with `width` channels
 * at full resolution. */
drl_tensor drl_reconstruction_decode(const drl_model *m, drl_graph *g, drl_tensor z, size_t width);

/* drl_method.measure, over at most 2000 normalised images x of the validation part, which the method has trained on:
 *   reconstruction_error   mean of 1/2 |y(x) - x|^2, which `network` gives for an image
 *   mean_image_error       mean of 1/2 |xbar - x|^2, xbar their mean: what no code at all would reach */
drl_status drl_reconstruction_measure(drl_model *m, drl_views_network network, drl_measure *out, size_t *n,
                                      drl_err *err);

#endif
