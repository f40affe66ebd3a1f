/* Tables with every character that means something somewhere; files; provenance. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drl/file.h"
#include "drl/results.h"

static char dir[] = "/tmp/drl_table_XXXXXX";

static int make_directory(void **state) {
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static const char *in(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int remove_directory(void **state) {
    (void)state;
    static const char *const names[] = {"t.md", "t.csv", "t.tex", "f"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(in(names[i]));
    rmdir(in("a/b/c"));
    rmdir(in("a/b"));
    rmdir(in("a"));
    return rmdir(dir); /* fails where a temporary file stayed */
}

static void assert_file(const char *name, const char *want) {
    char text[4096];
    FILE *f = fopen(in(name), "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(text, want);
}

static void three_formats(void **state) {
    (void)state;
    const char *head[] = {"method", "accuracy, %"}, *row1[] = {"k_nn | x", "81.2 \u00b1 0.3"},
               *row2[] = {"say \"no\"", "a\\b & 5 %"}, *row3[] = {"two\nlines", ""};
    drl_table *t;
    assert_int_equal(drl_table_new(&t, "Test #1", 2, head, NULL), DRL_OK);
    assert_int_equal(drl_table_add(t, row1, NULL), DRL_OK);
    assert_int_equal(drl_table_add(t, row2, NULL), DRL_OK);
    assert_int_equal(drl_table_add(t, row3, NULL), DRL_OK);
    assert_int_equal(drl_table_note(t, "One seed.", NULL), DRL_OK);
    drl_err err = {0};
    if (drl_table_write(t, in("t"), &err) != DRL_OK) fail_msg("%s", err.message);
    drl_table_free(t);
    assert_file("t.md", "**Test #1**\n\n| method | accuracy, % |\n| --- | --- |\n"
                        "| k\\_nn \\| x | 81.2 \u00b1 0.3 |\n| say \"no\" | a\\\\b & 5 % |\n| two<br>lines | \u2013 |\n"
                        "\nOne seed.\n");
    assert_file("t.csv", "method,\"accuracy, %\"\nk_nn | x,81.2 \u00b1 0.3\n\"say \"\"no\"\"\",a\\b & 5 %\n"
                         "\"two\nlines\",\n");
    assert_file("t.tex", "% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n\\caption{Test \\#1}\n"
                         "\\begin{tabular}{ll}\n\\toprule\nmethod & accuracy, \\% \\\\\n\\midrule\n"
                         "k\\_nn $|$ x & 81.2 $\\pm$ 0.3 \\\\\nsay ''no'' & a\\textbackslash{}b \\& 5 \\% \\\\\n"
                         "two lines & -- \\\\\n\\bottomrule\n\\end{tabular}\n\n\\footnotesize One seed.\n"
                         "\\end{table}\n");
}

/* The best and its equals stand out in Markdown and LaTeX; a value that is missing does not, whatever its mark. */
static void marked_cells(void **state) {
    (void)state;
    const char *head[] = {"code", "MLP", "k-NN"}, *row1[] = {"a*b", "80.10 \u00b1 0.3", "\u2013"},
               *row2[] = {"c", "79.9", "70.2"}, *row3[] = {"d", "60", ""};
    drl_table *t;
    assert_int_equal(drl_table_new(&t, "M", 3, head, NULL), DRL_OK);
    assert_int_equal(drl_table_add(t, row1, NULL), DRL_OK);
    assert_int_equal(drl_table_add(t, row2, NULL), DRL_OK);
    assert_int_equal(drl_table_add(t, row3, NULL), DRL_OK);
    drl_table_mark(t, 0, 0, DRL_MARK_BEST);
    drl_table_mark(t, 0, 1, DRL_MARK_BEST);
    drl_table_mark(t, 0, 2, DRL_MARK_BEST);
    drl_table_mark(t, 1, 1, DRL_MARK_TIE);
    drl_table_mark(t, 1, 2, DRL_MARK_BEST);
    drl_table_mark(t, 2, 2, DRL_MARK_TIE);
    drl_table_mark(t, 2, 1, DRL_MARK_TIE);
    drl_table_mark(t, 2, 1, DRL_MARK_NONE); /* the last one counts */
    assert_int_equal(drl_table_write(t, in("t"), NULL), DRL_OK);
    drl_table_free(t);
    assert_file("t.md",
                "**M**\n\n| code | MLP | k-NN |\n| --- | ---: | ---: |\n"
                "| **a\\*b** | **80.10 \u00b1 0.3** | \u2013 |\n| c | *79.9* | **70.2** |\n| d | 60 | \u2013 |\n");
    assert_file("t.csv", "code,MLP,k-NN\na*b,80.10 \u00b1 0.3,\nc,79.9,70.2\nd,60,\n");
    assert_file("t.tex", "% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n\\caption{M}\n"
                         "\\begin{tabular}{lrr}\n\\toprule\ncode & MLP & k-NN \\\\\n\\midrule\n"
                         "\\textbf{a*b} & \\textbf{80.10 $\\pm$ 0.3} & -- \\\\\n"
                         "c & \\underline{79.9} & \\textbf{70.2} \\\\\nd & 60 & -- \\\\\n"
                         "\\bottomrule\n\\end{tabular}\n\\end{table}\n");
}

/* Columns of numbers, with missing ones, go to the right; a single word sends a column to the left. */
static void alignment(void **state) {
    (void)state;
    const char *head[] = {"code", "MLP", "verdict"}, *row1[] = {"t = 0", "-1.5 \u00b1 0.3", "7"},
               *row2[] = {"t = 1", "\u2013", "none"};
    drl_table *t;
    assert_int_equal(drl_table_new(&t, "A", 3, head, NULL), DRL_OK);
    assert_int_equal(drl_table_add(t, row1, NULL), DRL_OK);
    assert_int_equal(drl_table_add(t, row2, NULL), DRL_OK);
    assert_int_equal(drl_table_write(t, in("t"), NULL), DRL_OK);
    drl_table_free(t);
    assert_file("t.md", "**A**\n\n| code | MLP | verdict |\n| --- | ---: | --- |\n"
                        "| t = 0 | -1.5 \u00b1 0.3 | 7 |\n| t = 1 | \u2013 | none |\n");
}

static void many_rows(void **state) {
    (void)state;
    const char *head[] = {"a"};
    drl_table *t;
    assert_int_equal(drl_table_new(&t, "", 1, head, NULL), DRL_OK);
    char want[8192] = "a\n", cell[16];
    for (int i = 0; i < 500; i++) {
        const char *cells[] = {cell};
        snprintf(cell, sizeof cell, "%d", i);
        assert_int_equal(drl_table_add(t, cells, NULL), DRL_OK);
        sprintf(want + strlen(want), "%d\n", i);
    }
    assert_int_equal(drl_table_write(t, in("t"), NULL), DRL_OK);
    drl_table_free(t);
    assert_file("t.csv", want);
}

static void whole_files(void **state) {
    (void)state;
    drl_err err;
    assert_int_equal(drl_write_file(in("f"), "one", 3, NULL), DRL_OK);
    assert_file("f", "one");
    assert_int_equal(drl_write_file(in("f"), "", 0, NULL), DRL_OK);
    assert_file("f", "");
    assert_int_equal(drl_write_file(in("no/f"), "x", 1, &err), DRL_ERR_IO);
    assert_non_null(strstr(err.message, "no/f: cannot create: No such file"));
    /* a directory in the way: the temporary file goes, too (seen by remove_directory) */
    assert_int_equal(drl_make_dirs(in("a/b/c"), NULL), DRL_OK);
    assert_int_equal(drl_write_file(in("a"), "x", 1, &err), DRL_ERR_IO);
    assert_non_null(strstr(err.message, "cannot rename into place"));
    assert_int_equal(drl_write_file("/dev/full/x", "x", 1, &err), DRL_ERR_IO);
}

static void directories(void **state) {
    (void)state;
    drl_err err;
    assert_int_equal(drl_make_dirs(in("a//b/c/"), NULL), DRL_OK);
    assert_int_equal(drl_make_dirs(in("a/b/c"), NULL), DRL_OK);
    assert_int_equal(access(in("a/b/c"), W_OK), 0);
    assert_int_equal(drl_make_dirs("/", NULL), DRL_OK);
    assert_int_equal(drl_make_dirs("", &err), DRL_ERR_IO);
    assert_int_equal(drl_write_file(in("f"), "x", 1, NULL), DRL_OK);
    assert_int_equal(drl_make_dirs(in("f"), &err), DRL_ERR_IO);
    assert_non_null(strstr(err.message, "a file of that name is in the way"));
    assert_int_equal(drl_make_dirs(in("f/g"), &err), DRL_ERR_IO);
}

static void provenance(void **state) {
    (void)state;
    static const char *const keys[] = {"version", "git_revision", "precision", "compiler", "cpu", "blas_kernels"};
    static const char *const names[] = {"openblas", "sqlite", "libarchive", "openssl", "zlib", "cjson", "gnuplot"};
    cJSON *all = cJSON_Parse(drl_provenance());
    assert_non_null(all);
    assert_null(strchr(drl_provenance(), '\n'));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(all, keys[i]));
        if (!text || !text[0]) fail_msg("%s is missing", keys[i]);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetObjectItem(all, "libraries"), names[i]));
        if (!text || !text[0]) fail_msg("%s is missing", names[i]);
    }
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(all, "precision")), "float");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(all, "version")), DRL_VERSION);
    cJSON_Delete(all);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(three_formats), IN_DIRECTORY(marked_cells), IN_DIRECTORY(alignment),      IN_DIRECTORY(many_rows),
        IN_DIRECTORY(whole_files),   IN_DIRECTORY(directories),  cmocka_unit_test(provenance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
