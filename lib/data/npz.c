/* Datasets from NumPy archives, npz:PATH: labelled images of any origin.
 *
 * Images are uint8, or float32 in [0, 1] (a pixel is 255 times that, rounded), in arrays of these shapes; c is 1 or 3:
 *   (n, h, w)   (n, h, w, c)   (n, c, h, w)
 * Labels are integers 0 .. 255 of any type, (n) or (n, 1). Members are called as NumPy calls them, NAME.npy; arrays
 * of other names are passed over. Classes are named by the text member class_names.txt, a line each, or else by number.
 * Images keep the order of the array. Where a limit would cut a class off, they come in that of folders (folder.h)
 * instead: the first of each class, then the second ones. */
#include "npz.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "archive.h"
#include "cache.h"
#include "drl/mem.h"
#include "npy.h"
#include "picture.h"
#include "source.h"
#include "stratify.h"

#define ARRAY_LIMIT   ((size_t)16 << 30)
#define ARCHIVE_LIMIT ((uint64_t)16 << 30)
#define NAMES_LIMIT   ((size_t)1 << 16)
#define MEMBER_LIMIT  1000
#define MAX_CLASSES   (sizeof((drl_dataset *)NULL)->class_names / sizeof((drl_dataset *)NULL)->class_names[0])

/* What a member is for. Images stand in front of their labels. */
enum { TRAIN, TEST = TRAIN + 2, WHOLE = TEST + 2, NAMES = WHOLE + 2, ROLES };
static const struct {
    const char *member;
    int role;
} known[] = {
    {"train_images.npy", TRAIN},   {"train_labels.npy", TRAIN + 1}, {"test_images.npy", TEST},
    {"test_labels.npy", TEST + 1}, {"x_train.npy", TRAIN},          {"y_train.npy", TRAIN + 1},
    {"x_test.npy", TEST},          {"y_test.npy", TEST + 1},        {"images.npy", WHOLE},
    {"labels.npy", WHOLE + 1},     {DRL_NPZ_NAMES, NAMES},
};
#define WANTED                                                                                                         \
    "want train_images, train_labels, test_images and test_labels, or x_train ... y_test, or images and labels"

typedef struct member {
    const char *name; /* NULL: there is none */
    uint8_t *bytes;
    size_t size;
    drl_npy array;
} member;

/* Where pixel (y, x, k) of image i lies among an array's elements: (i h w c) + y row + x column + k channel. */
typedef struct layout {
    size_t n, h, w, c, row, column, channel;
} layout;

/* ---- Members -------------------------------------------------------------------------------------------------------
 */

static drl_status add_member(member files[ROLES], drl_archive *r, const char *name, const char *path, drl_err *err) {
    size_t k = 0, n = sizeof known / sizeof *known;
    while (k < n && strcmp(name, known[k].member) != 0) k++;
    size_t length = strlen(name);
    if (k == n && length > 4 && strcmp(name + length - 4, ".npy") == 0) return DRL_OK;
    if (k == n)
        return drl_fail(err, DRL_ERR_FORMAT, "%s: %s: is neither an array (.npy) nor " DRL_NPZ_NAMES, path, name);
    member *m = &files[known[k].role];
    if (m->name) return drl_fail(err, DRL_ERR_FORMAT, "%s: has both %s and %s", path, m->name, known[k].member);
    m->name = known[k].member;
    return drl_archive_read(r, &m->bytes, &m->size, known[k].role == NAMES ? NAMES_LIMIT : ARRAY_LIMIT, err);
}

/* A file that is no zip is told apart by its first bytes, for the sake of the message. */
static drl_status check_magic(const char *path, drl_err *err) {
    unsigned char magic[6] = {0};
    FILE *f = fopen(path, "rbe");
    size_t got = f ? fread(magic, 1, sizeof magic, f) : 0;
    if (f) fclose(f);
    if (got == sizeof magic && memcmp(magic, "\x93NUMPY", sizeof magic) == 0)
        return drl_fail(err, DRL_ERR_FORMAT,
                        "%s: is a single array (.npy): put images and labels into one file with numpy.savez", path);
    if (got > 0 && memcmp(magic, "PK", 2) != 0)
        return drl_fail(err, DRL_ERR_FORMAT, "%s: is no NumPy archive (.npz), which is a zip file", path);
    return DRL_OK; /* what cannot be read is reported by drl_archive_open */
}

