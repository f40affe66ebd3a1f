/* Images drawn from known factors.                                                          [science.md, section 5, R3]
 *
 * Image i of a split is a function of (seed, split, i) alone: its 18 draws are values 0 .. 17 of the Philox stream
 * (seed, DRL_RNG_SYNTHETIC, sub = split, step = i), and below(draw, k) = floor(draw k / 2^32) is uniform in 0 .. k-1.
 * All arithmetic is on integers, so an image has the same bits on every machine. Draws 0 .. 6 are the classes of the
 * factors, independent and uniform:
 *
 *   shape       6   disc, square, triangle, diamond, cross, ring: the dataset's label
 *   x, y        4   centre uniform in [0.3, 0.7) size; the class is the quarter of that range
 *   foreground  6   red, yellow, green, cyan, blue, magenta                 (grey: 4 levels of brightness)
 *   background  6   the same hues, dark                                     (grey: 4 levels, all darker)
 *   scale       4   radius uniform in [0.14 + 0.04 class, 0.16 + 0.04 class) size
 *   texture     4   inside the shape: plain, stripes, checker, dots, of 11/16 the brightness; period max(4, size/8)
 *
 * Draws 7 .. 17 vary what the classes leave open: x, y and radius within their ranges, the texture's phase in x and in
 * y, and each channel of foreground and background by -8 .. 8. Edges are anti-aliased by 4 x 4 samples a pixel. */
#include <stdio.h>
#include <stdlib.h>

#include "drl/hash.h"
#include "drl/rng.h"
#include "source.h"

#define GENERATOR_VERSION 1 /* enters the dataset's SHA-256: raise it when a pixel may change */
#define MIN_SIZE          8
#define UNIT              256 /* geometry is in 1/256 pixel */
#define SAMPLES           4
#define JITTER            8

enum { SHAPE, X, Y, FOREGROUND, BACKGROUND, SCALE, TEXTURE, FACTORS };
enum {
    DRAW_X = FACTORS,
    DRAW_Y,
    DRAW_RADIUS,
    DRAW_PHASE_X,
    DRAW_PHASE_Y,
    DRAW_FG,
    DRAW_BG = DRAW_FG + 3,
    DRAWS = DRAW_BG + 3
};
enum { DISC, SQUARE, TRIANGLE, DIAMOND, CROSS, RING, SHAPES };
enum { PLAIN, STRIPES, CHECKER, DOTS, TEXTURES };

static const char *const factor_names[FACTORS] = {"shape", "x", "y", "foreground", "background", "scale", "texture"};
static const char *const shape_names[SHAPES] = {"disc", "square", "triangle", "diamond", "cross", "ring"};

/* What differs between the two variants. */
typedef struct palette {
    size_t channels, foregrounds, backgrounds;
    int fg[6][3], bg[6][3];
} palette;

static const palette colours = {
    3,
    6,
    6,
    {{235, 45, 45}, {235, 220, 40}, {50, 210, 60}, {50, 215, 225}, {70, 90, 245}, {230, 60, 225}},
    {{80, 15, 15}, {75, 70, 10}, {10, 75, 15}, {10, 70, 75}, {15, 20, 85}, {70, 15, 75}},
};
static const palette greys = {1, 4, 4, {{150}, {183}, {217}, {245}}, {{12}, {37}, {62}, {85}}};

/* One image's geometry and colours. */
typedef struct scene {
    int shape, texture;
    int64_t x, y, radius, period, phase_x, phase_y; /* in 1/256 pixel */
    int fg[3], bg[3];
} scene;

static uint32_t below(uint32_t draw, uint32_t k) {
    return (uint32_t)(((uint64_t)draw * k) >> 32);
}

/* Is the point at (dx, dy) from the centre inside the shape of circumradius r? y points down. */
static bool inside(int shape, int64_t dx, int64_t dy, int64_t r) {
    int64_t ax = llabs(dx), ay = llabs(dy), d2 = dx * dx + dy * dy;
    switch (shape) {
    case DISC: return d2 <= r * r;
    case SQUARE: return 100 * ax <= 82 * r && 100 * ay <= 82 * r;
    case TRIANGLE: return 2 * dy <= r && 1000 * ax <= 577 * (dy + r); /* equilateral, 0.577 = tan 30 degrees */
    case DIAMOND: return ax + ay <= r;
    case CROSS: return (10 * ax <= 3 * r && ay <= r) || (10 * ay <= 3 * r && ax <= r);
    default: return 100 * d2 <= 100 * r * r && 100 * d2 >= 30 * r * r; /* ring, inner radius 0.55 r */
    }
}

/* Is the point in a darker part of the texture? */
static bool is_dark(const scene *s, int64_t px, int64_t py) {
    int64_t x = px + s->phase_x, y = py + s->phase_y, half = s->period / 2;
    int64_t cx = x % s->period - half, cy = y % s->period - half;
    switch (s->texture) {
    case STRIPES: return cy >= 0;
    case CHECKER: return (cx >= 0) != (cy >= 0);
    case DOTS: return 100 * (cx * cx + cy * cy) <= 12 * s->period * s->period; /* radius 0.35 periods */
    default: return false;
    }
}

