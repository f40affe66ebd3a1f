/* The program `drl encode`: the arrays it writes are the model's codes, read back by NumPy where that is installed. */
#define COMMAND     "encode"
#define NOT_WRITTEN "no.npz" /* by what is refused */
#include "drl_command.h"

#include "baselines.h"
#include "drl/log.h"
#include "drl/model.h"

static char drl[1024], ae[1024]; /* directories of models */

static int train(void **state) {
    if (program_setup(state) != 0) return -1;
    const char *out = in_dir("runs");
    run_program(&o,
                (const char *const[]){"downstream", "--scale=smoke", "--out", out, "--methods=drl,ae,pixels",
                                      "--seeds=1", "--set=train.steps=10", "--set=data.train_limit=48",
                                      "--set=data.test_limit=24", "--set=eval.times=0", "--set=probe.mlp=none", NULL});
    if (o.status != 0) print_error("%s\n", o.err);
    if (o.status != 0) return -1;
    find_model(drl, out, "drl");
    find_model(ae, out, "ae");
    return 0;
}

static void same_bytes(void **state) {
    (void)state;
    const char *path[2] = {in_dir("one.npz"), in_dir("two.npz")};
    char *bytes[2];
    size_t size[2];
    for (int k = 0; k < 2; k++) {
        DONE("--model", drl, "--t=0.25, 1", "--out", path[k], k ? "--threads=2" : "--threads=1");
        bytes[k] = read_whole(path[k], &size[k]);
    }
    assert_true(size[0] == size[1] && memcmp(bytes[0], bytes[1], size[0]) == 0);
    free(bytes[0]);
    free(bytes[1]);
}

/* Shapes, labels, times, and a sum over the codes that weights every place differently. */
static const char script[] = "import sys, numpy as np\n"
                             "f = np.load(sys.argv[1])\n"
                             "for s in ('train', 'test'):\n"
                             "    c, y = f[s + '_codes'], f[s + '_labels']\n"
                             "    assert c.dtype == np.float32 and y.dtype == np.int32 and c.shape[1] == len(y)\n"
                             "    w = np.arange(c.size, dtype=np.float64) % 97\n"
                             "    print(*c.shape, repr(float((c.ravel().astype(np.float64) * w).sum())), int((y * "
                             "(np.arange(len(y)) % 7)).sum()))\n"
                             "print(*f['t'])\n";

static void numpy_reads_them(void **state) {
    (void)state;
    static const char *const pythons[] = {"/usr/bin/python3", "python3"}; /* the system's own has the packages */
    const char *python = NULL;
    char command[1400], line[200];
    for (int k = 1; k >= 0; k--) {
        snprintf(command, sizeof command, "%s -c 'import numpy' >/dev/null 2>&1", pythons[k]);
        if (system(command) == 0) python = pythons[k];
    }
    if (!python) {
        print_message("skipped: python3 with numpy is not installed\n");
        skip();
    }
    const char *path = in_dir("codes.npz"), *py = in_dir("read.py");
    FILE *f = fopen(py, "w");
    assert_non_null(f);
    fputs(script, f);
    fclose(f);
    DONE("--model", drl, "--t=0.25, 1", "--out", path);

    drl_err err = {0};
    drl_threads *team;
    drl_model *m;
    drl_dataset *data;
    assert_int_equal(drl_threads_open(&team, 2, &err), DRL_OK);
    if (drl_model_load(&m, &data, drl, "", team, &err) != DRL_OK) fail_msg("%s", err.message);
    size_t d = drl_model_code_size(m);
    snprintf(command, sizeof command, "%s %s %s", python, py, path);
    f = popen(command, "r");
    assert_non_null(f);
    for (int s = 0; s < DRL_SPLITS; s++) {
        const drl_images *im = &data->split[s];
        drl_real *codes = malloc(2 * im->n * d * sizeof *codes);
        double sum = 0, got;
        long labels = 0, got_labels;
        size_t shape[3];
        for (int k = 0; k < 2; k++)
            assert_int_equal(
                drl_model_encode(m, (drl_split)s, NULL, im->n, k ? 1 : 0.25, codes + (size_t)k * im->n * d, &err),
                DRL_OK);
        for (size_t i = 0; i < 2 * im->n * d; i++) sum += (double)codes[i] * (double)(i % 97);
        for (size_t i = 0; i < im->n; i++) labels += (long)im->labels[i] * (long)(i % 7);
        assert_non_null(fgets(line, sizeof line, f));
        assert_int_equal(sscanf(line, "%zu %zu %zu %lf %ld", &shape[0], &shape[1], &shape[2], &got, &got_labels), 5);
        assert_true(shape[0] == 2 && shape[1] == im->n && shape[2] == d && got_labels == labels);
        assert_true(fabs(got - sum) <= 1e-9 * fabs(sum));
        free(codes);
    }
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "0.25 1.0\n");
    assert_int_equal(pclose(f), 0);
    drl_model_close(m);
    drl_dataset_free(data);
    drl_threads_close(team);
}

/* Codes that do not depend on t are those of one time; other images take the place of the model's. */
static void other_images(void **state) {
    (void)state;
    DONE("--model", ae, "--t=0.25, 1", "--out", in_dir("ae.npz"));
    assert_null(strstr(o.err, "t = 1"));
    DONE("--model", drl, "--dataset=synthetic:shapes-grey", "--help"); /* says what it takes */
    REFUSED(1, "images of 16 x 16 x 1", "--model", drl, "--dataset=synthetic:shapes-grey", "--out", in_dir("no.npz"));
}

static void refusals(void **state) {
    (void)state;
    REFUSED(2, "--model DIR is missing", "--out", in_dir("no.npz"));
    REFUSED(1, "/nonexistent", "--model=/nonexistent", "--out", in_dir("no.npz"));
    REFUSED(2, "--t", "--model", drl, "--t=2", "--out", in_dir("no.npz"));
    REFUSED(2, "at least one time", "--model", drl, "--t=", "--out", in_dir("no.npz"));
    REFUSED(1, "/nonexistent/codes.npz", "--model", drl, "--out=/nonexistent/codes.npz");
}

int main(void) {
    drl_baselines_add();
    drl_log_quiet(true);
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bytes), cmocka_unit_test(numpy_reads_them),
                                       cmocka_unit_test(other_images), cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, train, program_teardown);
}
