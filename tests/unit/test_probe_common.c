/* Standardisation, the checks of codes, and the random words the dropout is made of. */
#include "probe_test.h"

#include <Random123/philox.h>

#include "models/probe_common.h"

static void test_standardise(void **state) {
    (void)state;
    enum { N = 1001, D = 3 };
    static drl_real x[N * D];
    double mean[D], std[D], sum[D] = {0}, square[D] = {0};
    drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 0, 0), 0, x, N * D);
    for (size_t i = 0; i < N; i++) {
        x[i * D] = 1000 + 5 * x[i * D];
        x[i * D + 2] = (drl_real)0.1; /* constant, and not exact in binary */
    }
    drl_standardise_fit(mean, std, x, N, D);
    assert_close(mean[0], 1000, 1);
    assert_close(std[0], 5, 0.5);
    assert_true(mean[2] == (double)(drl_real)0.1 && std[2] == 1);
    drl_standardise(x, N, D, mean, std);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < D; j++) {
            sum[j] += (double)x[i * D + j];
            square[j] += (double)x[i * D + j] * (double)x[i * D + j];
        }
    for (size_t j = 0; j < D; j++) {
        assert_close(sum[j] / N, 0, 1e-6);
        assert_close(square[j] / N, j < 2 ? 1 : 0, 1e-5);
    }
}

static void expect(const drl_codes *codes, drl_status status, const char *text) {
    drl_err err = {0};
    assert_int_equal(drl_probe_check(codes, "test codes", &err), status);
    if (!strstr(err.message, text) || !strstr(err.message, "test codes")) fail_msg("message: %s", err.message);
}

static void test_check(void **state) {
    (void)state;
    drl_real x[] = {1, 2, 3, 4};
    int32_t y[] = {0, 1};
    drl_codes good = {2, 2, 2, x, y}, c = good;
    assert_int_equal(drl_probe_check(&good, "codes", NULL), DRL_OK);
    c.n = 0, expect(&c, DRL_ERR_SHAPE, "empty"), c = good;
    c.d = 0, expect(&c, DRL_ERR_SHAPE, "d = 0"), c = good;
    c.classes = 0, expect(&c, DRL_ERR_SHAPE, "classes"), c = good;
    c.n = (size_t)1 << 40, expect(&c, DRL_ERR_LIMIT, "at most"), c = good;
    c.classes = 1, expect(&c, DRL_ERR_FORMAT, "row 1 is 1"), c = good;
    y[0] = -1, expect(&c, DRL_ERR_FORMAT, "row 0 is -1"), y[0] = 0;
    x[3] = NAN, expect(&c, DRL_ERR_NUMERIC, "row 1, dimension 1");
    x[3] = -INFINITY, expect(&c, DRL_ERR_NUMERIC, "-inf");
    drl_codes narrow = {2, 1, 2, x, y}, more = {2, 2, 3, x, y};
    assert_int_equal(drl_probe_check_pair(&good, &narrow, "test codes", NULL), DRL_ERR_SHAPE);
    assert_int_equal(drl_probe_check_pair(&good, &more, "test codes", NULL), DRL_ERR_SHAPE);
}

/* Blocks made side by side are the blocks of Random123, for any start and length, and nothing past the end is touched.
 */
static void test_words(void **state) {
    (void)state;
    static uint32_t out[1024];
    drl_rng rng = drl_rng_stream(0x123456789abcdefull, DRL_RNG_PROBE, 5, 77);
    static const uint64_t starts[] = {0, 1, 3, 4, 66, ((uint64_t)1 << 34) - 70};
    for (size_t s = 0; s < sizeof starts / sizeof *starts; s++)
        for (size_t n = 0; n < 300; n += 7) {
            memset(out, 0xab, sizeof out);
            drl_rng_u32(rng, starts[s], out, n);
            for (size_t i = 0; i < n; i++) {
                uint64_t b = (starts[s] + i) / 4;
                philox4x32_ctr_t c = {{(uint32_t)b, (uint32_t)(b >> 32), rng.hi[0], rng.hi[1]}};
                philox4x32_key_t k = {{rng.key[0], rng.key[1]}};
                assert_int_equal(out[i], philox4x32(c, k).v[(starts[s] + i) % 4]);
            }
            assert_int_equal(out[n], 0xababababu);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_standardise), cmocka_unit_test(test_check),
                                       cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
