/* CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 50 000 + 10 000 colour images of 32 x 32, read in place from the binary
 * archives their author publishes.
 *
 * A member is a row of records: the labels (CIFAR-10 one byte; CIFAR-100 the superclass, then the class), then the red,
 * green and blue planes, row-major. */
#include <stdio.h>
#include <string.h>

#include "archive.h"
#include "cache.h"
#include "drl/mem.h"
#include "places.h"
#include "published.h"
#include "source.h"

#define SIDE          ((size_t)32)
#define PLANE         (SIDE * SIDE)
#define CHANNELS      ((size_t)3)
#define FILE_LIMIT    ((size_t)1 << 30)
#define ARCHIVE_LIMIT ((uint64_t)4 << 30)
#define MEMBER_LIMIT  100
#define NAMES_LIMIT   ((size_t)1 << 16)
#define SUPERCLASSES  20

enum { TRAIN_FILES = 5, TEST = TRAIN_FILES, NAMES, FILES };
typedef struct variant {
    const char *name, *archive;     /* of the dataset; of the published file, without its ending             */
    const char *member[FILES];      /* training files in order, the test file, class names; NULL: has fewer  */
    size_t labels, classes;         /* label bytes of a record, of which the last is the class               */
    const char *const *class_names; /* (classes)                                                              */
} variant;

static const char *const names10[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                      "dog",      "frog",       "horse", "ship", "truck"};
static const char *const names100[] = {
    "apple",      "aquarium_fish", "baby",         "bear",       "beaver",      "bed",         "bee",
    "beetle",     "bicycle",       "bottle",       "bowl",       "boy",         "bridge",      "bus",
    "butterfly",  "camel",         "can",          "castle",     "caterpillar", "cattle",      "chair",
    "chimpanzee", "clock",         "cloud",        "cockroach",  "couch",       "crab",        "crocodile",
    "cup",        "dinosaur",      "dolphin",      "elephant",   "flatfish",    "forest",      "fox",
    "girl",       "hamster",       "house",        "kangaroo",   "keyboard",    "lamp",        "lawn_mower",
    "leopard",    "lion",          "lizard",       "lobster",    "man",         "maple_tree",  "motorcycle",
    "mountain",   "mouse",         "mushroom",     "oak_tree",   "orange",      "orchid",      "otter",
    "palm_tree",  "pear",          "pickup_truck", "pine_tree",  "plain",       "plate",       "poppy",
    "porcupine",  "possum",        "rabbit",       "raccoon",    "ray",         "road",        "rocket",
    "rose",       "sea",           "seal",         "shark",      "shrew",       "skunk",       "skyscraper",
    "snail",      "snake",         "spider",       "squirrel",   "streetcar",   "sunflower",   "sweet_pepper",
    "table",      "tank",          "telephone",    "television", "tiger",       "tractor",     "train",
    "trout",      "tulip",         "turtle",       "wardrobe",   "whale",       "willow_tree", "wolf",
    "woman",      "worm"};

static const variant variants[] = {
    {"cifar10",
     "cifar-10-binary",
     {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin",
      "test_batch.bin", "batches.meta.txt"},
     1,
     sizeof names10 / sizeof *names10,
     names10},
    {"cifar100",
     "cifar-100-binary",
     {"train.bin", NULL, NULL, NULL, NULL, "test.bin", "fine_label_names.txt"},
     2,
     sizeof names100 / sizeof *names100,
     names100},
};

