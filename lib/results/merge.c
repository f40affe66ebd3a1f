/* Another machine's store, added to ours (drl/runs.h). The other one is copied into memory and brought to this version
 * there, so that its file stays as it is. */
#include <stdio.h>
#include <string.h>

#include "drl/runs.h"
#include "results/store.h"

static const char what[] = "cannot merge";

/* Attached to ours as "other": the store at a path, of this version. */
static drl_status attach(drl_store *s, const char *path, drl_err *err) {
    drl_store *memory;
    drl_status st = drl_store_copy(&memory, path, err);
    if (st == DRL_OK) st = drl_store_exec(s, "ATTACH ':memory:' AS other", what, err);
    if (st == DRL_OK && (st = drl_store_copy_pages(s, "other", memory, what, err)) != DRL_OK)
        sqlite3_exec(s->db, "DETACH other", NULL, NULL, NULL);
    drl_store_close(memory);
    return st;
}

static drl_status count(drl_store *s, int64_t *n, const char *sql, drl_err *err) {
    sqlite3_stmt *q;
    drl_status st = drl_store_prepare(s, &q, sql, what, err);
    if (st != DRL_OK) return st;
    if (sqlite3_step(q) == SQLITE_ROW)
        *n = sqlite3_column_int64(q, 0);
    else
        st = drl_store_fail(s, what, err);
    sqlite3_finalize(q);
    return st;
}

/* Executes one statement; *changes, where asked for, = the rows it changed. */
static drl_status change(drl_store *s, const char *sql, int64_t *changes, drl_err *err) {
    drl_status st = drl_store_exec(s, sql, what, err);
    if (st == DRL_OK && changes) *changes = sqlite3_changes(s->db);
    return st;
}

/* their: the id of each of their runs here. */
#define SAME_RUN                                                                                                       \
    "o.experiment = m.experiment AND o.method = m.method AND o.dataset = m.dataset AND o.scale = m.scale"              \
    " AND o.seed = m.seed AND o.config_hash = m.config_hash"
#define THEIR_ROWS                                                                                                     \
    " FROM other.metrics AS o JOIN their ON their.theirs = o.run_id"                                                   \
    " JOIN main.metrics AS m ON m.run_id = their.ours AND m.name = o.name"                                             \
    " AND ifnull(m.t, 'none') = ifnull(o.t, 'none') "

static drl_status merge(drl_store *s, drl_merge_counts *c, drl_err *err) {
    static const char bad[] =
        "SELECT count(*) FROM other.metrics WHERE typeof(value) <> 'real' OR abs(value) > 1.7976931348623157e308"
        " OR typeof(t) NOT IN ('real', 'null')";
    /* what is new there comes before what is ours, in the order it was opened there */
    static const char runs[] =
        "INSERT INTO main.runs (experiment, method, dataset, scale, seed, config_hash, config, dataset_sha256,"
        " provenance, created, opened) SELECT experiment, method, dataset, scale, seed, config_hash, config,"
        " dataset_sha256, provenance, created, opened - (SELECT max(opened) FROM other.runs)"
        " + (SELECT ifnull(min(opened), 1) FROM main.runs) - 1 FROM other.runs WHERE true"
        " ON CONFLICT (experiment, method, dataset, scale, seed, config_hash) DO NOTHING";
    static const char map[] = "CREATE TEMP TABLE their AS SELECT o.id AS theirs, m.id AS ours FROM other.runs AS o"
                              " JOIN main.runs AS m ON " SAME_RUN;
    /* a session seen before may have ended since */
    static const char sessions[] =
        "INSERT INTO main.sessions (run_id, token, status, message, started, ended, wall_seconds, cpu_seconds,"
        " peak_bytes, threads, boot, pid, pid_start, provenance) SELECT ours, token, status, message, started, ended,"
        " wall_seconds, cpu_seconds, peak_bytes, threads, boot, pid, pid_start, provenance FROM other.sessions"
        " JOIN temp.their ON theirs = run_id WHERE true ON CONFLICT (token) DO UPDATE SET status = excluded.status,"
        " message = excluded.message, ended = excluded.ended, wall_seconds = excluded.wall_seconds,"
        " cpu_seconds = excluded.cpu_seconds, peak_bytes = excluded.peak_bytes WHERE sessions.ended IS NULL"
        " AND excluded.ended IS NOT NULL";
    static const char rows[] =
        "INSERT INTO main.metrics (run_id, name, t, value, detail, session_id) SELECT ours, name, t, value, detail,"
        " (SELECT m.id FROM main.sessions AS m JOIN other.sessions AS o ON o.token = m.token"
        "  WHERE o.id = other.metrics.session_id) FROM other.metrics JOIN temp.their ON theirs = run_id WHERE true"
        " ON CONFLICT (run_id, name, ifnull(t, 'none')) DO NOTHING";
    int64_t n = 0;
    drl_status st = count(s, &n, bad, err);
    if (st == DRL_OK && n > 0)
        return drl_fail(err, DRL_ERR_FORMAT, "damaged: %lld rows are no finite numbers", (long long)n);
    st = change(s, runs, &c->runs, err);
    if (st == DRL_OK) st = change(s, map, NULL, err);
    if (st == DRL_OK) st = change(s, sessions, NULL, err);
    if (st == DRL_OK)
        st = count(s, &c->same, "SELECT count(*)" THEIR_ROWS "WHERE m.value IS o.value AND m.detail IS o.detail", err);
    if (st == DRL_OK)
        st = count(s, &c->conflicts,
                   "SELECT count(*)" THEIR_ROWS "WHERE m.value IS NOT o.value OR m.detail IS NOT o.detail", err);
    if (st == DRL_OK) st = change(s, rows, &c->rows, err);
    return st == DRL_OK ? change(s, "DROP TABLE temp.their", NULL, err) : st;
}

drl_status drl_store_merge(drl_store *s, const char *other, drl_merge_counts *counts, drl_err *err) {
    *counts = (drl_merge_counts){0};
    drl_status st = attach(s, other, err);
    if (st != DRL_OK) return st;
    st = drl_store_exec(s, "BEGIN IMMEDIATE", what, err);
    if (st == DRL_OK) {
        st = merge(s, counts, err);
        if (st != DRL_OK) drl_err_context(err, st, "merging %s", other);
        st = drl_store_end(s, st, what, err);
    }
    sqlite3_exec(s->db, "DETACH other", NULL, NULL, NULL);
    return st;
}
