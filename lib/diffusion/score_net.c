/* The NCSN++ "small" score network.                                                                   [vectors, 6] */
#include <stdio.h>

#include "drl/nets.h"

/* A name of the form score.LEVEL.PART, valid until the end of the enclosing block. */
#define NAME(...) name_of((char[DRL_PARAM_NAME]){0}, __VA_ARGS__)
static const char *name_of(char *buf, const char *way, size_t level, const char *part, int index) {
    if (index >= 0)
        snprintf(buf, DRL_PARAM_NAME, "score.%s%zu.%s%d", way, level, part, index);
    else
        snprintf(buf, DRL_PARAM_NAME, "score.%s%zu.%s", way, level, part);
    return buf;
}

void drl_score_attention_at(drl_score_cfg *cfg, size_t image_side, size_t resolution) {
    for (size_t L = 0; L < cfg->levels; L++) cfg->attention[L] = resolution && image_side >> L == resolution;
}

/* What every block is conditioned on, and the map concatenated at the bottom. */
typedef struct conditioning {
    drl_tensor act; /* silu(cond) */
    drl_tensor map; /* Z (n, low, low, 2 nf), or -1 */
} conditioning;

static conditioning condition(drl_graph *g, drl_tensor time, drl_tensor z, const drl_score_cfg *cfg, size_t low_h,
                              size_t low_w) {
    size_t nf = cfg->nf, hid = 2 * nf * low_h, out = 2 * nf * low_h * low_w;
    drl_tensor cond = drl_time_embedding(g, time, "score.time", nf, cfg->time_map);
    if (z < 0) return (conditioning){drl_op_silu(g, cond), -1};
    drl_init uz = drl_init_fan_in(drl_graph_shape(g, z).c, 1), u1 = drl_init_fan_in(8 * nf, 1);
    drl_init u2 = drl_init_fan_in(hid, 1);
    cond = drl_op_concat(g, cond, drl_op_linear(g, z, "score.z_temb", 4 * nf, uz, uz));
    drl_tensor h = drl_op_silu(g, drl_op_linear(g, cond, "score.z_proj1", hid, u1, u1));
    h = drl_op_silu(g, drl_op_linear(g, h, "score.z_proj2", hid, u2, u2));
    h = drl_op_silu(g, drl_op_linear(g, h, "score.z_proj3", out, u2, u2));
    return (conditioning){drl_op_silu(g, cond), drl_op_unflatten(g, h, (drl_shape){low_h, low_w, 2 * nf})};
}

typedef struct stack {
    drl_tensor item[DRL_MAX_LEVELS * 16];
    size_t n;
} stack;

static drl_tensor res_block(drl_graph *g, drl_tensor x, drl_tensor act, const char *name, size_t out, int kind,
                            const drl_score_cfg *cfg) {
    return drl_graph_name(g, drl_res_block(g, x, act, name, out, kind, cfg->dropout), name);
}

static drl_tensor attend(drl_graph *g, drl_tensor x, const char *name) {
    return drl_graph_name(g, drl_attention_block(g, x, name), name);
}

/* One level down: blocks, each pushed after its attention; then the halving block joined by the input pyramid
 *   p = ( pyramid(p) + down(h) ) / sqrt(2),  h = p.                                                  [vectors, 6.2] */
static drl_tensor level_down(drl_graph *g, drl_tensor h, drl_tensor *p, drl_tensor act, stack *s, size_t L,
                             const drl_score_cfg *cfg) {
    size_t C = cfg->nf * cfg->mult[L];
    for (size_t i = 0; i < cfg->blocks; i++) {
        h = res_block(g, h, act, NAME("down", L, "block", (int)i), C, 'p', cfg);
        if (cfg->attention[L]) h = attend(g, h, NAME("down", L, "attn", (int)i));
        s->item[s->n++] = h;
    }
    if (L + 1 == cfg->levels) return h;
    drl_tensor u = res_block(g, h, act, NAME("down", L, "down", -1), C, 'd', cfg);
    const char *name = NAME("down", L, "pyramid", -1);
    drl_tensor q = drl_op_conv(g, *p, name,
                               &(drl_conv_cfg){.out = C,
                                               .k = 3,
                                               .stride = 2,
                                               .pad_end = true,
                                               .channel_add = -1,
                                               .weight = drl_init_fan_avg(drl_graph_shape(g, *p).c, C, 9, 1),
                                               .bias = drl_init_zero(),
                                               .residual = -1});
    *p = drl_op_add(g, q, u, sqrt(0.5));
    s->item[s->n++] = *p;
    return *p;
}

