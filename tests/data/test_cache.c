/* The cache: it never changes a dataset, and whatever is wrong with it is noticed. */
#include "archives.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>

#include "data/cache.h"
#include "data/members.h"
#include "drl/data.h"
#include "drl/hash.h"

enum { RECORD = 3073, PER_FILE = 300, FILES = 6 };

static char cache_dir[300];

/* An archive of 1 500 + 300 images, large enough to be cached. Another `variant` has another label. */
static void write_source(const char *name, uint8_t variant) {
    static uint8_t bytes[FILES][PER_FILE * RECORD];
    static const char *const names[FILES] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                             "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
    entry entries[FILES];
    for (size_t f = 0; f < FILES; f++) {
        for (size_t k = 0; k < sizeof bytes[f]; k++)
            bytes[f][k] = (uint8_t)(k % RECORD ? k * (f + 1) / 7 : (k / RECORD + variant) % 10);
        entries[f] = (entry){.name = names[f], .bytes = bytes[f], .size = sizeof bytes[f]};
    }
    archive_file(name, entries, FILES);
}

static drl_dataset *open_cached(const char *dir, size_t limit) {
    drl_dataset *ds;
    drl_err err;
    drl_dataset_cfg cfg = {.name = "cifar10", .data_dir = files_dir, .train_limit = limit, .cache_dir = dir};
    if (drl_dataset_open(&ds, &cfg, &err) != DRL_OK) fail_msg("%s", err.message);
    return ds;
}

/* Every field and every bit, but for where they lie. */
static void assert_same(const drl_dataset *a, const drl_dataset *b) {
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->sha256, b->sha256);
    assert_int_equal(a->classes, b->classes);
    assert_int_equal(a->factors, b->factors);
    assert_int_equal(a->skipped, b->skipped);
    for (size_t k = 0; k < a->classes; k++) assert_string_equal(a->class_names[k], b->class_names[k]);
    assert_memory_equal(a->mean, b->mean, sizeof a->mean);
    assert_memory_equal(a->std, b->std, sizeof a->std);
    assert_memory_equal(a->normalised, b->normalised, sizeof a->normalised);
    for (int s = 0; s < DRL_SPLITS; s++) {
        const drl_images *x = &a->split[s], *y = &b->split[s];
        assert_true(x->n == y->n && x->h == y->h && x->w == y->w && x->c == y->c);
        assert_memory_equal(x->pixels, y->pixels, x->n * x->h * x->w * x->c);
        assert_memory_equal(x->labels, y->labels, x->n * sizeof *x->labels);
    }
}

/* Files of the cache whose names start so, the last of them in `path`. */
static int count(const char *start, char path[600]) {
    DIR *d = opendir(cache_dir);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (strncmp(e->d_name, start, strlen(start)) == 0) n++, snprintf(path, 600, "%s/%s", cache_dir, e->d_name);
    if (d) closedir(d);
    return n;
}

static int fresh_cache(void **state) {
    (void)state;
    char command[400];
    snprintf(cache_dir, sizeof cache_dir, "%s/cache/deep", files_dir);
    snprintf(command, sizeof command, "rm -rf '%s/cache'", files_dir);
    if (system(command) != 0) return -1;
    write_source("cifar-10-binary.tar.gz", 0);
    return 0;
}

