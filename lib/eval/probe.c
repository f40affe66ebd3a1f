/* Probes on the codes of a frozen encoder. The training images' codes are all that fitting and choosing see; the test
 * images are encoded in `score`, when everything is chosen.                                     [science.md, section 5]
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/interrupt.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "eval/eval.h"

const char *const drl_probe_title[DRL_PROBES] = {"MLP probe", "Linear probe", "k-NN"};
const char *const drl_probe_metric[DRL_PROBES] = {"mlp_accuracy", "linear_accuracy", "knn_accuracy"};
const char *const drl_probe_val_metric[DRL_PROBES] = {"mlp_val_accuracy", "linear_val_accuracy", "knn_val_accuracy"};

bool drl_eval_wants(const drl_settings *s, drl_probe_kind probe) {
    switch (probe) {
    case DRL_PROBE_MLP: return s->eval.probe_mlp != DRL_MLP_NONE;
    case DRL_PROBE_LINEAR: return s->eval.probe_linear;
    default: return s->eval.probe_neighbours > 0;
    }
}

/* What is known of one set of codes. */
typedef struct work {
    drl_eval *e;
    const drl_settings *s;
    drl_model *m;
    int64_t run;
    double t, row_t;
    uint64_t seed;
    size_t n, n_val, d; /* training images, the last n_val of them for validation; size of a code */
    drl_real *raw, *x;  /* (n, d) training codes as they are, and as MLP and linear probe see them */
    int32_t *y;         /* (n) */
    double *mean, *std; /* (d) what x was standardised by; NULL: it was not */
    bool missing[DRL_PROBES];
    drl_classifier *fit[DRL_PROBES];
    char detail[DRL_PROBES][128];
} work;

/* missing (DRL_PROBES) = which of the probes that are asked for have no row at row_t. */
static drl_status find_missing(bool *missing, drl_eval *e, const drl_arm *arm, int64_t run, double row_t,
                               drl_err *err) {
    drl_status st = DRL_OK;
    for (int probe = 0; probe < DRL_PROBES && st == DRL_OK; probe++) {
        bool found = false;
        double value;
        missing[probe] = drl_eval_wants(&arm->settings, (drl_probe_kind)probe);
        if (!missing[probe] || !e->cli.resume) continue;
        st = drl_store_get(e->store, run, drl_probe_metric[probe], row_t, &found, &value, NULL, 0, err);
        missing[probe] = !found;
    }
    return st;
}

static bool any(const bool *missing) {
    return missing[DRL_PROBE_MLP] || missing[DRL_PROBE_LINEAR] || missing[DRL_PROBE_KNN];
}

drl_status drl_eval_probed(bool *probed, drl_eval *e, const drl_arm *arm, int64_t run, double row_t, drl_err *err) {
    bool missing[DRL_PROBES] = {false};
    drl_status st = find_missing(missing, e, arm, run, row_t, err);
    *probed = !any(missing);
    return st;
}

/* Codes (n, d) of images of a split; to be freed. */
static drl_status encode(work *w, drl_real **x, drl_split split, const uint32_t *index, size_t n, drl_err *err) {
    size_t count;
    if (!drl_mul_size(&count, n, w->d)) return drl_fail(err, DRL_ERR_MEMORY, "codes: too many");
    drl_status st = drl_alloc(x, count, sizeof **x, "codes", err);
    return st == DRL_OK ? drl_model_encode(w->m, split, index, n, w->t, *x, err) : st;
}

/* The codes of the training images, in the order of the split that the seed draws, and their labels. */
static drl_status encode_training(work *w, drl_err *err) {
    const drl_images *im = &w->e->data->split[DRL_SPLIT_TRAIN];
    uint32_t *index;
    drl_status st = drl_alloc(&index, w->n, sizeof *index, "split", err);
    if (st != DRL_OK) return st;
    drl_split_validation(index, w->n, w->seed);
    st = encode(w, &w->raw, DRL_SPLIT_TRAIN, index, w->n, err);
    if (st == DRL_OK) st = drl_alloc(&w->y, w->n, sizeof *w->y, "labels", err);
    for (size_t i = 0; st == DRL_OK && i < w->n; i++) w->y[i] = im->labels[index[i]];
    drl_free(index);
    return st;
}

/* w->x: standardised by the codes of the training part, where that is asked for. */
static drl_status standardise(work *w, drl_err *err) {
    w->x = w->raw;
    if (!w->s->eval.probe_standardise || !(w->missing[DRL_PROBE_MLP] || w->missing[DRL_PROBE_LINEAR])) return DRL_OK;
    w->x = NULL;
    drl_status st = drl_alloc(&w->mean, 2 * w->d, sizeof *w->mean, "standardisation", err);
    if (st == DRL_OK) st = drl_alloc(&w->x, w->n * w->d, sizeof *w->x, "standardised codes", err);
    if (st != DRL_OK) return st;
    w->std = w->mean + w->d;
    memcpy(w->x, w->raw, w->n * w->d * sizeof *w->x);
    drl_standardise_fit(w->mean, w->std, w->x, w->n - w->n_val, w->d);
    drl_standardise(w->x, w->n, w->d, w->mean, w->std);
    return DRL_OK;
}

static drl_codes codes_of(const work *w, const drl_real *x, size_t from, size_t n) {
    return (drl_codes){n, w->d, w->e->data->classes, x + from * w->d, w->y + from};
}

/* k-NN has nothing to choose: what it scores on validation with the training part says which t is best; the classifier
 * that is kept knows all. */
