/* LaplaceNet: an encoder and a linear head, trained on few labels and the pseudo-labels of a graph.
 *                                                       [Sellars et al. 2021, arXiv 2106.04527; science.md, 5, R2]
 *
 * Two phases. In the first, the start, batches hold labelled images alone. In the second every epoch begins with
 * pseudo-labels: the codes of all training images make a graph, along which the labels are propagated
 * (drl/propagation.h); its batches hold labelled and pseudo-labelled images. The plain supervised run is the first
 * phase alone (drl_laplacenet_start.supervised_steps).
 *
 * A step: every image of the batch under `views` augmentations (drl/augment.h; flip, crop by 4 pixels, and so many
 * operations of RandAugment, of strength 9, as its part of the batch asks for), each view a batch of its own for batch
 * normalisation; mixup within the batch, x = lambda x_i + (1 - lambda) x_p(i), one lambda ~ Beta(1, 1) and one
 * permutation p a step; loss = mean over views and images of  lambda CE(y_i) + (1 - lambda) CE(y_p(i)), SGD with
 * Nesterov momentum 0.9. The rate is `rate` in the start and falls along half a cosine, rate (1 + cos(pi k/K)) / 2,
 * over the K steps of the second phase; without a second phase, over the first.
 *
 * The encoder is that of the suite. Its time is either a trained scalar, sigmoid(tau), tau = 0 at first, or fixed. (One
 * time for all images adds a constant to each channel in front of a batch norm, which takes it away again: in training
 * tau has no gradient but rounding, and stays where it begins.)
 * Everything drawn is a function of (seed, step): one seed gives the same bits for any number of threads, and after any
 * restart. */
#ifndef DRL_LAPLACENET_H
#define DRL_LAPLACENET_H

#include "drl/labels.h"
#include "drl/model.h"
#include "drl/propagation.h"

#define DRL_LAPLACENET_OPTIONS(X)                                                                                      \
    X(SIZE, semi, start_passes, "10", DRL_RANGE(0, 1e6), "passes over the labelled images at first")                   \
    X(SIZE, semi, start_repeats, "10", DRL_RANGE(1, 1e6), "how often a pass sees each of them")                        \
    X(SIZE, semi, steps, "250000", DRL_RANGE(1, 1e9), "steps with pseudo-labels")                                      \
    X(SIZE, semi, epoch_steps, "0", DRL_RANGE(0, 1e9), "steps between propagations; 0: until all images were seen")    \
    X(SIZE, semi, batch, "100", DRL_RANGE(2, 65536), "images a step")                                                  \
    X(SIZE, semi, labelled, "50", DRL_RANGE(1, 65535), "of them labelled")                                             \
    X(SIZE, semi, views, "3", DRL_RANGE(1, 8), "augmentations of each image a step")                                   \
    X(SIZE, semi, shard, "16", DRL_RANGE(1, 4096), "images a thread takes at a time, at most; part of the bits")       \
    X(REAL, semi, rate, "0.03", DRL_RANGE(0, 10), "learning rate of SGD at first")                                     \
    X(REAL, semi, encoder_rate, "1", DRL_RANGE(0, 10), "learning rate of the encoder, relative to the head's")         \
    X(REAL, semi, weight_decay, "5e-4", DRL_RANGE(0, 1), "weight decay, of all parameters")                            \
    X(BOOL, semi, mixup, "yes", DRL_ANY, "mixup within the batch")                                                     \
    X(BOOL, semi, flip, "yes", DRL_ANY, "flip images left and right with probability 1/2")                             \
    X(SIZE, semi, crop, "4", DRL_RANGE(0, 64), "reflect so many pixels at the edges, cut out at random; 0: off")       \
    X(SIZE, semi, labelled_ops, "1", DRL_RANGE(0, 8), "operations of RandAugment, of labelled images")                 \
    X(SIZE, semi, unlabelled_ops, "2", DRL_RANGE(0, 8), "operations of RandAugment, of pseudo-labelled images")        \
    X(SIZE, semi, neighbours, "50", DRL_RANGE(1, 10000), "neighbours of an image in the graph")                        \
    X(BOOL, semi, learn_time, "yes", DRL_ANY, "the time of codes that depend on it is trained, sigmoid(tau)")
