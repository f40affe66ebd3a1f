/* Evaluation: from a configuration to rows of the run store. Trains the methods that are asked for where no trained
 * model is found, encodes the images with frozen encoders, fits probes on the codes, and scores them.   [science, 5]
 *
 * A program is a drl_eval_program, its report, and a main that calls drl_eval_main. All programs share models and rows:
 * what one has measured another finds under the same --out. They may run at once: a model is trained, and the rows of
 * an arm and seed are made, by one of them, while those that need the same wait.
 *
 * Probes are fitted and chosen on the training images alone, a tenth of which are their validation part. The test
 * images are encoded after that, to score the fitted probes once: drl_probe_* does not take them. */
#ifndef DRL_EVAL_H
#define DRL_EVAL_H

#include "drl/cli.h"
#include "drl/model.h"
#include "drl/probe.h"
#include "drl/results.h"

#define DRL_EVAL_OPTIONS(X)                                                                                            \
    X(STRING, eval, methods, "drl", DRL_ANY, "methods, separated by commas")                                           \
    X(STRING, eval, variants, "", DRL_ANY, "NAME: SECTION.KEY=VALUE ... | NAME: ...: each method under each")          \
    X(STRING, eval, name, "", DRL_ANY, "keeps tables and figures apart: PROGRAM-NAME-DATASET-SCALE")                   \
    X(LIST, eval, times, "0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1", DRL_RANGE(0, 1), "times t of the codes") \
    X(SIZE, eval, seeds, "3", DRL_RANGE(1, 100), "seeds: models trained and probed, 1, 2, ...")                        \
    X(REAL, eval, detail, "-1", DRL_RANGE(-1, 1), "level of detail, 0 coarse to 1 fine: the density of t; < 0: not")   \
    X(SIZE, eval, sampling, "100", DRL_RANGE(2, 1e6), "steps of the sampler, where a program samples images")          \
    X(ENUM, eval, budget, "images", DRL_CHOICES("images|time"),                                                        \
      "methods train on as many images, or as long, as the first")                                                     \
    X(ENUM, probe, mlp, "published", DRL_CHOICES("published|fast|none"), "protocol of the MLP probe")                  \
    X(BOOL, probe, linear, "yes", DRL_ANY, "logistic regression")                                                      \
    X(SIZE, probe, neighbours, "20", DRL_RANGE(0, 1000), "k of the nearest-neighbour probe; 0: none")                  \
    X(BOOL, probe, standardise, "yes", DRL_ANY, "codes to mean 0 and deviation 1 before the MLP and linear probes")    \
    X(REAL, run, checkpoint_seconds, "60", DRL_RANGE(0, 1e6), "time between checkpoints; does not change results")
DRL_CONFIG_STRUCT(drl_eval_cfg, DRL_EVAL_OPTIONS);
enum { DRL_BUDGET_IMAGES, DRL_BUDGET_TIME };            /* the choices of eval.budget */
enum { DRL_MLP_PUBLISHED, DRL_MLP_FAST, DRL_MLP_NONE }; /* the choices of probe.mlp   */
typedef enum drl_probe_kind { DRL_PROBE_MLP, DRL_PROBE_LINEAR, DRL_PROBE_KNN, DRL_PROBES } drl_probe_kind;
extern const char *const drl_probe_title[DRL_PROBES];      /* "MLP probe", ...           */
extern const char *const drl_probe_metric[DRL_PROBES];     /* "mlp_accuracy", ...: on the test images             */
extern const char *const drl_probe_val_metric[DRL_PROBES]; /* "mlp_val_accuracy", ...: on the validation part     */

#define DRL_EVAL_OWN 4096 /* bytes that a program's own settings may take */
typedef struct drl_settings {
    drl_model_cfg model; /* model.method is set by the evaluation: one of eval.methods */
    drl_eval_cfg eval;
    _Alignas(double) unsigned char own[DRL_EVAL_OWN]; /* the program's own struct, where it has one */
} drl_settings;

/* ---- Arms and their rows in memory ------------------------------------------------------------------------------- */

#define DRL_EVAL_ARMS  32
#define DRL_EVAL_SEEDS 100

/* One arm of an evaluation: a method under one of the variants of eval.variants, say "VP: diffusion.sde=vp". A method
 * that none of their keys concerns has one arm without a variant. */
typedef struct drl_arm {
    const drl_method *method;
    char variant[48], title[96]; /* "VP", or ""; "DRL, VP"                                                 */
    drl_settings settings;       /* the configuration with the variant, the method and its steps set in it */
} drl_arm;

typedef struct drl_eval_row {
    size_t arm; /* place among the arms of the evaluation */
    uint64_t seed;
    char metric[48];
    double t, value; /* t NaN: does not depend on it */
} drl_eval_row;

/* What an evaluation leaves for its report: arms in the order asked for, a method's variants together, and the rows of
 * their runs, read back from the store. */
