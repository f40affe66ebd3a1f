/* The encoder at t = 0 on pictures of the images (drl/views.h). */
#include "drl/views.h"

#include <assert.h>
#include <stdio.h>

#include "drl/mem.h"

enum { TIME, PICTURE }; /* places in m->in; pictures follow each other */

static size_t views_of(const drl_model *m) {
    return m->trainer->views ? m->trainer->views : 1;
}

void drl_views_inputs(drl_model *m) {
    const drl_images *im = &m->data->split[DRL_SPLIT_TRAIN];
    assert(PICTURE + views_of(m) <= DRL_MODEL_INPUTS);
    m->in[TIME] = drl_graph_input(m->train, "t", (drl_shape){1, 1, 1}, false);
    for (size_t v = 0; v < views_of(m); v++) {
        char name[16];
        snprintf(name, sizeof name, "x%zu", v);
        m->in[PICTURE + v] = drl_graph_input(m->train, name, (drl_shape){im->h, im->w, im->c}, false);
    }
}

drl_tensor drl_views_picture(const drl_model *m, size_t view) {
    return m->in[PICTURE + view];
}

drl_tensor drl_views_code(const drl_model *m, size_t view) {
    return drl_model_code(m, m->train, drl_views_picture(m, view), m->in[TIME]);
}

drl_tensor drl_views_variational(const drl_model *m, size_t view) {
    return drl_model_variational(m, m->train, drl_views_picture(m, view), m->in[TIME]);
}

void drl_views_fill(void *model, size_t shard, size_t first, size_t n) {
    const drl_model *m = model;
    for (size_t i = 0; i < n; i++) drl_graph_value(m->train, m->in[TIME], shard)[i] = 0;
    for (size_t v = 0; v < views_of(m); v++)
        drl_model_images(m, drl_graph_value(m->train, drl_views_picture(m, v), shard), v, first, n);
}

/* ---- Evaluation on validation images ----------------------------------------------------------------------------- */

#define BATCH 256

typedef struct evaluation {
    const drl_model *m;
    const drl_augment_cfg *augment;
    const uint32_t *index; /* of the batch */
    drl_graph *graph;
    drl_tensor x, t;
    uint32_t view;
    size_t from;       /* number of the batch's first image */
    size_t room;       /* numbers of scratch a shard        */
    drl_real *scratch; /* (shards, room)                    */
} evaluation;

static void fill_evaluation(void *arg, size_t shard, size_t first, size_t n) {
    const evaluation *e = arg;
    const drl_images *im = &e->m->data->split[DRL_SPLIT_TRAIN];
    drl_real *x = drl_graph_value(e->graph, e->x, shard), *t = drl_graph_value(e->graph, e->t, shard);
    for (size_t i = 0; i < n; i++) {
        uint32_t image = e->index[first + i];
        drl_real *picture = x + i * im->h * im->w * im->c;
        /* no training step has the last number */
        const drl_augment_draw draw = {e->m->seed, e->view, UINT32_MAX, e->from + first + i};
        if (e->augment)
            drl_augment_image(picture, e->augment, e->m->data, image, &draw, e->scratch + shard * e->room);
        else
            drl_batch_images(picture, e->m->data, DRL_SPLIT_TRAIN, &image, 1);
        t[i] = 0;
    }
}

static drl_status run_all(evaluation *e, const uint32_t *index, drl_tensor y, drl_real *out, size_t views, size_t n,
                          size_t d, drl_err *err) {
    drl_status st = drl_graph_plan(e->graph, e->m->team, err);
    e->room = drl_augment_scratch(e->m->data);
    if (st == DRL_OK)
        st = drl_alloc(&e->scratch, (BATCH / DRL_ENCODE_SHARD) * e->room, sizeof *e->scratch, "augmentation", err);
    if (st != DRL_OK) return st;
    for (e->view = 0; e->view < views; e->view++)
        for (e->from = 0; e->from < n; e->from += BATCH) {
            size_t k = n - e->from < BATCH ? n - e->from : BATCH;
            e->index = index + e->from;
            drl_graph_run(e->graph, k, 0, fill_evaluation, e, false);
            drl_graph_read(e->graph, y, out + (e->view * n + e->from) * d);
        }
    drl_free(e->scratch);
    return DRL_OK;
}

drl_status drl_views_evaluate(drl_real **out, size_t *n, size_t *d, drl_model *m, drl_views_network network,
                              const drl_augment_cfg *augment, size_t views, size_t limit, drl_err *err) {
    const drl_images *im = &m->data->split[DRL_SPLIT_TRAIN];
    uint32_t *index;
    evaluation e = {.m = m, .augment = augment};
    drl_graph_cfg gc = {.batch = BATCH, .shard = DRL_ENCODE_SHARD};
    *out = NULL;
    *n = drl_validation_size(im->n) < limit ? drl_validation_size(im->n) : limit;
    drl_status st = drl_alloc(&index, im->n, sizeof *index, "validation part", err);
    if (st != DRL_OK) return st;
    drl_split_validation(index, im->n, m->seed);
    if ((st = drl_graph_new(&e.graph, &gc, &m->params, err)) != DRL_OK) goto done;
    e.x = drl_graph_input(e.graph, "x", (drl_shape){im->h, im->w, im->c}, false);
    e.t = drl_graph_input(e.graph, "t", (drl_shape){1, 1, 1}, false);
    drl_tensor y = network(m, e.graph, e.x, e.t);
    drl_graph_output(e.graph, y);
    drl_shape s = drl_graph_shape(e.graph, y);
    *d = s.h * s.w * s.c;
    st = drl_alloc(out, views * *n * *d + 1, sizeof **out, "measured values", err);
    if (st == DRL_OK) st = run_all(&e, index + im->n - drl_validation_size(im->n), y, *out, views, *n, *d, err);
done:
    drl_graph_free(e.graph);
    drl_free(index);
    if (st != DRL_OK) drl_free(*out), *out = NULL;
    return st;
}
