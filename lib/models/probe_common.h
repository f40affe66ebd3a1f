/* What the probes share: the checks of their input and the accuracy. Internal to lib/models. */
#ifndef DRL_MODELS_PROBE_COMMON_H
#define DRL_MODELS_PROBE_COMMON_H

#include "drl/probe.h"

/* Refuses codes a probe cannot use, naming `part` ("training codes", ...) and the row: ERR_SHAPE for n, d or classes
 * of 0, ERR_LIMIT for sizes beyond 2^31 - 1 (BLAS counts in int), ERR_FORMAT for a label outside [0, classes),
 * ERR_NUMERIC for an element that is not finite. */
drl_status drl_probe_check(const drl_codes *codes, const char *part, drl_err *err);

/* ERR_SHAPE unless both have the same d and classes. */
drl_status drl_probe_check_pair(const drl_codes *train, const drl_codes *other, const char *part, drl_err *err);

/* Index of the largest of n > 0 values, the first of equals. */
size_t drl_probe_argmax(const drl_real *x, size_t n);

/* Turns logits (n, classes) into softmax(logits) in place, from the shifted exponentials exp(l - max l), and returns
 * the sum over rows of the cross-entropy log sum_c exp(l_c) - l_y, summed in double. */
double drl_probe_softmax(drl_real *restrict logits, const int32_t *restrict y, size_t n, size_t classes);

#endif
