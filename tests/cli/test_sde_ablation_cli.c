/* The program `sde_ablation`: every method in every process on tiny models, what its table, claims and figure hold. */
#include "program.h"

#include "baselines.h"

static void run_tiny(outcome *o, const char *out, const char *methods) {
    run_program(o, (const char *[PROGRAM_ARGS]){"sde_ablation", "--scale=smoke", "--times=0, 1",
                                                "--set=data.train_limit=200", "--set=data.test_limit=100",
                                                "--set=train.steps=4", "--set=train.batch=8",
                                                "--set=model.encoder_width=0.25", "--set=model.score_channels=4",
                                                "--set=probe.mlp=none", "--out", out, methods});
}

static void every_process(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("all");
    run_tiny(&o, out, "--methods=drl, vdrl, ae, untrained");
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    char *table = text_of(out, "factors-smoke.md"), *claims = text_of(out, "-claims.md"), *data = text_of(out, ".dat");
    holds_in_order(table,
                   (const char *const[]){"| DRL, VE |", "| DRL, VP |", "| DRL, sub-VP |", "| VDRL, VE |",
                                         "| VDRL, VP |", "| VDRL, sub-VP |", "| AE | – | – | – |",
                                         "| untrained encoder |", "No test is made with fewer than 3 seeds.", NULL});
    holds_in_order(claims, (const char *const[]){"| source | by | effect (points) | n | d\\_z | p (Holm) | verdict |",
                                                 "| R4.drl.VE.ae |", "| R4.drl.VE.untrained |", "| R4.drl.VP.ae |",
                                                 "| paper | Linear probe |", "| R4.drl.sub-VP.ae |", "| own |",
                                                 "| R4.vdrl.VP.ae |", "| R4.vdrl.sub-VP.untrained |", NULL});
    assert_non_null(strstr(table, " **")); /* the best of a column */
    char *csv = text_of(out, "factors-smoke.csv");
    assert_non_null(strstr(csv, "\nAE,,,,,"));
    assert_null(strstr(csv, "*"));
    free(csv);
    /* log10 m^2/s^2 at t = 0 and 1: of VE 4 and -2 log10 50; of VP at 1e-5 and 1, with m^2 = exp(-10.05) */
    holds_in_order(data, (const char *const[]){"\"DRL\" \"VE\"", "\"VDRL\" \"sub-VP\"", "\n3.99",
                                               "\"DRL, by noise\" \"VE\"", "\n-3.3979", "\n5.99", "\n-4.364", NULL});
    free(table);
    free(claims);
    free(data);
    free(text_of(out, ".svg"));
    free(text_of(out, ".png"));
    assert_int_equal(temporaries(out), 0);
}

static void nothing_along_a_trajectory(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("none");
    run_tiny(&o, out, "--methods=ae, untrained");
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    assert_non_null(strstr(o.out, "figure: none, no code of these methods depends on t"));
}

int main(void) {
    drl_baselines_add();
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_process), cmocka_unit_test(nothing_along_a_trajectory)};
    return cmocka_run_group_tests(tests, program_setup, program_teardown);
}
