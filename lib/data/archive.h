/* Reading archives member by member (libarchive): open, next, read, close.
 *
 * Sizes found in a file are claims: nothing large is allocated from them, memory grows with the bytes that really
 * arrive, and reading stops at the limits the caller gives. Compressed streams are unpacked and verified to their end
 * by unpack.h; zip and 7z members by libarchive against their CRC-32. A plain tar has no checksum of its contents.
 * Every message names the file, and the member where there is one.
 *
 * Nothing is ever unpacked to disk. All the same an archive is refused that no honest tool would have made of a
 * dataset: with absolute paths, with ".." in a path, with links or devices, or with two members of one name. */
#ifndef DRL_ARCHIVE_H
#define DRL_ARCHIVE_H

#include <stdint.h>

#include "drl/err.h"
#include "drl/real.h"

typedef enum drl_archive_kind {
    DRL_ARCHIVE_MEMBERS, /* tar, zip or 7z                                                                   */
    DRL_ARCHIVE_BARE,    /* one member without a name: the file itself, or what a bare .gz, .xz ... unpacks to */
} drl_archive_kind;

typedef struct drl_archive drl_archive;

#define DRL_ARCHIVE_MEMBER_LIMIT ((size_t)4 << 20)

/* The whole archive may unpack to at most `total` bytes, members that are skipped included where passing over them
 * means unpacking them (all but zip), and hold at most DRL_ARCHIVE_MEMBER_LIMIT entries, or as many as
 * drl_archive_limit_members says. A file whose name ends in .gz or .tgz has to be gzip. */
drl_status drl_archive_open(drl_archive **archive, const char *path, drl_archive_kind kind, uint64_t total,
                            drl_err *err);
void drl_archive_limit_members(drl_archive *archive, size_t limit);
void drl_archive_close(drl_archive *archive);

/* Moves to the next regular file; directories are passed over. *name, without "./" in front, is lent until the next
 * call and "" for a bare file; NULL after the last member. Only then has the end of the archive been verified: read on
 * to it. */
drl_status drl_archive_next(drl_archive *archive, const char **name, drl_err *err);

/* *bytes (*size) = the member's contents, once for each member. A member of more than `limit` bytes is refused with
 * ERR_LIMIT. The caller owns *bytes and frees it with drl_free; NULL on failure. */
drl_status drl_archive_read(drl_archive *archive, uint8_t **bytes, size_t *size, size_t limit, drl_err *err);

/* *bytes (*size) = what a gzip file held in memory (packed_size bytes at packed) unpacks to, of at most `limit` bytes.
 * Ownership as above; the message does not name it. */
drl_status drl_archive_unpack_gzip(uint8_t **bytes, size_t *size, const uint8_t *packed, size_t packed_size,
                                   size_t limit, drl_err *err);

/* *bytes (*size) = contents of a bare file, plain or compressed, of at most `limit` bytes. Ownership as above. */
drl_status drl_archive_read_bare(const char *path, uint8_t **bytes, size_t *size, size_t limit, drl_err *err);

#endif
