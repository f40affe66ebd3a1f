/* The operations of RandAugment on bytes, each as Pillow has it (augment_ops.h). */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "augment_ops.h"

#define STRENGTHS 30.0

/* ---- Geometry ---------------------------------------------------------------------------------------------------- */

/* x[row i, column j] = the pixel of the copy that holds the point (a[0] u + a[1] v + a[2], a[3] u + a[4] v + a[5]) of
 * (column, row) coordinates, (u, v) the centre of the pixel: nearest, black outside. */
static void affine(uint8_t *x, uint8_t *copy, const picture_shape *s, const double a[6]) {
    memcpy(copy, x, picture_size(s));
    for (size_t i = 0; i < s->h; i++)
        for (size_t j = 0; j < s->w; j++, x += s->c) {
            double u = (double)j + 0.5, v = (double)i + 0.5;
            double column = floor(a[0] * u + a[1] * v + a[2]), row = floor(a[3] * u + a[4] * v + a[5]);
            if (column >= 0 && row >= 0 && column < (double)s->w && row < (double)s->h)
                memcpy(x, copy + ((size_t)row * s->w + (size_t)column) * s->c, s->c);
            else
                memset(x, 0, s->c);
        }
}

/* Counter-clockwise by `degrees` about the centre. */
static void rotate(uint8_t *x, uint8_t *copy, const picture_shape *s, double degrees) {
    double angle = degrees * (3.14159265358979323846 / 180), cosine = cos(angle), sine = sin(angle);
    double cx = (double)s->w / 2, cy = (double)s->h / 2;
    affine(x, copy, s,
           (double[6]){cosine, -sine, cx - cosine * cx + sine * cy, sine, cosine, cy - sine * cx - cosine * cy});
}

/* ---- Blending with a degenerate picture -------------------------------------------------------------------------- */

/* d + f (x - d), cut off at 0 and 255, fractions dropped */
static uint8_t blend(uint8_t x, uint8_t d, float f) {
    float v = (float)d + f * ((float)x - (float)d);
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)v;
}

