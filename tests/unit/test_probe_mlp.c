/* The MLP probe's protocol against a loop written out here: order, dropout, selection of epoch and rate. */
#include "probe_test.h"

#include "models/probe_mlp.h"

typedef struct data {
    drl_codes train, val, test;
} data;

static data make_data(double noise, uint64_t seed) {
    return (data){make_codes(523, 4, 2, noise, seed), make_codes(211, 4, 2, noise, seed + 1),
                  make_codes(307, 4, 2, noise, seed + 2)};
}

static void free_data(data d) {
    free_codes(d.train);
    free_codes(d.val);
    free_codes(d.test);
}

static drl_mlp_cfg small_cfg(void) {
    return (drl_mlp_cfg){.hidden = 33,
                         .epochs = 9,
                         .batch = 64,
                         .rates = 3,
                         .rate = {1e-3, 3e-2, 1e-2},
                         .dropout = 0.25,
                         .weight_decay = 1e-5};
}

/* Fits n <= 3 jobs, then asks each fit for its accuracy on its test codes. */
static void run(drl_probe_result *r, double *accuracy, const drl_mlp_job *jobs, const drl_codes *test, size_t n,
                const drl_mlp_cfg *cfg, size_t threads) {
    drl_threads *team = open_team(threads);
    drl_classifier *fits[3];
    drl_err err;
    memset(r, 0, n * sizeof *r);
    if (drl_probe_mlp(fits, r, jobs, n, cfg, team, &err) != DRL_OK) fail_msg("%s", err.message);
    for (size_t j = 0; j < n; j++) {
        accuracy[j] = accuracy_of(fits[j], test[j], team);
        drl_classifier_free(fits[j]);
    }
    drl_threads_close(team);
}

static void test_published(void **state) {
    (void)state;
    static const double rates[] = {1e-3, 7.5e-4, 5e-4, 2.5e-4, 1e-4, 5e-5};
    drl_mlp_cfg c = drl_mlp_published(), fast = drl_mlp_fast();
    assert_true(c.hidden == 512 && c.epochs == 100 && c.batch == 256 && c.rates == 6 && c.patience == 0);
    assert_true(c.dropout == 0.25 && c.weight_decay == 1e-5);
    for (size_t i = 0; i < 6; i++) assert_true(c.rate[i] == rates[i]);
    assert_true(fast.hidden == 512 && fast.epochs == 20 && fast.batch == 256 && fast.rates == 2 && fast.patience == 3);
    assert_true(fast.rate[0] == 1e-3 && fast.rate[1] == 2.5e-4 && fast.dropout == 0.25 && fast.weight_decay == 1e-5);
}

/* Element i of a tensor is element i of its stream, (2 u - 1) / sqrt(fan_in), wherever the layout puts it; all else is
 * zero. */
static void check_init(const drl_real *p, const drl_mlp_net *net, uint64_t seed) {
    const size_t sizes[4] = {net->hidden * net->d, net->hidden, net->classes * net->hidden, net->classes};
    const size_t fan_in[4] = {net->d, net->d, net->hidden, net->hidden};
    size_t set = 0, want = 0;
    for (uint32_t t = 0; t < 4; t++) {
        drl_real *u = calloc(sizes[t], sizeof *u);
        double top = 0, bound = 1 / sqrt((double)fan_in[t]);
        drl_rng_uniform(drl_rng_stream(seed, DRL_RNG_PROBE, t, 0), 0, u, sizes[t]);
        for (size_t i = 0; i < sizes[t]; i++) {
            size_t row = i / fan_in[t], column = i % fan_in[t];
            size_t at = t == 0   ? drl_mlp_w1(net, row, column)
                        : t == 1 ? drl_mlp_b1(net, i)
                        : t == 2 ? drl_mlp_w2(net, row, column)
                                 : drl_mlp_b2(net, i);
            assert_close(p[at], bound * (2 * (double)u[i] - 1), 1e-7);
            top = fmax(top, fabs((double)p[at]));
            want += p[at] != 0;
        }
        assert_true(top <= bound + 1e-7 && (sizes[t] < 1000 || top > 0.99 * bound));
        free(u);
    }
    for (size_t i = 0; i < net->params; i++) set += p[i] != 0;
    assert_int_equal(set, want);
}