typedef struct drl_evaluation {
    const drl_settings *settings; /* as configured, before variants */
    const char *dataset, *scale, *out, *program;
    const char *command; /* that makes the same */
    const char *from;    /* STEM of --from, whose rows are in the store by now; "": none. What a report exports beside
                            rows it reads from there */
    const struct drl_claims_file *claims; /* of the program; NULL: none */
    const drl_dataset *data;
    drl_store *store;
    size_t n_arms;
    const drl_arm *arms;
    int64_t runs[DRL_EVAL_ARMS * DRL_EVAL_SEEDS]; /* (arms, seeds); 0: there is none. Of this store alone */
    char config_hash[DRL_EVAL_ARMS][65];          /* of an arm's runs, the same in every store (drl_run_info) */
    size_t n_rows;
    drl_eval_row *rows;
} drl_evaluation;

/* One value, NaN where there is none; and statistics over the seeds. t NaN: a row without a time. */
double drl_eval_value(const drl_evaluation *e, size_t arm, const char *metric, double t, uint64_t seed);
drl_stats drl_eval_stats(const drl_evaluation *e, size_t arm, const char *metric, double t);

/* The times at which an arm's codes were probed: *n of them, one NaN where codes do not depend on t. */
const double *drl_eval_times(const drl_evaluation *e, size_t arm, size_t *n);

/* The time of the best validation accuracy, by the mean over the seeds; NaN where codes do not depend on t. */
double drl_eval_best_time(const drl_evaluation *e, size_t arm, drl_probe_kind probe);

/* Test accuracy in per cent at the time that is best on validation, of one seed (chosen by that seed alone; NaN where
 * missing); and over seeds. */
double drl_eval_best(const drl_evaluation *e, size_t arm, drl_probe_kind probe, uint64_t seed);
drl_stats drl_eval_best_stats(const drl_evaluation *e, size_t arm, drl_probe_kind probe);

/* The same of a minus b, seed by seed; and of the values of a metric that does not depend on t. */
drl_stats drl_eval_difference(const drl_evaluation *e, size_t a, size_t b, drl_probe_kind probe);
drl_stats drl_eval_metric_difference(const drl_evaluation *e, size_t a, size_t b, const char *metric);
/* The statistics of k x. */
drl_stats drl_eval_scaled(drl_stats x, double k);

/* Whether the configuration asks for a probe; the first that it does. */
bool drl_eval_wants(const drl_settings *s, drl_probe_kind probe);
drl_probe_kind drl_eval_first_probe(const drl_settings *s);

/* Place of a method's arm by the names of both, or -1. variant NULL: of its first arm. */
int drl_eval_find(const drl_evaluation *e, const char *method, const char *variant);

/* ---- What reports have in common --------------------------------------------------------------------------------- */

/* "85.01", "85.01 ± 0.30" or "–". */
void drl_eval_cell(char *buf, size_t size, drl_stats s);

/* path = OUT/KIND/PROGRAM-DATASET-SCALE, or PROGRAM-NAME-DATASET-SCALE where eval.name is set; KIND "tables" or
 * "figures"; the directory is made. */
drl_status drl_eval_stem(char path[DRL_PATH_MAX], const drl_evaluation *e, const char *kind, drl_err *err);

/* Notes below a table: scale, seeds, networks, budget, probes; and its command. */
drl_status drl_eval_notes(drl_table *table, const drl_evaluation *e, drl_err *err);

/* The value of a cell for one seed, the larger the better, NaN where missing; *arm = the arm it is of. */
typedef double drl_eval_cell_value(const drl_evaluation *e, const void *arg, size_t row, size_t column, size_t *arm,
                                   uint64_t seed);

/* The part of a table that is marked: its columns first ... first + columns - 1, which `value` counts from 0. */
typedef struct drl_eval_marking {
    size_t first, columns, rows;
    drl_eval_cell_value *value; /* NULL: row i is drl_eval_best of arm i, a column for each probe */
    const void *arg;
} drl_eval_marking;

/* Marks the cells (drl_table_mark), and adds a note that says what the marks mean. The best is the
 * largest mean of the rows with the most seeds, of methods without labels, where there are two rows to compare. With at
 * least 3 seeds a row is marked too if its difference from the best is not significant at 5 %: paired t test over the
 * seeds both have (3 or more), two-sided, p adjusted by Holm over the column. The best is found in the same values, so
 * that a difference called significant is somewhat less so. */
drl_status drl_eval_mark(drl_table *table, const drl_evaluation *e, const drl_eval_marking *what, drl_err *err);

/* Writes the rows and runs behind a report beside it, and prints where. */
drl_status drl_eval_export(const drl_evaluation *e, drl_err *err);

/* An arm as a curve of a figure: test accuracy in per cent against x(t) (NULL: t), or a reference line where its codes
 * do not depend on t, without an interval: bands of many lines would hide each other. False where rows are missing. The
 * curve's numbers lie in *points. */
typedef struct drl_eval_points {
    double x[DRL_LIST_MAX], mean[DRL_LIST_MAX], half95[DRL_LIST_MAX];
} drl_eval_points;
bool drl_eval_curve(drl_curve *curve, drl_eval_points *points, const drl_evaluation *e, size_t arm,
                    drl_probe_kind probe, double (*x)(const drl_arm *arm, double t));

