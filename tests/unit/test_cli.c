/* The command line every experiment program shares. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drl/cli.h"

#define TEST_OPTIONS(X)                                                                                                \
    X(SIZE, train, steps, "5000", DRL_RANGE(1, 1e6), "optimiser steps")                                                \
    X(ENUM, model, method, "drl", DRL_CHOICES("ae|drl"), "objective")

DRL_CONFIG_STRUCT(test_config, TEST_OPTIONS);
static DRL_CONFIG_TABLE(test_options, test_config, TEST_OPTIONS);

/* Parses "program WORDS", the words separated by blanks; the words stay valid until the next call. */
static drl_status parse(drl_cli *cli, const char *words, drl_err *err) {
    static char text[8192];
    static char program[] = "bin/program";
    char *argv[256] = {program};
    int argc = 1;
    snprintf(text, sizeof text, "%s", words);
    for (char *w = strtok(text, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
    size_t n;
    const drl_option *options = test_options(&n);
    return drl_cli_parse(cli, argc, argv, "Tests.", options, n, err);
}

static void defaults(void **state) {
    (void)state;
    drl_cli c;
    assert_int_equal(parse(&c, "", NULL), DRL_OK);
    assert_int_equal(c.action, DRL_CLI_RUN);
    assert_int_equal(c.scale, DRL_SCALE_DESK);
    assert_string_equal(c.out, "runs");
    assert_string_equal(c.dataset, "");
    assert_string_equal(c.data_dir, "");
    assert_string_equal(c.config, "");
    assert_int_equal(c.seeds, 0);
    assert_int_equal(c.threads, 0);
    assert_true(c.resume && !c.dry_run && !c.quiet);
    assert_int_equal(c.n_sets, 0);
    assert_string_equal(c.program, "program");
}

static void every_flag_both_ways(void **state) {
    (void)state;
    static const char *const lines[] = {
        "--scale full --dataset synthetic:factors --data-dir /d --seeds 3 --threads 2 --out o --config f.ini "
        "--resume no --dry-run --quiet --set train.steps=7 --set model.method=ae",
        "--scale=full --dataset=synthetic:factors --data-dir=/d --seeds=3 --threads=2 --out=o --config=f.ini "
        "--resume=no --dry-run --quiet --set=train.steps=7 --set=model.method=ae",
    };
    for (int i = 0; i < 2; i++) {
        drl_cli c;
        drl_err err = {0};
        if (parse(&c, lines[i], &err) != DRL_OK) fail_msg("%s", err.message);
        assert_int_equal(c.scale, DRL_SCALE_FULL);
        assert_string_equal(drl_scale_name(c.scale), "full");
        assert_string_equal(c.dataset, "synthetic:factors");
        assert_string_equal(c.data_dir, "/d");
        assert_int_equal(c.seeds, 3);
        assert_int_equal(c.threads, 2);
        assert_string_equal(c.out, "o");
        assert_string_equal(c.config, "f.ini");
        assert_true(!c.resume && c.dry_run && c.quiet);
        assert_int_equal(c.n_sets, 2);
        assert_string_equal(c.sets[0], "train.steps=7");
        assert_string_equal(c.sets[1], "model.method=ae");
    }
}

static void the_last_one_counts(void **state) {
    (void)state;
    drl_cli c;
    assert_int_equal(parse(&c, "--seeds 3 --seeds=5 --scale smoke --scale paper", NULL), DRL_OK);
    assert_int_equal(c.seeds, 5);
    assert_int_equal(c.scale, DRL_SCALE_PAPER);
}

static void usage_errors(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"--sead 3", "unknown flag --sead"},
        {"extra", "unknown argument 'extra'"},
        {"-x", "unknown argument '-x'"},
        {"--", "unknown argument '--'"},
        {"--scale", "--scale needs a value: --scale NAME"},
        {"--scale big", "--scale: 'big' is not one of smoke|desk|full|paper"},
        {"--scale=", "is not one of"},
        {"--seeds 3x", "--seeds: '3x' is not a whole number"},
        {"--seeds -1", "--seeds: '-1' is out of range: want 0 to 1000"},
        {"--threads 100000", "--threads: '100000' is out of range: want 0 to 1024"},
        {"--resume maybe", "--resume: 'maybe' is neither yes nor no"},
        {"--dry-run=yes", "--dry-run takes no value"},
        {"--help=yes", "--help takes no value"},
        {"--set", "--set needs a value: --set section.key=value"},
        {"--set train.steps", "--set: 'train.steps': want section.key=value"},
        {"--set train.stepz=3", "--set: unknown key train.stepz; did you mean train.steps?"},
        {"--set train.steps=0", "--set: train.steps: '0' is out of range: want 1 to 1000000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        drl_cli c;
        drl_err err = {0};
        drl_status st = parse(&c, cases[i][0], &err);
        if (st != DRL_ERR_CONFIG || !strstr(err.message, cases[i][1]))
            fail_msg("%s: got status %d, message '%s'", cases[i][0], st, err.message);
        assert_int_equal(drl_exit_status(st), 2);
    }
}

static void too_many_sets(void **state) {
    (void)state;
    char words[8192] = "";
    for (int i = 0; i < DRL_CLI_SETS_MAX; i++) strcat(words, "--set train.steps=1 ");
    drl_cli c;
    assert_int_equal(parse(&c, words, NULL), DRL_OK);
    strcat(words, "--set train.steps=1");
    assert_int_equal(parse(&c, words, NULL), DRL_ERR_CONFIG);
}

static void help_and_version_win(void **state) {
    (void)state;
    drl_cli c;
    assert_int_equal(parse(&c, "--seeds 2 --help --nonsense", NULL), DRL_OK);
    assert_int_equal(c.action, DRL_CLI_HELP);
    assert_int_equal(parse(&c, "--version --help", NULL), DRL_OK);
    assert_int_equal(c.action, DRL_CLI_VERSION);
}

/* What drl_cli_answer and drl_cli_report print, caught through a file in place of the stream. */
static void caught(char *text, size_t size, FILE *stream, int (*print)(const drl_cli *), const drl_cli *cli,
                   int *status) {
    fflush(stream);
    FILE *f = tmpfile();
    int saved = dup(fileno(stream));
    assert_true(f && saved >= 0 && dup2(fileno(f), fileno(stream)) >= 0);
    *status = print(cli);
    fflush(stream);
    dup2(saved, fileno(stream));
    close(saved);
    rewind(f);
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
}

static int report_usage(const drl_cli *cli) {
    drl_err err;
    drl_fail(&err, DRL_ERR_CONFIG, "unknown flag --x");
    return drl_cli_report(cli, &err);
}

static int report_failure(const drl_cli *cli) {
    drl_err err;
    drl_fail(&err, DRL_ERR_IO, "disk full");
    return drl_cli_report(cli, &err);
}

static void what_is_printed(void **state) {
    (void)state;
    static char text[16384];
    int status;
    drl_cli c;
    assert_int_equal(parse(&c, "--help", NULL), DRL_OK);
    caught(text, sizeof text, stdout, drl_cli_answer, &c, &status);
    assert_int_equal(status, 0);
    static const char *const parts[] = {
        "usage: program [flags]\n\nTests.\n",
        "--scale NAME",
        "[desk]",
        "--data-dir DIR",
        "--dry-run",
        "--set section.key=value",
        "--resume yes|no",
        "--version",
        "train.steps = 5000",
        "(ae|drl)",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i])) fail_msg("--help lacks '%s'", parts[i]);
    assert_int_equal(parse(&c, "--version", NULL), DRL_OK);
    caught(text, sizeof text, stdout, drl_cli_answer, &c, &status);
    assert_int_equal(status, 0);
    assert_int_equal(strncmp(text, "program " DRL_VERSION " (", strlen("program " DRL_VERSION " (")), 0);
    caught(text, sizeof text, stderr, report_usage, &c, &status);
    assert_int_equal(status, 2);
    assert_string_equal(text, "program: unknown flag --x; try --help\n");
    caught(text, sizeof text, stderr, report_failure, &c, &status);
    assert_int_equal(status, 1);
    assert_string_equal(text, "program: disk full\n");
}

