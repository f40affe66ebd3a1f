/* The programs `drl sample` and `drl likelihood` on small models that `downstream` has trained: what they write, and
 * what they say to what they cannot use. */
#include "program.h"

#include "data/picture.h"

enum { SIDE = 16, SCALE = 8, GAP = 2, STEP = SIDE * SCALE + GAP, CELL = SIDE * SIDE * 3, TRAIN = 64, TEST = 40 };

static outcome o;
static char drl[1024], vdrl[1024], dsm[1024], ae[1024]; /* directories of the models */

/* Of ddae the model is one of dsm. */
static int train(void **state) {
    if (program_setup(state) != 0) return -1;
    const char *out = in_dir("runs");
    run_program(&o, (const char *const[]){"downstream", "--scale=smoke", "--out", out, "--methods=drl,vdrl,ddae,ae",
                                          "--seeds=1", "--set=train.steps=30", "--set=train.rate=5e-3",
                                          "--set=data.train_limit=64", "--set=data.test_limit=40", "--set=eval.times=0",
                                          "--set=probe.mlp=none", NULL});
    if (o.status != 0) print_error("%s\n", o.err);
    if (o.status != 0) return -1;
    find_model(drl, out, "drl");
    find_model(vdrl, out, "vdrl");
    find_model(dsm, out, "dsm");
    find_model(ae, out, "ae");
    return 0;
}

static void run(const char *const *args) {
    const char *argv[PROGRAM_ARGS] = {"drl"};
    for (int n = 1; *args; args++) argv[n++] = *args;
    run_program(&o, argv);
}

static void done(const char *const *args) {
    run(args);
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
}
#define DONE(...) done((const char *const[]){__VA_ARGS__, NULL})

static void refused(int status, const char *pieces, const char *const *args) {
    run(args);
    assert_refusal(&o, "drl", status, pieces);
    if (access(in_dir("no.png"), F_OK) == 0 || temporaries(program_dir) > 0) fail_msg("%s: half-written", pieces);
}
#define REFUSED(status, pieces, ...) refused(status, pieces, (const char *const[]){__VA_ARGS__, NULL})

/* ---- Sheets ------------------------------------------------------------------------------------------------------ */

static drl_picture read_sheet(const char *path, size_t rows, size_t columns) {
    drl_picture p = {0};
    drl_err err;
    size_t size;
    char *bytes = read_whole(path, &size);
    if (drl_picture_decode(&p, (const uint8_t *)bytes, size, &DRL_PICTURE_LIMITS, &err) != DRL_OK)
        fail_msg("%s", err.message);
    free(bytes);
    assert_int_equal(p.c, 3);
    assert_int_equal(p.h, rows * STEP + GAP);
    assert_int_equal(p.w, columns * STEP + GAP);
    return p;
}

/* out = the picture of a cell, each of whose pixels is SCALE x SCALE of the sheet's. */
static void read_cell(uint8_t out[CELL], const drl_picture *p, size_t row, size_t column) {
    for (size_t y = 0; y < SIDE * SCALE; y++)
        for (size_t x = 0; x < SIDE * SCALE; x++) {
            const uint8_t *at = p->pixels + ((row * STEP + GAP + y) * p->w + column * STEP + GAP + x) * 3;
            uint8_t *to = out + (y / SCALE * SIDE + x / SCALE) * 3;
            if (x % SCALE == 0 && y % SCALE == 0)
                memcpy(to, at, 3);
            else
                assert_memory_equal(to, at, 3);
        }
}

/* Columns 1 and 3 are test images, classes in order; the samples beside them are none. */
static void pairs_of_image_and_sample(void **state) {
    (void)state;
    const char *out = in_dir("pairs.png");
    DONE("sample", "--model", drl, "--grid=3x4", "--steps=20", "--out", out);
    assert_string_equal(o.out, "");
    assert_non_null(strstr(o.err, "sampling: 20 of 20 steps"));
    assert_non_null(strstr(o.err, "6 images, 40 evaluations of the score"));
    drl_picture p = read_sheet(out, 3, 4);
    drl_dataset *ds;
    const drl_dataset_cfg dc = {
        .name = "synthetic:factors", .size = SIDE, .train_limit = TRAIN, .test_limit = TEST, .cache_dir = ""};
    assert_int_equal(drl_dataset_open(&ds, &dc, NULL), DRL_OK);
    const drl_images *im = &ds->split[DRL_SPLIT_TEST];
    int32_t before = 0;
    for (size_t cell = 0; cell < 12; cell++) {
        uint8_t got[CELL];
        size_t i = 0;
        read_cell(got, &p, cell / 4, cell % 4);
        while (i < TEST && memcmp(got, im->pixels + i * CELL, CELL) != 0) i++;
        if ((i < TEST) != (cell % 2 == 0)) fail_msg("cell %zu is test image %zu", cell, i);
        if (i == TEST) continue;
        assert_true(im->labels[i] >= before);
        before = im->labels[i];
    }
    assert_true(before > 0);
    drl_dataset_free(ds);
    drl_picture_free(&p);
}

