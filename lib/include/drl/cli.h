/* The command line every experiment program shares.                                          [DESIGN, "Experiments"]
 *
 *     drl_cli cli;
 *     if (drl_cli_parse(&cli, argc, argv, "Downstream classification ...", options, n, &err) != DRL_OK ||
 *         (cli.action == DRL_CLI_RUN && drl_cli_config(&cli, &cfg, SCALE_DIR, &err) != DRL_OK))
 *         return drl_cli_report(&cli, &err);
 *     if (cli.action != DRL_CLI_RUN) return drl_cli_answer(&cli);
 *
 * Every key of a section [eval] that the program has is a flag too: --KEY VALUE. --dataset and --seeds set data.dataset
 * and eval.seeds where there are such keys. Flags are written `--flag value` or `--flag=value`; given twice, the last
 * one counts, except that every --set counts. Exit status: 0 done, 1 failed, 2 usage (drl_exit_status). */
#ifndef DRL_CLI_H
#define DRL_CLI_H

#include "drl/config.h"

#define DRL_CLI_SETS_MAX    64
#define DRL_CLI_COMMAND_MAX 4096

typedef enum drl_scale { DRL_SCALE_SMOKE, DRL_SCALE_DESK, DRL_SCALE_FULL, DRL_SCALE_PAPER } drl_scale;
typedef enum drl_cli_action { DRL_CLI_RUN, DRL_CLI_HELP, DRL_CLI_VERSION } drl_cli_action;

typedef struct drl_cli {
    drl_cli_action action;
    int scale;                          /* --scale, a drl_scale; default desk                                        */
    char dataset[DRL_STRING_MAX];       /* --dataset; "": what the configuration says                                */
    char data_dir[1024];                /* --data-dir; "": the system's places                                       */
    size_t seeds;                       /* --seeds, a count; 0: what the configuration says                          */
    size_t threads;                     /* --threads; 0: all processors                                              */
    char out[1024];                     /* --out; default "runs"                                                     */
    char config[1024];                  /* --config; "": the scale's own file                                        */
    bool resume;                        /* --resume yes|no; default yes                                              */
    bool dry_run, quiet;                /* --dry-run, --quiet                                                        */
    bool report;                        /* --report: only of what is stored                                          */
    char from[1024];                    /* --from; "": no exported rows                                              */
    const char *sets[DRL_CLI_SETS_MAX]; /* --set, in the order given; they point into argv and eval_sets */
    size_t n_sets;
    char eval_sets[16][DRL_STRING_MAX + 32]; /* "eval.KEY=VALUE", of the flags --KEY; among the sets           */
    size_t n_eval_sets;
    /* "build/bin/PROGRAM ..." as a shell takes it, without the flags that change no result */
    char command[DRL_CLI_COMMAND_MAX];
    const char *program, *summary; /* last part of argv[0]; what drl_cli_parse was given                */
    const drl_option *options;
    size_t n_options;
} drl_cli;

/* Reads the command line. --help and --version win over everything to their right and are only recorded in `action`.
 * A flag or value that cannot be used is ERR_CONFIG, and so is a --set that no option takes. */
drl_status drl_cli_parse(drl_cli *cli, int argc, char **argv, const char *summary, const drl_option *options,
                         size_t n_options, drl_err *err);

/* *cfg = defaults, then the file of --config, or SCALE_DIR/<scale>.ini where none was given, then every --set, then
 * --dataset and --seeds. */
drl_status drl_cli_config(const drl_cli *cli, void *cfg, const char *scale_dir, drl_err *err);

/* words (DRL_CLI_COMMAND_MAX / 2) = the n words of a `command` once recorded, unquoted in place: no shell takes part.
 * ERR_FORMAT where it is not written as drl_cli_parse writes it, ERR_LIMIT where it may have been cut off. */
drl_status drl_cli_split(char **words, size_t *n, char *command, drl_err *err);

/* Prints what --help or --version asked for on standard output and returns the exit status. */
int drl_cli_answer(const drl_cli *cli);

/* Prints "program: message" on standard error, with "try --help" after a usage error, and returns the exit status. */
int drl_cli_report(const drl_cli *cli, const drl_err *err);

/* "smoke", "desk", "full", "paper". */
const char *drl_scale_name(int scale);

/* 0 for DRL_OK, 2 for ERR_CONFIG, 1 for everything else. */
int drl_exit_status(drl_status status);

#endif
