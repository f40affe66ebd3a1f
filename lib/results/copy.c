/* Stores that are only read: as copies in memory, of this version there (results/store.h). */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "drl/file.h"
#include "results/store.h"

#define TRIES    8        /* of a file that is changed while it is read */
#define PAUSE_NS 20000000 /* between them                               */

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static const char *beside(char file[DRL_PATH_MAX + 64], const char *path, const char *suffix) {
    snprintf(file, DRL_PATH_MAX + 64, "%s%s", path, suffix);
    return file;
}

static bool is_denied(const char *file, int how, int *why) {
    if (access(file, how) == 0) return false;
    *why = errno;
    return errno == EACCES || errno == EROFS || errno == EPERM;
}

/* SQLite needs to write the file, what lies beside it, and new files in the directory. */
bool drl_store_is_protected(const char *path, int *why) {
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char file[DRL_PATH_MAX + 64];
    for (int i = 0; i < 3; i++)
        if (is_denied(beside(file, path, suffixes[i]), W_OK, why)) return true;
    beside(file, path, "");
    char *slash = strrchr(file, '/');
    if (slash) slash[slash == file] = '\0';
    return is_denied(slash ? file : ".", W_OK | X_OK, why);
}

/* Whether there are changes beside the file that are not in it, or not to be in it. */
static bool has_log(const char *path) {
    static const char *const suffixes[] = {"-wal", "-journal"};
    char file[DRL_PATH_MAX + 64];
    struct stat info;
    for (int i = 0; i < 2; i++)
        if (stat(beside(file, path, suffixes[i]), &info) == 0 && info.st_size > 0) return true;
    return false;
}

static bool same_state(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* ---- Copying ----------------------------------------------------------------------------------------------------- */

drl_status drl_store_copy_pages(drl_store *to, const char *name, drl_store *from, const char *what, drl_err *err) {
    sqlite3_backup *b = sqlite3_backup_init(to->db, name, from->db, "main");
    if (!b) return drl_store_fail(to, what, err);
    int code = sqlite3_backup_step(b, -1);
    int end = sqlite3_backup_finish(b);
    if (code == SQLITE_DONE && end == SQLITE_OK) return DRL_OK;
    return drl_store_fail(sqlite3_errcode(from->db) ? from : to, what, err);
}

static drl_status copy_file(drl_store **memory, const char *path, drl_store_mode mode, drl_err *err) {
    drl_store *file = NULL;
    *memory = NULL;
    drl_status st = drl_store_open_file(&file, path, mode, err);
    if (st == DRL_OK) st = drl_store_open_file(memory, ":memory:", DRL_STORE_CREATE, err);
    if (st == DRL_OK) {
        st = drl_store_copy_pages(*memory, "main", file, "cannot read", err);
        snprintf((*memory)->path, sizeof(*memory)->path, "%s", path);
    }
    drl_store_close(file);
    if (st != DRL_OK) {
        drl_store_close(*memory);
        *memory = NULL;
    }
    return st;
}

/* Where nothing may be written SQLite makes no locks of its own. With a log that is in use it takes part in those that
 * are there; else it is told that the file does not change, and here it is seen whether that was so. */
static drl_status copy_protected(drl_store **memory, const char *path, drl_err *err) {
    for (int i = 0; i < TRIES; i++) {
        struct stat before, after;
        bool log = has_log(path), known = stat(path, &before) == 0;
        drl_status st = copy_file(memory, path, log ? DRL_STORE_READ : DRL_STORE_READ_FIXED, err);
        if (!known || (log && st != DRL_ERR_IO)) return st;
        if (!log && !has_log(path) && stat(path, &after) == 0 && same_state(&before, &after)) return st;
        drl_store_close(*memory);
        *memory = NULL;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    return has_log(path)
               ? drl_fail(
                     err, DRL_ERR_IO,
                     "%s: cannot read: not all of it is in the file, and what lies beside it (-wal, -journal) takes "
                     "a program that may write there; copy them to a directory of your own",
                     path)
               : drl_fail(err, DRL_ERR_IO, "%s: cannot read: another program writes it all the time; try again", path);
}

drl_status drl_store_copy(drl_store **store, const char *path, drl_err *err) {
    int why;
    drl_status st = drl_store_is_protected(path, &why) ? copy_protected(store, path, err)
                                                       : copy_file(store, path, DRL_STORE_WRITE, err);
    if (st == DRL_OK) st = drl_store_refuse_empty(*store, err);
    if (st == DRL_OK) st = drl_store_migrate(*store, err);
    if (st != DRL_OK) {
        drl_store_close(*store);
        *store = NULL;
    }
    return st;
}
