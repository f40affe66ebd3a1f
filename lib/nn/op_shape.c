/* Ops that move or average pixels: down- and up-sampling, global mean, concatenation, unflattening. */
#include <string.h>

#include "drl/ops.h"
#include "nn/op.h"

/* For every 2x2 square of the large image `big` (2h, 2w, c) and its pixel of the small one (h, w, c). */
#define FOR_EACH_SQUARE(h, w, c, body)                                                                                 \
    for (size_t i = 0; i < (h); i++)                                                                                   \
        for (size_t j = 0; j < (w); j++) {                                                                             \
            size_t small = (i * (w) + j) * (c), big0 = (2 * i * 2 * (w) + 2 * j) * (c), big1 = big0 + 2 * (w) * (c);   \
            for (size_t k = 0; k < (c); k++) body                                                                      \
        }

/* small = scale * sum of the square */
static void shrink(drl_real *restrict y, const drl_real *restrict x, drl_shape small_shape, drl_real scale, bool add) {
    size_t h = small_shape.h, w = small_shape.w, c = small_shape.c;
    FOR_EACH_SQUARE(h, w, c, {
        drl_real sum = scale * ((x[big0 + k] + x[big0 + c + k]) + (x[big1 + k] + x[big1 + c + k]));
        y[small + k] = (add ? y[small + k] : 0) + sum;
    })
}

/* every pixel of the square = scale * small */
static void grow(drl_real *restrict y, const drl_real *restrict x, drl_shape small_shape, drl_real scale, bool add) {
    size_t h = small_shape.h, w = small_shape.w, c = small_shape.c;
    FOR_EACH_SQUARE(h, w, c, {
        drl_real v = scale * x[small + k];
        y[big0 + k] = (add ? y[big0 + k] : 0) + v;
        y[big0 + c + k] = (add ? y[big0 + c + k] : 0) + v;
        y[big1 + k] = (add ? y[big1 + k] : 0) + v;
        y[big1 + c + k] = (add ? y[big1 + c + k] : 0) + v;
    })
}

static void down_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t in = drl_shape_size(nd->xs[0]), out = drl_shape_size(nd->ys);
    for (size_t n = 0; n < run->n; n++) shrink(b->y + n * out, b->x[0] + n * in, nd->ys, (drl_real)0.25, false);
}

static void down_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t in = drl_shape_size(nd->xs[0]), out = drl_shape_size(nd->ys);
    for (size_t n = 0; b->dx[0] && n < run->n; n++)
        grow(b->dx[0] + n * in, b->dy + n * out, nd->ys, (drl_real)0.25, b->add[0]);
}

static void up_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t in = drl_shape_size(nd->xs[0]), out = drl_shape_size(nd->ys);
    for (size_t n = 0; n < run->n; n++) grow(b->y + n * out, b->x[0] + n * in, nd->xs[0], 1, false);
}

static void up_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t in = drl_shape_size(nd->xs[0]), out = drl_shape_size(nd->ys);
    for (size_t n = 0; b->dx[0] && n < run->n; n++) shrink(b->dx[0] + n * in, b->dy + n * out, nd->xs[0], 1, b->add[0]);
}

/* y[n,c] = mean over pixels;  dx (+)= dy / pixels */
static void mean_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t pixels = nd->xs[0].h * nd->xs[0].w, C = nd->ys.c;
    for (size_t n = 0; n < run->n; n++) {
        drl_real *restrict y = b->y + n * C;
        memset(y, 0, C * sizeof *y);
        for (size_t p = 0; p < pixels; p++)
            for (size_t c = 0; c < C; c++) y[c] += b->x[0][(n * pixels + p) * C + c];
        for (size_t c = 0; c < C; c++) y[c] *= 1 / (drl_real)pixels;
    }
}

static void mean_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t pixels = nd->xs[0].h * nd->xs[0].w, C = nd->ys.c;
    for (size_t n = 0; b->dx[0] && n < run->n; n++)
        for (size_t p = 0; p < pixels; p++) {
            drl_real *restrict dx = b->dx[0] + (n * pixels + p) * C;
            const drl_real *restrict dy = b->dy + n * C;
            for (size_t c = 0; c < C; c++) dx[c] = (b->add[0] ? dx[c] : 0) + dy[c] * (1 / (drl_real)pixels);
        }
}

/* y = [a | b] along channels */
static void concat_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t rows = run->n * nd->ys.h * nd->ys.w, ca = nd->xs[0].c, cb = nd->xs[1].c;
    for (size_t r = 0; r < rows; r++) {
        memcpy(b->y + r * (ca + cb), b->x[0] + r * ca, ca * sizeof(drl_real));
        memcpy(b->y + r * (ca + cb) + ca, b->x[1] + r * cb, cb * sizeof(drl_real));
    }
}

static void concat_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t rows = run->n * nd->ys.h * nd->ys.w, from = 0;
    for (int k = 0; k < 2; from += nd->xs[k].c, k++) {
        size_t C = nd->xs[k].c;
        for (size_t r = 0; b->dx[k] && r < rows; r++) {
            drl_real *restrict dx = b->dx[k] + r * C;
            const drl_real *restrict dy = b->dy + r * nd->ys.c + from;
            for (size_t c = 0; c < C; c++) dx[c] = (b->add[k] ? dx[c] : 0) + dy[c];
        }
    }
}

