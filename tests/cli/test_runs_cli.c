/* The program `drl runs`: what it prints of a store made here, and what it says to what it cannot use. */
#define COMMAND "runs"
#include "drl_command.h"

#include "drl/runs.h"

static void printed(const char *piece) {
    if (!strstr(o.out, piece)) fail_msg("\"%s\" is not in:\n%s", piece, o.out);
}

static size_t lines(void) {
    size_t n = 0;
    for (const char *c = o.out; *c; c++) n += *c == '\n';
    return n;
}

static void add(const char *dir, const char *method, uint64_t seed, const char *config, const char *metric,
                double value, drl_status outcome_) {
    drl_store *s;
    drl_err err = {0};
    int64_t id = 0;
    drl_run_info info = {"evaluation", method, "cifar10", "desk", config, strstr(config, "200") ? "h200" : "h100",
                         "abc",        seed,   false};
    drl_status st = drl_store_open(&s, dir, &err);
    if (st == DRL_OK) st = drl_store_run(s, &id, &info, &err);
    if (st == DRL_OK) st = drl_store_begin(s, id, 2, &err);
    if (st == DRL_OK) st = drl_store_put(s, id, metric, 0.5, value, "a \"b\"", &err);
    if (st != DRL_OK) fail_msg("%s", err.message);
    drl_fail(&err, outcome_, "step 7: loss is nan");
    assert_int_equal(drl_store_finish(s, outcome_, &err), outcome_);
    drl_store_close(s);
}

/* Three runs: 1 and 2 differ in a setting and a row, 3 failed. */
static const char *make_store(const char *name) {
    const char *dir = in_dir(name);
    add(dir, "drl", 1, "[train]\nsteps = 100\nbatch = 8\n", "mlp", 0.25, DRL_OK);
    add(dir, "drl", 1, "[train]\nsteps = 200\nbatch = 8\n", "mlp", 0.75, DRL_OK);
    add(dir, "vdrl", 1, "[train]\nsteps = 100\nbatch = 8\n", "knn", 0.5, DRL_ERR_NUMERIC);
    return dir;
}

static void usage_is_checked(void **state) {
    (void)state;
    const char *dir = make_store("usage");
    run_program(&o, (const char *const[]){"drl", "runs", NULL});
    assert_refusal(&o, "drl", 2, "runs: the command is missing|list, show");
    REFUSED(2, "unknown command 'lst'", "lst");
    REFUSED(2, "runs show: the number of a run is missing", "show", "--out", dir);
    REFUSED(2, "'x' is no number of a run", "show", "x");
    REFUSED(2, "'-1' is no number of a run", "show", "-1");
    REFUSED(2, "'99999999999999999999' is no number of a run", "show", "99999999999999999999");
    REFUSED(2, "runs diff: want the numbers of two runs", "diff", "1", "--out", dir);
    REFUSED(2, "unknown argument '3'", "diff", "1", "2", "3");
    REFUSED(2, "given twice", "diff", "1", "1");
    REFUSED(2, "unknown argument '1'", "list", "1");
    REFUSED(2, "--yes is no flag of this command", "list", "--yes");
    REFUSED(2, "--status: want running", "list", "--status", "over");
    REFUSED(2, "unknown flag --wibble", "list", "--wibble");
    REFUSED(2, "nothing is deleted without --yes", "delete", "1", "--out", dir);
    REFUSED(2, "--csv is missing", "export", "--out", dir);
    REFUSED(2, "OTHER.sqlite is missing", "merge", "--out", dir);
    REFUSED(1, "there is no results store|results.sqlite", "list", "--out", in_dir("nowhere"));
    REFUSED(1, "there is no results store", "merge", "x.sqlite", "--out", in_dir("nowhere"));
    REFUSED(1, "x.sqlite: there is no results store", "merge", "x.sqlite", "--out", dir);
    REFUSED(1, "there is no run 9", "show", "9", "--out", dir);
    REFUSED(1, "there is no run 9", "diff", "1", "9", "--out", dir);
    REFUSED(1, "there is no run 9", "delete", "1", "9", "--yes", "--out", dir);
    assert_int_not_equal(access(in_dir("nowhere"), F_OK), 0);
    DONE("list", "--out", dir);
    assert_int_equal(lines(), 4);
    DONE("--help");
    printed("merge");
}

