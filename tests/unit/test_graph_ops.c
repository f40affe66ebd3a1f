/* What ops promise beyond their gradients: dropout's draws, batch norm's running statistics, refusals. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drl/blas.h"
#include "drl/graph.h"
#include "drl/mem.h"
#include "drl/nets.h"
#include "drl/ops.h"
#include "drl/rng.h"

static drl_threads *team;

static drl_real *block(size_t n) {
    drl_real *p;
    assert_int_equal(drl_alloc(&p, n, sizeof *p, "test", NULL), DRL_OK);
    return p;
}

/* ---- Dropout ------------------------------------------------------------------------------------------------- */

enum { D_SIDE = 17, D_CHANNELS = 33, D_IMAGE = D_SIDE * D_SIDE * D_CHANNELS, D_BATCH = 5 };

static drl_graph *ones_graph;
static drl_tensor ones_input;

static void fill_ones(void *arg, size_t shard, size_t first, size_t n) {
    (void)arg, (void)first;
    drl_real *x = drl_graph_value(ones_graph, ones_input, shard);
    for (size_t i = 0; i < n * D_IMAGE; i++) x[i] = 1;
}

/* Dropout of ones, by the op number `op` of its graph; the caller frees the result. */
static drl_real *dropped(double p, size_t shard, uint32_t step, size_t op, uint64_t seed, bool training) {
    const drl_graph_cfg cfg = {.batch = D_BATCH, .shard = shard, .training = training, .seed = seed};
    drl_params params = {0};
    drl_err err;
    assert_int_equal(drl_graph_new(&ones_graph, &cfg, &params, &err), DRL_OK);
    ones_input = drl_graph_input(ones_graph, "x", (drl_shape){D_SIDE, D_SIDE, D_CHANNELS}, false);
    drl_tensor y = drl_op_relu(ones_graph, ones_input);
    for (size_t i = 0; i <= op; i++) {
        y = drl_op_dropout(ones_graph, drl_op_relu(ones_graph, ones_input), p);
        drl_graph_output(ones_graph, y);
    }
    assert_int_equal(drl_params_alloc(&params, &err), DRL_OK);
    assert_int_equal(drl_graph_plan(ones_graph, team, &err), DRL_OK);
    drl_real *out = block(D_BATCH * D_IMAGE);
    drl_graph_run(ones_graph, D_BATCH, step, fill_ones, NULL, false);
    drl_graph_read(ones_graph, y, out);
    drl_graph_free(ones_graph);
    drl_params_free(&params);
    return out;
}

/* Within five standard deviations: how many are dropped, overall and among the right neighbours of dropped ones (two
 * neighbours share one random word). What is kept is 1/(1-p). */
static void test_dropout_rate(void **state) {
    (void)state;
    static const double rates[] = {0.05, 0.1, 0.3, 0.5, 0.9};
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
        const double p = rates[r], n = (double)(D_BATCH * D_IMAGE);
        drl_real *y = dropped(p, 2, 1, 0, 1, true);
        double zeros = 0, pairs = 0;
        for (size_t i = 0; i < D_BATCH * D_IMAGE; i++) {
            assert_true(y[i] == 0 || fabs((double)y[i] - 1 / (1 - p)) < 1e-6 / (1 - p));
            zeros += y[i] == 0;
            pairs += i > 0 && y[i] == 0 && y[i - 1] == 0;
        }
        assert_true(fabs(zeros - n * p) < 5 * sqrt(n * p * (1 - p)));
        assert_true(fabs(pairs - n * p * p) < 10 * sqrt(n * p * p * (1 - p * p)));
        drl_free(y);
    }
}

/* Masks of two draws agree on about (1-p)^2 + p^2 of the elements where they are independent. */
static void independent(drl_real *a, drl_real *b, double p) {
    const double n = (double)(D_BATCH * D_IMAGE), want = p * p + (1 - p) * (1 - p);
    double agree = 0;
    for (size_t i = 0; i < D_BATCH * D_IMAGE; i++) agree += (a[i] == 0) == (b[i] == 0);
    assert_true(fabs(agree - n * want) < 5 * sqrt(n * want * (1 - want)));
    drl_free(b);
}

