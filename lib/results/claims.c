/* Claims: a table of the run store, and a CSV file of it (drl/results.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/config.h"
#include "drl/file.h"
#include "results/store.h"

const char drl_verdict_rule[] =
    "reproduced where the 95 % interval of the effect over at least 3 seeds lies above 0, not "
    "reproduced where it lies below, else inconclusive";

const char *drl_verdict(drl_stats effect, const char *scale) {
    if (strcmp(scale, "smoke") == 0) return "none at this scale";
    if (effect.n == 0) return "not measured";
    if (effect.n < 3) return "inconclusive (fewer than 3 seeds)";
    if (effect.mean - effect.half95 > 0) return "reproduced";
    return effect.mean + effect.half95 < 0 ? "not reproduced" : "inconclusive";
}

/* Columns that came later; the table is older where one is missing. */
static const struct {
    const char *name, *type;
} later[] = {{"d_z", "REAL"}, {"p_holm", "REAL"}, {"source", "TEXT NOT NULL DEFAULT ''"}};
enum { LATER = sizeof later / sizeof *later };

static bool has_column(drl_store *s, const char *name) {
    sqlite3_stmt *q;
    char text[64];
    snprintf(text, sizeof text, "SELECT %s FROM claims", name);
    bool has = sqlite3_prepare_v2(s->db, text, -1, &q, NULL) == SQLITE_OK;
    sqlite3_finalize(q);
    return has;
}

static bool has_columns(drl_store *s) {
    size_t n = 0;
    while (n < LATER && has_column(s, later[n].name)) n++;
    return n == LATER;
}

/* Claims of before are left out: what they were measured by, part of the key, had other names, and reports make all of
 * them anew. */
static bool add_columns(drl_store *s) {
    bool good = has_columns(s) || sqlite3_exec(s->db, "DELETE FROM claims", NULL, NULL, NULL) == SQLITE_OK;
    for (size_t i = 0; i < LATER && good; i++) {
        char text[128];
        snprintf(text, sizeof text, "ALTER TABLE claims ADD COLUMN %s %s", later[i].name, later[i].type);
        good = has_column(s, later[i].name) || sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK;
    }
    return good;
}

/* Stores made before there were claims get the table when the first one comes, those of older claims the columns. Two
 * programs may find them missing at once: the one that gets the lock second finds them made. */
static drl_status make_table(drl_store *s, drl_err *err) {
    static const char table[] =
        "CREATE TABLE IF NOT EXISTS claims (id TEXT NOT NULL, dataset TEXT NOT NULL, scale TEXT NOT NULL,"
        " probe TEXT NOT NULL, statement TEXT NOT NULL, rule TEXT NOT NULL, runs TEXT NOT NULL, effect REAL,"
        " half95 REAL, seeds INTEGER NOT NULL, verdict TEXT NOT NULL, d_z REAL, p_holm REAL,"
        " source TEXT NOT NULL DEFAULT '', PRIMARY KEY (id, dataset, scale, probe))";
    if (has_columns(s)) return DRL_OK;
    bool made = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK &&
                sqlite3_exec(s->db, table, NULL, NULL, NULL) == SQLITE_OK && add_columns(s) &&
                sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
    if (made) return DRL_OK;
    drl_status st = drl_store_fail(s, "cannot store a claim", err);
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

drl_status drl_store_claim(drl_store *s, const drl_claim *c, drl_err *err) {
    sqlite3_stmt *q;
    drl_status st = make_table(s, err);
    if (st != DRL_OK) return st;
    st = drl_store_prepare(
        s, &q,
        "INSERT OR REPLACE INTO claims (id, dataset, scale, probe, statement, rule, runs, effect, half95, seeds, "
        "verdict, d_z, p_holm, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        "cannot store a claim", err);
    if (st != DRL_OK) return st;
    const char *texts[] = {c->id, c->dataset, c->scale, c->probe, c->statement, c->rule, c->runs};
    for (int i = 0; i < 7; i++) drl_store_bind(q, i + 1, texts[i]);
    if (c->effect.n) { /* else NULL: nothing was measured */
        sqlite3_bind_double(q, 8, c->effect.mean);
        sqlite3_bind_double(q, 9, c->effect.half95);
    }
    sqlite3_bind_int64(q, 10, (int64_t)c->effect.n);
    drl_store_bind(q, 11, c->verdict);
    if (isfinite(c->d_z)) sqlite3_bind_double(q, 12, c->d_z);
    if (isfinite(c->p_holm)) sqlite3_bind_double(q, 13, c->p_holm);
    drl_store_bind(q, 14, c->source);
    if (sqlite3_step(q) != SQLITE_DONE) st = drl_store_fail(s, "cannot store a claim", err);
    sqlite3_finalize(q);
    return st;
}

static void put_claim(FILE *f, sqlite3_stmt *q) {
    for (int c = 0; c < 14; c++) {
        char number[32] = "";
        if (c) fputc(',', f);
        if (c < 6 || c > 10) {
            drl_store_quote(f, (const char *)sqlite3_column_text(q, c));
            continue;
        }
        if (sqlite3_column_type(q, c) != SQLITE_NULL) drl_format_number(number, sqlite3_column_double(q, c));
        fputs(number, f);
    }
    fputc('\n', f);
}

drl_status drl_store_export_claims(drl_store *s, const char *path, drl_err *err) {
    drl_new_file file;
    sqlite3_stmt *q;
    drl_status st = make_table(s, err);
    if (st == DRL_OK)
        st = drl_store_prepare(s, &q,
                               "SELECT id, dataset, scale, probe, statement, source, effect, half95, seeds, d_z, "
                               "p_holm, verdict, rule, runs"
                               " FROM claims ORDER BY id, dataset, scale, probe",
                               "cannot read the claims", err);
    if (st != DRL_OK) return st;
    if ((st = drl_new_file_open(&file, path, err)) == DRL_OK) {
        int code;
        fputs("id,dataset,scale,probe,statement,source,effect,half95,seeds,d_z,p_holm,verdict,rule,runs\n", file.f);
        while ((code = sqlite3_step(q)) == SQLITE_ROW) put_claim(file.f, q);
        if (code == SQLITE_DONE) {
            st = drl_new_file_commit(&file, err);
        } else {
            st = drl_store_fail(s, "cannot read the claims", err);
            drl_new_file_discard(&file);
        }
    }
    sqlite3_finalize(q);
    return st;
}
