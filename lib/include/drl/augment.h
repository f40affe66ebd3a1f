/* Augmentation of training images, and the feed that prepares augmented batches ahead of the step.
 *
 * What is switched on is applied in this order, one image (h, w, c) after the other:
 *   flip         left and right exchanged, with probability 1/2
 *   crop         the image is reflected by `crop` pixels on all sides (the edge not repeated), and a window of its old
 *                size is cut out at a place drawn uniformly
 *   rand_ops     RandAugment (Cubuk et al. 2020): so many operations, each drawn from 14, at strength `rand_magnitude`
 *                of 30, the sign drawn: identity, shear and translation along x and y, rotation (nearest pixel, black
 *                beyond the image), brightness, colour, contrast, sharpness, posterize, solarize, autocontrast,
 *                equalize; on bytes, each as Pillow's function of that name (shear and rotation may take another
 *                pixel where two are equally near), their ranges those
 *                of torchvision (shear 0.3, translation 150/331 of the side, rotation 30 degrees, 1 +- 0.9, 4 bits)
 *   resized_crop a window of a fraction of the area drawn from [resized_crop, 1] and of a ratio of sides whose
 *                logarithm is drawn from [log 3/4, log 4/3], resized bilinearly to the whole; 10 attempts, then all of
 *                the image (Szegedy et al. 2015, as torchvision draws it)
 *   jitter       with probability 0.8: brightness, contrast, saturation and hue in an order drawn, factors from
 *                1 -+ 0.8 jitter, the hue shifted by up to 0.2 jitter turns (SimCLR's with jitter = 1). Images that are
 *                not colour have brightness and contrast alone
 *   grey         with this probability colours become 0.299 red + 0.587 green + 0.114 blue
 *   blur         with this probability a Gaussian of deviation drawn from [0.1, 2] pixels, cut off at an odd kernel of
 *                a tenth of the side (at least 3), edges reflected
 *   noise        Gaussian noise of this deviation, added to the normalised image                    [science.md, 6]
 *
 * Every number drawn is a function of (seed, view, step, place in the batch) alone: pictures are the same for any
 * number of threads and after any restart. Each kind has numbers of its own among the 128 of a picture, so what is
 * drawn for one does not depend on which others are on (an image is flipped or not whatever else becomes of it):
 *   flip 0    crop 8, 9    rand_ops 16 .. 31    resized_crop 32 .. 53    jitter 64 .. 71    grey 80    blur 88, 89
 * Noise is a stream of its own, a number for each element of the batch. */
#ifndef DRL_AUGMENT_H
#define DRL_AUGMENT_H

#include "drl/config.h"
#include "drl/data.h"

#define DRL_AUGMENT_OPTIONS(X)                                                                                         \
    X(BOOL, augment, flip, "no", DRL_ANY, "flip images left and right with probability 1/2")                           \
    X(SIZE, augment, crop, "0", DRL_RANGE(0, 64), "reflect so many pixels at the edges, cut out at random; 0: off")    \
    X(SIZE, augment, rand_ops, "0", DRL_RANGE(0, 8), "operations of RandAugment an image; 0: off")                     \
    X(SIZE, augment, rand_magnitude, "9", DRL_RANGE(0, 30), "their strength, of 30")                                   \
    X(REAL, augment, resized_crop, "0", DRL_RANGE(0, 1), "least area of a random resized crop; 0: off")                \
    X(REAL, augment, jitter, "0", DRL_RANGE(0, 1.25), "strength of colour jitter (SimCLR: 1); 0: off")                 \
    X(REAL, augment, grey, "0", DRL_RANGE(0, 1), "probability of turning grey")                                        \
    X(REAL, augment, blur, "0", DRL_RANGE(0, 1), "probability of a Gaussian blur")                                     \
    X(REAL, augment, noise, "0", DRL_RANGE(0, 100), "deviation of Gaussian noise on normalised images")
DRL_CONFIG_STRUCT(drl_augment_cfg, DRL_AUGMENT_OPTIONS);

/* Whether anything is switched on. */
bool drl_augment_active(const drl_augment_cfg *cfg);

/* Refuses (ERR_CONFIG) what images of h x w cannot take: a crop wider than what can be reflected. */
drl_status drl_augment_check(const drl_augment_cfg *cfg, size_t h, size_t w, drl_err *err);

/* What names the random numbers of a picture. view: 0, or which of several pictures of the same image. */
typedef struct drl_augment_draw {
    uint64_t seed;
    uint32_t view, step;
    size_t place; /* in the batch */
} drl_augment_draw;

/* Numbers of scratch memory that an image of the dataset takes. */
size_t drl_augment_scratch(const drl_dataset *ds);

/* out (h, w, c) = training image `image` of the dataset, augmented and normalised as by drl_batch_images. */
void drl_augment_image(drl_real *out, const drl_augment_cfg *cfg, const drl_dataset *ds, uint32_t image,
                       const drl_augment_draw *draw, drl_real *scratch);

/* ---- The feed ---------------------------------------------------------------------------------------------------- */

/* Threads that make the batches of the steps to come, in a ring of a few, while a step runs. */
typedef struct drl_feed drl_feed;

typedef struct drl_feed_cfg {
    const drl_dataset *data; /* lent */
    drl_augment_cfg augment;
    uint64_t seed;        /* of the order of images (drl_order) and of what is drawn   */
    size_t batch, views;  /* images of a step; pictures of each, at least 1            */
    size_t threads;       /* at least 1                                                */
    const uint32_t *part; /* (n) the images to draw from, lent; NULL: all of the training split */
    size_t n;
} drl_feed_cfg;

drl_status drl_feed_open(drl_feed **feed, const drl_feed_cfg *cfg, drl_err *err);
/* Stops the threads, whatever they are at. */
void drl_feed_close(drl_feed *feed);

/* *pictures (views, batch, h, w, c) of a step, lent until the next call; waits for them where they are not ready. Steps
 * in a row are prepared ahead; any other step starts the threads anew. ERR_MEMORY where that is impossible. Allocates
 * nothing otherwise. */
drl_status drl_feed_take(const drl_real **pictures, drl_feed *feed, uint64_t step, drl_err *err);

#endif
