/* Damage in every compressed form: each byte changed, each cut. Either the archive is refused, or what came out of it
 * is what went in. */
#include "archives.h"

#include "data/archive.h"

#define MIB ((size_t)1 << 20)

static uint8_t first[40], second[900];
static const entry entries[] = {{.name = "a/first", .bytes = first, .size = sizeof first},
                                {.name = "b/second", .bytes = second, .size = sizeof second}};

static void make_contents(void) {
    for (size_t i = 0; i < sizeof first; i++) first[i] = (uint8_t)(i + 1);
    for (size_t i = 0; i < sizeof second; i++) second[i] = (uint8_t)((i * i) % 251 + i / 30);
}

/* *same: members under their names with their contents; *named: members under their names. */
static drl_status read_all(const char *file, size_t *named, size_t *same, drl_err *err) {
    drl_archive *r;
    const char *name;
    uint8_t *bytes;
    size_t size;
    *named = *same = 0;
    drl_status st = drl_archive_open(&r, files_path(file), DRL_ARCHIVE_MEMBERS, MIB, err);
    if (st != DRL_OK) return st;
    while ((st = drl_archive_next(r, &name, err)) == DRL_OK && name) {
        int which = strcmp(name, entries[0].name) == 0 ? 0 : strcmp(name, entries[1].name) == 0 ? 1 : -1;
        if ((st = drl_archive_read(r, &bytes, &size, MIB, err)) != DRL_OK) break;
        if (which >= 0) (*named)++;
        if (which >= 0 && size == entries[which].size && memcmp(bytes, entries[which].bytes, size) == 0) (*same)++;
        drl_free(bytes);
    }
    drl_archive_close(r);
    return st;
}

/* Flips bits of every byte and cuts before every byte. Returns how many flips were accepted. */
static size_t bend(const char *file, uint8_t *bytes, size_t size) {
    static const uint8_t masks[] = {0x05, 0xf0};
    size_t named, same, accepted = 0;
    drl_err err;
    files_write(file, bytes, size);
    drl_status st = read_all(file, &named, &same, &err);
    if (st != DRL_OK) fail_msg("%s", err.message);
    assert_int_equal(same, 2);
    for (size_t i = 0; i < size; i++) {
        for (size_t m = 0; m < sizeof masks; m++) {
            bytes[i] ^= masks[m];
            files_write(file, bytes, size);
            bytes[i] ^= masks[m];
            if ((st = read_all(file, &named, &same, &err)) != DRL_OK)
                assert_refused(st, &err, 0, file);
            else if (named != same)
                fail_msg("%s: byte %zu ^ %02x: wrong data was accepted", file, i, masks[m]);
            else
                accepted++;
        }
        files_write(file, bytes, i);
        if ((st = read_all(file, &named, &same, &err)) == DRL_OK) fail_msg("%s: cut at %zu was accepted", file, i);
        assert_refused(st, &err, 0, file);
    }
    return accepted;
}

