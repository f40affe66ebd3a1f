/* Building blocks of both networks and their initialisers (drl/nets.h). */
#include <stdio.h>

#include "drl/nets.h"

drl_init drl_init_fan_in(size_t in, size_t taps) {
    return (drl_init){DRL_INIT_UNIFORM, 1 / sqrt((double)(in * taps))};
}

drl_init drl_init_fan_avg(size_t in, size_t out, size_t taps, double scale) {
    return (drl_init){DRL_INIT_UNIFORM, sqrt(3 * scale / (0.5 * (double)((in + out) * taps)))};
}

drl_init drl_init_zero(void) {
    return (drl_init){DRL_INIT_CONSTANT, 0};
}

/* PREFIX.PART in a buffer that lives as long as the enclosing block. */
#define JOIN(prefix, part) join((char[DRL_PARAM_NAME]){0}, prefix, part)
static const char *join(char *buf, const char *prefix, const char *part) {
    snprintf(buf, DRL_PARAM_NAME, "%s.%s", prefix, part);
    return buf;
}

/* output = lin2( silu( lin1( features ) ) ) */
drl_tensor drl_time_embedding(drl_graph *g, drl_tensor x, const char *name, size_t nf, drl_time_map map) {
    drl_tensor e = drl_op_time_features(g, x, JOIN(name, "fourier"), nf, map);
    drl_graph_name(g, e, JOIN(name, "features"));
    drl_tensor h =
        drl_op_linear(g, e, JOIN(name, "lin1"), 4 * nf, drl_init_fan_avg(2 * nf, 4 * nf, 1, 1), drl_init_zero());
    h = drl_op_linear(g, drl_op_silu(g, h), JOIN(name, "lin2"), 4 * nf, drl_init_fan_avg(4 * nf, 4 * nf, 1, 1),
                      drl_init_zero());
    return drl_graph_name(g, h, name);
}

/* The per-image, per-channel addend of a block: temb(a). */
static drl_tensor time_addend(drl_graph *g, drl_tensor act_temb, const char *name, size_t out) {
    size_t in = drl_graph_shape(g, act_temb).c;
    return drl_op_linear(g, act_temb, JOIN(name, "temb"), out, drl_init_fan_avg(in, out, 1, 1), drl_init_zero());
}

/* relu( norm( conv(x) ) ), in one op where nothing else wants to know what is in between. */
static drl_tensor conv_then_norm(drl_graph *g, drl_tensor x, const char *name, const drl_conv_cfg *conv,
                                 const char *norm) {
    const double eps = 1e-5, momentum = 0.1;
    if (!drl_graph_folds(g)) return drl_op_batch_norm(g, drl_op_conv(g, x, name, conv), norm, eps, momentum, 'r');
    drl_conv_cfg folded = *conv;
    folded.norm = norm;
    folded.norm_eps = eps;
    return drl_op_conv(g, x, name, &folded);
}

drl_tensor drl_wide_block(drl_graph *g, drl_tensor x, drl_tensor act_temb, const char *name, size_t out,
                          size_t stride) {
    size_t in = drl_graph_shape(g, x).c;
    drl_init w1 = drl_init_fan_in(in, 9), w2 = drl_init_fan_in(out, 9), ws = drl_init_fan_in(in, 1);
    drl_tensor h = drl_op_batch_norm(g, x, JOIN(name, "bn1"), 1e-5, 0.1, 'r');
    drl_conv_cfg conv1 = {.out = out, .k = 3, .stride = 1, .weight = w1, .bias = w1, .residual = -1};
    conv1.channel_add = time_addend(g, act_temb, name, out);
    h = conv_then_norm(g, h, JOIN(name, "conv1"), &conv1, JOIN(name, "bn2"));
    drl_tensor shortcut = x;
    if (in != out || stride != 1)
        shortcut = drl_op_conv(
            g, x, JOIN(name, "shortcut"),
            &(drl_conv_cfg){
                .out = out, .k = 1, .stride = stride, .weight = ws, .bias = ws, .channel_add = -1, .residual = -1});
    drl_tensor y = drl_op_conv(
        g, h, JOIN(name, "conv2"),
        &(drl_conv_cfg){
            .out = out, .k = 3, .stride = stride, .weight = w2, .bias = w2, .channel_add = -1, .residual = shortcut});
    return y;
}

size_t drl_norm_groups(size_t channels) {
    size_t g = channels / 4;
    return g < 1 ? 1 : g > 32 ? 32 : g;
}

static drl_tensor resize(drl_graph *g, drl_tensor x, int kind) {
    return kind == 'd' ? drl_op_downsample(g, x) : kind == 'u' ? drl_op_upsample(g, x) : x;
}

