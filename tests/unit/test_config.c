/* Configuration tables and the shared command line's values. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drl/config.h"
#include "drl/mem.h"

#define TEST_OPTIONS(X)                                                                                                \
    X(SIZE, train, steps, "5000", DRL_RANGE(1, 1e6), "optimiser steps")                                                \
    X(REAL, train, rate, "1e-3", DRL_RANGE(0, 1), "learning rate")                                                     \
    X(INT, train, offset, "-3", DRL_ANY, "signed")                                                                     \
    X(ENUM, model, method, "drl", DRL_CHOICES("ae|drl|vdrl"), "objective")                                             \
    X(BOOL, model, mixup, "no", DRL_ANY, "mix images")                                                                 \
    X(STRING, model, name, "", DRL_ANY, "free text")                                                                   \
    X(LIST, probe, times, "0, 0.1, 1", DRL_RANGE(0, 1), "times")

DRL_CONFIG_STRUCT(test_config, TEST_OPTIONS);
static DRL_CONFIG_TABLE(test_options, test_config, TEST_OPTIONS);

static const drl_option *options;
static size_t n_options;
static char path[64];

static int make_file(void **state) {
    (void)state;
    options = test_options(&n_options);
    strcpy(path, "/tmp/drl_config_XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static void write_bytes(const char *bytes, size_t n) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void defaults(void **state) {
    (void)state;
    test_config c;
    memset(&c, 0xff, sizeof c);
    drl_config_defaults(&c, options, n_options);
    assert_int_equal(n_options, 7);
    assert_int_equal(c.train_steps, 5000);
    assert_true(c.train_rate == 1e-3);
    assert_int_equal(c.train_offset, -3);
    assert_int_equal(c.model_method, 1);
    assert_false(c.model_mixup);
    assert_string_equal(c.model_name, "");
    assert_int_equal(c.probe_times.n, 3);
    assert_true(c.probe_times.v[1] == 0.1 && c.probe_times.v[2] == 1);
}

static void assignments(void **state) {
    (void)state;
    static const struct {
        const char *text, *message; /* message NULL: accepted */
    } cases[] = {
        {"train.steps=1", NULL},
        {"train.steps=1000000", NULL},
        {"train.steps=0", "train.steps: '0' is out of range: want 1 to 1000000"},
        {"train.steps=-1", "train.steps: '-1' is out of range: want 1 to 1000000"},
        {"train.steps=99999999999999999999", "out of range"},
        {"train.steps=12x", "'12x' is not a whole number"},
        {"train.steps=", "'' is not a whole number"},
        {"train.steps=1.5", "not a whole number"},
        {"train.offset=-9223372036854775808", NULL},
        {"train.offset=-9223372036854775809", "too large for a number"},
        {"train.rate=0.25", NULL},
        {"train.rate=nan", "'nan' is not a finite number"},
        {"train.rate=inf", "not a finite number"},
        {"train.rate=1e999", "out of range: want 0 to 1"},
        {"train.rate=1.0000001", "out of range: want 0 to 1"},
        {"train.rate=0.1 ", "'0.1 ' is not a number"},
        {"model.method=vdrl", NULL},
        {"model.method=vdr", "'vdr' is not one of ae|drl|vdrl"},
        {"model.method=", "is not one of"},
        {"model.method=ae|drl", "is not one of"},
        {"model.mixup=true", NULL},
        {"model.mixup=maybe", "'maybe' is neither yes nor no"},
        {"model.name=a=b", NULL},
        {"model.name= a", "begins or ends with a blank"},
        {"model.name=a ;b", "contains a ';'"},
        {"model.name=a\nb", "contains a control character"},
        {"probe.times=0,1", NULL},
        {"probe.times=", NULL},
        {"probe.times=0 0.5\t1", NULL},
        {"probe.times=0,,1", "is not a list of numbers"},
        {"probe.times=0,1,", "ends with a comma"},
        {"probe.times=0,2", "'2' is out of range: want 0 to 1"},
        {"probe.times=0,x", "'x' is not a number"},
        {"train.stepz=1", "unknown key train.stepz; did you mean train.steps?"},
        {"trian.rate=1", "did you mean train.rate?"},
        {"train.momentum=1", "unknown key train.momentum; section train has: steps, rate, offset"},
        {"elsewhere.thing=1", "unknown section elsewhere; there are: train, model, probe"},
        {"train.steps", "'train.steps': want section.key=value"},
        {"steps=1", "want section.key=value"},
        {".steps=1", "want section.key=value"},
        {"train.=1", "want section.key=value"},
        {"=", "want section.key=value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_config c, before;
        drl_config_defaults(&c, options, n_options);
        before = c;
        drl_err err = {0};
        drl_status st = drl_config_set(&c, options, n_options, cases[i].text, &err);
        if (!cases[i].message) {
            if (st != DRL_OK) fail_msg("%s: %s", cases[i].text, err.message);
            continue;
        }
        if (st != DRL_ERR_CONFIG || !strstr(err.message, cases[i].message))
            fail_msg("%s: got status %d, message '%s'", cases[i].text, st, err.message);
        assert_memory_equal(&c, &before, sizeof c);
    }
}

