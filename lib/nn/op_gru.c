/* Gated recurrent unit over a sequence.                                                              [vectors, 11]
 *
 *   r = sigmoid(Wr x + br + Vr h + cr),  u = sigmoid(Wu x + bu + Vu h + cu)
 *   n = tanh(Wn x + bn + r (Vn h + cn)),  h' = (1 - u) n + u h
 * Saved per image and step: r, u, n, p = Vn h + cn and h (before the step). */
#include <stdio.h>
#include <string.h>

#include "drl/blas.h"
#include "drl/ops.h"
#include "nn/op.h"

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* Block `which` (0 r, 1 u, 2 n, 3 p, 4 h) of step t: (n images, H). */
static drl_real *block(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, size_t t, int which) {
    return b->saved + (t * 5 + (size_t)which) * run->shard_size * nd->ys.c;
}

/* One step: a = x W^T + b, c = h V^T + c, then the gates. h is read from block 4 and the new state written to `next`.
 */
static void step(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, size_t t, drl_real *next) {
    size_t H = nd->ys.c, T = nd->xs[0].h, D = nd->xs[0].c;
    drl_real *a = drl_arena_take(run->scratch, 2 * run->n * 3 * H * sizeof *a), *c = a + run->n * 3 * H;
    const drl_real *h = block(nd, b, run, t, 4);
    for (size_t i = 0; i < run->n; i++) {
        memcpy(a + i * 3 * H, b->w[2], 3 * H * sizeof *a);
        memcpy(c + i * 3 * H, b->w[3], 3 * H * sizeof *c);
    }
    drl_gemm(false, true, run->n, 3 * H, D, 1, b->x[0] + t * D, T * D, b->w[0], D, 1, a, 3 * H);
    drl_gemm(false, true, run->n, 3 * H, H, 1, h, H, b->w[1], H, 1, c, 3 * H);
    drl_real *r = block(nd, b, run, t, 0), *u = block(nd, b, run, t, 1), *m = block(nd, b, run, t, 2);
    drl_real *p = block(nd, b, run, t, 3);
    for (size_t i = 0; i < run->n; i++)
        for (size_t j = 0; j < H; j++) {
            size_t e = i * H + j, g = i * 3 * H + j;
            r[e] = (drl_real)sigmoid((double)(a[g] + c[g]));
            u[e] = (drl_real)sigmoid((double)(a[g + H] + c[g + H]));
            p[e] = c[g + 2 * H];
            m[e] = (drl_real)tanh((double)(a[g + 2 * H] + r[e] * p[e]));
            next[e] = (1 - u[e]) * m[e] + u[e] * h[e];
        }
}

static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t H = nd->ys.c, T = nd->xs[0].h;
    if (nd->n_in == 2)
        memcpy(block(nd, b, run, 0, 4), b->x[1], run->n * H * sizeof(drl_real));
    else
        memset(block(nd, b, run, 0, 4), 0, run->n * H * sizeof(drl_real));
    for (size_t t = 0; t < T; t++) {
        size_t mark = drl_arena_mark(run->scratch);
        step(nd, b, run, t, t + 1 < T ? block(nd, b, run, t + 1, 4) : b->y);
        drl_arena_release(run->scratch, mark);
    }
}

