/* The MLP probe's network (models/probe_mlp.h): layout, initial weights, forward, backward, Adam. */
#include "models/probe_mlp.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "drl/mem.h"
#include "models/probe_kernels.h"
#include "nn/vmath.h"

enum { J = DRL_MLP_J };
enum { SUB_W1, SUB_B1, SUB_W2, SUB_B2 }; /* subs of DRL_RNG_PROBE; probe_mlp.c goes on from 4 */

/* Panels of h lie one tile further apart than they are large: at a power of two they would share their cache sets. */
#define H_GAP ((size_t)DRL_MLP_P * J)

static size_t padded(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

drl_status drl_mlp_net_init(drl_mlp_net *net, size_t d, size_t hidden, size_t classes, drl_err *err) {
    bool fits = d <= INT_MAX && hidden <= INT_MAX && classes <= INT_MAX;
    if (fits) {
        *net = (drl_mlp_net){.d = d, .hidden = hidden, .classes = classes};
        net->depth = padded(d, DRL_MLP_P);
        net->outputs = padded(classes, 2);
        net->panels = padded(hidden, J) / J;
        net->panel = (net->depth + 1 + net->outputs) * J;
        net->b2 = net->panels * net->panel;
        fits = net->panel <= INT_MAX && net->panels <= INT_MAX / net->panel && net->b2 <= INT_MAX - net->outputs;
        net->params = net->b2 + net->outputs;
    }
    if (fits) return DRL_OK;
    return drl_fail(err, DRL_ERR_LIMIT, "a network of %zu -> %zu -> %zu units: at most %d parameters", d, hidden,
                    classes, INT_MAX);
}

size_t drl_mlp_w1(const drl_mlp_net *net, size_t j, size_t k) {
    return j / J * net->panel + k * J + j % J;
}

size_t drl_mlp_b1(const drl_mlp_net *net, size_t j) {
    return drl_mlp_w1(net, j, net->depth);
}

size_t drl_mlp_w2(const drl_mlp_net *net, size_t c, size_t j) {
    return drl_mlp_w1(net, j, net->depth + 1 + c);
}

size_t drl_mlp_b2(const drl_mlp_net *net, size_t c) {
    return net->b2 + c;
}

/* Element i of tensor `sub`, of those with this fan-in. */
static drl_real initial(uint64_t seed, uint32_t sub, size_t i, size_t fan_in) {
    drl_real u;
    drl_rng_uniform(drl_rng_stream(seed, DRL_RNG_PROBE, sub, 0), i, &u, 1);
    return (drl_real)(1 / sqrt((double)fan_in) * (2 * (double)u - 1));
}

void drl_mlp_init(drl_real *params, const drl_mlp_net *net, uint64_t seed) {
    size_t d = net->d, hidden = net->hidden;
    memset(params, 0, net->params * sizeof *params);
    for (size_t j = 0; j < hidden; j++) {
        for (size_t k = 0; k < d; k++) params[drl_mlp_w1(net, j, k)] = initial(seed, SUB_W1, j * d + k, d);
        params[drl_mlp_b1(net, j)] = initial(seed, SUB_B1, j, d);
    }
    for (size_t c = 0; c < net->classes; c++) {
        for (size_t j = 0; j < hidden; j++)
            params[drl_mlp_w2(net, c, j)] = initial(seed, SUB_W2, c * hidden + j, hidden);
        params[drl_mlp_b2(net, c)] = initial(seed, SUB_B2, c, hidden);
    }
}

drl_status drl_mlp_scratch_init(drl_mlp_scratch *s, const drl_mlp_net *net, size_t rows, drl_err *err) {
    rows = padded(rows, DRL_MLP_ROWS);
    *s = (drl_mlp_scratch){.rows = rows, .h_step = rows * J + H_GAP};
    size_t h = net->panels * s->h_step, vectors = rows * (J + 2 * net->outputs + 2), total;
    /* One aligned block; every array starts on a cache line. */
    bool fits = rows <= INT_MAX && drl_mul_size(&total, rows + DRL_MLP_P, net->panels * J + J + 2 * net->outputs + 2) &&
                total <= SIZE_MAX / 2 - net->panel - net->outputs - 8 * DRL_ALIGN;
    if (!fits) return drl_fail(err, DRL_ERR_MEMORY, "MLP probe: a batch of %zu codes is too large", rows);
    total = h + vectors + net->panel + net->outputs + 8 * DRL_ALIGN;
    drl_status st = drl_alloc(&s->block, total, sizeof(drl_real), "MLP probe: activations", err);
    if (st != DRL_OK) return st;
    drl_real *next = s->block;
    s->h = next, next += drl_align_count(h, sizeof *next);
    s->dh = next, next += drl_align_count(rows * J, sizeof *next);
    s->g = next, next += drl_align_count(net->panel, sizeof *next);
    s->l = next, next += drl_align_count(rows * net->outputs, sizeof *next);
    s->dl = next, next += drl_align_count(rows * net->outputs, sizeof *next);
    s->top = next, next += drl_align_count(rows, sizeof *next);
    s->sum = next, next += drl_align_count(rows, sizeof *next);
    s->db2 = next;
    return DRL_OK;
}

void drl_mlp_scratch_free(drl_mlp_scratch *s) {
    drl_free(s->block);
    *s = (drl_mlp_scratch){0};
}

static void forward_panel(const drl_mlp_scratch *s, const drl_real *params, const drl_mlp_net *net,
                          const drl_mlp_batch *b, size_t p) {
    drl_mlp_forward_panel(s->h + p * s->h_step, b->x, params + p * net->panel,
                          b->dropout ? b->keep + p * b->rows : NULL, b->scale, b->rows, net->depth);
}

static void backward_panel(drl_real *grad, const drl_mlp_scratch *s, const drl_real *params, const drl_mlp_net *net,
                           const drl_mlp_batch *b, size_t p) {
    drl_mlp_backward_panel(grad, s->dh, s->h + p * s->h_step, b->x, params + p * net->panel, s->dl, b->scale, b->rows,
                           net->depth, net->outputs);
}

static void logits(const drl_mlp_scratch *s, const drl_real *params, const drl_mlp_net *net, const drl_mlp_batch *b) {
    drl_mlp_logits(s->l, s->rows, s->h, s->h_step, params + (net->depth + 1) * J, net->panel, params + net->b2,
                   net->panels, b->rows, net->outputs);
}

/* Cross-entropy log sum_c exp(l_c) - l_y of all rows, summed; sum = sum_c exp(l_c - top), which l turns into. The sums
 * lie between 1 and the number of classes, so the logarithm of the product of a few gives that of each. */
static double exponentials(const drl_mlp_scratch *s, const drl_mlp_net *net, const drl_mlp_batch *b) {
    size_t n = b->n, pitch = s->rows;
    drl_real *restrict top = s->top, *restrict sum = s->sum, *restrict l = s->l;
    double loss = 0, product = 1;
    for (size_t i = 0; i < n; i++) top[i] = l[i], sum[i] = 0;
    for (size_t c = 1; c < net->classes; c++)
        for (size_t i = 0; i < n; i++) top[i] = l[c * pitch + i] > top[i] ? l[c * pitch + i] : top[i];
    for (size_t i = 0; i < n; i++) loss += (double)top[i] - (double)l[(size_t)b->y[i] * pitch + i];
    for (size_t c = 0; c < net->classes; c++)
        for (size_t i = 0; i < n; i++) {
            drl_real e = drl_exp(l[c * pitch + i] - top[i]);
            l[c * pitch + i] = e;
            sum[i] += e;
        }
    for (size_t i = 0; i < n; i++) {
        product *= (double)sum[i];
        if (i % 16 == 15 || i + 1 == n) loss += log(product), product = 1;
    }
    return loss;
}

/* dl = (softmax(l) - one-hot(y)) / n, and db2 is its sum over rows; returns the loss summed over rows. */
static double logits_gradient(const drl_mlp_scratch *s, const drl_mlp_net *net, const drl_mlp_batch *b) {
    size_t n = b->n, classes = net->classes, outputs = net->outputs, pitch = s->rows;
    drl_real *restrict l = s->l, *restrict dl = s->dl, *restrict db2 = s->db2, *restrict inverse = s->sum;
    const drl_real weight = (drl_real)(1 / (double)n);
    double loss = exponentials(s, net, b);
    for (size_t i = 0; i < n; i++) inverse[i] = 1 / inverse[i];
    for (size_t c = 0; c < classes; c++)
        for (size_t i = 0; i < n; i++) l[c * pitch + i] *= inverse[i];
    for (size_t i = 0; i < n; i++) l[(size_t)b->y[i] * pitch + i] -= 1;
    memset(dl + n * outputs, 0, (b->rows - n) * outputs * sizeof *dl);
    for (size_t c = 0; c < outputs; c++) db2[c] = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t c = classes; c < outputs; c++) dl[i * outputs + c] = 0;
        for (size_t c = 0; c < classes; c++) db2[c] += dl[i * outputs + c] = weight * l[c * pitch + i];
    }
    return loss;
}

