/* LaplaceNet's trainer (drl/laplacenet.h) on a network of a few thousand weights: the loss of a step against one put
 * together here, pseudo-labels, what is taken over from pretraining, restarts, refusals. */
#define _DEFAULT_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drl/blas.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "semisup/laplacenet_impl.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IMAGES = 60, LEARN = 30 };
#else
enum { IMAGES = 300, LEARN = 120 };
#endif

static drl_threads *team;
static drl_dataset *data;
static drl_labels labels;
static drl_model_cfg model;
static char dir[] = "/tmp/drl-laplacenet-XXXXXX";

static int open_all(void **state) {
    (void)state;
    size_t n;
    drl_err err;
    drl_log_quiet(true);
    drl_dataset_cfg dc = {.name = "synthetic:factors", .size = 16, .train_limit = IMAGES, .test_limit = 60};
    const drl_option *options = drl_model_options(&n);
    drl_config_defaults(&model, options, n);
    model.data_size = 16;
    model.model_encoder_depth = 10;
    model.model_encoder_width = 0.25;
    model.model_score_channels = 4;
    model.model_score_mult = (drl_list){2, {1, 2}};
    model.model_score_blocks = 1;
    model.model_score_attention = 8;
    model.train_batch = 8;
    model.train_steps = 3;
    model.train_warmup = 1;
    model.train_rate = 1e-2;
    if (mkdtemp(dir) && drl_threads_open(&team, 2, &err) == DRL_OK && drl_dataset_open(&data, &dc, &err) == DRL_OK &&
        drl_labels_draw(&labels, data, 12, 1, &err) == DRL_OK)
        return 0;
    print_error("%s\n", err.message);
    return -1;
}

static int close_all(void **state) {
    (void)state;
    char command[64];
    drl_labels_free(&labels);
    drl_dataset_free(data);
    drl_threads_close(team);
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command) == 0 && drl_mem_get_stats().bytes == 0 ? 0 : -1;
}

static drl_laplacenet_cfg small(void) {
    drl_laplacenet_cfg c;
    size_t n;
    const drl_option *options = drl_laplacenet_options(&n);
    drl_config_defaults(&c, options, n);
    c.semi_start_passes = c.semi_start_repeats = 2;
    c.semi_steps = 7;
    c.semi_epoch_steps = 3;
    c.semi_batch = 8;
    c.semi_labelled = 3;
    c.semi_views = 2;
    c.semi_shard = 2;
    c.semi_neighbours = 10;
    return c;
}

static drl_laplacenet *open_net(const drl_laplacenet_cfg *cfg, const drl_model *pretrained, drl_threads *with,
                                size_t supervised) {
    drl_err err = {0};
    drl_laplacenet *net;
    drl_laplacenet_start start = {.cfg = cfg,
                                  .pretrained = pretrained,
                                  .model = &model,
                                  .data = data,
                                  .labels = &labels,
                                  .seed = 5,
                                  .supervised_steps = supervised,
                                  .trajectory = true};
    if (drl_laplacenet_open(&net, &start, with, &err) != DRL_OK) fail_msg("%s", err.message);
    return net;
}

static double step(drl_laplacenet *net) {
    drl_err err = {0};
    double loss;
    if (drl_laplacenet_step(net, &loss, &err) != DRL_OK) fail_msg("%s", err.message);
    return loss;
}

/* ---- The loss ---------------------------------------------------------------------------------------------------- */

/* The image, its label and its picture at a place of the step's batch. */
typedef struct place {
    const drl_real *picture[2]; /* by view */
    int32_t label;
} place;

static place place_of(const drl_laplacenet *net, bool start, size_t i, size_t size) {
    const drl_laplacenet_part *p = &net->part[start ? DRL_PART_START : DRL_PART_LABELLED];
    bool labelled = start || i < net->cfg.semi_labelled;
    if (!labelled) p = &net->part[DRL_PART_PSEUDO], i -= net->cfg.semi_labelled;
    uint32_t image = p->index[i];
    bool known = false;
    for (size_t k = 0; k < labels.n; k++) known |= labels.index[k] == image;
    assert_int_equal(known, labelled); /* each part holds its own kind */
    place q = {.label = labelled ? data->split[DRL_SPLIT_TRAIN].labels[image] : net->pseudo[image]};
    for (size_t v = 0; v < 2; v++) q.picture[v] = p->pictures + (v * p->batch + i) * size;
    return q;
}

