/* Gradients of blocks, of both networks and of the objective of diffusion based representation learning. */
#include <string.h>

#include "gradcheck.h"

enum { OUT, HOW, RATE };

/* in: x, activated time embedding */
static drl_tensor wide(gc_build *b) {
    return drl_wide_block(b->g, b->in[0], b->in[1], "block", (size_t)b->arg[OUT], (size_t)b->arg[HOW]);
}

static drl_tensor res(gc_build *b) {
    return drl_res_block(b->g, b->in[0], b->in[1], "block", (size_t)b->arg[OUT], (int)b->arg[HOW], b->arg[RATE]);
}

static drl_tensor attention(gc_build *b) {
    return drl_attention_block(b->g, b->in[0], "attn");
}

/* in: a sequence; arg: heads, hidden units (0: attention alone) */
static drl_tensor transformer(gc_build *b) {
    size_t heads = (size_t)b->arg[0], hidden = (size_t)b->arg[1];
    if (hidden == 0) return drl_self_attention(b->g, b->in[0], "tr.", heads);
    return drl_transformer_block(b->g, b->in[0], "tr.", heads, hidden);
}

/* arg: frequencies, time map */
static drl_tensor time_embedding(gc_build *b) {
    return drl_time_embedding(b->g, b->in[0], "time", (size_t)b->arg[0], (drl_time_map)b->arg[1]);
}

/* One time for all images, learnt. arg: initial value */
static drl_tensor learnt_time(gc_build *b) {
    return drl_op_add(b->g, drl_op_learnt_time(b->g, "tau", b->arg[0]), b->in[0], 1);
}

/* In training one time for all images has no gradient: batch norms take away what it adds. arg: depth, width */
static drl_tensor encoder_of_learnt_time(gc_build *b) {
    drl_tensor t = drl_op_learnt_time(b->g, "tau", 0);
    return drl_encoder(b->g, b->in[0], t, &(drl_encoder_cfg){(size_t)b->arg[0], b->arg[1], false});
}

/* arg: depth, width, variational */
static drl_tensor encoder(gc_build *b) {
    return drl_encoder(b->g, b->in[0], b->in[1], &(drl_encoder_cfg){(size_t)b->arg[0], b->arg[1], b->arg[2] > 0});
}

/* arg: side, channels, width */
static drl_tensor decoder(gc_build *b) {
    return drl_decoder(b->g, b->in[0], &(drl_decoder_cfg){(size_t)b->arg[0], (size_t)b->arg[1], (size_t)b->arg[2]});
}

/* An autoencoder: 1/2 |decoder(code) - x|^2. */
static drl_tensor autoencoder(gc_build *b) {
    drl_tensor z = drl_encoder(b->g, b->in[0], b->in[1], &(drl_encoder_cfg){10, 0.25, false});
    drl_tensor y = drl_decoder(b->g, z, &(drl_decoder_cfg){8, 3, 4});
    gc_root(b, drl_op_squared_error(b->g, y, b->in[0]), 1);
    return -1;
}

/* arg: hidden, out, norm */
static drl_tensor mlp_head(gc_build *b) {
    const drl_mlp_head_cfg cfg = {(size_t)b->arg[0], (size_t)b->arg[1], b->arg[2] > 0};
    return drl_mlp_head(b->g, b->in[0], "head", &cfg);
}

/* One encoder applied to two views: gradients of its parameters add up. */
static drl_tensor two_views(gc_build *b) {
    const drl_encoder_cfg cfg = {10, 0.25, false};
    drl_tensor z1 = drl_encoder(b->g, b->in[0], b->in[1], &cfg), z2 = drl_encoder(b->g, b->in[2], b->in[1], &cfg);
    return drl_op_nt_xent(b->g, z1, z2, 0.5);
}

/* Twice as two networks, the second frozen: nothing flows into it or through it. */
static drl_tensor target_network(gc_build *b) {
    const drl_encoder_cfg cfg = {10, 0.25, false};
    drl_tensor z1 = drl_encoder(b->g, b->in[0], b->in[1], &cfg);
    drl_graph_scope(b->g, "target.", true);
    drl_tensor z2 = drl_encoder(b->g, b->in[2], b->in[1], &cfg);
    drl_graph_scope(b->g, "", false);
    return drl_op_nt_xent(b->g, z1, z2, 0.5);
}

