/* Runs of a store: their status while and after processes work on them, their times, deleting and merging. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drl/file.h"
#include "drl/log.h"
#include "drl/runs.h"

static char dirs[2][32];

static int make_directories(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        strcpy(dirs[i], "/tmp/drl_runs_XXXXXX");
        if (!mkdtemp(dirs[i])) return -1;
    }
    return 0;
}

static int remove_directories(void **state) {
    (void)state;
    const char *const names[] = {"results.sqlite", "results.sqlite-wal", "results.sqlite-shm"};
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 3; k++) {
            char path[96];
            snprintf(path, sizeof path, "%s/%s", dirs[i], names[k]);
            unlink(path);
        }
        if (rmdir(dirs[i]) != 0) return -1;
    }
    return 0;
}

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        drl_err err = {0};                                                                                             \
        if ((call) != DRL_OK) fail_msg("%s: %s", #call, err.message);                                                  \
    } while (0)

static drl_store *open_store(int which) {
    drl_store *s = NULL;
    OK(drl_store_open(&s, dirs[which], &err));
    return s;
}

static int64_t open_run(drl_store *s, const char *method, uint64_t seed, bool anew) {
    drl_run_info info = {"evaluation", method, "cifar10", "desk", "[train]\nsteps = 1\n", "h", "abc", seed, anew};
    int64_t id = 0;
    OK(drl_store_run(s, &id, &info, &err));
    return id;
}

static drl_status keep(void *arg, const drl_run_state *r, drl_err *err) {
    static char status[64], message[256], ended[64];
    (void)err;
    snprintf(status, sizeof status, "%s", r->status);
    snprintf(message, sizeof message, "%s", r->message);
    snprintf(ended, sizeof ended, "%s", r->ended);
    drl_run_state *to = arg;
    *to = *r;
    to->status = status, to->message = message, to->ended = ended;
    return DRL_OK;
}

static drl_run_state state_of(drl_store *s, int64_t id) {
    drl_run_state r = {0};
    OK(drl_store_run_state(s, id, keep, &r, &err));
    return r;
}

/* Uses the processor for about so long. */
static void burn(double seconds) {
    volatile double x = 1;
    clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);
    while (clock() < end) x = x * 1.0000001;
}

static void one_session(void **state) {
    (void)state;
    drl_store *s = open_store(0);
    int64_t id = open_run(s, "drl", 1, false);
    assert_string_equal(state_of(s, id).status, "unknown");
    OK(drl_store_begin(s, id, 3, &err));
    assert_string_equal(state_of(s, id).status, "running");
    assert_string_equal(state_of(s, id).ended, "");
    burn(0.2);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    OK(drl_store_put(s, id, "mlp", NAN, 1, "", &err));
    OK(drl_store_finish(s, DRL_OK, &err));
    drl_run_state r = state_of(s, id);
    assert_string_equal(r.status, "done");
    assert_int_equal(strlen(r.ended), strlen("2026-01-02T03:04:05Z"));
    /* a virtual machine's two clocks need not agree to the last tenth */
    assert_true(r.wall_seconds >= 0.3 && r.wall_seconds < 60);
    assert_true(r.cpu_seconds >= 0.1 && r.cpu_seconds <= r.wall_seconds - 0.1);
    assert_true(r.peak_bytes > (1 << 20) && r.peak_bytes < ((int64_t)1 << 34));
    assert_int_equal(r.threads, 3);

    /* nothing to do: no trace */
    OK(drl_store_begin(s, id, 1, &err));
    burn(0.05);
    OK(drl_store_put(s, id, "mlp", NAN, 1, "", &err));
    OK(drl_store_finish(s, DRL_OK, &err));
    assert_true(state_of(s, id).wall_seconds == r.wall_seconds && state_of(s, id).sessions == 1);

    /* something to do: times add up */
    OK(drl_store_begin(s, id, 1, &err));
    burn(0.1);
    OK(drl_store_put(s, id, "mlp", NAN, 2, "", &err));
    OK(drl_store_finish(s, DRL_OK, &err));
    drl_run_state more = state_of(s, id);
    assert_true(more.cpu_seconds >= r.cpu_seconds + 0.05 && more.wall_seconds >= r.wall_seconds + 0.05);
    assert_int_equal(more.sessions, 2);

    /* made anew: what was used before does not count */
    assert_int_equal(open_run(s, "drl", 1, true), id);
    OK(drl_store_begin(s, id, 1, &err));
    OK(drl_store_put(s, id, "mlp", NAN, 2, "", &err));
    OK(drl_store_finish(s, DRL_OK, &err));
    assert_true(state_of(s, id).wall_seconds < 0.2 && state_of(s, id).sessions == 1);
    drl_store_close(s);
}

