/* Group normalisation with the activation and dropout that follow it, in one op.
 *
 *   xhat = (x - mean_g) rstd_g,   a = weight xhat + bias,   y = dropout(act(a))
 * and backward, with da = dy dropout' act'(a):
 *   dweight = sum da xhat,   dbias = sum da,
 *   dx = rstd_g ( weight da - ( A_g + xhat B_g ) / m ),   A_g = sum_g weight da,   B_g = sum_g weight da xhat
 * where sums with index g go over the m = pixels * channels of a group in one image.            [vectors, 4.3, 4.5] */
#include <string.h>

#include "drl/ops.h"
#include "nn/dropout.h"
#include "nn/norm.h"
#include "nn/op.h"
#include "nn/vmath.h"

#define CHUNK ((size_t)1024) /* numbers that pass through activation and dropout while they are near */

/* saved, per image: rstd and mean of every channel's group, so that xhat = (x - saved[C + c]) saved[c]. With n pixels,
 * a group's sum of squares is the sum over its channels of  m2_c + n (mean_c - mean_g)^2. */
static void statistics(drl_real *restrict saved, const drl_real *x, size_t pixels, size_t C, size_t groups, double eps,
                       drl_arena *scratch) {
    double *mean = drl_arena_take(scratch, 2 * C * sizeof *mean), *m2 = mean + C, n = (double)pixels;
    size_t width = C / groups;
    drl_channel_moments(mean, m2, x, pixels, C);
    for (size_t g = 0; g < groups; g++) {
        double mu = 0, square = 0;
        for (size_t c = g * width; c < (g + 1) * width; c++) mu += mean[c] / (double)width;
        for (size_t c = g * width; c < (g + 1) * width; c++) square += m2[c] + n * (mean[c] - mu) * (mean[c] - mu);
        double rstd = 1 / sqrt(square / (n * (double)width) + eps);
        for (size_t c = g * width; c < (g + 1) * width; c++) {
            saved[c] = (drl_real)rstd;
            saved[C + c] = (drl_real)mu;
        }
    }
}

/* a = slope (x - mean) + bias of one image, slope = weight rstd (C) */
static drl_affine find_affine(drl_real *restrict slope, const drl_op_bufs *b, const drl_real *restrict saved,
                              size_t C) {
    for (size_t c = 0; c < C; c++) slope[c] = b->w[0][c] * saved[c];
    return (drl_affine){saved + C, slope, b->w[1], false};
}

/* Pixels that are worked on together. */
static size_t chunk_pixels(const drl_node *nd) {
    return CHUNK / nd->ys.c ? CHUNK / nd->ys.c : 1;
}

static void silu(drl_real *restrict y, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = drl_silu1(y[i]);
}

/* da *= silu'(a) */
static void silu_backward(drl_real *restrict da, const drl_real *restrict a, size_t n) {
    for (size_t i = 0; i < n; i++) da[i] *= drl_dsilu1(a[i]);
}

/* y of one image, whose statistics are saved. */
static void normalise(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, size_t image, drl_real *slope) {
    size_t C = nd->ys.c, pixels = nd->ys.h * nd->ys.w, size = pixels * C, step = chunk_pixels(nd);
    const drl_real *x = b->x[0] + image * size;
    drl_real *y = b->y + image * size;
    drl_affine n = find_affine(slope, b, b->saved + image * 2 * C, C);
    for (size_t p = 0; p < pixels; p += step) {
        size_t k = pixels - p < step ? pixels - p : step;
        drl_norm_apply(y + p * C, x + p * C, &n, k, C);
        if (nd->cfg.silu) silu(y + p * C, k * C);
        if (nd->cfg.p > 0)
            drl_dropout_apply(y + p * C, y + p * C, false, k * C, (run->first + image) * size + p * C, nd->cfg.p,
                              nd->cfg.stream, run);
    }
}

static void again(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    drl_real *slope = drl_arena_take(run->scratch, nd->ys.c * sizeof *slope);
    for (size_t i = 0; i < run->n; i++) normalise(nd, b, run, i, slope);
}

static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t C = nd->ys.c, pixels = nd->ys.h * nd->ys.w;
    drl_real *slope = drl_arena_take(run->scratch, C * sizeof *slope);
    for (size_t i = 0; i < run->n; i++) {
        size_t mark = drl_arena_mark(run->scratch);
        statistics(b->saved + i * 2 * C, b->x[0] + i * pixels * C, pixels, C, nd->cfg.groups, nd->cfg.eps,
                   run->scratch);
        normalise(nd, b, run, i, slope);
        drl_arena_release(run->scratch, mark);
    }
}

/* da of one image, the gradient with respect to a, and its sums over pixels: sums[c] of da, dots[c] of da (x - mean).
 */
