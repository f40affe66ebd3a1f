/* The inside of an evaluation, shared by the files of lib/eval. */
#ifndef DRL_EVAL_EVAL_H
#define DRL_EVAL_EVAL_H

#include "eval/claims_file.h"

typedef struct drl_eval {
    const drl_eval_program *program;
    drl_cli cli;
    drl_settings s;
    drl_threads *team;
    drl_dataset *data;
    drl_store *store;
    size_t n_arms;
    drl_arm arms[DRL_EVAL_ARMS];
    drl_claims_file claims;
} drl_eval;

/* The table of all settings but model.method; lent. A process has one program. */
const drl_option *drl_eval_options(const drl_eval_program *program, size_t *n);

/* e->arms: the methods of eval.methods under the variants of eval.variants. ERR_CONFIG. */
drl_status drl_eval_arms(drl_eval *e, drl_err *err);

/* Whether a setting changes what is measured of a method; how often and how much is measured is none of these. */
bool drl_eval_counts(const drl_eval_program *program, const drl_method *method, const drl_option *o);

/* *text = the settings that count for an arm, to be freed; hash = SHA-256 of them, the method and the data. */
drl_status drl_eval_identify(char **text, char hash[65], const drl_eval *e, const drl_arm *arm, drl_err *err);

/* Opens (and with it makes) the run of an arm and seed. */
drl_status drl_eval_open_run(drl_eval *e, const char *experiment, const drl_arm *arm, uint64_t seed, int64_t *id,
                             drl_err *err);

/* *id of that run (experiment NULL: of what the program measures) where the store has it, else 0. */
drl_status drl_eval_find_run(drl_eval *e, const char *experiment, const drl_arm *arm, uint64_t seed, int64_t *id,
                             drl_err *err);

/* An arm and seed for the program's functions, without model. label is lent. */
drl_subject drl_eval_subject(const drl_eval *e, const drl_arm *arm, uint64_t seed, int64_t run, const char *label);

/* Trains, measures, encodes and probes one arm with one seed, as far as rows are missing. */
drl_status drl_eval_run(drl_eval *e, const drl_arm *arm, uint64_t seed, int64_t *id, drl_err *err);

/* Fits the probes that are asked for on codes of the training images at t, puts their validation rows, then encodes the
 * test images and puts the accuracies there at row_t (NaN: codes do not depend on t). Nothing where all rows are there.
 */
drl_status drl_eval_probe(drl_eval *e, const drl_arm *arm, drl_model *m, int64_t run, double t, double row_t,
                          uint64_t seed, drl_err *err);

/* Whether all rows are there that drl_eval_probe would make. */
drl_status drl_eval_probed(bool *probed, drl_eval *e, const drl_arm *arm, int64_t run, double row_t, drl_err *err);

/* Sets the arms' train.steps for the budget that is asked for; what the store does not know of it is measured, or,
 * unless `measure`, told (ERR_NOT_FOUND). */
drl_status drl_eval_budget(drl_eval *e, bool measure, drl_err *err);

/* Prints the plan, with times measured on a few steps. */
drl_status drl_eval_dry_run(drl_eval *e, drl_err *err);

#endif
