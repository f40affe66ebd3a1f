/* What the tests of whole programs share: fresh directories, a program run with its output caught, files compared, the
 * rows of a run store as text. */
#ifndef DRL_TESTS_PROGRAM_H
#define DRL_TESTS_PROGRAM_H

#define _GNU_SOURCE
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "drl/results.h"

#pragma GCC diagnostic ignored "-Wunused-function"

#define PROGRAM_ARGS 64

/* Sanitizers make everything some ten times slower. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PROGRAM_SLOW 1
#else
#define PROGRAM_SLOW 0
#endif

/* ---- Directories and files --------------------------------------------------------------------------------------- */

static char program_dir[256]; /* a fresh directory of this test program, removed at its end */

static int program_setup(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(program_dir, sizeof program_dir, "%s/drl-program-XXXXXX", base ? base : "/tmp");
    return mkdtemp(program_dir) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *ftw) {
    (void)info, (void)kind, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path) {
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int program_teardown(void **state) {
    (void)state;
    remove_tree(program_dir);
    return 0;
}

/* Path of a name in the directory; the last 64 are valid. */
static const char *in_dir(const char *name) {
    static char paths[64][512];
    static int next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "%s/%s", program_dir, name);
    return path;
}

/* The bytes of a file, with a 0 behind them; free() them. */
static char *read_whole(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s: cannot open", path);
    struct stat info;
    assert_int_equal(fstat(fileno(f), &info), 0);
    char *bytes = malloc((size_t)info.st_size + 1);
    assert_non_null(bytes);
    *size = fread(bytes, 1, (size_t)info.st_size, f);
    fclose(f);
    bytes[*size] = '\0';
    return bytes;
}

static void write_whole(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static bool same_files(const char *a, const char *b) {
    size_t n, m;
    char *x = read_whole(a, &n), *y = read_whole(b, &m);
    bool same = n == m && memcmp(x, y, n) == 0;
    free(x), free(y);
    return same;
}

/* Walks a tree: number of entries, number of those with a temporary's name, and the first path that ends as asked. */
static struct {
    size_t entries, temporary;
    const char *ending;
    char found[1024];
} walk;

static int look_at(const char *path, const struct stat *info, int kind, struct FTW *ftw) {
    (void)info, (void)kind;
    const char *name = path + ftw->base;
    size_t n = strlen(path), e = walk.ending ? strlen(walk.ending) : 0;
    walk.entries++;
    if (strstr(name, ".tmp") || strstr(name, "-journal")) walk.temporary++;
    if (e && n >= e && strcmp(path + n - e, walk.ending) == 0) snprintf(walk.found, sizeof walk.found, "%s", path);
    return 0;
}

static void walk_tree(const char *root, const char *ending) {
    memset(&walk, 0, sizeof walk);
    walk.ending = ending;
    nftw(root, look_at, 16, FTW_PHYS);
}

static size_t temporaries(const char *root) {
    walk_tree(root, NULL);
    return walk.temporary;
}

/* Path of the only model's checkpoint below an output directory; "" where there is none. Valid until the next walk. */
static const char *checkpoint_of(const char *out) {
    walk_tree(out, "/checkpoint.safetensors");
    return walk.found;
}

/* The text of the first file below a directory whose name ends like that; to be freed. */
static char *text_of(const char *out, const char *ending) {
    size_t size;
    walk_tree(out, ending);
    if (!walk.found[0]) fail_msg("no %s below %s", ending, out);
    char *text = read_whole(walk.found, &size), *whole = realloc(text, size + 1);
    assert_non_null(whole);
    whole[size] = '\0';
    return whole;
}

/* path (1024) = the directory OUT/models/METHOD-... of a model. */
static void find_model(char *path, const char *out, const char *method) {
    char command[1200];
    snprintf(command, sizeof command, "echo %s/models/%s-*", out, method);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(path, 1024, f));
    pclose(f);
    path[strcspn(path, "\n")] = '\0';
    if (access(path, F_OK) != 0) fail_msg("%s: not there", path);
}

/* The parts, NULL at their end, are in the text in this order. */
static void holds_in_order(const char *text, const char *const *parts) {
    for (; *parts; parts++) {
        const char *at = strstr(text, *parts);
        if (!at) fail_msg("no %s, or not in its place, in\n%s", *parts, text);
        text = at + 1;
    }
}

/* ---- Running a program ------------------------------------------------------------------------------------------- */

typedef struct outcome {
    int status; /* exit status, or -signal */
    char out[32768], err[8192];
    double seconds;
} outcome;

static double clock_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* path = where a program that was started as `name` ("" for one alone) prints to: "stdout" or "stderr". */
static void printed_path(char path[300], const char *name, const char *stream) {
    snprintf(path, 300, "%s/%s%s", program_dir, name, stream);
}

