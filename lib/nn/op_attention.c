/* Scaled dot-product attention over the pixels of an image.                                         [vectors, 4.6, 11]
 *
 * Per image and head, with Q, K, V (N, d) and a = 1/sqrt(d):
 *   W = softmax_rows(a Q K^T),  Y = W V
 *   dV = W^T dY,  dW = dY V^T,  dS = W (dW - rowsum(dW W)),  dQ = a dS K,  dK = a dS^T Q
 * W is not stored: backward computes it again from Q and K, which costs one product and saves N^2 numbers an image. */
#include <string.h>

#include "drl/blas.h"
#include "drl/ops.h"
#include "nn/op.h"
#include "nn/product.h"
#include "nn/vmath.h"

static size_t pixels_of(const drl_node *nd) {
    return nd->ys.h * nd->ys.w;
}

/* row = softmax(row) */
static void softmax_row(drl_real *restrict row, size_t n) {
    drl_real lane[DRL_LANES], top;
    size_t i = 0;
    for (int l = 0; l < DRL_LANES; l++) lane[l] = row[0];
    for (; i + DRL_LANES <= n; i += DRL_LANES)
        for (int l = 0; l < DRL_LANES; l++) lane[l] = row[i + (size_t)l] > lane[l] ? row[i + (size_t)l] : lane[l];
    for (; i < n; i++) lane[0] = row[i] > lane[0] ? row[i] : lane[0];
    top = lane[0];
    for (int l = 1; l < DRL_LANES; l++) top = lane[l] > top ? lane[l] : top;
    for (i = 0; i < n; i++) row[i] = drl_exp(row[i] - top);
    for (int l = 0; l < DRL_LANES; l++) lane[l] = 0;
    for (i = 0; i + DRL_LANES <= n; i += DRL_LANES)
        for (int l = 0; l < DRL_LANES; l++) lane[l] += row[i + (size_t)l];
    for (; i < n; i++) lane[0] += row[i];
    drl_real inverse = 1 / drl_lane_sum(lane);
    for (i = 0; i < n; i++) row[i] *= inverse;
}

/* Queries are worked on in groups, so that their rows of W and dW stay in the caches. */
enum { GROUP = 32 };

/* One head of one image: q, k, v (and all else of that shape) are (N, d), rows C apart. */
typedef struct head {
    size_t N, C, d;
    const drl_real *q, *k, *v, *dy;
    drl_real *y, *dq, *dk, *dv, scale;
    /* scratch */
    drl_real *keys, *values, *columns; /* packed: K^T; V or V^T; K */
    drl_real *w, *dw;                  /* (GROUP, N) */
} head;

/* w (n, N) = rows first .. first + n - 1 of W */
static void find_weights(const head *h, size_t first, size_t n) {
    drl_matrix_product(h->w, h->N, h->scale, false, h->q + first * h->C, h->C, n, h->d, h->keys, h->N);
    for (size_t p = 0; p < n; p++) softmax_row(h->w + p * h->N, h->N);
}

static void forward_head(const head *h) {
    drl_pack_transposed(h->keys, h->k, h->d, h->N, h->C);
    drl_pack(h->values, h->v, h->N, h->d, h->C);
    for (size_t first = 0; first < h->N; first += GROUP) {
        size_t n = h->N - first < GROUP ? h->N - first : GROUP;
        find_weights(h, first, n);
        drl_matrix_product(h->y + first * h->C, h->C, 1, false, h->w, h->N, n, h->N, h->values, h->d);
    }
}

/* dw = W (dW - rowsum(dW W)), in place on dw */
static void softmax_backward(drl_real *dw, const drl_real *weights, size_t n, size_t N) {
    for (size_t p = 0; p < n; p++) {
        drl_real *restrict g = dw + p * N;
        const drl_real *restrict w = weights + p * N;
        drl_real dot = drl_dot(g, w, N);
        for (size_t r = 0; r < N; r++) g[r] = w[r] * (g[r] - dot);
    }
}

/* y (N, d) += a x^T e over n rows of x (n, N) and e (n, d): by tiles where they fit */
static void add_outer(const head *h, drl_real *y, drl_real a, drl_real *x, const drl_real *e, size_t n) {
    if (h->N % DRL_DEPTH != 0 || h->d % V != 0) {
        drl_gemm(true, false, h->N, h->d, n, a, x, h->N, e, h->C, 1, y, h->C);
        return;
    }
    for (size_t i = 0; a != 1 && i < n * h->N; i++) x[i] *= a;
    drl_outer_product(y, h->C, x, h->N, e, h->C, n, h->N, h->d);
}

static void zero(drl_real *x, const head *h) {
    for (size_t p = 0; p < h->N; p++) memset(x + p * h->C, 0, h->d * sizeof *x);
}

