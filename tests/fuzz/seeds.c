/* fuzz_seeds DIRECTORY: writes the seeds of the fuzz targets, a few small inputs each, good ones and nearly good ones,
 * to DIRECTORY/TARGET/. */
#define _POSIX_C_SOURCE 200809L /* fmemopen */
#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h> /* before jpeglib.h, which needs it */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <jpeglib.h>
#include <png.h>

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

/* ---- NumPy arrays and pictures ----------------------------------------------------------------------------------- */

/* bytes = an array whose elements are 0 and 1 in turn; returns its size. */
static size_t array(uint8_t bytes[512], const char *type, const char *shape, size_t data) {
    memset(bytes, 0, 512);
    memcpy(bytes, "\x93NUMPY\x01", 8);
    int n = snprintf((char *)bytes + 10, 117, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    memset(bytes + 10 + n, ' ', (size_t)(117 - n));
    bytes[8] = 118, bytes[127] = '\n';
    size_t item = (size_t)(type[2] - '0');
    for (size_t i = 0; i < data; i++) bytes[128 + i] = i % (2 * item) == item;
    return 128 + data;
}

static void npy(void) {
    static const struct {
        const char *name, *type, *shape;
        size_t data;
    } arrays[] = {{"images", "|u1", "(2, 3, 2)", 12},    {"labels", "<i8", "(3,)", 24},
                  {"floats", "<f4", "(2, 1, 2, 3)", 48}, {"scalar", "|u1", "()", 1},
                  {"empty", "|u1", "(0, 4)", 0},         {"big_endian", ">i4", "(2,)", 8},
                  {"cut", "|u1", "(2, 3, 3)", 12},       {"huge", "|u1", "(4294967296, 4294967296)", 8}};
    uint8_t bytes[512];
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++)
        seed("npy", arrays[k].name, bytes, array(bytes, arrays[k].type, arrays[k].shape, arrays[k].data));
}

/* A recipe for fuzz_pack. */
static struct {
    uint8_t bytes[1 << 14];
    size_t size;
} members;

static void add_member(uint8_t name, const void *bytes, size_t size) {
    if (members.size + 3 + size > sizeof members.bytes) exit(1);
    uint8_t *to = members.bytes + members.size;
    to[0] = name, to[1] = (uint8_t)size, to[2] = (uint8_t)(size >> 8);
    memcpy(to + 3, bytes, size);
    members.size += 3 + size;
}

static void seed_members(const char *target, const char *name, uint8_t first) {
    seed_with(target, name, first, members.bytes, members.size);
    members.size = 0;
}

static void npz(void) {
    static const struct {
        const char *name, *images, *labels, *type;
        size_t pixels, of_labels;
        uint8_t first;
        bool names, one_split;
    } cases[] = {{"grey", "(4, 3, 3)", "(4,)", "|u1", 36, 32, 0, false, false},
                 {"colour_named", "(4, 2, 2, 3)", "(4,)", "|u1", 48, 32, 0, true, false},
                 {"channels_first", "(2, 3, 4, 4)", "(2,)", "|u1", 96, 16, 5 << 2, false, false},
                 {"floats", "(4, 2, 2)", "(4,)", "<f4", 64, 32, 0, false, false},
                 {"one_split", "(8, 2, 2)", "(8,)", "|u1", 32, 64, 0, false, true},
                 {"counts_differ", "(4, 3, 3)", "(3,)", "|u1", 36, 24, 0, false, false}};
    uint8_t bytes[512];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        for (uint8_t s = 0; s < (cases[k].one_split ? 1 : 2); s++) {
            uint8_t name = cases[k].one_split ? 5 : 2 * s;
            add_member(name, bytes, array(bytes, cases[k].type, cases[k].images, cases[k].pixels));
            add_member(name + 1, bytes, array(bytes, "<i8", cases[k].labels, cases[k].of_labels));
        }
        if (cases[k].names) add_member(4, "no\nyes\n", 7);
        seed_members("npz", cases[k].name, cases[k].first);
    }
}

