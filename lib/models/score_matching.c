/* Score matching with and without a code (drl/score_matching.h), and the methods DRL, VDRL and DSM. */
#include "drl/score_matching.h"

/* The inputs of the training graph, in m->in. Not every method has all: -1 where there is none. */
enum { X0, T, T_CODE, X_T, NOISE, STD, FACTOR, WEIGHT, XI, PARTNER, INPUTS };

static void add_inputs(drl_model *m, drl_encoder_kind kind) {
    static const char *const names[INPUTS] = {"x0",  "t",      "t_code", "x_t", "noise",
                                              "std", "factor", "weight", "xi",  "partner"};
    const drl_images *im = &m->data->split[DRL_SPLIT_TRAIN];
    const drl_shape image = {im->h, im->w, im->c}, scalar = {1, 1, 1};
    for (int i = 0; i < INPUTS; i++) {
        bool is_image = i == X0 || i == X_T || i == NOISE || i == PARTNER;
        bool used = i == X0 || i == T_CODE ? kind != DRL_ENCODER_NONE
                    : i == XI              ? false /* once the size of the code is known */
                    : i == PARTNER         ? kind != DRL_ENCODER_NONE && m->cfg.diffusion_mixup
                                           : true;
        m->in[i] = used ? drl_graph_input(m->train, names[i], is_image ? image : scalar, false) : -1;
    }
}

drl_status drl_score_matching_build(drl_model *m, drl_encoder_kind kind, drl_err *err) {
    (void)err; /* graphs keep their own first error; planning reports it */
    drl_graph *g = m->train;
    drl_score_cfg sc;
    drl_model_score_cfg(&m->cfg, &m->sde, &sc);
    add_inputs(m, kind);
    drl_tensor z = -1, penalty = -1;
    if (kind == DRL_ENCODER_PLAIN) {
        z = drl_model_code(m, g, m->in[X0], m->in[T_CODE]);
        penalty = drl_op_l1(g, z);
    } else if (kind == DRL_ENCODER_VARIATIONAL) {
        drl_tensor ml = drl_model_variational(m, g, m->in[X0], m->in[T_CODE]); /* [mean | log variance] */
        m->in[XI] = drl_graph_input(g, "xi", (drl_shape){1, 1, drl_graph_shape(g, ml).c / 2}, false);
        z = drl_op_reparameterise(g, ml, m->in[XI]);
        penalty = drl_op_kl(g, ml);
    }
    drl_tensor raw = drl_score_net(g, m->in[X_T], m->in[T], z, &sc);
    drl_tensor score = drl_op_scale_images(g, raw, m->in[FACTOR]);
    drl_model_term(m, drl_op_dsm_loss(g, score, m->in[NOISE], m->in[STD], m->in[WEIGHT]), 1);
    if (kind != DRL_ENCODER_NONE) drl_model_term(m, penalty, m->cfg.diffusion_gamma);
    return DRL_OK;
}

/* x0 (n, size) becomes what the encoder sees, weight (n) what the loss is multiplied by. The partner (n, size) of an
 * image stands so many places further in the batch, the last ones' at its beginning; how many is drawn each step. */
static void mix(const drl_model *m, drl_real *x0, drl_real *weight, drl_real *partner, size_t size, size_t first,
                size_t n) {
    const size_t batch = m->cfg.train_batch;
    drl_rng rng = drl_rng_stream(m->seed, DRL_RNG_MIXUP, 0, (uint32_t)m->optim.step);
    size_t by = batch > 1 ? 1 + (size_t)(drl_rng_uniform_at(rng, batch) * (double)(batch - 1)) : 0;
    for (size_t i = 0; i < n; i++) {
        const drl_real lambda = (drl_real)drl_rng_uniform_at(rng, first + i);
        drl_real *restrict x = x0 + i * size, *restrict other = partner + i * size;
        drl_model_images(m, other, 0, (first + i + by) % batch, 1);
        for (size_t e = 0; e < size; e++) x[e] = lambda * x[e] + (1 - lambda) * other[e];
        weight[i] = 2 * lambda;
    }
}