static void test_same_bits(void **state) {
    (void)state;
    char path[600];
    drl_dataset *plain = open_cached("", 0), *first = open_cached(cache_dir, 0), *second = open_cached(cache_dir, 0);
    assert_false(plain->cached || first->cached);
    assert_true(second->cached && second->mapping && second->mapping_size > 5000000);
    assert_int_equal(count("dataset-", path), 1);
    assert_same(plain, first);
    assert_same(plain, second);
    drl_dataset_free(first);
    drl_dataset_free(second);
    /* What changes the result has its own file. */
    drl_dataset *limited = open_cached(cache_dir, 1400);
    assert_false(limited->cached);
    assert_int_equal(count("dataset-", path), 2);
    drl_dataset_free(limited);
    limited = open_cached(cache_dir, 1400);
    assert_true(limited->cached && limited->split[DRL_SPLIT_TRAIN].n == 1400);
    drl_dataset_free(limited);
    drl_dataset_free(plain);
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

/* CIFAR-100 brings a factor: it is cached too. */
static void test_factors(void **state) {
    (void)state;
    static uint8_t bytes[2][800 * (RECORD + 1)];
    for (size_t k = 0; k < sizeof bytes[0]; k++)
        bytes[0][k] = bytes[1][k] = (uint8_t)(k % (RECORD + 1) < 2 ? k / (RECORD + 1) % 20 : k / 5);
    const entry entries[] = {{.name = "train.bin", .bytes = bytes[0], .size = sizeof bytes[0]},
                             {.name = "test.bin", .bytes = bytes[1], .size = sizeof bytes[1]}};
    archive_file("cifar-100-binary.tar", entries, 2);
    drl_dataset_cfg cfg = {.name = "cifar100", .data_dir = files_dir, .cache_dir = cache_dir};
    drl_dataset *ds[2];
    drl_err err;
    for (int k = 0; k < 2; k++)
        if (drl_dataset_open(&ds[k], &cfg, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_true(!ds[0]->cached && ds[1]->cached);
    assert_same(ds[0], ds[1]);
    for (int s = 0; s < DRL_SPLITS; s++)
        assert_memory_equal(ds[0]->split[s].factors[0], ds[1]->split[s].factors[0], 800 * sizeof(int32_t));
    assert_string_equal(ds[1]->factor_names[0], "superclass");
    for (int k = 0; k < 2; k++) drl_dataset_free(ds[k]);
}

/* Changed bytes all over the file, cuts, a longer file, a foreign one: none is believed, each is replaced. */
static void test_damage(void **state) {
    (void)state;
    char path[600];
    struct stat info;
    drl_dataset *good = open_cached(cache_dir, 0);
    assert_int_equal(count("dataset-", path), 1);
    assert_int_equal(stat(path, &info), 0);
    const off_t size = info.st_size, lengths[] = {0, 100, size - 1, size + 1};
    const off_t places[] = {0, 8, 12, 16, 80, 200, 8000, 8700, 8800, 8840, 8880, 8900, 50000, size / 2, size - 1};
    enum { PLACES = sizeof places / sizeof *places, LENGTHS = 4 };
    for (size_t k = 0; k < 2 * PLACES + LENGTHS; k++) {
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        if (k < 2 * PLACES) {
            uint8_t byte;
            assert_int_equal(pread(fd, &byte, 1, places[k / 2]), 1);
            byte ^= k % 2 ? 0x01 : 0x80;
            assert_int_equal(pwrite(fd, &byte, 1, places[k / 2]), 1);
        } else {
            assert_int_equal(ftruncate(fd, lengths[k - 2 * PLACES]), 0);
        }
        close(fd);
        drl_dataset *ds = open_cached(cache_dir, 0);
        assert_false(ds->cached);
        assert_same(good, ds);
        drl_dataset_free(ds);
        ds = open_cached(cache_dir, 0);
        assert_true(ds->cached);
        assert_same(good, ds);
        drl_dataset_free(ds);
    }
    drl_dataset_free(good);
    /* A sound cache under another's name: put aside, and copied to where another is. */
    char aside[600], command[1300];
    snprintf(aside, sizeof aside, "%s/aside", files_dir);
    assert_int_equal(rename(path, aside), 0);
    drl_dataset_free(open_cached(cache_dir, 1400));
    assert_int_equal(count("dataset-", path), 1);
    snprintf(command, sizeof command, "cp '%s' '%s'", aside, path);
    assert_int_equal(system(command), 0);
    drl_dataset *limited = open_cached(cache_dir, 1400);
    assert_false(limited->cached);
    assert_int_equal(limited->split[DRL_SPLIT_TRAIN].n, 1400);
    drl_dataset_free(limited);
}

/* Another source under the same name is another dataset, and a source that is gone or damaged is an error. */
static void test_source_counts(void **state) {
    (void)state;
    drl_dataset *ds = open_cached(cache_dir, 0), *other;
    drl_err err;
    write_source("cifar-10-binary.tar.gz", 1);
    other = open_cached(cache_dir, 0);
    assert_false(other->cached);
    assert_string_not_equal(ds->sha256, other->sha256);
    assert_int_equal((ds->split[0].labels[0] + 1) % 10, other->split[0].labels[0]);
    drl_dataset_free(ds);
    drl_dataset_free(other);
    unlink(files_path("cifar-10-binary.tar.gz"));
    drl_dataset_cfg cfg = {.name = "cifar10", .data_dir = files_dir, .cache_dir = cache_dir};
    assert_refused(drl_dataset_open(&ds, &cfg, &err), &err, 0, "no cifar-10-binary.tar.gz in");
}

/* A cache that cannot be written is no error, and says why. */
static void test_unwritable(void **state) {
    (void)state;
    files_write("in-the-way", "x", 1);
    drl_dataset *ds = open_cached(files_path("in-the-way"), 0);
    assert_false(ds->cached);
    assert_non_null(strstr(ds->cache_note, "in-the-way"));
    drl_dataset_free(ds);
    ds = open_cached(cache_dir, 0);
    assert_string_equal(ds->cache_note, "");
    drl_dataset_free(ds);
    /* Small datasets are not cached, nor drawn ones. */
    char path[600], *dir = cache_dir;
    ds = open_cached(dir, 10);
    drl_dataset_free(ds);
    drl_dataset_cfg cfg = {.name = "synthetic:factors", .cache_dir = cache_dir};
    assert_int_equal(drl_dataset_open(&ds, &cfg, NULL), DRL_OK);
    drl_dataset_free(ds);
    assert_int_equal(count("dataset-", path), 1);
}

/* $XDG_CACHE_HOME/drl, ~/.cache/drl, or nowhere. */
static void test_place(void **state) {
    (void)state;
    char dir[300], *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    drl_dataset_cfg cfg = {.cache_dir = NULL};
    setenv("XDG_CACHE_HOME", "/x", 1);
    setenv("HOME", "/h", 1);
    assert_true(drl_cache_dir(dir, sizeof dir, &cfg));
    assert_string_equal(dir, "/x/drl");
    setenv("XDG_CACHE_HOME", "relative", 1);
    assert_true(drl_cache_dir(dir, sizeof dir, &cfg));
    assert_string_equal(dir, "/h/.cache/drl");
    unsetenv("HOME");
    assert_false(drl_cache_dir(dir, sizeof dir, &cfg));
    cfg.cache_dir = "";
    setenv("HOME", "/h", 1);
    assert_false(drl_cache_dir(dir, sizeof dir, &cfg));
    xdg ? setenv("XDG_CACHE_HOME", xdg, 1) : unsetenv("XDG_CACHE_HOME");
    home ? setenv("HOME", home, 1) : unsetenv("HOME");
}

static void set_age(const char *path, time_t seconds) {
    const struct timespec times[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* The digest of a large file is remembered once it has settled; a changed file, or a damaged record, is hashed. */
static void test_remembered_digests(void **state) {
    (void)state;
    static uint8_t bytes[2 << 20];
    char want[65], got[65], path[600];
    const char *file = files_path("large");
    drl_dataset_cfg cfg = {.cache_dir = cache_dir};
    drl_err err;
    for (int round = 0; round < 3; round++) {
        bytes[7]++;
        files_write("large", bytes, sizeof bytes);
        if (round > 0) set_age(files_path("large"), 100);
        drl_sha256(want, bytes, sizeof bytes);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(drl_identify_file(got, file, &cfg, &err), DRL_OK);
            assert_string_equal(got, want);
        }
        assert_int_equal(count("digest-", path), round); /* a file just written is not trusted to stay */
    }
    /* Believed: a true record. Not believed: one of another state, a changed one, a short one. */
    drl_remember(want, "some state", &cfg);
    assert_true(drl_recall(got, "some state", &cfg));
    assert_string_equal(got, want);
    assert_false(drl_recall(got, "another state", &cfg));
    char hex[65], record[600];
    drl_sha256(hex, "some state", strlen("some state"));
    snprintf(record, sizeof record, "%s/digest-%s", cache_dir, hex);
    for (int k = 0; k < 3; k++) {
        FILE *f = fopen(record, "r+");
        assert_non_null(f);
        if (k < 2) fseek(f, k == 0 ? 5 : 100, SEEK_SET), fputc('x', f);
        fclose(f);
        if (k == 2) assert_int_equal(truncate(record, 128), 0);
        assert_false(drl_recall(got, "some state", &cfg));
        drl_remember(want, "some state", &cfg);
        assert_true(drl_recall(got, "some state", &cfg));
    }
    assert_refused(drl_identify_file(got, files_path("none"), &cfg, &err), &err, 0, "none: No such file");
    assert_refused(drl_identify_file(got, files_dir, &cfg, &err), &err, 0, "not a regular file");
}

enum { PICTURES = 600 };

/* want = the digest of a directory's lines "NAME SIZE SHA256", by name; picture i holds (i, change[i]) and is
 * as old as all. */
static void write_picture(int i, uint8_t change) {
    char name[64];
    const uint8_t bytes[] = {(uint8_t)i, (uint8_t)(i >> 8), change};
    snprintf(name, sizeof name, "pictures/%d/%03d.png", i / 300, i);
    files_write(name, bytes, sizeof bytes);
    const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, files_path(name), old, 0), 0);
}

static void digest_of(char want[65], const uint8_t change[PICTURES]) {
    static char text[PICTURES * 96];
    size_t used = 0;
    for (int i = 0; i < PICTURES; i++) {
        const uint8_t bytes[] = {(uint8_t)i, (uint8_t)(i >> 8), change[i]};
        char hex[65];
        drl_sha256(hex, bytes, sizeof bytes);
        used += (size_t)snprintf(text + used, sizeof text - used, "%d/%03d.png 3 %s\n", i / 300, i, hex);
    }
    drl_sha256(want, text, used);
}

/* The digest of a directory is remembered once all of it has settled. A file changed behind its size and its time of
 * modification is seen, wherever it is, by any number of threads. */
static void test_remembered_directory(void **state) {
    (void)state;
    uint8_t change[PICTURES] = {0};
    char want[65], got[65], path[600];
    drl_err err;
    drl_threads *team[2] = {NULL};
    assert_int_equal(drl_threads_open(&team[1], 3, &err), DRL_OK);
    for (int k = 0; k < 3; k++)
        mkdir(k == 0 ? files_path("pictures") : k == 1 ? files_path("pictures/0") : files_path("pictures/1"), 0755);
    for (int i = 0; i < PICTURES; i++) write_picture(i, 0);
    static const int changed[] = {-1, -1, 0, 299, 300, 555, PICTURES - 1};
    for (size_t k = 0; k < sizeof changed / sizeof *changed; k++) {
        int i = changed[k];
        if (k == 1) sleep(4); /* until a change would show */
        if (i >= 0) write_picture(i, ++change[i]);
        digest_of(want, change);
        for (int repeat = 0; repeat < 4; repeat++) {
            const drl_dataset_cfg cfg = {.cache_dir = cache_dir, .team = team[repeat % 2]};
            const char *directory = repeat < 2 ? files_path("pictures") : files_path("pictures//");
            if (drl_members_identify(got, directory, &cfg, &err) != DRL_OK) fail_msg("%s", err.message);
            assert_string_equal(got, want);
        }
        assert_int_equal(count("digest-", path), k == 0 ? 0 : 1);
    }
    drl_threads_close(team[1]);
}

/* Two processes at once make one cache that is right. */
static void test_two_writers(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    drl_dataset_free(open_cached(cache_dir, 0));
    if (child == 0) _exit(0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    drl_dataset *ds = open_cached(cache_dir, 0), *plain = open_cached("", 0);
    char path[600];
    assert_true(ds->cached);
    assert_int_equal(count("dataset-", path), 1);
    assert_null(strstr(path, ".tmp."));
    assert_same(ds, plain);
    drl_dataset_free(ds);
    drl_dataset_free(plain);
}

int main(void) {
    unsetenv("DRL_DATA_DIR");
    setenv("XDG_DATA_HOME", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_same_bits, fresh_cache),
        cmocka_unit_test_setup(test_factors, fresh_cache),
        cmocka_unit_test_setup(test_damage, fresh_cache),
        cmocka_unit_test_setup(test_source_counts, fresh_cache),
        cmocka_unit_test_setup(test_unwritable, fresh_cache),
        cmocka_unit_test_setup(test_remembered_digests, fresh_cache),
        cmocka_unit_test_setup(test_remembered_directory, fresh_cache),
        cmocka_unit_test_setup(test_two_writers, fresh_cache),
        cmocka_unit_test(test_place),
    };
    return cmocka_run_group_tests_name("cache", tests, files_make, files_remove);
}
