/* Passes over pixels (nn/norm.h), a column of V channels at a time: its constants and sums stay in registers. The last
 * column may be narrower; it is computed by the same code with a variable number of lanes. */
#include "nn/norm.h"

#include "nn/vector.h"

#define RUN    ((size_t)64)
#define INLINE static inline __attribute__((always_inline))

/* Calls column(..., c, lanes) for every column. */
#define FOR_EACH_COLUMN(C, column, ...)                                                                                \
    do {                                                                                                               \
        size_t column_at = 0;                                                                                          \
        for (; column_at + V <= (C); column_at += V) column(__VA_ARGS__, column_at, V);                                \
        if (column_at < (C)) column(__VA_ARGS__, column_at, (C)-column_at);                                            \
    } while (0)

/* total[l] += v[l] */
INLINE void add_to(double *total, vec v, size_t lanes) {
    for (size_t l = 0; l < lanes; l++) total[l] += (double)v[l];
}

/* The pivot, near enough to the mean that the squares about it keep their digits: the mean of up to 16 pixels. */
INLINE vec pivot_of(const drl_real *x, size_t pixels, size_t C, size_t lanes) {
    size_t k = pixels < 16 ? pixels : 16;
    vec sum = {0};
    for (size_t i = 0; i < k; i++) sum += load_lanes(x + i * (pixels / k) * C, lanes);
    return sum / (drl_real)k;
}

/* With d = x - pivot:  mean = pivot + sum d / n,  m2 = sum d^2 - (sum d)^2 / n */
INLINE void moments_column(double *mean, double *m2, const drl_real *x, size_t pixels, size_t C, size_t c,
                           size_t lanes) {
    vec pivot = pivot_of(x + c, pixels, C, lanes);
    double sums[V] = {0}, squares[V] = {0};
    for (size_t from = 0; from < pixels; from += RUN) {
        size_t to = from + RUN < pixels ? from + RUN : pixels, p = from;
        vec s0 = {0}, s1 = {0}, q0 = {0}, q1 = {0};
        for (; p + 2 <= to; p += 2) {
            vec d0 = load_lanes(x + p * C + c, lanes) - pivot, d1 = load_lanes(x + (p + 1) * C + c, lanes) - pivot;
            s0 += d0, s1 += d1, q0 += d0 * d0, q1 += d1 * d1;
        }
        if (p < to) {
            vec d = load_lanes(x + p * C + c, lanes) - pivot;
            s0 += d, q0 += d * d;
        }
        add_to(sums, s0 + s1, lanes);
        add_to(squares, q0 + q1, lanes);
    }
    for (size_t l = 0; l < lanes; l++) {
        double off = sums[l] / (double)pixels, about = squares[l] - sums[l] * off;
        mean[c + l] = (double)pivot[l] + off;
        m2[c + l] = about < 0 ? 0 : about; /* NaN stays NaN */
    }
}

void drl_channel_moments(double *mean, double *m2, const drl_real *x, size_t pixels, size_t C) {
    FOR_EACH_COLUMN(C, moments_column, mean, m2, x, pixels, C);
}

INLINE void sums_column(drl_real *sum, const drl_real *x, drl_real scale, size_t pixels, size_t C, size_t c,
                        size_t lanes) {
    double total[V] = {0};
    for (size_t from = 0; from < pixels; from += RUN) {
        size_t to = from + RUN < pixels ? from + RUN : pixels, p = from;
        vec s0 = {0}, s1 = {0};
        for (; p + 2 <= to; p += 2) {
            s0 += load_lanes(x + p * C + c, lanes);
            s1 += load_lanes(x + (p + 1) * C + c, lanes);
        }
        if (p < to) s0 += load_lanes(x + p * C + c, lanes);
        add_to(total, s0 + s1, lanes);
    }
    for (size_t l = 0; l < lanes; l++) sum[c + l] += scale * (drl_real)total[l];
}

void drl_channel_sums(drl_real *sum, const drl_real *x, drl_real scale, size_t pixels, size_t C) {
    FOR_EACH_COLUMN(C, sums_column, sum, x, scale, pixels, C);
}

