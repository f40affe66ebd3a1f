/* Names of a folder's images: each picture has a colour of its own, so the decoded pixels say which picture became
 * which image, and the names have to say the same. */
#include "trees.h"

#include "drl/data.h"

/* The colour of a picture is its number in the tree plus 1. */
static void add(const char *name) {
    add_picture(name, 4, 4, (uint8_t)(t.n + 1), false);
}

/* Classes of 4, 9 and 2 training pictures and some for testing, added in no order. */
static void add_tree(const char *around) {
    static const char *const pictures[] = {
        "train/cat/0009.png", "test/ant/0001.png",  "train/ant/b.png",   "train/cat/0001.png", "train/bee/0001.PNG",
        "train/cat/a.png",    "train/ant/0001.png", "test/cat/0001.png", "train/cat/10.png",   "train/cat/9.png",
        "train/bee/z z.png",  "test/bee/q.png",     "train/cat/B.png",   "train/cat/b.png",    "train/ant/0002.png",
        "train/cat/x.y.png",  "train/ant/zz.png",   "test/ant/r.png"};
    char name[64];
    tree_clear();
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++) {
        snprintf(name, sizeof name, "%s%s", around, pictures[i]);
        add(name);
    }
}

/* 7, 20 and 3 pictures without a split. */
static void add_classes(const char *around) {
    static const size_t n[] = {7, 20, 3};
    char name[64];
    tree_clear();
    for (size_t i = 20; i-- > 0;)
        for (size_t k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "%sclass%zu/%zu.png", around, k, i);
            if (i < n[k]) add(name);
        }
}

/* What the tree calls the picture of that colour: CLASS/PICTURE. */
static const char *name_by_colour(uint8_t colour) {
    assert_true(colour >= 1 && colour <= t.n);
    const char *name = t.names[colour - 1], *slash = strrchr(name, '/');
    while (slash > name && slash[-1] != '/') slash--;
    return slash;
}

static const char *full_name(const char *file) {
    static char full[600];
    snprintf(full, sizeof full, "folder:%s", files_path(file));
    return full;
}

/* Opens the dataset and compares the names of both splits with its pixels; returns the number of training images. */
static size_t check(const char *file, drl_dataset_cfg cfg) {
    drl_dataset *ds;
    drl_picture_names *names;
    drl_err err;
    cfg.name = full_name(file);
    if (!cfg.cache_dir) cfg.cache_dir = "";
    size_t before = drl_mem_get_stats().bytes;
    if (drl_dataset_open(&ds, &cfg, &err) != DRL_OK) fail_msg("%s", err.message);
    for (drl_split s = DRL_SPLIT_TRAIN; s < DRL_SPLITS; s++) {
        const drl_images *im = &ds->split[s];
        if (drl_dataset_names(&names, ds, &cfg, s, &err) != DRL_OK) fail_msg("%s", err.message);
        assert_true(names->n == im->n && names->split == s);
        for (uint32_t i = 0, place; i < im->n; i++) {
            assert_string_equal(names->name[i], name_by_colour(im->pixels[i * im->h * im->w * im->c]));
            assert_memory_equal(names->name[i], ds->class_names[im->labels[i]], strlen(ds->class_names[im->labels[i]]));
            assert_int_equal(drl_picture_names_find(names, &place, names->name[i]), DRL_NAME_FOUND);
            assert_int_equal(place, i);
        }
        drl_picture_names_free(names);
    }
    size_t n = ds->split[DRL_SPLIT_TRAIN].n;
    drl_dataset_free(ds);
    assert_int_equal(drl_mem_get_stats().bytes, before);
    return n;
}

static void write_tree(const char *file) {
    if (strchr(file, '.'))
        archive_file(file, t.entries, t.n);
    else
        write_directory(file);
}

static void test_order(void **state) {
    (void)state;
    static const char *const files[] = {"splits.zip", "splits.tar.gz", "splits"};
    for (size_t k = 0; k < 3; k++) {
        add_tree(k == 1 ? "around it/" : "");
        write_tree(files[k]);
        assert_int_equal(check(files[k], (drl_dataset_cfg){0}), 14);
        assert_int_equal(check(files[k], (drl_dataset_cfg){.size = 7, .resize = DRL_RESIZE_BICUBIC}), 14);
        for (size_t limit = 3; limit < 16; limit++)
            assert_int_equal(check(files[k], (drl_dataset_cfg){.train_limit = limit, .test_limit = 1 + limit % 4}),
                             limit < 14 ? limit : 14);
    }
}

