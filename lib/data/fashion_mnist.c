/* Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 60 000 + 10 000 grey images of 28 x 28 in four IDX files. Files of the
 * same names and form with other contents (MNIST, KMNIST) are read just as well. */
#define _POSIX_C_SOURCE 200809L
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive.h"
#include "drl/hash.h"
#include "drl/mem.h"
#include "idx.h"
#include "source.h"

#define CLASSES    10
#define FILE_LIMIT ((size_t)1 << 30)

enum { IMAGES, LABELS, KINDS };
static const char *const stems[DRL_SPLITS][KINDS] = {
    [DRL_SPLIT_TRAIN] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
    [DRL_SPLIT_TEST] = {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
};
static const char *const class_names[CLASSES] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                                 "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

/* path = DIR/STEM.gz or DIR/STEM, whichever is there. */
static bool find_file(char *path, size_t size, const char *dir, const char *stem) {
    static const char *const endings[] = {".gz", ""};
    struct stat info;
    for (size_t e = 0; e < sizeof endings / sizeof *endings; e++) {
        int length = snprintf(path, size, "%s/%s%s", dir, stem, endings[e]);
        if (length > 0 && (size_t)length < size && stat(path, &info) == 0) return true;
    }
    return false;
}

drl_status drl_fashion_mnist_find(char *dir, size_t size, const char *const *dirs, size_t n, drl_err *err) {
    char path[4096], looked[600] = "";
    for (size_t d = 0; d < n; d++) {
        if (!dirs[d]) continue;
        for (size_t f = 0; f < DRL_SPLITS * KINDS; f++)
            if (find_file(path, sizeof path, dirs[d], stems[f / KINDS][f % KINDS])) {
                snprintf(dir, size, "%s", dirs[d]);
                return DRL_OK;
            }
        size_t used = strlen(looked);
        snprintf(looked + used, sizeof looked - used, "%s%s", used ? ", " : "", dirs[d]);
    }
    return drl_fail(err, DRL_ERR_NOT_FOUND,
                    "no {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz] in %s: apt-get install "
                    "dataset-fashion-mnist, or name the directory that holds them",
                    looked);
}

/* The directories in the order they are tried: the one asked for, $DRL_DATA_DIR, the system's. */
static drl_status find_dir(char *dir, size_t size, const char *data_dir, drl_err *err) {
    struct stat info;
    if (data_dir && (stat(data_dir, &info) != 0 || !S_ISDIR(info.st_mode)))
        return drl_fail(err, DRL_ERR_NOT_FOUND, "data directory %s: no such directory", data_dir);
    const char *given[] = {data_dir, getenv("DRL_DATA_DIR")};
    char below[2][4096];
    const char *system = getenv("DRL_SYSTEM_DATA_DIR");
    const char *dirs[5] = {[4] = system && *system ? system : DRL_FASHION_MNIST_SYSTEM_DIR};
    for (size_t i = 0; i < 2; i++) {
        if (!given[i] || !*given[i]) continue;
        snprintf(below[i], sizeof below[i], "%s/fashion-mnist", given[i]);
        dirs[2 * i] = given[i];
        dirs[2 * i + 1] = below[i];
    }
    return drl_fashion_mnist_find(dir, size, dirs, 5, err);
}

/* Checks the two files of a split against each other, the size wanted, and the image size hw of the split read before
 * (0: none). */
static drl_status check_split(const drl_idx_images *images, const drl_idx_labels *labels, size_t size, size_t hw[2],
                              drl_err *err) {
    if (images->n != labels->n)
        return drl_fail(err, DRL_ERR_FORMAT, "%zu images, but %zu labels", images->n, labels->n);
    if (images->h > size || images->w > size)
        return drl_fail(err, DRL_ERR_SHAPE, "images are %zu x %zu, larger than the %zu x %zu asked for", images->h,
                        images->w, size, size);
    if (hw[0] != 0 && (images->h != hw[0] || images->w != hw[1]))
        return drl_fail(err, DRL_ERR_SHAPE, "images are %zu x %zu, those for training %zu x %zu", images->h, images->w,
                        hw[0], hw[1]);
    hw[0] = images->h, hw[1] = images->w;
    size_t same = 1;
    while (same < labels->n && labels->labels[same] == labels->labels[0]) same++;
    if (same == labels->n)
        return drl_fail(err, DRL_ERR_FORMAT, "all %zu labels are %u: want at least two classes", same,
                        (unsigned)labels->labels[0]);
    return DRL_OK;
}

/* Copies the first im->n images to the middle of the zeroed larger ones; an odd margin is wider at the end. */
static void pad_images(drl_images *im, const drl_idx_images *from) {
    size_t top = (im->h - from->h) / 2, left = (im->w - from->w) / 2;
    for (size_t i = 0; i < im->n; i++)
        for (size_t y = 0; y < from->h; y++)
            memcpy(im->pixels + (i * im->h + top + y) * im->w + left, from->pixels + (i * from->h + y) * from->w,
                   from->w);
}

/* Reads one of the split's files and appends its digest to those of the files before it. */
static drl_status read_file(uint8_t **bytes, size_t *size, char *digests, const char *dir, const char *stem,
                            drl_err *err) {
    char path[4096 + 64];
    if (!find_file(path, sizeof path, dir, stem))
        return drl_fail(err, DRL_ERR_NOT_FOUND, "%s: neither %s.gz nor %s is there", dir, stem, stem);
    drl_status st = drl_sha256_file(digests + strlen(digests), path, err);
    return st == DRL_OK ? drl_archive_read_bare(path, bytes, size, FILE_LIMIT, err) : st;
}

static drl_status read_split(drl_images *im, char *digests, const char *dir, drl_split split, size_t limit, size_t side,
                             size_t hw[2], drl_err *err) {
    uint8_t *bytes[KINDS] = {NULL};
    size_t size[KINDS];
    drl_idx_images images;
    drl_idx_labels labels;
    drl_status st = DRL_OK;
    for (int kind = 0; kind < KINDS; kind++) {
        st = read_file(&bytes[kind], &size[kind], digests, dir, stems[split][kind], err);
        if (st != DRL_OK) goto done;
        st = kind == IMAGES ? drl_idx_parse_images(&images, bytes[kind], size[kind], err)
                            : drl_idx_parse_labels(&labels, bytes[kind], size[kind], CLASSES, err);
        if (st != DRL_OK) {
            st = drl_err_context(err, st, "%s/%s", dir, stems[split][kind]);
            goto done;
        }
    }
    if ((st = check_split(&images, &labels, side, hw, err)) != DRL_OK) {
        st = drl_err_context(err, st, "%s/%s", dir, stems[split][IMAGES]);
        goto done;
    }
    size_t n = limit && limit < images.n ? limit : images.n;
    if ((st = drl_images_alloc(im, n, side, side, 1, 0, err)) != DRL_OK) goto done;
    pad_images(im, &images);
    for (size_t i = 0; i < n; i++) im->labels[i] = labels.labels[i];
done:
    for (int kind = 0; kind < KINDS; kind++) drl_free(bytes[kind]);
    return st;
}

drl_status drl_source_fashion_mnist(drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err) {
    char dir[4096], digests[DRL_SPLITS * KINDS * 64 + 1] = "";
    drl_status st = find_dir(dir, sizeof dir, cfg->data_dir, err);
    if (st != DRL_OK) return st;
    const size_t limits[DRL_SPLITS] = {cfg->train_limit, cfg->test_limit};
    size_t hw[2] = {0};
    for (int s = 0; s < DRL_SPLITS; s++) {
        st = read_split(&ds->split[s], digests, dir, (drl_split)s, limits[s], cfg->size, hw, err);
        if (st != DRL_OK) return st;
    }
    /* SHA-256 of the four files' digests, in the order train images, train labels, test images, test labels. */
    drl_sha256(ds->sha256, digests, strlen(digests));
    ds->classes = CLASSES;
    for (size_t k = 0; k < CLASSES; k++) snprintf(ds->class_names[k], sizeof ds->class_names[k], "%s", class_names[k]);
    return DRL_OK;
}