/* A JPEG of 8 x 6; free it. */
static size_t jpeg(uint8_t **bytes, bool grey, bool progressive) {
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned long size = 0;
    uint8_t row[8 * 3];
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, bytes, &size);
    c.image_width = 8, c.image_height = 6;
    c.input_components = grey ? 1 : 3;
    c.in_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&c);
    if (progressive) jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    for (uint8_t y = 0; y < 6; y++) {
        for (uint8_t i = 0; i < sizeof row; i++) row[i] = (uint8_t)(y * 40 + i * 7);
        (void)jpeg_write_scanlines(&c, (JSAMPROW[]){row}, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return size;
}

/* A PNG of h = 4, w = 6 with the given samples; palette, of so many of the 4 colours used, and transparency where they
 * belong. */
static size_t png(uint8_t *bytes, size_t room, int depth, int type, bool interlaced, int colours) {
    FILE *f = fmemopen(bytes, room, "wb");
    png_structp p = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(p);
    static const png_color palette[4] = {{0, 0, 0}, {255, 0, 0}, {0, 255, 0}, {9, 9, 255}};
    static const png_byte alpha[2] = {0, 128};
    uint8_t row[64];
    if (!f || setjmp(png_jmpbuf(p))) exit(1);
    png_init_io(p, f);
    png_set_IHDR(p, info, 6, 4, depth, type, interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_set_PLTE(p, info, palette, colours);
        png_set_check_for_invalid_index(p, 0);
        png_set_tRNS(p, info, alpha, 2, NULL);
    }
    png_write_info(p, info);
    for (int pass = png_set_interlace_handling(p); pass > 0; pass--)
        for (int y = 0; y < 4; y++) {
            for (int i = 0; i < 64; i++) row[i] = (uint8_t)(type == PNG_COLOR_TYPE_PALETTE ? i % 4 : y * 60 + i * 5);
            png_write_row(p, row);
        }
    png_write_end(p, info);
    png_destroy_write_struct(&p, &info);
    size_t size = (size_t)ftell(f);
    fclose(f);
    return size;
}

static void pictures(void) {
    static const struct {
        const char *name;
        int depth, type;
        bool interlaced;
        int colours;
    } kinds[] = {{"png_grey", 8, PNG_COLOR_TYPE_GRAY, false, 0},
                 {"png_grey_16", 16, PNG_COLOR_TYPE_GRAY, true, 0},
                 {"png_bits", 1, PNG_COLOR_TYPE_GRAY, false, 0},
                 {"png_colour", 8, PNG_COLOR_TYPE_RGB, false, 0},
                 {"png_alpha", 8, PNG_COLOR_TYPE_RGB_ALPHA, false, 0},
                 {"png_alpha_16", 16, PNG_COLOR_TYPE_GRAY_ALPHA, false, 0},
                 {"png_palette", 8, PNG_COLOR_TYPE_PALETTE, true, 4},
                 {"png_short_palette", 8, PNG_COLOR_TYPE_PALETTE, false, 3}};
    static uint8_t bytes[4096];
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        size_t size = png(bytes, sizeof bytes, kinds[k].depth, kinds[k].type, kinds[k].interlaced, kinds[k].colours);
        seed_with("picture", kinds[k].name, (uint8_t)(0x10 | (k & 1)), bytes, size);
        if (k == 0) seed_with("picture", "png_cut", 0x10, bytes, size / 2);
    }
    for (int k = 0; k < 3; k++) {
        static const char *const names[] = {"jpeg_colour", "jpeg_grey", "jpeg_progressive"};
        uint8_t *packed_picture = NULL;
        size_t size = jpeg(&packed_picture, k == 1, k == 2);
        seed_with("picture", names[k], (uint8_t)(0x20 | k), packed_picture, size);
        free(packed_picture);
    }
}

