/* VICReg, a loss of two batches of codes: invariance, variance, covariance.      [Bardes, Ponce, LeCun 2022, section 4]
 *
 * With zc = z - mean over the batch and C = zc^T zc / (N - 1), for either side:
 *   y[n] = invariance/d |z1[n] - z2[n]|^2 + sum over both sides of
 *          variance/(2 d) sum_j max(0, 1 - s_j) + covariance/d sum_{j != k} C_jk^2,      s_j = sqrt(C_jj + 1e-4).
 * Gradient of sum_n g_n y[n], with G = sum_n g_n (zc's mean over the batch is 0, and so is that of zc Gamma):
 *   dz1[n] = g_n 2 invariance/d (z1[n] - z2[n]) + G 2/(N - 1) zc1[n] Gamma1,     dz2 the same with 1 and 2 exchanged,
 *   Gamma_jk = 2 covariance/d C_jk,   Gamma_jj = -variance/(4 d s_j) where s_j < 1, else 0.
 * Forward phases: the shard's rows and their sums go where all shards see them; it centres its rows; it makes its share
 * of the rows of C, over all images in order; it computes its images' losses. Backward: upstream gradients; dz. */
#include <string.h>

#include "drl/ops.h"
#include "nn/op.h"

#define VARIANCE_EPS 1e-4

enum { INVARIANCE, VARIANCE, COVARIANCE }; /* cfg.weight */

/* A shard's partials: rows (2, shard, d), their sums (2, d), its rows of C (2, R, d), what each adds to the loss
 * (2, R), the sum of its upstream gradients. R = cfg.groups rows of C lie with every shard, whoever computes them. */
static double *rows_at(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, int side, size_t n) {
    size_t S = run->shard_size;
    return b->partial + n / S * nd->partials + ((size_t)side * S + n % S) * nd->xs[0].c;
}

static double *sums_at(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, int side, size_t shard) {
    return b->partial + shard * nd->partials + (2 * run->shard_size + (size_t)side) * nd->xs[0].c;
}

static double *covariance_at(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, int side, size_t j) {
    size_t R = nd->cfg.groups, d = nd->xs[0].c;
    return sums_at(nd, b, run, 2, j / R) + ((size_t)side * R + j % R) * d;
}

static double *term_at(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, int side, size_t j) {
    size_t R = nd->cfg.groups, d = nd->xs[0].c;
    return sums_at(nd, b, run, 2, j / R) + 2 * R * d + (size_t)side * R + j % R;
}

static double *upstream_at(const drl_node *nd, const drl_op_bufs *b, size_t shard) {
    return b->partial + (shard + 1) * nd->partials - 1;
}

static void publish(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, int side) {
    size_t d = nd->xs[0].c;
    double *sums = sums_at(nd, b, run, side, run->shard);
    memset(sums, 0, d * sizeof *sums);
    for (size_t n = 0; n < run->n; n++) {
        double *row = rows_at(nd, b, run, side, run->first + n);
        for (size_t j = 0; j < d; j++) {
            row[j] = (double)b->x[side][n * d + j];
            sums[j] += row[j];
        }
    }
}

static void centre(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, int side) {
    size_t d = nd->xs[0].c;
    for (size_t j = 0; j < d; j++) {
        double mean = 0;
        for (size_t s = 0; s < run->shards; s++) mean += sums_at(nd, b, run, side, s)[j];
        mean /= (double)run->batch;
        for (size_t n = 0; n < run->n; n++) rows_at(nd, b, run, side, run->first + n)[j] -= mean;
    }
}

/* 1/(N - 1); one image has no covariance, and its centred row is 0. */
static double unbiased(const drl_run *run) {
    return run->batch > 1 ? 1 / (double)(run->batch - 1) : 1;
}

/* Rows shard, shard + shards, ... of C and their terms. */
static void covariances(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, int side) {
    size_t d = nd->xs[0].c;
    for (size_t j = run->shard; j < d; j += run->shards)
        memset(covariance_at(nd, b, run, side, j), 0, d * sizeof(double));
    for (size_t n = 0; n < run->batch; n++) {
        const double *restrict z = rows_at(nd, b, run, side, n);
        for (size_t j = run->shard; j < d; j += run->shards) {
            double *restrict c = covariance_at(nd, b, run, side, j), zj = z[j];
            for (size_t k = 0; k < d; k++) c[k] += zj * z[k];
        }
    }
    for (size_t j = run->shard; j < d; j += run->shards) {
        double *c = covariance_at(nd, b, run, side, j), squares = 0;
        for (size_t k = 0; k < d; k++) {
            c[k] *= unbiased(run);
            squares += k == j ? 0 : c[k] * c[k];
        }
        double hinge = fmax(0, 1 - sqrt(c[j] + VARIANCE_EPS));
        *term_at(nd, b, run, side, j) =
            (nd->cfg.weight[VARIANCE] * hinge / 2 + nd->cfg.weight[COVARIANCE] * squares) / (double)d;
    }
}

