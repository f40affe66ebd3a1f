/* The program `drl plot`: figures and tables that were taken away are back, byte for byte, from the store and from
 * exported rows; which program it runs with which words, what it says to what it cannot use, and Ctrl-C. */
#define COMMAND "plot"
#include "drl_command.h"

static const char *runs; /* two results of downstream, on two datasets */

#define STEM  "downstream-synthetic-factors-smoke"
#define OTHER "downstream-synthetic-shapes-grey-smoke"

static int make_runs(void **state) {
    if (program_setup(state) != 0) return -1;
    static const char *const datasets[] = {"synthetic:factors", "synthetic:shapes-grey"};
    runs = strdup(in_dir("runs"));
    for (int i = 0; i < 2; i++) {
        run_program(&o,
                    (const char *const[]){"downstream", "--scale=smoke", "--out", runs, "--methods=untrained,pixels",
                                          "--seeds=1", "--set=data.train_limit=48", "--set=data.test_limit=24",
                                          "--times", "0, 1", "--set=probe.mlp=none", "--dataset", datasets[i], NULL});
        if (o.status != 0) print_error("%s\n", o.err);
        if (o.status != 0) return -1;
    }
    return 0;
}

static int remove_runs(void **state) {
    free((char *)(uintptr_t)runs);
    return program_teardown(state);
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *format, ...) {
    char command[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command) != 0) fail_msg("%s", command);
}

/* A directory of tables, with a store that nobody looks into. */
static const char *make_tables(const char *name) {
    const char *dir = in_dir(name);
    shell("mkdir -p '%s/tables' && : >'%s/results.sqlite'", dir, dir);
    return dir;
}

static void write_table(const char *dir, const char *name, const char *line) {
    char path[1024], text[8192];
    snprintf(path, sizeof path, "%s/tables/%s.md", dir, name);
    int n = snprintf(text, sizeof text, "**a title**\n\n| a | b |\n| --- | ---: |\n| x | 1 |\n\na note\n%s\n", line);
    write_whole(path, text, (size_t)n);
}

/* ---- Tables and figures ------------------------------------------------------------------------------------------ */

/* Every file but the PDFs, which hold the time, and the stores; `less` is left out too. */
static void assert_same_files(const char *a, const char *b, const char *less) {
    shell("diff -rq -x '*.pdf' -x 'results.sqlite*' %s '%s' '%s'", less, a, b);
    shell("cd '%s' && for f in figures/*.pdf; do test -s '%s'/$f || exit 1; done", a, b);
}

static void made_from_the_store(void **state) {
    (void)state;
    static row_text before, after;
    const char *kept = in_dir("kept");
    read_rows(&before, runs, true);
    shell("cp -r '%s' '%s'", runs, kept);
    shell("cd '%s' && rm -r figures claims.csv tables/*.tex tables/" STEM ".csv", runs);
    DONE("downstream", "--out", runs);
    assert_same_files(kept, runs, "");
    assert_int_equal(count(o.out, "figure: "), 2);
    const char *const commands[] = {
        "/tables/" STEM ".md: build/bin/downstream ",  "--times '0, 1'",        "synthetic:factors",
        "/tables/" OTHER ".md: build/bin/downstream ", "synthetic:shapes-grey", NULL};
    holds_in_order(o.err, commands);
    read_rows(&after, runs, true);
    assert_true(before.rows > 0);
    assert_string_equal(before.text, after.text);

    /* what several tables and words ask for is done once */
    shell("cd '%s/tables' && cp " STEM ".md " STEM "-time.md", runs);
    shell("rm -r '%s/figures'", runs);
    DONE("downstream", "--quiet", "downstream", "--out", runs);
    shell("rm '%s/tables/" STEM "-time.md'", runs);
    assert_same_files(kept, runs, "");
    assert_int_equal(count(o.out, "figure: "), 2);
    assert_null(strstr(o.err, "downstream"));
}

