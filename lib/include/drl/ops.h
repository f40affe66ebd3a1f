/* The differentiable ops. Each function appends nodes to a graph and returns the output tensor (-1 after a failure,
 * which sticks to the graph). `name` prefixes the parameters (NAME.weight, NAME.bias, ...) and names the output.
 *
 * Shapes below are per batch, (n, h, w, c) with channel fastest. Parameter shapes are those of a checkpoint. */
#ifndef DRL_OPS_H
#define DRL_OPS_H

#include "drl/graph.h"

/* ---- Linear maps ------------------------------------------------------------------------------------------------- */

typedef struct drl_conv_cfg {
    size_t out, k, stride; /* output channels; kernel side 1 or 3; stride 1 or 2                                     */
    bool pad_end;          /* 3x3 only: one zero row and column at the bottom and right only, none left and on top
                              (the pyramid convolution, vectors 6.2); else k/2 zeros on every side                   */
    drl_init weight, bias;
    drl_tensor channel_add; /* v (n, 1, 1, out) added at every pixel of image n, or -1                               */
    drl_tensor residual;    /* r, of the output's shape, added, or -1                                                */
    double scale;           /* of the whole sum; 0 means 1                                                           */
    const char *norm;       /* batch norm and rectifier that follow, folded into the weights (see below), or NULL    */
    double norm_eps;
} drl_conv_cfg;

/* y[n,i,j,o] = scale ( sum_{a,b,c} weight[o,c,a,b] x[n, i s + a - p, j s + b - p, c] + bias[o] + v[n,o] + r[n,i,j,o] )
 * with zeros outside the image. weight (out, c, k, k), bias (out). Output side: floor((h + total padding - k) / s) + 1.
 *
 * With `norm`, in graphs that neither train nor keep gradients:  max(0, batch norm NORM by its running values of y),
 * the parameters being those of drl_op_batch_norm. Its slope goes into the weights when a run begins, its bias into
 * what the sum starts from. No residual then. */
drl_tensor drl_op_conv(drl_graph *g, drl_tensor x, const char *name, const drl_conv_cfg *cfg);

/* y = x weight^T + bias on the last axis: (n, h, w, c) -> (n, h, w, out). weight (out, c), bias (out). */
drl_tensor drl_op_linear(drl_graph *g, drl_tensor x, const char *name, size_t out, drl_init weight, drl_init bias);
/* The same with both parameters' full names given. */
drl_tensor drl_op_linear_named(drl_graph *g, drl_tensor x, const char *weight_name, const char *bias_name, size_t out,
                               drl_init weight, drl_init bias);

/* ---- Normalisation; act, in the same pass: 0 none; group norm also 's' SiLU; batch norm also 'r' ReLU ------------ */

/* y = act( weight (x - mean) / sqrt(var + eps) + bias ), mean and biased variance over the pixels and channels of one
 * of `groups` groups of consecutive channels of one image; then dropout of rate p where the graph trains and p > 0
 * (kept values divided by 1 - p). groups divides c. weight, bias (c).                          [vectors, 4.3, 4.5] */
drl_tensor drl_op_group_norm(drl_graph *g, drl_tensor x, const char *name, size_t groups, double eps, int act,
                             double dropout);

/* y = act( weight (x - mean) / sqrt(var + eps) + bias ), per channel: over the whole batch where the graph trains
 * (running_x = (1 - momentum) running_x + momentum batch_x, with the unbiased variance), by the running values
 * otherwise. weight, bias, running_mean, running_var (c).                                           [vectors, 4.2] */
drl_tensor drl_op_batch_norm(drl_graph *g, drl_tensor x, const char *name, double eps, double momentum, int act);

/* y = weight (x - mean) / sqrt(var + eps) + bias over the last axis, biased variance.  */
drl_tensor drl_op_layer_norm(drl_graph *g, drl_tensor x, const char *weight_name, const char *bias_name, double eps);

/* ---- Pointwise --------------------------------------------------------------------------------------------------- */
drl_tensor drl_op_relu(drl_graph *g, drl_tensor x);
drl_tensor drl_op_silu(drl_graph *g, drl_tensor x);
/* y = x mask / (1 - p), mask 1 with probability 1 - p, drawn for (seed, step, op, element); y = x where the graph does
 * not train. p is rounded to a multiple of 2^-16 in the draw. */
drl_tensor drl_op_dropout(drl_graph *g, drl_tensor x, double p);
/* The same with the mask given: a tensor of x's shape. */
drl_tensor drl_op_mask(drl_graph *g, drl_tensor x, drl_tensor mask, double p);
/* y = (a + b) scale; same shapes. */
drl_tensor drl_op_add(drl_graph *g, drl_tensor a, drl_tensor b, double scale);
/* y[n, ...] = x[n, ...] k[n], k (n, 1, 1, 1) without gradient. */
drl_tensor drl_op_scale_images(drl_graph *g, drl_tensor x, drl_tensor k);

/* ---- Shape ------------------------------------------------------------------------------------------------------- */
/* Mean of each 2x2 square (h, w even); every pixel repeated as a 2x2 square; mean over all pixels -> (n, 1, 1, c). */
drl_tensor drl_op_downsample(drl_graph *g, drl_tensor x);
drl_tensor drl_op_upsample(drl_graph *g, drl_tensor x);
drl_tensor drl_op_global_mean(drl_graph *g, drl_tensor x);
/* Channels of a, then of b. */
drl_tensor drl_op_concat(drl_graph *g, drl_tensor a, drl_tensor b);
/* Channels from .. from + n - 1. */
drl_tensor drl_op_channels(drl_graph *g, drl_tensor x, size_t from, size_t n);
/* Vector (n, c h w), channel slowest -> (n, h, w, c): the view of vectors 6.1. */
drl_tensor drl_op_unflatten(drl_graph *g, drl_tensor x, drl_shape shape);