/* Pictures of two classes, in the places that the names of fuzz_folder.c stand for. */
static void folder(void) {
    static const struct {
        const char *name;
        uint8_t first, places[8], n;
    } cases[] = {{"splits", 8 << 3, {0, 1, 2, 3, 4, 5}, 6},
                 {"splits_bicubic", 4 << 3 | 1, {0, 1, 2, 3, 4, 5, 12, 13}, 8},
                 {"classes", 4 << 3, {7, 8, 9, 10}, 4},
                 {"class_not_trained", 4 << 3, {0, 1, 2, 3, 4, 5, 6}, 7},
                 {"own_size", 0, {0, 2, 4}, 3},
                 {"twice", 4 << 3, {0, 0, 2, 4, 5}, 5}};
    static uint8_t coloured[4096];
    uint8_t *photo = NULL;
    size_t size = png(coloured, sizeof coloured, 8, PNG_COLOR_TYPE_RGB, false, 0),
           photo_size = jpeg(&photo, false, false);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        for (size_t i = 0; i < cases[k].n; i++) {
            uint8_t place = cases[k].places[i];
            bool is_photo = place == 1 || place == 3 || place == 5 || place == 6;
            add_member(place, is_photo ? photo : coloured, is_photo ? photo_size : size);
        }
        seed_members("folder", cases[k].name, cases[k].first);
    }
    for (uint8_t skip = 0; skip < 2; skip++) { /* one is corrupt */
        for (uint8_t place = 0; place < 5; place++) add_member(place, coloured, place == 1 ? size / 2 : size);
        seed_members("folder", skip ? "corrupt_skipped" : "corrupt", (uint8_t)(4 << 3 | (skip ? 2 : 0)));
    }
    free(photo);
}

/* ---- Archives ---------------------------------------------------------------------------------------------------- */

static uint8_t packed[1 << 14];

/* packed = an archive; returns its size. */
static size_t pack(const char *format) {
    static const struct {
        const char *name, *contents;
    } files[] = {{"train/a/1.txt", "first"}, {"train/b/2.txt", "the second, the second, the second"}, {"empty", ""}};
    size_t used = 0;
    struct archive *a = archive_write_new();
    if (archive_write_set_format_filter_by_ext(a, format) != ARCHIVE_OK) exit(1);
    archive_write_set_bytes_in_last_block(a, 1);
    archive_write_set_filter_option(a, "gzip", "timestamp", NULL); /* the same bytes whenever they are made */
    if (archive_write_open_memory(a, packed, sizeof packed, &used) != ARCHIVE_OK) exit(1);
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        struct archive_entry *e = archive_entry_new();
        size_t size = strlen(files[k].contents);
        archive_entry_set_pathname(e, files[k].name);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_size(e, (la_int64_t)size);
        if (archive_write_header(a, e) != ARCHIVE_OK ||
            archive_write_data(a, files[k].contents, size) != (la_ssize_t)size)
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
        {"long_list",
         "[probe]\ntimes = 0X.01 0X.03 0X.05 0X.07 0X.09 0X.0B 0X.0D 0X.0F 0X.11 0X.13 0X.15 0X.17 0X.19 0X.1B "
         "0X.1D 0X.1F 0X.21 0X.23 0X.25\n"},
    };
    for (size_t k = 0; k < sizeof files / sizeof *files; k++)
        seed("config", files[k].name, files[k].text, strlen(files[k].text));
}

/* ---- Lists of labels --------------------------------------------------------------------------------------------- */

static void labels(void) {
    static const struct {
        const char *name, *text;
    } files[] = {
        {"indices", "# drawn\n11\n0\n4\n"},
        {"indices_crlf", "\xef\xbb\xbf"
                         "0\r\n\r\n 1 \r\n3\r\n"},
        {"indices_classes", "0 ant\n1 1\n3 c c\n"},
        {"names", "2 x.png\ntrain/b/d\nc c/4\n"},
        {"names_classes", "1.png ant\n1.png b\n1.png c c\ne c c c c\n"},
        {"shared_name", "0\n1.png\n"},
        {"unknown_name", "0\nz.png ant\n"},
        {"wrong_class", "0\n1 ant\n"},
        {"twice", "0\n1\n3\nb/1.png\n"},
        {"out_of_range", "0\n18446744073709551616\n"},
        {"negative", "0\n-1\n"},
        {"class_without", "0\n1\n"},
        {"nothing", "# none\n"},
    };
    for (size_t k = 0; k < sizeof files / sizeof *files; k++)
        seed("labels", files[k].name, files[k].text, strlen(files[k].text));
    seed("labels", "nul_byte", "0\n1\0\n3\n", 7);
}

int main(int argc, char **argv) {
    if (argc != 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: fuzz_seeds DIRECTORY\n");
        return 2;
    }
    root = argv[1];
    idx();
    cifar();
    npy();
    npz();
    pictures();
    folder();
    archives();
    safetensors();
    config();
    labels();
    return 0;
}