/* Runs are numbered anew in another store. A table's rows are those of the longest stem, in whole parts. */
static void made_from_exported_rows(void **state) {
    (void)state;
    const char *from = in_dir("exported"), *less = "-x '*-runs.json' -x '*-rows.csv'";
    shell("mkdir '%s' && cp -r '%s/tables' '%s'", from, runs, from);
    DONE("downstream", "--from", from, "--out", in_dir("one"));
    assert_same_files(runs, in_dir("one"), less);
    /* the tables right in the directory; one with rows of its own, and no command, is told of */
    shell("cd '%s/tables' && cp " STEM ".md " STEM "-time.md && grep -v Command " STEM
          ".md > downstream-levels-smoke.md",
          from);
    shell("cd '%s/tables' && touch " STEM "-ti-rows.csv downstream-synthetic-rows.csv downstream-levels-smoke-rows.csv",
          from);
    shell("mv '%s/tables' '%s'", from, in_dir("bare"));
    DONE("downstream", "--from", in_dir("bare"), "--out", in_dir("two"));
    assert_same_files(runs, in_dir("two"), less);
    assert_int_equal(count(o.out, "figure: "), 2);
    assert_non_null(strstr(o.err, "downstream-levels-smoke.md: left out, it gives no command"));
    assert_int_equal(count(o.err, "left out"), 1);
}

/* ---- Refusals ---------------------------------------------------------------------------------------------------- */

static void usage_is_checked(void **state) {
    (void)state;
    run_program(&o, (const char *const[]){"drl", "plot", NULL});
    assert_refusal(&o, "drl", 2, "plot: the experiment is missing|downstream, semi_supervised, detail_control|compare");
    REFUSED(2, "unknown experiment 'upstream'|downstream, semi_supervised, detail_control|compare", "upstream");
    REFUSED(2, "unknown experiment 'x'", "downstream", "x", "--out", runs);
    REFUSED(2, "unknown flag --wibble", "downstream", "--wibble");
    REFUSED(2, "--out: want a directory", "downstream", "--out=");
    DONE("--help");
    const char *const parts[] = {"usage: drl plot EXPERIMENT", "\n  semi_supervised ", "--out DIR", "--from DIR", NULL};
    holds_in_order(o.out, parts);
}

static void nothing_is_told(void **state) {
    (void)state;
    const char *nowhere = in_dir("nowhere"), *dir = make_tables("bald");
    REFUSED(1, "nowhere/results.sqlite: there is no results store|--from", "downstream", "--out", nowhere);
    REFUSED(1, "there is no table|nowhere/downstream-*.md", "downstream", "--from", nowhere, "--out", nowhere);
    REFUSED(1, "there is no table|runs/tables/compare-*.md", "downstream", "compare", "--out", runs);
    REFUSED(1, "there is no table|bald/tables/downstream-*.md", "downstream", "--out", dir);
    write_table(dir, STEM, "no command");
    write_table(dir, "downstreams-smoke", "Command: `build/bin/downstream`");
    REFUSED(1, "there is no table|bald/tables/downstream-*.md", "downstream", "--out", dir);
    write_table(dir, STEM, "Command: `build/bin/downstream`");
    REFUSED(1, STEM ".md: there are no rows beside it", "downstream", "--from", dir, "--out", nowhere);
    assert_int_not_equal(access(nowhere, F_OK), 0);
}

