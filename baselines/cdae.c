/* CDAE: a conditional denoising autoencoder: DRL at one noise level. The network is given the code of the clean image
 * and denoises x_t at the one time t. What score matching over all levels makes of it is DRL. */
#include "baselines.h"
#include "drl/score_matching.h"

#define CDAE_OPTIONS(X) X(REAL, cdae, t, "0.5", DRL_RANGE(0.00001, 1), "the time that is denoised at")
DRL_CONFIG_STRUCT(cdae_cfg, CDAE_OPTIONS);
static DRL_CONFIG_TABLE(options, cdae_cfg, CDAE_OPTIONS);

static drl_status build(drl_model *m, drl_err *err) {
    return drl_score_matching_build(m, DRL_ENCODER_PLAIN, err);
}

static void fill(void *model, size_t shard, size_t first, size_t n) {
    drl_model *m = model;
    const cdae_cfg *own = drl_method_settings(&m->cfg, m->method);
    drl_score_matching_fill(m, shard, first, n, own->cdae_t);
}

const drl_method drl_method_cdae = {.name = "cdae",
                                    .title = "CDAE",
                                    .diffusion = true,
                                    .one_level = true,
                                    .options = options,
                                    .own_size = sizeof(cdae_cfg),
                                    .build = build,
                                    .fill = fill,
                                    .encoder = drl_model_code};
