/* Models: the loss, one step, codes, checkpoints (drl/model.h), on a network of a few thousand weights. */
#define _DEFAULT_SOURCE
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drl/blas.h"
#include "drl/interrupt.h"
#include "drl/lock.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "drl/model.h"
#include "drl/rng.h"

/* Sanitizers make everything some fifty times slower: one process instead of three, and fewer steps. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { KINDS = 1, STEPS = 24, WINDOW = 4 };
#define SCORE_CHANNELS "4"
#else
enum { KINDS = 3, STEPS = 60, WINDOW = 10 };
#define SCORE_CHANNELS "8"
#endif

static drl_threads *team;
static drl_dataset *data;

static int open_all(void **state) {
    (void)state;
    drl_log_quiet(true);
    drl_dataset_cfg dc = {.name = "synthetic:factors", .size = 16, .train_limit = 48, .test_limit = 40};
    drl_err err;
    if (drl_threads_open(&team, 2, &err) == DRL_OK && drl_dataset_open(&data, &dc, &err) == DRL_OK) return 0;
    print_error("%s\n", err.message);
    return -1;
}

static int close_all(void **state) {
    (void)state;
    drl_dataset_free(data);
    drl_threads_close(team);
    return drl_mem_get_stats().bytes == 0 ? 0 : -1; /* nothing is left allocated */
}

/* A small network, changed by assignments "key=value" up to NULL. */
static drl_model_cfg small(const char *const *sets) {
    static const char *const base[] = {"data.dataset=synthetic:factors",
                                       "data.size=16",
                                       "model.encoder_depth=10",
                                       "model.encoder_width=0.5",
                                       "model.score_channels=" SCORE_CHANNELS,
                                       "model.score_mult=1,2",
                                       "model.score_blocks=1",
                                       "model.score_attention=8",
                                       "train.batch=16",
                                       "train.shard=4",
                                       "train.warmup=5",
                                       "train.rate=2e-3",
                                       "train.steps=120"};
    drl_model_cfg cfg;
    size_t n;
    const drl_option *options = drl_model_options(&n);
    drl_config_defaults(&cfg, options, n);
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        assert_int_equal(drl_config_set(&cfg, options, n, base[i], NULL), DRL_OK);
    for (; sets && *sets; sets++) assert_int_equal(drl_config_set(&cfg, options, n, *sets, NULL), DRL_OK);
    return cfg;
}
#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

static drl_model *open_model(const char *const *sets, uint64_t seed) {
    drl_model *m;
    drl_err err;
    drl_model_cfg cfg = small(sets);
    if (drl_model_open(&m, &cfg, data, seed, team, &err) != DRL_OK) fail_msg("%s", err.message);
    return m;
}

