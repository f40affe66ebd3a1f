/* The networks a configuration asks for (drl/model.h). */
#include "drl/model.h"

void drl_model_encoder_cfg(const drl_model_cfg *cfg, drl_encoder_cfg *out) {
    *out = (drl_encoder_cfg){.depth = cfg->model_encoder_depth, .width = cfg->model_encoder_width};
}

void drl_model_score_cfg(const drl_model_cfg *cfg, const drl_sde *sde, drl_score_cfg *out) {
    *out = (drl_score_cfg){.nf = cfg->model_score_channels,
                           .levels = cfg->model_score_mult.n,
                           .blocks = cfg->model_score_blocks,
                           .dropout = cfg->model_dropout,
                           .time_map = drl_sde_time_map(sde)};
    for (size_t L = 0; L < out->levels && L < DRL_MAX_LEVELS; L++) out->mult[L] = (size_t)cfg->model_score_mult.v[L];
    if (out->levels <= DRL_MAX_LEVELS) drl_score_attention_at(out, cfg->data_size, cfg->model_score_attention);
}

drl_tensor drl_model_code(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    drl_encoder_cfg cfg;
    drl_model_encoder_cfg(&m->cfg, &cfg);
    return drl_encoder(g, x, t, &cfg);
}

drl_tensor drl_model_variational(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    drl_encoder_cfg cfg;
    drl_model_encoder_cfg(&m->cfg, &cfg);
    cfg.variational = true;
    return drl_encoder(g, x, t, &cfg);
}

drl_tensor drl_model_code_mean(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    drl_tensor ml = drl_model_variational(m, g, x, t);
    return drl_op_channels(g, ml, 0, drl_graph_shape(g, ml).c / 2);
}
