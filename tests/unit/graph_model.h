/* A tiny model of diffusion based representation learning for tests of graphs: encoder, score network, objective. The
 * including program is one translation unit, so everything is static inline. */
#ifndef GRAPH_MODEL_H
#define GRAPH_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "drl/graph.h"
#include "drl/mem.h"
#include "drl/nets.h"
#include "drl/ops.h"
#include "drl/rng.h"

enum { SIDE = 8, IMAGE = SIDE * SIDE * 3, MODEL_BATCH = 7 };
enum { X0, X_T, NOISE, TIME, STD, WEIGHT, N_INPUTS };

typedef struct model {
    drl_params *params; /* shared between models */
    drl_graph *g;
    drl_tensor in[N_INPUTS], code, score, loss, penalty;
    drl_real *data[N_INPUTS]; /* of MODEL_BATCH images */
} model;

static inline drl_real *model_block(size_t n) {
    drl_real *p;
    assert_int_equal(drl_alloc(&p, n, sizeof *p, "test", NULL), DRL_OK);
    return p;
}

/* Appends the model to a new graph; the parameters are allocated and drawn by the first one. */
static inline void model_open(model *m, drl_params *params, const drl_graph_cfg *cfg, drl_threads *team) {
    drl_err err = {0};
    const drl_shape image = {SIDE, SIDE, 3}, scalar = {1, 1, 1};
    *m = (model){.params = params};
    assert_int_equal(drl_graph_new(&m->g, cfg, params, &err), DRL_OK);
    for (int i = 0; i < N_INPUTS; i++) {
        size_t n = MODEL_BATCH * (i < TIME ? IMAGE : 1);
        m->in[i] = drl_graph_input(m->g, NULL, i < TIME ? image : scalar, false);
        m->data[i] = model_block(n);
        drl_rng rng = drl_rng_stream(1, DRL_RNG_TEST, (uint32_t)i, 0);
        if (i < TIME)
            drl_rng_normal(rng, 0, m->data[i], n);
        else
            drl_rng_uniform(rng, 0, m->data[i], n);
    }
    const drl_score_cfg score = {.nf = 8,
                                 .levels = 2,
                                 .mult = {1, 2},
                                 .blocks = 1,
                                 .attention = {false, true},
                                 .dropout = 0.1,
                                 .time_map = DRL_TIME_VE};
    m->code = drl_encoder(m->g, m->in[X0], m->in[TIME], &(drl_encoder_cfg){.depth = 10, .width = 0.25});
    m->score = drl_score_net(m->g, m->in[X_T], m->in[TIME], m->code, &score);
    m->loss = drl_op_dsm_loss(m->g, m->score, m->in[NOISE], m->in[STD], m->in[WEIGHT]);
    m->penalty = drl_op_l1(m->g, m->code);
    drl_graph_output(m->g, m->code);
    drl_graph_output(m->g, m->score);
    drl_graph_root(m->g, m->loss, 1);
    drl_graph_root(m->g, m->penalty, 0.1);
    if (!params->value) {
        assert_int_equal(drl_params_alloc(params, &err), DRL_OK);
        drl_params_init(params, 1);
        for (size_t i = 0; i < params->n; i++) /* what starts at zero would hide errors */
            if (params->list[i].init.scale < 1e-3) {
                drl_rng rng = drl_rng_stream(2, DRL_RNG_TEST, (uint32_t)i, 0);
                drl_rng_uniform(rng, 0, drl_params_at(params, (int)i), params->list[i].count);
                for (size_t e = 0; e < params->list[i].count; e++)
                    drl_params_at(params, (int)i)[e] =
                        (drl_params_at(params, (int)i)[e] - (drl_real)0.5) * (drl_real)0.3;
            }
    }
    drl_status st = drl_graph_plan(m->g, team, &err);
    if (st != DRL_OK) fail_msg("%s", err.message);
}

static inline void model_close(model *m) {
    drl_graph_free(m->g);
    for (int i = 0; i < N_INPUTS; i++) drl_free(m->data[i]);
}

static inline void model_fill(void *arg, size_t shard, size_t first, size_t n) {
    model *m = arg;
    for (int i = 0; i < N_INPUTS; i++) {
        size_t size = i < TIME ? IMAGE : 1;
        memcpy(drl_graph_value(m->g, m->in[i], shard), m->data[i] + first * size, n * size * sizeof(drl_real));
    }
}

/* What a run leaves: code, score, losses, running statistics and gradient, side by side in one block. */
static inline size_t model_results(const model *m) {
    return MODEL_BATCH * (16 + IMAGE) + 3 + m->params->n_state + m->params->n_value;
}

static inline void model_run(model *m, size_t n, uint32_t step, drl_real *results) {
    memset(results, 0, model_results(m) * sizeof *results);
    drl_graph_run(m->g, n, step, model_fill, m, true);
    drl_graph_read(m->g, m->code, results);
    results += MODEL_BATCH * 16;
    drl_graph_read(m->g, m->score, results);
    results += MODEL_BATCH * IMAGE;
    *results++ = (drl_real)drl_graph_mean(m->g, m->loss);
    *results++ = (drl_real)drl_graph_mean(m->g, m->penalty);
    memcpy(results + 1, m->params->state, m->params->n_state * sizeof *results);
    *results = (drl_real)drl_graph_collect(m->g, results + 1 + m->params->n_state);
}

#endif