/* Starts DRL_BIN_DIR/argv[0], or argv[0] where that is absolute; what it prints goes to files of the directory, its
 * standard output to `to` where that is given. Programs that run at once need a name each. */
static pid_t start_named(const char *name, const char *const *argv, const char *to) {
    char path[1024], *args[PROGRAM_ARGS + 1];
    int n = 0;
    snprintf(path, sizeof path, "%s/%s", argv[0][0] == '/' ? "" : DRL_BIN_DIR, argv[0]);
    for (; argv[n]; n++) {
        assert_true(n < PROGRAM_ARGS);
        args[n] = (char *)(uintptr_t)argv[n];
    }
    args[0] = path;
    args[n] = NULL;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0) return child;
    char out_path[300], err_path[300];
    printed_path(out_path, name, "stdout");
    printed_path(err_path, name, "stderr");
    int out = open(to ? to : out_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    int err = open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(out, 1), dup2(err, 2);
    execv(path, args);
    _exit(127);
}

static pid_t start_program(const char *const *argv, const char *to) {
    return start_named("", argv, to);
}

/* Waits for it and collects what it printed. A sanitizer's report is a failure, whatever the test looks at. */
static void finish_named(outcome *o, const char *name, pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    o->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    const char *names[] = {"stdout", "stderr"};
    char *to[] = {o->out, o->err};
    const size_t room[] = {sizeof o->out, sizeof o->err};
    for (int i = 0; i < 2; i++) {
        char path[300];
        printed_path(path, name, names[i]);
        to[i][0] = '\0';
        if (access(path, R_OK) != 0) continue;
        size_t size;
        char *text = read_whole(path, &size);
        snprintf(to[i], room[i], "%s", text);
        if (i == 1 && strstr(text, "Sanitizer")) fail_msg("%s", text);
        free(text);
    }
}

static void finish_program(outcome *o, pid_t child) {
    finish_named(o, "", child);
}

static void run_program(outcome *o, const char *const *argv) {
    double begin = clock_now();
    finish_program(o, start_program(argv, NULL));
    o->seconds = clock_now() - begin;
}

/* Lines of a text that are no log lines ("[hh:mm:ss] ..."): the error messages. */
static size_t error_lines(const char *text, char *first, size_t size) {
    size_t n = 0;
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        bool is_log = line[0] == '[' && length > 10 && line[9] == ']';
        /* the BLAS guard's one line is no error */
        if (!is_log && strncmp(line, "OpenBLAS took", 13) != 0) {
            if (n++ == 0) snprintf(first, size, "%.*s", (int)length, line);
        }
        line += length + (line[length] == '\n');
    }
    return n;
}

/* A refusal is the exit status asked for and exactly one line, "PROGRAM: ...", which holds every piece of "a|b", tells
 * of --help where the command line was wrong (2), and has nothing beside it on standard output. */
static void assert_refusal(const outcome *o, const char *program, int status, const char *pieces) {
    char line[2048], piece[256], start[64];
    if (o->status != status) fail_msg("exit status %d instead of %d: %s", o->status, status, o->err);
    size_t lines = error_lines(o->err, line, sizeof line);
    int n = snprintf(start, sizeof start, "%s: ", program);
    if (lines != 1 || strncmp(line, start, (size_t)n) != 0) fail_msg("%zu lines instead of one: %s", lines, o->err);
    for (const char *at = pieces; *at;) {
        size_t length = strcspn(at, "|");
        snprintf(piece, sizeof piece, "%.*s", (int)length, at);
        if (!strstr(line, piece)) fail_msg("\"%s\" does not hold \"%s\"", line, piece);
        at += length + (at[length] == '|');
    }
    if (!!strstr(line, "try --help") != (status == 2)) fail_msg("%s", line);
    assert_string_equal(o->out, "");
}

/* ---- The store's rows -------------------------------------------------------------------------------------------- */

typedef struct row_text {
    char text[16384];
    size_t used, rows;
    bool timings; /* keep the rows that say how long training took */
} row_text;

static drl_status append_row(void *arg, const drl_row *r, drl_err *err) {
    (void)err;
    row_text *t = arg;
    if (!t->timings && strncmp(r->metric, "train_", 6) == 0) return DRL_OK;
    t->used += (size_t)snprintf(t->text + t->used, sizeof t->text - t->used, "%s %s %g seed %llu = %.17g (%s)\n",
                                r->method, r->metric, r->t, (unsigned long long)r->seed, r->value, r->detail);
    assert_true(t->used < sizeof t->text);
    t->rows++;
    return DRL_OK;
}

static void read_rows(row_text *t, const char *out, bool timings) {
    drl_store *store;
    drl_err err = {0};
    *t = (row_text){.timings = timings};
    if (drl_store_open(&store, out, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_int_equal(drl_store_rows(store, "evaluation", "synthetic:factors", "smoke", append_row, t, NULL), DRL_OK);
    drl_store_close(store);
}

#endif
