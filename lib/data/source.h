/* The sources of datasets: what a file of lib/data provides to drl_dataset_open.
 *
 * A source fills an empty dataset whose name is set, from a configuration without defaults left to fill in; whatever it
 * has allocated when it fails is freed by the caller. */
#ifndef DRL_SOURCE_H
#define DRL_SOURCE_H

#include "drl/data.h"

/* Every known dataset: X(name, function, where it comes from). */
#define DRL_SOURCE_LIST(X)                                                                                             \
    X("fashion-mnist", drl_source_fashion_mnist,                                                                       \
      "IDX files in the data directory, $DRL_DATA_DIR or " DRL_FASHION_MNIST_SYSTEM_DIR                                \
      " (apt-get install dataset-fashion-mnist)")                                                                      \
    X("synthetic:factors", drl_source_synthetic_factors, "drawn: colour images with known factors, no files needed")   \
    X("synthetic:shapes-grey", drl_source_synthetic_grey, "drawn: the same with one channel")

#define DRL_FASHION_MNIST_SYSTEM_DIR "/usr/share/datasets/fashion-mnist"

#define DRL_SOURCE_DECLARE(name, function, help)                                                                       \
    drl_status function(drl_dataset *ds, const drl_dataset_cfg *cfg, drl_err *err);
DRL_SOURCE_LIST(DRL_SOURCE_DECLARE)
#undef DRL_SOURCE_DECLARE

/* Allocates the split's zeroed pixels, labels and `factors` factors; ERR_LIMIT beyond 2^32 - 1 images or 16 GiB. */
drl_status drl_images_alloc(drl_images *im, size_t n, size_t h, size_t w, size_t c, size_t factors, drl_err *err);

/* dir (size bytes) = the first of n directories that holds a file of Fashion-MNIST. NULL entries are passed over. Where
 * there is none the message lists them all and says how to get the data. */
drl_status drl_fashion_mnist_find(char *dir, size_t size, const char *const *dirs, size_t n, drl_err *err);

#endif
