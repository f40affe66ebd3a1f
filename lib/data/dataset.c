/* Opening a dataset, its statistics, and batches of normalised images (drl/data.h). */
#include "drl/data.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "cache.h"
#include "drl/file.h"
#include "drl/mem.h"
#include "source.h"

#define DEFAULT_SIZE 32
#define MAX_SIZE     1024
#define MAX_PIXELS   ((size_t)16 << 30)

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
    if (ds->mapping)
        munmap(ds->mapping, ds->mapping_size);
    else
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
    }
}

static void tabulate(drl_dataset *ds) {
    for (size_t c = 0; c < ds->split[DRL_SPLIT_TRAIN].c; c++)
        for (int v = 0; v < 256; v++) ds->normalised[c][v] = (drl_real)((v / 255.0 - ds->mean[c]) / ds->std[c]);
}

/* Without a limit that cuts classes off, every class of the test split is one that can be learnt. */
static drl_status check_classes(const drl_dataset *ds, drl_err *err) {
    const drl_images *train = &ds->split[DRL_SPLIT_TRAIN], *test = &ds->split[DRL_SPLIT_TEST];
    bool trained[256] = {false};
    assert(ds->classes <= sizeof trained);
    for (size_t i = 0; i < train->n; i++) trained[train->labels[i]] = true;
    for (size_t i = 0; i < test->n; i++)
        if (!trained[test->labels[i]])
            return drl_fail(err, DRL_ERR_SHAPE, "class %s has test images, but no training images",
                            ds->class_names[test->labels[i]]);
    return DRL_OK;
}

/* What no experiment can use, whatever the source: no images, one class, images of a single row or column. */
static drl_status check(const drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err) {
    static const char *const names[DRL_SPLITS] = {"training", "test"};
    for (int s = 0; s < DRL_SPLITS; s++) {
        const drl_images *im = &ds->split[s];
        if (im->n == 0) return drl_fail(err, DRL_ERR_SHAPE, "no %s images", names[s]);
        if (im->h < 2 || im->w < 2)
            return drl_fail(err, DRL_ERR_SHAPE, "images of %zu x %zu: want at least 2 x 2 pixels", im->h, im->w);
    }
    const drl_images *train = &ds->split[DRL_SPLIT_TRAIN], *test = &ds->split[DRL_SPLIT_TEST];
    if (train->h != test->h || train->w != test->w || train->c != test->c)
        return drl_fail(err, DRL_ERR_SHAPE, "training images are %zu x %zu x %zu, test images %zu x %zu x %zu",
                        train->h, train->w, train->c, test->h, test->w, test->c);
    size_t same = 1;
    while (same < train->n && train->labels[same] == train->labels[0]) same++;
    if (ds->classes < 2 || same == train->n)
        return drl_fail(err, DRL_ERR_SHAPE, "all %zu training images are of one class (%s): want at least two classes",
                        train->n, ds->class_names[train->labels[0]]);
    return cfg->train_limit == 0 ? check_classes(ds, err) : DRL_OK;
}

/* Has the configuration a size that the source could use? Fills the default in. */
static drl_status complete(drl_dataset_cfg *cfg, drl_err *err) {
    if (cfg->size == 0 && !drl_source_path(cfg->name)) cfg->size = DEFAULT_SIZE;
    if (cfg->size > MAX_SIZE) return drl_fail(err, DRL_ERR_CONFIG, "image size %zu: want 1 .. %d", cfg->size, MAX_SIZE);
    if (strlen(cfg->name) >= sizeof((drl_dataset *)NULL)->name)
        return drl_fail(err, DRL_ERR_CONFIG, "the path is too long");
    return DRL_OK;
}

/* From the cache where it has the dataset; else from the source, and then into the cache. */
static drl_status fill(drl_dataset *ds, const drl_source *source, const drl_dataset_cfg *cfg, drl_err *err) {
    char dir[DRL_PATH_MAX], sha256[65];
    bool cache = source->identify && drl_cache_dir(dir, sizeof dir, cfg);
    drl_status st = cache ? source->identify(sha256, cfg, err) : DRL_OK;
    if (st != DRL_OK || (cache && drl_cache_load(ds, sha256, cfg))) return st;
    if ((st = source->open(ds, cfg, err)) != DRL_OK || (st = check(ds, cfg, err)) != DRL_OK) return st;
    measure(ds);
    drl_err unwritable;
    if (cache && drl_cache_store(ds, cfg, &unwritable) != DRL_OK)
        snprintf(ds->cache_note, sizeof ds->cache_note, "%.255s", unwritable.message);
    return DRL_OK;
}

drl_status drl_dataset_open(drl_dataset **out, const drl_dataset_cfg *given, drl_err *err) {
    *out = NULL;
    drl_dataset_cfg cfg = *given;
    const drl_source *source = drl_source_find(cfg.name);
    if (!source) return drl_source_unknown(cfg.name, err);
    drl_dataset *ds = NULL;
    drl_status st = complete(&cfg, err);
    if (st == DRL_OK) st = drl_alloc(&ds, 1, sizeof *ds, "dataset", err);
    if (st == DRL_OK) {
        snprintf(ds->name, sizeof ds->name, "%s", cfg.name);
        st = fill(ds, source, &cfg, err);
    }
    if (st != DRL_OK) {
        drl_dataset_free(ds);
        return drl_source_context(err, st, cfg.name);
    }
    ds->seed = cfg.seed;
    tabulate(ds);
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

void drl_batch_pixels(uint8_t *out, const drl_dataset *ds, const drl_real *x, size_t n) {
    const drl_images *im = &ds->split[DRL_SPLIT_TRAIN];
    for (size_t i = 0; i < n * im->h * im->w * im->c; i++) {
        double v = 255 * ((double)x[i] * ds->std[i % im->c] + ds->mean[i % im->c]);
        out[i] = (uint8_t)fmin(255, fmax(0, floor(v + 0.5))); /* fmax(0, NaN) is 0 */
    }
}
