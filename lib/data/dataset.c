/* Opening a dataset, its statistics, and batches of normalised images (drl/data.h). */
#include "drl/data.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "drl/mem.h"
#include "source.h"

#define DEFAULT_SIZE 32
#define MAX_SIZE     1024
#define MAX_PIXELS   ((size_t)16 << 30)

static const struct {
    const char *name;
    drl_status (*open)(drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err);
} sources[] = {
#define SOURCE_ROW(name, function, help) {name, function},
    DRL_SOURCE_LIST(SOURCE_ROW)
#undef SOURCE_ROW
};

const char *drl_dataset_help(void) {
#define SOURCE_HELP(name, function, help) name ": " help "\n"
    return DRL_SOURCE_LIST(SOURCE_HELP);
#undef SOURCE_HELP
}

drl_status drl_images_alloc(drl_images *im, size_t n, size_t h, size_t w, size_t c, size_t factors, drl_err *err) {
    assert(factors <= DRL_MAX_FACTORS && c <= DRL_MAX_CHANNELS);
    size_t bytes;
    if (n > UINT32_MAX || !drl_mul_size(&bytes, n, h * w * c) || bytes > MAX_PIXELS)
        return drl_fail(err, DRL_ERR_LIMIT, "%zu images of %zu x %zu x %zu are more than fit 16 GiB: use a limit", n, h,
                        w, c);
    *im = (drl_images){.n = n, .h = h, .w = w, .c = c};
    drl_status st = drl_alloc(&im->pixels, bytes, 1, "images", err);
    if (st == DRL_OK) st = drl_alloc(&im->labels, n, sizeof *im->labels, "labels", err);
    for (size_t f = 0; f < factors && st == DRL_OK; f++)
        st = drl_alloc(&im->factors[f], n, sizeof *im->factors[f], "factors", err);
    return st;
}

static void images_free(drl_images *im) {
    drl_free(im->pixels);
    drl_free(im->labels);
    for (size_t f = 0; f < DRL_MAX_FACTORS; f++) drl_free(im->factors[f]);
}

void drl_dataset_free(drl_dataset *ds) {
    if (!ds) return;
    for (int s = 0; s < DRL_SPLITS; s++) images_free(&ds->split[s]);
    drl_free(ds);
}

/* Mean and standard deviation of each channel from its histogram: 256 terms in double, whatever the order of the
 * images. A constant channel gets the deviation 1. */
static void measure(drl_dataset *ds) {
    const drl_images *im = &ds->split[DRL_SPLIT_TRAIN];
    uint64_t count[DRL_MAX_CHANNELS][256] = {{0}};
    size_t pixels = im->n * im->h * im->w;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < im->c; c++) count[c][im->pixels[i * im->c + c]]++;
    for (size_t c = 0; c < im->c; c++) {
        double sum = 0, square = 0;
        for (int v = 0; v < 256; v++) sum += (double)count[c][v] * (v / 255.0);
        ds->mean[c] = sum / (double)pixels;
        for (int v = 0; v < 256; v++) {
            double d = v / 255.0 - ds->mean[c];
            square += (double)count[c][v] * (d * d);
        }
        ds->std[c] = square > 0 ? sqrt(square / (double)pixels) : 1;
        for (int v = 0; v < 256; v++) ds->normalised[c][v] = (drl_real)((v / 255.0 - ds->mean[c]) / ds->std[c]);
    }
}

/* The names of all datasets, for the message about an unknown one. */
static drl_status unknown_name(const char *name, drl_err *err) {
    char known[256] = "";
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", sources[i].name);
    }
    return drl_fail(err, DRL_ERR_CONFIG, "unknown dataset \"%s\": known are %s", name ? name : "", known);
}

drl_status drl_dataset_open(drl_dataset **out, const drl_dataset_cfg *given, drl_err *err) {
    *out = NULL;
    size_t s = 0, known = sizeof sources / sizeof *sources;
    while (s < known && !(given->name && strcmp(given->name, sources[s].name) == 0)) s++;
    if (s == known) return unknown_name(given->name, err);
    drl_dataset_cfg cfg = *given;
    if (cfg.size == 0) cfg.size = DEFAULT_SIZE;
    drl_dataset *ds = NULL;
    drl_status st = DRL_OK;
    if (cfg.size > MAX_SIZE) st = drl_fail(err, DRL_ERR_CONFIG, "image size %zu: want 1 .. %d", cfg.size, MAX_SIZE);
    if (st == DRL_OK) st = drl_alloc(&ds, 1, sizeof *ds, "dataset", err);
    if (st == DRL_OK) {
        snprintf(ds->name, sizeof ds->name, "%s", cfg.name);
        st = sources[s].open(ds, &cfg, err);
    }
    if (st != DRL_OK) {
        drl_dataset_free(ds);
        return drl_err_context(err, st, "%s", cfg.name);
    }
    measure(ds);
    *out = ds;
    return DRL_OK;
}

void drl_batch_images(drl_real *restrict out, const drl_dataset *ds, drl_split split, const uint32_t *index, size_t n) {
    const drl_images *im = &ds->split[split];
    size_t c = im->c, pixels = im->h * im->w;
    for (size_t i = 0; i < n; i++) {
        assert(index[i] < im->n);
        const uint8_t *from = im->pixels + index[i] * pixels * c;
        drl_real *to = out + i * pixels * c;
        if (c == 1) {
            for (size_t p = 0; p < pixels; p++) to[p] = ds->normalised[0][from[p]];
        } else {
            for (size_t p = 0; p < pixels; p++, from += c, to += c)
                for (size_t k = 0; k < c; k++) to[k] = ds->normalised[k][from[k]];
        }
    }
}
