/* Directories, and files that appear whole or not at all (drl/results.h). */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drl/results.h"
#include "drl/temporary.h"

#define PATH_SIZE 4096

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
    char part[PATH_SIZE];
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

static int write_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

/* The rename itself must reach the disk too: it is data of the directory. File systems that cannot say so (EINVAL) are
 * believed. */
static int sync_directory_of(const char *path) {
    char dir[PATH_SIZE];
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

drl_status drl_write_file(const char *path, const void *bytes, size_t size, drl_err *err) {
    char temporary[PATH_SIZE];
    if (!drl_temporary_name(temporary, sizeof temporary, path))
        return drl_fail(err, DRL_ERR_IO, "%.200s...: name too long", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return drl_fail(err, DRL_ERR_IO, "%s: cannot create: %s", path, strerror(errno));

    /* write, fsync and close must all succeed before the name is given */
    const char *what = NULL;
    if (write_all(fd, bytes, size) != 0 || fsync(fd) != 0) what = "cannot write";
    int why = errno;
    if (close(fd) != 0 && !what) what = "cannot close", why = errno;
    if (!what && rename(temporary, path) != 0) what = "cannot rename into place", why = errno;
    if (what) {
        unlink(temporary);
        return drl_fail(err, DRL_ERR_IO, "%s: %s: %s", path, what, strerror(why));
    }
    if (sync_directory_of(path) != 0)
        return drl_fail(err, DRL_ERR_IO, "%s: cannot sync its directory: %s", path, strerror(errno));
    return DRL_OK;
}
