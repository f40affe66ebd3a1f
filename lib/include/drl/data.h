/* Datasets: labelled images in memory, as bytes.                                   [DESIGN, "Scales"; science.md 5]
 *
 * Glossary used by every header: N images, H rows, W columns, C channels, D code dimensions, T times. Images are
 * (N, H, W, C) row-major, channel fastest ("NHWC"), uint8 0..255. */
#ifndef DRL_DATA_H
#define DRL_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "drl/err.h"
#include "drl/file.h"
#include "drl/real.h"
#include "drl/threads.h"

#define DRL_MAX_CHANNELS 4
#define DRL_MAX_FACTORS  8

typedef enum drl_split { DRL_SPLIT_TRAIN, DRL_SPLIT_TEST, DRL_SPLITS } drl_split;

/* One split. Owned by its dataset. */
typedef struct drl_images {
    size_t n, h, w, c;
    uint8_t *pixels;                   /* (n, h, w, c)                                                          */
    int32_t *labels;                   /* (n) in [0, classes)                                                   */
    int32_t *factors[DRL_MAX_FACTORS]; /* (n) each, in [0, factor_classes[f]); NULL beyond the dataset's factors */
} drl_images;

typedef struct drl_dataset {
    char name[1024]; /* as configured: one of the names below, a path included                                   */
    char sha256[65]; /* of the source files' bytes (synthetic: of the generator's parameters), in hexadecimal   */
    size_t classes;
    char class_names[256][32];
    size_t factors; /* number of other things known of each image: synthetic datasets, CIFAR-100's superclass       */
    char factor_names[DRL_MAX_FACTORS][32];
    size_t factor_classes[DRL_MAX_FACTORS];
    drl_images split[DRL_SPLITS];
    /* Per-channel mean and standard deviation of the training split's pixels / 255; 1 for a constant channel. */
    double mean[DRL_MAX_CHANNELS], std[DRL_MAX_CHANNELS];
    /* (value / 255 - mean[c]) / std[c] for every byte value: what drl_batch_images looks up. */
    drl_real normalised[DRL_MAX_CHANNELS][256];
    uint64_t seed;        /* of the configuration it was opened with                                              */
    size_t skipped;       /* pictures left out because of skip_bad                                               */
    bool cached;          /* came from the cache: pixels, labels and factors lie in `mapping`, read-only         */
    char cache_note[256]; /* why the decoded dataset could not be cached, which is no error; "" otherwise        */
    void *mapping;        /* of the cache file; NULL where the arrays were allocated                             */
    size_t mapping_size;
} drl_dataset;

typedef enum drl_resize { DRL_RESIZE_AREA, DRL_RESIZE_BICUBIC } drl_resize;

typedef struct drl_dataset_cfg {
    const char *name;     /* one that drl_dataset_help lists                                                      */
    const char *data_dir; /* where files are looked for first (has to exist); NULL: the default places only       */
    size_t size;          /* side of the square images wanted: smaller sources are zero-padded evenly on all
                             sides (28 -> 32: 2 each), synthetic ones are drawn at it, pictures of folder: and npz:
                             are resized to it; 0: 32, of folder: and npz: their own size if all agree           */
    size_t train_limit, test_limit; /* at most so many images of a split, the first ones; 0: all (synthetic:
                                       4096 and 1024). folder:, and npz: where the first ones lack a class: the
                                       first ones of each class in turn                                          */
    uint64_t seed;         /* synthetic datasets, and the split of a folder that has none                         */
    drl_resize resize;     /* how folder: and npz: pictures of another size become size x size, after a centred
                              square crop                                                                        */
    bool skip_bad;         /* folder: corrupt pictures are skipped and counted instead of refused                 */
    const char *cache_dir; /* decoded datasets are cached here; NULL: $XDG_CACHE_HOME/drl or ~/.cache/drl; "": not */
    drl_threads *team;     /* lent; NULL: this thread alone                                                       */
} drl_dataset_cfg;

/* Reads or draws a dataset. The caller owns *ds and frees it with drl_dataset_free. A source that is missing,
 * truncated, of the wrong magic, with dimensions that do not match its size, or with a label out of range is refused
 * with one line that names file and member, and nothing is left allocated; so is a dataset without images, of one
 * class only, with images of a single row or column, or (where train_limit is 0) with a class that only the test split
 * has. Files are looked for in data_dir, $DRL_DATA_DIR,
 * $XDG_DATA_HOME/drl (~/.local/share/drl) and ./data, and there in the directory of the dataset's name; Fashion-MNIST
 * also in the place of Debian's package, instead of which $DRL_SYSTEM_DATA_DIR may name another. A cache never changes
 * a dataset, only the time it takes to open. */
