/* The gradient check itself: right gradients pass, and each kind of wrong one is found, for every tensor of every case.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gradcheck.h"

static size_t largest(const drl_real *d, size_t n) {
    size_t at = 0;
    for (size_t i = 1; i < n; i++)
        if (fabs(d[i]) > fabs(d[at])) at = i;
    return at;
}

static void keep(drl_real *d, size_t n) {
    (void)d, (void)n;
}

static void flip_sign(drl_real *d, size_t n) {
    for (size_t i = 0; i < n; i++) d[i] = -d[i];
}

static void flip_one(drl_real *d, size_t n) {
    size_t at = largest(d, n);
    d[at] = -d[at];
}

static void thousandth_more(drl_real *d, size_t n) {
    for (size_t i = 0; i < n; i++) d[i] *= 1.001;
}

/* A term ten times the tolerance. */
static void millionth_more(drl_real *d, size_t n) {
    for (size_t i = 0; i < n; i++) d[i] *= 1 + 1e-6;
}

static void drop_one(drl_real *d, size_t n) {
    d[largest(d, n)] = 0;
}

static void drop_all(drl_real *d, size_t n) {
    for (size_t i = 0; i < n; i++) d[i] = 0;
}

static void twice(drl_real *d, size_t n) {
    for (size_t i = 0; i < n; i++) d[i] *= 2;
}

static void not_a_number(drl_real *d, size_t n) {
    d[n / 2] = NAN;
}

static void all_not_a_number(drl_real *d, size_t n) {
    for (size_t i = 0; i < n; i++) d[i] = NAN;
}

static void infinite(drl_real *d, size_t n) {
    d[n / 2] = INFINITY;
}

static const struct {
    const char *name;
    gc_hook hook;
} hooks[] = {
    {"sign of all", flip_sign},
    {"sign of one", flip_one},
    {"x 1.001", thousandth_more},
    {"x 1.000001", millionth_more},
    {"one dropped", drop_one},
    {"all dropped", drop_all},
    {"x 2", twice},
    {"one NaN", not_a_number},
    {"all NaN", all_not_a_number},
    {"one infinite", infinite},
};

static drl_tensor linear(gc_build *b) {
    return drl_op_linear(b->g, b->in[0], "linear", 3, drl_init_zero(), drl_init_zero());
}

static drl_tensor conv_silu(gc_build *b) {
    const drl_conv_cfg cfg = {.out = 3, .k = 3, .stride = 1, .channel_add = -1, .residual = -1};
    return drl_op_silu(b->g, drl_op_conv(b->g, b->in[0], "conv", &cfg));
}

static drl_tensor norm_root(gc_build *b) {
    drl_tensor y = drl_op_global_mean(b->g, drl_op_group_norm(b->g, b->in[0], "norm", 1, 1e-3, 's', 0.2));
    gc_root(b, drl_op_kl(b->g, y), 0.5);
    return -1;
}

/* Many elements: most of them are seen through one direction alone. */
static drl_tensor sampled(gc_build *b) {
    return drl_op_linear(b->g, b->in[0], "linear", 17, drl_init_zero(), drl_init_zero());
}

static const gc_case cases[] = {
    {.name = "linear", .build = linear, .in = {{{1, 1, 5}}}},
    {.name = "convolution and SiLU", .build = conv_silu, .in = {{{3, 2, 2}}}},
    {.name = "norm under a root", .build = norm_root, .in = {{{3, 3, 4}}}},
    {.name = "sampled", .build = sampled, .in = {{{1, 1, 33}}}, .most = 5},
};

static void test_finds(void **state) {
    const gc_case *c = *state;
    gc_report good = gc_check(c, keep);
    assert_int_equal(good.failures, 0);
    assert_true(good.compared > 10);
    for (size_t h = 0; h < sizeof hooks / sizeof *hooks; h++) {
        gc_report bad = gc_check(c, hooks[h].hook);
        if (bad.failures < 2) fail_msg("%s: \"%s\" was found %zu times", c->name, hooks[h].name, bad.failures);
    }
}

/* Only an element that no sample hits is wrong: the direction finds it. */
static void spoil_second(drl_real *d, size_t n) {
    size_t at = largest(d, n) == 1 ? 2 : 1;
    if (n > 5) d[at] *= 1.5;
}

static void test_direction(void **state) {
    (void)state;
    assert_true(gc_check(&cases[3], spoil_second).failures > 0);
}

/* A gradient that is really zero everywhere proves nothing and fails. */
static drl_tensor nothing(gc_build *b) {
    return drl_op_scale_images(b->g, drl_op_relu(b->g, drl_op_add(b->g, b->in[0], b->in[1], -1)), b->in[2]);
}

static void test_zero(void **state) {
    (void)state;
    const gc_case c = {.name = "nothing",
                       .build = nothing,
                       .in = {{{1, 1, 3}, GC_UNIT}, {{1, 1, 3}, GC_UNIT}, {{1, 1, 1}, .fixed = true}}};
    assert_true(gc_check(&c, keep).failures > 0);
}

/* Every adjoint identity holds for an affine map and fails for one that is not. */
static void test_adjoint(void **state) {
    (void)state;
    gc_case c = cases[0];
    c.linear = true;
    assert_int_equal(gc_check(&c, keep).failures, 0);
    c = cases[1];
    c.linear = true;
    assert_true(gc_check(&c, keep).failures > 0);
}

int main(int argc, char **argv) {
    (void)argc;
    gc_open(argv);
    const struct CMUnitTest tests[] = {
        {.name = cases[0].name, .test_func = test_finds, .initial_state = (void *)&cases[0]},
        {.name = cases[1].name, .test_func = test_finds, .initial_state = (void *)&cases[1]},
        {.name = cases[2].name, .test_func = test_finds, .initial_state = (void *)&cases[2]},
        {.name = cases[3].name, .test_func = test_finds, .initial_state = (void *)&cases[3]},
        cmocka_unit_test(test_direction),
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_adjoint),
    };
    int failed = cmocka_run_group_tests_name("broken on purpose", tests, NULL, NULL);
    gc_close();
    return failed ? 1 : 0;
}
