/* Opening a run store: earlier versions get the tables of this one, also when several programs find them at once; what
 * a newer program made is left alone; what may not be written is only read. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drl/log.h"
#include "drl/runs.h"

static char dir[] = "/tmp/drl_store?a=%41&b#_XXXXXX"; /* a URI would mean something else */
static char file[64];

static int make_directory(void **state) {
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(file, sizeof file, "%s/results.sqlite", dir);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    unlink(file);
    return rmdir(dir); /* nothing else is left in it */
}

static void change(const char *sql) {
    sqlite3 *db;
    char *message = NULL;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) fail_msg("%s", message);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The only row of a query, its columns with | between them. */
static const char *ask(const char *sql) {
    static char text[1024];
    sqlite3 *db;
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    text[0] = '\0';
    for (int c = 0; c < sqlite3_column_count(q); c++) {
        const char *cell = (const char *)sqlite3_column_text(q, c);
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", c ? "|" : "", cell ? cell : "NULL");
    }
    assert_int_equal(sqlite3_step(q), SQLITE_DONE);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return text;
}

/* What programs made when there was version 1, word for word, with two runs and three rows. */
static void write_version_1(void) {
    change(
        "CREATE TABLE runs (id INTEGER PRIMARY KEY, experiment TEXT NOT NULL, method TEXT NOT NULL, dataset TEXT NOT "
        "NULL, scale TEXT NOT NULL, seed INTEGER NOT NULL, config_hash TEXT NOT NULL, config TEXT NOT NULL, "
        "dataset_sha256 TEXT NOT NULL, provenance TEXT NOT NULL, created TEXT NOT NULL, opened INTEGER NOT NULL, "
        "UNIQUE (experiment, method, dataset, scale, seed, config_hash));"
        "CREATE TABLE metrics (run_id INTEGER NOT NULL REFERENCES runs (id), name TEXT NOT NULL, t REAL, value REAL "
        "NOT NULL, detail TEXT NOT NULL);"
        "CREATE UNIQUE INDEX metric_key ON metrics (run_id, name, ifnull(t, 'none'));"
        "PRAGMA application_id = 1146244145;"
        "PRAGMA user_version = 1;"
        "INSERT INTO runs VALUES (3, 'evaluation', 'drl', 'cifar10', 'desk', 1, 'h1', '[train]', 'abc',"
        " '{\"version\":\"1\"}', '2026-01-02T03:04:05Z', 1);"
        "INSERT INTO runs VALUES (7, 'evaluation', 'vdrl', 'cifar10', 'desk', 1, 'h1', '[train]', 'abc', '{}',"
        " '2026-01-02T03:04:06Z', 2);"
        "INSERT INTO metrics VALUES (3, 'mlp', 0.5, 0.25, 'x'), (3, 'mlp', NULL, 0.5, 'y'), (7, 'mlp', 0.5, 1, '');");
}

static void earlier_version(void **state) {
    (void)state;
    write_version_1();
    for (int again = 0; again < 2; again++) { /* the second opening changes nothing */
        drl_store *s;
        drl_err err = {0};
        if (drl_store_open(&s, dir, &err) != DRL_OK) fail_msg("%s", err.message);
        bool found = false;
        double v = 0;
        char detail[8];
        assert_int_equal(drl_store_get(s, 3, "mlp", NAN, &found, &v, detail, sizeof detail, NULL), DRL_OK);
        assert_true(found && v == 0.5);
        assert_string_equal(detail, "y");
        drl_store_close(s);
        assert_string_equal(ask("PRAGMA user_version"), "2");
        assert_string_equal(ask("SELECT count(*), sum(value) FROM metrics JOIN sessions ON sessions.id = session_id"
                                " AND sessions.run_id = metrics.run_id WHERE status = 'unknown'"),
                            "3|1.75");
        assert_string_equal(ask("SELECT started, ended, wall_seconds, provenance FROM sessions WHERE run_id = 3"),
                            "2026-01-02T03:04:05Z|NULL|NULL|{\"version\":\"1\"}");
        assert_string_equal(ask("SELECT count(*), count(DISTINCT token) FROM sessions"), "2|2");
        assert_string_equal(ask("PRAGMA integrity_check"), "ok");
    }
}

