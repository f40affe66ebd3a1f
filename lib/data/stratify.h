/* A test split for datasets that come without one. */
#ifndef DRL_STRATIFY_H
#define DRL_STRATIFY_H

#include <stdint.h>

#include "drl/err.h"
#include "drl/real.h"

/* index (n) = the images kept for training, n - *n_test of them, then those of the test split, both in their own order.
 * Of each class the nearest whole number to a sixth of its images, but one of two or more, is for the test, drawn from
 * the seed and that class alone; the share is MNIST's and CIFAR's. labels (n) in [0, classes), n < 2^32. ERR_MEMORY. */
drl_status drl_stratify(uint32_t *index, size_t *n_test, const int32_t *labels, size_t n, size_t classes, uint64_t seed,
                        drl_err *err);

#endif
