/* The runs of a store: their states, deleting them, their rows as one CSV file (drl/runs.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/config.h"
#include "drl/runs.h"
#include "results/store.h"

/* One row for each run, with its last session and its status. */
#define STATES                                                                                                         \
    "WITH known AS (SELECT runs.*, (SELECT id FROM sessions WHERE run_id = runs.id ORDER BY started DESC, id DESC"     \
    "  LIMIT 1) AS last FROM runs),"                                                                                   \
    " states AS (SELECT known.*, coalesce((SELECT 'running' FROM sessions WHERE run_id = known.id"                     \
    "  AND status = 'running' AND drl_alive(boot, pid, pid_start) LIMIT 1),"                                           \
    "  (SELECT CASE status WHEN 'running' THEN 'interrupted' ELSE status END FROM sessions WHERE id = last),"          \
    "  'unknown') AS status FROM known) "
/* In the order of each_run. */
#define COLUMNS                                                                                                        \
    "SELECT states.id, seed, experiment, method, dataset, scale, config_hash, states.status, ifnull(l.message, ''),"   \
    " created, CASE states.status WHEN 'running' THEN '' ELSE ifnull(l.ended, '') END,"                                \
    " (SELECT sum(wall_seconds) FROM sessions WHERE run_id = states.id),"                                              \
    " (SELECT sum(cpu_seconds) FROM sessions WHERE run_id = states.id),"                                               \
    " (SELECT max(peak_bytes) FROM sessions WHERE run_id = states.id), l.threads,"                                     \
    " (SELECT count(*) FROM metrics WHERE run_id = states.id),"                                                        \
    " (SELECT count(*) FROM sessions WHERE run_id = states.id)"                                                        \
    " FROM states LEFT JOIN sessions AS l ON l.id = last WHERE"
#define PASSES                                                                                                         \
    " (?1 IS NULL OR experiment = ?1) AND (?2 IS NULL OR method = ?2) AND (?3 IS NULL OR dataset = ?3)"                \
    " AND (?4 IS NULL OR states.status = ?4)"

static const char what[] = "cannot read the runs";

static void bind_filter(sqlite3_stmt *q, const drl_run_filter *f) {
    const char *texts[] = {f->experiment, f->method, f->dataset, f->status};
    for (int i = 0; i < 4; i++)
        if (texts[i]) drl_store_bind(q, i + 1, texts[i]); /* else NULL: any */
}

static const char *text(sqlite3_stmt *q, int column) {
    const char *t = (const char *)sqlite3_column_text(q, column);
    return t ? t : "";
}

static double number(sqlite3_stmt *q, int column) {
    return sqlite3_column_type(q, column) == SQLITE_NULL ? NAN : sqlite3_column_double(q, column);
}

static drl_status each_run(drl_store *s, sqlite3_stmt *q, size_t *n,
                           drl_status (*run)(void *arg, const drl_run_state *run, drl_err *err), void *arg,
                           drl_err *err) {
    int code = SQLITE_DONE;
    drl_status st = DRL_OK;
    for (*n = 0; st == DRL_OK && (code = sqlite3_step(q)) == SQLITE_ROW; ++*n) {
        drl_run_state r = {.id = sqlite3_column_int64(q, 0),
                           .seed = (uint64_t)sqlite3_column_int64(q, 1),
                           .experiment = text(q, 2),
                           .method = text(q, 3),
                           .dataset = text(q, 4),
                           .scale = text(q, 5),
                           .config_hash = text(q, 6),
                           .status = text(q, 7),
                           .message = text(q, 8),
                           .started = text(q, 9),
                           .ended = text(q, 10),
                           .wall_seconds = number(q, 11),
                           .cpu_seconds = number(q, 12),
                           .peak_bytes = sqlite3_column_int64(q, 13),
                           .threads = sqlite3_column_int64(q, 14),
                           .rows = sqlite3_column_int64(q, 15),
                           .sessions = sqlite3_column_int64(q, 16)};
        st = run(arg, &r, err);
    }
    if (st == DRL_OK && code != SQLITE_DONE) st = drl_store_fail(s, what, err);
    sqlite3_finalize(q);
    return st;
}

drl_status drl_store_runs(drl_store *s, const drl_run_filter *filter,
                          drl_status (*run)(void *arg, const drl_run_state *run, drl_err *err), void *arg,
                          drl_err *err) {
    sqlite3_stmt *q;
    size_t n;
    drl_status st = drl_store_prepare(s, &q, STATES COLUMNS PASSES " ORDER BY states.id", what, err);
    if (st != DRL_OK) return st;
    bind_filter(q, filter);
    return each_run(s, q, &n, run, arg, err);
}

