/* Losses per image and the variational code.                                            [science, 3; vectors, 9, 11] */
#include <assert.h>
#include <string.h>

#include "drl/ops.h"
#include "nn/op.h"

/* sum ( s a + b )^2: runs of 1024 in drl_real, added in double */
static double square_sum(drl_real s, const drl_real *restrict a, const drl_real *restrict b, size_t size) {
    drl_real lane[DRL_LANES];
    double total = 0;
    for (size_t i = 0; i < size;) {
        size_t end = i + 1024 < size ? i + 1024 : size;
        memset(lane, 0, sizeof lane);
        for (; i + DRL_LANES <= end; i += DRL_LANES)
            for (int l = 0; l < DRL_LANES; l++) {
                drl_real r = s * a[i + (size_t)l] + b[i + (size_t)l];
                lane[l] += r * r;
            }
        for (; i < end; i++) lane[0] += (s * a[i] + b[i]) * (s * a[i] + b[i]);
        total += (double)drl_lane_sum(lane);
    }
    return total;
}

/* y[n] = w[n]/2 sum ( s[n] score + noise )^2;   dscore (+)= dy[n] w[n] s[n] ( s[n] score + noise ) */
static void dsm_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t size = drl_shape_size(nd->xs[0]);
    for (size_t n = 0; n < run->n; n++) {
        double total = square_sum(b->x[2][n], b->x[0] + n * size, b->x[1] + n * size, size);
        b->y[n] = (drl_real)(0.5 * (double)b->x[3][n] * total);
    }
}

static void dsm_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t size = drl_shape_size(nd->xs[0]);
    for (size_t n = 0; b->dx[0] && n < run->n; n++) {
        const drl_real *restrict score = b->x[0] + n * size, *restrict noise = b->x[1] + n * size;
        drl_real s = b->x[2][n], k = b->dy[n] * b->x[3][n] * s, *restrict dx = b->dx[0] + n * size;
        for (size_t i = 0; i < size; i++) dx[i] = (b->add[0] ? dx[i] : 0) + k * (s * score[i] + noise[i]);
    }
}

/* y[n] = 1/2 sum ( x - target )^2;   dx (+)= dy[n] ( x - target ) */
static void squared_error_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t size = drl_shape_size(nd->xs[0]);
    for (size_t n = 0; n < run->n; n++)
        b->y[n] = (drl_real)(0.5 * square_sum(-1, b->x[0] + n * size, b->x[1] + n * size, size));
}

static void squared_error_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t size = drl_shape_size(nd->xs[0]);
    for (size_t n = 0; b->dx[0] && n < run->n; n++) {
        const drl_real *restrict x = b->x[0] + n * size, *restrict target = b->x[1] + n * size, dy = b->dy[n];
        drl_real *restrict dx = b->dx[0] + n * size;
        for (size_t i = 0; i < size; i++) dx[i] = (b->add[0] ? dx[i] : 0) + dy * (x[i] - target[i]);
    }
}

/* y[n] = 2 - 2 u . v,  u = p/|p|, v = target/|target|;   dp (+)= -2 dy[n] ( v - u (u . v) ) / |p| */
typedef struct directions {
    double p, target, cosine; /* lengths, u . v */
} directions;

static directions directions_of(const drl_real *p, const drl_real *target, size_t size) {
    double pp = 0, tt = 0, pt = 0;
    for (size_t i = 0; i < size; i++) {
        pp += (double)p[i] * (double)p[i];
        tt += (double)target[i] * (double)target[i];
        pt += (double)p[i] * (double)target[i];
    }
    double a = fmax(sqrt(pp), 1e-12), b = fmax(sqrt(tt), 1e-12);
    return (directions){a, b, pt / (a * b)};
}

static void cosine_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t size = drl_shape_size(nd->xs[0]);
    for (size_t n = 0; n < run->n; n++)
        b->y[n] = (drl_real)(2 - 2 * directions_of(b->x[0] + n * size, b->x[1] + n * size, size).cosine);
}

static void cosine_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t size = drl_shape_size(nd->xs[0]);
    for (size_t n = 0; b->dx[0] && n < run->n; n++) {
        const drl_real *p = b->x[0] + n * size, *target = b->x[1] + n * size;
        drl_real *dp = b->dx[0] + n * size;
        directions to = directions_of(p, target, size);
        double k = -2 * (double)b->dy[n] / to.p;
        for (size_t i = 0; i < size; i++) {
            double away = (double)target[i] / to.target - (double)p[i] / to.p * to.cosine;
            dp[i] = (b->add[0] ? dp[i] : 0) + (drl_real)(k * away);
        }
    }
}

