/* Datasets in NumPy archives: read in every layout, refused with a reason, written and read again. */
#include "archives.h"
#include "arrays.h"

#include <math.h>

#include "drl/data.h"
#include "drl/npz.h"

enum { N = 6, H = 4, W = 5, C = 3, PIXELS = H * W * C };

static char name[600];

static drl_status open_with(drl_dataset **ds, const char *file, drl_dataset_cfg cfg, drl_err *err) {
    snprintf(name, sizeof name, "npz:%s", files_path(file));
    cfg.name = name;
    cfg.cache_dir = "";
    return drl_dataset_open(ds, &cfg, err);
}

static drl_status open_npz(drl_dataset **ds, drl_err *err) {
    return open_with(ds, "a.npz", (drl_dataset_cfg){0}, err);
}

/* A file of two splits as keras and others name them; any member can be replaced before it is written. */
static buffer arrays[4];
static entry members[6];
static size_t n_members;
static const char *const split_names[] = {"train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy"};

static uint8_t value(size_t i, size_t y, size_t x, size_t c) {
    return (uint8_t)(1 + 60 * c + 20 * y + 4 * x + 37 * i);
}

static void set_member(size_t at, const char *descr, const char *shape, const void *elements, size_t size) {
    npy_make(&arrays[at], descr, shape, elements, size);
    members[at] = (entry){.name = split_names[at], .bytes = arrays[at].bytes, .size = arrays[at].size};
}

/* n images of `value`s in an order of axes. */
static void set_images(size_t at, size_t n, const char *axes) {
    uint8_t pixels[N * PIXELS];
    char shape[64];
    size_t size = 0, channels = strchr(axes, 'c') ? C : 1;
    bool planes = strcmp(axes, "nchw") == 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < PIXELS / C * channels; k++) {
            size_t c = planes ? k / (H * W) : k % channels, p = planes ? k % (H * W) : k / channels;
            pixels[size++] = value(i, p / W, p % W, c);
        }
    if (planes)
        snprintf(shape, sizeof shape, "%zu, %zu, %d, %d", n, channels, H, W);
    else
        snprintf(shape, sizeof shape, channels == 1 ? "%zu, %d, %d" : "%zu, %d, %d, %zu", n, H, W, channels);
    set_member(at, "|u1", shape, pixels, size);
}

static void make(void) {
    set_images(0, N, "nhwc");
    set_member(1, "|u1", "6,", "\0\1\2\0\1\2", 6);
    set_images(2, 2, "nhwc");
    set_member(3, "|u1", "2,", "\1\0", 2);
    n_members = 4;
}

static void write_file(void) {
    archive_file("a.zip", members, n_members);
    assert_int_equal(rename(files_path("a.zip"), files_path("a.npz")), 0);
}

static void assert_images(const drl_images *im, size_t n, size_t c) {
    assert_true(im->n == n && im->h == H && im->w == W && im->c == c);
    for (size_t i = 0, at = 0; i < n; i++)
        for (size_t p = 0; p < H * W; p++)
            for (size_t k = 0; k < c; k++) assert_int_equal(im->pixels[at++], value(i, p / W, p % W, k));
}

static void open_good(drl_dataset **ds) {
    drl_err err;
    write_file();
    if (open_npz(ds, &err) != DRL_OK) fail_msg("%s", err.message);
}

