/* .ini files: "key = value" lines below "[section]" lines (inih: comments start with ; or #). */
#ifndef DRL_INI_H
#define DRL_INI_H

#include "drl/err.h"

/* One pair, in line `line`; section "" before the first one. All three are lent for the call. */
typedef drl_status drl_ini_pair(void *arg, const char *section, const char *key, const char *value, int line,
                                drl_err *err);

/* Hands every pair of a file, in order, to `pair`, until one is refused. Errors say "file:line:": what `pair` said;
 * ERR_CONFIG for a line that is neither, that has more than 197 characters or a zero byte; ERR_IO. */
drl_status drl_ini_read(const char *path, drl_ini_pair *pair, void *arg, drl_err *err);

#endif