/* y[n] = sum_j |z_j|;  dz (+)= dy sign(z) */
static void l1_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t size = drl_shape_size(nd->xs[0]);
    for (size_t n = 0; n < run->n; n++) {
        double sum = 0;
        for (size_t i = 0; i < size; i++) sum += fabs((double)b->x[0][n * size + i]);
        b->y[n] = (drl_real)sum;
    }
}

static void l1_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t size = drl_shape_size(nd->xs[0]);
    for (size_t n = 0; b->dx[0] && n < run->n; n++)
        for (size_t i = n * size; i < (n + 1) * size; i++) {
            drl_real z = b->x[0][i], sign = (drl_real)((z > 0) - (z < 0));
            b->dx[0][i] = (b->add[0] ? b->dx[0][i] : 0) + b->dy[n] * sign;
        }
}

/* ml = [mean | logvar]: z = mean + exp(logvar/2) xi;  dmean (+)= dz,  dlogvar (+)= dz xi exp(logvar/2)/2 */
static void reparameterise_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t d = nd->ys.c;
    for (size_t n = 0; n < run->n; n++)
        for (size_t j = 0; j < d; j++) {
            const drl_real *ml = b->x[0] + n * 2 * d;
            b->y[n * d + j] = ml[j] + (drl_real)exp(0.5 * (double)ml[d + j]) * b->x[1][n * d + j];
        }
}

static void reparameterise_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t d = nd->ys.c;
    for (size_t n = 0; b->dx[0] && n < run->n; n++)
        for (size_t j = 0; j < d; j++) {
            const drl_real *ml = b->x[0] + n * 2 * d;
            drl_real *dml = b->dx[0] + n * 2 * d, dz = b->dy[n * d + j];
            drl_real half_std = (drl_real)(0.5 * exp(0.5 * (double)ml[d + j]));
            dml[j] = (b->add[0] ? dml[j] : 0) + dz;
            dml[d + j] = (b->add[0] ? dml[d + j] : 0) + dz * b->x[1][n * d + j] * half_std;
        }
}

/* y[n] = -1/2 sum (1 + logvar - mean^2 - exp logvar);  dmean (+)= dy mean,  dlogvar (+)= dy (exp logvar - 1)/2 */
static void kl_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t d = nd->xs[0].c / 2;
    for (size_t n = 0; n < run->n; n++) {
        const drl_real *ml = b->x[0] + n * 2 * d;
        double sum = 0;
        for (size_t j = 0; j < d; j++) {
            double m = (double)ml[j], lv = (double)ml[d + j];
            sum += 1 + lv - m * m - exp(lv);
        }
        b->y[n] = (drl_real)(-0.5 * sum);
    }
}

static void kl_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t d = nd->xs[0].c / 2;
    for (size_t n = 0; b->dx[0] && n < run->n; n++)
        for (size_t j = 0; j < d; j++) {
            const drl_real *ml = b->x[0] + n * 2 * d;
            drl_real *dml = b->dx[0] + n * 2 * d;
            dml[j] = (b->add[0] ? dml[j] : 0) + b->dy[n] * ml[j];
            dml[d + j] = (b->add[0] ? dml[d + j] : 0) + b->dy[n] * (drl_real)(0.5 * expm1((double)ml[d + j]));
        }
}

/* y[n] = log sum_c exp(x_c) - x_label;  dx (+)= dy (softmax(x) - onehot) */
static double log_sum_exp(const drl_real *x, size_t C) {
    double top = (double)x[0], sum = 0;
    for (size_t c = 1; c < C; c++) top = fmax(top, (double)x[c]);
    for (size_t c = 0; c < C; c++) sum += exp((double)x[c] - top);
    return top + log(sum);
}

static void cross_entropy_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t C = nd->xs[0].c;
    for (size_t n = 0; n < run->n; n++) {
        const drl_real *x = b->x[0] + n * C;
        assert(b->x[1][n] >= 0 && b->x[1][n] < (drl_real)C);
        b->y[n] = (drl_real)(log_sum_exp(x, C) - (double)x[(size_t)b->x[1][n]]);
    }
}

static void cross_entropy_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t C = nd->xs[0].c;
    for (size_t n = 0; b->dx[0] && n < run->n; n++) {
        const drl_real *x = b->x[0] + n * C;
        double lse = log_sum_exp(x, C);
        for (size_t c = 0; c < C; c++) {
            drl_real p = (drl_real)exp((double)x[c] - lse), hit = c == (size_t)b->x[1][n];
            b->dx[0][n * C + c] = (b->add[0] ? b->dx[0][n * C + c] : 0) + b->dy[n] * (p - hit);
        }
    }
}