/* y[n,p,c] = x[n,p, from + c]; from is cfg.mode */
static void channels_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t rows = run->n * nd->ys.h * nd->ys.w, from = (size_t)nd->cfg.mode, C = nd->ys.c;
    for (size_t r = 0; r < rows; r++) memcpy(b->y + r * C, b->x[0] + r * nd->xs[0].c + from, C * sizeof(drl_real));
}

static void channels_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t rows = run->n * nd->ys.h * nd->ys.w, from = (size_t)nd->cfg.mode, C = nd->ys.c, all = nd->xs[0].c;
    if (!b->dx[0]) return;
    if (!b->add[0]) memset(b->dx[0], 0, rows * all * sizeof(drl_real));
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < C; c++) b->dx[0][r * all + from + c] += b->dy[r * C + c];
}

/* y[n,p,c] = x[n, c * pixels + p] */
static void unflatten_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t pixels = nd->ys.h * nd->ys.w, C = nd->ys.c;
    for (size_t n = 0; n < run->n; n++)
        for (size_t p = 0; p < pixels; p++)
            for (size_t c = 0; c < C; c++) b->y[(n * pixels + p) * C + c] = b->x[0][(n * C + c) * pixels + p];
}

static void unflatten_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t pixels = nd->ys.h * nd->ys.w, C = nd->ys.c;
    for (size_t n = 0; b->dx[0] && n < run->n; n++)
        for (size_t c = 0; c < C; c++)
            for (size_t p = 0; p < pixels; p++) {
                drl_real *dx = &b->dx[0][(n * C + c) * pixels + p];
                *dx = (b->add[0] ? *dx : 0) + b->dy[(n * pixels + p) * C + c];
            }
}

static const drl_op_type down_type = {"downsample", 1, 1, 0, down_forward, down_backward, NULL, NULL};
static const drl_op_type up_type = {"upsample", 1, 1, 0, up_forward, up_backward, NULL, NULL};
static const drl_op_type mean_type = {"global_mean", 1, 1, 0, mean_forward, mean_backward, NULL, NULL};
static const drl_op_type concat_type = {"concat", 1, 1, 0, concat_forward, concat_backward, NULL, NULL};
static const drl_op_type channels_type = {"channels", 1, 1, 0, channels_forward, channels_backward, NULL, NULL};
static const drl_op_type unflatten_type = {"unflatten", 1, 1, 0, unflatten_forward, unflatten_backward, NULL, NULL};

static drl_tensor unary(drl_graph *g, const drl_op_type *type, drl_tensor x, drl_shape ys) {
    drl_node nd = {.type = type, .in = {x}, .n_in = 1};
    return drl_graph_append(g, &nd, ys, NULL);
}

drl_tensor drl_op_downsample(drl_graph *g, drl_tensor x) {
    drl_shape s = drl_graph_shape(g, x);
    if (s.h % 2 || s.w % 2)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "downsample: a %zux%zu image has an odd side", s.h, s.w);
    return unary(g, &down_type, x, (drl_shape){s.h / 2, s.w / 2, s.c});
}

drl_tensor drl_op_upsample(drl_graph *g, drl_tensor x) {
    drl_shape s = drl_graph_shape(g, x);
    return unary(g, &up_type, x, (drl_shape){2 * s.h, 2 * s.w, s.c});
}

drl_tensor drl_op_global_mean(drl_graph *g, drl_tensor x) {
    return unary(g, &mean_type, x, (drl_shape){1, 1, drl_graph_shape(g, x).c});
}

drl_tensor drl_op_concat(drl_graph *g, drl_tensor a, drl_tensor b) {
    drl_shape p = drl_graph_shape(g, a), q = drl_graph_shape(g, b);
    if (p.h != q.h || p.w != q.w)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "concat: %zux%zu and %zux%zu images", p.h, p.w, q.h, q.w);
    drl_node nd = {.type = &concat_type, .in = {a, b}, .n_in = 2};
    return drl_graph_append(g, &nd, (drl_shape){p.h, p.w, p.c + q.c}, NULL);
}

drl_tensor drl_op_channels(drl_graph *g, drl_tensor x, size_t from, size_t n) {
    drl_shape s = drl_graph_shape(g, x);
    if (n == 0 || from > s.c || n > s.c - from)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "channels: %zu from number %zu are not among %zu", n, from, s.c);
    drl_node nd = {.type = &channels_type, .in = {x}, .n_in = 1, .cfg = {.mode = (int)from}};
    return drl_graph_append(g, &nd, (drl_shape){s.h, s.w, n}, NULL);
}

drl_tensor drl_op_unflatten(drl_graph *g, drl_tensor x, drl_shape shape) {
    drl_shape s = drl_graph_shape(g, x);
    if (s.h != 1 || s.w != 1 || s.c != drl_shape_size(shape))
        return drl_graph_fail(g, DRL_ERR_SHAPE, "unflatten: %zu numbers do not make a %zux%zux%zu image", s.c, shape.h,
                              shape.w, shape.c);
    return unary(g, &unflatten_type, x, shape);
}
