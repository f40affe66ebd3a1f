/* Tests over all methods known, the library's and those of baselines/: a data set of a few small images and models of a
 * few thousand weights. The including program is one translation unit, so everything is static inline. */
#ifndef METHODS_H
#define METHODS_H

#include <assert.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "baselines.h"
#include "drl/blas.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "drl/rng.h"

/* Sanitizers make everything some fifty times slower. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOW = 1 };
#else
enum { SLOW = 0 };
#endif

enum { SIDE = 8, BATCH = 5, TRAIN_IMAGES = 52, TEST_IMAGES = 20 };
#define MANY_METHODS 64

static drl_threads *team;
static size_t team_size = 2;
static drl_dataset *data;

static inline int methods_setup(void **state) {
    (void)state;
    drl_log_quiet(true);
    drl_dataset_cfg dc = {.name = "synthetic:factors",
                          .size = SIDE,
                          .train_limit = TRAIN_IMAGES,
                          .test_limit = TEST_IMAGES,
                          .cache_dir = ""};
    drl_err err;
    if (drl_threads_open(&team, team_size, &err) == DRL_OK && drl_dataset_open(&data, &dc, &err) == DRL_OK) return 0;
    print_error("%s\n", err.message);
    return -1;
}

static inline int methods_teardown(void **state) {
    (void)state;
    drl_dataset_free(data);
    drl_threads_close(team);
    return drl_mem_get_stats().bytes == 0 ? 0 : -1; /* nothing is left allocated */
}

/* A small model of a method: shards of 2, 2 and 1 images. Changed by assignments "key=value" up to NULL. */
#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})
static inline drl_model_cfg small_cfg(const drl_method *method, const char *const *sets) {
    static const char *const base[] = {"data.dataset=synthetic:factors",
                                       "data.size=8",
                                       "model.encoder_depth=10",
                                       "model.encoder_width=0.25",
                                       "model.score_channels=4",
                                       "model.score_mult=1,2",
                                       "model.score_blocks=1",
                                       "model.score_attention=4",
                                       "train.batch=5",
                                       "train.shard=2",
                                       "train.warmup=2",
                                       "train.rate=2e-3",
                                       "train.steps=120"};
    drl_model_cfg cfg;
    size_t n;
    const drl_option *options = drl_model_options(&n);
    drl_err err;
    drl_config_defaults(&cfg, options, n);
    snprintf(cfg.model_method, sizeof cfg.model_method, "%s", method->name);
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        if (drl_config_set(&cfg, options, n, base[i], &err) != DRL_OK) fail_msg("%s", err.message);
    for (; sets && *sets; sets++)
        if (drl_config_set(&cfg, options, n, *sets, &err) != DRL_OK) fail_msg("%s", err.message);
    return cfg;
}

static inline drl_model *open_cfg(const drl_model_cfg *cfg, uint64_t seed, drl_threads *threads) {
    drl_model *m;
    drl_err err;
    if (drl_model_open(&m, cfg, data, seed, threads, &err) != DRL_OK)
        fail_msg("%s: %s", cfg->model_method, err.message);
    return m;
}

static inline drl_model *open_small(const char *method, const char *const *sets, uint64_t seed) {
    if (!drl_method_find(method)) fail_msg("%s: no such method", method);
    drl_model_cfg cfg = small_cfg(drl_method_find(method), sets);
    return open_cfg(&cfg, seed, team);
}

static inline double step(drl_model *m) {
    double loss = NAN;
    drl_err err;
    if (drl_model_step(m, &loss, &err) != DRL_OK) fail_msg("%s: %s", m->method->name, err.message);
    return loss;
}

/* Images, and pictures where there is a feed, of step k: what drl_model_step takes before it runs the graph. */
static inline void take_batch(drl_model *m, uint64_t k) {
    drl_err err;
    m->optim.step = k;
    drl_order_batch(&m->order, k, m->cfg.train_batch, m->index);
    if (m->feed && drl_feed_take(&m->pictures, m->feed, k, &err) != DRL_OK) fail_msg("%s", err.message);
}

/* The objective of step k, and its gradient in m->gradient where asked. Nothing is learned. */
static inline double objective(drl_model *m, uint64_t k, bool gradient) {
    double sum = 0;
    take_batch(m, k);
    drl_graph_run(m->train, m->cfg.train_batch, (uint32_t)k, m->trainer->fill, m, gradient);
    if (gradient) drl_graph_collect(m->train, m->gradient);
    for (size_t i = 0; i < m->terms; i++) sum += m->term_weight[i] * drl_graph_mean(m->train, m->term[i]);
    return sum;
}

static inline drl_real *block(size_t n) {
    drl_real *p;
    assert_int_equal(drl_alloc(&p, n, sizeof *p, "test", NULL), DRL_OK);
    return p;
}

/* Codes of the test split, to be freed by the caller. */
static inline drl_real *encode(drl_model *m, double t) {
    drl_real *codes = block(TEST_IMAGES * drl_model_code_size(m));
    drl_err err;
    if (drl_model_encode(m, DRL_SPLIT_TEST, NULL, TEST_IMAGES, t, codes, &err) != DRL_OK) fail_msg("%s", err.message);
    return codes;
}

/* main: the methods are added and the tests run. */
static inline void methods_begin(char **argv) {
    drl_blas_guard(argv); /* one thread a GEMM, as in the programs */
    drl_baselines_add();
}

/* One cmocka test for every method that `wanted` takes (NULL: all); its state is the method. Returns how many. */
static inline size_t methods_tests(struct CMUnitTest *tests, CMUnitTestFunction function,
                                   bool (*wanted)(const drl_method *method)) {
    size_t n = 0;
    const drl_method *method;
    for (size_t i = 0; (method = drl_method_at(i)); i++) {
        if (wanted && !wanted(method)) continue;
        assert(n < MANY_METHODS);
        tests[n++] = (struct CMUnitTest){
            .name = method->name, .test_func = function, .initial_state = (void *)(uintptr_t)method};
    }
    return n;
}

static inline bool is_trained(const drl_method *method) {
    return drl_method_trainer(method)->build;
}

#endif
