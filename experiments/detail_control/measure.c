/* How much of the class and of which frequencies is in a code (detail.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detail.h"
#include "drl/bands.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "drl/sampling.h"

#define VERSION    1    /* of what the rows mean: raised where the same model gives others */
#define IMAGES     128  /* test images whose samples are compared with them */
#define SILHOUETTE 2000 /* test codes: it takes the square of their number  */
#define NEIGHBOURS 20

/* ---- Class ------------------------------------------------------------------------------------------------------- */

/* Codes of both splits, standardised by those of the training images for what follows. */
typedef struct codes {
    drl_codes train, test;
    drl_real *x, *x_test, *raw_test; /* (n, d), (n_test, d) twice: the last as they are */
} codes;

static void close_codes(codes *c) {
    drl_free(c->x);
    drl_free(c->x_test);
    drl_free(c->raw_test);
}

static drl_status open_codes(codes *c, const drl_subject *s, drl_err *err) {
    const drl_dataset *data = s->model->data;
    size_t n = data->split[DRL_SPLIT_TRAIN].n, n_test = data->split[DRL_SPLIT_TEST].n;
    size_t d = drl_model_code_size(s->model);
    double *mean = NULL;
    *c = (codes){0};
    drl_status st = drl_alloc(&c->x, n * d, sizeof *c->x, "codes", err);
    if (st == DRL_OK) st = drl_alloc(&c->x_test, n_test * d, sizeof *c->x_test, "codes", err);
    if (st == DRL_OK) st = drl_alloc(&c->raw_test, n_test * d, sizeof *c->raw_test, "codes", err);
    if (st == DRL_OK) st = drl_alloc(&mean, 2 * d, sizeof *mean, "standardisation", err);
    if (st == DRL_OK) st = drl_model_encode(s->model, DRL_SPLIT_TRAIN, NULL, n, 0, c->x, err);
    if (st == DRL_OK) st = drl_model_encode(s->model, DRL_SPLIT_TEST, NULL, n_test, 0, c->raw_test, err);
    if (st == DRL_OK) {
        memcpy(c->x_test, c->raw_test, n_test * d * sizeof *c->x_test);
        drl_standardise_fit(mean, mean + d, c->x, n, d);
        drl_standardise(c->x, n, d, mean, mean + d);
        drl_standardise(c->x_test, n_test, d, mean, mean + d);
        c->train = (drl_codes){n, d, data->classes, c->x, data->split[DRL_SPLIT_TRAIN].labels};
        c->test = (drl_codes){n_test, d, data->classes, c->x_test, data->split[DRL_SPLIT_TEST].labels};
    }
    drl_free(mean);
    return st;
}

static drl_status put(const drl_subject *s, const char *metric, double value, const char *detail, drl_err *err) {
    return drl_store_put(s->store, s->run, metric, NAN, value, detail, err);
}

static drl_status measure_class(const drl_subject *s, const codes *c, drl_err *err) {
    drl_classifier *fit = NULL;
    double accuracy, silhouette;
    drl_codes some = c->test;
    if (some.n > SILHOUETTE) some.n = SILHOUETTE;
    drl_status st = drl_probe_knn(&fit, c->train, NEIGHBOURS, DRL_EUCLIDEAN, err);
    if (st == DRL_OK) st = drl_classifier_accuracy(&accuracy, fit, c->test, s->model->team, err);
    drl_classifier_free(fit);
    if (st == DRL_OK) st = drl_silhouette(&silhouette, some, s->model->team, err);
    if (st == DRL_OK) st = put(s, DETAIL_KNN, accuracy, "k = 20, Euclidean, standardised codes", err);
    return st == DRL_OK ? put(s, DETAIL_SILHOUETTE, silhouette, "classes, standardised codes, Euclidean", err) : st;
}

/* ---- Samples ----------------------------------------------------------------------------------------------------- */

/* x (n, size) = images sampled with the same noise for all. */
static drl_status sample(drl_real *x, size_t n, const drl_subject *s, drl_score_model *network, drl_err *err) {
    drl_sampler_cfg cfg = drl_sampler_published();
    drl_score score = drl_score_model_score(network);
    cfg.steps = s->arm->settings.eval.eval_sampling;
    cfg.seed = s->seed;
    cfg.same_noise = true;
    return drl_sample(x, n, &s->model->sde, &score, &cfg, NULL, err);
}

