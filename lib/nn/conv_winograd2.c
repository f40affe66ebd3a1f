/* The transforms of F(2x2, 3x3): 16 products where the definition takes 36.
 *   B^T = | 1  0 -1  0 |    G = |  1    0    0  |    A^T = | 1  1  1  0 |
 *         | 0  1  1  0 |        | 1/2  1/2  1/2 |          | 0  1 -1 -1 |
 *         | 0 -1  1  0 |        | 1/2 -1/2  1/2 |
 *         | 0  1  0 -1 |        |  0    0    1  |                                    (Lavin and Gray 2016) */
#include "nn/conv_winograd.h"

enum { M = 2, N = 4 };

static inline void bt(vec y[N], const vec x[N]) {
    y[0] = x[0] - x[2], y[1] = x[1] + x[2], y[2] = x[2] - x[1], y[3] = x[1] - x[3];
}

static inline void at(vec y[M], const vec x[N]) {
    y[0] = x[0] + (x[1] + x[2]), y[1] = (x[1] - x[2]) - x[3];
}

static inline void a(vec y[N], const vec x[M]) {
    y[0] = x[0], y[1] = x[0] + x[1], y[2] = x[0] - x[1], y[3] = -x[1];
}

static inline void g(vec y[N], const vec x[3]) {
    const drl_real half = (drl_real)0.5;
    vec ends = half * (x[0] + x[2]), middle = half * x[1];
    y[0] = x[0], y[1] = ends + middle, y[2] = ends - middle, y[3] = x[2];
}

static inline void gt(vec y[3], const vec x[N]) {
    const drl_real half = (drl_real)0.5;
    vec even = half * (x[1] + x[2]);
    y[0] = x[0] + even, y[1] = half * (x[1] - x[2]), y[2] = even + x[3];
}

#include "nn/conv_winograd_family.h"

const winograd drl_winograd2 = {M, N, gather, scatter, spread, kernel, gradient};