static void damage_is_told(void **state) {
    (void)state;
    static char endless[4200];
    const char *dir = make_tables("damaged");
    static const char *const lines[][2] = {
        {"Command:", "backquotes"},
        {"Command: ``", "backquotes"},
        {"Command: `build/bin/downstream", "backquotes"},
        {"Command: build/bin/downstream", "backquotes"},
        {"Command: `build/bin/downstream --times '0, 1`", "word 3"},
        {"Command: `build/bin/downstream --times 0,  1`", "word 4"},
        {"Command: `build/bin/downstream; true`", "word 1"},
        {"Command: `build/bin/downstream $(true)`", "word 2"},
        {"Command: `bin/downstream`", "'bin/downstream'|build/bin/downstream"},
        {"Command: `build/bin/compare`", "'build/bin/compare'|build/bin/downstream"},
        {"Command: `build/bin/downstream2`", "downstream2"},
        {"Command: `build/bin/drl-drl-downstream`", "drl-drl-downstream"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        write_table(dir, STEM, lines[i][0]);
        REFUSED(1, STEM ".md: ", "downstream", "--out", dir);
        REFUSED(1, lines[i][1], "downstream", "--out", dir);
    }
    int n = snprintf(endless, sizeof endless, "Command: `build/bin/downstream --config ");
    memset(endless + n, 'x', 4096);
    snprintf(endless + n + 4060, sizeof endless - (size_t)n - 4060, "`");
    write_table(dir, STEM, endless);
    REFUSED(1, STEM ".md: |cut off", "downstream", "--out", dir);
    /* nothing was begun: the good table comes first */
    write_table(dir, "downstream-a-smoke", "Command: `build/bin/downstream`");
    REFUSED(1, STEM ".md: |cut off", "downstream", "--out", dir);
}

/* The first of two commands fails: its own message, ours, and no second. */
static void failure_is_passed_on(void **state) {
    (void)state;
    const char *dir = make_tables("failing"), *out = in_dir("failed");
    char line[1024];
    shell("cp '%s'/tables/* '%s/tables'", runs, dir);
    write_table(dir, STEM, "Command: `build/bin/downstream --scale wibble`");
    DONE("downstream", "--from", runs, "--out", out);
    shell("rm -r '%s/figures'", out);
    run((const char *const[]){"downstream", "--from", dir, "--out", out, "--quiet", NULL});
    assert_int_equal(o.status, 1);
    assert_int_equal(error_lines(o.err, line, sizeof line), 2);
    const char *const parts[] = {"downstream: --scale", "wibble", "drl: plot: ", STEM ".md: ", "exit status 2", NULL};
    holds_in_order(o.err, parts);
    assert_string_equal(o.out, "");
    walk_tree(out, ".svg");
    assert_string_equal(walk.found, "");
    /* no run of these settings is in the store: the program's own answer */
    write_table(dir, STEM, "Command: `build/bin/downstream --scale smoke --seeds 7 --set train.steps=9 --methods ae`");
    run((const char *const[]){"downstream", "--from", dir, "--out", out, "--quiet", NULL});
    assert_int_equal(o.status, 1);
    holds_in_order(o.err, (const char *const[]){"downstream: ", "no run of these settings", "exit status 1", NULL});
}

/* ---- The program it runs ----------------------------------------------------------------------------------------- */

/* drl alone in a directory, beside a script that notes its name and words in the file `log`. */
static const char *make_bin(const char *name) {
    const char *bin = in_dir(name);
    shell("mkdir '%s' && cp '%s/drl' '%s'", bin, DRL_BIN_DIR, bin);
    return bin;
}

static void write_script(const char *bin, const char *name) {
    char path[1024], text[2048];
    snprintf(path, sizeof path, "%s/%s", bin, name);
    int n = snprintf(text, sizeof text,
                     "#!/bin/sh\n{ echo \"${0##*/}\"; for word; do printf '<%%s>\\n' \"$word\"; done; } >>'%s/log'\n"
                     "case \"$*\" in\n*killed*) kill -KILL $$ ;;\n*stopped*) kill -INT $PPID; kill -INT $$ ;;\n"
                     "*polite*) kill -INT $PPID; sleep 0.3; echo ended >>'%s/log' ;;\nesac\n",
                     bin, bin);
    write_whole(path, text, (size_t)n);
    assert_int_equal(chmod(path, 0755), 0);
}

/* BIN/drl plot downstream --out DIR, and what the script noted; to be freed. */
static char *noted(const char *bin, const char *dir, int status) {
    char program[1024], log[1024];
    size_t size;
    snprintf(program, sizeof program, "%s/drl", bin);
    snprintf(log, sizeof log, "%s/log", bin);
    write_whole(log, "", 0);
    run_program(&o, (const char *const[]){program, "plot", "downstream", "--data-dir", "my data", "--out", dir, NULL});
    if (o.status != status) fail_msg("exit status %d: %s", o.status, o.err);
    return read_whole(log, &size);
}

static void right_program_and_words(void **state) {
    (void)state;
    const char *bin = make_bin("bin"), *dir = make_tables("words");
    char want[1024], want_installed[1024];
    write_table(dir, STEM, "Command: `build/bin/downstream --set 'semi.labels=1, 2' --dataset 'folder:it'\\''s' ''`");
    shell("touch '%s/tables/" STEM "-rows.csv'", dir); /* what is stored comes first */
    free(noted(bin, dir, 1));
    assert_refusal(&o, "drl", 1, "there is no program|/bin/downstream|drl-downstream");
    write_script(bin, "downstream");
    char *got = noted(bin, dir, 0);
    snprintf(want, sizeof want,
             "downstream\n<--set>\n<semi.labels=1, 2>\n<--dataset>\n<folder:it's>\n<>\n<--report>\n<--out>\n<%s>\n"
             "<--data-dir>\n<my data>\n",
             dir);
    assert_string_equal(got, want);
    free(got);
    /* as it is installed: another's program of the plain name is left alone */
    write_script(bin, "drl-downstream");
    write_table(dir, STEM, "Command: `build/bin/drl-downstream`");
    got = noted(bin, dir, 0);
    snprintf(want_installed, sizeof want_installed,
             "drl-downstream\n<--report>\n<--out>\n<%s>\n<--data-dir>\n<my data>\n", dir);
    assert_string_equal(got, want_installed);
    free(got);
    shell("echo no program >'%s/drl-downstream'", bin);
    free(noted(bin, dir, 1));
    assert_non_null(strstr(o.err, "drl: plot: "));
    assert_non_null(strstr(o.err, "cannot run "));
}

static void in_the_order_of_names(void **state) {
    (void)state;
    const char *bin = make_bin("order"), *dir = make_tables("ordered");
    write_script(bin, "downstream");
    for (const char *c = "fcahdbeg"; *c; c++) {
        char name[64], line[64];
        snprintf(name, sizeof name, "downstream-%c-smoke", *c);
        snprintf(line, sizeof line, "Command: `build/bin/downstream --config %c`", *c);
        write_table(dir, name, line);
    }
    char *got = noted(bin, dir, 0);
    holds_in_order(got, (const char *const[]){"<a>", "<b>", "<c>", "<d>", "<e>", "<f>", "<g>", "<h>", NULL});
    free(got);
}

/* What an installed drl makes is what was made before, the command below the table included. */
static void same_by_another_name(void **state) {
    (void)state;
    char program[1024];
    const char *bin = make_bin("installed"), *before = in_dir("before");
    snprintf(program, sizeof program, "%s/drl", bin);
    shell("cp '%s/downstream' '%s/drl-downstream' && cp -r '%s' '%s'", DRL_BIN_DIR, bin, runs, before);
    run_program(&o, (const char *const[]){program, "plot", "downstream", "--out", runs, NULL});
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    assert_same_files(before, runs, "");
}

static void signals(void **state) {
    (void)state;
    const char *bin = make_bin("signals"), *dir = make_tables("signalled");
    write_script(bin, "downstream");
    static const char *const cases[][2] = {
        {"killed", "signal 9"}, {"stopped", "interrupted"}, {"polite", "interrupted"}};
    write_table(dir, "downstream-z-smoke", "Command: `build/bin/downstream --config second`");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[128];
        snprintf(line, sizeof line, "Command: `build/bin/downstream --config %s`", cases[i][0]);
        write_table(dir, "downstream-a-smoke", line);
        char *got = noted(bin, dir, 1);
        assert_non_null(strstr(o.err, "downstream-a-smoke.md: "));
        if (!strstr(o.err, cases[i][1])) fail_msg("%s: %s", cases[i][0], o.err);
        assert_null(strstr(got, "second"));
        assert_int_equal(count(got, "ended"), i == 2); /* it was waited for */
        free(got);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_from_the_store),     cmocka_unit_test(made_from_exported_rows),
        cmocka_unit_test(usage_is_checked),        cmocka_unit_test(nothing_is_told),
        cmocka_unit_test(damage_is_told),          cmocka_unit_test(failure_is_passed_on),
        cmocka_unit_test(right_program_and_words), cmocka_unit_test(in_the_order_of_names),
        cmocka_unit_test(same_by_another_name),    cmocka_unit_test(signals),
    };
    return cmocka_run_group_tests(tests, make_runs, remove_runs);
}
