/* Planning a graph: which gradients exist, when each buffer lives, and where in a shard's block it lies.
 *
 * Time runs from -1 (inputs are filled) over forward calls 0 .. K-1 and the seeding of gradients K to backward calls
 * K+1 .. 2K (node i at 2K - i). A buffer occupies its place from its first write to its last read; places of buffers
 * that never live at the same time may overlap. A value that its op can make again lives twice in the same place: until
 * its last read in the forward pass, and from its first to its last read in the backward pass. */
#include "nn/graph_impl.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

typedef struct interval {
    size_t size;              /* elements, rounded up to keep alignment */
    int from, to;             /* inclusive */
    int from_again, to_again; /* a second time, for a value that is made again; empty where from_again > to_again */
    size_t *at;               /* receives the place */
} interval;

static interval once(size_t size, int from, int to, size_t *at) {
    return (interval){size, from, to, 1, 0, at};
}

static bool overlap(int from, int to, int from2, int to2) {
    return from <= to && from2 <= to2 && from <= to2 && from2 <= to;
}

static bool together(const interval *p, const interval *q) {
    return overlap(p->from, p->to, q->from, q->to) || overlap(p->from_again, p->to_again, q->from, q->to) ||
           overlap(p->from, p->to, q->from_again, q->to_again) ||
           overlap(p->from_again, p->to_again, q->from_again, q->to_again);
}

/* Whether the node's gradient reaches its input k, given that the input needs one. */
static bool flows(const drl_node *nd, int k) {
    return !(nd->stops >> k & 1);
}

static void needs(drl_graph *g) {
    for (size_t i = 0; i < g->n_tensors; i++) g->tensors[i].needs_grad = g->tensors[i].want_gradient;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const drl_node *nd = &g->nodes[i];
        bool any = false;
        for (int k = 0; k < nd->n_in; k++) any |= flows(nd, k) && g->tensors[nd->in[k]].needs_grad;
        for (int k = 0; k < nd->n_param; k++) any |= g->params->list[nd->param[k]].trained;
        g->tensors[nd->out].needs_grad = any && nd->type->backward;
    }
    if (!g->cfg.backward) return;
    for (size_t i = 0; i < g->n_tensors; i++) g->tensors[i].has_grad = g->tensors[i].root || g->tensors[i].seed;
    for (size_t i = g->n_nodes; i-- > 0;) {
        const drl_node *nd = &g->nodes[i];
        if (!g->tensors[nd->out].has_grad || !nd->type->backward) continue;
        for (int k = 0; k < nd->n_in; k++)
            g->tensors[nd->in[k]].has_grad |= flows(nd, k) && g->tensors[nd->in[k]].needs_grad;
    }
}

static bool runs_backward(const drl_graph *g, size_t node) {
    const tensor *out = &g->tensors[g->nodes[node].out];
    return g->cfg.backward && out->has_grad && out->needs_grad && g->nodes[node].type->backward;
}

static int later(int a, int b) {
    return a > b ? a : b;
}

/* Whether a shard may follow another in the same memory: no gradients, no waiting, nothing to be looked at later but
 * outputs. */
static bool shards_are_independent(const drl_graph *g) {
    if (g->cfg.backward || g->cfg.keep) return false;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].type->forward_phases > 1) return false;
    return true;
}

/* Whether a node can make its value again in the backward pass: then its input must not be one that is itself made
 * again, perhaps later. */
static bool can_be_made_again(const drl_graph *g, int node) {
    if (node < 0 || !g->nodes[node].type->again) return false;
    int source = g->tensors[g->nodes[node].in[0]].producer;
    return source < 0 || !g->nodes[source].type->again;
}

