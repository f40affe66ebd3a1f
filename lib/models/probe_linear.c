/* The linear probe (drl/probe.h): multinomial logistic regression by L-BFGS.
 *
 *   f(W, b) = 1/n sum_i [log sum_c exp(l_ic) - l_{i,y_i}] + l2/2 |W|^2,    l_i = W x_i + b
 *   df/dW = 1/n sum_i (softmax(l_i) - one-hot(y_i)) x_i^T + l2 W,          df/db = 1/n sum_i (softmax(l_i) -
 * one-hot(y_i))
 *
 * The optimiser works in double; products are in drl_real over blocks of rows of a fixed size, and the blocks' sums are
 * added in block order in double, so the result does not depend on the number of threads. */
#include "models/probe_linear.h"

#include <assert.h>
#include <lbfgs.h>
#include <string.h>

#include "drl/blas.h"
#include "drl/interrupt.h"
#include "drl/mem.h"
#include "models/probe_classifier.h"
#include "models/probe_common.h"

#define BLOCK 1024 /* rows to a block */

drl_linear_cfg drl_linear_default(void) {
    return (drl_linear_cfg){.strengths = 2, .l2 = {1e-6, 1e-4}, .max_iterations = 500, .tolerance = 1e-4};
}

typedef struct problem {
    const drl_codes *codes; /* those of the pass that runs now */
    double l2;
    size_t iterations;
    bool finite; /* every value and gradient so far was */
    drl_threads *team;
    size_t stride;    /* of one block's share: dW (classes, d) | db (classes)      */
    drl_real *params; /* W (classes, d) | b (classes), rounded for the products    */
    drl_real *share;  /* (blocks, stride) gradient sums                            */
    drl_real *logits; /* (threads, BLOCK, classes)                                 */
    double *loss;     /* (blocks) loss sums                                        */
    size_t *correct;  /* (blocks)                                                  */
} problem;

static size_t blocks_of(size_t n) {
    return (n + BLOCK - 1) / BLOCK;
}

static size_t rows_of(const drl_codes *codes, size_t block) {
    size_t left = codes->n - block * BLOCK;
    return left < BLOCK ? left : BLOCK;
}

/* Logits of one block, in the member's own buffer. */
static drl_real *block_logits(const problem *p, size_t block, size_t member) {
    size_t d = p->codes->d, classes = p->codes->classes, rows = rows_of(p->codes, block);
    drl_real *logits = p->logits + member * BLOCK * classes;
    for (size_t i = 0; i < rows; i++) memcpy(logits + i * classes, p->params + classes * d, classes * sizeof *logits);
    drl_gemm(false, true, rows, classes, d, 1, p->codes->x + block * BLOCK * d, d, p->params, d, 1, logits, classes);
    return logits;
}

static void gradient_block(void *arg, size_t block, size_t member) {
    problem *p = arg;
    size_t d = p->codes->d, classes = p->codes->classes, rows = rows_of(p->codes, block);
    const int32_t *y = p->codes->y + block * BLOCK;
    drl_real *l = block_logits(p, block, member), *dw = p->share + block * p->stride, *db = dw + classes * d;
    p->loss[block] = drl_probe_softmax(l, y, rows, classes);
    memset(db, 0, classes * sizeof *db);
    for (size_t i = 0; i < rows; i++) {
        l[i * classes + (size_t)y[i]] -= 1;
        for (size_t c = 0; c < classes; c++) db[c] += l[i * classes + c];
    }
    drl_gemm(true, false, classes, d, rows, 1, l, classes, p->codes->x + block * BLOCK * d, d, 0, dw, d);
}

static void round_params(problem *p, const double *w, size_t n) {
    for (size_t i = 0; i < n; i++) p->params[i] = (drl_real)w[i];
}

/* liblbfgs asks for f(w) and g = df/dw. */
static lbfgsfloatval_t objective(void *arg, const lbfgsfloatval_t *w, lbfgsfloatval_t *g, int n_params,
                                 lbfgsfloatval_t step) {
    (void)step;
    problem *p = arg;
    size_t n = (size_t)n_params, weights = p->codes->classes * p->codes->d, blocks = blocks_of(p->codes->n);
    double loss = 0, penalty = 0, scale = 1 / (double)p->codes->n;
    round_params(p, w, n);
    drl_threads_for(p->team, blocks, gradient_block, p);
    memset(g, 0, n * sizeof *g);
    for (size_t k = 0; k < blocks; k++) {
        const drl_real *share = p->share + k * p->stride;
        loss += p->loss[k];
        for (size_t i = 0; i < n; i++) g[i] += (double)share[i];
    }
    for (size_t i = 0; i < n; i++) g[i] *= scale;
    for (size_t i = 0; i < weights; i++) { /* the bias is not penalised */
        g[i] += p->l2 * w[i];
        penalty += w[i] * w[i];
    }
    double value = loss * scale + 0.5 * p->l2 * penalty;
    for (size_t i = 0; i < n; i++) p->finite &= isfinite(g[i]) != 0;
    p->finite &= isfinite(value) != 0;
    return value;
}

