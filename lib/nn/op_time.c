/* Fourier features of the time, a time that is learnt, and sinusoidal positions. The phases reach a thousand radians,
 * so they are found in double and rounded at the end.                                                [vectors, 2, 4.1]
 */
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

/* ds/dx */
static double slope_of(double x, int map) {
    switch (map) {
    case DRL_TIME_VE: return log(5000.0);
    case DRL_TIME_VP: return 999.0 * x > 1e-3 ? 1 / x : 0;
    default: return 1 / x;
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

/* dx (+)= 2 pi ds/dx sum_j f[j] ( cos_j dsin_j - sin_j dcos_j ) */
static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t nf = nd->ys.c / 2;
    for (size_t n = 0; b->dx[0] && n < run->n; n++) {
        const drl_real *sine = b->y + n * 2 * nf, *cosine = sine + nf, *dsine = b->dy + n * 2 * nf,
                       *dcosine = dsine + nf;
        double sum = 0;
        for (size_t j = 0; j < nf; j++)
            sum += (double)b->w[0][j] * ((double)cosine[j] * (double)dsine[j] - (double)sine[j] * (double)dcosine[j]);
        sum *= two_pi * slope_of((double)b->x[0][n], nd->cfg.mode);
        b->dx[0][n] = (b->add[0] ? b->dx[0][n] : 0) + (drl_real)sum;
    }
}

static const drl_op_type features_type = {"time_features", 1, 1, DRL_READS_Y | 1u << 0, forward, backward, NULL, NULL};

drl_tensor drl_op_time_features(drl_graph *g, drl_tensor x, const char *name, size_t nf, drl_time_map map) {
    if (drl_graph_failed(g)) return -1;
    if (drl_shape_size(drl_graph_shape(g, x)) != 1)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "%s: time must be a scalar per image", name);
    drl_node nd = {.type = &features_type, .in = {x}, .n_in = 1, .cfg = {.mode = (int)map}};
    drl_node_param(g, &nd, name, "", 1, &nf, false, DRL_LAYOUT_PLAIN, (drl_init){DRL_INIT_NORMAL, 16});
    return drl_graph_append(g, &nd, (drl_shape){1, 1, 2 * nf}, NULL);
}

/* t[n] = sigmoid(tau);  dtau += sum_n dt[n] t (1 - t) */
static double learnt(const drl_op_bufs *b) {
    return 1 / (1 + exp(-(double)b->w[0][0]));
}

static void learnt_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)nd;
    (void)phase;
    for (size_t n = 0; n < run->n; n++) b->y[n] = (drl_real)learnt(b);
}

static void learnt_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)nd;
    (void)phase;
    double t = learnt(b), sum = 0;
    if (!b->dw[0]) return; /* of a frozen scope */
    for (size_t n = 0; n < run->n; n++) sum += (double)b->dy[n];
    b->dw[0][0] += (drl_real)(sum * t * (1 - t));
}

static const drl_op_type learnt_type = {"learnt_time", 1, 1, 0, learnt_forward, learnt_backward, NULL, NULL};

drl_tensor drl_op_learnt_time(drl_graph *g, const char *name, double initial) {
    const size_t one = 1;
    drl_node nd = {.type = &learnt_type};
    drl_node_param(g, &nd, name, "", 1, &one, true, DRL_LAYOUT_PLAIN, (drl_init){DRL_INIT_CONSTANT, initial});
    return drl_graph_append(g, &nd, (drl_shape){1, 1, 1}, NULL);
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
