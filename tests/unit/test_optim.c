/* Optimisers against a scalar reference in double, written from the formulas of drl/optim.h alone.   [vectors, 10] */
#define _DEFAULT_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drl/mem.h"
#include "drl/optim.h"
#include "drl/rng.h"

#define N_MAX ((size_t)3 * 4096 + 77)

static drl_real *new_block(size_t n) {
    drl_real *p;
    assert_int_equal(drl_alloc(&p, n, sizeof *p, "test", NULL), DRL_OK);
    return p;
}

static void fill(drl_real *p, size_t n, uint32_t step, double scale) {
    drl_rng_normal(drl_rng_stream(5, DRL_RNG_TEST, 0, step), 0, p, n);
    for (size_t i = 0; i < n; i++) p[i] = (drl_real)(scale * (double)p[i]);
}

static double squared_norm(const drl_real *g, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)g[i] * (double)g[i];
    return sum;
}

/* ---- The reference: one number at a time ------------------------------------------------------------------------- */

typedef struct scalar {
    double p, m, v, ema;
} scalar;

static void reference_step(scalar *s, double g, double norm, const drl_optim_cfg *c, uint64_t step) {
    double n = (double)step, k = n + 1;
    double rate = c->rate * (c->warmup ? fmin(n / (double)c->warmup, 1) : 1);
    if (c->clip > 0 && c->clip / (norm + 1e-6) < 1) g *= c->clip / (norm + 1e-6);
    g += c->weight_decay * s->p;
    if (c->kind == DRL_ADAM) {
        s->m = 0.9 * s->m + 0.1 * g;
        s->v = 0.999 * s->v + 0.001 * g * g;
        s->p -= rate * (s->m / (1 - pow(0.9, k))) / (sqrt(s->v / (1 - pow(0.999, k))) + 1e-8);
    } else {
        s->m = 0.9 * s->m + g;
        s->p -= rate * (g + 0.9 * s->m);
    }
    if (c->ema > 0) s->ema -= (1 - fmin(c->ema, (1 + k) / (10 + k))) * (s->ema - s->p);
}

static void near(double got, double want, double tol, const char *what, uint64_t step, size_t i) {
    if (!(fabs(got - want) <= tol))
        fail_msg("%s[%zu] after step %llu: %.9g, want %.9g", what, i, (unsigned long long)step, got, want);
}

/* Runs `steps` steps of both on n numbers; gradients of the given size. */
static void follow(const drl_optim_cfg *cfg, size_t n, int steps, double gradient_size, drl_threads *team) {
    drl_real *p = new_block(n), *g = new_block(n);
    scalar *s;
    assert_int_equal(drl_alloc(&s, n, sizeof *s, "test", NULL), DRL_OK);
    fill(p, n, 0, 1);
    for (size_t i = 0; i < n; i++) s[i] = (scalar){.p = (double)p[i], .ema = (double)p[i]};
    drl_optim o;
    assert_int_equal(drl_optim_init(&o, cfg, p, n, NULL), DRL_OK);
    assert_memory_equal(o.ema, p, n * sizeof *p);
    for (int k = 0; k < steps; k++) {
        fill(g, n, 1 + (uint32_t)k, gradient_size);
        double norm2 = squared_norm(g, n);
        drl_optim_step(&o, p, g, norm2, team);
        for (size_t i = 0; i < n; i++) {
            reference_step(&s[i], (double)g[i], sqrt(norm2), cfg, (uint64_t)k);
            near((double)p[i], s[i].p, 2e-6 * (1 + fabs(s[i].p)), "p", o.step, i);
            near((double)o.m[i], s[i].m, 1e-5 * (gradient_size + fabs(s[i].m)), "m", o.step, i);
            near((double)o.v[i], s[i].v, 1e-5 * (gradient_size * gradient_size + s[i].v), "v", o.step, i);
            near((double)o.ema[i], s[i].ema, 2e-6 * (1 + fabs(s[i].ema)), "ema", o.step, i);
        }
    }
    assert_int_equal(o.step, steps);
    assert_int_equal(o.updates, steps);
    drl_optim_free(&o);
    drl_free(p), drl_free(g), drl_free(s);
}

static void steps_follow_the_reference(void **state) {
    static const drl_optim_cfg cases[] = {
        {DRL_ADAM, 1e-2, 0, 0, 0, 0.999},
        {DRL_ADAM, 1e-2, 3, 1, 0, 0.999},
        {DRL_ADAM, 1e-2, 0, 1e9, 1e-2, 0.3},
        {DRL_ADAM, 1e-2, 100, 0.5, 1e-5, 0},
        {DRL_SGD_NESTEROV, 0.03, 0, 0, 5e-4, 0.999},
        {DRL_SGD_NESTEROV, 0.03, 4, 1, 0, 0.9},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        follow(&cases[c], 300, 15, 1, *state);
        follow(&cases[c], 1, 15, 0.1, *state); /* its norm is below every bound: no clipping */
    }
}

