/* The shared command line (drl/cli.h). Its flags are configuration options too: one table parses, checks and prints
 * them. */
#include "drl/cli.h"

#include <stdio.h>
#include <string.h>

#include "drl/flags.h"
#include "drl/real.h"

#define FLAG(argument, name, field, kind, default_, limits, help)                                                      \
    DRL_FLAG(drl_cli, argument, name, field, kind, default_, help, limits)

static const drl_flag flags[] = {
    FLAG("NAME", "scale", scale, ENUM, "desk", DRL_CHOICES("smoke|desk|full|paper"), "smoke, desk, full or paper"),
    FLAG("NAME", "dataset", dataset, STRING, "", DRL_ANY, "dataset, instead of the configuration's"),
    FLAG("DIR", "data-dir", data_dir, STRING, "", DRL_ANY, "where datasets are looked for first"),
    FLAG("N", "seeds", seeds, SIZE, "0", DRL_RANGE(0, 1000), "number of seeds; 0: what the configuration says"),
    FLAG("N", "threads", threads, SIZE, "0", DRL_RANGE(0, 1024), "threads; 0: one per processor"),
    FLAG("DIR", "out", out, STRING, "runs", DRL_ANY, "where models, results and figures go"),
    FLAG("FILE", "config", config, STRING, "", DRL_ANY, "configuration file, instead of the scale's"),
    FLAG("yes|no", "resume", resume, BOOL, "yes", DRL_ANY, "go on from checkpoints and stored results"),
    FLAG(NULL, "dry-run", dry_run, BOOL, "no", DRL_ANY, "print the plan and the time it will take, and stop"),
    FLAG(NULL, "report", report, BOOL, "no", DRL_ANY, "tables, claims and figures of what is stored; run nothing"),
    FLAG("STEM", "from", from, STRING, "", DRL_ANY, "the same of exported rows: STEM-rows.csv, STEM-runs.json ..."),
    FLAG(NULL, "quiet", quiet, BOOL, "no", DRL_ANY, "no messages but errors"),
};
#define FLAGS (sizeof flags / sizeof *flags)

const char *drl_scale_name(int scale) {
    static const char *const names[] = {"smoke", "desk", "full", "paper"};
    return scale >= 0 && scale < 4 ? names[scale] : "?";
}

int drl_exit_status(drl_status status) {
    return status == DRL_OK ? 0 : status == DRL_ERR_CONFIG ? 2 : 1;
}

static drl_status parse_set(drl_cli *cli, const char *assignment, drl_err *err) {
    if (cli->n_sets == DRL_CLI_SETS_MAX)
        return drl_fail(err, DRL_ERR_CONFIG, "more than %d times --set", DRL_CLI_SETS_MAX);
    drl_status st = drl_config_set(NULL, cli->options, cli->n_options, assignment, err);
    if (st != DRL_OK) return drl_err_context(err, st, "--set");
    cli->sets[cli->n_sets++] = assignment;
    return DRL_OK;
}

static bool has_option(const drl_cli *cli, const char *section, const char *key) {
    for (size_t i = 0; i < cli->n_options; i++)
        if (strcmp(cli->options[i].section, section) == 0 && strcmp(cli->options[i].key, key) == 0) return true;
    return false;
}

/* --KEY VALUE for eval.KEY: as --set eval.KEY=VALUE. */
static drl_status parse_eval(drl_cli *cli, drl_flag_word *w, int *i, int argc, char **argv, drl_err *err) {
    const size_t room = sizeof cli->eval_sets / sizeof *cli->eval_sets;
    drl_status st = drl_flag_value(w, i, argc, argv, "VALUE", err);
    if (st != DRL_OK) return st;
    if (cli->n_eval_sets == room)
        return drl_fail(err, DRL_ERR_CONFIG, "--%s: more than %zu flags for keys of [eval]: use --set", w->name, room);
    char *text = cli->eval_sets[cli->n_eval_sets++];
    int n = snprintf(text, sizeof *cli->eval_sets, "eval.%s=%s", w->name, w->value);
    if (n < 0 || (size_t)n >= sizeof *cli->eval_sets)
        return drl_fail(err, DRL_ERR_CONFIG, "--%s: longer than %d characters", w->name, DRL_STRING_MAX);
    st = drl_config_set(NULL, cli->options, cli->n_options, text, err);
    return st == DRL_OK ? parse_set(cli, text, err) : drl_err_context(err, st, "--%s", w->name);
}

