/* The pictures of a directory or of an archive, one after the other: the same ones in the same order each time.
 *
 * A picture is a file whose name ends in .jpg, .jpeg or .png, in capitals or not. Everything else is passed over, and
 * so is what is hidden: names that start with a dot, and __MACOSX, which macOS adds to its zips. In a directory links
 * are followed; archives with links are refused (archive.h). */
#ifndef DRL_MEMBERS_H
#define DRL_MEMBERS_H

#include <stdint.h>

#include "drl/data.h"
#include "drl/err.h"

typedef struct drl_members drl_members;

/* *out = a directory, else any archive that archive.h reads; messages name path and member. */
drl_status drl_members_open(drl_members **out, const char *path, drl_err *err);
void drl_members_close(drl_members *members);

/* Moves to the next picture: *name, its path below the directory or in the archive, is lent until the next call; NULL
 * after the last one. */
drl_status drl_members_next(drl_members *members, const char **name, drl_err *err);

/* *bytes (*size) = its contents, once for each; ERR_LIMIT where there are more than `limit`. The caller owns *bytes and
 * frees it with drl_free; NULL on failure. */
drl_status drl_members_read(drl_members *members, uint8_t **bytes, size_t *size, size_t limit, drl_err *err);

/* sha256 = digest of the archive; of a directory that of the lines "NAME SIZE SHA256" of its pictures, in their order.
 * Remembered as long as names, sizes, times and inodes stay (cache.h). */
drl_status drl_members_identify(char sha256[65], const char *path, const drl_dataset_cfg *cfg, drl_err *err);

#endif
