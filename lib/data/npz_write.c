/* Writing datasets and other arrays as NumPy archives (drl/npz.h). */
#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "drl/file.h"
#include "drl/npz.h"
#include "npy.h"
#include "npz.h"

#define BLOCK ((size_t)1 << 16)

/* A stored member, begun: `size` bytes are to follow. No times and owners: equal datasets give equal files. */
static bool begin(struct archive *a, const char *name, size_t size) {
    struct archive_entry *e = archive_entry_new();
    if (!e) return false;
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, (la_int64_t)size);
    bool good = archive_write_header(a, e) == ARCHIVE_OK;
    archive_entry_free(e);
    return good;
}

static bool put(struct archive *a, const void *bytes, size_t size) {
    return size == 0 || archive_write_data(a, bytes, size) == (la_ssize_t)size;
}

/* (n, h, w, c); one channel gets no dimension of its own. */
static bool put_images(struct archive *a, const char *name, const drl_images *im) {
    char header[DRL_NPY_HEADER];
    const size_t shape[] = {im->n, im->h, im->w, im->c}, bytes = im->n * im->h * im->w * im->c;
    size_t length = drl_npy_header(header, "|u1", im->c == 1 ? 3 : 4, shape);
    return begin(a, name, length + bytes) && put(a, header, length) && put(a, im->pixels, bytes);
}

static bool put_labels(struct archive *a, const char *name, const drl_images *im) {
    char header[DRL_NPY_HEADER];
    uint8_t block[1024];
    size_t length = drl_npy_header(header, "|u1", 1, &im->n);
    bool good = begin(a, name, length + im->n) && put(a, header, length);
    for (size_t i = 0, n; good && i < im->n; i += n) {
        for (n = 0; n < sizeof block && i + n < im->n; n++) block[n] = (uint8_t)im->labels[i + n];
        good = put(a, block, n);
    }
    return good;
}

static bool put_names(struct archive *a, const drl_dataset *ds) {
    size_t size = 0;
    for (size_t k = 0; k < ds->classes; k++) size += strlen(ds->class_names[k]) + 1;
    bool good = begin(a, DRL_NPZ_NAMES, size);
    for (size_t k = 0; good && k < ds->classes; k++)
        good = put(a, ds->class_names[k], strlen(ds->class_names[k])) && put(a, "\n", 1);
    return good;
}

static drl_status check(const drl_dataset *ds, drl_err *err) {
    const drl_images *im = &ds->split[DRL_SPLIT_TRAIN];
    assert(im->c == 1 || im->c == 3);
    if (im->c == 3 && im->h == 3)
        return drl_fail(err, DRL_ERR_SHAPE, "colour images of three rows could not be told from planes when read back");
    for (size_t k = 0; k < ds->classes; k++) {
        bool good = ds->class_names[k][0] != '\0';
        for (const char *c = ds->class_names[k]; *c; c++) good = good && drl_npz_printable(*c);
        if (!good) return drl_fail(err, DRL_ERR_SHAPE, "the name of class %zu is not one printable line", k);
    }
    return DRL_OK;
}

static bool put_dataset(struct archive *a, const void *arg) {
    static const char *const names[DRL_SPLITS][2] = {{"train_images.npy", "train_labels.npy"},
                                                     {"test_images.npy", "test_labels.npy"}};
    const drl_dataset *ds = arg;
    bool good = true;
    for (int s = 0; good && s < DRL_SPLITS; s++)
        good = put_images(a, names[s][0], &ds->split[s]) && put_labels(a, names[s][1], &ds->split[s]);
    return good && put_names(a, ds);
}

/* A zip of what `fill` puts, stored. */
static drl_status write_archive(const char *path, bool (*fill)(struct archive *, const void *), const void *arg,
                                drl_err *err) {
    drl_new_file file;
    drl_status st = drl_new_file_open(&file, path, err);
    if (st != DRL_OK) return st;
    struct archive *a = archive_write_new();
    bool good = a && archive_write_set_format_zip(a) == ARCHIVE_OK &&
                archive_write_zip_set_compression_store(a) == ARCHIVE_OK &&
                archive_write_set_bytes_per_block(a, BLOCK) == ARCHIVE_OK &&
                archive_write_set_bytes_in_last_block(a, 1) == ARCHIVE_OK &&
                archive_write_open_FILE(a, file.f) == ARCHIVE_OK && fill(a, arg) &&
                archive_write_close(a) == ARCHIVE_OK;
    if (!good) {
        const char *why = a ? archive_error_string(a) : NULL;
        st = drl_fail(err, DRL_ERR_IO, "%s: cannot write: %s", path, why ? why : "libarchive gives no reason");
        drl_new_file_discard(&file);
    } else {
        st = drl_new_file_commit(&file, err);
    }
    if (a) archive_write_free(a);
    return st;
}

drl_status drl_npz_write(const char *path, const drl_dataset *ds, drl_err *err) {
    drl_status st = check(ds, err);
    return st == DRL_OK ? write_archive(path, put_dataset, ds, err) : drl_err_context(err, st, "%s", path);
}

/* ---- Any arrays -------------------------------------------------------------------------------------------------- */

typedef struct arrays {
    const drl_npz_array *list;
    size_t n;
} arrays;

static bool put_arrays(struct archive *a, const void *arg) {
    const arrays *all = arg;
    bool good = true;
    for (size_t i = 0; good && i < all->n; i++) {
        const drl_npz_array *x = &all->list[i];
        char header[DRL_NPY_HEADER], name[80];
        size_t bytes = (size_t)(x->type[2] - '0'), length = drl_npy_header(header, x->type, x->rank, x->shape);
        for (size_t k = 0; k < x->rank; k++) bytes *= x->shape[k];
        snprintf(name, sizeof name, "%.70s.npy", x->name);
        good = begin(a, name, length + bytes) && put(a, header, length) && put(a, x->data, bytes);
    }
    return good;
}

drl_status drl_npz_write_arrays(const char *path, const drl_npz_array *list, size_t n, drl_err *err) {
    return write_archive(path, put_arrays, &(arrays){list, n}, err);
}
