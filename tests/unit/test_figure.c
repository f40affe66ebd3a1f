/* Figures: the data file, the script of the R1 figure, and what happens when a script is wrong. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drl/file.h"
#include "drl/results.h"

static char dir[] = "/tmp/drl_figure_XXXXXX";
static char data[64], stem[64], path[96];

static int make_directory(void **state) {
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(data, sizeof data, "%s/it's.dat", dir);
    snprintf(stem, sizeof stem, "%s/out", dir);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.') unlink(name);
    }
    if (d) closedir(d);
    unsetenv("DRL_PLOTS_DIR");
    return rmdir(dir);
}

static void write_text(const char *name, const char *text) {
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(drl_write_file(path, text, strlen(text), NULL), DRL_OK);
}

static char *read_text(const char *name) {
    static char text[1 << 20];
    FILE *f = fopen(name, "rb");
    if (!f) fail_msg("%s is missing", name);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

/* Number of files in the directory: temporary ones must not stay. */
static int files(void) {
    DIR *d = opendir(dir);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void data_file(void **state) {
    (void)state;
    double t[] = {0, 0.1}, mean[] = {80.5, 81}, half[] = {0.25, NAN}, line[] = {70};
    drl_curve curves[] = {
        {"DRL", "MLP", DRL_CURVE_LINE, 2, t, mean, half},
        {"pixels", "MLP", DRL_CURVE_REFERENCE, 1, NULL, line, NULL},
        {"V\"DRL\"", "k-NN", DRL_CURVE_LINE, 1, t, mean, NULL},
        {"DRL", "k-NN", DRL_CURVE_LINE, 1, t, mean, NULL},
    };
    assert_int_equal(drl_curves_write(data, curves, 4, NULL), DRL_OK);
    const char *text = strchr(read_text(data), '\n') + 1;
    assert_string_equal(text, "0 80.5 0.25 1 0 1 \"MLP\" \"DRL\"\n0.1 81 0 1 0 1 \"MLP\" \"DRL\"\n\n\n"
                              "0 70 0 1 1 1 \"MLP\" \"pixels\"\n1 70 0 1 1 1 \"MLP\" \"pixels\"\n\n\n"
                              "0 80.5 0 2 0 2 \"k-NN\" \"V'DRL'\"\n\n\n"
                              "0 80.5 0 2 0 1 \"k-NN\" \"DRL\"\n");
    mean[1] = NAN;
    drl_err err;
    assert_int_equal(drl_curves_write(data, curves, 4, &err), DRL_ERR_NUMERIC);
    assert_int_equal(drl_curves_write(data, curves, 0, NULL), DRL_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "curve DRL: point 1 is not finite"));
}

