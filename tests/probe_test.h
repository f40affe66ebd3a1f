/* Shared by the tests of the probes: cmocka with its includes, small synthetic codes, closeness that NaN fails. */
#ifndef DRL_TESTS_PROBE_TEST_H
#define DRL_TESTS_PROBE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/blas.h"
#include "drl/mem.h"
#include "drl/probe.h"
#include "drl/rng.h"

#define assert_close(a, b, tol)                                                                                        \
    do {                                                                                                               \
        double close_a = (double)(a), close_b = (double)(b), close_t = (double)(tol);                                  \
        if (!(fabs(close_a - close_b) <= close_t))                                                                     \
            fail_msg("%s = %.17g, %s = %.17g, more than %g apart", #a, close_a, #b, close_b, close_t);                 \
    } while (0)

/* Standard normal codes (n, d) and labels: class of the sign pattern of the first two dimensions (XOR-like: label 1
 * where the signs differ) for classes = 2, else uniform. A share `noise` of the labels is redrawn. */
static inline drl_codes make_codes(size_t n, size_t d, size_t classes, double noise, uint64_t seed) {
    drl_real *x = NULL;
    int32_t *y = NULL;
    assert_int_equal(drl_alloc(&x, n * d, sizeof *x, "codes", NULL), DRL_OK);
    assert_int_equal(drl_alloc(&y, n, sizeof *y, "labels", NULL), DRL_OK);
    drl_rng_normal(drl_rng_stream(seed, DRL_RNG_TEST, 0, 0), 0, x, n * d);
    drl_rng draw = drl_rng_stream(seed, DRL_RNG_TEST, 1, 0);
    for (size_t i = 0; i < n; i++) {
        bool differ = d > 1 && (x[i * d] > 0) != (x[i * d + 1] > 0);
        double u = drl_rng_uniform_at(draw, 2 * i), any = drl_rng_uniform_at(draw, 2 * i + 1);
        y[i] = classes == 2 && u >= noise ? (int32_t)differ : (int32_t)(any * (double)classes);
    }
    return (drl_codes){n, d, classes, x, y};
}

static inline void free_codes(drl_codes c) {
    drl_free((void *)(uintptr_t)c.x);
    drl_free((void *)(uintptr_t)c.y);
}

/* drl_classifier_accuracy that must succeed. */
static inline double accuracy_of(const drl_classifier *fit, drl_codes codes, drl_threads *team) {
    double accuracy = NAN;
    drl_err err;
    if (drl_classifier_accuracy(&accuracy, fit, codes, team, &err) != DRL_OK) fail_msg("%s", err.message);
    return accuracy;
}

static inline drl_threads *open_team(size_t n) {
    drl_threads *team = NULL;
    assert_int_equal(drl_threads_open(&team, n, NULL), DRL_OK);
    return team;
}

#endif
