/* Folders of pictures: what goes where, in directories and archives of every kind, and what is refused. */
#include "trees.h"

#include "drl/data.h"

static drl_status open_folder(drl_dataset **ds, const char *name, drl_dataset_cfg cfg, drl_err *err) {
    static char full[600];
    snprintf(full, sizeof full, "folder:%s", files_path(name));
    cfg.name = full;
    if (!cfg.cache_dir) cfg.cache_dir = "";
    return drl_dataset_open(ds, &cfg, err);
}

static drl_dataset *opened(const char *name, drl_dataset_cfg cfg) {
    drl_dataset *ds;
    drl_err err;
    if (open_folder(&ds, name, cfg, &err) != DRL_OK) fail_msg("%s", err.message);
    return ds;
}

static void refused(drl_dataset_cfg cfg, const char *piece) {
    drl_dataset *ds;
    drl_err err;
    archive_file("bad.zip", t.entries, t.n);
    assert_refused(open_folder(&ds, "bad.zip", cfg, &err), &err, 0, piece);
    assert_non_null(strstr(err.message, "bad.zip: "));
}

/* First byte of every picture of a split, and the labels, as text. */
static const char *summary(const drl_images *im) {
    static char text[4000];
    text[0] = '\0';
    for (size_t i = 0; i < im->n; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%d:%d ", im->labels[i], im->pixels[i * im->h * im->w * im->c]);
    }
    return text;
}

static void add_splits(const char *wrap) {
    static const char *const names[] = {"train/cat/b.png", "train/cat/a.PNG",   "train/ant/1.png", "test/cat/x.png",
                                        "test/ant/y.png",  "train/cat/c.x.png", "train/bee/z.png"};
    char name[64];
    for (size_t i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "%s%s", wrap, names[i]);
        add_picture(name, 4, 4, (uint8_t)(10 + i), false);
    }
}

/* The tree as a tar in one zstd frame with a checksum. */
static void write_zstd(const char *name) {
    static buffer out;
    size_t size;
    uint8_t *tar = archive_make(&size, ".tar", t.entries, t.n);
    out.size = 0;
    zstd_append(&out, tar, size, true);
    files_write(name, out.bytes, out.size);
    free(tar);
}

/* Round and round the classes, each by name; the same from every kind of container, in any order. */
static void test_splits(void **state) {
    (void)state;
    static const char *const containers[] = {"a.tar",    "a.tar.gz",  "a.zip",    "a.7z",
                                             "a.tar.xz", "a.tar.zst", "directory"};
    for (int wrapped = 0; wrapped < 2; wrapped++)
        for (size_t k = 0; k < 7; k++) {
            tree_clear();
            add_splits(wrapped ? "around/" : "");
            add_bytes(wrapped ? "around/readme.txt" : "readme.txt", "x", 1);
            add_bytes("__MACOSX/train/cat/a.png", "x", 1);
            add_bytes("train/.hidden/a.png", "x", 1);
            if (k % 2) {
                entry first = t.entries[0];
                t.entries[0] = t.entries[5], t.entries[5] = first;
            }
            if (k == 5) {
                write_zstd(containers[k]);
            } else if (k == 6) {
                if (wrapped) continue;
                write_directory(containers[k]);
            } else {
                archive_file(containers[k], t.entries, t.n);
            }
            drl_dataset *ds = opened(containers[k], (drl_dataset_cfg){0});
            const drl_images *train = &ds->split[DRL_SPLIT_TRAIN], *test = &ds->split[DRL_SPLIT_TEST];
            assert_true(ds->classes == 3 && train->h == 4 && train->w == 4 && train->c == 1 && test->c == 1);
            assert_string_equal(ds->class_names[0], "ant");
            assert_string_equal(ds->class_names[2], "cat");
            assert_string_equal(summary(train), "0:12 1:16 2:11 2:10 2:15 ");
            assert_string_equal(summary(test), "0:14 2:13 ");
            assert_int_equal(strlen(ds->sha256), 64);
            drl_dataset_free(ds);
            ds = opened(containers[k], (drl_dataset_cfg){.train_limit = 3, .test_limit = 1, .size = 8});
            assert_string_equal(summary(&ds->split[DRL_SPLIT_TRAIN]), "0:12 1:16 2:11 ");
            assert_string_equal(summary(&ds->split[DRL_SPLIT_TEST]), "0:14 ");
            assert_int_equal(ds->split[DRL_SPLIT_TRAIN].h, 8);
            drl_dataset_free(ds);
        }
}

