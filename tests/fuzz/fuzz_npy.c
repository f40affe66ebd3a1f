/* NumPy arrays: every element can be read. */
#include "data/npy.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    drl_err err;
    drl_npy a;
    drl_status st = drl_npy_parse(&a, bytes, size, &err);
    if (st == DRL_OK) {
        size_t count = 1;
        FUZZ_CHECK(a.rank <= DRL_NPY_RANK);
        for (size_t d = 0; d < a.rank; d++) count *= a.shape[d];
        FUZZ_CHECK(count == a.count && a.data >= bytes && count * a.item <= (size_t)(bytes + size - a.data));
        for (size_t i = 0; i < count; i++) {
            if (a.type == 'f')
                (void)drl_npy_float(&a, i);
            else
                FUZZ_CHECK(drl_npy_index(&a, i, 10) < 10);
        }
    }
    fuzz_end(st, &err);
    return 0;
}
