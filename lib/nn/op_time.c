/* Fourier features of the time, and sinusoidal positions. The phases reach a thousand radians, so they are found in
 * double and rounded at the end.                                                                  [vectors, 2, 4.1] */
#include "drl/ops.h"
#include "nn/op.h"

static const double two_pi = 6.283185307179586476925;

/* s, the scalar whose features are taken (drl_time_map). */
static double scalar_of(double x, int map) {
    switch (map) {
    case DRL_TIME_VE: return log(0.01) + x * log(5000.0);
    case DRL_TIME_VP: return log(fmax(999.0 * x, 1e-3));
    default: return log(x);
    }
}

static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t nf = nd->ys.c / 2;
    for (size_t n = 0; n < run->n; n++) {
        double s = scalar_of((double)b->x[0][n], nd->cfg.mode);
        for (size_t j = 0; j < nf; j++) {
            double turns = s * (double)b->w[0][j];
            double angle = two_pi * (turns - floor(turns));
            b->y[n * 2 * nf + j] = (drl_real)sin(angle);
            b->y[n * 2 * nf + nf + j] = (drl_real)cos(angle);
        }
    }
}

static const drl_op_type features_type = {"time_features", 1, 0, 0, forward, NULL, NULL, NULL};

drl_tensor drl_op_time_features(drl_graph *g, drl_tensor x, const char *name, size_t nf, drl_time_map map) {
    if (drl_graph_failed(g)) return -1;
    if (drl_shape_size(drl_graph_shape(g, x)) != 1)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "%s: time must be a scalar per image", name);
    drl_node nd = {.type = &features_type, .in = {x}, .n_in = 1, .cfg = {.mode = (int)map}};
    drl_node_param(g, &nd, name, "", 1, &nf, false, DRL_LAYOUT_PLAIN, (drl_init){DRL_INIT_NORMAL, 16});
    return drl_graph_append(g, &nd, (drl_shape){1, 1, 2 * nf}, NULL);
}

static void positions_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t T = nd->ys.h, D = nd->ys.c;
    for (size_t n = 0; n < run->n; n++)
        for (size_t t = 0; t < T; t++)
            for (size_t c = 0; c < D; c++) {
                double angle = (double)t / pow(10000.0, (double)(c - c % 2) / (double)D);
                b->y[(n * T + t) * D + c] = (drl_real)(c % 2 ? cos(angle) : sin(angle));
            }
}

static const drl_op_type positions_type = {"positions", 1, 0, 0, positions_forward, NULL, NULL, NULL};

drl_tensor drl_op_positions(drl_graph *g, size_t length, size_t d) {
    drl_node nd = {.type = &positions_type};
    return drl_graph_append(g, &nd, (drl_shape){length, 1, d}, NULL);
}