/* A sixth of each class is drawn, the same whatever the archive's order, another one by another seed. */
static void test_drawn_split(void **state) {
    (void)state;
    static const size_t n[] = {12, 40, 1, 2}, n_test[] = {2, 7, 0, 1};
    char name[64], first[4000];
    for (int reverse = 0; reverse < 3; reverse++) {
        tree_clear();
        for (size_t k = 0; k < 4; k++)
            for (size_t i = 0; i < n[k]; i++) {
                snprintf(name, sizeof name, "pets/class%zu/%02zu.png", k, i);
                add_picture(name, 3, 3, (uint8_t)(50 * k + i), false);
            }
        for (size_t i = 0; reverse == 1 && i < t.n / 2; i++) {
            entry e = t.entries[i];
            t.entries[i] = t.entries[t.n - 1 - i], t.entries[t.n - 1 - i] = e;
        }
        archive_file("drawn.tar", t.entries, t.n);
        drl_dataset *ds = opened("drawn.tar", (drl_dataset_cfg){.seed = reverse == 2});
        size_t seen[256] = {0}, count[2][4] = {{0}};
        for (int s = 0; s < 2; s++)
            for (size_t i = 0; i < ds->split[s].n; i++) {
                seen[ds->split[s].pixels[9 * i]]++;
                assert_int_equal(ds->split[s].pixels[9 * i] / 50, ds->split[s].labels[i]);
                count[s][ds->split[s].labels[i]]++;
            }
        for (size_t k = 0; k < 4; k++) {
            assert_true(count[1][k] == n_test[k] && count[0][k] == n[k] - n_test[k]);
            for (size_t i = 0; i < n[k]; i++) assert_int_equal(seen[50 * k + i], 1);
            assert_int_equal(ds->split[0].labels[k], k);
        }
        if (reverse == 0) snprintf(first, sizeof first, "%s", summary(&ds->split[1]));
        if (reverse == 1) assert_string_equal(summary(&ds->split[1]), first);
        if (reverse == 2) assert_string_not_equal(summary(&ds->split[1]), first);
        drl_dataset_free(ds);
    }
}

/* Grey beside colour becomes colour, wherever the first colour comes; sizes are brought together. */
static void test_colour_and_size(void **state) {
    (void)state;
    for (size_t colour = 0; colour < 4; colour++) {
        tree_clear();
        add_picture("train/a/1.png", 4, 6, 20, colour == 0);
        add_picture("train/a/2.png", 9, 5, 30, colour == 1);
        add_picture("train/b/1.png", 4, 4, 40, colour == 2);
        add_picture("test/a/1.png", 3, 8, 50, colour == 3);
        archive_file("colour.zip", t.entries, t.n);
        drl_dataset *ds = opened("colour.zip", (drl_dataset_cfg){.size = 4, .resize = (drl_resize)(colour % 2)});
        static const uint8_t value[] = {20, 40, 30, 50};
        for (size_t i = 0; i < 4; i++) {
            const drl_images *im = &ds->split[i == 3];
            const uint8_t *p = im->pixels + (i % 3) * 48;
            bool is_colour = colour == (i == 1 ? 2 : i == 2 ? 1 : i);
            assert_true(im->c == 3 && im->h == 4);
            for (size_t k = 0; k < 48; k++)
                assert_int_equal(p[k], !is_colour || k % 3 == 0 ? value[i] : k % 3 == 1 ? 255 - value[i] : 7);
        }
        drl_dataset_free(ds);
        refused((drl_dataset_cfg){0}, "train/a/2.png: is 9 x 5, but the first picture 4 x 6: choose a size for all");
        refused((drl_dataset_cfg){.skip_bad = true}, "choose a size for all"); /* which is not their fault */
    }
}

