/* Probes: how good is a frozen code? Three classifiers on codes X (n, d), labels y (n).     [science.md, section 5, R1]
 *
 * Model selection sees train and validation only; the test set is passed separately and evaluated once, at the end.
 * All results are the same bits for any number of threads. */
#ifndef DRL_PROBE_H
#define DRL_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "drl/err.h"
#include "drl/real.h"
#include "drl/threads.h"

typedef struct drl_codes {
    size_t n, d, classes;
    const drl_real *x; /* (n, d) row-major */
    const int32_t *y;  /* (n) in [0, classes) */
} drl_codes;

/* x (n, d) standardised in place: (x - mean) / std per column, with mean and std of the training codes, as found by
 * drl_standardise_fit (std of a constant column: 1). */
void drl_standardise_fit(double *mean, double *std, const drl_real *x, size_t n, size_t d);
void drl_standardise(drl_real *x, size_t n, size_t d, const double *mean, const double *std);

/* ---- MLP probe ----------------------------------------------------------------------------------------------------
 * Linear(d -> hidden), ReLU, dropout, Linear(hidden -> classes), cross-entropy, Adam with weight decay added to the
 * gradient, constant learning rate. Weights start uniform in +-1/sqrt(fan_in), biases too. For every rate the accuracy
 * on validation is taken after each epoch; the test accuracy reported is that of the rate and epoch with the best
 * validation accuracy (first such). Published protocol: DRL_PROBE_PUBLISHED. */
typedef struct drl_mlp_cfg {
    size_t hidden, epochs, batch, rates;
    double rate[8];
    double dropout, weight_decay;
    size_t patience; /* stop a fit after so many epochs without a better validation accuracy; 0: never */
} drl_mlp_cfg;

/* hidden 512, 100 epochs, batch 256, dropout 0.25, weight decay 1e-5, rates {1e-3, 7.5e-4, 5e-4, 2.5e-4, 1e-4, 5e-5} */
drl_mlp_cfg drl_mlp_published(void);
/* The desk-scale shortcut `probe = fast`: rates {1e-3, 2.5e-4}, at most 20 epochs, patience 3; the rest as published. */
drl_mlp_cfg drl_mlp_fast(void);

typedef struct drl_probe_result {
    double test_accuracy, val_accuracy; /* fractions */
    double rate;                        /* chosen learning rate (MLP) or L2 strength (linear); 0 for k-NN */
    size_t epoch;                       /* epochs or iterations made at the chosen point                  */
} drl_probe_result;

/* One job: a code at one t with one seed. Independent jobs and rates run side by side, each on one thread, so pass as
 * many jobs as there are at once. result[j] for job j. Errors: ERR_SHAPE, ERR_MEMORY, ERR_NUMERIC (a loss or weight
 * that is not finite; names the job). */
typedef struct drl_mlp_job {
    drl_codes train, val, test;
    uint64_t seed;
} drl_mlp_job;
drl_status drl_probe_mlp(drl_probe_result *result, const drl_mlp_job *jobs, size_t n_jobs, const drl_mlp_cfg *cfg,
                         drl_threads *team, drl_err *err);

/* ---- Linear probe -------------------------------------------------------------------------------------------------
 * Multinomial logistic regression: min over W, b of mean cross-entropy + l2/2 |W|^2, by L-BFGS (liblbfgs) to
 * convergence. l2 is picked from cfg by validation accuracy. */
typedef struct drl_linear_cfg {
    size_t strengths;
    double l2[8];
    size_t max_iterations;
    double tolerance; /* |gradient| <= tolerance * max(1, |parameters|) */
} drl_linear_cfg;
drl_linear_cfg drl_linear_default(void); /* l2 in {1e-6, 1e-4}, at most 500 iterations, tolerance 1e-4 */
drl_status drl_probe_linear(drl_probe_result *result, drl_codes train, drl_codes val, drl_codes test,
                            const drl_linear_cfg *cfg, drl_threads *team, drl_err *err);

/* ---- k nearest neighbours -----------------------------------------------------------------------------------------
 * Cosine similarity, majority vote of the k nearest training codes (train and validation together are given as
 * `train`); ties go to the class whose summed similarity is larger, then to the smaller class. Published-style k = 20. */
drl_status drl_probe_knn(drl_probe_result *result, drl_codes train, drl_codes test, size_t k, drl_threads *team,
                         drl_err *err);

#endif