static void losses(const drl_node *nd, const drl_op_bufs *b, const drl_run *run) {
    size_t d = nd->xs[0].c;
    double shared = 0;
    for (int side = 0; side < 2; side++)
        for (size_t j = 0; j < d; j++) shared += *term_at(nd, b, run, side, j);
    for (size_t n = 0; n < run->n; n++) {
        double squares = 0;
        for (size_t j = 0; j < d; j++) {
            double r = (double)b->x[0][n * d + j] - (double)b->x[1][n * d + j];
            squares += r * r;
        }
        b->y[n] = (drl_real)(nd->cfg.weight[INVARIANCE] * squares / (double)d + shared);
    }
}

static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    for (int side = 0; side < 2; side++) {
        if (phase == 0) publish(nd, b, run, side);
        if (phase == 1) centre(nd, b, run, side);
        if (phase == 2) covariances(nd, b, run, side);
    }
    if (phase == 3) losses(nd, b, run);
}

/* dz of image n of this shard; G is the sum of all upstream gradients. */
static void row_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, int side, size_t n, double G) {
    size_t d = nd->xs[0].c, mark = drl_arena_mark(run->scratch);
    double *restrict sum = drl_arena_take(run->scratch, d * sizeof *sum); /* zc C */
    const double *restrict z = rows_at(nd, b, run, side, run->first + n);
    memset(sum, 0, d * sizeof *sum);
    for (size_t k = 0; k < d; k++) {
        const double *restrict c = covariance_at(nd, b, run, side, k);
        for (size_t j = 0; j < d; j++) sum[j] += z[k] * c[j];
    }
    double variance = nd->cfg.weight[VARIANCE] / (4 * (double)d),
           covariance = 2 * nd->cfg.weight[COVARIANCE] / (double)d;
    double apart = 2 * nd->cfg.weight[INVARIANCE] / (double)d * (double)b->dy[n], shared = G * 2 * unbiased(run);
    const drl_real *mine = b->x[side] + n * d, *other = b->x[1 - side] + n * d;
    drl_real *dz = b->dx[side] + n * d;
    for (size_t j = 0; j < d; j++) {
        double c = covariance_at(nd, b, run, side, j)[j], s = sqrt(c + VARIANCE_EPS);
        double pull = covariance * (sum[j] - c * z[j]) - (s < 1 ? variance / s * z[j] : 0);
        double got = apart * ((double)mine[j] - (double)other[j]) + shared * pull;
        dz[j] = (b->add[side] ? dz[j] : 0) + (drl_real)got;
    }
    drl_arena_release(run->scratch, mark);
}

static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    double G = 0;
    if (phase == 0) {
        for (size_t n = 0; n < run->n; n++) G += (double)b->dy[n];
        *upstream_at(nd, b, run->shard) = G;
        return;
    }
    for (size_t s = 0; s < run->shards; s++) G += *upstream_at(nd, b, s);
    for (int side = 0; side < 2; side++)
        for (size_t n = 0; b->dx[side] && n < run->n; n++) row_backward(nd, b, run, side, n, G);
}

static const drl_op_type vicreg_type = {"vicreg", 4, 2, 3u, forward, backward, NULL, NULL};

drl_tensor drl_op_vicreg(drl_graph *g, drl_tensor z1, drl_tensor z2, double invariance, double variance,
                         double covariance) {
    drl_shape a = drl_graph_shape(g, z1), b = drl_graph_shape(g, z2);
    if (a.h != 1 || a.w != 1 || memcmp(&a, &b, sizeof a) != 0)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "vicreg: want two vectors of one size");
    if (!(invariance >= 0 && variance >= 0 && covariance >= 0))
        return drl_graph_fail(g, DRL_ERR_CONFIG, "vicreg: weights %g, %g, %g; none may be negative", invariance,
                              variance, covariance);
    drl_node nd = {.type = &vicreg_type, .in = {z1, z2}, .n_in = 2};
    const drl_graph_cfg *cfg = drl_graph_config(g);
    size_t shards = (cfg->batch + cfg->shard - 1) / cfg->shard, R = (a.c + shards - 1) / shards;
    nd.cfg = (drl_op_cfg){.groups = R, .weight = {invariance, variance, covariance}};
    nd.partials = 2 * (cfg->shard + 1) * a.c + 2 * R * (a.c + 1) + 1;
    nd.scratch_bytes = a.c * sizeof(double) + DRL_ALIGN;
    return drl_graph_append(g, &nd, (drl_shape){1, 1, 1}, NULL);
}
