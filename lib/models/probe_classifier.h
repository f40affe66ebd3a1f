/* What a fitted probe is made of (drl/probe.h). Internal to lib/models.
 *
 * A probe's own struct begins with a drl_classifier, which holds what is checked before the codes reach the probe. */
#ifndef DRL_MODELS_PROBE_CLASSIFIER_H
#define DRL_MODELS_PROBE_CLASSIFIER_H

#include "drl/probe.h"

typedef struct drl_classifier_type {
    const char *name; /* begins the messages of its errors */
    /* drl_classifier_accuracy for codes that are checked and fit the classifier. */
    drl_status (*accuracy)(double *accuracy, const drl_classifier *fit, const drl_codes *codes, drl_threads *team,
                           drl_err *err);
    /* Frees what the fit owns besides its own block; NULL where that is nothing. */
    void (*release)(drl_classifier *fit);
} drl_classifier_type;

struct drl_classifier {
    const drl_classifier_type *type;
    size_t d, classes; /* of the training codes */
};

#endif
