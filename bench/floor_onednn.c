/* Times single convolutions with oneDNN 2 (floor.h); where the build has no oneDNN, says so. */
#include "floor.h"

#ifndef DRL_ONEDNN

const char *bench_floor_library(void) {
    return NULL;
}

drl_status floor_timer_open(floor_timer **out, const bench_floor_layer *layers, size_t n, size_t batch, size_t threads,
                            drl_err *err) {
    (void)layers, (void)n, (void)batch, (void)threads;
    *out = NULL;
    return drl_fail(err, DRL_ERR_NOT_FOUND, "built without oneDNN");
}

drl_status floor_timer_run(floor_timer *t, double *seconds, drl_err *err) {
    (void)t, (void)seconds;
    return drl_fail(err, DRL_ERR_NOT_FOUND, "built without oneDNN");
}

#else
#include <dnnl.h>
#include <omp.h>

#include "bench.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "drl/rng.h"

enum { RUNS = 5 }; /* of a primitive in a round; one more warms up */

typedef struct pass {
    dnnl_primitive_t primitive; /* NULL: the graph has no such pass */
    dnnl_exec_arg_t args[4];
    int n_args;
} pass;

struct floor_timer {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    size_t n;
    pass *passes; /* (n, FLOOR_PASSES) */
    /* Shared by all layers, each as large as the largest needs: what passes read, and what they write. */
    drl_real *x, *dy, *y, *dx;
};

#define TO_TEXT_(x) #x
#define TO_TEXT(x)  TO_TEXT_(x)

const char *bench_floor_library(void) {
    return "oneDNN " TO_TEXT(DNNL_VERSION_MAJOR) "." TO_TEXT(DNNL_VERSION_MINOR) "." TO_TEXT(DNNL_VERSION_PATCH);
}

/* Remembers the first failure of a series of oneDNN's calls. */
static void check(dnnl_status_t *first, dnnl_status_t status) {
    if (*first == dnnl_success) *first = status;
}

/* n numbers of about the size of activations: neither zero nor denormal. Freed with the process. */
static drl_status numbers(drl_real **v, size_t n, uint32_t stream, drl_err *err) {
    drl_status st = drl_alloc(v, n, sizeof **v, "floor", err);
    if (st == DRL_OK) drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, stream, 0), 0, *v, n);
    return st;
}

/* Appends an argument of the given layout over `data`. */
static void argument(floor_timer *t, pass *p, int index, const dnnl_memory_desc_t *layout, void *data,
                     dnnl_status_t *status) {
    dnnl_memory_t memory = NULL;
    check(status, dnnl_memory_create(&memory, layout, t->engine, data));
    p->args[p->n_args++] = (dnnl_exec_arg_t){index, memory};
}

/* The layouts of a layer: tensors NHWC, weights as oneDNN likes. */
typedef struct layouts {
    dnnl_memory_desc_t x, y, w, b;
    dnnl_dims_t stride, before, after;
} layouts;

static void describe(layouts *l, const drl_conv_dims *d, size_t batch, dnnl_status_t *status) {
    const dnnl_dim_t N = (dnnl_dim_t)batch, H = (dnnl_dim_t)d->h, W = (dnnl_dim_t)d->w, C = (dnnl_dim_t)d->cin;
    const dnnl_dim_t HO = (dnnl_dim_t)d->ho, WO = (dnnl_dim_t)d->wo, CO = (dnnl_dim_t)d->cout;
    const dnnl_dim_t k = (dnnl_dim_t)d->k, s = (dnnl_dim_t)d->stride, pad = (dnnl_dim_t)d->pad;
    const dnnl_dims_t x = {N, C, H, W}, y = {N, CO, HO, WO}, w = {CO, C, k, k}, b = {CO};
    check(status, dnnl_memory_desc_init_by_tag(&l->x, 4, x, dnnl_f32, dnnl_nhwc));
    check(status, dnnl_memory_desc_init_by_tag(&l->y, 4, y, dnnl_f32, dnnl_nhwc));
    check(status, dnnl_memory_desc_init_by_tag(&l->w, 4, w, dnnl_f32, dnnl_format_tag_any));
    check(status, dnnl_memory_desc_init_by_tag(&l->b, 1, b, dnnl_f32, dnnl_x));
    /* At the bottom and right as far as the output reaches: not at all, where the stride leaves rows out, or more than
     * `pad`, where only these sides are padded. */
    const dnnl_dim_t below = (HO - 1) * s + k - pad - H, right = (WO - 1) * s + k - pad - W;
    l->stride[0] = l->stride[1] = s;
    l->before[0] = l->before[1] = pad;
    l->after[0] = below > 0 ? below : 0;
    l->after[1] = right > 0 ? right : 0;
}

