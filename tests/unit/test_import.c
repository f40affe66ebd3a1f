/* Exported rows go back into a store as they came out of one; files that are damaged leave it as it was. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drl/file.h"
#include "drl/runs.h"

static char dir[] = "/tmp/drl_import_XXXXXX";

static int make_directory(void **state) {
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_directory(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static drl_store *open_store(const char *name) {
    char path[96];
    drl_store *s = NULL;
    drl_err err = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (drl_store_open(&s, path, &err) != DRL_OK) fail_msg("%s", err.message);
    return s;
}

static drl_run_info info_of(const char *method, uint64_t seed) {
    return (drl_run_info){"downstream", method, "fashion-mnist", "desk", "[train]\nsteps = 1\n", "c0ffee", "abc",
                          seed,         false};
}

static int64_t open_run(drl_store *s, const char *method, uint64_t seed) {
    drl_run_info info = info_of(method, seed);
    int64_t id = 0;
    assert_int_equal(drl_store_run(s, &id, &info, NULL), DRL_OK);
    return id;
}

/* Rows whose numbers need all their digits, and whose details need quotes. */
static void fill(drl_store *s, const int64_t run[2]) {
    assert_int_equal(drl_store_put(s, run[0], "accuracy", 0.1, 1.0 / 3, "k = 20, cosine", NULL), DRL_OK);
    assert_int_equal(drl_store_put(s, run[0], "accuracy", NAN, -1e-300, "says \"no\", twice", NULL), DRL_OK);
    assert_int_equal(drl_store_put(s, run[1], "accuracy", 2.0 / 3, 12345678.9, "", NULL), DRL_OK);
}

static char *text_of(const char *stem, const char *suffix) {
    char path[128];
    snprintf(path, sizeof path, "%s%s", stem, suffix);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = calloc(1, 1 << 16);
    assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
    fclose(f);
    return text;
}

static const char *stem_of(const char *name) {
    static char stem[96];
    snprintf(stem, sizeof stem, "%s/%s", dir, name);
    return stem;
}

static void there_and_back(void **state) {
    (void)state;
    char first[96], second[96];
    drl_store *a = open_store("a"), *b = open_store("b");
    const int64_t run[] = {open_run(a, "drl", 1), open_run(a, "vdrl", 2)};
    drl_err err = {0};
    fill(a, run);
    for (int k = 0; k < 3; k++) { /* two processes worked on the first run, one on the second */
        assert_int_equal(drl_store_begin(a, run[k / 2], 2, &err), DRL_OK);
        assert_int_equal(drl_store_put(a, run[k / 2], "seconds", NAN, k, "", &err), DRL_OK);
        drl_store_finish(a, k ? DRL_OK : DRL_ERR_INTERRUPTED, &err);
    }
    snprintf(first, sizeof first, "%s", stem_of("first"));
    snprintf(second, sizeof second, "%s", stem_of("second"));
    assert_int_equal(drl_store_export(a, run, 2, first, NULL), DRL_OK);
    if (drl_store_import(b, first, &err) != DRL_OK) fail_msg("%s", err.message);
    /* found by what identifies it, and exported to the same bytes, provenance, sessions and dates included */
    int64_t found[2];
    for (int k = 0; k < 2; k++) {
        drl_run_info info = info_of(k ? "vdrl" : "drl", k ? 2 : 1);
        assert_int_equal(drl_store_find_run(b, &found[k], &info, NULL), DRL_OK);
        assert_true(found[k] > 0);
    }
    assert_int_equal(drl_store_export(b, found, 2, second, NULL), DRL_OK);
    for (int k = 0; k < 2; k++) {
        char *x = text_of(first, k ? "-runs.json" : "-rows.csv"), *y = text_of(second, k ? "-runs.json" : "-rows.csv");
        assert_string_equal(x, y);
        if (k) assert_non_null(strstr(y, "\"interrupted\""));
        free(x);
        free(y);
    }
    /* a second time nothing changes; a row that is there already stays */
    assert_int_equal(drl_store_put(b, found[0], "accuracy", 0.1, 0.5, "mine", NULL), DRL_OK);
    assert_int_equal(drl_store_import(b, first, NULL), DRL_OK);
    bool there;
    double value;
    assert_int_equal(drl_store_get(b, found[0], "accuracy", 0.1, &there, &value, NULL, 0, NULL), DRL_OK);
    assert_true(there && value == 0.5);
    drl_run_info other = info_of("drl", 3);
    assert_int_equal(drl_store_find_run(b, &found[0], &other, NULL), DRL_OK);
    assert_true(found[0] == 0);
    drl_store_close(a);
    drl_store_close(b);
}

