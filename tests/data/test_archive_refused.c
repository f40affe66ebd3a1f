/* Archives that no honest tool would make of a dataset, archives that are too large, and files that are none. */
#include "archives.h"

#include "data/archive.h"
#include "data/names.h"

#define MIB ((size_t)1 << 20)

/* Reads every member (limit: bytes of one), at most `members` of them; *last is the name of the last that came. */
static drl_status read_all(const char *file, uint64_t total, size_t limit, size_t members, char last[512],
                           drl_err *err) {
    drl_archive *r;
    const char *name;
    uint8_t *bytes;
    size_t size;
    last[0] = '\0';
    drl_status st = drl_archive_open(&r, files_path(file), DRL_ARCHIVE_MEMBERS, total, err);
    if (st != DRL_OK) return st;
    if (members) drl_archive_limit_members(r, members);
    while ((st = drl_archive_next(r, &name, err)) == DRL_OK && name) {
        snprintf(last, 512, "%s", name);
        if (limit == 0) continue;
        if ((st = drl_archive_read(r, &bytes, &size, limit, err)) != DRL_OK) break;
        drl_free(bytes);
    }
    drl_archive_close(r);
    return st;
}

static void refused(const char *file, const entry *entries, size_t n, const char *piece) {
    char last[512];
    drl_err err;
    archive_file(file, entries, n);
    drl_status st = read_all(file, MIB, MIB, 0, last, &err);
    assert_refused(st, &err, 0, piece);
    if (!strstr(err.message, file)) fail_msg("\"%s\" does not name %s", err.message, file);
}

static const char *const formats[] = {"x.tar", "x.tar.gz", "x.zip", "x.7z"};

/* ".." and absolute paths, of files and of directories; what only looks like them passes. */
static void test_paths(void **state) {
    (void)state;
    static const char *const bad[] = {"/etc/passwd", "../up", "a/../../b", "a/..", ".//../x"};
    static const char *const good[] = {"a/..b", "...", "a/b../c", "./a/b", ".hidden"};
    char last[512];
    drl_err err;
    for (size_t f = 0; f < 4; f++) {
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            const entry entries[] = {{.name = "fine", .bytes = "x", .size = 1},
                                     {.name = bad[k], .bytes = "x", .size = 1}};
            refused(formats[f], entries, 2, k == 0 ? ": has an absolute path" : ": has a path with \"..\"");
        }
        for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
            const entry one = {.name = good[k], .bytes = "x", .size = 1};
            archive_file(formats[f], &one, 1);
            if (read_all(formats[f], MIB, MIB, 0, last, &err) != DRL_OK) fail_msg("%s", err.message);
            assert_string_equal(last, k == 3 ? "a/b" : good[k]);
        }
    }
    const entry directory = {.name = "a/../..", .type = AE_IFDIR};
    refused("x.tar", &directory, 1, ": has a path with \"..\"");
}

static void test_links_and_devices(void **state) {
    (void)state;
    const entry symbolic[] = {{.name = "a", .bytes = "x", .size = 1},
                              {.name = "d/b", .type = AE_IFLNK, .link = "../a"}};
    for (size_t f = 0; f < 4; f++) refused(formats[f], symbolic, 2, ": d/b: is a symbolic link");
    const entry hard[] = {{.name = "a", .bytes = "x", .size = 1}, {.name = "b", .link = "a"}};
    const entry device[] = {{.name = "pipe", .type = AE_IFIFO}};
    for (size_t f = 0; f < 2; f++) {
        refused(formats[f], hard, 2, ": b: is a hard link");
        refused(formats[f], device, 1, ": pipe: is neither a file nor a directory");
    }
}

