/* fuzz_seeds DIRECTORY: writes the seeds of the fuzz targets, a few small inputs each, good ones and nearly good ones,
 * to DIRECTORY/TARGET/. */
#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "drl/file.h"
#include "drl/safetensors.h"

static const char *root;
static drl_err err;

static void must(drl_status st) {
    if (st == DRL_OK) return;
    fprintf(stderr, "fuzz_seeds: %s\n", err.message);
    exit(1);
}

static const char *path_of(const char *target, const char *name) {
    static char path[DRL_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", root, target);
    must(drl_make_dirs(path, &err));
    snprintf(path, sizeof path, "%s/%s/%s", root, target, name);
    return path;
}

static void seed(const char *target, const char *name, const void *bytes, size_t size) {
    must(drl_write_file(path_of(target, name), bytes, size, &err));
}

/* The first byte is the target's, the others are the file. */
static void seed_with(const char *target, const char *name, uint8_t first, const void *bytes, size_t size) {
    uint8_t whole[1 << 14] = {first};
    if (size >= sizeof whole) exit(1);
    memcpy(whole + 1, bytes, size);
    seed(target, name, whole, size + 1);
}

/* ---- IDX --------------------------------------------------------------------------------------------------------- */

static void idx(void) {
    uint8_t images[16 + 12] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    uint8_t labels[8 + 4] = {0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 9};
    seed_with("idx", "images", 2, images, sizeof images);
    seed_with("idx", "images_cut", 2, images, sizeof images - 1);
    seed_with("idx", "labels", 9 << 2, labels, sizeof labels);
    seed_with("idx", "labels_from_1", 9 << 2 | 1, labels, sizeof labels);
    seed_with("idx", "labels_out_of_range", 8 << 2, labels, sizeof labels);
    seed_with("idx", "exchanged", 2, labels, sizeof labels);
    images[4] = images[8] = images[12] = 0x80; /* a product that overflows */
    seed_with("idx", "images_huge", 2, images, sizeof images);
}

/* ---- CIFAR ------------------------------------------------------------------------------------------------------- */

/* A recipe of fuzz_cifar.c: names by number, `images` records of 3073 or 3074 bytes each. */
static void recipe(const char *name, uint8_t first, const uint8_t *members, size_t n, uint8_t images, uint8_t unit) {
    uint8_t bytes[1 + 20 * 12] = {first};
    for (size_t k = 0; k < n; k++) {
        uint8_t *m = bytes + 1 + 20 * k;
        m[0] = members[k], m[1] = images, m[3] = unit;
        for (uint8_t i = 0; i < 16; i++) m[4 + i] = i % 10;
    }
    seed("cifar", name, bytes, 1 + 20 * n);
}

static void cifar(void) {
    static const uint8_t ten[] = {0, 1, 2, 3, 4, 5, 6}, hundred[] = {7, 8, 9}, twice[] = {7, 8, 11};
    recipe("ten", 0, ten, 6, 2, 1);
    recipe("ten_limited", 0x30, ten, 6, 3, 1);
    recipe("ten_names", 0, ten, 7, 1, 1);
    recipe("ten_missing", 0, ten, 4, 1, 1);
    recipe("ten_wrong_size", 0, ten, 6, 1, 2);
    recipe("hundred", 1, hundred, 2, 3, 2);
    recipe("hundred_twice", 1, twice, 3, 3, 2);
    recipe("hundred_empty", 1, hundred, 2, 0, 2);
}

/* ---- Archives ---------------------------------------------------------------------------------------------------- */

static uint8_t packed[1 << 14];

/* packed = an archive; returns its size. */
static size_t pack(const char *format) {
    static const struct {
        const char *name, *contents;
    } members[] = {{"train/a/1.txt", "first"}, {"train/b/2.txt", "the second, the second, the second"}, {"empty", ""}};
    size_t used = 0;
    struct archive *a = archive_write_new();
    if (archive_write_set_format_filter_by_ext(a, format) != ARCHIVE_OK) exit(1);
    archive_write_set_bytes_in_last_block(a, 1);
    if (archive_write_open_memory(a, packed, sizeof packed, &used) != ARCHIVE_OK) exit(1);
    for (size_t k = 0; k < sizeof members / sizeof *members; k++) {
        struct archive_entry *e = archive_entry_new();
        size_t size = strlen(members[k].contents);
        archive_entry_set_pathname(e, members[k].name);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_size(e, (la_int64_t)size);
        if (archive_write_header(a, e) != ARCHIVE_OK ||
            archive_write_data(a, members[k].contents, size) != (la_ssize_t)size)
            exit(1);
        archive_entry_free(e);
    }
    if (archive_write_close(a) != ARCHIVE_OK) exit(1);
    archive_write_free(a);
    return used;
}

/* With the checksum that libarchive's zstd frames lack. */
static void zstd(void) {
    static uint8_t frame[1 << 14];
    ZSTD_CCtx *z = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    size_t size = ZSTD_compress2(z, frame, sizeof frame, packed, pack(".tar"));
    if (ZSTD_isError(size)) exit(1);
    ZSTD_freeCCtx(z);
    seed_with("archive", "tar.zst", 0x40, frame, size);
}

static void archives(void) {
    static const struct {
        const char *format, *seed;
        uint8_t first;
    } cases[] = {
        {".tar", "tar", 0x40},
        {".tar.gz", "tar.gz", 0x40},
        {".tar.bz2", "tar.bz2", 0x40},
        {".tar.xz", "tar.xz", 0x40},
        {".zip", "zip", 0x40},
        {".7z", "7z", 0x40},
        {".zip", "zip_passed_over", 0x42},
        {".tar", "tar_over_the_limit", 0x00},
        {".tar.gz", "bare_gz", 0x81},
        {".tar.xz", "bare_xz", 0x81},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        seed_with("archive", cases[k].seed, cases[k].first, packed, pack(cases[k].format));
    zstd();
    seed_with("archive", "bare", 0x41, "just bytes", 10);
}

/* ---- Safetensors and configuration ------------------------------------------------------------------------------- */

static void safetensors(void) {
    static const float weights[6] = {1, -2, 3.5f, 0, 1e-30f, -0.25f};
    drl_st_writer *w;
    must(drl_st_writer_new(&w, &err));
    must(drl_st_add_metadata(w, "step", "12", &err));
    must(drl_st_add_metadata(w, "config", "{\"k\": 2}\n", &err));
    must(drl_st_add(w, "a/weight", "F32", 2, (size_t[]){2, 3}, weights, &err));
    must(drl_st_add(w, "bytes", "U8", 1, (size_t[]){5}, weights, &err));
    must(drl_st_add(w, "scalar", "F64", 0, NULL, weights, &err));
    must(drl_st_add(w, "empty", "I64", 2, (size_t[]){0, 4}, weights, &err));
    must(drl_st_write(w, path_of("safetensors", "all"), &err));
    drl_st_writer_free(w);
    static const struct {
        const char *name, *json;
    } headers[] = {
        {"none", "{}"},
        {"overlap", "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                    "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}"},
        {"huge", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}"},
        {"nested", "[[[[[[[[[[[[[[[["},
    };
    for (size_t k = 0; k < sizeof headers / sizeof *headers; k++) {
        uint8_t bytes[512] = {(uint8_t)strlen(headers[k].json)};
        memcpy(bytes + 8, headers[k].json, strlen(headers[k].json));
        seed("safetensors", headers[k].name, bytes, 16 + strlen(headers[k].json));
    }
}

static void config(void) {
    static const struct {
        const char *name, *text;
    } files[] = {
        {"all", "; comment\n[train]\nsteps = 20\nrate = 2.5e-4\noffset=-7\n[model]\nmethod = vdrl\nmixup = yes\n"
                "name = a b # c\n[probe]\ntimes = 0, 0.25 1\n"},
        {"set", "train.steps=12"},
        {"set_list", "probe.times=0,1"},
        {"unknown", "[train]\nstepz = 1\n"},
        {"twice", "[train]\nsteps = 1\nsteps = 2\n"},
        {"nan", "[train]\nrate = nan\n"},
        {"no_section", "steps = 3\n"},
    };
    for (size_t k = 0; k < sizeof files / sizeof *files; k++)
        seed("config", files[k].name, files[k].text, strlen(files[k].text));
}

int main(int argc, char **argv) {
    if (argc != 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: fuzz_seeds DIRECTORY\n");
        return 2;
    }
    root = argv[1];
    idx();
    cifar();
    archives();
    safetensors();
    config();
    return 0;
}
