/* Is a file what its author publishes? The table is in drl/fetch.h. */
#ifndef DRL_PUBLISHED_H
#define DRL_PUBLISHED_H

#include "drl/data.h"
#include "drl/fetch.h"

/* Is a file of this dataset, size and digest what its name says? A file that has the published size of its name, but
 * another digest, is damaged or altered, and one that is published as another dataset is misplaced: both are refused
 * with ERR_FORMAT. A file of any other size is nobody's: its own checks have to do. The message does not name it. */
drl_status drl_published_check(const char *dataset, const char *file, uint64_t size, const char *sha256, drl_err *err);

/* sha256 = digest of a file of this dataset (cache.h, drl_identify_file), refused as above; the message names it. */
drl_status drl_identify_published(char sha256[65], const char *dataset, const char *path, const drl_dataset_cfg *cfg,
                                  drl_err *err);

#endif