/* arg: base channels, levels, attention at the last level, dropout */
static drl_tensor score(gc_build *b) {
    drl_score_cfg cfg = {.nf = (size_t)b->arg[0],
                         .levels = (size_t)b->arg[1],
                         .mult = {1, 2, 1},
                         .blocks = 1,
                         .dropout = b->arg[3],
                         .time_map = DRL_TIME_VE};
    cfg.attention[cfg.levels - 1] = b->arg[2] > 0;
    return drl_score_net(b->g, b->in[0], b->in[1], b->in[2], &cfg);
}

/* in: x0, t, x_t, noise, s, weight. The code is the encoder's, or drawn from it, and the objective
 * mean( weight/2 |s score + noise|^2 ) + lambda mean( |z|_1 or KL ).                               [science, 3] */
static drl_tensor drl(gc_build *b) {
    bool draws = b->arg[1] > 0;
    drl_tensor code = drl_encoder(b->g, b->in[0], b->in[1], &(drl_encoder_cfg){10, 0.25, draws}), z = code;
    if (draws) {
        drl_shape d = drl_graph_shape(b->g, code);
        z = drl_op_reparameterise(b->g, code, drl_op_positions(b->g, 1, d.c / 2));
    }
    const drl_score_cfg cfg = {.nf = 4,
                               .levels = 2,
                               .mult = {1, 2},
                               .blocks = 1,
                               .attention = {false, true},
                               .dropout = 0.1,
                               .time_map = DRL_TIME_VE};
    drl_tensor raw = drl_score_net(b->g, b->in[2], b->in[1], z, &cfg);
    gc_root(b, drl_op_dsm_loss(b->g, raw, b->in[3], b->in[4], b->in[5]), 1);
    gc_root(b, draws ? drl_op_kl(b->g, code) : drl_op_l1(b->g, z), b->arg[0]);
    return -1;
}

#define FIXED(h, w, c)                                                                                                 \
    { {h, w, c}, .fixed = true }
#define TIME                                                                                                           \
    { {1, 1, 1}, GC_UNIT, true }
#define OBJECTIVE                                                                                                      \
    { FIXED(4, 4, 3), TIME, FIXED(4, 4, 3), FIXED(4, 4, 3), TIME, TIME }

