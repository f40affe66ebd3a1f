/* Layer normalisation over the last axis: xhat = (x - mean) rstd, y = weight xhat + bias, and
 *   dx = rstd ( weight dy - mean(weight dy) - xhat mean(weight dy xhat) ). */
#include "drl/ops.h"
#include "nn/op.h"

static void row_statistics(const drl_real *x, size_t C, double eps, double *mean, double *rstd) {
    double sum = 0, square = 0;
    for (size_t c = 0; c < C; c++) sum += (double)x[c];
    *mean = sum / (double)C;
    for (size_t c = 0; c < C; c++) square += ((double)x[c] - *mean) * ((double)x[c] - *mean);
    *rstd = 1 / sqrt(square / (double)C + eps);
}

static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t C = nd->ys.c, rows = run->n * nd->ys.h * nd->ys.w;
    for (size_t r = 0; r < rows; r++) {
        const drl_real *x = b->x[0] + r * C;
        double mean, rstd;
        row_statistics(x, C, nd->cfg.eps, &mean, &rstd);
        for (size_t c = 0; c < C; c++)
            b->y[r * C + c] = (drl_real)(((double)x[c] - mean) * rstd) * b->w[0][c] + b->w[1][c];
    }
}

static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t C = nd->ys.c, rows = run->n * nd->ys.h * nd->ys.w;
    for (size_t r = 0; r < rows; r++) {
        const drl_real *x = b->x[0] + r * C, *dy = b->dy + r * C, *w = b->w[0];
        double mean, rstd, sum = 0, dot = 0;
        row_statistics(x, C, nd->cfg.eps, &mean, &rstd);
        for (size_t c = 0; c < C; c++) {
            double xhat = ((double)x[c] - mean) * rstd;
            sum += (double)w[c] * (double)dy[c];
            dot += (double)w[c] * (double)dy[c] * xhat;
            b->dw[0][c] += (drl_real)((double)dy[c] * xhat);
            b->dw[1][c] += dy[c];
        }
        for (size_t c = 0; b->dx[0] && c < C; c++) {
            double xhat = ((double)x[c] - mean) * rstd;
            double d = rstd * ((double)w[c] * (double)dy[c] - (sum + xhat * dot) / (double)C);
            b->dx[0][r * C + c] = (b->add[0] ? b->dx[0][r * C + c] : 0) + (drl_real)d;
        }
    }
}

static const drl_op_type layer_norm_type = {"layer_norm", 1, 1, 1u << 0, forward, backward, NULL, NULL};

drl_tensor drl_op_layer_norm(drl_graph *g, drl_tensor x, const char *weight_name, const char *bias_name, double eps) {
    if (drl_graph_failed(g)) return -1;
    drl_shape s = drl_graph_shape(g, x);
    drl_node nd = {.type = &layer_norm_type, .in = {x}, .n_in = 1, .cfg = {.eps = eps}};
    const drl_init one = {DRL_INIT_CONSTANT, 1}, zero = {DRL_INIT_CONSTANT, 0};
    drl_node_param(g, &nd, weight_name, "", 1, &s.c, true, DRL_LAYOUT_PLAIN, one);
    drl_node_param(g, &nd, bias_name, "", 1, &s.c, true, DRL_LAYOUT_PLAIN, zero);
    return drl_graph_append(g, &nd, s, NULL);
}