/* dQ (or +=, add[0]), dK (add[1]), dV (add[2]); those that are NULL are not wanted. */
static void backward_head(const head *h, const bool *add) {
    drl_pack_transposed(h->keys, h->k, h->d, h->N, h->C);
    drl_pack_transposed(h->values, h->v, h->d, h->N, h->C);
    drl_pack(h->columns, h->k, h->N, h->d, h->C);
    if (h->dk && !add[1]) zero(h->dk, h);
    if (h->dv && !add[2]) zero(h->dv, h);
    for (size_t first = 0; first < h->N; first += GROUP) {
        size_t n = h->N - first < GROUP ? h->N - first : GROUP, at = first * h->C;
        find_weights(h, first, n);
        drl_matrix_product(h->dw, h->N, 1, false, h->dy + at, h->C, n, h->d, h->values, h->N);
        softmax_backward(h->dw, h->w, n, h->N);
        if (h->dq) drl_matrix_product(h->dq + at, h->C, h->scale, add[0], h->dw, h->N, n, h->N, h->columns, h->d);
        if (h->dk) add_outer(h, h->dk, h->scale, h->dw, h->q + at, n);
        if (h->dv) add_outer(h, h->dv, 1, h->w, h->dy + at, n);
    }
}

/* Numbers of scratch a head takes. */
static size_t head_scratch(size_t N, size_t d) {
    return 2 * drl_packed_size(d, N) + 2 * drl_packed_size(N, d) + 2 * GROUP * N;
}

static head head_of(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, size_t image, size_t which) {
    size_t N = pixels_of(nd), C = nd->ys.c, d = C / nd->cfg.heads, at = image * N * C + which * d;
    size_t rows = drl_packed_size(d, N), columns = drl_packed_size(N, d);
    drl_real *s = drl_arena_take(run->scratch, head_scratch(N, d) * sizeof *s);
    head h = {.N = N, .C = C, .d = d, .q = b->x[0] + at, .k = b->x[1] + at, .v = b->x[2] + at, .y = b->y + at};
    h.scale = (drl_real)(1 / sqrt((double)d));
    h.keys = s;
    h.values = s + rows;
    h.columns = h.values + (rows > columns ? rows : columns);
    h.w = h.columns + columns;
    h.dw = h.w + GROUP * N;
    return h;
}

static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    for (size_t n = 0; n < run->n; n++)
        for (size_t i = 0; i < nd->cfg.heads; i++) {
            size_t mark = drl_arena_mark(run->scratch);
            head h = head_of(nd, b, run, n, i);
            forward_head(&h);
            drl_arena_release(run->scratch, mark);
        }
}

static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    for (size_t n = 0; n < run->n; n++)
        for (size_t i = 0; i < nd->cfg.heads; i++) {
            size_t mark = drl_arena_mark(run->scratch);
            head h = head_of(nd, b, run, n, i);
            size_t at = (size_t)(h.q - b->x[0]);
            h.dy = b->dy + at;
            h.dq = b->dx[0] ? b->dx[0] + at : NULL;
            h.dk = b->dx[1] ? b->dx[1] + at : NULL;
            h.dv = b->dx[2] ? b->dx[2] + at : NULL;
            backward_head(&h, b->add);
            drl_arena_release(run->scratch, mark);
        }
}

static const drl_op_type attention_type = {"attention", 1,        1,    1u << 0 | 1u << 1 | 1u << 2,
                                           forward,     backward, NULL, NULL};

drl_tensor drl_op_attention(drl_graph *g, drl_tensor q, drl_tensor k, drl_tensor v, size_t heads) {
    if (drl_graph_failed(g)) return -1;
    drl_shape s = drl_graph_shape(g, q), ks = drl_graph_shape(g, k), vs = drl_graph_shape(g, v);
    if (memcmp(&s, &ks, sizeof s) != 0 || memcmp(&s, &vs, sizeof s) != 0)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "attention: queries %zux%zux%zu, keys %zux%zux%zu, values %zux%zux%zu",
                              s.h, s.w, s.c, ks.h, ks.w, ks.c, vs.h, vs.w, vs.c);
    if (heads == 0 || s.c % heads)
        return drl_graph_fail(g, DRL_ERR_SHAPE, "attention: %zu channels cannot be cut into %zu heads", s.c, heads);
    drl_node nd = {.type = &attention_type, .in = {q, k, v}, .n_in = 3, .cfg = {.heads = heads}};
    size_t N = s.h * s.w;
    nd.scratch_bytes = head_scratch(N, s.c / heads) * sizeof(drl_real) + DRL_ALIGN;
    nd.macs = 2.0 * (double)(N * N) * (double)s.c;
    return drl_graph_append(g, &nd, s, NULL);
}
