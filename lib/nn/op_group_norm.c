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

/* saved, per image: rstd and mean of every channel's group, so that xhat = (x - saved[C + c]) saved[c]. Taking the mean
 * off first keeps the digits of a small variance on a large mean. */
static void statistics(drl_real *restrict saved, const drl_real *x, size_t pixels, size_t C, size_t groups, double eps,
                       drl_arena *scratch) {
    double *sum = drl_arena_take(scratch, 2 * C * sizeof *sum), *square = sum + C;
    size_t width = C / groups;
    double m = (double)(pixels * width);
    drl_channel_sums(sum, x, pixels, C, scratch);
    double *mean = drl_arena_take(scratch, C * sizeof *mean);
    for (size_t g = 0; g < groups; g++) {
        double total = 0;
        for (size_t c = g * width; c < (g + 1) * width; c++) total += sum[c];
        for (size_t c = g * width; c < (g + 1) * width; c++) mean[c] = total / m;
    }
    drl_channel_squares(square, x, mean, pixels, C, scratch);
    for (size_t g = 0; g < groups; g++) {
        double total = 0;
        for (size_t c = g * width; c < (g + 1) * width; c++) total += square[c];
        double rstd = 1 / sqrt(total / m + eps);
        for (size_t c = g * width; c < (g + 1) * width; c++) {
            saved[c] = (drl_real)rstd;
            saved[C + c] = (drl_real)mean[c];
        }
    }
}

/* Per channel a = slope (x - mean) + bias with slope = weight rstd. */
static void find_slope(drl_real *restrict slope, const drl_real *restrict rstd, const drl_real *restrict weight,
                       size_t C) {
    for (size_t c = 0; c < C; c++) slope[c] = weight[c] * rstd[c];
}

static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t C = nd->ys.c, pixels = nd->ys.h * nd->ys.w, size = pixels * C;
    drl_real *restrict slope = drl_arena_take(run->scratch, C * sizeof *slope);
    const drl_real *restrict bias = b->w[1];
    for (size_t n = 0; n < run->n; n++) {
        const drl_real *restrict x = b->x[0] + n * size;
        drl_real *restrict y = b->y + n * size, *saved = b->saved + n * 2 * C;
        const drl_real *restrict mean = saved + C;
        size_t mark = drl_arena_mark(run->scratch);
        statistics(saved, x, pixels, C, nd->cfg.groups, nd->cfg.eps, run->scratch);
        find_slope(slope, saved, b->w[0], C);
        if (nd->cfg.silu)
            for (size_t p = 0; p < pixels; p++)
                for (size_t c = 0; c < C; c++) y[p * C + c] = drl_silu1(slope[c] * (x[p * C + c] - mean[c]) + bias[c]);
        else
            for (size_t p = 0; p < pixels; p++)
                for (size_t c = 0; c < C; c++) y[p * C + c] = slope[c] * (x[p * C + c] - mean[c]) + bias[c];
        if (nd->cfg.p > 0)
            drl_dropout_apply(y, y, false, size, (run->first + n) * size, nd->cfg.p, nd->cfg.stream, run);
        drl_arena_release(run->scratch, mark);
    }
}

/* da of one image, the gradient with respect to the normalised and scaled value. */
static void upstream(drl_real *restrict da, const drl_node *nd, const drl_real *restrict x, const drl_real *restrict dy,
                     const drl_real *restrict slope, const drl_real *restrict mean, const drl_real *restrict bias,
                     size_t image, const drl_run *run) {
    size_t C = nd->ys.c, pixels = nd->ys.h * nd->ys.w, size = pixels * C;
    if (nd->cfg.p > 0)
        drl_dropout_apply(da, dy, false, size, image * size, nd->cfg.p, nd->cfg.stream, run);
    else
        memcpy(da, dy, size * sizeof *da);
    if (!nd->cfg.silu) return;
    for (size_t p = 0; p < pixels; p++)
        for (size_t c = 0; c < C; c++) da[p * C + c] *= drl_dsilu1(slope[c] * (x[p * C + c] - mean[c]) + bias[c]);
}

static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t C = nd->ys.c, pixels = nd->ys.h * nd->ys.w, size = pixels * C, width = C / nd->cfg.groups;
    drl_real *slope = drl_arena_take(run->scratch, C * sizeof *slope);
    drl_real *restrict da = drl_arena_take(run->scratch, size * sizeof *da);
    drl_real *restrict k0 = drl_arena_take(run->scratch, 3 * C * sizeof *k0), *restrict k1 = k0 + C,
                       *restrict k2 = k1 + C;
    double *sums = drl_arena_take(run->scratch, 2 * C * sizeof *sums), *dots = sums + C;
    for (size_t n = 0; n < run->n; n++) {
        const drl_real *restrict x = b->x[0] + n * size, *restrict saved = b->saved + n * 2 * C, *restrict w = b->w[0];
        size_t mark = drl_arena_mark(run->scratch);
        find_slope(slope, saved, b->w[0], C);
        upstream(da, nd, x, b->dy + n * size, slope, saved + C, b->w[1], run->first + n, run);
        /* sums[c] = sum da, dots[c] = sum da xhat */
        drl_channel_dots(sums, dots, da, x, saved + C, pixels, C, run->scratch);
        for (size_t c = 0; c < C; c++) {
            dots[c] *= (double)saved[c];
            b->dw[0][c] += (drl_real)dots[c];
            b->dw[1][c] += (drl_real)sums[c];
        }
        /* dx = k0 da + k1 (x - mean) + k2 */
        for (size_t g = 0; g < nd->cfg.groups; g++) {
            double A = 0, B = 0, m = (double)(pixels * width);
            for (size_t c = g * width; c < (g + 1) * width; c++)
                A += (double)w[c] * sums[c], B += (double)w[c] * dots[c];
            for (size_t c = g * width; c < (g + 1) * width; c++) {
                double rstd = (double)saved[c];
                k0[c] = (drl_real)(rstd * (double)w[c]);
                k1[c] = (drl_real)(-rstd * rstd * B / m);
                k2[c] = (drl_real)(-rstd * A / m);
            }
        }
        if (b->dx[0]) drl_norm_dx(b->dx[0] + n * size, da, x, saved + C, k0, k1, k2, b->add[0], pixels, C);
        drl_arena_release(run->scratch, mark);
    }
}

static const drl_op_type group_norm_type = {"group_norm", 1, 1, 1u << 0, forward, backward};

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
    nd.scratch_bytes = drl_shape_size(s) * sizeof(drl_real) + drl_norm_scratch(s.c);
    drl_tensor y = drl_graph_append(g, &nd, s, name);
    if (cfg->unfused) {
        if (act == 's') y = drl_op_silu(g, y);
        if (p > 0) y = drl_op_dropout(g, y, p);
    }
    return y;
}
