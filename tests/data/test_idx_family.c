/* MNIST and its kin: small made-up files that are right and wrong in every way, in directories and in archives, and the
 * real Fashion-MNIST where it is installed. */
#include "archives.h"

#include <math.h>

#include "data/source.h"
#include "drl/data.h"

static const char *const stems[4] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                     "t10k-labels-idx1-ubyte"};

/* A directory NAME with a good dataset of 20 + 12 images of 6 x 4, plain or packed. */
static const char *write_good(const char *name, bool gzip) {
    static buffer plain, packed;
    char path[300];
    mkdir(files_path(name), 0755);
    for (int f = 0; f < 4; f++) {
        if (f % 2 == 0)
            idx_images(&plain, f == 0 ? 20 : 12, 6, 4);
        else
            idx_labels(&plain, f == 1 ? 20 : 12, 10);
        packed.size = 0;
        gzip_append(&packed, plain.bytes, plain.size);
        snprintf(path, sizeof path, "%s/%s%s", name, stems[f], gzip ? ".gz" : "");
        files_write(path, gzip ? packed.bytes : plain.bytes, gzip ? packed.size : plain.size);
    }
    return files_path(name);
}

static drl_status open_dir(drl_dataset **ds, const char *dir, size_t size, drl_err *err) {
    drl_dataset_cfg cfg = {.name = "fashion-mnist", .data_dir = dir, .size = size, .cache_dir = ""};
    return drl_dataset_open(ds, &cfg, err);
}

