/* IDX: the first byte says which file the others are, and of how many classes. */
#include "data/idx.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (size == 0) return 0;
    drl_err err;
    drl_status st;
    size_t first = bytes[0] & 1, classes = 1 + (bytes[0] >> 2);
    if (bytes[0] & 2) {
        drl_idx_images im;
        st = drl_idx_parse_images(&im, bytes + 1, size - 1, &err);
        if (st == DRL_OK) {
            FUZZ_CHECK(im.n > 0 && im.h > 0 && im.w > 0 && im.pixels == bytes + 17);
            FUZZ_CHECK(im.n <= size && im.h <= size && im.w <= size && im.n * im.h * im.w == size - 17);
        }
    } else {
        drl_idx_labels la;
        st = drl_idx_parse_labels(&la, bytes + 1, size - 1, first, classes, &err);
        if (st == DRL_OK) {
            FUZZ_CHECK(la.n > 0 && la.n == size - 9);
            for (size_t i = 0; i < la.n; i++) FUZZ_CHECK(la.labels[i] >= first && la.labels[i] < first + classes);
        }
    }
    fuzz_end(st, &err);
    return 0;
}
