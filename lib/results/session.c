/* The processes that work on runs (drl/runs.h): who they are, whether they live, and what they use. */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "drl/log.h"
#include "drl/runs.h"
#include "results/store.h"

/* ---- Who --------------------------------------------------------------------------------------------------------- */

/* This boot of this machine; "" where the system does not tell. */
static void boot_id(char buf[64]) {
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    buf[0] = '\0';
    if (!f) return;
    if (!fgets(buf, 64, f)) buf[0] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    fclose(f);
}

/* When a process began, in ticks since the boot (field 22 of /proc/PID/stat; the second, a name in brackets, may hold
 * anything): tells it from a later one of the same number. 0: not known, or it has ended and only its parent does not
 * know yet (field 3 is Z). */
static int64_t start_of(int64_t pid) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = '\0';
    const char *at = strrchr(line, ')');
    long long start = 0;
    if (at && strncmp(at, ") Z", 3) == 0) return 0;
    for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
    return at && sscanf(at, "%lld", &start) == 1 ? start : 0;
}

/* drl_alive(boot, pid, pid_start) */
static void alive(sqlite3_context *context, int n, sqlite3_value **args) {
    (void)n;
    char boot[64];
    boot_id(boot);
    const char *theirs = (const char *)sqlite3_value_text(args[0]);
    int64_t pid = sqlite3_value_int64(args[1]);
    bool lives = theirs && strcmp(theirs, boot) == 0 && pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM) &&
                 start_of(pid) == sqlite3_value_int64(args[2]);
    sqlite3_result_int(context, lives);
}

drl_status drl_store_add_functions(drl_store *s, drl_err *err) {
    return sqlite3_create_function(s->db, "drl_alive", 3, SQLITE_UTF8, NULL, alive, NULL, NULL) == SQLITE_OK
               ? DRL_OK
               : drl_store_fail(s, "cannot open", err);
}

/* ---- What it uses ------------------------------------------------------------------------------------------------ */

