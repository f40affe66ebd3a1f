/* VICReg (Bardes, Ponce and LeCun 2022): the expanded codes of two pictures of an image are to be alike, each of their
 * dimensions to vary over the batch, and no two dimensions to vary together. Pictures as SimCLR's. */
#include "baselines.h"
#include "drl/contrastive.h"

#define VICREG_OPTIONS(X)                                                                                              \
    X(REAL, vicreg, invariance, "25", DRL_RANGE(0, 1e6), "weight of the distance of the two pictures' codes")          \
    X(REAL, vicreg, variance, "25", DRL_RANGE(0, 1e6), "weight of the hinge on every dimension's deviation")           \
    X(REAL, vicreg, covariance, "1", DRL_RANGE(0, 1e6), "weight of the squared covariances")                           \
    X(SIZE, vicreg, expansion, "256", DRL_RANGE(2, 8192), "size of the expanded code, and hidden units")
DRL_CONFIG_STRUCT(vicreg_cfg, VICREG_OPTIONS);
static DRL_CONFIG_TABLE(options, vicreg_cfg, VICREG_OPTIONS);

static const vicreg_cfg *settings(const drl_model *m) {
    return drl_method_settings(&m->cfg, m->method);
}

static drl_tensor expand(const drl_model *m, drl_graph *g, drl_tensor z) {
    const size_t size = settings(m)->vicreg_expansion;
    const drl_mlp_head_cfg cfg = {.hidden = size, .out = size, .norm = true};
    return drl_mlp_head(g, z, "expander", &cfg);
}

static drl_status build(drl_model *m, drl_err *err) {
    (void)err;
    const vicreg_cfg *own = settings(m);
    drl_tensor e[2];
    drl_views_inputs(m);
    for (size_t v = 0; v < 2; v++) e[v] = expand(m, m->train, drl_views_code(m, v));
    drl_model_term(
        m, drl_op_vicreg(m->train, e[0], e[1], own->vicreg_invariance, own->vicreg_variance, own->vicreg_covariance),
        1);
    return DRL_OK;
}

static drl_tensor expanded(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    return expand(m, g, drl_model_code(m, g, x, t));
}

static drl_status measure(drl_model *m, drl_measure *out, size_t *n, drl_err *err) {
    return drl_simclr_measure(m, expanded, out, n, err);
}

const drl_method drl_method_vicreg = {.name = "vicreg",
                                      .title = "VICReg",
                                      .views = 2,
                                      .options = options,
                                      .own_size = sizeof(vicreg_cfg),
                                      .check = drl_simclr_check,
                                      .augment = drl_simclr_augment,
                                      .build = build,
                                      .fill = drl_views_fill,
                                      .encoder = drl_model_code,
                                      .measure = measure};
