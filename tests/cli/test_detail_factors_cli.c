/* The program `detail_factors`: a probe for every factor of every code, tables and figure, and images without factors.
 */
#include "program.h"

#include "baselines.h"

/* more: a second flag, or NULL. */
static void run_tiny(outcome *o, const char *out, const char *flag, const char *more) {
    run_program(o, (const char *[PROGRAM_ARGS]){
                       "detail_factors", "--scale=smoke", "--times=0, 1", "--set=data.train_limit=200",
                       "--set=data.test_limit=100", "--set=train.steps=4", "--set=train.batch=8",
                       "--set=model.encoder_width=0.25", "--set=model.score_channels=4", "--out", out, flag, more});
}

static void every_factor(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("all");
    run_tiny(&o, out, "--methods=drl, untrained", NULL);
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    char *by_time = text_of(out, "smoke-time.md"), *by_code = text_of(out, "smoke-codes.md");
    char *claims = text_of(out, "-claims.md"), *rows = text_of(out, "-rows.csv");
    holds_in_order(by_time, (const char *const[]){"| factor | chance | 0 | 1 |", "| shape | 16.7 |", "| x | 25.0 |",
                                                  "| texture | 25.0 |", NULL});
    holds_in_order(by_code, (const char *const[]){"| factor | chance | 0.25 | 0.75 | untrained encoder |", "| shape |",
                                                  "| texture |", NULL});
    assert_null(strstr(by_time, "–"));
    assert_null(strstr(by_code, "–"));
    holds_in_order(claims, (const char *const[]){"| R3.drl.texture |", "| R3.drl.x |", "| R3.drl.shape |", NULL});
    assert_non_null(strstr(rows, "factor_background_accuracy"));
    free(by_time);
    free(by_code);
    free(claims);
    free(rows);
    free(text_of(out, ".svg"));
    free(text_of(out, ".png"));
    /* what is there is not measured again */
    run_tiny(&o, out, "--methods=drl, untrained", NULL);
    assert_int_equal(o.status, 0);
    assert_int_equal(temporaries(out), 0);
}

/* Rows that came from elsewhere are rows: no model is trained for them. For one time more it is. */
static void imported_rows(void **state) {
    (void)state;
    static outcome o;
    const char *all = in_dir("all"), *out = in_dir("imported");
    char from[600];
    snprintf(from, sizeof from, "--from=%s/tables/detail_factors-synthetic-factors-smoke", all);
    run_tiny(&o, out, "--methods=drl, untrained", from);
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    run_tiny(&o, out, "--methods=drl, untrained", NULL);
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    assert_null(strstr(o.err, "step "));
    assert_string_equal(checkpoint_of(out), "");
    walk_tree(out, "-rows.csv");
    char rows[1024];
    snprintf(rows, sizeof rows, "%s", walk.found);
    walk_tree(all, "-rows.csv");
    assert_true(same_files(rows, walk.found));
    run_tiny(&o, out, "--methods=drl, untrained", "--times=0, 0.5, 1");
    assert_int_equal(o.status, 0);
    assert_string_not_equal(checkpoint_of(out), "");
}

/* Chance is what a probe reaches on labels it knows nothing of; on pixels the background is plain to see. */
static void pixels_know_the_background(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("pixels");
    run_program(&o, (const char *[PROGRAM_ARGS]){"detail_factors", "--scale=smoke", "--methods=pixels", "--out", out});
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    char *table = text_of(out, "smoke-codes.md");
    const char *at = strstr(table, "| background | 16.7 | ");
    assert_non_null(at);
    assert_true(strtod(at + strlen("| background | 16.7 | "), NULL) > 90);
    free(table);
}

static void no_factors(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("none");
    char npz[300], flag[320];
    snprintf(npz, sizeof npz, "%s/images.npz", program_dir);
    run_program(&o,
                (const char *[PROGRAM_ARGS]){"drl", "data", "export", "synthetic:factors", "--size=16", "--out", npz});
    if (o.status != 0) fail_msg("%s", o.err);
    snprintf(flag, sizeof flag, "--dataset=npz:%s", npz);
    run_tiny(&o, out, flag, NULL);
    assert_refusal(&o, "detail_factors", 2, "nothing is known of its images but the class");
}

int main(void) {
    drl_baselines_add();
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_factor), cmocka_unit_test(imported_rows),
                                       cmocka_unit_test(pixels_know_the_background), cmocka_unit_test(no_factors)};
    return cmocka_run_group_tests(tests, program_setup, program_teardown);
}