static drl_status fit_knn(work *w, double *val_accuracy, drl_err *err) {
    size_t k = w->s->eval.probe_neighbours, n_train = w->n - w->n_val;
    drl_classifier *part;
    drl_status st = drl_probe_knn(&part, codes_of(w, w->raw, 0, n_train), k, DRL_COSINE, err);
    if (st != DRL_OK) return st;
    st = drl_classifier_accuracy(val_accuracy, part, codes_of(w, w->raw, n_train, w->n_val), w->e->team, err);
    drl_classifier_free(part);
    if (st == DRL_OK) st = drl_probe_knn(&w->fit[DRL_PROBE_KNN], codes_of(w, w->raw, 0, w->n), k, DRL_COSINE, err);
    snprintf(w->detail[DRL_PROBE_KNN], sizeof *w->detail, "k = %zu, cosine", k);
    return st;
}

static drl_status fit(work *w, drl_probe_kind probe, double *val_accuracy, drl_err *err) {
    size_t n_train = w->n - w->n_val;
    drl_codes train = codes_of(w, w->x, 0, n_train), val = codes_of(w, w->x, n_train, w->n_val);
    char *detail = w->detail[probe];
    drl_probe_result r;
    drl_status st;
    if (probe == DRL_PROBE_KNN) return fit_knn(w, val_accuracy, err);
    if (probe == DRL_PROBE_MLP) {
        bool fast = w->s->eval.probe_mlp == DRL_MLP_FAST;
        drl_mlp_cfg cfg = fast ? drl_mlp_fast() : drl_mlp_published();
        drl_mlp_job job = {.train = train, .val = val, .seed = w->seed};
        st = drl_probe_mlp(&w->fit[probe], &r, &job, 1, &cfg, w->e->team, err);
        if (st != DRL_OK) return st;
        snprintf(detail, sizeof *w->detail, "probe = %s; rate %g, epoch %zu", fast ? "fast" : "published", r.rate,
                 r.epoch);
    } else {
        drl_linear_cfg cfg = drl_linear_default();
        st = drl_probe_linear(&w->fit[probe], &r, train, val, &cfg, w->e->team, err);
        if (st != DRL_OK) return st;
        snprintf(detail, sizeof *w->detail, "l2 %g, %zu iterations", r.rate, r.epoch);
    }
    *val_accuracy = r.val_accuracy;
    return DRL_OK;
}

static drl_status fit_all(work *w, drl_err *err) {
    drl_status st = encode_training(w, err);
    if (st == DRL_OK) st = standardise(w, err);
    for (int probe = 0; st == DRL_OK && probe < DRL_PROBES; probe++) {
        double val_accuracy;
        if (!w->missing[probe]) continue;
        st = fit(w, (drl_probe_kind)probe, &val_accuracy, err);
        if (st == DRL_ERR_INTERRUPTED) drl_fail(err, st, "interrupted; the same command goes on with this probe");
        if (st == DRL_OK)
            st = drl_store_put(w->e->store, w->run, drl_probe_val_metric[probe], w->row_t, val_accuracy,
                               w->detail[probe], err);
        if (st == DRL_OK && drl_interrupted())
            st = drl_fail(err, DRL_ERR_INTERRUPTED, "interrupted; the same command goes on with these codes");
    }
    return st;
}

/* The test images: the only place that opens them. A row here says that its probe is done. */
static drl_status score(work *w, drl_err *err) {
    const drl_images *im = &w->e->data->split[DRL_SPLIT_TEST];
    drl_real *x = NULL;
    drl_status st = encode(w, &x, DRL_SPLIT_TEST, NULL, im->n, err);
    drl_codes test = {im->n, w->d, w->e->data->classes, x, im->labels};
    static const drl_probe_kind order[DRL_PROBES] = {DRL_PROBE_KNN, DRL_PROBE_MLP, DRL_PROBE_LINEAR};
    for (int i = 0; st == DRL_OK && i < DRL_PROBES; i++) {
        drl_probe_kind probe = order[i];
        double accuracy;
        if (i == 1 && w->mean) drl_standardise(x, im->n, w->d, w->mean, w->std); /* k-NN has seen them as they are */
        if (!w->missing[probe]) continue;
        st = drl_classifier_accuracy(&accuracy, w->fit[probe], test, w->e->team, err);
        if (st == DRL_OK)
            st = drl_store_put(w->e->store, w->run, drl_probe_metric[probe], w->row_t, accuracy, w->detail[probe], err);
    }
    drl_free(x);
    return st;
}

drl_status drl_eval_probe(drl_eval *e, const drl_arm *arm, drl_model *m, int64_t run, double t, double row_t,
                          uint64_t seed, drl_err *err) {
    size_t n = e->data->split[DRL_SPLIT_TRAIN].n;
    work w = {.e = e,
              .s = &arm->settings,
              .m = m,
              .run = run,
              .t = t,
              .row_t = row_t,
              .seed = seed,
              .n = n,
              .n_val = drl_validation_size(n),
              .d = drl_model_code_size(m)};
    double start = drl_now();
    drl_status st = find_missing(w.missing, e, arm, run, row_t, err);
    if (st != DRL_OK || !any(w.missing)) return st;
    st = fit_all(&w, err);
    if (st == DRL_OK) st = score(&w, err);
    if (st == DRL_OK && isnan(row_t)) drl_log("  encoded and probed in %.1f s", drl_now() - start);
    if (st == DRL_OK && !isnan(row_t)) drl_log("  t = %.2f: encoded and probed in %.1f s", t, drl_now() - start);
    for (int probe = 0; probe < DRL_PROBES; probe++) drl_classifier_free(w.fit[probe]);
    if (w.x != w.raw) drl_free(w.x);
    drl_free(w.raw);
    drl_free(w.y);
    drl_free(w.mean);
    return st;
}
