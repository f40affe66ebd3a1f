/* Probes: how good is a frozen code? Three classifiers on codes X (n, d), labels y (n).     [science.md, section 5, R1]
 *
 * Fitting and model selection are given training and validation codes and return a fitted classifier; test codes have
 * no way in but drl_classifier_accuracy, which changes nothing any more.
 * All results are the same bits for any number of threads. Fits look at drl_interrupted() between epochs or iterations.
 * Codes are used as given: standardise them first where that is wanted. Errors name the part and the row: ERR_SHAPE for
 * an empty part, d or classes of 0, or parts that do not fit each other; ERR_FORMAT for a label out of range;
 * ERR_NUMERIC for a code that is not finite; ERR_CONFIG for a cfg or k outside its range; ERR_LIMIT for sizes beyond
 * 2^31 - 1; ERR_MEMORY. Results and fits are written on DRL_OK only. */
#ifndef DRL_PROBE_H
#define DRL_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "drl/err.h"
#include "drl/real.h"
#include "drl/threads.h"

#define DRL_PROBE_VERSION 1 /* raised where the same codes and protocol give other results: part of what is stored */

typedef struct drl_codes {
    size_t n, d, classes;
    const drl_real *x; /* (n, d) row-major */
    const int32_t *y;  /* (n) in [0, classes) */
} drl_codes;

/* x (n, d) standardised in place: (x - mean) / std per column, with mean and std of the training codes, as found by
 * drl_standardise_fit (std of a constant column: 1). */
void drl_standardise_fit(double *mean, double *std, const drl_real *x, size_t n, size_t d);
void drl_standardise(drl_real *x, size_t n, size_t d, const double *mean, const double *std);

/* A fitted probe. The caller owns it and frees it with drl_classifier_free. */
typedef struct drl_classifier drl_classifier;

/* *accuracy = fraction of the codes that are given their label, in [0, 1]. The fit stays as it is and may be asked any
 * number of times. ERR_SHAPE also where d or classes are not those of the training codes. */
drl_status drl_classifier_accuracy(double *accuracy, const drl_classifier *fit, drl_codes codes, drl_threads *team,
                                   drl_err *err);
void drl_classifier_free(drl_classifier *fit); /* NULL is fine */

/* What a fit chose on the validation codes. */
typedef struct drl_probe_result {
    double val_accuracy; /* fraction                                                       */
    double rate;         /* chosen learning rate (MLP) or L2 strength (linear)             */
    size_t epoch;        /* epochs or iterations made at the chosen point                  */
} drl_probe_result;

/* ---- MLP probe ----------------------------------------------------------------------------------------------------
 * Linear(d -> hidden), ReLU, dropout, Linear(hidden -> classes), cross-entropy, Adam with weight decay added to the
 * gradient, constant learning rate. Weights start uniform in +-1/sqrt(fan_in), biases too. For every rate the accuracy
 * on validation is taken after each epoch; the fit has the weights of the rate and epoch with the best validation
 * accuracy (first such, in the order of cfg). Published protocol: drl_mlp_published.
 *
 * Dropout zeroes an element where 16 random bits are below round(65536 p), so p is rounded to a multiple of 2^-16 (0.25
 * is exact), and scales the rest by the inverse of the share kept. The last minibatch of an epoch may be smaller.
 * Initial weights, the order of every epoch and the dropout of every minibatch depend on the job's seed alone, so the
 * rates of a job differ in nothing else. */
typedef struct drl_mlp_cfg {
    size_t hidden, epochs, batch, rates;
    double rate[8];
    double dropout, weight_decay;
    size_t patience; /* stop a fit after so many epochs without a better validation accuracy; 0: never */
} drl_mlp_cfg;

/* hidden 512, 100 epochs, batch 256, dropout 0.25, weight decay 1e-5, rates {1e-3, 7.5e-4, 5e-4, 2.5e-4, 1e-4, 5e-5} */
drl_mlp_cfg drl_mlp_published(void);
/* The desk-scale shortcut `probe = fast`: rates {1e-3, 2.5e-4}, at most 20 epochs, patience 3; others as published. */
drl_mlp_cfg drl_mlp_fast(void);

/* One job: a code at one t with one seed. Jobs run side by side, each on one thread with its rates in turn on every
 * minibatch; where there are too few jobs to fill the threads, the rates of a job are shared out among them. So pass as
 * many jobs as there are at once. fits[j] and result[j] for job j. A loss or weight that is not finite ends in
 * ERR_NUMERIC, which names job, rate and epoch; the first such job and rate is reported. */
typedef struct drl_mlp_job {
    drl_codes train, val;
    uint64_t seed;
} drl_mlp_job;
drl_status drl_probe_mlp(drl_classifier **fits, drl_probe_result *result, const drl_mlp_job *jobs, size_t n_jobs,
                         const drl_mlp_cfg *cfg, drl_threads *team, drl_err *err);

/* ---- Linear probe -------------------------------------------------------------------------------------------------
 * Multinomial logistic regression: min over W, b of mean cross-entropy + l2/2 |W|^2, by L-BFGS (liblbfgs) to
 * convergence, from W = b = 0; b is not penalised. l2 is picked from cfg by validation accuracy, the first of equals.
 * Where the line search finds nothing more to gain at the precision of the loss, or the iterations are used up, the
 * best point so far is the answer. */
typedef struct drl_linear_cfg {
    size_t strengths;
    double l2[8];
    size_t max_iterations;
    double tolerance; /* |gradient| <= tolerance * max(1, |parameters|) */
} drl_linear_cfg;
drl_linear_cfg drl_linear_default(void); /* l2 in {1e-6, 1e-4}, at most 500 iterations, tolerance 1e-4 */
drl_status drl_probe_linear(drl_classifier **fit, drl_probe_result *result, drl_codes train, drl_codes val,
                            const drl_linear_cfg *cfg, drl_threads *team, drl_err *err);

/* ---- k nearest neighbours -----------------------------------------------------------------------------------------
 * Majority vote of the k most similar training codes (train and validation together are given as `train`); ties go to
 * the class whose summed similarity is larger, then to the smaller class. Published-style k = 20, cosine.
 *   cosine      <q, z> / (|q| |z|); a code of zero norm has similarity 0 to all
 *   Euclidean   <q, z> - |z|^2 / 2, which falls as the distance grows; for codes of few dimensions, whose length says
 *               as much as their direction
 * Of equally similar training codes the earlier is nearer; k > n means n. Nothing is chosen, so there is no result. The
 * fit holds no copy of the training codes: x and y must outlive it, unchanged. */
typedef enum drl_similarity { DRL_COSINE, DRL_EUCLIDEAN } drl_similarity;
drl_status drl_probe_knn(drl_classifier **fit, drl_codes train, size_t k, drl_similarity similarity, drl_err *err);

/* ---- Separation of the classes, without a fit ---------------------------------------------------------------------
 * *silhouette = mean over the codes of (b - a) / max(a, b) in [-1, 1]: a the mean Euclidean distance to the other codes
 * of its class, b the smallest mean distance to those of another class [Rousseeuw 1987]; 0 for a code alone in its
 * class, and where a = b = 0. 0 where there is one class only. Takes n^2 d operations. */
drl_status drl_silhouette(double *silhouette, drl_codes codes, drl_threads *team, drl_err *err);

#endif
