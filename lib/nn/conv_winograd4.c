/* The transforms of F(4x4, 3x3): 36 products where the definition takes 144.
 *
 * Toom and Cook's interpolation at the points 0, +-p, +-q and infinity. The usual 1 and 2 lose three to four times as
 * many digits as p = 3/4, q = 3/2, found by search (compare Barabasz et al. 2020); with these, results are as good as
 * plain summation in drl_real, and every entry of B and A is exact. With the sign of a point moved to sums and
 * differences, P = p^2, Q = q^2:
 *   B^T x:  PQ x0 - (P+Q) x2 + x4,   (x4 - Q x2) +- p (x3 - Q x1),   (x4 - P x2) +- q (x3 - P x1),
 *           PQ x1 - (P+Q) x3 + x5
 *   A^T = rows k = 0..3: 0^k, p^k, (-p)^k, q^k, (-q)^k, [k = 3]
 *   G   = rows (1, s, s^2) / N_s for each finite point s, (0, 0, 1);  N_0 = PQ, N_p = 2P (P - Q), N_q = 2Q (Q - P) */
#include "nn/conv_winograd.h"

enum { M = 4, N = 6 };

#define p1 ((drl_real)0.75)
#define q1 ((drl_real)1.5)
#define p2 (p1 * p1)
#define q2 (q1 * q1)
#define np (2 * p2 * (p2 - q2))
#define nq (2 * q2 * (q2 - p2))

static inline void bt(vec y[N], const vec x[N]) {
    vec even_p = x[4] - q2 * x[2], odd_p = p1 * (x[3] - q2 * x[1]);
    vec even_q = x[4] - p2 * x[2], odd_q = q1 * (x[3] - p2 * x[1]);
    y[0] = (x[4] - (p2 + q2) * x[2]) + (p2 * q2) * x[0];
    y[1] = even_p + odd_p, y[2] = even_p - odd_p;
    y[3] = even_q + odd_q, y[4] = even_q - odd_q;
    y[5] = (x[5] - (p2 + q2) * x[3]) + (p2 * q2) * x[1];
}

static inline void at(vec y[M], const vec x[N]) {
    vec sum_p = x[1] + x[2], off_p = x[1] - x[2], sum_q = x[3] + x[4], off_q = x[3] - x[4];
    y[0] = x[0] + (sum_p + sum_q);
    y[1] = p1 * off_p + q1 * off_q;
    y[2] = p2 * sum_p + q2 * sum_q;
    y[3] = x[5] + (p2 * p1 * off_p + q2 * q1 * off_q);
}

static inline void a(vec y[N], const vec x[M]) {
    vec even_p = x[0] + p2 * x[2], odd_p = p1 * (x[1] + p2 * x[3]);
    vec even_q = x[0] + q2 * x[2], odd_q = q1 * (x[1] + q2 * x[3]);
    y[0] = x[0];
    y[1] = even_p + odd_p, y[2] = even_p - odd_p;
    y[3] = even_q + odd_q, y[4] = even_q - odd_q;
    y[5] = x[3];
}

static inline void g(vec y[N], const vec x[3]) {
    vec even_p = (1 / np) * (x[0] + p2 * x[2]), odd_p = (p1 / np) * x[1];
    vec even_q = (1 / nq) * (x[0] + q2 * x[2]), odd_q = (q1 / nq) * x[1];
    y[0] = (1 / (p2 * q2)) * x[0];
    y[1] = even_p + odd_p, y[2] = even_p - odd_p;
    y[3] = even_q + odd_q, y[4] = even_q - odd_q;
    y[5] = x[2];
}

static inline void gt(vec y[3], const vec x[N]) {
    vec sum_p = (1 / np) * (x[1] + x[2]), sum_q = (1 / nq) * (x[3] + x[4]);
    y[0] = (1 / (p2 * q2)) * x[0] + (sum_p + sum_q);
    y[1] = (p1 / np) * (x[1] - x[2]) + (q1 / nq) * (x[3] - x[4]);
    y[2] = x[5] + (p2 * sum_p + q2 * sum_q);
}

#include "nn/conv_winograd_family.h"

const winograd drl_winograd4 = {M, N, gather, scatter, spread, kernel, gradient};
