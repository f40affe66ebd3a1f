/* R1, downstream classification along the trajectory: what the parts of this program share.  [science.md, section 5] */
#ifndef DOWNSTREAM_H
#define DOWNSTREAM_H

#include "drl/cli.h"
#include "drl/model.h"
#include "drl/probe.h"
#include "drl/results.h"

#define EXPERIMENT "downstream"

#define DOWNSTREAM_OPTIONS(X)                                                                                          \
    X(LIST, eval, times, "0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1", DRL_RANGE(0, 1), "times t of the codes") \
    X(SIZE, eval, seeds, "3", DRL_RANGE(1, 100), "seeds: models trained and probed, 1, 2, ...")                        \
    X(BOOL, eval, references, "yes", DRL_ANY, "also probe an untrained encoder and the raw pixels")                    \
    X(ENUM, probe, mlp, "published", DRL_CHOICES("published|fast|none"), "protocol of the MLP probe")                  \
    X(BOOL, probe, linear, "yes", DRL_ANY, "logistic regression")                                                      \
    X(SIZE, probe, neighbours, "20", DRL_RANGE(0, 1000), "k of the nearest-neighbour probe; 0: none")                  \
    X(BOOL, probe, standardise, "yes", DRL_ANY, "codes to mean 0 and deviation 1 before the MLP and linear probes")    \
    X(REAL, run, checkpoint_seconds, "60", DRL_RANGE(0, 1e6), "time between checkpoints; does not change results")
DRL_CONFIG_STRUCT(downstream_cfg, DOWNSTREAM_OPTIONS);
enum { MLP_PUBLISHED, MLP_FAST, MLP_NONE }; /* the choices of probe.mlp, in their order */

typedef struct settings {
    drl_model_cfg model;
    downstream_cfg own;
} settings;

/* The three probes, in the order of panels and columns. */
enum { PROBE_MLP, PROBE_LINEAR, PROBE_KNN, PROBES };
extern const char *const probe_metric[PROBES]; /* "mlp_accuracy", ... in the store */
extern const char *const probe_title[PROBES];

/* Whether the configuration asks for a probe. */
bool probe_wanted(const settings *s, int probe);

/* Codes of both splits (n, d each; owned), as they leave the encoder. */
typedef struct code_pair {
    size_t d;
    drl_real *x[DRL_SPLITS];
} code_pair;

/* Fits the probes the configuration asks for and (where `resume`) that have no row yet, and puts the rows: metrics of
 * probe_metric (and
 * *_val_accuracy) at time t (NaN: none). Train and validation parts are drawn from the seed; the test codes are used by
 * the final evaluation alone. The codes are standardised in place. Ends early with ERR_INTERRUPTED. */
drl_status probe_codes(drl_store *store, int64_t run_id, const settings *s, const drl_dataset *data, code_pair *codes,
                       double t, uint64_t seed, bool resume, drl_threads *team, drl_err *err);
/* Whether every wanted row at t is there already (so that encoding can be skipped). */
drl_status probe_done(drl_store *store, int64_t run_id, const settings *s, double t, bool *done, drl_err *err);

/* Writes OUT/tables/downstream-DATASET-SCALE{,-claims}.{md,csv,tex} and OUT/figures/downstream-DATASET-SCALE.{svg,png}
 * from the rows of this configuration in the store alone, and prints where they are on standard output. */
drl_status write_report(drl_store *store, const char *out, const char *dataset, const char *scale,
                        const char *config_hash, const settings *s, drl_err *err);

#endif