static double step(drl_model *m) {
    double loss = NAN;
    drl_err err;
    if (drl_model_step(m, &loss, &err) != DRL_OK) fail_msg("%s", err.message);
    return loss;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

/* The score network starts at practically zero output, so every pixel value contributes half the square of a standard
 * normal number: its mean over the batch is near half their number, for every process.                [vectors, 7] */
static void the_first_loss_is_half_the_pixels(void **state) {
    (void)state;
    static const char *const sde[] = {"diffusion.sde=ve", "diffusion.sde=vp", "diffusion.sde=subvp"};
    const drl_images *im = &data->split[DRL_SPLIT_TRAIN];
    double pixels = (double)(im->h * im->w * im->c), spread = sqrt(pixels / 2 / 16);
    for (int k = 0; k < KINDS; k++) {
        drl_model *m = open_model(SETS(sde[k], "diffusion.gamma=0"), 1);
        double loss = step(m);
        if (!(fabs(loss - pixels / 2) < 4 * spread)) fail_msg("%s: %g, want about %g", sde[k], loss, pixels / 2);
        drl_model_close(m);
    }
}

static void training_lowers_the_loss(void **state) {
    (void)state;
    static const char *const sde[] = {"diffusion.sde=ve", "diffusion.sde=vp", "diffusion.sde=subvp"};
    for (int k = 0; k < KINDS; k++) {
        drl_model *m = open_model(SETS(sde[k]), 1);
        double first = 0, last = 0;
        for (int i = 0; i < STEPS; i++) {
            double loss = step(m);
            if (i < WINDOW) first += loss / WINDOW;
            if (i >= STEPS - WINDOW) last += loss / WINDOW;
        }
        if (!(last < (KINDS == 3 ? 0.8 : 0.97) * first)) fail_msg("%s: from %g to %g", sde[k], first, last);
        drl_model_close(m);
    }
}

static void a_step_allocates_nothing(void **state) {
    (void)state;
    drl_model *m = open_model(NULL, 1);
    step(m);
    size_t calls = drl_mem_get_stats().calls;
    for (int i = 0; i < 5; i++) step(m);
    assert_int_equal(drl_mem_get_stats().calls, calls);
    drl_model_close(m);
}

/* A weight that is no number: the step and that weight are named, and nothing has moved. */
static void not_a_number_is_found(void **state) {
    (void)state;
    static const char *const names[] = {"score.conv_in.weight", "encoder.stem.bias", "score.time.lin1.weight"};
    for (int k = 0; k < 3; k++) {
        drl_model *m = open_model(NULL, 1);
        for (int i = 0; i < 3; i++) step(m);
        int p = drl_params_find(&m->params, names[k]);
        assert_true(p >= 0);
        drl_params_at(&m->params, p)[1] = k == 1 ? (drl_real)INFINITY : (drl_real)NAN;
        drl_real before = m->params.value[0];
        double loss;
        drl_err err;
        assert_int_equal(drl_model_step(m, &loss, &err), DRL_ERR_NUMERIC);
        assert_non_null(strstr(err.message, "step 3:"));
        if (!strstr(err.message, names[k])) fail_msg("%s: %s", names[k], err.message);
        assert_int_equal(m->optim.step, 3);
        assert_memory_equal(&m->params.value[0], &before, sizeof before);
        drl_model_close(m);
    }
}

/* Another seed, another model; the same seed, the same, on any number of threads. */
static void seed_and_threads(void **state) {
    (void)state;
    drl_model *m[3];
    drl_threads *one, *usual = team;
    assert_int_equal(drl_threads_open(&one, 1, NULL), DRL_OK);
    m[0] = open_model(NULL, 1);
    m[1] = open_model(NULL, 2);
    team = one;
    m[2] = open_model(NULL, 1);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 3; i++) step(m[k]);
    assert_memory_equal(m[0]->params.value, m[2]->params.value, m[0]->params.n_value * sizeof(drl_real));
    assert_true(memcmp(m[0]->params.value, m[1]->params.value, m[0]->params.n_value * sizeof(drl_real)) != 0);
    assert_string_equal(m[0]->key, m[2]->key);
    assert_string_not_equal(m[0]->key, m[1]->key);
    for (int k = 0; k < 3; k++) drl_model_close(m[k]);
    drl_threads_close(one);
    team = usual;
}

/* ---- Codes ------------------------------------------------------------------------------------------------------- */

static drl_real *encode(drl_model *m, double t) {
    drl_real *codes;
    drl_err err;
    assert_int_equal(drl_alloc(&codes, 40 * drl_model_code_size(m), sizeof *codes, "codes", NULL), DRL_OK);
    if (drl_model_encode(m, DRL_SPLIT_TEST, NULL, m->data->split[DRL_SPLIT_TEST].n, t, codes, &err) != DRL_OK)
        fail_msg("%s", err.message);
    return codes;
}

typedef struct eval_arg {
    drl_graph *g;
    drl_tensor x, t;
} eval_arg;

static void eval_fill(void *arg, size_t shard, size_t first, size_t n) {
    const eval_arg *a = arg;
    uint32_t index[64];
    for (size_t i = 0; i < n; i++) {
        index[i] = (uint32_t)(first + i);
        drl_graph_value(a->g, a->t, shard)[i] = (drl_real)0.3;
    }
    drl_batch_images(drl_graph_value(a->g, a->x, shard), data, DRL_SPLIT_TEST, index, n);
}

