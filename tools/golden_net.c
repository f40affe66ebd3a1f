/* A graph fed from a golden file, in all its variants: fused and unfused, every cut into shards, one thread and two.
 *
 * The file's images are (n, c, h, w), ours (n, h, w, c); everything else lies the same way in both.   [vectors, 2] */
#include <stdio.h>
#include <string.h>

#include "golden.h"

/* Channels of a file's tensor, and where its element e lies in ours, which has `all` channels and holds the tensor's
 * from channel `first` on. */
static size_t channels_of(const drl_st_tensor *t) {
    return t->rank == 4 ? t->shape[1] : t->rank >= 2 ? t->shape[t->rank - 1] : 1;
}

static size_t place_of(const drl_st_tensor *t, size_t e, size_t all, size_t first) {
    size_t C = channels_of(t), c = e % C, p = e / C;
    if (t->rank == 4) {
        size_t pixels = t->shape[2] * t->shape[3];
        c = e / pixels % C;
        p = e / (pixels * C) * pixels + e % pixels;
    }
    return p * all + first + c;
}

/* ---- Binding, called while a network is built
 * ---------------------------------------------------------------------------- */

static golden_binding *bind(golden_net *net, golden_role role, drl_tensor t, const drl_st_tensor *file) {
    if (t < 0) return NULL;
    if (net->n == GOLDEN_BINDINGS) {
        drl_graph_fail(net->g, DRL_ERR_LIMIT, "golden: more than %d bound tensors", GOLDEN_BINDINGS);
        return NULL;
    }
    golden_binding *b = &net->list[net->n++];
    *b = (golden_binding){.role = role, .t = t, .file = file, .channels = drl_graph_shape(net->g, t).c};
    return b;
}

/* The file's numbers, or the given ones in the same order, in our layout. */
static drl_real *to_ours(const drl_st_tensor *t, const double *values) {
    drl_real *ours = golden_alloc(t->count, sizeof *ours);
    for (size_t e = 0; e < t->count; e++)
        ours[place_of(t, e, channels_of(t), 0)] = (drl_real)(values ? values[e] : golden_at(t, e));
    return ours;
}

static drl_shape shape_of(const drl_st_tensor *t) {
    const size_t *s = t->shape;
    return t->rank == 4   ? (drl_shape){s[2], s[3], s[1]}
           : t->rank == 3 ? (drl_shape){s[1], 1, s[2]}
                          : (drl_shape){1, 1, t->rank == 2 ? s[1] : 1};
}

static bool usable(golden_net *net, const drl_st_tensor *t, const char *prefix, const char *name) {
    if (!t)
        drl_graph_fail(net->g, DRL_ERR_NOT_FOUND, "the file has no %s%s", prefix, name);
    else if (t->rank < 1 || t->rank > 4 || t->shape[0] != net->batch)
        drl_graph_fail(net->g, DRL_ERR_SHAPE, "%s: want 1 to 4 dimensions, the first %zu", t->name, net->batch);
    else
        return true;
    return false;
}

static drl_tensor new_input(golden_net *net, const char *name, const double *values, const drl_st_tensor *gradient) {
    const drl_st_tensor *t = golden_use(net->gd, "%s%s", net->inputs, name);
    if (!usable(net, t, net->inputs, name)) return -1;
    drl_tensor x = drl_graph_input(net->g, name, shape_of(t), gradient != NULL);
    golden_binding *b = bind(net, GOLDEN_INPUT, x, t);
    if (b) b->values = to_ours(t, values);
    if (gradient) bind(net, GOLDEN_GRADIENT, x, gradient);
    return x;
}

drl_tensor golden_input(golden_net *net, const char *name) {
    const drl_st_tensor *gradient = net->backward ? golden_find(net->gd, "%s%s", net->grads, name) : NULL;
    return new_input(net, name, NULL, gradient);
}

drl_tensor golden_input_values(golden_net *net, const char *name, const double *values) {
    return new_input(net, name, values, NULL);
}

void golden_output_part(golden_net *net, drl_tensor t, const char *name, size_t first, size_t channels) {
    const drl_st_tensor *file = golden_find(net->gd, "%s%s", net->outputs, name);
    golden_binding *b = file ? bind(net, GOLDEN_OUTPUT, t, file) : NULL;
    if (!b) return;
    b->first = first;
    b->channels = channels;
    drl_graph_output(net->g, t);
}

void golden_output(golden_net *net, drl_tensor t, const char *name) {
    golden_output_part(net, t, name, 0, drl_graph_shape(net->g, t).c);
}

