/* The program `detail_control`: table, claims, figure; what is there is not sampled again; all of it once more from
 * what was exported; names of tables; what it cannot do is told. */
#include "program.h"

#include "baselines.h"

/* The flags end at the first NULL. */
static void run_flags(outcome *o, const char *out, const char *flag, const char *second, const char *third) {
    run_program(o, (const char *[PROGRAM_ARGS]){"detail_control", "--scale=smoke", "--sampling=3",
                                                "--set=data.train_limit=200", "--set=data.test_limit=60",
                                                "--set=train.steps=4", "--set=train.batch=8",
                                                "--set=model.score_channels=4", "--out", out, flag, second, third});
}

static void run_tiny(outcome *o, const char *out, const char *flag) {
    run_flags(o, out, flag, NULL, NULL);
}

static void three_densities(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("all");
    run_tiny(&o, out, "--seeds=1");
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    char *table = text_of(out, "factors-smoke.md"), *claims = text_of(out, "-claims.md"), *data = text_of(out, ".dat");
    char *pixels = text_of(out, ".rgb");
    holds_in_order(table, (const char *const[]){"| DRL, uniform |", "| DRL, high noise |", "| DRL, low noise |",
                                                "100 where the code says nothing", NULL});
    assert_null(strstr(table, "–"));
    holds_in_order(claims, (const char *const[]){"| R3.drl.separate.uniform |", "| R3.drl.separate.low |",
                                                 "| R3.drl.fine |", "| R3.drl.coarse |", NULL});
    holds_in_order(data, (const char *const[]){" 128 \"DRL, uniform: k-NN ", " 128 \"DRL, high noise: k-NN ",
                                               " 128 \"DRL, low noise: k-NN ", "\n0 \"disc\"", "\n5 \"ring\"", NULL});
    walk_tree(out, ".rgb");
    struct stat info;
    assert_int_equal(stat(walk.found, &info), 0);
    assert_int_equal(info.st_size, 3 * 128 * 128 * 3);
    free(table);
    free(claims);
    free(data);
    free(pixels);
    free(text_of(out, ".svg"));
    free(text_of(out, ".png"));
    assert_int_equal(temporaries(out), 0);

    /* again: nothing is sampled; without one picture: that one alone; with other steps of the sampler: all */
    run_tiny(&o, out, "--seeds=1");
    assert_int_equal(o.status, 0);
    assert_null(strstr(o.err, "sampling"));
    walk_tree(in_dir("all/detail"), ".safetensors");
    assert_int_equal(unlink(walk.found), 0);
    run_tiny(&o, out, "--seeds=1");
    assert_int_equal(o.status, 0);
    const char *first = strstr(o.err, "sampling from its codes");
    assert_non_null(first);
    assert_null(strstr(first + 1, "sampling from its codes"));
    run_tiny(&o, out, "--sampling=4");
    assert_int_equal(o.status, 0);
    first = strstr(o.err, "uniform seed 1: sampling from its codes");
    assert_true(first && strstr(first, "low noise seed 1: sampling from its codes"));
}

/* A level of detail stands for the densities of the configuration. */
static void one_level(void **state) {
    (void)state;
    static outcome o;
    const char *out = in_dir("level");
    run_tiny(&o, out, "--detail=0.25");
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    assert_non_null(strstr(o.err, "the variant high noise is left out"));
    char *table = text_of(out, "factors-smoke.md");
    assert_non_null(strstr(table, "| DRL |"));
    assert_non_null(strstr(table, "density of t Gaussian"));
    assert_null(strstr(table, "high noise |"));
    free(table);
}

/* ---- Once more from what was exported ---------------------------------------------------------------------------- */

#define TWO  "--variants=uniform: diffusion.t_density=uniform | high noise: diffusion.t_density=high"
#define STEM "detail_control-synthetic-factors-smoke"

static const char *const exported[] = {"-rows.csv", "-runs.json", "-pictures.safetensors"};

