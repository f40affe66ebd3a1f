/* Pointwise ops: ReLU, SiLU, addition, scaling of images. */
#include <string.h>

#include "drl/ops.h"
#include "nn/op.h"
#include "nn/vmath.h"

static size_t elements(const drl_node *nd, const drl_run *run) {
    return run->n * drl_shape_size(nd->ys);
}

/* y = max(x, 0), NaN for NaN;  dx (+)= dy where x > 0 */
static void relu_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    drl_real *restrict y = b->y;
    const drl_real *restrict x = b->x[0];
    for (size_t i = 0; i < elements(nd, run); i++) y[i] = x[i] < 0 ? 0 : x[i];
}

static void relu_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    if (!b->dx[0]) return;
    const drl_real *restrict y = b->y, *restrict dy = b->dy;
    drl_real *restrict dx = b->dx[0];
    for (size_t i = 0; i < elements(nd, run); i++) dx[i] = (b->add[0] ? dx[i] : 0) + (y[i] > 0 ? dy[i] : 0);
}

/* y = x sigmoid(x);  dx (+)= dy silu'(x) */
static void silu_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    drl_real *restrict y = b->y;
    const drl_real *restrict x = b->x[0];
    for (size_t i = 0; i < elements(nd, run); i++) y[i] = drl_silu1(x[i]);
}

static void silu_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    if (!b->dx[0]) return;
    const drl_real *restrict x = b->x[0], *restrict dy = b->dy;
    drl_real *restrict dx = b->dx[0];
    for (size_t i = 0; i < elements(nd, run); i++) dx[i] = (b->add[0] ? dx[i] : 0) + dy[i] * drl_dsilu1(x[i]);
}

/* y = (a + b) scale;  da (+)= scale dy, db (+)= scale dy */
static void add_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    const drl_real scale = (drl_real)nd->cfg.scale, *restrict u = b->x[0], *restrict v = b->x[1];
    drl_real *restrict y = b->y;
    for (size_t i = 0; i < elements(nd, run); i++) y[i] = (u[i] + v[i]) * scale;
}

static void add_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    const drl_real scale = (drl_real)nd->cfg.scale, *restrict dy = b->dy;
    for (int k = 0; k < 2; k++) {
        drl_real *restrict dx = b->dx[k];
        if (!dx) continue;
        for (size_t i = 0; i < elements(nd, run); i++) dx[i] = (b->add[k] ? dx[i] : 0) + scale * dy[i];
    }
}

/* y[n] = k[n] x[n];  dx (+)= k[n] dy */
static void scale_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t size = drl_shape_size(nd->ys);
    for (size_t n = 0; n < run->n; n++)
        for (size_t i = n * size; i < (n + 1) * size; i++) b->y[i] = b->x[0][i] * b->x[1][n];
}

static void scale_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t size = drl_shape_size(nd->ys);
    for (size_t n = 0; b->dx[0] && n < run->n; n++)
        for (size_t i = n * size; i < (n + 1) * size; i++)
            b->dx[0][i] = (b->add[0] ? b->dx[0][i] : 0) + b->dy[i] * b->x[1][n];
}

static const drl_op_type relu_type = {"relu", 1, 1, DRL_READS_Y, relu_forward, relu_backward, NULL, NULL};
static const drl_op_type silu_type = {"silu", 1, 1, 1u << 0, silu_forward, silu_backward, NULL, NULL};
static const drl_op_type add_type = {"add", 1, 1, 0, add_forward, add_backward, NULL, NULL};
static const drl_op_type scale_type = {"scale_images", 1, 1, 1u << 1, scale_forward, scale_backward, NULL, NULL};

drl_tensor drl_op_relu(drl_graph *g, drl_tensor x) {
    drl_node nd = {.type = &relu_type, .in = {x}, .n_in = 1};
    return drl_graph_append(g, &nd, drl_graph_shape(g, x), NULL);
}

drl_tensor drl_op_silu(drl_graph *g, drl_tensor x) {
    drl_node nd = {.type = &silu_type, .in = {x}, .n_in = 1};
    return drl_graph_append(g, &nd, drl_graph_shape(g, x), NULL);
}

drl_tensor drl_op_add(drl_graph *g, drl_tensor a, drl_tensor b, double scale) {
    drl_shape p = drl_graph_shape(g, a), q = drl_graph_shape(g, b);
    if (memcmp(&p, &q, sizeof p) != 0)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "add: %zux%zux%zu and %zux%zux%zu", p.h, p.w, p.c, q.h, q.w, q.c);
    drl_node nd = {.type = &add_type, .in = {a, b}, .n_in = 2, .cfg = {.scale = scale}};
    return drl_graph_append(g, &nd, p, NULL);
}

drl_tensor drl_op_scale_images(drl_graph *g, drl_tensor x, drl_tensor k) {
    if (drl_shape_size(drl_graph_shape(g, k)) != 1)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "scale_images: the factor must be a scalar per image");
    drl_node nd = {.type = &scale_type, .in = {x, k}, .n_in = 2, .stops = 1u << 1};
    return drl_graph_append(g, &nd, drl_graph_shape(g, x), NULL);
}