static void test_init_and_dropout(void **state) {
    (void)state;
    drl_mlp_net net;
    assert_int_equal(drl_mlp_net_init(&net, 16, 100, 7, NULL), DRL_OK);
    assert_true(net.params >= 16 * 100 + 100 + 100 * 7 + 7);
    assert_int_equal(drl_mlp_net_init(&net, 1 << 20, 1 << 20, 2, NULL), DRL_ERR_LIMIT);
    assert_int_equal(drl_mlp_net_init(&net, 16, SIZE_MAX, 2, NULL), DRL_ERR_LIMIT);
    drl_mlp_net_init(&net, 16, 100, 7, NULL);
    drl_real *p = calloc(net.params, sizeof *p);
    drl_mlp_init(p, &net, 1);
    check_init(p, &net, 1);
    free(p);
    assert_int_equal(drl_mlp_dropout_below(0), 0);
    assert_int_equal(drl_mlp_dropout_below(0.25), 16384);
    assert_int_equal(drl_mlp_dropout_below(0.1), 6554);
    assert_int_equal(drl_mlp_dropout_below(1 - 1e-9), 65535);
}

/* One fit written out: epoch e in the order of stream (seed, probe, 4, e), minibatch s (from 1, over all epochs) with
 * the dropout of stream (seed, probe, 5, s). Returns validation and test codes right after each epoch. */
static void plain_fit(size_t *val, size_t *test, const data *set, uint64_t seed, const drl_mlp_cfg *cfg, double rate) {
    drl_mlp_net net;
    drl_mlp_scratch s;
    drl_mlp_feed feed;
    size_t n = set->train.n, d = set->train.d, step = 0;
    assert_int_equal(drl_mlp_net_init(&net, d, cfg->hidden, set->train.classes, NULL), DRL_OK);
    assert_int_equal(drl_mlp_scratch_init(&s, &net, n, NULL), DRL_OK);
    assert_int_equal(drl_mlp_feed_init(&feed, &net, n, NULL), DRL_OK);
    drl_real *p = calloc(net.params, sizeof *p), *m = calloc(net.params, sizeof *m), *v = calloc(net.params, sizeof *v);
    drl_real *g = calloc(net.params, sizeof *g), *x = calloc(cfg->batch * d, sizeof *x);
    uint32_t *order = calloc(n, sizeof *order);
    int32_t *y = calloc(cfg->batch, sizeof *y);
    drl_mlp_init(p, &net, seed);
    for (size_t epoch = 1; epoch <= cfg->epochs; epoch++) {
        drl_rng_permutation(drl_rng_stream(seed, DRL_RNG_PROBE, 4, (uint32_t)epoch), order, n);
        for (size_t at = 0; at < n;) {
            size_t rows = 0;
            for (; rows < cfg->batch && at < n; rows++, at++) {
                for (size_t j = 0; j < d; j++) x[rows * d + j] = set->train.x[order[at] * d + j];
                y[rows] = set->train.y[order[at]];
            }
            drl_mlp_dropout drop = {drl_mlp_dropout_below(cfg->dropout),
                                    drl_rng_stream(seed, DRL_RNG_PROBE, 5, (uint32_t)++step)};
            drl_codes codes = {rows, d, set->train.classes, x, y};
            drl_mlp_feed_fill(&feed, 0, &net, &codes, NULL, 0, rows, drop);
            drl_mlp_loss_grad(g, p, &net, &feed.batch[0], &s);
            drl_mlp_adam(p, m, v, g, net.params, drl_mlp_adam_at(rate, cfg->weight_decay, step));
        }
        drl_mlp_feed_fill(&feed, 0, &net, &set->val, NULL, 0, set->val.n, (drl_mlp_dropout){0});
        val[epoch - 1] = drl_mlp_correct(p, &net, &feed.batch[0], &s);
        drl_mlp_feed_fill(&feed, 0, &net, &set->test, NULL, 0, set->test.n, (drl_mlp_dropout){0});
        test[epoch - 1] = drl_mlp_correct(p, &net, &feed.batch[0], &s);
    }
    void *blocks[] = {p, m, v, g, x, order, y};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]);
    drl_mlp_feed_free(&feed);
    drl_mlp_scratch_free(&s);
}

