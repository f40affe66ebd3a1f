/* Fitted probes (drl/probe.h): the checks all of them share, then the probe's own function. */
#include "models/probe_classifier.h"

#include <assert.h>

#include "drl/mem.h"
#include "models/probe_common.h"

drl_status drl_classifier_accuracy(double *accuracy, const drl_classifier *fit, drl_codes codes, drl_threads *team,
                                   drl_err *err) {
    assert(fit && team);
    const drl_codes fitted = {.d = fit->d, .classes = fit->classes};
    double share;
    drl_status st = drl_probe_check(&codes, "codes to classify", err);
    if (st == DRL_OK) st = drl_probe_check_pair(&fitted, &codes, "codes to classify", err);
    if (st == DRL_OK) st = fit->type->accuracy(&share, fit, &codes, team, err);
    if (st != DRL_OK) return drl_err_context(err, st, "%s", fit->type->name);
    *accuracy = share;
    return DRL_OK;
}

void drl_classifier_free(drl_classifier *fit) {
    if (!fit) return;
    if (fit->type->release) fit->type->release(fit);
    drl_free(fit);
}
