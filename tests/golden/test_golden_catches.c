/* The program `golden` must see what it is there to see: copies of golden files with one thing wrong fail, and copies
 * with nothing wrong, under other names of the cases, pass. */
#include "data/files.h"

#include <math.h>
#include <sys/wait.h>

#include "drl/safetensors.h"

/* What a copy changes. `edit` gets the float tensor whose name is `name`. */
typedef struct change {
    const char *name;
    void (*edit)(float *v, size_t count);
    const char *rename;     /* start of names that becomes `to` */
    const char *to, *extra; /* extra: name of a tensor that is added */
    bool drop;              /* leave `name` out */
    bool inputs_only;       /* leave out all but param/ and in/ */
} change;

static size_t largest(const float *v, size_t count) {
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        if (fabsf(v[i]) > fabsf(v[at])) at = i;
    return at;
}

static void by_a_thousandth(float *v, size_t count) {
    v[largest(v, count)] *= 1.001f;
}

static void flip_all(float *v, size_t count) {
    for (size_t i = 0; i < count; i++) v[i] = -v[i];
}

static void flip_one(float *v, size_t count) {
    v[largest(v, count)] *= -1;
}

static void nan_last(float *v, size_t count) {
    v[count - 1] = NAN;
}

static void infinite_first(float *v, size_t count) {
    (void)count;
    v[0] = INFINITY;
}

static void one_per_mille_off_zero(float *v, size_t count) {
    v[count / 2] = 1e-3f;
}

