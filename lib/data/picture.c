/* Pictures of either format (picture.h). */
#include "picture.h"

#include <string.h>

#include "drl/mem.h"

drl_status drl_picture_check(size_t h, size_t w, const drl_picture_limits *limits, drl_err *err) {
    if (h == 0 || w == 0) return drl_fail(err, DRL_ERR_FORMAT, "is %zu x %zu: has no pixels", h, w);
    if (h > limits->side || w > limits->side)
        return drl_fail(err, DRL_ERR_LIMIT, "is %zu x %zu: no side may be longer than %zu", h, w, limits->side);
    if (h * w > limits->pixels)
        return drl_fail(err, DRL_ERR_LIMIT, "is %zu x %zu: at most %zu pixels are allowed", h, w, limits->pixels);
    return DRL_OK;
}

drl_status drl_picture_decode(drl_picture *p, const uint8_t *bytes, size_t size, const drl_picture_limits *limits,
                              drl_err *err) {
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff}, png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    *p = (drl_picture){0};
    if (size == 0) return drl_fail(err, DRL_ERR_FORMAT, "the file is empty");
    if (size > limits->bytes)
        return drl_fail(err, DRL_ERR_LIMIT, "has %zu bytes, at most %zu are allowed", size, limits->bytes);
    drl_status st;
    if (size >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0)
        st = drl_jpeg_decode(p, bytes, size, limits, err);
    else if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
        st = drl_png_decode(p, bytes, size, limits, err);
    else
        st = drl_fail(err, DRL_ERR_FORMAT, "is neither a JPEG nor a PNG picture");
    if (st != DRL_OK) drl_picture_free(p);
    return st;
}

void drl_picture_free(drl_picture *p) {
    drl_free(p->pixels);
    *p = (drl_picture){0};
}
