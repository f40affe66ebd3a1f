/* Rows and runs as text files, so that a committed table can be traced without the store (drl/results.h). */
#define _POSIX_C_SOURCE 200809L
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/config.h"
#include "drl/file.h"
#include "results/store.h"

void drl_store_quote(FILE *f, const char *text) {
    fputc('"', f);
    for (; *text; text++) {
        if (*text == '"') fputc('"', f);
        fputc(*text, f);
    }
    fputc('"', f);
}

typedef struct exporter {
    drl_store *store;
    FILE *csv;
    cJSON *runs;
} exporter;

static drl_status add_row(void *arg, const drl_row *r, drl_err *err) {
    exporter *e = arg;
    (void)err;
    char t[32] = "", value[32];
    if (!isnan(r->t)) drl_format_number(t, r->t);
    drl_format_number(value, r->value);
    fprintf(e->csv, "%lld,%s,%llu,%s,%s,%s,", (long long)r->run_id, r->method, (unsigned long long)r->seed, r->metric,
            t, value);
    drl_store_quote(e->csv, r->detail);
    fprintf(e->csv, ",%s\n", r->config_hash);
    return DRL_OK;
}

static drl_status add_run(exporter *e, int64_t id, drl_err *err) {
    char *json;
    drl_status st = drl_store_describe(e->store, id, &json, err);
    if (st != DRL_OK) return st;
    cJSON *run = cJSON_Parse(json);
    free(json);
    if (!run || !cJSON_AddItemToArray(e->runs, run)) {
        cJSON_Delete(run);
        return drl_fail(err, DRL_ERR_MEMORY, "cannot describe run %lld", (long long)id);
    }
    return DRL_OK;
}

static drl_status write_text(const char *stem, const char *suffix, const char *text, drl_err *err) {
    char path[DRL_PATH_MAX];
    snprintf(path, sizeof path, "%s%s", stem, suffix);
    return drl_write_file(path, text, strlen(text), err);
}

drl_status drl_store_export(drl_store *store, const int64_t *runs, size_t n, const char *stem, drl_err *err) {
    char *text = NULL;
    size_t size = 0;
    exporter e = {store, open_memstream(&text, &size), cJSON_CreateArray()};
    drl_status st = DRL_OK;
    if (!e.csv || !e.runs) st = drl_fail(err, DRL_ERR_MEMORY, "%s: rows", stem);
    if (st == DRL_OK) {
        fputs("run,method,seed,metric,t,value,detail,config_hash\n", e.csv);
        for (size_t i = 0; i < n && st == DRL_OK; i++) {
            st = drl_store_run_rows(store, runs[i], add_row, &e, err);
            if (st == DRL_OK) st = add_run(&e, runs[i], err);
        }
    }
    if (e.csv && fclose(e.csv) != 0 && st == DRL_OK) st = drl_fail(err, DRL_ERR_MEMORY, "%s: rows", stem);
    if (st == DRL_OK) st = write_text(stem, "-rows.csv", text, err);
    char *json = st == DRL_OK ? cJSON_Print(e.runs) : NULL;
    if (st == DRL_OK && !json) st = drl_fail(err, DRL_ERR_MEMORY, "%s: runs", stem);
    if (st == DRL_OK) st = write_text(stem, "-runs.json", json, err);
    cJSON_free(json);
    cJSON_Delete(e.runs);
    free(text);
    return st;
}
