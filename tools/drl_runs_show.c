/* drl runs list, show and diff. */
#define _POSIX_C_SOURCE 200809L
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/config.h"
#include "drl/mem.h"
#include "drl_runs.h"

/* ---- list, show -------------------------------------------------------------------------------------------------- */

/* What nothing is known of is a dash. */
static const char *known(char buf[32], double value, int digits) {
    snprintf(buf, 32, "%.*f", digits, value);
    return value > 0 ? buf : "-";
}

static drl_status print_line(void *arg, const drl_run_state *r, drl_err *err) {
    char wall[32], cpu[32], peak[32];
    (void)arg, (void)err;
    printf("%5lld  %-12s %-18s %-14s %-20s %-6s %4llu %5lld %10s %10s %7s  %-20s  %.12s\n", (long long)r->id, r->status,
           r->experiment, r->method, r->dataset, r->scale, (unsigned long long)r->seed, (long long)r->rows,
           known(wall, r->wall_seconds, 1), known(cpu, r->cpu_seconds, 1),
           known(peak, (double)r->peak_bytes / 1048576, 0), r->started, r->config_hash);
    return DRL_OK;
}

drl_status runs_list(drl_store *store, const runs_args *a, drl_err *err) {
    drl_run_filter filter = runs_filter(a);
    printf("%5s  %-12s %-18s %-14s %-20s %-6s %4s %5s %10s %10s %7s  %-20s  %s\n", "run", "status", "experiment",
           "method", "dataset", "scale", "seed", "rows", "wall s", "CPU s", "MiB", "started", "config");
    return drl_store_runs(store, &filter, print_line, NULL, err);
}

static drl_status print_state(void *arg, const drl_run_state *r, drl_err *err) {
    char wall[32], cpu[32], peak[32];
    (void)arg, (void)err;
    printf("run         %lld\nstatus      %s%s%s\n", (long long)r->id, r->status, r->message[0] ? ": " : "",
           r->message);
    printf("experiment  %s\nmethod      %s\ndataset     %s\nscale       %s\nseed        %llu\nconfig      %s\n",
           r->experiment, r->method, r->dataset, r->scale, (unsigned long long)r->seed, r->config_hash);
    printf("started     %s\nended       %s\nwall        %s s\nCPU         %s s\npeak        %s MiB\n", r->started,
           r->ended[0] ? r->ended : "-", known(wall, r->wall_seconds, 3), known(cpu, r->cpu_seconds, 3),
           known(peak, (double)r->peak_bytes / 1048576, 1));
    printf("threads     %lld\nsessions    %lld\n", (long long)r->threads, (long long)r->sessions);
    return DRL_OK;
}

static drl_status print_row(void *arg, const drl_row *r, drl_err *err) {
    char t[32] = "", value[32];
    (void)arg, (void)err;
    if (!isnan(r->t)) drl_format_number(t, r->t);
    drl_format_number(value, r->value);
    printf("  %-32s %-10s %-24s %s\n", r->metric, t, value, r->detail);
    return DRL_OK;
}

/* The description of a run, parsed; cJSON_Delete it. */
static drl_status describe(cJSON **json, drl_store *store, int64_t id, drl_err *err) {
    char *text;
    drl_status st = drl_store_describe(store, id, &text, err);
    if (st != DRL_OK) return st;
    *json = cJSON_Parse(text);
    free(text);
    return *json ? DRL_OK : drl_fail(err, DRL_ERR_MEMORY, "cannot describe run %lld", (long long)id);
}

static const char *text_of(const cJSON *o, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(o, key));
    return text ? text : "";
}

drl_status runs_show(drl_store *store, const runs_args *a, drl_err *err) {
    cJSON *json;
    drl_status st = describe(&json, store, a->ids[0], err);
    if (st != DRL_OK) return st;
    st = drl_store_run_state(store, a->ids[0], print_state, NULL, err);
    if (st == DRL_OK) {
        char *made = cJSON_Print(cJSON_GetObjectItem(json, "provenance"));
        char *sessions = cJSON_Print(cJSON_GetObjectItem(json, "sessions"));
        printf("data        %s\n\n%s\nprovenance %s\n\nsessions %s\n\nrows (metric, t, value, detail)\n",
               text_of(json, "dataset_sha256"), text_of(json, "config"), made ? made : "", sessions ? sessions : "");
        cJSON_free(made), cJSON_free(sessions);
        st = drl_store_run_rows(store, a->ids[0], print_row, NULL, err);
    }
    cJSON_Delete(json);
    return st;
}

/* ---- diff -------------------------------------------------------------------------------------------------------- */

/* What is compared of a run: names, each once, with values. */
typedef struct item {
    char *name, *value;
    bool seen;
} item;
typedef struct items {
    item *v;
    size_t n, capacity;
} items;

