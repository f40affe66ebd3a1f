/* Which cells of a table stand out: by hand, with differences between seeds whose p is known. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drl/eval.h"

static const drl_method plain = {.name = "plain", .title = "Plain"}, taught = {.name = "taught", .labels = true};
static const drl_arm arms[] = {{.method = &plain}, {.method = &taught}};
static drl_settings settings;
static drl_evaluation e = {.settings = &settings, .n_arms = 2, .arms = arms};

/* Rows of the tables: what each is below the best, seed by seed. Differences 0.1, 0.05, 0.15: t = 2 sqrt(3), on 2
 * degrees of freedom p = 0.074. 1, 1.1, 1.5: t = 7.86, p = 0.0158. 10, 10.1, 9.9: p < 1e-4. */
enum { BEST, NEAR, FAR, CLEAR, CLEAR2, CLEAR3, TAUGHT, NOTHING, TWO_SEEDS, EQUAL, ROWS };
static const double below[ROWS][3] = {{0, 0, 0},        {0.1, 0.05, 0.15}, {10, 10.1, 9.9}, {1, 1.1, 1.5},
                                      {1.1, 1, 1.5},    {1.5, 1.1, 1},     {-5, -5, -5},    {NAN, NAN, NAN},
                                      {-1, NAN, -1.01}, {0.5, -1, 0.5}};
static size_t shown[ROWS];
static drl_probe_kind shown_probe;

static double value_of(const drl_evaluation *of, const void *arg, size_t row, size_t probe, size_t *arm,
                       uint64_t seed) {
    assert_ptr_equal(of, &e);
    assert_ptr_equal(arg, shown);
    *arm = shown[row] == TAUGHT;
    if (probe != shown_probe) return NAN;
    return 80 + 3 * (double)seed - below[shown[row]][seed - 1];
}

/* The Markdown of a table of some rows its marks alone: B bold, i italic, . none. */
static void assert_marks(size_t seeds, size_t n, const size_t *rows, const char *want, const char *note) {
    char dir[] = "/tmp/drl_marks_XXXXXX", path[64], text[4096], got[64] = "";
    const char *head[] = {"row", "MLP probe", "Linear probe", "k-NN"}, *cells[] = {"x", "1", "1", "1"};
    drl_table *table;
    assert_non_null(mkdtemp(dir));
    settings.eval.eval_seeds = seeds;
    assert_int_equal(drl_table_new(&table, "T", 4, head, NULL), DRL_OK);
    for (size_t i = 0; i < n; i++) {
        shown[i] = rows[i];
        assert_int_equal(drl_table_add(table, cells, NULL), DRL_OK);
    }
    assert_int_equal(drl_eval_mark(table, &e, &(drl_eval_marking){1, DRL_PROBES, n, value_of, shown}, NULL), DRL_OK);
    snprintf(path, sizeof path, "%s/t", dir);
    assert_int_equal(drl_table_write(table, path, NULL), DRL_OK);
    drl_table_free(table);
    static const char *const suffixes[] = {".csv", ".tex", ".md"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/t%s", dir, suffixes[i]);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
        fclose(f);
        unlink(path);
    }
    rmdir(dir);
    const char *line = text;
    while ((line = strstr(line, "\n| x | ")) != NULL) {
        const char *at = line + strlen("\n| x | ");
        for (drl_probe_kind probe = 0; probe < shown_probe; probe++) {
            assert_memory_equal(at, "1 | ", 4); /* nothing stands out where nothing is measured */
            at += 4;
        }
        size_t stars = strspn(at, "*");
        strcat(got, stars == 2 ? "B" : stars == 1 ? "i" : ".");
        line++;
    }
    assert_string_equal(got, want);
    if (!strstr(text, note)) fail_msg("no '%s' in %s", note, text);
}

#define MARKS(seeds, want, note, ...)                                                                                  \
    assert_marks(seeds, sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t), (const size_t[]){__VA_ARGS__}, want,   \
                 note)
#define TESTED   "is not significant at 5 % (paired t test, two-sided, p adjusted by Holm"
#define UNTESTED "No test is made with fewer than 3 seeds."

static void significance(void **state) {
    (void)state;
    for (shown_probe = 0; shown_probe < DRL_PROBES; shown_probe++) {
        MARKS(3, "Bi..", TESTED, BEST, NEAR, FAR, CLEAR);
        MARKS(3, ".iB.", TESTED, CLEAR, NEAR, BEST, FAR);
        MARKS(3, "B.", TESTED, BEST, CLEAR);
    }
    shown_probe = DRL_PROBE_LINEAR;
}

/* Two of p = 0.0158 stay significant, 2 * 0.0158 < 0.05; four, or three beside one of 0.074, do not. */
static void many_tests(void **state) {
    (void)state;
    MARKS(3, "B..", TESTED, BEST, CLEAR, CLEAR2);
    MARKS(3, "B...", TESTED, BEST, CLEAR, CLEAR2, CLEAR3);
    MARKS(3, "Biiii", TESTED, BEST, CLEAR, CLEAR2, CLEAR3, NEAR);
    MARKS(3, "Biii.i", TESTED, BEST, CLEAR, CLEAR2, CLEAR3, FAR, NEAR);
}

static void few_seeds(void **state) {
    (void)state;
    MARKS(2, "B...", UNTESTED, BEST, NEAR, FAR, CLEAR);
    MARKS(1, ".B", UNTESTED, FAR, NEAR);
}

/* What takes no part: labels, what is not measured, seeds that others lack; a row alone is not the best of anything. */
static void left_out(void **state) {
    (void)state;
    MARKS(3, ".Bi.", TESTED, TAUGHT, BEST, NEAR, NOTHING);
    MARKS(3, "B..", TESTED, BEST, TWO_SEEDS, CLEAR); /* a larger mean, over two seeds */
    MARKS(3, ".", TESTED, BEST);
    MARKS(3, "..", TESTED, TAUGHT, BEST);
    MARKS(3, "..", TESTED, NOTHING, NOTHING);
}

/* Equal means are all the best, whether their values are equal or not. */
static void equal_means(void **state) {
    (void)state;
    MARKS(3, "BB.B", TESTED, BEST, EQUAL, FAR, BEST);
    MARKS(1, ".BB", UNTESTED, FAR, BEST, BEST);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(significance), cmocka_unit_test(many_tests),
                                       cmocka_unit_test(few_seeds), cmocka_unit_test(left_out),
                                       cmocka_unit_test(equal_means)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