/* Are there images and labels of training and test, or of both in one? */
static drl_status check_members(member files[ROLES], const char *path, drl_err *err) {
    bool split = false, whole = files[WHOLE].name || files[WHOLE + 1].name;
    for (int k = TRAIN; k < WHOLE; k++) split = split || files[k].name;
    if (split && whole)
        return drl_fail(err, DRL_ERR_FORMAT, "%s: has both arrays with a test split and without: " WANTED, path);
    for (int k = whole ? WHOLE : TRAIN; k < (whole ? NAMES : WHOLE); k++) {
        size_t name = 0;
        while (known[name].role != k) name++;
        if (!files[k].name) return drl_fail(err, DRL_ERR_NOT_FOUND, "%s: has no %s: " WANTED, path, known[name].member);
        drl_status st = drl_npy_parse(&files[k].array, files[k].bytes, files[k].size, err);
        if (st != DRL_OK) return drl_err_context(err, st, "%s: %s", path, files[k].name);
    }
    return DRL_OK;
}

static drl_status read_members(member files[ROLES], const char *path, drl_err *err) {
    drl_archive *r;
    drl_status st = check_magic(path, err);
    if (st != DRL_OK || (st = drl_archive_open(&r, path, DRL_ARCHIVE_MEMBERS, ARCHIVE_LIMIT, err)) != DRL_OK) return st;
    drl_archive_limit_members(r, MEMBER_LIMIT);
    for (const char *name; (st = drl_archive_next(r, &name, err)) == DRL_OK && name;)
        if ((st = add_member(files, r, name, path, err)) != DRL_OK) break;
    drl_archive_close(r);
    return st == DRL_OK ? check_members(files, path, err) : st;
}

/* ---- Labels and class names ----------------------------------------------------------------------------------------
 */

/* *labels = those of an array, *classes = at least the largest + 1. The caller frees *labels. */
static drl_status read_labels(int32_t **labels, size_t *classes, const drl_npy *a, size_t n, drl_err *err) {
    if (a->type == 'f') return drl_fail(err, DRL_ERR_FORMAT, "labels are of type float32: want integers");
    if (!(a->rank == 1 || (a->rank == 2 && a->shape[1] == 1)) || a->shape[0] != n)
        return drl_fail(err, DRL_ERR_SHAPE,
                        "want as many labels as there are images, (%zu) or (%zu, 1); there are %zu in "
                        "%zu dimensions",
                        n, n, a->count, a->rank);
    drl_status st = drl_alloc(labels, n, sizeof **labels, "labels", err);
    for (size_t i = 0; st == DRL_OK && i < n; i++) {
        int64_t label = drl_npy_index(a, i, MAX_CLASSES);
        if (label < 0)
            st = drl_fail(err, DRL_ERR_FORMAT, "label %zu is negative or above %zu: want 0 .. %zu", i, MAX_CLASSES - 1,
                          MAX_CLASSES - 1);
        else if ((size_t)label >= *classes)
            *classes = (size_t)label + 1;
        (*labels)[i] = (int32_t)label;
    }
    return st;
}

/* One name a line, in the order of the classes. */
static drl_status read_names(drl_dataset *ds, const member *m, drl_err *err) {
    size_t n = 0, length = 0;
    for (size_t i = 0; i < m->size; i++) {
        char c = (char)m->bytes[i];
        if (c == '\r' && i + 1 < m->size && m->bytes[i + 1] == '\n') continue;
        bool fits = n < MAX_CLASSES && length + 1 < sizeof ds->class_names[0];
        if (c == '\n' ? length == 0 : !fits || !drl_npz_printable(c))
            return drl_fail(err, DRL_ERR_FORMAT, "line %zu: want at most %zu lines of 1 .. %zu printable bytes", n + 1,
                            MAX_CLASSES, sizeof ds->class_names[0] - 1);
        if (c != '\n') ds->class_names[n][length++] = c;
        if (c == '\n' || i + 1 == m->size) n++, length = 0;
    }
    if (n < ds->classes)
        return drl_fail(err, DRL_ERR_FORMAT, "names %zu classes, but labels go up to %zu", n, ds->classes - 1);
    ds->classes = n;
    return DRL_OK;
}