/* A mask is a function of seed, step, op and element. */
static void test_dropout_draws(void **state) {
    (void)state;
    drl_real *a = dropped(0.3, 2, 1, 0, 1, true);
    independent(a, dropped(0.3, 2, 2, 0, 1, true), 0.3);
    independent(a, dropped(0.3, 2, 1, 1, 1, true), 0.3);
    independent(a, dropped(0.3, 2, 1, 0, 2, true), 0.3);
    for (size_t shard = 1; shard <= D_BATCH; shard++) {
        drl_real *b = dropped(0.3, shard, 1, 0, 1, true);
        assert_memory_equal(a, b, D_BATCH * D_IMAGE * sizeof *a);
        drl_free(b);
    }
    /* Images of a batch differ. */
    assert_memory_not_equal(a, a + D_IMAGE, D_IMAGE * sizeof *a);
    drl_free(a);
}

static void test_dropout_off(void **state) {
    (void)state;
    for (int training = 0; training < 2; training++) {
        drl_real *y = dropped(training ? 0 : 0.5, 2, 1, 0, 1, training);
        for (size_t i = 0; i < D_BATCH * D_IMAGE; i++) assert_true(y[i] == 1);
        drl_free(y);
    }
}

/* ---- Batch norm ---------------------------------------------------------------------------------------------- */

enum { B_PIXELS = 6, B_CHANNELS = 5, B_BATCH = 7 };

typedef struct norm_model {
    drl_params params;
    drl_graph *g;
    drl_tensor x, y;
    drl_real data[B_BATCH * B_PIXELS * B_CHANNELS];
} norm_model;

static void fill_norm(void *arg, size_t shard, size_t first, size_t n) {
    norm_model *m = arg;
    const size_t size = B_PIXELS * B_CHANNELS;
    memcpy(drl_graph_value(m->g, m->x, shard), m->data + first * size, n * size * sizeof(drl_real));
}

static void open_norm(norm_model *m, bool training, size_t shard) {
    const drl_graph_cfg cfg = {.batch = B_BATCH, .shard = shard, .training = training};
    drl_err err;
    assert_int_equal(drl_graph_new(&m->g, &cfg, &m->params, &err), DRL_OK);
    m->x = drl_graph_input(m->g, "x", (drl_shape){2, 3, B_CHANNELS}, false);
    m->y = drl_op_batch_norm(m->g, m->x, "bn", 1e-5, 0.2, 0);
    drl_graph_output(m->g, m->y);
    if (!m->params.value) {
        assert_int_equal(drl_params_alloc(&m->params, &err), DRL_OK);
        drl_params_init(&m->params, 1);
    }
    assert_int_equal(drl_graph_plan(m->g, team, &err), DRL_OK);
}

/* Mean and sum of squares of channel c over n images, in double and two passes. */
static void moments(const norm_model *m, size_t n, size_t c, double *mean, double *squares) {
    *mean = *squares = 0;
    for (size_t i = 0; i < n * B_PIXELS; i++) *mean += (double)m->data[i * B_CHANNELS + c] / (double)(n * B_PIXELS);
    for (size_t i = 0; i < n * B_PIXELS; i++) *squares += pow((double)m->data[i * B_CHANNELS + c] - *mean, 2);
}

/* Three batches of different sizes, on a mean that is large beside the deviation: running values by their definition,
 * for several shard sizes; then evaluation by them. */
