/* SimCLR (Chen et al. 2020): two augmented pictures of an image are to have codes alike, and unlike those of the other
 * images of the batch: NT-Xent on a projection of the codes.                                            [science, 6] */
#include "baselines.h"
#include "drl/contrastive.h"

#define SIMCLR_OPTIONS(X)                                                                                              \
    X(REAL, simclr, temperature, "0.5", DRL_RANGE(0.001, 100), "temperature of NT-Xent")                               \
    X(SIZE, simclr, projection, "128", DRL_RANGE(2, 8192), "size of the projection")
DRL_CONFIG_STRUCT(simclr_cfg, SIMCLR_OPTIONS);
static DRL_CONFIG_TABLE(options, simclr_cfg, SIMCLR_OPTIONS);

static const simclr_cfg *settings(const drl_model *m) {
    return drl_method_settings(&m->cfg, m->method);
}

static drl_status build(drl_model *m, drl_err *err) {
    (void)err;
    return drl_simclr_build(m, settings(m)->simclr_projection, settings(m)->simclr_temperature);
}

static drl_tensor project(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    return drl_simclr_project(m, g, x, t, settings(m)->simclr_projection);
}

static drl_status measure(drl_model *m, drl_measure *out, size_t *n, drl_err *err) {
    return drl_simclr_measure(m, project, out, n, err);
}

const drl_method drl_method_simclr = {.name = "simclr",
                                      .title = "SimCLR",
                                      .views = 2,
                                      .options = options,
                                      .own_size = sizeof(simclr_cfg),
                                      .augment = drl_simclr_augment,
                                      .check = drl_simclr_check,
                                      .build = build,
                                      .fill = drl_views_fill,
                                      .encoder = drl_model_code,
                                      .measure = measure};