/* Fills iv (room for 2 * tensors + nodes) and returns how many. */
static size_t lifetimes(drl_graph *g, interval *iv) {
    int K = (int)g->n_nodes;
    size_t n = 0;
    int *last = calloc(4 * g->n_tensors, sizeof *last);
    if (!last) return 0;
    int *born = last + g->n_tensors;
    int *first_back = born + g->n_tensors, *last_back = first_back + g->n_tensors; /* reads in the backward pass */
    for (size_t t = 0; t < g->n_tensors; t++) {
        const tensor *x = &g->tensors[t];
        last[t] = x->output || g->cfg.keep ? INT_MAX : x->producer;
        born[t] = x->seed ? -1 : x->root ? K : INT_MAX;
        first_back[t] = INT_MAX;
    }
    for (int i = 0; i < K; i++) {
        const drl_node *nd = &g->nodes[i];
        bool back = runs_backward(g, (size_t)i);
        for (int k = 0; k < nd->n_in; k++) {
            int t = nd->in[k];
            last[t] = later(last[t], i);
            if (back && (nd->type->backward_reads >> k & 1))
                first_back[t] = 2 * K - i, last_back[t] = later(last_back[t], 2 * K - i);
            if (back && flows(nd, k) && 2 * K - i < born[t]) born[t] = 2 * K - i;
        }
        if (back && (nd->type->backward_reads & DRL_READS_Y))
            first_back[nd->out] = 2 * K - i, last_back[nd->out] = later(last_back[nd->out], 2 * K - i);
    }
    for (size_t t = 0; t < g->n_tensors; t++) {
        tensor *x = &g->tensors[t];
        size_t size = drl_align_count(drl_shape_size(x->shape) * g->cfg.shard, sizeof(drl_real));
        bool read_back = first_back[t] != INT_MAX;
        bool again = read_back && last[t] != INT_MAX && !g->cfg.keep && can_be_made_again(g, x->producer);
        x->again_before = again ? 2 * K - first_back[t] : -1;
        x->value_at = x->grad_at = NO_PLACE;
        x->apart = g->blocks < g->max_shards && x->output;
        if (x->apart) {
            x->value_at = g->output_block;
            g->output_block += size;
        } else {
            interval *v = &iv[n++];
            *v = once(size, x->producer < 0 ? -1 : x->producer, last[t], &x->value_at);
            if (again)
                v->from_again = first_back[t], v->to_again = last_back[t];
            else if (read_back)
                v->to = later(v->to, last_back[t]);
        }
        if (!x->has_grad || !x->needs_grad) continue;
        bool kept = g->cfg.keep || x->want_gradient || x->producer < 0;
        iv[n++] = once(size, born[t], kept ? INT_MAX : 2 * K - x->producer, &x->grad_at);
    }
    for (int i = 0; i < K; i++) {
        const drl_node *nd = &g->nodes[i];
        size_t size = nd->saved_per_image * g->cfg.shard + nd->saved_per_shard;
        g->saved_at[i] = NO_PLACE;
        if (size == 0) continue;
        int to = g->cfg.keep ? INT_MAX : runs_backward(g, (size_t)i) ? 2 * K - i : i;
        iv[n++] = once(drl_align_count(size, sizeof(drl_real)), i, to, &g->saved_at[i]);
    }
    free(last);
    return n;
}

static int by_size(const void *a, const void *b) {
    const interval *p = a, *q = b;
    if (p->size != q->size) return p->size < q->size ? 1 : -1;
    return p->from != q->from ? (p->from < q->from ? -1 : 1) : (p->at < q->at ? -1 : 1);
}

/* Greedy by size: each buffer, largest first, gets the lowest place that no buffer living at the same time has. Returns
 * the elements needed. */
static size_t place(interval *iv, size_t n) {
    qsort(iv, n, sizeof *iv, by_size);
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (size_t j = 0; j < i; j++) {
                if (together(&iv[i], &iv[j]) && at < *iv[j].at + iv[j].size && *iv[j].at < at + iv[i].size) {
                    at = *iv[j].at + iv[j].size;
                    moved = true;
                }
            }
        }
        *iv[i].at = at;
        if (at + iv[i].size > total) total = at + iv[i].size;
    }
    return total;
}

/* The calls of a pass; op phases after the first wait for all shards. */
static void schedule(drl_graph *g) {
    g->n_forward = g->n_backward = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (unsigned p = 0; p < g->nodes[i].type->forward_phases; p++)
            g->forward[g->n_forward++] = (call){(int)i, p, p > 0, false};
    for (size_t i = g->n_nodes; i-- > 0;) {
        if (!runs_backward(g, i)) continue;
        for (int k = 0; k < g->nodes[i].n_in; k++) {
            const tensor *x = &g->tensors[g->nodes[i].in[k]];
            bool seen = false; /* one tensor may be several inputs */
            for (int j = 0; j < k; j++) seen |= g->nodes[i].in[j] == g->nodes[i].in[k];
            if (x->again_before == (int)i && !seen) g->backward[g->n_backward++] = (call){x->producer, 0, false, true};
        }
        for (unsigned p = 0; p < g->nodes[i].type->backward_phases; p++)
            g->backward[g->n_backward++] = (call){(int)i, p, p > 0, false};
    }
}