static void test_running_statistics(void **state) {
    (void)state;
    static const size_t batches[] = {7, 4, 1};
    for (size_t shard = 1; shard <= B_BATCH; shard += 2) {
        norm_model m = {.g = NULL};
        double mean[B_CHANNELS] = {0}, var[B_CHANNELS] = {1, 1, 1, 1, 1}, mu, squares;
        open_norm(&m, true, shard);
        for (size_t b = 0; b < 3; b++) {
            const size_t size = B_BATCH * B_PIXELS * B_CHANNELS, M = batches[b] * B_PIXELS;
            drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 0, (uint32_t)b), 0, m.data, size);
            for (size_t i = 0; i < size; i++) m.data[i] = m.data[i] * (drl_real)0.5 + 30;
            drl_graph_run(m.g, batches[b], (uint32_t)b, fill_norm, &m, false);
            for (size_t c = 0; c < B_CHANNELS; c++) {
                moments(&m, batches[b], c, &mu, &squares);
                mean[c] = 0.8 * mean[c] + 0.2 * mu;
                var[c] = 0.8 * var[c] + 0.2 * squares / (double)(M - 1);
            }
        }
        drl_graph_free(m.g);
        const drl_real *got_mean = drl_params_at(&m.params, drl_params_find(&m.params, "bn.running_mean"));
        const drl_real *got_var = drl_params_at(&m.params, drl_params_find(&m.params, "bn.running_var"));
        for (size_t c = 0; c < B_CHANNELS; c++) {
            assert_true(fabs((double)got_mean[c] - mean[c]) < 1e-6 * mean[c]);
            assert_true(fabs((double)got_var[c] - var[c]) < 1e-5 * var[c]);
        }
        open_norm(&m, false, shard);
        drl_graph_run(m.g, B_BATCH, 0, fill_norm, &m, false);
        drl_real y[B_BATCH * B_PIXELS * B_CHANNELS];
        drl_graph_read(m.g, m.y, y);
        for (size_t i = 0; i < B_BATCH * B_PIXELS * B_CHANNELS; i++) {
            double want = ((double)m.data[i] - mean[i % B_CHANNELS]) / sqrt(var[i % B_CHANNELS] + 1e-5);
            assert_true(fabs((double)y[i] - want) < 1e-4);
        }
        drl_graph_free(m.g);
        drl_params_free(&m.params);
    }
}

/* ---- Refusals ------------------------------------------------------------------------------------------------ */

#define IMAGE(h, w, c) drl_graph_input(g, NULL, (drl_shape){h, w, c}, true)

static drl_tensor conv_of(drl_graph *g, drl_tensor x, drl_conv_cfg cfg) {
    return drl_op_conv(g, x, "conv", &cfg);
}