/* Logits (views, batch, classes) by a graph of its own on the net's parameters. */
typedef struct recomputed {
    drl_laplacenet *net;
    drl_graph *g;
    drl_tensor x;
    const drl_real *images; /* (batch, h, w, c) */
} recomputed;

static void fill(void *arg, size_t shard, size_t first, size_t n) {
    const recomputed *r = arg;
    drl_shape s = drl_graph_shape(r->g, r->x);
    size_t size = s.h * s.w * s.c;
    memcpy(drl_graph_value(r->g, r->x, shard), r->images + first * size, n * size * sizeof(drl_real));
}

static double cross_entropy(const drl_real *logits, size_t classes, int32_t label) {
    double sum = 0;
    for (size_t c = 0; c < classes; c++) sum += exp((double)logits[c] - (double)logits[label]);
    return log(sum);
}

/* mean over views and images of lambda CE(y_i) + (1 - lambda) CE(y_p(i)) of the images mixed here. */
static double loss_of(drl_laplacenet *net, bool start) {
    const drl_images *im = &data->split[DRL_SPLIT_TRAIN];
    size_t size = im->h * im->w * im->c, B = net->cfg.semi_batch, C = data->classes;
    drl_real *images = malloc(B * size * sizeof *images), *logits = malloc(B * C * sizeof *logits);
    double lambda = net->cfg.semi_mixup ? net->mix : 1, sum = 0;
    recomputed r = {.net = net, .images = images};
    drl_err err;
    drl_tensor z, y;
    drl_encoder_cfg encoder;
    drl_model_encoder_cfg(&model, &encoder);
    drl_graph_cfg gc = {.batch = B, .shard = 3, .training = true};
    assert_int_equal(drl_graph_new(&r.g, &gc, &net->params, &err), DRL_OK);
    r.x = drl_graph_input(r.g, "x", (drl_shape){im->h, im->w, im->c}, false);
    z = drl_encoder(r.g, r.x, drl_op_learnt_time(r.g, "tau", 0), &encoder);
    y = drl_op_linear(r.g, z, "head", C, drl_init_zero(), drl_init_zero());
    drl_graph_output(r.g, y);
    assert_int_equal(drl_graph_plan(r.g, team, &err), DRL_OK);
    for (size_t v = 0; v < 2; v++) {
        for (size_t i = 0; i < B; i++) {
            const drl_real *a = place_of(net, start, i, size).picture[v];
            const drl_real *b = place_of(net, start, net->partner[i], size).picture[v];
            for (size_t e = 0; e < size; e++)
                images[i * size + e] = (drl_real)(lambda * (double)a[e] + (1 - lambda) * (double)b[e]);
        }
        drl_graph_run(r.g, B, 0, fill, &r, false);
        drl_graph_read(r.g, y, logits);
        for (size_t i = 0; i < B; i++)
            sum += lambda * cross_entropy(logits + i * C, C, place_of(net, start, i, size).label) +
                   (1 - lambda) * cross_entropy(logits + i * C, C, place_of(net, start, net->partner[i], size).label);
    }
    drl_graph_free(r.g);
    free(images);
    free(logits);
    return sum / (double)(2 * B);
}

/* In both phases, with and without mixup. At rate 0 the parameters stay, so the loss can be found after the step. */
static void the_loss_is_the_formula(void **state) {
    (void)state;
    for (int mixup = 0; mixup < 2; mixup++) {
        drl_laplacenet_cfg c = small();
        c.semi_mixup = mixup;
        c.semi_rate = 0;
        drl_laplacenet *net = open_net(&c, NULL, team, 0);
        bool permuted = false;
        for (size_t k = 0; k < drl_laplacenet_steps(net); k++) {
            double loss = step(net), want = loss_of(net, k < net->start_steps);
            assert_true(fabs(loss - want) <= 1e-4 * want);
            for (size_t i = 0; i < c.semi_batch; i++) permuted |= net->partner[i] != i;
            assert_true(net->mix >= 0 && net->mix < 1);
        }
        assert_true(permuted);
        drl_laplacenet_close(net);
    }
}

