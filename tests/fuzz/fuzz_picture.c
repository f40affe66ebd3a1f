/* Pictures, JPEG and PNG: decoded within narrow limits, and resized by the first byte's filter to its size. */
#include "data/picture.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const drl_picture_limits limits = {1 << 16, 512, 1 << 16};
    static uint8_t out[64 * 64 * 3];
    if (size == 0) return 0;
    drl_err err;
    drl_picture p;
    size_t side = 1 + (bytes[0] >> 2);
    drl_status st = drl_picture_decode(&p, bytes + 1, size - 1, &limits, &err);
    if (st == DRL_OK) {
        FUZZ_CHECK((p.c == 1 || p.c == 3) && p.h > 0 && p.w > 0 && p.h <= 512 && p.w <= 512 && p.h * p.w <= 1 << 16);
        st = drl_picture_resize(out, &p, side, bytes[0] & 1 ? DRL_RESIZE_AREA : DRL_RESIZE_BICUBIC, &err);
        drl_picture_free(&p);
    }
    fuzz_end(st, &err);
    return 0;
}