static void test_layouts(void **state) {
    (void)state;
    static const char *const axes[] = {"nhwc", "nchw", "nhw"};
    drl_dataset *ds;
    for (int k = 0; k < 3; k++) {
        make();
        set_images(0, N, axes[k]);
        set_images(2, 2, k == 0 ? "nchw" : axes[k]); /* the arrays need not agree */
        open_good(&ds);
        assert_images(&ds->split[DRL_SPLIT_TRAIN], N, k < 2 ? C : 1);
        assert_images(&ds->split[DRL_SPLIT_TEST], 2, k < 2 ? C : 1);
        for (int i = 0; i < N; i++) assert_int_equal(ds->split[DRL_SPLIT_TRAIN].labels[i], i % 3);
        assert_int_equal(ds->split[DRL_SPLIT_TEST].labels[0], 1);
        assert_true(ds->classes == 3 && ds->factors == 0 && strlen(ds->sha256) == 64);
        assert_string_equal(ds->class_names[2], "2");
        drl_dataset_free(ds);
    }
    /* one channel with a dimension of its own, first and last */
    uint8_t grey[2 * H * W];
    for (size_t k = 0; k < sizeof grey; k++) grey[k] = (uint8_t)(k + 1);
    for (int k = 0; k < 2; k++) {
        make();
        for (size_t at = 0; at < 4; at += 2) set_member(at, "|u1", k ? "2, 1, 4, 5" : "2, 4, 5, 1", grey, sizeof grey);
        set_member(1, "|u1", "2,", "\0\1", 2);
        open_good(&ds);
        assert_int_equal(ds->split[DRL_SPLIT_TRAIN].c, 1);
        assert_memory_equal(ds->split[DRL_SPLIT_TRAIN].pixels, grey, sizeof grey);
        drl_dataset_free(ds);
    }
}

static void test_names_of_arrays(void **state) {
    (void)state;
    drl_dataset *ds;
    drl_err err;
    make();
    members[0].name = "x_train.npy", members[1].name = "y_train.npy";
    members[2].name = "x_test.npy", members[3].name = "y_test.npy";
    members[n_members++] = (entry){.name = "extra.npy", .bytes = "not an array", .size = 12};
    open_good(&ds);
    assert_images(&ds->split[DRL_SPLIT_TRAIN], N, C);
    drl_dataset_free(ds);
    members[4].name = "readme.txt";
    write_file();
    assert_refused(open_npz(&ds, &err), &err, 0, "a.npz: readme.txt: is neither an array (.npy) nor class_names.txt");
    members[4].name = "train_labels.npy";
    write_file();
    assert_refused(open_npz(&ds, &err), &err, 0, "a.npz: has both y_train.npy and train_labels.npy");
    members[4].name = "labels.npy";
    write_file();
    assert_refused(open_npz(&ds, &err), &err, 0,
                   "a.npz: has both arrays with a test split and without: want train_images");
    for (size_t gone = 0; gone < 4; gone++) {
        char piece[80];
        make();
        members[gone].name = "other.npy";
        write_file();
        snprintf(piece, sizeof piece, "a.npz: has no %s: want train_images, train_labels", split_names[gone]);
        assert_refused(open_npz(&ds, &err), &err, 0, piece);
    }
    make();
    n_members = 0;
    members[n_members++] = (entry){.name = "images.npy", .bytes = arrays[0].bytes, .size = arrays[0].size};
    write_file();
    assert_refused(open_npz(&ds, &err), &err, 0, "a.npz: has no labels.npy: want");
}

/* Every k / 255 gives k back; in between the nearest; the ends of the range are in it. */
static void test_floats(void **state) {
    (void)state;
    float pixels[4 * 256];
    drl_dataset *ds;
    drl_err err;
    for (int k = 0; k < 256; k++) {
        float v = (float)k / 255;
        pixels[k] = v;
        pixels[256 + k] = fminf(v + 0.49f / 255, 1);
        pixels[512 + k] = fmaxf(v - 0.49f / 255, 0);
        pixels[768 + k] = k == 0 ? -0.0f : v;
    }
    make();
    set_member(0, "<f4", "4, 16, 16", pixels, sizeof pixels);
    set_member(1, "<i8", "4, 1", "\1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0", 32);
    set_member(2, "<f4", "1, 1, 16, 16", pixels, 1024);
    set_member(3, "<i2", "1,", "\3\0", 2);
    open_good(&ds);
    const drl_images *im = &ds->split[DRL_SPLIT_TRAIN];
    for (int k = 0; k < 1024; k++) assert_int_equal(im->pixels[k], k % 256);
    assert_true(im->labels[0] == 1 && im->labels[1] == 3 && im->labels[3] == 2 && ds->classes == 4);
    drl_dataset_free(ds);
    static const struct {
        float v;
        const char *is;
    } bad[] = {
        {1.0000001f, "is 1: want 0 .. 1"}, {-1e-7f, "is -1e-07"}, {37, "is 37"}, {-INFINITY, "is -inf"}, {NAN, "nan"}};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        float was = pixels[256 + 16 * 2 + 7];
        pixels[256 + 16 * 2 + 7] = bad[k].v;
        set_member(0, "<f4", "4, 16, 16", pixels, sizeof pixels);
        pixels[256 + 16 * 2 + 7] = was;
        write_file();
        assert_refused(open_npz(&ds, &err), &err, 0,
                       "a.npz: train_images.npy: image 1: row 2, column 7, channel 0 is ");
        assert_non_null(strstr(err.message, bad[k].is));
    }
}