/* The primitives of a layer. The forward pass comes first: its descriptor is the hint of the others. */
static drl_status make_layer(floor_timer *t, pass p[FLOOR_PASSES], const bench_floor_layer *layer, size_t batch,
                             drl_err *err) {
    dnnl_status_t status = dnnl_success;
    dnnl_convolution_desc_t c;
    dnnl_primitive_desc_t pd[FLOOR_PASSES] = {NULL};
    layouts l;
    describe(&l, &layer->dims, batch, &status);
    for (int kind = 0; kind < FLOOR_PASSES && status == dnnl_success; kind++) {
        if (layer->count[kind] == 0) continue;
        if (kind == FLOOR_FORWARD)
            check(&status, dnnl_convolution_forward_desc_init(&c, dnnl_forward_training, dnnl_convolution_auto, &l.x,
                                                              &l.w, &l.b, &l.y, l.stride, l.before, l.after));
        else if (kind == FLOOR_DATA)
            check(&status, dnnl_convolution_backward_data_desc_init(&c, dnnl_convolution_auto, &l.x, &l.w, &l.y,
                                                                    l.stride, l.before, l.after));
        else
            check(&status, dnnl_convolution_backward_weights_desc_init(&c, dnnl_convolution_auto, &l.x, &l.w, NULL,
                                                                       &l.y, l.stride, l.before, l.after));
        if (status == dnnl_success)
            check(&status, dnnl_primitive_desc_create(&pd[kind], &c, NULL, t->engine, pd[FLOOR_FORWARD]));
        if (status == dnnl_success) check(&status, dnnl_primitive_create(&p[kind].primitive, pd[kind]));
        if (status != dnnl_success) break;

        const bool weight = kind == FLOOR_WEIGHT;
        const dnnl_memory_desc_t *w =
            dnnl_primitive_desc_query_md(pd[kind], weight ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
        drl_real *values, *bias;
        drl_status st = numbers(&values, dnnl_memory_desc_get_size(w) / sizeof *values, 0, err);
        if (st == DRL_OK) st = numbers(&bias, layer->dims.cout, 1, err);
        if (st != DRL_OK) return st;
        argument(t, &p[kind], weight ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, w, values, &status);
        if (kind == FLOOR_DATA)
            argument(t, &p[kind], DNNL_ARG_DIFF_SRC, &l.x, t->dx, &status);
        else
            argument(t, &p[kind], DNNL_ARG_SRC, &l.x, t->x, &status);
        if (kind == FLOOR_FORWARD) {
            argument(t, &p[kind], DNNL_ARG_BIAS, &l.b, bias, &status);
            argument(t, &p[kind], DNNL_ARG_DST, &l.y, t->y, &status);
        } else {
            argument(t, &p[kind], DNNL_ARG_DIFF_DST, &l.y, t->dy, &status);
        }
    }
    const drl_conv_dims *d = &layer->dims;
    if (status == dnnl_success) return DRL_OK;
    return drl_fail(err, DRL_ERR_CONFIG, "oneDNN refuses the %zux%zu convolution %zux%zux%zu -> %zux%zux%zu: status %d",
                    d->k, d->k, d->h, d->w, d->cin, d->ho, d->wo, d->cout, (int)status);
}

drl_status floor_timer_open(floor_timer **out, const bench_floor_layer *layers, size_t n, size_t batch, size_t threads,
                            drl_err *err) {
    floor_timer *t;
    drl_status st = drl_alloc(&t, 1, sizeof *t, "floor", err);
    if (st == DRL_OK) st = drl_alloc(&t->passes, n * FLOOR_PASSES, sizeof *t->passes, "floor", err);
    if (st != DRL_OK) return st;
    *out = t;
    t->n = n;
    omp_set_num_threads((int)threads);
    dnnl_status_t status = dnnl_success;
    check(&status, dnnl_engine_create(&t->engine, dnnl_cpu, 0));
    if (status == dnnl_success) check(&status, dnnl_stream_create(&t->stream, t->engine, dnnl_stream_default_flags));
    if (status != dnnl_success) return drl_fail(err, DRL_ERR_CONFIG, "oneDNN does not start: status %d", (int)status);
    size_t in = 0, to = 0;
    for (size_t i = 0; i < n; i++) {
        const drl_conv_dims *d = &layers[i].dims;
        size_t x = batch * d->h * d->w * d->cin, y = batch * d->ho * d->wo * d->cout;
        in = x > in ? x : in;
        to = y > to ? y : to;
    }
    if (st == DRL_OK) st = numbers(&t->x, in, 2, err);
    if (st == DRL_OK) st = numbers(&t->dx, in, 3, err);
    if (st == DRL_OK) st = numbers(&t->y, to, 4, err);
    if (st == DRL_OK) st = numbers(&t->dy, to, 5, err);
    for (size_t i = 0; st == DRL_OK && i < n; i++)
        st = make_layer(t, t->passes + i * FLOOR_PASSES, &layers[i], batch, err);
    return st;
}

drl_status floor_timer_run(floor_timer *t, double *seconds, drl_err *err) {
    for (size_t i = 0; i < t->n * FLOOR_PASSES; i++) {
        const pass *p = &t->passes[i];
        double run[RUNS + 1];
        seconds[i] = 0;
        if (!p->primitive) continue;
        for (int r = 0; r <= RUNS; r++) {
            double start = drl_now();
            dnnl_status_t status = dnnl_primitive_execute(p->primitive, t->stream, p->n_args, p->args);
            check(&status, dnnl_stream_wait(t->stream));
            if (status != dnnl_success)
                return drl_fail(err, DRL_ERR_CONFIG, "oneDNN does not run: status %d", (int)status);
            run[r] = drl_now() - start;
        }
        seconds[i] = bench_median(run + 1, RUNS);
    }
    return DRL_OK;
}

#endif
