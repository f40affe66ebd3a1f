/* Pictures: JPEG (libjpeg-turbo) and PNG (libpng) decoded from memory, written as PNG, resized.
 *
 * Decoded are grey and colour, of 8 bits a sample:
 *   JPEG   grey, YCbCr, RGB; CMYK and YCCK are refused
 *   PNG    1 to 16 bits; 16 are scaled to 8 (v / 257, rounded), palettes become colours, refused where they end too
 * early
 *
 * What is transparent is blended over black (colour * alpha / 255, rounded). Samples are taken as they are: gamma,
 * colour profiles and Exif's orientation are ignored, whatever is wrong with them. A checksum that fails, data that end
 * early and a code that does not exist are errors, as is everything that libjpeg warns of. */
#ifndef DRL_PICTURE_H
#define DRL_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "drl/data.h"
#include "drl/err.h"

typedef struct drl_picture {
    size_t h, w, c;  /* c: 1 grey, 3 red green blue                        */
    uint8_t *pixels; /* (h, w, c); owned, freed with drl_picture_free       */
} drl_picture;

/* What a file may ask for: its size, and what its header says before anything is allocated from it. */
typedef struct drl_picture_limits {
    size_t bytes, side, pixels;
} drl_picture_limits;
#define DRL_PICTURE_LIMITS ((drl_picture_limits){(size_t)64 << 20, (size_t)1 << 15, (size_t)64 << 20})

/* Decodes a file held in memory, whichever of the two it is. ERR_LIMIT and ERR_FORMAT messages do not name it; on
 * failure nothing is left allocated and *p is zeroed. Safe to call from several threads. */
drl_status drl_picture_decode(drl_picture *p, const uint8_t *bytes, size_t size, const drl_picture_limits *limits,
                              drl_err *err);
void drl_picture_free(drl_picture *p);

/* out (side, side, c) = the largest centred square of the picture, resized (side > 0; ERR_MEMORY).
 *   AREA      the mean of what an output pixel covers, pixels covered in part weighted by that part: exact, rounded
 *             half up
 *   BICUBIC   Keys' cubic convolution (1981) with a = -0.5, widened by the scale when shrinking so that nothing is
 *             skipped, and cut off and normalised at the edges: what Pillow calls BICUBIC
 * A picture that has the size already is copied. */
drl_status drl_picture_resize(uint8_t *out, const drl_picture *p, size_t side, drl_resize filter, drl_err *err);

/* Writes pixels (h, w, c), c = 1 or 3, as a PNG that appears whole or not at all. Messages name the path. */
drl_status drl_png_write(const char *path, const uint8_t *pixels, size_t h, size_t w, size_t c, drl_err *err);

/* For picture.c: one of each format. Both refuse by drl_picture_check what the header claims. */
drl_status drl_picture_check(size_t h, size_t w, const drl_picture_limits *limits, drl_err *err);
drl_status drl_jpeg_decode(drl_picture *p, const uint8_t *bytes, size_t size, const drl_picture_limits *limits,
                           drl_err *err);
drl_status drl_png_decode(drl_picture *p, const uint8_t *bytes, size_t size, const drl_picture_limits *limits,
                          drl_err *err);

#endif
