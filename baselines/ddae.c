/* DDAE (Xiang et al. 2023): the features of an unconditional score network. x_t = m(t) x + s(t) eps goes in, and the
 * mean over the pixels of what a residual block gives is the code. The network is that of plain score matching (dsm).
 */
#include <stdio.h>

#include "baselines.h"

#define DDAE_OPTIONS(X)                                                                                                \
    X(SIZE, ddae, layer, "1", DRL_RANGE(0, 64), "block whose features are read: 0 the middle, 1 ... on the way up")
DRL_CONFIG_STRUCT(ddae_cfg, DDAE_OPTIONS);
static DRL_CONFIG_TABLE(options, ddae_cfg, DDAE_OPTIONS);

extern const drl_method drl_method_ddae;

static size_t layer(const drl_model_cfg *cfg) {
    return ((const ddae_cfg *)drl_method_settings(cfg, &drl_method_ddae))->ddae_layer;
}

static drl_status check(const drl_model_cfg *cfg, drl_err *err) {
    size_t last = cfg->model_score_mult.n * (cfg->model_score_blocks + 1);
    if (layer(cfg) <= last) return DRL_OK;
    return drl_fail(err, DRL_ERR_CONFIG, "ddae.layer = %zu: this score network has blocks 0 (the middle) to %zu",
                    layer(cfg), last);
}

static drl_tensor encoder(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    drl_score_cfg sc;
    char name[DRL_PARAM_NAME] = "score.mid.block1";
    size_t k = layer(&m->cfg), blocks = m->cfg.model_score_blocks + 1;
    drl_model_score_cfg(&m->cfg, &m->sde, &sc);
    if (k > 0) snprintf(name, sizeof name, "score.up%zu.block%zu", sc.levels - 1 - (k - 1) / blocks, (k - 1) % blocks);
    drl_score_net(g, x, t, -1, &sc);
    return drl_op_global_mean(g, drl_graph_find(g, name));
}

/* The noise of an image is its own, and the same at all times. */
static void noise(const drl_model *m, drl_split split, const uint32_t *index, size_t n, double t, drl_real *x) {
    const drl_images *im = &m->data->split[split];
    const size_t size = im->h * im->w * im->c;
    drl_sde_marginal k = drl_sde_marginal_at(&m->sde, t);
    enum { PIECE = 256 };
    drl_real eps[PIECE];
    for (size_t i = 0; i < n; i++) {
        drl_rng rng = drl_rng_stream(m->seed, DRL_RNG_ENCODE_NOISE, (uint32_t)split, index[i]);
        for (size_t at = 0; at < size; at += PIECE) {
            size_t count = size - at < PIECE ? size - at : PIECE;
            drl_rng_normal(rng, at, eps, count);
            for (size_t e = 0; e < count; e++) {
                drl_real *v = &x[i * size + at + e];
                *v = (drl_real)k.mean * *v + (drl_real)k.std * eps[e];
            }
        }
    }
}

static bool trajectory(const drl_model_cfg *cfg) {
    (void)cfg;
    return true;
}

const drl_method drl_method_ddae = {.name = "ddae",
                                    .title = "DDAE",
                                    .trained_as = "dsm",
                                    .diffusion = true,
                                    .options = options,
                                    .own_size = sizeof(ddae_cfg),
                                    .check = check,
                                    .encoder = encoder,
                                    .trajectory = trajectory,
                                    .encode_fill = noise};