static void test_duplicates(void **state) {
    (void)state;
    const entry twice[] = {{.name = "d/a", .bytes = "x", .size = 1},
                           {.name = "b", .bytes = "y", .size = 1},
                           {.name = "./d/a", .bytes = "z", .size = 1}};
    for (size_t f = 0; f < 4; f++) refused(formats[f], twice, 3, ": d/a: is there twice");
    /* The same directory may come again. */
    const entry directories[] = {{.name = "d/", .type = AE_IFDIR}, {.name = "d/", .type = AE_IFDIR}};
    char last[512];
    drl_err err;
    archive_file("x.tar", directories, 2);
    assert_int_equal(read_all("x.tar", MIB, MIB, 0, last, &err), DRL_OK);
}

/* The set behind it: thousands of names, each new once. */
static void test_names(void **state) {
    (void)state;
    drl_names set = {0};
    drl_err err;
    bool again;
    char name[32];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 20000; i++) {
            snprintf(name, sizeof name, "train/%d/%d.png", i % 10, i);
            assert_int_equal(drl_names_add(&set, &again, name, &err), DRL_OK);
            assert_int_equal(again, round);
        }
    assert_int_equal(set.n, 20000);
    drl_names_free(&set);
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

static void test_member_count(void **state) {
    (void)state;
    static char names[50][8];
    entry entries[50];
    char last[512];
    drl_err err;
    for (int k = 0; k < 50; k++) {
        snprintf(names[k], sizeof names[k], "m%d", k);
        entries[k] = (entry){.name = names[k], .type = k % 2 ? AE_IFDIR : AE_IFREG}; /* directories count too */
    }
    for (size_t f = 0; f < 4; f++) {
        archive_file(formats[f], entries, 50);
        assert_int_equal(read_all(formats[f], MIB, 0, 50, last, &err), DRL_OK);
        drl_status st = read_all(formats[f], MIB, 0, 49, last, &err);
        assert_refused(st, &err, 0, "has more than the 49 members allowed");
        assert_int_equal(st, DRL_ERR_LIMIT);
    }
}

/* A gigabyte of zeros in a megabyte: one member's limit, the whole archive's where it is read and where it is only
 * passed over, and never more memory than the limit asks for. */
static void test_bombs(void **state) {
    (void)state;
    const entry bomb[] = {{.name = "small", .bytes = "x", .size = 1},
                          {.name = "bomb", .size = 64 * MIB},
                          {.name = "behind", .bytes = "x", .size = 1}};
    static const char *const packed[] = {"x.tar.gz", "x.tar.xz", "x.tar.bz2", "x.zip", "x.7z"};
    char last[512];
    drl_err err;
    for (size_t f = 0; f < 5; f++) {
        archive_file(packed[f], bomb, 3);
        drl_status st = read_all(packed[f], 256 * MIB, 1000, 0, last, &err);
        assert_refused(st, &err, 0, "bomb: holds more than the 1000 bytes allowed");
        st = read_all(packed[f], MIB, 128 * MIB, 0, last, &err);
        assert_refused(st, &err, 0, "unpacks to more than the 1048576 bytes allowed");
        assert_int_equal(st, DRL_ERR_LIMIT);
        st = read_all(packed[f], MIB, 0, 0, last, &err);
        if (f != 3)
            assert_refused(st, &err, 0, "unpacks to more than the 1048576 bytes allowed");
        else
            assert_int_equal(st, DRL_OK), assert_string_equal(last, "behind"); /* a zip is not unpacked to be passed */
    }
    assert_true(drl_mem_get_stats().peak_bytes < 8 * MIB);
}

static void test_files_that_are_none(void **state) {
    (void)state;
    static const char *const names[] = {"none.tar", "none.zip", "none.7z", "none.tar.gz", "none.tar.zst"};
    char last[512];
    drl_err err;
    for (size_t k = 0; k < 5; k++) {
        files_write(names[k], "", 0);
        assert_refused(read_all(names[k], MIB, MIB, 0, last, &err), &err, 0, "the file is empty");
        files_write(names[k], "not what the name says", 22);
        assert_refused(read_all(names[k], MIB, MIB, 0, last, &err), &err, 0, names[k]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_links_and_devices),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_member_count),
        cmocka_unit_test(test_files_that_are_none),
    };
    return cmocka_run_group_tests_name("archives refused", tests, files_make, files_remove);
}