static void test_refused(void **state) {
    (void)state;
    const drl_dataset_cfg none = {0};
    drl_dataset *ds;
    drl_err err;
    tree_clear(), add_bytes("train/a/readme.txt", "x", 1);
    refused(none, "holds no pictures (.jpg, .jpeg, .png)");
    tree_clear(), add_picture("cat/1.png", 4, 4, 1, false), add_picture("cat/2.png", 4, 4, 1, false);
    refused(none, "has one class only (cat): want at least two");
    tree_clear(), add_splits(""), add_picture("test/dog/1.png", 4, 4, 1, false);
    refused(none, "class dog is in test/ but not in train/");
    tree_clear(), add_splits(""), add_picture("val/cat/1.png", 4, 4, 1, false);
    refused(none, "val/cat/1.png: is neither in train/ nor in test/");
    tree_clear(), add_splits(""), add_picture("train/1.png", 4, 4, 1, false);
    refused(none, "train/1.png: want train/CLASS/PICTURE");
    tree_clear(), add_picture("1.png", 4, 4, 1, false);
    refused(none, "1.png: want train/CLASS/PICTURE");
    tree_clear(), add_picture("train/a/1.png", 4, 4, 1, false), add_picture("train/b/1.png", 4, 4, 1, false);
    refused(none, "there are no pictures in test/");
    tree_clear(), add_splits("");
    add_picture("train/a_name_of_thirty-two_characters_/1.png", 4, 4, 1, false);
    refused(none, "the class's name is longer than 31 bytes");
    tree_clear(), add_splits(""), add_picture("train/cat/b.png", 4, 4, 1, false);
    refused(none, "train/cat/b.png: is there twice");
    tree_clear(), add_splits(""), add_bytes("train/cat/e.png", "", 0);
    refused(none, "train/cat/e.png: the file is empty");
    tree_clear(), add_splits(""), add_bytes("train/cat/e.jpg", "text", 4);
    refused(none, "train/cat/e.jpg: is neither a JPEG nor a PNG picture");
    tree_clear(), add_splits(""), t.entries[5].size -= 20;
    refused(none, "train/cat/c.x.png: PNG: ");
    tree_clear(), add_picture("a/1.png", 1, 1, 1, false), add_picture("b/1.png", 1, 1, 1, false),
        add_picture("b/2.png", 1, 1, 1, false);
    archive_file("bad.zip", t.entries, t.n);
    assert_refused(open_folder(&ds, "bad.zip", none, &err), &err, 0, "images of 1 x 1: want at least 2 x 2 pixels");
    tree_clear();
    for (int k = 0; k < 257; k++) {
        char name[64];
        snprintf(name, sizeof name, "%03d/1.png", k);
        add_picture(name, 2, 2, 1, false);
    }
    refused(none, "has more than 256 classes");
    assert_refused(open_folder(&ds, "missing.zip", none, &err), &err, 0, "missing.zip: No such file");
}

/* A palette picture whose pixel (1, 2) is beyond its palette is bad like any other. */
static void test_beyond_palette(void **state) {
    (void)state;
    static buffer out;
    static const uint8_t rows[4 * 5] = {0, 0, 1, 2, 0, 0, 1, 2, 3, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1};
    png_palette_make(&out, 4, 4, 8, 3, false, rows, sizeof rows);
    tree_clear(), add_splits(""), add_bytes("train/cat/p.png", out.bytes, out.size);
    refused((drl_dataset_cfg){0}, "bad.zip: train/cat/p.png: PNG: row 1, column 2 has the colour 3 of a palette of 3");
    archive_file("palette.zip", t.entries, t.n);
    drl_dataset *ds = opened("palette.zip", (drl_dataset_cfg){.skip_bad = true});
    assert_int_equal(ds->skipped, 1);
    assert_string_equal(summary(&ds->split[DRL_SPLIT_TRAIN]), "0:12 1:16 2:11 2:10 2:15 ");
    drl_dataset_free(ds);
}

