/* Figures: the data file of curves, and gnuplot on it (drl/results.h). */
#define _POSIX_C_SOURCE 200809L
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drl/config.h"
#include "drl/file.h"
#include "drl/results.h"
#include "drl/share.h"
#include "results/gnuplot.h"

/* ---- Curves ------------------------------------------------------------------------------------------------------ */

/* The first curve of the same panel, or of the same kind and label. */
static size_t first_like(const drl_curve *c, size_t i, bool by_panel) {
    size_t j = 0;
    while (by_panel ? strcmp(c[j].panel, c[i].panel) != 0
                    : c[j].kind != c[i].kind || strcmp(c[j].label, c[i].label) != 0)
        j++;
    return j;
}

/* 1, 2, ... in order of first appearance: of a panel, or of a label among those of its kind. So a method has one
 * colour in every panel. */
static size_t number_of(const drl_curve *c, size_t i, bool by_panel) {
    size_t first = first_like(c, i, by_panel), number = 1;
    for (size_t j = 0; j < first; j++)
        if ((by_panel || c[j].kind == c[i].kind) && first_like(c, j, by_panel) == j) number++;
    return number;
}

void drl_put_column(FILE *f, const char *text) {
    fputc('"', f);
    for (; *text; text++) fputc(*text == '"' ? '\'' : iscntrl((unsigned char)*text) ? ' ' : *text, f);
    fputc('"', f);
}

static void put_point(FILE *f, const drl_curve *curves, size_t i, double t, size_t k) {
    char x[32], y[32], half[32];
    const drl_curve *c = &curves[i];
    double h = c->half95 && isfinite(c->half95[k]) ? c->half95[k] : 0;
    fprintf(f, "%s %s %s %zu %d %zu ", drl_format_number(x, t), drl_format_number(y, c->mean[k]),
            drl_format_number(half, h), number_of(curves, i, true), c->kind, number_of(curves, i, false));
    drl_put_column(f, c->panel);
    fputc(' ', f);
    drl_put_column(f, c->label);
    fputc('\n', f);
}

drl_status drl_curves_write(const char *path, const drl_curve *curves, size_t n, drl_err *err) {
    if (n == 0) return drl_fail(err, DRL_ERR_NOT_FOUND, "%s: no curve: nothing of it is measured yet", path);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < curves[i].n; k++)
            if (!isfinite(curves[i].mean[k]) || (curves[i].kind == DRL_CURVE_LINE && !isfinite(curves[i].t[k])))
                return drl_fail(err, DRL_ERR_NUMERIC, "%s: curve %s: point %zu is not finite", path, curves[i].label,
                                k);
    drl_new_file file;
    drl_status st = drl_new_file_open(&file, path, err);
    if (st != DRL_OK) return st;
    FILE *f = file.f;
    /* one block per curve, two blank lines between blocks; a reference line is a block from t = 0 to t = 1 */
    fputs("# t mean half95 panel kind number \"panel\" \"label\"   (kind 0 curve, 1 reference line)\n", f);
    for (size_t i = 0; i < n; i++) {
        assert(curves[i].n > 0);
        if (i > 0) fputs("\n\n", f);
        if (curves[i].kind == DRL_CURVE_REFERENCE)
            for (int t = 0; t <= 1; t++) put_point(f, curves, i, t, 0);
        else
            for (size_t k = 0; k < curves[i].n; k++) put_point(f, curves, i, curves[i].t[k], k);
    }
    return drl_new_file_commit(&file, err);
}

/* ---- gnuplot ----------------------------------------------------------------------------------------------------- */

/* name='value'; with quotes doubled, as gnuplot's single-quoted strings want it: nothing else is special in them. */
static void put_variable(FILE *f, const char *name, const char *value) {
    fprintf(f, "%s='", name);
    for (; *value; value++) {
        if (*value == '\'') fputc('\'', f);
        fputc(iscntrl((unsigned char)*value) ? ' ' : *value, f);
    }
    fputs("'; ", f);
}

