/* Random numbers without state: Philox4x32-10 (Salmon et al. 2011, by Random123) used as a hash.
 *
 * A stream is named by (seed, purpose, sub, step); its i-th value is a function of those and i alone. So every
 * number is the same for any number of threads, any order of evaluation and after any restart, and nothing has to
 * be saved to resume. */
#ifndef DRL_RNG_H
#define DRL_RNG_H

#include <stdint.h>

#include "drl/real.h"

/* What a stream is for; streams of different purposes are independent. Append only: the numbers enter the keys. */
typedef enum drl_rng_purpose {
    DRL_RNG_TEST = 0,
    DRL_RNG_INIT,          /* initial weights; sub = index of the tensor                */
    DRL_RNG_SHUFFLE,       /* order of the training images; step = epoch                */
    DRL_RNG_TIME,          /* diffusion times t; index = image of the batch             */
    DRL_RNG_NOISE,         /* epsilon of x_t; index = element of the batch              */
    DRL_RNG_CODE,          /* xi of the variational code; index = element of the batch  */
    DRL_RNG_DROPOUT,       /* sub = index of the op; index = element of the batch       */
    DRL_RNG_SYNTHETIC,     /* factors and texture of synthetic images; step = image     */
    DRL_RNG_SPLIT,         /* train/validation split                                    */
    DRL_RNG_PROBE,         /* probe initialisation, order and dropout                   */
    DRL_RNG_MIXUP,         /* partner and lambda of mixup                               */
    DRL_RNG_BOOTSTRAP,     /* resampling of confidence intervals                        */
    DRL_RNG_FOLDER,        /* test pictures of a folder without any; sub = class        */
    DRL_RNG_AUGMENT,       /* augmentation; sub = view; 128 numbers an image (augment.h) */
    DRL_RNG_AUGMENT_NOISE, /* its Gaussian noise; index = element of the batch      */
    DRL_RNG_ENCODE_NOISE,  /* noise of images that are encoded; sub = split, step = image */
    DRL_RNG_SAMPLE,        /* samplers: sub 0 the prior, 1 the predictor, 2 ... the correctors */
    DRL_RNG_TRACE,         /* Rademacher vectors of a likelihood; sub = probe             */
    DRL_RNG_DEQUANTISE,    /* fractions of grey levels; index = element of the images     */
    DRL_RNG_PRIOR_CODE,    /* codes of the prior; index = element of the codes            */
    DRL_RNG_LABELS,        /* which training images are labelled; seed = split, sub = class */
    DRL_RNG_LAPLACENET,    /* sub 0, 1, 2: seeds of the batch's parts; 3, 4: permutation and lambda of mixup */
} drl_rng_purpose;

typedef struct drl_rng {
    uint32_t key[2]; /* seed                          */
    uint32_t hi[2];  /* upper half of the counter     */
} drl_rng;

drl_rng drl_rng_stream(uint64_t seed, drl_rng_purpose purpose, uint32_t sub, uint32_t step);

/* out[i] = value first + i of the stream, for i in [0, n): uniform 32-bit integers; uniform in [0, 1) on a grid of
 * 2^-24; standard normal (Box-Muller on pairs of elements). Element indices go up to 2^34. */
void drl_rng_u32(drl_rng rng, uint64_t first, uint32_t *out, size_t n);
void drl_rng_uniform(drl_rng rng, uint64_t first, drl_real *out, size_t n);
void drl_rng_normal(drl_rng rng, uint64_t first, drl_real *out, size_t n);

/* Single values in double: uniform in [0, 1) with 53 bits (element index i of a stream used for nothing else). */
double drl_rng_uniform_at(drl_rng rng, uint64_t i);

/* out = a permutation of 0 .. n-1, uniform (Fisher-Yates); a function of the stream alone. */
void drl_rng_permutation(drl_rng rng, uint32_t *out, size_t n);

#endif
