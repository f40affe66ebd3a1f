/* Safetensors: every byte of every tensor can be read, every name found again. */
#include <string.h>

#include "drl/safetensors.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    drl_err err;
    drl_st *file;
    drl_status st = drl_st_open(&file, fuzz_file(bytes, size), &err);
    if (st == DRL_OK) {
        static volatile uint8_t sink;
        for (size_t i = 0; i < drl_st_count(file); i++) {
            const drl_st_tensor *t = drl_st_at(file, i);
            size_t width = strchr(t->dtype, '8') ? 1 : strstr(t->dtype, "64") ? 8 : 4, count = 1;
            for (size_t d = 0; d < t->rank; d++) count *= t->shape[d];
            FUZZ_CHECK(t->rank <= DRL_ST_RANK && count == t->count && count * width <= size);
            for (size_t b = 0; b < count * width; b++) sink = ((const uint8_t *)t->data)[b];
            FUZZ_CHECK(drl_st_find(file, t->name) == t);
        }
        (void)sink;
        (void)drl_st_metadata(file, "config");
        drl_st_close(file);
    }
    fuzz_end(st, &err);
    return 0;
}
