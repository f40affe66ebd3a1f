/* Two programs that share --out and need the same at once: one makes it, the other waits for it and gets the same.
 *
 * The first is stopped (SIGSTOP) while it trains, so that the second surely comes to what is being made, however fast
 * the machine is. */
#include "program.h"

#include "drl/runs.h"

#define STEPS 40

static outcome first, second;

/* A small experiment; extra arguments come last, so that they win. */
typedef struct command {
    const char *argv[PROGRAM_ARGS + 1];
} command;

static command small(const char *program, const char *out, const char *const *extra) {
    static const char *const fixed[] = {"--scale=smoke",
                                        "--methods=drl",
                                        "--set=train.steps=40",
                                        "--set=train.batch=8",
                                        "--set=train.shard=4",
                                        "--set=train.warmup=4",
                                        "--set=data.train_limit=64",
                                        "--set=data.test_limit=48",
                                        "--set=eval.times=0, 0.5",
                                        "--set=eval.variants=",
                                        "--set=eval.seeds=1",
                                        "--set=probe.mlp=none",
                                        "--set=model.encoder_width=0.25",
                                        "--set=model.score_channels=4",
                                        "--set=run.checkpoint_seconds=1e6",
                                        "--threads=1"};
    command c = {{program}};
    int n = 1;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) c.argv[n++] = fixed[i];
    c.argv[n++] = "--out";
    c.argv[n++] = out;
    for (; extra && *extra; extra++) c.argv[n++] = *extra;
    return c;
}
#define EXTRA(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- Moments ----------------------------------------------------------------------------------------------------- */

static bool has_ended(pid_t child) {
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
}

static void pause_a_little(void) {
    nanosleep(&(struct timespec){0, 200000}, NULL);
}

/* Whether a file that ends so, and is not empty, is below `out`: a lock is held once its holder's name is in it. */
static bool is_there(const char *out, const char *ending) {
    struct stat info;
    walk_tree(out, ending);
    return walk.found[0] && stat(walk.found, &info) == 0 && info.st_size > 0;
}

/* The first program, stopped as soon as such a file is there. */
static pid_t start_and_stop(const command *c, const char *out, const char *ending) {
    pid_t child = start_named("first", c->argv, NULL);
    for (double end = clock_now() + 60;; pause_a_little()) {
        if (is_there(out, ending)) break;
        if (has_ended(child) || clock_now() > end) fail_msg("there never was a %s", ending);
    }
    assert_int_equal(kill(child, SIGSTOP), 0);
    int status;
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    if (!WIFSTOPPED(status)) fail_msg("the first program was over before it could be stopped");
    return child;
}

/* The second program, which has said that it waits for the first. Where it does not, the first is ended, too. */
static pid_t start_and_wait(const command *c, pid_t other, const char *what) {
    char path[300], line[256];
    size_t size;
    snprintf(line, sizeof line, "%s is being %s by another program (process %ld); waiting\n",
             strcmp(what, "trained") == 0 ? "" : "run 1", what, (long)other);
    pid_t child = start_named("second", c->argv, NULL);
    printed_path(path, "second", "stderr");
    for (double end = clock_now() + 60;; pause_a_little()) {
        char *text = access(path, R_OK) == 0 ? read_whole(path, &size) : NULL;
        bool waits = text && strstr(text, line);
        free(text);
        if (waits) return child;
        if (!has_ended(child) && clock_now() < end) continue;
        kill(other, SIGKILL), kill(child, SIGKILL);
        finish_named(&first, "first", other), finish_named(&second, "second", child);
        fail_msg("the second did not wait: status %d: %s", second.status, second.err);
    }
}

static void finish_both(pid_t a, pid_t b) {
    finish_named(&first, "first", a);
    finish_named(&second, "second", b);
    if (second.status != 0) fail_msg("exit status %d: %s", second.status, second.err);
}

/* ---- What is there afterwards ------------------------------------------------------------------------------------ */

static size_t count(const char *text, const char *piece) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, piece)) != NULL; at++) n++;
    return n;
}

/* A line "LABEL: 40 of 40 steps, loss ..." is said by who made the last steps. */
static size_t trainings(const outcome *o) {
    return count(o->err, " steps, loss ");
}

static drl_status count_run(void *arg, const drl_run_state *r, drl_err *err) {
    (void)err;
    assert_string_equal(r->status, "done");
    return ++*(int *)arg, DRL_OK;
}

