/* One command, one result: whatever the number of threads, and however often and wherever the run is cut off. Runs the
 * real program `downstream` on a tiny model, a checkpoint after every step. */
#include "program.h"

#define STEPS     24
#define MAX_KILLS (PROGRAM_SLOW ? 2 : 8)

static char reference[512]; /* output directory of an uninterrupted run */
static row_text reference_rows;

/* argv of the tiny experiment; extra arguments come last, so that they win. */
typedef struct command {
    const char *argv[PROGRAM_ARGS + 1];
} command;

static command tiny(const char *out, const char *threads, const char *const *extra) {
    static const char *const fixed[] = {"downstream",
                                        "--scale=smoke",
                                        "--methods=pixels, untrained, drl",
                                        "--set=train.steps=24",
                                        "--set=train.batch=8",
                                        "--set=train.shard=4",
                                        "--set=train.warmup=4",
                                        "--set=data.train_limit=64",
                                        "--set=data.test_limit=48",
                                        "--set=eval.times=0, 0.5",
                                        "--set=eval.seeds=1",
                                        "--set=probe.mlp=none",
                                        "--set=model.encoder_width=0.25",
                                        "--set=model.score_channels=4",
                                        "--set=run.checkpoint_seconds=0"};
    command c = {{NULL}};
    int n = 0;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) c.argv[n++] = fixed[i];
    c.argv[n++] = "--out";
    c.argv[n++] = out;
    c.argv[n++] = "--threads";
    c.argv[n++] = threads;
    for (; extra && *extra; extra++) c.argv[n++] = *extra;
    return c;
}

static void succeed(const char *out, const char *threads, const char *const *extra, outcome *o) {
    command c = tiny(out, threads, extra);
    run_program(o, c.argv);
    if (o->status != 0) fail_msg("exit status %d: %s", o->status, o->err);
}

/* The same checkpoint and the same rows as the uninterrupted run, nothing left lying about, table and figure there. */
static void assert_same_result(const char *out) {
    char path[1024];
    snprintf(path, sizeof path, "%s", checkpoint_of(reference));
    assert_true(path[0]);
    if (!same_files(path, checkpoint_of(out))) fail_msg("%s differs from %s", checkpoint_of(out), path);
    static row_text rows;
    read_rows(&rows, out, false);
    assert_string_equal(rows.text, reference_rows.text);
    if (temporaries(out)) fail_msg("%s: %zu temporary files are left", out, walk.temporary);
    static const char *const results[] = {".md", ".csv", ".tex", ".svg", ".png"};
    for (int i = 0; i < 5; i++) {
        walk_tree(out, results[i]);
        assert_true(walk.found[0]);
    }
}

static int make_reference(void **state) {
    static outcome o;
    if (program_setup(state) != 0) return -1;
    setenv("LC_ALL", "C", 1);
    snprintf(reference, sizeof reference, "%s", in_dir("reference"));
    succeed(reference, "1", NULL, &o);
    read_rows(&reference_rows, reference, false);
    /* pixels, untrained, and two times; linear and k-NN, each on test and validation images; parameters of each method
     */
    return reference_rows.rows == 4 * 4 + 3 ? 0 : -1;
}

static void threads_change_no_bit(void **state) {
    (void)state;
    static outcome o;
    static const char *const threads[] = {"2", "3"};
    for (int i = 0; i < 2; i++) {
        const char *out = in_dir(threads[i]);
        succeed(out, threads[i], NULL, &o);
        assert_same_result(out);
    }
}

static void seeds_differ_and_starting_over_does_not(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("over");
    succeed(out, "2", NULL, &o);
    succeed(out, "2", (const char *const[]){"--resume=no", NULL}, &o);
    assert_non_null(strstr(o.err, "24 of 24 steps"));
    assert_null(strstr(o.err, "continued"));
    assert_same_result(out);
    succeed(out, "2", (const char *const[]){"--seeds=2", NULL}, &o);
    static row_text rows;
    read_rows(&rows, out, false);
    assert_int_equal(rows.rows, 2 * reference_rows.rows);

    /* two checkpoints now, of different bytes: the first found and the other */
    char first[1024], command_line[2200];
    snprintf(first, sizeof first, "%s", checkpoint_of(reference));
    snprintf(
        command_line, sizeof command_line,
        "test $(cat '%s'/models/*/checkpoint.safetensors | wc -c) -gt "
        "$(wc -c < '%s') && test $(sha256sum '%s'/models/*/checkpoint.safetensors | cut -c1-64 | sort -u | wc -l) = 2",
        out, first, out);
    assert_int_equal(system(command_line), 0);
}