static void write_both(const char *stem, const char *runs, const char *rows) {
    char path[128];
    snprintf(path, sizeof path, "%s-runs.json", stem);
    assert_int_equal(drl_write_file(path, runs, strlen(runs), NULL), DRL_OK);
    snprintf(path, sizeof path, "%s-rows.csv", stem);
    assert_int_equal(drl_write_file(path, rows, strlen(rows), NULL), DRL_OK);
}

#define RUN_OPEN                                                                                                       \
    "{\"run\":7,\"seed\":1,\"experiment\":\"e\",\"method\":\"m\",\"dataset\":\"d\",\"scale\":\"desk\","                \
    "\"config_hash\":\"h\",\"dataset_sha256\":\"s\",\"created\":\"c\",\"config\":\"\",\"provenance\":{}"
#define RUN  RUN_OPEN "}"
#define HEAD "run,method,seed,metric,t,value,detail,config_hash\n"

static void damaged(void **state) {
    (void)state;
    static const struct {
        const char *runs, *rows, *why;
    } cases[] = {
        {"[" RUN "]", HEAD "7,m,1,a,,nan,\"\",h\n", "line 2"},
        {"[" RUN "]", HEAD "7,m,1,a,,1e999,\"\",h\n", "line 2"},
        {"[" RUN "]", HEAD "7,m,1,a,x,1,\"\",h\n", "line 2"},
        {"[" RUN "]", HEAD "7,m,1,a,,1,\"\",h\n8,m,1,a,,1,\"\",h\n", "line 3: run 8"},
        {"[" RUN "]", HEAD "7,m,1,a,,1,\"\n", "8 fields"},
        {"[" RUN "]", HEAD "7,m,1,a,,1\n", "8 fields"},
        {"[" RUN "]", HEAD "7,m,1,a,,1,\"\",h,more\n", "8 fields"},
        {"[" RUN "]", "run,method\n", "does not begin"},
        {"[{\"run\":7}]", HEAD, "lacks"},
        {"[" RUN_OPEN ",\"sessions\":[{\"token\":\"t\"}]}]", HEAD, "run 1 of the list: a session has no status"},
        {"{}", HEAD, "no list"},
        {"[" RUN, HEAD, "no list"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32];
        int64_t id;
        drl_err err = {0};
        snprintf(name, sizeof name, "damaged%zu", i);
        drl_store *s = open_store(name);
        write_both(stem_of(name), cases[i].runs, cases[i].rows);
        assert_int_equal(drl_store_import(s, stem_of(name), &err), DRL_ERR_FORMAT);
        if (!strstr(err.message, cases[i].why)) fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].why);
        drl_run_info info = {"e", "m", "d", "desk", "", "h", "s", 1, false};
        assert_int_equal(drl_store_find_run(s, &id, &info, NULL), DRL_OK);
        assert_true(id == 0); /* nothing of it is left */
        drl_store_close(s);
    }
    drl_err err = {0};
    drl_store *s = open_store("missing");
    assert_int_equal(drl_store_import(s, stem_of("nothing"), &err), DRL_ERR_NOT_FOUND);
    drl_store_close(s);
}

static drl_status keep_status(void *arg, const drl_run_state *run, drl_err *why) {
    (void)why;
    snprintf(arg, 64, "%s %lld", run->status, (long long)run->sessions);
    return DRL_OK;
}

#define SESSION(status, ended)                                                                                         \
    ",\"sessions\":[{\"token\":\"t\",\"status\":\"" status "\",\"message\":\"\",\"started\":"                          \
    "\"2026-01-02T03:04:05Z\",\"ended\":" ended ",\"wall_seconds\":1}]}"

/* A session that was running when its run was exported has ended in a later export, and not the other way round; of
 * sessions without a token nothing is kept. */
static void sessions(void **state) {
    (void)state;
    static const struct {
        const char *runs, *status;
    } in_turn[] = {{"[" RUN_OPEN ",\"sessions\":[{\"status\":\"done\"}]}]", "unknown 0"},
                   {"[" RUN_OPEN SESSION("running", "null") "]", "interrupted 1"},
                   {"[" RUN_OPEN SESSION("done", "\"2026-01-02T03:05:05Z\"") "]", "done 1"},
                   {"[" RUN_OPEN SESSION("running", "null") "]", "done 1"}};
    drl_store *s = open_store("sessions");
    drl_err err = {0};
    for (size_t i = 0; i < sizeof in_turn / sizeof *in_turn; i++) {
        char status[64] = "";
        write_both(stem_of("turn"), in_turn[i].runs, HEAD);
        if (drl_store_import(s, stem_of("turn"), &err) != DRL_OK) fail_msg("%s", err.message);
        assert_int_equal(drl_store_run_state(s, 1, keep_status, status, &err), DRL_OK);
        assert_string_equal(status, in_turn[i].status);
    }
    drl_store_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(there_and_back), cmocka_unit_test(damaged),
                                       cmocka_unit_test(sessions)};
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
