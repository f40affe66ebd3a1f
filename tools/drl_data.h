/* drl data COMMAND: what its commands share. */
#ifndef DRL_TOOLS_DATA_H
#define DRL_TOOLS_DATA_H

#include "drl/data.h"

/* The command line. */
typedef struct data_args {
    const char *name; /* of the dataset; NULL where the command takes none */
    char data_dir[1024], mirror[1024], out[1024], grid[32];
    size_t size, seed, threads;
    int split, resize;
    bool skip_bad, json, quiet;
} data_args;

typedef drl_status data_command(const data_args *a, drl_err *err);
data_command data_list, data_info, data_verify, data_fetch, data_export, data_show;

/* drl data ARGUMENTS...: argv[0] is "data". Returns the exit status. */
int data_main(int argc, char **argv);

/* The dataset the command line names; without `cache` it is decoded whatever is cached. *team is lent to it: the caller
 * closes it afterwards, and after a failure too. */
drl_status data_open(drl_dataset **ds, drl_threads **team, const data_args *a, bool cache, drl_err *err);
drl_dataset_cfg data_cfg(const data_args *a);

/* Is it the name of a dataset, or of several that are published together? */
bool data_is_known(const char *name);

#endif
