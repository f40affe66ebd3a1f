/* The claims of a program, as its claims.ini lists them (drl/eval.h says how). */
#ifndef DRL_EVAL_CLAIMS_FILE_H
#define DRL_EVAL_CLAIMS_FILE_H

#include "drl/eval.h"

#define DRL_CLAIMS_MAX 64
#define DRL_CLAIM_SETS 4

/* A method under settings: the first arm of both. Without settings: the arm of the method that has no variant. */
typedef struct drl_claim_arm {
    const drl_method *method; /* NULL: none */
    size_t n_sets;
    char sets[DRL_CLAIM_SETS][64]; /* "diffusion.sde=vp" */
} drl_claim_arm;

typedef struct drl_claim_entry {
    char id[49], statement[200], source[8];
    char measure[48]; /* "probe", "peak", or a metric with at most one '*' */
    drl_claim_arm of, minus;
} drl_claim_entry;

typedef struct drl_claims_file {
    const drl_option *options; /* (n_options) of the program: what settings are settings of drl_settings */
    size_t n_options, n;
    drl_claim_entry v[DRL_CLAIMS_MAX];
} drl_claims_file;

/* Reads PROGRAM's claims.ini from `path`. ERR_CONFIG for what it says of a key, an arm or a claim that cannot be;
 * errors name file and line, or file and claim. */
drl_status drl_claims_read(drl_claims_file *file, const char *path, const drl_eval_program *program, drl_err *err);

#endif
