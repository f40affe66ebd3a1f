/* Counter-based random numbers (drl/rng.h). Counter of a block of four values: (index lo, index hi | sub, step,
 * purpose); key: the seed. */
#include "drl/rng.h"

#include <assert.h>

#include <Random123/philox.h>

drl_rng drl_rng_stream(uint64_t seed, drl_rng_purpose purpose, uint32_t sub, uint32_t step) {
    assert(sub < (1u << 24));
    return (drl_rng){{(uint32_t)seed, (uint32_t)(seed >> 32)}, {step, ((uint32_t)purpose << 24) | sub}};
}

static inline philox4x32_ctr_t block(drl_rng rng, uint64_t i) {
    philox4x32_ctr_t c = {{(uint32_t)i, (uint32_t)(i >> 32), rng.hi[0], rng.hi[1]}};
    philox4x32_key_t k = {{rng.key[0], rng.key[1]}};
    return philox4x32(c, k);
}

/* Blocks first .. first + LANES - 1 side by side, so that the compiler makes one vector of each word; each word lies in
 * the lower half of 64 bits, as the 32 x 32 -> 64 bit multiply wants it. Unrolling would hide the loop from it. */
#define LANES 16
static void blocks(drl_rng rng, uint64_t first, uint32_t *restrict out) {
    uint64_t c[4][LANES];
    uint32_t k0 = rng.key[0], k1 = rng.key[1];
    for (uint64_t l = 0; l < LANES; l++) {
        c[0][l] = (uint32_t)(first + l), c[1][l] = (first + l) >> 32;
        c[2][l] = rng.hi[0], c[3][l] = rng.hi[1];
    }
#pragma GCC unroll 1
    for (int round = 0; round < 10; round++, k0 += PHILOX_W32_0, k1 += PHILOX_W32_1) {
#pragma GCC unroll 1
        for (int l = 0; l < LANES; l++) {
            uint64_t p0 = (uint64_t)PHILOX_M4x32_0 * (uint32_t)c[0][l];
            uint64_t p1 = (uint64_t)PHILOX_M4x32_1 * (uint32_t)c[2][l];
            c[0][l] = (p1 >> 32) ^ c[1][l] ^ k0, c[1][l] = (uint32_t)p1;
            c[2][l] = (p0 >> 32) ^ c[3][l] ^ k1, c[3][l] = (uint32_t)p0;
        }
    }
    for (int l = 0; l < LANES; l++)
        for (int v = 0; v < 4; v++) out[4 * l + v] = (uint32_t)c[v][l];
}

void drl_rng_u32(drl_rng rng, uint64_t first, uint32_t *out, size_t n) {
    for (size_t i = 0; i < n;) {
        if ((first + i) % 4 == 0 && n - i >= 4 * LANES) {
            blocks(rng, (first + i) / 4, out + i);
            i += 4 * LANES;
            continue;
        }
        philox4x32_ctr_t b = block(rng, (first + i) / 4);
        for (size_t lane = (first + i) % 4; lane < 4 && i < n; lane++) out[i++] = b.v[lane];
    }
}

void drl_rng_uniform(drl_rng rng, uint64_t first, drl_real *out, size_t n) {
    for (size_t i = 0; i < n;) {
        philox4x32_ctr_t b = block(rng, (first + i) / 4);
        for (size_t lane = (first + i) % 4; lane < 4 && i < n; lane++)
            out[i++] = (drl_real)(b.v[lane] >> 8) * (drl_real)0x1p-24;
    }
}

/* Box-Muller: two uniforms, u1 in (0, 1], give two normals r cos(2 pi u2), r sin(2 pi u2), r = sqrt(-2 ln u1). */
static inline void normal4(philox4x32_ctr_t b, drl_real z[4]) {
    for (int p = 0; p < 2; p++) {
        float u1 = ((float)(b.v[2 * p] >> 8) + 1.0f) * 0x1p-24f, u2 = (float)(b.v[2 * p + 1] >> 8) * 0x1p-24f;
        float r = sqrtf(-2.0f * logf(u1)), a = 6.28318530717958647692f * u2;
        z[2 * p] = (drl_real)(r * cosf(a));
        z[2 * p + 1] = (drl_real)(r * sinf(a));
    }
}

void drl_rng_normal(drl_rng rng, uint64_t first, drl_real *out, size_t n) {
    for (size_t i = 0; i < n;) {
        drl_real z[4];
        normal4(block(rng, (first + i) / 4), z);
        for (size_t lane = (first + i) % 4; lane < 4 && i < n; lane++) out[i++] = z[lane];
    }
}

double drl_rng_uniform_at(drl_rng rng, uint64_t i) {
    philox4x32_ctr_t b = block(rng, i);
    uint64_t bits = ((uint64_t)b.v[0] << 21) ^ (b.v[1] >> 11);
    return (double)(bits & ((1ull << 53) - 1)) * 0x1p-53;
}

void drl_rng_permutation(drl_rng rng, uint32_t *out, size_t n) {
    assert(n <= UINT32_MAX);
    for (size_t i = 0; i < n; i++) out[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)(drl_rng_uniform_at(rng, i) * (double)i);
        uint32_t t = out[i - 1];
        out[i - 1] = out[j];
        out[j] = t;
    }
}