void golden_seed(golden_net *net, drl_tensor t, const char *name) {
    if (!net->backward || t < 0) return;
    const drl_st_tensor *file = golden_use(net->gd, "%s%s", net->inputs, name);
    drl_shape s = drl_graph_shape(net->g, t);
    if (!file || file->count != net->batch * s.h * s.w * s.c) {
        drl_graph_fail(net->g, DRL_ERR_SHAPE, "%s%s: missing, or of another size than the output", net->inputs, name);
        return;
    }
    drl_graph_seed(net->g, t);
    golden_binding *b = bind(net, GOLDEN_SEED, t, file);
    if (b) b->values = to_ours(file, NULL);
}

void golden_root(golden_net *net, drl_tensor t, double weight) {
    drl_graph_root(net->g, t, weight);
    net->roots[net->n_roots].t = t;
    net->roots[net->n_roots++].weight = weight;
}

/* ---- Running
 * ------------------------------------------------------------------------------------------------------------- */

/* Every parameter of the network from the file. */
static bool load_parameters(golden_net *net) {
    for (size_t i = 0; i < net->ps.n; i++) {
        const drl_param *p = &net->ps.list[i];
        const drl_st_tensor *t = golden_use(net->gd, "%s%s", net->params, p->name + net->strip);
        bool fits = t && t->rank == p->rank && memcmp(t->shape, p->shape, p->rank * sizeof *p->shape) == 0;
        if (!fits) {
            golden_complain(net->gd, "%s%s: the network has this parameter, the file has %s", net->params,
                            p->name + net->strip, t ? "another shape" : "not");
            return false;
        }
        drl_real *canonical = golden_alloc(p->count, sizeof *canonical);
        for (size_t e = 0; e < p->count; e++) canonical[e] = (drl_real)golden_at(t, e);
        drl_param_from_canonical(p, drl_params_at(&net->ps, (int)i), canonical);
        golden_free(canonical);
    }
    return true;
}

static void fill(void *arg, size_t shard, size_t first, size_t n) {
    const golden_net *net = arg;
    for (size_t i = 0; i < net->n; i++) {
        const golden_binding *b = &net->list[i];
        if (!b->values) continue;
        drl_shape s = drl_graph_shape(net->g, b->t);
        size_t size = s.h * s.w * s.c;
        drl_real *to =
            b->role == GOLDEN_SEED ? drl_graph_gradient(net->g, b->t, shard) : drl_graph_value(net->g, b->t, shard);
        if (!to) continue; /* an upstream gradient in a file that asks for no gradient */
        memcpy(to, b->values + first * size, n * size * sizeof *to);
    }
}

/* All images' values, or gradients, of a tensor; NULL where it has no gradient. Owned by the caller. */
static drl_real *read_tensor(const golden_net *net, drl_tensor t, bool gradient) {
    drl_shape s = drl_graph_shape(net->g, t);
    size_t size = s.h * s.w * s.c, step = drl_graph_shard_size(net->g);
    drl_real *out = golden_alloc(net->batch * size, sizeof *out);
    for (size_t shard = 0; shard < drl_graph_shards(net->g); shard++) {
        size_t first = shard * step, n = net->batch - first < step ? net->batch - first : step;
        const drl_real *from = gradient ? drl_graph_gradient(net->g, t, shard) : drl_graph_value(net->g, t, shard);
        if (!from) {
            golden_free(out);
            return NULL;
        }
        memcpy(out + first * size, from, n * size * sizeof *out);
    }
    return out;
}

static void compare_tensor(golden_net *net, const golden_binding *b, bool gradient) {
    const drl_st_tensor *t = b->file;
    drl_shape s = drl_graph_shape(net->g, b->t);
    size_t rows = net->batch * s.h * s.w;
    bool fits = channels_of(t) == b->channels && t->count == rows * b->channels && b->first + b->channels <= s.c;
    if (t->rank == 4) fits = fits && t->shape[2] == s.h && t->shape[3] == s.w;
    drl_real *ours = fits ? read_tensor(net, b->t, gradient) : NULL;
    if (!ours) {
        golden_complain(net->gd, "%s: ours has %s", t->name, fits ? "no gradient" : "another shape");
        return;
    }
    double *values = golden_alloc(t->count, sizeof *values);
    for (size_t e = 0; e < t->count; e++) values[e] = (double)ours[place_of(t, e, s.c, b->first)];
    golden_compare(net->gd, t, values, t->count, net->how);
    golden_free(values);
    golden_free(ours);
}

static void compare_parameter(golden_net *net, const drl_param *p, const drl_real *stored, const char *prefix) {
    const drl_st_tensor *t = golden_find(net->gd, "%s%s", prefix, p->name + net->strip);
    if (!t) return;
    drl_real *canonical = golden_alloc(p->count, sizeof *canonical);
    double *values = golden_alloc(p->count, sizeof *values);
    drl_param_to_canonical(p, canonical, stored);
    for (size_t e = 0; e < p->count; e++) values[e] = (double)canonical[e];
    golden_compare(net->gd, t, values, p->count, net->how);
    golden_free(canonical);
    golden_free(values);
}

