/* Datasets as NumPy archives (.npz): a zip of arrays, what numpy.savez writes and numpy.load reads. The dataset
 * npz:PATH reads them; see drl_dataset_help. */
#ifndef DRL_NPZ_H
#define DRL_NPZ_H

#include "drl/data.h"

/* Writes a dataset's images, labels and class names, which npz:PATH reads back bit by bit:
 *
 *   train_images, test_images   uint8 (n, h, w, c), or (n, h, w) of one channel
 *   train_labels, test_labels   uint8 (n)
 *   class_names.txt             a name a line
 *
 * Factors are not written. Equal datasets give equal files. The file appears whole or not at all; ERR_SHAPE where it
 * could not be read back: colour images of three rows (what is an image, what a channel?), a class name that is empty
 * or not one printable line. Errors name the path. */
drl_status drl_npz_write(const char *path, const drl_dataset *ds, drl_err *err);

/* One array of an archive, row-major and little-endian. type: "|u1" uint8, "<i4" int32, "<f4" float, "<f8" double. */
typedef struct drl_npz_array {
    const char *name, *type;
    size_t rank, shape[4];
    const void *data; /* lent */
} drl_npz_array;
#ifdef DRL_F64
#define DRL_NPZ_REAL "<f8" /* of drl_real */
#else
#define DRL_NPZ_REAL "<f4"
#endif

/* Writes n arrays, which numpy.load gives by their names. Whole or not at all; equal arrays give equal files. */
drl_status drl_npz_write_arrays(const char *path, const drl_npz_array *arrays, size_t n, drl_err *err);

#endif