static bool is_flag(const char *name) {
    for (size_t f = 0; f < FLAGS; f++)
        if (strcmp(flags[f].option.key, name) == 0) return true;
    return false;
}

/* What a word of a command may hold without quotes. */
static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,-+@%";

/* Appends a word to the command, quoted where a shell would take it apart; what does not fit is cut off. */
static void add_word(drl_cli *cli, const char *word) {
    const size_t room = sizeof cli->command;
    size_t used = strlen(cli->command);
    bool quoted = word[strspn(word, plain)] != '\0' || !*word;
    used += (size_t)snprintf(cli->command + used, room - used, " %s", quoted ? "'" : "");
    for (; *word && used + 8 < room; word++)
        used += (size_t)snprintf(cli->command + used, room - used, *word == '\'' ? "'\\''" : "%c", *word);
    if (quoted && used + 2 < room) snprintf(cli->command + used, room - used, "'");
}

/* Takes one word, unquoted in place; the end of what stands there in quotes or plain. NULL: add_word writes no such. */
static char *take_word(char *at) {
    char *to = at;
    if (*at != '\'') return *at ? at + strspn(at, plain) : NULL;
    for (at++; *at != '\'' || strncmp(at, "'\\''", 4) == 0; at++) {
        if (*at == '\'') at += 3;
        if (!*at) return NULL;
        *to++ = *at;
    }
    *to = '\0';
    return at + 1;
}

drl_status drl_cli_split(char **words, size_t *n, char *command, drl_err *err) {
    if (strlen(command) + 8 >= DRL_CLI_COMMAND_MAX)
        return drl_fail(err, DRL_ERR_LIMIT, "a command of %zu characters, which may have been cut off",
                        strlen(command));
    *n = 0;
    for (char *at = command, *end;; at = end + 1) {
        end = take_word(at);
        if (!end || end == at || (*end && *end != ' '))
            return drl_fail(err, DRL_ERR_FORMAT, "word %zu of the command is not quoted as it should be", *n + 1);
        words[(*n)++] = at;
        if (!*end) return DRL_OK;
        *end = '\0';
    }
}

/* argv[from .. to) belongs to a flag that was understood. */
static void record(drl_cli *cli, const char *name, char **argv, int from, int to) {
    static const char *const silent[] = {"data-dir", "threads", "out", "resume", "dry-run", "report", "from", "quiet"};
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
        if (strcmp(name, silent[i]) == 0) return;
    for (; from < to; from++) add_word(cli, argv[from]);
}

drl_status drl_cli_parse(drl_cli *cli, int argc, char **argv, const char *summary, const drl_option *options,
                         size_t n_options, drl_err *err) {
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    *cli = (drl_cli){.summary = summary, .options = options, .n_options = n_options};
    cli->program = slash ? slash + 1 : argc > 0 ? argv[0] : "drl";
    drl_flags_default(cli, flags, FLAGS);
    snprintf(cli->command, sizeof cli->command, "build/bin/%.200s", cli->program);
    for (int i = 1; i < argc; i++) {
        drl_flag_word w;
        int first = i;
        if (!drl_flag_split(&w, argv[i])) return drl_fail(err, DRL_ERR_CONFIG, "unknown argument '%.80s'", argv[i]);
        bool help = strcmp(w.name, "help") == 0, version = strcmp(w.name, "version") == 0;
        if (help || version) {
            if (w.value) return drl_fail(err, DRL_ERR_CONFIG, "--%s takes no value", w.name);
            cli->action = help ? DRL_CLI_HELP : DRL_CLI_VERSION;
            return DRL_OK;
        }
        drl_status st;
        if (strcmp(w.name, "set") == 0) {
            st = drl_flag_value(&w, &i, argc, argv, "section.key=value", err);
            if (st == DRL_OK) st = parse_set(cli, w.value, err);
        } else if (!is_flag(w.name) && has_option(cli, "eval", w.name)) {
            st = parse_eval(cli, &w, &i, argc, argv, err);
        } else {
            st = drl_flag_parse(cli, flags, FLAGS, &w, &i, argc, argv, err);
        }
        if (st != DRL_OK) return st;
        record(cli, w.name, argv, first, i + 1);
    }
    return DRL_OK;
}