/* Defaults, then SCALE_DIR/scale.ini or --config, then --set in order. */
static void configuration(void **state) {
    (void)state;
    char dir[] = "/tmp/drl_cli_XXXXXX", desk[64], other[64], words[256];
    assert_non_null(mkdtemp(dir));
    snprintf(desk, sizeof desk, "%s/desk.ini", dir);
    snprintf(other, sizeof other, "%s/other.ini", dir);
    FILE *f = fopen(desk, "w");
    fputs("[train]\nsteps = 11\n", f);
    fclose(f);
    f = fopen(other, "w");
    fputs("[model]\nmethod = ae\n", f);
    fclose(f);
    drl_cli c;
    drl_err err;
    test_config cfg;
    assert_int_equal(parse(&c, "", NULL), DRL_OK);
    assert_int_equal(drl_cli_config(&c, &cfg, dir, NULL), DRL_OK);
    assert_int_equal(cfg.train_steps, 11);
    assert_int_equal(cfg.model_method, 1);
    assert_int_equal(parse(&c, "--set train.steps=12 --set train.steps=13", NULL), DRL_OK);
    assert_int_equal(drl_cli_config(&c, &cfg, dir, NULL), DRL_OK);
    assert_int_equal(cfg.train_steps, 13);
    snprintf(words, sizeof words, "--config %s", other);
    assert_int_equal(parse(&c, words, NULL), DRL_OK);
    assert_int_equal(drl_cli_config(&c, &cfg, dir, NULL), DRL_OK);
    assert_int_equal(cfg.train_steps, 5000);
    assert_int_equal(cfg.model_method, 0);
    assert_int_equal(parse(&c, "--scale smoke", NULL), DRL_OK);
    assert_int_equal(drl_cli_config(&c, &cfg, dir, &err), DRL_ERR_IO);
    assert_non_null(strstr(err.message, "smoke.ini: cannot open"));
    unlink(desk), unlink(other), rmdir(dir);
}