/* Each number is one graph that must be refused. */
static void build_wrong(drl_graph *g, int which) {
    const drl_init zero = drl_init_zero();
    drl_tensor a = IMAGE(4, 3, 6), b = IMAGE(4, 3, 5), v = IMAGE(1, 1, 6), one = IMAGE(1, 1, 1);
    switch (which) {
    case 0: drl_op_add(g, a, b, 1); break;
    case 1: drl_op_add(g, a, -1, 1); break;
    case 2: drl_op_relu(g, -1); break;
    case 3: conv_of(g, a, (drl_conv_cfg){.out = 3, .k = 5, .stride = 1, .channel_add = -1, .residual = -1}); break;
    case 4: conv_of(g, a, (drl_conv_cfg){.out = 3, .k = 3, .stride = 3, .channel_add = -1, .residual = -1}); break;
    case 5: conv_of(g, a, (drl_conv_cfg){.out = 0, .k = 3, .stride = 1, .channel_add = -1, .residual = -1}); break;
    case 6: conv_of(g, a, (drl_conv_cfg){.out = 5, .k = 3, .stride = 1, .channel_add = v, .residual = -1}); break;
    case 7: conv_of(g, a, (drl_conv_cfg){.out = 6, .k = 3, .stride = 2, .channel_add = -1, .residual = a}); break;
    case 8: drl_op_group_norm(g, a, "norm", 4, 1e-6, 0, 0); break;
    case 9: drl_op_group_norm(g, a, "norm", 2, 1e-6, 'r', 0); break;
    case 10: drl_op_group_norm(g, a, "norm", 2, 1e-6, 's', 1); break;
    case 11: drl_op_batch_norm(g, a, "norm", 1e-5, 0.1, 's'); break;
    case 12: drl_op_dropout(g, a, -0.1); break;
    case 13: drl_op_mask(g, a, b, 0.5); break;
    case 14: drl_op_scale_images(g, a, v); break;
    case 15: drl_op_downsample(g, a); break;
    case 16: drl_op_concat(g, a, v); break;
    case 17: drl_op_unflatten(g, v, (drl_shape){2, 2, 2}); break;
    case 18: drl_op_attention(g, a, a, a, 4); break;
    case 19: drl_op_attention(g, a, b, a, 1); break;
    case 20: drl_op_attention(g, a, a, v, 1); break;
    case 21: drl_op_gru(g, a, -1, "gru.", 3, zero); break;
    case 22: drl_op_gru(g, IMAGE(4, 1, 3), v, "gru.", 3, zero); break;
    case 23: drl_op_dsm_loss(g, a, b, one, one); break;
    case 24: drl_op_reparameterise(g, v, v); break;
    case 25: drl_op_kl(g, IMAGE(1, 1, 5)); break;
    case 26: drl_op_cross_entropy(g, a, one); break;
    case 27: drl_op_nt_xent(g, v, one, 0.5); break;
    case 28: drl_op_nt_xent(g, v, v, 0); break;
    case 29: drl_op_time_features(g, a, "time", 4, DRL_TIME_VE); break;
    case 30: drl_graph_root(g, drl_op_relu(g, a), 1); break;
    case 31: IMAGE(0, 3, 3); break;
    case 32: IMAGE((size_t)1 << 40, (size_t)1 << 40, 3); break;
    case 33: drl_op_linear(g, drl_op_linear(g, v, "lin", 5, zero, zero), "lin", 5, zero, zero); break;
    case 34: drl_encoder(g, a, one, &(drl_encoder_cfg){.depth = 12, .width = 1}); break;
    case 35: drl_encoder(g, a, one, &(drl_encoder_cfg){.depth = 10, .width = NAN}); break;
    case 36: drl_score_net(g, a, one, -1, &(drl_score_cfg){.nf = 4, .levels = 2, .mult = {1, 1}, .blocks = 1}); break;
    case 37: drl_score_net(g, a, one, -1, &(drl_score_cfg){.nf = 4, .levels = 0, .mult = {1}, .blocks = 1}); break;
    case 38: drl_op_squared_error(g, a, b); break;
    case 39: drl_op_squared_error(g, a, -1); break;
    case 40: drl_decoder(g, v, &(drl_decoder_cfg){.size = 32, .channels = 3, .width = 6}); break;
    case 41: drl_decoder(g, v, &(drl_decoder_cfg){.size = 32, .channels = 3, .width = 0}); break;
    case 42: drl_decoder(g, v, &(drl_decoder_cfg){.size = 3, .channels = 3, .width = 4}); break;
    case 43: drl_decoder(g, v, &(drl_decoder_cfg){.size = 8, .channels = 0, .width = 4}); break;
    case 44: drl_decoder(g, a, &(drl_decoder_cfg){.size = 8, .channels = 3, .width = 4}); break;
    case 45: drl_decoder(g, v, &(drl_decoder_cfg){.size = 8, .channels = 3, .width = 36}); break;
    case 46: drl_mlp_head(g, a, "head", &(drl_mlp_head_cfg){.hidden = 3, .out = 2}); break;
    case 47: drl_mlp_head(g, v, "head", &(drl_mlp_head_cfg){.hidden = 0, .out = 2}); break;
    case 48: drl_mlp_head(g, v, "head", &(drl_mlp_head_cfg){.hidden = 3, .out = 0, .norm = true}); break;
    case 49: drl_op_cosine_loss(g, v, one); break;
    case 50: drl_op_vicreg(g, v, one, 25, 25, 1); break;
    case 51: drl_op_vicreg(g, a, a, 25, 25, 1); break;
    case 52: drl_op_vicreg(g, v, v, 25, -1, 1); break;
    case 53: drl_op_vicreg(g, v, v, NAN, 25, 1); break;
    default: break;
    }
}