/* A flag that is short for a key, where the program has it, and has the key's limits. */
static drl_status set_key(const drl_cli *cli, void *cfg, const char *flag, const char *section, const char *key,
                          const char *value, drl_err *err) {
    char assignment[DRL_STRING_MAX + 32];
    if (!has_option(cli, section, key)) return DRL_OK;
    snprintf(assignment, sizeof assignment, "%s.%s=%s", section, key, value);
    drl_status st = drl_config_set(cfg, cli->options, cli->n_options, assignment, err);
    return st == DRL_OK ? st : drl_err_context(err, st, "%s", flag);
}

drl_status drl_cli_config(const drl_cli *cli, void *cfg, const char *scale_dir, drl_err *err) {
    char path[2048], seeds[32];
    snprintf(path, sizeof path, "%s/%s.ini", scale_dir, drl_scale_name(cli->scale));
    drl_config_defaults(cfg, cli->options, cli->n_options);
    drl_status st = drl_config_read(cfg, cli->options, cli->n_options, cli->config[0] ? cli->config : path, err);
    for (size_t i = 0; i < cli->n_sets && st == DRL_OK; i++) {
        st = drl_config_set(cfg, cli->options, cli->n_options, cli->sets[i], err);
        if (st != DRL_OK) st = drl_err_context(err, st, "--set");
    }
    if (st == DRL_OK && cli->dataset[0]) st = set_key(cli, cfg, "--dataset", "data", "dataset", cli->dataset, err);
    snprintf(seeds, sizeof seeds, "%zu", cli->seeds);
    if (st == DRL_OK && cli->seeds) st = set_key(cli, cfg, "--seeds", "eval", "seeds", seeds, err);
    return st;
}

static void print_help(const drl_cli *cli) {
    printf("usage: %s [flags]\n\n%s\n\nFlags (also as --flag=value):\n", cli->program, cli->summary);
    drl_flags_help(stdout, flags, FLAGS);
    printf("  %-34s %s\n", "--set section.key=value", "change one key of the configuration; may be repeated");
    for (size_t i = 0; i < cli->n_options; i++) {
        const drl_option *o = &cli->options[i];
        char left[64];
        if (strcmp(o->section, "eval") != 0 || is_flag(o->key)) continue;
        snprintf(left, sizeof left, "--%s VALUE", o->key);
        printf("  %-34s %s: the key eval.%s\n", left, o->help, o->key);
    }
    printf("  %-34s %s\n  %-34s %s\n", "--help", "print this", "--version", "print the version");
    if (cli->n_options == 0) return;
    printf("\nConfiguration keys = defaults (the scale's file and then --set change them):\n");
    drl_config_help(stdout, cli->options, cli->n_options);
}

int drl_cli_answer(const drl_cli *cli) {
    if (cli->action == DRL_CLI_HELP)
        print_help(cli);
    else
        printf("%s %s (%s, %s)\n", cli->program, DRL_VERSION, DRL_GIT_REVISION, DRL_REAL_NAME);
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    fprintf(stderr, "%s: cannot write to standard output\n", cli->program);
    return 1;
}

int drl_cli_report(const drl_cli *cli, const drl_err *err) {
    int status = drl_exit_status(err->status);
    fprintf(stderr, "%s: %s%s\n", cli->program, err->message, status == 2 ? "; try --help" : "");
    return status;
}
