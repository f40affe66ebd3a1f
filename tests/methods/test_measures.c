/* What methods measure of themselves, against plain loops; and the rule by which BYOL's target follows. */
#include "drl/contrastive.h"
#include "drl/reconstruction.h"
#include "methods.h"

enum { SIZE = SIDE * SIDE * 3, VALIDATION = TRAIN_IMAGES / 10 };

/* The pixels themselves, in the place of a network. */
static drl_tensor identity(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    (void)m, (void)t;
    return drl_op_add(g, x, x, 0.5);
}

/* 1/2 | x/2 - x |^2 */
static drl_tensor half_error(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    (void)m, (void)t;
    return drl_op_squared_error(g, drl_op_add(g, x, x, 0.25), x);
}

static double measured(const drl_measure *what, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(what[i].name, name) == 0) return what[i].value;
    fail_msg("%s was not measured", name);
    return NAN;
}

static void assert_close(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want)))) fail_msg("got %.9g, want %.9g", got, want);
}

/* The images that measurements may look at. */
static void validation_images(uint32_t index[VALIDATION], uint64_t seed) {
    uint32_t all[TRAIN_IMAGES];
    drl_split_validation(all, TRAIN_IMAGES, seed);
    for (size_t i = 0; i < VALIDATION; i++) index[i] = all[TRAIN_IMAGES - VALIDATION + i];
}

static void reconstruction(void **state) {
    (void)state;
    drl_model *m = open_small("ae", NULL, 3);
    drl_measure what[DRL_MEASURES];
    size_t n = 0;
    assert_int_equal(drl_reconstruction_measure(m, half_error, what, &n, NULL), DRL_OK);
    uint32_t index[VALIDATION];
    static drl_real x[VALIDATION * SIZE];
    validation_images(index, 3);
    drl_batch_images(x, data, DRL_SPLIT_TRAIN, index, VALIDATION);
    double squares = 0, spread = 0;
    for (size_t e = 0; e < SIZE; e++) {
        double mean = 0;
        for (size_t i = 0; i < VALIDATION; i++) mean += (double)x[i * SIZE + e] / VALIDATION;
        for (size_t i = 0; i < VALIDATION; i++) {
            double v = (double)x[i * SIZE + e];
            squares += v * v;
            spread += (v - mean) * (v - mean);
        }
    }
    assert_close(measured(what, n, "reconstruction_error"), squares / 8 / VALIDATION, 1e-5);
    assert_close(measured(what, n, "mean_image_error"), spread / 2 / VALIDATION, 1e-5);
    drl_model_close(m);
}

static void to_unit(double *f, const drl_real *x) {
    double sum = 0;
    for (size_t e = 0; e < SIZE; e++) sum += (double)x[e] * (double)x[e];
    for (size_t e = 0; e < SIZE; e++) f[e] = (double)x[e] / sqrt(sum);
}

static double distance(const double *a, const double *b) {
    double sum = 0;
    for (size_t e = 0; e < SIZE; e++) sum += (a[e] - b[e]) * (a[e] - b[e]);
    return sum;
}

