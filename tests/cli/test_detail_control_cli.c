/* The program `detail_control`: table, claims, figure; what is there is not sampled again; what it cannot do is told.
 */
#include "program.h"

#include "baselines.h"

static void run_tiny(outcome *o, const char *out, const char *flag) {
    run_program(o, (const char *[PROGRAM_ARGS]){"detail_control", "--scale=smoke", "--sampling=3",
                                                "--set=data.train_limit=200", "--set=data.test_limit=60",
                                                "--set=train.steps=4", "--set=train.batch=8",
                                                "--set=model.score_channels=4", "--out", out, flag});
}

static void three_densities(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("all");
    run_tiny(&o, out, "--seeds=1");
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    char *table = text_of(out, "factors-smoke.md"), *claims = text_of(out, "-claims.md"), *data = text_of(out, ".dat");
    char *pixels = text_of(out, ".rgb");
    holds_in_order(table, (const char *const[]){"| DRL, uniform |", "| DRL, high noise |", "| DRL, low noise |",
                                                "100 where the code says nothing", NULL});
    assert_null(strstr(table, "–"));
    holds_in_order(claims, (const char *const[]){"| R3.drl.separate.uniform |", "| R3.drl.separate.low |",
                                                 "| R3.drl.fine |", "| R3.drl.coarse |", NULL});
    holds_in_order(data, (const char *const[]){" 128 \"DRL, uniform: k-NN ", " 128 \"DRL, high noise: k-NN ",
                                               " 128 \"DRL, low noise: k-NN ", "\n0 \"disc\"", "\n5 \"ring\"", NULL});
    walk_tree(out, ".rgb");
    struct stat info;
    assert_int_equal(stat(walk.found, &info), 0);
    assert_int_equal(info.st_size, 3 * 128 * 128 * 3);
    free(table);
    free(claims);
    free(data);
    free(pixels);
    free(text_of(out, ".svg"));
    free(text_of(out, ".png"));
    assert_int_equal(temporaries(out), 0);

    /* again: nothing is sampled; without one picture: that one alone; with other steps of the sampler: all */
    run_tiny(&o, out, "--seeds=1");
    assert_int_equal(o.status, 0);
    assert_null(strstr(o.err, "sampling"));
    walk_tree(out, ".safetensors");
    char *file = strstr(walk.found, "/detail/") ? strdup(walk.found) : NULL;
    if (!file) {
        char path[512];
        snprintf(path, sizeof path, "%s/detail", out);
        walk_tree(path, ".safetensors");
        file = strdup(walk.found);
    }
    assert_int_equal(unlink(file), 0);
    free(file);
    run_tiny(&o, out, "--seeds=1");
    assert_int_equal(o.status, 0);
    const char *first = strstr(o.err, "sampling from its codes");
    assert_non_null(first);
    assert_null(strstr(first + 1, "sampling from its codes"));
    run_tiny(&o, out, "--sampling=4");
    assert_int_equal(o.status, 0);
    first = strstr(o.err, "uniform seed 1: sampling from its codes");
    assert_true(first && strstr(first, "low noise seed 1: sampling from its codes"));
}

/* A level of detail stands for the densities of the configuration. */
static void one_level(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("level");
    run_tiny(&o, out, "--detail=0.25");
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    assert_non_null(strstr(o.err, "the variant high noise is left out"));
    char *table = text_of(out, "factors-smoke.md");
    assert_non_null(strstr(table, "| DRL |"));
    assert_non_null(strstr(table, "density of t Gaussian"));
    assert_null(strstr(table, "high noise |"));
    free(table);
}

static void what_cannot_be_done(void **state) {
    (void)state;
    static outcome o;
    static const char *const cases[][2] = {
        {"--methods=ae", "ae has no score network"},
        {"--methods=ddae", "ddae has no score network"},
        {"--methods=cdae", "cdae has no score network"},
        {"--set=model.code=time", "model.code = time"},
        {"--sampling=1", "sampling"},
        {"--detail=1.5", "detail"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *out = in_dir("none");
        run_tiny(&o, out, cases[i][0]);
        assert_refusal(&o, "detail_control", 2, cases[i][1]);
        assert_int_not_equal(access(out, F_OK), 0);
    }
}

int main(void) {
    drl_baselines_add();
    const struct CMUnitTest tests[] = {cmocka_unit_test(three_densities), cmocka_unit_test(one_level),
                                       cmocka_unit_test(what_cannot_be_done)};
    return cmocka_run_group_tests(tests, program_setup, program_teardown);
}
