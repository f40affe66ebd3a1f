/* Safetensors files. */
#include <string.h>

#include "drl/safetensors.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    drl_st *st;
    if (drl_st_open(&st, fuzz_write("a.safetensors", bytes, size), NULL) != DRL_OK) return 0;
    for (size_t k = 0; k < drl_st_count(st); k++) {
        const drl_st_tensor *t = drl_st_at(st, k);
        size_t item = strchr(t->dtype, '8') ? 1 : strstr(t->dtype, "64") ? 8 : 4, count = 1;
        for (size_t d = 0; d < t->rank; d++) count *= t->shape[d];
        fuzz_check(count == t->count && count * item <= size, "a tensor larger than its file");
        fuzz_check(drl_st_find(st, t->name) != NULL, "a tensor that is not found by its name");
        fuzz_read(t->data, count * item);
    }
    (void)drl_st_metadata(st, "key");
    drl_st_close(st);
    return 0;
}
