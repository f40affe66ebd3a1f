/* Where datasets lie on this machine (places.h). */
#define _POSIX_C_SOURCE 200809L
#include "places.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "drl/fetch.h"

static void add(drl_places *p, const char *dir, const char *below, bool asked_for) {
    int length = snprintf(p->dir[p->n], sizeof p->dir[0], "%s%s", dir, below);
    p->asked_for[p->n] = asked_for;
    if (length > 0 && (size_t)length < sizeof p->dir[0]) p->n++;
}

static bool is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

drl_status drl_places_find(drl_places *p, const drl_dataset_cfg *cfg, drl_err *err) {
    if (cfg->data_dir && !is_directory(cfg->data_dir))
        return drl_fail(err, DRL_ERR_NOT_FOUND, "data directory %s: no such directory", cfg->data_dir);
    const char *own = getenv("DRL_DATA_DIR"), *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    p->n = 0;
    if (cfg->data_dir) add(p, cfg->data_dir, "", true);
    if (own && *own) add(p, own, "", true);
    if (xdg && *xdg == '/') /* the XDG specification has relative paths ignored */
        add(p, xdg, "/drl", true);
    else if (home && *home)
        add(p, home, "/.local/share/drl", false);
    add(p, "data", "", false);
    return DRL_OK;
}

/* Of the places that are looked at, so that what is fetched is found. */
void drl_fetch_dir(char dir[DRL_PATH_MAX]) {
    drl_places p;
    size_t i = 0;
    drl_places_find(&p, &(drl_dataset_cfg){.data_dir = NULL}, NULL); /* fails for a data_dir only */
    while (i + 1 < p.n && !p.asked_for[i] && !is_directory(p.dir[i])) i++;
    snprintf(dir, DRL_PATH_MAX, "%s", p.dir[i]);
}

bool drl_places_file(char path[DRL_PATH_MAX], const char *dir, const char *name, const char *const *endings) {
    struct stat info;
    for (; *endings; endings++) {
        int length = snprintf(path, DRL_PATH_MAX, "%s/%s%s", dir, name, *endings);
        if (length > 0 && length < DRL_PATH_MAX && stat(path, &info) == 0) return true;
    }
    return false;
}

bool drl_places_archive(char path[DRL_PATH_MAX], const char *dir, const char *name) {
    static const char *const endings[] = {".tar.gz", ".tgz",     ".zip", ".tar", ".tar.zst",
                                          ".tar.xz", ".tar.bz2", ".7z",  NULL};
    return drl_places_file(path, dir, name, endings);
}

void drl_places_looked(char *list, size_t size, const char *dir) {
    size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%s", used ? ", " : "", dir);
}
