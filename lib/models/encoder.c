/* The time-conditioned WideResNet encoder.                                                            [vectors, 5] */
#include <stdio.h>

#include "drl/nets.h"

#define TIME_FREQUENCIES 16 /* fixed, whatever the score network uses */

void drl_encoder_widths(const drl_encoder_cfg *cfg, size_t widths[3]) {
    for (int s = 0; s < 3; s++) widths[s] = (size_t)((double)(16 << s) * cfg->width);
    if (cfg->width == 0) {
        widths[0] = 32;
        widths[1] = 64;
        widths[2] = 2;
    }
}

drl_tensor drl_encoder(drl_graph *g, drl_tensor x, drl_tensor t, const drl_encoder_cfg *cfg) {
    size_t widths[3], in = drl_graph_shape(g, x).c, n = (cfg->depth - 4) / 6;
    if (cfg->depth < 10 || (cfg->depth - 4) % 6 != 0)
        return drl_graph_fail(g, DRL_ERR_CONFIG, "encoder: depth %zu is not 6 n + 4 with n >= 1", cfg->depth);
    if (cfg->width >= 0 && cfg->width < 1e6)
        drl_encoder_widths(cfg, widths);
    else
        widths[0] = 0;
    if (widths[0] == 0) return drl_graph_fail(g, DRL_ERR_CONFIG, "encoder: width %g leaves no channels", cfg->width);
    drl_tensor temb = drl_time_embedding(g, t, "encoder.time", TIME_FREQUENCIES, DRL_TIME_VE);
    drl_tensor a = drl_op_silu(g, temb);

    drl_init stem = drl_init_fan_in(in, 9);
    drl_tensor h = drl_op_conv(
        g, x, "encoder.stem",
        &(drl_conv_cfg){
            .out = 16, .k = 3, .stride = 1, .weight = stem, .bias = stem, .channel_add = -1, .residual = -1});
    for (int s = 0; s < 3; s++)
        for (size_t i = 0; i < n; i++) {
            char name[DRL_PARAM_NAME];
            snprintf(name, sizeof name, "encoder.stage%d.block%zu", s + 1, i);
            h = drl_wide_block(g, h, a, name, widths[s], s > 0 && i == 0 ? 2 : 1);
            drl_graph_name(g, h, name);
        }
    /* The last batch norm averages with momentum 0.9: the newest batch weighs nine tenths. */
    h = drl_op_batch_norm(g, h, "encoder.bn", 1e-5, 0.9, 'r');
    h = drl_op_global_mean(g, h);
    if (cfg->variational) {
        drl_init u = drl_init_fan_in(widths[2], 1);
        h = drl_op_linear(g, h, "encoder.latent", 2 * widths[2], u, u);
    }
    return h;
}
