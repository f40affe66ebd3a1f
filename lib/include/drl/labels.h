/* Which training images are labelled, for semi-supervised learning.                                [science.md, R2] */
#ifndef DRL_LABELS_H
#define DRL_LABELS_H

#include "drl/data.h"

typedef struct drl_labels {
    size_t n;
    uint32_t *index; /* (n) places in the training split, ascending, each once; owned */
} drl_labels;

/* Draws n training images, n / classes of each class. The images of a class are the first ones of a permutation of that
 * class's training images, drawn from (split, class) alone: so fewer labels of the same split are among more of them,
 * and different splits are independent. (A train_limit changes what there is to draw from, and so the draw.)
 * ERR_CONFIG where n is 0 or no multiple of the number of classes, or a class has too few images. The caller frees *l
 * with drl_labels_free; it is empty after failure. */
drl_status drl_labels_draw(drl_labels *l, const drl_dataset *data, size_t n, uint64_t split, drl_err *err);

/* Reads them from a text file, a line each:
 *
 *   INDEX or NAME    the image's place in the training split, from 0, or its file's name (drl_picture_names_find)
 *   ... CLASS        and behind it, where that is wanted, its class by name or by number, which then has to be the
 *                    image's; of pictures of several classes that share a name it chooses one
 *
 * Empty lines and lines that begin with '#' are skipped; CR LF ends a line as LF does. names: those of the training
 * split, or NULL where there are none, as of datasets that are no folders. Refused, in a message that names file and
 * line: an image that there is not or that is named twice, a name that several images share, a class that is not the
 * image's, a line of more than DRL_LABELS_LINE bytes, a NUL byte; and as a whole a file that cannot be read, holds no
 * label, or leaves a class without one. Ownership as above. */
#define DRL_LABELS_LINE 4096
drl_status drl_labels_read(drl_labels *l, const drl_dataset *data, const drl_picture_names *names, const char *path,
                           drl_err *err);

void drl_labels_free(drl_labels *l);

#endif
