/* Resizing pictures: a centred square, then the two directions one after the other (picture.h). */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "drl/mem.h"
#include "picture.h"

/* The square that is resized: row y, pixel x of it is at pixels[y * stride + x * c]. */
typedef struct square {
    const uint8_t *pixels;
    size_t n, c, stride;
} square;

static square centred_square(const drl_picture *p) {
    size_t n = p->h < p->w ? p->h : p->w;
    return (square){p->pixels + ((p->h - n) / 2 * p->w + (p->w - n) / 2) * p->c, n, p->c, p->w * p->c};
}

/* ---- Area -------------------------------------------------------------------------------------------------------- */

/* Measured in units in which an input pixel is `side` long and an output pixel n, so that every overlap is an integer:
 * out[j] = sum over i of |[i side, (i+1) side) and [j n, (j+1) n)| in[i], which is n times the mean. */
static size_t overlap(size_t i, size_t j, size_t n, size_t side) {
    size_t from = i * side > j * n ? i * side : j * n, to = (i + 1) * side < (j + 1) * n ? (i + 1) * side : (j + 1) * n;
    return to - from;
}

static void area_row(uint64_t *out, const uint8_t *in, size_t n, size_t side, size_t c) {
    memset(out, 0, side * c * sizeof *out);
    for (size_t j = 0; j < side; j++)
        for (size_t i = j * n / side; i < n && i * side < (j + 1) * n; i++) {
            size_t part = overlap(i, j, n, side);
            for (size_t k = 0; k < c; k++) out[j * c + k] += part * in[i * c + k];
        }
}

/* Sums stay below 255 n^2 < 2^64. */
static drl_status resize_area(uint8_t *out, const square *s, size_t side, drl_err *err) {
    size_t row = side * s->c, n = s->n;
    uint64_t *sums, half = (uint64_t)n * n / 2;
    drl_status st = drl_alloc(&sums, 2 * row, sizeof *sums, "picture", err);
    if (st != DRL_OK) return st;
    uint64_t *narrow = sums + row;
    size_t have = n; /* the input row that narrow holds */
    for (size_t j = 0; j < side; j++) {
        memset(sums, 0, row * sizeof *sums);
        for (size_t i = j * n / side; i < n && i * side < (j + 1) * n; i++) {
            if (have != i) area_row(narrow, s->pixels + i * s->stride, n, side, s->c);
            have = i;
            uint64_t part = overlap(i, j, n, side);
            for (size_t x = 0; x < row; x++) sums[x] += part * narrow[x];
        }
        for (size_t x = 0; x < row; x++) out[j * row + x] = (uint8_t)((sums[x] + half) / ((uint64_t)n * n));
    }
    drl_free(sums);
    return DRL_OK;
}

/* ---- Bicubic ----------------------------------------------------------------------------------------------------- */

/* Keys 1981, (8), with a = -0.5. */
static double keys(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* Output j is a weighted sum of count[j] inputs from first[j] on; its weights are at j * room. */
typedef struct taps {
    size_t room;
    size_t *first, *count;
    double *weight;
} taps;

static void taps_free(taps *t) {
    drl_free(t->first);
    drl_free(t->count);
    drl_free(t->weight);
}

static drl_status taps_make(taps *t, size_t n, size_t side, drl_err *err) {
    double step = (double)n / (double)side, scale = step > 1 ? step : 1, reach = 2 * scale;
    *t = (taps){.room = 2 * (size_t)ceil(reach) + 1};
    drl_status st = drl_alloc(&t->first, side, sizeof *t->first, "bicubic filter", err);
    if (st == DRL_OK) st = drl_alloc(&t->count, side, sizeof *t->count, "bicubic filter", err);
    if (st == DRL_OK) st = drl_alloc(&t->weight, side * t->room, sizeof *t->weight, "bicubic filter", err);
    for (size_t j = 0; st == DRL_OK && j < side; j++) {
        double centre = ((double)j + 0.5) * step, low = floor(centre - reach + 0.5), high = floor(centre + reach + 0.5);
        size_t first = low > 0 ? (size_t)low : 0, end = high < (double)n ? (size_t)high : n;
        double *w = t->weight + j * t->room, sum = 0;
        assert(end > first && end - first <= t->room);
        for (size_t i = first; i < end; i++) sum += w[i - first] = keys(((double)i + 0.5 - centre) / scale);
        for (size_t i = first; i < end; i++) w[i - first] /= sum;
        t->first[j] = first;
        t->count[j] = end - first;
    }
    return st;
}

static uint8_t to_byte(double v) {
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)floor(v + 0.5);
}

static drl_status resize_bicubic(uint8_t *out, const square *s, size_t side, drl_err *err) {
    size_t row = side * s->c, c = s->c;
    float *narrow = NULL; /* (n, side, c): every row, side wide */
    double *sum = NULL;
    taps t;
    drl_status st = taps_make(&t, s->n, side, err);
    if (st == DRL_OK) st = drl_alloc(&narrow, s->n, row * sizeof *narrow, "picture", err);
    if (st == DRL_OK) st = drl_alloc(&sum, row, sizeof *sum, "picture", err);
    for (size_t y = 0; st == DRL_OK && y < s->n; y++)
        for (size_t j = 0; j < side; j++) {
            const uint8_t *in = s->pixels + y * s->stride + t.first[j] * c;
            double v[3] = {0};
            for (size_t i = 0; i < t.count[j]; i++)
                for (size_t k = 0; k < c; k++) v[k] += t.weight[j * t.room + i] * in[i * c + k];
            for (size_t k = 0; k < c; k++) narrow[y * row + j * c + k] = (float)v[k];
        }
    for (size_t j = 0; st == DRL_OK && j < side; j++) {
        memset(sum, 0, row * sizeof *sum);
        for (size_t i = 0; i < t.count[j]; i++)
            for (size_t x = 0; x < row; x++) sum[x] += t.weight[j * t.room + i] * narrow[(t.first[j] + i) * row + x];
        for (size_t x = 0; x < row; x++) out[j * row + x] = to_byte(sum[x]);
    }
    taps_free(&t);
    drl_free(narrow);
    drl_free(sum);
    return st;
}

drl_status drl_picture_resize(uint8_t *out, const drl_picture *p, size_t side, drl_resize filter, drl_err *err) {
    assert(side > 0 && p->h > 0 && p->w > 0 && (p->c == 1 || p->c == 3));
    square s = centred_square(p);
    if (s.n == side) {
        for (size_t y = 0; y < side; y++) memcpy(out + y * side * s.c, s.pixels + y * s.stride, side * s.c);
        return DRL_OK;
    }
    return filter == DRL_RESIZE_AREA ? resize_area(out, &s, side, err) : resize_bicubic(out, &s, side, err);
}