/* The rows of a run of the store, of which there are `runs`. */
static void rows_of(row_text *t, const char *out, int64_t run, int runs, bool timings) {
    drl_store *s;
    drl_err err = {0};
    drl_run_filter all = {0};
    int n = 0;
    *t = (row_text){.timings = timings};
    if (drl_store_open_existing(&s, out, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_int_equal(drl_store_runs(s, &all, count_run, &n, NULL), DRL_OK);
    assert_int_equal(n, runs);
    assert_int_equal(drl_store_run_rows(s, run, append_row, t, NULL), DRL_OK);
    drl_store_close(s);
}

static void assert_no_locks(const char *out) {
    walk_tree(out, "lock");
    if (walk.found[0]) fail_msg("%s is left", walk.found);
}

/* One model, the bits of a program that was alone; and so are the rows of each run. */
static void assert_as_alone(const char *out, const char *alone, int runs) {
    static row_text rows, expected;
    char path[1024];
    snprintf(path, sizeof path, "%s", checkpoint_of(alone));
    assert_true(path[0]);
    assert_true(same_files(path, checkpoint_of(out)));
    snprintf(path, sizeof path, "test $(ls '%s/models' | wc -l) = 1", out);
    assert_int_equal(system(path), 0);
    for (int run = 1; run <= runs; run++) {
        rows_of(&rows, out, run, runs, false);
        rows_of(&expected, alone, run, 2, false);
        assert_true(rows.rows >= 9);
        assert_string_equal(rows.text, expected.text);
    }
    assert_no_locks(out);
    assert_int_equal(temporaries(out), 0);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

/* Two evaluations of one model, so two runs, one after the other and alone. */
static int run_alone(void **state) {
    if (program_setup(state) != 0) return -1;
    setenv("LC_ALL", "C", 1);
    const char *out = in_dir("alone");
    command a = small("downstream", out, NULL), b = small("downstream", out, EXTRA("--set=probe.neighbours=10"));
    run_program(&first, a.argv);
    run_program(&second, b.argv);
    return first.status == 0 && second.status == 0 && trainings(&first) == 1 && trainings(&second) == 0 ? 0 : -1;
}

/* Different runs of one model: trained once, and both say how long that took. */
static void a_model_is_trained_once(void **state) {
    (void)state;
    static row_text rows[2];
    char *times[2];
    const char *out = in_dir("model");
    command a = small("downstream", out, NULL), b = small("downstream", out, EXTRA("--set=probe.neighbours=10"));
    pid_t one = start_and_stop(&a, out, "/lock"), two = start_and_wait(&b, one, "trained");
    assert_int_equal(kill(one, SIGCONT), 0);
    finish_both(one, two);
    if (first.status != 0) fail_msg("exit status %d: %s", first.status, first.err);
    assert_int_equal(trainings(&first), 1);
    assert_int_equal(trainings(&second), 0);
    assert_int_equal(count(second.err, "; waiting"), 1);
    assert_non_null(strstr(second.err, "at step 40 of 40"));
    assert_as_alone(out, in_dir("alone"), 2);
    for (int k = 0; k < 2; k++) {
        rows_of(&rows[k], out, k + 1, 2, true);
        times[k] = strstr(rows[k].text, "drl train_seconds");
        assert_non_null(times[k]);
    }
    assert_string_equal(times[0], times[1]);
}

/* The same run, by two programs: its rows are made once, too. */
static void rows_are_made_once(void **state) {
    (void)state;
    const char *out = in_dir("rows");
    command a = small("downstream", out, NULL);
    command b = small("sde_ablation", out, EXTRA("--set=eval.variants=VE: diffusion.sde=ve"));
    pid_t one = start_and_stop(&a, out, "/lock"), two = start_and_wait(&b, one, "made");
    assert_int_equal(kill(one, SIGCONT), 0);
    finish_both(one, two);
    if (first.status != 0) fail_msg("exit status %d: %s", first.status, first.err);
    assert_int_equal(trainings(&first), 1);
    assert_int_equal(trainings(&second), 0);
    assert_int_equal(count(first.err, "encoded and probed"), 2);
    assert_int_equal(count(second.err, "encoded and probed"), 0);
    assert_as_alone(out, in_dir("alone"), 1);
}

/* The first is killed, or interrupted: the second goes on from its checkpoint, to the same bits. */
static void the_other_goes_on(void **state) {
    (void)state;
    static const int signals[] = {SIGKILL, SIGINT, SIGKILL};
    for (int k = 0; k < 3; k++) {
        char name[24];
        size_t at = STEPS;
        snprintf(name, sizeof name, "on%d", k);
        const char *out = in_dir(name);
        command a = small("downstream", out, EXTRA("--set=run.checkpoint_seconds=0"));
        command b = small("downstream", out, k < 2 ? EXTRA("--set=probe.neighbours=10") : NULL);
        pid_t one = start_and_stop(&a, out, "/checkpoint.json");
        pid_t two = start_and_wait(&b, one, k < 2 ? "trained" : "made");
        assert_int_equal(kill(one, signals[k]), 0);
        assert_int_equal(kill(one, SIGCONT), 0);
        finish_both(one, two);
        assert_int_equal(first.status, k == 1 ? 1 : -SIGKILL);
        assert_int_equal(trainings(&second), 1);
        const char *continued = strstr(second.err, "at step ");
        assert_true(continued && sscanf(continued, "at step %zu of 40", &at) == 1 && at > 0 && at < STEPS);
        if (k < 2) { /* the first's own command finds the model */
            run_program(&first, a.argv);
            assert_int_equal(first.status, 0);
            assert_int_equal(trainings(&first), 0);
        }
        assert_as_alone(out, in_dir("alone"), k < 2 ? 2 : 1);
    }
}

/* Ctrl-C in one that waits: one line, status 1, and nothing happens to the one it waited for. */
static void waiting_is_interrupted(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        char line[1024];
        const char *out = in_dir(k ? "cut_model" : "cut_rows");
        command a = small("downstream", out, NULL);
        command b = small("downstream", out, k ? EXTRA("--set=probe.neighbours=10") : NULL);
        pid_t one = start_and_stop(&a, out, "/lock"), two = start_and_wait(&b, one, k ? "trained" : "made");
        assert_int_equal(kill(two, k ? SIGTERM : SIGINT), 0);
        finish_named(&second, "second", two);
        assert_int_equal(second.status, 1);
        assert_int_equal(error_lines(second.err, line, sizeof line), 1);
        if (strncmp(line, "downstream: ", 12) != 0 || !strstr(line, "interrupted while waiting")) fail_msg("%s", line);
        assert_int_equal(kill(one, SIGCONT), 0);
        finish_named(&first, "first", one);
        if (first.status != 0) fail_msg("exit status %d: %s", first.status, first.err);
        if (!k) assert_as_alone(out, in_dir("alone"), 1);
        assert_no_locks(out);
    }
}

/* Looking takes no lock: a plan, a report, and a program whose model is finished, while one of another seed trains. */
static void looking_does_not_wait(void **state) {
    (void)state;
    const char *out = in_dir("look"), *const looks[] = {"--dry-run", "--report", "--set=probe.neighbours=10"};
    command one_seed = small("downstream", out, NULL), two_seeds = small("downstream", out, EXTRA("--seeds=2"));
    run_program(&first, one_seed.argv);
    assert_int_equal(first.status, 0);
    pid_t one = start_and_stop(&two_seeds, out, "/lock");
    for (int k = 0; k < 3; k++) {
        command b = small("downstream", out, EXTRA(looks[k]));
        pid_t two = start_named("second", b.argv, NULL);
        for (double end = clock_now() + 60; !has_ended(two) && clock_now() < end;) pause_a_little();
        if (!has_ended(two)) kill(two, SIGKILL);
        finish_named(&second, "second", two);
        if (second.status != 0) kill(one, SIGKILL);
        if (second.status != 0) fail_msg("%s: exit status %d: %s", looks[k], second.status, second.err);
        assert_int_equal(count(second.err, "waiting"), 0);
    }
    assert_int_equal(kill(one, SIGCONT), 0);
    finish_named(&first, "first", one);
    assert_int_equal(first.status, 0);
    assert_no_locks(out);
}

/* LaplaceNet, in runs that differ in what is not part of it. */
static void laplacenet_is_trained_once(void **state) {
    (void)state;
    static row_text rows[2];
    const char *out = in_dir("semi");
    command c[2];
    for (int k = 0; k < 2; k++)
        c[k] = small("semi_supervised", out,
                     EXTRA("--methods=untrained", "--set=semi.labels=12", "--set=semi.supervised_steps=40",
                           "--set=semi.steps=8", "--set=semi.epoch_steps=4", "--set=semi.neighbours=10",
                           k ? "--set=semi.models=0" : "--set=semi.models=1"));
    pid_t one = start_and_stop(&c[0], out, "/lock"), two = start_and_wait(&c[1], one, "trained");
    assert_int_equal(kill(one, SIGCONT), 0);
    finish_both(one, two);
    if (first.status != 0) fail_msg("exit status %d: %s", first.status, first.err);
    assert_non_null(strstr(second.err, "supervised/12 is being trained by another program"));
    assert_int_equal(trainings(&first) + trainings(&second), 2); /* from few labels, and LaplaceNet */
    assert_non_null(strstr(first.err, "40 of 40 steps, loss"));
    assert_null(strstr(second.err, "40 of 40 steps, loss"));
    for (int k = 0; k < 2; k++) rows_of(&rows[k], out, k + 1, 2, true);
    assert_true(rows[0].rows > 3);
    assert_string_equal(rows[0].text, rows[1].text);
    assert_no_locks(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_trained_once), cmocka_unit_test(rows_are_made_once),
        cmocka_unit_test(the_other_goes_on),       cmocka_unit_test(waiting_is_interrupted),
        cmocka_unit_test(looking_does_not_wait),   cmocka_unit_test(laplacenet_is_trained_once),
    };
    return cmocka_run_group_tests(tests, run_alone, program_teardown);
}
