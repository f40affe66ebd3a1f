/* Names of pictures, made of a list of them. */
#ifndef DRL_PICTURE_NAMES_H
#define DRL_PICTURE_NAMES_H

#include "drl/data.h"

/* *out = the names of a split's n images in their order; name (n): each CLASS/PICTURE and no two the same (asserted),
 * copied. The caller owns *out; NULL after failure. ERR_MEMORY. */
drl_status drl_picture_names_make(drl_picture_names **out, const char *const *name, size_t n, drl_split split,
                                  drl_err *err);

#endif
