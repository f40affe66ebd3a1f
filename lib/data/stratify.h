/* A test split for datasets that come without one, and limits that lose no class. */
#ifndef DRL_STRATIFY_H
#define DRL_STRATIFY_H

#include <stdint.h>

#include "drl/err.h"
#include "drl/real.h"

/* order (n) = a permutation of a class's images, drawn from the seed and the class alone. Returns how many at its front
 * are for the test: the nearest whole number to a sixth, MNIST's and CIFAR's share, but one of two or more. n < 2^32.
 */
size_t drl_draw_test(uint32_t *order, size_t n, size_t label, uint64_t seed);

/* index (n) = the images kept for training, n - *n_test of them, then those of the test split, both in their own order;
 * each class gives what drl_draw_test draws. labels (n) in [0, classes), n < 2^32. ERR_MEMORY. */
drl_status drl_stratify(uint32_t *index, size_t *n_test, const int32_t *labels, size_t n, size_t classes, uint64_t seed,
                        drl_err *err);

/* index (n) permuted so that its first `limit` images (limit <= n) have a class less than all n only where the limit is
 * below the number of those: nothing is done where they have all classes already; else they are the first image of each
 * class that is there, by label, then the second ones, and so on. labels as above. ERR_MEMORY. */
drl_status drl_keep_classes(uint32_t *index, size_t n, size_t limit, const int32_t *labels, size_t classes,
                            drl_err *err);

#endif
