/* The run store: what goes in comes out, from several programs at once; what is not a store is refused. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drl/file.h"
#include "drl/results.h"

static char dir[] = "/tmp/drl_store_XXXXXX";
static char file[64];

static int make_directory(void **state) {
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(file, sizeof file, "%s/results.sqlite", dir);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    const char *const endings[] = {"", "-wal", "-shm"}; /* a program that ends without closing leaves its log */
    for (int i = 0; i < 3; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s%s", file, endings[i]);
        unlink(path);
    }
    return rmdir(dir);
}

static drl_store *open_store(void) {
    drl_store *s = NULL;
    drl_err err = {0};
    if (drl_store_open(&s, dir, &err) != DRL_OK) fail_msg("%s", err.message);
    return s;
}

static int64_t open_run(drl_store *s, const char *method, uint64_t seed, const char *hash) {
    drl_run_info info = {"downstream", method, "fashion-mnist", "desk", "[train]\nsteps = 1\n", hash, "abc",
                         seed,         false};
    int64_t id = 0;
    drl_err err = {0};
    if (drl_store_run(s, &id, &info, &err) != DRL_OK) fail_msg("%s", err.message);
    return id;
}

static void put(drl_store *s, int64_t id, const char *name, double t, double value) {
    drl_err err = {0};
    if (drl_store_put(s, id, name, t, value, "detail", &err) != DRL_OK) fail_msg("%s", err.message);
}

static void round_trip(void **state) {
    (void)state;
    drl_store *s = open_store();
    int64_t id = open_run(s, "drl", UINT64_MAX, "h");
    put(s, id, "mlp", 0.1 + 0.2, 0.1);
    put(s, id, "mlp", NAN, 0.2);
    assert_int_equal(drl_store_put(s, id, "o'name", 0, -1e-300, "it's; \"quoted\" \u00b1", NULL), DRL_OK);
    drl_store_close(s);

    s = open_store();
    bool found = false;
    double v = 0;
    char detail[64];
    assert_int_equal(drl_store_get(s, id, "mlp", 0.1 + 0.2, &found, &v, detail, sizeof detail, NULL), DRL_OK);
    assert_true(found && v == 0.1);
    assert_string_equal(detail, "detail");
    assert_int_equal(drl_store_get(s, id, "mlp", NAN, &found, &v, NULL, 0, NULL), DRL_OK);
    assert_true(found && v == 0.2);
    assert_int_equal(drl_store_get(s, id, "o'name", 0, &found, &v, detail, sizeof detail, NULL), DRL_OK);
    assert_true(found && v == -1e-300);
    assert_string_equal(detail, "it's; \"quoted\" \u00b1");
    v = 5;
    assert_int_equal(drl_store_get(s, id, "mlp", 0.3, &found, &v, NULL, 0, NULL), DRL_OK);
    assert_true(!found && v == 5);
    assert_int_equal(drl_store_get(s, id + 1, "mlp", NAN, &found, &v, NULL, 0, NULL), DRL_OK);
    assert_false(found);
    drl_store_close(s);
}

static void replaced(void **state) {
    (void)state;
    drl_store *s = open_store();
    int64_t id = open_run(s, "drl", 1, "h");
    bool found;
    double v;
    const double times[] = {0.5, NAN};
    for (int i = 0; i < 2; i++) {
        put(s, id, "mlp", times[i], 1);
        put(s, id, "mlp", times[i], 2);
        assert_int_equal(drl_store_get(s, id, "mlp", times[i], &found, &v, NULL, 0, NULL), DRL_OK);
        assert_true(found && v == 2);
    }
    drl_store_close(s);
}

static void the_same_run(void **state) {
    (void)state;
    drl_store *s = open_store();
    int64_t id = open_run(s, "drl", 1, "h");
    put(s, id, "mlp", NAN, 1);
    assert_int_equal(open_run(s, "drl", 1, "h"), id);
    assert_true(open_run(s, "drl", 2, "h") != id);
    assert_true(open_run(s, "vdrl", 1, "h") != id);
    assert_true(open_run(s, "drl", 1, "g") != id);
    drl_store_close(s);
    s = open_store();
    assert_int_equal(open_run(s, "drl", 1, "h"), id);
    bool found = false;
    double v;
    assert_int_equal(drl_store_get(s, id, "mlp", NAN, &found, &v, NULL, 0, NULL), DRL_OK);
    assert_true(found);
    drl_store_close(s);
}