/* ---- Attention --------------------------------------------------------------------------------------------------- */
/* y[p] = sum_r softmax_r( q[p] . k[r] / sqrt(c / heads) ) v[r] over the pixels r of the image, separately in each of
 * `heads` slices of the channels. q, k, v (n, h, w, c).                                             [vectors, 4.6] */
drl_tensor drl_op_attention(drl_graph *g, drl_tensor q, drl_tensor k, drl_tensor v, size_t heads);

/* ---- Time -------------------------------------------------------------------------------------------------------- */
/* How the scalar s of the features follows from the input x (n, 1, 1, 1); computed in double. */
typedef enum drl_time_map {
    DRL_TIME_LOG_LABEL, /* s = ln x: x is the label itself                                                            */
    DRL_TIME_VE,        /* s = ln 0.01 + x ln 5000: x is t of the VE process                                          */
    DRL_TIME_VP,        /* s = ln max(999 x, 1e-3): x is t of the VP or sub-VP process                                */
} drl_time_map;

/* y = [ sin(2 pi s f), cos(2 pi s f) ], (n, 1, 1, 2 nf); f = NAME (nf), normal with deviation 16, not trained.
 *                                                                                               [vectors, 4.1] */
drl_tensor drl_op_time_features(drl_graph *g, drl_tensor x, const char *name, size_t nf, drl_time_map map);
/* t (n, 1, 1, 1) = sigmoid(tau), the same for all images; tau = NAME (1) is trained and begins at `initial`.
 *                                                                                          [science, 5, R2] */
drl_tensor drl_op_learnt_time(drl_graph *g, const char *name, double initial);

/* ---- Sequences: a sequence of T vectors is (n, T, 1, d) ---------------------------------------------------------- */
/* Last hidden state (n, 1, 1, hidden) of a GRU run from h0 (n, 1, 1, hidden), or from 0 where h0 is -1. Parameters
 * NAMEweight_ih (3 hidden, d), NAMEweight_hh (3 hidden, hidden), NAMEbias_ih, NAMEbias_hh (3 hidden), gates in the
 * order r, u, n.                                                                                  [vectors, 11] */
drl_tensor drl_op_gru(drl_graph *g, drl_tensor x, drl_tensor h0, const char *name, size_t hidden, drl_init init);
/* y = sinusoidal positions, a table (n, T, 1, d): even columns 2j sin(pos / 10000^(2j/d)), odd ones the cosine. */
drl_tensor drl_op_positions(drl_graph *g, size_t length, size_t d);

/* ---- Losses: scalars per image, (n, 1, 1, 1) --------------------------------------------------------------------- */
/* y[n] = weight[n]/2 sum over pixels of ( s[n] score + noise )^2                  [science, 3; vectors, 9: `match`]
 * score, noise of one shape; s, weight (n, 1, 1, 1); gradient to score only. */
drl_tensor drl_op_dsm_loss(drl_graph *g, drl_tensor score, drl_tensor noise, drl_tensor s, drl_tensor weight);
/* y[n] = 1/2 sum over pixels of ( x - target )^2: -log N(target; x, I) up to a constant. x, target (n, h, w, c);
 * gradient to x only. */
drl_tensor drl_op_squared_error(drl_graph *g, drl_tensor x, drl_tensor target);
/* y[n] = 2 - 2 <p, target> / (|p| |target|), in [0, 4]; lengths below 1e-12 count as that. p, target of one shape;
 * gradient to p only.                                                            [BYOL, Grill et al. 2020, eq. 2] */
drl_tensor drl_op_cosine_loss(drl_graph *g, drl_tensor p, drl_tensor target);
/* y[n] = sum_j |z[n,j]|; the gradient at 0 is 0. */
drl_tensor drl_op_l1(drl_graph *g, drl_tensor z);
/* ml (n, 2d) = [mean | log variance]; z = mean + exp(logvar / 2) noise, noise (n, d) without gradient. */
drl_tensor drl_op_reparameterise(drl_graph *g, drl_tensor ml, drl_tensor noise);
/* y[n] = KL( N(mean, v) || N(0, I) ) = -1/2 sum_j (1 + logvar - mean^2 - exp logvar). */
drl_tensor drl_op_kl(drl_graph *g, drl_tensor ml);
/* y[n] = -log softmax(logits[n])[label[n]]; labels (n, 1, 1, 1) hold whole numbers. */
drl_tensor drl_op_cross_entropy(drl_graph *g, drl_tensor logits, drl_tensor labels);
/* NT-Xent over a batch of pairs: z1, z2 (n, 1, 1, d); y[n] = half the sum of the losses of rows n and n + N, so that
 * the batch mean of y is the loss of vectors 11. A whole-batch op. */
drl_tensor drl_op_nt_xent(drl_graph *g, drl_tensor z1, drl_tensor z2, double temperature);
/* VICReg of two batches of codes z1, z2 (n, 1, 1, d). The batch mean of y is, with C the unbiased covariance (d, d),
 *   invariance mean over n and d of (z1 - z2)^2 + sum over z1 and z2 of
 *   variance/2 mean over d of max(0, 1 - sqrt(C_jj + 1e-4)) + covariance/d sum over j != k of C_jk^2
 * [Bardes, Ponce, LeCun 2022, and their code]; y[n] has image n's share of the first term and all of the others. A
 * whole-batch op; one image has covariance 0. ERR_CONFIG for a negative weight. */
drl_tensor drl_op_vicreg(drl_graph *g, drl_tensor z1, drl_tensor z2, double invariance, double variance,
                         double covariance);

#endif
