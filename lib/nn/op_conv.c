/* The convolution op: bias, per-image channel addend, residual, scale and a folded batch norm around the kernel of
 * conv_kernel.h. */
#include <assert.h>
#include <string.h>

#include "drl/ops.h"
#include "nn/conv_kernel.h"
#include "nn/norm.h"
#include "nn/op.h"

/* Optional inputs follow x: the channel addend first where there is one, then the residual. */
enum { HAS_ADDEND = 1, HAS_RESIDUAL = 2, HAS_NORM = 4 };

/* Parameters; from NORM_WEIGHT on only with HAS_NORM. */
enum { WEIGHT, BIAS, NORM_WEIGHT, NORM_BIAS, NORM_MEAN, NORM_VAR };

static size_t weights(const drl_conv_dims *d) {
    return d->k * d->k * d->cin * d->cout;
}

static drl_conv_dims dims_of(const drl_node *nd) {
    return (drl_conv_dims){nd->xs[0].h, nd->xs[0].w, nd->xs[0].c,    nd->ys.h,   nd->ys.w,
                           nd->ys.c,    nd->cfg.k,   nd->cfg.stride, nd->cfg.pad};
}

static int addend_at(const drl_node *nd) {
    return nd->cfg.mode & HAS_ADDEND ? 1 : -1;
}

static int residual_at(const drl_node *nd) {
    return !(nd->cfg.mode & HAS_RESIDUAL) ? -1 : nd->cfg.mode & HAS_ADDEND ? 2 : 1;
}

static bool has_norm(const drl_node *nd) {
    return nd->cfg.mode & HAS_NORM;
}

/* What the result's channel c is multiplied by: scale, and the slope of the norm. */
static double factor(const drl_node *nd, const drl_op_bufs *b, size_t c) {
    double slope = has_norm(nd) ? (double)b->w[NORM_WEIGHT][c] / sqrt((double)b->w[NORM_VAR][c] + nd->cfg.eps) : 1;
    return nd->cfg.scale * slope;
}

/* to (k, k, in, out) = weight times the factor of each output channel */
static void scale_weights(drl_real *to, const drl_node *nd, const drl_op_bufs *b, const drl_conv_dims *d) {
    for (size_t o = 0; o < d->cout; o++) {
        drl_real f = (drl_real)factor(nd, b, o);
        for (size_t i = o; i < weights(d); i += d->cout) to[i] = f * b->w[WEIGHT][i];
    }
}

static void prepare(const drl_node *nd, const drl_op_bufs *b, bool backward, drl_arena *scratch) {
    drl_conv_dims d = dims_of(nd);
    const drl_conv_family *kernels = drl_conv_choose(&d);
    if (!has_norm(nd)) {
        kernels->prepare(b->prepared, b->w[WEIGHT], backward, &d, scratch);
    } else if (kernels->prepared(&d) == 0) {
        scale_weights(b->prepared, nd, b, &d);
    } else {
        size_t mark = drl_arena_mark(scratch);
        drl_real *scaled = drl_arena_take(scratch, weights(&d) * sizeof *scaled);
        scale_weights(scaled, nd, b, &d);
        kernels->prepare(b->prepared, scaled, backward, &d, scratch);
        drl_arena_release(scratch, mark);
    }
}

/* The weights as the kernels want them. */
static const drl_real *kernel_of(const drl_node *nd, const drl_op_bufs *b) {
    return nd->prepared > 0 ? b->prepared : b->w[WEIGHT];
}

/* y = scale (bias + v) + scale (r + conv(x, weight)), or with a norm of that
 * max(0, slope (scale (bias + v) - mean) + norm_bias + conv(x, slope scale weight)) */
static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t C = nd->ys.c;
    drl_real scale = (drl_real)nd->cfg.scale;
    int va = addend_at(nd), ra = residual_at(nd);
    size_t starts = va > 0 ? run->n : 1; /* one an image, or one for all */
    drl_real *restrict start = drl_arena_take(run->scratch, starts * C * sizeof *start);
    const drl_real *restrict bias = b->w[BIAS];
    for (size_t c = 0; c < C; c++) {
        drl_real f = (drl_real)factor(nd, b, c), shift = 0;
        if (has_norm(nd)) shift = b->w[NORM_BIAS][c] - f / scale * b->w[NORM_MEAN][c];
        for (size_t n = 0; n < starts; n++)
            start[n * C + c] = f * (bias[c] + (va > 0 ? b->x[va][n * C + c] : 0)) + shift;
    }
    drl_conv_sum sum = {
        .start = start, .start_step = va > 0 ? C : 0, .residual = ra > 0 ? b->x[ra] : NULL, .rectified = has_norm(nd)};
    drl_conv_dims d = dims_of(nd);
    drl_conv_choose(&d)->forward(b->y, b->x[0], kernel_of(nd, b), has_norm(nd) ? 1 : scale, &sum, &d, run->n,
                                 run->scratch);
}

