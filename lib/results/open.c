/* Opening a run store: its file, its tables, and how stores of earlier versions get them (drl/results.h). */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drl/file.h"
#include "drl/mem.h"
#include "results/store.h"

#define APPLICATION_ID 0x44524c31 /* "DRL1" */

/* steps[v] makes a store of version v + 1 of one of version v; an empty file has version 0. Append only.
 *
 * Version 1. `opened` counts: the run with the larger number was opened by drl_store_run later. */
static const char *const steps[] = {
    "CREATE TABLE runs (id INTEGER PRIMARY KEY, experiment TEXT NOT NULL, method TEXT NOT NULL, dataset TEXT NOT NULL,"
    " scale TEXT NOT NULL, seed INTEGER NOT NULL, config_hash TEXT NOT NULL, config TEXT NOT NULL,"
    " dataset_sha256 TEXT NOT NULL, provenance TEXT NOT NULL, created TEXT NOT NULL, opened INTEGER NOT NULL,"
    " UNIQUE (experiment, method, dataset, scale, seed, config_hash));"
    "CREATE TABLE metrics (run_id INTEGER NOT NULL REFERENCES runs (id), name TEXT NOT NULL,"
    " t REAL, value REAL NOT NULL, detail TEXT NOT NULL);" /* t NULL: does not depend on t */
    "CREATE UNIQUE INDEX metric_key ON metrics (run_id, name, ifnull(t, 'none'));"
    "PRAGMA application_id = 1146244145;"
    "PRAGMA user_version = 1;",

    /* Version 2: the processes that worked on a run. Nothing but the beginning is known of those before. */
    "CREATE TABLE sessions (id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs (id),"
    " token TEXT NOT NULL UNIQUE, status TEXT NOT NULL, message TEXT NOT NULL, started TEXT NOT NULL, ended TEXT,"
    " wall_seconds REAL, cpu_seconds REAL, peak_bytes INTEGER, threads INTEGER, boot TEXT NOT NULL,"
    " pid INTEGER NOT NULL, pid_start INTEGER NOT NULL, provenance TEXT NOT NULL);"
    "CREATE INDEX session_run ON sessions (run_id);"
    "ALTER TABLE metrics ADD COLUMN session_id INTEGER REFERENCES sessions (id);"
    "INSERT INTO sessions (run_id, token, status, message, started, boot, pid, pid_start, provenance)"
    " SELECT id, 'version 1|' || experiment || '|' || method || '|' || dataset || '|' || scale || '|' || seed || '|' ||"
    " config_hash || '|' || created, 'unknown', '', created, '', 0, 0, provenance FROM runs;"
    "UPDATE metrics SET session_id = (SELECT id FROM sessions WHERE sessions.run_id = metrics.run_id);"
    "PRAGMA user_version = 2;",
};
_Static_assert(sizeof steps / sizeof *steps == DRL_STORE_VERSION, "one step for each version");

/* The first column of the only row of a query, as an integer. */
static drl_status query_int(drl_store *s, int64_t *out, const char *sql, drl_err *err) {
    sqlite3_stmt *q;
    drl_status st = drl_store_prepare(s, &q, sql, "cannot read", err);
    if (st != DRL_OK) return st;
    if (sqlite3_step(q) == SQLITE_ROW)
        *out = sqlite3_column_int64(q, 0);
    else
        st = drl_store_fail(s, "cannot read", err);
    sqlite3_finalize(q);
    return st;
}

/* *version: 0 where nothing is in the file yet. Otherwise it must be ours, and of a version that is known. */
static drl_status check_schema(drl_store *s, int64_t *version, drl_err *err) {
    int64_t id = 0, tables = 0;
    drl_status st = query_int(s, &tables, "SELECT count(*) FROM sqlite_master", err);
    if (st == DRL_OK) st = query_int(s, &id, "PRAGMA application_id", err);
    if (st == DRL_OK) st = query_int(s, version, "PRAGMA user_version", err);
    if (st != DRL_OK || (tables == 0 && id == 0 && *version == 0)) return st;
    if (id != APPLICATION_ID)
        return drl_fail(err, DRL_ERR_FORMAT, "%s: a SQLite file, but not a results store: move it away", s->path);
    if (*version < 1)
        return drl_fail(err, DRL_ERR_FORMAT, "%s: damaged: a results store of version %lld", s->path,
                        (long long)*version);
    if (*version > DRL_STORE_VERSION)
        return drl_fail(err, DRL_ERR_FORMAT,
                        "%s: results store of version %lld, made by a newer program; this one knows versions up to %d: "
                        "use another --out directory",
                        s->path, (long long)*version, DRL_STORE_VERSION);
    return DRL_OK;
}

drl_status drl_store_refuse_empty(drl_store *s, drl_err *err) {
    int64_t version = 0;
    drl_status st = check_schema(s, &version, err);
    return st == DRL_OK && version == 0 ? drl_fail(err, DRL_ERR_FORMAT, "%s: empty: not a results store", s->path) : st;
}

drl_status drl_store_exec(drl_store *s, const char *sql, const char *what, drl_err *err) {
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? DRL_OK : drl_store_fail(s, what, err);
}