drl_tensor drl_res_block(drl_graph *g, drl_tensor x, drl_tensor act_temb, const char *name, size_t out, int kind,
                         double dropout) {
    size_t in = drl_graph_shape(g, x).c;
    const drl_init zero = drl_init_zero();
    drl_tensor h = drl_op_group_norm(g, x, JOIN(name, "norm1"), drl_norm_groups(in), 1e-6, 's', 0);
    h = resize(g, h, kind);
    h = drl_op_conv(g, h, JOIN(name, "conv1"),
                    &(drl_conv_cfg){.out = out,
                                    .k = 3,
                                    .stride = 1,
                                    .weight = drl_init_fan_avg(in, out, 9, 1),
                                    .bias = zero,
                                    .residual = -1,
                                    .channel_add = act_temb < 0 ? -1 : time_addend(g, act_temb, name, out)});
    h = drl_op_group_norm(g, h, JOIN(name, "norm2"), drl_norm_groups(out), 1e-6, 's', dropout);
    drl_tensor skip = resize(g, x, kind);
    if (in != out || kind != 'p')
        skip = drl_op_conv(g, skip, JOIN(name, "skip"),
                           &(drl_conv_cfg){.out = out,
                                           .k = 1,
                                           .stride = 1,
                                           .weight = drl_init_fan_avg(in, out, 1, 1),
                                           .bias = zero,
                                           .channel_add = -1,
                                           .residual = -1});
    /* y = ( skip(x') + conv2(h) ) / sqrt(2) */
    return drl_op_conv(g, h, JOIN(name, "conv2"),
                       &(drl_conv_cfg){.out = out,
                                       .k = 3,
                                       .stride = 1,
                                       .bias = zero,
                                       .weight = drl_init_fan_avg(out, out, 9, 1e-10),
                                       .channel_add = -1,
                                       .residual = skip,
                                       .scale = sqrt(0.5)});
}

drl_tensor drl_attention_block(drl_graph *g, drl_tensor x, const char *name) {
    size_t C = drl_graph_shape(g, x).c;
    drl_tensor h = drl_op_group_norm(g, x, JOIN(name, "norm"), drl_norm_groups(C), 1e-6, 0, 0), qkv[3];
    const char *parts[3] = {"q", "k", "v"};
    drl_conv_cfg cfg = {.out = C,
                        .k = 1,
                        .stride = 1,
                        .weight = drl_init_fan_avg(C, C, 1, 0.1),
                        .bias = drl_init_zero(),
                        .channel_add = -1,
                        .residual = -1};
    for (int i = 0; i < 3; i++) qkv[i] = drl_op_conv(g, h, JOIN(name, parts[i]), &cfg);
    h = drl_op_attention(g, qkv[0], qkv[1], qkv[2], 1);
    /* y = ( x + out(g) ) / sqrt(2) */
    cfg.weight = drl_init_fan_avg(C, C, 1, 1e-10);
    cfg.residual = x;
    cfg.scale = sqrt(0.5);
    return drl_op_conv(g, h, JOIN(name, "out"), &cfg);
}

/* One of a transformer's linear maps, its parameters NAME.wI and NAME.bI. */
static drl_tensor map(drl_graph *g, drl_tensor x, const char *name, char which, size_t out) {
    const char weight[] = {'w', which, 0}, bias[] = {'b', which, 0};
    return drl_op_linear_named(g, x, JOIN(name, weight), JOIN(name, bias), out,
                               drl_init_fan_avg(drl_graph_shape(g, x).c, out, 1, 1), drl_init_zero());
}

drl_tensor drl_self_attention(drl_graph *g, drl_tensor x, const char *name, size_t heads) {
    size_t D = drl_graph_shape(g, x).c;
    drl_tensor q = map(g, x, name, 'q', D), k = map(g, x, name, 'k', D), v = map(g, x, name, 'v', D);
    return map(g, drl_op_attention(g, q, k, v, heads), name, 'o', D);
}

drl_tensor drl_transformer_block(drl_graph *g, drl_tensor x, const char *name, size_t heads, size_t hidden) {
    drl_tensor h = drl_op_add(g, x, drl_self_attention(g, x, name, heads), 1);
    h = drl_op_layer_norm(g, h, JOIN(name, "g1"), JOIN(name, "e1"), 1e-5);
    drl_tensor f = drl_op_relu(g, map(g, h, name, '1', hidden));
    f = map(g, f, name, '2', drl_graph_shape(g, x).c);
    return drl_op_layer_norm(g, drl_op_add(g, h, f, 1), JOIN(name, "g2"), JOIN(name, "e2"), 1e-5);
}
