/* make_corpus DIR: writes the seeds of every fuzz target to DIR/TARGET/. The same files at every run. */
#include "../data/pictures.h"

#include "../data/archives.h"
#include "../data/arrays.h"

#include "drl/file.h"
#include "drl/safetensors.h"
#include "fuzz.h"

static const char *corpus;

static void save(const char *target, const char *seed, int first, const void *bytes, size_t size) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", corpus, target);
    fuzz_check(drl_make_dirs(path, NULL) == DRL_OK, "cannot make the corpus's directory");
    snprintf(path, sizeof path, "%s/%s/%s", corpus, target, seed);
    FILE *f = fopen(path, "wb");
    fuzz_check(f != NULL, "cannot write a seed");
    if (first >= 0) fputc(first, f); /* the byte by which a target chooses */
    fuzz_check(fwrite(bytes, 1, size, f) == size && fclose(f) == 0, "cannot write a seed");
}

static void save_buffer(const char *target, const char *seed, int first, const buffer *b) {
    save(target, seed, first, b->bytes, b->size);
}

/* Appends a piece as fuzz_pack takes it: its length, then itself; the last one without a length. */
static void piece(buffer *out, const void *bytes, size_t size, bool last) {
    fuzz_check(size < 65536 && out->size + size + 2 <= sizeof out->bytes, "a seed is too large");
    if (!last) out->bytes[out->size++] = (uint8_t)size, out->bytes[out->size++] = (uint8_t)(size >> 8);
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}

/* The contents of archive members, and the same as an archive that holds them. */
static void save_both(const char *target, int packed, int whole, const char *format, const entry *members, size_t n) {
    static buffer out;
    size_t size;
    char seed[64];
    out.size = 0;
    for (size_t k = 0; k < n; k++) piece(&out, members[k].bytes, members[k].size, k + 1 == n);
    if (packed >= 0) save_buffer(target, "members", packed, &out);
    uint8_t *bytes = archive_make(&size, format, members, n);
    if (strstr(format, ".gz")) memset(bytes + 4, 0, 4); /* gzip's time stamp */
    snprintf(seed, sizeof seed, "archive%s", format);
    save(target, seed, whole, bytes, size);
    free(bytes);
}

static void make_idx(void) {
    static buffer b[4], out;
    out.size = 0;
    for (int k = 0; k < 4; k++) {
        if (k % 2)
            idx_labels(&b[k], 3, 10);
        else
            idx_images(&b[k], 3, 4, 5);
        piece(&out, b[k].bytes, b[k].size, k == 3);
    }
    save_buffer("idx", "images", 0, &b[0]);
    save_buffer("idx", "labels", 0, &b[1]);
    save_buffer("idx", "members", 1, &out);
}

static void make_cifar(void) {
    static uint8_t train[2 * 3074], test[3074];
    train[1] = 5, train[3074] = 7, train[3075] = 99, test[1] = 5;
    entry hundred[] = {{.name = "fine_label_names.txt", .bytes = "apple\nbear\n", .size = 11},
                       {.name = "train.bin", .bytes = train, .size = sizeof train},
                       {.name = "test.bin", .bytes = test, .size = sizeof test}};
    save_both("cifar", 1, 3, ".tar", hundred, 3);
    static const char *const names[] = {"b/batches.meta.txt", "b/data_batch_1.bin", "b/data_batch_2.bin",
                                        "b/data_batch_3.bin", "b/data_batch_4.bin", "b/data_batch_5.bin",
                                        "b/test_batch.bin"};
    static buffer out;
    out.size = 0;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        train[0] = (uint8_t)k; /* a label, then planes */
        piece(&out, k ? (const void *)train : "cat\ndog\n", k ? 3073 : 8, k == 6);
    }
    save_buffer("cifar", "members10", 0, &out);
}

static void make_numpy(void) {
    static buffer b[5];
    static const float floats[12] = {0, 0.5f, 1, 0.25f};
    npy_make(&b[0], "|u1", "4, 2, 3", "abcdefghijklmnopqrstuvwx", 24);
    npy_make(&b[1], "<i4", "4, 1", "\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0", 16);
    npy_make(&b[2], "<f4", "2, 2, 3", floats, 48);
    npy_make(&b[3], "|i1", "2,", "\1\0", 2);
    npy_text(&b[4], 2, "{\"shape\":(1,1,2,3,),\"fortran_order\":False,\"descr\":\"|u1\"}", "abcdef", 6);
    static const char *const seeds[] = {"u1", "i4", "f4", "i1", "version2"};
    for (int k = 0; k < 5; k++) save_buffer("npy", seeds[k], -1, &b[k]);
    entry split[] = {{.name = "class_names.txt", .bytes = "cat\ndog\n", .size = 8},
                     {.name = "x_train.npy", .bytes = b[0].bytes, .size = b[0].size},
                     {.name = "y_train.npy", .bytes = b[1].bytes, .size = b[1].size},
                     {.name = "x_test.npy", .bytes = b[2].bytes, .size = b[2].size},
                     {.name = "y_test.npy", .bytes = b[3].bytes, .size = b[3].size}};
    save_both("npz", 2, 1, ".zip", split, 5);
    static buffer out;
    out.size = 0;
    piece(&out, "cat\ndog\nbird", 12, false);
    piece(&out, b[0].bytes, b[0].size, false);
    piece(&out, b[1].bytes, b[1].size, true);
    save_buffer("npz", "without-split", 4, &out);
}

