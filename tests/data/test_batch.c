/* Batches of normalised images against the formula, on one and three channels. */
#include "files.h"

#include <math.h>

#include "drl/data.h"

static void check_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("got %.9g, want %.9g", got, want);
}

static void test_batch(void **state) {
    (void)state;
    static const char *const names[] = {"synthetic:factors", "synthetic:shapes-grey"};
    enum { SIZE = 9, N = 5 };
    static const uint32_t index[N] = {49, 0, 7, 7, 31};
    for (int v = 0; v < 2; v++) {
        drl_dataset_cfg cfg = {.name = names[v], .size = SIZE, .train_limit = 50, .test_limit = 50};
        drl_dataset *ds;
        assert_int_equal(drl_dataset_open(&ds, &cfg, NULL), DRL_OK);
        size_t c = ds->split[0].c, elements = SIZE * SIZE * c;
        drl_real out[N * SIZE * SIZE * 3 + 1];
        for (int s = 0; s < DRL_SPLITS; s++) {
            out[N * elements] = 12345;
            size_t calls = drl_mem_get_stats().calls;
            drl_batch_images(out, ds, (drl_split)s, index, N);
            assert_int_equal(drl_mem_get_stats().calls, calls);
            assert_true(out[N * elements] == 12345);
            for (size_t i = 0; i < N; i++)
                for (size_t e = 0; e < elements; e++) {
                    double pixel = ds->split[s].pixels[index[i] * elements + e] / 255.0;
                    check_near(out[i * elements + e], (pixel - ds->mean[e % c]) / ds->std[e % c], 1e-6);
                }
        }
        drl_dataset_free(ds);
    }
}

/* Bytes that were normalised come back; what lies between two becomes the nearer, what lies outside the last. */
static void test_pixels(void **state) {
    (void)state;
    enum { SIZE = 16, ELEMENTS = SIZE * SIZE * 3 };
    drl_dataset_cfg cfg = {.name = "synthetic:factors", .size = SIZE, .train_limit = 50, .test_limit = 3};
    drl_dataset *ds;
    assert_int_equal(drl_dataset_open(&ds, &cfg, NULL), DRL_OK);
    drl_real x[ELEMENTS];
    uint8_t out[ELEMENTS];
    static const double off[] = {-0.4, 0, 0.4, -300, 300, (double)NAN};
    for (size_t o = 0; o < sizeof off / sizeof *off; o++) {
        for (size_t e = 0; e < ELEMENTS; e++) /* every byte in every channel */
            x[e] = (drl_real)(((double)(e / 3) + off[o]) / 255 - ds->mean[e % 3]) / (drl_real)ds->std[e % 3];
        drl_batch_pixels(out, ds, x, 1);
        for (size_t e = 0; e < ELEMENTS; e++) assert_int_equal(out[e], o < 3 ? e / 3 : off[o] > 0 ? 255 : 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        drl_batch_images(x, ds, DRL_SPLIT_TEST, &i, 1);
        drl_batch_pixels(out, ds, x, 1);
        assert_memory_equal(out, ds->split[DRL_SPLIT_TEST].pixels + i * ELEMENTS, ELEMENTS);
    }
    drl_dataset_free(ds);
}

/* The whole training split has mean 0 and deviation 1 in each channel; the test split does not decide about them. */
static void test_statistics(void **state) {
    (void)state;
    enum { SIZE = 12, N = 300 };
    drl_dataset_cfg cfg = {.name = "synthetic:factors", .size = SIZE, .train_limit = N, .test_limit = 3};
    drl_dataset *ds;
    assert_int_equal(drl_dataset_open(&ds, &cfg, NULL), DRL_OK);
    static drl_real out[SIZE * SIZE * 3];
    double sum[3] = {0}, square[3] = {0}, count = (double)N * SIZE * SIZE;
    for (uint32_t i = 0; i < N; i++) {
        drl_batch_images(out, ds, DRL_SPLIT_TRAIN, &i, 1);
        for (size_t e = 0; e < sizeof out / sizeof *out; e++) {
            sum[e % 3] += (double)out[e];
            square[e % 3] += (double)out[e] * (double)out[e];
        }
    }
    for (int c = 0; c < 3; c++) {
        check_near(sum[c] / count, 0, 1e-6);
        check_near(square[c] / count, 1, 1e-5);
    }
    drl_dataset_free(ds);
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_batch), cmocka_unit_test(test_pixels),
                                       cmocka_unit_test(test_statistics)};
    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
