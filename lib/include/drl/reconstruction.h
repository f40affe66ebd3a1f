/* What autoencoders share: the decoder behind a code, and how well it reconstructs. */
#ifndef DRL_RECONSTRUCTION_H
#define DRL_RECONSTRUCTION_H

#include "drl/views.h"

/* drl_method.check of a decoder's width, the setting KEY. */
drl_status drl_reconstruction_check(size_t width, const char *key, drl_err *err);

/* The decoder of the model's images behind code z, with `width` channels at full resolution. */
drl_tensor drl_reconstruction_decode(const drl_model *m, drl_graph *g, drl_tensor z, size_t width);

/* Over at most 2000 images x of the validation part (which the method has trained on), normalised, of S pixel values
 * each: reconstruction_error   mean of 1/2 || y(x) - x ||^2, what `network` gives for an image mean_image_error mean of
 * 1/2 || xbar - x ||^2, xbar their mean: what no code at all would reach */
drl_status drl_reconstruction_measure(drl_model *m, drl_views_network network, drl_measure *out, size_t *n,
                                      drl_err *err);

#endif
