/* drl runs COMMAND ...: the command line of the run store's commands, and those that change it. */
#include "drl_runs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/cli.h"
#include "drl/file.h"
#include "drl/flags.h"
#include "drl/mem.h"

#define FLAG(argument, name, field, kind, default_, limits, help)                                                      \
    DRL_FLAG(runs_args, argument, name, field, kind, default_, help, limits)

static const drl_flag flags[] = {
    FLAG("DIR", "out", out, STRING, "runs", DRL_ANY, "the directory of results.sqlite, as the experiments' --out"),
    FLAG("NAME", "experiment", experiment, STRING, "", DRL_ANY, "only runs of this experiment"),
    FLAG("NAME", "method", method, STRING, "", DRL_ANY, "only runs of this method"),
    FLAG("NAME", "dataset", dataset, STRING, "", DRL_ANY, "only runs on this dataset"),
    FLAG("NAME", "status", status, STRING, "", DRL_ANY,
         "only runs that are running, done, interrupted, failed or unknown"),
    FLAG(NULL, "yes", yes, BOOL, "no", DRL_ANY, "really delete"),
    FLAG(NULL, "csv", csv, BOOL, "no", DRL_ANY, "write CSV"),
    FLAG("FILE", "file", file, STRING, "", DRL_ANY, "the file to write; without it standard output"),
};
#define FLAGS (sizeof flags / sizeof *flags)

#define FILTER "out|experiment|method|dataset|status"
#define MANY   RUNS_IDS
static const struct {
    const char *name;
    runs_command *run;
    size_t least, most; /* ids */
    const char *other, *flags, *help;
} commands[] = {
    {"list", runs_list, 0, 0, NULL, FILTER, "a line for each run"},
    {"show", runs_show, 1, 1, NULL, "out", "all about one run: ID"},
    {"diff", runs_diff, 2, 2, NULL, "out", "settings and rows in which two runs differ: ID ID"},
    {"delete", runs_delete, 1, MANY, NULL, "out|yes", "delete runs, and claims that rest on them: ID... --yes"},
    {"export", runs_export, 0, 0, NULL, FILTER "|csv|file", "every row with its run: --csv [--file FILE]"},
    {"merge", runs_merge, 0, 0, "OTHER.sqlite", "out", "add the runs of another machine's store: OTHER.sqlite"},
};
#define NAMES    "list, show, diff, delete, export or merge"
#define COMMANDS (sizeof commands / sizeof *commands)

static int print_help(void) {
    printf("usage: drl runs COMMAND ... [flags]\n\nCommands:\n");
    for (size_t c = 0; c < COMMANDS; c++) printf("  %-10s %s\n", commands[c].name, commands[c].help);
    printf("\nFlags (also as --flag=value):\n");
    drl_flags_help(stdout, flags, FLAGS);
    return fflush(stdout) != 0 || ferror(stdout);
}

/* ---- The command line -------------------------------------------------------------------------------------------- */

/* Is it one of "a|b|c"? */
static bool among(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *at = list; n && (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == '|') && (at[n] == '|' || !at[n])) return true;
    return false;
}

static drl_status add_id(runs_args *a, const char *word, drl_err *err) {
    char *end;
    errno = 0;
    long long id = strtoll(word, &end, 10);
    if (*word < '0' || *word > '9' || *end || errno || id < 1)
        return drl_fail(err, DRL_ERR_CONFIG, "'%.80s' is no number of a run", word);
    if (a->n_ids == RUNS_IDS) return drl_fail(err, DRL_ERR_CONFIG, "more than %d runs", RUNS_IDS);
    for (size_t i = 0; i < a->n_ids; i++)
        if (a->ids[i] == id) return drl_fail(err, DRL_ERR_CONFIG, "run %lld is given twice", id);
    a->ids[a->n_ids++] = id;
    return DRL_OK;
}

static drl_status check(const runs_args *a, size_t c, drl_err *err) {
    if (a->n_ids < commands[c].least)
        return drl_fail(err, DRL_ERR_CONFIG, "%s",
                        commands[c].most == 2 ? "want the numbers of two runs" : "the number of a run is missing");
    if (commands[c].other && !a->other) return drl_fail(err, DRL_ERR_CONFIG, "%s is missing", commands[c].other);
    if (a->status[0] && !among("running|done|interrupted|failed|unknown", a->status))
        return drl_fail(err, DRL_ERR_CONFIG, "--status: want running, done, interrupted, failed or unknown, got '%s'",
                        a->status);
    if (commands[c].run == runs_export && !a->csv) return drl_fail(err, DRL_ERR_CONFIG, "--csv is missing");
    if (commands[c].run == runs_delete && !a->yes)
        return drl_fail(err, DRL_ERR_CONFIG, "nothing is deleted without --yes");
    return DRL_OK;
}

