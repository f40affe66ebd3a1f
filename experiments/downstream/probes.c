/* Fitting the probes on one set of codes and putting their accuracies into the store. */
#include <stdio.h>
#include <string.h>

#include "drl/interrupt.h"
#include "drl/mem.h"
#include "downstream.h"

bool probe_wanted(const settings *s, int probe) {
    switch (probe) {
    case PROBE_MLP: return s->own.probe_mlp != MLP_NONE;
    case PROBE_LINEAR: return s->own.probe_linear;
    default: return s->own.probe_neighbours > 0;
    }
}

drl_status probe_done(drl_store *store, int64_t run_id, const settings *s, double t, bool *done, drl_err *err) {
    *done = true;
    for (int probe = 0; probe < PROBES; probe++) {
        bool found = true;
        double value;
        drl_status st = DRL_OK;
        if (probe_wanted(s, probe))
            st = drl_store_get(store, run_id, probe_metric[probe], t, &found, &value, NULL, 0, err);
        if (st != DRL_OK) return st;
        *done = *done && found;
    }
    return DRL_OK;
}

/* The training codes reordered: the probe's training part, then its validation part. */
typedef struct parts {
    drl_real *x; /* (n, d) */
    int32_t *y;  /* (n) */
    drl_codes train, val, both;
} parts;

static drl_status make_parts(parts *p, const drl_dataset *data, const code_pair *codes, uint64_t seed, drl_err *err) {
    const drl_images *train = &data->split[DRL_SPLIT_TRAIN];
    size_t n = train->n, d = codes->d, n_val = n / 10;
    uint32_t *index = NULL;
    *p = (parts){0};
    drl_status st = drl_alloc(&index, n, sizeof *index, "split", err);
    if (st == DRL_OK) st = drl_alloc(&p->x, n * d, sizeof *p->x, "codes", err);
    if (st == DRL_OK) st = drl_alloc(&p->y, n, sizeof *p->y, "labels", err);
    if (st == DRL_OK) {
        drl_split_validation(index, n, seed);
        for (size_t i = 0; i < n; i++) {
            memcpy(p->x + i * d, codes->x[DRL_SPLIT_TRAIN] + index[i] * d, d * sizeof *p->x);
            p->y[i] = train->labels[index[i]];
        }
        p->both = (drl_codes){n, d, data->classes, p->x, p->y};
        p->train = (drl_codes){n - n_val, d, data->classes, p->x, p->y};
        p->val = (drl_codes){n_val, d, data->classes, p->x + (n - n_val) * d, p->y + (n - n_val)};
    }
    drl_free(index);
    return st;
}

static void free_parts(parts *p) {
    drl_free(p->x);
    drl_free(p->y);
}

/* One probe: the fit, and in detail what was chosen. The test codes are not at hand here. */
static drl_status fit(drl_classifier **fitted, drl_probe_result *r, int probe, const parts *p, const settings *s,
                      uint64_t seed, drl_threads *team, char *detail, size_t size, drl_err *err) {
    drl_status st;
    if (probe == PROBE_MLP) {
        bool fast = s->own.probe_mlp == MLP_FAST;
        drl_mlp_cfg cfg = fast ? drl_mlp_fast() : drl_mlp_published();
        drl_mlp_job job = {p->train, p->val, seed};
        st = drl_probe_mlp(fitted, r, &job, 1, &cfg, team, err);
        if (st == DRL_OK)
            snprintf(detail, size, "probe = %s; rate %g, epoch %zu", fast ? "fast" : "published", r->rate, r->epoch);
    } else if (probe == PROBE_LINEAR) {
        drl_linear_cfg cfg = drl_linear_default();
        st = drl_probe_linear(fitted, r, p->train, p->val, &cfg, team, err);
        if (st == DRL_OK) snprintf(detail, size, "l2 %g, %zu iterations", r->rate, r->epoch);
    } else {
        st = drl_probe_knn(fitted, p->both, s->own.probe_neighbours, err);
        if (st == DRL_OK) snprintf(detail, size, "k = %zu, cosine", s->own.probe_neighbours);
    }
    return st;
}

static drl_status standardise(parts *p, code_pair *codes, size_t n_test, drl_err *err) {
    double *mean;
    size_t d = codes->d;
    drl_status st = drl_alloc(&mean, 2 * d, sizeof *mean, "standardisation", err);
    if (st != DRL_OK) return st;
    drl_standardise_fit(mean, mean + d, p->x, p->train.n, d);
    drl_standardise(p->x, p->both.n, d, mean, mean + d);
    drl_standardise(codes->x[DRL_SPLIT_TEST], n_test, d, mean, mean + d);
    drl_free(mean);
    return DRL_OK;
}

drl_status probe_codes(drl_store *store, int64_t run_id, const settings *s, const drl_dataset *data, code_pair *codes,
                       double t, uint64_t seed, bool resume, drl_threads *team, drl_err *err) {
    /* k-NN looks at the codes as they are, so it goes first; the others see them standardised. */
    static const int order[PROBES] = {PROBE_KNN, PROBE_MLP, PROBE_LINEAR};
    const drl_images *test_images = &data->split[DRL_SPLIT_TEST];
    const drl_codes test = {test_images->n, codes->d, data->classes, codes->x[DRL_SPLIT_TEST], test_images->labels};
    parts p;
    drl_status st = make_parts(&p, data, codes, seed, err);
    for (int k = 0; st == DRL_OK && k < PROBES; k++) {
        int probe = order[k];
        if (k == 1 && s->own.probe_standardise) st = standardise(&p, codes, test.n, err);
        if (st != DRL_OK || !probe_wanted(s, probe)) continue;
        drl_probe_result r;
        drl_classifier *fitted = NULL;
        double test_accuracy;
        char detail[128] = "", val_name[64];
        bool found = false;
        if (resume) st = drl_store_get(store, run_id, probe_metric[probe], t, &found, &test_accuracy, NULL, 0, err);
        if (st != DRL_OK || found) continue;
        st = fit(&fitted, &r, probe, &p, s, seed, team, detail, sizeof detail, err);
        if (st == DRL_ERR_INTERRUPTED) drl_fail(err, st, "interrupted; the same command goes on with this probe");
        if (st == DRL_OK) st = drl_classifier_accuracy(&test_accuracy, fitted, test, team, err);
        drl_classifier_free(fitted);
        /* the test row comes last: it is what says that the probe is done */
        if (st == DRL_OK && probe != PROBE_KNN) {
            snprintf(val_name, sizeof val_name, "%.*s_val_accuracy", (int)strcspn(probe_metric[probe], "_"),
                     probe_metric[probe]);
            st = drl_store_put(store, run_id, val_name, t, r.val_accuracy, detail, err);
        }
        if (st == DRL_OK) st = drl_store_put(store, run_id, probe_metric[probe], t, test_accuracy, detail, err);
        if (st == DRL_OK && drl_interrupted())
            st = drl_fail(err, DRL_ERR_INTERRUPTED, "interrupted; the same command goes on with the next probe");
    }
    free_parts(&p);
    return st;
}
