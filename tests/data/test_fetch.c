/* Downloads from a server of our own, which behaves well or badly, and from files. */
#include "files.h"

#include "../http_server.h"

#include <sys/file.h>
#include <sys/mount.h>

#include "data/places.h"
#include "drl/fetch.h"
#include "drl/hash.h"

enum { SIZE = 300000, PART = 70000 };
static uint8_t payload[SIZE];
static drl_published what = {.dataset = "toy", .file = "toy.bin", .size = SIZE};
static char data_dir[512], final_path[600], part_path[640], bad_path[640];

/* An empty data directory, and what the server has: web/toy/toy.bin, a byte of it changed where `altered`. */
static void begin(bool altered) {
    char command[1200];
    snprintf(command, sizeof command, "rm -rf '%s' '%s'", files_path("data"), files_path("web"));
    assert_int_equal(system(command), 0);
    mkdir(files_path("web"), 0755);
    mkdir(files_path("web/toy"), 0755);
    payload[SIZE / 2] ^= altered;
    files_write("web/toy/toy.bin", payload, SIZE);
    payload[SIZE / 2] ^= altered;
}

static int prepare(void **state) {
    if (files_make(state) != 0) return -1;
    for (size_t i = 0; i < SIZE; i++) payload[i] = (uint8_t)((i * 2654435761u) >> 13);
    drl_sha256(what.sha256, payload, SIZE);
    snprintf(data_dir, sizeof data_dir, "%s/data", files_dir);
    snprintf(final_path, sizeof final_path, "%s/toy/toy.bin", data_dir);
    snprintf(part_path, sizeof part_path, "%s.part", final_path);
    snprintf(bad_path, sizeof bad_path, "%s.bad", final_path);
    setenv("no_proxy", "127.0.0.1", 1);
    return 0;
}

static drl_status fetch_from(const char *mirror, drl_fetched *fetched, drl_err *err) {
    char path[DRL_PATH_MAX] = "";
    drl_fetch_cfg cfg = {.data_dir = data_dir, .mirror = mirror};
    *err = (drl_err){0};
    drl_status st = drl_fetch_file(path, fetched, &what, &cfg, err);
    if (st == DRL_OK) assert_string_equal(path, final_path);
    return st;
}

/* Size of a file, -1 where there is none; all its bytes are the first ones of the payload. */
static long size_of(const char *path) {
    static uint8_t bytes[SIZE + 100];
    FILE *f = fopen(path, "rb");
    if (!f) return -1;
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_true(n <= SIZE && memcmp(bytes, payload, n) == 0);
    return (long)n;
}

static bool is_there(const char *path) {
    return access(path, F_OK) == 0;
}

