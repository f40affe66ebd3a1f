/* Claims: what claims.ini may say, which arms a claim is about, and what is measured of them. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drl/file.h"
#include "eval/eval.h"

#define SEEDS 3

static char dir[] = "/tmp/drl_claims_XXXXXX";
static const drl_eval_program program = {.name = "trial", .claims = true};
static const drl_method other = {.name = "other", .title = "Other"};
static drl_claims_file file;
static drl_settings settings;
static drl_arm arms[4];
static drl_eval_row rows[256];
static drl_evaluation e;
static drl_err err;
static const char *name_of_run = "";

static int make_directory(void **state) {
    (void)state;
    static const drl_method *const added[] = {&other};
    drl_methods_add(added, 1);
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_directory(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static drl_status read_text(const char *text) {
    char path[64];
    snprintf(path, sizeof path, "%s/claims.ini", dir);
    err = (drl_err){0};
    assert_int_equal(drl_write_file(path, text, strlen(text), NULL), DRL_OK);
    return drl_claims_read(&file, path, &program, &err);
}

#define GOOD "[a]\nstatement = s\nsource = own\nmeasure = probe\nof = drl\nminus = other\n"

static void refusals(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"", "claims.ini: no claims"},
        {"statement = s\n", "claims.ini:1: no [claim] above"},
        {GOOD "of = drl\n", ":7: of is given twice"},
        {GOOD "[b]\nsource = own\n[a]\nsource = own\n", ":10: [a] is there already"},
        {"[a]\nverdict = yes\n", ":2: unknown key verdict; a claim has: statement, source"},
        {"[a]\nsource = me\n", ":2: source: 'me': want paper or own"},
        {"[a]\nof = drel\n", ":2: of: unknown method 'drel'; the methods are: "},
        {"[a]\nof = drl diffusion.sd=vp\n", ":2: of: unknown key diffusion.sd; did you mean diffusion.sde?"},
        {"[a]\nminus = drl diffusion.sde=vx\n", ":2: minus: diffusion.sde: "},
        {"[a]\nstatement =\n", ":2: statement is empty"},
        {"[a]\nsource = own\nmeasure = probe\nof = drl\nminus = other\n", "claims.ini: [a]: no statement"},
        {"[a]\nstatement = s\nmeasure = probe\nof = drl\nminus = other\n", "[a]: no source"},
        {"[a]\nstatement = s\nsource = own\nof = drl\nminus = other\n", "[a]: no measure"},
        {"[a]\nstatement = s\nsource = own\nmeasure = probe\nminus = other\n", "[a]: nothing to measure"},
        {"[a]\nstatement = s\nsource = own\nmeasure = probe\nof = drl\n", "[a]: nothing to compare with"},
        {"[a]\nstatement = s\nsource = own\nmeasure = peak\nof = drl\nminus = other\n", "[a]: a peak is of one code"},
        {"[a]\nstatement = s\nsource = own\nmeasure = x/*\nof = drl\nminus = other\n", "[a]: '*' wants its place"},
        {"[a.*]\nstatement = s\nsource = own\nmeasure = x\nof = drl\nminus = other\n", "[a.*]: '*' wants its place"},
        {"[a]\nstatement = *\nsource = own\nmeasure = x\nof = drl\nminus = other\n", "[a]: '*' in the statement"},
        {"[a234567890123456789012345678901234567890123456789]\nsource = own\n", "the name of the claim: more than 48"},
        {"[a]\nof = drl data.size=8 data.size=8 data.size=8 data.size=8 data.size=8\n", ":2: of: more than 4 settings"},
        {"[a.*]\nstatement = s\nsource = own\nmeasure = */*\nof = drl\nminus = other\n", "more than one '*'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_not_equal(read_text(bad[i][0]), DRL_OK);
        if (!strstr(err.message, bad[i][1])) fail_msg("want '%s', got '%s'", bad[i][1], err.message);
    }
    assert_int_equal(read_text(GOOD), DRL_OK);
    assert_int_equal(file.n, 1);
    assert_int_equal(drl_claims_read(&file, "/nowhere/claims.ini", &program, &err), DRL_ERR_IO);
}

