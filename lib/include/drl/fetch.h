/* Downloading the datasets' files from where their authors publish them (libcurl).
 *
 * One table says what is published: address, size and SHA-256. A file on its way is DIR/<dataset>/<file>.part; what is
 * there of it already is not downloaded again. Only when size and SHA-256 are the published ones is it renamed to
 * DIR/<dataset>/<file>, so a file of that name is whole and right. One that is complete but wrong is set aside as
 * <file>.bad. */
#ifndef DRL_FETCH_H
#define DRL_FETCH_H

#include <stdint.h>

#include "drl/file.h"

typedef struct drl_published {
    const char *dataset; /* whose file it is; also the directory below the data directory that it is kept in        */
    const char *file;    /* its name                                                                                */
    uint64_t size;       /* bytes                                                                                   */
    char sha256[65];
    const char *base; /* FILE is at BASE/FILE; NULL: packed anew by a distribution, not fetched                     */
} drl_published;

const drl_published *drl_published_list(size_t *n);

/* The name under which a dataset's files are published ("emnist" for "emnist-letters"); NULL: none are. */
const char *drl_published_as(const char *dataset);

typedef struct drl_fetch_cfg {
    const char *data_dir; /* DIR above, made where it is missing                                                    */
    const char *mirror;   /* files are at MIRROR/<dataset>/<file> (http, https or file); NULL: as the table says    */
    void (*progress)(void *arg, const char *file, uint64_t done, uint64_t size); /* called often; may be NULL       */
    void *arg;
} drl_fetch_cfg;

typedef enum drl_fetched { DRL_FETCH_DONE, DRL_FETCH_THERE } drl_fetched; /* downloaded; was there and is right     */

/* path = DIR/<dataset>/<file>, which is published as `what` says once this returns DRL_OK. Messages begin with the
 * path, or with the address that could not be read. A file of that name that is not the published one is left alone and
 * refused (ERR_FORMAT), and so is a download that another process is at work on (ERR_IO). After a broken connection, a
 * full disk or Ctrl-C (ERR_INTERRUPTED; drl/interrupt.h) the .part file stays, and the same call goes on from there; a
 * server that cannot do so is asked for the whole file again. */
drl_status drl_fetch_file(char path[DRL_PATH_MAX], drl_fetched *fetched, const drl_published *what,
                          const drl_fetch_cfg *cfg, drl_err *err);

/* dir = where files are put unless one is named: the first of the places drl_dataset_open looks at that a variable
 * names or that exists, else the last. So it is $DRL_DATA_DIR, else $XDG_DATA_HOME/drl where that is set, else
 * ~/.local/share/drl where it exists, else "data". */
void drl_fetch_dir(char dir[DRL_PATH_MAX]);

#endif
