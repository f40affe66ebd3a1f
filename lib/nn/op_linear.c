/* The linear layer: y = x W^T + b on the last axis. */
#include <stdio.h>
#include <string.h>

#include "drl/blas.h"
#include "drl/ops.h"
#include "nn/op.h"

static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t in = nd->xs[0].c, out = nd->ys.c, rows = run->n * nd->ys.h * nd->ys.w;
    for (size_t r = 0; r < rows; r++) memcpy(b->y + r * out, b->w[1], out * sizeof(drl_real));
    drl_gemm(false, true, rows, out, in, 1, b->x[0], in, b->w[0], in, 1, b->y, out);
}

/* dW += dy^T x,  db += sum over rows of dy,  dx (+)= dy W */
static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t in = nd->xs[0].c, out = nd->ys.c, rows = run->n * nd->ys.h * nd->ys.w;
    drl_gemm(true, false, out, in, rows, 1, b->dy, out, b->x[0], in, 1, b->dw[0], in);
    drl_real *restrict db = b->dw[1];
    for (size_t r = 0; r < rows; r++) {
        const drl_real *restrict dy = b->dy + r * out;
        for (size_t o = 0; o < out; o++) db[o] += dy[o];
    }
    if (b->dx[0]) drl_gemm(false, false, rows, in, out, 1, b->dy, out, b->w[0], in, b->add[0], b->dx[0], in);
}

static const drl_op_type linear_type = {"linear", 1, 1, 1u << 0, forward, backward, NULL, NULL};

drl_tensor drl_op_linear_named(drl_graph *g, drl_tensor x, const char *weight_name, const char *bias_name, size_t out,
                               drl_init weight, drl_init bias) {
    if (drl_graph_failed(g)) return -1;
    drl_shape s = drl_graph_shape(g, x);
    drl_node nd = {.type = &linear_type, .in = {x}, .n_in = 1};
    drl_node_param(g, &nd, weight_name, "", 2, (size_t[]){out, s.c}, true, DRL_LAYOUT_PLAIN, weight);
    drl_node_param(g, &nd, bias_name, "", 1, &out, true, DRL_LAYOUT_PLAIN, bias);
    nd.macs = (double)(s.h * s.w) * (double)(s.c * out);
    return drl_graph_append(g, &nd, (drl_shape){s.h, s.w, out}, NULL);
}

drl_tensor drl_op_linear(drl_graph *g, drl_tensor x, const char *name, size_t out, drl_init weight, drl_init bias) {
    char w[DRL_PARAM_NAME + 16], b[DRL_PARAM_NAME + 16];
    snprintf(w, sizeof w, "%s.weight", name);
    snprintf(b, sizeof b, "%s.bias", name);
    return drl_graph_name(g, drl_op_linear_named(g, x, w, b, out, weight, bias), name);
}
