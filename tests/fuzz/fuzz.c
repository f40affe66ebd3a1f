/* What the fuzz targets share (fuzz.h). */
#define _GNU_SOURCE
#include "fuzz.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static char written[16][128]; /* removed at the end */
static size_t n_written;

void fuzz_check(bool good, const char *what) {
    if (good) return;
    fprintf(stderr, "fuzz target: %s\n", what);
    abort();
}

static void clean_up(void) {
    while (n_written > 0) remove(written[--n_written]);
    rmdir(dir);
}

static void make_dir(void) {
    struct stat info;
    bool shm = stat("/dev/shm", &info) == 0 && access("/dev/shm", W_OK) == 0;
    snprintf(dir, sizeof dir, "%s/drl-fuzz-XXXXXX", shm ? "/dev/shm" : "/tmp");
    fuzz_check(mkdtemp(dir) != NULL, "cannot make a directory for files");
    setenv("XDG_DATA_HOME", dir, 1); /* no target reads what is on the machine */
    unsetenv("DRL_DATA_DIR");
    atexit(clean_up);
}

const char *fuzz_path(const char *name) {
    static char path[128];
    if (!dir[0]) make_dir();
    snprintf(path, sizeof path, "%s%s%s", dir, *name ? "/" : "", name);
    return path;
}

static void remember(const char *path) {
    for (size_t k = 0; k < n_written; k++)
        if (strcmp(written[k], path) == 0) return;
    fuzz_check(n_written < sizeof written / sizeof *written, "too many files");
    snprintf(written[n_written++], sizeof written[0], "%s", path);
}

const char *fuzz_write(const char *name, const void *bytes, size_t size) {
    const char *path = fuzz_path(name);
    remember(path);
    FILE *f = fopen(path, "wb");
    fuzz_check(f && fwrite(bytes, 1, size, f) == size && fclose(f) == 0, "cannot write a file");
    return path;
}

const char *fuzz_pack(const char *name, const char *const *members, size_t n, const uint8_t *bytes, size_t size) {
    size_t room = size + (n + 4) * 4096, used = 0;
    uint8_t *packed = malloc(room);
    struct archive *a = archive_write_new();
    bool good = packed && a && archive_write_set_format_filter_by_ext(a, name) == ARCHIVE_OK;
    if (good && strstr(name, ".zip")) good = archive_write_zip_set_compression_store(a) == ARCHIVE_OK;
    good = good && archive_write_set_bytes_in_last_block(a, 1) == ARCHIVE_OK &&
           archive_write_open_memory(a, packed, room, &used) == ARCHIVE_OK;
    for (size_t k = 0; good && k < n; k++) {
        size_t part = size;
        if (k + 1 < n && size >= 2) {
            part = (size_t)(bytes[0] | bytes[1] << 8);
            bytes += 2, size -= 2;
            if (part > size) part = size;
        }
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, members[k]);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_size(e, (la_int64_t)part);
        good = archive_write_header(a, e) == ARCHIVE_OK &&
               (part == 0 || archive_write_data(a, bytes, part) == (la_ssize_t)part);
        archive_entry_free(e);
        bytes += part, size -= part;
    }
    fuzz_check(good && archive_write_close(a) == ARCHIVE_OK, "cannot pack an archive");
    archive_write_free(a);
    const char *path = fuzz_write(name, packed, used);
    free(packed);
    return path;
}

void fuzz_read(const void *bytes, size_t size) {
    static volatile unsigned sink;
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) sum += ((const uint8_t *)bytes)[i];
    sink = sum;
    (void)sink;
}

void fuzz_dataset(const char *name, size_t image_size) {
    drl_dataset *ds;
    drl_err err;
    drl_dataset_cfg cfg = {.name = name, .data_dir = fuzz_path(""), .size = image_size, .cache_dir = ""};
    if (drl_dataset_open(&ds, &cfg, &err) != DRL_OK) {
        fuzz_check(err.message[0] && !strpbrk(err.message, "\n\r"), "an error without its one line");
        if (getenv("FUZZ_VERBOSE")) puts(err.message);
        fuzz_check(ds == NULL, "a dataset in spite of an error");
        return;
    }
    fuzz_check(ds->classes >= 2 && ds->classes <= 256, "a number of classes out of range");
    for (int s = 0; s < DRL_SPLITS; s++) {
        const drl_images *im = &ds->split[s];
        fuzz_read(im->pixels, im->n * im->h * im->w * im->c);
        for (size_t i = 0; i < im->n; i++)
            fuzz_check(im->labels[i] >= 0 && (size_t)im->labels[i] < ds->classes, "a label out of range");
    }
    for (size_t k = 0; k < ds->classes; k++)
        fuzz_check(memchr(ds->class_names[k], 0, sizeof ds->class_names[k]), "a class name without an end");
    drl_dataset_free(ds);
}
