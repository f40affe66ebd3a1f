/* Frames: an image with zeros around it, so that no tap of a kernel needs a test. */
#ifndef DRL_NN_CONV_FRAME_H
#define DRL_NN_CONV_FRAME_H

#include <string.h>

#include "drl/real.h"

typedef struct frame {
    size_t h, w, c;   /* with the zeros */
    size_t row, size; /* elements of a row and of the frame */
} frame;

/* The frame an image of h x w pixels needs: `before` zeros on top and left, and as many after it as ho x wo outputs of
 * a k x k kernel at `stride` reach. */
static inline frame frame_of(size_t h, size_t w, size_t c, size_t ho, size_t wo, size_t k, size_t stride,
                             size_t before) {
    size_t fh = (ho - 1) * stride + k, fw = (wo - 1) * stride + k;
    fh = fh > h + before ? fh : h + before;
    fw = fw > w + before ? fw : w + before;
    return (frame){fh, fw, c, fw * c, fh * fw * c};
}

static inline void fill_frame(drl_real *restrict to, const drl_real *restrict image, const frame *f, size_t h, size_t w,
                              size_t before) {
    for (size_t y = 0; y < f->h; y++, to += f->row) {
        if (y < before || y >= before + h) {
            memset(to, 0, f->row * sizeof *to);
            continue;
        }
        memset(to, 0, before * f->c * sizeof *to);
        memcpy(to + before * f->c, image + (y - before) * w * f->c, w * f->c * sizeof *to);
        memset(to + (before + w) * f->c, 0, (f->w - before - w) * f->c * sizeof *to);
    }
}

#endif
