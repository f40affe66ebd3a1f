/* Exported rows and runs back into a store (drl/results.h): the inverse of export.c. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/file.h"
#include "drl/mem.h"
#include "results/store.h"

static const char importing[] = "cannot import";

/* A file's run and the store's. */
typedef struct pair {
    int64_t theirs, ours;
} pair;

typedef struct importer {
    drl_store *store;
    pair *runs;
    size_t n;
} importer;

static drl_status read_text(char **text, const char *path, drl_err *err) {
    FILE *f = fopen(path, "rb");
    long size = -1;
    *text = NULL;
    if (!f) return drl_fail(err, DRL_ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
    if (fseek(f, 0, SEEK_END) == 0) size = ftell(f);
    rewind(f);
    drl_status st = size < 0 ? drl_fail(err, DRL_ERR_IO, "%s: cannot read", path) : DRL_OK;
    if (st == DRL_OK) st = drl_alloc(text, (size_t)size + 1, 1, path, err);
    if (st == DRL_OK && fread(*text, 1, (size_t)size, f) != (size_t)size)
        st = drl_fail(err, DRL_ERR_IO, "%s: cannot read", path);
    fclose(f);
    if (st == DRL_OK && strlen(*text) != (size_t)size)
        st = drl_fail(err, DRL_ERR_FORMAT, "%s: a zero byte in it", path);
    if (st != DRL_OK) {
        drl_free(*text);
        *text = NULL;
    }
    return st;
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

/* Inserts a run, or finds the one that is the same. */
static drl_status put_run(importer *m, const char *const text[8], const char *provenance, double seed, drl_err *err) {
    static const char insert[] =
        "INSERT INTO runs (experiment, method, dataset, scale, config_hash, dataset_sha256, created, config,"
        " provenance, seed, opened) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
        " (SELECT ifnull(max(opened), 0) + 1 FROM runs))"
        " ON CONFLICT (experiment, method, dataset, scale, seed, config_hash) DO UPDATE SET opened = opened"
        " RETURNING id";
    sqlite3_stmt *q;
    drl_status st = drl_store_prepare(m->store, &q, insert, importing, err);
    if (st != DRL_OK) return st;
    for (int i = 0; i < 8; i++) drl_store_bind(q, i + 1, text[i]);
    drl_store_bind(q, 9, provenance);
    sqlite3_bind_int64(q, 10, (int64_t)seed);
    int code = sqlite3_step(q);
    if (code == SQLITE_ROW) {
        m->runs[m->n++].ours = sqlite3_column_int64(q, 0);
        code = sqlite3_step(q);
    }
    if (code != SQLITE_DONE) st = drl_store_fail(m->store, importing, err);
    sqlite3_finalize(q);
    return st;
}

/* A session of a run, as drl_store_describe_sessions writes it; one that is there already may have ended since. Its
 * process is none of this machine. Older exports gave sessions no token: what they say is left out. */
static drl_status put_session(importer *m, int64_t run, const cJSON *session, drl_err *err) {
    static const char insert[] =
        "INSERT INTO sessions (run_id, token, status, message, started, ended, wall_seconds, cpu_seconds, peak_bytes,"
        " threads, provenance, boot, pid, pid_start) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, '', 0, 0)"
        " ON CONFLICT (token) DO UPDATE SET status = excluded.status, message = excluded.message,"
        " ended = excluded.ended, wall_seconds = excluded.wall_seconds, cpu_seconds = excluded.cpu_seconds,"
        " peak_bytes = excluded.peak_bytes WHERE sessions.ended IS NULL AND excluded.ended IS NOT NULL";
    static const char *const texts[] = {"token", "status", "message", "started", "ended"};
    static const char *const numbers[] = {"wall_seconds", "cpu_seconds", "peak_bytes", "threads"};
    sqlite3_stmt *q;
    if (!cJSON_HasObjectItem(session, "token")) return DRL_OK;
    drl_status st = drl_store_prepare(m->store, &q, insert, importing, err);
    if (st != DRL_OK) return st;
    sqlite3_bind_int64(q, 1, run);
    for (int i = 0; i < 5 && st == DRL_OK; i++) { /* all but the end are known of every session */
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(session, texts[i]);
        if (cJSON_IsString(item))
            drl_store_bind(q, i + 2, item->valuestring);
        else if (i < 4)
            st = drl_fail(err, DRL_ERR_FORMAT, "a session has no %s", texts[i]);
    }
    for (int i = 0; i < 4; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(session, numbers[i]);
        if (cJSON_IsNumber(item)) sqlite3_bind_double(q, i + 7, item->valuedouble);
    }
    const cJSON *provenance = cJSON_GetObjectItemCaseSensitive(session, "provenance");
    char *origin = provenance ? cJSON_PrintUnformatted(provenance) : NULL;
    drl_store_bind(q, 11, origin ? origin : "{}");
    if (st == DRL_OK && sqlite3_step(q) != SQLITE_DONE) st = drl_store_fail(m->store, importing, err);
    sqlite3_finalize(q);
    cJSON_free(origin);
    return st;
}

static drl_status import_run(importer *m, const cJSON *run, size_t place, drl_err *err) {
    static const char *const keys[8] = {"experiment",  "method",         "dataset", "scale",
                                        "config_hash", "dataset_sha256", "created", "config"};
    const char *text[8];
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(run, "run");
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(run, "seed");
    const cJSON *provenance = cJSON_GetObjectItemCaseSensitive(run, "provenance");
    bool whole = cJSON_IsNumber(id) && cJSON_IsNumber(seed) && seed->valuedouble >= 0 && seed->valuedouble < 0x1p53;
    for (int i = 0; i < 8; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(run, keys[i]);
        whole = whole && cJSON_IsString(item);
        text[i] = whole ? item->valuestring : "";
    }
    if (!whole) return drl_fail(err, DRL_ERR_FORMAT, "run %zu of the list: lacks something", place);
    m->runs[m->n].theirs = (int64_t)id->valuedouble;
    char *origin = provenance ? cJSON_PrintUnformatted(provenance) : NULL;
    drl_status st = put_run(m, text, origin ? origin : "{}", seed->valuedouble, err);
    cJSON_free(origin);
    const cJSON *session;
    if (st == DRL_OK) cJSON_ArrayForEach(session, cJSON_GetObjectItemCaseSensitive(run, "sessions")) {
            if (st == DRL_OK) st = put_session(m, m->runs[m->n - 1].ours, session, err);
        }
    return st == DRL_OK ? st : drl_err_context(err, st, "run %zu of the list", place);
}

static drl_status import_runs(importer *m, const char *text, drl_err *err) {
    cJSON *list = cJSON_Parse(text);
    const cJSON *run;
    size_t place = 0;
    drl_status st = cJSON_IsArray(list) ? DRL_OK : drl_fail(err, DRL_ERR_FORMAT, "no list of runs");
    if (st == DRL_OK) st = drl_alloc(&m->runs, (size_t)cJSON_GetArraySize(list) + 1, sizeof *m->runs, "runs", err);
    if (st == DRL_OK) cJSON_ArrayForEach(run, list) {
            if (st == DRL_OK) st = import_run(m, run, ++place, err);
        }
    cJSON_Delete(list);
    return st;
}

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

#define FIELDS 8 /* run,method,seed,metric,t,value,detail,config_hash */

/* Cuts a line of CSV up in place; *line moves behind it. False where it does not have FIELDS fields. */
static bool cut(char *field[FIELDS], char **line) {
    char *at = *line;
    size_t n = 0;
    for (bool more = true; more;) {
        if (n == FIELDS) return false;
        char *to = at;
        field[n++] = at;
        if (*at == '"') {
            for (at++; *at && !(*at == '"' && at[1] != '"'); *to++ = *at++)
                if (*at == '"') at++;
            if (*at++ != '"') return false;
        } else {
            for (; *at && *at != ',' && *at != '\n'; at++) to++;
        }
        if (*at && *at != ',' && *at != '\n') return false;
        more = *at == ',';
        char end = *at;
        *to = '\0';
        if (end) at++;
    }
    *line = at;
    return n == FIELDS;
}

static bool number(double *out, const char *text) {
    char *end;
    *out = strtod(text, &end);
    return *text && !isspace((unsigned char)*text) && !*end && isfinite(*out);
}

/* A row of one of the runs; one that is there already stays. */
static drl_status import_row(const importer *m, sqlite3_stmt *q, char *const field[FIELDS], drl_err *err) {
    double run, t = NAN, value;
    size_t k = 0;
    if (!number(&run, field[0]) || !number(&value, field[5]) || (field[4][0] && !number(&t, field[4])))
        return drl_fail(err, DRL_ERR_FORMAT, "no run, time or value: \"%.40s\"", field[5]);
    while (k < m->n && (double)m->runs[k].theirs != run) k++;
    if (k == m->n) return drl_fail(err, DRL_ERR_FORMAT, "run %.40s is not among the runs", field[0]);
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
    sqlite3_bind_int64(q, 1, m->runs[k].ours);
    drl_store_bind(q, 2, field[3]);
    if (field[4][0]) sqlite3_bind_double(q, 3, t);
    sqlite3_bind_double(q, 4, value);
    drl_store_bind(q, 5, field[6]);
    return sqlite3_step(q) == SQLITE_DONE ? DRL_OK : drl_store_fail(m->store, importing, err);
}

static drl_status import_rows(const importer *m, char *text, drl_err *err) {
    static const char head[] = "run,method,seed,metric,t,value,detail,config_hash\n";
    /* which session made a row is known where a run has but one */
    static const char sql[] = "INSERT INTO metrics (run_id, name, t, value, detail, session_id) VALUES (?1, ?2, ?3, ?4,"
                              " ?5, (SELECT CASE WHEN count(*) = 1 THEN max(id) END FROM sessions WHERE run_id = ?1))"
                              " ON CONFLICT (run_id, name, ifnull(t, 'none')) DO NOTHING";
    sqlite3_stmt *q;
    char *field[FIELDS];
    if (strncmp(text, head, strlen(head)) != 0)
        return drl_fail(err, DRL_ERR_FORMAT, "does not begin with \"%.*s\"", (int)strlen(head) - 1, head);
    drl_status st = drl_store_prepare(m->store, &q, sql, importing, err);
    if (st != DRL_OK) return st;
    text += strlen(head);
    for (size_t line = 2; *text && st == DRL_OK; line++) {
        st = cut(field, &text) ? import_row(m, q, field, err) : drl_fail(err, DRL_ERR_FORMAT, "not %d fields", FIELDS);
        if (st != DRL_OK) st = drl_err_context(err, st, "line %zu", line);
    }
    sqlite3_finalize(q);
    return st;
}

/* ---- Both -------------------------------------------------------------------------------------------------------- */

drl_status drl_store_import(drl_store *store, const char *stem, drl_err *err) {
    char path[2][DRL_PATH_MAX], *runs = NULL, *rows = NULL;
    importer m = {.store = store};
    snprintf(path[0], sizeof *path, "%s-runs.json", stem);
    snprintf(path[1], sizeof *path, "%s-rows.csv", stem);
    drl_status st = read_text(&runs, path[0], err);
    if (st == DRL_OK) st = read_text(&rows, path[1], err);
    if (st == DRL_OK && (st = drl_store_exec(store, "BEGIN IMMEDIATE", importing, err)) == DRL_OK) {
        st = import_runs(&m, runs, err);
        if (st != DRL_OK) st = drl_err_context(err, st, "%s", path[0]);
        if (st == DRL_OK && (st = import_rows(&m, rows, err)) != DRL_OK) st = drl_err_context(err, st, "%s", path[1]);
        st = drl_store_end(store, st, importing, err);
    }
    drl_free(m.runs);
    drl_free(rows);
    drl_free(runs);
    return st;
}

drl_status drl_store_find_run(drl_store *store, int64_t *run_id, const drl_run_info *info, drl_err *err) {
    static const char sql[] = "SELECT id FROM runs WHERE experiment = ?1 AND method = ?2 AND dataset = ?3 AND"
                              " scale = ?4 AND seed = ?5 AND config_hash = ?6";
    sqlite3_stmt *q;
    *run_id = 0;
    drl_status st = drl_store_prepare(store, &q, sql, "cannot read a run", err);
    if (st != DRL_OK) return st;
    const char *texts[] = {info->experiment, info->method, info->dataset, info->scale};
    for (int i = 0; i < 4; i++) drl_store_bind(q, i + 1, texts[i]);
    sqlite3_bind_int64(q, 5, (int64_t)info->seed);
    drl_store_bind(q, 6, info->config_hash);
    int code = sqlite3_step(q);
    if (code == SQLITE_ROW)
        *run_id = sqlite3_column_int64(q, 0);
    else if (code != SQLITE_DONE)
        st = drl_store_fail(store, "cannot read a run", err);
    sqlite3_finalize(q);
    return st;
}
