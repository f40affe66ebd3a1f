/* The program `compare`: all methods through the whole path on tiny models, what its tables say, budgets of equal time,
 * and methods that cannot be compared. */
#include "program.h"

#include "baselines.h"

/* Runs a program with --scale smoke --out OUT on small data with up to eight more arguments. */
static void run_tiny(outcome *o, const char *program, const char *out, const char *const *extra) {
    const char *argv[24] = {program,
                            "--scale=smoke",
                            "--seeds=1",
                            "--times=0, 1",
                            "--set=data.train_limit=200",
                            "--set=data.test_limit=100",
                            "--set=train.steps=4",
                            "--set=train.batch=8",
                            "--set=model.encoder_width=0.25",
                            "--set=model.score_channels=4",
                            "--set=probe.mlp=none",
                            "--out",
                            out};
    for (int n = 13; *extra; extra++) argv[n++] = *extra;
    run_program(o, argv);
}

/* Every method known that learns a code, and the rows of the table in the order asked for. */
static void every_method_is_compared(void **state) {
    (void)state;
    static outcome o;
    char methods[512] = "--methods=";
    for (size_t i = 0; drl_method_at(i); i++)
        if (drl_method_at(i)->encoder)
            snprintf(methods + strlen(methods), sizeof methods - strlen(methods), "%s,", drl_method_at(i)->name);
    const char *out = in_dir("all");
    run_tiny(&o, "compare", out, (const char *const[]){methods, NULL});
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    char *table = text_of(out, "factors-smoke.md"), *at = table, title[64];
    for (size_t i = 0; drl_method_at(i); i++) {
        if (!drl_method_at(i)->encoder) continue;
        snprintf(title, sizeof title, "\n| %s |", drl_method_at(i)->title);
        if (!(at = strstr(at, title))) fail_msg("no row, or not in its place: %s\n%s", title, table);
    }
    assert_non_null(strstr(table, "the same number of training images for all (4 steps)"));
    free(table);

    char *bounds = text_of(out, "-bounds.md");
    assert_non_null(strstr(bounds, "| supervised encoder above VDRL |"));
    assert_non_null(strstr(bounds, "| BYOL above untrained encoder |"));
    assert_non_null(strstr(bounds, "| AE: error of reconstruction at most a fifth of the mean image's |"));
    assert_non_null(strstr(bounds, "| SimCLR: uniformity falls in training |"));
    assert_null(strstr(bounds, "raw pixels above"));
    free(bounds);
    static const char *const others[] = {".svg", ".png", "-rows.csv", "-runs.json"};
    for (int i = 0; i < 4; i++) free(text_of(out, others[i]));
    assert_int_equal(temporaries(out), 0);
}

/* A second program with other methods uses what the first has trained and measured. */
static void programs_share_models_and_rows(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("shared");
    run_tiny(&o, "compare", out, (const char *const[]){"--methods=ddae,ae", NULL});
    assert_int_equal(o.status, 0);
    assert_non_null(strstr(o.err, "4 of 4 steps"));
    run_tiny(&o, "downstream", out, (const char *const[]){"--methods=ae, ddae", NULL});
    if (o.status != 0) fail_msg("%s", o.err);
    assert_null(strstr(o.err, "4 of 4 steps, "));
    assert_null(strstr(o.err, "encoded and probed"));

    /* no claim is about these two; with DRL some are, of which smoke scale says nothing */
    char *claims = text_of(out, "/claims.csv");
    assert_null(strstr(claims, "R1."));
    free(claims);
    run_tiny(&o, "downstream", out, (const char *const[]){"--methods=ae, drl", "--times=0, 0.5, 1", NULL});
    if (o.status != 0) fail_msg("%s", o.err);
    claims = text_of(out, "/claims.csv");
    assert_non_null(strstr(claims, "\"R1.drl.ae\",\"synthetic:factors\",\"smoke\",\"Linear probe\""));
    assert_non_null(strstr(claims, "\"R1.peak.drl\""));
    assert_non_null(strstr(claims, "\"none at this scale\""));
    assert_null(strstr(claims, "R1.vdrl.ae"));
    free(claims);
}

/* With a budget of time the cheaper method makes more steps; how many is measured once. */
static void equal_time(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("time");
    size_t steps[2];
    for (int again = 0; again < 2; again++) {
        run_tiny(&o, "compare", out,
                 (const char *const[]){"--budget=time", "--methods=drl, supervised", "--set=train.steps=20", NULL});
        if (o.status != 0) fail_msg("%s", o.err);
        const char *at = strstr(o.err, "budget: supervised encoder trains ");
        assert_non_null(at);
        steps[again] = strtoul(at + strlen("budget: supervised encoder trains "), NULL, 10);
    }
    assert_true(steps[0] > 20);
    assert_int_equal(steps[0], steps[1]);
    assert_null(strstr(o.err, "encoded and probed"));
    run_tiny(
        &o, "compare", out,
        (const char *const[]){"--budget=time", "--methods=drl, supervised", "--set=train.steps=20", "--report", NULL});
    if (o.status != 0) fail_msg("%s", o.err);
    run_tiny(&o, "compare", in_dir("unmeasured"),
             (const char *const[]){"--budget=time", "--methods=drl, supervised", "--report", NULL});
    assert_refusal(&o, "compare", 1, "how many steps of supervised encoder take as long");
    char *table = text_of(out, "factors-smoke.md"), images[32];
    assert_non_null(strstr(table, "as long as the first method"));
    snprintf(images, sizeof images, "| %zu |", steps[0] * 8);
    assert_non_null(strstr(table, images));
    free(table);
}