static drl_status name_classes(drl_dataset *ds, const member *names, drl_err *err) {
    if (names->name) return read_names(ds, names, err);
    for (size_t k = 0; k < ds->classes; k++) snprintf(ds->class_names[k], sizeof ds->class_names[k], "%zu", k);
    return DRL_OK;
}

/* ---- Images --------------------------------------------------------------------------------------------------------
 */

static drl_status find_layout(layout *l, const drl_npy *a, drl_err *err) {
    const size_t *s = a->shape;
    if (!(a->type == 'u' && a->item == 1) && a->type != 'f')
        return drl_fail(err, DRL_ERR_FORMAT, "images are %zu-bit integers: want uint8 or float32", 8 * a->item);
    if (a->rank != 3 && a->rank != 4)
        return drl_fail(err, DRL_ERR_SHAPE, "images have %zu dimensions: want (n, h, w), (n, h, w, c) or (n, c, h, w)",
                        a->rank);
    if (a->count == 0) return drl_fail(err, DRL_ERR_SHAPE, "holds no images");
    bool first = a->rank == 4 && (s[1] == 1 || s[1] == 3), last = a->rank == 4 && (s[3] == 1 || s[3] == 3);
    if (a->rank == 4 && first == last)
        return drl_fail(err, DRL_ERR_SHAPE,
                        "the shape (%zu, %zu, %zu, %zu) has %s: want 1 or 3 channels in the second or "
                        "the last place",
                        s[0], s[1], s[2], s[3], first ? "two places for channels" : "no channels");
    if (s[0] > UINT32_MAX) return drl_fail(err, DRL_ERR_LIMIT, "holds %zu images: want fewer than 2^32", s[0]);
    if (first)
        *l = (layout){s[0], s[2], s[3], s[1], .row = s[3], .column = 1, .channel = s[2] * s[3]};
    else
        *l = (layout){s[0], s[1], s[2], last ? s[3] : 1, .channel = 1};
    if (!first) l->column = l->c, l->row = l->w * l->c;
    return DRL_OK;
}

/* image (h, w, c) = image i of an array. */
static drl_status take_image(uint8_t *image, const drl_npy *a, const layout *l, size_t i, drl_err *err) {
    size_t size = l->h * l->w * l->c, start = i * size;
    if (a->type == 'u' && l->channel == 1) {
        memcpy(image, a->data + start, size);
        return DRL_OK;
    }
    for (size_t y = 0; y < l->h; y++)
        for (size_t x = 0; x < l->w; x++)
            for (size_t k = 0; k < l->c; k++) {
                size_t from = start + y * l->row + x * l->column + k * l->channel;
                if (a->type == 'u') {
                    *image++ = a->data[from];
                    continue;
                }
                float v = drl_npy_float(a, from);
                if (!(v >= 0 && v <= 1))
                    return drl_fail(err, DRL_ERR_FORMAT,
                                    "image %zu: row %zu, column %zu, channel %zu is %g: want 0 .. 1", i, y, x, k,
                                    (double)v);
                *image++ = (uint8_t)((double)v * 255 + 0.5);
            }
    return DRL_OK;
}

/* The images index[0 .. n-1] of an array, and their labels. Pictures of another size than the one asked for are taken
 * one by one and resized. */
static drl_status fill_split(drl_images *im, const drl_npy *a, const layout *l, const int32_t *labels,
                             const uint32_t *index, size_t n, const drl_dataset_cfg *cfg, drl_err *err) {
    bool resize = cfg->size && (l->h != cfg->size || l->w != cfg->size);
    drl_picture picture = {l->h, l->w, l->c, NULL};
    drl_status st = drl_images_alloc(im, n, resize ? cfg->size : l->h, resize ? cfg->size : l->w, l->c, 0, err);
    if (st == DRL_OK && resize) st = drl_alloc(&picture.pixels, l->h * l->w * l->c, 1, "image", err);
    for (size_t i = 0; st == DRL_OK && i < n; i++) {
        uint8_t *to = im->pixels + i * im->h * im->w * im->c;
        im->labels[i] = labels[index[i]];
        st = take_image(resize ? picture.pixels : to, a, l, index[i], err);
        if (st == DRL_OK && resize) st = drl_picture_resize(to, &picture, cfg->size, cfg->resize, err);
    }
    drl_free(picture.pixels);
    return st;
}

