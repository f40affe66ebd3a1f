/* NumPy arrays made for the tests, written out by hand: not by the library's own writer. */
#ifndef DRL_TESTS_DATA_ARRAYS_H
#define DRL_TESTS_DATA_ARRAYS_H

#include "files.h"

/* An array whose header's text is given, padded as NumPy pads it. version: 1, 2 or 3. */
static void npy_text(buffer *out, int version, const char *text, const void *elements, size_t size) {
    size_t start = version == 1 ? 10 : 12, total = (start + strlen(text) + 1 + 63) / 64 * 64, length = total - start;
    memset(out->bytes, ' ', total);
    memcpy(out->bytes, "\x93NUMPY", 6);
    for (size_t k = 6; k < start; k++) out->bytes[k] = 0;
    out->bytes[6] = (uint8_t)version;
    out->bytes[8] = (uint8_t)length;
    out->bytes[9] = (uint8_t)(length >> 8);
    memcpy(out->bytes + start, text, strlen(text));
    out->bytes[total - 1] = '\n';
    if (size > 0) memcpy(out->bytes + total, elements, size);
    out->size = total + size;
}

/* The array NumPy would write. shape: "3, 4" or "3,". */
static void npy_make(buffer *out, const char *descr, const char *shape, const void *elements, size_t size) {
    char text[256];
    snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape);
    npy_text(out, 1, text, elements, size);
}

#endif