drl_status drl_dataset_open(drl_dataset **ds, const drl_dataset_cfg *cfg, drl_err *err);
void drl_dataset_free(drl_dataset *ds);

/* The files a dataset would be read from: one archive, directory or array file, or the four IDX files; none where it is
 * drawn. Missing ones are ERR_NOT_FOUND with a message as of drl_dataset_open. */
#define DRL_DATASET_FILES 4
typedef struct drl_dataset_files {
    size_t n;
    char path[DRL_DATASET_FILES][DRL_PATH_MAX];
} drl_dataset_files;
drl_status drl_dataset_locate(drl_dataset_files *files, const drl_dataset_cfg *cfg, drl_err *err);

/* Name and help of the i-th dataset known; NULL behind the last. */
const char *drl_dataset_known(size_t i, const char **help);

/* One line per dataset drl_dataset_open knows: its name and where it is looked for. */
const char *drl_dataset_help(void);

/* out = the dataset's name as part of a file's name: letters, digits and "._-" only, of a path its last part without an
 * archive's ending. "folder:/pictures/birds.tar.gz" is "folder-birds"; so is another birds elsewhere. */
#define DRL_DATASET_SHORT_MAX 64
void drl_dataset_short_name(char out[DRL_DATASET_SHORT_MAX], const char *name);

/* What the images of a folder: dataset's split are called: CLASS/PICTURE, without a directory train/ or test/ and what
 * is around it. Read only, but for drl_picture_names_free. */
typedef struct drl_picture_name {
    const char *text;
    uint32_t place; /* of the image in its split */
} drl_picture_name;
typedef struct drl_picture_names {
    size_t n;
    drl_split split;
    const char **name;         /* (n) of image i                                   */
    drl_picture_name *by_name; /* (n) by the bytes of CLASS/PICTURE                */
    drl_picture_name *by_base; /* (n) by the bytes of PICTURE, then by place       */
    char *text;                /* what all of them point into                      */
} drl_picture_names;

/* *names = those of the images of ds, in their order, under the configuration it was opened with. They come from the
 * directory or archive, whether ds was cached or not; only where it has skipped pictures are these decoded once more.
 * ERR_NOT_FOUND where the dataset's source has no file names, ERR_IO where it has changed, ERR_CONFIG where ds was
 * opened with other limits or another seed. The caller owns *names; NULL after failure. */
drl_status drl_dataset_names(drl_picture_names **names, const drl_dataset *ds, const drl_dataset_cfg *cfg,
                             drl_split split, drl_err *err);
void drl_picture_names_free(drl_picture_names *names);

/* *place = the image called CLASS/PICTURE, or so with its split's train/ or test/ in front, or PICTURE where no other
 * image's file has that name; left as it was where there is not exactly one. */
typedef enum drl_name_match { DRL_NAME_UNKNOWN, DRL_NAME_FOUND, DRL_NAME_AMBIGUOUS } drl_name_match;
drl_name_match drl_picture_names_find(const drl_picture_names *names, uint32_t *place, const char *name);

/* out (n, H, W, C) = (pixels[index[i]] / 255 - mean[c]) / std[c]. Indices are asserted to be in range. */
void drl_batch_images(drl_real *out, const drl_dataset *ds, drl_split split, const uint32_t *index, size_t n);

/* The inverse: out (n, H, W, C) = x std[c] + mean[c], as the nearest bytes; what lies beyond them is cut off, and what
 * is no number becomes 0. */
void drl_batch_pixels(uint8_t *out, const drl_dataset *ds, const drl_real *x, size_t n);

/* The endless order of training images: epoch e is a permutation of 0 .. n-1 drawn from (seed, e) alone, epochs follow
 * each other without a gap, and batch k is positions k*batch .. (k+1)*batch - 1 of that sequence. So a batch is a
 * function of (seed, k), and a resumed run sees the images of an uninterrupted one. */
typedef struct drl_order {
    uint64_t seed;
    size_t n;
    const uint32_t *part; /* (n) what images 0 .. n-1 are called, lent, to be set after drl_order_init; NULL: so */
    uint32_t *perm[2];    /* the two epochs last used, by parity */
    uint64_t epoch[2];
} drl_order;

drl_status drl_order_init(drl_order *order, uint64_t seed, size_t n, drl_err *err);
void drl_order_free(drl_order *order);
void drl_order_batch(drl_order *order, uint64_t k, size_t batch, uint32_t *index);

/* index (n) = a permutation drawn from the seed: its first n - n_val entries are the probe's training part, the last
 * n_val its validation part (published: 45 000 / 5 000 of CIFAR-10, i.e. one tenth). */
void drl_split_validation(uint32_t *index, size_t n, uint64_t seed);
size_t drl_validation_size(size_t n); /* n_val: a tenth */

#endif