static void test_zstd(void **state) {
    (void)state;
    static buffer file;
    size_t size, named, same;
    drl_err err;
    make_contents();
    uint8_t *tar = archive_make(&size, "x.tar", entries, 2);
    file.size = 0;
    zstd_append(&file, tar, size, true);
    assert_true(bend("x.tar.zst", file.bytes, file.size) < file.size / 20);
    /* Two frames, and a frame to be skipped between them, are one stream. */
    file.size = 0;
    zstd_append(&file, tar, 1000, true);
    memcpy(file.bytes + file.size, "\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
    file.size += 11;
    zstd_append(&file, tar + 1000, size - 1000, true);
    files_write("two.tar.zst", file.bytes, file.size);
    if (read_all("two.tar.zst", &named, &same, &err) != DRL_OK) fail_msg("%s", err.message);
    assert_int_equal(same, 2);
    files_write("two.tar.zst", file.bytes, file.size + 1);
    assert_refused(read_all("two.tar.zst", &named, &same, &err), &err, 0, "zstd frame 4 is cut short");
    memcpy(file.bytes + file.size, "rubbish", 7);
    files_write("two.tar.zst", file.bytes, file.size + 7);
    assert_refused(read_all("two.tar.zst", &named, &same, &err), &err, 0, "after the end of the zstd stream");
    /* Every frame needs a checksum. */
    for (int without = 0; without < 2; without++) {
        file.size = 0;
        zstd_append(&file, tar, 1000, without != 0);
        zstd_append(&file, tar + 1000, size - 1000, without != 1);
        files_write("x.tar.zst", file.bytes, file.size);
        const char *piece = without == 0 ? "zstd frame 1 has no checksum" : "zstd frame 2 has no checksum";
        assert_refused(read_all("x.tar.zst", &named, &same, &err), &err, 0, piece);
    }
    free(tar);
}

/* xz and bzip2 by libarchive, read to the end of the stream. */
static void test_xz_and_bzip2(void **state) {
    (void)state;
    make_contents();
    static const char *const files[] = {"x.tar.xz", "x.tar.bz2"};
    for (int k = 0; k < 2; k++) {
        size_t size;
        uint8_t *bytes = archive_make(&size, files[k], entries, 2);
        size_t accepted = bend(files[k], bytes, size);
        if (accepted > size / 20) fail_msg("%s: %zu of %zu flips accepted", files[k], accepted, 2 * size);
        free(bytes);
    }
}

static void test_zip_and_7z(void **state) {
    (void)state;
    make_contents();
    size_t size;
    uint8_t *bytes = archive_make(&size, "x.7z", entries, 2);
    size_t accepted = bend("x.7z", bytes, size);
    if (accepted > size / 5) fail_msg("7z: %zu of %zu flips accepted", accepted, 2 * size);
    free(bytes);
}

/* The compressed stream goes on far behind the end mark of the tar, where a reader of the tar has no reason to look:
 * its last block is verified all the same. */
static void test_ends(void **state) {
    (void)state;
    static uint8_t padded[300000];
    static buffer packed;
    static const char *const files[] = {"end.tar.zst", "end.tar.xz", "end.tar.bz2"};
    size_t size, named, same;
    drl_err err;
    make_contents();
    uint8_t *tar = archive_make(&size, "x.tar", entries, 2);
    memcpy(padded, tar, size);
    for (size_t i = size; i < sizeof padded; i++) padded[i] = (uint8_t)(i % 64 ? 0 : i * i / 4096);
    free(tar);
    for (int k = 0; k < 3; k++) {
        packed.size = 0;
        if (k == 0) {
            zstd_append(&packed, padded, sizeof padded, true);
        } else {
            struct archive *a = archive_write_new();
            struct archive_entry *e = archive_entry_new();
            archive_write_set_format_raw(a);
            k == 1 ? archive_write_add_filter_xz(a) : archive_write_add_filter_bzip2(a);
            archive_write_set_bytes_in_last_block(a, 1);
            archive_write_open_memory(a, packed.bytes, sizeof packed.bytes, &packed.size);
            archive_entry_set_filetype(e, AE_IFREG);
            assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
            assert_int_equal(archive_write_data(a, padded, sizeof padded), sizeof padded);
            archive_entry_free(e);
            assert_int_equal(archive_write_close(a), ARCHIVE_OK);
            archive_write_free(a);
        }
        files_write(files[k], packed.bytes, packed.size);
        if (read_all(files[k], &named, &same, &err) != DRL_OK) fail_msg("%s", err.message);
        assert_int_equal(same, 2);
        files_write(files[k], packed.bytes, packed.size - 1);
        assert_refused(read_all(files[k], &named, &same, &err), &err, 0, files[k]);
        size_t last = packed.size - (k == 1 ? 40 : 3); /* xz: within the block's check or the index */
        packed.bytes[last] ^= 0x10;
        files_write(files[k], packed.bytes, packed.size);
        assert_refused(read_all(files[k], &named, &same, &err), &err, 0, files[k]);
    }
}

/* An xz stream that was written without a check. */
static void test_xz_without_check(void **state) {
    (void)state;
    static const uint8_t header[] = {0xfd, '7', 'z', 'X', 'Z', 0, 0, 0, 0xff, 0x12, 0xd9, 0x41};
    size_t named, same;
    drl_err err;
    files_write("none.tar.xz", header, sizeof header);
    assert_refused(read_all("none.tar.xz", &named, &same, &err), &err, 0, "the xz stream has no check");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zstd), cmocka_unit_test(test_xz_and_bzip2),     cmocka_unit_test(test_zip_and_7z),
        cmocka_unit_test(test_ends), cmocka_unit_test(test_xz_without_check),
    };
    return cmocka_run_group_tests_name("compressed archives", tests, files_make, files_remove);
}