/* A finished run is only read: no step, the rows untouched (timings too), table and figure made anew. */
static void a_finished_run_is_not_repeated(void **state) {
    (void)state;
    static outcome o;
    static row_text before, after;
    const char *out = in_dir("again");
    char table[1024], figure[1024];
    succeed(out, "1", NULL, &o);
    read_rows(&before, out, true);
    assert_non_null(strstr(before.text, "train_seconds"));
    walk_tree(out, "-smoke.md");
    snprintf(table, sizeof table, "%s", walk.found);
    walk_tree(out, ".svg");
    snprintf(figure, sizeof figure, "%s", walk.found);
    assert_true(table[0] && figure[0] && remove(table) == 0 && remove(figure) == 0);
    succeed(out, "1", NULL, &o);
    assert_null(strstr(o.err, "of 24 steps"));
    assert_null(strstr(o.err, "encoded in"));
    assert_int_equal(access(table, R_OK) | access(figure, R_OK), 0);
    read_rows(&after, out, true);
    assert_string_equal(after.text, before.text);
    assert_same_result(out);
}

/* ---- Cut off ----------------------------------------------------------------------------------------------------- */

/* Waits until a file that ends so is below `out`, or the program has ended; whether it is there. */
static bool wait_for(const char *out, const char *ending, pid_t child) {
    for (double end = clock_now() + 60; clock_now() < end;) {
        siginfo_t info = {.si_pid = 0};
        walk_tree(out, ending);
        if (walk.found[0]) return true;
        if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child) return false;
        nanosleep(&(struct timespec){0, 100000}, NULL);
    }
    fail_msg("no %s below %s within a minute", ending, out);
    return false;
}

static void sleep_for(double seconds) {
    nanosleep(&(struct timespec){(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)}, NULL);
}

