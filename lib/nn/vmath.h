/* exp, sigmoid and SiLU written so that compilers turn loops over them into vector code without -ffast-math. */
#ifndef DRL_NN_VMATH_H
#define DRL_NN_VMATH_H

#include <string.h>

#include "drl/real.h"

/* e^x. Float: x = n ln 2 + r, |r| <= ln 2 / 2, e^r by its Taylor polynomial of degree 7 (error below 1e-8 there), 2^n
 * put together from its bits; arguments are clamped to the normal range, so the result is never 0 or infinite. Relative
 * error below 2e-7 (tested over the whole range). Double: the C library's,
 * clamped likewise. NaN gives NaN. */
static inline drl_real drl_exp(drl_real x) {
#ifdef DRL_F64
    return exp(x < -700 ? -700 : x > 700 ? 700 : x);
#else
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to the nearest integer */
    float shifted = x * 1.44269504088896341f + magic, n = shifted - magic;
    float r = (x - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uint32_t bits; /* the low bits of `shifted` are n: no conversion, which NaN would make undefined */
    float two_n;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23;
    memcpy(&two_n, &bits, sizeof two_n);
    return p * two_n;
#endif
}

static inline drl_real drl_sigmoid(drl_real x) {
    return 1 / (1 + drl_exp(-x));
}

/* silu(x) = x sigmoid(x) */
static inline drl_real drl_silu1(drl_real x) {
    return x / (1 + drl_exp(-x));
}

/* silu'(x) = s (1 + x (1 - s)), s = sigmoid(x); 1 - s = e s with e = exp(-x) loses no digits for large x */
static inline drl_real drl_dsilu1(drl_real x) {
    drl_real e = drl_exp(-x), s = 1 / (1 + e);
    return s * (1 + x * (e * s));
}

#endif