/* Codes are those of an evaluation graph made from the same parameters by hand; they are never negative. */
static void codes_are_the_encoders(void **state) {
    (void)state;
    drl_model *m = open_model(NULL, 1);
    for (int i = 0; i < 10; i++) step(m);
    size_t d = drl_model_code_size(m), positive = 0;
    drl_real *codes = encode(m, 0.3), *want;
    for (size_t i = 0; i < 40 * d; i++) {
        assert_true(codes[i] >= 0);
        positive += codes[i] > 0;
    }
    assert_true(positive > 40 * d / 10);

    drl_graph_cfg gc = {.batch = 40, .shard = DRL_ENCODE_SHARD}; /* the shard is part of the bits */
    drl_encoder_cfg ec;
    drl_err err;
    eval_arg a;
    drl_model_encoder_cfg(&m->cfg, &ec);
    assert_int_equal(drl_graph_new(&a.g, &gc, &m->params, NULL), DRL_OK);
    const drl_images *im = &data->split[DRL_SPLIT_TEST];
    a.x = drl_graph_input(a.g, "x", (drl_shape){im->h, im->w, im->c}, false);
    a.t = drl_graph_input(a.g, "t", (drl_shape){1, 1, 1}, false);
    drl_tensor z = drl_encoder(a.g, a.x, a.t, &ec);
    drl_graph_output(a.g, z);
    if (drl_graph_plan(a.g, team, &err) != DRL_OK) fail_msg("%s", err.message);
    drl_graph_run(a.g, 40, 0, eval_fill, &a, false);
    assert_int_equal(drl_alloc(&want, 40 * d, sizeof *want, "codes", NULL), DRL_OK);
    drl_graph_read(a.g, z, want);
    assert_memory_equal(codes, want, 40 * d * sizeof *codes);
    drl_graph_free(a.g);
    drl_free(codes), drl_free(want);
    drl_model_close(m);
}

/* A code that depends on t does, a static one does not, whatever training made of it. */
static void static_codes_ignore_time(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        drl_model *m = open_model(SETS(k ? "model.code=static" : "model.code=time"), 1);
        for (int i = 0; i < 5; i++) step(m);
        drl_real *early = encode(m, 0), *late = encode(m, 0.9);
        int differ = memcmp(early, late, 40 * drl_model_code_size(m) * sizeof *early) != 0;
        assert_int_equal(differ, !k);
        drl_free(early), drl_free(late);
        drl_model_close(m);
    }
}

/* ---- Checkpoints ------------------------------------------------------------------------------------------------- */

