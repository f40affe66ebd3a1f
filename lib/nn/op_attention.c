/* Scaled dot-product attention over the pixels of an image.                                         [vectors, 4.6, 11]
 *
 * Per image and head, with Q, K, V (P, d) and a = 1/sqrt(d):
 *   W = softmax_rows(a Q K^T),  Y = W V
 *   dV = W^T dY,  dW = dY V^T,  dS = W (dW - rowsum(dW W)),  dQ = a dS K,  dK = a dS^T Q
 * W is not stored: backward computes it again from Q and K, which costs one product and saves P^2 numbers an image. */
#include <string.h>

#include "drl/blas.h"
#include "drl/ops.h"
#include "nn/op.h"
#include "nn/vmath.h"

static size_t pixels_of(const drl_node *nd) {
    return nd->ys.h * nd->ys.w;
}

/* row = softmax(row) */
static void softmax_row(drl_real *restrict row, size_t n) {
    drl_real lane[DRL_LANES], top;
    size_t i = 0;
    for (int l = 0; l < DRL_LANES; l++) lane[l] = row[0];
    for (; i + DRL_LANES <= n; i += DRL_LANES)
        for (int l = 0; l < DRL_LANES; l++) lane[l] = row[i + (size_t)l] > lane[l] ? row[i + (size_t)l] : lane[l];
    for (; i < n; i++) lane[0] = row[i] > lane[0] ? row[i] : lane[0];
    top = lane[0];
    for (int l = 1; l < DRL_LANES; l++) top = lane[l] > top ? lane[l] : top;
    for (i = 0; i < n; i++) row[i] = drl_exp(row[i] - top);
    for (int l = 0; l < DRL_LANES; l++) lane[l] = 0;
    for (i = 0; i + DRL_LANES <= n; i += DRL_LANES)
        for (int l = 0; l < DRL_LANES; l++) lane[l] += row[i + (size_t)l];
    for (; i < n; i++) lane[0] += row[i];
    drl_real inverse = 1 / drl_lane_sum(lane);
    for (i = 0; i < n; i++) row[i] *= inverse;
}

/* weights (P, P) of one head; q, k point at the head's slice of an image, rows C apart */
static void find_weights(drl_real *weights, const drl_real *q, const drl_real *k, size_t P, size_t C, size_t d) {
    drl_gemm(false, true, P, P, d, (drl_real)(1 / sqrt((double)d)), q, C, k, C, 0, weights, P);
    for (size_t p = 0; p < P; p++) softmax_row(weights + p * P, P);
}

static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t P = pixels_of(nd), C = nd->ys.c, d = C / nd->cfg.heads;
    drl_real *weights = drl_arena_take(run->scratch, P * P * sizeof *weights);
    for (size_t n = 0; n < run->n; n++)
        for (size_t h = 0; h < nd->cfg.heads; h++) {
            size_t at = n * P * C + h * d;
            find_weights(weights, b->x[0] + at, b->x[1] + at, P, C, d);
            drl_gemm(false, false, P, d, P, 1, weights, P, b->x[2] + at, C, 0, b->y + at, C);
        }
}

/* dw = W (dW - rowsum(dW W)), in place on dw */
static void softmax_backward(drl_real *dw, const drl_real *weights, size_t P) {
    for (size_t p = 0; p < P; p++) {
        drl_real *restrict g = dw + p * P;
        const drl_real *restrict w = weights + p * P;
        drl_real dot = drl_dot(g, w, P);
        for (size_t r = 0; r < P; r++) g[r] = w[r] * (g[r] - dot);
    }
}

static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t P = pixels_of(nd), C = nd->ys.c, d = C / nd->cfg.heads;
    drl_real a = (drl_real)(1 / sqrt((double)d));
    drl_real *weights = drl_arena_take(run->scratch, P * P * sizeof *weights);
    drl_real *dw = drl_arena_take(run->scratch, P * P * sizeof *dw);
    for (size_t n = 0; n < run->n; n++)
        for (size_t h = 0; h < nd->cfg.heads; h++) {
            size_t at = n * P * C + h * d;
            const drl_real *q = b->x[0] + at, *k = b->x[1] + at, *v = b->x[2] + at, *dy = b->dy + at;
            find_weights(weights, q, k, P, C, d);
            drl_gemm(false, true, P, P, d, 1, dy, C, v, C, 0, dw, P);
            softmax_backward(dw, weights, P);
            if (b->dx[0]) drl_gemm(false, false, P, d, P, a, dw, P, k, C, b->add[0], b->dx[0] + at, C);
            if (b->dx[1]) drl_gemm(true, false, P, d, P, a, dw, P, q, C, b->add[1], b->dx[1] + at, C);
            if (b->dx[2]) drl_gemm(true, false, P, d, P, 1, weights, P, dy, C, b->add[2], b->dx[2] + at, C);
        }
}

static const drl_op_type attention_type = {"attention", 1, 1, 1u << 0 | 1u << 1 | 1u << 2, forward, backward};

drl_tensor drl_op_attention(drl_graph *g, drl_tensor q, drl_tensor k, drl_tensor v, size_t heads) {
    if (drl_graph_failed(g)) return -1;
    drl_shape s = drl_graph_shape(g, q), ks = drl_graph_shape(g, k), vs = drl_graph_shape(g, v);
    if (memcmp(&s, &ks, sizeof s) != 0 || memcmp(&s, &vs, sizeof s) != 0)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "attention: queries %zux%zux%zu, keys %zux%zux%zu, values %zux%zux%zu",
                              s.h, s.w, s.c, ks.h, ks.w, ks.c, vs.h, vs.w, vs.c);
    if (heads == 0 || s.c % heads)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "attention: %zu channels cannot be cut into %zu heads", s.c, heads);
    drl_node nd = {.type = &attention_type, .in = {q, k, v}, .n_in = 3, .cfg = {.heads = heads}};
    size_t P = s.h * s.w;
    nd.scratch_bytes = 2 * (P * P * sizeof(drl_real) + DRL_ALIGN);
    nd.macs = 2.0 * (double)(P * P) * (double)s.c;
    return drl_graph_append(g, &nd, s, NULL);
}
