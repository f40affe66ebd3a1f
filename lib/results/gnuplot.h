/* Running gnuplot; for the figures and for its version. */
#ifndef DRL_RESULTS_GNUPLOT_H
#define DRL_RESULTS_GNUPLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "drl/err.h"

/* Runs gnuplot with these arguments (argv[0] is "gnuplot", NULL at the end), no input. text = the first size - 1 bytes
 * of what it printed, *status = its exit status (-1 where a signal ended it). Fails where it cannot be run at all. */
drl_status drl_gnuplot_run(char *text, size_t size, int *status, char *const *argv, drl_err *err);

#endif
