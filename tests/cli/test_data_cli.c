/* The program `drl data`: what it prints and writes, and what it says to what it cannot use. */
#define COMMAND "data"
#include "drl_command.h"

#include <cjson/cJSON.h>

#include "data/picture.h"

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void printed(const char *piece) {
    if (!strstr(o.out, piece)) fail_msg("\"%s\" is not in:\n%s", piece, o.out);
}

/* ---- Data of our own --------------------------------------------------------------------------------------------- */

enum { CLASSES = 4, SIDE = 6 };

static void write_idx(const char *dir, const char *name, bool images, uint32_t n) {
    uint8_t bytes[4096];
    char path[700];
    const uint32_t words[] = {images ? 0x803 : 0x801, n, SIDE, SIDE};
    size_t size = images ? 16 : 8, item = images ? SIDE * SIDE : 1;
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(words[i / 4] >> (24 - 8 * (i % 4)));
    for (size_t i = 0; i < n * item; i++) {
        size_t label = i / item % CLASSES;
        bytes[size++] = (uint8_t)(images ? 40 + 50 * label : label);
    }
    snprintf(path, sizeof path, "%s/%s", dir, name);
    write_whole(path, bytes, size);
}

/* mnist/ below a data directory: 21 training and 8 test images, each grey 40, 90, 140 or 190 all over by its class. */
static const char *write_mnist(const char *name) {
    const char *dir = in_dir(name);
    char below[600];
    snprintf(below, sizeof below, "%s/mnist", dir);
    mkdir(dir, 0777), mkdir(below, 0777);
    write_idx(below, "train-images-idx3-ubyte", true, 21);
    write_idx(below, "train-labels-idx1-ubyte", false, 21);
    write_idx(below, "t10k-images-idx3-ubyte", true, 8);
    write_idx(below, "t10k-labels-idx1-ubyte", false, 8);
    return dir;
}

/* ---- The command line -------------------------------------------------------------------------------------------- */

static void usage_is_checked(void **state) {
    (void)state;
    run_program(&o, (const char *const[]){"drl", NULL});
    assert_refusal(&o, "drl", 2, "what to do is missing|drl data");
    run_program(&o, (const char *const[]){"drl", "date", NULL});
    assert_refusal(&o, "drl", 2, "'date'");
    run_program(&o, (const char *const[]){"drl", "data", NULL});
    assert_refusal(&o, "drl", 2, "command is missing|list, info");
    REFUSED(2, "'lisst'|list, info, verify", "lisst");
    REFUSED(2, "data info: the dataset's name is missing", "info");
    REFUSED(2, "data list: unknown argument 'mnist'", "list", "mnist");
    REFUSED(2, "data info: unknown argument 'kmnist'", "info", "mnist", "kmnist");
    REFUSED(2, "unknown argument '-v'", "info", "-v");
    REFUSED(2, "data info: unknown flag --wibble", "info", "mnist", "--wibble");
    REFUSED(2, "data info: --out=x is no flag of this command", "info", "mnist", "--out=x");
    REFUSED(2, "data list: --size is no flag", "list", "--size", "3");
    REFUSED(2, "data show: --out FILE is missing", "show", "mnist");
    REFUSED(2, "data export: --out FILE is missing", "export", "mnist");
    REFUSED(2, "--size|0 to 1024", "info", "mnist", "--size=1025");
    REFUSED(2, "--seed|-1", "info", "mnist", "--seed=-1");
    REFUSED(2, "--split|validation|train", "show", "mnist", "--split=validation");
    REFUSED(2, "--resize|cubic|bicubic", "info", "mnist", "--resize=cubic");
    REFUSED(2, "--json takes no value", "info", "mnist", "--json=yes");
    REFUSED(2, "--data-dir needs a value", "list", "--data-dir");
    REFUSED(2, "unknown dataset|nope|cifar10", "info", "nope");
    REFUSED(2, "unknown dataset|nope", "fetch", "nope");
    REFUSED(2, "synthetic:factors: nothing to fetch", "fetch", "synthetic:factors");
    REFUSED(2, "mirror 'gopher://x'|http://", "fetch", "mnist", "--mirror=gopher://x", "--data-dir", in_dir("new"));
    assert_int_not_equal(access(in_dir("new"), F_OK), 0);
    static const char *const grids[] = {"8",    "8x",   "x8",   "8x8x8", "0x8",  "8x0",
                                        "-1x8", "8x-1", " 8x8", "257x1", "8 x8", "1x99999999999999999999"};
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++)
        REFUSED(2, "--grid|8x8", "show", "synthetic:factors", "--out", in_dir("no.png"), "--grid", grids[i]);
}

