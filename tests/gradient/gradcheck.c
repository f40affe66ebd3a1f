/* The gradient check (gradcheck.h): draws, plans, differences, comparison. cmocka's entry is at the end. */
#include "gradcheck.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drl/blas.h"
#include "drl/rng.h"
#include "nn/graph_impl.h"

#define BATCH (GC_IMAGES + 1) /* planned for one image more than a run has */
#define STEP  3               /* names the dropout draws */

/* The plans every case runs in. The first is what differences are taken with, the second has to give its bits. */
typedef struct variant {
    const char *name;
    size_t shard, threads;
    bool keep, unfused;
} variant;
static const variant variants[] = {
    {"shards of 2, 1 thread", 2, 1, false, false},
    {"shards of 2, 2 threads, all kept", 2, 2, true, false},
    {"shards of 2, 2 threads, unfused", 2, 2, false, true},
    {"one shard", BATCH, 1, false, false},
};
#define VARIANTS (sizeof variants / sizeof *variants)

static drl_threads *teams[3]; /* by size */
static const char *program;

/* A tensor whose gradient is checked: `value` is what is perturbed, got[v] the gradient found by variant v. */
typedef struct target {
    char name[DRL_PARAM_NAME];
    drl_real *value, *got[VARIANTS];
    size_t n;
} target;

typedef struct check {
    const gc_case *c;
    drl_params params;
    drl_real *x[GC_MAX_IN], *u, *y; /* inputs, upstream gradient, output: of GC_IMAGES images */
    size_t y_size;                  /* elements an image; 0: roots alone */
    target *targets;
    size_t n_targets;
    double scale; /* largest finite gradient of all targets */
    gc_report report;
    bool quiet;
} check;

/* A graph of the case and what it was built of. */
typedef struct plan {
    check *k;
    gc_build b;
    drl_tensor y;
} plan;

