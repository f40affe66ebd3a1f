/* Building graphs (drl/graph.h): tensors, nodes, names, the first error. Planning is in plan.c, running in run.c. */
#include "nn/graph_impl.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

drl_status drl_graph_new(drl_graph **out, const drl_graph_cfg *cfg, drl_params *params, drl_err *err) {
    *out = NULL;
    if (cfg->batch == 0) return drl_fail(err, DRL_ERR_CONFIG, "a graph needs a batch of at least one image");
    drl_graph *g;
    drl_status st = drl_alloc(&g, 1, sizeof *g, "graph", err);
    if (st != DRL_OK) return st;
    g->cfg = *cfg;
    if (g->cfg.shard == 0) g->cfg.shard = 16;
    if (g->cfg.shard > cfg->batch) g->cfg.shard = cfg->batch;
    g->max_shards = (cfg->batch + g->cfg.shard - 1) / g->cfg.shard;
    g->params = params;
    *out = g;
    return DRL_OK;
}

void drl_graph_free(drl_graph *g) {
    if (!g) return;
    drl_free(g->tensors);
    drl_free(g->nodes);
    drl_graph_unplan(g);
    drl_free(g);
}

bool drl_graph_failed(const drl_graph *g) {
    return g->error.status != DRL_OK;
}

drl_tensor drl_graph_fail(drl_graph *g, drl_status status, const char *fmt, ...) {
    if (drl_graph_failed(g)) return -1;
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    drl_fail(&g->error, status, "%s", text);
    return -1;
}

const drl_graph_cfg *drl_graph_config(const drl_graph *g) {
    return &g->cfg;
}

bool drl_graph_folds(const drl_graph *g) {
    return !g->cfg.training && !g->cfg.backward && !g->cfg.keep && !g->cfg.unfused;
}

uint32_t drl_graph_next_stream(drl_graph *g) {
    return g->streams++;
}

/* Makes room for one more element in a growing table. */
static bool reserve(drl_graph *g, void *table, size_t n, size_t *capacity, size_t size) {
    if (n < *capacity) return true;
    size_t wanted = *capacity ? 2 * *capacity : 64;
    void *old = *(void **)table, *grown;
    if (drl_alloc(&grown, wanted, size, "graph", &g->error) != DRL_OK) return false;
    if (n) memcpy(grown, old, n * size);
    drl_free(old);
    *(void **)table = grown;
    *capacity = wanted;
    return true;
}

static drl_tensor new_tensor(drl_graph *g, const char *name, drl_shape shape, int producer) {
    if (drl_graph_failed(g)) return -1;
    size_t size;
    if (!drl_mul_size(&size, shape.h, shape.w) || !drl_mul_size(&size, size, shape.c) || size == 0 || size > (1u << 30))
        return drl_graph_fail(g, DRL_ERR_SHAPE, "tensor %s: shape %zux%zux%zu is empty or too large", name ? name : "?",
                              shape.h, shape.w, shape.c);
    if (!reserve(g, &g->tensors, g->n_tensors, &g->tensor_capacity, sizeof *g->tensors)) return -1;
    tensor *t = &g->tensors[g->n_tensors];
    *t = (tensor){.shape = shape, .producer = producer};
    if (name) snprintf(t->name, sizeof t->name, "%s", name);
    return (drl_tensor)g->n_tensors++;
}

drl_tensor drl_graph_input(drl_graph *g, const char *name, drl_shape shape, bool want_gradient) {
    drl_tensor t = new_tensor(g, name, shape, -1);
    if (t >= 0) g->tensors[t].want_gradient = want_gradient;
    return t;
}

drl_shape drl_graph_shape(const drl_graph *g, drl_tensor t) {
    return t < 0 ? (drl_shape){0, 0, 0} : g->tensors[t].shape;
}

void drl_graph_scope(drl_graph *g, const char *prefix, bool frozen) {
    int n = snprintf(g->scope, sizeof g->scope, "%s", prefix);
    if (n < 0 || (size_t)n >= sizeof g->scope) drl_graph_fail(g, DRL_ERR_CONFIG, "scope %s: name too long", prefix);
    g->frozen = frozen;
}

/* buf = the scope's prefix, a name and, where it is not empty, a suffix. */
static void scoped_name(drl_graph *g, char buf[DRL_PARAM_NAME], const char *name, const char *suffix) {
    int n = snprintf(buf, DRL_PARAM_NAME, "%s%s%s%s", g->scope, name, suffix[0] ? "." : "", suffix);
    if (n < 0 || n >= DRL_PARAM_NAME)
        drl_graph_fail(g, DRL_ERR_CONFIG, "%s%s.%s: name too long", g->scope, name, suffix);
}

drl_tensor drl_graph_name(drl_graph *g, drl_tensor t, const char *name) {
    if (t >= 0) scoped_name(g, g->tensors[t].name, name, "");
    return t;
}

drl_tensor drl_graph_find(const drl_graph *g, const char *name) {
    for (size_t i = 0; i < g->n_tensors; i++)
        if (strcmp(g->tensors[i].name, name) == 0) return (drl_tensor)i;
    return -1;
}

void drl_graph_output(drl_graph *g, drl_tensor t) {
    if (t >= 0) g->tensors[t].output = true;
}

void drl_graph_root(drl_graph *g, drl_tensor t, double weight) {
    if (t < 0) return;
    if (drl_shape_size(g->tensors[t].shape) != 1) drl_graph_fail(g, DRL_ERR_SHAPE, "a root must be a scalar per image");
    g->tensors[t].root = g->tensors[t].output = true;
    g->tensors[t].weight = weight;
}

void drl_graph_seed(drl_graph *g, drl_tensor t) {
    if (t >= 0) g->tensors[t].seed = true;
}

drl_tensor drl_graph_append(drl_graph *g, drl_node *node, drl_shape ys, const char *name) {
    if (drl_graph_failed(g)) return -1;
    for (int i = 0; i < node->n_in; i++) {
        if (node->in[i] < 0) return drl_graph_fail(g, DRL_ERR_SHAPE, "%s: an input is missing", node->type->name);
        node->xs[i] = g->tensors[node->in[i]].shape;
    }
    if (!reserve(g, &g->nodes, g->n_nodes, &g->node_capacity, sizeof *g->nodes)) return -1;
    drl_tensor t = new_tensor(g, name, ys, (int)g->n_nodes);
    if (t < 0) return -1;
    if (name) drl_graph_name(g, t, name);
    node->out = t;
    node->ys = ys;
    if (g->frozen) node->stops = ~0u;
    g->nodes[g->n_nodes++] = *node;
    return t;
}

void drl_node_param(drl_graph *g, drl_node *node, const char *prefix, const char *suffix, size_t rank,
                    const size_t *shape, bool trained, drl_layout layout, drl_init init) {
    if (drl_graph_failed(g)) return;
    assert(node->n_param < DRL_MAX_PARAM && rank <= 4);
    drl_param p = {.rank = rank, .trained = trained && !g->frozen, .layout = layout, .init = init};
    scoped_name(g, p.name, prefix, suffix);
    if (drl_graph_failed(g)) return;
    memcpy(p.shape, shape, rank * sizeof *shape);
    int index;
    if (drl_params_add(g->params, &index, &p, &g->error) == DRL_OK) node->param[node->n_param++] = index;
}
