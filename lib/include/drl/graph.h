/* Static graphs of differentiable ops, run shard by shard.                                       [DESIGN, "Engine"]
 *
 * A graph is built once (the functions of drl/ops.h append nodes), planned once (drl_graph_plan lays out every buffer)
 * and then run many times without allocating. A tensor is a batch of images (n, h, w, c), channel fastest; a vector
 * (n, d) is (n, 1, 1, d).
 *
 * The batch is cut into shards of a fixed number of images. A thread takes a shard through all ops; ops that need the
 * whole batch (batch normalisation in training, NT-Xent, VICReg) wait for all shards at a barrier and then combine
 * their partial results in shard order. Gradients of parameters are kept per shard and added in shard order. So results
 * do not depend on the number of threads.
 *
 * Memory: every shard has one block; each value, gradient and saved tensor gets a place in it for exactly the time
 * between its first write and its last read; normalised values are made again for the backward pass. Where nothing but
 * outputs outlives a shard (no gradients, no op that waits), shards follow each other in one block a thread. */
#ifndef DRL_GRAPH_H
#define DRL_GRAPH_H

#include <stdbool.h>

#include "drl/err.h"
#include "drl/params.h"
#include "drl/real.h"
#include "drl/threads.h"

typedef struct drl_graph drl_graph;
typedef int drl_tensor; /* handle of a tensor in its graph; negative: none */

typedef struct drl_shape {
    size_t h, w, c;
} drl_shape;

typedef struct drl_graph_cfg {
    size_t batch;  /* most images a run may have                                               */
    size_t shard;  /* images in a shard (0: 16)                                                */
    bool training; /* batch normalisation by batch statistics, dropout on                      */
    bool backward; /* gradients will be asked for                                              */
    bool keep;     /* keep every tensor and gradient readable after a run (tests; more memory) */
    bool unfused;  /* emit norm, activation and dropout as separate nodes (tests)              */
    uint64_t seed; /* of dropout                                                               */
} drl_graph_cfg;

drl_status drl_graph_new(drl_graph **g, const drl_graph_cfg *cfg, drl_params *params, drl_err *err);
void drl_graph_free(drl_graph *g);

/* ---- Building. The first error sticks: later calls return -1 and drl_graph_plan reports it. ---------------------- */

