/* The run store: tables of one SQLite file (drl/results.h). Every call is one statement and so one transaction. */
#include <cjson/cJSON.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "drl/results.h"
#include "results/store.h"

/* One line about the last error of the database. */
drl_status drl_store_fail(drl_store *s, const char *what, drl_err *err) {
    int code = sqlite3_errcode(s->db);
    const char *text = sqlite3_errmsg(s->db);
    switch (code & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return drl_fail(err, DRL_ERR_FORMAT, "%s: damaged, or not a results store (%s): move it away, or restore it",
                        s->path, text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return drl_fail(err, DRL_ERR_IO, "%s: %s: locked by another program for more than %d s", s->path, what,
                        DRL_STORE_WAIT_MS / 1000);
    case SQLITE_READONLY:
        return drl_fail(err, DRL_ERR_IO, "%s: %s: it was opened to be read only, or it is write-protected", s->path,
                        what);
    case SQLITE_NOMEM: return drl_fail(err, DRL_ERR_MEMORY, "%s: %s: out of memory", s->path, what);
    default: return drl_fail(err, DRL_ERR_IO, "%s: %s: %s", s->path, what, text);
    }
}

drl_status drl_store_prepare(drl_store *s, sqlite3_stmt **q, const char *sql, const char *what, drl_err *err) {
    return sqlite3_prepare_v2(s->db, sql, -1, q, NULL) == SQLITE_OK ? DRL_OK : drl_store_fail(s, what, err);
}

void drl_store_bind(sqlite3_stmt *q, int at, const char *text) {
    sqlite3_bind_text(q, at, text, -1, SQLITE_TRANSIENT);
}

drl_status drl_store_run(drl_store *s, int64_t *run_id, const drl_run_info *info, drl_err *err) {
    static const char sql[] =
        "INSERT INTO runs (experiment, method, dataset, scale, seed, config_hash, config, dataset_sha256, provenance,"
        " created, opened) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'),"
        " (SELECT ifnull(max(opened), 0) + 1 FROM runs))"
        " ON CONFLICT (experiment, method, dataset, scale, seed, config_hash) DO UPDATE SET opened = excluded.opened,"
        " provenance = CASE WHEN ?10 THEN excluded.provenance ELSE provenance END,"
        " created = CASE WHEN ?10 THEN excluded.created ELSE created END"
        " RETURNING id";
    sqlite3_stmt *q;
    drl_status st = drl_store_prepare(s, &q, sql, "cannot record the run", err);
    if (st != DRL_OK) return st;
    const char *texts[] = {info->experiment, info->method, info->dataset, info->scale};
    for (int i = 0; i < 4; i++) drl_store_bind(q, i + 1, texts[i]);
    sqlite3_bind_int64(q, 5, (int64_t)info->seed);
    drl_store_bind(q, 6, info->config_hash);
    drl_store_bind(q, 7, info->config);
    drl_store_bind(q, 8, info->dataset_sha256);
    drl_store_bind(q, 9, drl_provenance());
    sqlite3_bind_int(q, 10, info->anew);
    /* the row comes first; the change is committed only when the statement is done */
    int64_t id = 0;
    int code = sqlite3_step(q);
    if (code == SQLITE_ROW) {
        id = sqlite3_column_int64(q, 0);
        code = sqlite3_step(q);
    }
    if (code != SQLITE_DONE)
        st = drl_store_fail(s, "cannot record the run", err);
    else
        *run_id = id;
    sqlite3_finalize(q);
    return st == DRL_OK && info->anew ? drl_store_forget_sessions(s, id, err) : st;
}

static void bind_time(sqlite3_stmt *q, int at, double t) {
    if (isnan(t))
        sqlite3_bind_null(q, at);
    else
        sqlite3_bind_double(q, at, t);
}

drl_status drl_store_put(drl_store *s, int64_t run_id, const char *name, double t, double value, const char *detail,
                         drl_err *err) {
    if (!isfinite(value))
        return drl_fail(err, DRL_ERR_NUMERIC, "%s: metric %s is %g: not stored", s->path, name, value);
    if (isinf(t)) return drl_fail(err, DRL_ERR_NUMERIC, "%s: metric %s at t = %g: not stored", s->path, name, t);
    sqlite3_stmt *q;
    drl_status st = drl_store_prepare(
        s, &q,
        "INSERT INTO metrics (run_id, name, t, value, detail, session_id)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (run_id, name, ifnull(t, 'none'))"
        " DO UPDATE SET value = excluded.value, detail = excluded.detail, session_id = excluded.session_id"
        " WHERE value IS NOT excluded.value OR detail IS NOT excluded.detail OR session_id IS NULL",
        "cannot store a metric", err);
    if (st != DRL_OK) return st;
    sqlite3_bind_int64(q, 1, run_id);
    drl_store_bind(q, 2, name);
    bind_time(q, 3, t);
    sqlite3_bind_double(q, 4, value);
    drl_store_bind(q, 5, detail);
    bool ours = s->session && s->session_run == run_id;
    if (ours) sqlite3_bind_int64(q, 6, s->session);
    if (sqlite3_step(q) != SQLITE_DONE) st = drl_store_fail(s, "cannot store a metric", err);
    bool changed = st == DRL_OK && sqlite3_changes(s->db) > 0;
    sqlite3_finalize(q);
    return ours && changed ? drl_store_session_row(s, err) : st;
}

drl_status drl_store_get(drl_store *s, int64_t run_id, const char *name, double t, bool *found, double *value,
                         char *detail, size_t size, drl_err *err) {
    sqlite3_stmt *q;
    drl_status st =
        drl_store_prepare(s, &q, "SELECT value, detail FROM metrics WHERE run_id = ?1 AND name = ?2 AND t IS ?3",
                          "cannot read a metric", err);
    if (st != DRL_OK) return st;
    sqlite3_bind_int64(q, 1, run_id);
    drl_store_bind(q, 2, name);
    bind_time(q, 3, t);
    int code = sqlite3_step(q);
    if (code == SQLITE_ROW) {
        *value = sqlite3_column_double(q, 0);
        if (detail) snprintf(detail, size, "%s", (const char *)sqlite3_column_text(q, 1));
    } else if (code != SQLITE_DONE) {
        st = drl_store_fail(s, "cannot read a metric", err);
    }
    if (st == DRL_OK) *found = code == SQLITE_ROW;
    sqlite3_finalize(q);
    return st;
}

/* Hands on what a prepared query of method, name, detail, config_hash, seed, t, value, id gives; the query is
 * finalized. */
static drl_status each_row(drl_store *s, sqlite3_stmt *q,
                           drl_status (*row)(void *arg, const drl_row *row, drl_err *err), void *arg, drl_err *err) {
    drl_status st = DRL_OK;
    int code = SQLITE_DONE;
    while (st == DRL_OK && (code = sqlite3_step(q)) == SQLITE_ROW) {
        drl_row r = {.method = (const char *)sqlite3_column_text(q, 0),
                     .metric = (const char *)sqlite3_column_text(q, 1),
                     .detail = (const char *)sqlite3_column_text(q, 2),
                     .config_hash = (const char *)sqlite3_column_text(q, 3),
                     .seed = (uint64_t)sqlite3_column_int64(q, 4),
                     .t = sqlite3_column_type(q, 5) == SQLITE_NULL ? NAN : sqlite3_column_double(q, 5),
                     .value = sqlite3_column_double(q, 6),
                     .run_id = sqlite3_column_int64(q, 7)};
        st = row(arg, &r, err);
    }
    if (st == DRL_OK && code != SQLITE_DONE) st = drl_store_fail(s, "cannot read the rows", err);
    sqlite3_finalize(q);
    return st;
}

drl_status drl_store_run_rows(drl_store *s, int64_t run_id,
                              drl_status (*row)(void *arg, const drl_row *row, drl_err *err), void *arg, drl_err *err) {
    static const char sql[] = "SELECT method, name, detail, config_hash, seed, t, value, id FROM runs JOIN metrics"
                              " ON run_id = id WHERE id = ?1 ORDER BY name, t";
    sqlite3_stmt *q;
    drl_status st = drl_store_prepare(s, &q, sql, "cannot read the rows", err);
    if (st != DRL_OK) return st;
    sqlite3_bind_int64(q, 1, run_id);
    return each_row(s, q, row, arg, err);
}

drl_status drl_store_rows(drl_store *s, const char *experiment, const char *dataset, const char *scale,
                          drl_status (*row)(void *arg, const drl_row *row, drl_err *err), void *arg, drl_err *err) {
    /* of the runs of a method and seed that have rows, the one opened last */
    static const char sql[] =
        "WITH ranked AS (SELECT id, method, seed, config_hash, row_number() OVER (PARTITION BY method, seed"
        "  ORDER BY opened DESC) AS place FROM runs WHERE experiment = ?1 AND dataset = ?2 AND scale = ?3"
        "  AND EXISTS (SELECT 1 FROM metrics WHERE run_id = runs.id))"
        " SELECT method, name, detail, config_hash, seed, t, value, id FROM ranked JOIN metrics ON run_id = id"
        " WHERE place = 1 ORDER BY method, name, t, seed";
    sqlite3_stmt *q;
    drl_status st = drl_store_prepare(s, &q, sql, "cannot read the rows", err);
    if (st != DRL_OK) return st;
    drl_store_bind(q, 1, experiment);
    drl_store_bind(q, 2, dataset);
    drl_store_bind(q, 3, scale);
    return each_row(s, q, row, arg, err);
}

drl_status drl_store_describe(drl_store *s, int64_t run_id, char **json, drl_err *err) {
    static const char *const keys[] = {"experiment",  "method",         "dataset", "scale",
                                       "config_hash", "dataset_sha256", "created", "config"};
    *json = NULL;
    sqlite3_stmt *q;
    drl_status st =
        drl_store_prepare(s, &q,
                          "SELECT experiment, method, dataset, scale, config_hash, dataset_sha256, created, config,"
                          " provenance, seed FROM runs WHERE id = ?1",
                          "cannot read a run", err);
    if (st != DRL_OK) return st;
    sqlite3_bind_int64(q, 1, run_id);
    int code = sqlite3_step(q);
    if (code == SQLITE_ROW) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "run", (double)run_id);
        cJSON_AddNumberToObject(o, "seed", (double)sqlite3_column_int64(q, 9));
        for (int i = 0; i < 8; i++) cJSON_AddStringToObject(o, keys[i], (const char *)sqlite3_column_text(q, i));
        cJSON_AddItemToObject(o, "provenance", cJSON_Parse((const char *)sqlite3_column_text(q, 8)));
        st = drl_store_describe_sessions(s, run_id, cJSON_AddArrayToObject(o, "sessions"), err);
        if (st == DRL_OK) *json = cJSON_Print(o);
        cJSON_Delete(o);
        if (st == DRL_OK && !*json) st = drl_fail(err, DRL_ERR_MEMORY, "%s: run %lld", s->path, (long long)run_id);
    } else if (code == SQLITE_DONE) {
        st = drl_fail(err, DRL_ERR_NOT_FOUND, "%s: there is no run %lld", s->path, (long long)run_id);
    } else {
        st = drl_store_fail(s, "cannot read a run", err);
    }
    sqlite3_finalize(q);
    return st;
}