static const drl_op_type dsm_type = {"dsm_loss", 1, 1, 15u, dsm_forward, dsm_backward, NULL, NULL};
static const drl_op_type squared_error_type = {"squared_error",        1,    1,   3u, squared_error_forward,
                                               squared_error_backward, NULL, NULL};
static const drl_op_type cosine_type = {"cosine_loss", 1, 1, 3u, cosine_forward, cosine_backward, NULL, NULL};
static const drl_op_type l1_type = {"l1", 1, 1, 1u, l1_forward, l1_backward, NULL, NULL};
static const drl_op_type reparameterise_type = {"reparameterise",        1,    1,   3u, reparameterise_forward,
                                                reparameterise_backward, NULL, NULL};
static const drl_op_type kl_type = {"kl", 1, 1, 1u, kl_forward, kl_backward, NULL, NULL};
static const drl_op_type cross_entropy_type = {"cross_entropy",        1,    1,   3u, cross_entropy_forward,
                                               cross_entropy_backward, NULL, NULL};

static const drl_shape scalar = {1, 1, 1};

static bool is_scalar(const drl_graph *g, drl_tensor t) {
    return drl_shape_size(drl_graph_shape(g, t)) == 1;
}

drl_tensor drl_op_dsm_loss(drl_graph *g, drl_tensor score, drl_tensor noise, drl_tensor s, drl_tensor weight) {
    drl_shape a = drl_graph_shape(g, score), b = drl_graph_shape(g, noise);
    if (memcmp(&a, &b, sizeof a) != 0 || !is_scalar(g, s) || !is_scalar(g, weight))
        return drl_graph_fail(g, DRL_ERR_SHAPE,
                              "dsm_loss: score and noise differ in shape, or s, weight are no scalars");
    drl_node nd = {.type = &dsm_type, .in = {score, noise, s, weight}, .n_in = 4, .stops = 14u};
    return drl_graph_append(g, &nd, scalar, NULL);
}

/* A loss between two tensors of one shape whose gradient goes to the first. */
static drl_tensor to_target(drl_graph *g, const drl_op_type *type, drl_tensor x, drl_tensor target) {
    drl_shape a = drl_graph_shape(g, x), b = drl_graph_shape(g, target);
    if (memcmp(&a, &b, sizeof a) != 0)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "%s: %zux%zux%zu and a target of %zux%zux%zu", type->name, a.h, a.w,
                              a.c, b.h, b.w, b.c);
    drl_node nd = {.type = type, .in = {x, target}, .n_in = 2, .stops = 1u << 1};
    return drl_graph_append(g, &nd, scalar, NULL);
}

drl_tensor drl_op_squared_error(drl_graph *g, drl_tensor x, drl_tensor target) {
    return to_target(g, &squared_error_type, x, target);
}

drl_tensor drl_op_cosine_loss(drl_graph *g, drl_tensor p, drl_tensor target) {
    return to_target(g, &cosine_type, p, target);
}

drl_tensor drl_op_l1(drl_graph *g, drl_tensor z) {
    drl_node nd = {.type = &l1_type, .in = {z}, .n_in = 1};
    return drl_graph_append(g, &nd, scalar, NULL);
}

drl_tensor drl_op_reparameterise(drl_graph *g, drl_tensor ml, drl_tensor noise) {
    drl_shape a = drl_graph_shape(g, ml), b = drl_graph_shape(g, noise);
    if (a.h != 1 || a.w != 1 || a.c != 2 * b.c || drl_shape_size(b) != b.c)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "reparameterise: want vectors of 2 d and d numbers");
    drl_node nd = {.type = &reparameterise_type, .in = {ml, noise}, .n_in = 2, .stops = 1u << 1};
    return drl_graph_append(g, &nd, b, NULL);
}

drl_tensor drl_op_kl(drl_graph *g, drl_tensor ml) {
    drl_shape a = drl_graph_shape(g, ml);
    if (a.h != 1 || a.w != 1 || a.c % 2) return drl_graph_fail(g, DRL_ERR_SHAPE, "kl: want a vector of 2 d numbers");
    drl_node nd = {.type = &kl_type, .in = {ml}, .n_in = 1};
    return drl_graph_append(g, &nd, scalar, NULL);
}

drl_tensor drl_op_cross_entropy(drl_graph *g, drl_tensor logits, drl_tensor labels) {
    drl_shape a = drl_graph_shape(g, logits);
    if (a.h != 1 || a.w != 1 || !is_scalar(g, labels))
        return drl_graph_fail(g, DRL_ERR_SHAPE, "cross_entropy: want vectors of logits and one label an image");
    drl_node nd = {.type = &cross_entropy_type, .in = {logits, labels}, .n_in = 2, .stops = 1u << 1};
    return drl_graph_append(g, &nd, scalar, NULL);
}