static const gc_case cases[] = {
    {.name = "wide block", .build = wide, .arg = {3, 1}, .in = {{{3, 2, 3}}, {{1, 1, 5}}}},
    {.name = "wide block, wider", .build = wide, .arg = {5, 1}, .in = {{{3, 2, 2}}, {{1, 1, 3}}}},
    {.name = "wide block, stride 2", .build = wide, .arg = {3, 2}, .in = {{{5, 4, 3}}, {{1, 1, 3}}}},
    {.name = "wide block, evaluation",
     .build = wide,
     .arg = {3, 2},
     .evaluate = true,
     .in = {{{4, 4, 2}}, {{1, 1, 3}}}},
    {.name = "res block", .build = res, .arg = {4, 'p', 0.2}, .in = {{{3, 2, 4}}, {{1, 1, 3}}}},
    {.name = "res block, wider", .build = res, .arg = {8, 'p'}, .in = {{{2, 3, 4}}, {{1, 1, 3}}}},
    {.name = "res block, down", .build = res, .arg = {4, 'd', 0.2}, .in = {{{4, 2, 4}}, {{1, 1, 3}}}},
    {.name = "res block, up", .build = res, .arg = {4, 'u', 0.2}, .in = {{{1, 3, 8}}, {{1, 1, 3}}}},
    {.name = "res block, up, no time", .build = res, .arg = {4, 'u'}, .in = {{{2, 3, 8}}}},
    {.name = "attention block", .build = attention, .in = {{{3, 2, 8}}}},
    {.name = "self-attention", .build = transformer, .arg = {2}, .in = {{{5, 1, 6}}}},
    {.name = "transformer block", .build = transformer, .arg = {2, 7}, .in = {{{5, 1, 6}}}},
    {.name = "time embedding, VE", .build = time_embedding, .arg = {3, DRL_TIME_VE}, .in = {TIME}},
    {.name = "time embedding, VP", .build = time_embedding, .arg = {2, DRL_TIME_VP}, .in = {TIME}},
    {.name = "time embedding, label", .build = time_embedding, .arg = {2, DRL_TIME_LOG_LABEL}, .in = {TIME}},
    {.name = "time embedding and gradient of t, VE",
     .build = time_embedding,
     .arg = {3, DRL_TIME_VE},
     .in = {{{1, 1, 1}, GC_UNIT}}},
    {.name = "time embedding and gradient of t, VP",
     .build = time_embedding,
     .arg = {5, DRL_TIME_VP},
     .in = {{{1, 1, 1}, GC_UNIT}}},
    {.name = "time embedding and gradient of t, label",
     .build = time_embedding,
     .arg = {1, DRL_TIME_LOG_LABEL},
     .in = {{{1, 1, 1}, GC_UNIT}}},
    {.name = "learnt time", .build = learnt_time, .arg = {0.5}, .in = {{{1, 1, 1}}}},
    {.name = "encoder of a learnt time, evaluation",
     .build = encoder_of_learnt_time,
     .arg = {10, 0.25},
     .evaluate = true,
     .in = {{{8, 4, 3}}},
     .most = 20},
    {.name = "encoder", .build = encoder, .arg = {10, 0.25}, .in = {{{8, 4, 3}}, TIME}, .most = 20},
    {.name = "encoder, evaluation",
     .build = encoder,
     .arg = {10, 0.25},
     .evaluate = true,
     .in = {{{4, 4, 3}}, TIME},
     .most = 20},
    {.name = "encoder, two numbers", .build = encoder, .arg = {10, 0}, .in = {{{4, 4, 1}}, TIME}, .most = 4},
    {.name = "encoder, variational, depth 16",
     .build = encoder,
     .arg = {16, 0.25, 1},
     .in = {{{4, 6, 1}}, TIME},
     .most = 10},
    {.name = "score network", .build = score, .arg = {4, 2, 1, 0.1}, .in = {{{4, 4, 3}}, TIME, {{1, 1, 5}}}, .most = 8},
    {.name = "score network, 3 levels",
     .build = score,
     .arg = {4, 3, 1},
     .in = {{{4, 8, 1}}, TIME, {{1, 1, 2}}},
     .most = 4},
    {.name = "score network, 8 channels, no code",
     .build = score,
     .arg = {8, 2, 1},
     .in = {{{4, 4, 1}}, TIME},
     .most = 4},
    {.name = "score network, 1 level, evaluation",
     .build = score,
     .arg = {4, 1, 0, 0.1},
     .evaluate = true,
     .in = {{{3, 3, 1}}, TIME, {{1, 1, 3}}},
     .most = 8},
    {.name = "decoder", .build = decoder, .arg = {8, 3, 4}, .in = {{{1, 1, 5}}}, .most = 8},
    {.name = "decoder, 3 doublings", .build = decoder, .arg = {32, 1, 4}, .in = {{{1, 1, 3}}}, .most = 3},
    {.name = "decoder, none", .build = decoder, .arg = {5, 2, 8}, .in = {{{1, 1, 2}}}, .most = 8},
    {.name = "autoencoder", .build = autoencoder, .in = {FIXED(8, 8, 3), TIME}, .most = 5},
    {.name = "head", .build = mlp_head, .arg = {7, 3, 0}, .in = {{{1, 1, 5}}}},
    {.name = "head, norm", .build = mlp_head, .arg = {7, 3, 1}, .in = {{{1, 1, 5}}}},
    {.name = "head, norm, evaluation", .build = mlp_head, .arg = {17, 1, 1}, .evaluate = true, .in = {{{1, 1, 2}}}},
    {.name = "encoder on two views", .build = two_views, .in = {{{8, 4, 3}}, TIME, {{8, 4, 3}}}, .most = 10},
    {.name = "encoder and target network",
     .build = target_network,
     .in = {{{8, 4, 3}}, TIME, {{8, 4, 3}, .stopped = true}},
     .most = 10},
    {.name = "DRL objective", .build = drl, .arg = {0.1, 0}, .in = OBJECTIVE, .most = 5},
    {.name = "VDRL objective", .build = drl, .arg = {0.1, 1}, .in = OBJECTIVE, .most = 3},
};

int main(int argc, char **argv) {
    return gc_main(argc, argv, "networks", cases, sizeof cases / sizeof *cases);
}
