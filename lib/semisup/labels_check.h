/* What propagation asks of its labels. */
#ifndef DRL_SEMISUP_LABELS_CHECK_H
#define DRL_SEMISUP_LABELS_CHECK_H

#include <stdbool.h>

#include "drl/propagation.h"

/* ERR_SHAPE for 0 classes, ERR_FORMAT for a label outside -1 .. classes - 1, ERR_CONFIG where a class (`each`), or
 * every class, has no labelled row. */
drl_status drl_labels_check(const int32_t *labels, size_t n, size_t classes, bool each, drl_err *err);

#endif
