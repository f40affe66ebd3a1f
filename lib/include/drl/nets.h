/* The networks: time-conditioned WideResNet encoder, NCSN++ "small" score network [vectors, 4 to 7], and what the other
 * representation learners need beside the encoder: a decoder, heads.
 *
 * Builders append a network to a graph; parameters get the names of params_paper.txt. Blocks are exported for tests. */
#ifndef DRL_NETS_H
#define DRL_NETS_H

#include "drl/graph.h"
#include "drl/ops.h"

/* ---- Encoder (x0, t) -> code ------------------------------------------------------------------------ [vectors, 5] */

typedef struct drl_encoder_cfg {
    size_t depth;     /* 6 n + 4, n >= 1 blocks a stage                                                     */
    double width;     /* k > 0: stages of 16 k, 32 k, 64 k channels, rounded down; 0: 32, 64, 2 channels    */
    bool variational; /* a linear layer to [mean | log variance], each of the code's size                   */
} drl_encoder_cfg;

/* Channels of the three stages; the last is the size of the code. */
void drl_encoder_widths(const drl_encoder_cfg *cfg, size_t widths[3]);

/* x (n, h, w, c) the clean image, t (n, 1, 1, 1) in [0, 1]; returns the code (n, 1, 1, d), never negative, or, where
 * variational, [mean | log variance] (n, 1, 1, 2 d). Parameters "encoder.*". */
drl_tensor drl_encoder(drl_graph *g, drl_tensor x, drl_tensor t, const drl_encoder_cfg *cfg);

/* The wide block: y = conv2(relu(bn2(conv1(relu(bn1(x))) + temb(a)))) + shortcut(x).            [vectors, 4.4] */
drl_tensor drl_wide_block(drl_graph *g, drl_tensor x, drl_tensor act_temb, const char *name, size_t out, size_t stride);

/* ---- Score network (x_t, time, z) -> raw estimate --------------------------------------------------- [vectors, 6] */

#define DRL_MAX_LEVELS 8

typedef struct drl_score_cfg {
    size_t nf;                      /* base channels                                                       */
    size_t levels;                  /* resolutions; the image's side is a multiple of 2^(levels - 1)       */
    size_t mult[DRL_MAX_LEVELS];    /* channels of a level = nf * mult                                     */
    size_t blocks;                  /* residual blocks a level                                             */
    bool attention[DRL_MAX_LEVELS]; /* attention after the level's blocks (the middle always has one)      */
    double dropout;
    drl_time_map time_map; /* what the time input holds                                           */
} drl_score_cfg;

/* Sets cfg->attention from a resolution (0: none) for an image of the given side. */
void drl_score_attention_at(drl_score_cfg *cfg, size_t image_side, size_t resolution);

/* x (n, S, S, c); time (n, 1, 1, 1); z (n, 1, 1, d), or -1 for the unconditional network. Returns conv_out's value
 * (n, S, S, c), not divided by the label. Parameters "score.*". */
drl_tensor drl_score_net(drl_graph *g, drl_tensor x, drl_tensor time, drl_tensor z, const drl_score_cfg *cfg);

/* Residual block; kind 'p' plain, 'd' halves, 'u' doubles the resolution. act_temb -1: no addend of time, and no
 * parameters NAME.temb.                                                                           [vectors, 4.5] */
drl_tensor drl_res_block(drl_graph *g, drl_tensor x, drl_tensor act_temb, const char *name, size_t out, int kind,
                         double dropout);
/* Attention block with its norm, projections and residual.                                        [vectors, 4.6] */
drl_tensor drl_attention_block(drl_graph *g, drl_tensor x, const char *name);
/* Fourier features and two linear layers -> (n, 1, 1, 4 nf).                                      [vectors, 4.1] */
drl_tensor drl_time_embedding(drl_graph *g, drl_tensor x, const char *name, size_t nf, drl_time_map map);

/* ---- Decoder code -> image --------------------------------------------------------------------------------------- */

typedef struct drl_decoder_cfg {
    size_t size, channels; /* of the image, size x size                                                           */
    size_t width;          /* channels of the largest resolution: a multiple of 4                                 */
} drl_decoder_cfg;

/* How often a decoder doubles: the largest u where 2^u divides size and size / 2^u >= 4. */
size_t drl_decoder_doublings(size_t size);

/* z (n, 1, 1, d) -> y (n, size, size, channels), not bounded:
 *   h_0 = lin2( silu( lin1(z) ) ), b x b with 4 width channels, b = size / 2^u, lin1 to 8 width numbers;
 *   h_{i+1} = residual block up{i} of h_i, doubling, without time; its channels end in ..., 4 width, 2 width, width;
 *   y = conv_out( silu( norm_out(h_u) ) ).
 * The blocks are those of the score network [vectors, 4.5], norms as there. Parameters "decoder.*". ERR_CONFIG for a
 * width that is no multiple of 4, a side below 4, or no channels; ERR_SHAPE where drl_norm_groups does not divide. */
drl_tensor drl_decoder(drl_graph *g, drl_tensor z, const drl_decoder_cfg *cfg);

/* ---- Heads ------------------------------------------------------------------------------------------------------- */

typedef struct drl_mlp_head_cfg {
    size_t hidden, out;
    bool norm; /* batch norm (eps 1e-5, momentum 0.1) before the rectifier */
} drl_mlp_head_cfg;

/* y = lin2( relu( bn( lin1(z) ) ) ), the projection and prediction head of contrastive learners [SimCLR, BYOL]; bn only
 * with `norm`. z (n, 1, 1, d) -> y (n, 1, 1, out). Parameters NAME.lin1, NAME.bn, NAME.lin2. */
drl_tensor drl_mlp_head(drl_graph *g, drl_tensor z, const char *name, const drl_mlp_head_cfg *cfg);

/* ---- Transformer, on sequences (n, T, 1, d) -------------------------------------------------------- [vectors, 11] */

/* Multi-head self-attention; parameters NAME.{wq,bq,wk,bk,wv,bv,wo,bo}. heads divides d. */
drl_tensor drl_self_attention(drl_graph *g, drl_tensor x, const char *name, size_t heads);
/* h = LN1(x + attention(x)),  y = LN2(h + w2 relu(w1 h + b1) + b2); parameters of the attention and
 * NAME.{w1,b1,w2,b2}, w1 (hidden, d), and the gains and offsets NAME.{g1,e1,g2,e2} of the norms. */
drl_tensor drl_transformer_block(drl_graph *g, drl_tensor x, const char *name, size_t heads, size_t hidden);

/* Groups of a group norm over so many channels: a quarter as many, from 1 to 32. */
size_t drl_norm_groups(size_t channels);

/* ---- Initialisers ------------------------------------------------------------------------------------ [vectors, 7]
 */

/* U(1/sqrt(fan_in)) */
drl_init drl_init_fan_in(size_t in, size_t taps);
/* U(sqrt(3 scale / ((fan_in + fan_out)/2))) */
drl_init drl_init_fan_avg(size_t in, size_t out, size_t taps, double scale);
drl_init drl_init_zero(void);

#endif
