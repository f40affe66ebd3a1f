/* A set of names (names.h). */
#include "names.h"

#include <string.h>
#include <xxhash.h>

#include "drl/mem.h"

#define FIRST_SLOTS 256

/* The slot that holds the hash or is free for it. */
static uint64_t *find(uint64_t *slot, size_t slots, uint64_t hash) {
    size_t i = hash & (slots - 1);
    while (slot[i] != 0 && slot[i] != hash) i = (i + 1) & (slots - 1);
    return &slot[i];
}

static drl_status widen(drl_names *set, drl_err *err) {
    size_t slots = set->slots ? 2 * set->slots : FIRST_SLOTS;
    uint64_t *slot;
    drl_status st = drl_alloc(&slot, slots, sizeof *slot, "names of members", err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; i < set->slots; i++)
        if (set->slot[i] != 0) *find(slot, slots, set->slot[i]) = set->slot[i];
    drl_free(set->slot);
    set->slot = slot;
    set->slots = slots;
    return DRL_OK;
}

drl_status drl_names_add(drl_names *set, bool *again, const char *name, drl_err *err) {
    if (2 * (set->n + 1) > set->slots) {
        drl_status st = widen(set, err);
        if (st != DRL_OK) return st;
    }
    uint64_t hash = XXH3_64bits(name, strlen(name));
    if (hash == 0) hash = 1;
    uint64_t *slot = find(set->slot, set->slots, hash);
    *again = *slot != 0;
    if (!*again) {
        *slot = hash;
        set->n++;
    }
    return DRL_OK;
}

void drl_names_free(drl_names *set) {
    drl_free(set->slot);
    *set = (drl_names){0};
}