enum { WRONG = 54 };

/* Refused at plan with the first message: one line that names what and how much; later calls return -1 quietly. */
static void test_refusals(void **state) {
    (void)state;
    for (int which = 0; which < WRONG; which++) {
        drl_params params = {0};
        drl_graph *g;
        drl_err err = {0};
        const drl_graph_cfg cfg = {.batch = 3, .training = true, .backward = true};
        assert_int_equal(drl_graph_new(&g, &cfg, &params, &err), DRL_OK);
        build_wrong(g, which);
        assert_int_equal(drl_graph_input(g, "later", (drl_shape){1, 1, 1}, false), -1);
        assert_int_equal(drl_op_downsample(g, -1), -1);
        drl_status st = drl_graph_plan(g, team, &err);
        if (st == DRL_OK || err.status != st) fail_msg("wrong graph %d was accepted", which);
        assert_true(strlen(err.message) > 10 && !strchr(err.message, '\n') && !strstr(err.message, "later"));
        if (getenv("VERBOSE")) print_message("    %2d %s\n", which, err.message);
        drl_graph_free(g);
        drl_params_free(&params);
    }
}

/* Doublings by the sides of the datasets, and what the decoder makes of them: parameters' names and the image. */
static void test_decoder_sizes(void **state) {
    (void)state;
    static const size_t want[][2] = {{4, 0}, {7, 0}, {8, 1}, {28, 2}, {32, 3}, {84, 2}, {96, 4}, {16, 2}, {33, 0}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        drl_params params = {0};
        drl_graph *g;
        char name[32];
        assert_int_equal(drl_graph_new(&g, &(drl_graph_cfg){.batch = 2}, &params, NULL), DRL_OK);
        drl_tensor z = drl_graph_input(g, "z", (drl_shape){1, 1, 5}, false);
        drl_tensor y = drl_decoder(g, z, &(drl_decoder_cfg){.size = want[i][0], .channels = 3, .width = 4});
        drl_shape s = drl_graph_shape(g, y);
        assert_true(s.h == want[i][0] && s.w == want[i][0] && s.c == 3);
        assert_int_equal(drl_decoder_doublings(want[i][0]), want[i][1]);
        for (size_t u = 0; u <= want[i][1]; u++) {
            snprintf(name, sizeof name, "decoder.up%zu.conv1.weight", u);
            int p = drl_params_find(&params, name);
            size_t left = want[i][1] - 1 - u;
            assert_true(u < want[i][1] ? p >= 0 : p < 0);
            if (p >= 0) assert_int_equal(params.list[p].shape[0], left < 2 ? (size_t)4 << left : 16);
        }
        assert_int_equal(drl_params_find(&params, "decoder.up0.temb.weight"), -1);
        drl_graph_free(g);
        drl_params_free(&params);
    }
}

/* ---- Channels ------------------------------------------------------------------------------------------------ */

enum { CH_ROWS = 2 * 3, CH_ALL = 7, CH_BATCH = 5 };

static drl_graph *channels_graph;
static drl_tensor channels_input;

/* Every element is its own number. */
static void fill_numbers(void *arg, size_t shard, size_t first, size_t n) {
    (void)arg;
    drl_real *x = drl_graph_value(channels_graph, channels_input, shard);
    for (size_t i = 0; i < n * CH_ROWS * CH_ALL; i++) x[i] = (drl_real)(first * CH_ROWS * CH_ALL + i);
}

/* All pieces that are there are those of a plain loop; a piece of nothing, or that reaches beyond the last channel, is
 * refused, also where from + n wraps around. */