static void not_finite(void **state) {
    (void)state;
    drl_store *s = open_store();
    int64_t id = open_run(s, "drl", 1, "h");
    drl_err err;
    assert_int_equal(drl_store_put(s, id, "mlp", 0, NAN, "", &err), DRL_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "metric mlp is nan: not stored"));
    assert_int_equal(drl_store_put(s, id, "mlp", 0, -INFINITY, "", &err), DRL_ERR_NUMERIC);
    assert_int_equal(drl_store_put(s, id, "mlp", INFINITY, 0, "", &err), DRL_ERR_NUMERIC);
    bool found = true;
    double v;
    assert_int_equal(drl_store_get(s, id, "mlp", 0, &found, &v, NULL, 0, NULL), DRL_OK);
    assert_false(found);
    drl_store_close(s);
}

/* Each row as one line of text. */
static drl_status collect(void *arg, const drl_row *r, drl_err *err) {
    (void)err;
    char *text = arg;
    sprintf(text + strlen(text), "%s %s %g %llu %g %s\n", r->method, r->metric, isnan(r->t) ? -1 : r->t,
            (unsigned long long)r->seed, r->value, r->config_hash);
    return DRL_OK;
}

static drl_status refuse(void *arg, const drl_row *r, drl_err *err) {
    (void)r;
    ++*(int *)arg;
    return drl_fail(err, DRL_ERR_INTERRUPTED, "enough");
}

static void assert_rows(drl_store *s, const char *want) {
    char text[4096] = "";
    assert_int_equal(drl_store_rows(s, "downstream", "fashion-mnist", "desk", collect, text, NULL), DRL_OK);
    assert_string_equal(text, want);
}

static void rows_in_order(void **state) {
    (void)state;
    drl_store *s = open_store();
    assert_rows(s, "");
    int64_t b = open_run(s, "vdrl", 1, "h"), a2 = open_run(s, "drl", 2, "h"), a1 = open_run(s, "drl", 1, "h");
    put(s, b, "mlp", 0, 9);
    put(s, a2, "mlp", 1, 1);
    put(s, a2, "mlp", 0, 2);
    put(s, a1, "mlp", 0, 3);
    put(s, a1, "knn", NAN, 4);
    assert_rows(s, "drl knn -1 1 4 h\ndrl mlp 0 1 3 h\ndrl mlp 0 2 2 h\ndrl mlp 1 2 1 h\nvdrl mlp 0 1 9 h\n");
    int calls = 0;
    drl_err err;
    assert_int_equal(drl_store_rows(s, "downstream", "fashion-mnist", "desk", refuse, &calls, &err),
                     DRL_ERR_INTERRUPTED);
    assert_int_equal(calls, 1);
    char text[64] = "";
    assert_int_equal(drl_store_rows(s, "downstream", "fashion-mnist", "full", collect, text, NULL), DRL_OK);
    assert_string_equal(text, "");
    drl_store_close(s);
}

/* The configuration used last counts, for each method and seed apart; a run without rows hides nothing. */
static void newest_configuration(void **state) {
    (void)state;
    drl_store *s = open_store();
    int64_t old = open_run(s, "drl", 1, "old");
    put(s, old, "mlp", 0, 1);
    put(s, old, "knn", 0, 1);
    put(s, open_run(s, "drl", 2, "old"), "mlp", 0, 2);
    int64_t new = open_run(s, "drl", 1, "new");
    assert_rows(s, "drl knn 0 1 1 old\ndrl mlp 0 1 1 old\ndrl mlp 0 2 2 old\n");
    put(s, new, "mlp", 0, 3);
    assert_rows(s, "drl mlp 0 1 3 new\ndrl mlp 0 2 2 old\n");
    open_run(s, "drl", 1, "old");
    assert_rows(s, "drl knn 0 1 1 old\ndrl mlp 0 1 1 old\ndrl mlp 0 2 2 old\n");
    drl_store_close(s);
}

