/* Running gnuplot (results/gnuplot.h): no shell in between. */
#define _GNU_SOURCE
#include "results/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Everything the child prints until it closes the pipe; what does not fit in text is read and dropped. */
static void read_all(int fd, char *text, size_t size) {
    size_t used = 0;
    char rest[512];
    for (;;) {
        bool fits = used + 1 < size;
        ssize_t n = read(fd, fits ? text + used : rest, fits ? size - 1 - used : sizeof rest);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        if (fits) used += (size_t)n;
    }
    text[used] = '\0';
}

drl_status drl_gnuplot_run(char *text, size_t size, int *status, char *const *argv, drl_err *err) {
    int ends[2];
    pid_t child;
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) != 0) return drl_fail(err, DRL_ERR_IO, "cannot make a pipe: %s", strerror(errno));
    int why = posix_spawn_file_actions_init(&actions);
    if (why == 0) {
        why = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        if (why == 0) why = posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
        if (why == 0) why = posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
        if (why == 0) why = posix_spawnp(&child, argv[0], &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    if (why == 0) read_all(ends[0], text, size);
    close(ends[0]);
    if (why == ENOENT) return drl_fail(err, DRL_ERR_NOT_FOUND, "gnuplot is not installed (package gnuplot-nox)");
    if (why != 0) return drl_fail(err, DRL_ERR_IO, "cannot run gnuplot: %s", strerror(why));
    int got;
    pid_t done;
    while ((done = waitpid(child, &got, 0)) < 0 && errno == EINTR) {
    }
    *status = done == child && WIFEXITED(got) ? WEXITSTATUS(got) : -1;
    return DRL_OK;
}