double drl_mlp_loss_grad(drl_real *restrict grad, const drl_real *params, const drl_mlp_net *net,
                         const drl_mlp_batch *b, const drl_mlp_scratch *s) {
    assert(b->n > 0 && b->rows <= s->rows);
    for (size_t p = 0; p < net->panels; p++) forward_panel(s, params, net, b, p);
    logits(s, params, net, b);
    double loss = logits_gradient(s, net, b);
    for (size_t p = 0; p < net->panels; p++) backward_panel(grad + p * net->panel, s, params, net, b, p);
    memcpy(grad + net->b2, s->db2, net->outputs * sizeof *grad);
    return loss / (double)b->n;
}

/* The hidden units of a step are needed until their weights have changed, and those of the next step from then on: so
 * each panel goes back through one minibatch, takes its Adam step and goes forward through the next minibatch, while
 * its weights are in the nearest cache. */
double drl_mlp_train(const drl_mlp_state *state, const drl_mlp_net *net, const drl_mlp_batch *batches, size_t count,
                     double rate, double decay, size_t first, const drl_mlp_scratch *s) {
    drl_mlp_adam_step at = {0};
    double loss = 0;
    for (size_t k = 0; k <= count; k++) {
        const drl_mlp_batch *last = k > 0 ? batches + k - 1 : NULL, *next = k < count ? batches + k : NULL;
        assert(!next || (next->n > 0 && next->rows <= s->rows));
        if (last) at = drl_mlp_adam_at(rate, decay, first + k - 1);
        for (size_t p = 0; p < net->panels; p++) {
            size_t from = p * net->panel;
            if (last) {
                backward_panel(s->g, s, state->p, net, last, p);
                drl_mlp_adam(state->p + from, state->m + from, state->v + from, s->g, net->panel, at);
            }
            if (next) forward_panel(s, state->p, net, next, p);
        }
        if (last) drl_mlp_adam(state->p + net->b2, state->m + net->b2, state->v + net->b2, s->db2, net->outputs, at);
        if (next) {
            logits(s, state->p, net, next);
            loss += logits_gradient(s, net, next);
        }
    }
    return loss;
}