/* The drawn test split: names follow the seed. */
static void test_drawn(void **state) {
    (void)state;
    static const char *const files[] = {"drawn.zip", "drawn.tar", "drawn"};
    for (size_t k = 0; k < 3; k++) {
        add_classes(k == 1 ? "pets/" : "");
        write_tree(files[k]);
        for (uint64_t seed = 0; seed < 4; seed++) {
            assert_int_equal(check(files[k], (drl_dataset_cfg){.seed = seed}), 25);
            assert_int_equal(check(files[k], (drl_dataset_cfg){.seed = seed, .train_limit = 8, .test_limit = 2}), 8);
        }
    }
}

/* Skipped pictures leave gaps that close; with none to skip nothing changes. */
static void test_skip_bad(void **state) {
    (void)state;
    static const char *const files[] = {"skip.zip", "skip.tar", "skip"};
    for (size_t k = 0; k < 3; k++) {
        add_tree("");
        write_tree(files[k]);
        assert_int_equal(check(files[k], (drl_dataset_cfg){.skip_bad = true}), 14);
        t.entries[0].size -= 20, t.entries[1].size = 3, t.entries[6].size = 0, t.entries[9].size /= 2;
        write_tree(files[k]);
        assert_int_equal(check(files[k], (drl_dataset_cfg){.skip_bad = true}), 11);
        assert_int_equal(check(files[k], (drl_dataset_cfg){.skip_bad = true, .train_limit = 8}), 6);
        drl_threads *team;
        assert_int_equal(drl_threads_open(&team, 3, NULL), DRL_OK);
        assert_int_equal(check(files[k], (drl_dataset_cfg){.skip_bad = true, .size = 8, .team = team}), 11);
        drl_threads_close(team);
    }
}

/* Enough pixels to be worth a file in the cache, which does not hold the pictures that were skipped. */
static void test_cached(void **state) {
    (void)state;
    char name[64];
    drl_dataset *ds;
    drl_err err;
    tree_clear();
    for (size_t i = 0; i < 240; i++) {
        snprintf(name, sizeof name, "%s/%zu/%zu.png", i % 5 ? "train" : "test", i % 3, i);
        add_picture(name, 96, 96, (uint8_t)(i + 1), true);
    }
    t.entries[2].size -= 20, t.entries[100].size -= 20, t.entries[101].size -= 20;
    archive_file("cached.tar", t.entries, t.n);
    char cache[512];
    snprintf(cache, sizeof cache, "%s", files_path("cache"));
    drl_dataset_cfg cfg = {.cache_dir = cache, .skip_bad = true};
    for (int again = 0; again < 2; again++) {
        assert_int_equal(check("cached.tar", cfg), 190);
        cfg.name = full_name("cached.tar");
        assert_int_equal(drl_dataset_open(&ds, &cfg, &err), DRL_OK);
        assert_true(ds->cached && ds->skipped == 3);
        drl_dataset_free(ds);
    }
}

/* ---- Finding ----------------------------------------------------------------------------------------------------- */

static void test_find(void **state) {
    (void)state;
    static const struct {
        const char *name;
        drl_name_match match;
        const char *found;
    } cases[] = {{"cat/B.png", DRL_NAME_FOUND, "cat/B.png"},
                 {"train/cat/B.png", DRL_NAME_FOUND, "cat/B.png"},
                 {"B.png", DRL_NAME_FOUND, "cat/B.png"},
                 {"z z.png", DRL_NAME_FOUND, "bee/z z.png"},
                 {"0001.PNG", DRL_NAME_FOUND, "bee/0001.PNG"},
                 {"0001.png", DRL_NAME_AMBIGUOUS, NULL},
                 {"b.png", DRL_NAME_AMBIGUOUS, NULL},
                 {"ant/0001.png", DRL_NAME_FOUND, "ant/0001.png"},
                 {"zz.png", DRL_NAME_FOUND, "ant/zz.png"},
                 {"q.png", DRL_NAME_UNKNOWN, NULL},
                 {"test/cat/0001.png", DRL_NAME_UNKNOWN, NULL},
                 {"train/train/cat/B.png", DRL_NAME_UNKNOWN, NULL},
                 {"bee/B.png", DRL_NAME_UNKNOWN, NULL},
                 {"", DRL_NAME_UNKNOWN, NULL},
                 {"/", DRL_NAME_UNKNOWN, NULL},
                 {"train/", DRL_NAME_UNKNOWN, NULL},
                 {"zzz.png", DRL_NAME_UNKNOWN, NULL}};
    drl_dataset *ds;
    drl_picture_names *names;
    add_tree("");
    archive_file("find.zip", t.entries, t.n);
    drl_dataset_cfg cfg = {.name = full_name("find.zip"), .cache_dir = ""};
    assert_int_equal(drl_dataset_open(&ds, &cfg, NULL), DRL_OK);
    assert_int_equal(drl_dataset_names(&names, ds, &cfg, DRL_SPLIT_TRAIN, NULL), DRL_OK);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        uint32_t place = 77;
        assert_int_equal(drl_picture_names_find(names, &place, cases[k].name), cases[k].match);
        if (cases[k].found)
            assert_string_equal(names->name[place], cases[k].found);
        else
            assert_int_equal(place, 77);
    }
    drl_picture_names_free(names);
    assert_int_equal(drl_dataset_names(&names, ds, &cfg, DRL_SPLIT_TEST, NULL), DRL_OK);
    uint32_t place;
    assert_int_equal(drl_picture_names_find(names, &place, "test/cat/0001.png"), DRL_NAME_FOUND);
    assert_string_equal(names->name[place], "cat/0001.png");
    assert_int_equal(drl_picture_names_find(names, &place, "train/cat/0001.png"), DRL_NAME_UNKNOWN);
    drl_picture_names_free(names);
    drl_dataset_free(ds);
}

