/* Locks between programs: one holder at a time, among processes and threads; a killed one's is free; Ctrl-C ends the
 * waiting; file systems without locks. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drl/interrupt.h"
#include "drl/lock.h"
#include "drl/log.h"

static char dir[] = "/tmp/drl_lock_XXXXXX";
static char path[64], log_path[64];

static int make_directory(void **state) {
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/lock", dir);
    snprintf(log_path, sizeof log_path, "%s/log", dir);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    unlink(log_path);
    unlink(path);
    return rmdir(dir); /* nothing else is left in it */
}

/* In place of the C library's: a file system that refuses with refuse_with, where that is not 0; and a file that
 * another holder removes just before, as often as remove_before says. */
static int refuse_with, remove_before;
int flock(int fd, int operation) {
    if (remove_before > 0) remove_before--, unlink(path);
    errno = refuse_with;
    return refuse_with ? -1 : (int)syscall(SYS_flock, fd, operation);
}

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static bool can_take(void) {
    drl_lock lock;
    drl_err err = {0};
    bool taken;
    if (drl_lock_try(&lock, &taken, path, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_true(lock.held == taken);
    drl_lock_release(&lock);
    return taken;
}

static const char *text_of(const char *file) {
    static char text[4096];
    FILE *f = fopen(file, "r");
    if (!f) return "";
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

/* ---- Other processes --------------------------------------------------------------------------------------------- */

/* A child that takes the lock, logging to log_path, says so through the pipe, and waits for a signal; where it does not
 * get it, ends with the status as its exit status and the message in the log. */
static pid_t holder(int *said) {
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        drl_lock lock;
        drl_err err = {0};
        alarm(60); /* gone too where the test fails */
        close(gate[0]);
        dup2(open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0666), 2);
        drl_interrupt_install();
        drl_status st = drl_lock_take(&lock, path, "the pot is being stirred", &err);
        if (st != DRL_OK) {
            fprintf(stderr, "%s\n", err.message);
            _exit((int)st);
        }
        if (write(gate[1], "x", 1) == 1)
            while (!drl_interrupted()) sleep_ms(5);
        drl_lock_release(&lock);
        _exit(0);
    }
    close(gate[1]);
    *said = gate[0];
    return child;
}

static void wait_until_held(int said) {
    char byte;
    assert_int_equal(read(said, &byte, 1), 1);
    close(said);
}

static void wait_until_logged(const char *piece) {
    for (int i = 0; i < 3000 && !strstr(text_of(log_path), piece); i++) sleep_ms(10);
    if (!strstr(text_of(log_path), piece)) fail_msg("no \"%s\" in \"%s\"", piece, text_of(log_path));
}

static int status_of(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void one_at_a_time(void **state) {
    (void)state;
    int said;
    drl_lock lock;
    bool taken;
    assert_int_equal(drl_lock_try(&lock, &taken, path, NULL), DRL_OK);
    assert_true(taken && lock.held);
    char mine[32];
    snprintf(mine, sizeof mine, "%ld ", (long)getpid());
    assert_int_equal(strncmp(text_of(path), mine, strlen(mine)), 0);
    assert_false(can_take()); /* this process again: no more than another */
    drl_lock_release(&lock);
    assert_int_not_equal(access(path, F_OK), 0);
    drl_lock_release(&lock); /* does nothing */

    pid_t child = holder(&said);
    wait_until_held(said);
    assert_false(can_take());
    assert_int_equal(kill(child, SIGINT), 0); /* it gives the lock back */
    assert_int_equal(status_of(child), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_true(can_take());
    assert_string_equal(text_of(log_path), "");
}

/* Killed: its file stays, and is free at once, even before the parent has asked for its status. */
static void killed(void **state) {
    (void)state;
    int said;
    pid_t child = holder(&said);
    wait_until_held(said);
    assert_int_equal(kill(child, SIGKILL), 0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(access(path, F_OK), 0);
    assert_true(can_take());
    assert_int_equal(status_of(child), -SIGKILL);
}

/* One that waits says for whom, in one line, and gets the lock of a holder that is killed. */
static void waiting(void **state) {
    (void)state;
    int said[2];
    char line[128];
    pid_t first = holder(&said[0]);
    wait_until_held(said[0]);
    pid_t second = holder(&said[1]);
    snprintf(line, sizeof line, "] the pot is being stirred by another program (process %ld); waiting\n", (long)first);
    wait_until_logged(line);
    sleep_ms(700); /* several looks */
    assert_int_equal(kill(first, SIGKILL), 0);
    assert_int_equal(status_of(first), -SIGKILL);
    wait_until_held(said[1]);
    assert_false(can_take());
    assert_int_equal(kill(second, SIGTERM), 0);
    assert_int_equal(status_of(second), 0);
    assert_ptr_equal(strstr(text_of(log_path), "waiting"), strrchr(text_of(log_path), 'w')); /* once */
}

static void interrupted(void **state) {
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM};
    int said[2];
    pid_t first = holder(&said[0]);
    wait_until_held(said[0]);
    for (int i = 0; i < 2; i++) {
        pid_t second = holder(&said[1]);
        wait_until_logged("; waiting\n");
        assert_int_equal(kill(second, signals[i]), 0);
        assert_int_equal(status_of(second), DRL_ERR_INTERRUPTED);
        close(said[1]);
        assert_non_null(strstr(text_of(log_path), "interrupted while waiting for it; the same command goes on\n"));
        unlink(log_path);
    }
    assert_false(can_take()); /* the holder has not noticed */
    assert_int_equal(kill(first, SIGINT), 0);
    assert_int_equal(status_of(first), 0);
}

/* Who holds it is not known, or on another machine. */
static void holders_are_named(void **state) {
    (void)state;
    static const char *const texts[][2] = {{"", "by another program; waiting"},
                                           {"nonsense", "by another program; waiting"},
                                           {"-4 host", "by another program; waiting"},
                                           {"17 elsewhere.example", "by another program (process 17 on elsewhere"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666), said;
        size_t n = strlen(texts[i][0]);
        assert_int_equal(write(fd, texts[i][0], n), (ssize_t)n);
        assert_int_equal(flock(fd, LOCK_EX), 0);
        pid_t child = holder(&said);
        wait_until_logged(texts[i][1]);
        assert_int_equal(flock(fd, LOCK_UN), 0); /* the child has the file open too */
        close(fd);
        wait_until_held(said);
        assert_int_equal(kill(child, SIGINT), 0);
        assert_int_equal(status_of(child), 0);
        unlink(log_path);
    }
}

/* ---- Many at once ------------------------------------------------------------------------------------------------ */

/* Adds one to the number in a file, slowly: two at once would lose some. */
static void count_in(const char *file) {
    long n = strtol(text_of(file), NULL, 10);
    FILE *f = fopen(file, "w");
    sched_yield();
    if (f) fprintf(f, "%ld\n", n + 1), fclose(f);
}

static void many_processes(void **state) {
    (void)state;
    enum { PROCESSES = 6, TIMES = 25 };
    pid_t children[PROCESSES];
    for (int p = 0; p < PROCESSES; p++) {
        children[p] = fork();
        assert_true(children[p] >= 0);
        if (children[p] > 0) continue;
        drl_log_quiet(true);
        for (int i = 0; i < TIMES; i++) {
            drl_lock lock;
            if (drl_lock_take(&lock, path, "counting", NULL) != DRL_OK) _exit(1);
            count_in(log_path);
            drl_lock_release(&lock);
        }
        _exit(0);
    }
    for (int p = 0; p < PROCESSES; p++) assert_int_equal(status_of(children[p]), 0);
    assert_int_equal(strtol(text_of(log_path), NULL, 10), PROCESSES * TIMES);
    assert_int_not_equal(access(path, F_OK), 0);
}

static atomic_int inside, times, met;

static void *go_in(void *arg) {
    for (int i = 0; i < 25; i++) {
        drl_lock lock;
        if (drl_lock_take(&lock, path, "counting", NULL) != DRL_OK) return NULL;
        met += inside++ != 0;
        sched_yield();
        inside--;
        times++;
        drl_lock_release(&lock);
    }
    return arg;
}

static void threads(void **state) {
    (void)state;
    pthread_t t[3];
    drl_log_quiet(true);
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&t[i], NULL, go_in, NULL), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_join(t[i], NULL), 0);
    drl_log_quiet(false);
    assert_int_equal(times, 3 * 25);
    assert_int_equal(met, 0);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* ---- What cannot be locked --------------------------------------------------------------------------------------- */

static void no_locks(void **state) {
    (void)state;
    static const int why[] = {ENOSYS, EOPNOTSUPP, ENOLCK};
    drl_lock lock;
    fflush(stderr);
    int kept = dup(2), to = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    dup2(to, 2);
    bool passed = true;
    for (int i = 0; i < 3; i++) {
        bool taken = false;
        refuse_with = why[i];
        passed = passed && drl_lock_try(&lock, &taken, path, NULL) == DRL_OK && taken && !lock.held;
        passed = passed && drl_lock_take(&lock, path, "work is done", NULL) == DRL_OK && !lock.held;
        drl_lock_release(&lock);
        passed = passed && access(path, F_OK) != 0;
    }
    refuse_with = 0;
    fflush(stderr);
    dup2(kept, 2), close(kept), close(to);
    assert_true(passed);
    const char *said = strstr(text_of(log_path), "no locks on this file system");
    assert_non_null(said);
    assert_null(strstr(said + 1, "no locks")); /* once */
}

static void refused(void **state) {
    (void)state;
    drl_lock lock;
    drl_err err = {0};
    bool taken = true;
    refuse_with = EIO;
    drl_status st = drl_lock_try(&lock, &taken, path, &err);
    refuse_with = 0;
    assert_int_equal(st, DRL_ERR_IO);
    assert_true(!taken && !lock.held);
    assert_non_null(strstr(err.message, path));

    char below[96], target[96];
    snprintf(below, sizeof below, "%s/none/lock", dir);
    assert_int_equal(drl_lock_take(&lock, below, "x", &err), DRL_ERR_IO);
    assert_non_null(strstr(err.message, "No such file"));
    assert_false(lock.held);

    /* what it points to is left alone */
    snprintf(target, sizeof target, "%s/target", dir);
    FILE *f = fopen(target, "w");
    assert_non_null(f);
    fputs("text", f);
    fclose(f);
    unlink(path);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(drl_lock_try(&lock, &taken, path, &err), DRL_ERR_IO);
    assert_string_equal(text_of(target), "text");
    unlink(target);

    static char name[DRL_PATH_MAX + 8];
    memset(name, 'a', sizeof name - 1);
    assert_int_equal(drl_lock_try(&lock, &taken, name, &err), DRL_ERR_IO);
}

/* Removed by the holder before it until just before it is locked: nobody would see that lock, so it is taken again. */
static void removed_before(void **state) {
    (void)state;
    drl_lock lock;
    drl_err err = {0};
    bool taken;
    for (int n = 1; n <= 3; n++) {
        remove_before = n;
        assert_int_equal(drl_lock_try(&lock, &taken, path, NULL), DRL_OK);
        assert_int_equal(remove_before, 0);
        assert_true(taken && lock.held);
        assert_int_equal(access(path, F_OK), 0);
        assert_false(can_take());
        drl_lock_release(&lock);
    }
    remove_before = 1000;
    drl_status st = drl_lock_try(&lock, &taken, path, &err);
    remove_before = 0;
    assert_int_equal(st, DRL_ERR_IO);
    assert_true(!taken && !lock.held);
    assert_non_null(strstr(err.message, "again and again"));
}

/* Removed under the holder, and made anew by the next: giving back leaves the other's alone. */
static void removed(void **state) {
    (void)state;
    drl_lock first, second;
    bool taken;
    assert_int_equal(drl_lock_try(&first, &taken, path, NULL), DRL_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(drl_lock_try(&second, &taken, path, NULL), DRL_OK);
    assert_true(taken);
    drl_lock_release(&first);
    assert_int_equal(access(path, F_OK), 0);
    drl_lock_release(&second);
    assert_int_not_equal(access(path, F_OK), 0);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(one_at_a_time),     IN_DIRECTORY(killed),         IN_DIRECTORY(waiting), IN_DIRECTORY(interrupted),
        IN_DIRECTORY(holders_are_named), IN_DIRECTORY(many_processes), IN_DIRECTORY(threads), IN_DIRECTORY(no_locks),
        IN_DIRECTORY(refused),           IN_DIRECTORY(removed_before), IN_DIRECTORY(removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
