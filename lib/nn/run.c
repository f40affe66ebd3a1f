/* Running a planned graph: each thread takes its shards through the calls; barriers stand only before the later phases
 * of whole-batch ops. */
#include "nn/graph_impl.h"

#include <assert.h>
#include <string.h>

#include "drl/blas.h"
#include "drl/log.h"

static void call_op(drl_graph *g, const call *c, size_t shard, size_t member, bool backward) {
    const drl_node *nd = &g->nodes[c->node];
    size_t first = shard * g->cfg.shard;
    drl_run run = {.n = g->n - first < g->cfg.shard ? g->n - first : g->cfg.shard,
                   .first = first,
                   .shard = shard,
                   .shards = g->shards,
                   .batch = g->n,
                   .shard_size = g->cfg.shard,
                   .seed = g->cfg.seed,
                   .step = g->step,
                   .scratch = &g->scratch[member]};
    const drl_op_bufs *b = &g->bufs[shard * g->n_nodes + (size_t)c->node];
    size_t mark = drl_arena_mark(run.scratch);
    double start = g->profile ? drl_now() : 0;
    (c->again ? nd->type->again : backward ? nd->type->backward : nd->type->forward)(nd, b, &run, c->phase);
    if (g->profile) g->profile[(member * g->n_nodes + (size_t)c->node) * 2 + backward] += drl_now() - start;
    drl_arena_release(run.scratch, mark);
}

static void fill_shard(drl_graph *g, size_t shard) {
    size_t first = shard * g->cfg.shard, left = g->n - first;
    if (g->fill) g->fill(g->fill_arg, shard, first, left < g->cfg.shard ? left : g->cfg.shard);
}

/* All calls of one pass, segment by segment: a segment is what lies between two barriers. */
static void pass(drl_graph *g, const call *calls, size_t n, size_t member, size_t members, bool backward) {
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && !calls[end].barrier) end++;
        for (size_t s = member; s < g->shards; s += members)
            for (size_t k = i; k < end; k++) call_op(g, &calls[k], s, member, backward);
        i = end;
        if (i < n) drl_threads_barrier(g->team);
    }
}

/* Lays out the parameters for the pass that follows; every member takes some of the nodes. */
static void prepare(drl_graph *g, size_t member, size_t members, bool backward) {
    for (size_t i = 0, turn = 0; i < g->n_nodes; i++) {
        const drl_node *nd = &g->nodes[i];
        if (!nd->type->prepare || nd->prepared == 0 || (backward && !g->bufs[i].dx[0])) continue;
        if (turn++ % members != member) continue;
        double start = g->profile ? drl_now() : 0;
        nd->type->prepare(nd, &g->bufs[i], backward, &g->scratch[member]);
        if (g->profile) g->profile[(member * g->n_nodes + i) * 2 + backward] += drl_now() - start;
    }
    drl_threads_barrier(g->team);
}

/* Upstream gradients of the roots: weight / n for each image. */
static void seed_roots(drl_graph *g, size_t shard) {
    for (size_t t = 0; t < g->n_tensors; t++) {
        if (!g->tensors[t].root || g->tensors[t].grad_at == NO_PLACE) continue;
        drl_real *d = g->memory + shard * g->block + g->tensors[t].grad_at;
        for (size_t i = 0; i < g->cfg.shard; i++) d[i] = (drl_real)(g->tensors[t].weight / (double)g->n);
    }
}

static void run_member(void *arg, size_t member) {
    drl_graph *g = arg;
    size_t members = drl_threads_count(g->team), P = g->params->n_value;
    drl_flush_denormals();
    prepare(g, member, members, false);
    if (g->blocks < g->max_shards) { /* shards share blocks: one after the other; a block never changes its thread */
        assert(g->blocks == members);
        for (size_t s = member; s < g->shards; s += members) {
            fill_shard(g, s);
            for (size_t k = 0; k < g->n_forward; k++) call_op(g, &g->forward[k], s, member, false);
        }
        return;
    }
    for (size_t s = member; s < g->shards; s += members) fill_shard(g, s);
    pass(g, g->forward, g->n_forward, member, members, false);
    if (!g->run_backward) return;
    drl_threads_barrier(g->team); /* what was prepared for the forward pass is no longer read */
    prepare(g, member, members, true);
    for (size_t s = member; s < g->shards; s += members) {
        seed_roots(g, s);
        memset(g->shard_grads + s * P, 0, P * sizeof(drl_real));
    }
    /* The first backward call may read other shards' seeds or partial results only after a barrier of its own. */
    pass(g, g->backward, g->n_backward, member, members, true);
}

void drl_graph_run(drl_graph *g, size_t n, uint32_t step, drl_fill_fn fill, void *arg, bool backward) {
    assert(g->memory && n > 0 && n <= g->cfg.batch && (!backward || g->cfg.backward));
    g->n = n;
    g->shards = (n + g->cfg.shard - 1) / g->cfg.shard;
    g->step = step;
    g->fill = fill;
    g->fill_arg = arg;
    g->run_backward = backward;
    drl_threads_run(g->team, run_member, g);
}

size_t drl_graph_shards(const drl_graph *g) {
    return g->shards;
}

size_t drl_graph_shard_size(const drl_graph *g) {
    return g->cfg.shard;
}

drl_real *drl_graph_value(const drl_graph *g, drl_tensor t, size_t shard) {
    assert(t >= 0 && (size_t)t < g->n_tensors && shard < g->max_shards);
    return value_of(g, &g->tensors[t], shard);
}

