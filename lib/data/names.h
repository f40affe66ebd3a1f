/* A set of names, to notice the second of two that are the same.
 *
 * Kept are their 64-bit hashes (XXH3): of a million different names two collide, and one would be taken for the other,
 * with a probability of 3e-8. */
#ifndef DRL_NAMES_H
#define DRL_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "drl/err.h"
#include "drl/real.h"

typedef struct drl_names {
    uint64_t *slot; /* (slots) hashes, 0: empty; open addressing, at most half full */
    size_t slots, n;
} drl_names;

/* *again = was the name there before? A zeroed set is an empty one. */
drl_status drl_names_add(drl_names *set, bool *again, const char *name, drl_err *err);
void drl_names_free(drl_names *set);

#endif