static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t C = nd->ys.c, pixels = nd->ys.h * nd->ys.w;
    drl_real scale = (drl_real)nd->cfg.scale;
    drl_conv_dims d = dims_of(nd);
    int va = addend_at(nd), ra = residual_at(nd);

    const drl_conv_family *kernels = drl_conv_choose(&d);
    kernels->backward_weight(b->dw[WEIGHT], b->x[0], b->dy, scale, &d, run->n, run->scratch);
    if (b->dx[0]) kernels->backward_data(b->dx[0], b->dy, kernel_of(nd, b), scale, b->add[0], &d, run->n, run->scratch);
    /* dv[n] = scale sum over pixels of dy; dbias = sum over n of the same. */
    drl_real *restrict sum = drl_arena_take(run->scratch, C * sizeof *sum), *restrict dbias = b->dw[BIAS];
    for (size_t n = 0; n < run->n; n++) {
        memset(sum, 0, C * sizeof *sum);
        drl_channel_sums(sum, b->dy + n * pixels * C, scale, pixels, C);
        for (size_t c = 0; c < C; c++) dbias[c] += sum[c];
        if (va < 0 || !b->dx[va]) continue;
        drl_real *restrict dv = b->dx[va] + n * C;
        for (size_t c = 0; c < C; c++) dv[c] = (b->add[va] ? dv[c] : 0) + sum[c];
    }
    /* dr = scale dy */
    if (ra > 0 && b->dx[ra]) {
        drl_real *restrict dr = b->dx[ra];
        const drl_real *restrict dy = b->dy;
        size_t size = run->n * pixels * C;
        if (b->add[ra])
            for (size_t i = 0; i < size; i++) dr[i] += scale * dy[i];
        else
            for (size_t i = 0; i < size; i++) dr[i] = scale * dy[i];
    }
}

static const drl_op_type conv_type = {"conv", 1, 1, 1u << 0, forward, backward, prepare, NULL};

drl_tensor drl_op_conv(drl_graph *g, drl_tensor x, const char *name, const drl_conv_cfg *c) {
    if (drl_graph_failed(g)) return -1;
    drl_shape s = drl_graph_shape(g, x);
    bool same = c->k == 3 && !c->pad_end;
    size_t padding = c->k == 1 ? 0 : same ? 2 : 1; /* zeros along one axis, both ends together */
    if ((c->k != 1 && c->k != 3) || (c->stride != 1 && c->stride != 2) || s.h + padding < c->k || s.w + padding < c->k)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "%s: kernel %zu with stride %zu does not fit a %zux%zu image", name,
                              c->k, c->stride, s.h, s.w);
    drl_shape ys = {(s.h + padding - c->k) / c->stride + 1, (s.w + padding - c->k) / c->stride + 1, c->out};
    drl_node nd = {.type = &conv_type, .in = {x}, .n_in = 1};
    nd.cfg = (drl_op_cfg){.k = c->k, .stride = c->stride, .pad = same, .scale = c->scale ? c->scale : 1};
    const drl_tensor extra[2] = {c->channel_add, c->residual};
    const drl_shape wanted[2] = {{1, 1, c->out}, ys};
    for (int e = 0; e < 2; e++) {
        if (extra[e] < 0) continue;
        drl_shape got = drl_graph_shape(g, extra[e]);
        if (memcmp(&got, &wanted[e], sizeof got) != 0)
            return drl_graph_fail(g, DRL_ERR_SHAPE, "%s: what is added is %zux%zux%zu, want %zux%zux%zu", name, got.h,
                                  got.w, got.c, wanted[e].h, wanted[e].w, wanted[e].c);
        nd.in[nd.n_in++] = extra[e];
        nd.cfg.mode |= e == 0 ? HAS_ADDEND : HAS_RESIDUAL;
    }
    drl_node_param(g, &nd, name, "weight", 4, (size_t[]){c->out, s.c, c->k, c->k}, true, DRL_LAYOUT_HWIO, c->weight);
    drl_node_param(g, &nd, name, "bias", 1, &c->out, true, DRL_LAYOUT_PLAIN, c->bias);
    if (c->norm) {
        assert(!drl_graph_config(g)->training && !drl_graph_config(g)->backward && c->residual < 0);
        drl_node_batch_norm(g, &nd, c->norm, c->out);
        nd.cfg.mode |= HAS_NORM;
        nd.cfg.eps = c->norm_eps;
    }
    nd.xs[0] = s;
    nd.ys = ys;
    drl_conv_dims d = dims_of(&nd);
    size_t starts = c->channel_add >= 0 ? drl_graph_config(g)->shard : 1, scaled = c->norm ? weights(&d) : 0;
    nd.scratch_bytes = drl_conv_choose(&d)->scratch(&d) + (starts * c->out + scaled) * sizeof(drl_real) + 3 * DRL_ALIGN;
    nd.prepared = drl_conv_choose(&d)->prepared(&d);
    if (nd.prepared == 0) nd.prepared = scaled;
    nd.macs = (double)(ys.h * ys.w * c->out) * (double)(c->k * c->k * s.c);
    return drl_graph_append(g, &nd, ys, name);
}
