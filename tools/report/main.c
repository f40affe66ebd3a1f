/* drl report: the command line, and which directories are read. */
#define _XOPEN_SOURCE 700
#include "report.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "drl/cli.h"
#include "drl/flags.h"
#include "drl/log.h"

typedef struct report_args {
    char in[1024], figures[1024], out[1024];
    bool quiet;
} report_args;

#define FLAG(argument, name, field, kind, default_, limits, help)                                                      \
    DRL_FLAG(report_args, argument, name, field, kind, default_, help, limits)
static const drl_flag flags[] = {
    FLAG("DIR", "out", out, STRING, "results", DRL_ANY, "where report.md and report.html are written"),
    FLAG("DIR", "in", in, STRING, "", DRL_ANY, "tables; default OUT/tables where there is one, else results"),
    FLAG("DIR", "figures", figures, STRING, "", DRL_ANY, "figures; default IN/../figures, else IN/../plots"),
    FLAG(NULL, "quiet", quiet, BOOL, "no", DRL_ANY, "no messages but errors"),
};
#define FLAGS (sizeof flags / sizeof *flags)

static const char text[] =
    "usage: drl report [flags]\n\n"
    "Writes what experiments found as one report: report.md, and report.html, one file with its figures, style and\n"
    "script inside. Reads files only: nothing is trained, no run store is opened.\n\n"
    "    build/bin/drl report --out build/runs    of a run directory: OUT/tables, OUT/figures, OUT/claims.csv\n"
    "    build/bin/drl report                     of the committed results: results/, plots/\n\n"
    "Of every experiment, dataset and scale: STEM.csv and STEM.md (STEM = EXPERIMENT-DATASET-SCALE), further tables\n"
    "STEM-PART.csv, STEM-rows.csv, STEM-runs.json and the figure STEM.svg. An --in that has a directory tables means\n"
    "that one. claims.csv and deviations.md are looked for in IN and in IN/.., deviations.md in the source tree too.\n"
    "The same files give the same report, byte for byte.\n\nFlags (also as --flag=value):\n";

static drl_status parse(report_args *a, int argc, char **argv, drl_err *err) {
    drl_flags_default(a, flags, FLAGS);
    for (int i = 1; i < argc; i++) {
        drl_flag_word w;
        if (!drl_flag_split(&w, argv[i])) return drl_fail(err, DRL_ERR_CONFIG, "unknown argument '%.80s'", argv[i]);
        drl_status st = drl_flag_parse(a, flags, FLAGS, &w, &i, argc, argv, err);
        if (st != DRL_OK) return st;
    }
    return a->out[0] ? DRL_OK : drl_fail(err, DRL_ERR_CONFIG, "--out: want a directory");
}

/* ---- Directories ------------------------------------------------------------------------------------------------- */

/* DIR/NAME where it is a directory, else NULL; ERR_MEMORY apart. */
static drl_status below(report *r, const char **path, const char *dir, const char *name, drl_err *err) {
    char *text_of = report_print(&r->pool, err, "%s/%s", dir, name);
    if (!text_of) return DRL_ERR_MEMORY;
    *path = report_is_dir(text_of) ? text_of : NULL;
    return DRL_OK;
}

static drl_status choose_directories(report *r, const report_args *a, drl_err *err) {
    r->out = a->out;
    drl_status st = below(r, &r->in, a->in[0] ? a->in : a->out, "tables", err);
    if (st == DRL_OK && !r->in) r->in = a->in[0] ? a->in : "results";
    if (st == DRL_OK && !report_is_dir(r->in))
        st = drl_fail(err, DRL_ERR_NOT_FOUND, "directory of tables %s: no such directory", r->in);
    r->figures = a->figures[0] ? a->figures : NULL;
    if (r->figures && st == DRL_OK && !report_is_dir(r->figures))
        st = drl_fail(err, DRL_ERR_NOT_FOUND, "directory of figures %s: no such directory", r->figures);
    if (st == DRL_OK && !r->figures) st = below(r, &r->figures, r->in, "../figures", err);
    if (st == DRL_OK && !r->figures) st = below(r, &r->figures, r->in, "../plots", err);
    if (st == DRL_OK && !r->figures) r->figures = r->in;
    return st;
}

/* *link = the directory `to` as seen from `from`; both exist. */
static drl_status relative(report *r, const char **link, const char *from, const char *to, drl_err *err) {
    char *a = realpath(from, NULL), *b = realpath(to, NULL), *path = NULL;
    if (!a || !b) {
        drl_fail(err, DRL_ERR_IO, "%s: %s", a ? to : from, strerror(errno));
    } else {
        /* what both begin with, in whole parts */
        size_t same = 0, up = 0;
        for (size_t i = 0; (a[i] == b[i] || !a[i] || !b[i]); i++) {
            if ((!a[i] || a[i] == '/') && (!b[i] || b[i] == '/')) same = i;
            if (!a[i] || !b[i]) break;
        }
        for (const char *at = a + same; *at; at++) up += *at == '/' && at[1];
        const char *rest = b[same] == '/' ? b + same + 1 : b + same;
        if ((path = report_take(&r->pool, 3 * up + strlen(rest) + 3, err))) {
            for (size_t i = 0; i < up; i++) strcat(path, "../");
            strcat(path, *rest ? rest : up ? "" : ".");
            size_t n = strlen(path);
            if (n > 1 && path[n - 1] == '/') path[n - 1] = '\0';
        }
    }
    free(a);
    free(b);
    *link = path;
    return path ? DRL_OK : err->status;
}

static drl_status run(report *r, const report_args *a, drl_err *err) {
    drl_status st = choose_directories(r, a, err);
    if (st == DRL_OK) st = report_collect(r, err);
    if (st == DRL_OK) st = drl_make_dirs(r->out, err);
    if (st == DRL_OK) st = relative(r, &r->in_link, r->out, r->in, err);
    if (st == DRL_OK) st = relative(r, &r->figures_link, r->out, r->figures, err);
    if (st == DRL_OK) st = report_write_html(r, err);
    if (st == DRL_OK) st = report_write_markdown(r, err);
    if (st == DRL_OK) drl_log("%zu results of %s: %s/report.md, %s/report.html", r->n, r->in, r->out, r->out);
    return st;
}

int report_main(int argc, char **argv) {
    static report_args args;
    const drl_cli cli = {.program = "drl"};
    drl_err err = {0};
    report r = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") != 0) continue;
        fputs(text, stdout);
        drl_flags_help(stdout, flags, FLAGS);
        return fflush(stdout) != 0 || ferror(stdout);
    }
    drl_status st = parse(&args, argc, argv, &err);
    if (st == DRL_OK) {
        drl_log_quiet(args.quiet);
        st = run(&r, &args, &err);
    }
    report_pool_free(&r.pool);
    if (st == DRL_OK) return 0;
    drl_err_context(&err, st, "report");
    return drl_cli_report(&cli, &err);
}