static void complain(check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void complain(check *k, const char *fmt, ...) {
    if (!k->quiet && k->report.failures < 10) {
        va_list ap;
        va_start(ap, fmt);
        fprintf(stderr, "%s: ", k->c->name);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fprintf(stderr, "\n    repeat with: %s '%s'\n", program ? program : "?", k->c->name);
    }
    k->report.failures++;
}

static void must(drl_status st, const drl_err *err) {
    if (st == DRL_OK) return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static drl_real *block(size_t n) {
    drl_real *p;
    drl_err err;
    must(drl_alloc(&p, n, sizeof *p, "gradient check", &err), &err);
    return p;
}

void gc_root(gc_build *b, drl_tensor t, double weight) {
    drl_graph_root(b->g, t, weight);
    b->root[b->roots] = t;
    b->weight[b->roots++] = weight;
}

/* ---- Graphs -------------------------------------------------------------------------------------------------- */

static void fill(void *arg, size_t shard, size_t first, size_t n) {
    plan *p = arg;
    check *k = p->k;
    for (int i = 0; i < GC_MAX_IN; i++) {
        if (p->b.in[i] < 0) continue;
        size_t size = drl_shape_size(k->c->in[i].shape);
        memcpy(drl_graph_value(p->b.g, p->b.in[i], shard), k->x[i] + first * size, n * size * sizeof(drl_real));
    }
    drl_real *seed = p->y >= 0 ? drl_graph_gradient(p->b.g, p->y, shard) : NULL;
    if (seed) memcpy(seed, k->u + first * k->y_size, n * k->y_size * sizeof(drl_real));
}

static void build(check *k, plan *p, const variant *v, bool backward) {
    drl_err err;
    const drl_graph_cfg cfg = {.batch = BATCH,
                               .shard = v->shard,
                               .training = !k->c->evaluate,
                               .backward = backward,
                               .keep = v->keep,
                               .unfused = v->unfused,
                               .seed = 7};
    *p = (plan){.k = k, .b = {.arg = k->c->arg}};
    must(drl_graph_new(&p->b.g, &cfg, &k->params, &err), &err);
    for (int i = 0; i < GC_MAX_IN; i++) {
        const gc_input *in = &k->c->in[i];
        p->b.in[i] = in->shape.h ? drl_graph_input(p->b.g, NULL, in->shape, !in->fixed) : -1;
    }
    p->y = k->c->build(&p->b);
    drl_graph_output(p->b.g, p->y);
    drl_graph_seed(p->b.g, p->y);
    if (p->y >= 0) k->y_size = drl_shape_size(drl_graph_shape(p->b.g, p->y));
    if (!k->params.value) {
        if (!drl_graph_failed(p->b.g)) must(drl_params_alloc(&k->params, &err), &err);
        gc_draw_params(&k->params);
    }
    must(drl_graph_plan(p->b.g, teams[v->threads], &err), &err);
}

static double objective(plan *p, bool backward) {
    check *k = p->k;
    drl_graph_run(p->b.g, GC_IMAGES, STEP, fill, p, backward);
    double sum = 0;
    if (p->y >= 0) {
        drl_graph_read(p->b.g, p->y, k->y);
        for (size_t i = 0; i < GC_IMAGES * k->y_size; i++) sum += k->u[i] * k->y[i];
    }
    for (size_t r = 0; r < p->b.roots; r++) sum += p->b.weight[r] * drl_graph_mean(p->b.g, p->b.root[r]);
    return sum;
}

/* Everything a run must write before it reads it becomes NaN. */
static void poison(drl_graph *g) {
    size_t partials = 0;
    for (size_t i = 0; i < g->n_nodes; i++) partials += g->nodes[i].partials;
    memset(g->memory, 0xff, g->max_shards * g->block * sizeof *g->memory);
    memset(g->shard_grads, 0xff, g->max_shards * g->params->n_value * sizeof *g->shard_grads);
    memset(g->partials, 0xff, g->max_shards * partials * sizeof *g->partials);
}

/* Copies the gradients of a run into the targets; returns the squared norm over parameters that collect reported. */
static double gradients(plan *p, size_t v, drl_real *flat) {
    check *k = p->k;
    size_t t = 0;
    memset(flat, 0xff, k->params.n_value * sizeof *flat);
    double norm = drl_graph_collect(p->b.g, flat);
    for (int i = 0; i < GC_MAX_IN; i++) {
        if (p->b.in[i] < 0 || k->c->in[i].fixed) continue;
        if (k->c->in[i].stopped) {
            if (drl_graph_gradient(p->b.g, p->b.in[i], 0)) complain(k, "input %d has a gradient", i);
            continue;
        }
        size_t size = drl_shape_size(k->c->in[i].shape), S = drl_graph_shard_size(p->b.g);
        for (size_t n = 0; n < GC_IMAGES; n++) {
            const drl_real *g = drl_graph_gradient(p->b.g, p->b.in[i], n / S);
            if (g) memcpy(k->targets[t].got[v] + n * size, g + n % S * size, size * sizeof *g);
        }
        t++;
    }
    for (size_t i = 0; i < k->params.n; i++)
        if (k->params.list[i].trained) {
            memcpy(k->targets[t].got[v], flat + k->params.list[i].offset, k->targets[t].n * sizeof *flat);
            t++;
        }
    return norm;
}

/* One variant: two runs in poisoned memory, the same bits both times; the objective of `want`. */
static void run_variant(check *k, size_t v, double want) {
    plan p;
    build(k, &p, &variants[v], true);
    drl_real *once = block(k->params.n_value), *twice = block(k->params.n_value);
    double norm = 0, square = 0;
    for (int r = 0; r < 2; r++) {
        poison(p.b.g);
        double L = objective(&p, true);
        if (!(fabs(L - want) <= 1e-11 * (1 + fabs(want))))
            complain(k, "%s: objective %.17g, want %.17g", variants[v].name, L, want);
        norm = gradients(&p, v, r ? twice : once);
    }
    if (memcmp(once, twice, k->params.n_value * sizeof *once) != 0)
        complain(k, "%s: two runs differ", variants[v].name);
    for (size_t i = 0; i < k->params.n_value; i++) square += once[i] * once[i];
    if (!(fabs(norm - square) <= 1e-12 * square))
        complain(k, "%s: squared norm %g, want %g", variants[v].name, norm, square);
    drl_free(once);
    drl_free(twice);
    drl_graph_free(p.b.g);
}

/* ---- Comparison ---------------------------------------------------------------------------------------------- */

/* Derivative of L along direction d (NULL: element e alone), by central differences; extrapolated where asked. */
static double difference(plan *p, target *t, size_t e, const drl_real *d, double h, bool extrapolate) {
    double result[2] = {0, 0}, old = t->value[e];
    drl_real *start = d ? block(t->n) : NULL;
    if (d) memcpy(start, t->value, t->n * sizeof *start);
    for (int half = 0; half <= extrapolate; half++) {
        double L[2], step = half ? h / 2 : h;
        for (int side = 0; side < 2; side++) {
            double move = side ? -step : step;
            if (d)
                for (size_t i = 0; i < t->n; i++) t->value[i] = start[i] + move * d[i];
            else
                t->value[e] = old + move;
            L[side] = objective(p, false);
        }
        result[half] = (L[0] - L[1]) / (2 * step);
    }
    if (d)
        memcpy(t->value, start, t->n * sizeof *start);
    else
        t->value[e] = old;
    drl_free(start);
    return extrapolate ? (4 * result[1] - result[0]) / 3 : result[0];
}

/* Steps to try in turn until one agrees well. The extrapolated one is exact to rounding where L is smooth; the small
 * ones are for elements that a rectifier's corner comes too close to. A wrong gradient agrees with none. */
static const struct {
    double h;
    bool extrapolate;
} smooth[3] = {{2e-4, true}, {1e-6, false}, {1e-7, false}}, cornered[3] = {{1e-6, false}, {2e-4, true}, {1e-7, false}};

/* Compares got[v] for every v with the difference; scale is what errors are relative to. */
static void compare(check *k, plan *p, target *t, size_t e, const drl_real *d, const double *got, double scale) {
    double tolerance = k->c->tolerance > 0 ? k->c->tolerance : 1e-7, best = INFINITY, want = 0;
    for (size_t s = 0; s < 3 && !(best <= 0.01 * tolerance); s++) {
        double h = k->c->most ? cornered[s].h : smooth[s].h;
        bool extrapolate = k->c->most ? cornered[s].extrapolate : smooth[s].extrapolate;
        double found = difference(p, t, e, d, h, extrapolate), err = fabs(got[0] - found) / scale;
        if (err <= best || s == 0) best = err, want = found;
    }
    k->report.compared++;
    if (best <= tolerance && best > k->report.worst) k->report.worst = best;
    for (size_t v = 0; v < VARIANTS; v++)
        if (!(fabs(got[v] - want) <= tolerance * scale))
            complain(k, "%s %s%zu: gradient %.12g, difference %.12g, scale %g (%s)", t->name,
                     d ? "direction " : "element ", e, got[v], want, scale, variants[v].name);
}

static void compare_target(check *k, plan *p, target *t) {
    double largest = 0;
    size_t at = 0;
    for (size_t e = 0; e < t->n; e++)
        if (isfinite(t->got[0][e]) && fabs(t->got[0][e]) > largest) largest = fabs(t->got[0][e]), at = e;
    /* Where a gradient vanishes in exact arithmetic (a bias before a batch norm), rounding is all there is. */
    double scale = fmax(largest, 1e-3 * k->scale), got[VARIANTS];
    if (!(largest > 0) && !k->c->zero) complain(k, "%s: the whole gradient is zero", t->name);
    bool all = k->c->most == 0 || t->n <= k->c->most;
    size_t stride = all ? 1 : t->n / k->c->most;
    for (size_t e = 0; e < t->n; e += stride) {
        size_t which = !all && e == 0 ? at : e; /* the largest is always among those compared */
        for (size_t v = 0; v < VARIANTS; v++) got[v] = t->got[v][which];
        compare(k, p, t, which, NULL, got, scale);
    }
    if (all) return;
    /* One random direction of unit length covers the elements that were left out. */
    drl_real *d = block(t->n);
    double length = 0;
    drl_rng_normal(drl_rng_stream(3, DRL_RNG_TEST, 0, 0), 0, d, t->n);
    for (size_t e = 0; e < t->n; e++) length += d[e] * d[e];
    for (size_t e = 0; e < t->n; e++) d[e] /= sqrt(length);
    for (size_t v = 0; v < VARIANTS; v++) {
        got[v] = 0;
        for (size_t e = 0; e < t->n; e++) got[v] += d[e] * t->got[v][e];
    }
    compare(k, p, t, 0, d, got, scale);
    drl_free(d);
}

/* <A x, u> = L(x) - L(0) = <x, A^T u>, over all inputs that have a gradient. */
static void compare_adjoint(check *k, plan *p, double L) {
    double inner = 0, size = fabs(L);
    for (size_t t = 0; t < k->n_targets && k->targets[t].name[0] == '['; t++) {
        for (size_t e = 0; e < k->targets[t].n; e++) {
            inner += k->targets[t].value[e] * k->targets[t].got[0][e];
            size += fabs(k->targets[t].value[e] * k->targets[t].got[0][e]);
        }
        memset(k->targets[t].value, 0, k->targets[t].n * sizeof(drl_real));
    }
    double forward = L - objective(p, false);
    if (!(fabs(forward - inner) <= 1e-13 * size))
        complain(k, "<A x, u> = %.17g but <x, A^T u> = %.17g", forward, inner);
}

/* ---- A case -------------------------------------------------------------------------------------------------- */

static void add_target(check *k, const char *name, drl_real *value, size_t n) {
    target *t = &k->targets[k->n_targets++];
    snprintf(t->name, sizeof t->name, "%s", name);
    t->value = value;
    t->n = n;
    for (size_t v = 0; v < VARIANTS; v++) {
        t->got[v] = block(n);
        memset(t->got[v], 0xff, n * sizeof(drl_real)); /* a gradient that is missing does not pass for zero */
    }
}

static void draw_all(check *k) {
    for (int i = 0; i < GC_MAX_IN; i++) {
        size_t n = drl_shape_size(k->c->in[i].shape) * GC_IMAGES;
        k->x[i] = block(n);
        gc_draw_input(k->x[i], n, &k->c->in[i], (uint32_t)i);
    }
    k->u = block(GC_IMAGES * k->y_size);
    k->y = block(GC_IMAGES * k->y_size);
    gc_draw_input(k->u, GC_IMAGES * k->y_size, &(gc_input){.draw = GC_NORMAL}, GC_MAX_IN);
}

static void list_targets(check *k) {
    drl_err err;
    char name[24];
    must(drl_alloc(&k->targets, GC_MAX_IN + k->params.n, sizeof *k->targets, "targets", &err), &err);
    for (int i = 0; i < GC_MAX_IN; i++) {
        snprintf(name, sizeof name, "[input %d]", i);
        size_t n = drl_shape_size(k->c->in[i].shape) * GC_IMAGES;
        if (n && !k->c->in[i].fixed && !k->c->in[i].stopped) add_target(k, name, k->x[i], n);
    }
    for (size_t i = 0; i < k->params.n; i++)
        if (k->params.list[i].trained)
            add_target(k, k->params.list[i].name, drl_params_at(&k->params, (int)i), k->params.list[i].count);
}

static void release(check *k) {
    for (size_t t = 0; t < k->n_targets; t++)
        for (size_t v = 0; v < VARIANTS; v++) drl_free(k->targets[t].got[v]);
    for (int i = 0; i < GC_MAX_IN; i++) drl_free(k->x[i]);
    drl_free(k->targets);
    drl_free(k->u);
    drl_free(k->y);
    drl_params_free(&k->params);
}

gc_report gc_check(const gc_case *c, gc_hook hook) {
    check k = {.c = c, .quiet = hook};
    plan p;
    build(&k, &p, &variants[0], false);
    draw_all(&k);
    list_targets(&k);
    double L = objective(&p, false);
    for (size_t v = 0; v < VARIANTS; v++) run_variant(&k, v, L);
    for (size_t t = 0; t < k.n_targets; t++) {
        target *x = &k.targets[t];
        if (memcmp(x->got[0], x->got[1], x->n * sizeof(drl_real)) != 0)
            complain(&k, "%s: \"%s\" and \"%s\" differ", x->name, variants[0].name, variants[1].name);
        for (size_t v = 0; hook && v < VARIANTS; v++) hook(x->got[v], x->n);
        for (size_t e = 0; e < x->n; e++)
            if (isfinite(x->got[0][e])) k.scale = fmax(k.scale, fabs(x->got[0][e]));
    }
    for (size_t t = 0; t < k.n_targets; t++) compare_target(&k, &p, &k.targets[t]);
    if (c->linear) compare_adjoint(&k, &p, L);
    if (!(k.scale > 0) || k.report.compared == 0) complain(&k, "no gradient at all");
    drl_graph_free(p.b.g);
    release(&k);
    return k.report;
}

/* ---- Programs ------------------------------------------------------------------------------------------------ */

static void run_case(void **state) {
    const gc_case *c = *state;
    gc_report r = gc_check(c, NULL);
    print_message("    %zu gradients, worst error %.1e\n", r.compared, r.worst);
    assert_int_equal(r.failures, 0);
}

void gc_open(char **argv) {
    drl_err err;
    drl_blas_guard(argv);
    program = argv[0];
    for (size_t t = 1; t <= 2; t++) must(drl_threads_open(&teams[t], t, &err), &err);
}

void gc_close(void) {
    for (size_t t = 1; t <= 2; t++) drl_threads_close(teams[t]);
}

int gc_main(int argc, char **argv, const char *group, const gc_case *cases, size_t n) {
    drl_err err;
    gc_open(argv);
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    struct CMUnitTest *tests;
    must(drl_alloc(&tests, n, sizeof *tests, "tests", &err), &err);
    for (size_t i = 0; i < n; i++)
        tests[i] =
            (struct CMUnitTest){.name = cases[i].name, .test_func = run_case, .initial_state = (void *)&cases[i]};
    int failed = _cmocka_run_group_tests(group, tests, n, NULL, NULL);
    drl_free(tests);
    gc_close();
    return failed ? 1 : 0;
}
