/* The parameter store (drl/params.h). */
#include "drl/params.h"

#include <assert.h>
#include <string.h>

#include "drl/mem.h"
#include "drl/rng.h"

void drl_params_free(drl_params *ps) {
    drl_free(ps->list);
    drl_free(ps->value);
    drl_free(ps->state);
    *ps = (drl_params){0};
}

int drl_params_find(const drl_params *ps, const char *name) {
    for (size_t i = 0; i < ps->n; i++)
        if (strcmp(ps->list[i].name, name) == 0) return (int)i;
    return -1;
}

static bool same_shape(const drl_param *a, const drl_param *b) {
    return a->rank == b->rank && memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0 &&
           a->trained == b->trained && a->layout == b->layout;
}

static drl_status grow(drl_params *ps, drl_err *err) {
    size_t capacity = ps->capacity ? 2 * ps->capacity : 64;
    drl_param *list;
    drl_status st = drl_alloc(&list, capacity, sizeof *list, "parameter table", err);
    if (st != DRL_OK) return st;
    if (ps->n) memcpy(list, ps->list, ps->n * sizeof *list);
    drl_free(ps->list);
    ps->list = list;
    ps->capacity = capacity;
    return DRL_OK;
}

drl_status drl_params_add(drl_params *ps, int *index, const drl_param *p, drl_err *err) {
    int old = drl_params_find(ps, p->name);
    *index = old;
    if (old >= 0) {
        if (same_shape(&ps->list[old], p)) return DRL_OK;
        if (ps->list[old].trained != p->trained)
            return drl_fail(err, DRL_ERR_SHAPE, "parameter %s: trained in one place, not in another", p->name);
        return drl_fail(err, DRL_ERR_SHAPE, "parameter %s: exists with another shape", p->name);
    }
    if (ps->value) return drl_fail(err, DRL_ERR_NOT_FOUND, "parameter %s: the model has none of this name", p->name);
    if (ps->n == ps->capacity) {
        drl_status st = grow(ps, err);
        if (st != DRL_OK) return st;
    }
    drl_param *q = &ps->list[ps->n];
    *q = *p;
    q->count = 1;
    for (size_t d = 0; d < q->rank; d++)
        if (q->shape[d] == 0 || !drl_mul_size(&q->count, q->count, q->shape[d]))
            return drl_fail(err, DRL_ERR_SHAPE, "parameter %s: dimension %zu is %zu", p->name, d, q->shape[d]);
    size_t *block = q->trained ? &ps->n_value : &ps->n_state;
    q->offset = *block;
    *block += drl_align_count(q->count, sizeof(drl_real));
    *index = (int)ps->n++;
    return DRL_OK;
}

drl_status drl_params_alloc(drl_params *ps, drl_err *err) {
    assert(!ps->value && !ps->state);
    drl_status st = drl_alloc(&ps->value, ps->n_value, sizeof *ps->value, "parameters", err);
    if (st == DRL_OK) st = drl_alloc(&ps->state, ps->n_state, sizeof *ps->state, "state of layers", err);
    return st;
}

size_t drl_params_follow(drl_params *ps, const char *prefix, double keep) {
    size_t length = strlen(prefix), written = 0;
    assert(length > 0 && keep >= 0 && keep <= 1);
    for (size_t i = 0; i < ps->n; i++) {
        const drl_param *p = &ps->list[i];
        int from = strncmp(p->name, prefix, length) == 0 ? drl_params_find(ps, p->name + length) : -1;
        if (from < 0 || (keep > 0 && !ps->list[from].trained)) continue;
        assert(ps->list[from].count == p->count && ps->list[from].layout == p->layout);
        drl_real *restrict to = drl_params_at(ps, (int)i);
        const drl_real *restrict source = drl_params_at(ps, from);
        for (size_t e = 0; e < p->count; e++) to[e] = (drl_real)(keep * (double)to[e] + (1 - keep) * (double)source[e]);
        written++;
    }
    return written;
}

drl_real *drl_params_at(const drl_params *ps, int i) {
    assert(i >= 0 && (size_t)i < ps->n);
    return (ps->list[i].trained ? ps->value : ps->state) + ps->list[i].offset;
}

size_t drl_params_trained(const drl_params *ps) {
    size_t sum = 0;
    for (size_t i = 0; i < ps->n; i++) sum += ps->list[i].trained ? ps->list[i].count : 0;
    return sum;
}

/* FNV-1a: a stream is found by the tensor's name, so that adding a layer changes no other layer's start. */
static uint32_t name_hash(const char *s) {
    uint32_t h = 2166136261u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
    return h;
}

/* Element e of the canonical order lies at position at(e) in memory. */
static size_t stored_at(const drl_param *p, size_t e) {
    if (p->layout == DRL_LAYOUT_PLAIN) return e;
    size_t in = p->shape[1], kh = p->shape[2], kw = p->shape[3];
    size_t kx = e % kw, ky = e / kw % kh, i = e / (kw * kh) % in, o = e / (kw * kh * in);
    return ((ky * kw + kx) * in + i) * p->shape[0] + o;
}

void drl_params_init(drl_params *ps, uint64_t seed) {
    for (size_t i = 0; i < ps->n; i++) {
        const drl_param *p = &ps->list[i];
        drl_real *at = drl_params_at(ps, (int)i), u;
        drl_rng rng = drl_rng_stream(seed, DRL_RNG_INIT, 0, name_hash(p->name));
        for (size_t e = 0; e < p->count; e++) {
            switch (p->init.kind) {
            case DRL_INIT_CONSTANT: u = (drl_real)p->init.scale; break;
            case DRL_INIT_UNIFORM:
                drl_rng_uniform(rng, e, &u, 1);
                u = (drl_real)(p->init.scale * (2.0 * (double)u - 1.0));
                break;
            case DRL_INIT_NORMAL:
                drl_rng_normal(rng, e, &u, 1);
                u = (drl_real)(p->init.scale * (double)u);
                break;
            default: assert(0); u = 0;
            }
            at[stored_at(p, e)] = u;
        }
    }
}

void drl_param_to_canonical(const drl_param *p, drl_real *canonical, const drl_real *stored) {
    for (size_t e = 0; e < p->count; e++) canonical[e] = stored[stored_at(p, e)];
}

void drl_param_from_canonical(const drl_param *p, drl_real *stored, const drl_real *canonical) {
    for (size_t e = 0; e < p->count; e++) stored[stored_at(p, e)] = canonical[e];
}