/* Gradients of step t: dh (gradient of h') becomes the gradient of h. da, dc are those of a and c above. */
static void step_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, size_t t, drl_real *dh) {
    size_t H = nd->ys.c, T = nd->xs[0].h, D = nd->xs[0].c, G = 3 * H;
    drl_real *da = drl_arena_take(run->scratch, 2 * run->n * G * sizeof *da), *dc = da + run->n * G;
    const drl_real *r = block(nd, b, run, t, 0), *u = block(nd, b, run, t, 1), *m = block(nd, b, run, t, 2);
    const drl_real *p = block(nd, b, run, t, 3), *h = block(nd, b, run, t, 4);
    for (size_t i = 0; i < run->n; i++)
        for (size_t j = 0; j < H; j++) {
            size_t e = i * H + j, g = i * G + j;
            drl_real dm = dh[e] * (1 - u[e]) * (1 - m[e] * m[e]), du = dh[e] * (h[e] - m[e]) * u[e] * (1 - u[e]);
            drl_real dr = dm * p[e] * r[e] * (1 - r[e]);
            da[g] = dc[g] = dr;
            da[g + H] = dc[g + H] = du;
            da[g + 2 * H] = dm;
            dc[g + 2 * H] = dm * r[e];
            dh[e] *= u[e];
        }
    drl_gemm(true, false, G, D, run->n, 1, da, G, b->x[0] + t * D, T * D, 1, b->dw[0], D);
    drl_gemm(true, false, G, H, run->n, 1, dc, G, h, H, 1, b->dw[1], H);
    for (size_t i = 0; i < run->n; i++)
        for (size_t g = 0; g < G; g++) {
            b->dw[2][g] += da[i * G + g];
            b->dw[3][g] += dc[i * G + g];
        }
    if (b->dx[0]) drl_gemm(false, false, run->n, D, G, 1, da, G, b->w[0], D, b->add[0], b->dx[0] + t * D, T * D);
    drl_gemm(false, false, run->n, H, G, 1, dc, G, b->w[1], H, 1, dh, H);
}

static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t H = nd->ys.c, size = run->n * H;
    drl_real *dh = drl_arena_take(run->scratch, size * sizeof *dh);
    memcpy(dh, b->dy, size * sizeof *dh);
    for (size_t t = nd->xs[0].h; t-- > 0;) {
        size_t mark = drl_arena_mark(run->scratch);
        step_backward(nd, b, run, t, dh);
        drl_arena_release(run->scratch, mark);
    }
    for (size_t i = 0; nd->n_in == 2 && b->dx[1] && i < size; i++) b->dx[1][i] = (b->add[1] ? b->dx[1][i] : 0) + dh[i];
}

static const drl_op_type gru_type = {"gru", 1, 1, 1u << 0, forward, backward, NULL, NULL};

drl_tensor drl_op_gru(drl_graph *g, drl_tensor x, drl_tensor h0, const char *name, size_t hidden, drl_init init) {
    if (drl_graph_failed(g)) return -1;
    drl_shape s = drl_graph_shape(g, x), hs = {1, 1, hidden}, got = drl_graph_shape(g, h0);
    if (s.w != 1 || (h0 >= 0 && memcmp(&got, &hs, sizeof hs) != 0))
        return drl_graph_fail(g, DRL_ERR_SHAPE, "%s: a GRU takes sequences (T, 1, d) and a state of %zu numbers", name,
                              hidden);
    drl_node nd = {.type = &gru_type, .in = {x, h0}, .n_in = h0 >= 0 ? 2 : 1};
    const size_t gates = 3 * hidden;
    char full[DRL_PARAM_NAME + 16];
    const struct {
        const char *suffix;
        size_t rank, shape[2];
    } params[4] = {{"weight_ih", 2, {gates, s.c}},
                   {"weight_hh", 2, {gates, hidden}},
                   {"bias_ih", 1, {gates, 0}},
                   {"bias_hh", 1, {gates, 0}}};
    for (int i = 0; i < 4; i++) {
        snprintf(full, sizeof full, "%s%s", name, params[i].suffix);
        drl_node_param(g, &nd, full, "", params[i].rank, params[i].shape, true, DRL_LAYOUT_PLAIN, init);
    }
    size_t shard = drl_graph_config(g)->shard;
    nd.saved_per_image = s.h * 5 * hidden;
    nd.scratch_bytes = (6 * gates + 2 * hidden) * shard * sizeof(drl_real) + 8 * DRL_ALIGN;
    nd.macs = (double)(s.h * gates) * (double)(s.c + hidden);
    return drl_graph_append(g, &nd, hs, NULL);
}
