/* The decoder of autoencoders: a code -> an image, with the residual blocks of the score network but no time. */
#include <stdio.h>

#include "drl/nets.h"

size_t drl_decoder_doublings(size_t size) {
    size_t u = 0;
    while (size % 2 == 0 && size / 2 >= 4) size /= 2, u++;
    return u;
}

/* Channels that the last doubling leaves are `width`, twice as many before it, four times as many before that. */
static size_t channels_after(const drl_decoder_cfg *cfg, size_t doublings_left) {
    return cfg->width << (doublings_left < 2 ? doublings_left : 2);
}

/* map = lin2( silu( lin1(z) ) ) as an image of side b */
static drl_tensor base_map(drl_graph *g, drl_tensor z, size_t b, const drl_decoder_cfg *cfg) {
    size_t d = drl_graph_shape(g, z).c, hidden = 8 * cfg->width, C = 4 * cfg->width, out = b * b * C;
    drl_tensor h = drl_op_linear(g, z, "decoder.lin1", hidden, drl_init_fan_avg(d, hidden, 1, 1), drl_init_zero());
    h = drl_op_linear(g, drl_op_silu(g, h), "decoder.lin2", out, drl_init_fan_avg(hidden, out, 1, 1), drl_init_zero());
    return drl_op_unflatten(g, h, (drl_shape){b, b, C});
}

drl_tensor drl_decoder(drl_graph *g, drl_tensor z, const drl_decoder_cfg *cfg) {
    drl_shape s = drl_graph_shape(g, z);
    if (cfg->width == 0 || cfg->width % 4 || cfg->width > 4096)
        return drl_graph_fail(g, DRL_ERR_CONFIG, "decoder: width %zu is no multiple of 4 from 4 to 4096", cfg->width);
    if (cfg->size < 4 || cfg->size > 4096 || cfg->channels == 0)
        return drl_graph_fail(g, DRL_ERR_CONFIG,
                              "decoder: an image of side %zu with %zu channels; want 4 to 4096 and 1", cfg->size,
                              cfg->channels);
    if (s.h != 1 || s.w != 1)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "decoder: want a vector, got %zux%zux%zu", s.h, s.w, s.c);
    size_t u = drl_decoder_doublings(cfg->size);
    drl_tensor h = base_map(g, z, cfg->size >> u, cfg);
    for (size_t i = 0; i < u; i++) {
        char name[DRL_PARAM_NAME];
        snprintf(name, sizeof name, "decoder.up%zu", i);
        h = drl_graph_name(g, drl_res_block(g, h, -1, name, channels_after(cfg, u - 1 - i), 'u', 0), name);
    }
    size_t C = drl_graph_shape(g, h).c;
    if (C == 0) return -1; /* failed */
    h = drl_op_group_norm(g, h, "decoder.norm_out", drl_norm_groups(C), 1e-6, 's', 0);
    return drl_op_conv(g, h, "decoder.conv_out",
                       &(drl_conv_cfg){.out = cfg->channels,
                                       .k = 3,
                                       .stride = 1,
                                       .channel_add = -1,
                                       .residual = -1,
                                       .weight = drl_init_fan_avg(C, cfg->channels, 9, 1),
                                       .bias = drl_init_zero()});
}
