/* Augmenting one image: what is drawn, and in what order it is applied (drl/augment.h). */
#include "drl/augment.h"

#include <math.h>
#include <string.h>

#include "augment_ops.h"
#include "drl/rng.h"

#define ATTEMPTS           10
#define JITTER_PROBABILITY 0.8

bool drl_augment_active(const drl_augment_cfg *c) {
    return c->augment_flip || c->augment_crop || c->augment_rand_ops || c->augment_resized_crop > 0 ||
           c->augment_jitter > 0 || c->augment_grey > 0 || c->augment_blur > 0 || c->augment_noise > 0;
}

/* A tenth of the side, odd. */
static size_t blur_side(const picture_shape *s) {
    size_t side = (s->h < s->w ? s->h : s->w) / 10;
    return side < 3 ? 3 : side | 1;
}

drl_status drl_augment_check(const drl_augment_cfg *c, size_t h, size_t w, drl_err *err) {
    size_t side = h < w ? h : w;
    if (c->augment_crop >= side)
        return drl_fail(err, DRL_ERR_CONFIG, "augment.crop = %zu: images of %zu x %zu can be reflected by %zu at most",
                        c->augment_crop, h, w, side - 1);
    return DRL_OK;
}

size_t drl_augment_scratch(const drl_dataset *ds) {
    const drl_images *im = &ds->split[DRL_SPLIT_TRAIN];
    return 4 * im->h * im->w * im->c; /* two pictures of bytes, two of numbers */
}

/* ---- Draws ------------------------------------------------------------------------------------------------------- */

/* Each kind of augmentation has numbers of its own among the 128 of a picture, from the one named here on: what is
 * drawn for one kind does not depend on which others are switched on (drl/augment.h has the table). */
#define DRAWS_A_PICTURE ((uint64_t)128)
enum {
    DRAW_FLIP = 0,          /* 1                                      */
    DRAW_CROP = 8,          /* 2                                      */
    DRAW_RAND_OPS = 16,     /* 2 for each of at most 8                */
    DRAW_RESIZED_CROP = 32, /* 2 for each of at most 10 attempts, + 2 */
    DRAW_JITTER = 64,       /* 8                                      */
    DRAW_GREY = 80,         /* 1                                      */
    DRAW_BLUR = 88,         /* 2                                      */
};
_Static_assert(DRAW_RESIZED_CROP + 2 * ATTEMPTS + 2 <= DRAW_JITTER, "numbers of a random resized crop");

/* The numbers of one kind: `next` counts from the first that is its own. */
typedef struct draws {
    drl_rng rng;
    uint64_t next;
} draws;

static draws draws_of(const draws *picture, unsigned kind) {
    return (draws){picture->rng, picture->next + kind};
}

static double uniform(draws *d) {
    return drl_rng_uniform_at(d->rng, d->next++);
}

static double between(draws *d, double low, double high) {
    return low + (high - low) * uniform(d);
}

/* 0 .. n - 1 */
static size_t below(draws *d, size_t n) {
    return (size_t)(uniform(d) * (double)n);
}

/* ---- On bytes ---------------------------------------------------------------------------------------------------- */

static void flip(uint8_t *x, const picture_shape *s) {
    for (size_t y = 0; y < s->h; y++)
        for (size_t l = 0, r = s->w - 1; l < r; l++, r--)
            for (size_t k = 0; k < s->c; k++) {
                uint8_t *a = x + (y * s->w + l) * s->c + k, *b = x + (y * s->w + r) * s->c + k, t = *a;
                *a = *b, *b = t;
            }
}

/* x[y][.] = x[y + down][. + right] with what lies beyond the edges reflected */
static void shift(uint8_t *x, uint8_t *copy, const picture_shape *s, ptrdiff_t down, ptrdiff_t right) {
    memcpy(copy, x, picture_size(s));
    for (size_t i = 0; i < s->h; i++) {
        const uint8_t *row = copy + reflected((ptrdiff_t)i + down, s->h) * s->w * s->c;
        for (size_t j = 0; j < s->w; j++, x += s->c)
            memcpy(x, row + reflected((ptrdiff_t)j + right, s->w) * s->c, s->c);
    }
}

static void on_bytes(uint8_t *x, uint8_t *copy, const picture_shape *s, const drl_augment_cfg *c,
                     const draws *picture) {
    draws d = draws_of(picture, DRAW_FLIP);
    if (c->augment_flip && uniform(&d) < 0.5) flip(x, s);
    if (c->augment_crop) {
        d = draws_of(picture, DRAW_CROP);
        ptrdiff_t pad = (ptrdiff_t)c->augment_crop, down = (ptrdiff_t)below(&d, 2 * c->augment_crop + 1) - pad;
        shift(x, copy, s, down, (ptrdiff_t)below(&d, 2 * c->augment_crop + 1) - pad);
    }
    d = draws_of(picture, DRAW_RAND_OPS);
    for (size_t i = 0; i < c->augment_rand_ops; i++) {
        int op = (int)below(&d, DRL_RAND_OPS), sign = uniform(&d) < 0.5 ? 1 : -1;
        drl_rand_op(x, copy, s, op, c->augment_rand_magnitude, sign);
    }
}

/* ---- On numbers -------------------------------------------------------------------------------------------------- */

