/* The source folder:PATH, pictures in folders of classes (folder.h). */
#include "folder.h"

#include <string.h>

#include "source.h"

drl_status drl_identify_folder(char sha256[65], const drl_dataset_cfg *cfg, drl_err *err) {
    return drl_members_identify(sha256, drl_source_path(cfg->name), cfg, err);
}

/* Twice over the archive: once for its names, which decide where each picture goes, and once for the pictures, which
 * then go there at once. Unpacking is cheap beside decoding, and memory holds the dataset and no more. */
drl_status drl_source_folder(drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err) {
    const char *path = drl_source_path(cfg->name);
    drl_folder_list list = {0};
    drl_status st = drl_identify_folder(ds->sha256, cfg, err);
    if (st == DRL_OK) st = drl_folder_list_make(&list, path, cfg, err);
    if (st == DRL_OK) {
        ds->classes = list.classes;
        memcpy(ds->class_names, list.class_names, sizeof ds->class_names);
        st = drl_folder_decode(ds, &list, path, cfg, err);
    }
    drl_folder_list_free(&list);
    return st;
}