drl_real *drl_graph_gradient(const drl_graph *g, drl_tensor t, size_t shard) {
    assert(t >= 0 && (size_t)t < g->n_tensors && shard < g->max_shards);
    if (g->tensors[t].grad_at == NO_PLACE) return NULL;
    return g->memory + shard * g->block + g->tensors[t].grad_at;
}

void drl_graph_read(const drl_graph *g, drl_tensor t, drl_real *out) {
    size_t size = drl_shape_size(g->tensors[t].shape);
    for (size_t s = 0; s < g->shards; s++) {
        size_t first = s * g->cfg.shard, n = g->n - first < g->cfg.shard ? g->n - first : g->cfg.shard;
        memcpy(out + first * size, drl_graph_value(g, t, s), n * size * sizeof *out);
    }
}

double drl_graph_mean(const drl_graph *g, drl_tensor t) {
    double sum = 0;
    for (size_t i = 0; i < g->n; i++) sum += (double)drl_graph_value(g, t, i / g->cfg.shard)[i % g->cfg.shard];
    return sum / (double)g->n;
}

/* ---- Adding the shards' gradients -------------------------------------------------------------------------------- */

#define BLOCK ((size_t)4096)

static void collect_block(void *arg, size_t block, size_t member) {
    (void)member;
    drl_graph *g = arg;
    size_t P = g->params->n_value, from = block * BLOCK, to = from + BLOCK < P ? from + BLOCK : P;
    drl_real *restrict sum = g->collect_into;
    memcpy(sum + from, g->shard_grads + from, (to - from) * sizeof *sum);
    for (size_t s = 1; s < g->shards; s++) {
        const drl_real *restrict d = g->shard_grads + s * P;
        for (size_t i = from; i < to; i++) sum[i] += d[i];
    }
    double lanes[8] = {0};
    for (size_t i = from; i < to; i += 8) /* n_value is a multiple of 8: views are aligned */
        for (int l = 0; l < 8; l++) lanes[l] += (double)sum[i + (size_t)l] * (double)sum[i + (size_t)l];
    double total = 0;
    for (int l = 0; l < 8; l++) total += lanes[l];
    g->block_norm[block] = total;
}

double drl_graph_collect(drl_graph *g, drl_real *gradient) {
    assert(g->shard_grads && g->run_backward);
    size_t blocks = (g->params->n_value + BLOCK - 1) / BLOCK;
    g->collect_into = gradient;
    drl_threads_for(g->team, blocks, collect_block, g);
    double total = 0;
    for (size_t b = 0; b < blocks; b++) total += g->block_norm[b];
    return total;
}

/* ---- What it costs ----------------------------------------------------------------------------------------------- */

drl_graph_stats drl_graph_get_stats(const drl_graph *g) {
    drl_graph_stats s = {.nodes = g->n_nodes};
    s.tensor_bytes = (g->block * g->blocks + g->output_block * g->max_shards) * sizeof(drl_real);
    s.gradient_bytes = g->shard_grads ? g->params->n_value * g->max_shards * sizeof(drl_real) : 0;
    s.scratch_bytes = g->scratch_bytes * (g->team ? drl_threads_count(g->team) : 0);
    for (size_t i = 0; i < g->n_nodes; i++) s.macs += g->nodes[i].macs;
    return s;
}

void drl_graph_profile(drl_graph *g, bool on) {
    drl_free(g->profile);
    g->profile = NULL;
    if (on) drl_alloc(&g->profile, drl_threads_count(g->team) * g->n_nodes * 2, sizeof(double), "profile", NULL);
}

/* Elements of an image that the passes of node i have to touch: see drl_profile_entry. */
static void touched(const drl_graph *g, size_t i, size_t *forward, size_t *backward) {
    const drl_node *nd = &g->nodes[i];
    const drl_op_bufs *b = &g->bufs[i];
    size_t y = drl_shape_size(nd->ys);
    *forward = y + nd->saved_per_image;
    *backward = 0;
    for (int k = 0; k < nd->n_in; k++) *forward += drl_shape_size(nd->xs[k]);
    bool runs = false;
    for (size_t c = 0; c < g->n_backward; c++) runs |= g->backward[c].node == (int)i;
    if (!runs) return;
    *backward = y + nd->saved_per_image + (nd->type->backward_reads & DRL_READS_Y ? y : 0);
    for (int k = 0; k < nd->n_in; k++) {
        size_t times = nd->type->backward_reads >> k & 1; /* read x; write dx, or read and write it */
        if (b->dx[k]) times += b->add[k] ? 2 : 1;
        *backward += times * drl_shape_size(nd->xs[k]);
    }
}

void drl_graph_profile_read(const drl_graph *g, drl_profile_fn fn, void *arg) {
    if (!g->profile) return;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const drl_node *nd = &g->nodes[i];
        drl_profile_entry e = {.op = nd->type->name,
                               .name = g->tensors[nd->out].name,
                               .x = nd->xs[0],
                               .y = nd->ys,
                               .kernel = nd->cfg.k,
                               .stride = nd->cfg.stride,
                               .macs = nd->macs};
        size_t forward, backward;
        touched(g, i, &forward, &backward);
        e.forward_bytes = (double)(forward * sizeof(drl_real));
        e.backward_bytes = (double)(backward * sizeof(drl_real));
        for (size_t m = 0; m < drl_threads_count(g->team); m++) {
            e.forward_seconds += g->profile[(m * g->n_nodes + i) * 2];
            e.backward_seconds += g->profile[(m * g->n_nodes + i) * 2 + 1];
        }
        fn(arg, &e);
    }
}