/* A migration that cannot be finished leaves the store as it was. */
static void half_a_migration(void **state) {
    (void)state;
    write_version_1();
    change("CREATE INDEX session_run ON runs (seed)"); /* a name that the migration needs, after its first table */
    drl_store *s;
    drl_err err = {0};
    assert_int_equal(drl_store_open(&s, dir, &err), DRL_ERR_IO);
    assert_null(s);
    assert_non_null(strstr(err.message, file));
    assert_string_equal(ask("PRAGMA user_version"), "1");
    assert_string_equal(ask("SELECT count(*) FROM sqlite_master WHERE name = 'sessions'"), "0");
    change("DROP INDEX session_run");
    assert_int_equal(drl_store_open(&s, dir, NULL), DRL_OK);
    drl_store_close(s);
}

static void later_version(void **state) {
    (void)state;
    drl_store *s;
    drl_err err = {0};
    assert_int_equal(drl_store_open(&s, dir, NULL), DRL_OK);
    drl_store_close(s);
    assert_string_equal(ask("PRAGMA journal_mode"), "wal");
    change("PRAGMA user_version = 3");
    assert_int_equal(drl_store_open(&s, dir, &err), DRL_ERR_FORMAT);
    assert_null(s);
    assert_non_null(strstr(err.message, "version 3, made by a newer program; this one knows versions up to 2"));
    assert_string_equal(ask("PRAGMA user_version"), "3");
    change("PRAGMA user_version = 0");
    assert_int_equal(drl_store_open(&s, dir, &err), DRL_ERR_FORMAT);
    assert_non_null(strstr(err.message, "damaged"));
}

static void nothing_is_made(void **state) {
    (void)state;
    drl_store *s;
    drl_err err = {0};
    assert_int_equal(drl_store_open_existing(&s, dir, &err), DRL_ERR_NOT_FOUND);
    assert_null(s);
    assert_non_null(strstr(err.message, "there is no results store"));
    assert_int_not_equal(access(file, F_OK), 0);
    assert_int_equal(drl_store_open(&s, dir, NULL), DRL_OK);
    drl_store_close(s);
    assert_int_equal(drl_store_open_existing(&s, dir, NULL), DRL_OK);
    drl_store_close(s);
}

/* A reader in the middle of its rows does not hold up a writer, as it would without the write-ahead log. */
static drl_status write_meanwhile(void *arg, const drl_row *r, drl_err *err) {
    drl_store *other;
    (void)r;
    drl_status st = drl_store_open(&other, dir, err);
    if (st == DRL_OK) st = drl_store_put(other, 3, "new", 0, ++*(double *)arg, "", err);
    drl_store_close(other);
    return st;
}

