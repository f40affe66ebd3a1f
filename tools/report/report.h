/* drl report: what the files below hold once it is read.
 *
 * collect.c finds the files of a directory of tables and sorts them into blocks, one for each experiment, dataset and
 * scale; read.c reads texts and CSV, runs.c the records of runs; html.c and markdown.c write the report, with markup.c
 * for text and svg.c for figures. All strings and arrays are of one pool and live as long as it. */
#ifndef DRL_TOOLS_REPORT_H
#define DRL_TOOLS_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "drl/err.h"
#include "drl/file.h"

/* ---- Memory and texts: read.c ------------------------------------------------------------------------------------ */

typedef struct report_pool {
    struct report_piece *last;
} report_pool;

/* Zeroed memory that lives as long as the pool; NULL, and ERR_MEMORY in err, where there is none. */
void *report_take(report_pool *pool, size_t size, drl_err *err);
/* The first n bytes of a text, and a printed one; NULL as above. */
char *report_copy(report_pool *pool, const char *text, size_t n, drl_err *err);
char *report_print(report_pool *pool, drl_err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void report_pool_free(report_pool *pool);

/* A list of texts. */
typedef struct report_list {
    char **v;
    size_t n, room;
} report_list;
drl_status report_add(report_pool *pool, report_list *list, const char *text, drl_err *err);
/* ... where it is not there yet. */
drl_status report_add_new(report_pool *pool, report_list *list, const char *text, drl_err *err);
/* In the order of their bytes. */
void report_sort(report_list *list);

/* *text = the whole of a file; ERR_NOT_FOUND where there is none, ERR_FORMAT where it holds a zero byte, ERR_LIMIT
 * above 64 MB. */
drl_status report_read(report_pool *pool, char **text, const char *path, drl_err *err);
bool report_is_dir(const char *path);
bool report_is_file(const char *path);

/* A CSV file (RFC 4180): row 0 is the head, every row has `columns` fields. */
typedef struct report_csv {
    size_t rows, columns;
    char **cells; /* (rows, columns) */
} report_csv;
drl_status report_read_csv(report_pool *pool, report_csv *csv, const char *path, drl_err *err);
const char *report_cell(const report_csv *csv, size_t row, size_t column);
/* The column of that name; `columns` where there is none. */
size_t report_column(const report_csv *csv, const char *name);
/* The field of a row in the column of that name; "" where there is none. */
const char *report_field(const report_csv *csv, size_t row, const char *name);
/* Every field below the head begins as a number does, or stands for a missing one. */
bool report_is_numeric(const report_csv *csv, size_t column);

/* ---- Records of runs: runs.c ------------------------------------------------------------------------------------- */

/* Training by one method: its runs that trained, and how long. */
typedef struct report_time {
    const char *method;
    size_t runs;
    double seconds;
} report_time;

/* STEM-runs.json and the rows train_seconds of STEM-rows.csv. Lists hold what differs between the runs once. */
typedef struct report_runs {
    size_t n; /* 0: no record */
    report_list seeds, datasets, dataset_sha256, versions, revisions, precisions, compilers, cpus, blas, libraries;
    const char *first, *last; /* when they began: "2026-11-24T16:12:54Z" */
    report_time *times;
    size_t n_times;
    double seconds; /* of all */
} report_runs;
drl_status report_read_runs(report_pool *pool, report_runs *runs, const char *stem_path, drl_err *err);

/* ---- The report: collect.c --------------------------------------------------------------------------------------- */

typedef struct report_table {
    const char *stem; /* of its files; in the directory of tables                  */
    const char *part; /* "" of the main table, "claims", "bounds" ...              */
    const char *title;
    report_list notes; /* in Markdown, as they stand in STEM.md                      */
    report_csv csv;
    const char *figure; /* path of STEM.svg; NULL: none                               */
} report_table;

/* One experiment on one dataset at one scale: EXPERIMENT-[VARIANT-]DATASET-SCALE, where the variant is what --name
 * said. */
typedef struct report_block {
    const char *stem, *experiment, *variant, *dataset, *scale; /* dataset: as it is given to --dataset */
    report_table *tables;                                      /* main, others, claims                   */
    size_t n;
    const char *figure;  /* path of the main figure; NULL: missing */
    const char *command; /* makes its numbers */
    report_runs runs;
    bool pictures; /* there is a STEM-pictures.safetensors, of which the figure is drawn */
} report_block;

typedef struct report {
    report_pool pool;
    const char *in, *figures, *out; /* directories */
    const char *in_link;            /* the directory of tables as seen from out */
    const char *figures_link;
    report_block *blocks; /* in the order of the experiments: R1, R2, R3, R4, others */
    size_t n;
    report_csv claims;      /* rows = 0: no claims.csv */
    const char *deviations; /* Markdown; NULL: none    */
} report;

drl_status report_collect(report *r, drl_err *err);

/* What the suite is, in a sentence or two. */
extern const char report_about[];
/* What is known of an experiment: its place, its title and the paper's claim; an unknown one has its name and "". */
int report_experiment_rank(const char *experiment);
/* Those that are known, in the order of the report; NULL behind the last. */
const char *report_experiment_name(int rank);
const char *report_experiment_title(const char *experiment);
const char *report_experiment_claim(const char *experiment);

/* Verdicts by their first word. */
typedef enum report_verdict { VERDICT_YES, VERDICT_NO, VERDICT_OPEN, VERDICT_NONE, VERDICTS } report_verdict;
extern const char *const report_verdict_name[VERDICTS];
report_verdict report_verdict_of(const char *text);
void report_count_verdicts(size_t n[VERDICTS], const report *r);
/* "+5.14", or what the field holds where that is no number; " ± 2.37", or "" where there is no interval. */
const char *report_effect(char buf[64], const report *r, size_t row);
const char *report_interval(char buf[64], const report *r, size_t row);
/* The block whose tables hold the claim of a row of claims.csv; NULL where none does. */
const report_block *report_claim_block(const report *r, size_t row);

/* ---- Text: markup.c ---------------------------------------------------------------------------------------------- */

/* Text as HTML: & < > " ' escaped, control characters left out. */
void report_put_html(FILE *f, const char *text);
/* Text as Markdown that shows it as it is, in a cell of a table too. */
void report_put_markdown(FILE *f, const char *text);
/* Text as a part of a relative address: all but letters, digits and - _ . ~ / as %XX. */
void report_put_address(FILE *f, const char *text);
/* Markdown as HTML: `inline` only emphasis, code and links; else also headings (one level lower), lists, code blocks
 * and paragraphs. Everything else is text. */
void report_put_inline(FILE *f, const char *markdown, size_t n);
void report_put_blocks(FILE *f, const char *markdown);
/* Markdown's escapes undone, in place. */
void report_unescape(char *markdown);

/* ---- Figures: svg.c ---------------------------------------------------------------------------------------------- */

/* Writes a figure for the inside of an HTML page: ids and references to them begin with `prefix`; elements that are not
 * of a drawing, handlers and references to anything outside are left out, and so are titles: the figure is labelled
 * `label`. ERR_FORMAT, with the line, where it is no well-formed SVG. *width: of its viewBox, 0 for none. */
drl_status report_put_svg(FILE *f, double *width, char *svg, const char *prefix, const char *label, drl_err *err);

/* ---- Writers ----------------------------------------------------------------------------------------------------- */

drl_status report_write_html(report *r, drl_err *err);
drl_status report_write_markdown(report *r, drl_err *err);

/* drl report ARGUMENTS...: argv[0] is "report". Returns the exit status. */
int report_main(int argc, char **argv);

#endif
