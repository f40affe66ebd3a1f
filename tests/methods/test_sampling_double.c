/* The score of a model's network (drl/sampling.h) in double: against a graph built by hand, its derivative against
 * central differences, and what states are conditioned on. */
#include "methods.h"

#include "drl/sampling.h"
#include "drl/score_matching.h"
#include "gradient/gradcheck.h" /* gc_draw_params: no part of a network starts at zero */

enum { IMAGES = 12, SIZE = SIDE * SIDE * 3 };
static const uint32_t some_images[IMAGES] = {7, 0, 19, 3, 3, 1, 18, 5, 11, 2, 9, 14};

/* A model of weights that matter, and another average of them. */
static drl_model *open_drawn(const char *method, const char *sde, const char *code) {
    drl_model *m = open_small(method, SETS(sde, code), 1);
    gc_draw_params(&m->params);
    for (size_t i = 0; i < m->params.n_value; i++) m->optim.ema[i] = 0.7 * m->params.value[i];
    return m;
}

static drl_score_model *open_score(const drl_model *m, drl_weights weights, bool pull) {
    drl_score_model *s;
    drl_err err;
    const drl_score_model_cfg cfg = {weights, 9, pull}; /* shards of 8, 1 and, in another run, 3 */
    if (drl_score_model_open(&s, m, &cfg, &err) != DRL_OK) fail_msg("%s", err.message);
    return s;
}

static void condition(drl_score_model *s) {
    if (drl_score_model_code_size(s) > 0)
        assert_int_equal(drl_score_model_images(s, DRL_SPLIT_TEST, some_images, IMAGES, NULL), DRL_OK);
}

static void states(drl_real *x, uint32_t stream) {
    drl_rng_normal(drl_rng_stream(4, DRL_RNG_TEST, stream, 0), 0, x, IMAGES * SIZE);
}

/* ---- By hand ----------------------------------------------------------------------------------------------------- */

typedef struct by_hand {
    const drl_model *m;
    drl_graph *g;
    drl_tensor x0, t_code, x, t, raw;
    double now;
    const drl_real *states;
} by_hand;

static void fill_by_hand(void *arg, size_t shard, size_t first, size_t n) {
    by_hand *h = arg;
    memcpy(drl_graph_value(h->g, h->x, shard), h->states + first * SIZE, n * SIZE * sizeof(drl_real));
    for (size_t i = 0; i < n; i++) drl_graph_value(h->g, h->t, shard)[i] = h->now;
    if (!h->m->method->encoder) return;
    drl_batch_images(drl_graph_value(h->g, h->x0, shard), data, DRL_SPLIT_TEST, some_images + first, n);
    for (size_t i = 0; i < n; i++)
        drl_graph_value(h->g, h->t_code, shard)[i] = drl_code_has_time(&h->m->cfg) ? h->now : 0;
}

/* One graph of the model's own weights with encoder and score network in a row. */
static void score_by_hand(drl_real *out, drl_model *m, const drl_real *x, double t) {
    by_hand h = {.m = m, .now = t, .states = x};
    const drl_graph_cfg cfg = {.batch = IMAGES};
    const drl_shape image = {SIDE, SIDE, 3}, scalar = {1, 1, 1};
    drl_score_cfg network;
    drl_model_score_cfg(&m->cfg, &m->sde, &network);
    assert_int_equal(drl_graph_new(&h.g, &cfg, &m->params, NULL), DRL_OK);
    drl_tensor z = -1;
    if (m->method->encoder) {
        h.x0 = drl_graph_input(h.g, "x0", image, false);
        h.t_code = drl_graph_input(h.g, "t_code", scalar, false);
        z = m->method->encoder(m, h.g, h.x0, h.t_code);
    }
    h.x = drl_graph_input(h.g, "x", image, false);
    h.t = drl_graph_input(h.g, "t", scalar, false);
    h.raw = drl_score_net(h.g, h.x, h.t, z, &network);
    drl_graph_output(h.g, h.raw);
    assert_int_equal(drl_graph_plan(h.g, team, NULL), DRL_OK);
    drl_graph_run(h.g, IMAGES, 0, fill_by_hand, &h, false);
    drl_graph_read(h.g, h.raw, out);
    drl_graph_free(h.g);
    double s = drl_sde_marginal_at(&m->sde, t).std;
    for (size_t i = 0; i < IMAGES * SIZE; i++) out[i] *= m->sde.kind == DRL_SDE_VE ? 1 / s : -1 / s;
}

static double largest(const drl_real *x, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(x[i]));
    return most;
}

static double difference(const drl_real *x, const drl_real *y, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(x[i] - y[i]));
    return most;
}

typedef struct variant {
    const char *method, *sde, *code;
} variant;
static const variant variants[] = {{"drl", "diffusion.sde=ve", "model.code=time"},
                                   {"drl", "diffusion.sde=vp", "model.code=static"},
                                   {"vdrl", "diffusion.sde=subvp", "model.code=time"},
                                   {"dsm", "diffusion.sde=ve", "model.code=time"}};
