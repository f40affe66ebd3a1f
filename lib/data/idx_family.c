/* The datasets kept in four IDX files: MNIST (LeCun et al. 1998), Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), KMNIST
 * (Clanuwat et al. 2018) and the splits of EMNIST (Cohen et al. 2017), all grey and 28 x 28 as published.
 *
 * The files, plain or packed by gzip, lie in a directory or are members of an archive, which is read in place. EMNIST's
 * images are stored with rows and columns exchanged, and the labels of its letters count from 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "cache.h"
#include "drl/hash.h"
#include "drl/mem.h"
#include "idx.h"
#include "places.h"
#include "published.h"
#include "source.h"

#define FILE_LIMIT    ((size_t)1 << 30)
#define ARCHIVE_LIMIT ((uint64_t)8 << 30)
#define MEMBER_LIMIT  1000

#define DIGITS "0 1 2 3 4 5 6 7 8 9"
#define UPPER  "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z"
#define LOWER  "a b c d e f g h i j k l m n o p q r s t u v w x y z"
#define MERGED DIGITS " " UPPER " a b d e f g h n q r t" /* classes whose two cases look alike are one */

typedef struct family_member {
    const char *name, *dir;         /* of the dataset; below a data directory              */
    const char *prefix[DRL_SPLITS]; /* of the file names                                   */
    size_t first;                   /* the smallest label in the files                     */
    const char *classes;            /* names, separated by blanks; '_' stands for a blank  */
    bool transposed;
    bool flat; /* files are also looked for in the data directory itself */
} family_member;

#define MNIST_LIKE(name, classes, flat)                                                                                \
    { name, name, {"train", "t10k"}, 0, classes, false, flat }
#define EMNIST(split, first, classes)                                                                                  \
    { "emnist-" split, "emnist", {"emnist-" split "-train", "emnist-" split "-test"}, first, classes, true, true }
static const family_member family[] = {
    MNIST_LIKE("fashion-mnist", "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot", true),
    MNIST_LIKE("mnist", DIGITS, false),
    MNIST_LIKE("kmnist", "o ki su tsu na ha ma ya re wo", false),
    EMNIST("balanced", 0, MERGED),
    EMNIST("byclass", 0, DIGITS " " UPPER " " LOWER),
    EMNIST("bymerge", 0, MERGED),
    EMNIST("digits", 0, DIGITS),
    EMNIST("letters", 1, UPPER),
    EMNIST("mnist", 0, DIGITS),
};

/* The four files in the order in which their digests make the dataset's. */
enum { IMAGES, LABELS, KINDS, FILES = DRL_SPLITS * KINDS };
#define STEM_MAX 64
static void stem_of(char stem[STEM_MAX], const family_member *m, int file) {
    snprintf(stem, STEM_MAX, "%s-%s-ubyte", m->prefix[file / KINDS],
             file % KINDS == IMAGES ? "images-idx3" : "labels-idx1");
}

static const family_member *member_of(const drl_dataset_cfg *cfg) {
    const family_member *m = family;
    while (strcmp(m->name, cfg->name) != 0) m++;
    return m;
}

/* ---- Finding the files ------------------------------------------------------------------------------------------- */

typedef struct place {
    bool archive;
    char path[DRL_PATH_MAX]; /* of the archive, or of the directory with the four files */
} place;

static bool holds_files(const char *dir, const family_member *m) {
    static const char *const endings[] = {".gz", "", NULL};
    char stem[STEM_MAX], path[DRL_PATH_MAX];
    for (int f = 0; f < FILES; f++) {
        stem_of(stem, m, f);
        if (drl_places_file(path, dir, stem, endings)) return true;
    }
    return false;
}

/* The directory itself or the first of the archives in it that is there. */
static bool find_in(place *p, const char *dir, bool files, const family_member *m) {
    p->archive = false;
    snprintf(p->path, sizeof p->path, "%s", dir);
    if (files && holds_files(dir, m)) return true;
    p->archive = true;
    return (strcmp(m->dir, "emnist") == 0 && drl_places_archive(p->path, dir, "gzip")) || /* as it is published */
           drl_places_archive(p->path, dir, m->dir) || drl_places_archive(p->path, dir, m->name);
}