static void test_skip_bad(void **state) {
    (void)state;
    const drl_dataset_cfg skip = {.skip_bad = true};
    tree_clear(), add_bytes("train/ant/0.jpg", "", 0), add_splits(""), add_bytes("test/cat/e.jpg", "text", 4);
    t.entries[6].size -= 20; /* train/cat/c.x.png */
    archive_file("skip.tar.gz", t.entries, t.n);
    drl_dataset *ds = opened("skip.tar.gz", skip);
    assert_int_equal(ds->skipped, 3);
    assert_string_equal(summary(&ds->split[DRL_SPLIT_TRAIN]), "1:16 2:11 0:12 2:10 ");
    assert_string_equal(summary(&ds->split[DRL_SPLIT_TEST]), "0:14 2:13 ");
    drl_dataset_free(ds);
    for (size_t i = 0; i < t.n; i++) t.entries[i].size /= 2;
    refused(skip, "not one of 9 pictures can be decoded");
    refused((drl_dataset_cfg){0}, "train/ant/0.jpg: the file is empty");
}

/* More pictures than a batch holds, in JPEG: the same bits, and the same error, for any number of threads. */
static void test_threads(void **state) {
    (void)state;
    drl_dataset *want = NULL;
    drl_err err, first;
    tree_clear();
    for (size_t i = 0; i < 380; i++) {
        char name[64];
        size_t size, side = 10 + i % 7;
        snprintf(name, sizeof name, "%zu/%zu.jpg", i % 5, i);
        uint8_t *bytes =
            jpeg_make(&size, side, side + 3, i % 3 ? 3 : 1, i % 3 ? JCS_RGB : JCS_GRAYSCALE, (int)i % 50, 0);
        add_bytes(name, bytes, size);
        free(bytes);
    }
    archive_file("many.tar", t.entries, t.n);
    t.entries[300].size -= 7, t.entries[301].size -= 7;
    archive_file("broken.tar", t.entries, t.n);
    for (size_t threads = 0; threads <= 4; threads++) {
        drl_threads *team = NULL;
        drl_dataset *ds;
        if (threads) assert_int_equal(drl_threads_open(&team, threads, &err), DRL_OK);
        ds = opened("many.tar", (drl_dataset_cfg){.size = 12, .resize = DRL_RESIZE_BICUBIC, .team = team});
        for (int s = 0; want && s < DRL_SPLITS; s++) {
            const drl_images *a = &ds->split[s], *b = &want->split[s];
            assert_true(a->n == b->n && a->c == 3);
            assert_memory_equal(a->pixels, b->pixels, a->n * 12 * 12 * 3);
            assert_memory_equal(a->labels, b->labels, a->n * sizeof *a->labels);
        }
        drl_dataset *bad;
        assert_int_not_equal(open_folder(&bad, "broken.tar", (drl_dataset_cfg){.size = 12, .team = team}, &err),
                             DRL_OK);
        assert_non_null(strstr(err.message, "broken.tar: 0/300.jpg: JPEG: "));
        if (!want)
            first = err;
        else
            assert_string_equal(err.message, first.message);
        drl_threads_close(team);
        if (want) drl_dataset_free(ds);
        if (!want) want = ds;
    }
    drl_dataset_free(want);
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

/* A message of a path source names the path once, whoever has found what is wrong. */
static void test_path_once(void **state) {
    (void)state;
    drl_dataset *ds;
    drl_err err;
    char want[700];
    static const struct {
        const char *name, *message;
    } cases[] = {
        {"once.zip", "folder: %s: train/cat/e.jpg: is neither a JPEG nor a PNG picture"},
        {"once", "folder: %s: train/cat/e.jpg: is neither a JPEG nor a PNG picture"},
        {"once/", "folder: %s: train/cat/e.jpg: is neither a JPEG nor a PNG picture"},
        {"none.zip", "folder: %s: No such file or directory"},
        {"small.zip", "folder:%s: images of 1 x 1: want at least 2 x 2 pixels"},
    };
    tree_clear(), add_splits(""), add_bytes("train/cat/e.jpg", "text", 4);
    archive_file("once.zip", t.entries, t.n), write_directory("once");
    tree_clear(), add_picture("train/a/1.png", 1, 1, 1, false), add_picture("train/b/1.png", 1, 1, 1, false),
        add_picture("test/b/1.png", 1, 1, 1, false);
    archive_file("small.zip", t.entries, t.n);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const char *before = strchr(cases[k].message, '%');
        assert_refused(open_folder(&ds, cases[k].name, (drl_dataset_cfg){0}, &err), &err, 0, "");
        snprintf(want, sizeof want, "%.*s%s%s", (int)(before - cases[k].message), cases[k].message,
                 files_path(cases[k].name), before + 2);
        assert_string_equal(err.message, want);
    }
    assert_int_equal(symlink("..", files_path("once/train/loop")), 0);
    assert_refused(open_folder(&ds, "once", (drl_dataset_cfg){0}, &err), &err, 0, "");
    snprintf(want, sizeof want, "folder: %s: is a link in a circle", files_path("once/train/loop"));
    assert_string_equal(err.message, want);
    /* A path that the message begins with by chance stays. */
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    tree_clear(), add_splits(""), write_directory("all");
    const drl_dataset_cfg cfg = {.name = "folder:all", .train_limit = 1, .cache_dir = ""};
    assert_int_equal(chdir(files_dir), 0);
    drl_status st = drl_dataset_open(&ds, &cfg, &err);
    assert_int_equal(chdir(before), 0);
    assert_refused(st, &err, 0, "folder:all: all 1 training images are of one class (ant)");
}