/* The first step of a warm-up leaves the weights alone, but feeds the moments; the rate then rises linearly. */
static void warm_up_starts_at_zero(void **state) {
    drl_optim_cfg cfg = drl_optim_published();
    assert_true(cfg.kind == DRL_ADAM && cfg.rate == 2e-4 && cfg.warmup == 5000 && cfg.clip == 1 && cfg.ema == 0.999);
    drl_real p[3] = {1, -2, 3}, g[3] = {0.1f, 0.2f, -0.3f};
    const drl_real before[3] = {1, -2, 3};
    drl_optim o;
    assert_int_equal(drl_optim_init(&o, &cfg, p, 3, NULL), DRL_OK);
    assert_true(drl_optim_rate(&o) == 0);
    drl_optim_step(&o, p, g, squared_norm(g, 3), *state);
    assert_memory_equal(p, before, sizeof p);
    for (int i = 0; i < 3; i++) assert_true(o.m[i] != 0 && o.v[i] > 0);
    assert_true(drl_optim_rate(&o) == 2e-4 / 5000);
    o.step = 4999;
    assert_true(fabs(drl_optim_rate(&o) - 2e-4 * 4999 / 5000) < 1e-18);
    o.step = 5000;
    assert_true(drl_optim_rate(&o) == 2e-4);
    o.step = 1000000;
    assert_true(drl_optim_rate(&o) == 2e-4);
    drl_optim_free(&o);
}

static void average_ramps_up(void **state) {
    (void)state;
    drl_optim_cfg cfg = drl_optim_published();
    drl_real p[1] = {0};
    drl_optim o;
    assert_int_equal(drl_optim_init(&o, &cfg, p, 1, NULL), DRL_OK);
    assert_true(fabs(drl_optim_ema_decay(&o) - 2.0 / 11) < 1e-15);
    o.ema_updates = 99;
    assert_true(fabs(drl_optim_ema_decay(&o) - 101.0 / 110) < 1e-15);
    o.ema_updates = 100000;
    assert_true(drl_optim_ema_decay(&o) == 0.999);
    drl_optim_free(&o);
}

/* The whole step is scaled, not each number: the direction of a clipped SGD step is that of the gradient. */
static void clipping_scales_the_whole_gradient(void **state) {
    drl_optim_cfg cfg = {DRL_SGD_NESTEROV, 1, 0, 1, 0, 0};
    drl_real p[2] = {0, 0}, g[2] = {3, 4};
    drl_optim o;
    assert_int_equal(drl_optim_init(&o, &cfg, p, 2, NULL), DRL_OK);
    drl_optim_step(&o, p, g, 25, *state);
    near((double)o.m[0], 0.6, 1e-6, "m", 1, 0); /* 3 / (5 + 1e-6) */
    near((double)o.m[1], 0.8, 1e-6, "m", 1, 1);
    near((double)p[0], -1.9 * 0.6, 1e-6, "p", 1, 0);
    drl_optim_free(&o);
}

/* Sizes around the blocks of 4096 numbers, against the reference and over 1, 2 and 3 threads. */
static void blocks_and_threads_change_no_bit(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 4095, 4096, 4097, N_MAX};
    static const drl_optim_kind kinds[] = {DRL_ADAM, DRL_SGD_NESTEROV};
    for (size_t c = 0; c < 2 * sizeof sizes / sizeof *sizes; c++) {
        size_t n = sizes[c / 2];
        drl_optim_cfg cfg = {kinds[c % 2], 1e-2, 2, 1, 1e-4, 0.999};
        drl_real *g = new_block(n), *p[4] = {NULL};
        drl_optim o[4];
        for (size_t threads = 1; threads <= 3; threads++) {
            drl_threads *team;
            assert_int_equal(drl_threads_open(&team, threads, NULL), DRL_OK);
            if (threads == 2) follow(&cfg, n, 2, 1, team);
            p[threads] = new_block(n);
            fill(p[threads], n, 0, 1);
            assert_int_equal(drl_optim_init(&o[threads], &cfg, p[threads], n, NULL), DRL_OK);
            for (uint32_t k = 0; k < 4; k++) {
                fill(g, n, 1 + k, 1);
                drl_optim_step(&o[threads], p[threads], g, squared_norm(g, n), team);
            }
            drl_threads_close(team);
            assert_memory_equal(p[threads], p[1], n * sizeof *g);
            assert_memory_equal(o[threads].m, o[1].m, n * sizeof *g);
            assert_memory_equal(o[threads].v, o[1].v, n * sizeof *g);
            assert_memory_equal(o[threads].ema, o[1].ema, n * sizeof *g);
        }
        for (int t = 1; t <= 3; t++) drl_optim_free(&o[t]), drl_free(p[t]);
        drl_free(g);
    }
}

static int open_team(void **state) {
    return drl_threads_open((drl_threads **)state, 1, NULL);
}

static int close_team(void **state) {
    drl_threads_close(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_follow_the_reference),
        cmocka_unit_test(warm_up_starts_at_zero),
        cmocka_unit_test(average_ramps_up),
        cmocka_unit_test(clipping_scales_the_whole_gradient),
        cmocka_unit_test(blocks_and_threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, open_team, close_team);
}
