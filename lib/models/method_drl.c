/* DRL: denoising score matching with a code of the clean image as third input.                        [science, 3]
 *
 *   x_t = m(t) x_0 + s(t) eps,  z = E(x_0, t),  score = factor(t) raw(x_t, t, z)
 *   loss = mean over the batch of  1/2 || s(t) score + eps ||^2 + gamma |z|_1
 * t is drawn from the configured density, which is the same as weighting the times by it. */
#include "drl/model.h"

enum { X0, T, T_CODE, X_T, NOISE, STD, FACTOR, WEIGHT };

static drl_status build(drl_model *m, drl_err *err) {
    (void)err; /* graphs keep their own first error; planning reports it */
    drl_graph *g = m->train;
    const drl_images *im = &m->data->split[DRL_SPLIT_TRAIN];
    const drl_shape image = {im->h, im->w, im->c}, scalar = {1, 1, 1};
    static const char *const names[] = {"x0", "t", "t_code", "x_t", "noise", "std", "factor", "weight"};
    for (int i = X0; i <= WEIGHT; i++) {
        bool is_image = i == X0 || i == X_T || i == NOISE;
        m->in[i] = drl_graph_input(g, names[i], is_image ? image : scalar, false);
    }
    drl_encoder_cfg ec;
    drl_score_cfg sc;
    drl_model_encoder_cfg(&m->cfg, &ec);
    drl_model_score_cfg(&m->cfg, &m->sde, &sc);
    drl_tensor z = drl_encoder(g, m->in[X0], m->in[T_CODE], &ec);
    drl_tensor raw = drl_score_net(g, m->in[X_T], m->in[T], z, &sc);
    drl_tensor score = drl_op_scale_images(g, raw, m->in[FACTOR]);
    m->loss[0] = drl_op_dsm_loss(g, score, m->in[NOISE], m->in[STD], m->in[WEIGHT]);
    m->loss[1] = drl_op_l1(g, z);
    drl_graph_root(g, m->loss[0], 1);
    drl_graph_root(g, m->loss[1], m->cfg.diffusion_gamma);
    return DRL_OK;
}

static void fill(void *model, size_t shard, size_t first, size_t n) {
    const drl_model *m = model;
    const drl_images *im = &m->data->split[DRL_SPLIT_TRAIN];
    size_t size = im->h * im->w * im->c;
    uint32_t step = (uint32_t)m->optim.step;
    drl_real *in[WEIGHT + 1];
    for (int i = X0; i <= WEIGHT; i++) in[i] = drl_graph_value(m->train, m->in[i], shard);

    drl_model_images(m, in[X0], first, n);
    drl_rng_normal(drl_rng_stream(m->seed, DRL_RNG_NOISE, 0, step), (uint64_t)first * size, in[NOISE], n * size);
    drl_rng times = drl_rng_stream(m->seed, DRL_RNG_TIME, 0, step);
    for (size_t i = 0; i < n; i++) {
        /* t is rounded first, so that network and process mean the same t. */
        drl_real t = (drl_real)drl_t_quantile(&m->density, m->sde.t_min, drl_rng_uniform_at(times, first + i));
        drl_sde_marginal k = drl_sde_marginal_at(&m->sde, (double)t);
        in[T][i] = t;
        in[T_CODE][i] = m->cfg.model_code == DRL_CODE_TIME ? t : 0;
        in[STD][i] = (drl_real)k.std;
        in[FACTOR][i] = (drl_real)drl_sde_score_factor(&m->sde, (double)t);
        in[WEIGHT][i] = 1;
        const drl_real mean = (drl_real)k.mean, std = (drl_real)k.std;
        const drl_real *restrict x0 = in[X0] + i * size, *restrict noise = in[NOISE] + i * size;
        drl_real *restrict xt = in[X_T] + i * size;
        for (size_t e = 0; e < size; e++) xt[e] = mean * x0[e] + std * noise[e];
    }
}

static drl_tensor encoder(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    drl_encoder_cfg cfg;
    drl_model_encoder_cfg(&m->cfg, &cfg);
    return drl_encoder(g, x, t, &cfg);
}

const drl_method drl_method_drl = {.name = "drl", .title = "DRL", .build = build, .fill = fill, .encoder = encoder};