static void test_small(void **state) {
    (void)state;
    char sha[2][65];
    for (int gzip = 0; gzip < 2; gzip++) {
        const char *dir = write_good(gzip ? "packed" : "plain", gzip);
        drl_dataset *ds;
        drl_err err = {0};
        if (open_dir(&ds, dir, 9, &err) != DRL_OK) fail_msg("%s", err.message);
        const drl_images *train = &ds->split[DRL_SPLIT_TRAIN], *test = &ds->split[DRL_SPLIT_TEST];
        assert_int_equal(train->n, 20);
        assert_int_equal(test->n, 12);
        assert_true(train->h == 9 && train->w == 9 && train->c == 1 && ds->classes == 10 && ds->factors == 0);
        assert_string_equal(ds->class_names[9], "Ankle boot");
        /* 6 x 4 inside 9 x 9: margins of 1 above, 2 below, 2 left, 3 right. */
        for (size_t i = 0; i < 20; i++)
            for (size_t y = 0; y < 9; y++)
                for (size_t x = 0; x < 9; x++) {
                    bool in = y >= 1 && y < 7 && x >= 2 && x < 6;
                    size_t want = in ? 1 + (i * 24 + (y - 1) * 4 + (x - 2)) % 255 : 0;
                    assert_int_equal(train->pixels[(i * 9 + y) * 9 + x], want);
                }
        for (size_t i = 0; i < 12; i++) assert_int_equal(test->labels[i], i % 10);
        memcpy(sha[gzip], ds->sha256, 65);
        assert_int_equal(strlen(ds->sha256), 64);
        drl_dataset_free(ds);
    }
    assert_string_not_equal(sha[0], sha[1]); /* of the files as they are */
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

/* data_dir itself, its fashion-mnist, then $DRL_DATA_DIR. */
static void test_search(void **state) {
    (void)state;
    drl_dataset *ds;
    drl_err err;
    mkdir(files_path("base"), 0755);
    mkdir(files_path("nothing"), 0755);
    write_good("base/fashion-mnist", true);
    assert_int_equal(open_dir(&ds, files_path("base"), 8, &err), DRL_OK);
    assert_int_equal(ds->split[DRL_SPLIT_TRAIN].n, 20);
    drl_dataset_free(ds);
    setenv("DRL_DATA_DIR", files_path("base"), 1);
    assert_int_equal(open_dir(&ds, files_path("nothing"), 8, &err), DRL_OK);
    assert_int_equal(ds->split[DRL_SPLIT_TRAIN].n, 20);
    drl_dataset_free(ds);
    unsetenv("DRL_DATA_DIR");
    assert_refused(open_dir(&ds, files_path("absent"), 8, &err), &err, 0, "absent: no such directory");
    assert_null(ds);
    /* Where there is nothing, the message names every place and the package. */
    setenv("DRL_SYSTEM_DATA_DIR", files_path("nothing"), 1);
    assert_refused(open_dir(&ds, files_path("nothing"), 8, &err), &err, 0, "apt-get install dataset-fashion-mnist");
    assert_non_null(strstr(err.message, files_path("nothing/fashion-mnist")));
    setenv("XDG_DATA_HOME", files_path("xdg"), 1);
    mkdir(files_path("xdg"), 0755);
    mkdir(files_path("xdg/drl"), 0755);
    write_good("xdg/drl/fashion-mnist", false);
    assert_int_equal(open_dir(&ds, NULL, 8, &err), DRL_OK);
    drl_dataset_free(ds);
    setenv("XDG_DATA_HOME", "/nonexistent", 1);
    unsetenv("DRL_SYSTEM_DATA_DIR");
}

/* One file of a good directory replaced by a bad one: the message names it and says what is wrong. */
static void refused_with(int file, const buffer *bad, const char *piece) {
    drl_dataset *ds;
    drl_err err;
    char path[300];
    write_good("bad", false);
    snprintf(path, sizeof path, "bad/%s", stems[file]);
    files_write(path, bad->bytes, bad->size);
    drl_status st = open_dir(&ds, files_path("bad"), 8, &err);
    assert_refused(st, &err, 0, piece);
    assert_non_null(strstr(err.message, "fashion-mnist: "));
    assert_non_null(strstr(err.message, stems[file / 2 * 2] + 5)); /* file, or the images it belongs to */
    assert_null(ds);
}

static void test_bad_files(void **state) {
    (void)state;
    static buffer bad;
    idx_images(&bad, 19, 6, 5), refused_with(0, &bad, "19 images, but 20 labels");
    idx_labels(&bad, 20, 10), refused_with(0, &bad, "want 0x00000803 (IDX images), got 0x00000801");
    idx_images(&bad, 20, 9, 5), refused_with(0, &bad, "images are 9 x 5, larger than the 8 x 8 asked for");
    idx_images(&bad, 20, 5, 9), refused_with(0, &bad, "images are 5 x 9, larger");
    idx_images(&bad, 12, 9, 9), refused_with(2, &bad, "larger");
    idx_images(&bad, 12, 4, 6), refused_with(2, &bad, "images are 4 x 6, those for training 6 x 4");
    idx_images(&bad, 20, 6, 5), bad.size--, refused_with(0, &bad, "599 bytes follow the header");
    idx_images(&bad, 0, 6, 5), refused_with(0, &bad, "no images");
    idx_images(&bad, 20, 1, 1), refused_with(0, &bad, "images of 1 x 1: want at least 2 x 2");
    bad.size = 0, refused_with(0, &bad, "empty");
}

static void test_bad_labels(void **state) {
    (void)state;
    static buffer bad;
    drl_dataset *ds;
    drl_err err;
    static const struct {
        uint32_t n, classes;
        const char *piece;
    } cases[] = {{20, 11, "label 10 is 10, want 0 .. 9"},
                 {20, 1, "all 20 training images are of one class (T-shirt/top): want at least two"},
                 {21, 10, "but 21 labels"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        write_good("labels", false);
        idx_labels(&bad, cases[k].n, cases[k].classes);
        files_write("labels/train-labels-idx1-ubyte", bad.bytes, bad.size);
        assert_refused(open_dir(&ds, files_path("labels"), 8, &err), &err, 0, cases[k].piece);
    }
    /* One of the four is missing: no other directory stands in for it. */
    write_good("part", false);
    unlink(files_path("part/t10k-labels-idx1-ubyte"));
    assert_refused(open_dir(&ds, files_path("part"), 8, &err), &err, 0, "neither t10k-labels-idx1-ubyte.gz nor");
}

/* Every cut and every changed byte of a packed file, through the whole path. */
static void test_flips_and_cuts(void **state) {
    (void)state;
    static buffer plain, packed;
    drl_dataset *ds;
    drl_err err;
    const char *file = "flip/t10k-images-idx3-ubyte.gz";
    size_t accepted = 0;
    write_good("flip", true);
    idx_images(&plain, 12, 6, 4);
    packed.size = 0;
    gzip_append(&packed, plain.bytes, plain.size);
    for (size_t i = 0; i < packed.size; i++) {
        packed.bytes[i] ^= 0x20;
        files_write(file, packed.bytes, packed.size);
        packed.bytes[i] ^= 0x20;
        drl_status st = open_dir(&ds, files_path("flip"), 8, &err);
        if (st != DRL_OK)
            assert_refused(st, &err, 0, "t10k-images-idx3-ubyte.gz: ");
        else
            assert_true((i >= 4 && i <= 9) || i == packed.size - 9), accepted++;
        drl_dataset_free(ds);
        files_write(file, packed.bytes, i);
        assert_refused(open_dir(&ds, files_path("flip"), 8, &err), &err, 0, "t10k-images-idx3-ubyte.gz: ");
    }
    assert_true(accepted >= 6); /* time stamp, XFL, OS: the good file is read */
}

/* ---- The kin ----------------------------------------------------------------------------------------------------- */

/* The four files of a dataset of 30 + 8 images of 3 x 2 as entries NAME/PREFIX-..., packed where asked. */
typedef struct quartet {
    buffer file[4];
    char name[4][96];
    entry entries[4];
} quartet;

static void make_quartet(quartet *q, const char *train, const char *test, uint32_t first, uint32_t classes, bool gzip) {
    static buffer plain;
    for (int f = 0; f < 4; f++) {
        if (f % 2 == 0)
            idx_images(&plain, f == 0 ? 30 : 8, 3, 2);
        else
            idx_labels(&plain, f == 1 ? 30 : 8, classes);
        for (uint32_t i = 0; f % 2 == 1 && i < plain.size - 8; i++) plain.bytes[8 + i] += (uint8_t)first;
        q->file[f] = plain;
        if (gzip) q->file[f].size = 0, gzip_append(&q->file[f], plain.bytes, plain.size);
        snprintf(q->name[f], sizeof q->name[f], "gzip/%s-%s-ubyte%s", f < 2 ? train : test,
                 f % 2 == 0 ? "images-idx3" : "labels-idx1", gzip ? ".gz" : "");
        q->entries[f] = (entry){.name = q->name[f], .bytes = q->file[f].bytes, .size = q->file[f].size};
    }
}

static drl_status open_name(drl_dataset **ds, const char *name, size_t size, drl_err *err) {
    drl_dataset_cfg cfg = {.name = name, .data_dir = files_dir, .size = size, .cache_dir = ""};
    return drl_dataset_open(ds, &cfg, err);
}

/* Every split of EMNIST from gzip.zip, as published: transposed, labels from 1 for the letters, class names. */
static void test_emnist(void **state) {
    (void)state;
    static const struct {
        const char *split;
        uint32_t first, classes;
        const char *some_class;
        size_t which;
    } splits[] = {{"balanced", 0, 47, "t", 46}, {"byclass", 0, 62, "z", 61}, {"bymerge", 0, 47, "a", 36},
                  {"digits", 0, 10, "9", 9},    {"letters", 1, 26, "Z", 25}, {"mnist", 0, 10, "0", 0}};
    static quartet q;
    mkdir(files_path("emnist"), 0755);
    for (size_t k = 0; k < sizeof splits / sizeof *splits; k++) {
        char name[32], train[48], test[48];
        snprintf(name, sizeof name, "emnist-%s", splits[k].split);
        snprintf(train, sizeof train, "%s-train", name), snprintf(test, sizeof test, "%s-test", name);
        make_quartet(&q, train, test, splits[k].first, splits[k].classes, true);
        const entry with_others[] = {{.name = "gzip/emnist-other-train-images-idx3-ubyte.gz", .bytes = "x", .size = 1},
                                     q.entries[3],
                                     q.entries[1],
                                     q.entries[0],
                                     q.entries[2]};
        archive_file("emnist/gzip.zip", with_others, 5);
        drl_dataset *ds;
        drl_err err;
        if (open_name(&ds, name, 4, &err) != DRL_OK) fail_msg("%s", err.message);
        const drl_images *im = &ds->split[DRL_SPLIT_TRAIN];
        assert_true(im->n == 30 && ds->split[DRL_SPLIT_TEST].n == 8 && ds->classes == splits[k].classes);
        assert_string_equal(ds->class_names[splits[k].which], splits[k].some_class);
        assert_int_equal(im->labels[29], 29 % splits[k].classes);
        /* Stored as 3 rows of 2; shown as 2 rows of 3, in a square of 4: a margin of 1 above, none to the left. */
        for (size_t i = 0; i < 30; i++)
            for (size_t y = 0; y < 4; y++)
                for (size_t x = 0; x < 4; x++) {
                    bool in = y >= 1 && y < 3 && x < 3;
                    assert_int_equal(im->pixels[(i * 4 + y) * 4 + x], in ? 1 + (i * 6 + x * 2 + (y - 1)) % 255 : 0);
                }
        drl_dataset_free(ds);
        /* A label out of range, below as well as above. */
        make_quartet(&q, train, test, splits[k].first ? 0 : 1, splits[k].classes, true);
        if (splits[k].classes > 30) continue; /* 30 images do not reach it */
        archive_file("emnist/gzip.zip", q.entries, 4);
        assert_refused(open_name(&ds, name, 4, &err), &err, 0, ", want ");
    }
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

/* MNIST and KMNIST are found below their names only, in directories and in archives of every kind. */
static void test_mnist_and_kmnist(void **state) {
    (void)state;
    static quartet q;
    static const char *const archives[] = {"mnist/mnist.tar", "mnist/mnist.tar.gz", "mnist.zip", "mnist/mnist.7z"};
    drl_dataset *ds;
    drl_err err;
    make_quartet(&q, "train", "t10k", 0, 10, false);
    for (int f = 0; f < 4; f++) files_write(q.name[f] + strlen("gzip/"), q.file[f].bytes, q.file[f].size);
    mkdir(files_path("mnist"), 0755);
    mkdir(files_path("kmnist"), 0755);
    assert_refused(open_name(&ds, "mnist", 4, &err), &err, 0,
                   "no {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz] in ");
    for (size_t k = 0; k < 4; k++) {
        archive_file(archives[k], q.entries, 4);
        if (open_name(&ds, "mnist", 4, &err) != DRL_OK) fail_msg("%s", err.message);
        assert_int_equal(ds->split[DRL_SPLIT_TRAIN].n, 30);
        assert_int_equal(ds->split[DRL_SPLIT_TRAIN].pixels[4 + 2], 4); /* not transposed: image 0, row 1, column 1 */
        assert_string_equal(ds->class_names[3], "3");
        drl_dataset_free(ds);
        unlink(files_path(archives[k]));
    }
    for (int f = 0; f < 4; f++) {
        char path[128];
        snprintf(path, sizeof path, "kmnist/%s", q.name[f] + strlen("gzip/"));
        files_write(path, q.file[f].bytes, q.file[f].size);
    }
    if (open_name(&ds, "kmnist", 4, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_string_equal(ds->class_names[2], "su");
    drl_dataset_free(ds);
}

/* Archives with a member too few, too many, damaged within, or empty. */
static void test_bad_archives(void **state) {
    (void)state;
    static quartet q;
    drl_dataset *ds;
    drl_err err;
    mkdir(files_path("mnist"), 0755);
    make_quartet(&q, "train", "t10k", 0, 10, true);
    archive_file("mnist/mnist.zip", q.entries, 3);
    assert_refused(open_name(&ds, "mnist", 4, &err), &err, 0, "mnist.zip: has no member t10k-labels-idx1-ubyte[.gz]");
    entry five[5] = {q.entries[0], q.entries[1], q.entries[2], q.entries[3], q.entries[0]};
    five[4].name = "again/train-images-idx3-ubyte.gz";
    archive_file("mnist/mnist.zip", five, 5);
    assert_refused(open_name(&ds, "mnist", 4, &err), &err, 0, "and another member of that name");
    five[3].size = 0;
    archive_file("mnist/mnist.zip", five, 4);
    assert_refused(open_name(&ds, "mnist", 4, &err), &err, 0, "mnist.zip: gzip/t10k-labels-idx1-ubyte.gz: is empty");
    /* The archive is sound, the gzip file in it is not. */
    for (size_t i = 0; i < q.file[2].size; i++) {
        q.file[2].bytes[i] ^= 0x21;
        archive_file("mnist/mnist.zip", q.entries, 4);
        q.file[2].bytes[i] ^= 0x21;
        drl_status st = open_name(&ds, "mnist", 4, &err);
        bool carries_no_data = (i >= 4 && i <= 9) || i == q.file[2].size - 9;
        if (st != DRL_OK)
            assert_refused(st, &err, 0, "mnist.zip: gzip/t10k-images-idx3-ubyte.gz: ");
        else
            assert_true(carries_no_data);
        drl_dataset_free(ds);
        five[2].size = i, five[3] = q.entries[3];
        archive_file("mnist/mnist.zip", five, 4);
        assert_refused(open_name(&ds, "mnist", 4, &err), &err, 0, "t10k-images-idx3-ubyte.gz: ");
    }
}

static void check_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("got %.6f, want %.6f", got, want);
}

/* The published statistics of the real data. */
static void test_real(void **state) {
    (void)state;
    if (access(DRL_FASHION_MNIST_SYSTEM_DIR "/train-images-idx3-ubyte.gz", R_OK) != 0) {
        print_message("skipped: dataset-fashion-mnist is not installed\n");
        skip();
    }
    drl_dataset *ds, *limited;
    drl_err err = {0};
    if (open_dir(&ds, NULL, 28, &err) != DRL_OK) fail_msg("%s", err.message);
    const drl_images *train = &ds->split[DRL_SPLIT_TRAIN], *test = &ds->split[DRL_SPLIT_TEST];
    assert_int_equal(train->n, 60000);
    assert_int_equal(test->n, 10000);
    check_near(ds->mean[0], 0.2860, 5e-5);
    check_near(ds->std[0], 0.3530, 5e-5);
    assert_int_equal(train->labels[0], 9);
    size_t count[DRL_SPLITS][10] = {{0}};
    for (size_t i = 0; i < train->n; i++) count[0][train->labels[i]]++;
    for (size_t i = 0; i < test->n; i++) count[1][test->labels[i]]++;
    for (int k = 0; k < 10; k++) {
        assert_int_equal(count[0][k], 6000);
        assert_int_equal(count[1][k], 1000);
    }
    /* Padded to the default 32 x 32 the mean shrinks by the area; the first 1000 images are those of the whole. */
    drl_dataset_cfg cfg = {.name = "fashion-mnist", .train_limit = 1000, .test_limit = 10, .cache_dir = ""};
    assert_int_equal(drl_dataset_open(&limited, &cfg, &err), DRL_OK);
    assert_int_equal(limited->split[DRL_SPLIT_TRAIN].n, 1000);
    assert_int_equal(limited->split[DRL_SPLIT_TEST].n, 10);
    assert_string_equal(limited->sha256, ds->sha256);
    for (size_t i = 0; i < 1000; i++)
        for (size_t y = 0; y < 28; y++)
            assert_memory_equal(limited->split[0].pixels + (i * 32 + y + 2) * 32 + 2, train->pixels + (i * 28 + y) * 28,
                                28);
    double mean28 = ds->mean[0];
    drl_dataset_free(limited);
    drl_dataset_free(ds);
    assert_int_equal(open_dir(&ds, NULL, 0, &err), DRL_OK);
    check_near(ds->mean[0], mean28 * 28 * 28 / (32 * 32), 1e-12);
    drl_dataset_free(ds);
    assert_refused(open_dir(&ds, NULL, 16, &err), &err, 0, "images are 28 x 28, larger than the 16 x 16");
}

int main(void) {
    unsetenv("DRL_DATA_DIR");
    setenv("XDG_DATA_HOME", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_bad_labels),
        cmocka_unit_test(test_flips_and_cuts),
        cmocka_unit_test(test_emnist),
        cmocka_unit_test(test_mnist_and_kmnist),
        cmocka_unit_test(test_bad_archives),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests_name("IDX family", tests, files_make, files_remove);
}