static void refused(const char *piece) {
    drl_dataset *ds;
    drl_err err;
    write_file();
    assert_refused(open_npz(&ds, &err), &err, 0, piece);
}

static void test_refused(void **state) {
    (void)state;
    static uint8_t zeros[1 << 12];
    static const struct {
        size_t at;
        const char *descr, *shape;
        size_t size;
        const char *piece;
    } cases[] = {
        {0, "<u2", "2, 4, 5", 80, "train_images.npy: images are 16-bit integers: want uint8 or float32"},
        {0, "|i1", "2, 4, 5", 40, "train_images.npy: images are 8-bit integers: want uint8"},
        {2, ">f4", "2, 4, 5", 160, "test_images.npy: elements are big-endian"},
        {0, "<f8", "2, 4, 5", 320, "train_images.npy: elements are of type <f8"},
        {0, "|u1", "4, 5", 20, "train_images.npy: images have 2 dimensions"},
        {0, "|u1", "1, 1, 2, 4, 5", 40, "train_images.npy: has more than 4 dimensions"},
        {0, "|u1", "2, 3, 5, 3", 90, "the shape (2, 3, 5, 3) has two places for channels"},
        {0, "|u1", "2, 1, 5, 3", 30, "the shape (2, 1, 5, 3) has two places for channels"},
        {0, "|u1", "2, 4, 5, 4", 160, "the shape (2, 4, 5, 4) has no channels"},
        {0, "|u1", "2, 4, 3, 5", 120, "the shape (2, 4, 3, 5) has no channels"},
        {0, "|u1", "0, 4, 5", 0, "train_images.npy: holds no images"},
        {0, "|u1", "9223372036854775807, 0, 2", 0, "train_images.npy: holds no images"},
        {2, "|u1", "2, 4, 5, 3", 119, "test_images.npy: elements: want 120 bytes, got 119"},
        {1, "<f4", "6,", 24, "train_labels.npy: labels are of type float32: want integers"},
        {1, "|u1", "5,", 5,
         "train_labels.npy: want as many labels as there are images, (6) or (6, 1); there are 5 in 1"},
        {1, "|u1", "1, 6", 6, "train_labels.npy: want as many labels"},
        {1, "|u1", "6, 1, 1", 6, "train_labels.npy: want as many labels"},
        {3, "|u1", "", 1, "test_labels.npy: want as many labels"},
        {1, "|u1", "6,", 6, "all 6 training images are of one class (0)"},
        {2, "|u1", "2, 4, 5", 40, "training images are 4 x 5 x 3, test images 4 x 5 x 1"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        make();
        set_member(cases[k].at, cases[k].descr, cases[k].shape, zeros, cases[k].size);
        refused(cases[k].piece);
    }
    make(), set_member(1, "|i1", "6,", "\0\1\2\0\xff\2", 6),
        refused("train_labels.npy: label 4 is negative or above 255");
    make(), set_member(3, "<u2", "2,", "\0\0\0\1", 4), refused("test_labels.npy: label 1 is negative or above 255");
    make(), set_member(3, "|u1", "2,", "\0\7", 2), refused("class 7 has test images, but no training images");
    make(), members[3].size = 3, refused("test_labels.npy: does not start with the magic");
    make(), npy_text(&arrays[0], 1, "{'descr': '|u1', 'fortran_order': True, 'shape': (6, 4, 5, 3), }", zeros, 360);
    refused("train_images.npy: elements are in Fortran order");
}

/* Files that are no archive of arrays at all. */
static void test_other_files(void **state) {
    (void)state;
    drl_dataset *ds;
    drl_err err;
    make();
    files_write("a.npz", arrays[0].bytes, arrays[0].size);
    assert_refused(open_npz(&ds, &err), &err, 0, "a single array (.npy): put images and labels into one file");
    archive_file("a.tar", members, 4);
    assert_int_equal(rename(files_path("a.tar"), files_path("a.npz")), 0);
    assert_refused(open_npz(&ds, &err), &err, 0, "a.npz: is no NumPy archive (.npz), which is a zip");
    files_write("a.npz", "", 0);
    assert_refused(open_npz(&ds, &err), &err, 0, "a.npz: the file is empty");
    assert_refused(open_with(&ds, "none.npz", (drl_dataset_cfg){0}, &err), &err, 0, "none.npz: No such file");
    char once[600];
    snprintf(once, sizeof once, "npz: %s: No such file or directory", files_path("none.npz"));
    assert_string_equal(err.message, once);
    assert_refused(open_with(&ds, ".", (drl_dataset_cfg){0}, &err), &err, 0, "not a regular file");
}

static void test_class_names(void **state) {
    (void)state;
    static const struct {
        const char *text, *second, *refusal;
        size_t classes;
    } cases[] = {
        {"cat\ndog\nbird\n", "dog", NULL, 3},
        {"cat\r\nT-shirt / top\r\nbird", "T-shirt / top", NULL, 3},
        {"cat\nk\xc3\xa4tzchen\nbird\nfish\n", "k\xc3\xa4tzchen", NULL, 4},
        {"cat\na name of exactly 31 bytes: fits\nbird\n", NULL, "line 2: want at most 256 lines of 1 .. 31", 0},
        {"cat\na name of exactly 31 bytes here\nbird\n", "a name of exactly 31 bytes here", NULL, 3},
        {"cat\n\nbird\n", NULL, "line 2: want at most", 0},
        {"cat\nbird\n", NULL, "names 2 classes, but labels go up to 2", 0},
        {"cat\ndo\tg\nbird\n", NULL, "line 2: want at most 256 lines of 1 .. 31 printable bytes", 0},
        {"", NULL, "names 0 classes", 0},
    };
    drl_dataset *ds;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        make();
        members[n_members++] =
            (entry){.name = "class_names.txt", .bytes = cases[k].text, .size = strlen(cases[k].text)};
        if (cases[k].refusal) {
            refused(cases[k].refusal);
            continue;
        }
        open_good(&ds);
        assert_int_equal(ds->classes, cases[k].classes);
        assert_string_equal(ds->class_names[1], cases[k].second);
        assert_true(strncmp(ds->class_names[2], "bird", 5) == 0);
        drl_dataset_free(ds);
    }
    char lines[2 * 257];
    for (int k = 0; k < 257; k++) lines[2 * k] = 'x', lines[2 * k + 1] = '\n';
    make();
    members[n_members++] = (entry){.name = "class_names.txt", .bytes = lines, .size = sizeof lines};
    refused("class_names.txt: line 257: want");
    members[4].size -= 2;
    open_good(&ds);
    assert_int_equal(ds->classes, 256);
    drl_dataset_free(ds);
}

