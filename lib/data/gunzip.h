/* A gzip file as a stream of verified blocks (zlib; RFC 1952).
 *
 * libarchive 3.6 decompresses gzip without looking at the CRC-32 and the length that end each gzip member, so a damaged
 * file can pass as good data. zlib checks both. Several gzip members in a row are one stream, as for gzip(1); anything
 * else behind the last member is refused. What cannot be noticed are bytes that carry no data: time stamp, XFL, OS and
 * the text flag of the gzip header, and the padding bits after the last deflate block. */
#ifndef DRL_GUNZIP_H
#define DRL_GUNZIP_H

#include <stdint.h>
#include <stdio.h>

#include "drl/err.h"
#include "drl/real.h"

typedef struct drl_gunzip drl_gunzip;

/* Takes over `file` (positioned at the first byte; closed by drl_gunzip_close, or here on failure). A stream that
 * unpacks to more than `limit` bytes is refused with ERR_LIMIT. Messages do not name the file: the caller does. */
drl_status drl_gunzip_open(drl_gunzip **gz, FILE *file, uint64_t limit, drl_err *err);
void drl_gunzip_close(drl_gunzip *gz);

/* Lends the next block, valid until the next call; *size = 0 after the last trailer has been verified. */
drl_status drl_gunzip_read(drl_gunzip *gz, const uint8_t **block, size_t *size, drl_err *err);

#endif