/* Nine images are two shards of the network. */
static void same_bits(void **state) {
    (void)state;
    static const char *const samplers[] = {"--sampler=pc", "--sampler=em"};
    const char *a = in_dir("a.png"), *b = in_dir("b.png");
    for (int k = 0; k < 2; k++) {
        DONE("sample", "--model", drl, "--grid=3x6", samplers[k], "--steps=5", "--out", a, "--threads=1", "--quiet");
        assert_string_equal(o.err, "");
        DONE("sample", "--model", drl, "--grid=3x6", samplers[k], "--steps=5", "--out", b, "--threads=2");
        assert_true(same_files(a, b));
        DONE("sample", "--model", drl, "--grid=3x6", samplers[k], "--steps=5", "--out", b, "--weights=raw");
        assert_false(same_files(a, b));
        DONE("sample", "--model", drl, "--grid=3x6", samplers[k], "--steps=5", "--out", b, "--seed=1");
        assert_false(same_files(a, b));
    }
    DONE("sample", "--model", drl, "--grid=1x2", "--sampler=ode", "--out", a);
    assert_non_null(strstr(o.err, "1000 of 1000 steps"));
    DONE("sample", "--model", drl, "--grid=1x2", "--sampler=ode", "--out", b);
    assert_true(same_files(a, b));
}

/* Without a code all images are the same of the same noise; with codes drawn they are not. */
static void one_noise_for_all(void **state) {
    (void)state;
    const char *out = in_dir("same.png");
    static const struct {
        const char *model, *noise, *codes;
        bool equal;
    } cases[] = {{dsm, "--same-noise", "--codes=test", true},
                 {dsm, "--quiet", "--codes=test", false},
                 {vdrl, "--same-noise", "--codes=prior", false}};
    for (int k = 0; k < 3; k++) {
        DONE("sample", "--model", cases[k].model, "--grid=1x3", "--steps=30", "--out", out, cases[k].noise,
             cases[k].codes);
        drl_picture p = read_sheet(out, 1, 3);
        uint8_t first[CELL], other[CELL];
        read_cell(first, &p, 0, 0);
        for (size_t j = 1; j < 3; j++) {
            read_cell(other, &p, 0, j);
            if ((memcmp(first, other, CELL) == 0) != cases[k].equal) fail_msg("case %d, image %zu", k, j);
        }
        drl_picture_free(&p);
    }
}

/* The last column is the sample that is drawn without --trajectory; the first is noise, the same for any model. */
static void trajectories_end_at_the_samples(void **state) {
    (void)state;
    const char *whole = in_dir("whole.png"), *ends = in_dir("ends.png"), *other = in_dir("other.png");
    DONE("sample", "--model", dsm, "--grid=2x4", "--steps=30", "--out", whole, "--trajectory");
    DONE("sample", "--model", dsm, "--grid=1x2", "--steps=30", "--out", ends);
    DONE("sample", "--model", vdrl, "--grid=2x5", "--steps=30", "--out", other, "--trajectory");
    drl_picture p = read_sheet(whole, 2, 4), q = read_sheet(ends, 1, 2), r = read_sheet(other, 2, 5);
    uint8_t a[CELL], b[CELL];
    for (size_t i = 0; i < 2; i++) {
        read_cell(a, &p, i, 3), read_cell(b, &q, 0, i);
        assert_memory_equal(a, b, CELL);
        read_cell(a, &p, i, 0), read_cell(b, &r, i, 1);
        assert_memory_equal(a, b, CELL);
        for (size_t j = 1; j < 4; j++) {
            read_cell(a, &p, i, j - 1), read_cell(b, &p, i, j);
            assert_memory_not_equal(a, b, CELL);
        }
    }
    drl_picture_free(&p), drl_picture_free(&q), drl_picture_free(&r);
}

/* ---- Likelihoods ------------------------------------------------------------------------------------------------- */

static void likelihood_is_printed(void **state) {
    (void)state;
    double mean, error;
    DONE("likelihood", "--model", drl, "--images=2", "--quiet");
    assert_string_equal(o.err, "");
    if (sscanf(o.out, "%lf ± %lf bits/dim   2 test images, given their codes, 1 probe, ", &mean, &error) != 2)
        fail_msg("%s", o.out);
    assert_true(mean > 0 && mean < 14 && error > 0 && error < 3);
}

/* ---- Refusals ---------------------------------------------------------------------------------------------------- */