/* images and labels alone: a sixth of each class is for the test, the same one for the same seed, nothing is lost. */
static void test_split(void **state) {
    (void)state;
    enum { ALL = 200 };
    static const size_t per_class[] = {120, 60, 18, 2}, for_test[] = {20, 10, 3, 1};
    uint8_t pixels[ALL * 4], labels[ALL];
    drl_dataset *ds[3];
    drl_err err;
    for (size_t i = 0; i < ALL; i++) { /* pixel 0 of an image is its number */
        pixels[4 * i] = (uint8_t)i, pixels[4 * i + 1] = pixels[4 * i + 2] = pixels[4 * i + 3] = 9;
        size_t turn = i * 7 % ALL;
        labels[i] = (uint8_t)(turn < 120 ? 0 : turn < 180 ? 1 : turn < 198 ? 2 : 3);
    }
    set_member(0, "|u1", "200, 2, 2", pixels, sizeof pixels);
    set_member(1, "|u1", "200,", labels, sizeof labels);
    members[0].name = "images.npy", members[1].name = "labels.npy";
    n_members = 2;
    write_file();
    for (int k = 0; k < 3; k++)
        if (open_with(&ds[k], "a.npz", (drl_dataset_cfg){.seed = k == 2}, &err) != DRL_OK) fail_msg("%s", err.message);
    const drl_images *train = &ds[0]->split[DRL_SPLIT_TRAIN], *test = &ds[0]->split[DRL_SPLIT_TEST];
    assert_true(train->n == ALL - 34 && test->n == 34);
    size_t seen[ALL] = {0}, count[4] = {0}, other = 0;
    for (int s = 0; s < DRL_SPLITS; s++) {
        const drl_images *im = &ds[0]->split[s];
        for (size_t i = 0; i < im->n; i++) {
            uint8_t number = im->pixels[4 * i];
            assert_true(seen[number]++ == 0 && (i == 0 || number > im->pixels[4 * (i - 1)]));
            assert_int_equal(im->labels[i], labels[number]);
            if (s == DRL_SPLIT_TEST) count[im->labels[i]]++;
        }
    }
    for (int k = 0; k < 4; k++) assert_true(count[k] == for_test[k] && per_class[k] / 6 <= for_test[k] + 1);
    assert_memory_equal(test->pixels, ds[1]->split[DRL_SPLIT_TEST].pixels, 4 * test->n);
    for (size_t i = 0; i < test->n; i++) other += test->pixels[4 * i] != ds[2]->split[DRL_SPLIT_TEST].pixels[4 * i];
    assert_true(ds[2]->split[DRL_SPLIT_TEST].n == test->n && other > test->n / 2);
    for (int k = 0; k < 3; k++) drl_dataset_free(ds[k]);
    /* limits are taken after the split */
    assert_int_equal(open_with(&ds[0], "a.npz", (drl_dataset_cfg){.train_limit = 40, .test_limit = 20}, &err), DRL_OK);
    assert_true(ds[0]->split[DRL_SPLIT_TRAIN].n == 40 && ds[0]->split[DRL_SPLIT_TEST].n == 20 && ds[0]->classes == 4);
    drl_dataset_free(ds[0]);
}

