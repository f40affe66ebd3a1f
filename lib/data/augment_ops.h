/* The operations that augment.c is made of. Pictures are (h, w, c), channel fastest. */
#ifndef DRL_AUGMENT_OPS_H
#define DRL_AUGMENT_OPS_H

#include <stddef.h>
#include <stdint.h>

#include "drl/real.h"

typedef struct picture_shape {
    size_t h, w, c;
} picture_shape;

static inline size_t picture_size(const picture_shape *s) {
    return s->h * s->w * s->c;
}

/* The place that -1, -2, ... and n, n + 1, ... are reflected to, the edge not repeated; |i| < 2 n - 1. */
static inline size_t reflected(ptrdiff_t i, size_t n) {
    if (i < 0) i = -i;
    return (size_t)i < n ? (size_t)i : 2 * (n - 1) - (size_t)i;
}

/* ---- On bytes (augment_rand.c): in place; `copy` has room for a picture ------------------------------------------ */

enum {
    DRL_RAND_IDENTITY,
    DRL_RAND_SHEAR_X,
    DRL_RAND_SHEAR_Y,
    DRL_RAND_TRANSLATE_X,
    DRL_RAND_TRANSLATE_Y,
    DRL_RAND_ROTATE,
    DRL_RAND_BRIGHTNESS,
    DRL_RAND_COLOUR,
    DRL_RAND_CONTRAST,
    DRL_RAND_SHARPNESS,
    DRL_RAND_POSTERIZE,
    DRL_RAND_SOLARIZE,
    DRL_RAND_AUTOCONTRAST,
    DRL_RAND_EQUALIZE,
    DRL_RAND_OPS
};
/* One operation of RandAugment at strength magnitude / 30, with the sign (1 or -1) where it has one. */
void drl_rand_op(uint8_t *x, uint8_t *copy, const picture_shape *s, int op, size_t magnitude, int sign);

/* ---- On numbers in [0, 1] (augment_colour.c): in place; results are cut off at 0 and 1 --------------------------- */

/* x = f x */
void drl_adjust_brightness(drl_real *x, const picture_shape *s, drl_real f);
/* x = f x + (1 - f) (mean of the picture's grey) */
void drl_adjust_contrast(drl_real *x, const picture_shape *s, drl_real f);
/* x = f x + (1 - f) grey; colour only */
void drl_adjust_saturation(drl_real *x, const picture_shape *s, drl_real f);
/* The hue of HSV turned by `turn` (1: once around); colour only */
void drl_adjust_hue(drl_real *x, const picture_shape *s, drl_real turn);
/* All three channels = grey; colour only */
void drl_make_grey(drl_real *x, const picture_shape *s);

/* ---- On numbers (augment_filter.c) ------------------------------------------------------------------------------- */

/* out = the window (rows x columns at top, left) of in, resized bilinearly to the whole; pixel centres at half places,
 * edges of the window repeated. */
void drl_resize_window(drl_real *out, const drl_real *in, const picture_shape *s, size_t top, size_t left, size_t rows,
                       size_t columns);
/* x = x convolved with a Gaussian of deviation sigma in a kernel of `side` (odd) along both directions. `copy` has room
 * for a picture. */
void drl_gaussian_blur(drl_real *x, drl_real *copy, const picture_shape *s, double sigma, size_t side);

#endif