/* All a run continues from comes back bit by bit, and the next steps are those of the original. */
static void a_checkpoint_brings_everything_back(void **state) {
    (void)state;
    char dir[] = "/tmp/drl_model_XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    drl_model *a = open_model(NULL, 1), *b = open_model(NULL, 1), *other = open_model(SETS("train.rate=1e-3"), 1);
    bool found = true;
    drl_err err;
    assert_int_equal(drl_checkpoint_read(b, dir, &found, &err), DRL_OK);
    assert_false(found);
    for (int i = 0; i < 52; i++) step(a); /* one entry of the loss history, and a part of the next */
    if (drl_checkpoint_write(a, dir, NULL, &err) != DRL_OK) fail_msg("%s", err.message);
    for (int i = 0; i < 2; i++) step(b);
    if (drl_checkpoint_read(b, dir, &found, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_true(found);
    for (int more = 0; more < 2; more++) {
        size_t bytes = a->params.n_value * sizeof(drl_real);
        assert_memory_equal(b->params.value, a->params.value, bytes);
        assert_memory_equal(b->params.state, a->params.state, a->params.n_state * sizeof(drl_real));
        assert_memory_equal(b->optim.m, a->optim.m, bytes);
        assert_memory_equal(b->optim.v, a->optim.v, bytes);
        assert_memory_equal(b->optim.ema, a->optim.ema, bytes);
        assert_int_equal(b->optim.step, a->optim.step);
        assert_int_equal(b->optim.updates, a->optim.updates);
        assert_int_equal(b->optim.ema_updates, a->optim.ema_updates);
        assert_memory_equal(b->history, a->history, sizeof *a->history);
        assert_memory_equal(&b->history_sum, &a->history_sum, sizeof a->history_sum);
        assert_true(step(a) == step(b));
    }
    /* another configuration's is not taken */
    assert_int_equal(drl_checkpoint_read(other, dir, &found, &err), DRL_ERR_FORMAT);
    assert_non_null(strstr(err.message, "checkpoint.safetensors: belongs to a model of another"));
    drl_model_close(a), drl_model_close(b), drl_model_close(other);
    static const char *const names[] = {"checkpoint.safetensors", "checkpoint.json"};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(remove(path), 0);
    }
    assert_int_equal(remove(dir), 0); /* nothing else was in it */
}

/* Time spent adds up over the processes that trained; a finished model is only loaded. */
static void training_time_adds_up(void **state) {
    (void)state;
    char dir[] = "/tmp/drl_model_XXXXXX", command[64];
    assert_non_null(mkdtemp(dir));
    drl_train_run run = {.dir = dir, .label = "test", .checkpoint_seconds = 1e6, .resume = true};
    drl_model *m = open_model(SETS("train.steps=6"), 1);
    m->train_seconds = 100; /* as if earlier processes had taken that long */
    for (int i = 0; i < 3; i++) step(m);
    assert_int_equal(drl_checkpoint_write(m, dir, NULL, NULL), DRL_OK);
    drl_model_close(m);
    double seconds[2];
    for (int k = 0; k < 2; k++) {
        m = open_model(SETS("train.steps=6"), 1);
        drl_err err;
        if (drl_model_train(m, &run, &err) != DRL_OK) fail_msg("%s", err.message);
        assert_int_equal(m->optim.step, 6);
        seconds[k] = run.seconds;
        assert_true(fabs(run.images_per_second * run.seconds - 6 * 16) < 1e-6);
        drl_model_close(m);
    }
    assert_true(seconds[0] > 100 && seconds[0] < 160);
    assert_true(fabs(seconds[1] - seconds[0]) < 1e-9);
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    assert_int_equal(system(command), 0);
}

/* While another one trains there, a finished model is read, and nothing is left behind; one that is not finished waits.
 */
static void a_finished_model_needs_no_lock(void **state) {
    (void)state;
    char dir[] = "/tmp/drl_model_XXXXXX", path[64], command[128];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/lock", dir);
    drl_train_run run = {.dir = dir, .label = "test", .checkpoint_seconds = 1e6, .resume = true};
    drl_err err;
    drl_lock lock;
    bool taken;
    for (int k = 0; k < 3; k++) { /* trained; read beside a lock; read where checkpoint.json is of an earlier step */
        drl_model *m = open_model(SETS("train.steps=4"), 1);
        if (k == 1) assert_int_equal(drl_lock_try(&lock, &taken, path, NULL), DRL_OK);
        if (drl_model_train(m, &run, &err) != DRL_OK) fail_msg("%s", err.message);
        assert_int_equal(m->optim.step, 4);
        assert_true(run.seconds > 0);
        assert_int_equal(access(path, F_OK) == 0, k == 1);
        if (k == 1) drl_lock_release(&lock);
        drl_model_close(m);
        snprintf(command, sizeof command, "sed -i 's/\"step\":.*4/\"step\": 3/' %s/checkpoint.json", dir);
        if (k == 1) assert_int_equal(system(command), 0);
    }
    assert_int_equal(drl_lock_try(&lock, &taken, path, NULL), DRL_OK);
    drl_interrupt_install();
    raise(SIGINT);                /* ends the waiting at once */
    for (int k = 0; k < 3; k++) { /* its writer may not be done with it; to be trained anew; not trained yet */
        drl_model *m = open_model(SETS("train.steps=4"), 1);
        run.resume = k != 1;
        assert_int_equal(drl_model_train(m, &run, &err), DRL_ERR_INTERRUPTED);
        assert_non_null(strstr(err.message, "test is being trained by another program (process "));
        assert_int_equal(m->optim.step, k == 0 ? 4 : 0);
        drl_model_close(m);
        snprintf(command, sizeof command, "rm -f %s/checkpoint.safetensors", dir);
        if (k == 1) assert_int_equal(system(command), 0);
    }
    drl_lock_release(&lock);
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    assert_int_equal(system(command), 0);
}

static void load_fails(drl_status status, const char *piece, const char *dir) {
    drl_model *m;
    drl_dataset *ds;
    drl_err err;
    drl_status st = drl_model_load(&m, &ds, dir, NULL, team, &err);
    if (st != status || !strstr(err.message, piece)) fail_msg("status %d, \"%s\", want \"%s\"", st, err.message, piece);
    assert_true(!m && !ds);
}

/* A directory alone brings model and data back, and says what is wrong with it. */
static void a_model_is_loaded_from_its_directory(void **state) {
    (void)state;
    char dir[] = "/tmp/drl_model_XXXXXX", path[128], command[128];
    assert_non_null(mkdtemp(dir));
    load_fails(DRL_ERR_NOT_FOUND, "no checkpoint.safetensors", dir);
    load_fails(DRL_ERR_NOT_FOUND, "/no/such: No such file", "/no/such");
    const char *const *sets = SETS("data.train_limit=48", "data.test_limit=40", "train.steps=6", "model.method=vdrl");
    drl_model *a = open_model(sets, 77), *b;
    drl_dataset *ds;
    drl_err err;
    for (int i = 0; i < 3; i++) step(a);
    assert_int_equal(drl_checkpoint_write(a, dir, NULL, NULL), DRL_OK);
    if (drl_model_load(&b, &ds, dir, "", team, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_string_equal(a->key, b->key);
    assert_string_equal(b->method->name, "vdrl");
    assert_int_equal(b->optim.step, 3);
    assert_memory_equal(a->params.value, b->params.value, a->params.n_value * sizeof(drl_real));
    assert_memory_equal(a->optim.ema, b->optim.ema, a->params.n_value * sizeof(drl_real));
    drl_model_close(b);
    drl_dataset_free(ds);
    drl_model_close(a);

    /* settings the checkpoint's data do not have: 48 training images */
    a = open_model(SETS("train.steps=6"), 77);
    assert_int_equal(drl_checkpoint_write(a, dir, NULL, NULL), DRL_OK);
    drl_model_close(a);
    load_fails(DRL_ERR_FORMAT, "was trained on other data: SHA-256 ", dir);
    snprintf(path, sizeof path, "%s/checkpoint.json", dir);
    assert_int_equal(remove(path), 0);
    load_fails(DRL_ERR_FORMAT, "no checkpoint.json with a seed", dir);
    snprintf(path, sizeof path, "%s/checkpoint.safetensors", dir);
    assert_int_equal(truncate(path, 1000), 0);
    load_fails(DRL_ERR_FORMAT, "checkpoint.safetensors", dir);
    load_fails(DRL_ERR_NOT_FOUND, "not a directory", path);
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    assert_int_equal(system(command), 0);
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv); /* one thread a GEMM, as in the programs */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_loss_is_half_the_pixels),
        cmocka_unit_test(training_lowers_the_loss),
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(not_a_number_is_found),
        cmocka_unit_test(seed_and_threads),
        cmocka_unit_test(codes_are_the_encoders),
        cmocka_unit_test(static_codes_ignore_time),
        cmocka_unit_test(a_checkpoint_brings_everything_back),
        cmocka_unit_test(training_time_adds_up),
        cmocka_unit_test(a_model_is_loaded_from_its_directory),
        cmocka_unit_test(a_finished_model_needs_no_lock), /* last: it leaves the flag of Ctrl-C set */
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
