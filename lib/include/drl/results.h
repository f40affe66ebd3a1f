/* The run store, tables and figures.                                              [DESIGN, "Experiments", "Claims"]
 *
 * One SQLite file holds every run: what determined it (configuration, data, seed), where it ran (CPU, libraries, git
 * revision) and its metric rows. Tables and figures are made from the store alone and can be remade without training.
 * Several experiments may write at once: every call is one transaction and waits up to a minute for the lock, and
 * reading goes on meanwhile (write-ahead log; copy the file while no program has it open, else with its -wal).
 *
 * Tables, version 2 (PRAGMA user_version; application_id is "DRL1"):
 *     runs      id, experiment, method, dataset, scale, seed, config_hash (these six identify a run), config (text),
 *               dataset_sha256, provenance (JSON of the process that began it), created (UTC), opened (a counter)
 *     sessions  a row for each process that worked on a run: id, run_id, token (unique everywhere), status, message
 *               (why it failed), started, ended (UTC), wall_seconds, cpu_seconds, peak_bytes, threads, boot, pid,
 *               pid_start (what tells whether it still lives), provenance (JSON)                    [drl/runs.h]
 *     metrics   run_id, name, t (NULL: does not depend on t), value, detail, session_id (the session that made the row)
 *     claims    of the reports (below); made with the first claim
 * Stores of version 1 had no sessions: opening one adds them, in one transaction, with one session of status "unknown"
 * for each run. Stores of later versions are refused. */
#ifndef DRL_RESULTS_H
#define DRL_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "drl/err.h"
#include "drl/stats.h"

#define DRL_STORE_VERSION 2
typedef struct drl_store drl_store;

/* Opens, or makes, DIR/results.sqlite (DIR is made where it does not exist). */
drl_status drl_store_open(drl_store **store, const char *dir, drl_err *err);
/* The same without making anything: ERR_NOT_FOUND where there is no such file. Where we may not write it, or in its
 * directory, it is opened as by drl_store_open_read_only. */
drl_status drl_store_open_existing(drl_store **store, const char *dir, drl_err *err);
/* To read it as it is now: a copy in memory, of this version whatever the file's is, which stays as it is. Calls that
 * would change the store are ERR_IO. */
drl_status drl_store_open_read_only(drl_store **store, const char *dir, drl_err *err);
void drl_store_close(drl_store *store);

/* What identifies a run. All strings are copied. `config` is the full text of the configuration; config_hash the
 * SHA-256 of everything that determines the numbers (drl/hash.h). A run with the same experiment, method, dataset,
 * scale, seed and config_hash is the same run: opening it again returns the same id and keeps its rows. */
typedef struct drl_run_info {
    const char *experiment, *method, *dataset, *scale, *config, *config_hash, *dataset_sha256;
    uint64_t seed;
    bool anew; /* its rows are being made anew: who makes them, and when, is recorded again */
} drl_run_info;
drl_status drl_store_run(drl_store *store, int64_t *run_id, const drl_run_info *info, drl_err *err);

/* Adds or replaces one row: metric `name` of the run at time t (NaN: does not depend on t). detail is free text such as
 * the probe's protocol and chosen learning rate ("" for none). Values must be finite (ERR_NUMERIC). */
drl_status drl_store_put(drl_store *store, int64_t run_id, const char *name, double t, double value, const char *detail,
                         drl_err *err);
/* *found tells whether the row exists; *value and detail (size bytes, may be NULL) are set only then. */
drl_status drl_store_get(drl_store *store, int64_t run_id, const char *name, double t, bool *found, double *value,
                         char *detail, size_t size, drl_err *err);

/* All rows of an experiment on a dataset at a scale, ordered by method, metric, t, seed: calls row() for each until it
 * returns anything but DRL_OK. t is NaN where it does not apply. Strings are lent for the call. Only rows of the
 * newest configuration of each (method, seed) are given: of its runs that have rows, the one that
 * drl_store_run opened last. */
typedef struct drl_row {
    const char *method, *metric, *detail, *config_hash;
    uint64_t seed;
    double t, value;
    int64_t run_id;
} drl_row;
drl_status drl_store_rows(drl_store *store, const char *experiment, const char *dataset, const char *scale,
                          drl_status (*row)(void *arg, const drl_row *row, drl_err *err), void *arg, drl_err *err);

/* The rows of one run, ordered by metric and t. */
drl_status drl_store_run_rows(drl_store *store, int64_t run_id,
                              drl_status (*row)(void *arg, const drl_row *row, drl_err *err), void *arg, drl_err *err);

/* *json = one object that says everything about a run: what determined it, where and when it ran, its sessions. free()
 * it. ERR_NOT_FOUND for an unknown id. */
drl_status drl_store_describe(drl_store *store, int64_t run_id, char **json, drl_err *err);

/* Writes STEM-rows.csv, the rows of the runs given (run, method, seed, metric, t, value, detail, config_hash; t empty
 * where it does not apply), and STEM-runs.json, the descriptions of the runs. */
drl_status drl_store_export(drl_store *store, const int64_t *runs, size_t n, const char *stem, drl_err *err);

/* Reads what drl_store_export wrote, STEM-rows.csv and STEM-runs.json, into the store: runs with their provenance as it
 * was, their sessions and rows, in one transaction. A run that the store has already keeps the rows it has. Which
 * session made a row is known where its run has one. ERR_NOT_FOUND, ERR_FORMAT: the message names file and line. */
