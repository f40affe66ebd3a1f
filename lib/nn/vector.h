/* Vectors as wide as the instruction set compiled for: the compiler's own vector types (GCC and Clang). */
#ifndef DRL_NN_VECTOR_H
#define DRL_NN_VECTOR_H

#include <stddef.h>
#include <string.h>

#include "drl/real.h"

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

enum { V = VECTOR_BYTES / sizeof(drl_real) }; /* lanes */

typedef drl_real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef drl_real loose __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(drl_real)), may_alias));
typedef __typeof__((vec){0} < (vec){0}) mask; /* a lane's bits all 1 where true */

static inline vec load(const drl_real *p) {
    return *(const loose *)p;
}

static inline void store(drl_real *p, vec v) {
    *(loose *)p = v;
}

/* The first `lanes` lanes only; the others read as 0. A constant V leaves the plain ones above. */
static inline vec load_lanes(const drl_real *p, size_t lanes) {
    if (lanes == V) return load(p);
    vec v = {0};
    memcpy(&v, p, lanes * sizeof *p);
    return v;
}

static inline void store_lanes(drl_real *p, vec v, size_t lanes) {
    if (lanes == V)
        store(p, v);
    else
        memcpy(p, &v, lanes * sizeof *p);
}

/* v where m, else 0 */
static inline vec keep_where(mask m, vec v) {
    return (vec)(m & (mask)v);
}

/* max(v, 0); NaN stays NaN */
static inline vec rectified(vec v) {
    return (vec)(~(v < (vec){0}) & (mask)v);
}

#endif
