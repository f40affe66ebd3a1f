/* NumPy's array format, in memory. */
#include "data/npy.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    drl_npy npy;
    if (drl_npy_parse(&npy, bytes, size, NULL) != DRL_OK) return 0;
    size_t count = 1;
    for (size_t k = 0; k < npy.rank; k++) count *= npy.shape[k];
    fuzz_check(count == npy.count && npy.data + npy.count * npy.item == bytes + size,
               "elements that do not fill their file");
    for (size_t i = 0; i < npy.count; i++) {
        if (npy.type == 'f')
            (void)drl_npy_float(&npy, i);
        else
            fuzz_check(drl_npy_index(&npy, i, 256) < 256, "an index out of range");
    }
    return 0;
}
