/* DAE: a denoising autoencoder (Vincent et al. 2008) at one noise level. The encoder sees x + sigma eps, the decoder is
 * to give x: 1/2 || decoder(E(x + sigma eps)) - x ||^2. Codes are taken of clean images. */
#include "baselines.h"
#include "drl/reconstruction.h"

#define DAE_OPTIONS(X)                                                                                                 \
    X(REAL, dae, noise, "0.5", DRL_RANGE(0, 100), "deviation sigma of the noise on normalised images")                 \
    X(SIZE, dae, decoder_width, "16", DRL_RANGE(4, 1024), "channels of the decoder at full resolution")
DRL_CONFIG_STRUCT(dae_cfg, DAE_OPTIONS);
static DRL_CONFIG_TABLE(options, dae_cfg, DAE_OPTIONS);

enum { CLEAN = DRL_MODEL_INPUTS - 1 }; /* in m->in */

static const dae_cfg *settings(const drl_model *m) {
    return drl_method_settings(&m->cfg, m->method);
}

static drl_status check(const drl_model_cfg *cfg, drl_err *err) {
    const dae_cfg *own = drl_method_settings(cfg, drl_method_find("dae"));
    return drl_reconstruction_check(own->dae_decoder_width, "dae.decoder_width", err);
}

static drl_status build(drl_model *m, drl_err *err) {
    (void)err;
    drl_views_inputs(m);
    m->in[CLEAN] = drl_graph_input(m->train, "clean", drl_graph_shape(m->train, drl_views_picture(m, 0)), false);
    drl_tensor y = drl_reconstruction_decode(m, m->train, drl_views_code(m, 0), settings(m)->dae_decoder_width);
    drl_model_term(m, drl_op_squared_error(m->train, y, m->in[CLEAN]), 1);
    return DRL_OK;
}

static void fill(void *model, size_t shard, size_t first, size_t n) {
    const drl_model *m = model;
    drl_shape s = drl_graph_shape(m->train, m->in[CLEAN]);
    size_t size = s.h * s.w * s.c;
    drl_real *restrict x = drl_graph_value(m->train, drl_views_picture(m, 0), shard);
    drl_real *restrict clean = drl_graph_value(m->train, m->in[CLEAN], shard);
    const drl_real sigma = (drl_real)settings(m)->dae_noise;
    drl_views_fill(model, shard, first, n);
    drl_rng_normal(drl_rng_stream(m->seed, DRL_RNG_NOISE, 0, (uint32_t)m->optim.step), (uint64_t)first * size, clean,
                   n * size);
    for (size_t e = 0; e < n * size; e++) {
        const drl_real noisy = x[e] + sigma * clean[e];
        clean[e] = x[e];
        x[e] = noisy;
    }
}

/* Of clean images. */
static drl_tensor error(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    drl_tensor y = drl_reconstruction_decode(m, g, drl_model_code(m, g, x, t), settings(m)->dae_decoder_width);
    return drl_op_squared_error(g, y, x);
}

static drl_status measure(drl_model *m, drl_measure *out, size_t *n, drl_err *err) {
    return drl_reconstruction_measure(m, error, out, n, err);
}

const drl_method drl_method_dae = {.name = "dae",
                                   .title = "DAE",
                                   .options = options,
                                   .own_size = sizeof(dae_cfg),
                                   .check = check,
                                   .build = build,
                                   .fill = fill,
                                   .encoder = drl_model_code,
                                   .measure = measure};