drl_status drl_store_run_state(drl_store *s, int64_t id,
                               drl_status (*run)(void *arg, const drl_run_state *run, drl_err *err), void *arg,
                               drl_err *err) {
    sqlite3_stmt *q;
    size_t n;
    drl_status st = drl_store_prepare(s, &q, STATES COLUMNS " states.id = ?1", what, err);
    if (st != DRL_OK) return st;
    sqlite3_bind_int64(q, 1, id);
    st = each_run(s, q, &n, run, arg, err);
    return st == DRL_OK && n == 0 ? drl_fail(err, DRL_ERR_NOT_FOUND, "%s: there is no run %lld", s->path, (long long)id)
                                  : st;
}

/* ---- Deleting ---------------------------------------------------------------------------------------------------- */

static drl_status refuse_running(void *arg, const drl_run_state *r, drl_err *err) {
    const drl_store *s = arg;
    return strcmp(r->status, "running") == 0
               ? drl_fail(err, DRL_ERR_IO, "%s: run %lld is running", s->path, (long long)r->id)
               : DRL_OK;
}

static drl_status has_claims(drl_store *s, bool *yes, drl_err *err) {
    sqlite3_stmt *q;
    drl_status st =
        drl_store_prepare(s, &q, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'claims'", what, err);
    if (st != DRL_OK) return st;
    *yes = sqlite3_step(q) == SQLITE_ROW;
    sqlite3_finalize(q);
    return DRL_OK;
}

drl_status drl_store_delete(drl_store *s, const int64_t *runs, size_t n, drl_err *err) {
    static const char *const sql[] = {"DELETE FROM metrics WHERE run_id = ?1", "DELETE FROM sessions WHERE run_id = ?1",
                                      "DELETE FROM runs WHERE id = ?1",
                                      "DELETE FROM claims WHERE ' ' || runs || ' ' LIKE '% ' || ?1 || ' %'"};
    static const char deleting[] = "cannot delete a run";
    bool claims = false;
    drl_status st = drl_store_exec(s, "BEGIN IMMEDIATE", deleting, err);
    if (st != DRL_OK) return st;
    st = has_claims(s, &claims, err);
    for (size_t i = 0; i < n && st == DRL_OK; i++) st = drl_store_run_state(s, runs[i], refuse_running, s, err);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < (claims ? 4 : 3) && st == DRL_OK; k++) {
            sqlite3_stmt *q;
            if ((st = drl_store_prepare(s, &q, sql[k], deleting, err)) != DRL_OK) break;
            sqlite3_bind_int64(q, 1, runs[i]);
            if (sqlite3_step(q) != SQLITE_DONE) st = drl_store_fail(s, deleting, err);
            sqlite3_finalize(q);
        }
    return drl_store_end(s, st, deleting, err);
}

/* ---- CSV --------------------------------------------------------------------------------------------------------- */

drl_status drl_store_write_csv(drl_store *s, const drl_run_filter *filter, FILE *f, drl_err *err) {
    static const char sql[] =
        STATES "SELECT states.id, experiment, method, dataset, scale, seed, states.status, name, t, value, detail,"
               " config_hash, dataset_sha256, ifnull(json_extract(ifnull(sessions.provenance, states.provenance),"
               " '$.git_revision'), '') FROM states JOIN metrics ON metrics.run_id = states.id LEFT JOIN sessions"
               " ON sessions.id = session_id WHERE" PASSES " ORDER BY states.id, name, t";
    sqlite3_stmt *q;
    drl_status st = drl_store_prepare(s, &q, sql, "cannot read the rows", err);
    if (st != DRL_OK) return st;
    bind_filter(q, filter);
    fputs("run,experiment,method,dataset,scale,seed,status,metric,t,value,detail,config_hash,dataset_sha256,"
          "git_revision\n",
          f);
    int code;
    while ((code = sqlite3_step(q)) == SQLITE_ROW) {
        for (int c = 0; c < 14; c++) {
            char digits[32] = "";
            if (c) fputc(',', f);
            if (c == 0 || c == 5) {
                fprintf(f, "%llu", (unsigned long long)sqlite3_column_int64(q, c));
            } else if (c == 8 || c == 9) {
                if (sqlite3_column_type(q, c) != SQLITE_NULL) drl_format_number(digits, sqlite3_column_double(q, c));
                fputs(digits, f);
            } else {
                drl_store_quote(f, text(q, c));
            }
        }
        fputc('\n', f);
    }
    if (code != SQLITE_DONE) st = drl_store_fail(s, "cannot read the rows", err);
    sqlite3_finalize(q);
    return st;
}