static void on_the_sphere(void **state) {
    (void)state;
    drl_model *m = open_small("simclr-gauss", NULL, 3);
    drl_measure what[DRL_MEASURES];
    size_t n = 0;
    assert_true(m->augment.augment_noise > 0 && !m->augment.augment_flip);
    assert_int_equal(drl_simclr_measure(m, identity, what, &n, NULL), DRL_OK);
    uint32_t index[VALIDATION];
    static double f[2][VALIDATION][SIZE];
    drl_real picture[SIZE], *scratch = block(drl_augment_scratch(data) + 1);
    validation_images(index, 3);
    for (uint32_t view = 0; view < 2; view++)
        for (size_t i = 0; i < VALIDATION; i++) {
            const drl_augment_draw draw = {3, view, UINT32_MAX, i};
            drl_augment_image(picture, &m->augment, data, index[i], &draw, scratch);
            to_unit(f[view][i], picture);
        }
    double alignment = 0, kernel = 0, apart = 0;
    for (size_t i = 0; i < VALIDATION; i++) {
        alignment += distance(f[0][i], f[1][i]) / VALIDATION;
        for (size_t j = 0; j < VALIDATION; j++) {
            if (i == j) continue;
            kernel += exp(-2 * distance(f[0][i], f[0][j])) / (VALIDATION * (VALIDATION - 1));
            apart += distance(f[0][i], f[0][j]) / (VALIDATION * (VALIDATION - 1));
        }
    }
    assert_true(alignment > 0.001);
    assert_close(measured(what, n, "alignment"), alignment, 1e-5);
    assert_close(measured(what, n, "uniformity"), log(kernel), 1e-5);
    assert_close(measured(what, n, "contrast"), alignment / apart, 1e-5);
    drl_free(scratch);
    drl_model_close(m);
}

/* The same images and draws whenever it is asked; something else after training. */
static void measures_repeat(void **state) {
    (void)state;
    for (size_t i = 0; drl_method_at(i); i++) {
        if (!drl_method_at(i)->measure) continue;
        drl_model *m = open_small(drl_method_at(i)->name, NULL, 1);
        drl_measure what[3][DRL_MEASURES];
        size_t n[3];
        for (int k = 0; k < 3; k++) {
            if (k == 2) step(m), step(m);
            assert_int_equal(drl_model_measure(m, what[k], &n[k], NULL), DRL_OK);
            assert_true(n[k] > 0 && n[k] <= DRL_MEASURES);
        }
        assert_true(n[0] == n[1] && n[0] == n[2]);
        assert_true(what[0][0].value == what[1][0].value);
        assert_true(what[0][0].value != what[2][0].value);
        drl_model_close(m);
    }
}

/* A copy at first; then target <- 0.9 target + 0.1 online for what is trained, running statistics left to themselves.
 */
static void target_follows(void **state) {
    (void)state;
    drl_model *m = open_small("byol", SETS("byol.momentum=0.9", "train.rate=0.1", "train.warmup=0"), 5);
    const drl_params *ps = &m->params;
    size_t targets = 0;
    drl_real *before = block(ps->n_state);
    for (size_t i = 0; i < ps->n; i++) {
        if (strncmp(ps->list[i].name, "target.", 7) != 0) continue;
        int from = drl_params_find(ps, ps->list[i].name + 7);
        assert_true(from >= 0 && !ps->list[i].trained);
        assert_memory_equal(drl_params_at(ps, (int)i), drl_params_at(ps, from), ps->list[i].count * sizeof(drl_real));
        targets++;
    }
    assert_true(targets > 20);
    memcpy(before, ps->state, ps->n_state * sizeof *before);
    step(m);
    double moved = 0;
    for (size_t i = 0; i < ps->n; i++) {
        const drl_param *p = &ps->list[i];
        if (strncmp(p->name, "target.", 7) != 0) continue;
        int from = drl_params_find(ps, p->name + 7);
        if (!ps->list[from].trained) continue;
        const drl_real *target = drl_params_at(ps, (int)i), *online = drl_params_at(ps, from);
        for (size_t e = 0; e < p->count; e++) {
            double old = (double)before[p->offset + e], want = 0.9 * old + 0.1 * (double)online[e];
            assert_close((double)target[e], want, 1e-6);
            moved += fabs(want - old);
        }
    }
    assert_true(moved > 0.1);
    drl_free(before);
    drl_model_close(m);
}

int main(int argc, char **argv) {
    (void)argc;
    methods_begin(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reconstruction),
        cmocka_unit_test(on_the_sphere),
        cmocka_unit_test(measures_repeat),
        cmocka_unit_test(target_follows),
    };
    return cmocka_run_group_tests(tests, methods_setup, methods_teardown);
}