/* Links, and what a directory's digest depends on. */
static void test_directory(void **state) {
    (void)state;
    drl_dataset *ds;
    drl_err err;
    char before[65];
    tree_clear(), add_splits("");
    write_directory("links");
    ds = opened("links/", (drl_dataset_cfg){0});
    memcpy(before, ds->sha256, sizeof before);
    drl_dataset_free(ds);
    files_write("links/train/readme.txt", "x", 1);
    ds = opened("links", (drl_dataset_cfg){0});
    assert_string_equal(ds->sha256, before);
    drl_dataset_free(ds);
    assert_int_equal(symlink(files_path("links/train/cat/a.PNG"), files_path("links/train/bee/zz.png")), 0);
    ds = opened("links", (drl_dataset_cfg){0});
    assert_string_equal(summary(&ds->split[0]), "0:12 1:16 2:11 1:11 2:10 2:15 ");
    assert_string_not_equal(ds->sha256, before);
    drl_dataset_free(ds);
    assert_int_equal(symlink("nowhere", files_path("links/train/bee/zzz.png")), 0);
    assert_refused(open_folder(&ds, "links", (drl_dataset_cfg){0}, &err), &err, 0, "zzz.png: is a link to nothing");
    unlink(files_path("links/train/bee/zzz.png"));
    assert_int_equal(symlink("..", files_path("links/train/loop")), 0);
    assert_refused(open_folder(&ds, "links", (drl_dataset_cfg){0}, &err), &err, 0, "train/loop: is a link in a circle");
    unlink(files_path("links/train/loop"));
    assert_int_equal(mkfifo(files_path("links/train/bee/pipe.png"), 0644), 0);
    assert_refused(open_folder(&ds, "links", (drl_dataset_cfg){0}, &err), &err, 0, "bee/pipe.png: not a regular file");
    unlink(files_path("links/train/bee/pipe.png"));
    char deep[800] = "links/train/bee"; /* too deep, links included: 100 directories, and from there 200 others */
    for (int k = 0; k < 100; k++) mkdir(files_path(strcat(deep, "/d")), 0755);
    assert_int_equal(symlink(files_path("links/other"), files_path(strcat(deep, "/link"))), 0);
    ds = NULL;
    strcpy(deep, "links/other");
    for (int k = 0; k < 200; k++) mkdir(files_path(deep), 0755), strcat(deep, "/d");
    assert_refused(open_folder(&ds, "links", (drl_dataset_cfg){0}, &err), &err, 0,
                   "is nested more than 255 directories");
    snprintf(deep, sizeof deep, "rm -r '%s' '%s'", files_path("links/train/bee/d"), files_path("links/other"));
    assert_int_equal(system(deep), 0);
    if (geteuid() != 0) {
        chmod(files_path("links/train/ant/1.png"), 0);
        assert_refused(open_folder(&ds, "links", (drl_dataset_cfg){0}, &err), &err, 0, "1.png: Permission denied");
    }
}

