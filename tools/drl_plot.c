/* drl plot EXPERIMENT...: tables and figures made anew from stored or exported rows, by the commands their tables give.
 *
 * All tables are read, and all programs found, before the first of them runs: they write these very tables. */
#define _POSIX_C_SOURCE 200809L
#include "drl_plot.h"

#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drl/cli.h"
#include "drl/flags.h"
#include "drl/interrupt.h"
#include "drl/log.h"
#include "report/report.h"

extern char **environ;

typedef struct plot_args {
    char out[1024], from[1024], data_dir[1024];
    bool quiet;
} plot_args;

#define FLAG(argument, name, field, kind, default_, limits, help)                                                      \
    DRL_FLAG(plot_args, argument, name, field, kind, default_, help, limits)
static const drl_flag flags[] = {
    FLAG("DIR", "out", out, STRING, "runs", DRL_ANY, "the directory of results.sqlite, as the experiments' --out"),
    FLAG("DIR", "from", from, STRING, "", DRL_ANY, "exported rows, as results/: their tables and figures go to --out"),
    FLAG("DIR", "data-dir", data_dir, STRING, "", DRL_ANY, "where datasets are looked for first"),
    FLAG(NULL, "quiet", quiet, BOOL, "no", DRL_ANY, "no messages but errors"),
};
#define FLAGS (sizeof flags / sizeof *flags)

static const char text[] =
    "usage: drl plot EXPERIMENT... [flags]\n\n"
    "Makes the tables and figures of experiments anew, without training: each table OUT/tables/EXPERIMENT-*.md\n"
    "gives the command that made it, which is run again with --report, on the rows of OUT/results.sqlite. Commands\n"
    "run one after another, up to the first that fails.\n\n"
    "    build/bin/drl plot downstream compare --out build/runs\n"
    "    build/bin/drl plot downstream --from results --out remade\n\n"
    "With --from the commands are those of the tables DIR/EXPERIMENT-*.md, and the rows DIR/STEM-rows.csv and\n"
    "DIR/STEM-runs.json beside them are imported into OUT. A DIR that has a directory tables means that one. Data\n"
    "have to be where the command looks for them: folder:pictures.zip in the working directory.\n\n"
    "Experiments:\n";

/* Room behind a command: --from STEM --out DIR --data-dir DIR --quiet, NULL. */
#define MORE_WORDS 8

/* One command of one table: what it is, and the program that does it. */
typedef struct job {
    struct job *next;
    const char *table, *command;
    char *stem, **words; /* path of the exported rows, NULL: they are in the store; the command's n words, then NULL */
    size_t n;
    char program[DRL_PATH_MAX];
} job;

typedef struct plot {
    plot_args args;
    report_pool pool;
    report_list experiments;
    const char *tables; /* directory */
    job *jobs, **last;
} plot;

/* ---- The command line -------------------------------------------------------------------------------------------- */

static int print_help(void) {
    fputs(text, stdout);
    for (int i = 0; report_experiment_name(i); i++)
        printf("  %-16s %s\n", report_experiment_name(i), report_experiment_title(report_experiment_name(i)));
    printf("\nFlags (also as --flag=value):\n");
    drl_flags_help(stdout, flags, FLAGS);
    return fflush(stdout) != 0 || ferror(stdout);
}

/* ERR_CONFIG: the complaint, and all there are. */
static drl_status want_experiment(const char *complaint, drl_err *err) {
    char names[256] = "";
    for (int i = 0; report_experiment_name(i); i++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", report_experiment_name(i));
    }
    return drl_fail(err, DRL_ERR_CONFIG, "%s: want some of %s", complaint, names);
}

static drl_status add_experiment(plot *p, const char *name, drl_err *err) {
    char complaint[128];
    snprintf(complaint, sizeof complaint, "unknown experiment '%.80s'", name);
    if (!report_experiment_name(report_experiment_rank(name))) return want_experiment(complaint, err);
    return report_add_new(&p->pool, &p->experiments, name, err);
}

static drl_status parse(plot *p, int argc, char **argv, drl_err *err) {
    drl_flags_default(&p->args, flags, FLAGS);
    for (int i = 1; i < argc; i++) {
        drl_flag_word w;
        drl_status st = drl_flag_split(&w, argv[i]) ? drl_flag_parse(&p->args, flags, FLAGS, &w, &i, argc, argv, err)
                                                    : add_experiment(p, argv[i], err);
        if (st != DRL_OK) return st;
    }
    if (!p->args.out[0]) return drl_fail(err, DRL_ERR_CONFIG, "--out: want a directory");
    return p->experiments.n ? DRL_OK : want_experiment("the experiment is missing", err);
}

/* ---- Commands of tables ------------------------------------------------------------------------------------------ */

