/* Colours of pictures in [0, 1], as torchvision adjusts tensors (augment_ops.h). */
#include <math.h>

#include "augment_ops.h"

/* Rec. 601 luma */
#define RED   ((drl_real)0.299)
#define GREEN ((drl_real)0.587)
#define BLUE  ((drl_real)0.114)

static drl_real cut(drl_real v) {
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static drl_real grey_of(const drl_real *p) {
    return RED * p[0] + GREEN * p[1] + BLUE * p[2];
}

void drl_adjust_brightness(drl_real *x, const picture_shape *s, drl_real f) {
    for (size_t e = 0; e < picture_size(s); e++) x[e] = cut(f * x[e]);
}

void drl_adjust_contrast(drl_real *x, const picture_shape *s, drl_real f) {
    size_t size = picture_size(s), pixels = s->h * s->w;
    double sum = 0;
    if (s->c == 3)
        for (size_t p = 0; p < pixels; p++) sum += (double)grey_of(x + 3 * p);
    else
        for (size_t e = 0; e < size; e++) sum += (double)x[e];
    drl_real rest = (1 - f) * (drl_real)(sum / (double)(s->c == 3 ? pixels : size));
    for (size_t e = 0; e < size; e++) x[e] = cut(f * x[e] + rest);
}

void drl_adjust_saturation(drl_real *x, const picture_shape *s, drl_real f) {
    for (size_t p = 0; p < s->h * s->w; p++, x += 3) {
        drl_real rest = (1 - f) * grey_of(x);
        for (int k = 0; k < 3; k++) x[k] = cut(f * x[k] + rest);
    }
}

void drl_make_grey(drl_real *x, const picture_shape *s) {
    for (size_t p = 0; p < s->h * s->w; p++, x += 3) x[0] = x[1] = x[2] = grey_of(x);
}

/* With value v = max, chroma d = max - min and hue h in sixths of a turn, channel k of the colour is
 * v - d max(0, min(a, 4 - a, 1)),  a = (n_k + h) mod 6,  n = 5, 3, 1 for red, green, blue. */
void drl_adjust_hue(drl_real *x, const picture_shape *s, drl_real turn) {
    for (size_t p = 0; p < s->h * s->w; p++, x += 3) {
        drl_real r = x[0], g = x[1], b = x[2];
        drl_real v = r > g ? r > b ? r : b : g > b ? g : b, least = r < g ? r < b ? r : b : g < b ? g : b;
        drl_real d = v - least, h;
        if (!(d > 0)) continue; /* grey has no hue */
        if (v == r)
            h = (g - b) / d;
        else if (v == g)
            h = 2 + (b - r) / d;
        else
            h = 4 + (r - g) / d;
        h += 6 * turn + 12;
        for (int k = 0; k < 3; k++) {
            drl_real a = h + (drl_real)(5 - 2 * k);
            a -= 6 * (drl_real)floor((double)a / 6);
            drl_real m = a < 4 - a ? a : 4 - a;
            x[k] = v - d * cut(m);
        }
    }
}