/* Draws a window and resizes it; all of the picture where no attempt fits. */
static void resized_crop(drl_real *x, drl_real *copy, const picture_shape *s, double least, draws d) {
    size_t rows = s->h, columns = s->w;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        double area = (double)(s->h * s->w) * between(&d, least, 1);
        double ratio = exp(between(&d, log(3.0 / 4), log(4.0 / 3)));
        size_t w = (size_t)lround(sqrt(area * ratio)), h = (size_t)lround(sqrt(area / ratio));
        if (w == 0 || h == 0 || w > s->w || h > s->h) continue;
        rows = h, columns = w;
        break;
    }
    size_t top = below(&d, s->h - rows + 1), left = below(&d, s->w - columns + 1);
    memcpy(copy, x, picture_size(s) * sizeof *x);
    drl_resize_window(x, copy, s, top, left, rows, columns);
}

enum { BRIGHTNESS, CONTRAST, SATURATION, HUE, ADJUSTMENTS };

static void jitter(drl_real *x, const picture_shape *s, double strength, draws d) {
    if (!(uniform(&d) < JITTER_PROBABILITY)) return;
    int order[ADJUSTMENTS] = {BRIGHTNESS, CONTRAST, SATURATION, HUE};
    for (size_t n = ADJUSTMENTS; n > 1; n--) {
        size_t k = below(&d, n);
        int t = order[n - 1];
        order[n - 1] = order[k], order[k] = t;
    }
    drl_real amount[ADJUSTMENTS];
    double low = 1 - 0.8 * strength;
    for (int a = 0; a < HUE; a++) amount[a] = (drl_real)between(&d, low > 0 ? low : 0, 1 + 0.8 * strength);
    amount[HUE] = (drl_real)between(&d, -0.2 * strength, 0.2 * strength);
    for (int a = 0; a < ADJUSTMENTS; a++) {
        if (order[a] == BRIGHTNESS) drl_adjust_brightness(x, s, amount[BRIGHTNESS]);
        if (order[a] == CONTRAST) drl_adjust_contrast(x, s, amount[CONTRAST]);
        if (order[a] == SATURATION && s->c == 3) drl_adjust_saturation(x, s, amount[SATURATION]);
        if (order[a] == HUE && s->c == 3) drl_adjust_hue(x, s, amount[HUE]);
    }
}

/* Out of [0, 1], in place. */
static void on_numbers(drl_real *x, drl_real *copy, const picture_shape *s, const drl_augment_cfg *c,
                       const draws *picture) {
    if (c->augment_resized_crop > 0)
        resized_crop(x, copy, s, c->augment_resized_crop, draws_of(picture, DRAW_RESIZED_CROP));
    if (c->augment_jitter > 0) jitter(x, s, c->augment_jitter, draws_of(picture, DRAW_JITTER));
    draws d = draws_of(picture, DRAW_GREY);
    if (c->augment_grey > 0 && uniform(&d) < c->augment_grey && s->c == 3) drl_make_grey(x, s);
    d = draws_of(picture, DRAW_BLUR);
    if (c->augment_blur > 0 && uniform(&d) < c->augment_blur)
        drl_gaussian_blur(x, copy, s, between(&d, 0.1, 2), blur_side(s));
}

static void normalise(drl_real *x, const drl_dataset *ds, const picture_shape *s) {
    for (size_t k = 0; k < s->c; k++) {
        drl_real mean = (drl_real)ds->mean[k], scale = (drl_real)(1 / ds->std[k]);
        for (size_t e = k; e < picture_size(s); e += s->c) x[e] = (x[e] - mean) * scale;
    }
}

void drl_augment_image(drl_real *out, const drl_augment_cfg *c, const drl_dataset *ds, uint32_t image,
                       const drl_augment_draw *draw, drl_real *scratch) {
    const drl_images *im = &ds->split[DRL_SPLIT_TRAIN];
    const picture_shape s = {im->h, im->w, im->c};
    const size_t size = picture_size(&s);
    draws d = {drl_rng_stream(draw->seed, DRL_RNG_AUGMENT, draw->view, draw->step), draw->place * DRAWS_A_PICTURE};
    uint8_t *bytes = (uint8_t *)scratch;
    memcpy(bytes, im->pixels + image * size, size);
    on_bytes(bytes, bytes + size, &s, c, &d);
    drl_real *copy = scratch + 2 * size;
    if (c->augment_resized_crop > 0 || c->augment_jitter > 0 || c->augment_grey > 0 || c->augment_blur > 0) {
        for (size_t e = 0; e < size; e++) out[e] = (drl_real)bytes[e] * (drl_real)(1 / 255.0);
        on_numbers(out, copy, &s, c, &d);
        normalise(out, ds, &s);
    } else {
        for (size_t e = 0, k = 0; e < size; e++, k = k + 1 == s.c ? 0 : k + 1) out[e] = ds->normalised[k][bytes[e]];
    }
    if (c->augment_noise > 0) {
        drl_real std = (drl_real)c->augment_noise;
        drl_rng_normal(drl_rng_stream(draw->seed, DRL_RNG_AUGMENT_NOISE, draw->view, draw->step), draw->place * size,
                       copy, size);
        for (size_t e = 0; e < size; e++) out[e] += std * copy[e];
    }
}
