/* Evaluation: from a configuration to rows of the run store. Trains the methods that are asked for where no trained
 * model is found, encodes the images with frozen encoders, fits probes on the codes, and scores them.   [science, 5]
 *
 * A program is a drl_eval_program, its report, and a main that calls drl_eval_main. All programs share models and rows:
 * what one has measured another finds under the same --out.
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
    X(LIST, eval, times, "0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1", DRL_RANGE(0, 1), "times t of the codes") \
    X(SIZE, eval, seeds, "3", DRL_RANGE(1, 100), "seeds: models trained and probed, 1, 2, ...")                        \
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

typedef struct drl_settings {
    drl_model_cfg model; /* model.method is set by the evaluation: one of eval.methods */
    drl_eval_cfg eval;
} drl_settings;

/* ---- Rows in memory ---------------------------------------------------------------------------------------------- */

#define DRL_EVAL_METHODS 32
#define DRL_EVAL_SEEDS   100

typedef struct drl_eval_row {
    size_t method; /* place among the methods of the evaluation */
    uint64_t seed;
    char metric[48];
    double t, value; /* t NaN: does not depend on it */
} drl_eval_row;

/* What an evaluation leaves for its report: methods in the order asked for, and the rows of their runs, read back from
 * the store. */
typedef struct drl_evaluation {
    const drl_settings *settings;
    const char *dataset, *scale, *out, *program;
    drl_store *store;
    size_t n_methods;
    const drl_method *methods[DRL_EVAL_METHODS];
    int64_t runs[DRL_EVAL_METHODS * DRL_EVAL_SEEDS]; /* (methods, seeds) */
    size_t n_rows;
    drl_eval_row *rows;
} drl_evaluation;

/* One value, NaN where there is none; and statistics over the seeds. t NaN: a row without a time. */
double drl_eval_value(const drl_evaluation *e, size_t method, const char *metric, double t, uint64_t seed);
drl_stats drl_eval_stats(const drl_evaluation *e, size_t method, const char *metric, double t);

/* The times at which a method's codes were probed: *n of them, one NaN where codes do not depend on t. */
const double *drl_eval_times(const drl_evaluation *e, size_t method, size_t *n);

/* The time of the best validation accuracy, by the mean over the seeds; NaN where codes do not depend on t. */
double drl_eval_best_time(const drl_evaluation *e, size_t method, drl_probe_kind probe);

/* Test accuracy in per cent at the time that is best on validation, of one seed (chosen by that seed alone; NaN where
 * missing); and over seeds. */
double drl_eval_best(const drl_evaluation *e, size_t method, drl_probe_kind probe, uint64_t seed);
drl_stats drl_eval_best_stats(const drl_evaluation *e, size_t method, drl_probe_kind probe);

/* Whether the configuration asks for a probe; the first that it does. */
bool drl_eval_wants(const drl_settings *s, drl_probe_kind probe);
drl_probe_kind drl_eval_first_probe(const drl_settings *s);

/* Place of a method by name, or -1. */
int drl_eval_find(const drl_evaluation *e, const char *method);

/* ---- What reports have in common --------------------------------------------------------------------------------- */

/* "85.01", "85.01 ± 0.30" or "–". */
void drl_eval_cell(char *buf, size_t size, drl_stats s);

/* path = OUT/KIND/PROGRAM-DATASET-SCALE, KIND "tables" or "figures"; the directory is made. */
drl_status drl_eval_stem(char path[DRL_PATH_MAX], const drl_evaluation *e, const char *kind, drl_err *err);

/* Notes below a table: scale, seeds, networks, budget, probes. */
drl_status drl_eval_notes(drl_table *table, const drl_evaluation *e, drl_err *err);

/* Writes the rows and runs behind a report beside it, and prints where. */
drl_status drl_eval_export(const drl_evaluation *e, drl_err *err);

/* ---- Programs ---------------------------------------------------------------------------------------------------- */

typedef struct drl_eval_program {
    const char *name, *summary;
    const char *config_dir; /* holds smoke.ini ... paper.ini */
    /* Writes tables, claims and figures, and prints where they are on standard output. */
    drl_status (*report)(const drl_evaluation *e, drl_err *err);
} drl_eval_program;

/* The whole program; returns its exit status. Every key of [eval] is a flag too: --methods, --budget ... Call
 * drl_methods_add first. */
int drl_eval_main(const drl_eval_program *program, int argc, char **argv);

#endif