drl_status drl_store_end(drl_store *s, drl_status st, const char *what, drl_err *err) {
    if (st == DRL_OK) st = drl_store_exec(s, "COMMIT", what, err);
    if (st != DRL_OK) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

/* Several programs may find the version too low at once: those that get the lock later find the work done. */
drl_status drl_store_migrate(drl_store *s, drl_err *err) {
    static const char what[] = "cannot write";
    int64_t version = 0;
    drl_status st = check_schema(s, &version, err);
    if (st != DRL_OK || version == DRL_STORE_VERSION) return st;
    if ((st = drl_store_exec(s, "BEGIN IMMEDIATE", what, err)) != DRL_OK) return st;
    st = check_schema(s, &version, err);
    for (; st == DRL_OK && version < DRL_STORE_VERSION; version++) st = drl_store_exec(s, steps[version], what, err);
    return drl_store_end(s, st, what, err);
}

/* SQLite does not wait where the journal is changed while another program reads, so it is done here. Where there is no
 * shared memory for the write-ahead log the old journal stays: slower, and as safe. */
drl_status drl_store_log_ahead(drl_store *s, drl_err *err) {
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int waited = 0;; waited += 5) {
        int code = sqlite3_exec(s->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if (code == SQLITE_OK || (code & 0xff) == SQLITE_READONLY) return DRL_OK;
        if ((code & 0xff) != SQLITE_BUSY || waited >= DRL_STORE_WAIT_MS) return drl_store_fail(s, "cannot open", err);
        nanosleep(&pause, NULL);
    }
}

/* uri = the path as a URI, with the assurance that nobody changes the file. */
static void fixed_uri(char uri[3 * DRL_PATH_MAX + 32], const char *path) {
    char *at = uri + sprintf(uri, "file:");
    for (; *path; path++) {
        bool plain = isalnum((unsigned char)*path) || strchr("._-", *path);
        at += sprintf(at, plain ? "%c" : "%%%02X", (unsigned char)*path);
    }
    strcpy(at, "?immutable=1");
}

static bool open_database(drl_store *s, drl_store_mode mode) {
    static const int flags[] = {[DRL_STORE_READ_FIXED] = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
                                [DRL_STORE_READ] = SQLITE_OPEN_READONLY,
                                [DRL_STORE_WRITE] = SQLITE_OPEN_READWRITE,
                                [DRL_STORE_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE};
    char uri[3 * DRL_PATH_MAX + 32];
    if (mode == DRL_STORE_READ_FIXED) fixed_uri(uri, s->path);
    return sqlite3_open_v2(mode == DRL_STORE_READ_FIXED ? uri : s->path, &s->db, flags[mode], NULL) == SQLITE_OK;
}

drl_status drl_store_open_file(drl_store **out, const char *path, drl_store_mode mode, drl_err *err) {
    *out = NULL;
    drl_store *s = NULL;
    drl_status st = drl_alloc(&s, 1, sizeof *s, "results store", err);
    if (st != DRL_OK) return st;
    int n = snprintf(s->path, sizeof s->path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof s->path) {
        st = drl_fail(err, DRL_ERR_IO, "%.200s...: name too long", path);
    } else if (mode != DRL_STORE_CREATE && access(path, F_OK) != 0) {
        st = errno == ENOENT || errno == ENOTDIR
                 ? drl_fail(err, DRL_ERR_NOT_FOUND, "%s: there is no results store", path)
                 : drl_fail(err, DRL_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    } else if (!open_database(s, mode)) {
        st = drl_store_fail(s, "cannot open", err);
    } else {
        sqlite3_busy_timeout(s->db, DRL_STORE_WAIT_MS);
        st = drl_store_add_functions(s, err);
    }
    if (st == DRL_OK)
        *out = s;
    else
        drl_store_close(s);
    return st;
}

/* Tables and log only once it is known to be ours: a foreign file stays as it is. */
static drl_status open_to_write(drl_store **out, const char *path, drl_store_mode mode, drl_err *err) {
    drl_status st = drl_store_open_file(out, path, mode, err);
    if (st != DRL_OK) return st;
    st = drl_store_migrate(*out, err);
    if (st == DRL_OK) st = drl_store_log_ahead(*out, err);
    if (st != DRL_OK) {
        drl_store_close(*out);
        *out = NULL;
    }
    return st;
}

static void path_of(char path[DRL_PATH_MAX + 32], const char *dir) {
    snprintf(path, DRL_PATH_MAX + 32, "%s/results.sqlite", dir);
}

drl_status drl_store_open(drl_store **out, const char *dir, drl_err *err) {
    char path[DRL_PATH_MAX + 32];
    int why;
    *out = NULL;
    path_of(path, dir);
    drl_status st = drl_make_dirs(dir, err);
    if (st == DRL_OK && drl_store_is_protected(path, &why))
        st = drl_fail(err, DRL_ERR_IO, "%s: cannot write it, or in its directory: %s", path, strerror(why));
    return st == DRL_OK ? open_to_write(out, path, DRL_STORE_CREATE, err) : st;
}

drl_status drl_store_open_existing(drl_store **out, const char *dir, drl_err *err) {
    char path[DRL_PATH_MAX + 32];
    int why;
    *out = NULL;
    path_of(path, dir);
    return drl_store_is_protected(path, &why) ? drl_store_open_read_only(out, dir, err)
                                              : open_to_write(out, path, DRL_STORE_WRITE, err);
}

drl_status drl_store_open_read_only(drl_store **out, const char *dir, drl_err *err) {
    char path[DRL_PATH_MAX + 32];
    path_of(path, dir);
    drl_status st = drl_store_copy(out, path, err);
    if (st == DRL_OK && (st = drl_store_exec(*out, "PRAGMA query_only = 1", "cannot open", err)) != DRL_OK) {
        drl_store_close(*out);
        *out = NULL;
    }
    return st;
}

void drl_store_close(drl_store *s) {
    if (!s) return;
    drl_lock_release(&s->lock);
    sqlite3_close(s->db);
    drl_free(s);
}
