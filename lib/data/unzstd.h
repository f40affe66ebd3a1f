/* A zstd file as a stream of verified blocks (libzstd; RFC 8878).
 *
 * The checksum of a zstd frame's contents is optional. A frame without one is refused: a changed byte could pass as
 * good data (`zstd` and `tar --zstd` write it by default; libarchive's and Python's writers do not). Several
 * frames in a row are one stream; skippable frames are passed over; anything else behind the last frame is refused. */
#ifndef DRL_UNZSTD_H
#define DRL_UNZSTD_H

#include <stdint.h>
#include <stdio.h>

#include "drl/err.h"
#include "drl/real.h"

typedef struct drl_unzstd drl_unzstd;

/* As drl_gunzip_open, drl_gunzip_read and drl_gunzip_close (gunzip.h). */
drl_status drl_unzstd_open(drl_unzstd **zs, FILE *file, uint64_t limit, drl_err *err);
drl_status drl_unzstd_read(drl_unzstd *zs, const uint8_t **block, size_t *size, drl_err *err);
void drl_unzstd_close(drl_unzstd *zs);

#endif
