/* drl data fetch, and drl data verify. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "drl/fetch.h"
#include "drl/hash.h"
#include "drl/interrupt.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "drl_data.h"

/* ---- fetch ------------------------------------------------------------------------------------------------------- */

typedef struct shown {
    bool begun;
    drl_progress progress;
    size_t done;
} shown;

static void on_progress(void *arg, const char *file, uint64_t done, uint64_t size) {
    shown *s = arg;
    if (!s->begun) drl_progress_begin_bytes(&s->progress, file, (size_t)done, (size_t)size);
    s->begun = true;
    s->done = (size_t)done;
    drl_progress_update(&s->progress, s->done, 0, (double)NAN);
}

drl_status data_fetch(const data_args *a, drl_err *err) {
    char dir[DRL_PATH_MAX], path[DRL_PATH_MAX];
    const char *mirror = getenv("DRL_MIRROR"), *published = drl_published_as(a->name);
    if (!data_is_known(a->name))
        return drl_fail(err, DRL_ERR_CONFIG, "unknown dataset \"%.80s\": drl data list names all", a->name);
    if (!published) return drl_fail(err, DRL_ERR_CONFIG, "%.200s: nothing to fetch, it is drawn or your own", a->name);
    drl_fetch_dir(dir);
    shown s;
    drl_fetch_cfg cfg = {.data_dir = a->data_dir[0] ? a->data_dir : dir,
                         .mirror = a->mirror[0]        ? a->mirror
                                   : mirror && *mirror ? mirror
                                                       : NULL,
                         .progress = on_progress,
                         .arg = &s};
    size_t n;
    const drl_published *list = drl_published_list(&n);
    drl_interrupt_install();
    for (size_t i = 0; i < n; i++) {
        if (!list[i].base || strcmp(list[i].dataset, published) != 0) continue;
        drl_fetched fetched;
        s.begun = false;
        drl_status st = drl_fetch_file(path, &fetched, &list[i], &cfg, err);
        if (s.begun) drl_progress_end(&s.progress, st == DRL_OK ? (size_t)list[i].size : s.done, (double)NAN);
        if (st != DRL_OK) return st;
        printf("%s: %s, SHA-256 as published\n", path, fetched == DRL_FETCH_THERE ? "was there" : "downloaded");
    }
    return DRL_OK;
}

/* ---- verify ------------------------------------------------------------------------------------------------------ */

/* A file whose name is in the table has to have one of the digests that the table has for it. */
static drl_status verify_file(const char *path, const char *published, drl_err *err) {
    char sha256[65];
    struct stat info;
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *want = NULL;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        printf("%s: a directory, no digest is published\n", path);
        return DRL_OK;
    }
    drl_status st = drl_sha256_file(sha256, path, err);
    if (st != DRL_OK) return st;
    size_t n;
    const drl_published *list = drl_published_list(&n);
    for (size_t i = 0; i < n && published; i++) {
        if (strcmp(list[i].dataset, published) != 0 || strcmp(list[i].file, base) != 0) continue;
        if (strcmp(list[i].sha256, sha256) == 0) {
            printf("%s: SHA-256 %s, %s\n", path, sha256,
                   list[i].base ? "as published" : "as Debian has packed what is published");
            return DRL_OK;
        }
        if (list[i].base) want = list[i].sha256;
    }
    if (want) return drl_fail(err, DRL_ERR_FORMAT, "%s: SHA-256 %s, published is %s", path, sha256, want);
    printf("%s: SHA-256 %s, none is published\n", path, sha256);
    return DRL_OK;
}

drl_status data_verify(const data_args *a, drl_err *err) {
    drl_dataset *ds = NULL;
    drl_threads *team = NULL;
    drl_dataset_files *files = NULL;
    drl_dataset_cfg cfg = data_cfg(a);
    drl_status st = drl_alloc(&files, 1, sizeof *files, "paths", err);
    if (st == DRL_OK) st = drl_dataset_locate(files, &cfg, err);
    for (size_t f = 0; st == DRL_OK && f < files->n; f++)
        st = verify_file(files->path[f], drl_published_as(a->name), err);
    if (st == DRL_OK) st = data_open(&ds, &team, a, false, err);
    if (st == DRL_OK)
        printf("%s: %zu training and %zu test images decoded\n", ds->name, ds->split[DRL_SPLIT_TRAIN].n,
               ds->split[DRL_SPLIT_TEST].n);
    drl_dataset_free(ds);
    drl_threads_close(team);
    drl_free(files);
    return st;
}
