/* What the library keeps so that a dataset opens quickly again: decoded datasets, and digests of large files.
 *
 * A decoded dataset is one file, named by the SHA-256 of (the source's SHA-256, the dataset's name, the options that
 * change the result), written under a temporary name and renamed:
 *
 *   header     magic, version, byte order, key, names, shapes, mean and deviation, hash of the data, hash of the header
 *   data       for each split: pixels (n, h, w, c) uint8, labels (n) int32, factors (n) int32 each; aligned to 64 bytes
 *
 * Everything in it is a claim until the file's size, both hashes (XXH3) and the range of the labels have been checked;
 * a file that fails is as good as none and is written anew. A cache that cannot be written is no error. */
#ifndef DRL_CACHE_H
#define DRL_CACHE_H

#include <time.h>

#include "drl/data.h"

/* dir = where the configuration wants caches to be; false: nowhere. */
bool drl_cache_dir(char *dir, size_t size, const drl_dataset_cfg *cfg);

/* Fills *ds, whose name is set, with a cached dataset mapped into memory, all but `normalised`; false, and *ds
 * untouched, where there is none or it is damaged. */
bool drl_cache_load(drl_dataset *ds, const char *source_sha256, const drl_dataset_cfg *cfg);

/* Keeps a dataset for drl_cache_load. Small ones are not worth a file: nothing is written. */
drl_status drl_cache_store(const drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err);

/* sha256 = digest of a file's bytes, remembered by path, size, times and inode where the file is large; the message
 * names the path. */
drl_status drl_identify_file(char sha256[65], const char *path, const drl_dataset_cfg *cfg, drl_err *err);

/* The digest remembered for a state, which is any text that changes whenever the digest would: false where there is
 * none. To remember one is an attempt: it may fail unseen. */
bool drl_recall(char sha256[65], const char *state, const drl_dataset_cfg *cfg);
void drl_remember(const char *sha256, const char *state, const drl_dataset_cfg *cfg);
/* Has enough time passed since a file's last change that another one would show in its times? */
bool drl_settled(time_t changed);

#endif