static void usage_is_checked(void **state) {
    (void)state;
    const char *out = in_dir("no.png");
    DONE("sample", "--help");
    assert_non_null(strstr(o.out, "usage: drl sample"));
    assert_non_null(strstr(o.out, "--trajectory"));
    DONE("likelihood", "--help");
    assert_non_null(strstr(o.out, "--probes K"));
    REFUSED(2, "sample: --model DIR is missing", "sample", "--out", out);
    REFUSED(2, "sample: --out FILE is missing", "sample", "--model", drl);
    REFUSED(2, "sample: unknown argument 'x'", "sample", "x");
    REFUSED(2, "unknown flag --probes", "sample", "--probes=2");
    REFUSED(2, "--sampler|heun|pc", "sample", "--model", drl, "--out", out, "--sampler=heun");
    REFUSED(2, "--weights|mean|ema", "sample", "--model", drl, "--out", out, "--weights=mean");
    REFUSED(2, "--grid|8", "sample", "--model", drl, "--out", out, "--grid=8");
    REFUSED(2, "--steps|ode", "sample", "--model", drl, "--out", out, "--steps=10", "--sampler=ode");
    REFUSED(2, "1 steps: want at least 2", "sample", "--model", drl, "--out", out, "--steps=1", "--quiet");
    REFUSED(2, "--grid 8x7|even", "sample", "--model", drl, "--out", out, "--grid=8x7");
    REFUSED(2, "--grid 8x2|3 columns", "sample", "--model", drl, "--out", out, "--grid=8x2", "--trajectory");
    REFUSED(2, "--grid 8x1|2 columns", "sample", "--model", dsm, "--out", out, "--grid=8x1", "--trajectory");
    REFUSED(2, "--codes prior|DRL", "sample", "--model", drl, "--out", out, "--codes=prior");
    REFUSED(2, "likelihood: --model", "likelihood");
    REFUSED(2, "--images|1", "likelihood", "--model", drl, "--images=1");
    REFUSED(2, "--probes|0", "likelihood", "--model", drl, "--probes=0");
    REFUSED(1, "no/such.png", "sample", "--model", drl, "--out", in_dir("no/such.png"));
}

static void models_are_checked(void **state) {
    (void)state;
    const char *out = in_dir("no.png"), *empty = in_dir("empty"), *copy = in_dir("copy");
    char command[4096], path[1100];
    size_t size;
    mkdir(empty, 0777);
    REFUSED(2, "sample: model |AE has no score network", "sample", "--model", ae, "--out", out);
    REFUSED(2, "likelihood: model |AE has no score network", "likelihood", "--model", ae);
    REFUSED(1, "sample: model /no/such: ", "sample", "--model", "/no/such", "--out", out);
    REFUSED(1, "/empty: no checkpoint.safetensors in it", "sample", "--model", empty, "--out", out);
    snprintf(command, sizeof command, "cp -r '%s' '%s'", drl, copy);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/checkpoint.safetensors", copy);
    char *bytes = read_whole(path, &size);
    bytes[size - 100] ^= 1;
    write_whole(path, bytes, size);
    REFUSED(1, "checkpoint.safetensors: damaged", "sample", "--model", copy, "--out", out);
    bytes[size - 100] ^= 1;
    char *setting = strstr(bytes + 8, "score_channels = 8"); /* the header ends in no zero byte before it */
    assert_non_null(setting);
    memcpy(setting, "score_channelz", 14);
    write_whole(path, bytes, size);
    REFUSED(1, "checkpoint.safetensors: its settings cannot be used here: line |score_channelz", "sample", "--model",
            copy, "--out", out);
    memcpy(setting, "score_channels = 8", 18);
    char *name = strstr(bytes + 8, "synthetic:factors");
    assert_non_null(name);
    memcpy(name, "folder:/no/such/x", 17);
    write_whole(path, bytes, size);
    REFUSED(1, "sample: data of model |/no/such/x", "sample", "--model", copy, "--out", out);
    memcpy(name, "synthetic:factors", 17);
    memcpy(setting, "score_channels = 4", 18);
    write_whole(path, bytes, size);
    REFUSED(1, "checkpoint.safetensors: belongs to a model of another", "sample", "--model", copy, "--out", out);
    write_whole(path, bytes, size / 2);
    REFUSED(1, "checkpoint.safetensors: ", "sample", "--model", copy, "--out", out);
    free(bytes);
}

/* A model whose training was stopped is used, and a line says so. */
static void unfinished_training_is_told(void **state) {
    (void)state;
    const char *out = in_dir("unfinished");
    char model[1024];
    const char *const argv[] = {"downstream",
                                "--scale=smoke",
                                "--out",
                                out,
                                "--methods=drl",
                                "--seeds=1",
                                "--set=train.steps=100000",
                                "--set=data.train_limit=64",
                                "--set=data.test_limit=40",
                                "--set=run.checkpoint_seconds=0",
                                NULL};
    pid_t child = start_program(argv, NULL);
    for (int tenths = 0; tenths < 600 && !checkpoint_of(out)[0]; tenths++) usleep(100000);
    kill(child, SIGINT);
    finish_program(&o, child);
    assert_int_equal(o.status, 1);
    find_model(model, out, "drl");
    DONE("sample", "--model", model, "--grid=1x2", "--steps=2", "--out", in_dir("early.png"));
    assert_non_null(strstr(o.err, ": training is not finished, step "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_of_image_and_sample), cmocka_unit_test(same_bits),
        cmocka_unit_test(one_noise_for_all),         cmocka_unit_test(trajectories_end_at_the_samples),
        cmocka_unit_test(likelihood_is_printed),     cmocka_unit_test(usage_is_checked),
        cmocka_unit_test(models_are_checked),        cmocka_unit_test(unfinished_training_is_told),
    };
    return cmocka_run_group_tests(tests, train, program_teardown);
}
