/* drl runs COMMAND: what its commands share. */
#ifndef DRL_TOOLS_RUNS_H
#define DRL_TOOLS_RUNS_H

#include "drl/runs.h"

#define RUNS_IDS 1024

/* The command line. */
typedef struct runs_args {
    char out[1024], experiment[128], method[128], dataset[256], status[32], file[1024];
    bool yes, csv;
    const char *other; /* the store to merge */
    int64_t ids[RUNS_IDS];
    size_t n_ids;
} runs_args;

typedef drl_status runs_command(drl_store *store, const runs_args *a, drl_err *err);
runs_command runs_list, runs_show, runs_diff, runs_delete, runs_export, runs_merge;

/* drl runs ARGUMENTS...: argv[0] is "runs". Returns the exit status. */
int runs_main(int argc, char **argv);

/* What the flags ask for. */
drl_run_filter runs_filter(const runs_args *a);

#endif