#define VARIANTS (sizeof variants / sizeof *variants)

/* Back and forth in time: a code of another time would be seen. And the average is what the raw weights would give if
 * they were it. */
static void score_is_the_networks(void **state) {
    (void)state;
    static const double times[] = {0.9, 0.4, 0.4, 0.9, 1e-3};
    static drl_real x[IMAGES * SIZE], got[IMAGES * SIZE], want[IMAGES * SIZE];
    for (size_t v = 0; v < VARIANTS; v++)
        for (int weights = 0; weights < 2; weights++) {
            drl_model *m = open_drawn(variants[v].method, variants[v].sde, variants[v].code);
            drl_score_model *s = open_score(m, (drl_weights)weights, false);
            drl_score score = drl_score_model_score(s);
            if (weights == DRL_WEIGHTS_EMA)
                memcpy(m->params.value, m->optim.ema, m->params.n_value * sizeof *m->params.value);
            assert_int_equal(score.size, SIZE);
            assert_null(score.pull);
            condition(s);
            for (uint32_t i = 0; i < sizeof times / sizeof *times; i++) {
                states(x, i);
                assert_int_equal(score.at(score.arg, x, IMAGES, times[i], got, NULL), DRL_OK);
                score_by_hand(want, m, x, times[i]);
                assert_true(largest(want, IMAGES * SIZE) > 1e-3);
                if (!(difference(got, want, IMAGES * SIZE) < 1e-12 * largest(want, IMAGES * SIZE)))
                    fail_msg("%s at t = %g: %g of %g", variants[v].method, times[i],
                             difference(got, want, IMAGES * SIZE), largest(want, IMAGES * SIZE));
            }
            drl_score_model_close(s);
            drl_model_close(m);
        }
}

/* Codes given are those of images, where these do not depend on t; other codes are another score. */
static void codes_may_be_given(void **state) {
    (void)state;
    static drl_real x[IMAGES * SIZE], one[IMAGES * SIZE], other[IMAGES * SIZE];
    drl_model *m = open_drawn("drl", "diffusion.sde=ve", "model.code=static");
    drl_score_model *s = open_score(m, DRL_WEIGHTS_RAW, false);
    drl_score score = drl_score_model_score(s);
    const size_t d = drl_model_code_size(m);
    assert_int_equal(drl_score_model_code_size(s), d);
    drl_real *z = block(IMAGES * d);
    assert_int_equal(drl_model_encode(m, DRL_SPLIT_TEST, some_images, IMAGES, 0, z, NULL), DRL_OK);
    states(x, 0);
    condition(s);
    assert_int_equal(score.at(score.arg, x, IMAGES, 0.5, one, NULL), DRL_OK);
    assert_int_equal(drl_score_model_codes(s, z, IMAGES, NULL), DRL_OK);
    assert_int_equal(score.at(score.arg, x, IMAGES, 0.5, other, NULL), DRL_OK);
    assert_true(difference(one, other, IMAGES * SIZE) < 1e-12 * largest(one, IMAGES * SIZE));
    for (size_t i = 0; i < d; i++) z[i] += 1;
    assert_int_equal(drl_score_model_codes(s, z, IMAGES, NULL), DRL_OK);
    assert_int_equal(score.at(score.arg, x, IMAGES, 0.5, other, NULL), DRL_OK);
    assert_true(difference(one, other, SIZE) > 1e-3 * largest(one, SIZE)); /* of image 0 alone */
    assert_true(difference(one + SIZE, other + SIZE, (IMAGES - 1) * SIZE) < 1e-12 * largest(one, IMAGES * SIZE));

    drl_err err;
    assert_int_equal(score.at(score.arg, x, IMAGES - 1, 0.5, other, &err), DRL_ERR_SHAPE);
    assert_non_null(strstr(err.message, "11 states was asked for, with codes of 12"));
    drl_free(z);
    drl_score_model_close(s);
    drl_model_close(m);
}

/* <J^T v, u> = <v, J u>, J u by central differences. */
static void derivative_is_the_scores(void **state) {
    (void)state;
    enum { N = IMAGES * SIZE };
    static drl_real x[N], v[N], u[N], moved[N], up[N], down[N], out[N], plain[N], pulled[N];
    for (size_t k = 0; k < VARIANTS; k++) {
        drl_model *m = open_drawn(variants[k].method, variants[k].sde, variants[k].code);
        drl_score_model *s = open_score(m, DRL_WEIGHTS_EMA, true);
        drl_score score = drl_score_model_score(s);
        condition(s);
        states(x, 0), states(v, 1), states(u, 2);
        const double t = 0.3, h = 1e-5;
        assert_int_equal(score.at(score.arg, x, IMAGES, t, plain, NULL), DRL_OK);
        assert_int_equal(score.pull(score.arg, x, v, IMAGES, t, out, pulled, NULL), DRL_OK);
        assert_true(difference(plain, out, N) <= 1e-13 * largest(out, N));
        for (size_t i = 0; i < N; i++) moved[i] = x[i] + h * u[i];
        assert_int_equal(score.at(score.arg, moved, IMAGES, t, up, NULL), DRL_OK);
        for (size_t i = 0; i < N; i++) moved[i] = x[i] - h * u[i];
        assert_int_equal(score.at(score.arg, moved, IMAGES, t, down, NULL), DRL_OK);
        for (size_t image = 0; image < IMAGES; image++) { /* each state's own Jacobian */
            double got = 0, want = 0, size = 0;
            for (size_t i = image * SIZE; i < (image + 1) * SIZE; i++) {
                got += pulled[i] * u[i];
                want += v[i] * (up[i] - down[i]) / (2 * h);
                size += fabs(pulled[i] * u[i]);
            }
            if (!(fabs(got - want) < 1e-7 * size)) fail_msg("%s: %g, want %g", variants[k].method, got, want);
            assert_true(fabs(want) > 1e-3);
        }
        drl_score_model_close(s);
        drl_model_close(m);
    }
}