/* Rec. 601 luma in 16-bit fixed point, of a colour pixel; a grey one is its own. */
static uint8_t luma(const uint8_t *p, size_t c) {
    if (c != 3) return p[0];
    return (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
}

static void brightness(uint8_t *x, const picture_shape *s, float f) {
    for (size_t e = 0; e < picture_size(s); e++) x[e] = blend(x[e], 0, f);
}

static void colour(uint8_t *x, const picture_shape *s, float f) {
    for (size_t p = 0; s->c == 3 && p < s->h * s->w; p++, x += 3) {
        uint8_t grey = luma(x, 3);
        for (int k = 0; k < 3; k++) x[k] = blend(x[k], grey, f);
    }
}

static void contrast(uint8_t *x, const picture_shape *s, float f) {
    size_t pixels = s->h * s->w;
    uint64_t sum = 0;
    for (size_t p = 0; p < pixels; p++) sum += luma(x + p * s->c, s->c);
    uint8_t mean = (uint8_t)((double)sum / (double)pixels + 0.5);
    for (size_t e = 0; e < picture_size(s); e++) x[e] = blend(x[e], mean, f);
}

/* The degenerate picture is smoothed by (1 1 1; 1 5 1; 1 1 1) / 13, its border left as it is. */
static void sharpness(uint8_t *x, uint8_t *copy, const picture_shape *s, float f) {
    memcpy(copy, x, picture_size(s));
    size_t row = s->w * s->c;
    for (size_t i = 1; i + 1 < s->h; i++)
        for (size_t e = s->c; e < row - s->c; e++) {
            const uint8_t *at = copy + i * row + e;
            unsigned sum = 4u * at[0];
            for (int dy = -1; dy <= 1; dy++)
                for (int dx = -1; dx <= 1; dx++) sum += at[dy * (ptrdiff_t)row + dx * (ptrdiff_t)s->c];
            x[i * row + e] = blend(at[0], (uint8_t)((double)sum / 13 + 0.5), f);
        }
}

/* ---- Tables of bytes --------------------------------------------------------------------------------------------- */

static void apply_table(uint8_t *x, const picture_shape *s, size_t channel, const uint8_t table[256]) {
    for (size_t e = channel; e < picture_size(s); e += s->c) x[e] = table[x[e]];
}

static void count(size_t histogram[256], const uint8_t *x, const picture_shape *s, size_t channel) {
    memset(histogram, 0, 256 * sizeof *histogram);
    for (size_t e = channel; e < picture_size(s); e += s->c) histogram[x[e]]++;
}

/* The least and greatest value of a channel become 0 and 255. */
static void autocontrast(uint8_t *x, const picture_shape *s, size_t channel) {
    size_t histogram[256];
    count(histogram, x, s, channel);
    int low = 0, high = 255;
    while (histogram[low] == 0) low++;
    while (histogram[high] == 0) high--;
    if (high <= low) return;
    uint8_t table[256];
    double scale = 255.0 / (high - low), offset = -low * scale;
    for (int v = 0; v < 256; v++) {
        double to = v * scale + offset;
        table[v] = to <= 0 ? 0 : to >= 255 ? 255 : (uint8_t)to;
    }
    apply_table(x, s, channel, table);
}

/* The values of a channel become as evenly frequent as a table can make them. */
static void equalize(uint8_t *x, const picture_shape *s, size_t channel) {
    size_t histogram[256];
    count(histogram, x, s, channel);
    int last = 255;
    while (histogram[last] == 0) last--;
    size_t step = (s->h * s->w - histogram[last]) / 255, n = step / 2;
    if (step == 0) return;
    uint8_t table[256];
    for (int v = 0; v < 256; n += histogram[v], v++) table[v] = n / step < 255 ? (uint8_t)(n / step) : 255;
    apply_table(x, s, channel, table);
}

static void posterize(uint8_t *x, const picture_shape *s, unsigned bits) {
    uint8_t mask = (uint8_t)(0xff00u >> bits);
    for (size_t e = 0; e < picture_size(s); e++) x[e] &= mask;
}

static void solarize(uint8_t *x, const picture_shape *s, double threshold) {
    for (size_t e = 0; e < picture_size(s); e++) x[e] = x[e] < threshold ? x[e] : (uint8_t)(255 - x[e]);
}

/* ------------------------------------------------------------------------------------------------------------------ */

void drl_rand_op(uint8_t *x, uint8_t *copy, const picture_shape *s, int op, size_t magnitude, int sign) {
    double strength = (double)magnitude / STRENGTHS, amount = sign * strength;
    float factor = (float)(1 + 0.9 * amount);
    switch (op) {
    case DRL_RAND_IDENTITY: break;
    case DRL_RAND_SHEAR_X: affine(x, copy, s, (double[6]){1, 0.3 * amount, 0, 0, 1, 0}); break;
    case DRL_RAND_SHEAR_Y: affine(x, copy, s, (double[6]){1, 0, 0, 0.3 * amount, 1, 0}); break;
    case DRL_RAND_TRANSLATE_X:
        affine(x, copy, s, (double[6]){1, 0, trunc(amount * 150 / 331 * (double)s->w), 0, 1, 0});
        break;
    case DRL_RAND_TRANSLATE_Y:
        affine(x, copy, s, (double[6]){1, 0, 0, 0, 1, trunc(amount * 150 / 331 * (double)s->h)});
        break;
    case DRL_RAND_ROTATE: rotate(x, copy, s, 30 * amount); break;
    case DRL_RAND_BRIGHTNESS: brightness(x, s, factor); break;
    case DRL_RAND_COLOUR: colour(x, s, factor); break;
    case DRL_RAND_CONTRAST: contrast(x, s, factor); break;
    case DRL_RAND_SHARPNESS: sharpness(x, copy, s, factor); break;
    case DRL_RAND_POSTERIZE: posterize(x, s, (unsigned)(8 - lround(4 * strength))); break;
    case DRL_RAND_SOLARIZE: solarize(x, s, 255 - 255.0 * (double)magnitude / STRENGTHS); break;
    case DRL_RAND_AUTOCONTRAST:
        for (size_t k = 0; k < s->c; k++) autocontrast(x, s, k);
        break;
    case DRL_RAND_EQUALIZE:
        for (size_t k = 0; k < s->c; k++) equalize(x, s, k);
        break;
    default: assert(!"an operation of RandAugment");
    }
}