void drl_score_matching_fill(drl_model *m, size_t shard, size_t first, size_t n, double at) {
    const drl_images *im = &m->data->split[DRL_SPLIT_TRAIN];
    const size_t size = im->h * im->w * im->c;
    const uint32_t step = (uint32_t)m->optim.step;
    drl_real *in[INPUTS];
    for (int i = 0; i < INPUTS; i++) in[i] = m->in[i] < 0 ? NULL : drl_graph_value(m->train, m->in[i], shard);

    drl_real *clean = in[X0] ? in[X0] : in[X_T];
    drl_model_images(m, clean, 0, first, n);
    drl_rng_normal(drl_rng_stream(m->seed, DRL_RNG_NOISE, 0, step), (uint64_t)first * size, in[NOISE], n * size);
    drl_rng times = drl_rng_stream(m->seed, DRL_RNG_TIME, 0, step);
    for (size_t i = 0; i < n; i++) {
        /* t is rounded first, so that network and process mean the same t. */
        double drawn = at >= 0 ? at : drl_t_quantile(&m->density, m->sde.t_min, drl_rng_uniform_at(times, first + i));
        drl_real t = (drl_real)drawn;
        drl_sde_marginal k = drl_sde_marginal_at(&m->sde, (double)t);
        in[T][i] = t;
        if (in[T_CODE]) in[T_CODE][i] = at < 0 && drl_code_has_time(&m->cfg) ? t : 0;
        in[STD][i] = (drl_real)k.std;
        in[FACTOR][i] = (drl_real)drl_sde_score_factor(&m->sde, (double)t);
        in[WEIGHT][i] = 1;
        const drl_real mean = (drl_real)k.mean, std = (drl_real)k.std;
        const drl_real *x0 = clean + i * size, *restrict noise = in[NOISE] + i * size;
        drl_real *xt = in[X_T] + i * size;
        for (size_t e = 0; e < size; e++) xt[e] = mean * x0[e] + std * noise[e];
    }
    if (in[XI]) {
        size_t d = drl_graph_shape(m->train, m->in[XI]).c;
        drl_rng_normal(drl_rng_stream(m->seed, DRL_RNG_CODE, 0, step), (uint64_t)first * d, in[XI], n * d);
    }
    if (in[PARTNER]) mix(m, in[X0], in[WEIGHT], in[PARTNER], size, first, n);
}

bool drl_code_has_time(const drl_model_cfg *cfg) {
    return cfg->model_code == DRL_CODE_TIME;
}

/* ---- The methods ------------------------------------------------------------------------------------------------- */

static drl_status build_drl(drl_model *m, drl_err *err) {
    return drl_score_matching_build(m, DRL_ENCODER_PLAIN, err);
}

static drl_status build_vdrl(drl_model *m, drl_err *err) {
    return drl_score_matching_build(m, DRL_ENCODER_VARIATIONAL, err);
}

static drl_status build_dsm(drl_model *m, drl_err *err) {
    return drl_score_matching_build(m, DRL_ENCODER_NONE, err);
}

static void fill(void *model, size_t shard, size_t first, size_t n) {
    drl_score_matching_fill(model, shard, first, n, -1);
}

/* Penalty |z|_1. */
const drl_method drl_method_drl = {.name = "drl",
                                   .title = "DRL",
                                   .diffusion = true,
                                   .build = build_drl,
                                   .fill = fill,
                                   .encoder = drl_model_code,
                                   .trajectory = drl_code_has_time};

/* z = mean + exp(logvar / 2) xi, penalty KL( N(mean, v) || N(0, I) ); the mean is the code. */
const drl_method drl_method_vdrl = {.name = "vdrl",
                                    .title = "VDRL",
                                    .diffusion = true,
                                    .prior = true,
                                    .build = build_vdrl,
                                    .fill = fill,
                                    .encoder = drl_model_code_mean,
                                    .trajectory = drl_code_has_time};

/* No code: the score network alone, for the floor that a code lowers. */
const drl_method drl_method_dsm = {
    .name = "dsm", .title = "DSM, no code", .diffusion = true, .build = build_dsm, .fill = fill};
