/* Directories, and files that appear whole or not at all.
 *
 * A file is written under a temporary name in its own directory, fsynced, closed, and only then renamed, so that a
 * crash at any instant leaves the old file or the new one. A process killed while it writes leaves its temporary file
 * behind: the name says who wrote it, so that a later run can tell what is left over from what is being written just
 * now. */
#ifndef DRL_FILE_H
#define DRL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "drl/err.h"

#define DRL_PATH_MAX 4096

/* Makes a directory and its parents. */
drl_status drl_make_dirs(const char *path, drl_err *err);

/* A file on its way: write to `f`, then commit, which closes it. Errors name the final path. */
typedef struct drl_new_file {
    FILE *f;
    char path[DRL_PATH_MAX], temporary[DRL_PATH_MAX];
} drl_new_file;
drl_status drl_new_file_open(drl_new_file *n, const char *path, drl_err *err);
/* ERR_IO, and no file left, where anything written so far, the fsync, the close or the rename failed. */
drl_status drl_new_file_commit(drl_new_file *n, drl_err *err);
/* Instead of committing: closes and removes it. */
void drl_new_file_discard(drl_new_file *n);

/* Gives a file that is already on the disk its final name, and syncs the directory. */
drl_status drl_rename(const char *from, const char *to, drl_err *err);

/* The whole of it in one call. */
drl_status drl_write_file(const char *path, const void *bytes, size_t size, drl_err *err);

/* buf = "PATH.tmp.HOST.PROCESS.SERIAL", another one at every call; false where it does not fit. */
bool drl_temporary_name(char *buf, size_t size, const char *path);

/* Removes the files of a directory whose names hold such a part and whose process is gone. Other hosts' files are left
 * alone, and so is whatever cannot be read or removed. */
void drl_temporary_sweep(const char *dir);

#endif