/* Samples an image from the code of each of some test images, and puts how far they are from them, by frequency. */
static drl_status measure_samples(const drl_subject *s, drl_score_model *network, drl_err *err) {
    const drl_images *im = &s->model->data->split[DRL_SPLIT_TEST];
    size_t size = im->h * im->w * im->c, n = im->n < IMAGES ? im->n : IMAGES, all = n * size;
    uint32_t *index;
    drl_real *block = NULL;
    if (n < 2) return drl_fail(err, DRL_ERR_CONFIG, "%zu test images: want at least 2", im->n);
    drl_status st = drl_alloc(&index, im->n, sizeof *index, "order", err);
    if (st == DRL_OK) st = drl_alloc(&block, 6 * all, sizeof *block, "samples", err);
    if (st == DRL_OK) {
        drl_real *x = block, *y = x + all, *x_low = y + all, *x_high = x_low + all, *y_low = x_high + all,
                 *y_high = y_low + all;
        drl_rng_permutation(drl_rng_stream(s->seed, DRL_RNG_SHUFFLE, 1, 0), index, im->n);
        drl_batch_images(x, s->model->data, DRL_SPLIT_TEST, index, n);
        st = drl_score_model_images(network, DRL_SPLIT_TEST, index, n, err);
        if (st == DRL_OK) st = sample(y, n, s, network, err);
        for (size_t i = 0; i < n && st == DRL_OK; i++) {
            drl_bands(x_low + i * size, x_high + i * size, x + i * size, im, DETAIL_BLOCK);
            drl_bands(y_low + i * size, y_high + i * size, y + i * size, im, DETAIL_BLOCK);
        }
        char detail[128];
        snprintf(detail, sizeof detail, "%zu test images, predictor-corrector of %zu steps; own code over others'", n,
                 s->arm->settings.eval.eval_sampling);
        if (st == DRL_OK) st = put(s, DETAIL_LOW, drl_error_ratio(x_low, y_low, n, size), detail, err);
        if (st == DRL_OK) st = put(s, DETAIL_HIGH, drl_error_ratio(x_high, y_high, n, size), detail, err);
    }
    drl_free(index);
    drl_free(block);
    return st;
}

/* ---- The picture ------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b) {
    drl_real x = *(const drl_real *)a, y = *(const drl_real *)b;
    return (x > y) - (x < y);
}

/* What the central 90 % of a dimension is mapped from. */
typedef struct range {
    double middle, half; /* half is 0 of a dimension that never changes */
} range;

static drl_status range_of(range *r, const drl_real *x, size_t n, size_t d, size_t dimension, drl_err *err) {
    drl_real *sorted;
    *r = (range){0};
    if (dimension >= d) return DRL_OK;
    drl_status st = drl_alloc(&sorted, n, sizeof *sorted, "codes", err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; i < n; i++) sorted[i] = x[i * d + dimension];
    qsort(sorted, n, sizeof *sorted, ascending);
    double lo = (double)sorted[n / 20], hi = (double)sorted[n - 1 - n / 20];
    drl_free(sorted);
    *r = (range){(lo + hi) / 2, (hi - lo) / 2};
    return DRL_OK;
}

/* pixels = DETAIL_GRID^2 images, row by row from above: codes of the first dimension rising to the right, of the second
 * upwards, all others at their mean. */
static drl_status sample_grid(uint8_t *pixels, const drl_subject *s, drl_score_model *network, const codes *c,
                              const range r[2], drl_err *err) {
    enum { CELLS = DETAIL_GRID * DETAIL_GRID };
    const drl_images *im = &s->model->data->split[DRL_SPLIT_TEST];
    size_t d = c->test.d, size = im->h * im->w * im->c, row = im->w * im->c;
    drl_real *z, *x = NULL;
    uint8_t *cells = NULL;
    drl_status st = drl_alloc(&z, CELLS * d, sizeof *z, "codes", err);
    if (st == DRL_OK) st = drl_alloc(&x, CELLS * size, sizeof *x, "samples", err);
    if (st == DRL_OK) st = drl_alloc(&cells, CELLS * size, 1, "pixels", err);
    for (size_t j = 2; j < d && st == DRL_OK; j++) {
        double sum = 0;
        for (size_t i = 0; i < c->test.n; i++) sum += (double)c->raw_test[i * d + j];
        for (size_t k = 0; k < CELLS; k++) z[k * d + j] = (drl_real)(sum / (double)c->test.n);
    }
    for (size_t k = 0; k < CELLS && st == DRL_OK; k++) {
        double u[2] = {-1 + 2.0 * (double)(k % DETAIL_GRID) / (DETAIL_GRID - 1),
                       1 - 2.0 * (double)(k / DETAIL_GRID) / (DETAIL_GRID - 1)};
        for (size_t j = 0; j < 2 && j < d; j++) z[k * d + j] = (drl_real)(r[j].middle + u[j] * r[j].half);
    }
    if (st == DRL_OK) st = drl_score_model_codes(network, z, CELLS, err);
    if (st == DRL_OK) st = sample(x, CELLS, s, network, err);
    if (st == DRL_OK) {
        drl_batch_pixels(cells, s->model->data, x, CELLS);
        for (size_t k = 0; k < CELLS; k++)
            for (size_t i = 0; i < im->h; i++)
                memcpy(pixels + (((k / DETAIL_GRID) * im->h + i) * DETAIL_GRID + k % DETAIL_GRID) * row,
                       cells + k * size + i * row, row);
    }
    drl_free(z);
    drl_free(x);
    drl_free(cells);
    return st;
}

