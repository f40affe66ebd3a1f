/* The MLP probe's network (models/probe_mlp.h): parameters, forward, backward, Adam. */
#include "models/probe_mlp.h"

#include <assert.h>
#include <limits.h>

#include "drl/blas.h"
#include "drl/mem.h"
#include "models/probe_common.h"

enum { SUB_W1, SUB_B1, SUB_W2, SUB_B2 }; /* subs of DRL_RNG_PROBE; probe_mlp.c goes on from 4 */

drl_status drl_mlp_net_init(drl_mlp_net *net, size_t d, size_t hidden, size_t classes, drl_err *err) {
    size_t first, second;
    bool fits = drl_mul_size(&first, d + 1, hidden) && drl_mul_size(&second, hidden + 1, classes) && first <= INT_MAX &&
                second <= INT_MAX - first;
    if (!fits)
        return drl_fail(err, DRL_ERR_LIMIT, "a network of %zu -> %zu -> %zu units: at most %d parameters", d, hidden,
                        classes, INT_MAX);
    *net = (drl_mlp_net){.d = d, .hidden = hidden, .classes = classes, .b1 = d * hidden, .w2 = first};
    net->b2 = first + hidden * classes;
    net->params = first + second;
    return DRL_OK;
}

static void init_tensor(drl_real *w, size_t n, size_t fan_in, uint64_t seed, uint32_t sub) {
    double bound = 1 / sqrt((double)fan_in);
    drl_rng_uniform(drl_rng_stream(seed, DRL_RNG_PROBE, sub, 0), 0, w, n);
    for (size_t i = 0; i < n; i++) w[i] = (drl_real)(bound * (2 * (double)w[i] - 1));
}

void drl_mlp_init(drl_real *params, const drl_mlp_net *net, uint64_t seed) {
    init_tensor(params, net->b1, net->d, seed, SUB_W1);
    init_tensor(params + net->b1, net->hidden, net->d, seed, SUB_B1);
    init_tensor(params + net->w2, net->hidden * net->classes, net->hidden, seed, SUB_W2);
    init_tensor(params + net->b2, net->classes, net->hidden, seed, SUB_B2);
}

/* Words of random bits for one row: column j of the first half takes the low, of the second half the high 16 bits. */
static size_t words_of(size_t hidden) {
    return (hidden + 1) / 2;
}

drl_status drl_mlp_scratch_init(drl_mlp_scratch *s, const drl_mlp_net *net, size_t rows, drl_err *err) {
    *s = (drl_mlp_scratch){.rows = rows};
    size_t words = words_of(net->hidden), row, total;
    /* One aligned block; every array starts on a cache line. */
    row = (net->d + 2 * net->hidden + net->classes) * sizeof(drl_real) + sizeof(int32_t) + words * sizeof(uint32_t);
    if (!drl_mul_size(&total, rows, row) || total > SIZE_MAX - 6 * DRL_ALIGN)
        return drl_fail(err, DRL_ERR_MEMORY, "MLP probe: a batch of %zu codes is too large", rows);
    drl_status st = drl_alloc(&s->block, total + 6 * DRL_ALIGN, 1, "MLP probe: activations", err);
    if (st != DRL_OK) return st;
    drl_real *next = s->block;
    s->x = next, next += drl_align_count(rows * net->d, sizeof *next);
    s->h = next, next += drl_align_count(rows * net->hidden, sizeof *next);
    s->dh = next, next += drl_align_count(rows * net->hidden, sizeof *next);
    s->logits = next, next += drl_align_count(rows * net->classes, sizeof *next);
    s->y = (int32_t *)next;
    s->bits = (uint32_t *)s->y + drl_align_count(rows, sizeof *s->y);
    return DRL_OK;
}

void drl_mlp_scratch_free(drl_mlp_scratch *s) {
    drl_free(s->block);
    *s = (drl_mlp_scratch){0};
}

uint32_t drl_mlp_dropout_below(double p) {
    assert(p >= 0 && p < 1);
    uint32_t below = (uint32_t)(p * 65536 + 0.5);
    return below < 65536 ? below : 65535;
}

static drl_real keep_scale(drl_mlp_dropout dropout) {
    return (drl_real)(65536.0 / (65536.0 - dropout.below));
}

/* h = relu(h + b) for every row. */
static void bias_relu(drl_real *restrict h, const drl_real *restrict b, size_t n, size_t width) {
    for (size_t i = 0; i < n; i++, h += width)
        for (size_t j = 0; j < width; j++) {
            drl_real a = h[j] + b[j];
            h[j] = a > 0 ? a : 0;
        }
}

/* h = relu(h + b) scale where the element's 16 bits reach the threshold, 0 elsewhere. */
static void bias_relu_dropout(drl_real *restrict h, const drl_real *restrict b, const uint32_t *restrict bits, size_t n,
                              size_t width, uint32_t below, drl_real scale) {
    size_t half = words_of(width);
    for (size_t i = 0; i < n; i++, h += width, bits += half) {
        for (size_t j = 0; j < half; j++) {
            drl_real a = (h[j] + b[j]) * scale;
            a = a > 0 ? a : 0;
            h[j] = (bits[j] & 0xffffu) >= below ? a : 0;
        }
        for (size_t j = half; j < width; j++) {
            drl_real a = (h[j] + b[j]) * scale;
            a = a > 0 ? a : 0;
            h[j] = bits[j - half] >> 16 >= below ? a : 0;
        }
    }
}