/* Three probes, two methods with bands, three reference lines: the figure of R1. DRL_KEEP_FIGURE=STEM keeps it. */
static void downstream(void **state) {
    (void)state;
    static const char *const panels[] = {"MLP probe", "Linear probe", "k-NN (k = 20, cosine)"};
    static const double level[] = {81, 74, 77};
    double t[11], mean[6][11], half[6][11], refs[9];
    drl_curve curves[15];
    size_t n = 0;
    for (int p = 0; p < 3; p++)
        for (int m = 0; m < 2; m++) {
            int c = 2 * p + m;
            for (int i = 0; i < 11; i++) {
                t[i] = i / 10.0;
                mean[c][i] = level[p] + 3 * m + (4 - m) * sin(3.14159 * t[i]) + 0.4 * cos(40 * t[i] + c);
                half[c][i] = m ? 0 : 0.5 + 0.3 * cos(9 * t[i]);
            }
            curves[n++] = (drl_curve){m ? "VDRL" : "DRL", panels[p], DRL_CURVE_LINE, 11, t, mean[c], half[c]};
        }
    static const char *const names[] = {"untrained encoder", "raw pixels", "AE_plain"};
    for (int p = 0; p < 3; p++)
        for (int r = 0; r < 3; r++) {
            refs[3 * p + r] = level[p] - 5 + 6 * r;
            curves[n++] = (drl_curve){names[r], panels[p], DRL_CURVE_REFERENCE, 1, NULL, &refs[3 * p + r], NULL};
        }
    drl_err err = {0};
    if (drl_curves_write(data, curves, n, &err) != DRL_OK) fail_msg("%s", err.message);
    const char *out = getenv("DRL_KEEP_FIGURE") ? getenv("DRL_KEEP_FIGURE") : stem;
    if (drl_figure("downstream", data, "Fashion-MNIST, it's a_test scale", out, &err) != DRL_OK)
        fail_msg("%s", err.message);
    snprintf(path, sizeof path, "%s.svg", out);
    const char *svg = read_text(path);
    assert_non_null(strstr(svg, "<svg"));
    assert_non_null(strstr(svg, "</svg>"));
    static const char *const shown[] = {"VDRL", "raw pixels", "AE_plain", "a_test", "Linear probe"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (!strstr(svg, shown[i])) fail_msg("the figure does not show '%s'", shown[i]);
    snprintf(path, sizeof path, "%s.png", out);
    assert_memory_equal(read_text(path), "\x89PNG\r\n\x1a\n", 8);
    snprintf(path, sizeof path, "%s.pdf", out);
    assert_memory_equal(read_text(path), "%PDF-", 5);
    if (out == stem) assert_int_equal(files(), 4);
}

/* The smallest file there is: one panel, one curve, one seed, one time. */
static void one_point(void **state) {
    (void)state;
    double t[] = {0.5}, mean[] = {50};
    drl_curve curve = {"DRL", "MLP", DRL_CURVE_LINE, 1, t, mean, NULL};
    drl_err err = {0};
    assert_int_equal(drl_curves_write(data, &curve, 1, NULL), DRL_OK);
    if (drl_figure("downstream", data, "", stem, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_int_equal(files(), 4);
}

static void variables_arrive_whole(void **state) {
    (void)state;
    write_text("echo.gp", "set print out.'.svg'\nprint title\nset print out.'.png'\nprint data\n"
                          "set print out.'.pdf'\nprint data\nunset print\n");
    write_text("it's.dat", "1 1\n");
    setenv("DRL_PLOTS_DIR", dir, 1);
    const char *title = "it's 100 % \"quoted\" `date` $HOME @x \\n {/:Bold}";
    drl_err err = {0};
    if (drl_figure("echo", data, title, stem, &err) != DRL_OK) fail_msg("%s", err.message);
    snprintf(path, sizeof path, "%s.svg", stem);
    char *printed = read_text(path);
    printed[strcspn(printed, "\n")] = '\0';
    assert_string_equal(printed, title);
}

static void bad_scripts(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"set print out.'.svg'\nprint 1\nunset print\nplot nosuch\n", "undefined variable: nosuch"},
        {"plot 'nosuch.dat'\n", "bad.gp\" line 1: No data in plot"},
        {"set nonsense\n", "unrecognized option"},
        {"x = 1\n", "gnuplot wrote no svg"},
        {"set print out.'.svg'\nprint 1\nunset print\n", "gnuplot wrote no png"},
        {"do for [e in 'svg png'] { set print out.'.'.e; print 1 }\nunset print\n", "gnuplot wrote no pdf"},
    };
    write_text("it's.dat", "1 1\n");
    setenv("DRL_PLOTS_DIR", dir, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text("bad.gp", cases[i][0]);
        drl_err err = {0};
        drl_status st = drl_figure("bad", data, "", stem, &err);
        if (st != DRL_ERR_FORMAT || !strstr(err.message, cases[i][1]))
            fail_msg("case %zu: got status %d, message '%s'", i, st, err.message);
        assert_int_equal(files(), 2);
    }
}

/* A figure that cannot be remade leaves the one there was. */
static void old_figure_stays(void **state) {
    (void)state;
    write_text("it's.dat", "1 1\n");
    write_text("out.svg", "old");
    write_text("bad.gp", "set print out.'.svg'\nprint 1\nplot nosuch\n");
    setenv("DRL_PLOTS_DIR", dir, 1);
    assert_int_equal(drl_figure("bad", data, "", stem, NULL), DRL_ERR_FORMAT);
    snprintf(path, sizeof path, "%s.svg", stem);
    assert_string_equal(read_text(path), "old");
}

static void missing_things(void **state) {
    (void)state;
    drl_err err;
    assert_int_equal(drl_figure("downstream", data, "", stem, &err), DRL_ERR_IO);
    assert_non_null(strstr(err.message, "it's.dat: cannot read: No such file"));
    write_text("it's.dat", "1 1\n");
    assert_int_equal(drl_figure("nosuch", data, "", stem, &err), DRL_ERR_IO);
    assert_non_null(strstr(err.message, "nosuch.gp: cannot read: No such file"));
    char *saved = strdup(getenv("PATH"));
    setenv("PATH", dir, 1);
    drl_status st = drl_figure("downstream", data, "", stem, &err);
    setenv("PATH", saved, 1);
    free(saved);
    assert_int_equal(st, DRL_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "gnuplot is not installed"));
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(data_file),      IN_DIRECTORY(downstream),
        IN_DIRECTORY(one_point),      IN_DIRECTORY(variables_arrive_whole),
        IN_DIRECTORY(bad_scripts),    IN_DIRECTORY(old_figure_stays),
        IN_DIRECTORY(missing_things),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