static void put(size_t arm, const char *metric, double t, uint64_t seed, double value) {
    drl_eval_row *r = &rows[e.n_rows++];
    assert_true(e.n_rows <= sizeof rows / sizeof *rows);
    *r = (drl_eval_row){.arm = arm, .seed = seed, .t = t, .value = value};
    snprintf(r->metric, sizeof r->metric, "%s", metric);
}

/* Seeds 1, 2, 3 of: DRL under VE and VP at three times, accuracies 0.5, 0.6 (0.7 under VP), 0.4 + seed / 100, the
 * middle one best on validation; `other` 0.6 without times, and metrics n/5 and n/40 of DRL under VE and of it. */
static void make_rows(void) {
    static const double accuracy[2][3] = {{0.5, 0.6, 0.4}, {0.5, 0.7, 0.4}};
    const drl_method *drl = drl_method_find("drl");
    size_t n;
    const drl_option *options = drl_eval_options(&program, &n);
    memset(&e, 0, sizeof e);
    drl_config_defaults(&settings, options, n);
    settings.eval.eval_times = (drl_list){3, {0, 0.5, 1}};
    settings.eval.eval_seeds = SEEDS;
    settings.eval.probe_mlp = DRL_MLP_NONE;
    snprintf(settings.eval.eval_name, sizeof settings.eval.eval_name, "%s", name_of_run);
    for (int vp = 0; vp < 2; vp++) {
        arms[vp] = (drl_arm){.method = drl, .settings = settings};
        snprintf(arms[vp].variant, sizeof arms->variant, "%s", vp ? "second" : "first");
        arms[vp].settings.model.diffusion_sde = vp ? DRL_SDE_VP : DRL_SDE_VE;
    }
    arms[2] = (drl_arm){.method = &other, .settings = settings};
    e = (drl_evaluation){.settings = &settings,
                         .dataset = "d",
                         .scale = "desk",
                         .out = dir,
                         .program = "trial",
                         .command = "c",
                         .claims = &file,
                         .n_arms = 3,
                         .arms = arms,
                         .rows = rows};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        double more = (double)seed / 100;
        for (size_t vp = 0; vp < 2; vp++)
            for (size_t k = 0; k < 3; k++) {
                put(vp, "linear_val_accuracy", settings.eval.eval_times.v[k], seed, k == 1);
                put(vp, "linear_accuracy", settings.eval.eval_times.v[k], seed, accuracy[vp][k] + more);
            }
        put(2, "linear_val_accuracy", NAN, seed, 0.6);
        put(2, "linear_accuracy", NAN, seed, 0.6);
        for (size_t arm = 0; arm < 3; arm += 2) {
            put(arm, "n/40", NAN, seed, arm ? 0.25 : 0.5 + more);
            put(arm, "n/5", NAN, seed, arm ? 0.5 : 0.25 - more);
        }
    }
}

/* The claims table as CSV; to be freed. */
static char *judge(const char *text) {
    char path[96], *csv;
    size_t size;
    if (read_text(text) != DRL_OK) fail_msg("%s", err.message);
    make_rows();
    assert_int_equal(drl_store_open(&e.store, dir, &err), DRL_OK);
    if (drl_eval_claims(&e, &err) != DRL_OK) fail_msg("%s", err.message);
    drl_store_close(e.store);
    snprintf(path, sizeof path, "%s/tables/trial%s%s-d-desk-claims.csv", dir, name_of_run[0] ? "-" : "", name_of_run);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_non_null(csv = calloc(1, 8192));
    size = fread(csv, 1, 8191, f);
    fclose(f);
    assert_true(size > 0);
    return csv;
}

static void holds(const char *csv, const char *piece) {
    if (!strstr(csv, piece)) fail_msg("no '%s' in:\n%s", piece, csv);
}

static void effects(void **state) {
    (void)state;
    char *csv = judge("[ve]\nstatement = s\nsource = paper\nmeasure = probe\nof = drl diffusion.sde=ve\nminus = other\n"
                      "[vp]\nstatement = s\nsource = own\nmeasure = probe\nof = drl diffusion.sde=vp\nminus = other\n"
                      "[peak]\nstatement = s\nsource = own\nmeasure = peak\nof = drl diffusion.sde=vp\n"
                      "[two]\nstatement = s\nsource = own\nmeasure = probe\nminus = drl diffusion.sde=vp\n"
                      "of = drl diffusion.sde=ve diffusion.gamma=1e-5\n");
    holds(csv, "\nve,s,paper,Linear probe,2.00 ± 2.48,3,2.00,"); /* (0.6 + seed / 100) - 0.6 in points: 1, 2, 3 */
    holds(csv, "\nvp,s,own,Linear probe,12.00 ± 2.48,3,12.00,");
    holds(csv, "\npeak,s,own,Linear probe,20.00 ± 0.00,3,"); /* 0.7 - 0.5, where 0.7 - 0.4 is the larger drop */
    holds(csv, "\ntwo,s,own,Linear probe,-10.00 ± 0.00,3,");
    free(csv);
}

