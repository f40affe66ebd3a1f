/* What methods share that compare two pictures of each image: SimCLR's pictures, its objective, and two numbers that
 * tell how its codes lie on the sphere. */
#ifndef DRL_CONTRASTIVE_H
#define DRL_CONTRASTIVE_H

#include "drl/views.h"

/* drl_method.augment, where the configuration switches nothing on: random resized crop of 8 to 100 % of the area, flip,
 * colour jitter (0.8, 0.8, 0.8, 0.2) with probability 0.8, grey with 0.2, Gaussian blur with 0.5 (Chen et al. 2020;
 * science.md, 6). */
void drl_simclr_augment(drl_augment_cfg *augment, const drl_model_cfg *cfg);

/* drl_method.check: ERR_CONFIG for a batch of one image, which has nothing to compare. */
drl_status drl_simclr_check(const drl_model_cfg *cfg, drl_err *err);

/* drl_method.build of a method with two views: NT-Xent of temperature T on h(z), h the head "head" of two linear
 * layers, d -> d -> projection. */
drl_status drl_simclr_build(drl_model *m, size_t projection, double temperature);

/* h(E(x, t)) in an evaluation graph: x (n, h, w, c), t (n, 1, 1, 1) -> (n, 1, 1, projection). */
drl_tensor drl_simclr_project(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t, size_t projection);

/* Wang and Isola (2020), for unit vectors f of two pictures x, x' of the same image, and of different images x_i, x_j:
 *   alignment   E |f(x) - f(x')|^2               from 0, all pictures of an image alike
 *   uniformity  log E exp(-2 |f(x_i) - f(x_j)|^2)     from 0, all codes the same, down to about -4: spread evenly
 *   contrast    E |f(x) - f(x')|^2 / E |f(x_i) - f(x_j)|^2:  below 1 where pictures of an image are closer than others.
 * A network before training maps all pictures to nearly one point: alignment is small then, and says something only
 * beside the others. `network` gives f before its length is divided by. At most 2000 images of the validation part,
 * which the method has trained on. */
drl_status drl_simclr_measure(drl_model *m, drl_views_network network, drl_measure *out, size_t *n, drl_err *err);

#endif