INLINE void apply_column(drl_real *y, const drl_real *x, const drl_affine *n, bool relu, size_t pixels, size_t C,
                         size_t c, size_t lanes) {
    vec mean = load_lanes(n->mean + c, lanes), slope = load_lanes(n->slope + c, lanes);
    vec bias = load_lanes(n->bias + c, lanes);
    for (size_t p = 0; p < pixels; p++) {
        vec a = slope * (load_lanes(x + p * C + c, lanes) - mean) + bias;
        store_lanes(y + p * C + c, relu ? rectified(a) : a, lanes);
    }
}

void drl_norm_apply(drl_real *y, const drl_real *x, const drl_affine *n, size_t pixels, size_t C) {
    if (n->relu)
        FOR_EACH_COLUMN(C, apply_column, y, x, n, true, pixels, C);
    else
        FOR_EACH_COLUMN(C, apply_column, y, x, n, false, pixels, C);
}

INLINE void dots_column(double *sums, double *dots, const drl_real *da, const drl_real *x, const drl_affine *n,
                        bool relu, size_t pixels, size_t C, size_t c, size_t lanes) {
    vec mean = load_lanes(n->mean + c, lanes), slope = {0}, bias = {0};
    if (relu) slope = load_lanes(n->slope + c, lanes), bias = load_lanes(n->bias + c, lanes);
    for (size_t from = 0; from < pixels; from += RUN) {
        size_t to = from + RUN < pixels ? from + RUN : pixels;
        vec s[2] = {{0}}, t[2] = {{0}};
        for (size_t p = from; p < to; p++) {
            vec d = load_lanes(x + p * C + c, lanes) - mean, e = load_lanes(da + p * C + c, lanes);
            if (relu) e = keep_where(slope * d + bias > (vec){0}, e);
            s[p % 2] += e, t[p % 2] += e * d;
        }
        add_to(sums + c, s[0] + s[1], lanes);
        add_to(dots + c, t[0] + t[1], lanes);
    }
}

void drl_channel_dots(double *sums, double *dots, const drl_real *da, const drl_real *x, const drl_affine *n,
                      size_t pixels, size_t C) {
    if (n->relu)
        FOR_EACH_COLUMN(C, dots_column, sums, dots, da, x, n, true, pixels, C);
    else
        FOR_EACH_COLUMN(C, dots_column, sums, dots, da, x, n, false, pixels, C);
}

INLINE void dx_column(drl_real *dx, const drl_real *da, const drl_real *x, const drl_affine *n, bool relu,
                      const drl_real *k0, const drl_real *k1, const drl_real *k2, bool add, size_t pixels, size_t C,
                      size_t c, size_t lanes) {
    vec mean = load_lanes(n->mean + c, lanes), slope = {0}, bias = {0};
    vec u = load_lanes(k0 + c, lanes), v = load_lanes(k1 + c, lanes), w = load_lanes(k2 + c, lanes);
    if (relu) slope = load_lanes(n->slope + c, lanes), bias = load_lanes(n->bias + c, lanes);
    for (size_t p = 0; p < pixels; p++) {
        vec d = load_lanes(x + p * C + c, lanes) - mean, e = load_lanes(da + p * C + c, lanes);
        if (relu) e = keep_where(slope * d + bias > (vec){0}, e);
        vec g = u * e + (v * d + w);
        store_lanes(dx + p * C + c, add ? load_lanes(dx + p * C + c, lanes) + g : g, lanes);
    }
}

void drl_norm_dx(drl_real *dx, const drl_real *da, const drl_real *x, const drl_affine *n, const drl_real *k0,
                 const drl_real *k1, const drl_real *k2, bool add, size_t pixels, size_t C) {
    if (n->relu && add)
        FOR_EACH_COLUMN(C, dx_column, dx, da, x, n, true, k0, k1, k2, true, pixels, C);
    else if (n->relu)
        FOR_EACH_COLUMN(C, dx_column, dx, da, x, n, true, k0, k1, k2, false, pixels, C);
    else if (add)
        FOR_EACH_COLUMN(C, dx_column, dx, da, x, n, false, k0, k1, k2, true, pixels, C);
    else
        FOR_EACH_COLUMN(C, dx_column, dx, da, x, n, false, k0, k1, k2, false, pixels, C);
}
