/* The sources of datasets: what a file of lib/data provides to drl_dataset_open.
 *
 * A source fills an empty dataset whose name is set (split, classes, class_names, sha256), from a configuration without
 * defaults left to fill in; whatever it has allocated when it fails is freed by the caller. */
#ifndef DRL_SOURCE_H
#define DRL_SOURCE_H

#include "drl/data.h"

typedef drl_status drl_source_fn(drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err);
typedef drl_status drl_identify_fn(char sha256[65], const drl_dataset_cfg *cfg, drl_err *err);
typedef drl_status drl_locate_fn(drl_dataset_files *files, const drl_dataset_cfg *cfg, drl_err *err);

typedef struct drl_source {
    const char *name; /* the dataset's, or a prefix that ends in ':' and is followed by a path, found in cfg->name */
    drl_source_fn *open;
    drl_locate_fn *locate;     /* the files; NULL: none, or of a prefix the path that follows it                    */
    drl_identify_fn *identify; /* the sha256 that open would give, without decoding; NULL: never cached             */
    const char *help;          /* where it comes from, in a line                                                    */
} drl_source;

/* The source of a name; NULL: there is none, which drl_source_unknown reports with the names of all. */
const drl_source *drl_source_find(const char *name);
drl_status drl_source_unknown(const char *name, drl_err *err);
/* What follows the prefix in a name; NULL where the name's source is not a prefix. */
const char *drl_source_path(const char *name);

/* "NAME: message"; "PREFIX: message" where the message begins with the name's path, so that it is there once. */
drl_status drl_source_context(drl_err *err, drl_status status, const char *name);

drl_source_fn drl_source_idx, drl_source_cifar, drl_source_folder, drl_source_npz, drl_source_synthetic_factors,
    drl_source_synthetic_grey;
drl_locate_fn drl_locate_idx, drl_locate_cifar;
drl_identify_fn drl_identify_idx, drl_identify_cifar, drl_identify_folder, drl_identify_npz;

#define DRL_FASHION_MNIST_SYSTEM_DIR "/usr/share/datasets/fashion-mnist"

/* Allocates the split's zeroed pixels, labels and `factors` factors; ERR_LIMIT beyond 2^32 - 1 images or 16 GiB. */
drl_status drl_images_alloc(drl_images *im, size_t n, size_t h, size_t w, size_t c, size_t factors, drl_err *err);

#endif