/* logits = h W2^T + b2. The bias is laid down first and the product added to it. */
static void output_layer(drl_real *logits, const drl_real *h, const drl_real *params, const drl_mlp_net *net,
                         size_t n) {
    const drl_real *b2 = params + net->b2;
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < net->classes; c++) logits[i * net->classes + c] = b2[c];
    drl_gemm(false, true, n, net->classes, net->hidden, 1, h, net->hidden, params + net->w2, net->hidden, 1, logits,
             net->classes);
}

static void hidden_product(const drl_mlp_scratch *s, const drl_real *x, const drl_real *params, const drl_mlp_net *net,
                           size_t n) {
    drl_gemm(false, true, n, net->hidden, net->d, 1, x, net->d, params, net->d, 0, s->h, net->hidden);
}

/* Through dropout and ReLU: h > 0 exactly where the unit was active and kept, so dh = scale dh there and 0 elsewhere;
 * in the same pass db1 = sum over rows. */
static void backward_hidden(drl_real *restrict dh, drl_real *restrict db, const drl_real *restrict h, size_t n,
                            size_t width, drl_real scale) {
    for (size_t j = 0; j < width; j++) db[j] = 0;
    for (size_t i = 0; i < n; i++, dh += width, h += width)
        for (size_t j = 0; j < width; j++) {
            drl_real g = h[j] > 0 ? scale * dh[j] : 0;
            dh[j] = g;
            db[j] += g;
        }
}

double drl_mlp_loss_grad(drl_real *restrict grad, const drl_real *params, const drl_mlp_net *net, const drl_real *x,
                         const int32_t *y, size_t n, drl_mlp_dropout dropout, const drl_mlp_scratch *s) {
    assert(n > 0 && n <= s->rows);
    size_t d = net->d, hidden = net->hidden, classes = net->classes;
    hidden_product(s, x, params, net, n);
    if (dropout.below > 0) {
        drl_rng_u32(dropout.stream, 0, s->bits, n * words_of(hidden));
        bias_relu_dropout(s->h, params + net->b1, s->bits, n, hidden, dropout.below, keep_scale(dropout));
    } else {
        bias_relu(s->h, params + net->b1, n, hidden);
    }
    output_layer(s->logits, s->h, params, net, n);
    double loss = drl_probe_softmax(s->logits, y, n, classes) / (double)n;

    /* d loss / d logits = (softmax - one-hot(y)) / n, and db2 is its column sum. */
    drl_real *dlogits = s->logits, *db2 = grad + net->b2, weight = (drl_real)(1 / (double)n);
    for (size_t c = 0; c < classes; c++) db2[c] = 0;
    for (size_t i = 0; i < n; i++) {
        dlogits[i * classes + (size_t)y[i]] -= 1;
        for (size_t c = 0; c < classes; c++) db2[c] += dlogits[i * classes + c] *= weight;
    }
    /* dW2 = dlogits^T h, dh = dlogits W2, then back through the activation, dW1 = dh^T x. */
    drl_gemm(true, false, classes, hidden, n, 1, dlogits, classes, s->h, hidden, 0, grad + net->w2, hidden);
    drl_gemm(false, false, n, hidden, classes, 1, dlogits, classes, params + net->w2, hidden, 0, s->dh, hidden);
    backward_hidden(s->dh, grad + net->b1, s->h, n, hidden, keep_scale(dropout));
    drl_gemm(true, false, hidden, d, n, 1, s->dh, hidden, x, d, 0, grad, d);
    return loss;
}

size_t drl_mlp_correct(const drl_real *params, const drl_mlp_net *net, const drl_codes *codes,
                       const drl_mlp_scratch *s) {
    size_t correct = 0;
    for (size_t at = 0; at < codes->n; at += s->rows) {
        size_t n = codes->n - at < s->rows ? codes->n - at : s->rows;
        hidden_product(s, codes->x + at * net->d, params, net, n);
        bias_relu(s->h, params + net->b1, n, net->hidden);
        output_layer(s->logits, s->h, params, net, n);
        for (size_t i = 0; i < n; i++)
            correct += drl_probe_argmax(s->logits + i * net->classes, net->classes) == (size_t)codes->y[at + i];
    }
    return correct;
}

/* The bias corrections are the same for all elements: rate/(1 - b1^step) and 1/sqrt(1 - b2^step) are formed once, which
 * leaves one square root and one division to an element. */
void drl_mlp_adam(drl_real *restrict p, drl_real *restrict m, drl_real *restrict v, const drl_real *restrict g,
                  size_t n, double rate, double decay, size_t step) {
    const double beta1 = 0.9, beta2 = 0.999;
    const drl_real b1 = (drl_real)beta1, c1 = (drl_real)(1 - beta1), b2 = (drl_real)beta2, c2 = (drl_real)(1 - beta2);
    const drl_real a = (drl_real)(rate / (1 - pow(beta1, (double)step)));
    const drl_real c = (drl_real)(1 / sqrt(1 - pow(beta2, (double)step)));
    const drl_real wd = (drl_real)decay, eps = (drl_real)1e-8;
    for (size_t i = 0; i < n; i++) {
        drl_real gi = g[i] + wd * p[i];
        drl_real mi = b1 * m[i] + c1 * gi, vi = b2 * v[i] + c2 * gi * gi;
        m[i] = mi;
        v[i] = vi;
#ifdef DRL_F64
        p[i] -= a * mi / (sqrt(vi) * c + eps);
#else
        p[i] -= a * mi / (sqrtf(vi) * c + eps);
#endif
    }
}