static void assigned_values(void **state) {
    (void)state;
    test_config c;
    drl_config_defaults(&c, options, n_options);
    assert_int_equal(drl_config_set(&c, options, n_options, "model.method=vdrl", NULL), DRL_OK);
    assert_int_equal(c.model_method, 2);
    assert_int_equal(drl_config_set(&c, options, n_options, "model.mixup=on", NULL), DRL_OK);
    assert_true(c.model_mixup);
    assert_int_equal(drl_config_set(&c, options, n_options, "model.name=a=b", NULL), DRL_OK);
    assert_string_equal(c.model_name, "a=b");
    assert_int_equal(drl_config_set(&c, options, n_options, "probe.times=0.25 , 0.5", NULL), DRL_OK);
    assert_int_equal(c.probe_times.n, 2);
    assert_true(c.probe_times.v[0] == 0.25 && c.probe_times.v[1] == 0.5);
    assert_int_equal(drl_config_set(NULL, options, n_options, "train.steps=7", NULL), DRL_OK);
    assert_int_equal(c.train_steps, 5000);
}

/* One character less than the field fits, the terminator's place does not; 32 numbers fit a list, 33 do not. */
static void bounds(void **state) {
    (void)state;
    test_config c;
    drl_config_defaults(&c, options, n_options);
    char text[DRL_STRING_MAX + 64] = "model.name=";
    memset(text + 11, 'a', DRL_STRING_MAX - 1);
    assert_int_equal(drl_config_set(&c, options, n_options, text, NULL), DRL_OK);
    assert_int_equal(strlen(c.model_name), DRL_STRING_MAX - 1);
    text[11 + DRL_STRING_MAX - 1] = 'a';
    drl_err err;
    assert_int_equal(drl_config_set(&c, options, n_options, text, &err), DRL_ERR_CONFIG);
    assert_non_null(strstr(err.message, "1024 characters: at most 1023 fit"));
    strcpy(text, "probe.times=");
    for (int i = 0; i < DRL_LIST_MAX; i++) strcat(text, "1 ");
    assert_int_equal(drl_config_set(&c, options, n_options, text, NULL), DRL_OK);
    assert_int_equal(c.probe_times.n, DRL_LIST_MAX);
    strcat(text, "1");
    assert_int_equal(drl_config_set(&c, options, n_options, text, &err), DRL_ERR_CONFIG);
    assert_non_null(strstr(err.message, "more than 32 numbers"));
}