/* Without settings a claim is about the arm without a variant: DRL has none. What is not in the evaluation is left out.
 */
static void left_out(void **state) {
    (void)state;
    char *csv = judge("[none]\nstatement = s\nsource = own\nmeasure = probe\nof = drl\nminus = other\n"
                      "[subvp]\nstatement = s\nsource = own\nmeasure = peak\nof = drl diffusion.sde=subvp\n"
                      "[vdrl]\nstatement = s\nsource = own\nmeasure = peak\nof = vdrl\n"
                      "[flat]\nstatement = s\nsource = own\nmeasure = peak\nof = other\n"
                      "[rows]\nstatement = s\nsource = own\nmeasure = m\nof = other\nminus = other\n"
                      "[self]\nstatement = s\nsource = own\nmeasure = probe\nof = other\nminus = other\n");
    assert_null(strstr(csv, "\nnone,"));
    assert_null(strstr(csv, "\nsubvp,"));
    assert_null(strstr(csv, "\nvdrl,"));
    assert_null(strstr(csv, "\nflat,"));
    assert_null(strstr(csv, "\nrows,"));
    holds(csv, "\nself,s,own,Linear probe,0.00 ± 0.00,3,");
    free(csv);
}

/* One claim for each number there are rows of, 5 before 40. */
static void any_number(void **state) {
    (void)state;
    char *csv = judge("[n.*.more]\nstatement = with * of them\nsource = own\nmeasure = n/*\n"
                      "of = drl diffusion.sde=ve\nminus = other\n"
                      "[forty]\nstatement = s\nsource = own\nmeasure = n/40\nof = other\n"
                      "minus = drl diffusion.sde=ve\n");
    holds(csv, "\nn.5.more,with 5 of them,own,n/5,-27.00 ± 2.48,3,");
    holds(csv, "\nn.40.more,with 40 of them,own,n/40,27.00 ± 2.48,3,");
    holds(csv, "\nforty,s,own,n/40,-27.00 ± 2.48,3,");
    assert_true(strstr(csv, "n.5.more") < strstr(csv, "n.40.more"));
    free(csv);
}

/* The file of all programs has source and rule beside them. */
static void all_programs(void **state) {
    (void)state;
    free(judge(GOOD "[b]\nstatement = it is, \"so\"\nsource = paper\nmeasure = peak\nof = drl diffusion.sde=vp\n"));
    char path[96], text[8192] = "";
    snprintf(path, sizeof path, "%s/claims.csv", dir);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    holds(text, "\n\"b\",\"d\",\"desk\",\"Linear probe\",\"it is, \"\"so\"\"\",\"paper\",2");
    holds(text, ",\"reproduced\",\"reproduced where the 95 % interval");
}

/* A run with a name of its own does not replace the claims of the program's. Nothing to judge: no table. */
static void named(void **state) {
    (void)state;
    char path[96];
    name_of_run = "levels";
    char *csv = judge(GOOD "[b]\nstatement = s\nsource = paper\nmeasure = peak\nof = drl diffusion.sde=vp\n");
    holds(csv, "\nb@levels,s,paper,");
    free(csv);
    name_of_run = "none";
    assert_int_equal(read_text(GOOD), DRL_OK);
    make_rows();
    assert_int_equal(drl_store_open(&e.store, dir, &err), DRL_OK);
    assert_int_equal(drl_eval_claims(&e, &err), DRL_OK);
    drl_store_close(e.store);
    snprintf(path, sizeof path, "%s/tables/trial-none-d-desk-claims.csv", dir);
    assert_null(fopen(path, "rb"));
    name_of_run = "";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),   cmocka_unit_test(effects),      cmocka_unit_test(left_out),
        cmocka_unit_test(any_number), cmocka_unit_test(all_programs), cmocka_unit_test(named),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
