/* Batch normalisation with the rectifier that follows it.                                            [vectors, 4.2]
 *
 *   xhat = (x - mean_c) rstd_c,   y = act(weight xhat + bias)
 * Training: mean and variance over the whole batch. Phase 0 finds each shard's count, mean and centred sum of squares;
 * after the barrier every shard combines all of them in shard order (Chan et al.), which gives every shard the same
 * bits. Backward in the same way:
 *   da = dy act',  dweight = sum da xhat,  dbias = sum da,
 *   dx = weight rstd ( da - ( dbias + xhat dweight ) / M )       over all M pixels of the batch.
 * Evaluation: mean and variance are the running ones, constants: dx = weight rstd da. */
#include <assert.h>
#include <string.h>

#include "drl/ops.h"
#include "nn/norm.h"
#include "nn/op.h"

/* Doubles a shard contributes: mean, squares (forward), sums, dots (backward), C of each. */
enum { MEAN, SQUARES, SUMS, DOTS, PARTS };

static double *part(const drl_node *nd, const drl_op_bufs *b, size_t shard, int which) {
    return b->partial + shard * nd->partials + (size_t)which * nd->ys.c;
}

/* Pixels of shard s of this run. */
static double count_of(const drl_node *nd, const drl_run *run, size_t s) {
    size_t first = s * run->shard_size, left = run->batch - first;
    return (double)((left < run->shard_size ? left : run->shard_size) * nd->ys.h * nd->ys.w);
}

/* Parallel variance: with counts a and b, M2 = M2a + M2b + (mean_b - mean_a)^2 a b / (a + b). */
static void combine(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, size_t c, double *mean, double *m2) {
    double n = count_of(nd, run, 0);
    *mean = part(nd, b, 0, MEAN)[c];
    *m2 = part(nd, b, 0, SQUARES)[c];
    for (size_t s = 1; s < run->shards; s++) {
        double k = count_of(nd, run, s), delta = part(nd, b, s, MEAN)[c] - *mean;
        *m2 += part(nd, b, s, SQUARES)[c] + delta * delta * (n * k / (n + k));
        *mean += delta * (k / (n + k));
        n += k;
    }
}

/* saved (of the shard): rstd, mean per channel. */
static void find_statistics(const drl_node *nd, const drl_op_bufs *b, const drl_run *run) {
    size_t C = nd->ys.c;
    double M = (double)(run->batch * nd->ys.h * nd->ys.w), m = nd->cfg.momentum;
    for (size_t c = 0; c < C; c++) {
        double mean, var, m2;
        if (!nd->cfg.training) {
            mean = (double)b->w[2][c];
            var = (double)b->w[3][c];
        } else { /* the running values belong to shard 0 here: no one else may look at them */
            combine(nd, b, run, c, &mean, &m2);
            var = m2 / M;
            if (run->shard == 0) {
                b->w[2][c] = (drl_real)((1 - m) * (double)b->w[2][c] + m * mean);
                b->w[3][c] = (drl_real)((1 - m) * (double)b->w[3][c] + m * (M > 1 ? m2 / (M - 1) : 0));
            }
        }
        double rstd = 1 / sqrt(var + nd->cfg.eps);
        b->saved[c] = (drl_real)rstd;
        b->saved[C + c] = (drl_real)mean;
    }
}

/* The map to a: slope = weight rstd goes to `slope` (C). */
static drl_affine find_affine(const drl_node *nd, const drl_op_bufs *b, drl_real *slope) {
    for (size_t c = 0; c < nd->ys.c; c++) slope[c] = b->w[0][c] * b->saved[c];
    return (drl_affine){b->saved + nd->ys.c, slope, b->w[1], nd->cfg.relu};
}

static void again(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t C = nd->ys.c;
    drl_affine n = find_affine(nd, b, drl_arena_take(run->scratch, C * sizeof(drl_real)));
    drl_norm_apply(b->y, b->x[0], &n, run->n * nd->ys.h * nd->ys.w, C);
}

static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    size_t C = nd->ys.c, pixels = run->n * nd->ys.h * nd->ys.w;
    if (phase == 0 && nd->cfg.training) {
        drl_channel_moments(part(nd, b, run->shard, MEAN), part(nd, b, run->shard, SQUARES), b->x[0], pixels, C);
        return;
    }
    find_statistics(nd, b, run);
    again(nd, b, run, phase);
}

