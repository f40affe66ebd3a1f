/* Pictures in folders of classes: what is in them, and in which order.
 *
 *   train/CLASS/PICTURE and test/CLASS/PICTURE, or CLASS/PICTURE; one directory around all of it is tolerated.
 *
 * Classes are the names of the directories, in the order of their bytes. Without train/ and test/ a sixth of each
 * class's pictures, rounded, but one of two or more, is the test split: drawn by the seed, whatever the order in the
 * archive. Within a split come first the first pictures of all classes by name, then the second ones, and so on until
 * the longest class ends: so a limit that is not below the number of classes leaves all of them. Limits and order are
 * those of the listing: a picture that is skipped later leaves a gap that closes. */
#ifndef DRL_FOLDER_H
#define DRL_FOLDER_H

#include "drl/data.h"
#include "members.h"

typedef struct drl_folder_picture {
    size_t at;              /* of its path in drl_folder_list.names                            */
    const char *class_path; /* in its path: ends with '/'                                      */
    uint8_t split;          /* drl_split                                                       */
    uint16_t label;         /* of its class                                                    */
    uint32_t rank;          /* among the pictures of its class and split                       */
    uint32_t place;         /* in its split; DRL_FOLDER_UNUSED: beyond the limit               */
    bool skipped;           /* by drl_folder_decode                                            */
} drl_folder_picture;
#define DRL_FOLDER_UNUSED UINT32_MAX

typedef struct drl_folder_list {
    size_t n, room;
    drl_folder_picture *pictures; /* (n) in the order of members.h */
    size_t used, names_room;
    char *names;                /* (used) paths, each ended by 0 */
    size_t n_split[DRL_SPLITS]; /* pictures that are used */
    size_t classes;
    char class_names[256][32];
} drl_folder_list;

/* Lists the pictures and gives each its class, split and place. Refused, in a line that names a member where one is to
 * blame: no pictures, one class, paths of another depth, a class of test/ that train/ lacks, more than 256 classes,
 * names that do not fit. The caller frees a zeroed list's contents with drl_folder_list_free, after failure as well. */
drl_status drl_folder_list_make(drl_folder_list *list, const char *path, const drl_dataset_cfg *cfg, drl_err *err);
void drl_folder_list_free(drl_folder_list *list);

/* Decodes the pictures of a list into the dataset, on the configuration's team, while they are read, and marks those
 * that are skipped. */
drl_status drl_folder_decode(drl_dataset *ds, drl_folder_list *list, const char *path, const drl_dataset_cfg *cfg,
                             drl_err *err);

#endif
