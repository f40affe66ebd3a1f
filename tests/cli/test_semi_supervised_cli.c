/* The program `semi_supervised`: table, claims and figure; labels from files; restarts; refusals. */
#include "program.h"

#include "baselines.h"

static void run_tiny(outcome *o, const char *out, const char *a, const char *b) {
    run_program(o, (const char *[PROGRAM_ARGS]){
                       "semi_supervised", "--scale=smoke", "--set=data.train_limit=120", "--set=data.test_limit=60",
                       "--set=train.steps=3", "--set=train.batch=8", "--set=model.encoder_width=0.25",
                       "--set=model.score_channels=4", "--set=semi.steps=4", "--set=semi.epoch_steps=2",
                       "--set=semi.supervised_steps=3", "--set=semi.neighbours=10", "--out", out, a, b});
}

static void succeed(outcome *o, const char *out, const char *a, const char *b) {
    run_tiny(o, out, a, b);
    if (o->status != 0) fail_msg("exit status %d: %s", o->status, o->err);
}

/* Every pretraining, with and without mixup, under every number of labels. */
static void everything_there(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("all");
    succeed(&o, out, NULL, NULL);
    char *table = text_of(out, "smoke.md"), *claims = text_of(out, "-claims.md"), *rows = text_of(out, "-rows.csv");
    holds_in_order(table, (const char *const[]){"| pretraining | then | 12 labels | 24 labels |",
                                                "| none | propagation over frozen codes | ",
                                                "| none | labelled images alone | ", "| none | LaplaceNet | ",
                                                "| DRL, plain | propagation over frozen codes, t = 0.5 | ",
                                                "| DRL, mixup | LaplaceNet | ", "| VDRL, plain | ", "| VDRL, mixup | ",
                                                "| AE | LaplaceNet | ", "2 split(s)", "4 steps of 16 images", NULL});
    assert_null(strstr(table, "–"));
    assert_non_null(strstr(table, " | **")); /* the best of a column */
    holds_in_order(claims, (const char *const[]){"| R2.drl.12 |", "| paper | laplacenet/12 |", "| R2.drl.24 |",
                                                 "| R2.drl.mixup.24 |", "| R2.vdrl.mixup.24 |", "| R2.ae.12 |",
                                                 "| own |", NULL});
    assert_non_null(strstr(rows, ",pseudo/24,2,")); /* two epochs of two steps */
    assert_null(strstr(rows, ",pseudo/24,3,"));
    free(table);
    free(claims);
    free(text_of(out, ".svg"));
    free(text_of(out, ".png"));
    /* what is there is not made again: no model is even opened */
    succeed(&o, out, NULL, NULL);
    assert_null(strstr(o.err, "steps, loss"));
    assert_null(strstr(o.err, "continued from"));
    char *again = text_of(out, "-rows.csv");
    assert_string_equal(rows, again);
    free(again);
    free(rows);
    assert_int_equal(temporaries(out), 0);
    /* of the labels asked for alone, whatever else the store has */
    succeed(&o, out, "--set=semi.labels=24", "--report");
    table = text_of(out, "smoke.md"), claims = text_of(out, "-claims.md");
    assert_null(strstr(table, "12 labels"));
    assert_null(strstr(claims, "R2.drl.12"));
    assert_non_null(strstr(claims, "R2.drl.24"));
    free(table);
    free(claims);
}

/* The rows are the same by one thread. */
static void any_threads(void **state) {
    (void)state;
    static outcome o;
    char *rows[2];
    for (int k = 0; k < 2; k++) {
        const char *out = in_dir(k ? "two" : "one");
        succeed(&o, out, "--methods=untrained,drl", k ? "--threads=2" : "--threads=1");
        rows[k] = text_of(out, "-rows.csv");
    }
    assert_string_equal(rows[0], rows[1]);
    free(rows[0]);
    free(rows[1]);
}

static const char *list_of(const char *name, const char *text) {
    const char *path = in_dir(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

/* A file is one split of its number of labels; other labels in it are another result. */
static void labels_from_a_file(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("file");
    char text[400] = "", flag[600];
    size_t used = 0;
    for (int i = 0; i < 40; i++) used += (size_t)snprintf(text + used, sizeof text - used, "%d\n", i);
    snprintf(flag, sizeof flag, "--set=semi.label_files=%s", list_of("labels.txt", text));
    succeed(&o, out, flag, "--methods=untrained");
    char *table = text_of(out, "smoke.md");
    holds_in_order(table, (const char *const[]){"| 40 labels |", "| none | LaplaceNet |", NULL});
    free(table);
    succeed(&o, out, flag, "--methods=untrained");
    assert_null(strstr(o.err, "steps, loss"));
    used = 0;
    for (int i = 1; i < 41; i++) used += (size_t)snprintf(text + used, sizeof text - used, "%d\n", i);
    list_of("labels.txt", text);
    succeed(&o, out, flag, "--methods=untrained");
    assert_non_null(strstr(o.err, "steps, loss"));
}

static void refusals(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("refused");
    char flag[600];
    const struct {
        const char *set, *why;
        int status;
    } cases[] = {
        {"--methods=supervised", "has seen the labels", 2},
        {"--methods=pixels", "trains no encoder", 2},
        {"--set=semi.labels=13", "want as many of each of the 6 classes", 2},
        {"--set=semi.labels=", "at least one number", 2},
        {"--set=semi.neighbours=120", "neighbours", 2},
        {"--set=semi.labelled=16", "leaves no room", 2},
        {"--set=semi.label_files=/nonexistent", "/nonexistent", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run_tiny(&o, out, cases[i].set, "--set=train.steps=1");
        assert_refusal(&o, "semi_supervised", cases[i].status, cases[i].why);
    }
    snprintf(flag, sizeof flag, "--set=semi.label_files=%s", list_of("bad.txt", "1\n2\n1\n"));
    run_tiny(&o, out, flag, "--methods=untrained");
    assert_refusal(&o, "semi_supervised", 1, "bad.txt");
    snprintf(flag, sizeof flag, "--set=semi.label_files=%s", list_of("few.txt", "1\n"));
    run_tiny(&o, out, flag, "--methods=untrained");
    assert_refusal(&o, "semi_supervised", 1, "few.txt");
}

static void plan(void **state) {
    (void)state;
    static outcome o;
    run_tiny(&o, in_dir("plan"), "--dry-run", "--methods=untrained,drl");
    assert_int_equal(o.status, 0);
    holds_in_order(o.out, (const char *const[]){"LaplaceNet: ", "a step", "epochs a split", "models to train: 2",
                                                "together about", NULL});
}

int main(void) {
    drl_baselines_add();
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_there), cmocka_unit_test(any_threads),
                                       cmocka_unit_test(labels_from_a_file), cmocka_unit_test(refusals),
                                       cmocka_unit_test(plan)};
    return cmocka_run_group_tests(tests, program_setup, program_teardown);
}