static void failures(void **state) {
    (void)state;
    drl_store *s = open_store(0);
    int64_t id = open_run(s, "drl", 1, false);
    drl_err why = {0};
    OK(drl_store_begin(s, id, 1, &err));
    drl_fail(&why, DRL_ERR_NUMERIC, "step 7: loss is nan");
    assert_int_equal(drl_store_finish(s, why.status, &why), DRL_ERR_NUMERIC);
    assert_string_equal(why.message, "step 7: loss is nan");
    assert_string_equal(state_of(s, id).status, "failed");
    assert_string_equal(state_of(s, id).message, "step 7: loss is nan");
    OK(drl_store_begin(s, id, 1, &err));
    assert_int_equal(drl_store_finish(s, DRL_ERR_INTERRUPTED, NULL), DRL_ERR_INTERRUPTED);
    assert_string_equal(state_of(s, id).status, "interrupted");
    /* all rows turn out to be there: done, and said so */
    OK(drl_store_begin(s, id, 1, &err));
    OK(drl_store_finish(s, DRL_OK, &err));
    assert_string_equal(state_of(s, id).status, "done");
    drl_store_close(s);
}

/* A process that is killed: running while it lives, interrupted when it is gone, done after another one. */
static void killed(void **state) {
    (void)state;
    drl_store *s = open_store(0);
    int64_t id = open_run(s, "drl", 1, false);
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    drl_store_close(s);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(30); /* gone too where the test fails */
        drl_store *own;
        bool ok = drl_store_open(&own, dirs[0], NULL) == DRL_OK && drl_store_begin(own, id, 1, NULL) == DRL_OK &&
                  drl_store_put(own, id, "mlp", 0, 1, "", NULL) == DRL_OK && write(gate[1], "x", 1) == 1;
        if (ok) pause();
        _exit(1);
    }
    char byte;
    assert_int_equal(read(gate[0], &byte, 1), 1);
    s = open_store(0);
    drl_err why = {0};
    assert_string_equal(state_of(s, id).status, "running");
    assert_int_equal(drl_store_delete(s, &id, 1, &why), DRL_ERR_IO);
    assert_non_null(strstr(why.message, "is running"));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_string_equal(state_of(s, id).status, "interrupted");
    assert_int_equal(state_of(s, id).rows, 1);
    OK(drl_store_begin(s, id, 1, &err));
    assert_string_equal(state_of(s, id).status, "running");
    OK(drl_store_finish(s, DRL_OK, &err));
    assert_string_equal(state_of(s, id).status, "done");
    assert_int_equal(state_of(s, id).sessions, 2);
    drl_store_close(s);
    close(gate[0]), close(gate[1]);
}

/* One that has ended is gone even before its parent has asked for its status. */
static void ended_unnoticed(void **state) {
    (void)state;
    drl_store *s = open_store(0);
    int64_t id = open_run(s, "drl", 1, false);
    drl_store_close(s);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        drl_store *own;
        _exit(drl_store_open(&own, dirs[0], NULL) != DRL_OK || drl_store_begin(own, id, 1, NULL) != DRL_OK);
    }
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    s = open_store(0);
    assert_string_equal(state_of(s, id).status, "interrupted");
    assert_int_equal(state_of(s, id).sessions, 1);
    assert_int_equal(waitpid(child, NULL, 0), child);
    OK(drl_store_begin(s, id, 1, &err));
    OK(drl_store_finish(s, DRL_OK, &err));
    drl_store_close(s);
}

