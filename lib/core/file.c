/* Directories, and files that appear whole or not at all (drl/file.h). */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drl/file.h"

static drl_status make_dir(const char *path, drl_err *err) {
    if (mkdir(path, 0777) == 0) return DRL_OK;
    int why = errno;
    struct stat s;
    if (stat(path, &s) == 0) {
        if (S_ISDIR(s.st_mode)) return DRL_OK;
        return drl_fail(err, DRL_ERR_IO, "%s: cannot make the directory: a file of that name is in the way", path);
    }
    return drl_fail(err, DRL_ERR_IO, "%s: cannot make the directory: %s", path, strerror(why));
}

drl_status drl_make_dirs(const char *path, drl_err *err) {
    char part[DRL_PATH_MAX];
    if (!path[0] || strlen(path) >= sizeof part)
        return drl_fail(err, DRL_ERR_IO, "cannot make a directory of an empty or overlong name");
    /* each prefix that ends before a '/', then the whole; one that exists is none of our business */
    for (size_t i = 1; path[i]; i++) {
        if (path[i] != '/' || path[i - 1] == '/') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        drl_status st = make_dir(part, err);
        if (st != DRL_OK) return st;
    }
    return make_dir(path, err);
}

/* The rename itself must reach the disk too: it is data of the directory. File systems that cannot say so (EINVAL) are
 * believed. */
static int sync_directory_of(const char *path) {
    char dir[DRL_PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    memcpy(dir, path, n);
    dir[n] = '\0';
    int fd = open(n ? dir : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    int status = fsync(fd) != 0 && errno != EINVAL ? -1 : 0;
    close(fd);
    return status;
}

drl_status drl_new_file_open(drl_new_file *n, const char *path, drl_err *err) {
    n->f = NULL;
    if (strlen(path) >= sizeof n->path || !drl_temporary_name(n->temporary, sizeof n->temporary, path))
        return drl_fail(err, DRL_ERR_IO, "%.200s...: name too long", path);
    strcpy(n->path, path);
    n->f = fopen(n->temporary, "wbe");
    if (!n->f) return drl_fail(err, DRL_ERR_IO, "%s: cannot create: %s", path, strerror(errno));
    return DRL_OK;
}

drl_status drl_rename(const char *from, const char *to, drl_err *err) {
    if (rename(from, to) != 0)
        return drl_fail(err, DRL_ERR_IO, "%s: cannot rename into place: %s", to, strerror(errno));
    if (sync_directory_of(to) != 0)
        return drl_fail(err, DRL_ERR_IO, "%s: cannot sync its directory: %s", to, strerror(errno));
    return DRL_OK;
}

drl_status drl_new_file_commit(drl_new_file *n, drl_err *err) {
    /* write, fsync and close must all succeed before the name is given */
    const char *what = NULL;
    if (ferror(n->f) || fflush(n->f) != 0 || fsync(fileno(n->f)) != 0) what = "cannot write";
    int why = errno;
    if (fclose(n->f) != 0 && !what) what = "cannot close", why = errno;
    n->f = NULL;
    drl_status st = what ? drl_fail(err, DRL_ERR_IO, "%s: %s: %s", n->path, what, strerror(why))
                         : drl_rename(n->temporary, n->path, err);
    if (st != DRL_OK) unlink(n->temporary);
    return st;
}

void drl_new_file_discard(drl_new_file *n) {
    fclose(n->f);
    n->f = NULL;
    unlink(n->temporary);
}

drl_status drl_write_file(const char *path, const void *bytes, size_t size, drl_err *err) {
    drl_new_file n;
    drl_status st = drl_new_file_open(&n, path, err);
    if (st != DRL_OK) return st;
    (void)fwrite(bytes, 1, size, n.f); /* the commit sees a failure */
    return drl_new_file_commit(&n, err);
}
