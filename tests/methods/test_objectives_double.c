/* The gradient of every method's whole training objective, against central differences, in double: along directions of
 * all parameters at once, and for a few numbers of each tensor. */
#include "methods.h"

#include "gradient/gradcheck.h" /* gc_draw_params: no part of a network starts at zero */

enum { DIRECTIONS = SLOW ? 1 : 3, EACH = SLOW ? 1 : 2, STEP = 3 }; /* EACH: numbers a tensor, at most */
#define TOLERANCE 1e-6

typedef struct variant {
    const char *method, *name, *set;
} variant;

/* Beside every method as it comes. */
static const variant variants[] = {
    {"drl", "drl, mixup", "diffusion.mixup=yes"},
    {"drl", "drl, static code", "model.code=static"},
    {"drl", "drl, VP", "diffusion.sde=vp"},
    {"drl", "drl, sub-VP", "diffusion.sde=subvp"},
    {"drl", "drl, high noise", "diffusion.t_density=high"},
    {"drl", "drl, no dropout", "model.dropout=0"},
    {"vdrl", "vdrl, mixup", "diffusion.mixup=yes"},
    {"vdrl", "vdrl, static code", "model.code=static"},
    {"vdrl", "vdrl, VP", "diffusion.sde=vp"},
    {"dsm", "dsm, sub-VP", "diffusion.sde=subvp"},
    {"supervised", "supervised, augmented", "augment.crop=2"},
};
#define VARIANTS (sizeof variants / sizeof *variants)

/* A derivative that was measured: of one number, or along direction `stream`. */
typedef struct point {
    size_t param, element; /* of the list; of the flat block                              */
    bool direction;
    uint32_t stream;
    double want, scale; /* central difference; what errors are relative to             */
} point;

typedef struct check {
    drl_model *m;
    drl_real *start, *d, *gradient; /* (n_value) parameters, direction, analytic gradient      */
    double norm, largest;           /* of the gradient                                         */
    point *points;
    size_t n;
    double worst;
} check;

/* d: standard normal numbers where a trained parameter is, 0 in the gaps. */
static void draw_direction(check *k, uint32_t stream) {
    const drl_params *ps = &k->m->params;
    memset(k->d, 0, ps->n_value * sizeof *k->d);
    for (size_t i = 0; i < ps->n; i++)
        if (ps->list[i].trained)
            drl_rng_normal(drl_rng_stream(5, DRL_RNG_TEST, stream, (uint32_t)i), 0, k->d + ps->list[i].offset,
                           ps->list[i].count);
}

/* What a gradient says the derivative at a point is. */
static double derivative(check *k, const point *p, const drl_real *gradient) {
    if (!p->direction) return gradient[p->element];
    double sum = 0;
    draw_direction(k, p->stream);
    for (size_t e = 0; e < k->m->params.n_value; e++) sum += k->d[e] * gradient[e];
    return sum;
}

/* Moves the parameters by `by` and gives the objective there. */
static double moved(check *k, const point *p, double by) {
    drl_real *value = k->m->params.value;
    if (p->direction)
        for (size_t e = 0; e < k->m->params.n_value; e++) value[e] = k->start[e] + by * k->d[e];
    else
        value[p->element] = k->start[p->element] + by;
    double L = objective(k->m, STEP, false);
    if (p->direction)
        memcpy(value, k->start, k->m->params.n_value * sizeof *value);
    else
        value[p->element] = k->start[p->element];
    return L;
}

static double central(check *k, const point *p, double h) {
    return (moved(k, p, h) - moved(k, p, -h)) / (2 * h);
}

/* Tries until one agrees well: small steps for the corners of rectifiers, larger ones, extrapolated, for rounding. A
 * wrong gradient agrees with none. */
static void measure(check *k, point *p) {
    double analytic = derivative(k, p, k->gradient), best = INFINITY;
    for (int attempt = 0; attempt < 4 && !(best <= 0.1 * TOLERANCE); attempt++) {
        double found = attempt == 0   ? central(k, p, 1e-6)
                       : attempt == 1 ? (4 * central(k, p, 5e-5) - central(k, p, 1e-4)) / 3
                       : attempt == 2 ? central(k, p, 1e-7)
                                      : central(k, p, 1e-8);
        double err = fabs(analytic - found) / p->scale;
        if (attempt == 0 || err <= best) best = err, p->want = found;
    }
    if (best > k->worst) k->worst = best;
}

static double largest_of(const drl_real *x, size_t n, size_t *at) {
    double largest = 0;
    *at = 0;
    for (size_t i = 0; i < n; i++)
        if (fabs(x[i]) > largest) largest = fabs(x[i]), *at = i;
    return largest;
}

static void list_points(check *k, size_t each) {
    const drl_params *ps = &k->m->params;
    assert_int_equal(drl_alloc(&k->points, DIRECTIONS + ps->n * each, sizeof *k->points, "points", NULL), DRL_OK);
    for (uint32_t s = 0; s < DIRECTIONS; s++)
        k->points[k->n++] = (point){.direction = true, .stream = s, .scale = k->norm};
    for (size_t i = 0; i < ps->n; i++) {
        const drl_param *p = &ps->list[i];
        if (!p->trained) continue;
        size_t at;
        double largest = largest_of(k->gradient + p->offset, p->count, &at);
        for (size_t e = 0; e < each && e < p->count; e++) /* the largest one, and others all over the tensor */
            k->points[k->n++] = (point){.param = i,
                                        .element = p->offset + (at + e * (p->count / each)) % p->count,
                                        /* what vanishes in exact arithmetic is rounding */
                                        .scale = fmax(largest, 1e-3 * k->largest)};
    }
}