/* Training on several minibatches in one go is loss, gradient and Adam for one after the other; cut into two, the same
 * bits. */
static void test_train(void **state) {
    (void)state;
    enum { BATCHES = 5, FIRST = 4 };
    drl_codes codes = make_codes(131, 9, 3, 1, 5);
    drl_mlp_net net;
    drl_mlp_scratch s;
    drl_mlp_feed feed;
    drl_real *block[3][4]; /* p, m, v, gradient */
    double loss[3] = {0};
    assert_int_equal(drl_mlp_net_init(&net, 9, 37, 3, NULL), DRL_OK);
    assert_int_equal(drl_mlp_scratch_init(&s, &net, 31, NULL), DRL_OK);
    assert_int_equal(drl_mlp_feed_init(&feed, &net, 31, NULL), DRL_OK);
    assert_true(feed.capacity >= BATCHES);
    for (size_t k = 0; k < BATCHES; k++) {
        drl_mlp_dropout dropout = {k == 1 ? 0 : 16384, drl_rng_stream(3, DRL_RNG_PROBE, 5, (uint32_t)k)};
        drl_mlp_feed_fill(&feed, k, &net, &codes, NULL, 25 * k, k == 2 ? 7 : 31, dropout);
    }
    for (int i = 0; i < 3; i++) {
        for (int a = 0; a < 4; a++) block[i][a] = calloc(net.params, sizeof(drl_real));
        drl_mlp_init(block[i][0], &net, 2);
        drl_mlp_state at = {block[i][0], block[i][1], block[i][2]};
        if (i == 0)
            for (size_t k = 0; k < BATCHES; k++) {
                loss[0] += (double)feed.batch[k].n * drl_mlp_loss_grad(block[0][3], at.p, &net, &feed.batch[k], &s);
                drl_mlp_adam(at.p, at.m, at.v, block[0][3], net.params, drl_mlp_adam_at(1e-2, 1e-3, FIRST + k));
            }
        if (i == 1) loss[1] = drl_mlp_train(&at, &net, feed.batch, BATCHES, 1e-2, 1e-3, FIRST, &s);
        if (i == 2) loss[2] = drl_mlp_train(&at, &net, feed.batch, 2, 1e-2, 1e-3, FIRST, &s);
        if (i == 2) loss[2] += drl_mlp_train(&at, &net, feed.batch + 2, BATCHES - 2, 1e-2, 1e-3, FIRST + 2, &s);
    }
    assert_close(loss[1], loss[0], 1e-5);
    assert_close(loss[2], loss[1], 1e-12);
    for (int a = 0; a < 3; a++) {
        for (size_t i = 0; i < net.params; i++) assert_close(block[1][a][i], block[0][a][i], 1e-6);
        assert_memory_equal(block[2][a], block[1][a], net.params * sizeof(drl_real));
    }
    for (int i = 0; i < 3; i++)
        for (int a = 0; a < 4; a++) free(block[i][a]);
    drl_mlp_feed_free(&feed);
    drl_mlp_scratch_free(&s);
    free_codes(codes);
}

/* Rate and epoch chosen are those of the largest validation accuracy over the written-out fits, first of equals, and
 * the test accuracy is the one of that moment; with and without patience. */