/* Half a cosine over the second phase: the momentum of one step at rate r moves the parameters by r times the same. */
static void the_rate_falls(void **state) {
    (void)state;
    drl_laplacenet_cfg c = small();
    drl_laplacenet *net = open_net(&c, NULL, team, 0);
    size_t start = net->start_steps;
    for (size_t k = 0; k < drl_laplacenet_steps(net); k++) {
        step(net);
        double want = k < start ? 0.03 : 0.015 * (1 + cos(3.14159265358979 * (double)(k - start) / 7));
        assert_true(fabs(net->optim.cfg.rate - want) <= 1e-12);
    }
    drl_laplacenet_close(net);
}

/* ---- Epochs ------------------------------------------------------------------------------------------------------ */

static void epochs_and_their_accuracy(void **state) {
    (void)state;
    drl_laplacenet_cfg c = small();
    drl_laplacenet *net = open_net(&c, NULL, team, 0);
    size_t n;
    assert_int_equal(drl_laplacenet_epochs(net), 3); /* of 3, 3 and 1 steps */
    assert_int_equal(net->start_steps, 2 * 3);       /* 2 passes over 2 x 12 images in batches of 8 */
    for (size_t k = 0; k < drl_laplacenet_steps(net); k++) {
        step(net);
        const drl_laplacenet_epoch *h = drl_laplacenet_history(net, &n);
        assert_int_equal(n, k < 6 ? 0 : (k - 6) / 3 + 1);
        if (n == 0) continue;
        size_t right = 0, unlabelled = 0;
        for (size_t i = 0; i < IMAGES; i++) {
            bool known = false;
            for (size_t m = 0; m < labels.n; m++) known |= labels.index[m] == i;
            assert_true(net->pseudo[i] >= 0 && net->pseudo[i] < (int32_t)data->classes);
            if (known) assert_int_equal(net->pseudo[i], data->split[DRL_SPLIT_TRAIN].labels[i]);
            unlabelled += !known;
            right += !known && net->pseudo[i] == data->split[DRL_SPLIT_TRAIN].labels[i];
        }
        assert_true(fabs(h[n - 1].accuracy - (double)right / (double)unlabelled) <= 1e-12);
        assert_true(h[0].time > 0 && h[0].time < 1);
    }
    drl_laplacenet_close(net);
}

/* Trained on the labelled images alone it gives them their labels. The time is a parameter only where it is asked for;
 * what one time adds to all images batch norms take away again, so that nothing but rounding moves it. */
static void labelled_images_are_learnt(void **state) {
    (void)state;
    drl_laplacenet_cfg c = small();
    c.semi_mixup = false;
    c.semi_labelled_ops = 0;
    c.semi_crop = 0;
    drl_laplacenet *net = open_net(&c, NULL, team, LEARN);
    double first = 0, last = 0;
    for (int k = 0; k < LEARN; k++) {
        double loss = step(net);
        if (k < 5) first += loss;
        if (k >= LEARN - 5) last += loss;
    }
    assert_true(last < 0.6 * first);
    assert_true(drl_params_find(&net->params, "tau") >= 0);
    assert_true(fabs(drl_laplacenet_time(net) - DRL_LAPLACENET_TIME) <= 1e-3);
    drl_laplacenet_close(net);
    c.semi_learn_time = false;
    net = open_net(&c, NULL, team, 3);
    for (int k = 0; k < 3; k++) step(net);
    assert_true(drl_params_find(&net->params, "tau") < 0);
    assert_true(drl_laplacenet_time(net) == DRL_LAPLACENET_TIME);
    drl_laplacenet_close(net);
}

/* ---- Pretraining ------------------------------------------------------------------------------------------------- */

/* The codes of a net before its first step are those of the pretrained encoder at t = 1/2; VDRL's are pooled features,
 * which its own codes are not, so that its weights are compared. */
