/* Locks between programs (drl/lock.h). */
#define _POSIX_C_SOURCE 200809L
#include "drl/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "drl/interrupt.h"
#include "drl/log.h"

#define FIRST_MS 10  /* between the first two looks at a lock that is held */
#define MOST_MS  250 /* and between later ones                             */
#define REMOVED  100 /* times that the file is gone just when it is locked */

/* ---- Who holds it: "PROCESS HOST" ------------------------------------------------------------------------------- */

static void host_name(char host[65]) {
    memset(host, 0, 65);
    if (gethostname(host, 64) != 0 || !host[0]) strcpy(host, "localhost");
}

/* For people only: where it cannot be written the lock holds all the same. */
static void write_holder(int fd) {
    char text[96], host[65];
    host_name(host);
    int n = snprintf(text, sizeof text, "%ld %s\n", (long)getpid(), host);
    bool written = ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n;
    (void)written;
}

/* text = "another program (process 123)"; without the number where it is not known, or is that of a process that is
 * gone: killed, and the next one has not written its own yet. */
static void read_holder(char text[160], const char *path) {
    char line[96] = "", host[65], theirs[65];
    long process = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? 0 : pread(fd, line, sizeof line - 1, 0);
    line[n > 0 ? n : 0] = '\0';
    if (fd >= 0) close(fd);
    host_name(host);
    bool known = sscanf(line, "%ld %64s", &process, theirs) == 2 && process > 0;
    bool here = known && strcmp(theirs, host) == 0;
    if (!known || (here && kill((pid_t)process, 0) != 0 && errno == ESRCH))
        snprintf(text, 160, "another program");
    else if (here)
        snprintf(text, 160, "another program (process %ld)", process);
    else
        snprintf(text, 160, "another program (process %ld on %s)", process, theirs);
}

/* ---- Taking and giving back -------------------------------------------------------------------------------------- */

static bool has_no_locks(int why) {
    return why == ENOSYS || why == EOPNOTSUPP || why == ENOLCK || why == EINVAL;
}

static void go_without(const char *path, int why) {
    static atomic_flag said = ATOMIC_FLAG_INIT;
    unlink(path);
    if (!atomic_flag_test_and_set(&said))
        drl_log("%s: no locks on this file system (%s): programs that run at once may do the same work", path,
                strerror(why));
}

/* Whether the path still names the open file. */
static bool is_named(int fd, const char *path) {
    struct stat open_file, named;
    return fstat(fd, &open_file) == 0 && stat(path, &named) == 0 && open_file.st_dev == named.st_dev &&
           open_file.st_ino == named.st_ino;
}

/* Another user's may only be read, which is enough to lock it. */
static int open_file(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    return fd < 0 && errno == EACCES ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : fd;
}

drl_status drl_lock_try(drl_lock *lock, bool *taken, const char *path, drl_err *err) {
    lock->held = *taken = false;
    if (strlen(path) >= sizeof lock->path) return drl_fail(err, DRL_ERR_IO, "%.200s...: name too long", path);
    strcpy(lock->path, path);
    /* who held it may have removed it after we opened it: then that lock is nobody's, and the file is made anew */
    for (int i = 0; i < REMOVED; i++) {
        int fd = open_file(path);
        if (fd < 0) return drl_fail(err, DRL_ERR_IO, "%s: cannot open the lock: %s", path, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            int why = errno;
            close(fd);
            if (why == EWOULDBLOCK || why == EINTR) return DRL_OK;
            if (!has_no_locks(why)) return drl_fail(err, DRL_ERR_IO, "%s: cannot lock: %s", path, strerror(why));
            go_without(path, why);
            *taken = true;
            return DRL_OK;
        }
        if (is_named(fd, path)) {
            write_holder(fd);
            lock->fd = fd;
            lock->held = *taken = true;
            return DRL_OK;
        }
        close(fd);
    }
    return drl_fail(err, DRL_ERR_IO, "%s: cannot lock: it is removed again and again", path);
}

drl_status drl_lock_take(drl_lock *lock, const char *path, const char *busy, drl_err *err) {
    char holder[160];
    for (long ms = FIRST_MS;; ms = 2 * ms < MOST_MS ? 2 * ms : MOST_MS) {
        bool taken;
        drl_status st = drl_lock_try(lock, &taken, path, err);
        if (st != DRL_OK || taken) return st;
        if (ms == 2 * FIRST_MS) { /* at the second look: by now it has written who it is */
            read_holder(holder, path);
            drl_log("%s by %s; waiting", busy, holder);
        }
        if (drl_interrupted()) {
            read_holder(holder, path);
            return drl_fail(err, DRL_ERR_INTERRUPTED,
                            "%s by %s: interrupted while waiting for it; the same command goes on", busy, holder);
        }
        nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL); /* a signal ends it */
    }
}

void drl_lock_release(drl_lock *lock) {
    if (!lock->held) return;
    if (is_named(lock->fd, lock->path)) unlink(lock->path); /* while it is ours */
    close(lock->fd);
    lock->held = false;
}
