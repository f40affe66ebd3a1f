/* Per-channel sums (nn/norm.h). */
#include "nn/norm.h"

#include <string.h>

#define RUN ((size_t)64)

size_t drl_norm_scratch(size_t C) {
    return 24 * (C * sizeof(double) + DRL_ALIGN);
}

/* double total += run, run = 0 */
static void flush(double *restrict total, drl_real *restrict run, size_t C) {
    for (size_t c = 0; c < C; c++) {
        total[c] += (double)run[c];
        run[c] = 0;
    }
}

void drl_channel_sums(double *sum, const drl_real *restrict x, size_t pixels, size_t C, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch);
    drl_real *restrict run = drl_arena_take(scratch, C * sizeof *run);
    memset(run, 0, C * sizeof *run);
    memset(sum, 0, C * sizeof *sum);
    for (size_t from = 0; from < pixels; from += RUN) {
        size_t to = from + RUN < pixels ? from + RUN : pixels, p = from;
        for (; p + 4 <= to; p += 4) {
            const drl_real *restrict q = x + p * C;
            for (size_t c = 0; c < C; c++) run[c] += (q[c] + q[C + c]) + (q[2 * C + c] + q[3 * C + c]);
        }
        for (; p < to; p++)
            for (size_t c = 0; c < C; c++) run[c] += x[p * C + c];
        flush(sum, run, C);
    }
    drl_arena_release(scratch, mark);
}

void drl_channel_squares(double *square, const drl_real *restrict x, const double *mean, size_t pixels, size_t C,
                         drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch);
    drl_real *restrict run = drl_arena_take(scratch, C * sizeof *run);
    drl_real *restrict mu = drl_arena_take(scratch, C * sizeof *mu);
    for (size_t c = 0; c < C; c++) mu[c] = (drl_real)mean[c];
    memset(run, 0, C * sizeof *run);
    memset(square, 0, C * sizeof *square);
    for (size_t from = 0; from < pixels; from += RUN) {
        size_t to = from + RUN < pixels ? from + RUN : pixels, p = from;
        for (; p + 2 <= to; p += 2) {
            const drl_real *restrict q = x + p * C;
            for (size_t c = 0; c < C; c++) {
                drl_real d0 = q[c] - mu[c], d1 = q[C + c] - mu[c];
                run[c] += d0 * d0 + d1 * d1;
            }
        }
        for (; p < to; p++)
            for (size_t c = 0; c < C; c++) run[c] += (x[p * C + c] - mu[c]) * (x[p * C + c] - mu[c]);
        flush(square, run, C);
    }
    /* The rounding of mu to drl_real: sum (x - mean)^2 = sum (x - mu)^2 - pixels (mean - mu)^2. */
    for (size_t c = 0; c < C; c++) {
        double off = mean[c] - (double)mu[c];
        square[c] -= (double)pixels * off * off;
        if (square[c] < 0) square[c] = 0;
    }
    drl_arena_release(scratch, mark);
}

void drl_channel_dots(double *sums, double *dots, const drl_real *restrict da, const drl_real *restrict x,
                      const drl_real *restrict mean, size_t pixels, size_t C, drl_arena *scratch) {
    size_t mark = drl_arena_mark(scratch);
    drl_real *restrict s = drl_arena_take(scratch, C * sizeof *s), *restrict t = drl_arena_take(scratch, C * sizeof *t);
    memset(s, 0, C * sizeof *s);
    memset(t, 0, C * sizeof *t);
    memset(sums, 0, C * sizeof *sums);
    memset(dots, 0, C * sizeof *dots);
    for (size_t from = 0; from < pixels; from += RUN) {
        size_t to = from + RUN < pixels ? from + RUN : pixels, p = from;
        for (; p + 2 <= to; p += 2) {
            const drl_real *restrict e = da + p * C, *restrict q = x + p * C;
            for (size_t c = 0; c < C; c++) {
                s[c] += e[c] + e[C + c];
                t[c] += e[c] * (q[c] - mean[c]) + e[C + c] * (q[C + c] - mean[c]);
            }
        }
        for (; p < to; p++)
            for (size_t c = 0; c < C; c++) {
                s[c] += da[p * C + c];
                t[c] += da[p * C + c] * (x[p * C + c] - mean[c]);
            }
        flush(sums, s, C);
        flush(dots, t, C);
    }
    drl_arena_release(scratch, mark);
}

void drl_norm_dx(drl_real *restrict dx, const drl_real *restrict da, const drl_real *restrict x,
                 const drl_real *restrict mean, const drl_real *restrict k0, const drl_real *restrict k1,
                 const drl_real *restrict k2, bool add, size_t pixels, size_t C) {
    for (size_t p = 0; p < pixels; p++, dx += C, da += C, x += C) {
        if (add)
            for (size_t c = 0; c < C; c++) dx[c] += k0[c] * da[c] + (k1[c] * (x[c] - mean[c]) + k2[c]);
        else
            for (size_t c = 0; c < C; c++) dx[c] = k0[c] * da[c] + (k1[c] * (x[c] - mean[c]) + k2[c]);
    }
}
