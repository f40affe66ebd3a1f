/* drl data COMMAND [NAME] [flags]: the command line of the datasets' commands. */
#include "drl_data.h"

#include <stdio.h>
#include <string.h>

#include "drl/cli.h"
#include "drl/fetch.h"
#include "drl/flags.h"
#include "drl/log.h"

#define FLAG(argument, name, field, kind, default_, limits, help)                                                      \
    DRL_FLAG(data_args, argument, name, field, kind, default_, help, limits)

static const drl_flag flags[] = {
    FLAG("DIR", "data-dir", data_dir, STRING, "", DRL_ANY, "where files are looked for first, and fetched to"),
    FLAG("URL", "mirror", mirror, STRING, "", DRL_ANY,
         "fetch URL/<dataset>/<file>, also $DRL_MIRROR (http, https, file)"),
    FLAG("N", "size", size, SIZE, "0", DRL_RANGE(0, 1024), "side of the images; 0: 32, or the pictures' own"),
    FLAG("NAME", "split", split, ENUM, "train", DRL_CHOICES("train|test"), "train or test"),
    FLAG("N", "seed", seed, SIZE, "0", DRL_RANGE(0, 1e15), "of drawn images, of a folder's split, of what is shown"),
    FLAG("NAME", "resize", resize, ENUM, "area", DRL_CHOICES("area|bicubic"),
         "pictures of other sizes: area or bicubic"),
    FLAG(NULL, "skip-bad", skip_bad, BOOL, "no", DRL_ANY, "leave corrupt pictures out and count them"),
    FLAG("RxC", "grid", grid, STRING, "8x8", DRL_ANY, "rows and columns of the contact sheet"),
    FLAG("FILE", "out", out, STRING, "", DRL_ANY, "the file to write"),
    FLAG("N", "threads", threads, SIZE, "0", DRL_RANGE(0, 1024), "threads; 0: one per processor"),
    FLAG(NULL, "json", json, BOOL, "no", DRL_ANY, "print JSON"),
    FLAG(NULL, "quiet", quiet, BOOL, "no", DRL_ANY, "no messages but errors"),
};
#define FLAGS (sizeof flags / sizeof *flags)

#define READING "data-dir|size|seed|resize|skip-bad|threads|quiet"
static const struct {
    const char *name;
    data_command *run;
    bool named, writes;
    const char *flags, *help;
} commands[] = {
    {"list", data_list, false, false, "data-dir", "every dataset, and where it was found"},
    {"info", data_info, true, false, READING "|json",
     "sizes, classes with their counts, mean, deviation, SHA-256, files"},
    {"verify", data_verify, true, false, READING, "compare the files with the published digests and decode everything"},
    {"fetch", data_fetch, true, false, "data-dir|mirror|quiet", "download the files from where they are published"},
    {"export", data_export, true, true, READING "|out", "write it as NumPy arrays: --out FILE.npz"},
    {"show", data_show, true, true, READING "|out|split|grid", "draw a contact sheet: --out FILE.png [--grid 8x8]"},
};
#define NAMES    "list, info, verify, fetch, export or show"
#define COMMANDS (sizeof commands / sizeof *commands)

static int print_help(void) {
    printf("usage: drl data COMMAND [NAME] [flags]\n\nCommands:\n");
    for (size_t c = 0; c < COMMANDS; c++) {
        char left[32];
        snprintf(left, sizeof left, "%s%s", commands[c].name, commands[c].named ? " NAME" : "");
        printf("  %-14s %s\n", left, commands[c].help);
    }
    printf("\nFlags (also as --flag=value):\n");
    drl_flags_help(stdout, flags, FLAGS);
    printf("\nFiles are looked for in --data-dir, $DRL_DATA_DIR, $XDG_DATA_HOME/drl (~/.local/share/drl) and ./data.\n"
           "NAME is one of:\n%s",
           drl_dataset_help());
    return fflush(stdout) != 0 || ferror(stdout);
}

