/* Opening a run store: earlier versions get the tables of this one, also when several programs find them at once; what
 * a newer program made is left alone. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drl/results.h"

static char dir[] = "/tmp/drl_store_XXXXXX";
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

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(earlier_version), IN_DIRECTORY(half_a_migration),    IN_DIRECTORY(later_version),
        IN_DIRECTORY(nothing_is_made), IN_DIRECTORY(reading_and_writing), IN_DIRECTORY(several_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