static void free_items(items *all) {
    for (size_t i = 0; i < all->n; i++) free(all->v[i].name), free(all->v[i].value);
    drl_free(all->v);
}

static drl_status add(items *all, const char *name, const char *value, drl_err *err) {
    if (all->n == all->capacity) {
        size_t capacity = all->capacity ? 2 * all->capacity : 64;
        item *v;
        drl_status st = drl_alloc(&v, capacity, sizeof *v, "items", err);
        if (st != DRL_OK) return st;
        if (all->n) memcpy(v, all->v, all->n * sizeof *v);
        drl_free(all->v);
        all->v = v;
        all->capacity = capacity;
    }
    item *it = &all->v[all->n++];
    *it = (item){strdup(name), strdup(value), false};
    return it->name && it->value ? DRL_OK : drl_fail(err, DRL_ERR_MEMORY, "items: out of memory");
}

/* "key = value" under "[section]": section.key. */
static drl_status add_settings(items *all, const char *config, drl_err *err) {
    char section[64] = "", line[1024], name[256];
    drl_status st = DRL_OK;
    while (*config && st == DRL_OK) {
        size_t n = strcspn(config, "\n");
        snprintf(line, sizeof line, "%.*s", (int)(n < sizeof line ? n : sizeof line - 1), config);
        config += n + (config[n] == '\n');
        char *is = strstr(line, " = ");
        if (line[0] == '[') {
            snprintf(section, sizeof section, "%.*s", (int)strcspn(line + 1, "]"), line + 1);
        } else if (is) {
            *is = '\0';
            snprintf(name, sizeof name, "%s.%.180s", section, line);
            st = add(all, name, is + 3, err);
        }
    }
    return st;
}

static drl_status add_row(void *arg, const drl_row *r, drl_err *err) {
    char name[256], t[32], value[32];
    drl_format_number(value, r->value);
    if (isnan(r->t)) {
        snprintf(name, sizeof name, "row %.200s", r->metric);
    } else {
        drl_format_number(t, r->t);
        snprintf(name, sizeof name, "row %.200s at %s", r->metric, t);
    }
    return add(arg, name, value, err);
}

static drl_status gather(items *all, drl_store *store, int64_t id, drl_err *err) {
    static const char *const keys[] = {"experiment", "method", "dataset", "scale", "dataset_sha256"};
    cJSON *json;
    char seed[32];
    drl_status st = describe(&json, store, id, err);
    if (st != DRL_OK) return st;
    for (int i = 0; i < 5 && st == DRL_OK; i++) st = add(all, keys[i], text_of(json, keys[i]), err);
    snprintf(seed, sizeof seed, "%.0f", cJSON_GetNumberValue(cJSON_GetObjectItem(json, "seed")));
    if (st == DRL_OK) st = add(all, "seed", seed, err);
    if (st == DRL_OK)
        st = add(all, "git_revision", text_of(cJSON_GetObjectItem(json, "provenance"), "git_revision"), err);
    if (st == DRL_OK) st = add_settings(all, text_of(json, "config"), err);
    if (st == DRL_OK) st = drl_store_run_rows(store, id, add_row, all, err);
    cJSON_Delete(json);
    return st;
}

static void print_difference(items *a, items *b) {
    size_t different = 0;
    for (size_t i = 0; i < a->n; i++) {
        item *mine = &a->v[i], *theirs = NULL;
        for (size_t k = 0; k < b->n && !theirs; k++)
            if (!b->v[k].seen && strcmp(b->v[k].name, mine->name) == 0) theirs = &b->v[k];
        if (theirs) theirs->seen = true;
        if (theirs && strcmp(mine->value, theirs->value) == 0) continue;
        printf("%-40s %-24s %s\n", mine->name, mine->value, theirs ? theirs->value : "(none)");
        different++;
    }
    for (size_t k = 0; k < b->n; k++) {
        if (b->v[k].seen) continue;
        printf("%-40s %-24s %s\n", b->v[k].name, "(none)", b->v[k].value);
        different++;
    }
    if (!different) printf("settings and rows are the same\n");
}

drl_status runs_diff(drl_store *store, const runs_args *a, drl_err *err) {
    items of[2] = {0};
    drl_status st = gather(&of[0], store, a->ids[0], err);
    if (st == DRL_OK) st = gather(&of[1], store, a->ids[1], err);
    if (st == DRL_OK) {
        char left[32], right[32];
        snprintf(left, sizeof left, "run %lld", (long long)a->ids[0]);
        snprintf(right, sizeof right, "run %lld", (long long)a->ids[1]);
        printf("%-40s %-24s %s\n", "", left, right);
        print_difference(&of[0], &of[1]);
    }
    free_items(&of[0]);
    free_items(&of[1]);
    return st;
}