/* Starts the command, kills it some time after a file that ends so has appeared; whether it was killed. */
static bool kill_after(const char *out, const char *ending, double delay) {
    static outcome o;
    command c = tiny(out, "2", NULL);
    pid_t child = start_program(c.argv, NULL);
    wait_for(out, ending, child);
    sleep_for(delay);
    kill(child, SIGKILL);
    finish_program(&o, child);
    if (o.status != -SIGKILL && o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    return o.status == -SIGKILL;
}

/* With the pictures augmented by threads of their own: the bits of one thread, also where the run is interrupted. */
static void augmented_threads_change_no_bit(void **state) {
    (void)state;
    static outcome o;
    static const char *const augmented[] = {"--set=augment.flip=yes", "--set=augment.crop=2",
                                            "--set=augment.jitter=0.8", NULL};
    char first[1024];
    succeed(in_dir("augmented1"), "1", augmented, &o);
    snprintf(first, sizeof first, "%s", checkpoint_of(in_dir("augmented1")));
    assert_true(first[0]);
    if (same_files(first, checkpoint_of(reference))) fail_msg("augmentation changed nothing");
    succeed(in_dir("augmented3"), "3", augmented, &o);
    assert_true(same_files(first, checkpoint_of(in_dir("augmented3"))));

    const char *out = in_dir("augmented2");
    command c = tiny(out, "2", augmented);
    pid_t child = start_program(c.argv, NULL);
    wait_for(out, "/checkpoint.safetensors", child);
    kill(child, SIGINT);
    finish_program(&o, child);
    if (o.status != 1 && o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    succeed(out, "2", augmented, &o);
    assert_true(same_files(first, checkpoint_of(out)));
}

/* Killed again and again at moments spread over steps, saves and probes, each run going on where the last one was; what
 * a killed run left half-written does not pile up. */
static void killed_at_any_moment(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("killed");
    uint32_t random = 12345;
    int kills = 0;
    for (int k = 0; k < MAX_KILLS; k++) {
        random = random * 1664525u + 1013904223u;
        kills += kill_after(out, "/checkpoint.safetensors",
                            0.002 + 0.02 * (random >> 16) / 65536.0 * (1 + 9 * PROGRAM_SLOW));
        assert_true(temporaries(out) <= 3); /* one run's: a checkpoint, its .json, the store's journal */
    }
    assert_true(kills > 0);
    succeed(out, "2", NULL, &o);
    assert_same_result(out);
}

/* Killed while a checkpoint is being written: its temporary file is there. The next run removes it. */
static void killed_while_saving(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("saving");
    size_t left = 0;
    for (int k = 0; k < MAX_KILLS / 2; k++) {
        command c = tiny(out, "1", NULL);
        pid_t child = start_program(c.argv, NULL);
        for (double end = clock_now() + 60; clock_now() < end;) {
            siginfo_t info = {.si_pid = 0};
            if (temporaries(out) > left && k % 2 == 0) break;
            walk_tree(out, ".json");
            if (walk.found[0] && k % 2 == 1) break;
            if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child) break;
        }
        kill(child, SIGKILL);
        finish_program(&o, child);
        left = temporaries(out);
        assert_true(left <= 3);
    }
    /* and one that surely is there, of a process that surely is not */
    char path[1200], host[65] = "";
    gethostname(host, sizeof host - 1);
    for (char *c = host; *c; c++)
        if (*c == '.') *c = '-';
    pid_t gone = fork();
    if (gone == 0) _exit(0);
    waitpid(gone, NULL, 0);
    const char *checkpoint = checkpoint_of(out);
    if (!checkpoint[0]) return succeed(out, "1", NULL, &o), assert_same_result(out);
    snprintf(path, sizeof path, "%s.tmp.%s.%ld.0", checkpoint, host, (long)gone);
    write_whole(path, "half", 4);
    succeed(out, "1", NULL, &o);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_same_result(out);
}

/* Killed between one probe's row and the next: after the training, some rows are there. */
static void killed_while_probing(void **state) {
    (void)state;
    static outcome o;
    for (int k = 0; k < 4; k++) {
        char name[24];
        snprintf(name, sizeof name, "probing%d", k);
        const char *out = in_dir(name);
        kill_after(out, k < 2 ? "/results.sqlite" : "/checkpoint.json", k < 2 ? 0.01 * k : 0.12 + 0.01 * k);
        succeed(out, "2", NULL, &o);
        assert_same_result(out);
    }
}

/* SIGINT and SIGTERM: one line, a checkpoint, status 1; the same command goes on to the same bits. */
static void interrupted_politely(void **state) {
    (void)state;
    static outcome o;
    static const int signals[] = {SIGINT, SIGTERM};
    for (int k = 0; k < 2; k++) {
        const char *out = in_dir(k == 0 ? "int" : "term");
        int cut = 0;
        for (int again = 0; again < 3; again++) {
            command c = tiny(out, "2", NULL);
            pid_t child = start_program(c.argv, NULL);
            wait_for(out, "/checkpoint.safetensors", child);
            sleep_for(again ? 0.04 * (1 + 9 * PROGRAM_SLOW) + 0.01 * again : 0);
            kill(child, signals[k]);
            finish_program(&o, child);
            if (o.status == 0) break;
            if (again && o.status == -signals[k]) continue; /* before the program listens */
            char line[1024];
            assert_int_equal(o.status, 1);
            assert_int_equal(error_lines(o.err, line, sizeof line), 1);
            if (!strstr(line, "downstream: ") || !strstr(line, "interrupted")) fail_msg("%s", line);
            assert_true(checkpoint_of(out)[0]);
            if (temporaries(out)) fail_msg("temporary files are left after \"%s\"", line);
            cut++;
        }
        assert_true(cut > 0);
        succeed(out, "2", NULL, &o);
        assert_same_result(out);
    }
}

/* Ctrl-C ends the whole process group: whoever reads the program's messages may be gone when it wants to say that it
 * stops. The checkpoint must be written all the same. */
static void interrupted_unheard(void **state) {
    (void)state;
    const char *out = in_dir("unheard");
    command c = tiny(
        out, "2",
        (const char *const[]){"--set=run.checkpoint_seconds=1e6", "--set=train.steps=1000000", "--methods=drl", NULL});
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char path[1024];
        snprintf(path, sizeof path, "%s/downstream", DRL_BIN_DIR);
        dup2(ends[1], 1), dup2(ends[1], 2), close(ends[0]), close(ends[1]);
        execv(path, (char **)(uintptr_t)c.argv);
        _exit(127);
    }
    close(ends[1]);
    sleep_for(1.5 * (1 + 9 * PROGRAM_SLOW)); /* into the training: the first step of a million */
    close(ends[0]);
    kill(child, SIGINT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_true(checkpoint_of(out)[0]);
}

/* ---- Damaged checkpoints
 * --------------------------------------------------------------------------------------------- */

/* Without its rows a run needs its model again. */
static void forget_rows(const char *out) {
    static const char *const files[] = {"results.sqlite", "results.sqlite-wal", "results.sqlite-shm"};
    for (int i = 0; i < 3; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", out, files[i]);
        unlink(path);
    }
}

/* Puts bytes in the place of the checkpoint: refused with one line that names it and holds `piece`, and left as it is.
 */
static void assert_refused_checkpoint(const char *out, const char *bytes, size_t size, const char *piece) {
    static outcome o;
    char path[1024], line[1024];
    snprintf(path, sizeof path, "%s", checkpoint_of(out));
    write_whole(path, bytes, size);
    forget_rows(out);
    command c = tiny(out, "1", NULL);
    run_program(&o, c.argv);
    if (o.status != 1) fail_msg("exit status %d, not 1, after damage (%s)", o.status, piece);
    assert_int_equal(error_lines(o.err, line, sizeof line), 1);
    if (!strstr(line, path) || !strstr(line, piece)) fail_msg("\"%s\" names not %s or \"%s\"", line, path, piece);
    size_t after;
    char *now = read_whole(path, &after);
    assert_true(after == size && memcmp(now, bytes, size) == 0);
    free(now);
    assert_int_equal(temporaries(out), 0);
}

static void damage_is_refused(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("damaged");
    succeed(out, "1", NULL, &o);
    size_t size;
    char *good = read_whole(checkpoint_of(out), &size), *bad = malloc(size);
    assert_non_null(bad);
    const size_t cuts[] = {0, 7, 100, size / 2, size - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) assert_refused_checkpoint(out, good, cuts[i], "");

    /* one byte bent: length, names, metadata (step, configuration), data */
    const char *places[] = {"\"shape\"", "encoder.stem.weight", "\"step\":\"",
                            "rate = ",   "\"digest\":\"",       "data_offsets"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *at = memmem(good, size, places[i], strlen(places[i]));
        assert_non_null(at);
        memcpy(bad, good, size);
        bad[(size_t)(at - good) + strlen(places[i]) + (i < 2 ? -2ul : 0)] ^= 1;
        assert_refused_checkpoint(out, bad, size, "");
    }
    memcpy(bad, good, size);
    bad[2] ^= 1;
    assert_refused_checkpoint(out, bad, size, "");
    memcpy(bad, good, size);
    bad[size / 2] ^= 0x10;
    assert_refused_checkpoint(out, bad, size, "digest");

    /* a NaN among the numbers */
    memcpy(bad, good, size);
    uint64_t header;
    memcpy(&header, bad, 8);
    float nan = NAN;
    memcpy(bad + 8 + header + 4096, &nan, 4);
    assert_refused_checkpoint(out, bad, size, "digest");

    /* another seed's */
    succeed(in_dir("two"), "1", (const char *const[]){"--seeds=2", "--methods=drl", NULL}, &o);
    char listing[700], other[1024] = "";
    snprintf(listing, sizeof listing, "grep -l '\"seed\":[^0-9]*2,' '%s'/models/*/checkpoint.json", in_dir("two"));
    FILE *f = popen(listing, "r");
    assert_non_null(f);
    assert_non_null(fgets(other, sizeof other, f));
    pclose(f);
    strcpy(strrchr(other, '/'), "/checkpoint.safetensors");
    size_t other_size;
    char *other_bytes = read_whole(other, &other_size);
    assert_refused_checkpoint(out, other_bytes, other_size, "another configuration, data or seed");
    free(other_bytes);

    /* put right, it is what it was */
    write_whole(checkpoint_of(out), good, size);
    succeed(out, "1", NULL, &o);
    assert_same_result(out);
    free(good), free(bad);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(augmented_threads_change_no_bit),
        cmocka_unit_test(seeds_differ_and_starting_over_does_not),
        cmocka_unit_test(a_finished_run_is_not_repeated),
        cmocka_unit_test(killed_at_any_moment),
        cmocka_unit_test(killed_while_saving),
        cmocka_unit_test(killed_while_probing),
        cmocka_unit_test(interrupted_politely),
        cmocka_unit_test(interrupted_unheard),
        cmocka_unit_test(damage_is_refused),
    };
    return cmocka_run_group_tests(tests, make_reference, program_teardown);
}