static drl_status find(char path[DRL_PATH_MAX], const variant **out, const drl_dataset_cfg *cfg, drl_err *err) {
    const variant *v = *out = &variants[strcmp(cfg->name, variants[0].name) != 0];
    drl_places *places;
    char looked[700] = "", below[DRL_PATH_MAX + 32];
    drl_status st = drl_alloc(&places, 1, sizeof *places, "paths", err);
    if (st != DRL_OK) return st;
    st = drl_places_find(places, cfg, err);
    bool found = false;
    for (size_t i = 0; st == DRL_OK && !found && i < places->n; i++) {
        snprintf(below, sizeof below, "%s/%s", places->dir[i], v->name);
        found = drl_places_archive(path, below, v->archive) || drl_places_archive(path, places->dir[i], v->archive);
        drl_places_looked(looked, sizeof looked, below);
        drl_places_looked(looked, sizeof looked, places->dir[i]);
    }
    drl_free(places);
    if (st != DRL_OK || found) return st;
    return drl_fail(err, DRL_ERR_NOT_FOUND,
                    "no %s.tar.gz in %s: drl data fetch %s, or name the directory that holds it", v->archive, looked,
                    v->name);
}

drl_status drl_identify_cifar(char sha256[65], const drl_dataset_cfg *cfg, drl_err *err) {
    char path[DRL_PATH_MAX];
    const variant *v;
    drl_status st = find(path, &v, cfg, err);
    return st == DRL_OK ? drl_identify_published(sha256, v->name, path, cfg, err) : st;
}

drl_status drl_locate_cifar(drl_dataset_files *files, const drl_dataset_cfg *cfg, drl_err *err) {
    const variant *v;
    drl_status st = find(files->path[0], &v, cfg, err);
    files->n = st == DRL_OK;
    return st;
}

/* ---- Members ----------------------------------------------------------------------------------------------------- */

typedef struct member {
    uint8_t *bytes;
    size_t size;
} member;

/* Reads the members the variant names, whatever directory they are in. */
static drl_status read_members(member files[FILES], const char *path, const variant *v, drl_err *err) {
    drl_archive *r;
    drl_status st = drl_archive_open(&r, path, DRL_ARCHIVE_MEMBERS, ARCHIVE_LIMIT, err);
    if (st != DRL_OK) return st;
    drl_archive_limit_members(r, MEMBER_LIMIT);
    for (const char *name; (st = drl_archive_next(r, &name, err)) == DRL_OK && name;) {
        const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
        int f = 0;
        while (f < FILES && !(v->member[f] && strcmp(base, v->member[f]) == 0)) f++;
        if (f == FILES) continue;
        if (files[f].bytes)
            st = drl_fail(err, DRL_ERR_FORMAT, "%s: %s: there is another %s", path, name, base);
        else
            st = drl_archive_read(r, &files[f].bytes, &files[f].size, f == NAMES ? NAMES_LIMIT : FILE_LIMIT, err);
        if (st != DRL_OK) break;
    }
    drl_archive_close(r);
    for (int f = 0; f < NAMES && st == DRL_OK; f++)
        if (v->member[f] && !files[f].bytes)
            st = drl_fail(err, DRL_ERR_NOT_FOUND, "%s: has no member %s", path, v->member[f]);
    return st;
}

/* *n = images of a member, all of whose labels are in range. */
static drl_status check_member(size_t *n, const member *m, const variant *v, drl_err *err) {
    size_t record = v->labels + CHANNELS * PLANE;
    *n = m->size / record;
    if (m->size == 0) return drl_fail(err, DRL_ERR_FORMAT, "holds no images");
    if (m->size % record != 0)
        return drl_fail(err, DRL_ERR_FORMAT, "image %zu: want %zu bytes, got %zu", *n, record, m->size % record);
    for (size_t i = 0; i < *n; i++)
        for (size_t k = 0; k < v->labels; k++) {
            size_t label = m->bytes[i * record + k], classes = k + 1 == v->labels ? v->classes : SUPERCLASSES;
            if (label >= classes)
                return drl_fail(err, DRL_ERR_FORMAT, "image %zu: %s is %zu, want 0 .. %zu", i,
                                k + 1 == v->labels ? "label" : "superclass", label, classes - 1);
        }
    return DRL_OK;
}