/* In every data directory first the one named after the dataset. Files of the names that MNIST's kin share are taken
 * for Fashion-MNIST where they lie in the data directory itself; where they are not, their digests say so. */
static drl_status find_among(place *p, const family_member *m, const drl_places *places, drl_err *err) {
    char looked[700] = "", below[DRL_PATH_MAX + 32];
    for (size_t i = 0; i < places->n; i++) {
        snprintf(below, sizeof below, "%s/%s", places->dir[i], m->dir);
        if (find_in(p, below, true, m) || find_in(p, places->dir[i], m->flat, m)) return DRL_OK;
        drl_places_looked(looked, sizeof looked, below);
        if (m->flat) drl_places_looked(looked, sizeof looked, places->dir[i]);
    }
    bool fashion = m == family;
    if (fashion) {
        const char *system = getenv("DRL_SYSTEM_DATA_DIR");
        system = system && *system ? system : DRL_FASHION_MNIST_SYSTEM_DIR;
        if (find_in(p, system, true, m)) return DRL_OK;
        drl_places_looked(looked, sizeof looked, system);
    }
    return drl_fail(err, DRL_ERR_NOT_FOUND,
                    "no {%s,%s}-{images-idx3,labels-idx1}-ubyte[.gz] in %s: drl data fetch %s, %sor name the directory "
                    "that holds them or their archive",
                    m->prefix[0], m->prefix[1], looked, m->dir,
                    fashion ? "or apt-get install dataset-fashion-mnist, " : "");
}

static drl_status find(place *p, const family_member *m, const drl_dataset_cfg *cfg, drl_err *err) {
    drl_places *places;
    drl_status st = drl_alloc(&places, 1, sizeof *places, "paths", err);
    if (st != DRL_OK) return st;
    if ((st = drl_places_find(places, cfg, err)) == DRL_OK) st = find_among(p, m, places, err);
    drl_free(places);
    return st;
}

static drl_status file_path(char path[DRL_PATH_MAX], const place *p, const family_member *m, int file, drl_err *err) {
    static const char *const endings[] = {".gz", "", NULL};
    char stem[STEM_MAX];
    stem_of(stem, m, file);
    if (drl_places_file(path, p->path, stem, endings)) return DRL_OK;
    return drl_fail(err, DRL_ERR_NOT_FOUND, "%s: neither %s.gz nor %s is there", p->path, stem, stem);
}

/* Digest of the archive; of a directory, SHA-256 of the four files' digests, in their order. */
static drl_status identify(char sha256[65], const place *p, const family_member *m, const drl_dataset_cfg *cfg,
                           drl_err *err) {
    if (p->archive) return drl_identify_published(sha256, m->dir, p->path, cfg, err);
    char path[DRL_PATH_MAX], digests[FILES * 64 + 1];
    for (int f = 0; f < FILES; f++) {
        drl_status st = file_path(path, p, m, f, err);
        if (st == DRL_OK) st = drl_identify_published(digests + (size_t)f * 64, m->dir, path, cfg, err);
        if (st != DRL_OK) return st;
    }
    drl_sha256(sha256, digests, strlen(digests));
    return DRL_OK;
}

drl_status drl_locate_idx(drl_dataset_files *where, const drl_dataset_cfg *cfg, drl_err *err) {
    place p;
    const family_member *m = member_of(cfg);
    drl_status st = find(&p, m, cfg, err);
    where->n = st != DRL_OK ? 0 : p.archive ? 1 : FILES;
    if (st == DRL_OK && p.archive) snprintf(where->path[0], sizeof where->path[0], "%s", p.path);
    for (int f = 0; f < FILES && st == DRL_OK && !p.archive; f++) st = file_path(where->path[f], &p, m, f, err);
    return st;
}

drl_status drl_identify_idx(char sha256[65], const drl_dataset_cfg *cfg, drl_err *err) {
    place p = {.archive = false};
    const family_member *m = member_of(cfg);
    drl_status st = find(&p, m, cfg, err);
    return st == DRL_OK ? identify(sha256, &p, m, cfg, err) : st;
}

