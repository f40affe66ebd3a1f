/* The inside of a graph, shared by graph.c (building), plan.c (memory) and run.c (execution). */
#ifndef DRL_NN_GRAPH_IMPL_H
#define DRL_NN_GRAPH_IMPL_H

#include "nn/op.h"

#define NO_PLACE ((size_t)-1)

typedef struct tensor {
    char name[DRL_PARAM_NAME];
    drl_shape shape;
    int producer; /* node index, or -1 for inputs */
    bool want_gradient, output, root, seed;
    double weight;             /* of a root */
    bool needs_grad, has_grad; /* depends on something trained; reaches a root */
    size_t value_at, grad_at;  /* offsets in a shard's block (of outputs, where `apart`), in elements */
    bool apart;                /* an output with memory of its own */
    int again_before;          /* the node before whose backward the value is made again; -1: it is kept */
} tensor;

/* One call of an op's function; a barrier stands between segments. */
typedef struct call {
    int node;
    unsigned phase;
    bool barrier; /* wait for all shards before this call */
    bool again;   /* the op's `again`, not its backward */
} call;

struct drl_graph {
    drl_graph_cfg cfg;
    drl_params *params;
    drl_err error; /* the first, while building */
    tensor *tensors;
    size_t n_tensors, tensor_capacity;
    drl_node *nodes;
    size_t n_nodes, node_capacity;
    uint32_t streams;
    char scope[DRL_PARAM_NAME]; /* stands before the names of what is appended */
    bool frozen;                /* what is appended passes no gradient on and learns nothing */

    /* Made by the plan. */
    drl_threads *team;
    size_t max_shards, block; /* block: elements of one shard's memory */
    size_t blocks;            /* max_shards, or, where shards never wait for each other and leave nothing behind but
                                 outputs, one a thread: shard s then uses block s % blocks */
    drl_real *memory;         /* blocks * block */
    size_t output_block;      /* elements of one shard's outputs, which have their own memory in the latter case */
    drl_real *outputs;        /* max_shards * output_block */
    drl_real *shard_grads;    /* max_shards * params->n_value */
    double *partials;
    drl_real *prepared; /* of all nodes, one behind the other */
    drl_op_bufs *bufs;  /* n_nodes * max_shards */
    size_t *saved_at;   /* n_nodes: offset of `saved` in the block */
    drl_arena *scratch; /* one per thread */
    size_t n_scratch, scratch_bytes;
    call *forward, *backward;
    size_t n_forward, n_backward;
    double *block_norm; /* of drl_graph_collect */

    /* State of the current run. */
    size_t n, shards;
    uint32_t step;
    drl_fill_fn fill;
    void *fill_arg;
    bool run_backward;
    drl_real *collect_into;
    double *profile; /* threads * nodes * 2 seconds; NULL when off */
};

/* Where a tensor's value lies in a shard. */
static inline drl_real *value_of(const drl_graph *g, const tensor *t, size_t shard) {
    if (t->apart) return g->outputs + shard * g->output_block + t->value_at;
    return g->memory + shard % g->blocks * g->block + t->value_at;
}

/* Frees what the plan made. */
void drl_graph_unplan(drl_graph *g);

#endif
