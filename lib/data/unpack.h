/* A compressed file as a stream of verified blocks, whichever of gzip, zstd, bzip2 and xz it is.
 *
 * libarchive decompresses only as far as the archive within goes, and so never sees the checksum of the last block; and
 * of gzip it sees none. Here the stream is read to its end: gzip and zstd by gunzip.h and unzstd.h, bzip2 and xz by
 * libarchive, whose libraries verify their checksums. An xz file written without a check is refused. */
#ifndef DRL_UNPACK_H
#define DRL_UNPACK_H

#include <stdint.h>
#include <stdio.h>

#include "drl/err.h"
#include "drl/real.h"

typedef struct drl_unpack drl_unpack;

/* Looks at the first bytes of `file` and takes it over: closed here on failure, by drl_unpack_close, or, where it is
 * not compressed, here with *unpack = NULL. More than `limit` unpacked bytes are refused with ERR_LIMIT. Messages do
 * not name the file: the caller does. */
drl_status drl_unpack_open(drl_unpack **unpack, FILE *file, uint64_t limit, drl_err *err);
void drl_unpack_close(drl_unpack *unpack);

/* Lends the next block, valid until the next call; *size = 0 after the end has been verified. */
drl_status drl_unpack_read(drl_unpack *unpack, const uint8_t **block, size_t *size, drl_err *err);

#endif