static void listed_and_shown(void **state) {
    (void)state;
    const char *dir = make_store("list");
    DONE("list", "--out", dir, "--method", "drl");
    assert_int_equal(lines(), 3);
    DONE("list", "--out", dir, "--status=failed");
    assert_int_equal(lines(), 2);
    printed("vdrl");
    DONE("list", "--out", dir, "--experiment", "evaluation", "--dataset", "mnist");
    assert_int_equal(lines(), 1);
    DONE("show", "3", "--out", dir);
    const char *const parts[] = {"status      failed: step 7: loss is nan",
                                 "threads     2",
                                 "sessions    1",
                                 "data        abc",
                                 "steps = 100",
                                 "\"git_revision\"",
                                 "\"git_dirty\"",
                                 "\"blas_kernels\"",
                                 "knn",
                                 "0.5",
                                 NULL};
    holds_in_order(o.out, parts);
    DONE("diff", "1", "2", "--out", dir);
    const char *const different[] = {"run 1",          "run 2", "train.steps", "100", "200",
                                     "row mlp at 0.5", "0.25",  "0.75",        NULL};
    holds_in_order(o.out, different);
    assert_int_equal(lines(), 3);
    DONE("diff", "1", "3", "--out", dir);
    const char *const rows[] = {"method", "drl", "vdrl", "row mlp at 0.5", "0.25", "(none)", "row knn",
                                "(none)", "0.5", NULL};
    holds_in_order(o.out, rows);
}

static void exported(void **state) {
    (void)state;
    const char *dir = make_store("export"), *file = in_dir("rows.csv");
    DONE("export", "--csv", "--out", dir, "--method", "vdrl");
    assert_int_equal(strncmp(o.out, "run,experiment,method,dataset,scale,seed,status,metric,t,value,detail,", 70), 0);
    printed("\n3,\"evaluation\",\"vdrl\",\"cifar10\",\"desk\",1,\"failed\",\"knn\",0.5,0.5,\"a \"\"b\"\"\",");
    DONE("export", "--csv", "--out", dir, "--method", "vdrl", "--file", file);
    size_t size;
    char *printed_before = strdup(o.out), *text = read_whole(file, &size);
    assert_string_equal(printed_before, "");
    assert_non_null(strstr(text, "\n3,\"evaluation\",\"vdrl\""));
    assert_null(strstr(text, "\n1,"));
    free(text), free(printed_before);
    REFUSED(1, "nowhere", "export", "--csv", "--out", dir, "--file", in_dir("nowhere/rows.csv"));
}

static void deleted_and_merged(void **state) {
    (void)state;
    const char *dir = make_store("ours"), *theirs = in_dir("theirs");
    char other[600];
    snprintf(other, sizeof other, "%s/results.sqlite", theirs);
    add(theirs, "simclr", 1, "c", "mlp", 0.5, DRL_OK);
    add(theirs, "vdrl", 1, "[train]\nsteps = 100\nbatch = 8\n", "knn", 0.75, DRL_OK);
    DONE("delete", "1", "2", "--yes", "--out", dir);
    printed("deleted 2 runs");
    DONE("list", "--out", dir);
    assert_int_equal(lines(), 2);
    DONE("merge", other, "--out", dir);
    printed("1 runs and 1 rows added; 1 rows were here, 1 with other values: ours stay");
    DONE("export", "--csv", "--out", dir);
    printed("\"knn\",0.5,0.5,");
    assert_null(strstr(o.out, "0.75"));
    DONE("merge", other, "--out", dir);
    printed("0 runs and 0 rows added; 2 rows were here, 1 with other values");
    write_whole(other, "rubbish, and not a store at all", 31);
    REFUSED(1, "not a results store", "merge", other, "--out", dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(usage_is_checked), cmocka_unit_test(listed_and_shown),
                                       cmocka_unit_test(exported), cmocka_unit_test(deleted_and_merged)};
    return cmocka_run_group_tests(tests, program_setup, program_teardown);
}
