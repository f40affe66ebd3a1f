/* VAE (Kingma and Welling 2014): z = mean + exp(logvar / 2) xi,
 *   1/2 || decoder(z) - x ||^2 + beta KL( N(mean, v) || N(0, I) ),  beta = 1; the mean is the code.     [science, 6] */
#include "baselines.h"
#include "drl/reconstruction.h"

#define VAE_OPTIONS(X)                                                                                                 \
    X(REAL, vae, beta, "1", DRL_RANGE(0, 1e6), "weight of the KL divergence")                                          \
    X(SIZE, vae, decoder_width, "16", DRL_RANGE(4, 1024), "channels of the decoder at full resolution")
DRL_CONFIG_STRUCT(vae_cfg, VAE_OPTIONS);
static DRL_CONFIG_TABLE(options, vae_cfg, VAE_OPTIONS);

enum { XI = DRL_MODEL_INPUTS - 1 }; /* in m->in */

static const vae_cfg *settings(const drl_model *m) {
    return drl_method_settings(&m->cfg, m->method);
}

static drl_status check(const drl_model_cfg *cfg, drl_err *err) {
    const vae_cfg *own = drl_method_settings(cfg, drl_method_find("vae"));
    return drl_reconstruction_check(own->vae_decoder_width, "vae.decoder_width", err);
}

static drl_status build(drl_model *m, drl_err *err) {
    (void)err;
    drl_graph *g = m->train;
    drl_views_inputs(m);
    drl_tensor ml = drl_views_variational(m, 0);
    m->in[XI] = drl_graph_input(g, "xi", (drl_shape){1, 1, drl_graph_shape(g, ml).c / 2}, false);
    drl_tensor y =
        drl_reconstruction_decode(m, g, drl_op_reparameterise(g, ml, m->in[XI]), settings(m)->vae_decoder_width);
    drl_model_term(m, drl_op_squared_error(g, y, drl_views_picture(m, 0)), 1);
    drl_model_term(m, drl_op_kl(g, ml), settings(m)->vae_beta);
    return DRL_OK;
}

static void fill(void *model, size_t shard, size_t first, size_t n) {
    const drl_model *m = model;
    size_t d = drl_graph_shape(m->train, m->in[XI]).c;
    drl_views_fill(model, shard, first, n);
    drl_rng_normal(drl_rng_stream(m->seed, DRL_RNG_CODE, 0, (uint32_t)m->optim.step), (uint64_t)first * d,
                   drl_graph_value(m->train, m->in[XI], shard), n * d);
}

/* Of the mean. */
static drl_tensor error(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    drl_tensor y = drl_reconstruction_decode(m, g, drl_model_code_mean(m, g, x, t), settings(m)->vae_decoder_width);
    return drl_op_squared_error(g, y, x);
}

static drl_status measure(drl_model *m, drl_measure *out, size_t *n, drl_err *err) {
    return drl_reconstruction_measure(m, error, out, n, err);
}

const drl_method drl_method_vae = {.name = "vae",
                                   .title = "VAE",
                                   .prior = true,
                                   .options = options,
                                   .own_size = sizeof(vae_cfg),
                                   .check = check,
                                   .build = build,
                                   .fill = fill,
                                   .encoder = drl_model_code_mean,
                                   .measure = measure};
