/* Reading archives member by member (libarchive): open, next, read, close.
 *
 * Sizes found in a file are claims: nothing is allocated from them, memory grows with the bytes that really arrive, and
 * reading stops at the limits the caller gives. gzip is unpacked by gunzip.h, which verifies its checksums; bzip2, xz
 * and zstd by libarchive, whose libraries verify theirs. Every message names the file, and the member where there is
 * one. */
#ifndef DRL_ARCHIVE_H
#define DRL_ARCHIVE_H

#include <stdint.h>

#include "drl/err.h"
#include "drl/real.h"

typedef enum drl_archive_kind {
    DRL_ARCHIVE_MEMBERS, /* tar or zip                                                                       */
    DRL_ARCHIVE_BARE,    /* one member without a name: the file itself, or what a bare .gz, .xz ... unpacks to */
} drl_archive_kind;

typedef struct drl_archive drl_archive;

/* The whole archive may unpack to at most `total` bytes, members that are skipped included. A file whose name ends in
 * .gz or .tgz has to be gzip. */
drl_status drl_archive_open(drl_archive **archive, const char *path, drl_archive_kind kind, uint64_t total,
                            drl_err *err);
void drl_archive_close(drl_archive *archive);

/* Moves to the next regular file; directories, links and devices are passed over. *name is lent until the next call and
 * "" for a bare file; NULL after the last member. Only then has the end of the archive been verified: read on to it. */
drl_status drl_archive_next(drl_archive *archive, const char **name, drl_err *err);

/* *bytes (*size) = the member's contents, once for each member. A member of more than `limit` bytes is refused with
 * ERR_LIMIT. The caller owns *bytes and frees it with drl_free; NULL on failure. */
drl_status drl_archive_read(drl_archive *archive, uint8_t **bytes, size_t *size, size_t limit, drl_err *err);

/* *bytes (*size) = contents of a bare file, plain or compressed, of at most `limit` bytes. Ownership as above. */
drl_status drl_archive_read_bare(const char *path, uint8_t **bytes, size_t *size, size_t limit, drl_err *err);

#endif