static void test_channels(void **state) {
    (void)state;
    for (size_t from = 0; from <= CH_ALL + 1; from++)
        for (size_t k = 0; k <= CH_ALL + 2; k++) {
            const size_t n = k == CH_ALL + 2 ? SIZE_MAX - from + 2 : k;
            const bool good = n > 0 && from < CH_ALL && n <= CH_ALL - from;
            const drl_graph_cfg cfg = {.batch = CH_BATCH, .shard = 2};
            drl_params params = {0};
            drl_err err = {0};
            assert_int_equal(drl_graph_new(&channels_graph, &cfg, &params, &err), DRL_OK);
            channels_input = drl_graph_input(channels_graph, "x", (drl_shape){2, 3, CH_ALL}, false);
            drl_tensor y = drl_op_channels(channels_graph, channels_input, from, n);
            drl_graph_output(channels_graph, y);
            assert_int_equal(drl_params_alloc(&params, &err), DRL_OK);
            drl_status st = drl_graph_plan(channels_graph, team, &err);
            if (st != (good ? DRL_OK : DRL_ERR_SHAPE)) fail_msg("%zu from %zu: %s", n, from, drl_status_text(st));
            if (good) {
                drl_real out[CH_BATCH * CH_ROWS * CH_ALL];
                assert_int_equal(drl_graph_shape(channels_graph, y).c, n);
                drl_graph_run(channels_graph, CH_BATCH, 0, fill_numbers, NULL, false);
                drl_graph_read(channels_graph, y, out);
                for (size_t r = 0; r < CH_BATCH * CH_ROWS; r++)
                    for (size_t c = 0; c < n; c++) assert_true(out[r * n + c] == (drl_real)(r * CH_ALL + from + c));
            } else {
                assert_int_equal(y, -1);
                assert_non_null(strstr(err.message, "channels: "));
            }
            drl_graph_free(channels_graph);
            drl_params_free(&params);
        }
}

static void test_empty(void **state) {
    (void)state;
    drl_params params = {0};
    drl_graph *g;
    drl_err err;
    assert_int_equal(drl_graph_new(&g, &(drl_graph_cfg){.batch = 0}, &params, &err), DRL_ERR_CONFIG);
    assert_null(g);
    assert_int_equal(drl_graph_new(&g, &(drl_graph_cfg){.batch = 1}, &params, &err), DRL_OK);
    assert_int_equal(drl_graph_plan(g, team, &err), DRL_ERR_CONFIG);
    drl_graph_free(g);
}

/* A graph built after the parameters were allocated finds them by name and may not bring new ones. */
static void test_new_parameter(void **state) {
    (void)state;
    drl_params params = {0};
    drl_err err;
    for (int turn = 0; turn < 3; turn++) {
        drl_graph *g;
        assert_int_equal(drl_graph_new(&g, &(drl_graph_cfg){.batch = 2}, &params, &err), DRL_OK);
        drl_tensor x = drl_graph_input(g, "x", (drl_shape){1, 1, 3}, false);
        drl_op_linear(g, x, turn == 2 ? "other" : "lin", 2, drl_init_zero(), drl_init_zero());
        if (turn == 0) assert_int_equal(drl_params_alloc(&params, &err), DRL_OK);
        assert_int_equal(drl_graph_plan(g, team, &err), turn == 2 ? DRL_ERR_NOT_FOUND : DRL_OK);
        if (turn == 2) assert_non_null(strstr(err.message, "other.weight"));
        drl_graph_free(g);
    }
    drl_params_free(&params);
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    if (drl_threads_open(&team, 2, NULL) != DRL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dropout_rate), cmocka_unit_test(test_dropout_draws),
        cmocka_unit_test(test_dropout_off),  cmocka_unit_test(test_running_statistics),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_decoder_sizes),
        cmocka_unit_test(test_empty),        cmocka_unit_test(test_new_parameter),
        cmocka_unit_test(test_channels),
    };
    int failed = cmocka_run_group_tests_name("ops in graphs", tests, NULL, NULL);
    drl_threads_close(team);
    return failed ? 1 : 0;
}
