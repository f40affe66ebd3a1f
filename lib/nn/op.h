/* What an op is, seen from inside lib/nn. Builders (drl/ops.h) append nodes; the executor (graph.c) calls the op type's
 * functions for each shard. */
#ifndef DRL_NN_OP_H
#define DRL_NN_OP_H

#include "drl/graph.h"
#include "drl/mem.h"

#define DRL_MAX_IN    4
#define DRL_MAX_PARAM 6

/* What a call sees of the run. */
typedef struct drl_run {
    size_t n;             /* images in this shard                                   */
    size_t first;         /* index in the batch of the shard's first image          */
    size_t shard, shards; /* this shard, shards in this run                         */
    size_t batch;         /* images in this run                                     */
    size_t shard_size;    /* images of a full shard                                 */
    uint64_t seed;
    uint32_t step;
    drl_arena *scratch; /* this thread's; holds what the node asked for, released after the call */
} drl_run;

/* The buffers of one node in one shard. */
typedef struct drl_op_bufs {
    drl_real *x[DRL_MAX_IN], *y;   /* values of inputs and output                                                   */
    drl_real *dx[DRL_MAX_IN], *dy; /* gradients; dx[i] is NULL where input i needs none                             */
    bool add[DRL_MAX_IN];          /* dx[i] holds an earlier contribution: add to it; else write it. One tensor may be
                                      several inputs, so dx[0] is written first, then dx[1], and so on           */
    drl_real *w[DRL_MAX_PARAM];    /* parameters (running statistics may be written, by shard 0, after a barrier)   */
    drl_real *dw[DRL_MAX_PARAM];   /* this shard's gradient of trained parameters, to be added to; NULL for others  */
    drl_real *saved;               /* saved_per_image reals an image + saved_per_shard reals                        */
    drl_real *prepared; /* what prepare has made of the parameters for this direction, shared by all shards */
    double *partial;    /* shard 0's partial results: shard s has partial + s * node->partials           */
} drl_op_bufs;

struct drl_node;
typedef void (*drl_op_fn)(const struct drl_node *node, const drl_op_bufs *b, const drl_run *run, unsigned phase);

/* The constant part of an op. Where there is more than one phase, all shards have finished phase p before phase p + 1
 * starts on any. */
typedef struct drl_op_type {
    const char *name;
    unsigned forward_phases, backward_phases;
    unsigned backward_reads; /* bit i: backward reads x[i]; bit DRL_MAX_IN: reads y */
    drl_op_fn forward, backward;
    /* Where not NULL: called once a run before the forward pass and once before the backward pass, on any thread. Only
     * the parameters may be read, only `prepared` written. */
    void (*prepare)(const struct drl_node *node, const drl_op_bufs *b, bool backward, drl_arena *scratch);
    /* Where not NULL: y once more, the same bits, from x and `saved`. Then y is not kept for those that read it in the
     * backward pass, but made again in time; x is kept (backward_reads says so). */
    drl_op_fn again;
} drl_op_type;
#define DRL_READS_Y (1u << DRL_MAX_IN)

/* Settings of all ops in one place; each op says which it uses. */
typedef struct drl_op_cfg {
    size_t k, stride, pad; /* kernel side, stride, zero rows and columns on top and left */
    size_t groups, heads;
    bool relu, silu, training;      /* fused activation; statistics of the batch                                */
    double eps, momentum, p, scale; /* p: dropout rate; scale: of the result                                    */
    int mode;
    double weight[3]; /* of a loss's terms */
    uint32_t stream;  /* sub-stream of random draws */
} drl_op_cfg;

typedef struct drl_node {
    const drl_op_type *type;
    drl_op_cfg cfg;
    int n_in, in[DRL_MAX_IN], out, n_param, param[DRL_MAX_PARAM];
    unsigned stops;               /* bit i: no gradient flows to input i (targets, masks, factors) */
    drl_shape xs[DRL_MAX_IN], ys; /* shapes of the inputs and the output, per image */
    size_t saved_per_image, saved_per_shard;
    size_t partials;      /* doubles a shard contributes to the whole-batch part */
    size_t prepared;      /* numbers that `prepare` makes */
    size_t scratch_bytes; /* wanted of the arena, by forward or backward, whichever is more */
    double macs;
} drl_node;

static inline size_t drl_shape_size(drl_shape s) {
    return s.h * s.w * s.c;
}

/* ---- For builders ------------------------------------------------------------------------------------------------ */

bool drl_graph_failed(const drl_graph *g);
/* Appends a node of shape ys; node->in, n_in, param, n_param, cfg are set by the builder, shapes of inputs are filled
 * in here. `name` may be NULL. Returns the output tensor, or -1 after a failure. */
drl_tensor drl_graph_append(drl_graph *g, drl_node *node, drl_shape ys, const char *name);
/* Adds the parameter PREFIX.SUFFIX to the store and to the node. */
void drl_node_param(drl_graph *g, drl_node *node, const char *prefix, const char *suffix, size_t rank,
                    const size_t *shape, bool trained, drl_layout layout, drl_init init);
const drl_graph_cfg *drl_graph_config(const drl_graph *g);
/* Adds the four parameters of the batch norm NAME over c channels: weight, bias, running_mean, running_var. */
void drl_node_batch_norm(drl_graph *g, drl_node *node, const char *name, size_t c);
/* A number that no other node of this graph has: names random draws. */
uint32_t drl_graph_next_stream(drl_graph *g);

/* ---- For kernels: sums whose order is fixed and which compilers turn into vector code ---------------------------- */

#define DRL_LANES 16

static inline drl_real drl_lane_sum(const drl_real acc[DRL_LANES]) {
    drl_real s[DRL_LANES];
    for (int i = 0; i < DRL_LANES; i++) s[i] = acc[i];
    for (int half = DRL_LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) s[i] += s[i + half];
    return s[0];
}

/* sum_i a[i] b[i] */
static inline drl_real drl_dot(const drl_real *restrict a, const drl_real *restrict b, size_t n) {
    drl_real acc[DRL_LANES] = {0};
    size_t i = 0;
    for (; i + DRL_LANES <= n; i += DRL_LANES)
        for (int l = 0; l < DRL_LANES; l++) acc[l] += a[i + l] * b[i + l];
    for (int l = 0; i < n; i++, l++) acc[l] += a[i] * b[i];
    return drl_lane_sum(acc);
}

#endif