static void pretrained_weights_are_taken_over(void **state) {
    (void)state;
    static const char *const methods[] = {"drl", "vdrl"};
    drl_err err = {0};
    for (int k = 0; k < 2; k++) {
        drl_model_cfg mc = model;
        drl_model *m;
        double loss;
        snprintf(mc.model_method, sizeof mc.model_method, "%s", methods[k]);
        if (drl_model_open(&m, &mc, data, 3, team, &err) != DRL_OK) fail_msg("%s", err.message);
        for (int i = 0; i < 3; i++) assert_int_equal(drl_model_step(m, &loss, &err), DRL_OK);
        drl_laplacenet_cfg c = small();
        drl_laplacenet *net = open_net(&c, m, team, 0), *none = open_net(&c, NULL, team, 0);
        size_t d = drl_laplacenet_code_size(net), compared = 0, other = 0;
        assert_string_not_equal(drl_laplacenet_key(net), drl_laplacenet_key(none));
        for (size_t i = 0; i < net->params.n; i++) {
            const drl_param *p = &net->params.list[i];
            int at = drl_params_find(&m->params, p->name);
            if (at < 0) continue;
            size_t bytes = p->count * sizeof(drl_real);
            assert_memory_equal(drl_params_at(&net->params, (int)i), drl_params_at(&m->params, at), bytes);
            other += memcmp(drl_params_at(&none->params, (int)i), drl_params_at(&m->params, at), bytes) != 0;
            compared++;
        }
        assert_true(compared > 40 && other > 10 && compared == net->params.n - 3); /* but tau and the head */
        if (k == 0) {
            drl_real *codes = malloc(20 * d * sizeof *codes), *want = malloc(20 * d * sizeof *want);
            assert_int_equal(drl_laplacenet_encode(net, DRL_SPLIT_TRAIN, 20, codes, &err), DRL_OK);
            assert_int_equal(drl_model_encode(m, DRL_SPLIT_TRAIN, NULL, 20, 0.5, want, &err), DRL_OK);
            for (size_t i = 0; i < 20 * d; i++) assert_true(fabs((double)codes[i] - (double)want[i]) <= 1e-5);
            free(codes);
            free(want);
        }
        drl_laplacenet_close(net);
        drl_laplacenet_close(none);
        drl_model_close(m);
    }
}

/* ---- Restarts ---------------------------------------------------------------------------------------------------- */

static void assert_same(const drl_laplacenet *a, const drl_laplacenet *b) {
    assert_memory_equal(a->params.value, b->params.value, a->params.n_value * sizeof(drl_real));
    assert_memory_equal(a->params.state, b->params.state, a->params.n_state * sizeof(drl_real));
    assert_memory_equal(a->optim.m, b->optim.m, a->params.n_value * sizeof(drl_real));
    assert_memory_equal(a->pseudo, b->pseudo, a->n * sizeof *a->pseudo);
    assert_int_equal(a->epochs, b->epochs);
    assert_memory_equal(a->history, b->history, a->epochs * sizeof *a->history);
}