/* The split or splits that a pair of arrays holds: s, or both of them where s is DRL_SPLITS. */
static drl_status fill(drl_dataset *ds, int s, const drl_npy *a, const layout *l, const int32_t *labels,
                       const drl_dataset_cfg *cfg, drl_err *err) {
    const size_t limit[DRL_SPLITS] = {cfg->train_limit, cfg->test_limit};
    assert(labels);
    uint32_t *index;
    size_t n_test = 0;
    drl_status st = drl_alloc(&index, l->n, sizeof *index, "order of the images", err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; i < l->n; i++) index[i] = (uint32_t)i;
    if (s == DRL_SPLITS) st = drl_stratify(index, &n_test, labels, l->n, ds->classes, cfg->seed, err);
    for (int k = 0; st == DRL_OK && k < DRL_SPLITS; k++) {
        if (s != k && s != DRL_SPLITS) continue;
        size_t n = s != DRL_SPLITS ? l->n : k == DRL_SPLIT_TEST ? n_test : l->n - n_test;
        uint32_t *first = s == DRL_SPLITS && k == DRL_SPLIT_TEST ? index + (l->n - n_test) : index;
        size_t used = limit[k] && limit[k] < n ? limit[k] : n;
        st = drl_keep_classes(first, n, used, labels, ds->classes, err);
        if (st == DRL_OK) st = fill_split(&ds->split[k], a, l, labels, first, used, cfg, err);
    }
    drl_free(index);
    return st;
}

static drl_status decode(drl_dataset *ds, member files[ROLES], const drl_dataset_cfg *cfg, const char *path,
                         drl_err *err) {
    int first = files[WHOLE].name ? WHOLE : TRAIN, end = files[WHOLE].name ? NAMES : WHOLE;
    layout l[ROLES] = {{0}};
    int32_t *labels[ROLES] = {NULL};
    const member *at = NULL; /* what a failure is about */
    drl_status st = DRL_OK;
    for (int k = first; st == DRL_OK && k < end; k += 2) {
        at = &files[k];
        if ((st = find_layout(&l[k], &at->array, err)) != DRL_OK) break;
        at = &files[k + 1];
        st = read_labels(&labels[k], &ds->classes, &at->array, l[k].n, err);
    }
    if (st == DRL_OK) at = &files[NAMES], st = name_classes(ds, at, err);
    for (int k = first; st == DRL_OK && k < end; k += 2) {
        at = &files[k];
        st = fill(ds,
                  k == WHOLE   ? DRL_SPLITS
                  : k == TRAIN ? DRL_SPLIT_TRAIN
                               : DRL_SPLIT_TEST,
                  &at->array, &l[k], labels[k], cfg, err);
        drl_free(files[k].bytes); /* before the next split is allocated */
        files[k].bytes = NULL;
    }
    for (int k = 0; k < ROLES; k++) drl_free(labels[k]);
    return st == DRL_OK ? st : drl_err_context(err, st, "%s: %s", path, at->name);
}

drl_status drl_identify_npz(char sha256[65], const drl_dataset_cfg *cfg, drl_err *err) {
    return drl_identify_file(sha256, drl_source_path(cfg->name), cfg, err);
}

drl_status drl_source_npz(drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err) {
    const char *path = drl_source_path(cfg->name);
    member files[ROLES] = {{0}};
    drl_status st = drl_identify_npz(ds->sha256, cfg, err);
    if (st == DRL_OK) st = read_members(files, path, err);
    if (st == DRL_OK) st = decode(ds, files, cfg, path, err);
    for (int k = 0; k < ROLES; k++) drl_free(files[k].bytes);
    return st;
}
