/* The table of datasets, and the published files it is checked against. */
#include "files.h"

#include "data/published.h"
#include "data/source.h"

static void test_names(void **state) {
    (void)state;
    static const char *const known[] = {"fashion-mnist",        "mnist",          "kmnist",        "emnist-balanced",
                                        "emnist-byclass",       "emnist-bymerge", "emnist-digits", "emnist-letters",
                                        "emnist-mnist",         "cifar10",        "cifar100",      "synthetic:factors",
                                        "synthetic:shapes-grey"},
                             *const paths[] = {"folder:/a/b", "folder:x.zip", "npz:a:b.npz"};
    static const char *const unknown[] = {"",
                                          "mnist2",
                                          "mnis",
                                          "emnist",
                                          "emnist-",
                                          "cifar",
                                          "cifar1000",
                                          "MNIST",
                                          "mnist:",
                                          "synthetic:",
                                          "synthetic:factors2",
                                          ":",
                                          "folder",
                                          "folder:",
                                          "npz"};
    char line[64];
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        const drl_source *s = drl_source_find(known[k]);
        assert_non_null(s);
        assert_string_equal(s->name, known[k]);
        assert_null(drl_source_path(known[k]));
        snprintf(line, sizeof line, "%s: ", known[k]);
        assert_non_null(strstr(drl_dataset_help(), line));
    }
    for (size_t k = 0; k < sizeof paths / sizeof *paths; k++) {
        assert_non_null(drl_source_find(paths[k]));
        assert_string_equal(drl_source_path(paths[k]), strchr(paths[k], ':') + 1);
        snprintf(line, sizeof line, "%.*s:PATH: ", (int)strcspn(paths[k], ":"), paths[k]);
        assert_non_null(strstr(drl_dataset_help(), line));
    }
    for (size_t k = 0; k < sizeof unknown / sizeof *unknown; k++) assert_null(drl_source_find(unknown[k]));
    assert_null(drl_source_find(NULL));
    assert_null(drl_source_find("npz:"));
}

static void test_short_names(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"fashion-mnist", "fashion-mnist"},
        {"synthetic:shapes-grey", "synthetic-shapes-grey"},
        {"folder:/data/cifar10-images.tar.gz", "folder-cifar10-images"},
        {"folder:birds.ZIP", "folder-birds"},
        {"folder:../my birds//", "folder-my-birds"},
        {"folder:a/b.7z/c.d", "folder-c.d"},
        {"folder:.zip", "folder-.zip"},
        {"npz:/data/svhn.npz", "npz-svhn"},
        {"folder:/", "folder-"},
        {"folder:v\xc3\xb6gel;rm", "folder-v--gel-rm"},
        {"folder:0123456789012345678901234567890123456789012345678901234567890123456789.zip",
         "folder-01234567890123456789012345678901234567890123456789012345"}};
    char out[DRL_DATASET_SHORT_MAX];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        drl_dataset_short_name(out, cases[k][0]);
        assert_string_equal(out, cases[k][1]);
    }
}

static bool is_hex(const char *s, size_t length) {
    return strlen(s) == length && strspn(s, "0123456789abcdef") == length;
}

static void test_published(void **state) {
    (void)state;
    size_t n;
    drl_err err;
    const drl_published *files = drl_published_list(&n);
    assert_int_equal(n, 19);
    for (size_t k = 0; k < n; k++) {
        const drl_published *p = &files[k];
        assert_true(is_hex(p->sha256, 64) && p->size > 1000);
        for (size_t j = 0; j < k; j++) assert_string_not_equal(files[j].sha256, p->sha256);
        char other[65];
        memcpy(other, p->sha256, sizeof other);
        other[63] = other[63] == '0' ? '1' : '0';
        assert_int_equal(drl_published_check(p->dataset, p->file, p->size, p->sha256, &err), DRL_OK);
        assert_int_equal(drl_published_check(p->dataset, "renamed", p->size, p->sha256, &err), DRL_OK);
        assert_int_equal(drl_published_check(p->dataset, p->file, p->size + 1, other, &err), DRL_OK);
        drl_status st = drl_published_check(p->dataset, p->file, p->size, other, &err);
        assert_refused(st, &err, 0, "is damaged: it has the published size");
        st = drl_published_check("another", "x", p->size, p->sha256, &err);
        assert_refused(st, &err, 0, ", not of another");
    }
}

/* Through a reader: a file of the published size and name that is not the published one. */
static void test_altered_file(void **state) {
    (void)state;
    static buffer labels;
    static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                        "t10k-labels-idx1-ubyte.gz"};
    drl_dataset_cfg cfg = {.name = "kmnist", .data_dir = files_dir, .cache_dir = ""};
    drl_dataset *ds;
    drl_err err;
    char path[64];
    mkdir(files_path("kmnist"), 0755);
    for (int f = 0; f < 4; f++) {
        snprintf(path, sizeof path, "kmnist/%s", names[f]);
        labels.size = f < 3 ? 100 : 5120;
        files_write(path, labels.bytes, labels.size);
    }
    assert_refused(drl_dataset_open(&ds, &cfg, &err), &err, 0, "kmnist/t10k-labels-idx1-ubyte.gz: is damaged");
}

int main(void) {
    unsetenv("DRL_DATA_DIR");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_short_names),
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_altered_file),
    };
    return cmocka_run_group_tests_name("sources", tests, files_make, files_remove);
}