size_t drl_mlp_correct(const drl_real *params, const drl_mlp_net *net, const drl_mlp_batch *b,
                       const drl_mlp_scratch *s) {
    assert(b->rows <= s->rows);
    size_t correct = 0;
    for (size_t p = 0; p < net->panels; p++) forward_panel(s, params, net, b, p);
    logits(s, params, net, b);
    for (size_t i = 0; i < b->n; i++) {
        size_t best = 0;
        for (size_t c = 1; c < net->classes; c++)
            if (s->l[c * s->rows + i] > s->l[best * s->rows + i]) best = c;
        correct += best == (size_t)b->y[i];
    }
    return correct;
}

drl_mlp_adam_step drl_mlp_adam_at(double rate, double decay, size_t step) {
    return (drl_mlp_adam_step){.rate = (drl_real)(rate / (1 - pow(0.9, (double)step))),
                               .root = (drl_real)(1 / sqrt(1 - pow(0.999, (double)step))),
                               .decay = (drl_real)decay};
}

void drl_mlp_adam(drl_real *restrict p, drl_real *restrict m, drl_real *restrict v, const drl_real *restrict g,
                  size_t n, drl_mlp_adam_step at) {
    const drl_real b1 = (drl_real)0.9, c1 = (drl_real)(1 - 0.9), b2 = (drl_real)0.999, c2 = (drl_real)(1 - 0.999);
    const drl_real eps = (drl_real)1e-8;
    for (size_t i = 0; i < n; i++) {
        drl_real gi = g[i] + at.decay * p[i];
        drl_real mi = b1 * m[i] + c1 * gi, vi = b2 * v[i] + c2 * gi * gi;
        m[i] = mi;
        v[i] = vi;
#ifdef DRL_F64
        p[i] -= at.rate * mi / (sqrt(vi) * at.root + eps);
#else
        p[i] -= at.rate * mi / (sqrtf(vi) * at.root + eps);
#endif
    }
}
