/* The MLP probe's kernels against their plain loops: shapes of 1, primes and tails, padding that must not show. Also
 * compiled in double (tests/gradient/test_probe_kernels_double.c). */
#include "probe_test.h"

#include "models/probe_kernels.h"

#ifdef DRL_F64
#define TOLERANCE 1e-13
#else
#define TOLERANCE 2e-5
#endif

enum { J = DRL_MLP_J, P = DRL_MLP_P, MARGIN = 16 };
static const drl_real guard = (drl_real)123.5;

static size_t pad(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

/* n normals, or with seed 0 NaN: what a kernel must overwrite. Behind them values that must stay. */
static drl_real *make(size_t n, uint32_t seed) {
    drl_real *a = calloc(n + MARGIN, sizeof *a);
    if (seed) drl_rng_normal(drl_rng_stream(seed, DRL_RNG_TEST, 3, 0), 0, a, n);
    for (size_t i = 0; i < n && !seed; i++) a[i] = (drl_real)NAN;
    for (size_t i = n; i < n + MARGIN; i++) a[i] = guard;
    return a;
}

static void compare(const char *what, const drl_real *a, const drl_real *b, size_t n, double scale) {
    size_t zeros = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(fabs((double)a[i] - (double)b[i]) <= TOLERANCE * scale))
            fail_msg("%s: element %zu of %zu: %.9g, plain loop %.9g", what, i, n, (double)a[i], (double)b[i]);
        zeros += b[i] == 0;
    }
    assert_true(zeros < n);
    for (size_t i = n; i < n + MARGIN; i++) assert_true(a[i] == guard && b[i] == guard);
}

/* n rows, d dimensions, classes and panels as a network of that size would have them. */
typedef struct shape {
    size_t n, d, classes, panels;
} shape;
static const shape shapes[] = {{1, 1, 1, 1},   {1, 3, 2, 1},    {7, 5, 3, 2},     {16, 8, 4, 1},     {17, 13, 10, 3},
                               {31, 31, 7, 2}, {33, 64, 11, 1}, {200, 67, 10, 2}, {256, 128, 10, 2}, {29, 23, 23, 1}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void check_pack(const shape *s, bool indexed) {
    size_t rows = pad(s->n, DRL_MLP_ROWS), depth = pad(s->d, P), stored = s->n + 3;
    drl_real *codes = make(stored * s->d, 1), *a = make(rows * depth, 0), *b = make(rows * depth, 0);
    uint32_t *index = calloc(s->n, sizeof *index);
    for (size_t i = 0; i < s->n; i++) index[i] = (uint32_t)((7 * i + 2) % stored);
    drl_mlp_pack(a, codes, indexed ? index : NULL, s->n, rows, s->d, depth);
    drl_mlp_pack_ref(b, codes, indexed ? index : NULL, s->n, rows, s->d, depth);
    compare("pack", a, b, rows * depth, 0);
    size_t i = s->n - 1, k = s->d - 1;
    assert_true(b[(k / P * rows + i) * P + k % P] == codes[(indexed ? index[i] : i) * s->d + k]);
    free(codes);
    free(a);
    free(b);
    free(index);
}

static void test_pack(void **state) {
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) check_pack(&shapes[i], true), check_pack(&shapes[i], false);
}

static void check_forward(const shape *s, bool dropout) {
    size_t rows = pad(s->n, DRL_MLP_ROWS), depth = pad(s->d, P), outputs = pad(s->classes, 2);
    drl_real *x = make(rows * depth, 2), *w = make((depth + 1 + outputs) * J, 3);
    drl_real *a = make(rows * J, 0), *b = make(rows * J, 0);
    uint32_t *keep = calloc(rows, sizeof *keep);
    drl_rng_u32(drl_rng_stream(4, DRL_RNG_TEST, 0, 0), 0, keep, rows);
    drl_mlp_forward_panel(a, x, w, dropout ? keep : NULL, (drl_real)1.25, rows, depth);
    drl_mlp_forward_panel_ref(b, x, w, dropout ? keep : NULL, (drl_real)1.25, rows, depth);
    compare("forward", a, b, rows * J, sqrt((double)depth));
    free(x);
    free(w);
    free(a);
    free(b);
    free(keep);
}

