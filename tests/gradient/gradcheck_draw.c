/* The numbers gradient checks are made with (gradcheck.h): inputs and parameters, all from named streams. */
#include <math.h>
#include <string.h>

#include "drl/rng.h"
#include "gradcheck.h"

void gc_draw_input(drl_real *x, size_t n, const gc_input *in, uint32_t stream) {
    drl_rng rng = drl_rng_stream(1, DRL_RNG_TEST, stream, 0);
    if (in->draw == GC_NORMAL) drl_rng_normal(rng, 0, x, n);
    for (size_t i = 0; i < n; i++) {
        double v = drl_rng_uniform_at(rng, n + i); /* behind the normal draws */
        switch (in->draw) {
        case GC_NORMAL: break;
        case GC_AWAY: x[i] = v < 0.5 ? -0.3 - 2 * v : 0.3 + 2 * (v - 0.5); break;
        case GC_UNIT: x[i] = 0.1 + 0.8 * v; break;
        case GC_LABEL: x[i] = floor(v * (double)in->classes); break;
        case GC_MASK: x[i] = v < 0.6; break;
        }
    }
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Weights of size 1/sqrt(fan in), vectors around 0 or, where they multiply, around 1: every part of a network matters,
 * also those that start at zero in training. */
void gc_draw_params(drl_params *ps) {
    drl_params_init(ps, 1);
    for (size_t i = 0; i < ps->n; i++) {
        const drl_param *p = &ps->list[i];
        drl_real *at = drl_params_at(ps, (int)i);
        if (ends_with(p->name, "fourier")) continue;
        bool positive = ends_with(p->name, "running_var"), factor = p->rank == 1 && ends_with(p->name, "weight");
        double size = p->rank == 1 ? 0.3 : 1 / sqrt((double)(p->count / p->shape[0]));
        drl_rng_normal(drl_rng_stream(2, DRL_RNG_TEST, (uint32_t)i, 0), 0, at, p->count);
        for (size_t e = 0; e < p->count; e++) {
            at[e] = at[e] * size + (factor ? 1 : 0);
            if (positive) at[e] = 0.5 + at[e] * at[e];
        }
    }
}
