/* A test split for datasets that come without one, and limits that lose no class (stratify.h). */
#include "stratify.h"

#include <assert.h>
#include <stdbool.h>

#include "drl/mem.h"
#include "drl/rng.h"

#define SHARE 6 /* one image in so many is for the test */

size_t drl_draw_test(uint32_t *order, size_t n, size_t label, uint64_t seed) {
    drl_rng_permutation(drl_rng_stream(seed, DRL_RNG_FOLDER, (uint32_t)label, 0), order, n);
    size_t n_test = (n + SHARE / 2) / SHARE;
    return n_test == 0 && n > 1 ? 1 : n_test;
}

drl_status drl_stratify(uint32_t *index, size_t *n_test, const int32_t *labels, size_t n, size_t classes, uint64_t seed,
                        drl_err *err) {
    assert(n <= UINT32_MAX);
    uint32_t *members = NULL, *perm = NULL;
    bool *test = NULL;
    *n_test = 0;
    drl_status st = drl_alloc(&members, n, sizeof *members, "images of a class", err);
    if (st == DRL_OK) st = drl_alloc(&perm, n, sizeof *perm, "images of a class", err);
    if (st == DRL_OK) st = drl_alloc(&test, n, sizeof *test, "test split", err);
    for (size_t k = 0; st == DRL_OK && k < classes; k++) {
        size_t m = 0;
        for (size_t i = 0; i < n; i++)
            if (labels[i] == (int32_t)k) members[m++] = (uint32_t)i;
        size_t drawn = drl_draw_test(perm, m, k, seed);
        for (size_t j = 0; j < drawn; j++) test[members[perm[j]]] = true;
    }
    size_t train = 0;
    for (size_t i = 0; st == DRL_OK && i < n; i++) *n_test += test[i];
    for (size_t i = 0, t = n - *n_test; st == DRL_OK && i < n; i++) index[test[i] ? t++ : train++] = (uint32_t)i;
    drl_free(members);
    drl_free(perm);
    drl_free(test);
    return st;
}

/* Is every class of all n images among the first `limit`? */
static bool has_all(const uint32_t *index, size_t n, size_t limit, const int32_t *labels) {
    bool kept[256] = {false};
    for (size_t i = 0; i < limit; i++) kept[labels[index[i]]] = true;
    for (size_t i = limit; i < n; i++)
        if (!kept[labels[index[i]]]) return false;
    return true;
}

drl_status drl_keep_classes(uint32_t *index, size_t n, size_t limit, const int32_t *labels, size_t classes,
                            drl_err *err) {
    assert(limit <= n && classes <= 256);
    if (has_all(index, n, limit, labels)) return DRL_OK;
    uint32_t *by_class;
    size_t end[257] = {0}, at[256];
    drl_status st = drl_alloc(&by_class, n, sizeof *by_class, "images by class", err);
    if (st != DRL_OK) return st;
    /* Class k is by_class[at[k] .. end[k + 1] - 1], in its old order. */
    for (size_t i = 0; i < n; i++) end[labels[index[i]] + 1]++;
    for (size_t k = 0; k < classes; k++) end[k + 1] += at[k] = end[k];
    for (size_t i = 0; i < n; i++) by_class[at[labels[index[i]]]++] = index[i];
    for (size_t k = 0; k < classes; k++) at[k] = end[k];
    for (size_t i = 0; i < n;)
        for (size_t k = 0; k < classes; k++)
            if (at[k] < end[k + 1]) index[i++] = by_class[at[k]++];
    drl_free(by_class);
    return DRL_OK;
}