static void upstream(drl_real *da, double *sums, double *dots, const drl_node *nd, const drl_real *x,
                     const drl_real *dy, const drl_affine *n, size_t image, drl_real *a, const drl_run *run) {
    size_t C = nd->ys.c, pixels = nd->ys.h * nd->ys.w, step = chunk_pixels(nd);
    memset(sums, 0, C * sizeof *sums);
    memset(dots, 0, C * sizeof *dots);
    for (size_t p = 0; p < pixels; p += step, x += step * C, dy += step * C, da += step * C) {
        size_t k = pixels - p < step ? pixels - p : step;
        if (nd->cfg.p > 0)
            drl_dropout_apply(da, dy, false, k * C, image * pixels * C + p * C, nd->cfg.p, nd->cfg.stream, run);
        else
            memcpy(da, dy, k * C * sizeof *da);
        if (nd->cfg.silu) {
            drl_norm_apply(a, x, n, k, C);
            silu_backward(da, a, k * C);
        }
        drl_channel_dots(sums, dots, da, x, n, k, C);
    }
}

static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t C = nd->ys.c, pixels = nd->ys.h * nd->ys.w, size = pixels * C, width = C / nd->cfg.groups;
    drl_real *slope = drl_arena_take(run->scratch, C * sizeof *slope);
    drl_real *da = drl_arena_take(run->scratch, size * sizeof *da);
    drl_real *a = drl_arena_take(run->scratch, chunk_pixels(nd) * C * sizeof *a);
    drl_real *k0 = drl_arena_take(run->scratch, 3 * C * sizeof *k0), *k1 = k0 + C, *k2 = k1 + C;
    double *sums = drl_arena_take(run->scratch, 2 * C * sizeof *sums), *dots = sums + C;
    for (size_t i = 0; i < run->n; i++) {
        const drl_real *x = b->x[0] + i * size, *saved = b->saved + i * 2 * C, *w = b->w[0];
        drl_affine n = find_affine(slope, b, saved, C);
        upstream(da, sums, dots, nd, x, b->dy + i * size, &n, run->first + i, a, run);
        for (size_t c = 0; c < C; c++) {
            dots[c] *= (double)saved[c];
            b->dw[0][c] += (drl_real)dots[c];
            b->dw[1][c] += (drl_real)sums[c];
        }
        if (!b->dx[0]) continue;
        /* dx = k0 da + k1 (x - mean) + k2 */
        for (size_t g = 0; g < nd->cfg.groups; g++) {
            double A = 0, S = 0, m = (double)(pixels * width);
            for (size_t c = g * width; c < (g + 1) * width; c++)
                A += (double)w[c] * sums[c], S += (double)w[c] * dots[c];
            for (size_t c = g * width; c < (g + 1) * width; c++) {
                double rstd = (double)saved[c];
                k0[c] = (drl_real)(rstd * (double)w[c]);
                k1[c] = (drl_real)(-rstd * rstd * S / m);
                k2[c] = (drl_real)(-rstd * A / m);
            }
        }
        drl_norm_dx(b->dx[0] + i * size, da, x, &n, k0, k1, k2, b->add[0], pixels, C);
    }
}

static const drl_op_type group_norm_type = {"group_norm", 1, 1, 1u << 0, forward, backward, NULL, again};

drl_tensor drl_op_group_norm(drl_graph *g, drl_tensor x, const char *name, size_t groups, double eps, int act,
                             double dropout) {
    if (drl_graph_failed(g)) return -1;
    drl_shape s = drl_graph_shape(g, x);
    if (groups == 0 || s.c % groups != 0)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "%s: %zu channels cannot be cut into %zu groups", name, s.c, groups);
    if (act != 0 && act != 's') return drl_graph_fail(g, DRL_ERR_CONFIG, "%s: no activation '%c' here", name, act);
    if (!(dropout >= 0 && dropout < 1))
        return drl_graph_fail(g, DRL_ERR_CONFIG, "%s: dropout rate %g is not in [0, 1)", name, dropout);
    const drl_graph_cfg *cfg = drl_graph_config(g);
    double p = cfg->training ? dropout : 0;
    drl_node nd = {.type = &group_norm_type, .in = {x}, .n_in = 1};
    nd.cfg = (drl_op_cfg){.groups = groups, .eps = eps, .silu = act == 's' && !cfg->unfused, .p = cfg->unfused ? 0 : p};
    if (nd.cfg.p > 0) nd.cfg.stream = drl_graph_next_stream(g);
    drl_node_param(g, &nd, name, "weight", 1, &s.c, true, DRL_LAYOUT_PLAIN, (drl_init){DRL_INIT_CONSTANT, 1});
    drl_node_param(g, &nd, name, "bias", 1, &s.c, true, DRL_LAYOUT_PLAIN, (drl_init){DRL_INIT_CONSTANT, 0});
    nd.saved_per_image = 2 * s.c;
    nd.ys = s;
    nd.scratch_bytes = (drl_shape_size(s) + chunk_pixels(&nd) * s.c + 8 * s.c) * sizeof(drl_real) +
                       2 * s.c * sizeof(double) + 8 * DRL_ALIGN;
    drl_tensor y = drl_graph_append(g, &nd, s, name);
    if (cfg->unfused) {
        if (act == 's') y = drl_op_silu(g, y);
        if (p > 0) y = drl_op_dropout(g, y, p);
    }
    return y;
}
