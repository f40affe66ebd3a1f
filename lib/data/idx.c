/* IDX files (idx.h). */
#include "idx.h"

#include <stdbool.h>

#define MAGIC_IMAGES 0x00000803u
#define MAGIC_LABELS 0x00000801u

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The magic number first, so that a file of the other kind is called by its name and not "too short". */
static drl_status check_header(const uint8_t *bytes, size_t size, uint32_t magic, size_t header, drl_err *err) {
    uint32_t got = size >= 4 ? big_endian(bytes) : 0;
    if (size >= 4 && got != magic)
        return drl_fail(err, DRL_ERR_FORMAT, "magic number: want 0x%08x (IDX %s), got 0x%08x%s", (unsigned)magic,
                        magic == MAGIC_IMAGES ? "images" : "labels", (unsigned)got,
                        got == MAGIC_IMAGES   ? " (IDX images)"
                        : got == MAGIC_LABELS ? " (IDX labels)"
                                              : "");
    if (size < header) return drl_fail(err, DRL_ERR_FORMAT, "IDX header: want %zu bytes, got %zu", header, size);
    return DRL_OK;
}

drl_status drl_idx_parse_images(drl_idx_images *images, const uint8_t *bytes, size_t size, drl_err *err) {
    enum { HEADER = 16 };
    drl_status st = check_header(bytes, size, MAGIC_IMAGES, HEADER, err);
    if (st != DRL_OK) return st;
    size_t n = big_endian(bytes + 4), h = big_endian(bytes + 8), w = big_endian(bytes + 12), want;
    if (n == 0) return drl_fail(err, DRL_ERR_FORMAT, "holds no images");
    if (h == 0 || w == 0) return drl_fail(err, DRL_ERR_FORMAT, "claims images of %zu x %zu pixels", h, w);
    bool overflow = __builtin_mul_overflow(n, h, &want) || __builtin_mul_overflow(want, w, &want);
    if (overflow || want != size - HEADER)
        return drl_fail(err, DRL_ERR_FORMAT, "claims %zu images of %zu x %zu pixels, but %zu bytes follow the header",
                        n, h, w, size - HEADER);
    *images = (drl_idx_images){n, h, w, bytes + HEADER};
    return DRL_OK;
}

drl_status drl_idx_parse_labels(drl_idx_labels *labels, const uint8_t *bytes, size_t size, size_t first, size_t classes,
                                drl_err *err) {
    enum { HEADER = 8 };
    drl_status st = check_header(bytes, size, MAGIC_LABELS, HEADER, err);
    if (st != DRL_OK) return st;
    size_t n = big_endian(bytes + 4);
    if (n == 0) return drl_fail(err, DRL_ERR_FORMAT, "holds no labels");
    if (n != size - HEADER)
        return drl_fail(err, DRL_ERR_FORMAT, "claims %zu labels, but %zu bytes follow the header", n, size - HEADER);
    for (size_t i = 0; i < n; i++)
        if (bytes[HEADER + i] < first || bytes[HEADER + i] - first >= classes)
            return drl_fail(err, DRL_ERR_FORMAT, "label %zu is %u, want %zu .. %zu", i, (unsigned)bytes[HEADER + i],
                            first, first + classes - 1);
    *labels = (drl_idx_labels){n, bytes + HEADER};
    return DRL_OK;
}
