/* BYOL (Grill et al. 2020): a predictor on the projected code of one picture is to give what a target network makes of
 * the other picture, both ways: 2 - 2 cos. The target is a moving average of encoder and projector,
 *   target <- momentum target + (1 - momentum) online,
 * begins as a copy of them, and gets no gradient. Pictures as SimCLR's. */
#include "baselines.h"
#include "drl/contrastive.h"

#define BYOL_OPTIONS(X)                                                                                                \
    X(REAL, byol, momentum, "0.99", DRL_RANGE(0, 1), "of the target network's average")                                \
    X(SIZE, byol, projection, "128", DRL_RANGE(2, 8192), "size of the projection")                                     \
    X(SIZE, byol, hidden, "256", DRL_RANGE(2, 8192), "hidden units of projector and predictor")
DRL_CONFIG_STRUCT(byol_cfg, BYOL_OPTIONS);
static DRL_CONFIG_TABLE(options, byol_cfg, BYOL_OPTIONS);

#define TARGET "target."

static const byol_cfg *settings(const drl_model *m) {
    return drl_method_settings(&m->cfg, m->method);
}

static drl_tensor head(const drl_model *m, drl_graph *g, drl_tensor z, const char *name) {
    const drl_mlp_head_cfg cfg = {
        .hidden = settings(m)->byol_hidden, .out = settings(m)->byol_projection, .norm = true};
    return drl_mlp_head(g, z, name, &cfg);
}

static drl_status build(drl_model *m, drl_err *err) {
    (void)err;
    drl_graph *g = m->train;
    drl_tensor online[2], target[2];
    drl_views_inputs(m);
    for (size_t v = 0; v < 2; v++) online[v] = head(m, g, head(m, g, drl_views_code(m, v), "projector"), "predictor");
    drl_graph_scope(g, TARGET, true);
    for (size_t v = 0; v < 2; v++) target[v] = head(m, g, drl_views_code(m, v), "projector");
    drl_graph_scope(g, "", false);
    for (size_t v = 0; v < 2; v++) drl_model_term(m, drl_op_cosine_loss(g, online[v], target[1 - v]), 1);
    return DRL_OK;
}

static void begin(drl_model *m) {
    drl_params_follow(&m->params, TARGET, 0);
}

static void after_step(drl_model *m) {
    drl_params_follow(&m->params, TARGET, settings(m)->byol_momentum);
}

static drl_tensor project(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    return head(m, g, drl_model_code(m, g, x, t), "projector");
}

static drl_status measure(drl_model *m, drl_measure *out, size_t *n, drl_err *err) {
    return drl_simclr_measure(m, project, out, n, err);
}

const drl_method drl_method_byol = {.name = "byol",
                                    .title = "BYOL",
                                    .views = 2,
                                    .options = options,
                                    .own_size = sizeof(byol_cfg),
                                    .augment = drl_simclr_augment,
                                    .check = drl_simclr_check,
                                    .build = build,
                                    .fill = drl_views_fill,
                                    .begin = begin,
                                    .after_step = after_step,
                                    .encoder = drl_model_code,
                                    .measure = measure};