/* *stem = path of the rows beside the table NAME.md, which is STEM.md or STEM-PART.md; NULL: none. */
static drl_status find_rows(plot *p, char **stem, const char *name, drl_err *err) {
    *stem = NULL;
    for (size_t size = strlen(name), n = size; n > 0 && !*stem; n--) {
        if (n < size && name[n] != '-') continue;
        char *path = report_print(&p->pool, err, "%s/%.*s-rows.csv", p->tables, (int)n, name);
        if (!path) return DRL_ERR_MEMORY;
        if (!report_is_file(path)) continue;
        path[strlen(path) - strlen("-rows.csv")] = '\0';
        *stem = path;
    }
    return DRL_OK;
}

/* The program beside ours. drl-EXPERIMENT, its name once installed, comes first: beside an installed drl, `compare` is
 * somebody else's. */
static drl_status find_program(char path[DRL_PATH_MAX], const char *experiment, drl_err *err) {
    char dir[DRL_PATH_MAX / 2];
    ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
    dir[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(dir, '/');
    if (!slash) return drl_fail(err, DRL_ERR_IO, "/proc/self/exe does not say where programs are");
    *slash = '\0';
    snprintf(path, DRL_PATH_MAX, "%s/drl-%s", dir, experiment);
    if (access(path, X_OK) == 0) return DRL_OK;
    snprintf(path, DRL_PATH_MAX, "%s/%s", dir, experiment);
    if (access(path, X_OK) == 0) return DRL_OK;
    return drl_fail(err, DRL_ERR_NOT_FOUND, "there is no program %s, nor drl-%s beside it", path, experiment);
}

/* "build/bin/EXPERIMENT FLAGS..." as a job, where it is not one already. */
static drl_status add_job(plot *p, const char *experiment, const char *table, char *stem, char *command, drl_err *err) {
    static char *words[DRL_CLI_COMMAND_MAX / 2];
    static const char bin[] = "build/bin/";
    for (const job *j = p->jobs; j; j = j->next)
        if (strcmp(j->command, command) == 0 && (!stem || strcmp(j->stem, stem) == 0)) return DRL_OK;
    job *j = report_take(&p->pool, sizeof *j, err);
    if (!j || !(j->command = report_copy(&p->pool, command, strlen(command), err))) return DRL_ERR_MEMORY;
    drl_status st = drl_cli_split(words, &j->n, command, err);
    if (st != DRL_OK) return st;
    const char *name = strncmp(words[0], bin, strlen(bin)) == 0 ? words[0] + strlen(bin) : "";
    if (strcmp(strncmp(name, "drl-", 4) == 0 ? name + 4 : name, experiment) != 0)
        return drl_fail(err, DRL_ERR_FORMAT, "a command of '%.80s', not of %s%s", words[0], bin, experiment);
    if (!(j->words = report_take(&p->pool, (j->n + MORE_WORDS) * sizeof *words, err))) return DRL_ERR_MEMORY;
    memcpy(j->words, words, j->n * sizeof *words);
    j->table = table;
    j->stem = stem;
    *p->last = j;
    p->last = &j->next;
    return find_program(j->program, experiment, err);
}

/* The line "Command: `...`" of the table NAME.md. Without one it is a part of another, unless it has rows of its own.
 */
static drl_status read_table(plot *p, const char *experiment, const char *name, drl_err *err) {
    static const char label[] = "Command:";
    char *all, *stem, *rest = NULL, *command = NULL, *table = report_print(&p->pool, err, "%s/%s.md", p->tables, name);
    drl_status st = table ? report_read(&p->pool, &all, table, err) : DRL_ERR_MEMORY;
    if (st == DRL_OK) st = find_rows(p, &stem, name, err);
    if (st != DRL_OK) return st;
    for (char *line = strtok_r(all, "\r\n", &rest); line && !command; line = strtok_r(NULL, "\r\n", &rest))
        if (strncmp(line, label, strlen(label)) == 0) command = line + strlen(label);
    const size_t n = command ? strlen(command) : 0;
    if (!command) {
        if (stem && strcmp(stem + strlen(p->tables) + 1, name) == 0)
            drl_log("%s: left out, it gives no command", table);
        return DRL_OK;
    }
    if (!p->args.from[0]) stem = NULL;
    if (p->args.from[0] && !stem) {
        st = drl_fail(err, DRL_ERR_NOT_FOUND, "there are no rows beside it, STEM-rows.csv");
    } else if (n < 4 || strncmp(command, " `", 2) != 0 || command[n - 1] != '`') {
        st = drl_fail(err, DRL_ERR_FORMAT, "want a command in backquotes behind '%s'", label);
    } else {
        command[n - 1] = '\0';
        st = add_job(p, experiment, table, stem, command + 2, err);
    }
    return st == DRL_OK ? st : drl_err_context(err, st, "%s", table);
}

static drl_status read_tables(plot *p, const char *experiment, drl_err *err) {
    report_list names = {0};
    const size_t n = strlen(experiment);
    job **before = p->last;
    drl_status st = DRL_OK;
    DIR *dir = opendir(p->tables);
    for (const struct dirent *e; dir && st == DRL_OK && (e = readdir(dir));) {
        const size_t size = strlen(e->d_name);
        if (size < n + 5 || strncmp(e->d_name, experiment, n) != 0 || e->d_name[n] != '-') continue;
        if (strcmp(e->d_name + size - 3, ".md") != 0) continue;
        char *name = report_copy(&p->pool, e->d_name, size - 3, err);
        st = name ? report_add(&p->pool, &names, name, err) : DRL_ERR_MEMORY;
    }
    if (dir) closedir(dir);
    report_sort(&names);
    for (size_t i = 0; i < names.n && st == DRL_OK; i++) st = read_table(p, experiment, names.v[i], err);
    if (st == DRL_OK && p->last == before)
        st = drl_fail(err, DRL_ERR_NOT_FOUND, "there is no table %s/%s-*.md that gives a command", p->tables,
                      experiment);
    return st;
}

/* ---- Running them ------------------------------------------------------------------------------------------------ */

/* Ctrl-C is the program's too: it ends as it likes, and then so do we. */
static drl_status run_job(plot *p, job *j, drl_err *err) {
    static char of_store[] = "--report", of_rows[] = "--from", out[] = "--out", data_dir[] = "--data-dir",
                quiet[] = "--quiet";
    char **argv = j->words;
    size_t n = j->n;
    argv[n++] = j->stem ? of_rows : of_store;
    if (j->stem) argv[n++] = j->stem;
    argv[n++] = out;
    argv[n++] = p->args.out;
    if (p->args.data_dir[0]) argv[n++] = data_dir;
    if (p->args.data_dir[0]) argv[n++] = p->args.data_dir;
    if (p->args.quiet) argv[n++] = quiet;
    drl_log("%s: %s", j->table, j->command);
    /* under the name that was recorded, so that its tables give the same command again */
    pid_t child, done;
    int status, why = posix_spawn(&child, j->program, NULL, NULL, argv, environ);
    if (why != 0) return drl_fail(err, DRL_ERR_IO, "cannot run %s: %s", j->program, strerror(why));
    while ((done = waitpid(child, &status, 0)) < 0 && errno == EINTR) {
    }
    if (drl_interrupted()) return drl_fail(err, DRL_ERR_INTERRUPTED, "interrupted");
    if (done != child) return drl_fail(err, DRL_ERR_IO, "cannot wait for %s: %s", j->program, strerror(errno));
    if (WIFSIGNALED(status)) return drl_fail(err, DRL_ERR_IO, "%s: signal %d", j->program, WTERMSIG(status));
    if (WEXITSTATUS(status) == 0) return DRL_OK;
    return drl_fail(err, DRL_ERR_IO, "%s: exit status %d", j->program, WEXITSTATUS(status));
}

/* p->tables, and whether there is a store where the rows are to come from one. */
static drl_status choose_tables(plot *p, drl_err *err) {
    const char *dir = p->args.from[0] ? p->args.from : p->args.out;
    const char *store = report_print(&p->pool, err, "%s/results.sqlite", dir);
    p->tables = report_print(&p->pool, err, "%s/tables", dir);
    if (!store || !p->tables) return DRL_ERR_MEMORY;
    if (p->args.from[0] && !report_is_dir(p->tables)) p->tables = p->args.from;
    if (p->args.from[0] || report_is_file(store)) return DRL_OK;
    return drl_fail(err, DRL_ERR_NOT_FOUND, "%s: there is no results store; of exported rows: --from DIR", store);
}

static drl_status run(plot *p, drl_err *err) {
    drl_status st = choose_tables(p, err);
    for (size_t i = 0; i < p->experiments.n && st == DRL_OK; i++) st = read_tables(p, p->experiments.v[i], err);
    for (job *j = p->jobs; j && st == DRL_OK; j = j->next)
        if ((st = run_job(p, j, err)) != DRL_OK) drl_err_context(err, st, "%s", j->table);
    return st;
}

int plot_main(int argc, char **argv) {
    static plot p;
    const drl_cli cli = {.program = "drl"};
    drl_err err = {0};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) return print_help();
    p.last = &p.jobs;
    drl_status st = parse(&p, argc, argv, &err);
    if (st == DRL_OK) {
        drl_log_quiet(p.args.quiet);
        drl_interrupt_install();
        st = run(&p, &err);
    }
    report_pool_free(&p.pool);
    if (st == DRL_OK) return 0;
    drl_err_context(&err, st, "plot");
    return drl_cli_report(&cli, &err);
}