/* Planes -> channels side by side, in the middle of a zeroed image of side x side. */
static void interleave(uint8_t *image, size_t side, const uint8_t *planes) {
    size_t margin = (side - SIDE) / 2;
    for (size_t y = 0; y < SIDE; y++) {
        uint8_t *row = image + ((margin + y) * side + margin) * CHANNELS;
        for (size_t x = 0; x < SIDE; x++)
            for (size_t c = 0; c < CHANNELS; c++) row[x * CHANNELS + c] = planes[c * PLANE + y * SIDE + x];
    }
}

/* Images and labels of the members first .. end - 1, each freed when it has been used. */
static drl_status fill_split(drl_images *im, member *files, int first, int end, const variant *v, const char *path,
                             size_t limit, size_t side, drl_err *err) {
    size_t n[FILES] = {0}, total = 0, record = v->labels + CHANNELS * PLANE;
    for (int f = first; f < end; f++) {
        drl_status st = v->member[f] ? check_member(&n[f], &files[f], v, err) : DRL_OK;
        if (st != DRL_OK) return drl_err_context(err, st, "%s: %s", path, v->member[f]);
        total += n[f];
    }
    if (limit && limit < total) total = limit;
    drl_status st = drl_images_alloc(im, total, side, side, CHANNELS, v->labels - 1, err);
    if (st != DRL_OK) return st;
    size_t i = 0;
    for (int f = first; f < end; f++) {
        for (size_t k = 0; k < n[f] && i < total; k++, i++) {
            const uint8_t *from = files[f].bytes + k * record;
            im->labels[i] = from[v->labels - 1];
            if (v->labels > 1) im->factors[0][i] = from[0];
            interleave(im->pixels + i * side * side * CHANNELS, side, from + v->labels);
        }
        drl_free(files[f].bytes);
        files[f].bytes = NULL;
    }
    return DRL_OK;
}

/* The names in the archive, one a line, where there are as many as there are classes; else those known here. */
static void name_classes(drl_dataset *ds, const member *m, const variant *v) {
    size_t n = 0, length = 0;
    bool good = m->bytes != NULL;
    for (size_t i = 0; good && i <= m->size; i++) {
        char c = i < m->size ? (char)m->bytes[i] : '\n';
        if (c != '\n' && c != '\r') {
            good = c >= ' ' && c <= '~' && n < v->classes && length + 1 < sizeof ds->class_names[0];
            if (good) ds->class_names[n][length++] = c;
        } else if (length > 0) {
            ds->class_names[n++][length] = '\0';
            length = 0;
        }
    }
    ds->classes = v->classes;
    if (good && n == v->classes) return;
    for (size_t k = 0; k < v->classes; k++)
        snprintf(ds->class_names[k], sizeof ds->class_names[k], "%s", v->class_names[k]);
}

drl_status drl_source_cifar(drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err) {
    if (cfg->size < SIDE)
        return drl_fail(err, DRL_ERR_SHAPE, "images are 32 x 32, larger than the %zu x %zu asked for", cfg->size,
                        cfg->size);
    char path[DRL_PATH_MAX];
    member files[FILES] = {{0}};
    const variant *v;
    drl_status st = find(path, &v, cfg, err);
    if (st == DRL_OK) st = drl_identify_published(ds->sha256, v->name, path, cfg, err);
    if (st == DRL_OK) st = read_members(files, path, v, err);
    if (st == DRL_OK) {
        name_classes(ds, &files[NAMES], v);
        if ((ds->factors = v->labels - 1) > 0) {
            ds->factor_classes[0] = SUPERCLASSES;
            snprintf(ds->factor_names[0], sizeof ds->factor_names[0], "superclass");
        }
        st = fill_split(&ds->split[DRL_SPLIT_TRAIN], files, 0, TEST, v, path, cfg->train_limit, cfg->size, err);
    }
    if (st == DRL_OK)
        st = fill_split(&ds->split[DRL_SPLIT_TEST], files, TEST, NAMES, v, path, cfg->test_limit, cfg->size, err);
    for (int f = 0; f < FILES; f++) drl_free(files[f].bytes);
    return st;
}
