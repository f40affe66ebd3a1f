/* Temporary names of files that are written whole and then renamed into place.
 *
 * A process killed while it writes leaves such a file behind. Its name says who wrote it, so that a later run can tell
 * what is left over from what another program is writing just now. */
#ifndef DRL_TEMPORARY_H
#define DRL_TEMPORARY_H

#include <stdbool.h>
#include <stddef.h>

/* buf = "PATH.tmp.HOST.PROCESS.SERIAL", another one at every call; false where it does not fit. */
bool drl_temporary_name(char *buf, size_t size, const char *path);

/* Removes the files of a directory whose names hold such a part and whose process is gone. Other hosts' files are left
 * alone, and so is whatever cannot be read or removed. */
void drl_temporary_sweep(const char *dir);

#endif
