/* Archives made for the tests, in memory, by libarchive. */
#ifndef DRL_TESTS_DATA_ARCHIVES_H
#define DRL_TESTS_DATA_ARCHIVES_H

#include "files.h"

#include <archive.h>
#include <archive_entry.h>
#include <zstd.h>

typedef struct entry {
    const char *name;
    const void *bytes; /* NULL: as many zeros */
    size_t size;
    unsigned type;    /* AE_IFREG where 0 */
    const char *link; /* AE_IFLNK: the target; AE_IFREG: hard link to it */
} entry;

/* Returns the archive, which the caller frees. format: ".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst", ".zip" or
 * ".7z". libarchive's zstd frames have no checksum: zstd_append makes those that have. */
static uint8_t *archive_make(size_t *size, const char *format, const entry *entries, size_t n) {
    static const uint8_t zeros[1 << 12];
    size_t room = (size_t)1 << 16;
    for (size_t k = 0; k < n; k++) room += entries[k].size + 2048;
    uint8_t *out = malloc(room);
    struct archive *a = archive_write_new();
    assert_int_equal(archive_write_set_format_filter_by_ext(a, format), ARCHIVE_OK);
    archive_write_set_bytes_in_last_block(a, 1);
    assert_int_equal(archive_write_open_memory(a, out, room, size), ARCHIVE_OK);
    for (size_t k = 0; k < n; k++) {
        const entry *from = &entries[k];
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_perm(e, 0644);
        archive_entry_set_pathname(e, from->name);
        archive_entry_set_filetype(e, from->type ? from->type : AE_IFREG);
        if (from->link && from->type == AE_IFLNK) archive_entry_set_symlink(e, from->link);
        if (from->link && from->type != AE_IFLNK) archive_entry_set_hardlink(e, from->link);
        archive_entry_set_size(e, (la_int64_t)from->size);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        for (size_t done = 0; done < from->size;) {
            size_t part = from->bytes                        ? from->size
                          : from->size - done < sizeof zeros ? from->size - done
                                                             : sizeof zeros;
            assert_int_equal(archive_write_data(a, from->bytes ? from->bytes : zeros, part), part);
            done += part;
        }
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    return out;
}

/* The same as a file of the test's directory, NAME with the format's ending in it. */
static void archive_file(const char *name, const entry *entries, size_t n) {
    size_t size;
    uint8_t *bytes = archive_make(&size, name, entries, n);
    files_write(name, bytes, size);
    free(bytes);
}

/* Appends the bytes as one zstd frame. */
static void zstd_append(buffer *out, const void *bytes, size_t size, bool checksum) {
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, checksum);
    size_t n = ZSTD_compress2(c, out->bytes + out->size, sizeof out->bytes - out->size, bytes, size);
    assert_false(ZSTD_isError(n));
    out->size += n;
    ZSTD_freeCCtx(c);
}

#endif
