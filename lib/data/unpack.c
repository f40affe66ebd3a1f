/* A compressed file as a stream of verified blocks (unpack.h). */
#include "unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "drl/mem.h"
#include "gunzip.h"
#include "unzstd.h"

#define BLOCK ((size_t)1 << 16)

struct drl_unpack {
    drl_gunzip *gz; /* one of the three is set */
    drl_unzstd *zs;
    struct archive *raw;   /* bzip2 and xz: ...                        */
    FILE *file;            /* ... read from here                       */
    uint64_t total, limit; /* ... bytes unpacked                       */
    uint8_t in[BLOCK];
};

static bool starts_with(const uint8_t *bytes, size_t size, const char *magic, size_t length) {
    return size >= length && memcmp(bytes, magic, length) == 0;
}

static la_ssize_t read_file(struct archive *a, void *self, const void **block) {
    drl_unpack *u = self;
    *block = u->in;
    size_t got = fread(u->in, 1, sizeof u->in, u->file);
    if (!ferror(u->file)) return (la_ssize_t)got;
    archive_set_error(a, EIO, "cannot read: %s", strerror(errno));
    return ARCHIVE_FATAL;
}

static drl_status fail_raw(drl_unpack *u, drl_err *err) {
    const char *what = archive_error_string(u->raw);
    return drl_fail(err, archive_errno(u->raw) == ENOMEM ? DRL_ERR_MEMORY : DRL_ERR_FORMAT, "%s",
                    what ? what : "cannot unpack");
}

static drl_status open_raw(drl_unpack *u, drl_err *err) {
    struct archive_entry *entry;
    if (!(u->raw = archive_read_new())) return drl_fail(err, DRL_ERR_MEMORY, "cannot start libarchive");
    archive_read_support_format_raw(u->raw);
    archive_read_support_filter_bzip2(u->raw);
    archive_read_support_filter_xz(u->raw);
    if (archive_read_open(u->raw, u, NULL, read_file, NULL) != ARCHIVE_OK ||
        archive_read_next_header(u->raw, &entry) != ARCHIVE_OK)
        return fail_raw(u, err);
    return DRL_OK;
}

drl_status drl_unpack_open(drl_unpack **out, FILE *file, uint64_t limit, drl_err *err) {
    *out = NULL;
    uint8_t magic[8];
    size_t size = fread(magic, 1, sizeof magic, file);
    rewind(file);
    bool gz = starts_with(magic, size, "\x1f\x8b", 2), zs = starts_with(magic, size, "\x28\xb5\x2f\xfd", 4);
    bool bz = starts_with(magic, size, "BZh", 3), xz = starts_with(magic, size,
                                                                   "\xfd"
                                                                   "7zXZ\0",
                                                                   6);
    drl_unpack *u = NULL;
    drl_status st = DRL_OK;
    if (!gz && !zs && !bz && !xz) {
        fclose(file);
        return DRL_OK;
    }
    if (xz && size == sizeof magic && (magic[7] & 0x0f) == 0)
        st = drl_fail(err, DRL_ERR_FORMAT, "the xz stream has no check, so that damage could not be seen");
    if (st == DRL_OK) st = drl_alloc(&u, 1, sizeof *u, "reader of a compressed file", err);
    if (st != DRL_OK) {
        fclose(file);
        return st;
    }
    u->limit = limit;
    if (gz) {
        st = drl_gunzip_open(&u->gz, file, limit, err);
    } else if (zs) {
        st = drl_unzstd_open(&u->zs, file, limit, err);
    } else {
        u->file = file;
        st = open_raw(u, err);
    }
    if (st == DRL_OK)
        *out = u;
    else
        drl_unpack_close(u);
    return st;
}

void drl_unpack_close(drl_unpack *u) {
    if (!u) return;
    drl_gunzip_close(u->gz);
    drl_unzstd_close(u->zs);
    if (u->raw) archive_read_free(u->raw);
    if (u->file) fclose(u->file);
    drl_free(u);
}

drl_status drl_unpack_read(drl_unpack *u, const uint8_t **block, size_t *size, drl_err *err) {
    if (u->gz) return drl_gunzip_read(u->gz, block, size, err);
    if (u->zs) return drl_unzstd_read(u->zs, block, size, err);
    const void *bytes = NULL;
    la_int64_t offset;
    *size = 0;
    int code = archive_read_data_block(u->raw, &bytes, size, &offset);
    if (code != ARCHIVE_OK && code != ARCHIVE_EOF) return fail_raw(u, err);
    *block = bytes;
    if (code == ARCHIVE_EOF) *size = 0;
    u->total += *size;
    if (u->total > u->limit)
        return drl_fail(err, DRL_ERR_LIMIT, "unpacks to more than the %llu bytes allowed",
                        (unsigned long long)u->limit);
    return DRL_OK;
}