static void test_forward(void **state) {
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) check_forward(&shapes[i], true), check_forward(&shapes[i], false);
}

static void test_logits(void **state) {
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        const shape *s = &shapes[i];
        size_t rows = pad(s->n, DRL_MLP_ROWS), depth = pad(s->d, P), outputs = pad(s->classes, 2);
        size_t panel = (depth + 1 + outputs) * J, h_step = rows * J + P * J;
        drl_real *h = make(s->panels * h_step, 5), *w = make(s->panels * panel, 6), *b2 = make(outputs, 7);
        drl_real *a = make(outputs * rows, 0), *b = make(outputs * rows, 0);
        size_t w2 = (depth + 1) * J;
        drl_mlp_logits(a, rows, h, h_step, w + w2, panel, b2, s->panels, rows, outputs);
        drl_mlp_logits_ref(b, rows, h, h_step, w + w2, panel, b2, s->panels, rows, outputs);
        compare("logits", a, b, outputs * rows, sqrt((double)(s->panels * J)));
        free(h);
        free(w);
        free(b2);
        free(a);
        free(b);
    }
}

static void test_backward(void **state) {
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        const shape *s = &shapes[i];
        size_t rows = pad(s->n, DRL_MLP_ROWS), depth = pad(s->d, P), outputs = pad(s->classes, 2);
        size_t panel = (depth + 1 + outputs) * J;
        drl_real *x = make(rows * depth, 8), *h = make(rows * J, 9), *w = make(panel, 10),
                 *dl = make(rows * outputs, 11);
        drl_real *a = make(panel, 0), *b = make(panel, 0), *da = make(rows * J, 0), *db = make(rows * J, 0);
        for (size_t k = 0; k < rows * J; k++) h[k] = k % 3 ? h[k] : 0; /* some negative, some zero, some not */
        drl_mlp_backward_panel(a, da, h, x, w, dl, (drl_real)1.25, rows, depth, outputs);
        drl_mlp_backward_panel_ref(b, db, h, x, w, dl, (drl_real)1.25, rows, depth, outputs);
        compare("dh", da, db, rows * J, sqrt((double)outputs));
        compare("gradient", a, b, panel, 4 * sqrt((double)(rows * outputs)));
        drl_real *arrays[] = {x, h, w, dl, a, b, da, db};
        for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++) free(arrays[k]);
    }
}

static void test_keep(void **state) {
    (void)state;
    static const size_t widths[] = {1, 2, 17, 33, J, 2 * J, 2 * J + 1, 2 * J - 1, 4 * J, 512};
    static const uint32_t thresholds[] = {1, 6554, 16384, 65535};
    enum { ROWS = 3 };
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (size_t t = 0; t < sizeof thresholds / sizeof *thresholds; t++) {
            size_t hidden = widths[i], panels = pad(hidden, J) / J, words = (hidden + 1) / 2;
            uint32_t *bits = calloc(words, sizeof *bits), *a = calloc(panels * ROWS, sizeof *a);
            uint32_t *b = calloc(panels * ROWS, sizeof *b);
            drl_rng_u32(drl_rng_stream(12, DRL_RNG_TEST, 0, (uint32_t)hidden), 0, bits, words);
            bits[0] = thresholds[t] | (thresholds[t] - 1) << 16; /* just kept, just not */
            drl_mlp_keep_row(a + 1, ROWS, bits, thresholds[t], hidden, panels);
            drl_mlp_keep_row_ref(b + 1, ROWS, bits, thresholds[t], hidden, panels);
            assert_memory_equal(a, b, panels * ROWS * sizeof *a);
            for (size_t j = 0; j < panels * J; j++) { /* the definition once more */
                uint32_t sixteen = j >= hidden ? 0 : j < words ? bits[j] & 0xffff : bits[j - words] >> 16;
                assert_int_equal(b[j / J * ROWS + 1] >> (j % J) & 1, j < hidden && sixteen >= thresholds[t]);
            }
            free(bits);
            free(a);
            free(b);
        }
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack),     cmocka_unit_test(test_forward), cmocka_unit_test(test_logits),
        cmocka_unit_test(test_backward), cmocka_unit_test(test_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