static void files(void **state) {
    (void)state;
    static const struct {
        const char *text, *message; /* message follows the path */
    } cases[] = {
        {"# c\n[train]\nsteps = 12 ; c\n\n[model]\nname = two words\n", NULL},
        {"[train]\nsteps = 12", NULL},
        {"", NULL},
        {"[train]\nsteps = 0\n", ":2: train.steps: '0' is out of range: want 1 to 1000000"},
        {"[train]\n\nstepz = 1\n", ":3: unknown key train.stepz; did you mean train.steps?"},
        {"steps = 1\n", ":1: unknown section (none); there are: train, model, probe"},
        {"[train]\nsteps = 1\nsteps = 2\n", ":3: train.steps was set in line 2 already"},
        {"[train]\nsteps = 1\n  rate = 2\n", ":3: train.steps was set in line 2 already"},
        {"[train]\nsteps\n", ":2: neither [section] nor key = value"},
        {"[train\nsteps = 1\n", ":1: neither [section] nor key = value"},
        {"[train]\nsteps = \n", ":2: train.steps: '' is not a whole number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_bytes(cases[i].text, strlen(cases[i].text));
        test_config c, before;
        drl_config_defaults(&c, options, n_options);
        before = c;
        drl_err err = {0};
        drl_status st = drl_config_read(&c, options, n_options, path, &err);
        if (!cases[i].message) {
            if (st != DRL_OK) fail_msg("case %zu: %s", i, err.message);
            if (cases[i].text[0]) assert_int_equal(c.train_steps, 12);
            continue;
        }
        if (st != DRL_ERR_CONFIG || strncmp(err.message, path, strlen(path)) != 0 ||
            strcmp(err.message + strlen(path), cases[i].message) != 0)
            fail_msg("case %zu: got status %d, message '%s'", i, st, err.message);
        assert_memory_equal(&c, &before, sizeof c);
    }
}

static void hostile_files(void **state) {
    (void)state;
    test_config c;
    drl_err err;
    drl_config_defaults(&c, options, n_options);
    char text[4096] = "[model]\nname = ";
    memset(text + 15, 'a', 3000);
    write_bytes(text, 3015);
    assert_int_equal(drl_config_read(&c, options, n_options, path, &err), DRL_ERR_CONFIG);
    assert_non_null(strstr(err.message, ":2: longer than"));
    write_bytes("[train]\nsteps = 5\0\n", 19);
    assert_int_equal(drl_config_read(&c, options, n_options, path, &err), DRL_ERR_CONFIG);
    assert_non_null(strstr(err.message, ":2: not text"));
    assert_int_equal(drl_config_read(&c, options, n_options, "/no/such.ini", &err), DRL_ERR_IO);
    assert_string_equal(err.message, "/no/such.ini: cannot open: No such file or directory");
    assert_int_equal(drl_config_read(&c, options, n_options, "/", &err), DRL_ERR_IO);
    assert_int_equal(c.train_steps, 5000);
}

/* What is written reads back as the same struct, whatever was in the file's place before. */
static void round_trip(void **state) {
    (void)state;
    test_config a, b;
    drl_config_defaults(&a, options, n_options);
    a.train_rate = 0.1 + 0.2;
    a.train_offset = INT64_MIN;
    a.model_method = 0;
    a.model_mixup = true;
    strcpy(a.model_name, "x = [1] #2");
    a.probe_times = (drl_list){3, {1.0 / 3, 1e-20, 1}};
    char *text, *again;
    assert_int_equal(drl_config_text(&text, &a, options, n_options, NULL), DRL_OK);
    assert_string_equal(text, "[train]\nsteps = 5000\nrate = 0.30000000000000004\noffset = -9223372036854775808\n"
                              "[model]\nmethod = ae\nmixup = yes\nname = x = [1] #2\n"
                              "[probe]\ntimes = 0.3333333333333333, 1e-20, 1\n");
    write_bytes(text, strlen(text));
    drl_config_defaults(&b, options, n_options);
    drl_err err = {0};
    if (drl_config_read(&b, options, n_options, path, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_int_equal(drl_config_text(&again, &b, options, n_options, NULL), DRL_OK);
    assert_string_equal(text, again);
    assert_memory_equal(&a, &b, sizeof a);
    drl_config_defaults(&b, options, n_options);
    assert_int_equal(drl_config_parse(&b, options, n_options, text, NULL), DRL_OK);
    assert_memory_equal(&a, &b, sizeof a);
    drl_free(text);
    drl_free(again);
}

/* From memory lines may be of any length. */
static void texts_are_parsed(void **state) {
    (void)state;
    test_config a, b;
    char *text;
    drl_config_defaults(&a, options, n_options);
    memset(a.model_name, 'x', sizeof a.model_name - 1);
    memcpy(a.model_name + 100, " = [no] # x ", 12);
    assert_int_equal(drl_config_text(&text, &a, options, n_options, NULL), DRL_OK);
    drl_config_defaults(&b, options, n_options);
    drl_err err;
    if (drl_config_parse(&b, options, n_options, text, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_memory_equal(&a, &b, sizeof a);
    drl_free(text);

    static const char *const bad[][2] = {
        {"[train]\nsteps = 7\nrate = 2\n", "line 3: train.rate: "},
        {"[train]\nstepz = 7\n", "line 2: unknown key train.stepz; did you mean train.steps?"},
        {"steps = 7\n", "line 1: unknown section (none); there are: "},
        {"[train]\nsteps=7\n", "line 2: neither [section] nor key = value"},
        {"[train]\n\nsteps = 7\n", "line 2: neither"},
        {"[]\n", "line 1: neither"},
        {"[train]\n = 7\n", "line 2: neither"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        test_config before = b;
        assert_int_equal(drl_config_parse(&b, options, n_options, bad[i][0], &err), DRL_ERR_CONFIG);
        if (strncmp(err.message, bad[i][1], strlen(bad[i][1])) != 0) fail_msg("%zu: %s", i, err.message);
        assert_memory_equal(&b, &before, sizeof b);
    }
}

static void numbers(void **state) {
    (void)state;
    char buf[32];
    assert_string_equal(drl_format_number(buf, 0.1), "0.1");
    assert_string_equal(drl_format_number(buf, 1e-3), "0.001");
    assert_string_equal(drl_format_number(buf, 100), "100");
    assert_string_equal(drl_format_number(buf, 5e-324), "5e-324");
    for (int i = 0; i < 1000; i++) {
        double v = exp(i - 500.0) / 3;
        assert_true(strtod(drl_format_number(buf, v), NULL) == v);
    }
}

static void help(void **state) {
    (void)state;
    char text[4096] = "";
    FILE *f = fmemopen(text, sizeof text, "w");
    drl_config_help(f, options, n_options);
    fclose(f);
    assert_non_null(strstr(text, "  train.steps = 5000                 optimiser steps (1 to 1000000)\n"));
    assert_non_null(strstr(text, "model.method = drl"));
    assert_non_null(strstr(text, "objective (ae|drl|vdrl)\n"));
    assert_non_null(strstr(text, "signed\n"));
    const drl_option list = {"probe", "times", DRL_OPTION_LIST, 0, 0, "0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6", DRL_ANY,
                             NULL,    "h"};
    f = fmemopen(text, sizeof text, "w");
    drl_config_help(f, &list, 1);
    fclose(f);
    assert_string_equal(text,
                        "  probe.times = 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6\n                                     h\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),        cmocka_unit_test(assignments),
        cmocka_unit_test(assigned_values), cmocka_unit_test(bounds),
        cmocka_unit_test(files),           cmocka_unit_test(hostile_files),
        cmocka_unit_test(round_trip),      cmocka_unit_test(texts_are_parsed),
        cmocka_unit_test(numbers),         cmocka_unit_test(help),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
