/* Products of runs with packed matrices (nn/product.h) against plain loops: tails of rows, depth and columns, strides
 * larger than rows, every ending. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "drl/mem.h"
#include "drl/rng.h"
#include "nn/product.h"

enum { GAP = 5 }; /* numbers between rows, which must stay as they are */

static drl_real *numbers(size_t n, uint32_t stream) {
    drl_real *v;
    assert_int_equal(drl_alloc(&v, n, sizeof *v, "test", NULL), DRL_OK);
    drl_rng_normal(drl_rng_stream(5, DRL_RNG_TEST, stream, 0), 0, v, n);
    return v;
}

static void near(double got, double want, double scale) {
    if (!(fabs(got - want) <= 1e-6 * scale)) fail_msg("got %.9g, want %.9g", got, want);
}

/* y = (or +=) alpha x w, the matrix packed from itself and from its transpose. */
static void check_matrix(size_t m, size_t K, size_t n, bool add, bool transposed) {
    size_t ldx = K + GAP, ldw = (transposed ? K : n) + GAP, ldy = n + GAP;
    drl_real *x = numbers(m * ldx, 0), *w = numbers((transposed ? n : K) * ldw, 1), *y = numbers(m * ldy, 2);
    drl_real *before = numbers(m * ldy, 2), *packed = numbers(drl_packed_size(K, n), 3);
    if (transposed)
        drl_pack_transposed(packed, w, K, n, ldw);
    else
        drl_pack(packed, w, K, n, ldw);
    drl_matrix_product(y, ldy, (drl_real)0.7, add, x, ldx, m, K, packed, n);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < ldy; j++) {
            double want = j < n && !add ? 0 : (double)before[i * ldy + j], scale = 1;
            for (size_t k = 0; j < n && k < K; k++) {
                double product = (double)x[i * ldx + k] * (double)w[transposed ? j * ldw + k : k * ldw + j];
                want += 0.7 * product, scale += fabs(product);
            }
            near((double)y[i * ldy + j], want, scale);
        }
    drl_free(x), drl_free(w), drl_free(y), drl_free(before), drl_free(packed);
}

static void test_matrix_product(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 2, 7, 8, 9, 16, 31, 33, 64};
    size_t run = 0;
    for (size_t a = 0; a < 9; a++)
        for (size_t b = 0; b < 9; b++)
            for (size_t c = 0; c < 9; c++, run++) check_matrix(sizes[a], sizes[b], sizes[c], run % 2, run / 2 % 2);
}

/* y += x^T e */
static void test_outer_product(void **state) {
    (void)state;
    for (size_t k = 1; k < 40; k += 6)
        for (size_t m = DRL_DEPTH; m <= 3 * DRL_DEPTH; m += DRL_DEPTH)
            for (size_t n = V; n <= 4 * V; n += V) {
                size_t ldx = m + GAP, lde = n + GAP, ldy = n + GAP;
                drl_real *x = numbers(k * ldx, 0), *e = numbers(k * lde, 1), *y = numbers(m * ldy, 2);
                drl_real *before = numbers(m * ldy, 2);
                drl_outer_product(y, ldy, x, ldx, e, lde, k, m, n);
                for (size_t i = 0; i < m; i++)
                    for (size_t j = 0; j < ldy; j++) {
                        double want = (double)before[i * ldy + j], scale = 1;
                        for (size_t r = 0; j < n && r < k; r++) {
                            double product = (double)x[r * ldx + i] * (double)e[r * lde + j];
                            want += product, scale += fabs(product);
                        }
                        near((double)y[i * ldy + j], want, scale);
                    }
                drl_free(x), drl_free(e), drl_free(y), drl_free(before);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matrix_product), cmocka_unit_test(test_outer_product)};
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