static void help_and_version(void **state) {
    (void)state;
    DONE("--help");
    printed("usage: drl data COMMAND");
    printed("--skip-bad");
    printed("cifar10: ");
    DONE("info", "--help");
    printed("usage: drl data COMMAND");
    run_program(&o, (const char *const[]){"drl", "--help", NULL});
    assert_int_equal(o.status, 0);
    printed("usage: drl data");
    run_program(&o, (const char *const[]){"drl", "--version", NULL});
    assert_int_equal(o.status, 0);
    assert_true(strncmp(o.out, "drl ", 4) == 0);
    if (access("/dev/full", W_OK) == 0) {
        finish_program(&o, start_program((const char *const[]){"drl", "data", "list", NULL}, "/dev/full"));
        assert_int_equal(o.status, 1);
        assert_non_null(strstr(o.err, "cannot write to standard output"));
    }
}

/* ---- list, info, verify ------------------------------------------------------------------------------------------ */

static void list_says_where(void **state) {
    (void)state;
    const char *dir = write_mnist("list");
    char line[700];
    DONE("list", "--data-dir", dir);
    snprintf(line, sizeof line, "mnist                   %s/mnist\n", dir);
    printed(line);
    printed("kmnist                  missing: drl data fetch kmnist\n");
    printed("emnist-letters          missing: drl data fetch emnist\n");
    printed("synthetic:factors       drawn");
    REFUSED(1, "/no/such: no such directory", "list", "--data-dir", "/no/such");
    snprintf(line, sizeof line, "%s/mnist/t10k-labels-idx1-ubyte", dir);
    assert_int_equal(remove(line), 0);
    DONE("list", "--data-dir", dir);
    printed("\nmnist                   missing");
}

static void info_counts(void **state) {
    (void)state;
    const char *dir = write_mnist("info");
    DONE("info", "mnist", "--data-dir", dir, "--size=8");
    printed("/info/mnist/t10k-labels-idx1-ubyte\n");
    printed("train     21 images of 8 x 8 x 1\n");
    printed("test      8 images of 8 x 8 x 1\n");
    printed("  0                                       6        2\n");
    printed("  3                                       5        2\n");
    printed("  9                                       0        0\n");
    DONE("info", "mnist", "--data-dir", dir, "--size=6", "--json");
    cJSON *json = cJSON_Parse(o.out);
    assert_non_null(json);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "files")), 4);
    assert_int_equal(strlen(cJSON_GetObjectItem(json, "sha256")->valuestring), 64);
    assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "train"), "n")->valueint, 21);
    assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "test"), "h")->valueint, 6);
    cJSON *two = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "classes"), 2);
    assert_string_equal(cJSON_GetObjectItem(two, "name")->valuestring, "2");
    assert_int_equal(cJSON_GetObjectItem(two, "train")->valueint, 5);
    /* (6 * 40 + 5 * (90 + 140 + 190)) / 21 / 255 */
    double mean = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "mean"), 0)->valuedouble;
    assert_true(fabs(mean - 2340.0 / 21 / 255) <= 1e-12);
    cJSON_Delete(json);
    DONE("info", "synthetic:factors", "--size=8", "--seed=5");
    printed("train     4096 images of 8 x 8 x 3\n");
    printed("factors   shape (6)\n");
    REFUSED(1, "cifar10: no cifar-10-binary.tar.gz in |drl data fetch cifar10", "info", "cifar10", "--data-dir", dir);
    REFUSED(2, "synthetic:factors: image size 4", "info", "synthetic:factors", "--size=4");
}

static void verify_finds_damage(void **state) {
    (void)state;
    const char *dir = write_mnist("verify");
    char path[600], packed[640];
    DONE("verify", "mnist", "--data-dir", dir);
    printed("mnist/train-images-idx3-ubyte: SHA-256 ");
    printed("none is published\n");
    printed("mnist: 21 training and 8 test images decoded\n");
    DONE("verify", "synthetic:shapes-grey", "--size=8");
    printed("synthetic:shapes-grey: 4096 training and 1024 test images decoded\n");
    /* under a published name it has to be the published file */
    snprintf(path, sizeof path, "%s/mnist/t10k-images-idx3-ubyte", dir);
    snprintf(packed, sizeof packed, "%s.gz", path);
    assert_int_equal(rename(path, packed), 0);
    run((const char *const[]){"verify", "mnist", "--data-dir", dir, NULL});
    assert_int_equal(o.status, 1);
    assert_non_null(strstr(o.err, "t10k-images-idx3-ubyte.gz: SHA-256 "));
    assert_non_null(strstr(o.err, "published is 8d422c7b0a1c1c79"));
    assert_int_equal(rename(packed, path), 0);
    snprintf(path, sizeof path, "%s/mnist", dir);
    write_idx(path, "t10k-images-idx3-ubyte", true, 7);
    run((const char *const[]){"verify", "mnist", "--data-dir", dir, NULL});
    assert_int_equal(o.status, 1);
    assert_non_null(strstr(o.err, "t10k-images-idx3-ubyte: 7 images, but 8 labels"));
}

/* ---- show, export ------------------------------------------------------------------------------------------------ */

