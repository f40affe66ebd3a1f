/* What methods have in common whose code does not depend on t: the encoder at t = 0, seeing one or more pictures of
 * each image. A file of baselines/ is mostly its objective, built on these. */
#ifndef DRL_VIEWS_H
#define DRL_VIEWS_H

#include "drl/model.h"

/* Appends the inputs of m->train: the time, and m->method->views pictures (at least one). For drl_method.build. */
void drl_views_inputs(drl_model *m);
/* The picture `view` of the images of the batch (n, h, w, c), its code by the encoder at t = 0 (n, 1, 1, d), and
 * [mean | log variance] by the variational encoder (n, 1, 1, 2 d). */
drl_tensor drl_views_picture(const drl_model *m, size_t view);
drl_tensor drl_views_code(const drl_model *m, size_t view);
drl_tensor drl_views_variational(const drl_model *m, size_t view);

/* drl_method.fill of these inputs. */
void drl_views_fill(void *model, size_t shard, size_t first, size_t n);

/* Evaluates a network on images of the training split's validation part, at most `limit` of them, *n in number:
 * out (views, *n, d), to be freed by the caller. `network` appends it to an evaluation graph, from the picture x and
 * the time t (which is 0), and returns what is to be read, d numbers an image. Pictures are augmented as given (NULL:
 * not), always by the same draws. For drl_method.measure. ERR_MEMORY; ERR_CONFIG or ERR_SHAPE where the network
 * refuses. */
typedef drl_tensor (*drl_views_network)(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t);
drl_status drl_views_evaluate(drl_real **out, size_t *n, size_t *d, drl_model *m, drl_views_network network,
                              const drl_augment_cfg *augment, size_t views, size_t limit, drl_err *err);

#endif
