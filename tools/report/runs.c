/* drl report: where numbers come from, STEM-runs.json and STEM-rows.csv. */
#include "report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- STEM-runs.json ---------------------------------------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}

static drl_status add_libraries(report_pool *pool, report_runs *runs, const cJSON *libraries, drl_err *err) {
    const cJSON *item;
    drl_status st = DRL_OK;
    cJSON_ArrayForEach(item, libraries) {
        const char *version = cJSON_GetStringValue(item);
        if (!version || !item->string || st != DRL_OK) continue;
        /* most versions begin with the library's name, in its own spelling */
        size_t n = strlen(item->string), same = 0;
        while (same < n && (item->string[same] | 32) == (version[same] | 32)) same++;
        char *text = same == n ? report_copy(pool, version, strlen(version), err)
                               : report_print(pool, err, "%s %s", item->string, version);
        st = text ? report_add_new(pool, &runs->libraries, text, err) : DRL_ERR_MEMORY;
    }
    return st;
}

static drl_status add_run(report_pool *pool, report_runs *runs, const cJSON *run, drl_err *err) {
    const cJSON *where = cJSON_GetObjectItemCaseSensitive(run, "provenance");
    const cJSON *processors = cJSON_GetObjectItemCaseSensitive(where, "processors");
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(run, "seed");
    char cpu[300], number[32] = "";
    if (cJSON_IsNumber(seed)) snprintf(number, sizeof number, "%.0f", seed->valuedouble);
    snprintf(cpu, sizeof cpu, "%.200s", text_of(where, "cpu"));
    if (cpu[0] && cJSON_IsNumber(processors))
        snprintf(cpu + strlen(cpu), 64, ", %.0f processors", processors->valuedouble);
    const struct {
        report_list *list;
        const char *text;
    } facts[] = {{&runs->seeds, number},
                 {&runs->datasets, text_of(run, "dataset")},
                 {&runs->dataset_sha256, text_of(run, "dataset_sha256")},
                 {&runs->versions, text_of(where, "version")},
                 {&runs->revisions, text_of(where, "git_revision")},
                 {&runs->precisions, text_of(where, "precision")},
                 {&runs->compilers, text_of(where, "compiler")},
                 {&runs->cpus, cpu},
                 {&runs->blas, text_of(where, "blas_kernels")}};
    drl_status st = DRL_OK;
    for (size_t i = 0; i < sizeof facts / sizeof *facts && st == DRL_OK; i++)
        if (facts[i].text[0]) st = report_add_new(pool, facts[i].list, facts[i].text, err);
    if (st == DRL_OK) st = add_libraries(pool, runs, cJSON_GetObjectItemCaseSensitive(where, "libraries"), err);

    /* dates of this form are in the order of their bytes */
    const char *created = text_of(run, "created");
    if (st != DRL_OK || !created[0]) return st;
    char *copy = report_copy(pool, created, strlen(created), err);
    if (!copy) return DRL_ERR_MEMORY;
    if (!runs->first || strcmp(copy, runs->first) < 0) runs->first = copy;
    if (!runs->last || strcmp(copy, runs->last) > 0) runs->last = copy;
    return DRL_OK;
}

static drl_status read_records(report_pool *pool, report_runs *runs, const char *path, drl_err *err) {
    char *text;
    drl_status st = report_read(pool, &text, path, err);
    if (st != DRL_OK) return st;
    cJSON *all = cJSON_Parse(text);
    if (!cJSON_IsArray(all)) st = drl_fail(err, DRL_ERR_FORMAT, "%s: want a JSON array of runs", path);
    const cJSON *run;
    if (st == DRL_OK) cJSON_ArrayForEach(run, all) {
            if (st == DRL_OK && !cJSON_IsObject(run))
                st = drl_fail(err, DRL_ERR_FORMAT, "%s: run %zu is no object", path, runs->n);
            if (st == DRL_OK) st = add_run(pool, runs, run, err);
            runs->n++;
        }
    cJSON_Delete(all);
    return st;
}

/* ---- STEM-rows.csv ----------------------------------------------------------------------------------------------- */

static drl_status read_times(report_pool *pool, report_runs *runs, const char *path, drl_err *err) {
    report_csv rows;
    drl_status st = report_read_csv(pool, &rows, path, err);
    if (st != DRL_OK) return st;
    if (!(runs->times = report_take(pool, rows.rows * sizeof *runs->times, err))) return DRL_ERR_MEMORY;
    for (size_t r = 1; r < rows.rows; r++) {
        if (strcmp(report_field(&rows, r, "metric"), "train_seconds") != 0) continue;
        const char *method = report_field(&rows, r, "method"), *value = report_field(&rows, r, "value");
        char *end;
        double seconds = strtod(value, &end);
        if (end == value || *end || !(seconds >= 0 && isfinite(seconds)))
            return drl_fail(err, DRL_ERR_FORMAT, "%s: row %zu: train_seconds of '%.40s'", path, r, value);
        size_t i = 0;
        while (i < runs->n_times && strcmp(runs->times[i].method, method) != 0) i++;
        if (i == runs->n_times) runs->times[runs->n_times++].method = method;
        runs->times[i].runs++;
        runs->times[i].seconds += seconds;
        runs->seconds += seconds;
    }
    return DRL_OK;
}

drl_status report_read_runs(report_pool *pool, report_runs *runs, const char *stem_path, drl_err *err) {
    char path[DRL_PATH_MAX + 16];
    *runs = (report_runs){0};
    snprintf(path, sizeof path, "%s-runs.json", stem_path);
    drl_status st = report_is_file(path) ? read_records(pool, runs, path, err) : DRL_OK;
    snprintf(path, sizeof path, "%s-rows.csv", stem_path);
    if (st == DRL_OK && report_is_file(path)) st = read_times(pool, runs, path, err);
    return st;
}
