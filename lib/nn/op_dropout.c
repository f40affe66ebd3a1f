/* Dropout, by its own draws or by a mask that is given. */
#include <string.h>

#include "drl/ops.h"
#include "drl/rng.h"
#include "nn/dropout.h"

/* Elements are taken in runs of CHUNK at multiples of CHUNK of the tensor's index, two elements to a 32-bit word. */
#define CHUNK ((size_t)512)

void drl_dropout_apply(drl_real *out, const drl_real *in, bool add, size_t size, size_t first, double p,
                       uint32_t stream, const drl_run *run) {
    drl_rng rng = drl_rng_stream(run->seed, DRL_RNG_DROPOUT, stream, run->step);
    uint32_t word[CHUNK / 2 + 1];
    uint16_t half[CHUNK + 2]; /* the words' halves in memory order */
    const uint16_t threshold =
        (uint16_t)fmin(p * 65536.0 + 0.5, 65535); /* drop where the 16 bits are below: rate p to 2^-17 */
    const drl_real scale = (drl_real)(1 / (1 - p));
    for (size_t done = 0; done < size;) {
        size_t at = first + done, m = CHUNK - at % CHUNK;
        if (m > size - done) m = size - done;
        size_t words = (at + m + 1) / 2 - at / 2;
        drl_rng_u32(rng, at / 2, word, words);
        memcpy(half, word, words * sizeof *word);
        const uint16_t *restrict bits = half + at % 2;
        drl_real *to = out + done;
        const drl_real *from = in + done;
        if (add)
            for (size_t i = 0; i < m; i++) to[i] += from[i] * (bits[i] < threshold ? 0 : scale);
        else
            for (size_t i = 0; i < m; i++) to[i] = from[i] * (bits[i] < threshold ? 0 : scale);
        done += m;
    }
}

static void forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t size = drl_shape_size(nd->ys);
    drl_dropout_apply(b->y, b->x[0], false, run->n * size, run->first * size, nd->cfg.p, nd->cfg.stream, run);
}

static void backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    size_t size = drl_shape_size(nd->ys);
    if (b->dx[0])
        drl_dropout_apply(b->dx[0], b->dy, b->add[0], run->n * size, run->first * size, nd->cfg.p, nd->cfg.stream, run);
}

static const drl_op_type dropout_type = {"dropout", 1, 1, 0, forward, backward, NULL, NULL};

drl_tensor drl_op_dropout(drl_graph *g, drl_tensor x, double p) {
    if (drl_graph_failed(g)) return -1;
    if (!(p >= 0 && p < 1)) return drl_graph_fail(g, DRL_ERR_CONFIG, "dropout: rate %g is not in [0, 1)", p);
    if (!drl_graph_config(g)->training || p == 0) return x;
    drl_node nd = {.type = &dropout_type, .in = {x}, .n_in = 1};
    nd.cfg = (drl_op_cfg){.p = p, .stream = drl_graph_next_stream(g)};
    return drl_graph_append(g, &nd, drl_graph_shape(g, x), NULL);
}

/* ---- The same with the mask as an input -------------------------------------------------------------------------- */

static void mask_forward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    const drl_real keep = (drl_real)(1 / (1 - nd->cfg.p));
    for (size_t i = 0; i < run->n * drl_shape_size(nd->ys); i++) b->y[i] = b->x[0][i] * b->x[1][i] * keep;
}

static void mask_backward(const drl_node *nd, const drl_op_bufs *b, const drl_run *run, unsigned phase) {
    (void)phase;
    const drl_real keep = (drl_real)(1 / (1 - nd->cfg.p));
    if (!b->dx[0]) return;
    for (size_t i = 0; i < run->n * drl_shape_size(nd->ys); i++)
        b->dx[0][i] = (b->add[0] ? b->dx[0][i] : 0) + b->dy[i] * b->x[1][i] * keep;
}

static const drl_op_type mask_type = {"mask", 1, 1, 1u << 1, mask_forward, mask_backward, NULL, NULL};

drl_tensor drl_op_mask(drl_graph *g, drl_tensor x, drl_tensor mask, double p) {
    if (drl_graph_failed(g)) return -1;
    drl_shape a = drl_graph_shape(g, x), b = drl_graph_shape(g, mask);
    if (memcmp(&a, &b, sizeof a) != 0 || !(p >= 0 && p < 1))
        return drl_graph_fail(g, DRL_ERR_SHAPE, "mask: %zux%zux%zu for a %zux%zux%zu image, rate %g", b.h, b.w, b.c,
                              a.h, a.w, a.c, p);
    drl_node nd = {.type = &mask_type, .in = {x, mask}, .n_in = 2, .stops = 1u << 1, .cfg = {.p = p}};
    return drl_graph_append(g, &nd, drl_graph_shape(g, x), NULL);
}