/* Four programs make the file, open the same and different runs and write 25 rows each, all at once. */
static void several_programs(void **state) {
    (void)state;
    enum { PROGRAMS = 4, ROWS = 25 };
    pid_t children[PROGRAMS];
    for (int p = 0; p < PROGRAMS; p++) {
        children[p] = fork();
        assert_true(children[p] >= 0);
        if (children[p] > 0) continue;
        drl_store *s;
        int64_t shared, own;
        drl_run_info info = {"downstream", "drl", "fashion-mnist", "desk", "", "h", "", 0, false};
        drl_status st = drl_store_open(&s, dir, NULL);
        if (st == DRL_OK) st = drl_store_run(s, &shared, &info, NULL);
        info.seed = (uint64_t)p + 1;
        if (st == DRL_OK) st = drl_store_run(s, &own, &info, NULL);
        for (int i = 0; i < ROWS && st == DRL_OK; i++)
            st = drl_store_put(s, i % 2 ? shared : own, "m", 100 * p + i, p, "", NULL);
        _exit(st == DRL_OK ? 0 : 1);
    }
    for (int p = 0; p < PROGRAMS; p++) {
        int status;
        assert_int_equal(waitpid(children[p], &status, 0), children[p]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    static char text[1 << 16];
    drl_store *s = open_store();
    text[0] = '\0';
    assert_int_equal(drl_store_rows(s, "downstream", "fashion-mnist", "desk", collect, text, NULL), DRL_OK);
    int lines = 0;
    for (char *c = text; *c; c++) lines += *c == '\n';
    assert_int_equal(lines, PROGRAMS * ROWS);
    drl_store_close(s);
}

/* A program that finds the file locked waits until the other has finished. */
static void waits_for_the_lock(void **state) {
    (void)state;
    drl_store_close(open_store());
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char byte;
        drl_store *s;
        int64_t id;
        drl_run_info info = {"downstream", "drl", "fashion-mnist", "desk", "", "h", "", 0, false};
        bool ok = read(gate[0], &byte, 1) == 1 && drl_store_open(&s, dir, NULL) == DRL_OK &&
                  drl_store_run(s, &id, &info, NULL) == DRL_OK && drl_store_put(s, id, "m", 0, 1, "", NULL) == DRL_OK;
        _exit(ok ? 0 : 1);
    }
    /* the child is let go when the lock is held, and the lock when the child has met it */
    sqlite3 *db;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(write(gate[1], "x", 1), 1);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    int status;
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(gate[0]), close(gate[1]);
}

static void assert_refused(const char *part, drl_status want) {
    drl_store *s = (drl_store *)dir;
    drl_err err = {0};
    drl_status st = drl_store_open(&s, dir, &err);
    if (st != want || !strstr(err.message, part)) fail_msg("got status %d, message '%s'", st, err.message);
    assert_null(s);
    assert_non_null(strstr(err.message, file));
}

static void write_file(const char *text, size_t n) {
    assert_int_equal(drl_write_file(file, text, n, NULL), DRL_OK);
}

static void change(const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void foreign_files(void **state) {
    (void)state;
    char text[4096];
    memset(text, 'x', sizeof text);
    write_file(text, sizeof text);
    assert_refused("damaged, or not a results store", DRL_ERR_FORMAT);
    unlink(file);
    change("CREATE TABLE other (a)");
    assert_refused("a SQLite file, but not a results store", DRL_ERR_FORMAT);
    unlink(file);
    drl_store_close(open_store());
    change("PRAGMA user_version = 3");
    assert_refused("results store of version 3, made by a newer program", DRL_ERR_FORMAT);
    unlink(file);
    write_file("", 0);
    drl_store_close(open_store());
}

/* Cut or overwritten anywhere, a store gives an error or rows, never a crash, and the error is one line. */
static void damaged_files(void **state) {
    (void)state;
    static char whole[1 << 16], bent[1 << 16];
    drl_store *s = open_store();
    int64_t id = open_run(s, "drl", 1, "h");
    for (int i = 0; i < 50; i++) put(s, id, "mlp", i, i);
    drl_store_close(s);
    FILE *f = fopen(file, "rb");
    size_t size = fread(whole, 1, sizeof whole, f);
    fclose(f);
    assert_true(size > 8192 && size < sizeof whole);
    int refused = 0;
    for (size_t at = 0; at < size; at += 512) {
        for (int cut = 0; cut < 2; cut++) {
            memcpy(bent, whole, size);
            memset(bent + at, 0xa5, size - at < 64 ? size - at : 64);
            write_file(bent, cut ? at : size);
            static char rows[1 << 16];
            rows[0] = '\0';
            drl_err err = {0};
            drl_status st = drl_store_open(&s, dir, &err);
            if (st == DRL_OK) st = drl_store_rows(s, "downstream", "fashion-mnist", "desk", collect, rows, &err);
            refused += st != DRL_OK;
            if (st != DRL_OK) assert_non_null(strstr(err.message, file));
            drl_store_close(s);
        }
    }
    assert_true(refused > 10);
}

static void unwritable(void **state) {
    (void)state;
    drl_store *s;
    drl_err err;
    assert_int_equal(drl_store_open(&s, "/proc/drl", &err), DRL_ERR_IO);
    assert_non_null(strstr(err.message, "/proc/drl: cannot make the directory"));
    write_file("", 0);
    char below[96];
    snprintf(below, sizeof below, "%s/below", file);
    assert_int_equal(drl_store_open(&s, below, &err), DRL_ERR_IO);
    unlink(file);
    /* a directory in the file's place cannot be opened by anybody, root included */
    assert_int_equal(mkdir(file, 0777), 0);
    assert_refused("cannot open", DRL_ERR_IO);
    assert_int_equal(rmdir(file), 0);
    if (geteuid() == 0) return; /* no directory is read-only to root */
    assert_int_equal(chmod(dir, 0555), 0);
    assert_refused("cannot open", DRL_ERR_IO);
    assert_int_equal(chmod(dir, 0777), 0);
}

/* Rows as CSV, and one description for each run that has rows. */
static void exported(void **state) {
    (void)state;
    drl_store *s = open_store();
    int64_t a = open_run(s, "drl", 1, "h"), b = open_run(s, "pixels", 2, "h");
    put(s, a, "mlp", 0.1, 0.25);
    put(s, open_run(s, "vdrl", 1, "another"), "mlp", 0.1, 0.75); /* left out */
    assert_int_equal(drl_store_put(s, b, "mlp", NAN, 0.5, "a \"b\", c", NULL), DRL_OK);
    char stem[512], path[600], text[8192], want[256];
    snprintf(stem, sizeof stem, "%s/x", dir);
    drl_err err = {0};
    if (drl_store_export(s, (const int64_t[]){a, b}, 2, stem, &err) != DRL_OK) fail_msg("%s", err.message);
    char *json = NULL;
    assert_int_equal(drl_store_describe(s, b + 100, &json, &err), DRL_ERR_NOT_FOUND);
    assert_null(json);
    drl_store_close(s);

    snprintf(want, sizeof want,
             "run,method,seed,metric,t,value,detail,config_hash\n%lld,drl,1,mlp,0.1,0.25,\"detail\",h\n"
             "%lld,pixels,2,mlp,,0.5,\"a \"\"b\"\", c\",h\n",
             (long long)a, (long long)b);
    snprintf(path, sizeof path, "%s-rows.csv", stem);
    for (int i = 0; i < 2; i++) {
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
        fclose(f);
        unlink(path);
        if (i == 0) assert_string_equal(text, want);
        snprintf(path, sizeof path, "%s-runs.json", stem);
    }
    assert_non_null(strstr(text, "steps = 1"));
    assert_non_null(strstr(text, "\"pixels\""));
    assert_non_null(strstr(text, "\"provenance\""));
}

/* A claim measured again replaces its row; the file holds all of them, in order. */
static void claims(void **state) {
    (void)state;
    drl_store *s = open_store();
    char path[512], text[2048];
    drl_err err = {0};
    drl_claim c = {.id = "R1.b",
                   .dataset = "fashion-mnist",
                   .scale = "desk",
                   .probe = "k-NN",
                   .runs = "1 2",
                   .source = "paper",
                   .statement = "b \"quoted\", and more",
                   .rule = "rule",
                   .effect = {3, 1.5, 0.5, 1.25},
                   .verdict = "reproduced",
                   .d_z = 3,
                   .p_holm = 0.125};
    for (int again = 0; again < 2; again++) {
        c.effect.mean = again ? 2.5 : 1.5;
        if (drl_store_claim(s, &c, &err) != DRL_OK) fail_msg("%s", err.message);
    }
    c = (drl_claim){.id = "R1.a",
                    .dataset = "cifar10",
                    .scale = "desk",
                    .probe = "k-NN",
                    .runs = "3",
                    .source = "own",
                    .statement = "a",
                    .rule = "rule",
                    .verdict = "inconclusive (fewer than 3 seeds)",
                    .d_z = NAN,
                    .p_holm = INFINITY};
    assert_int_equal(drl_store_claim(s, &c, NULL), DRL_OK);
    snprintf(path, sizeof path, "%s/claims.csv", dir);
    assert_int_equal(drl_store_export_claims(s, path, NULL), DRL_OK);
    drl_store_close(s);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    unlink(path);
    assert_string_equal(
        text,
        "id,dataset,scale,probe,statement,source,effect,half95,seeds,d_z,p_holm,verdict,rule,runs\n"
        "\"R1.a\",\"cifar10\",\"desk\",\"k-NN\",\"a\",\"own\",,,0,,,"
        "\"inconclusive (fewer than 3 seeds)\",\"rule\",\"3\"\n"
        "\"R1.b\",\"fashion-mnist\",\"desk\",\"k-NN\",\"b \"\"quoted\"\", and more\",\"paper\",2.5,1.25,3,3,0.125,"
        "\"reproduced\",\"rule\",\"1 2\"\n");
}

/* A store whose claims have no d_z, p_holm and source: reports make them anew. */
static void claims_of_older_stores(void **state) {
    (void)state;
    drl_store_close(open_store());
    char path[512], text[2048];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/results.sqlite", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(
            db,
            "CREATE TABLE claims (id TEXT NOT NULL, dataset TEXT NOT NULL, scale TEXT NOT NULL,"
            " probe TEXT NOT NULL, statement TEXT NOT NULL, rule TEXT NOT NULL, runs TEXT NOT NULL, effect REAL,"
            " half95 REAL, seeds INTEGER NOT NULL, verdict TEXT NOT NULL,"
            " PRIMARY KEY (id, dataset, scale, probe));"
            "INSERT INTO claims VALUES ('A', 'd', 's', 'p', 'a', 'r', '1', 0.5, 0, 1, 'v');"
            "INSERT INTO claims VALUES ('B', 'd', 's', 'p', 'b', 'r', '2', 0.5, 0, 1, 'v')",
            NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    drl_store *s = open_store();
    drl_err err = {0};
    drl_claim c = {.id = "B",
                   .dataset = "d",
                   .scale = "s",
                   .probe = "p",
                   .runs = "2 3",
                   .source = "own",
                   .statement = "b",
                   .rule = "r",
                   .effect = {2, 0.5, 0.25, 2},
                   .verdict = "w",
                   .d_z = 2,
                   .p_holm = 0.25};
    snprintf(path, sizeof path, "%s/claims.csv", dir);
    if (drl_store_claim(s, &c, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_int_equal(drl_store_export_claims(s, path, NULL), DRL_OK);
    drl_store_close(s);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    unlink(path);
    assert_null(strstr(text, "\n\"A\","));
    assert_non_null(strstr(text, "\n\"B\",\"d\",\"s\",\"p\",\"b\",\"own\",0.5,2,2,2,0.25,\"w\",\"r\",\"2 3\"\n"));
}

static void verdicts(void **state) {
    (void)state;
    static const struct {
        drl_stats effect;
        const char *scale, *verdict;
    } cases[] = {
        {{3, 2, 0.5, 1}, "desk", "reproduced"},      {{3, -2, 0.5, 1}, "full", "not reproduced"},
        {{3, 0.5, 0.5, 1}, "paper", "inconclusive"}, {{2, 9, 0.1, 1}, "desk", "inconclusive (fewer than 3 seeds)"},
        {{0, 0, 0, 0}, "desk", "not measured"},      {{9, 9, 0.1, 1}, "smoke", "none at this scale"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(drl_verdict(cases[i].effect, cases[i].scale), cases[i].verdict);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(round_trip),       IN_DIRECTORY(replaced),
        IN_DIRECTORY(the_same_run),     IN_DIRECTORY(not_finite),
        IN_DIRECTORY(rows_in_order),    IN_DIRECTORY(newest_configuration),
        IN_DIRECTORY(several_programs), IN_DIRECTORY(waits_for_the_lock),
        IN_DIRECTORY(foreign_files),    IN_DIRECTORY(damaged_files),
        IN_DIRECTORY(unwritable),       IN_DIRECTORY(exported),
        IN_DIRECTORY(claims),           IN_DIRECTORY(claims_of_older_stores),
        cmocka_unit_test(verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
