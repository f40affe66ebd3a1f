/* Where datasets lie on this machine. */
#ifndef DRL_PLACES_H
#define DRL_PLACES_H

#include "drl/data.h"
#include "drl/file.h"

#define DRL_PLACES 4

/* The data directories in the order they are tried: the one of the configuration (ERR_NOT_FOUND where it is given and
 * is not there), $DRL_DATA_DIR, $XDG_DATA_HOME/drl (~/.local/share/drl), ./data. The others need not exist. */
typedef struct drl_places {
    size_t n;
    char dir[DRL_PLACES][DRL_PATH_MAX];
    bool asked_for[DRL_PLACES]; /* by the configuration or a variable for this purpose, whether it is there or not */
} drl_places;
drl_status drl_places_find(drl_places *places, const drl_dataset_cfg *cfg, drl_err *err);

/* path = DIR/NAME followed by the first of the endings (up to a NULL) that is there; false: none. */
bool drl_places_file(char path[DRL_PATH_MAX], const char *dir, const char *name, const char *const *endings);

/* The same for an archive: .tar.gz, .zip and the others that archive.h reads. */
bool drl_places_archive(char path[DRL_PATH_MAX], const char *dir, const char *name);

/* Appends ", DIR" to a list of places looked at, for the message that says so. */
void drl_places_looked(char *list, size_t size, const char *dir);

#endif