/* After the call there is the final file alone. */
static void assert_fetched(drl_status st, const drl_err *err) {
    if (st != DRL_OK) fail_msg("%s", err->message);
    assert_int_equal(size_of(final_path), SIZE);
    assert_false(is_there(part_path));
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

static void assert_requests(const char *want) {
    char got[400] = "";
    FILE *f = fopen(files_path("web/requests"), "r");
    assert_non_null(f);
    got[fread(got, 1, sizeof got - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(got, want);
}

/* One call against a server of its own. */
static drl_status served(http_mode mode, long limit, drl_fetched *fetched, drl_err *err) {
    http_server s;
    http_start(&s, files_path("web"), mode, limit);
    drl_status st = fetch_from(s.url, fetched, err);
    http_stop(&s);
    return st;
}

static void test_whole(void **state) {
    (void)state;
    drl_err err;
    drl_fetched fetched;
    begin(false);
    assert_fetched(served(HTTP_GOOD, 0, &fetched, &err), &err);
    assert_int_equal(fetched, DRL_FETCH_DONE);
    assert_requests("/toy/toy.bin -1\n");
    /* what is there and right is not asked for again */
    assert_fetched(fetch_from("http://127.0.0.1:1", &fetched, &err), &err);
    assert_int_equal(fetched, DRL_FETCH_THERE);
}

static void count_up(void *arg, const char *file, uint64_t done, uint64_t size) {
    uint64_t *last = arg;
    assert_string_equal(file, "toy.bin");
    assert_true(done >= *last && done > 0 && done <= size && size == SIZE);
    *last = done;
}

static void test_resumed(void **state) {
    (void)state;
    drl_err err;
    drl_fetched fetched;
    begin(false);
    drl_status st = served(HTTP_CUT, PART, &fetched, &err);
    assert_refused(st, &err, 0, "70000 of 300000 bytes are in ");
    assert_non_null(strstr(err.message, part_path));
    assert_int_equal(size_of(part_path), PART);
    assert_false(is_there(final_path));
    st = served(HTTP_CUT, PART, &fetched, &err);
    assert_refused(st, &err, 0, "140000 of 300000 bytes are in ");
    http_server s;
    uint64_t last = 0;
    char path[DRL_PATH_MAX];
    http_start(&s, files_path("web"), HTTP_GOOD, 0);
    drl_fetch_cfg cfg = {.data_dir = data_dir, .mirror = s.url, .progress = count_up, .arg = &last};
    st = drl_fetch_file(path, &fetched, &what, &cfg, &err);
    http_stop(&s);
    assert_fetched(st, &err);
    assert_int_equal(last, SIZE);
    assert_requests("/toy/toy.bin -1\n/toy/toy.bin 70000\n/toy/toy.bin 140000\n");
}

static void test_server_without_ranges(void **state) {
    (void)state;
    drl_err err;
    drl_fetched fetched;
    begin(false);
    assert_refused(served(HTTP_CUT, PART, &fetched, &err), &err, 0, "70000 of 300000");
    assert_fetched(served(HTTP_NO_RANGE, 0, &fetched, &err), &err);
    assert_requests("/toy/toy.bin -1\n/toy/toy.bin 70000\n/toy/toy.bin -1\n");
}

/* A .part file that is complete needs no server; one that is longer than the file, or of something else, is no loss. */
static void test_odd_parts(void **state) {
    (void)state;
    static uint8_t zeros[SIZE + 5];
    drl_err err;
    drl_fetched fetched;
    begin(false);
    mkdir(data_dir, 0755);
    mkdir(files_path("data/toy"), 0755);
    files_write("data/toy/toy.bin.part", payload, SIZE);
    assert_fetched(fetch_from("http://127.0.0.1:1", &fetched, &err), &err);
    assert_int_equal(fetched, DRL_FETCH_DONE);
    assert_int_equal(unlink(final_path), 0);
    files_write("data/toy/toy.bin.part", zeros, sizeof zeros);
    assert_fetched(served(HTTP_GOOD, 0, &fetched, &err), &err);
    assert_int_equal(unlink(final_path), 0);
    files_write("data/toy/toy.bin.part", zeros, 10);
    drl_status st = served(HTTP_GOOD, 0, &fetched, &err);
    assert_refused(st, &err, 0, "it is set aside as ");
    assert_false(is_there(part_path) || is_there(final_path));
    assert_fetched(served(HTTP_GOOD, 0, &fetched, &err), &err);
}

static void test_wrong_contents(void **state) {
    (void)state;
    char line[100];
    drl_err err;
    drl_fetched fetched;
    begin(true);
    drl_status st = served(HTTP_GOOD, 0, &fetched, &err);
    snprintf(line, sizeof line, "..., not %.12s... as published; it is set aside as ", what.sha256);
    assert_refused(st, &err, 0, line);
    assert_int_equal(st, DRL_ERR_FORMAT);
    assert_non_null(strstr(err.message, bad_path));
    assert_true(is_there(bad_path) && !is_there(part_path) && !is_there(final_path));
    /* of another length: refused before a byte of it is kept */
    begin(false);
    files_write("web/toy/toy.bin", payload, 1000);
    assert_refused(served(HTTP_GOOD, 0, &fetched, &err), &err, 0, "offers 1000 bytes, but 300000 are published");
    assert_false(is_there(bad_path) || is_there(part_path) || is_there(final_path));
    /* or where that is found out later */
    begin(false);
    assert_refused(served(HTTP_ENDLESS, 0, &fetched, &err), &err, 0, "sends more than the 300000 bytes");
    assert_true(is_there(bad_path) && !is_there(part_path) && !is_there(final_path));
    begin(false);
    assert_refused(served(HTTP_SHORT, PART, &fetched, &err), &err, 0, "ends after 70000 of the 300000 bytes");
    assert_int_equal(size_of(part_path), PART);
}

static void test_no_answer(void **state) {
    (void)state;
    drl_err err;
    drl_fetched fetched;
    begin(false);
    assert_refused(served(HTTP_BUSY, 0, &fetched, &err), &err, 0, "/toy/toy.bin: the server answers 503");
    unlink(files_path("web/toy/toy.bin"));
    drl_status st = served(HTTP_GOOD, 0, &fetched, &err);
    assert_refused(st, &err, 0, "/toy/toy.bin: the server answers 404");
    assert_int_equal(st, DRL_ERR_NOT_FOUND);
    assert_refused(fetch_from("http://127.0.0.1:1", &fetched, &err), &err, 0, "http://127.0.0.1:1/toy/toy.bin: ");
    assert_refused(served(HTTP_REDIRECT, 0, &fetched, &err), &err, 0, "Protocol \"file\"");
    st = fetch_from("ftp://127.0.0.1", &fetched, &err);
    assert_refused(st, &err, 0, "mirror 'ftp://127.0.0.1': want an address with http://");
    assert_int_equal(st, DRL_ERR_CONFIG);
    assert_false(is_there(part_path)); /* nothing came */
}

static void test_from_a_file(void **state) {
    (void)state;
    char url[600];
    drl_err err;
    drl_fetched fetched;
    begin(false);
    snprintf(url, sizeof url, "file://%s", files_path("web"));
    assert_fetched(fetch_from(url, &fetched, &err), &err);
    unlink(final_path);
    files_write("data/toy/toy.bin.part", payload, PART);
    assert_fetched(fetch_from(url, &fetched, &err), &err);
    unlink(final_path);
    files_write("web/toy/toy.bin", payload, PART / 2); /* shorter than what is here of it */
    files_write("data/toy/toy.bin.part", payload, PART);
    assert_refused(fetch_from(url, &fetched, &err), &err, 0, "offers 35000 bytes, but 300000 are published");
    unlink(files_path("web/toy/toy.bin"));
    drl_status st = fetch_from(url, &fetched, &err);
    assert_refused(st, &err, 0, "toy/toy.bin: ");
    assert_int_equal(st, DRL_ERR_NOT_FOUND);
}

static void test_nothing_is_lost(void **state) {
    (void)state;
    drl_err err;
    drl_fetched fetched;
    begin(false);
    mkdir(data_dir, 0755);
    mkdir(files_path("data/toy"), 0755);
    files_write("data/toy/toy.bin", payload, 5); /* somebody's own */
    assert_refused(served(HTTP_GOOD, 0, &fetched, &err), &err, 0, "is there, but is not the published file");
    assert_int_equal(size_of(final_path), 5);
    unlink(final_path);
    files_write("data/toy/toy.bin.part", payload, PART); /* being downloaded by another process */
    FILE *other = fopen(part_path, "r");
    assert_true(other && flock(fileno(other), LOCK_EX) == 0);
    assert_refused(served(HTTP_GOOD, 0, &fetched, &err), &err, 0, "another process is downloading it");
    assert_int_equal(size_of(part_path), PART);
    fclose(other);
    assert_fetched(served(HTTP_GOOD, 0, &fetched, &err), &err);
}

static void test_nowhere_to_write(void **state) {
    (void)state;
    drl_err err;
    drl_fetched fetched;
    begin(false);
    files_write("data", "mine", 4);
    assert_refused(served(HTTP_GOOD, 0, &fetched, &err), &err, 0, "a file of that name is in the way");
    unlink(data_dir);
    mkdir(data_dir, 0755);
    if (mount("drl-test", data_dir, "tmpfs", 0, "size=100k") != 0) {
        print_message("skipped: mounting a small tmpfs takes more rights than this process has\n");
        skip();
    }
    drl_status full = served(HTTP_GOOD, 0, &fetched, &err);
    long kept = size_of(part_path);
    drl_err second;
    drl_status st = DRL_OK;
    bool roomier = mount("drl-test", data_dir, "tmpfs", MS_REMOUNT, "size=2m") == 0;
    if (roomier) st = served(HTTP_GOOD, 0, &fetched, &second);
    long size = size_of(final_path);
    umount2(data_dir, MNT_DETACH);
    assert_refused(full, &err, 0, "No space left on device");
    assert_true(kept > 0 && kept < 110000);
    if (roomier && st != DRL_OK) fail_msg("%s", second.message);
    assert_true(!roomier || size == SIZE);
}

static void test_where(void **state) {
    (void)state;
    char dir[DRL_PATH_MAX], share[300], command[400];
    setenv("DRL_DATA_DIR", "/a", 1);
    setenv("XDG_DATA_HOME", "/b", 1);
    drl_fetch_dir(dir);
    assert_string_equal(dir, "/a");
    unsetenv("DRL_DATA_DIR");
    drl_fetch_dir(dir);
    assert_string_equal(dir, "/b/drl");
    unsetenv("XDG_DATA_HOME");
    setenv("HOME", files_dir, 1);
    drl_fetch_dir(dir);
    assert_string_equal(dir, "data");
    snprintf(share, sizeof share, "%s/.local/share/drl", files_dir);
    snprintf(command, sizeof command, "mkdir -p '%s'", share);
    assert_int_equal(system(command), 0);
    drl_fetch_dir(dir);
    assert_string_equal(dir, share);
}

/* Whatever the environment, what is fetched is put where it is looked for. */
static void test_fetched_is_found(void **state) {
    (void)state;
    static const char *const names[] = {"DRL_DATA_DIR", "XDG_DATA_HOME", "HOME"};
    static const char *const values[] = {NULL, "", "relative", "/absolute"};
    for (int k = 0; k < 4 * 4 * 4; k++) {
        const int value[] = {k % 4, k / 4 % 4, k / 16};
        for (int v = 0; v < 3; v++) values[value[v]] ? setenv(names[v], values[value[v]], 1) : unsetenv(names[v]);
        char dir[DRL_PATH_MAX];
        drl_places places;
        bool found = false;
        drl_fetch_dir(dir);
        assert_int_equal(drl_places_find(&places, &(drl_dataset_cfg){.data_dir = NULL}, NULL), DRL_OK);
        for (size_t i = 0; i < places.n; i++) found = found || strcmp(dir, places.dir[i]) == 0;
        if (!found) fail_msg("case %d: %s is not looked at", k, dir);
        const char *want = value[0] >= 2 ? values[value[0]] : value[1] == 3 ? "/absolute/drl" : "data";
        assert_string_equal(dir, want);
    }
}

static void test_table(void **state) {
    (void)state;
    size_t n;
    const drl_published *p = drl_published_list(&n);
    for (size_t i = 0; i < n; i++)
        if (p[i].base) {
            assert_true(strncmp(p[i].base, "http", 4) == 0 && p[i].base[strlen(p[i].base) - 1] != '/');
            assert_string_equal(drl_published_as(p[i].dataset), p[i].dataset);
        }
    assert_string_equal(drl_published_as("emnist-letters"), "emnist");
    assert_string_equal(drl_published_as("cifar100"), "cifar100");
    assert_null(drl_published_as("synthetic:factors"));
    assert_null(drl_published_as("emnis"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_odd_parts),
        cmocka_unit_test(test_server_without_ranges),
        cmocka_unit_test(test_wrong_contents),
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_from_a_file),
        cmocka_unit_test(test_nothing_is_lost),
        cmocka_unit_test(test_nowhere_to_write),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_fetched_is_found),
    };
    return cmocka_run_group_tests_name("fetch", tests, prepare, files_remove);
}