/* Writes the changed copy of tests/golden/SOURCE and returns golden's exit status on it. */
static int run(const char *source, const change *c) {
    static const float one = 1;
    char from[512], command[1600], name[256];
    drl_st *st;
    drl_st_writer *w;
    drl_err err;
    snprintf(from, sizeof from, "%s/golden/%s", DRL_TEST_DIR, source);
    assert_int_equal(drl_st_open(&st, from, &err), DRL_OK);
    assert_int_equal(drl_st_writer_new(&w, &err), DRL_OK);
    bool found = !c->name && !c->rename;
    for (size_t i = 0; i < drl_st_count(st); i++) {
        const drl_st_tensor *t = drl_st_at(st, i);
        bool hit = c->name && strcmp(t->name, c->name) == 0;
        size_t prefix = c->rename && strncmp(t->name, c->rename, strlen(c->rename)) == 0 ? strlen(c->rename) : 0;
        found |= hit || prefix;
        if (hit && c->drop) continue;
        if (c->inputs_only && strncmp(t->name, "param/", 6) != 0 && strncmp(t->name, "in/", 3) != 0) continue;
        if (hit) c->edit((float *)(uintptr_t)t->data, t->count);
        snprintf(name, sizeof name, "%s%s", prefix ? c->to : "", t->name + prefix);
        assert_int_equal(drl_st_add(w, name, t->dtype, t->rank, t->shape, t->data, &err), DRL_OK);
    }
    assert_true(found);
    if (c->extra) assert_int_equal(drl_st_add(w, c->extra, "F32", 1, (size_t[]){1}, &one, &err), DRL_OK);
    assert_int_equal(drl_st_write(w, files_path("copy.safetensors"), &err), DRL_OK);
    drl_st_writer_free(w);
    drl_st_close(st);
    snprintf(command, sizeof command, "%s/golden %s > %s 2>&1", DRL_BIN_DIR, files_path("copy.safetensors"),
             files_path("log"));
    int status = system(command);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_copies_pass(void **state) {
    (void)state;
    assert_int_equal(run("encoder_small.safetensors", &(change){0}), 0);
    assert_int_equal(run("optim.safetensors", &(change){0}), 0);
    assert_int_equal(run("layers.safetensors", &(change){.rename = "conv3x3_s1/", .to = "conv3x3_s1_foo/"}), 0);
    assert_int_equal(run("layers.safetensors", &(change){.name = "relu/grad_x", .drop = true}), 0);
    assert_int_equal(run("layers.safetensors", &(change){.rename = "wideblock_s2/", .to = "wideblock_tiny/"}), 0);
}

#define MISSES(file, ...) assert_int_equal(run(file ".safetensors", &(change){__VA_ARGS__}), 1)

static void test_layers(void **state) {
    (void)state;
    MISSES("layers", .name = "conv3x3_s1/y", .edit = by_a_thousandth);
    MISSES("layers", .name = "attention/grad_k.weight", .edit = flip_one);
    MISSES("layers", .name = "attention/grad_k.bias", .edit = one_per_mille_off_zero);
    MISSES("layers", .name = "batchnorm_train/after_running_var", .edit = by_a_thousandth);
    MISSES("layers", .name = "softmax_ce/loss", .edit = nan_last);
    MISSES("layers", .name = "softmax_ce_shifted/grad_logits", .edit = infinite_first);
    MISSES("layers", .name = "gru_sequence/weight_hh", .edit = by_a_thousandth);
    MISSES("layers", .extra = "linear/other");
    MISSES("layers", .extra = "frobnicate/y");
    MISSES("layers", .name = "linear/weight", .drop = true);
    MISSES("layers", .name = "linear/x", .drop = true);
    MISSES("layers", .rename = "conv3x3_s2_asym/", .to = "conv3x3_s2_other/");
}

static void test_networks(void **state) {
    (void)state;
    MISSES("encoder_small", .name = "out/latent", .edit = by_a_thousandth);
    MISSES("encoder_small", .name = "eval/latent", .edit = by_a_thousandth);
    MISSES("encoder_small", .name = "grad/encoder.stage2.block0.bn1.weight", .edit = flip_all);
    MISSES("encoder_small", .name = "grad/x0", .edit = flip_one);
    MISSES("encoder_small", .name = "act/encoder.bn", .edit = nan_last);
    MISSES("encoder_small", .name = "after/encoder.bn.running_mean", .edit = by_a_thousandth);
    MISSES("encoder_small", .extra = "act/encoder.stage9.block0");
    MISSES("encoder_small", .extra = "param/encoder.other");
    MISSES("encoder_small", .name = "param/encoder.stem.bias", .drop = true);
    MISSES("encoder_small", .inputs_only = true); /* nothing compared is no success */
    MISSES("decoder_small", .name = "out/image", .edit = by_a_thousandth);
    MISSES("decoder_small", .name = "act/decoder.up1", .edit = by_a_thousandth);
    MISSES("decoder_small", .name = "grad/z", .edit = flip_one);
    MISSES("decoder_small", .extra = "param/decoder.up0.temb.weight");
    MISSES("score_small_uncond", .name = "act/score.mid.attn", .edit = by_a_thousandth);
}

static void test_loss_and_optimiser(void **state) {
    (void)state;
    MISSES("loss_vp", .name = "vp/vdrl/loss_likelihood", .edit = by_a_thousandth);
    MISSES("loss_vp", .name = "vp/x_t", .edit = by_a_thousandth);
    MISSES("loss_vp", .name = "sde/vp/diffusion", .edit = by_a_thousandth);
    MISSES("loss_vp", .name = "vp/vdrl_lambda0.1/grad/encoder.latent.weight", .edit = flip_one);
    MISSES("loss_vp", .name = "vp/drl/grad/score.conv_in.weight", .edit = by_a_thousandth);
    MISSES("optim", .name = "adam_late/p1_ema", .edit = by_a_thousandth);
    MISSES("optim", .name = "sgd_nesterov/p0_m", .edit = flip_one);
    MISSES("optim", .name = "adam_start/lr", .edit = by_a_thousandth);
    MISSES("optim", .extra = "adam_l2/p0_other");
}

static void test_unusable(void **state) {
    (void)state;
    char command[1600];
    files_write("copy.safetensors", "not a file", 10);
    files_write("empty.safetensors", "\2\0\0\0\0\0\0\0{}", 10);
    const struct {
        const char *arguments;
        int status;
    } cases[] = {{"copy.safetensors", 2},
                 {"empty.safetensors", 2},
                 {"absent", 2},
                 {"--if-present absent", 77},
                 {"--if-present copy.safetensors", 2},
                 {"", 2},
                 {"--help", 0},
                 {"--no", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(command, sizeof command, "cd %s && %s/golden %s > log 2>&1", files_dir, DRL_BIN_DIR,
                 cases[i].arguments);
        int status = system(command);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), cases[i].status);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies_pass),        cmocka_unit_test(test_layers),   cmocka_unit_test(test_networks),
        cmocka_unit_test(test_loss_and_optimiser), cmocka_unit_test(test_unusable),
    };
    return cmocka_run_group_tests_name("golden catches", tests, files_make, files_remove);
}
