/* SimCLR-Gauss: SimCLR whose two pictures of an image differ by Gaussian noise alone, as the views of a diffusion
 * process do: contrastive learning without knowledge of images.                                        [science, 6] */
#include "baselines.h"
#include "drl/contrastive.h"

#define GAUSS_OPTIONS(X)                                                                                               \
    X(REAL, simclr_gauss, noise, "0.5", DRL_RANGE(0, 100), "deviation of the noise on normalised images")              \
    X(REAL, simclr_gauss, temperature, "0.5", DRL_RANGE(0.001, 100), "temperature of NT-Xent")                         \
    X(SIZE, simclr_gauss, projection, "128", DRL_RANGE(2, 8192), "size of the projection")
DRL_CONFIG_STRUCT(gauss_cfg, GAUSS_OPTIONS);
static DRL_CONFIG_TABLE(options, gauss_cfg, GAUSS_OPTIONS);

static const gauss_cfg *settings(const drl_model *m) {
    return drl_method_settings(&m->cfg, m->method);
}

/* Whatever else is configured, the noise is what makes the pictures of an image differ. */
static void augment(drl_augment_cfg *to, const drl_model_cfg *cfg) {
    const gauss_cfg *own = drl_method_settings(cfg, drl_method_find("simclr-gauss"));
    to->augment_noise = own->simclr_gauss_noise;
}

static drl_status build(drl_model *m, drl_err *err) {
    (void)err;
    return drl_simclr_build(m, settings(m)->simclr_gauss_projection, settings(m)->simclr_gauss_temperature);
}

static drl_tensor project(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    return drl_simclr_project(m, g, x, t, settings(m)->simclr_gauss_projection);
}

static drl_status measure(drl_model *m, drl_measure *out, size_t *n, drl_err *err) {
    return drl_simclr_measure(m, project, out, n, err);
}

const drl_method drl_method_simclr_gauss = {.name = "simclr-gauss",
                                            .title = "SimCLR-Gauss",
                                            .views = 2,
                                            .options = options,
                                            .own_size = sizeof(gauss_cfg),
                                            .augment = augment,
                                            .check = drl_simclr_check,
                                            .build = build,
                                            .fill = drl_views_fill,
                                            .encoder = drl_model_code,
                                            .measure = measure};
