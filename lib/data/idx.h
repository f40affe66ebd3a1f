/* IDX, the format of MNIST and its relatives: big-endian 32-bit magic number and dimensions, then unsigned bytes.
 *
 *   images   0x00000803, n, h, w, then (n, h, w)          labels   0x00000801, n, then (n)
 *
 * Both functions check a file held in memory and lend pointers into it. Dimensions are claims: their product is
 * compared with the bytes that are there. Messages do not name the file: the caller does. */
#ifndef DRL_IDX_H
#define DRL_IDX_H

#include <stdint.h>

#include "drl/err.h"
#include "drl/real.h"

typedef struct drl_idx_images {
    size_t n, h, w;        /* all at least 1      */
    const uint8_t *pixels; /* (n, h, w) row-major */
} drl_idx_images;

typedef struct drl_idx_labels {
    size_t n;              /* at least 1                      */
    const uint8_t *labels; /* (n) in [first, first + classes) */
} drl_idx_labels;

drl_status drl_idx_parse_images(drl_idx_images *images, const uint8_t *bytes, size_t size, drl_err *err);
drl_status drl_idx_parse_labels(drl_idx_labels *labels, const uint8_t *bytes, size_t size, size_t first, size_t classes,
                                drl_err *err);

#endif