/* Mean of the samples of pixel (column, row): n[0] background, n[1] foreground, n[2] darker foreground. */
static void draw_pixel(uint8_t *out, size_t channels, const scene *s, size_t column, size_t row) {
    enum { ALL = SAMPLES * SAMPLES, STEP = UNIT / SAMPLES };
    int n[3] = {0};
    for (int i = 0; i < ALL; i++) {
        int64_t x = (int64_t)column * UNIT + STEP / 2 + (i % SAMPLES) * STEP;
        int64_t y = (int64_t)row * UNIT + STEP / 2 + (i / SAMPLES) * STEP;
        n[!inside(s->shape, x - s->x, y - s->y, s->radius) ? 0 : is_dark(s, x, y) ? 2 : 1]++;
    }
    for (size_t c = 0; c < channels; c++) {
        int sum = 16 * (n[0] * s->bg[c] + n[1] * s->fg[c]) + 11 * n[2] * s->fg[c];
        out[c] = (uint8_t)((sum + 8 * ALL) / (16 * ALL));
    }
}

/* The background everywhere, then the pixels the shape can touch. */
static void draw(uint8_t *out, size_t size, size_t channels, const scene *s) {
    for (size_t i = 0; i < size * size * channels; i++) out[i] = (uint8_t)s->bg[i % channels];
    size_t x0 = (size_t)(s->x - s->radius) / UNIT, x1 = (size_t)(s->x + s->radius) / UNIT;
    size_t y0 = (size_t)(s->y - s->radius) / UNIT, y1 = (size_t)(s->y + s->radius) / UNIT;
    for (size_t y = y0; y <= y1; y++)
        for (size_t x = x0; x <= x1; x++) draw_pixel(out + (y * size + x) * channels, channels, s, x, y);
}

/* Draws -> classes and scene, as listed at the top. */
static void compose(scene *s, int32_t factor[FACTORS], const size_t classes[FACTORS], const palette *p, size_t size,
                    const uint32_t d[DRAWS]) {
    for (int f = 0; f < FACTORS; f++) factor[f] = (int32_t)below(d[f], (uint32_t)classes[f]);
    uint32_t side = (uint32_t)size * UNIT, bin = side / 10, period = (uint32_t)(size / 8 > 4 ? size / 8 : 4) * UNIT;
    *s = (scene){
        .shape = factor[SHAPE],
        .texture = factor[TEXTURE],
        .x = side * 3 / 10 + (uint32_t)factor[X] * bin + below(d[DRAW_X], bin),
        .y = side * 3 / 10 + (uint32_t)factor[Y] * bin + below(d[DRAW_Y], bin),
        .radius = side * (14 + 4 * (uint32_t)factor[SCALE]) / 100 + below(d[DRAW_RADIUS], side / 50),
        .period = period,
        .phase_x = below(d[DRAW_PHASE_X], period),
        .phase_y = below(d[DRAW_PHASE_Y], period),
    };
    for (size_t c = 0; c < p->channels; c++) {
        s->fg[c] = p->fg[factor[FOREGROUND]][c] + (int)below(d[DRAW_FG + c], 2 * JITTER + 1) - JITTER;
        s->bg[c] = p->bg[factor[BACKGROUND]][c] + (int)below(d[DRAW_BG + c], 2 * JITTER + 1) - JITTER;
    }
}

static void draw_split(drl_images *im, drl_split split, const size_t *classes, const palette *p, uint64_t seed) {
    for (size_t i = 0; i < im->n; i++) {
        uint32_t draws[DRAWS];
        int32_t factor[FACTORS];
        scene s;
        drl_rng_u32(drl_rng_stream(seed, DRL_RNG_SYNTHETIC, (uint32_t)split, (uint32_t)i), 0, draws, DRAWS);
        compose(&s, factor, classes, p, im->h, draws);
        draw(im->pixels + i * im->h * im->w * im->c, im->h, im->c, &s);
        for (int f = 0; f < FACTORS; f++) im->factors[f][i] = factor[f];
        im->labels[i] = factor[SHAPE];
    }
}

static drl_status open_synthetic(drl_dataset *ds, const drl_dataset_cfg *cfg, const palette *p, drl_err *err) {
    if (cfg->size < MIN_SIZE)
        return drl_fail(err, DRL_ERR_CONFIG, "image size %zu: want at least %d", cfg->size, MIN_SIZE);
    const size_t n[DRL_SPLITS] = {cfg->train_limit ? cfg->train_limit : 4096, cfg->test_limit ? cfg->test_limit : 1024};
    const size_t classes[FACTORS] = {SHAPES, 4, 4, p->foregrounds, p->backgrounds, 4, TEXTURES};
    for (int s = 0; s < DRL_SPLITS; s++) {
        drl_status st = drl_images_alloc(&ds->split[s], n[s], cfg->size, cfg->size, p->channels, FACTORS, err);
        if (st != DRL_OK) return st;
        draw_split(&ds->split[s], (drl_split)s, classes, p, cfg->seed);
    }
    ds->factors = FACTORS;
    ds->classes = SHAPES;
    for (int f = 0; f < FACTORS; f++) {
        ds->factor_classes[f] = classes[f];
        snprintf(ds->factor_names[f], sizeof ds->factor_names[f], "%s", factor_names[f]);
    }
    for (int k = 0; k < SHAPES; k++) snprintf(ds->class_names[k], sizeof ds->class_names[k], "%s", shape_names[k]);
    char parameters[256];
    int length =
        snprintf(parameters, sizeof parameters, "%s version=%d seed=%llu size=%zu train=%zu test=%zu", ds->name,
                 GENERATOR_VERSION, (unsigned long long)cfg->seed, cfg->size, n[DRL_SPLIT_TRAIN], n[DRL_SPLIT_TEST]);
    drl_sha256(ds->sha256, parameters, (size_t)length);
    return DRL_OK;
}

drl_status drl_source_synthetic_factors(drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err) {
    return open_synthetic(ds, cfg, &colours, err);
}

drl_status drl_source_synthetic_grey(drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err) {
    return open_synthetic(ds, cfg, &greys, err);
}