static drl_status parse(runs_args *a, size_t c, int argc, char **argv, drl_err *err) {
    drl_flags_default(a, flags, FLAGS);
    for (int i = 2; i < argc; i++) {
        drl_flag_word w;
        drl_status st = DRL_OK;
        if (drl_flag_split(&w, argv[i])) {
            int at = i;
            st = drl_flag_parse(a, flags, FLAGS, &w, &i, argc, argv, err);
            if (st == DRL_OK && !among(commands[c].flags, w.name))
                st = drl_fail(err, DRL_ERR_CONFIG, "%.80s is no flag of this command", argv[at]);
        } else if (commands[c].other && !a->other && argv[i][0] && argv[i][0] != '-') {
            a->other = argv[i];
        } else if (a->n_ids < commands[c].most) {
            st = add_id(a, argv[i], err);
        } else {
            st = drl_fail(err, DRL_ERR_CONFIG, "unknown argument '%.80s'", argv[i]);
        }
        if (st != DRL_OK) return st;
    }
    return check(a, c, err);
}

int runs_main(int argc, char **argv) {
    static runs_args a;
    drl_cli cli = {.program = "drl"};
    drl_store *store = NULL;
    drl_err err;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) return print_help();
    size_t c = 0;
    while (c < COMMANDS && !(argc > 1 && strcmp(argv[1], commands[c].name) == 0)) c++;
    drl_status st;
    if (argc < 2) {
        st = drl_fail(&err, DRL_ERR_CONFIG, "runs: the command is missing: " NAMES);
    } else if (c == COMMANDS) {
        st = drl_fail(&err, DRL_ERR_CONFIG, "runs: unknown command '%.80s': want " NAMES, argv[1]);
    } else if ((st = parse(&a, c, argc, argv, &err)) != DRL_OK) {
        drl_err_context(&err, st, "runs %s", commands[c].name);
    } else if ((st = drl_store_open_existing(&store, a.out, &err)) == DRL_OK) {
        st = commands[c].run(store, &a, &err);
    }
    drl_store_close(store);
    if (st == DRL_OK && (fflush(stdout) != 0 || ferror(stdout)))
        st = drl_fail(&err, DRL_ERR_IO, "cannot write to standard output");
    return st == DRL_OK ? 0 : drl_cli_report(&cli, &err);
}

drl_run_filter runs_filter(const runs_args *a) {
    return (drl_run_filter){.experiment = a->experiment[0] ? a->experiment : NULL,
                            .method = a->method[0] ? a->method : NULL,
                            .dataset = a->dataset[0] ? a->dataset : NULL,
                            .status = a->status[0] ? a->status : NULL};
}

/* ---- delete, export, merge --------------------------------------------------------------------------------------- */

drl_status runs_delete(drl_store *store, const runs_args *a, drl_err *err) {
    drl_status st = drl_store_delete(store, a->ids, a->n_ids, err);
    if (st == DRL_OK) printf("deleted %zu run%s; trained models stay where they are\n", a->n_ids, &"s"[a->n_ids == 1]);
    return st;
}

drl_status runs_export(drl_store *store, const runs_args *a, drl_err *err) {
    drl_run_filter filter = runs_filter(a);
    if (!a->file[0]) return drl_store_write_csv(store, &filter, stdout, err);
    drl_new_file *file;
    drl_status st = drl_alloc(&file, 1, sizeof *file, "file", err);
    if (st != DRL_OK) return st;
    if ((st = drl_new_file_open(file, a->file, err)) == DRL_OK) {
        st = drl_store_write_csv(store, &filter, file->f, err);
        if (st == DRL_OK)
            st = drl_new_file_commit(file, err);
        else
            drl_new_file_discard(file);
    }
    drl_free(file);
    return st;
}

drl_status runs_merge(drl_store *store, const runs_args *a, drl_err *err) {
    drl_merge_counts n;
    drl_status st = drl_store_merge(store, a->other, &n, err);
    if (st == DRL_OK)
        printf("%s: %lld runs and %lld rows added; %lld rows were here, %lld with other values: ours stay\n", a->other,
               (long long)n.runs, (long long)n.rows, (long long)(n.same + n.conflicts), (long long)n.conflicts);
    return st;
}