static void test_selection(void **state) {
    (void)state;
    enum { EPOCHS = 9 };
    bool inner = false; /* some chosen epoch is neither the first nor the last */
    for (uint64_t seed = 1; seed <= 4; seed++)
        for (size_t patience = 0; patience <= 2; patience++) {
            data set = make_data(0.4, 10 * seed);
            drl_mlp_cfg cfg = small_cfg();
            cfg.patience = patience;
            if (patience == 1) cfg.batch = 16; /* more minibatches than are prepared at once */
            size_t best = 0, epoch = 0, rate = 0, right = 0;
            for (size_t r = 0; r < cfg.rates; r++) {
                size_t val[EPOCHS], test[EPOCHS], fit_best = 0, fit_epoch = 0;
                plain_fit(val, test, &set, seed, &cfg, cfg.rate[r]);
                for (size_t e = 0; e < EPOCHS; e++) {
                    if (e > 0 && patience > 0 && e - fit_epoch > patience) break;
                    if (e == 0 || val[e] > fit_best) fit_best = val[e], fit_epoch = e;
                }
                if (r == 0 || fit_best > best)
                    best = fit_best, epoch = fit_epoch + 1, rate = r, right = test[fit_epoch];
            }
            drl_mlp_job job = {set.train, set.val, seed};
            drl_probe_result got;
            double accuracy;
            run(&got, &accuracy, &job, &set.test, 1, &cfg, 1);
            assert_int_equal(got.epoch, epoch);
            assert_true(got.rate == cfg.rate[rate]);
            assert_true(got.val_accuracy == (double)best / (double)set.val.n);
            assert_true(accuracy == (double)right / (double)set.test.n);
            inner |= epoch > 1 && epoch < EPOCHS;
            free_data(set);
        }
    assert_true(inner);
}

/* Jobs of different seeds and sizes: the same bits on 1, 2 and 3 threads and one by one. */
static void test_threads_and_independence(void **state) {
    (void)state;
    data a = make_data(0.3, 50),
         b = {make_codes(300, 7, 3, 1, 1), make_codes(90, 7, 3, 1, 2), make_codes(80, 7, 3, 1, 3)};
    drl_mlp_job jobs[3] = {{a.train, a.val, 1}, {a.train, a.val, 2}, {b.train, b.val, 1}};
    const drl_codes test[3] = {a.test, a.test, b.test};
    drl_mlp_cfg cfg = small_cfg();
    drl_probe_result one[3], other[3];
    double accuracy[3], again[3];
    run(one, accuracy, jobs, test, 3, &cfg, 1);
    for (size_t threads = 2; threads <= 3; threads++) {
        run(other, again, jobs, test, 3, &cfg, threads);
        assert_memory_equal(one, other, sizeof one);
        assert_memory_equal(accuracy, again, sizeof accuracy);
    }
    /* alone, the rates of a job are one, two and three groups */
    for (size_t threads = 1; threads <= 3; threads++)
        for (size_t j = 0; j < 3; j++) {
            run(other, again, jobs + j, test + j, 1, &cfg, threads);
            assert_memory_equal(one + j, other, sizeof *one);
            assert_true(accuracy[j] == again[0]);
        }
    assert_true(accuracy[0] != accuracy[1] || one[0].val_accuracy != one[1].val_accuracy);
    free_data(a);
    free_data(b);
}

/* Labels by XOR of two signs: the MLP learns them, a linear classifier cannot. */
static void test_xor(void **state) {
    (void)state;
    data set = {make_codes(3000, 2, 2, 0, 1), make_codes(500, 2, 2, 0, 2), make_codes(1000, 2, 2, 0, 3)};
    drl_mlp_job job = {set.train, set.val, 1};
    drl_mlp_cfg cfg = small_cfg();
    cfg.epochs = 20;
    drl_probe_result mlp, linear;
    drl_classifier *fit;
    double accuracy;
    run(&mlp, &accuracy, &job, &set.test, 1, &cfg, 2);
    assert_true(accuracy > 0.96);
    drl_threads *team = open_team(1);
    drl_linear_cfg lc = drl_linear_default();
    assert_int_equal(drl_probe_linear(&fit, &linear, set.train, set.val, &lc, team, NULL), DRL_OK);
    assert_true(accuracy_of(fit, set.test, team) < 0.65);
    drl_classifier_free(fit);
    drl_threads_close(team);
    free_data(set);
}