/* ---- Reading them ------------------------------------------------------------------------------------------------ */

/* The contents of the four files, and what messages call them. */
typedef struct files {
    uint8_t *bytes[FILES];
    size_t size[FILES];
    char name[FILES][DRL_PATH_MAX];
} files;

/* Which of the files a member is, whatever directory it is in: 0 .. FILES - 1, or FILES; *packed: it is NAME.gz. */
static int which_file(bool *packed, const family_member *m, const char *member) {
    const char *slash = strrchr(member, '/'), *base = slash ? slash + 1 : member;
    for (int f = 0; f < FILES; f++) {
        char stem[STEM_MAX];
        stem_of(stem, m, f);
        size_t length = strlen(stem);
        if (strncmp(base, stem, length) != 0) continue;
        *packed = strcmp(base + length, ".gz") == 0;
        if (*packed || !base[length]) return f;
    }
    return FILES;
}

static drl_status read_member(files *fs, int f, bool packed, drl_archive *r, const place *p, drl_err *err) {
    if (fs->bytes[f])
        return drl_fail(err, DRL_ERR_FORMAT, "%s: %s and another member of that name", p->path, fs->name[f]);
    drl_status st = drl_archive_read(r, &fs->bytes[f], &fs->size[f], FILE_LIMIT, err);
    if (st != DRL_OK || !packed) return st;
    uint8_t *inner;
    size_t size;
    st = drl_archive_unpack_gzip(&inner, &size, fs->bytes[f], fs->size[f], FILE_LIMIT, err);
    if (st != DRL_OK) return drl_err_context(err, st, "%s: %s", p->path, fs->name[f]);
    drl_free(fs->bytes[f]);
    fs->bytes[f] = inner;
    fs->size[f] = size;
    return DRL_OK;
}

static drl_status read_archive(files *fs, const family_member *m, const place *p, drl_err *err) {
    drl_archive *r;
    drl_status st = drl_archive_open(&r, p->path, DRL_ARCHIVE_MEMBERS, ARCHIVE_LIMIT, err);
    if (st != DRL_OK) return st;
    drl_archive_limit_members(r, MEMBER_LIMIT);
    for (const char *member; (st = drl_archive_next(r, &member, err)) == DRL_OK && member;) {
        bool packed;
        int f = which_file(&packed, m, member);
        if (f == FILES) continue;
        if (!fs->bytes[f]) snprintf(fs->name[f], sizeof fs->name[f], "%s", member);
        if ((st = read_member(fs, f, packed, r, p, err)) != DRL_OK) break;
    }
    drl_archive_close(r);
    for (int f = 0; f < FILES && st == DRL_OK; f++) {
        char stem[STEM_MAX];
        stem_of(stem, m, f);
        if (!fs->bytes[f]) st = drl_fail(err, DRL_ERR_NOT_FOUND, "%s: has no member %s[.gz]", p->path, stem);
    }
    return st;
}

static drl_status read_directory(files *fs, const family_member *m, const place *p, drl_err *err) {
    drl_status st = DRL_OK;
    for (int f = 0; f < FILES && st == DRL_OK; f++) {
        st = file_path(fs->name[f], p, m, f, err);
        if (st == DRL_OK) st = drl_archive_read_bare(fs->name[f], &fs->bytes[f], &fs->size[f], FILE_LIMIT, err);
    }
    return st;
}

/* ---- Images and labels ------------------------------------------------------------------------------------------- */

/* Checks the two files of a split against each other, the size wanted, and the image size hw of the split read before
 * (0: none). */