/* CPU seconds of all threads so far, and the most memory that was resident at once. */
static double cpu_now(int64_t *peak_bytes) {
    struct rusage u = {0};
    getrusage(RUSAGE_SELF, &u);
    *peak_bytes = (int64_t)u.ru_maxrss * 1024;
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* ---- Sessions ---------------------------------------------------------------------------------------------------- */

/* Runs a statement that gives no rows, and finalizes it. */
static drl_status step(drl_store *s, sqlite3_stmt *q, drl_err *err) {
    drl_status st = sqlite3_step(q) == SQLITE_DONE ? DRL_OK : drl_store_fail(s, "cannot record the run", err);
    sqlite3_finalize(q);
    return st;
}

static drl_status insert(drl_store *s, int64_t run, size_t threads, drl_err *err) {
    char boot[64];
    boot_id(boot);
    sqlite3_stmt *q;
    drl_status st = drl_store_prepare(
        s, &q,
        "INSERT INTO sessions (run_id, token, status, message, started, wall_seconds, cpu_seconds, threads, boot, pid,"
        " pid_start, provenance) VALUES (?1, lower(hex(randomblob(16))), 'running', '',"
        " strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), 0, 0, ?2, ?3, ?4, ?5, ?6)",
        "cannot record the run", err);
    if (st != DRL_OK) return st;
    sqlite3_bind_int64(q, 1, run);
    sqlite3_bind_int64(q, 2, (int64_t)threads);
    drl_store_bind(q, 3, boot);
    sqlite3_bind_int64(q, 4, (int64_t)getpid());
    sqlite3_bind_int64(q, 5, start_of(getpid()));
    drl_store_bind(q, 6, drl_provenance());
    return step(s, q, err);
}

/* *done: the last session of the run was. */
static drl_status was_done(drl_store *s, int64_t run, bool *done, drl_err *err) {
    sqlite3_stmt *q;
    drl_status st = drl_store_prepare(
        s, &q, "SELECT status = 'done' FROM sessions WHERE run_id = ?1 ORDER BY started DESC, id DESC LIMIT 1",
        "cannot record the run", err);
    if (st != DRL_OK) return st;
    sqlite3_bind_int64(q, 1, run);
    int code = sqlite3_step(q);
    *done = code == SQLITE_ROW && sqlite3_column_int(q, 0);
    if (code != SQLITE_ROW && code != SQLITE_DONE) st = drl_store_fail(s, "cannot record the run", err);
    sqlite3_finalize(q);
    return st;
}

/* The run, for this process alone: PATH-run-ID.lock. */
static drl_status lock_run(drl_store *s, int64_t run, drl_err *err) {
    char path[sizeof s->path + 32], busy[sizeof s->path + 64];
    snprintf(path, sizeof path, "%s-run-%lld.lock", s->path, (long long)run);
    snprintf(busy, sizeof busy, "%.500s: run %lld is being made", s->path, (long long)run);
    return drl_lock_take(&s->lock, path, busy, err);
}

static drl_status begin(drl_store *s, int64_t run, size_t threads, drl_err *err) {
    static const char gone[] = "UPDATE sessions SET status = 'interrupted' WHERE run_id = ?1 AND status = 'running'"
                               " AND NOT drl_alive(boot, pid, pid_start)";
    bool done = false;
    sqlite3_stmt *q;
    drl_status st = drl_store_exec(s, "BEGIN IMMEDIATE", "cannot record the run", err);
    if (st != DRL_OK) return st;
    st = drl_store_prepare(s, &q, gone, "cannot record the run", err);
    if (st == DRL_OK) {
        sqlite3_bind_int64(q, 1, run);
        st = step(s, q, err);
    }
    if (st == DRL_OK) st = was_done(s, run, &done, err);
    if (st == DRL_OK) st = insert(s, run, threads, err);
    int64_t id = sqlite3_last_insert_rowid(s->db), peak;
    st = drl_store_end(s, st, "cannot record the run", err);
    if (st != DRL_OK) return st;
    s->session = id;
    s->session_run = run;
    s->session_changes = 0;
    s->session_was_done = done;
    s->wall = drl_now();
    s->cpu = cpu_now(&peak);
    return DRL_OK;
}

drl_status drl_store_begin(drl_store *s, int64_t run, size_t threads, drl_err *err) {
    assert(!s->session);
    drl_status st = lock_run(s, run, err);
    if (st == DRL_OK && (st = begin(s, run, threads, err)) != DRL_OK) drl_lock_release(&s->lock);
    return st;
}

/* What was used so far; with a status, also that it ended. */
static drl_status record(drl_store *s, const char *status, const char *message, drl_err *err) {
    sqlite3_stmt *q;
    drl_status st = drl_store_prepare(
        s, &q,
        "UPDATE sessions SET wall_seconds = ?2, cpu_seconds = ?3, peak_bytes = ?4, status = ifnull(?5, status),"
        " message = ?6, ended = CASE WHEN ?5 IS NULL THEN ended ELSE strftime('%Y-%m-%dT%H:%M:%SZ', 'now') END"
        " WHERE id = ?1",
        "cannot record the run", err);
    if (st != DRL_OK) return st;
    int64_t peak;
    double cpu = cpu_now(&peak) - s->cpu;
    sqlite3_bind_int64(q, 1, s->session);
    sqlite3_bind_double(q, 2, drl_now() - s->wall);
    sqlite3_bind_double(q, 3, cpu);
    sqlite3_bind_int64(q, 4, peak);
    if (status) drl_store_bind(q, 5, status);
    drl_store_bind(q, 6, message);
    return step(s, q, err);
}

drl_status drl_store_session_row(drl_store *s, drl_err *err) {
    s->session_changes++;
    return record(s, NULL, "", err);
}

drl_status drl_store_finish(drl_store *s, drl_status outcome, drl_err *err) {
    if (!s->session) return outcome;
    drl_err *own = outcome == DRL_OK ? err : NULL;
    drl_status st;
    if (outcome == DRL_OK && s->session_changes == 0 && s->session_was_done) {
        sqlite3_stmt *q;
        st = drl_store_prepare(s, &q, "DELETE FROM sessions WHERE id = ?1", "cannot record the run", own);
        if (st == DRL_OK) {
            sqlite3_bind_int64(q, 1, s->session);
            st = step(s, q, own);
        }
    } else {
        const char *status = outcome == DRL_OK ? "done" : outcome == DRL_ERR_INTERRUPTED ? "interrupted" : "failed";
        st = record(s, status, outcome != DRL_OK && err ? err->message : "", own);
    }
    s->session = 0;
    drl_lock_release(&s->lock);
    return outcome == DRL_OK ? st : outcome;
}

drl_status drl_store_forget_sessions(drl_store *s, int64_t run, drl_err *err) {
    static const char *const sql[] = {"UPDATE metrics SET session_id = NULL WHERE run_id = ?1",
                                      "DELETE FROM sessions WHERE run_id = ?1 AND NOT (status = 'running' AND"
                                      " drl_alive(boot, pid, pid_start))"};
    drl_status st = drl_store_exec(s, "BEGIN IMMEDIATE", "cannot record the run", err);
    if (st != DRL_OK) return st;
    for (int i = 0; i < 2 && st == DRL_OK; i++) {
        sqlite3_stmt *q;
        st = drl_store_prepare(s, &q, sql[i], "cannot record the run", err);
        if (st != DRL_OK) break;
        sqlite3_bind_int64(q, 1, run);
        st = step(s, q, err);
    }
    return drl_store_end(s, st, "cannot record the run", err);
}

drl_status drl_store_describe_sessions(drl_store *s, int64_t run, cJSON *array, drl_err *err) {
    static const char *const keys[] = {"token",        "status",      "message",    "started", "ended",
                                       "wall_seconds", "cpu_seconds", "peak_bytes", "threads"};
    enum { KEYS = sizeof keys / sizeof *keys, TEXTS = 5 };
    sqlite3_stmt *q;
    drl_status st = drl_store_prepare(
        s, &q,
        "SELECT token, CASE WHEN status = 'running' AND NOT drl_alive(boot, pid, pid_start) THEN 'interrupted'"
        " ELSE status END, message, started, ended, wall_seconds, cpu_seconds, peak_bytes, threads, provenance"
        " FROM sessions WHERE run_id = ?1 ORDER BY started, id",
        "cannot read a run", err);
    if (st != DRL_OK) return st;
    sqlite3_bind_int64(q, 1, run);
    int code;
    while ((code = sqlite3_step(q)) == SQLITE_ROW) {
        cJSON *o = cJSON_CreateObject();
        for (int c = 0; c < KEYS; c++) {
            if (sqlite3_column_type(q, c) == SQLITE_NULL)
                cJSON_AddNullToObject(o, keys[c]);
            else if (c < TEXTS)
                cJSON_AddStringToObject(o, keys[c], (const char *)sqlite3_column_text(q, c));
            else
                cJSON_AddNumberToObject(o, keys[c], sqlite3_column_double(q, c));
        }
        cJSON_AddItemToObject(o, "provenance", cJSON_Parse((const char *)sqlite3_column_text(q, KEYS)));
        cJSON_AddItemToArray(array, o);
    }
    if (code != SQLITE_DONE) st = drl_store_fail(s, "cannot read a run", err);
    sqlite3_finalize(q);
    return st;
}