static char *set_variables(const char *plots, const char *data, const char *title, const char *out) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    put_variable(f, "plots", plots);
    put_variable(f, "data", data);
    put_variable(f, "title", title);
    put_variable(f, "out", out);
    if (fclose(f) == 0) return text;
    free(text);
    return NULL;
}

/* The line of gnuplot's output that says what went wrong: the first that names a script's line and is no warning
 * ("x.gp" line 3: undefined variable: y), else the first that is not blank. Cut out of `text`. */
static const char *error_line(char *text) {
    char *first = NULL;
    for (char *line = text, *next; line; line = next) {
        if ((next = strchr(line, '\n'))) *next++ = '\0';
        line += strspn(line, " \t");
        const char *at = strstr(line, " line ");
        if (at && isdigit((unsigned char)at[6]) && !strstr(line, "warning:")) return line;
        if (!first && *line) first = line;
    }
    return first ? first : "no message";
}

static bool has_bytes(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) && s.st_size > 0;
}

/* Runs the script so that it writes TEMPORARY.svg, .png and .pdf, and says what went wrong. */
static drl_status run_script(const char *script, const char *plots, const char *data, const char *title,
                             const char *temporary, drl_err *err) {
    char printed[8192];
    int status;
    char *variables = set_variables(plots, data, title, temporary);
    if (!variables) return drl_fail(err, DRL_ERR_MEMORY, "cannot allocate gnuplot's variables");
    char *argv[] = {(char[]){"gnuplot"}, (char[]){"-e"}, variables, (char *)script, NULL};
    drl_status st = drl_gnuplot_run(printed, sizeof printed, &status, argv, err);
    free(variables);
    if (st == DRL_OK && status != 0) st = drl_fail(err, DRL_ERR_FORMAT, "gnuplot: %s", error_line(printed));
    return st;
}

enum { FORMATS = 3 };

drl_status drl_figure(const char *script, const char *data_file, const char *title, const char *out_stem,
                      drl_err *err) {
    static const char *const suffixes[FORMATS] = {".svg", ".png", ".pdf"};
    const char *plots = getenv("DRL_PLOTS_DIR");
    char share[DRL_PATH_MAX];
    drl_share_path(share, "plots");
    if (!plots || !plots[0]) plots = share;
    char path[DRL_PATH_MAX], temporary[DRL_PATH_MAX], from[FORMATS][DRL_PATH_MAX + 8], to[FORMATS][DRL_PATH_MAX + 8];
    int n = snprintf(path, sizeof path, "%s/%s.gp", plots, script);
    if (n < 0 || (size_t)n >= sizeof path || !drl_temporary_name(temporary, sizeof temporary, out_stem))
        return drl_fail(err, DRL_ERR_IO, "%.200s...: name too long", out_stem);
    for (int i = 0; i < FORMATS; i++) {
        snprintf(from[i], sizeof from[i], "%s%s", temporary, suffixes[i]);
        snprintf(to[i], sizeof to[i], "%s%s", out_stem, suffixes[i]);
    }
    /* gnuplot only warns about files it cannot read */
    if (access(path, R_OK) != 0) return drl_fail(err, DRL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    if (access(data_file, R_OK) != 0)
        return drl_fail(err, DRL_ERR_IO, "%s: cannot read: %s", data_file, strerror(errno));

    drl_status st = run_script(path, plots, data_file, title, temporary, err);
    for (int i = 0; i < FORMATS && st == DRL_OK; i++)
        if (!has_bytes(from[i])) st = drl_fail(err, DRL_ERR_FORMAT, "gnuplot wrote no %s", suffixes[i] + 1);
    for (int i = 0; i < FORMATS && st == DRL_OK; i++)
        if (rename(from[i], to[i]) != 0)
            st = drl_fail(err, DRL_ERR_IO, "%s: cannot rename into place: %s", to[i], strerror(errno));
    if (st == DRL_OK) return st;
    for (int i = 0; i < FORMATS; i++) unlink(from[i]);
    return drl_err_context(err, st, "figure %s (%s)", out_stem, script);
}