DRL_CONFIG_STRUCT(drl_laplacenet_cfg, DRL_LAPLACENET_OPTIONS);
const drl_option *drl_laplacenet_options(size_t *n);

#define DRL_LAPLACENET_TIME 0.5 /* sigmoid(0), where a learnt time begins */

typedef struct drl_laplacenet drl_laplacenet;

/* What a run starts from. All is lent and has to outlive it. */
typedef struct drl_laplacenet_start {
    const drl_laplacenet_cfg *cfg;
    const drl_model *pretrained; /* the weights of its encoder are taken over, a variational one's without its last
                                    layer; NULL: the encoder of `model`, drawn anew                            */
    const drl_model_cfg *model;  /* the encoder's settings; those of `pretrained` where there is one           */
    const drl_dataset *data;
    const drl_labels *labels; /* places of the labelled images in the training split */
    uint64_t seed;            /* of the head (and encoder), batches, augmentation and mixup */
    size_t supervised_steps;  /* > 0: the plain supervised run, of so many steps; cfg.steps is not used */
    bool trajectory;          /* the encoder has seen times other than 0, or has seen nothing: its time is trained if
                                 cfg says so, else stays DRL_LAPLACENET_TIME; false: it stays 0                */
} drl_laplacenet_start;

/* ERR_CONFIG where a batch leaves no room for one of its parts, where the graph has fewer images than neighbours, for
 * an encoder that has no weights of that name and shape to take over; ERR_SHAPE, ERR_MEMORY. */
drl_status drl_laplacenet_open(drl_laplacenet **net, const drl_laplacenet_start *start, drl_threads *team,
                               drl_err *err);
void drl_laplacenet_close(drl_laplacenet *net);

/* SHA-256 of all that determines the trained network. */
const char *drl_laplacenet_key(const drl_laplacenet *net);

/* One epoch's pseudo-labels. */
typedef struct drl_laplacenet_epoch {
    double accuracy; /* fraction of the unlabelled training images whose pseudo-label is their class */
    double time;     /* the encoder's t as it was                                                    */
} drl_laplacenet_epoch;

/* Steps in all, and epochs with pseudo-labels. */
size_t drl_laplacenet_steps(const drl_laplacenet *net);
size_t drl_laplacenet_epochs(const drl_laplacenet *net);
/* The epochs so far (as many as have begun), lent. */
const drl_laplacenet_epoch *drl_laplacenet_history(const drl_laplacenet *net, size_t *n);
/* The encoder's time. */
double drl_laplacenet_time(const drl_laplacenet *net);

/* One step, the pseudo-labels of a new epoch before it where one begins. *loss is the objective before the step.
 * ERR_NUMERIC where it is not finite. Allocates nothing but where an epoch begins. */
drl_status drl_laplacenet_step(drl_laplacenet *net, double *loss, drl_err *err);

/* All steps. run as of drl_model_train, with run->dir: a checkpoint is written there every run->checkpoint_seconds, at
 * the end, and on SIGINT or SIGTERM, after which ERR_INTERRUPTED is returned; with run->resume the one found is
 * continued. One program at a time trains there, as in drl_model_train. */
drl_status drl_laplacenet_train(drl_laplacenet *net, drl_train_run *run, drl_err *err);

/* codes (n, d) of the first n images of a split, by the network as it is, in evaluation mode; and *accuracy = fraction
 * of the test images whose class has the largest logit. */
size_t drl_laplacenet_code_size(const drl_laplacenet *net);
drl_status drl_laplacenet_encode(drl_laplacenet *net, drl_split split, size_t n, drl_real *codes, drl_err *err);
drl_status drl_laplacenet_test(drl_laplacenet *net, double *accuracy, drl_err *err);

#endif
