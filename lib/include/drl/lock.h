/* Locks between programs that share a directory.
 *
 * A lock is a file that one program at a time holds: the kernel's advisory lock (flock) on it, which ends with the
 * process, whatever ends that. While it is held the file says by whom; after that it is removed, and where a program
 * was killed it stays and means nothing. Threads of one process exclude each other too. Where a file system has no
 * locks, work goes on without, which is said once. */
#ifndef DRL_LOCK_H
#define DRL_LOCK_H

#include <stdbool.h>

#include "drl/err.h"
#include "drl/file.h"

typedef struct drl_lock {
    char path[DRL_PATH_MAX];
    int fd;
    bool held; /* false in one that is all zeros, and where there are no locks */
} drl_lock;

/* Takes the lock of a file, which is made where it is not there; its directory must be. *taken is false where another
 * program holds it. ERR_IO where the file cannot be made or locked. */
drl_status drl_lock_try(drl_lock *lock, bool *taken, const char *path, drl_err *err);

/* The same, waiting for it. `busy` ("drl seed 1 is being trained") begins the one line that says what is waited for,
 * and for whom. Ctrl-C (drl/interrupt.h) ends the waiting with ERR_INTERRUPTED. */
drl_status drl_lock_take(drl_lock *lock, const char *path, const char *busy, drl_err *err);

/* Gives it back; nothing where it is not held. */
void drl_lock_release(drl_lock *lock);

#endif