/* At how many points a gradient is wrong; the first few are named. */
static size_t wrong(check *k, const drl_real *gradient, const char *name) {
    size_t n = 0;
    for (size_t i = 0; i < k->n; i++) {
        const point *p = &k->points[i];
        double got = derivative(k, p, gradient);
        if (fabs(got - p->want) <= TOLERANCE * p->scale) continue;
        if (name && n < 5)
            print_error("%s: %s %zu: gradient %.12g, difference %.12g, scale %g\n", name,
                        p->direction ? "direction" : k->m->params.list[p->param].name,
                        p->direction ? p->stream : p->element - k->m->params.list[p->param].offset, got, p->want,
                        p->scale);
        n++;
    }
    return n;
}

/* Gradients that are wrong are found: scaled a little, and with the gradient of any tensor that has one missing. */
static void assert_can_fail(check *k) {
    const drl_params *ps = &k->m->params;
    size_t seen = 0, zero = 0, tensors = 0;
    for (size_t e = 0; e < ps->n_value; e++) k->gradient[e] *= 1 + 1e-4;
    for (size_t i = 0; i < k->n; i++) seen += fabs(k->points[i].want) > 0.05 * k->points[i].scale;
    if (!(2 * wrong(k, k->gradient, NULL) >= seen && seen > DIRECTIONS)) fail_msg("a scaled gradient passes");
    for (size_t e = 0; e < ps->n_value; e++) k->gradient[e] /= 1 + 1e-4;
    for (size_t i = 0; i < ps->n; i++) {
        const drl_param *p = &ps->list[i];
        if (!p->trained) continue;
        size_t at, bytes = p->count * sizeof(drl_real);
        double largest = largest_of(k->gradient + p->offset, p->count, &at);
        tensors++;
        zero += !(largest > 1e-9 * k->largest);
        if (!(largest > 1e-3 * k->largest)) continue;
        drl_real *keep = block(p->count);
        memcpy(keep, k->gradient + p->offset, bytes);
        memset(k->gradient + p->offset, 0, bytes);
        if (wrong(k, k->gradient, NULL) == 0) fail_msg("%s: a gradient without it passes", p->name);
        memcpy(k->gradient + p->offset, keep, bytes);
        drl_free(keep);
    }
    /* what is the same for all images before a batch normalisation changes nothing: biases, and times where all are 0
     */
    if (!(2 * zero < tensors)) fail_msg("%zu of %zu tensors have no gradient", zero, tensors);
}

static void check_objective(const char *method, const char *name, const char *set) {
    /* the penalty is to count */
    drl_model *m = open_small(method, SETS("diffusion.gamma=0.3", set ? set : "train.warmup=0"), 3);
    const size_t n = m->params.n_value;
    check k = {.m = m, .start = block(n), .d = block(n), .gradient = block(n)};
    gc_draw_params(&m->params);
    memcpy(k.start, m->params.value, n * sizeof *k.start);
    double L = objective(m, STEP, true), square = 0;
    memcpy(k.gradient, m->gradient, n * sizeof *k.gradient);
    for (size_t e = 0; e < n; e++) {
        square += k.gradient[e] * k.gradient[e];
        k.largest = fmax(k.largest, fabs(k.gradient[e]));
    }
    k.norm = sqrt(square);
    assert_true(isfinite(L) && isfinite(k.norm) && k.norm > 1e-6);
    assert_true(objective(m, STEP, false) == L); /* the same draws again */
    list_points(&k, set ? 1 : EACH);
    for (size_t i = 0; i < k.n; i++) measure(&k, &k.points[i]);
    print_message("    objective %.6g, |gradient| %.3g: %zu derivatives, worst error %.1e\n", L, k.norm, k.n, k.worst);
    if (wrong(&k, k.gradient, name)) fail_msg("%s: wrong gradient", name);
    assert_can_fail(&k);
    drl_free(k.start), drl_free(k.d), drl_free(k.gradient), drl_free(k.points);
    drl_model_close(m);
}

static void as_it_comes(void **state) {
    const drl_method *method = *state;
    check_objective(method->name, method->name, NULL);
}

static void changed(void **state) {
    const variant *v = *state;
    check_objective(v->method, v->name, v->set);
}

int main(int argc, char **argv) {
    struct CMUnitTest tests[MANY_METHODS + VARIANTS];
    team_size = 1; /* test_runs.c compares threads */
    methods_begin(argv);
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    size_t n = methods_tests(tests, as_it_comes, is_trained);
    for (size_t i = 0; i < VARIANTS; i++)
        tests[n++] = (struct CMUnitTest){
            .name = variants[i].name, .test_func = changed, .initial_state = (void *)(uintptr_t)&variants[i]};
    return _cmocka_run_group_tests("objectives", tests, n, methods_setup, methods_teardown) ? 1 : 0;
}
