/* drl likelihood: bits per dimension of test images under a trained model. */
#include <math.h>
#include <stdio.h>

#include "drl/mem.h"
#include "drl_model.h"

typedef struct likelihood_args {
    model_args common;
    size_t images, probes;
} likelihood_args;

#define FLAG(argument, name, field, kind, default_, limits, help)                                                      \
    DRL_FLAG(likelihood_args, argument, name, field, kind, default_, help, limits)
static const drl_flag flags[] = {
    MODEL_FLAGS(likelihood_args),
    FLAG("N", "images", images, SIZE, "64", DRL_RANGE(2, 1e9), "so many test images, drawn; all where there are fewer"),
    FLAG("K", "probes", probes, SIZE, "1", DRL_RANGE(1, 1e6), "random vectors that estimate the trace of an image"),
};

static const char text[] =
    "Mean of -log2 p(x)/d over test images, d numbers each, with its standard error, by the probability flow "
    "(Dormand-\n"
    "Prince, tolerances 1e-5) and Hutchinson's estimate of the divergence. Images are bytes, dequantised uniformly. "
    "Those\n"
    "of a model with codes are conditioned on their own codes: what the codes would take is not counted.\n";

static drl_status on_step(void *arg, size_t step, size_t steps, double t, const drl_real *x, drl_err *err) {
    (void)x, (void)err;
    model_progress_step(arg, "likelihoods, in thousandths of the time", step, steps, t);
    return DRL_OK;
}

/* Mean and standard error of the mean. */
static void report(const double *bits, size_t n, const char *conditioned, const likelihood_args *a, size_t asked) {
    double mean = 0, square = 0;
    for (size_t i = 0; i < n; i++) mean += bits[i] / (double)n;
    for (size_t i = 0; i < n; i++) square += (bits[i] - mean) * (bits[i] - mean);
    printf("%.4f ± %.4f bits/dim   %zu test images%s, %zu probe%s, %zu evaluations\n", mean,
           sqrt(square / (double)(n - 1) / (double)n), n, conditioned, a->probes, a->probes == 1 ? "" : "s", asked);
}

static drl_status run(void *args, drl_err *err) {
    const likelihood_args *a = args;
    opened_model o;
    uint32_t *index = NULL;
    double *bits = NULL;
    drl_order order = {0};
    drl_status st = model_open(&o, &a->common, true, err);
    size_t all = st == DRL_OK ? o.data->split[DRL_SPLIT_TEST].n : 0, n = a->images < all ? a->images : all, asked = 0;
    if (st == DRL_OK && n < 2) st = drl_fail(err, DRL_ERR_CONFIG, "%zu test images: want at least 2", n);
    if (st == DRL_OK) st = drl_alloc(&index, n, sizeof *index, "test images", err);
    if (st == DRL_OK) st = drl_alloc(&bits, n, sizeof *bits, "likelihoods", err);
    if (st == DRL_OK) st = drl_order_init(&order, a->common.seed, all, err);
    if (st == DRL_OK) {
        drl_sampler_cfg cfg = drl_sampler_published();
        model_progress progress = {.runs = (n + DRL_SCORE_BATCH - 1) / DRL_SCORE_BATCH,
                                   .t_from = drl_sampler_end(&cfg, &o.model->sde),
                                   .t_to = 1};
        cfg.seed = a->common.seed;
        cfg.progress = on_step;
        cfg.arg = &progress;
        drl_order_batch(&order, 0, n, index);
        st = drl_bits_per_dim(bits, o.score, DRL_SPLIT_TEST, index, n, a->probes, &cfg, &asked, err);
        model_progress_end(&progress);
    }
    if (st == DRL_OK) report(bits, n, drl_score_model_code_size(o.score) > 0 ? ", given their codes" : "", a, asked);
    drl_order_free(&order);
    drl_free(bits);
    drl_free(index);
    model_close(&o);
    return st;
}

int likelihood_main(int argc, char **argv) {
    static likelihood_args args;
    const model_command command = {"likelihood", flags, sizeof flags / sizeof *flags, text, run, &args};
    return model_main(&command, argc, argv);
}
