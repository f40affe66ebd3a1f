/* The archive reader on archives written here: contents, limits, and every cut and every changed byte. */
#include "files.h"

#include <archive.h>
#include <archive_entry.h>

#include "data/archive.h"

#define MIB ((size_t)1 << 20)

static const char *const names[] = {"a/first.txt", "a/empty", "b/second.bin"};
static buffer contents[3];
static size_t other_members; /* of the last archive read: under none of the three names */

static void make_contents(void) {
    contents[0].size = (size_t)snprintf((char *)contents[0].bytes, 64, "the quick brown fox jumps over the dog");
    contents[1].size = 0;
    contents[2].size = 700;
    for (size_t i = 0; i < contents[2].size; i++) contents[2].bytes[i] = (uint8_t)(i * i / 7);
}

/* Writes the three members, and a directory that readers pass over. */
static void write_archive(buffer *out, bool zip, bool gzip) {
    make_contents();
    struct archive *a = archive_write_new();
    if (zip)
        archive_write_set_format_zip(a);
    else
        archive_write_set_format_ustar(a);
    if (gzip) archive_write_add_filter_gzip(a);
    archive_write_set_bytes_in_last_block(a, 1);
    assert_int_equal(archive_write_open_memory(a, out->bytes, sizeof out->bytes, &out->size), ARCHIVE_OK);
    for (int m = 0; m < 4; m++) {
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_perm(e, 0644);
        archive_entry_set_pathname(e, m == 3 ? "a/" : names[m]);
        archive_entry_set_filetype(e, m == 3 ? AE_IFDIR : AE_IFREG);
        archive_entry_set_size(e, m < 3 ? (la_int64_t)contents[m].size : 0);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        if (m < 3) assert_int_equal(archive_write_data(a, contents[m].bytes, contents[m].size), (int)contents[m].size);
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

/* Reads to the end; *same counts the members that came out as they went in, *read all members that have their names. */
static drl_status read_all(const char *path, size_t *read, size_t *same, drl_err *err) {
    *read = *same = other_members = 0;
    drl_archive *r;
    drl_status st = drl_archive_open(&r, path, DRL_ARCHIVE_MEMBERS, MIB, err);
    if (st != DRL_OK) return st;
    for (;;) {
        const char *name;
        uint8_t *bytes;
        size_t size;
        st = drl_archive_next(r, &name, err);
        if (st != DRL_OK || !name) break;
        char copy[512];
        snprintf(copy, sizeof copy, "%s", name);
        if ((st = drl_archive_read(r, &bytes, &size, MIB, err)) != DRL_OK) break;
        other_members++;
        for (size_t m = 0; m < 3; m++) {
            if (strcmp(copy, names[m]) != 0) continue;
            other_members--;
            (*read)++;
            *same += size == contents[m].size && memcmp(bytes, contents[m].bytes, size) == 0;
        }
        drl_free(bytes);
    }
    drl_archive_close(r);
    return st;
}

static void test_members(void **state) {
    (void)state;
    static buffer file;
    const char *const endings[] = {"x.tar", "x.tar.gz", "x.zip"};
    for (int k = 0; k < 3; k++) {
        write_archive(&file, k == 2, k == 1);
        files_write(endings[k], file.bytes, file.size);
        drl_err err;
        size_t read, same;
        assert_int_equal(read_all(files_path(endings[k]), &read, &same, &err), DRL_OK);
        assert_int_equal(read, 3);
        assert_int_equal(other_members, 0);
        assert_int_equal(same, 3);
    }
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

/* A .tar.gz: libarchive alone accepts many changed bytes; with the checksum verified nothing wrong may come out. */
static void test_tar_gz_flips_and_cuts(void **state) {
    (void)state;
    static buffer file;
    write_archive(&file, false, true);
    size_t accepted = 0;
    for (size_t i = 0; i < file.size; i++) {
        drl_err err;
        size_t read, same;
        file.bytes[i] ^= 0x11;
        files_write("flip.tgz", file.bytes, file.size);
        file.bytes[i] ^= 0x11;
        drl_status st = read_all(files_path("flip.tgz"), &read, &same, &err);
        if (st != DRL_OK)
            assert_refused(st, &err, 0, "flip.tgz");
        else
            assert_int_equal(same, 3), accepted++;
        files_write("cut.tgz", file.bytes, i);
        st = read_all(files_path("cut.tgz"), &read, &same, &err);
        assert_refused(st, &err, 0, "cut.tgz");
    }
    /* Accepted are only flips that change no member: time stamp, XFL, OS, padding bits, and copies of another place
     * with the same contents (the zeros between members). */
    assert_true(accepted < file.size / 50);
}

/* The end of the archive may lie far before the end of the gzip stream: its trailer is verified all the
 * same, and what is behind it refused. */
static void test_tar_gz_trailer(void **state) {
    (void)state;
    static buffer tar, file;
    static uint8_t padded[1 << 20];
    write_archive(&tar, false, false);
    memcpy(padded, tar.bytes, tar.size);
    gzip_append(&file, padded, sizeof padded);
    drl_err err;
    size_t read, same;
    files_write("end.tgz", file.bytes, file.size);
    assert_int_equal(read_all(files_path("end.tgz"), &read, &same, &err), DRL_OK);
    assert_int_equal(same, 3);
    for (size_t i = file.size - 8; i < file.size; i++) {
        file.bytes[i] ^= 0x01;
        files_write("end.tgz", file.bytes, file.size);
        file.bytes[i] ^= 0x01;
        drl_status st = read_all(files_path("end.tgz"), &read, &same, &err);
        assert_refused(st, &err, 0, i < file.size - 4 ? "incorrect data check" : "incorrect length check");
    }
    files_write("end.tgz", file.bytes, file.size + 1);
    assert_refused(read_all(files_path("end.tgz"), &read, &same, &err), &err, 0, "gzip member 2");
}

/* A bare tar has no checksum of its contents and may end between members: what is read is right, or it is refused. */
static void test_tar_cuts(void **state) {
    (void)state;
    static buffer file;
    write_archive(&file, false, false);
    size_t refused = 0;
    for (size_t n = 0; n < file.size; n += n % 512 < 3 || n % 512 > 508 ? 1 : 101) {
        drl_err err;
        size_t read, same;
        files_write("cut.tar", file.bytes, n);
        drl_status st = read_all(files_path("cut.tar"), &read, &same, &err);
        assert_int_equal(read, same);
        if (st != DRL_OK) assert_refused(st, &err, 0, "cut.tar"), refused++;
    }
    assert_true(refused > 20);
}

/* zip checks the contents of members, not their names: what comes out under a known name is right. */
static void test_zip_flips_and_cuts(void **state) {
    (void)state;
    static buffer file;
    write_archive(&file, true, false);
    size_t refused = 0;
    for (size_t i = 0; i < file.size; i++) {
        drl_err err;
        size_t read, same;
        file.bytes[i] ^= 0x11;
        files_write("flip.zip", file.bytes, file.size);
        file.bytes[i] ^= 0x11;
        drl_status st = read_all(files_path("flip.zip"), &read, &same, &err);
        if (st != DRL_OK) assert_refused(st, &err, 0, "flip.zip"), refused++;
        assert_int_equal(read, same);
        files_write("cut.zip", file.bytes, i);
        st = read_all(files_path("cut.zip"), &read, &same, &err);
        assert_int_equal(read, same);
        assert_int_equal(drl_mem_get_stats().bytes, 0);
    }
    assert_true(refused > 100);
}

/* A bare .gz: every cut is refused; a changed byte is refused or, where it carries no data, changes nothing. */
static void test_bare_gz(void **state) {
    (void)state;
    static buffer file;
    make_contents();
    file.size = 0;
    gzip_append(&file, contents[2].bytes, contents[2].size);
    static const uint8_t masks[] = {0x01, 0x80, 0xff};
    for (size_t i = 0; i < file.size; i++) {
        uint8_t *bytes;
        size_t size;
        drl_err err;
        for (size_t m = 0; m < sizeof masks; m++) {
            file.bytes[i] ^= masks[m];
            files_write("flip.gz", file.bytes, file.size);
            file.bytes[i] ^= masks[m];
            drl_status st = drl_archive_read_bare(files_path("flip.gz"), &bytes, &size, MIB, &err);
            bool carries_no_data = (i >= 4 && i <= 9) || (i == 3 && masks[m] == 0x01) || i == file.size - 9;
            if (st != DRL_OK) {
                assert_refused(st, &err, 0, "flip.gz");
                continue;
            }
            assert_true(carries_no_data);
            assert_int_equal(size, contents[2].size);
            assert_memory_equal(bytes, contents[2].bytes, size);
            drl_free(bytes);
        }
        files_write("cut.gz", file.bytes, i);
        assert_refused(drl_archive_read_bare(files_path("cut.gz"), &bytes, &size, MIB, &err), &err, 0, "cut.gz");
        assert_null(bytes);
    }
}

/* Two gzip members in a row are one stream, both verified; anything else after the first is refused. */
static void test_gz_members_and_garbage(void **state) {
    (void)state;
    static buffer file;
    uint8_t *bytes;
    size_t size;
    drl_err err;
    file.size = 0;
    gzip_append(&file, "hello ", 6);
    size_t second = file.size;
    gzip_append(&file, "world", 5);
    files_write("two.gz", file.bytes, file.size);
    assert_int_equal(drl_archive_read_bare(files_path("two.gz"), &bytes, &size, MIB, &err), DRL_OK);
    assert_int_equal(size, 11);
    assert_memory_equal(bytes, "hello world", 11);
    drl_free(bytes);
    /* The first byte of the second member's CRC-32, then of the first's. */
    const size_t crcs[] = {file.size - 8, second - 8};
    for (int k = 0; k < 2; k++) {
        file.bytes[crcs[k]] ^= 0x40;
        files_write("bad.gz", file.bytes, file.size);
        file.bytes[crcs[k]] ^= 0x40;
        drl_status st = drl_archive_read_bare(files_path("bad.gz"), &bytes, &size, MIB, &err);
        assert_refused(st, &err, 0, k == 0 ? "gzip member 2" : "gzip member 1");
    }
    static const char *const garbage[] = {"x", "\0", "\x1f\x8b", "garbage behind the end of it all"};
    for (size_t g = 0; g < 4; g++) {
        size_t extra = g == 1 ? 1 : strlen(garbage[g]);
        memcpy(file.bytes + second, garbage[g], extra);
        files_write("garbage.gz", file.bytes, second + extra);
        assert_refused(drl_archive_read_bare(files_path("garbage.gz"), &bytes, &size, MIB, &err), &err, 0, "member 2");
    }
}

/* The limit is exact, for plain and packed files, and a bomb stops at it: little more than the limit is ever held. */
static void test_limits(void **state) {
    (void)state;
    static buffer file;
    static uint8_t zeros[16 << 20];
    uint8_t *bytes;
    size_t size;
    drl_err err;
    file.size = 0;
    gzip_append(&file, zeros, sizeof zeros);
    files_write("bomb.gz", file.bytes, file.size);
    files_write("plain", zeros, 1000);
    assert_refused(drl_archive_read_bare(files_path("bomb.gz"), &bytes, &size, 100000, &err), &err, 0, "100000 bytes");
    assert_int_equal(err.status, DRL_ERR_LIMIT);
    assert_true(drl_mem_get_stats().peak_bytes < 2 * MIB);
    assert_refused(drl_archive_read_bare(files_path("plain"), &bytes, &size, 999, &err), &err, 0, "999 bytes");
    assert_int_equal(err.status, DRL_ERR_LIMIT);
    assert_int_equal(drl_archive_read_bare(files_path("plain"), &bytes, &size, 1000, &err), DRL_OK);
    assert_int_equal(size, 1000);
    drl_free(bytes);
    assert_int_equal(drl_archive_read_bare(files_path("bomb.gz"), &bytes, &size, sizeof zeros, &err), DRL_OK);
    assert_int_equal(size, sizeof zeros);
    drl_free(bytes);
    /* Per member, and for the archive as a whole even where members are only passed over. */
    write_archive(&file, false, true);
    files_write("x.tar.gz", file.bytes, file.size);
    drl_archive *r;
    const char *name;
    assert_int_equal(drl_archive_open(&r, files_path("x.tar.gz"), DRL_ARCHIVE_MEMBERS, MIB, &err), DRL_OK);
    assert_int_equal(drl_archive_next(r, &name, &err), DRL_OK);
    assert_int_equal(drl_archive_read(r, &bytes, &size, 10, &err), DRL_ERR_LIMIT);
    assert_non_null(strstr(err.message, "x.tar.gz: a/first.txt: "));
    drl_archive_close(r);
    for (int gzip = 0; gzip < 2; gzip++) {
        const char *file_name = gzip ? "x.tar.gz" : "x.tar";
        write_archive(&file, false, gzip);
        files_write(file_name, file.bytes, file.size);
        drl_status st = drl_archive_open(&r, files_path(file_name), DRL_ARCHIVE_MEMBERS, 2000, &err);
        for (name = ""; st == DRL_OK && name;) st = drl_archive_next(r, &name, &err);
        assert_int_equal(st, DRL_ERR_LIMIT);
        drl_archive_close(r);
    }
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

static void test_not_a_file(void **state) {
    (void)state;
    uint8_t *bytes;
    size_t size;
    drl_err err;
    files_write("empty", "", 0);
    files_write("text.gz", "just text", 9);
    files_write("text.tar", "just text", 9);
    assert_refused(drl_archive_read_bare(files_path("none"), &bytes, &size, MIB, &err), &err, 0, "No such file");
    assert_refused(drl_archive_read_bare(files_dir, &bytes, &size, MIB, &err), &err, 0, "not a regular file");
    assert_refused(drl_archive_read_bare(files_path("empty"), &bytes, &size, MIB, &err), &err, 0, "empty");
    assert_refused(drl_archive_read_bare(files_path("text.gz"), &bytes, &size, MIB, &err), &err, 0, "1f 8b");
    size_t read, same;
    assert_refused(read_all(files_path("text.tar"), &read, &same, &err), &err, 0, "text.tar");
    assert_int_not_equal(drl_archive_read_bare(files_path("none"), &bytes, &size, MIB, NULL), DRL_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_tar_gz_flips_and_cuts),
        cmocka_unit_test(test_tar_gz_trailer),
        cmocka_unit_test(test_tar_cuts),
        cmocka_unit_test(test_zip_flips_and_cuts),
        cmocka_unit_test(test_bare_gz),
        cmocka_unit_test(test_gz_members_and_garbage),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_not_a_file),
    };
    return cmocka_run_group_tests_name("archive", tests, files_make, files_remove);
}