/* Gradients of what is trained, and running statistics after the pass. */
static void compare_parameters(golden_net *net) {
    drl_real *gradient = golden_alloc(net->ps.n_value, sizeof *gradient);
    if (net->backward) drl_graph_collect(net->g, gradient);
    for (size_t i = 0; i < net->ps.n; i++) {
        const drl_param *p = &net->ps.list[i];
        if (p->trained && net->backward) compare_parameter(net, p, gradient + p->offset, net->grads);
        if (!p->trained && net->after) compare_parameter(net, p, drl_params_at(&net->ps, (int)i), net->after);
    }
    golden_free(gradient);
}

/* The outputs of norms are golden before their activation: a fused one has no such value. */
static bool is_norm(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (strncmp(dot, ".bn", 3) == 0 || strncmp(dot, ".norm", 5) == 0);
}

static void compare_activations(golden_net *net) {
    size_t skip = strlen(net->acts);
    for (size_t i = 0; i < drl_st_count(net->gd->file); i++) {
        const drl_st_tensor *t = drl_st_at(net->gd->file, i);
        if (strncmp(t->name, net->acts, skip) != 0 || (!net->unfused && is_norm(t->name))) continue;
        drl_tensor inner = drl_graph_find(net->g, t->name + skip);
        if (inner < 0) continue;
        compare_tensor(net, &(golden_binding){.t = inner, .file = t, .channels = drl_graph_shape(net->g, inner).c},
                       false);
    }
}

static void compare_all(golden_net *net) {
    double objective = 0;
    for (size_t i = 0; i < net->n_roots; i++)
        objective += net->roots[i].weight * drl_graph_mean(net->g, net->roots[i].t);
    const drl_st_tensor *loss = net->loss ? net->loss : golden_find(net->gd, "%sloss", net->outputs);
    if (loss && net->n_roots) golden_compare(net->gd, loss, &objective, 1, net->how);
    if (net->loss) return;
    for (size_t i = 0; i < net->n; i++) {
        const golden_binding *b = &net->list[i];
        if (b->role == GOLDEN_OUTPUT || b->role == GOLDEN_GRADIENT) compare_tensor(net, b, b->role == GOLDEN_GRADIENT);
    }
    if (net->acts && net->keep) compare_activations(net);
    compare_parameters(net);
}

/* One variant. False where the network could not be made, as it could not be in any other. */
static bool run_variant(golden_net *net, size_t shard, size_t threads) {
    drl_err err;
    const drl_graph_cfg cfg = {.batch = net->batch,
                               .shard = shard,
                               .training = net->training,
                               .backward = net->backward,
                               .keep = net->keep,
                               .unfused = net->unfused};
    snprintf(net->how, sizeof net->how, "%s, %s, shards of %zu, threads %zu", net->unfused ? "unfused" : "fused",
             net->keep ? "all kept" : "memory reused", shard, threads);
    net->n = net->n_roots = 0;
    net->ps = (drl_params){0};
    drl_status st = drl_graph_new(&net->g, &cfg, &net->ps, &err);
    if (st == DRL_OK) net->build(net);
    if (st == DRL_OK) st = drl_params_alloc(&net->ps, &err);
    if (st == DRL_OK) st = drl_graph_plan(net->g, net->gd->team[threads - 1], &err);
    if (st != DRL_OK) golden_complain(net->gd, "%s: %s", net->outputs, err.message);
    bool ok = st == DRL_OK && load_parameters(net);
    if (ok) {
        drl_graph_run(net->g, net->batch, 0, fill, net, net->backward);
        compare_all(net);
    }
    for (size_t i = 0; i < net->n; i++) golden_free(net->list[i].values);
    drl_graph_free(net->g);
    drl_params_free(&net->ps);
    return ok;
}

void golden_net_run(golden_net *net) {
    const size_t shards[] = {1, 2, net->batch};
    size_t complaints = net->gd->complaints;
    for (int unfused = 0; unfused < 2; unfused++)
        for (int s = 0; s < 3; s++) {
            bool again = s > 0 && (shards[s] <= shards[s - 1] || shards[s] > net->batch);
            for (size_t threads = 1; threads <= 2 && !again; threads++) {
                net->unfused = unfused;
                net->keep = unfused || threads == 1; /* otherwise places are shared, as in training */
                if (!run_variant(net, shards[s], threads) || net->gd->complaints != complaints) return;
            }
        }
}