/* Called after every iteration; anything but 0 stops. */
static int progress(void *arg, const lbfgsfloatval_t *w, const lbfgsfloatval_t *g, const lbfgsfloatval_t value,
                    const lbfgsfloatval_t wnorm, const lbfgsfloatval_t gnorm, const lbfgsfloatval_t step, int n,
                    int iteration, int evaluations) {
    (void)w, (void)g, (void)value, (void)wnorm, (void)gnorm, (void)step, (void)n, (void)evaluations;
    problem *p = arg;
    p->iterations = (size_t)iteration;
    return p->finite && !drl_interrupted() ? 0 : 1;
}

/* Minimises from w = 0. Converged, nothing left to gain at the precision of f (the line search's rounding, step and
 * width limits) and the iteration limit all leave the best w found, which is the answer. */
static drl_status minimise(problem *p, double *w, size_t n, const drl_linear_cfg *cfg, drl_err *err) {
    lbfgs_parameter_t param;
    lbfgs_parameter_init(&param);
    param.epsilon = cfg->tolerance;
    param.max_iterations = (int)cfg->max_iterations;
    p->finite = true;
    p->iterations = 0;
    memset(w, 0, n * sizeof *w);
    int code = lbfgs((int)n, w, NULL, objective, progress, p, &param);
    if (!p->finite)
        return drl_fail(err, DRL_ERR_NUMERIC, "l2 %g: loss or gradient not finite after %zu iterations", p->l2,
                        p->iterations);
    switch (code) {
    case LBFGSERR_CANCELED: return drl_fail(err, DRL_ERR_INTERRUPTED, "interrupted");
    case LBFGS_SUCCESS:
    case LBFGS_ALREADY_MINIMIZED:
    case LBFGSERR_MAXIMUMITERATION:
    case LBFGSERR_ROUNDING_ERROR:
    case LBFGSERR_MINIMUMSTEP:
    case LBFGSERR_MAXIMUMSTEP:
    case LBFGSERR_MAXIMUMLINESEARCH:
    case LBFGSERR_WIDTHTOOSMALL:
    case LBFGSERR_OUTOFINTERVAL:
    case LBFGSERR_INCORRECT_TMINMAX:
    case LBFGSERR_INCREASEGRADIENT: return DRL_OK;
    case LBFGSERR_OUTOFMEMORY: return drl_fail(err, DRL_ERR_MEMORY, "%zu parameters", n);
    default: return drl_fail(err, DRL_ERR_CONFIG, "l2 %g: liblbfgs error %d", p->l2, code);
    }
}

static void correct_block(void *arg, size_t block, size_t member) {
    problem *p = arg;
    const drl_real *l = block_logits(p, block, member);
    const int32_t *y = p->codes->y + block * BLOCK;
    size_t correct = 0, classes = p->codes->classes, rows = rows_of(p->codes, block);
    for (size_t i = 0; i < rows; i++) correct += drl_probe_argmax(l + i * classes, classes) == (size_t)y[i];
    p->correct[block] = correct;
}

static void problem_free(problem *p) {
    drl_free(p->params);
    drl_free(p->logits);
    drl_free(p->correct);
    drl_free(p->loss);
    drl_free(p->share);
}

/* Room for codes like `codes` in at most `blocks` blocks; for gradients too where asked. */
static drl_status problem_init(problem *p, const drl_codes *codes, size_t blocks, bool gradients, drl_threads *team,
                               drl_err *err) {
    *p = (problem){.codes = codes, .team = team};
    size_t n = (codes->d + 1) * codes->classes, members = drl_threads_count(team);
    p->stride = drl_align_count(n, sizeof(drl_real));
    drl_status st = drl_alloc(&p->params, n, sizeof *p->params, "weights", err);
    if (st == DRL_OK) st = drl_alloc(&p->logits, members * BLOCK * codes->classes, sizeof *p->logits, "logits", err);
    if (st == DRL_OK) st = drl_alloc(&p->correct, blocks, sizeof *p->correct, "counts", err);
    if (st == DRL_OK && gradients) st = drl_alloc(&p->loss, blocks, sizeof *p->loss, "losses", err);
    if (st == DRL_OK && gradients) st = drl_alloc(&p->share, blocks * p->stride, sizeof *p->share, "gradients", err);
    if (st != DRL_OK) problem_free(p);
    return st;
}

static double accuracy(problem *p, const drl_codes *codes, const double *w) {
    size_t correct = 0, blocks = blocks_of(codes->n);
    p->codes = codes;
    round_params(p, w, (codes->d + 1) * codes->classes);
    drl_threads_for(p->team, blocks, correct_block, p);
    for (size_t k = 0; k < blocks; k++) correct += p->correct[k];
    return (double)correct / (double)codes->n;
}