/* One level up: blocks on [h, popped], attention once after the last, then the doubling block.       [vectors, 6.4] */
static drl_tensor level_up(drl_graph *g, drl_tensor h, drl_tensor act, stack *s, size_t L, const drl_score_cfg *cfg) {
    size_t C = cfg->nf * cfg->mult[L];
    for (size_t i = 0; i <= cfg->blocks; i++) {
        drl_tensor skip = s->item[--s->n];
        h = res_block(g, drl_op_concat(g, h, skip), act, NAME("up", L, "block", (int)i), C, 'p', cfg);
    }
    if (cfg->attention[L]) h = attend(g, h, NAME("up", L, "attn", -1));
    return L > 0 ? res_block(g, h, act, NAME("up", L, "up", -1), C, 'u', cfg) : h;
}

drl_tensor drl_score_net(drl_graph *g, drl_tensor x, drl_tensor time, drl_tensor z, const drl_score_cfg *cfg) {
    drl_shape xs = drl_graph_shape(g, x);
    size_t unit = (size_t)1 << ((cfg->levels - 1) % DRL_MAX_LEVELS), nf = cfg->nf;
    if (cfg->levels < 1 || cfg->levels > DRL_MAX_LEVELS || cfg->blocks < 1 || cfg->blocks > 14)
        return drl_graph_fail(g, DRL_ERR_CONFIG, "score network: want 1 to %d levels of 1 to 14 blocks, got %zu of %zu",
                              DRL_MAX_LEVELS, cfg->levels, cfg->blocks);
    if (xs.h % unit || xs.w % unit || xs.h == 0)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "score network: a %zux%zu image cannot be halved %zu times", xs.h, xs.w,
                              cfg->levels - 1);
    conditioning c = condition(g, time, z, cfg, xs.h / unit, xs.w / unit);
    stack s = {.n = 0};
    drl_tensor p = x;
    drl_tensor h = drl_op_conv(g, x, "score.conv_in",
                               &(drl_conv_cfg){.out = nf,
                                               .k = 3,
                                               .stride = 1,
                                               .channel_add = -1,
                                               .residual = -1,
                                               .weight = drl_init_fan_avg(xs.c, nf, 9, 1),
                                               .bias = drl_init_zero()});
    s.item[s.n++] = h;
    for (size_t L = 0; L < cfg->levels; L++) h = level_down(g, h, &p, c.act, &s, L, cfg);

    /* The bottom: [h, Z], block, attention, block. */
    if (c.map >= 0) h = drl_op_concat(g, h, c.map);
    size_t C = drl_graph_shape(g, h).c;
    h = res_block(g, h, c.act, "score.mid.block0", C, 'p', cfg);
    h = attend(g, h, "score.mid.attn");
    h = res_block(g, h, c.act, "score.mid.block1", C, 'p', cfg);

    for (size_t L = cfg->levels; L-- > 0;) h = level_up(g, h, c.act, &s, L, cfg);
    h = drl_op_group_norm(g, h, "score.norm_out", drl_norm_groups(nf * cfg->mult[0]), 1e-6, 's', 0);
    return drl_op_conv(g, h, "score.conv_out",
                       &(drl_conv_cfg){.out = xs.c,
                                       .k = 3,
                                       .stride = 1,
                                       .channel_add = -1,
                                       .residual = -1,
                                       .weight = drl_init_fan_avg(nf * cfg->mult[0], xs.c, 9, 1e-10),
                                       .bias = drl_init_zero()});
}
