/* The MLP probe in double: loss against plain loops, gradient against central differences, Adam against the textbook.
 */
#include "probe_test.h"

#include "models/probe_mlp.h"

/* The loss, with the dropout mask as documented: column j of a row takes the low 16 bits of the row's word j, column
 * half + j the high ones; kept where they reach the threshold. */
static double plain_loss(const double *p, const drl_mlp_net *net, const drl_codes *codes, drl_mlp_dropout dropout) {
    size_t d = net->d, width = net->hidden, half = (width + 1) / 2;
    uint32_t *bits = calloc(codes->n * half, sizeof *bits);
    double *h = calloc(width, sizeof *h), *l = calloc(net->classes, sizeof *l), loss = 0;
    drl_rng_u32(dropout.stream, 0, bits, codes->n * half);
    for (size_t i = 0; i < codes->n; i++) {
        for (size_t j = 0; j < width; j++) {
            double a = p[drl_mlp_b1(net, j)];
            for (size_t k = 0; k < d; k++) a += codes->x[i * d + k] * p[drl_mlp_w1(net, j, k)];
            uint32_t word = bits[i * half + j % half], sixteen = j < half ? word & 0xffff : word >> 16;
            bool kept = sixteen >= dropout.below;
            h[j] = a > 0 && kept ? a / (1 - dropout.below / 65536.0) : 0;
        }
        double sum = 0;
        for (size_t c = 0; c < net->classes; c++) {
            l[c] = p[drl_mlp_b2(net, c)];
            for (size_t j = 0; j < width; j++) l[c] += h[j] * p[drl_mlp_w2(net, c, j)];
            sum += exp(l[c]);
        }
        loss += log(sum) - l[codes->y[i]];
    }
    free(bits);
    free(h);
    free(l);
    return loss / (double)codes->n;
}

static void check_shape(size_t n, size_t d, size_t hidden, size_t classes, double p) {
    drl_mlp_net net;
    drl_mlp_scratch s;
    drl_mlp_feed feed;
    drl_codes codes = make_codes(n, d, classes, 1, 17 * n + hidden);
    assert_int_equal(drl_mlp_net_init(&net, d, hidden, classes, NULL), DRL_OK);
    assert_int_equal(drl_mlp_scratch_init(&s, &net, n + 1, NULL), DRL_OK);
    assert_int_equal(drl_mlp_feed_init(&feed, &net, n, NULL), DRL_OK);
    double *w = calloc(net.params, sizeof *w), *grad = calloc(net.params, sizeof *grad);
    double *other = calloc(net.params, sizeof *other);
    drl_mlp_init(w, &net, 3);
    for (size_t i = 0; i < net.params; i++) grad[i] = NAN; /* overwritten */
    drl_mlp_dropout dropout = {drl_mlp_dropout_below(p), drl_rng_stream(5, DRL_RNG_PROBE, 5, 1)};
    drl_mlp_feed_fill(&feed, 0, &net, &codes, NULL, 0, n, dropout);

    double loss = drl_mlp_loss_grad(grad, w, &net, &feed.batch[0], &s);
    assert_close(loss, plain_loss(w, &net, &codes, dropout), 1e-12);

    const double step = 1e-5;
    size_t zeros = 0;
    for (size_t i = 0; i < net.params; i++) {
        double at = w[i];
        w[i] = at + step;
        double up = drl_mlp_loss_grad(other, w, &net, &feed.batch[0], &s);
        w[i] = at - step;
        double down = drl_mlp_loss_grad(other, w, &net, &feed.batch[0], &s);
        w[i] = at;
        double numeric = (up - down) / (2 * step), size = fabs(numeric) > 1e-2 ? fabs(numeric) : 1e-2;
        if (!(fabs(grad[i] - numeric) <= 1e-7 * size))
            fail_msg("n %zu d %zu hidden %zu classes %zu dropout %g: parameter %zu of %zu: %.12g, differences %.12g", n,
                     d, hidden, classes, p, i, net.params, grad[i], numeric);
        zeros += grad[i] == 0;
    }
    /* padding has neither weight nor gradient; not all of the others are zero */
    size_t real = hidden * (d + 1 + classes) + classes, weights = 0;
    for (size_t i = 0; i < net.params; i++) weights += w[i] != 0;
    assert_int_equal(weights, real);
    for (size_t i = 0; i < net.params; i++) assert_true(w[i] != 0 || grad[i] == 0);
    assert_true(zeros < net.params - real / 4);
    free(w);
    free(grad);
    free(other);
    drl_mlp_feed_free(&feed);
    drl_mlp_scratch_free(&s);
    free_codes(codes);
}

static void test_gradient(void **state) {
    (void)state;
    static const size_t shapes[][4] = {{5, 1, 4, 2}, {7, 3, 5, 4}, {31, 13, 17, 10}, {20, 8, 32, 3}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        check_shape(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], 0);
        check_shape(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], 0.25);
    }
}

/* Two moments per weight, bias-corrected one at a time, decay in the gradient. */
static void test_adam(void **state) {
    (void)state;
    enum { N = 37, STEPS = 25 };
    const double rate = 3e-3, decay = 0.1;
    double p[N], m[N] = {0}, v[N] = {0}, g[N], q[N], qm[N] = {0}, qv[N] = {0};
    drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 0, 0), 0, p, N);
    memcpy(q, p, sizeof q);
    for (size_t t = 1; t <= STEPS; t++) {
        drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 1, (uint32_t)t), 0, g, N);
        g[N - 1] = -decay * p[N - 1]; /* nothing left but eps in the denominator */
        drl_mlp_adam(p, m, v, g, N, drl_mlp_adam_at(rate, decay, t));
        for (size_t i = 0; i < N; i++) {
            double gi = g[i] + decay * q[i];
            qm[i] = 0.9 * qm[i] + 0.1 * gi;
            qv[i] = 0.999 * qv[i] + 0.001 * gi * gi;
            double mhat = qm[i] / (1 - pow(0.9, (double)t)), vhat = qv[i] / (1 - pow(0.999, (double)t));
            q[i] -= rate * mhat / (sqrt(vhat) + 1e-8);
            assert_close(p[i], q[i], 1e-11);
        }
    }
}

int main(int argc, char **argv) {
    (void)argc;
    drl_blas_guard(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradient), cmocka_unit_test(test_adam)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