size_t detail_points(const drl_images *test) {
    return test->n < DETAIL_POINTS ? test->n : DETAIL_POINTS;
}

static void put_points(detail_picture *p, const codes *c, const range r[2]) {
    size_t d = c->test.d;
    for (size_t i = 0; i < p->points; i++)
        for (size_t j = 0; j < 2; j++)
            p->place[i][j] =
                j < d && r[j].half > 0 ? (float)(((double)c->raw_test[i * d + j] - r[j].middle) / r[j].half) : 0;
    memcpy(p->label, c->test.y, p->points * sizeof *p->label);
}

static drl_status make_picture(const drl_subject *s, drl_score_model *network, const codes *c, drl_err *err) {
    const drl_images *im = &s->model->data->split[DRL_SPLIT_TEST];
    static detail_picture p;
    range r[2];
    drl_status st = DRL_OK;
    p = (detail_picture){.points = detail_points(im), .side = DETAIL_GRID * im->h, .channels = im->c};
    snprintf(p.key, sizeof p.key, "%s", s->model->key);
    for (size_t j = 0; j < 2 && st == DRL_OK; j++) st = range_of(&r[j], c->raw_test, c->test.n, c->test.d, j, err);
    if (st == DRL_OK) st = drl_alloc(&p.grid, p.side * p.side * p.channels, 1, "grid of images", err);
    if (st == DRL_OK) st = sample_grid(p.grid, s, network, c, r, err);
    if (st == DRL_OK) put_points(&p, c, r);
    if (st == DRL_OK) st = detail_write(&p, s->out, s->run, err);
    drl_free(p.grid);
    return st;
}

/* ---- All of it --------------------------------------------------------------------------------------------------- */

static double holds_for(const drl_subject *s) {
    return VERSION + 1e-7 * (double)s->arm->settings.eval.eval_sampling;
}

/* Whether rows and picture of this very model are there. */
static drl_status is_done(bool *done, const drl_subject *s, drl_err *err) {
    static detail_picture p;
    double held = 0;
    drl_err ignored;
    *done = false;
    drl_status st = drl_store_get(s->store, s->run, DETAIL_DONE, NAN, done, &held, NULL, 0, err);
    if (st != DRL_OK || !s->resume || !*done || held != holds_for(s)) {
        *done = false;
        return st;
    }
    *done = detail_read(&p, s->out, s->run, &ignored) == DRL_OK;
    if (!*done) return DRL_OK;
    *done = strcmp(p.key, s->model->key) == 0;
    drl_free(p.grid);
    return DRL_OK;
}

drl_status detail_measure(const drl_subject *s, drl_err *err) {
    codes c = {0};
    drl_score_model *network = NULL;
    bool done;
    double start = drl_now();
    drl_status st = is_done(&done, s, err);
    if (st != DRL_OK || done) return st;
    drl_log("%s: sampling from its codes", s->label);
    st = put(s, DETAIL_DONE, 0, "being measured", err); /* what is there is replaced, or nothing counts */
    if (st == DRL_OK) st = open_codes(&c, s, err);
    if (st == DRL_OK) st = measure_class(s, &c, err);
    if (st == DRL_OK) /* not the average: the codes that probes and picture show are those of the last weights */
        st = drl_score_model_open(&network, s->model, &(drl_score_model_cfg){.weights = DRL_WEIGHTS_RAW}, err);
    if (st == DRL_OK) st = measure_samples(s, network, err);
    if (st == DRL_OK) st = make_picture(s, network, &c, err);
    if (st == DRL_OK) st = put(s, DETAIL_DONE, holds_for(s), "version + steps / 10^7", err);
    if (st == DRL_OK) drl_log("  sampled and measured in %.1f s", drl_now() - start);
    drl_score_model_close(network);
    close_codes(&c);
    return st;
}