static drl_status check_split(const drl_idx_images *images, const drl_idx_labels *labels, size_t size, size_t hw[2],
                              drl_err *err) {
    if (images->n != labels->n)
        return drl_fail(err, DRL_ERR_FORMAT, "%zu images, but %zu labels", images->n, labels->n);
    if (images->h < 2 || images->w < 2)
        return drl_fail(err, DRL_ERR_SHAPE, "images of %zu x %zu: want at least 2 x 2 pixels", images->h, images->w);
    if (images->h > size || images->w > size)
        return drl_fail(err, DRL_ERR_SHAPE, "images are %zu x %zu, larger than the %zu x %zu asked for", images->h,
                        images->w, size, size);
    if (hw[0] != 0 && (images->h != hw[0] || images->w != hw[1]))
        return drl_fail(err, DRL_ERR_SHAPE, "images are %zu x %zu, those for training %zu x %zu", images->h, images->w,
                        hw[0], hw[1]);
    hw[0] = images->h, hw[1] = images->w;
    return DRL_OK;
}

/* Copies the first im->n images to the middle of the zeroed larger ones; an odd margin is wider at the end. */
static void pad_images(drl_images *im, const drl_idx_images *from, bool transposed) {
    size_t rows = transposed ? from->w : from->h, columns = transposed ? from->h : from->w;
    size_t top = (im->h - rows) / 2, left = (im->w - columns) / 2;
    for (size_t i = 0; i < im->n; i++)
        for (size_t y = 0; y < rows; y++) {
            const uint8_t *source = from->pixels + i * rows * columns;
            uint8_t *row = im->pixels + (i * im->h + top + y) * im->w + left;
            if (!transposed)
                memcpy(row, source + y * columns, columns);
            else
                for (size_t x = 0; x < columns; x++) row[x] = source[x * rows + y];
        }
}

static drl_status fill_split(drl_images *im, const files *fs, int split, const family_member *m, size_t classes,
                             size_t limit, size_t side, size_t hw[2], drl_err *err) {
    drl_idx_images images;
    drl_idx_labels labels;
    int f = split * KINDS;
    drl_status st = drl_idx_parse_images(&images, fs->bytes[f], fs->size[f], err);
    if (st != DRL_OK) return drl_err_context(err, st, "%s", fs->name[f]);
    st = drl_idx_parse_labels(&labels, fs->bytes[f + LABELS], fs->size[f + LABELS], m->first, classes, err);
    if (st != DRL_OK) return drl_err_context(err, st, "%s", fs->name[f + LABELS]);
    if ((st = check_split(&images, &labels, side, hw, err)) != DRL_OK)
        return drl_err_context(err, st, "%s", fs->name[f]);
    size_t n = limit && limit < images.n ? limit : images.n;
    if ((st = drl_images_alloc(im, n, side, side, 1, 0, err)) != DRL_OK) return st;
    pad_images(im, &images, m->transposed);
    for (size_t i = 0; i < n; i++) im->labels[i] = labels.labels[i] - (int32_t)m->first;
    return DRL_OK;
}

static void name_classes(drl_dataset *ds, const char *names) {
    for (const char *p = names; *p; p += *p == ' ') {
        char *name = ds->class_names[ds->classes++];
        for (size_t k = 0; *p && *p != ' '; p++) name[k++] = *p == '_' ? ' ' : *p;
    }
}

drl_status drl_source_idx(drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err) {
    const family_member *m = member_of(cfg);
    const size_t limits[DRL_SPLITS] = {cfg->train_limit, cfg->test_limit};
    size_t hw[2] = {0};
    files *fs = NULL;
    place p = {.archive = false};
    drl_status st = find(&p, m, cfg, err);
    if (st == DRL_OK) st = identify(ds->sha256, &p, m, cfg, err);
    if (st == DRL_OK) st = drl_alloc(&fs, 1, sizeof *fs, "file names", err);
    if (st == DRL_OK) st = p.archive ? read_archive(fs, m, &p, err) : read_directory(fs, m, &p, err);
    name_classes(ds, m->classes);
    for (int s = 0; s < DRL_SPLITS && fs; s++) {
        if (st == DRL_OK) st = fill_split(&ds->split[s], fs, s, m, ds->classes, limits[s], cfg->size, hw, err);
        for (int kind = 0; kind < KINDS; kind++) drl_free(fs->bytes[s * KINDS + kind]);
    }
    drl_free(fs);
    return st;
}