/* Records a failure, unless one is recorded; returns -1. For builders of networks that refuse a configuration. */
drl_tensor drl_graph_fail(drl_graph *g, drl_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A tensor filled by the caller before each run. want_gradient: its gradient is computed and readable after a run. */
drl_tensor drl_graph_input(drl_graph *g, const char *name, drl_shape shape, bool want_gradient);
drl_shape drl_graph_shape(const drl_graph *g, drl_tensor t);
/* Opens a scope: what the ops appended from here on add to the store, and the tensors they make, is named PREFIX + its
 * name (inputs are not); "" and false end it. One network can so be built twice in a graph, with parameters of its own
 * ("target." makes "target.encoder.stem.weight"). In a frozen scope parameters are not trained: they live in
 * params->state, where drl_params_follow writes them, and no gradient flows through the ops, to no input either. Batch
 * norms of a frozen scope do what those of the graph do: in training, normalise by the batch and update running values.
 * Without a scope, a network built twice shares its parameters: gradients add up, running values are updated twice. */
void drl_graph_scope(drl_graph *g, const char *prefix, bool frozen);
/* Names a tensor (for drl_graph_find); a block's name replaces that of the op it ends with. Returns t. */
drl_tensor drl_graph_name(drl_graph *g, drl_tensor t, const char *name);
drl_tensor drl_graph_find(const drl_graph *g, const char *name);
/* Whether constants may be folded into weights: nothing is learned, and nobody looks at what is in between. */
bool drl_graph_folds(const drl_graph *g);
/* Makes a tensor's value readable after a run. */
void drl_graph_output(drl_graph *g, drl_tensor t);
/* A scalar per image, (n, 1, 1, 1): the objective is the sum over roots of weight * mean over the batch. */
void drl_graph_root(drl_graph *g, drl_tensor t, double weight);
/* A tensor whose upstream gradient the caller writes before each run (tests): drl_graph_gradient gives the place. */
void drl_graph_seed(drl_graph *g, drl_tensor t);

/* ---- Planning and running ---------------------------------------------------------------------------------------- */

/* Lays out all memory; what no output or root of a graph without gradients needs is not computed. `params` may still be
 * unallocated while graphs are built; it must be allocated now. */
drl_status drl_graph_plan(drl_graph *g, drl_threads *team, drl_err *err);

/* Called once per shard, on the thread that runs it, before the shard's first op: writes the inputs (and seeds) of
 * images first .. first + n - 1 of the batch, through drl_graph_value(g, t, shard) / drl_graph_gradient(g, t, shard).
 */
typedef void (*drl_fill_fn)(void *arg, size_t shard, size_t first, size_t n);

/* Forward, and backward where asked, for n images (1 <= n <= batch). step names the dropout draws. */
void drl_graph_run(drl_graph *g, size_t n, uint32_t step, drl_fill_fn fill, void *arg, bool backward);

/* Shards of the last run, images per full shard. Shard s holds images s*size .. ; the last may hold fewer. */
size_t drl_graph_shards(const drl_graph *g);
size_t drl_graph_shard_size(const drl_graph *g);

/* First element of a tensor's part in a shard: outputs and roots; any tensor of a `keep` graph; inputs, to be written
 * in drl_fill_fn (a later shard may use the same memory). */
drl_real *drl_graph_value(const drl_graph *g, drl_tensor t, size_t shard);
/* The same of its gradient: seeds, inputs with want_gradient; any tensor of a `keep` graph that has a gradient.
 * NULL where there is none. */
drl_real *drl_graph_gradient(const drl_graph *g, drl_tensor t, size_t shard);

/* out (n, h, w, c) = the values of all images of the last run. */
void drl_graph_read(const drl_graph *g, drl_tensor t, drl_real *out);

/* Mean over the batch of a root of the last run, added in image order in double. */
double drl_graph_mean(const drl_graph *g, drl_tensor t);

/* gradient (params->n_value) = sum over shards, in shard order, of the parameters' gradients of the last run. Returns
 * the squared Euclidean norm, added in double over fixed blocks in order. */
double drl_graph_collect(drl_graph *g, drl_real *gradient);

/* What a plan costs: nodes, bytes of all shards' blocks, and of gradients and scratch. */
typedef struct drl_graph_stats {
    size_t nodes, tensor_bytes, gradient_bytes, scratch_bytes;
    double macs; /* multiply-accumulates an image, forward (convolutions, linear layers, attention) */
} drl_graph_stats;
drl_graph_stats drl_graph_get_stats(const drl_graph *g);

/* Where the time goes, node by node: seconds added over threads, shards and runs since the profile was switched on.
 * Costs two clock reads a node and shard. Switching on allocates; seconds start from zero. */
void drl_graph_profile(drl_graph *g, bool on);

/* What an image needs of a node, and the time the node took. Bytes are those of the tensors that a pass has to read and
 * write at least once: inputs, output, saved draws and statistics, and in the backward pass their gradients. Parameters
 * and scratch are not counted. */
typedef struct drl_profile_entry {
    const char *op, *name;                /* kind of op; name of the tensor it makes, "" where it has none */
    drl_shape x, y;                       /* shapes of the first input and the output                      */
    size_t kernel, stride;                /* of a convolution; kernel is 0 for all others                  */
    double macs;                          /* multiply-accumulates, forward                                 */
    double forward_bytes, backward_bytes; /* backward: 0 where no gradient is asked of the node            */
    double forward_seconds, backward_seconds;
} drl_profile_entry;

/* Calls fn for every node in the order of the graph; does nothing where the profile is off. */
typedef void (*drl_profile_fn)(void *arg, const drl_profile_entry *entry);
void drl_graph_profile_read(const drl_graph *g, drl_profile_fn fn, void *arg);

#endif