/* The same bits by one thread, two and three, and cut off after any step. */
static void any_threads_and_restarts(void **state) {
    (void)state;
    drl_err err = {0};
    drl_laplacenet_cfg c = small();
    drl_laplacenet *whole = open_net(&c, NULL, team, 0);
    size_t steps = drl_laplacenet_steps(whole);
    for (size_t k = 0; k < steps; k++) step(whole);
    for (size_t threads = 1; threads <= 3; threads += 2) {
        drl_threads *with;
        assert_int_equal(drl_threads_open(&with, threads, &err), DRL_OK);
        drl_laplacenet *net = open_net(&c, NULL, with, 0);
        for (size_t k = 0; k < steps; k++) step(net);
        assert_same(net, whole);
        drl_laplacenet_close(net);
        drl_threads_close(with);
    }
    char sub[64], file[96];
    for (size_t cut = 0; cut < steps; cut++) {
        snprintf(sub, sizeof sub, "%s/cut%zu", dir, cut);
        drl_train_run run = {.dir = sub, .label = "cut", .checkpoint_seconds = 1e6, .resume = true};
        drl_laplacenet *net = open_net(&c, NULL, team, 0);
        for (size_t k = 0; k < cut; k++) step(net);
        net->steps = net->optim.step < net->start_steps ? 0 : (size_t)net->optim.step - net->start_steps;
        if (net->steps == 0) net->start_steps = (size_t)net->optim.step; /* all steps are made: only saves */
        if (drl_laplacenet_train(net, &run, &err) != DRL_OK) fail_msg("%s", err.message);
        drl_laplacenet_close(net);
        net = open_net(&c, NULL, team, 0);
        if (drl_laplacenet_train(net, &run, &err) != DRL_OK) fail_msg("cut %zu: %s", cut, err.message);
        assert_same(net, whole);
        drl_laplacenet_close(net);
    }
    /* a bent byte, and the checkpoint of other settings, are refused */
    snprintf(file, sizeof file, "%s/checkpoint.safetensors", sub);
    drl_train_run run = {.dir = sub, .label = "bent", .checkpoint_seconds = 1e6, .resume = true};
    c.semi_rate = 0.02;
    drl_laplacenet *net = open_net(&c, NULL, team, 0);
    assert_int_equal(drl_laplacenet_train(net, &run, &err), DRL_ERR_FORMAT);
    assert_non_null(strstr(err.message, "another configuration"));
    drl_laplacenet_close(net);
    FILE *f = fopen(file, "r+b");
    assert_non_null(f);
    fseek(f, -5, SEEK_END);
    int byte = fgetc(f);
    fseek(f, -5, SEEK_END);
    fputc(byte ^ 4, f);
    fclose(f);
    c = small();
    net = open_net(&c, NULL, team, 0);
    assert_int_equal(drl_laplacenet_train(net, &run, &err), DRL_ERR_FORMAT);
    assert_non_null(strstr(err.message, "digest"));
    drl_laplacenet_close(net);
    drl_laplacenet_close(whole);
}

/* ---- Refusals ---------------------------------------------------------------------------------------------------- */

static void refuse(drl_laplacenet_cfg c, const drl_model *pretrained, const char *why) {
    drl_err err = {0};
    drl_laplacenet *net;
    drl_laplacenet_start start = {.cfg = &c,
                                  .pretrained = pretrained,
                                  .model = &model,
                                  .data = data,
                                  .labels = &labels,
                                  .seed = 5,
                                  .trajectory = true};
    assert_int_equal(drl_laplacenet_open(&net, &start, team, &err), DRL_ERR_CONFIG);
    assert_null(net);
    if (!strstr(err.message, why)) fail_msg("\"%s\" does not say \"%s\"", err.message, why);
}

static void bad_settings(void **state) {
    (void)state;
    drl_err err = {0};
    drl_laplacenet_cfg c = small();
    c.semi_labelled = 8;
    refuse(c, NULL, "leaves no room");
    c = small();
    c.semi_neighbours = IMAGES;
    refuse(c, NULL, "training images");
    drl_model_cfg mc = model;
    drl_model *m;
    snprintf(mc.model_method, sizeof mc.model_method, "dsm"); /* learns no code */
    if (drl_model_open(&m, &mc, data, 1, team, &err) != DRL_OK) fail_msg("%s", err.message);
    refuse(small(), m, "no encoder to start from");
    drl_model_close(m);
}

/* A rate that blows everything up ends in one line, not in NaN. */
static void not_finite(void **state) {
    (void)state;
    drl_err err = {0};
    double loss;
    drl_laplacenet_cfg c = small();
    c.semi_rate = 10;
    c.semi_weight_decay = 1;
    drl_laplacenet *net = open_net(&c, NULL, team, 400);
    drl_status st = DRL_OK;
    for (int k = 0; k < 400 && st == DRL_OK; k++) st = drl_laplacenet_step(net, &loss, &err);
    assert_int_equal(st, DRL_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "semi.rate"));
    drl_laplacenet_close(net);
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_loss_is_the_formula),
                                       cmocka_unit_test(the_rate_falls),
                                       cmocka_unit_test(epochs_and_their_accuracy),
                                       cmocka_unit_test(labelled_images_are_learnt),
                                       cmocka_unit_test(pretrained_weights_are_taken_over),
                                       cmocka_unit_test(any_threads_and_restarts),
                                       cmocka_unit_test(bad_settings),
                                       cmocka_unit_test(not_finite)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