drl_status drl_linear_fit(drl_probe_result *result, double *params, const drl_codes *train, const drl_codes *val,
                          const drl_linear_cfg *cfg, drl_threads *team, drl_err *err) {
    problem p;
    double *w;
    size_t n = (train->d + 1) * train->classes, blocks = blocks_of(train->n > val->n ? train->n : val->n);
    drl_status st = problem_init(&p, train, blocks, true, team, err);
    if (st != DRL_OK) return st;
    /* liblbfgs built for SSE2 reads up to a multiple of 16 elements: the zeros there stay zero. */
    if ((st = drl_alloc(&w, (n + 15) / 16 * 16, sizeof *w, "parameters", err)) != DRL_OK) goto done;
    for (size_t s = 0; s < cfg->strengths; s++) {
        p.codes = train;
        p.l2 = cfg->l2[s];
        if ((st = minimise(&p, w, n, cfg, err)) != DRL_OK) goto done;
        double val_accuracy = accuracy(&p, val, w);
        if (s > 0 && !(val_accuracy > result->val_accuracy)) continue;
        *result = (drl_probe_result){.val_accuracy = val_accuracy, .rate = p.l2, .epoch = p.iterations};
        memcpy(params, w, n * sizeof *w);
    }
done:
    drl_free(w);
    problem_free(&p);
    return st;
}

static drl_status check_cfg(const drl_linear_cfg *cfg, drl_err *err) {
    if (cfg->strengths == 0 || cfg->strengths > sizeof cfg->l2 / sizeof *cfg->l2)
        return drl_fail(err, DRL_ERR_CONFIG, "%zu strengths of l2, 1 to %zu are allowed", cfg->strengths,
                        sizeof cfg->l2 / sizeof *cfg->l2);
    for (size_t s = 0; s < cfg->strengths; s++)
        if (!(cfg->l2[s] >= 0 && isfinite(cfg->l2[s])))
            return drl_fail(err, DRL_ERR_CONFIG, "l2 %g must not be negative", cfg->l2[s]);
    if (!(cfg->tolerance > 0 && isfinite(cfg->tolerance)))
        return drl_fail(err, DRL_ERR_CONFIG, "tolerance %g must be positive", cfg->tolerance);
    if (cfg->max_iterations == 0 || cfg->max_iterations > 1000000)
        return drl_fail(err, DRL_ERR_CONFIG, "%zu iterations at most, 1 to 1000000 are allowed", cfg->max_iterations);
    return DRL_OK;
}

static drl_status check_codes(const drl_codes *train, const drl_codes *val, drl_err *err) {
    drl_status st = drl_probe_check(train, "training codes", err);
    if (st == DRL_OK) st = drl_probe_check(val, "validation codes", err);
    if (st == DRL_OK) st = drl_probe_check_pair(train, val, "validation codes", err);
    size_t params;
    if (st == DRL_OK && (!drl_mul_size(&params, train->d + 1, train->classes) || params > 1u << 30))
        return drl_fail(err, DRL_ERR_LIMIT, "%zu classes of %zu dimensions: at most 2^30 parameters", train->classes,
                        train->d);
    return st;
}

typedef struct linear_fit {
    drl_classifier base;
    double *params; /* W (classes, d) | b (classes) */
} linear_fit;

static drl_status linear_accuracy(double *out, const drl_classifier *fit, const drl_codes *codes, drl_threads *team,
                                  drl_err *err) {
    problem p;
    drl_status st = problem_init(&p, codes, blocks_of(codes->n), false, team, err);
    if (st != DRL_OK) return st;
    *out = accuracy(&p, codes, ((const linear_fit *)fit)->params);
    problem_free(&p);
    return DRL_OK;
}

static void linear_release(drl_classifier *fit) {
    drl_free(((linear_fit *)fit)->params);
}

static const drl_classifier_type linear_type = {"linear probe", linear_accuracy, linear_release};

drl_status drl_probe_linear(drl_classifier **fit, drl_probe_result *result, drl_codes train, drl_codes val,
                            const drl_linear_cfg *cfg, drl_threads *team, drl_err *err) {
    drl_probe_result r = {0};
    linear_fit *f = NULL;
    double *params = NULL;
    drl_status st = check_cfg(cfg, err);
    if (st == DRL_OK) st = check_codes(&train, &val, err);
    if (st == DRL_OK) st = drl_alloc(&params, (train.d + 1) * train.classes, sizeof *params, "chosen parameters", err);
    if (st == DRL_OK) st = drl_linear_fit(&r, params, &train, &val, cfg, team, err);
    if (st == DRL_OK) st = drl_alloc(&f, 1, sizeof *f, "fit", err);
    if (st != DRL_OK) {
        drl_free(params);
        return drl_err_context(err, st, "%s", linear_type.name);
    }
    *f = (linear_fit){{&linear_type, train.d, train.classes}, params};
    *fit = &f->base;
    *result = r;
    return DRL_OK;
}