/* Numbers of a split's images, which are their pixels 0, as text. */
static const char *numbers(const drl_images *im) {
    static char text[400];
    text[0] = '\0';
    for (size_t i = 0; i < im->n; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%d ", im->pixels[4 * i]);
    }
    return text;
}

/* A limit takes the first images, but never a class away that it has room for: then the classes take turns. */
static void test_limits(void **state) {
    (void)state;
    enum { ALL = 12 };
    static const char labels[] = "\2\2\2\2\0\0\2\0\2\4\4\2", tests[] = "\4\4\2\0";
    static const struct {
        size_t train, test;
        const char *in_train, *in_test;
    } cases[] = {
        {0, 0, "0 1 2 3 4 5 6 7 8 9 10 11 ", "0 1 2 3 "},
        {10, 4, "0 1 2 3 4 5 6 7 8 9 ", "0 1 2 3 "},
        {9, 3, "4 0 9 5 1 10 7 2 3 ", "3 2 0 "},
        {3, 2, "4 0 9 ", "3 2 "},
        {2, 5, "4 0 ", "0 1 2 3 "},
        {100, 1, "0 1 2 3 4 5 6 7 8 9 10 11 ", "3 "},
    };
    uint8_t pixels[ALL * 4] = {0};
    drl_dataset *ds;
    drl_err err;
    for (size_t i = 0; i < ALL; i++) pixels[4 * i] = (uint8_t)i;
    make();
    set_member(0, "|u1", "12, 2, 2", pixels, sizeof pixels);
    set_member(1, "|u1", "12,", labels, ALL);
    set_member(2, "|u1", "4, 2, 2", pixels, 16);
    set_member(3, "|u1", "4,", tests, 4);
    write_file();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const drl_dataset_cfg cfg = {.train_limit = cases[k].train, .test_limit = cases[k].test};
        if (open_with(&ds, "a.npz", cfg, &err) != DRL_OK) fail_msg("%s", err.message);
        const drl_images *train = &ds->split[DRL_SPLIT_TRAIN], *test = &ds->split[DRL_SPLIT_TEST];
        assert_string_equal(numbers(train), cases[k].in_train);
        assert_string_equal(numbers(test), cases[k].in_test);
        for (size_t i = 0; i < train->n; i++) assert_int_equal(train->labels[i], labels[train->pixels[4 * i]]);
        for (size_t i = 0; i < test->n; i++) assert_int_equal(test->labels[i], tests[test->pixels[4 * i]]);
        drl_dataset_free(ds);
    }
}