/* Scores and derivatives have the same bits on one thread and on two. */
static void threads_do_not_matter(void **state) {
    (void)state;
    enum { N = IMAGES * SIZE };
    static drl_real x[N], v[N], out[2][N], pulled[2][N];
    states(x, 0), states(v, 1);
    for (size_t threads = 1; threads <= 2; threads++) {
        drl_threads *own;
        assert_int_equal(drl_threads_open(&own, threads, NULL), DRL_OK);
        drl_model_cfg cfg = small_cfg(drl_method_find("drl"), NULL);
        drl_model *m = open_cfg(&cfg, 1, own);
        gc_draw_params(&m->params);
        drl_score_model *s = open_score(m, DRL_WEIGHTS_RAW, true);
        drl_score score = drl_score_model_score(s);
        condition(s);
        assert_int_equal(score.pull(score.arg, x, v, IMAGES, 0.3, out[threads - 1], pulled[threads - 1], NULL), DRL_OK);
        drl_score_model_close(s);
        drl_model_close(m);
        drl_threads_close(own);
    }
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    assert_memory_equal(pulled[0], pulled[1], sizeof pulled[0]);
}

/* A new network's score is 0 but for 1e-10: under VE the flow stands still, and
 *   bits = ( x^2 / (2 50^2) + ln(50 sqrt(2 pi)) ) / ln 2 + mean log2(256 std),  x^2 < 10. */
static void bits_of_a_known_density(void **state) {
    (void)state;
    drl_model *m = open_small("drl", NULL, 1);
    drl_score_model *s = open_score(m, DRL_WEIGHTS_RAW, true);
    drl_sampler_cfg cfg = drl_sampler_published();
    double bits[IMAGES], want = log2(50 * sqrt(2 * 3.14159265358979)), most = 10 / (2 * 2500 * log(2));
    size_t asked = 0;
    drl_err err;
    for (int c = 0; c < 3; c++) want += log2(256 * data->std[c]) / 3;
    if (drl_bits_per_dim(bits, s, DRL_SPLIT_TEST, some_images, IMAGES, 2, &cfg, &asked, &err) != DRL_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < IMAGES; i++)
        if (!(bits[i] > want && bits[i] < want + most)) fail_msg("image %d: %.9g bits, want %.9g", i, bits[i], want);
    assert_true(bits[3] != bits[4]); /* the same image with other fractions of grey levels */
    assert_true(asked > 0 && asked % 2 == 0);
    drl_score_model_close(s);
    drl_model_close(m);
}

static void refused(const char *method, const char *set, const char *piece) {
    drl_score_model *s;
    drl_err err = {0};
    drl_model *m = open_small(method, SETS(set), 1);
    drl_status st = drl_score_model_open(&s, m, &(drl_score_model_cfg){0}, &err);
    if (st != DRL_ERR_CONFIG || s || !strstr(err.message, piece)) fail_msg("%s: %s", method, err.message);
    drl_model_close(m);
}

static void what_cannot_be_sampled_is_refused(void **state) {
    (void)state;
    refused("ae", "model.dropout=0", "AE has no score network");
    refused("pixels", "model.dropout=0", "no score network");
    refused("cdae", "model.dropout=0", "CDAE knows the score at one noise level only");
    refused("drl", "train.ema=0", "trained without a moving average");
    drl_model *m = open_small("dsm", NULL, 1);
    drl_score_model *s = open_score(m, DRL_WEIGHTS_RAW, false);
    assert_int_equal(drl_score_model_images(s, DRL_SPLIT_TEST, some_images, IMAGES, NULL), DRL_ERR_CONFIG);
    drl_score_model_close(s);
    drl_model_close(m);
}

int main(int argc, char **argv) {
    (void)argc;
    methods_begin(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(score_is_the_networks),    cmocka_unit_test(codes_may_be_given),
        cmocka_unit_test(derivative_is_the_scores), cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(bits_of_a_known_density),  cmocka_unit_test(what_cannot_be_sampled_is_refused),
    };
    return cmocka_run_group_tests(tests, methods_setup, methods_teardown);
}