/* Each method under each variant that has a key of its own there, and once where none has. */
static void variants_are_arms(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("variants");
    run_tiny(&o, "compare", out,
             (const char *const[]){"--methods=drl, ae",
                                   "--variants=plain VE: diffusion.sde=ve | VP: diffusion.sde=vp diffusion.gamma=0",
                                   NULL});
    if (o.status != 0) fail_msg("%s", o.err);
    char *table = text_of(out, "factors-smoke.md");
    const char *ve = strstr(table, "| DRL, plain VE |"), *vp = strstr(table, "| DRL, VP |"),
               *ae = strstr(table, "| AE |");
    assert_true(ve && vp && ae && ve < vp && vp < ae);
    assert_non_null(strstr(
        table, "Variants of these settings: plain VE: diffusion.sde=ve \\| VP: diffusion.sde=vp diffusion.gamma=0."));
    free(table);
    assert_non_null(strstr(o.err, "drl plain VE seed 1: probing"));
    assert_non_null(strstr(o.err, "drl VP seed 1: probing"));
    /* the first is the model of the plain configuration */
    run_tiny(&o, "compare", out, (const char *const[]){"--methods=drl", NULL});
    assert_int_equal(o.status, 0);
    assert_null(strstr(o.err, "4 of 4 steps, "));
    assert_null(strstr(o.err, "encoded and probed"));
}

/* A level of detail is a Gaussian density of t: the same model as by its keys, in a flag and in a variant. */
static void detail_is_a_density(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("detail");
    run_tiny(&o, "compare", out,
             (const char *const[]){"--methods=drl, ae", "--set=diffusion.t_density=gaussian",
                                   "--set=diffusion.t_mean=0.75", "--set=diffusion.t_std=0.1", NULL});
    if (o.status != 0) fail_msg("%s", o.err);
    for (int as_variant = 0; as_variant < 2; as_variant++) {
        run_tiny(&o, "compare", out,
                 (const char *const[]){"--methods=drl, ae",
                                       as_variant ? "--variants=coarse: eval.detail=0.25" : "--detail=0.25", NULL});
        if (o.status != 0) fail_msg("%s", o.err);
        assert_null(strstr(o.err, "4 of 4 steps, "));
        assert_null(strstr(o.err, "encoded and probed"));
        assert_true(!as_variant || strstr(o.err, "drl coarse seed 1: all rows are there"));
    }
    run_tiny(&o, "compare", out, (const char *const[]){"--methods=drl, ae", "--detail=0.5", NULL});
    assert_int_equal(o.status, 0);
    const char *trained = strstr(o.err, "4 of 4 steps, ");
    assert_true(trained && !strstr(trained + 1, "4 of 4 steps, ")); /* drl alone */
}

static void what_cannot_be_compared_is_told(void **state) {
    (void)state;
    static outcome o;
    static const char *const cases[][2] = {
        {"--methods=drl,simclrr", "'simclrr' is unknown|simclr-gauss|vicreg"},
        {"--variants=VP", "'VP': want NAME: SECTION.KEY=VALUE"},
        {"--variants=VP:", "VP sets nothing"},
        {"--variants=VP: diffusion.sde=pv", "eval.variants: VP|diffusion.sde"},
        {"--variants=VP: eval.seeds=3", "eval.seeds=3 is the same for all arms"},
        {"--variants=VP: diffusion.sde=vp | VP: diffusion.sde=ve", "VP is named twice"},
        {"--variants=VP: model.encoder_depth=11", "model.encoder_depth = 11"},
        {"--methods=dsm", "dsm learns no code"},
        {"--methods=drl,ae,drl", "drl is named twice"},
        {"--set=ddae.layer=60", "ddae.layer = 60"},
        {"--set=ae.decoder_width=3", "ae.decoder_width|out of range"},
        {"--set=vae.decoder_width=6", "vae.decoder_width = 6|multiple of 4"},
        {"--set=train.batch=1", "train.batch = 1|simclr"},
        {"--set=simclr.temperature=0", "simclr.temperature"},
        {"--set=byol.momentum=2", "byol.momentum"},
        {"--set=simclr.temperatur=1", "did you mean simclr.temperature?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *out = in_dir("none");
        run_tiny(&o, "compare", out, (const char *const[]){cases[i][0], NULL});
        assert_refusal(&o, "compare", 2, cases[i][1]);
        assert_int_not_equal(access(out, F_OK), 0);
    }
}

int main(void) {
    drl_baselines_add();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_is_compared),
        cmocka_unit_test(programs_share_models_and_rows),
        cmocka_unit_test(equal_time),
        cmocka_unit_test(variants_are_arms),
        cmocka_unit_test(detail_is_a_density),
        cmocka_unit_test(what_cannot_be_compared_is_told),
    };
    return cmocka_run_group_tests(tests, program_setup, program_teardown);
}