static void make_safetensors(void) {
    static const float values[6] = {1, 2, 3};
    static const char *const types[] = {"F32", "F64", "I32", "I64", "U8"};
    static const size_t shape[] = {3, 1};
    static uint8_t bytes[1 << 12];
    drl_st_writer *w;
    fuzz_check(drl_st_writer_new(&w, NULL) == DRL_OK, "no writer");
    for (int k = 0; k < 5; k++)
        fuzz_check(drl_st_add(w, types[k], types[k], (size_t)k % 3, shape, values, NULL) == DRL_OK, "no tensor");
    fuzz_check(drl_st_add_metadata(w, "key", "value", NULL) == DRL_OK, "no metadata");
    const char *path = fuzz_write("seed", "", 0);
    fuzz_check(drl_st_write(w, path, NULL) == DRL_OK, "no file");
    drl_st_writer_free(w);
    FILE *f = fopen(path, "rb");
    size_t size = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    fuzz_check(size > 0 && fclose(f) == 0, "no file");
    save("safetensors", "types", -1, bytes, size);
}

static void make_folder(void) {
    static buffer png[6];
    static const png_kind kinds[] = {
        {PNG_COLOR_TYPE_GRAY, 8, false, false},       {PNG_COLOR_TYPE_RGB, 8, true, false},
        {PNG_COLOR_TYPE_RGB_ALPHA, 16, false, false}, {PNG_COLOR_TYPE_PALETTE, 2, false, true},
        {PNG_COLOR_TYPE_GRAY, 1, true, true},         {PNG_COLOR_TYPE_GRAY_ALPHA, 8, false, false}};
    static const char *const formats[] = {".tar", ".zip", ".7z", ".tar.gz"};
    char seed[64];
    for (int k = 0; k < 6; k++) {
        png_make(&png[k], 6, 8, kinds[k]);
        snprintf(seed, sizeof seed, "png%d", k);
        save_buffer("folder", seed, 0, &png[k]);
    }
    uint8_t *jpeg[3];
    size_t size[3];
    jpeg[0] = jpeg_make(&size[0], 8, 8, 1, JCS_GRAYSCALE, -1, false);
    jpeg[1] = jpeg_make(&size[1], 9, 17, 3, JCS_RGB, -1, false);
    jpeg[2] = jpeg_make(&size[2], 16, 10, 3, JCS_RGB, -1, true);
    for (int k = 0; k < 3; k++) {
        snprintf(seed, sizeof seed, "jpeg%d", k);
        save("folder", seed, 0, jpeg[k], size[k]);
    }
    entry members[] = {{.name = "train/a/1.png", .bytes = png[0].bytes, .size = png[0].size},
                       {.name = "train/b/2.png", .bytes = png[4].bytes, .size = png[4].size},
                       {.name = "test/a/1.jpg", .bytes = jpeg[0], .size = size[0]},
                       {.name = "test/b/4.jpg", .bytes = jpeg[0], .size = size[0]}};
    for (int k = 0; k < 4; k++) save_both("folder", k == 0 ? 2 : -1, 4 + k, formats[k], members, 4);
    for (int k = 0; k < 3; k++) free(jpeg[k]);
}

static void make_config(void) {
    static const char all[] = "[a]\nwhole = 3 ; a comment\ncount=7\nreal = 1e-3\nyes = no\n\n"
                              "[b]\ntext = one line\nchoice = three\nlist = 0.1, 0.2 1\n";
    static const char *const texts[] = {all, "b.list=0 1 0.5\n", "a.real=-0.125\n# only an assignment\n", "a.yes = on"};
    static const char *const seeds[] = {"all", "list", "real", "bool"};
    for (int k = 0; k < 4; k++) save("config", seeds[k], -1, texts[k], strlen(texts[k]));
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: make_corpus DIR\n");
        return 2;
    }
    corpus = argv[1];
    make_idx();
    make_cifar();
    make_numpy();
    make_safetensors();
    make_folder();
    make_config();
    return 0;
}