/* Whether a file is the same below two directories. */
static void assert_same(const char *a, const char *b, const char *name) {
    char x[600], y[600];
    snprintf(x, sizeof x, "%s/%s", a, name);
    snprintf(y, sizeof y, "%s/%s", b, name);
    if (!same_files(x, y)) fail_msg("%s and %s differ", x, y);
}

static void assert_same_report(const char *a, const char *b) {
    static const char *const names[] = {"tables/" STEM ".md",         "tables/" STEM ".csv",
                                        "tables/" STEM ".tex",        "tables/" STEM "-claims.md",
                                        "tables/" STEM "-claims.csv", "tables/" STEM "-pictures.safetensors",
                                        "figures/" STEM ".dat",       "figures/" STEM ".rgb"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_same(a, b, names[i]);
}

/* Two arms of two seeds, made once. */
static const char *two_arms(void) {
    static outcome o;
    const char *out = in_dir("two");
    if (access(out, F_OK) == 0) return out;
    run_flags(&o, out, "--seeds=2", TWO, NULL);
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    return out;
}

static void from_exported(void **state) {
    (void)state;
    static outcome o;
    const char *out = two_arms(), *again = in_dir("again"), *third = in_dir("third");
    char from[600];
    snprintf(from, sizeof from, "--from=%s/tables/" STEM, out);
    run_flags(&o, again, "--seeds=2", TWO, from);
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    assert_null(strstr(o.err, "sampling"));
    assert_same_report(out, again);
    assert_int_equal(temporaries(again), 0);
    /* runs are numbered seed by seed at first, arm by arm then; seed 1 is drawn */
    assert_true(same_files(in_dir("two/detail/run-1.safetensors"), in_dir("again/detail/run-1.safetensors")));
    assert_true(same_files(in_dir("two/detail/run-2.safetensors"), in_dir("again/detail/run-3.safetensors")));
    assert_int_not_equal(access(in_dir("again/detail/run-2.safetensors"), F_OK), 0);

    /* a report of the store finds them there; a second time nothing changes, though a picture is another's by then */
    assert_int_equal(rename(in_dir("again/figures"), in_dir("again/old")), 0);
    run_flags(&o, again, "--seeds=2", TWO, "--report");
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    assert_same_report(out, again);
    assert_int_equal(rename(in_dir("again/detail/run-3.safetensors"), in_dir("again/detail/run-1.safetensors")), 0);
    run_flags(&o, again, "--seeds=2", TWO, from);
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    assert_same_report(out, again);

    /* one of the arms, under another name; it reads and writes the same files where it is told to */
    run_flags(&o, third, "--seeds=2", "--variants=noise: diffusion.t_density=high", from);
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    size_t n, m;
    char *all = read_whole(in_dir("two/figures/" STEM ".rgb"), &n);
    char *one = read_whole(in_dir("third/figures/" STEM ".rgb"), &m);
    assert_int_equal(n, 2 * m);
    assert_memory_equal(all + m, one, m);
    assert_memory_not_equal(all, one, m);
    free(all), free(one);
    one = text_of(third, ".dat");
    assert_non_null(strstr(one, "\"DRL, noise: k-NN "));
    free(one);
    snprintf(from, sizeof from, "--from=%s/tables/" STEM, again);
    run_flags(&o, again, "--seeds=2", TWO, from);
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    assert_same_report(out, again);
}

/* Where the run of an arm is missing, the others are drawn. */
static void from_some(void **state) {
    (void)state;
    static outcome o;
    const char *out = two_arms();
    char *data;
    run_flags(&o, out, "--name=more", "--report",
              "--variants=low: diffusion.t_density=low | high: diffusion.t_density=high");
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    data = text_of(out, "more-synthetic-factors-smoke.dat");
    assert_non_null(strstr(data, "DRL, high: k-NN"));
    assert_null(strstr(data, "DRL, low"));
    free(data);
    walk_tree(out, "more-synthetic-factors-smoke.rgb");
    struct stat info;
    assert_int_equal(stat(walk.found, &info), 0);
    assert_int_equal(info.st_size, 128 * 128 * 3);
}

/* Replaces the first occurrence of a text, by one as long. */
static void replace(char *bytes, size_t size, const char *from, const char *to) {
    char *at = memmem(bytes, size, from, strlen(from));
    assert_int_equal(strlen(from), strlen(to));
    if (!at) fail_msg("no %s", from);
    memcpy(at, to, strlen(to));
}

/* What is exported of two arms, copied to DIR/new, with a text of one file replaced. */
static void spoil(const char *file, const char *text, const char *by) {
    remove_tree(in_dir("new"));
    assert_int_equal(mkdir(in_dir("new"), 0777), 0);
    for (size_t i = 0; i < sizeof exported / sizeof *exported; i++) {
        char from[600], to[600];
        size_t size;
        snprintf(from, sizeof from, "%s/tables/" STEM "%s", two_arms(), exported[i]);
        snprintf(to, sizeof to, "%s/x%s", in_dir("new"), exported[i]);
        char *bytes = read_whole(from, &size);
        if (file && strcmp(file, exported[i]) == 0) replace(bytes, size, text, by);
        write_whole(to, bytes, size);
        free(bytes);
    }
}

/* Taken from there, it fails at the figure: rows and tables are there, and no picture. */
static void assert_no_figure(const char *pieces) {
    static outcome o;
    char from[600];
    const char *out = in_dir("figureless");
    remove_tree(out);
    snprintf(from, sizeof from, "--from=%s/x", in_dir("new"));
    run_flags(&o, out, "--seeds=2", TWO, from);
    assert_non_null(strstr(o.out, "table: "));
    assert_null(strstr(o.out, "figure: "));
    o.out[0] = '\0';
    assert_refusal(&o, "detail_control", 1, pieces);
    assert_same(two_arms(), out, "tables/" STEM ".csv");
    assert_int_not_equal(access(in_dir("figureless/detail"), F_OK), 0);
    assert_int_not_equal(access(in_dir("figureless/tables/" STEM "-pictures.safetensors"), F_OK), 0);
}

static void pictures_refused(void **state) {
    (void)state;
    static const struct {
        const char *file, *text, *by, *pieces;
    } cases[] = {
        {"-pictures.safetensors", "[128,128,3]", "[128,384,1]", "DRL, uniform|picture 0|shapes"},
        {"-pictures.safetensors", "1.place\":{\"dtype\":\"F32\"", "1.place\":{\"dtype\":\"I32\"",
         "DRL, high noise|picture 1|shapes"},
        {"-pictures.safetensors", "\"1.grid\":{", "\"1.none\":{", "DRL, high noise|picture 1|shapes"},
        {"-pictures.safetensors", "\"1.key\":\"", "\"1.kez\":\"", "DRL, high noise|picture 1|shapes"},
        {"-pictures.safetensors", "\"1.config_hash\":\"", "\"1.config_dash\":\"", "DRL, high noise|no picture"},
        {"-pictures.safetensors", "0.method\":\"drl", "0.method\":\"dsm", "DRL, uniform|another method"},
        {"-pictures.safetensors", "1.seed\":\"1", "1.seed\":\"2", "DRL, high noise|another seed"},
        {"-rows.csv", "detail_knn_accuracy,,0.", "detail_knn_accuracy,,9.", "DRL, uniform|other rows"},
    };
    char path[600];
    size_t size;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        spoil(cases[i].file, cases[i].text, cases[i].by);
        if (strcmp(cases[i].file, "-rows.csv") != 0) {
            assert_no_figure(cases[i].pieces);
            continue;
        }
        /* the table is another too */
        static outcome o;
        snprintf(path, sizeof path, "--from=%s/x", in_dir("new"));
        run_flags(&o, in_dir("rows"), "--seeds=2", TWO, path);
        o.out[0] = '\0';
        assert_refusal(&o, "detail_control", 1, cases[i].pieces);
    }

    /* any byte of what is drawn, an end that is missing, all of it */
    spoil(NULL, NULL, NULL);
    snprintf(path, sizeof path, "%s/x-pictures.safetensors", in_dir("new"));
    char *bytes = read_whole(path, &size);
    bytes[size - 1] ^= 1;
    write_whole(path, bytes, size);
    assert_no_figure("x-pictures.safetensors: DRL, high noise|picture 1 is damaged|images");
    bytes[size - 1] ^= 1;
    bytes[size - 128 * 128 * 3 - 1] ^= 1;
    write_whole(path, bytes, size);
    assert_no_figure("x-pictures.safetensors: DRL, high noise|picture 1 is damaged|places");
    write_whole(path, bytes, size - 1);
    assert_no_figure("x-pictures.safetensors: ");
    free(bytes);
    assert_int_equal(unlink(path), 0);
    assert_no_figure("x-pictures.safetensors: no such file; the rows were read|the figure");
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

/* The same runs under a name: nothing is made again, and nothing of before is touched. */
static void named(void **state) {
    (void)state;
    static outcome o;
    const char *out = two_arms();
    char *table = text_of(out, "/tables/" STEM ".md"), from[600];
    run_flags(&o, out, "--seeds=2", TWO, "--name=Own_2");
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    assert_null(strstr(o.err, "sampling"));
    char *same = text_of(out, "/tables/" STEM ".md"), *own;
    assert_string_equal(table, same);
    free(same), free(table);
    for (size_t i = 0; i < sizeof exported / sizeof *exported; i++) {
        char a[600], b[600];
        snprintf(a, sizeof a, "%s/tables/" STEM "%s", out, exported[i]);
        snprintf(b, sizeof b, "%s/tables/detail_control-Own_2-synthetic-factors-smoke%s", out, exported[i]);
        assert_true(same_files(a, b)); /* runs, their configuration and its hash among it */
    }
    static const char *const ends[] = {".csv", "-claims.md", "-claims.csv", ".dat", ".rgb", ".svg"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char end[100];
        snprintf(end, sizeof end, "/detail_control-Own_2-synthetic-factors-smoke%s", ends[i]);
        free(text_of(out, end));
    }
    own = text_of(out, "/detail_control-Own_2-synthetic-factors-smoke.md");
    assert_non_null(strstr(own, "--name=Own_2`"));
    free(own);

    snprintf(from, sizeof from, "--from=%s/tables/detail_control-Own_2-synthetic-factors-smoke", out);
    run_flags(&o, in_dir("named"), TWO, "--set=eval.name=Own_2", from);
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    assert_same(out, in_dir("named"), "tables/detail_control-Own_2-synthetic-factors-smoke-pictures.safetensors");
}

static void what_cannot_be_done(void **state) {
    (void)state;
    static outcome o;
    static const char *const cases[][2] = {
        {"--methods=ae", "ae has no score network"},
        {"--methods=ddae", "ddae has no score network"},
        {"--methods=cdae", "cdae has no score network"},
        {"--set=model.code=time", "model.code = time"},
        {"--sampling=1", "sampling"},
        {"--detail=1.5", "detail"},
        {"--name=a-b", "eval.name|'a-b'"},
        {"--name=../a", "eval.name|'../a'"},
        {"--name=a b", "eval.name|'a b'"},
        {"--name=\xc3\xa9", "eval.name"},
        {"--name=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "eval.name|65 characters"},
        {"--variants=a: eval.name=b", "eval.name=b is the same for all"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *out = in_dir("none");
        run_tiny(&o, out, cases[i][0]);
        assert_refusal(&o, "detail_control", 2, cases[i][1]);
        assert_int_not_equal(access(out, F_OK), 0);
    }
}

int main(void) {
    drl_baselines_add();
    const struct CMUnitTest tests[] = {cmocka_unit_test(three_densities),    cmocka_unit_test(one_level),
                                       cmocka_unit_test(from_exported),      cmocka_unit_test(from_some),
                                       cmocka_unit_test(pictures_refused),   cmocka_unit_test(named),
                                       cmocka_unit_test(what_cannot_be_done)};
    return cmocka_run_group_tests(tests, program_setup, program_teardown);
}