/* Processes that work on one run take turns: each finds what the others have put. Other runs are not waited for. */
static void taking_turns(void **state) {
    (void)state;
    enum { PROCESSES = 4, TIMES = 10 };
    drl_store *s = open_store(0), *t = open_store(0);
    int64_t id = open_run(s, "drl", 1, false), other = open_run(s, "drl", 2, false);
    OK(drl_store_begin(s, id, 1, &err));
    OK(drl_store_begin(t, other, 1, &err));
    OK(drl_store_finish(t, DRL_OK, &err));
    OK(drl_store_finish(s, DRL_OK, &err));
    drl_store_close(s), drl_store_close(t);
    pid_t children[PROCESSES];
    for (int p = 0; p < PROCESSES; p++) {
        children[p] = fork();
        assert_true(children[p] >= 0);
        if (children[p] > 0) continue;
        drl_store *own;
        drl_log_quiet(true);
        drl_status st = drl_store_open(&own, dirs[0], NULL);
        for (int i = 0; i < TIMES && st == DRL_OK; i++) {
            bool found = false;
            double n = 0;
            st = drl_store_begin(own, id, 1, NULL);
            if (st == DRL_OK) st = drl_store_get(own, id, "n", NAN, &found, &n, NULL, 0, NULL);
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            if (st == DRL_OK) st = drl_store_put(own, id, "n", NAN, n + 1, "", NULL);
            st = drl_store_finish(own, st, NULL);
        }
        drl_store_close(own);
        _exit(st != DRL_OK);
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status;
        assert_int_equal(waitpid(children[p], &status, 0), children[p]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    s = open_store(0);
    bool found = false;
    double n = 0;
    OK(drl_store_get(s, id, "n", NAN, &found, &n, NULL, 0, &err));
    assert_true(found && n == PROCESSES * TIMES);
    drl_store_close(s);
}

static void work(drl_store *s, int64_t id, const char *name, double value) {
    OK(drl_store_begin(s, id, 1, &err));
    OK(drl_store_put(s, id, name, 0.5, value, "d", &err));
    OK(drl_store_finish(s, DRL_OK, &err));
}

static double value_of(drl_store *s, int64_t id, const char *name) {
    bool found = false;
    double v = NAN;
    OK(drl_store_get(s, id, name, 0.5, &found, &v, NULL, 0, &err));
    return found ? v : NAN;
}

/* Two machines: a run only here, one only there, one on both with rows that are new, the same and different. */
static void merged(void **state) {
    (void)state;
    drl_store *a = open_store(0), *b = open_store(1);
    char other[64];
    snprintf(other, sizeof other, "%s/results.sqlite", dirs[1]);
    work(b, open_run(b, "vdrl", 1, false), "mlp", 0.1); /* numbers differ on the two */
    int64_t both_b = open_run(b, "drl", 1, false);
    work(b, both_b, "mlp", 0.2);
    work(b, both_b, "knn", 0.3);
    work(b, both_b, "linear", 0.4);
    work(a, open_run(a, "ae", 1, false), "mlp", 0.5);
    int64_t both_a = open_run(a, "drl", 1, false);
    work(a, both_a, "mlp", 0.2);
    work(a, both_a, "knn", 0.9);
    drl_store_close(b);

    drl_merge_counts n;
    OK(drl_store_merge(a, other, &n, &err));
    assert_int_equal(n.runs, 1);
    assert_int_equal(n.rows, 2); /* vdrl's, and linear */
    assert_int_equal(n.same, 1);
    assert_int_equal(n.conflicts, 1);
    assert_true(value_of(a, both_a, "knn") == 0.9 && value_of(a, both_a, "linear") == 0.4);
    int64_t theirs = open_run(a, "vdrl", 1, false);
    assert_true(value_of(a, theirs, "mlp") == 0.1);
    assert_string_equal(state_of(a, theirs).status, "done");
    assert_int_equal(state_of(a, theirs).sessions, 1);
    assert_int_equal(state_of(a, both_a).sessions, 5);

    OK(drl_store_merge(a, other, &n, &err));
    assert_true(n.runs == 0 && n.rows == 0 && n.same == 3 && n.conflicts == 1);
    assert_int_equal(state_of(a, both_a).sessions, 5);

    drl_err why = {0};
    assert_int_equal(drl_store_merge(a, "/tmp/no_such_store.sqlite", &n, &why), DRL_ERR_NOT_FOUND);
    OK(drl_write_file(other, "x", 0, &err)); /* empty */
    assert_int_equal(drl_store_merge(a, other, &n, &why), DRL_ERR_FORMAT);
    assert_non_null(strstr(why.message, other));
    OK(drl_write_file(other, "not a store", 11, &err));
    assert_int_equal(drl_store_merge(a, other, &n, &why), DRL_ERR_FORMAT);
    drl_store_close(a);
}

/* All or none of the runs are deleted, with claims that rest on them: 1 is not 11. */
static void deleted(void **state) {
    (void)state;
    drl_store *s = open_store(0);
    int64_t id[12];
    for (int i = 1; i < 12; i++) work(s, id[i] = open_run(s, "drl", (uint64_t)i, false), "mlp", i);
    assert_int_equal(id[11], 11);
    drl_claim c = {.id = "a",
                   .dataset = "d",
                   .scale = "s",
                   .probe = "p",
                   .runs = "11 2",
                   .source = "",
                   .statement = "",
                   .rule = "",
                   .verdict = ""};
    OK(drl_store_claim(s, &c, &err));
    c.id = "b", c.runs = "2 1";
    OK(drl_store_claim(s, &c, &err));
    assert_int_equal(drl_store_delete(s, (const int64_t[]){1, 99}, 2, NULL), DRL_ERR_NOT_FOUND);
    assert_true(value_of(s, 1, "mlp") == 1);
    OK(drl_store_delete(s, (const int64_t[]){1}, 1, &err));
    assert_true(isnan(value_of(s, 1, "mlp")) && value_of(s, 11, "mlp") == 11);
    drl_run_state r;
    assert_int_equal(drl_store_run_state(s, 1, keep, &r, NULL), DRL_ERR_NOT_FOUND);
    char path[96], text[512];
    snprintf(path, sizeof path, "%s/claims.csv", dirs[0]);
    OK(drl_store_export_claims(s, path, &err));
    drl_store_close(s);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    unlink(path);
    assert_non_null(strstr(text, "\"a\""));
    assert_null(strstr(text, "\"b\""));
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directories, remove_directories)

int main(void) {
    const struct CMUnitTest tests[] = {IN_DIRECTORY(one_session),     IN_DIRECTORY(failures),     IN_DIRECTORY(killed),
                                       IN_DIRECTORY(ended_unnoticed), IN_DIRECTORY(taking_turns), IN_DIRECTORY(merged),
                                       IN_DIRECTORY(deleted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