static void assert_same(const drl_dataset *a, const drl_dataset *b) {
    assert_int_equal(a->classes, b->classes);
    for (size_t k = 0; k < a->classes; k++) assert_string_equal(a->class_names[k], b->class_names[k]);
    for (int s = 0; s < DRL_SPLITS; s++) {
        const drl_images *x = &a->split[s], *y = &b->split[s];
        assert_true(x->n == y->n && x->h == y->h && x->w == y->w && x->c == y->c);
        assert_memory_equal(x->pixels, y->pixels, x->n * x->h * x->w * x->c);
        assert_memory_equal(x->labels, y->labels, x->n * sizeof *x->labels);
    }
}

/* Of another size: the centred square, resized. A checkerboard of single pixels becomes its mean. */
static void test_resized(void **state) {
    (void)state;
    uint8_t pixels[2 * 4 * 8];
    drl_dataset *ds;
    drl_err err;
    for (size_t k = 0; k < sizeof pixels; k++) {
        size_t x = k % 8, y = k / 8;
        pixels[k] = x < 2 || x > 5 ? 255 : (x + y) % 2 ? 40 : 100;
    }
    make();
    set_member(0, "|u1", "2, 4, 8", pixels, sizeof pixels);
    set_member(1, "|u1", "2,", "\0\1", 2);
    set_member(2, "|u1", "1, 4, 8, 1", pixels, 32);
    set_member(3, "|u1", "1,", "\1", 1);
    write_file();
    if (open_with(&ds, "a.npz", (drl_dataset_cfg){.size = 2}, &err) != DRL_OK) fail_msg("%s", err.message);
    for (int s = 0; s < DRL_SPLITS; s++) {
        const drl_images *im = &ds->split[s];
        assert_true(im->h == 2 && im->w == 2 && im->c == 1 && im->n == (s == DRL_SPLIT_TRAIN ? 2 : 1));
        for (size_t k = 0; k < 4 * im->n; k++) assert_int_equal(im->pixels[k], 70);
    }
    drl_dataset_free(ds);
    if (open_with(&ds, "a.npz", (drl_dataset_cfg){.size = 4}, &err) != DRL_OK) fail_msg("%s", err.message);
    for (size_t k = 0; k < 16; k++)
        assert_int_equal(ds->split[DRL_SPLIT_TRAIN].pixels[k], pixels[k / 4 * 8 + 2 + k % 4]);
    drl_dataset_free(ds);
}