/* A recorded command taken apart is what was given; what was not recorded so is refused. */
static void commands_taken_apart(void **state) {
    (void)state;
    static const char *const values[] = {"plain-._/:=,+@%1", "",   "a b",     "'", "it's", "''", "\\", "'\\''", "x ' y",
                                         "$x `y` \"z\"",     "*?", "\xc3\xbc"};
    enum { VALUES = sizeof values / sizeof *values };
    static drl_cli c;
    static char config[] = "--config";
    char *argv[2 * VALUES + 2] = {(char[]){"bin/program"}}, *words[DRL_CLI_COMMAND_MAX / 2];
    int argc = 1;
    size_t n;
    for (size_t i = 0; i < VALUES; i++) {
        argv[argc++] = config;
        argv[argc++] = (char *)(uintptr_t)values[i];
    }
    argv[argc++] = (char[]){"--threads=2"}; /* is not recorded */
    assert_int_equal(drl_cli_parse(&c, argc, argv, "Tests.", NULL, 0, NULL), DRL_OK);
    assert_int_equal(drl_cli_split(words, &n, c.command, NULL), DRL_OK);
    assert_int_equal(n, argc - 1);
    assert_string_equal(words[0], "build/bin/program");
    for (size_t i = 1; i < n; i++) assert_string_equal(words[i], argv[i]);

    static const char *const damaged[] = {"",       " a",   "a ",  "a  b", "a\tb", "a 'b",  "a 'b\\''", "a b'c'",
                                          "a 'b'c", "a\"b", "a;b", "a $b", "a\\b", "a '''", "a 'b' '",  "'"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        drl_err err = {0};
        snprintf(c.command, sizeof c.command, "%s", damaged[i]);
        if (drl_cli_split(words, &n, c.command, &err) != DRL_ERR_FORMAT) fail_msg("<%s> passed", damaged[i]);
        assert_non_null(strstr(err.message, "word "));
    }
}

/* A command comes back whole or is refused, wherever it was cut off. */
static void commands_cut_off(void **state) {
    (void)state;
    enum { TIMES = 8 };
    static drl_cli c;
    static char value[1024], config[] = "--config";
    char *argv[1 + 2 * TIMES] = {(char[]){"p"}}, *words[DRL_CLI_COMMAND_MAX / 2];
    size_t n, whole = 0, cut = 0;
    for (int quoted = 0; quoted < 2; quoted++)
        for (size_t length = 400; length < 600; length++) {
            memset(value, quoted ? ' ' : 'x', length);
            value[0] = value[length - 1] = 'x', value[length] = '\0';
            for (int i = 0; i < TIMES; i++) argv[1 + 2 * i] = config, argv[2 + 2 * i] = value;
            assert_int_equal(drl_cli_parse(&c, 1 + 2 * TIMES, argv, "Tests.", NULL, 0, NULL), DRL_OK);
            drl_status st = drl_cli_split(words, &n, c.command, NULL);
            assert_true(st == DRL_OK || st == DRL_ERR_LIMIT);
            whole += st == DRL_OK, cut += st != DRL_OK;
            if (st != DRL_OK) continue;
            assert_int_equal(n, 1 + 2 * TIMES);
            for (size_t i = 1; i < n; i++) assert_string_equal(words[i], argv[i]);
        }
    assert_true(whole > 150 && cut > 150);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(every_flag_both_ways),
        cmocka_unit_test(the_last_one_counts),
        cmocka_unit_test(usage_errors),
        cmocka_unit_test(too_many_sets),
        cmocka_unit_test(help_and_version_win),
        cmocka_unit_test(what_is_printed),
        cmocka_unit_test(configuration),
        cmocka_unit_test(commands_taken_apart),
        cmocka_unit_test(commands_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