/* Is a word one of "a|b|c"? */
static bool among(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == '|') && (at[n] == '|' || !at[n])) return true;
    return false;
}

/* argv[first ..]: the dataset's name and the flags. */
static drl_status parse(data_args *a, size_t c, int argc, char **argv, drl_err *err) {
    *a = (data_args){0};
    drl_flags_default(a, flags, FLAGS);
    for (int i = 2; i < argc; i++) {
        drl_flag_word w;
        if (!drl_flag_split(&w, argv[i])) {
            if (a->name || !commands[c].named || !*argv[i] || *argv[i] == '-')
                return drl_fail(err, DRL_ERR_CONFIG, "data %s: unknown argument '%.80s'", commands[c].name, argv[i]);
            a->name = argv[i];
            continue;
        }
        int at = i;
        drl_status st = drl_flag_parse(a, flags, FLAGS, &w, &i, argc, argv, err);
        if (st == DRL_OK && !among(commands[c].flags, w.name))
            st = drl_fail(err, DRL_ERR_CONFIG, "%.80s is no flag of this command", argv[at]);
        if (st != DRL_OK) return drl_err_context(err, st, "data %s", commands[c].name);
    }
    if (commands[c].named && !a->name)
        return drl_fail(err, DRL_ERR_CONFIG, "data %s: the dataset's name is missing", commands[c].name);
    if (commands[c].writes && !a->out[0])
        return drl_fail(err, DRL_ERR_CONFIG, "data %s: --out FILE is missing", commands[c].name);
    return DRL_OK;
}

int data_main(int argc, char **argv) {
    drl_cli cli = {.program = "drl"};
    drl_err err;
    data_args a;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) return print_help();
    size_t c = 0;
    while (c < COMMANDS && !(argc > 1 && strcmp(argv[1], commands[c].name) == 0)) c++;
    drl_status st;
    if (argc < 2)
        st = drl_fail(&err, DRL_ERR_CONFIG, "data: the command is missing: " NAMES);
    else if (c == COMMANDS)
        st = drl_fail(&err, DRL_ERR_CONFIG, "data: unknown command '%.80s': want " NAMES, argv[1]);
    else if ((st = parse(&a, c, argc, argv, &err)) == DRL_OK) {
        drl_log_quiet(a.quiet);
        st = commands[c].run(&a, &err);
    }
    if (st == DRL_OK && (fflush(stdout) != 0 || ferror(stdout)))
        st = drl_fail(&err, DRL_ERR_IO, "cannot write to standard output");
    return st == DRL_OK ? 0 : drl_cli_report(&cli, &err);
}

drl_dataset_cfg data_cfg(const data_args *a) {
    return (drl_dataset_cfg){.name = a->name,
                             .data_dir = a->data_dir[0] ? a->data_dir : NULL,
                             .size = a->size,
                             .seed = a->seed,
                             .resize = (drl_resize)a->resize,
                             .skip_bad = a->skip_bad};
}

drl_status data_open(drl_dataset **ds, drl_threads **team, const data_args *a, bool cache, drl_err *err) {
    drl_dataset_cfg cfg = data_cfg(a);
    *ds = NULL;
    *team = NULL;
    drl_status st = drl_threads_open(team, a->threads, err);
    if (st != DRL_OK) return st;
    cfg.team = *team;
    if (!cache) cfg.cache_dir = "";
    st = drl_dataset_open(ds, &cfg, err);
    if (st == DRL_OK && (*ds)->skipped > 0) drl_log("%zu corrupt pictures are left out", (*ds)->skipped);
    return st;
}

bool data_is_known(const char *name) {
    const char *help, *known, *published = drl_published_as(name);
    if (published && strcmp(published, name) == 0) return true;
    for (size_t i = 0; (known = drl_dataset_known(i, &help)); i++) {
        size_t n = strlen(known);
        if (known[n - 1] == ':' ? strncmp(name, known, n) == 0 && name[n] : strcmp(name, known) == 0) return true;
    }
    return false;
}