/* The buffer table of every (node, shard). `add` is settled by walking the backward calls in order. */
static drl_status tables(drl_graph *g, drl_err *err) {
    size_t partials = 0, P = g->params->n_value;
    for (size_t i = 0; i < g->n_nodes; i++) partials += g->nodes[i].partials * g->max_shards;
    drl_status st = drl_alloc(&g->partials, partials, sizeof *g->partials, "partial sums", err);
    if (st != DRL_OK) return st;
    size_t prepared = 0;
    for (size_t i = 0; i < g->n_nodes; i++) prepared += drl_align_count(g->nodes[i].prepared, sizeof(drl_real));
    st = drl_alloc(&g->prepared, prepared, sizeof *g->prepared, "prepared parameters", err);
    if (st != DRL_OK) return st;
    double *partial = g->partials;
    drl_real *place = g->prepared;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const drl_node *nd = &g->nodes[i];
        for (size_t s = 0; s < g->max_shards; s++) {
            drl_op_bufs *b = &g->bufs[s * g->n_nodes + i];
            drl_real *base = g->memory + s % g->blocks * g->block;
            bool back = runs_backward(g, i);
            for (int k = 0; k < nd->n_in; k++) {
                const tensor *x = &g->tensors[nd->in[k]];
                b->x[k] = value_of(g, x, s);
                b->dx[k] = back && flows(nd, k) && x->grad_at != NO_PLACE ? base + x->grad_at : NULL;
            }
            b->y = value_of(g, &g->tensors[nd->out], s);
            b->dy = g->tensors[nd->out].grad_at != NO_PLACE ? base + g->tensors[nd->out].grad_at : NULL;
            for (int k = 0; k < nd->n_param; k++) {
                b->w[k] = drl_params_at(g->params, nd->param[k]);
                const drl_param *p = &g->params->list[nd->param[k]];
                b->dw[k] = p->trained && g->shard_grads ? g->shard_grads + s * P + p->offset : NULL;
            }
            b->saved = g->saved_at[i] != NO_PLACE ? base + g->saved_at[i] : NULL;
            b->partial = partial;
            b->prepared = place;
        }
        partial += nd->partials * g->max_shards;
        place += drl_align_count(nd->prepared, sizeof(drl_real));
    }
    for (size_t s = 0; s < g->max_shards; s++) {
        bool *written = calloc(g->n_tensors, 1);
        if (!written) return drl_fail(err, DRL_ERR_MEMORY, "graph plan");
        for (size_t t = 0; t < g->n_tensors; t++) written[t] = g->tensors[t].root || g->tensors[t].seed;
        for (size_t i = g->n_nodes; i-- > 0;) {
            drl_op_bufs *b = &g->bufs[s * g->n_nodes + i];
            for (int k = 0; k < g->nodes[i].n_in; k++) {
                if (!b->dx[k]) continue;
                b->add[k] = written[g->nodes[i].in[k]];
                written[g->nodes[i].in[k]] = true;
            }
        }
        free(written);
    }
    return DRL_OK;
}

static drl_status plan_memory(drl_graph *g, drl_err *err) {
    drl_status st;
    size_t K = g->n_nodes, calls = 0;
    for (size_t i = 0; i < K; i++) {
        const drl_op_type *ty = g->nodes[i].type;
        calls += 1 + (ty->forward_phases > ty->backward_phases ? ty->forward_phases : ty->backward_phases);
        if (g->nodes[i].scratch_bytes > g->scratch_bytes) g->scratch_bytes = g->nodes[i].scratch_bytes;
    }
    if ((st = drl_alloc(&g->saved_at, K, sizeof *g->saved_at, "graph plan", err)) != DRL_OK) return st;
    if ((st = drl_alloc(&g->forward, calls, sizeof *g->forward, "graph plan", err)) != DRL_OK) return st;
    if ((st = drl_alloc(&g->backward, calls, sizeof *g->backward, "graph plan", err)) != DRL_OK) return st;
    if ((st = drl_alloc(&g->bufs, K * g->max_shards, sizeof *g->bufs, "graph plan", err)) != DRL_OK) return st;

    interval *iv;
    if ((st = drl_alloc(&iv, 2 * g->n_tensors + K, sizeof *iv, "graph plan", err)) != DRL_OK) return st;
    size_t threads = drl_threads_count(g->team);
    g->blocks = threads < g->max_shards && shards_are_independent(g) ? threads : g->max_shards;
    g->output_block = 0;
    size_t n = lifetimes(g, iv);
    g->block = place(iv, n);
    drl_free(iv);
    if (n == 0) return drl_fail(err, DRL_ERR_MEMORY, "graph plan");

    size_t elements;
    if (!drl_mul_size(&elements, g->block, g->blocks))
        return drl_fail(err, DRL_ERR_LIMIT, "graph: a batch of %zu is too large", g->cfg.batch);
    if ((st = drl_alloc(&g->memory, elements, sizeof(drl_real), "activations", err)) != DRL_OK) return st;
    st = drl_alloc(&g->outputs, g->output_block * g->max_shards, sizeof(drl_real), "outputs", err);
    if (st != DRL_OK) return st;
    if (g->cfg.backward) {
        st = drl_alloc(&g->shard_grads, g->params->n_value * g->max_shards, sizeof(drl_real), "gradients", err);
        if (st == DRL_OK)
            st = drl_alloc(&g->block_norm, g->params->n_value / 4096 + 1, sizeof *g->block_norm, "gradients", err);
    }
    return st;
}