/* Every class has its share of the sheet, in order; pictures are 8 times as large, and white lines separate them. */
static void sheet_shows_classes(void **state) {
    (void)state;
    const char *dir = write_mnist("show"), *out = in_dir("sheet.png");
    enum { SCALE = 8, STEP = SIDE * SCALE + 2 };
    DONE("show", "mnist", "--data-dir", dir, "--size=6", "--grid=5x4", "--out", out);
    assert_string_equal(o.out, "");
    size_t size;
    char *bytes = read_whole(out, &size);
    drl_picture p = {0};
    drl_err err;
    if (drl_picture_decode(&p, (const uint8_t *)bytes, size, &DRL_PICTURE_LIMITS, &err) != DRL_OK)
        fail_msg("%s", err.message);
    free(bytes);
    assert_int_equal(p.c, 1);
    assert_int_equal(p.h, 5 * STEP + 2);
    assert_int_equal(p.w, 4 * STEP + 2);
    for (size_t y = 0; y < p.h; y++)
        for (size_t x = 0; x < p.w; x++) {
            bool gap = y % STEP < 2 || x % STEP < 2;
            /* 20 cells for the 10 classes of the dataset, of which 4 have pictures */
            size_t label = (y / STEP * 4 + x / STEP) / 2, grey = gap || label >= CLASSES ? 255 : 40 + 50 * label;
            if (p.pixels[y * p.w + x] != grey) fail_msg("pixel %zu, %zu: %d", y, x, p.pixels[y * p.w + x]);
        }
    drl_picture_free(&p);
}

static void sheet_is_deterministic(void **state) {
    (void)state;
    const char *a = in_dir("a.png"), *b = in_dir("b.png"), *c = in_dir("c.png"), *d = in_dir("d.png");
    DONE("show", "synthetic:factors", "--size=16", "--out", a, "--grid=3x3");
    DONE("show", "synthetic:factors", "--size=16", "--out", b, "--grid=3x3", "--threads=1");
    DONE("show", "synthetic:factors", "--size=16", "--out", c, "--grid=3x3", "--split=test");
    DONE("show", "synthetic:factors", "--size=16", "--out", d, "--grid=3x3", "--seed=1");
    assert_true(same_files(a, b));
    assert_false(same_files(a, c));
    assert_false(same_files(a, d));
}

/* What is exported reads back as the same dataset. */
static void export_reads_back(void **state) {
    (void)state;
    const char *dir = write_mnist("export"), *out = in_dir("out.npz");
    char name[600];
    static char before[32768];
    DONE("export", "mnist", "--data-dir", dir, "--size=6", "--out", out);
    snprintf(name, sizeof name, "npz:%s", out);
    DONE("info", "mnist", "--data-dir", dir, "--size=6");
    snprintf(before, sizeof before, "%s", strstr(o.out, "train "));
    DONE("info", name);
    assert_non_null(strstr(o.out, "train "));
    assert_string_equal(strstr(o.out, "train "), before);
    DONE("list");
    printed("npz:PATH ");
    printed("folder:PATH ");
}

static void nothing_half_written(void **state) {
    (void)state;
    char out[600];
    const char *file = in_dir("file"), *dir = in_dir("empty");
    write_whole(file, "mine", 4);
    assert_int_equal(mkdir(dir, 0777), 0);
    static const char *const commands[] = {"show", "export"};
    for (int i = 0; i < 2; i++) {
        REFUSED(1, "/no/such/x", commands[i], "synthetic:factors", "--size=8", "--out", "/no/such/x");
        snprintf(out, sizeof out, "%s/x", file);
        REFUSED(1, "/file/x", commands[i], "synthetic:factors", "--size=8", "--out", out);
        snprintf(out, sizeof out, "%s/x", dir);
        REFUSED(1, "mnist", commands[i], "mnist", "--data-dir", dir, "--out", out);
    }
    REFUSED(1, "too large", "show", "synthetic:factors", "--size=32", "--grid=256x256", "--out", out);
    walk_tree(dir, NULL);
    assert_int_equal(walk.entries, 1);
}

static int setup(void **state) {
    unsetenv("DRL_DATA_DIR");
    if (program_setup(state) != 0) return -1;
    setenv("XDG_CACHE_HOME", in_dir("cache"), 1);
    setenv("XDG_DATA_HOME", in_dir("share"), 1);
    return chdir(program_dir); /* no ./data here */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage_is_checked),       cmocka_unit_test(help_and_version),
        cmocka_unit_test(list_says_where),        cmocka_unit_test(info_counts),
        cmocka_unit_test(verify_finds_damage),    cmocka_unit_test(sheet_shows_classes),
        cmocka_unit_test(sheet_is_deterministic), cmocka_unit_test(export_reads_back),
        cmocka_unit_test(nothing_half_written),
    };
    return cmocka_run_group_tests(tests, setup, program_teardown);
}
