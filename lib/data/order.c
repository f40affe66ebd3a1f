/* The order of the training images and the probe's validation split (drl/data.h). */
#include <assert.h>

#include "drl/data.h"
#include "drl/mem.h"
#include "drl/rng.h"

#define NO_EPOCH UINT64_MAX

drl_status drl_order_init(drl_order *order, uint64_t seed, size_t n, drl_err *err) {
    *order = (drl_order){.seed = seed, .n = n, .epoch = {NO_EPOCH, NO_EPOCH}};
    if (n == 0 || n > UINT32_MAX)
        return drl_fail(err, DRL_ERR_CONFIG, "order of %zu images: want 1 .. %u", n, (unsigned)UINT32_MAX);
    for (int slot = 0; slot < 2; slot++) {
        drl_status st = drl_alloc(&order->perm[slot], n, sizeof *order->perm[slot], "order of the images", err);
        if (st != DRL_OK) {
            drl_order_free(order);
            return st;
        }
    }
    return DRL_OK;
}

void drl_order_free(drl_order *order) {
    for (int slot = 0; slot < 2; slot++) drl_free(order->perm[slot]);
    *order = (drl_order){0};
}

/* The permutation of an epoch, drawn where it is not one of the two kept: even epochs in one slot, odd in the other, so
 * a batch that straddles two epochs draws each once. */
static const uint32_t *permutation(drl_order *order, uint64_t epoch) {
    size_t slot = epoch & 1;
    if (order->epoch[slot] != epoch) {
        drl_rng rng = drl_rng_stream(order->seed, DRL_RNG_SHUFFLE, (uint32_t)(epoch >> 32), (uint32_t)epoch);
        drl_rng_permutation(rng, order->perm[slot], order->n);
        order->epoch[slot] = epoch;
    }
    return order->perm[slot];
}

void drl_order_batch(drl_order *order, uint64_t k, size_t batch, uint32_t *index) {
    uint64_t first;
    bool overflow = __builtin_mul_overflow(k, (uint64_t)batch, &first);
    assert(order->n > 0 && !overflow);
    (void)overflow;
    for (size_t i = 0; i < batch;) {
        const uint32_t *perm = permutation(order, (first + i) / order->n);
        for (size_t at = (first + i) % order->n; at < order->n && i < batch; at++)
            index[i++] = order->part ? order->part[perm[at]] : perm[at];
    }
}

void drl_split_validation(uint32_t *index, size_t n, uint64_t seed) {
    drl_rng_permutation(drl_rng_stream(seed, DRL_RNG_SPLIT, 0, 0), index, n);
}

size_t drl_validation_size(size_t n) {
    return n / 10;
}