/* More epochs take no more allocations, and nothing stays behind. */
static void test_memory(void **state) {
    (void)state;
    data set = make_data(0.3, 1);
    drl_mlp_job job = {set.train, set.val, 1};
    drl_mlp_cfg cfg = small_cfg();
    drl_probe_result r;
    double accuracy;
    size_t calls[2];
    drl_mem_stats before = drl_mem_get_stats();
    for (int i = 0; i < 2; i++) {
        cfg.epochs = i ? 7 : 1;
        size_t start = drl_mem_get_stats().calls;
        run(&r, &accuracy, &job, &set.test, 1, &cfg, 1);
        calls[i] = drl_mem_get_stats().calls - start;
    }
    assert_int_equal(calls[0], calls[1]);
    assert_int_equal(before.bytes, drl_mem_get_stats().bytes);
    free_data(set);
}

static void expect(const drl_mlp_job *jobs, size_t n, const drl_mlp_cfg *cfg, drl_status status, const char *text) {
    drl_threads *team = open_team(2);
    drl_probe_result r[2];
    drl_classifier *fits[2] = {NULL, NULL};
    drl_err err = {0};
    size_t before = drl_mem_get_stats().bytes;
    assert_int_equal(drl_probe_mlp(fits, r, jobs, n, cfg, team, &err), status);
    assert_true(!fits[0] && !fits[1]);
    if (!strstr(err.message, text)) fail_msg("message: %s", err.message);
    assert_int_equal(before, drl_mem_get_stats().bytes);
    drl_threads_close(team);
}

static void test_bad_input(void **state) {
    (void)state;
    data set = make_data(0, 1);
    drl_mlp_job good = {set.train, set.val, 1}, jobs[2] = {good, good};
    drl_mlp_cfg cfg = small_cfg(), bad = cfg;
    jobs[1].val.n = 0, expect(jobs, 2, &cfg, DRL_ERR_SHAPE, "job 1: validation codes: empty"), jobs[1] = good;
    jobs[1].val.d = 3, expect(jobs, 2, &cfg, DRL_ERR_SHAPE, "job 1: validation codes: 3 dimensions"), jobs[1] = good;
    jobs[0].train.classes = 1, expect(jobs, 2, &cfg, DRL_ERR_FORMAT, "job 0: training codes: label"), jobs[0] = good;
    bad.hidden = 0, expect(jobs, 2, &bad, DRL_ERR_CONFIG, "hidden 0"), bad = cfg;
    bad.rates = 9, expect(jobs, 2, &bad, DRL_ERR_CONFIG, "9 learning rates"), bad = cfg;
    bad.rate[1] = NAN, expect(jobs, 2, &bad, DRL_ERR_CONFIG, "learning rate nan"), bad = cfg;
    bad.dropout = 1, expect(jobs, 2, &bad, DRL_ERR_CONFIG, "dropout"), bad = cfg;
    bad.weight_decay = -1, expect(jobs, 2, &bad, DRL_ERR_CONFIG, "weight decay"), bad = cfg;
    bad.rate[2] = 1e37, expect(jobs, 2, &bad, DRL_ERR_NUMERIC, "job 0, learning rate 1e+37: epoch 1"), bad = cfg;
    free_data(set);
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_init_and_dropout),
        cmocka_unit_test(test_train),
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_threads_and_independence),
        cmocka_unit_test(test_xor),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
