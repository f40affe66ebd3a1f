/* Supervised: the encoder and a linear layer, trained on the labels by cross-entropy. An upper bound for codes learnt
 * without labels. It sees the probes' training part only, so that their validation part stays unseen. */
#include "baselines.h"

enum { LABEL = DRL_MODEL_INPUTS - 1 }; /* in m->in */

static drl_status build(drl_model *m, drl_err *err) {
    (void)err;
    drl_views_inputs(m);
    m->in[LABEL] = drl_graph_input(m->train, "label", (drl_shape){1, 1, 1}, false);
    drl_tensor z = drl_views_code(m, 0);
    drl_init init = drl_init_fan_in(drl_graph_shape(m->train, z).c, 1);
    drl_tensor logits = drl_op_linear(m->train, z, "head", m->data->classes, init, init);
    drl_model_term(m, drl_op_cross_entropy(m->train, logits, m->in[LABEL]), 1);
    return DRL_OK;
}

static void fill(void *model, size_t shard, size_t first, size_t n) {
    const drl_model *m = model;
    drl_views_fill(model, shard, first, n);
    drl_model_labels(m, drl_graph_value(m->train, m->in[LABEL], shard), first, n);
}

const drl_method drl_method_supervised = {.name = "supervised",
                                          .title = "supervised encoder",
                                          .labels = true,
                                          .build = build,
                                          .fill = fill,
                                          .encoder = drl_model_code};