static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    size_t C = nd->ys.c, pixels = run->n * nd->ys.h * nd->ys.w;
    drl_affine n = find_affine(nd, b, drl_arena_take(run->scratch, C * sizeof(drl_real)));
    if (phase == 0) {
        double *sums = part(nd, b, run->shard, SUMS), *dots = part(nd, b, run->shard, DOTS);
        memset(sums, 0, C * sizeof *sums);
        memset(dots, 0, C * sizeof *dots);
        drl_channel_dots(sums, dots, b->dy, b->x[0], &n, pixels, C);
        for (size_t c = 0; c < C; c++) {
            dots[c] *= (double)b->saved[c];
            b->dw[0][c] += (drl_real)dots[c];
            b->dw[1][c] += (drl_real)sums[c];
        }
        return;
    }
    if (!b->dx[0]) return;
    /* dx = k0 da + k1 (x - mean) + k2 with the sums of all shards, added in order */
    drl_real *k0 = drl_arena_take(run->scratch, 3 * C * sizeof *k0), *k1 = k0 + C, *k2 = k1 + C;
    double M = (double)(run->batch * nd->ys.h * nd->ys.w);
    for (size_t c = 0; c < C; c++) {
        double sum = 0, dot = 0, scale = (double)b->w[0][c] * (double)b->saved[c];
        for (size_t s = 0; nd->cfg.training && s < run->shards; s++) {
            sum += part(nd, b, s, SUMS)[c];
            dot += part(nd, b, s, DOTS)[c];
        }
        k0[c] = (drl_real)scale;
        k1[c] = (drl_real)(-scale * (double)b->saved[c] * dot / M);
        k2[c] = (drl_real)(-scale * sum / M);
    }
    drl_norm_dx(b->dx[0], b->dy, b->x[0], &n, k0, k1, k2, b->add[0], pixels, C);
}

static const drl_op_type batch_norm_train_type = {"batch_norm", 2, 2, 1u << 0, forward, backward, NULL, again};
static const drl_op_type batch_norm_eval_type = {"batch_norm_eval", 1, 2, 1u << 0, forward, backward, NULL, again};

void drl_node_batch_norm(drl_graph *g, drl_node *nd, const char *name, size_t c) {
    const drl_init one = {DRL_INIT_CONSTANT, 1}, zero = {DRL_INIT_CONSTANT, 0};
    drl_node_param(g, nd, name, "weight", 1, &c, true, DRL_LAYOUT_PLAIN, one);
    drl_node_param(g, nd, name, "bias", 1, &c, true, DRL_LAYOUT_PLAIN, zero);
    drl_node_param(g, nd, name, "running_mean", 1, &c, false, DRL_LAYOUT_PLAIN, zero);
    drl_node_param(g, nd, name, "running_var", 1, &c, false, DRL_LAYOUT_PLAIN, one);
}

drl_tensor drl_op_batch_norm(drl_graph *g, drl_tensor x, const char *name, double eps, double momentum, int act) {
    if (drl_graph_failed(g)) return -1;
    if (act != 0 && act != 'r') return drl_graph_fail(g, DRL_ERR_CONFIG, "%s: no activation '%c' here", name, act);
    drl_shape s = drl_graph_shape(g, x);
    const drl_graph_cfg *cfg = drl_graph_config(g);
    drl_node nd = {.type = cfg->training ? &batch_norm_train_type : &batch_norm_eval_type, .in = {x}, .n_in = 1};
    nd.cfg = (drl_op_cfg){.eps = eps, .momentum = momentum, .training = cfg->training};
    nd.cfg.relu = act == 'r' && !cfg->unfused;
    drl_node_batch_norm(g, &nd, name, s.c);
    nd.saved_per_shard = 2 * s.c;
    nd.partials = PARTS * s.c;
    nd.scratch_bytes = 4 * s.c * sizeof(drl_real) + 2 * DRL_ALIGN;
    drl_tensor y = drl_graph_append(g, &nd, s, name);
    return act == 'r' && cfg->unfused ? drl_op_relu(g, y) : y;
}
