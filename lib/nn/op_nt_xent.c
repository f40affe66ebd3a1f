/* NT-Xent, the contrastive loss of SimCLR, over all pairs of a batch.                                [vectors, 11]
 *
 * The 2N rows u_i (z1 over z2, each divided by its length) give S = u u^T / temperature; the partner of row i is
 * (i + N) mod 2N;  l_i = -S[i,p(i)] + log sum_{j != i} exp S[i,j],  loss = mean of the 2N l_i.
 * Gradient with respect to u, for the objective sum_i g_i l_i:
 *   du_i = 1/temperature sum_j ( g_i (P_ij - [j = p(i)]) + g_j (P_ji - [i = p(j)]) ) u_j,
 * P the softmax over j != i, and dz = ( du - u (u . du) ) / |z|.
 * Forward phase 0 puts the shard's unit rows where all shards see them; phase 1 computes its images' losses. Backward
 * phase 0 publishes the upstream gradients and log-sums; phase 1 the shard's rows of dz. */
#include <string.h>

#include "drl/ops.h"
#include "nn/op.h"

/* A shard's partials: unit rows of z1 and of z2, (2, shard, d), then per row: length, log-sum, upstream: (3, 2, shard).
 */
static double *unit_row(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, size_t i) {
    size_t N = run->batch, half = i / N, n = i % N, s = n / run->shard_size, d = nd->xs[0].c;
    return b->partial + s * nd->partials + (half * run->shard_size + n % run->shard_size) * d;
}

enum { LENGTH, LOG_SUM, UPSTREAM };

static double *row_value(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, size_t i, int which) {
    size_t N = run->batch, half = i / N, n = i % N, s = n / run->shard_size, S = run->shard_size;
    return b->partial + s * nd->partials + 2 * S * nd->xs[0].c + ((size_t)which * 2 + half) * S + n % S;
}

static double similarity(const drl_node *nd, const double *u, const double *v) {
    double dot = 0;
    for (size_t c = 0; c < nd->xs[0].c; c++) dot += u[c] * v[c];
    return dot / nd->cfg.scale;
}

/* log sum over j != i of exp S[i,j]; S <= 1/temperature, so that no maximum has to be taken off for sane temperatures,
 * but it is: the bound itself. */
static double log_sum(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, size_t i) {
    double sum = 0, top = 1 / nd->cfg.scale;
    const double *u = unit_row(nd, b, run, i);
    for (size_t j = 0; j < 2 * run->batch; j++)
        if (j != i) sum += exp(similarity(nd, u, unit_row(nd, b, run, j)) - top);
    return top + log(sum);
}

static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    size_t N = run->batch, d = nd->xs[0].c;
    for (size_t n = 0; n < run->n; n++) {
        double loss = 0;
        for (size_t half = 0; half < 2; half++) {
            size_t i = half * N + run->first + n;
            if (phase == 0) {
                const drl_real *z = b->x[half] + n * d;
                double square = 0, *u = unit_row(nd, b, run, i);
                for (size_t c = 0; c < d; c++) square += (double)z[c] * (double)z[c];
                double length = fmax(sqrt(square), 1e-12);
                for (size_t c = 0; c < d; c++) u[c] = (double)z[c] / length;
                *row_value(nd, b, run, i, LENGTH) = length;
            } else {
                double lse = log_sum(nd, b, run, i), *u = unit_row(nd, b, run, i);
                *row_value(nd, b, run, i, LOG_SUM) = lse;
                loss += lse - similarity(nd, u, unit_row(nd, b, run, (i + N) % (2 * N)));
            }
        }
        if (phase == 1) b->y[n] = (drl_real)(loss / 2);
    }
}

/* du (d) of row i, then dz into dx. */
static void row_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, size_t i, drl_real *dx,
                         bool add) {
    size_t N = run->batch, d = nd->xs[0].c;
    double *du = drl_arena_take(run->scratch, d * sizeof *du), along = 0, *u = unit_row(nd, b, run, i);
    memset(du, 0, d * sizeof *du);
    double gi = *row_value(nd, b, run, i, UPSTREAM), li = *row_value(nd, b, run, i, LOG_SUM);
    for (size_t j = 0; j < 2 * N; j++) {
        if (j == i) continue;
        double *v = unit_row(nd, b, run, j), s = similarity(nd, u, v), partner = j == (i + N) % (2 * N);
        double gj = *row_value(nd, b, run, j, UPSTREAM), lj = *row_value(nd, b, run, j, LOG_SUM);
        double k = (gi * (exp(s - li) - partner) + gj * (exp(s - lj) - partner)) / nd->cfg.scale;
        for (size_t c = 0; c < d; c++) du[c] += k * v[c];
    }
    for (size_t c = 0; c < d; c++) along += u[c] * du[c];
    for (size_t c = 0; c < d; c++)
        dx[c] = (add ? dx[c] : 0) + (drl_real)((du[c] - u[c] * along) / *row_value(nd, b, run, i, LENGTH));
}

static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    size_t N = run->batch, d = nd->xs[0].c;
    for (size_t n = 0; n < run->n; n++)
        for (size_t half = 0; half < 2; half++) {
            size_t i = half * N + run->first + n, mark = drl_arena_mark(run->scratch);
            if (phase == 0)
                *row_value(nd, b, run, i, UPSTREAM) = (double)b->dy[n] / 2;
            else if (b->dx[half])
                row_backward(nd, b, run, i, b->dx[half] + n * d, b->add[half]);
            drl_arena_release(run->scratch, mark);
        }
}

static const drl_op_type nt_xent_type = {"nt_xent", 2, 2, 3u, forward, backward, NULL, NULL};

drl_tensor drl_op_nt_xent(drl_graph *g, drl_tensor z1, drl_tensor z2, double temperature) {
    drl_shape a = drl_graph_shape(g, z1), b = drl_graph_shape(g, z2);
    if (a.h != 1 || a.w != 1 || memcmp(&a, &b, sizeof a) != 0 || !(temperature > 0))
        return drl_graph_fail(g, DRL_ERR_SHAPE, "nt_xent: want two vectors of one size and a positive temperature");
    drl_node nd = {.type = &nt_xent_type, .in = {z1, z2}, .n_in = 2, .cfg = {.scale = temperature}};
    size_t S = drl_graph_config(g)->shard;
    nd.partials = 2 * S * a.c + 6 * S;
    nd.scratch_bytes = a.c * sizeof(double) + DRL_ALIGN;
    return drl_graph_append(g, &nd, (drl_shape){1, 1, 1}, NULL);
}