/* ---- Refused ----------------------------------------------------------------------------------------------------- */

static void refused(const drl_dataset *ds, const drl_dataset_cfg *cfg, drl_split split, drl_status want,
                    const char *piece) {
    drl_picture_names *names;
    drl_err err;
    size_t before = drl_mem_get_stats().bytes;
    drl_status st = drl_dataset_names(&names, ds, cfg, split, &err);
    assert_refused(st, &err, before, piece);
    assert_int_equal(st, want);
    assert_null(names);
}

static void test_no_names(void **state) {
    (void)state;
    drl_dataset *ds;
    drl_dataset_cfg cfg = {.name = "synthetic:factors", .size = 8, .train_limit = 40, .test_limit = 10};
    assert_int_equal(drl_dataset_open(&ds, &cfg, NULL), DRL_OK);
    refused(ds, &cfg, DRL_SPLIT_TRAIN, DRL_ERR_NOT_FOUND, "synthetic:factors: has no file names, use indices");
    drl_dataset_free(ds);
}

/* Another configuration, or pictures that are other ones by now. */
static void test_changed(void **state) {
    (void)state;
    static const char other[] = "was opened with other limits or another seed";
    drl_dataset *ds;
    add_classes("");
    archive_file("changed.zip", t.entries, t.n);
    drl_dataset_cfg cfg = {.name = full_name("changed.zip"), .cache_dir = ""}, seed = cfg, limit = cfg, tests = cfg;
    seed.seed = 1, limit.train_limit = 10, tests.test_limit = 2;
    assert_int_equal(drl_dataset_open(&ds, &cfg, NULL), DRL_OK);
    refused(ds, &seed, DRL_SPLIT_TRAIN, DRL_ERR_CONFIG, other);
    refused(ds, &limit, DRL_SPLIT_TRAIN, DRL_ERR_CONFIG, other);
    refused(ds, &tests, DRL_SPLIT_TEST, DRL_ERR_CONFIG, other);
    snprintf(t.names[3], sizeof t.names[3], "class1/new.png");
    archive_file("changed.zip", t.entries, t.n);
    refused(ds, &cfg, DRL_SPLIT_TRAIN, DRL_ERR_IO, "changed.zip: has changed since its pictures were read");
    remove(files_path("changed.zip"));
    refused(ds, &cfg, DRL_SPLIT_TRAIN, DRL_ERR_IO, "changed.zip: No such file");
    drl_dataset_free(ds);
}

/* The real thing, where it is: what became of the names in a listing of it. */
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
    drl_picture_names *names;
    drl_err err;
    uint32_t place;
    if (drl_dataset_open(&ds, &cfg, &err) != DRL_OK) fail_msg("%s", err.message);
    if (drl_dataset_names(&names, ds, &cfg, DRL_SPLIT_TRAIN, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_int_equal(names->n, 50);
    assert_int_equal(drl_picture_names_find(names, &place, "train/truck/0003.jpg"), DRL_NAME_FOUND);
    assert_true(ds->split[DRL_SPLIT_TRAIN].labels[place] == 9 && place % 10 == 9);
    assert_int_equal(drl_picture_names_find(names, &place, "0003.jpg"), DRL_NAME_AMBIGUOUS);
    drl_picture_names_free(names);
    drl_dataset_free(ds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),          cmocka_unit_test(test_drawn),   cmocka_unit_test(test_skip_bad),
        cmocka_unit_test(test_cached),         cmocka_unit_test(test_find),    cmocka_unit_test(test_no_names),
        cmocka_unit_test(test_cifar10_images), cmocka_unit_test(test_changed),
    };
    int failed = cmocka_run_group_tests_name("names of pictures", tests, files_make, files_remove);
    tree_clear();
    return failed;
}
