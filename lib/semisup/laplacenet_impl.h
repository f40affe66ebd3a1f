/* The inside of a LaplaceNet run, shared by laplacenet.c (networks, codes) and laplacenet_train.c (steps, epochs). */
#ifndef DRL_SEMISUP_LAPLACENET_IMPL_H
#define DRL_SEMISUP_LAPLACENET_IMPL_H

#include "drl/laplacenet.h"

#define DRL_LAPLACENET_VIEWS 8

/* A part of the batch: images in an order of their own, and their pictures, made ahead. */
typedef struct drl_laplacenet_part {
    size_t batch;    /* images a step */
    drl_order order; /* of the images, the feed's own once more: for their labels */
    drl_feed *feed;
    uint32_t *index;          /* (batch) of the step */
    const drl_real *pictures; /* (views, batch, h, w, c) of the step, lent by the feed */
} drl_laplacenet_part;

enum { DRL_PART_START, DRL_PART_LABELLED, DRL_PART_PSEUDO, DRL_PARTS }; /* which random numbers a part has, too */

struct drl_laplacenet {
    drl_laplacenet_cfg cfg;
    drl_laplacenet_start from; /* as given; from.cfg is &cfg */
    drl_threads *team;
    char key[65];
    size_t n; /* training images */

    drl_params params;
    drl_optim optim; /* optim.step is the number of steps made, of both phases */
    drl_real *gradient;
    drl_graph *train, *eval;
    drl_tensor x[DRL_LAPLACENET_VIEWS], time, lambda, rest, label, other; /* inputs; rest = 1 - lambda. -1: none */
    drl_tensor term[2 * DRL_LAPLACENET_VIEWS];                            /* of the loss, each over `views`   */
    size_t terms;
    drl_tensor eval_x, eval_time, eval_z, eval_logits;

    size_t start_steps, steps, epoch_steps; /* of the two phases; of an epoch of the second */
    uint32_t *unlabelled;                   /* the images without label */
    size_t n_unlabelled;
    int32_t *known, *pseudo; /* (n): the label, or -1; what is taken for it */
    drl_laplacenet_part part[DRL_PARTS];
    uint32_t *partner; /* (batch) p of the step's mixup */
    double mix;        /* its lambda */
    drl_laplacenet_epoch *history;
    size_t epochs; /* of them, as many as have begun */
};

#endif
