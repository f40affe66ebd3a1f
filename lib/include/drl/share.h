/* Files that come with the suite: scales of experiments, plot scripts. */
#ifndef DRL_SHARE_H
#define DRL_SHARE_H

#include "drl/file.h"

/* path = where NAME ("plots", "experiments/downstream") is: in $DRL_SHARE_DIR, if that is set; in the source tree the
 * library was built from, if it is there; in ../share/drl beside the program's directory; or in the share/drl of the
 * configured prefix, there or not. A name that is too long is cut off, and then not found. */
void drl_share_path(char path[DRL_PATH_MAX], const char *name);

#endif
