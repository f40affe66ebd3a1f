/* drl data list, and drl data info. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "drl/fetch.h"
#include "drl/mem.h"
#include "drl_data.h"

/* ---- list -------------------------------------------------------------------------------------------------------- */

/* One line: the archive, or the directory of the files; how to get them; or what the dataset is. */
static void list_one(drl_dataset_files *files, const char *name, const char *help, const data_args *a) {
    drl_dataset_cfg cfg = data_cfg(a);
    drl_err err;
    char own[80];
    snprintf(own, sizeof own, "%s%s", name, name[strlen(name) - 1] == ':' ? "PATH" : "");
    cfg.name = own;
    const char *fetched = drl_published_as(name);
    drl_status st = fetched ? drl_dataset_locate(files, &cfg, &err) : DRL_OK;
    if (!fetched) {
        printf("%-24s%s\n", own, help);
    } else if (st == DRL_ERR_NOT_FOUND) {
        printf("%-24smissing: drl data fetch %s\n", own, fetched);
    } else if (st != DRL_OK) {
        printf("%-24s%s\n", own, err.message);
    } else {
        char *slash = strrchr(files->path[0], '/');
        if (files->n > 1 && slash) *slash = '\0';
        printf("%-24s%s\n", own, files->path[0]);
    }
}

drl_status data_list(const data_args *a, drl_err *err) {
    struct stat info;
    if (a->data_dir[0] && (stat(a->data_dir, &info) != 0 || !S_ISDIR(info.st_mode)))
        return drl_fail(err, DRL_ERR_NOT_FOUND, "data directory %s: no such directory", a->data_dir);
    drl_dataset_files *files;
    drl_status st = drl_alloc(&files, 1, sizeof *files, "paths", err);
    if (st != DRL_OK) return st;
    const char *help, *name;
    for (size_t i = 0; (name = drl_dataset_known(i, &help)); i++) list_one(files, name, help, a);
    drl_free(files);
    return DRL_OK;
}

/* ---- info -------------------------------------------------------------------------------------------------------- */

typedef size_t class_counts[DRL_SPLITS][256];

static void count(class_counts n, const drl_dataset *ds) {
    memset(n, 0, sizeof(class_counts));
    for (int s = 0; s < DRL_SPLITS; s++)
        for (size_t i = 0; i < ds->split[s].n; i++) n[s][ds->split[s].labels[i]]++;
}

static void print_numbers(const char *name, const double *v, size_t n) {
    printf("%-9s", name);
    for (size_t c = 0; c < n; c++) printf(" %.6f", v[c]);
    putchar('\n');
}

static void print_text(const drl_dataset *ds, const drl_dataset_files *files, const class_counts n) {
    static const char *const names[DRL_SPLITS] = {"train", "test"};
    printf("%-9s %s\n", "name", ds->name);
    for (size_t f = 0; f < files->n; f++) printf("%-9s %s\n", f == 0 ? "files" : "", files->path[f]);
    printf("%-9s %s\n", "sha256", ds->sha256);
    for (int s = 0; s < DRL_SPLITS; s++) {
        const drl_images *im = &ds->split[s];
        printf("%-9s %zu images of %zu x %zu x %zu\n", names[s], im->n, im->h, im->w, im->c);
    }
    if (ds->skipped > 0) printf("%-9s %zu\n", "skipped", ds->skipped);
    print_numbers("mean", ds->mean, ds->split[DRL_SPLIT_TRAIN].c);
    print_numbers("std", ds->std, ds->split[DRL_SPLIT_TRAIN].c);
    for (size_t f = 0; f < ds->factors; f++)
        printf("%-9s %s (%zu)\n", f == 0 ? "factors" : "", ds->factor_names[f], ds->factor_classes[f]);
    printf("%-9s %zu\n\n  %-32s%9s%9s\n", "classes", ds->classes, "class", names[0], names[1]);
    for (size_t k = 0; k < ds->classes; k++) printf("  %-32s%9zu%9zu\n", ds->class_names[k], n[0][k], n[1][k]);
}

static cJSON *json_images(const drl_images *im) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "n", (double)im->n);
    cJSON_AddNumberToObject(o, "h", (double)im->h);
    cJSON_AddNumberToObject(o, "w", (double)im->w);
    cJSON_AddNumberToObject(o, "c", (double)im->c);
    return o;
}

/* Where memory runs out, cJSON drops items, and at last prints nothing. */
static drl_status print_json(const drl_dataset *ds, const drl_dataset_files *files, const class_counts n,
                             drl_err *err) {
    int channels = (int)ds->split[DRL_SPLIT_TRAIN].c;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", ds->name);
    cJSON *paths = cJSON_AddArrayToObject(o, "files");
    for (size_t f = 0; f < files->n; f++) cJSON_AddItemToArray(paths, cJSON_CreateString(files->path[f]));
    cJSON_AddStringToObject(o, "sha256", ds->sha256);
    cJSON_AddItemToObject(o, "train", json_images(&ds->split[DRL_SPLIT_TRAIN]));
    cJSON_AddItemToObject(o, "test", json_images(&ds->split[DRL_SPLIT_TEST]));
    cJSON_AddNumberToObject(o, "skipped", (double)ds->skipped);
    cJSON_AddItemToObject(o, "mean", cJSON_CreateDoubleArray(ds->mean, channels));
    cJSON_AddItemToObject(o, "std", cJSON_CreateDoubleArray(ds->std, channels));
    cJSON *factors = cJSON_AddObjectToObject(o, "factors");
    for (size_t f = 0; f < ds->factors; f++)
        cJSON_AddNumberToObject(factors, ds->factor_names[f], (double)ds->factor_classes[f]);
    cJSON *classes = cJSON_AddArrayToObject(o, "classes");
    for (size_t k = 0; k < ds->classes; k++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", ds->class_names[k]);
        cJSON_AddNumberToObject(one, "train", (double)n[0][k]);
        cJSON_AddNumberToObject(one, "test", (double)n[1][k]);
        cJSON_AddItemToArray(classes, one);
    }
    char *text = cJSON_Print(o);
    cJSON_Delete(o);
    if (!text) return drl_fail(err, DRL_ERR_MEMORY, "no memory for the JSON text");
    puts(text);
    cJSON_free(text);
    return DRL_OK;
}

drl_status data_info(const data_args *a, drl_err *err) {
    class_counts n;
    drl_dataset *ds = NULL;
    drl_threads *team = NULL;
    drl_dataset_files *files = NULL;
    drl_dataset_cfg cfg = data_cfg(a);
    drl_status st = drl_alloc(&files, 1, sizeof *files, "paths", err);
    if (st == DRL_OK) st = drl_dataset_locate(files, &cfg, err);
    if (st == DRL_OK) st = data_open(&ds, &team, a, true, err);
    if (st == DRL_OK) {
        count(n, ds);
        if (a->json)
            st = print_json(ds, files, n, err);
        else
            print_text(ds, files, n);
    }
    drl_dataset_free(ds);
    drl_threads_close(team);
    drl_free(files);
    return st;
}