static void reading_and_writing(void **state) {
    (void)state;
    write_version_1();
    drl_store *s;
    drl_err err = {0};
    double rows = 0;
    assert_int_equal(drl_store_open(&s, dir, NULL), DRL_OK);
    if (drl_store_run_rows(s, 3, write_meanwhile, &rows, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_true(rows == 2);
    drl_store_close(s);
    assert_string_equal(ask("SELECT value FROM metrics WHERE name = 'new'"), "2.0");
}

/* Eight programs find a store of version 1 (or none) at once and write 40 rows each, every one opening it again after
 * ten. */
static void write_rows(int p) {
    drl_status st = DRL_OK;
    for (int i = 0; i < 40 && st == DRL_OK;) {
        drl_store *s;
        int64_t id;
        drl_run_info info = {"evaluation", p % 2 ? "drl" : "own", "cifar10", "desk", "", "h1", "", 1, false};
        st = drl_store_open(&s, dir, NULL);
        if (st == DRL_OK) st = drl_store_run(s, &id, &info, NULL);
        for (int k = 0; k < 10 && st == DRL_OK; k++, i++) st = drl_store_put(s, id, "m", 100 * p + i, p, "", NULL);
        drl_store_close(s);
    }
    _exit(st == DRL_OK ? 0 : 1);
}

static void several_programs(void **state) {
    (void)state;
    enum { PROGRAMS = 8 };
    for (int fresh = 0; fresh < 2; fresh++) {
        pid_t children[PROGRAMS];
        unlink(file);
        if (!fresh) write_version_1();
        for (int p = 0; p < PROGRAMS; p++) {
            children[p] = fork();
            assert_true(children[p] >= 0);
            if (children[p] == 0) write_rows(p);
        }
        for (int p = 0; p < PROGRAMS; p++) {
            int status;
            assert_int_equal(waitpid(children[p], &status, 0), children[p]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
        assert_string_equal(ask("SELECT count(*), count(DISTINCT t), sum(value), count(DISTINCT run_id) FROM metrics"
                                " WHERE name = 'm'"),
                            "320|320|1120.0|2"); /* 40 (0 + ... + 7) */
        assert_string_equal(ask("PRAGMA integrity_check"), "ok");
        assert_string_equal(ask("SELECT count(*) FROM runs"), fresh ? "2" : "3"); /* drl's was there */
    }
}

/* ---- Reading only ------------------------------------------------------------------------------------------------ */

/* The files of the directory, "a b c ", by name. */
static const char *listing(void) {
    static char text[512];
    struct dirent **names;
    int n = scandir(dir, &names, NULL, alphasort);
    assert_true(n >= 2);
    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') strcat(strcat(text, names[i]->d_name), " ");
        free(names[i]);
    }
    free(names);
    return text;
}

/* The value of run 3's row "mlp" at 0.5; -1 where there is none. */
static double value_in(drl_store *s) {
    bool found = false;
    double v = 0;
    assert_int_equal(drl_store_get(s, 3, "mlp", 0.5, &found, &v, NULL, 0, NULL), DRL_OK);
    return found ? v : -1;
}

static drl_status no_run(void *arg, const drl_run_state *r, drl_err *err) {
    (void)err;
    return *(int64_t *)arg += r->id, DRL_OK;
}

/* Reads a store that must not be changed, and tries to. */
static void assert_only_read(drl_store *s, double value) {
    drl_err err = {0};
    drl_run_info info = {"evaluation", "new", "cifar10", "desk", "", "h1", "", 1, false};
    drl_run_filter all = {0};
    int64_t id = 0, ids = 0;
    assert_true(value_in(s) == value);
    assert_int_equal(drl_store_runs(s, &all, no_run, &ids, NULL), DRL_OK);
    assert_int_equal(ids, 3 + 7);
    assert_int_equal(drl_store_run(s, &id, &info, &err), DRL_ERR_IO);
    assert_non_null(strstr(err.message, "results.sqlite: cannot record the run: it was opened to be read only"));
    assert_int_equal(drl_store_put(s, 3, "mlp", 0.5, 9, "", &err), DRL_ERR_IO);
    assert_int_equal(drl_store_delete(s, (const int64_t[]){3}, 1, &err), DRL_ERR_IO);
    assert_non_null(strstr(err.message, "cannot delete a run: it was opened to be read only"));
    assert_true(value_in(s) == value);
}

static void read_only(void **state) {
    (void)state;
    drl_store *s, *writer;
    drl_err err = {0};
    assert_int_equal(drl_store_open_read_only(&s, dir, &err), DRL_ERR_NOT_FOUND);
    assert_null(s);
    assert_string_equal(listing(), "");
    change("");
    assert_int_equal(drl_store_open_read_only(&s, dir, &err), DRL_ERR_FORMAT);
    assert_null(s);

    /* an earlier version: brought to this one in memory, while the file stays what it is */
    write_version_1();
    if (drl_store_open_read_only(&s, dir, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_only_read(s, 0.25);
    assert_string_equal(listing(), "results.sqlite ");
    assert_string_equal(ask("PRAGMA user_version"), "1");
    drl_store_close(s);

    /* beside a program that writes: as it is when it is opened */
    assert_int_equal(drl_store_open(&writer, dir, NULL), DRL_OK);
    assert_int_equal(drl_store_put(writer, 3, "mlp", 0.5, 0.75, "", NULL), DRL_OK);
    assert_int_equal(drl_store_open_read_only(&s, dir, NULL), DRL_OK);
    assert_int_equal(drl_store_put(writer, 3, "mlp", 0.5, 1.5, "", NULL), DRL_OK);
    assert_only_read(s, 0.75);
    drl_store_close(s);
    assert_int_equal(drl_store_open_read_only(&s, dir, NULL), DRL_OK);
    drl_store_close(writer);
    assert_only_read(s, 1.5);
    drl_store_close(s);
    assert_string_equal(listing(), "results.sqlite ");
}

/* What cannot be looked at is not taken for what is not there. */
static void not_to_be_looked_at(void **state) {
    (void)state;
    drl_store *s;
    drl_err err = {0};
    char below[96];
    assert_int_equal(symlink("results.sqlite", file), 0); /* to itself */
    assert_int_equal(drl_store_open_existing(&s, dir, &err), DRL_ERR_IO);
    assert_null(s);
    assert_non_null(strstr(err.message, "cannot open: Too many levels"));
    assert_int_equal(drl_store_open_read_only(&s, dir, &err), DRL_ERR_IO);
    unlink(file);
    change("");
    snprintf(below, sizeof below, "%s/results.sqlite", dir); /* a file in the place of a directory */
    assert_int_equal(drl_store_open_existing(&s, below, &err), DRL_ERR_NOT_FOUND);
}

/* ---- Without the right to write: in a child that is nobody where this is root ------------------------------------ */

/* Runs it; its failures are this test's. */
static void unprivileged(void (*test)(void)) {
    pid_t child = fork();
    int status;
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(77);
        drl_store *s;
        if (drl_store_open(&s, dir, NULL) == DRL_OK) _exit(77); /* permissions mean nothing here */
        test();
        _exit(0); /* a failed assertion does not come here */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) skip();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#define ASSERT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, last.message), _exit(1);          \
    } while (0)

static drl_err last;
static double want;

static void read_protected(void) {
    drl_store *s;
    ASSERT(drl_store_open(&s, dir, &last) == DRL_ERR_IO && !s);
    ASSERT(strstr(last.message, "results.sqlite: cannot write it, or in its directory: Permission denied"));
    ASSERT(drl_store_open_existing(&s, dir, &last) == DRL_OK);
    ASSERT(value_in(s) == want);
    ASSERT(drl_store_put(s, 3, "mlp", 0.5, 9, "", &last) == DRL_ERR_IO);
    ASSERT(strstr(last.message, "cannot store a metric: it was opened to be read only"));
    drl_store_close(s);
}

static void merge_protected(void) {
    drl_store *s;
    drl_merge_counts n;
    char ours[] = "/tmp/drl_store_XXXXXX", path[64];
    ASSERT(mkdtemp(ours));
    ASSERT(drl_store_open(&s, ours, &last) == DRL_OK);
    ASSERT(drl_store_merge(s, file, &n, &last) == DRL_OK);
    ASSERT(n.runs == 2 && n.rows == 3);
    drl_store_close(s);
    ASSERT(drl_store_open_existing(&s, dir, &last) == DRL_OK);
    snprintf(path, sizeof path, "%s/results.sqlite", ours);
    ASSERT(drl_store_merge(s, path, &n, &last) == DRL_ERR_IO && strstr(last.message, "read only"));
    drl_store_close(s);
    unlink(path);
    ASSERT(rmdir(ours) == 0);
}

static void refuse_without_index(void) {
    drl_store *s;
    ASSERT(drl_store_open_existing(&s, dir, &last) == DRL_ERR_IO && !s);
    ASSERT(strstr(last.message, "not all of it is in the file"));
}

static void refuse_hidden(void) {
    drl_store *s;
    ASSERT(drl_store_open_existing(&s, dir, &last) == DRL_ERR_IO && !s);
    ASSERT(strstr(last.message, "cannot open: Permission denied"));
}

static void write_protected(void **state) {
    (void)state;
    static const int modes[][2] = {{0555, 0444}, {0555, 0666}, {0777, 0444}}; /* of the directory, and the file */
    drl_store *s;
    char log[80], index[80];
    snprintf(log, sizeof log, "%s-wal", file), snprintf(index, sizeof index, "%s-shm", file);
    write_version_1();
    want = 0.25;
    for (int version = 1; version <= 2; version++) { /* with an old journal, and with a write-ahead log */
        for (int i = 0; i < 3; i++) {
            chmod(dir, (mode_t)modes[i][0]), chmod(file, (mode_t)modes[i][1]);
            unprivileged(read_protected);
            assert_string_equal(listing(), "results.sqlite ");
        }
        unprivileged(merge_protected);
        chmod(dir, 0755), chmod(file, 0644);
        assert_int_equal(drl_store_open(&s, dir, NULL), DRL_OK);
        drl_store_close(s);
    }
    assert_string_equal(ask("PRAGMA user_version"), "2");

    /* a program that writes, and one that was killed: rows that are in the log alone */
    int gate[2];
    char byte;
    assert_int_equal(pipe(gate), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60); /* gone too where the test fails */
        bool ok = drl_store_open(&s, dir, NULL) == DRL_OK && drl_store_put(s, 3, "mlp", 0.5, 0.5, "", NULL) == DRL_OK;
        while (ok && write(gate[1], "x", 1) == 1) pause();
        _exit(1);
    }
    close(gate[1]);
    assert_int_equal(read(gate[0], &byte, 1), 1);
    close(gate[0]);
    want = 0.5;
    chmod(dir, 0555);
    unprivileged(read_protected);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    unprivileged(read_protected);
    assert_string_equal(listing(), "results.sqlite results.sqlite-shm results.sqlite-wal ");

    /* without its index the log is of no use to one that may not write a new one: never the file alone */
    chmod(dir, 0755);
    unlink(index);
    chmod(dir, 0555);
    unprivileged(refuse_without_index);
    chmod(dir, 0000);
    unprivileged(refuse_hidden);
    chmod(dir, 0755);
    assert_int_equal(drl_store_open(&s, dir, NULL), DRL_OK);
    assert_true(value_in(s) == 0.5);
    drl_store_close(s);
    assert_int_not_equal(access(log, F_OK), 0);
}

/* Changed by another program just before its pages are read: they are read again. */
static int copies, changing[2], changed[2];
static void read_again(void) {
    drl_store *s;
    copies = 1; /* the next copy is the first */
    ASSERT(drl_store_open_existing(&s, dir, &last) == DRL_OK);
    ASSERT(copies == 3);
    ASSERT(value_in(s) == 4);
    drl_store_close(s);
}

/* In place of SQLite's, which copies a store into memory. */
int sqlite3_backup_step(sqlite3_backup *b, int pages) {
    int (*real)(sqlite3_backup *, int);
    void *symbol = dlsym(RTLD_NEXT, "sqlite3_backup_step");
    char byte;
    memcpy(&real, &symbol, sizeof real);
    if (copies && copies++ == 1) ASSERT(write(changing[1], "x", 1) == 1 && read(changed[0], &byte, 1) == 1);
    return real(b, pages);
}

static void changed_meanwhile(void **state) {
    (void)state;
    write_version_1();
    chmod(dir, 0555);
    assert_int_equal(pipe(changing), 0);
    assert_int_equal(pipe(changed), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        drl_store *s = NULL;
        char byte;
        close(changing[1]); /* so that it ends with who reads */
        if (read(changing[0], &byte, 1) != 1) _exit(77);
        bool ok = chmod(dir, 0755) == 0 && drl_store_open(&s, dir, NULL) == DRL_OK &&
                  drl_store_put(s, 3, "mlp", 0.5, 4, "", NULL) == DRL_OK;
        drl_store_close(s);
        _exit(!(chmod(dir, 0555) == 0 && write(changed[1], "x", 1) == 1 && ok));
    }
    close(changing[0]);
    unprivileged(read_again);
    close(changing[1]), close(changed[0]), close(changed[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    chmod(dir, 0755);
}

/* Another program makes, writes and closes the store all the time: whoever may only read sees whole states of it. */
static void read_changing(void) {
    drl_store *s;
    double before = 0, now;
    int read = 0;
    for (double end = drl_now() + 1.5; drl_now() < end;) {
        drl_status st = drl_store_open_existing(&s, dir, &last);
        ASSERT(st == DRL_OK || (st == DRL_ERR_IO && !s && strstr(last.message, "cannot read: ")));
        if (st != DRL_OK) continue;
        ASSERT((now = value_in(s)) >= before);
        before = now;
        read++;
        drl_store_close(s);
    }
    ASSERT(read > 0 && before > 1);
}

static void protected_and_changing(void **state) {
    (void)state;
    if (geteuid() != 0) skip(); /* it takes two users */
    write_version_1();
    chmod(dir, 0755);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) alarm(60); /* gone too where the test fails */
    for (int i = 1; child == 0; i++) {
        drl_store *s;
        if (drl_store_open(&s, dir, NULL) != DRL_OK) _exit(1);
        for (int k = 0; k < i % 3; k++)
            if (drl_store_put(s, 3, "mlp", 0.5, i, "", NULL) != DRL_OK) _exit(1);
        drl_store_close(s);
    }
    unprivileged(read_changing);
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    drl_store *s;
    assert_int_equal(drl_store_open(&s, dir, NULL), DRL_OK);
    drl_store_close(s);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(earlier_version),   IN_DIRECTORY(half_a_migration),       IN_DIRECTORY(later_version),
        IN_DIRECTORY(nothing_is_made),   IN_DIRECTORY(reading_and_writing),    IN_DIRECTORY(several_programs),
        IN_DIRECTORY(read_only),         IN_DIRECTORY(not_to_be_looked_at),    IN_DIRECTORY(write_protected),
        IN_DIRECTORY(changed_meanwhile), IN_DIRECTORY(protected_and_changing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