/* Drops the nodes of a forward-only graph that no output or root needs: features of an inner layer are read without
 * computing the layers behind it. Nodes in training mode stay, as they write running statistics; so do all where
 * nothing is an output. */
static drl_status drop_unread(drl_graph *g, drl_err *err) {
    if (g->cfg.backward || g->cfg.keep || g->cfg.training) return DRL_OK;
    bool *wanted, any = false;
    int *moved;
    size_t n = 0;
    drl_status st = drl_alloc(&wanted, g->n_tensors, sizeof *wanted, "graph", err);
    if (st != DRL_OK) return st;
    if ((st = drl_alloc(&moved, g->n_nodes, sizeof *moved, "graph", err)) != DRL_OK) goto done;
    for (size_t t = 0; t < g->n_tensors; t++) any |= wanted[t] = g->tensors[t].output || g->tensors[t].root;
    for (size_t i = g->n_nodes; i-- > 0;)
        for (int k = 0; k < g->nodes[i].n_in && wanted[g->nodes[i].out]; k++) wanted[g->nodes[i].in[k]] = true;
    for (size_t i = 0; any && i < g->n_nodes; i++) {
        moved[i] = wanted[g->nodes[i].out] ? (int)n : -1;
        if (moved[i] >= 0) g->nodes[n++] = g->nodes[i];
    }
    for (size_t t = 0; any && t < g->n_tensors; t++)
        if (g->tensors[t].producer >= 0) g->tensors[t].producer = moved[g->tensors[t].producer];
    if (any) g->n_nodes = n;
    drl_free(moved);
done:
    drl_free(wanted);
    return st;
}

drl_status drl_graph_plan(drl_graph *g, drl_threads *team, drl_err *err) {
    if (drl_graph_failed(g)) {
        if (err) *err = g->error;
        return g->error.status;
    }
    if (g->n_nodes == 0) return drl_fail(err, DRL_ERR_CONFIG, "graph: there is nothing to compute");
    assert(g->params->value && "allocate the parameters first");
    drl_graph_unplan(g);
    g->team = team;
    drl_status st = drop_unread(g, err);
    if (st != DRL_OK) return st;
    needs(g);
    st = plan_memory(g, err);
    if (st == DRL_OK) st = tables(g, err);
    size_t threads = drl_threads_count(team);
    if (st == DRL_OK) st = drl_alloc(&g->scratch, threads, sizeof *g->scratch, "scratch", err);
    g->n_scratch = st == DRL_OK ? threads : 0;
    for (size_t t = 0; st == DRL_OK && t < threads; t++)
        st = drl_arena_init(&g->scratch[t], g->scratch_bytes, "scratch", err);
    if (st == DRL_OK)
        schedule(g);
    else
        drl_graph_unplan(g);
    return st;
}

void drl_graph_unplan(drl_graph *g) {
    for (size_t t = 0; t < g->n_scratch; t++) drl_arena_free(&g->scratch[t]); /* the team may be gone by now */
    g->n_scratch = 0;
    void **owned[] = {(void **)&g->memory,     (void **)&g->shard_grads, (void **)&g->partials, (void **)&g->bufs,
                      (void **)&g->saved_at,   (void **)&g->scratch,     (void **)&g->forward,  (void **)&g->backward,
                      (void **)&g->block_norm, (void **)&g->profile,     (void **)&g->prepared, (void **)&g->outputs};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
        drl_free(*owned[i]);
        *owned[i] = NULL;
    }
    g->n_forward = g->n_backward = 0;
}