/* Draws a figure by plots/SCRIPT.gp, titled "TITLE: DATASET, SCALE scale", and prints where it is. `write` writes the
 * script's data file, STEM.dat, and what else belongs to it. */
drl_status drl_eval_figure(const drl_evaluation *e, const char *script, const char *title,
                           drl_status (*write)(const drl_evaluation *e, const char *stem, const char *data,
                                               drl_err *err),
                           drl_err *err);

/* Judges the claims of the program's claims.ini, writes them as the table STEM-claims and into the store, writes
 * OUT/claims.csv, the claims of all programs, and prints where. A claim is there where the evaluation holds what it is
 * about; d_z and p, adjusted by Holm over the table, stand beside each. claims.ini has a section for each claim:
 *
 *   [R4.drl.VP.ae]                                  its name
 *   statement = the best t of DRL beats AE          in words, such that an effect above 0 is what it says
 *   source = paper                                  or own
 *   measure = probe                                 see below
 *   of = drl diffusion.sde=vp                       an arm: a method, and settings that it has
 *   minus = ae                                      another (not of a peak)
 *
 * An arm without settings is the method's arm without a variant, else the method's first of these settings. Measures:
 *
 *   probe    test accuracy by the program's first probe, each arm at the t that is best on validation: of - minus
 *   peak     mean accuracy over the interior times minus that at an end: of the two drops the one whose interval
 * reaches lower METRIC   of the rows that do not depend on t: of - minus, times 100. A '*' in it stands for whatever
 * there are rows of, a claim for each, in the order of numbers, and fills every '*' of the name and the statement
 *
 * Names have at most 48 characters; " ;" begins a comment anywhere. The rule of the verdict is drl_verdict_rule for all
 * of them. Claims of a run with a --name are called CLAIM@NAME. No table is written where no claim is about the
 * evaluation. */
drl_status drl_eval_claims(const drl_evaluation *e, drl_err *err);

/* ---- Programs ---------------------------------------------------------------------------------------------------- */

/* One arm with one seed, trained. */
typedef struct drl_subject {
    const drl_arm *arm;
    uint64_t seed;
    drl_model *model; /* NULL for drl_eval_program.run, plan */
    const drl_dataset *data;
    drl_threads *team;
    drl_store *store;
    int64_t run;
    const char *out, *label; /* of log lines: "drl VP seed 1" */
    const char *data_dir;    /* "": the system's places           */
    bool resume;             /* no: what is there is measured anew */
} drl_subject;

/* *missing tells whether a row is still to be made. */
drl_status drl_eval_missing(bool *missing, const drl_subject *s, const char *metric, double t, drl_err *err);

typedef struct drl_eval_program {
    const char *name, *summary;
    const char *config_dir; /* holds smoke.ini ... paper.ini; as of drl_share_path */
    bool claims;            /* and claims.ini, for drl_eval_claims                 */
    /* Refuses (ERR_CONFIG) an arm the program can do nothing with, before anything is done; NULL: none. */
    drl_status (*check)(const drl_arm *arm, drl_err *err);
    /* The same of data. */
    drl_status (*check_data)(const drl_dataset *data, drl_err *err);
    /* What the program measures of every arm and seed after the probes, into rows of the subject's run; NULL: nothing.
     * Called for finished runs too, unless `measured` says that all is there: it looks (drl_eval_missing). */
    drl_status (*measure)(const drl_subject *subject, drl_err *err);
    /* *all tells whether `measure` would find all of it there (subject->model is NULL): then nobody needs the model.
     * NULL: it is wanted every time. */
    drl_status (*measured)(bool *all, const drl_subject *subject, drl_err *err);
    /* Settings of its own, whose offsets count from a struct in drl_settings.own, and which of all settings identify a
     * run of `run`. */
    const drl_option *(*options)(size_t *n);
    bool (*counts)(const drl_method *method, const drl_option *option);
    /* All that is done with an arm and seed, instead of training, probing and measuring: into rows of a run that is the
     * program's alone. As of `measure`, it looks what is there. NULL: as above. */
    drl_status (*run)(const drl_subject *subject, drl_err *err);
    /* Of an arm, for a dry run of such a program: *models to be trained for all seeds, and *seconds of what `run` does
     * besides; it may print lines. */
    drl_status (*plan)(size_t *models, double *seconds, const drl_subject *subject, drl_err *err);
    /* Whether rows of a metric are among what these settings ask for: runs may have more. NULL: all are. */
    bool (*wants)(const drl_settings *settings, const char *metric);
    /* Writes tables, claims and figures, and prints where they are on standard output. */
    drl_status (*report)(const drl_evaluation *e, drl_err *err);
} drl_eval_program;

/* The whole program; returns its exit status. Every key of [eval] is a flag too: --methods, --budget ... Call
 * drl_methods_add first. */
int drl_eval_main(const drl_eval_program *program, int argc, char **argv);

#endif