static void test_round_trip(void **state) {
    (void)state;
    static const char *const sources[] = {"synthetic:factors", "synthetic:shapes-grey"};
    drl_dataset *ds, *again;
    drl_err err;
    struct stat first = {0}, second = {0};
    for (int k = 0; k < 2; k++) {
        drl_dataset_cfg cfg = {.name = sources[k], .size = 16, .train_limit = 1500, .test_limit = 7, .cache_dir = ""};
        assert_int_equal(drl_dataset_open(&ds, &cfg, &err), DRL_OK);
        if (drl_npz_write(files_path("a.npz"), ds, &err) != DRL_OK) fail_msg("%s", err.message);
        if (open_npz(&again, &err) != DRL_OK) fail_msg("%s", err.message);
        assert_same(ds, again);
        /* once more from what was read: the same file */
        assert_int_equal(drl_npz_write(files_path("b.npz"), again, &err), DRL_OK);
        char digest[2][65];
        snprintf(digest[0], 65, "%s", again->sha256);
        drl_dataset_free(again);
        assert_int_equal(open_with(&again, "b.npz", (drl_dataset_cfg){.size = 16}, &err), DRL_OK);
        snprintf(digest[1], 65, "%s", again->sha256);
        assert_string_equal(digest[0], digest[1]);
        assert_same(ds, again);
        drl_dataset_free(again);
        drl_dataset_free(ds);
        assert_true(stat(files_path("a.npz"), &first) == 0 && stat(files_path("b.npz"), &second) == 0);
        assert_true(first.st_size == second.st_size);
    }
}

/* What cannot be written, or could not be read back, leaves the old file as it was. */
static void test_write_refused(void **state) {
    (void)state;
    drl_dataset *ds;
    drl_err err;
    make();
    open_good(&ds);
    size_t held = drl_mem_get_stats().bytes;
    files_write("old.npz", "old", 3);
    snprintf(ds->class_names[1], sizeof ds->class_names[1], "two\nlines");
    assert_refused(drl_npz_write(files_path("old.npz"), ds, &err), &err, held,
                   "old.npz: the name of class 1 is not one");
    ds->class_names[1][0] = '\0';
    assert_refused(drl_npz_write(files_path("old.npz"), ds, &err), &err, held,
                   "old.npz: the name of class 1 is not one");
    snprintf(ds->class_names[1], sizeof ds->class_names[1], "1");
    for (int s = 0; s < DRL_SPLITS; s++) ds->split[s].h = 3;
    assert_refused(drl_npz_write(files_path("old.npz"), ds, &err), &err, held, "old.npz: colour images of three rows");
    for (int s = 0; s < DRL_SPLITS; s++) ds->split[s].h = H;
    assert_refused(drl_npz_write(files_path("no/x.npz"), ds, &err), &err, held,
                   "no/x.npz: cannot create: No such file");
    struct stat info = {0};
    assert_true(stat(files_path("old.npz"), &info) == 0 && info.st_size == 3);
    assert_int_equal(drl_npz_write(files_path("old.npz"), ds, &err), DRL_OK);
    assert_true(stat(files_path("old.npz"), &info) == 0 && info.st_size > 600);
    drl_dataset_free(ds);
}

/* Every cut is refused. A flipped byte is refused or changes nothing of the dataset: zip has a CRC of each member. */
static void test_cuts_and_flips(void **state) {
    (void)state;
    static uint8_t bytes[1 << 14];
    drl_dataset *good, *ds;
    drl_err err;
    make();
    open_good(&good);
    assert_int_equal(drl_npz_write(files_path("a.npz"), good, &err), DRL_OK);
    size_t held = drl_mem_get_stats().bytes, accepted = 0;
    FILE *f = fopen(files_path("a.npz"), "rb");
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_true(size > 1000 && size < sizeof bytes);
    for (size_t at = 0; at < size; at++) {
        files_write("a.npz", bytes, at);
        assert_refused(open_npz(&ds, &err), &err, held, "a.npz: ");
        bytes[at] ^= 0x20;
        files_write("a.npz", bytes, size);
        bytes[at] ^= 0x20;
        if (open_npz(&ds, &err) == DRL_OK) {
            accepted++;
            assert_same(ds, good);
            drl_dataset_free(ds);
        } else {
            assert_refused(err.status, &err, held, "a.npz: ");
        }
    }
    assert_true(accepted < 700); /* local headers, times, owners: less than what the five members weigh */
    drl_dataset_free(good);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),        cmocka_unit_test(test_names_of_arrays),
        cmocka_unit_test(test_floats),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_other_files),    cmocka_unit_test(test_class_names),
        cmocka_unit_test(test_split),          cmocka_unit_test(test_resized),
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_write_refused),
        cmocka_unit_test(test_cuts_and_flips), cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("npz", tests, files_make, files_remove);
}