/* Cuts and flips through the whole path: a JPEG archive in gzip, whose every byte is under a checksum but for its
 * header's time stamp, flags and system. */
static void test_flips_and_cuts(void **state) {
    (void)state;
    drl_dataset *ds;
    drl_err err;
    size_t size, accepted = 0;
    tree_clear(), add_splits("");
    uint8_t *bytes = archive_make(&size, ".tar.gz", t.entries, t.n);
    for (size_t i = 0; i < size; i += i < 30 ? 1 : 13) {
        bytes[i] ^= 0x04;
        files_write("flip.tar.gz", bytes, size);
        bytes[i] ^= 0x04;
        if (open_folder(&ds, "flip.tar.gz", (drl_dataset_cfg){0}, &err) == DRL_OK) {
            assert_string_equal(summary(&ds->split[DRL_SPLIT_TRAIN]), "0:12 1:16 2:11 2:10 2:15 ");
            drl_dataset_free(ds);
            accepted++;
        }
        assert_int_equal(drl_mem_get_stats().bytes, 0);
        files_write("flip.tar.gz", bytes, i);
        assert_refused(open_folder(&ds, "flip.tar.gz", (drl_dataset_cfg){0}, &err), &err, 0, "flip.tar.gz: ");
    }
    assert_true(accepted < 10);
    free(bytes);
}

/* The real thing, where it is. */
static void test_cifar10_images(void **state) {
    (void)state;
    drl_dataset_cfg cfg = {.name = "folder:" DRL_SOURCE_DIR "/../shared/data/cifar10-images.tar.gz",
                           .cache_dir = "",
                           .train_limit = 50,
                           .test_limit = 20};
    if (access(cfg.name + strlen("folder:"), R_OK) != 0) {
        print_message("no %s: skipped\n", cfg.name + strlen("folder:"));
        skip();
    }
    drl_dataset *ds;
    drl_err err;
    if (drl_dataset_open(&ds, &cfg, &err) != DRL_OK) fail_msg("%s", err.message);
    const drl_images *train = &ds->split[DRL_SPLIT_TRAIN];
    assert_true(train->n == 50 && ds->split[DRL_SPLIT_TEST].n == 20 && train->h == 32 && train->w == 32);
    assert_true(train->c == 3 && ds->classes == 10);
    assert_string_equal(ds->class_names[9], "truck");
    for (size_t i = 0; i < 50; i++) assert_int_equal(train->labels[i], i % 10);
    for (size_t c = 0; c < 3; c++) assert_true(fabs(ds->mean[c] - 0.47) < 0.1 && fabs(ds->std[c] - 0.25) < 0.05);
    drl_dataset_free(ds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits),          cmocka_unit_test(test_drawn_split),
        cmocka_unit_test(test_colour_and_size), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_skip_bad),        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_directory),       cmocka_unit_test(test_flips_and_cuts),
        cmocka_unit_test(test_cifar10_images),  cmocka_unit_test(test_beyond_palette),
        cmocka_unit_test(test_path_once),
    };
    int failed = cmocka_run_group_tests_name("folders", tests, files_make, files_remove);
    tree_clear();
    return failed;
}