drl_status drl_store_import(drl_store *store, const char *stem, drl_err *err);
/* *run_id of the run that drl_store_run would open, which this does not make: 0 where there is none. */
drl_status drl_store_find_run(drl_store *store, int64_t *run_id, const drl_run_info *info, drl_err *err);

/* ---- Claims: what the paper says, beside what was measured --------------------------------------------- [DESIGN]
 * One row for each claim, dataset, scale and probe; a claim measured again replaces its row. */
typedef struct drl_claim {
    const char *id, *dataset, *scale; /* id: "R1.peak.drl"                                     */
    const char *probe;                /* by what it was measured                               */
    const char *runs;                 /* ids of the runs it was measured on, separated by blanks */
    const char *source;               /* "paper" or "own"                                      */
    const char *statement, *rule;     /* in words; the rule of the verdict, written before any run */
    drl_stats effect;                 /* over seeds                                            */
    const char *verdict;              /* drl_verdict                                           */
    double d_z, p_holm;               /* drl_stats_d_z; two-sided p, adjusted over its family; not finite: none */
} drl_claim;
drl_status drl_store_claim(drl_store *store, const drl_claim *claim, drl_err *err);

/* Writes all claims of the store: id, dataset, scale, probe, statement, source, effect, half95, seeds, d_z,
 * p_holm, verdict, rule, runs; what was not measured is empty. */
drl_status drl_store_export_claims(drl_store *store, const char *path, drl_err *err);

/* The verdict on "effect > 0": with at least three seeds "reproduced" where the 95 % interval lies above 0, "not
 * reproduced" where it lies below; else "inconclusive". Smoke scale gives none. */
extern const char drl_verdict_rule[];
const char *drl_verdict(drl_stats effect, const char *scale);

/* ---- Tables: rows of text cells, written as Markdown, CSV and LaTeX ---------------------------------------------- */
typedef struct drl_table drl_table;
drl_status drl_table_new(drl_table **table, const char *title, size_t columns, const char *const *head, drl_err *err);
void drl_table_free(drl_table *table);
/* `columns` cells, copied. An empty one, or an en dash, is a missing value: an en dash in Markdown and LaTeX, an empty
 * field in CSV. */
drl_status drl_table_add(drl_table *table, const char *const *cells, drl_err *err);
/* How a cell stands out, (row, column) from 0, the head not counted (asserted): the best of its column in bold; those
 * that a test does not tell from it in italics in Markdown, underlined in LaTeX. What was tested belongs in a note. CSV
 * has values alone, and a missing value has no mark. */
typedef enum drl_mark { DRL_MARK_NONE = 0, DRL_MARK_BEST, DRL_MARK_TIE } drl_mark;
void drl_table_mark(drl_table *table, size_t row, size_t column, drl_mark mark);
/* A line of text below the Markdown table: how the numbers were made. */
drl_status drl_table_note(drl_table *table, const char *note, drl_err *err);
/* The command that makes the table, below the notes of Markdown ("Command: `...`") and LaTeX. */
drl_status drl_table_command(drl_table *table, const char *command, drl_err *err);
/* Writes STEM.md, STEM.csv and STEM.tex, each under a temporary name first and then renamed. */
drl_status drl_table_write(const drl_table *table, const char *stem, drl_err *err);

/* ---- Figures: gnuplot ---------------------------------------------------------------------------------------------
 * Runs plots/SCRIPT.gp (found in $DRL_PLOTS_DIR, else as of drl_share_path) on a data file; the script gets the string
 * variables plots (its directory), data, title, out (a stem) and writes out.svg, out.png and out.pdf, which are renamed
 * into place after gnuplot succeeded. A missing gnuplot, or its first error line, is the message. */
drl_status drl_figure(const char *script, const char *data_file, const char *title, const char *out_stem, drl_err *err);

/* A curve of a figure, or a horizontal line in it (one value, t unused). Curves of one label share a colour in all
 * panels; panels, and the legend, are in order of first appearance. */
typedef enum drl_curve_kind { DRL_CURVE_LINE = 0, DRL_CURVE_REFERENCE = 1 } drl_curve_kind;
typedef struct drl_curve {
    const char *label, *panel;
    drl_curve_kind kind;
    size_t n;             /* >= 1                                                            */
    const double *t;      /* (n) abscissae, finite: t, or what a figure has in its place; unused for a reference */
    const double *mean;   /* (n), finite                                                     */
    const double *half95; /* (n), NaN or 0: no interval; NULL: none at all                   */
} drl_curve;
/* Writes a text as a column of a gnuplot data file: in double quotes, with ' for ", which gnuplot cannot write there,
 * and blanks for control characters. */
void drl_put_column(FILE *f, const char *text);
/* Writes the data file of plots/downstream.gp (its head documents the format). ERR_NOT_FOUND without a curve,
 * ERR_NUMERIC for a point that is not finite, ERR_IO. */
drl_status drl_curves_write(const char *path, const drl_curve *curves, size_t n, drl_err *err);

/* ---- Provenance -------------------------------------------------------------------------------------------------- */
/* One JSON object: CPU model, BLAS kernels, compiler, library versions, git revision and whether files differed from it
 * (git_dirty) at configure time, program version, precision. Collected once; static text. */
const char *drl_provenance(void);

#endif
