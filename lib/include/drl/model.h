/* A model in training and in use: networks, objective, optimiser, checkpoint, codes.   [DESIGN, "A method"; science, 3]
 *
 * A method is one `const drl_method` (drl/method.h). Trainer, probes, tables and figures know nothing else of it. */
#ifndef DRL_MODEL_H
#define DRL_MODEL_H

#include "drl/augment.h"
#include "drl/config.h"
#include "drl/data.h"
#include "drl/graph.h"
#include "drl/nets.h"
#include "drl/optim.h"
#include "drl/method.h"
#include "drl/sde.h"
#include "drl/threads.h"

/* What determines a trained model, together with the data and the seed. */
#define DRL_MODEL_OPTIONS(X)                                                                                           \
    X(STRING, data, dataset, "fashion-mnist", DRL_ANY, "fashion-mnist, cifar10, folder:PATH, synthetic:factors ...")   \
    X(SIZE, data, size, "32", DRL_RANGE(8, 512), "side of the square images: others are padded or resized")            \
    X(ENUM, data, resize, "area", DRL_CHOICES("area|bicubic"), "how pictures of other sizes are resized")              \
    X(BOOL, data, skip_bad, "no", DRL_ANY, "leave corrupt pictures of a folder out instead of refusing it")            \
    X(SIZE, data, train_limit, "0", DRL_RANGE(0, 1e9), "at most so many training images, the first ones; 0: all")      \
    X(SIZE, data, test_limit, "0", DRL_RANGE(0, 1e9), "at most so many test images, the first ones; 0: all")           \
    X(STRING, model, method, "drl", DRL_ANY, "what is trained: drl, vdrl, ae, simclr ...")                             \
    X(SIZE, model, encoder_depth, "28", DRL_RANGE(10, 400), "WideResNet depth, 6 n + 4")                               \
    X(REAL, model, encoder_width, "2", DRL_RANGE(0, 64), "width k of the encoder; 0: the 2-dimensional code")          \
    X(ENUM, model, code, "time", DRL_CHOICES("time|static"), "code depends on t, or the encoder's t is fixed to 0")    \
    X(SIZE, model, score_channels, "16", DRL_RANGE(4, 1024), "base channels of the score network")                     \
    X(LIST, model, score_mult, "1, 2, 2, 2", DRL_RANGE(1, 64), "channel multiplier of each level")                     \
    X(SIZE, model, score_blocks, "2", DRL_RANGE(1, 14), "residual blocks a level")                                     \
    X(SIZE, model, score_attention, "16", DRL_RANGE(0, 512), "resolution with attention; 0: only in the middle")       \
    X(REAL, model, dropout, "0.1", DRL_RANGE(0, 0.99), "dropout rate in the score network")                            \
    X(ENUM, diffusion, sde, "ve", DRL_CHOICES("ve|vp|subvp"), "diffusion process")                                     \
    X(ENUM, diffusion, t_density, "uniform", DRL_CHOICES("uniform|low|high|gaussian"), "what t is drawn from")         \
    X(REAL, diffusion, t_mean, "0.5", DRL_RANGE(-10, 10), "mean of the truncated Gaussian density of t")               \
    X(REAL, diffusion, t_std, "0.2", DRL_RANGE(0.001, 100), "its standard deviation")                                  \
    X(REAL, diffusion, gamma, "1e-5", DRL_RANGE(0, 1e6), "weight of the code's penalty: |z|_1, of VDRL the KL")        \
    X(BOOL, diffusion, mixup, "no", DRL_ANY, "the encoder sees mixtures of two images")                                \
    X(SIZE, train, steps, "70000", DRL_RANGE(0, 1e9), "optimiser steps")                                               \
    X(SIZE, train, batch, "64", DRL_RANGE(1, 65536), "images a step")                                                  \
    X(SIZE, train, shard, "16", DRL_RANGE(1, 4096), "images a thread takes at a time, at most; part of the bits")      \
    X(REAL, train, rate, "2e-4", DRL_RANGE(0, 10), "Adam's learning rate after warm-up")                               \
    X(SIZE, train, warmup, "5000", DRL_RANGE(0, 1e9), "steps over which the rate rises linearly from 0")               \
    X(REAL, train, clip, "1", DRL_RANGE(0, 1e9), "gradient norm is clipped to this; 0: never")                         \
    X(REAL, train, ema, "0.999", DRL_RANGE(0, 1), "decay of the moving average of the weights")                        \
    DRL_AUGMENT_OPTIONS(X)
struct drl_model_cfg {
    DRL_MODEL_OPTIONS(DRL_OPTION_FIELD)
    double own[DRL_METHODS_OWN]; /* settings of the methods that have any: drl_method_settings */
};
enum { DRL_CODE_TIME, DRL_CODE_STATIC }; /* the choices of model.code, in their order */

/* The rows above, then those of every method known (drl_methods_add). Lent. */
const drl_option *drl_model_options(size_t *n);

#define DRL_MODEL_INPUTS 10
#define DRL_MODEL_TERMS  4

struct drl_model {
    drl_model_cfg cfg;
    const drl_method *method, *trainer; /* trainer: drl_method_trainer of it */
    const drl_dataset *data;            /* lent */
    drl_threads *team;                  /* lent */
    uint64_t seed;
    drl_sde sde;
    drl_t_density density;
    drl_params params;
    drl_optim optim; /* optim.step is the number of steps made */
    drl_real *gradient;
    drl_graph *train, *encode;
    drl_tensor in[DRL_MODEL_INPUTS];  /* the method's inputs of `train` */
    drl_tensor term[DRL_MODEL_TERMS]; /* of the objective: scalars an image, each with its weight (drl_model_term) */
    double term_weight[DRL_MODEL_TERMS];
    size_t terms;
    drl_tensor encode_x, encode_t, encode_z;
    drl_order order;          /* of the training images; not used where nothing is trained */
    uint32_t *part;           /* the images it may train on, where not all: the probes' training part */
    uint32_t *index;          /* (batch) images of the current step */
    drl_augment_cfg augment;  /* what the feed applies: as configured, or the method's own */
    drl_feed *feed;           /* of augmented images; NULL: images are taken as they are */
    const drl_real *pictures; /* (views, batch, h, w, c) of the current step, from the feed */
    float *history;           /* mean loss of every DRL_HISTORY_STEPS steps */
    double history_sum;       /* of the steps since the last entry */
    double train_seconds;     /* wall time of the steps so far, over all processes that made them */
    char key[65];             /* SHA-256 of what determines the trained model */
};
#define DRL_HISTORY_STEPS 50
#define DRL_MODEL_VERSION 2 /* part of every key: raised where the same settings train another model */

/* Appends a term of the objective: weight * mean over the batch of t (n, 1, 1, 1). For drl_method.build. */
void drl_model_term(drl_model *m, drl_tensor t, double weight);

/* x (n, h, w, c) = images first .. first + n - 1 of the current step's batch, as picture `view` shows them: augmented
 * and normalised. */
void drl_model_images(const drl_model *m, drl_real *x, size_t view, size_t first, size_t n);
/* x (n, 1, 1, 1) = their labels. For methods with `labels`. */
void drl_model_labels(const drl_model *m, drl_real *x, size_t first, size_t n);

/* Networks from a configuration. */
void drl_model_encoder_cfg(const drl_model_cfg *cfg, drl_encoder_cfg *out);
void drl_model_score_cfg(const drl_model_cfg *cfg, const drl_sde *sde, drl_score_cfg *out);

/* drl_method.encoder of a code E(x, t): the encoder of the configuration, in evaluation and training graphs; and of a
 * variational one, which gives [mean | log variance], the mean. */
drl_tensor drl_model_code(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t);
drl_tensor drl_model_variational(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t);
drl_tensor drl_model_code_mean(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t);

/* Refuses (ERR_CONFIG) what no data could make right: an unknown method, a depth, width, multiplier or size that cannot
 * be. For programs that have other work to do before they open a model. */
drl_status drl_model_check(const drl_model_cfg *cfg, drl_err *err);

/* Builds, plans and initialises a model; of a method that trains nothing, its encoder. team and data are lent and must
 * outlive it. Errors: ERR_CONFIG for a method, depth or list of multipliers that cannot be; ERR_SHAPE for an image the
 * networks cannot take; ERR_MEMORY. */
drl_status drl_model_open(drl_model **m, const drl_model_cfg *cfg, const drl_dataset *data, uint64_t seed,
                          drl_threads *team, drl_err *err);
void drl_model_close(drl_model *m);

/* One optimiser step on the next batch. *loss is the objective before the step. ERR_NUMERIC where it is not finite: the
 * message names the step and the first parameter whose gradient is not. Allocates nothing. */
drl_status drl_model_step(drl_model *m, double *loss, drl_err *err);

/* Trains to cfg.train_steps. `dir` holds checkpoint.safetensors (everything that continues the run: parameters, running
 * statistics, moments, moving average, loss history, step) and checkpoint.json (configuration and provenance, for
 * people). A checkpoint is written every `checkpoint_seconds`, at the end, and on SIGINT or SIGTERM, after which
 * ERR_INTERRUPTED is returned. With `resume` the checkpoint found in dir is continued (or, when complete, loaded): the
 * bits are those of an uninterrupted run. A damaged checkpoint, or one of another model, is refused.
 *
 * One program at a time trains in a directory (its file `lock`, drl/lock.h). Another waits, says so in one line, then
 * goes on with what it finds there: the trained model, or the checkpoint of one that was ended; without `resume` it
 * trains anew. Ctrl-C ends the waiting (ERR_INTERRUPTED). A complete checkpoint is read without the lock. */
typedef struct drl_train_run {
    const char *dir, *label;
    const char *provenance; /* a JSON object for checkpoint.json; NULL: none */
    double checkpoint_seconds;
    bool resume;
    double seconds, images_per_second; /* out: of all steps so far, earlier processes included; 0: not known */
} drl_train_run;
drl_status drl_model_train(drl_model *m, drl_train_run *run, drl_err *err);

/* Measures what the method measures, on the model as it is: out (DRL_MEASURES), *n of them. */
drl_status drl_model_measure(drl_model *m, drl_measure *out, size_t *n, drl_err *err);

/* Opens a model and trains it in OUT/models/METHOD-DATASET-KEY, where experiments of the same OUT find and share it: a
 * finished one is only loaded. label names it in the progress line. run's other fields as above; run->dir is not used.
 */
drl_status drl_model_obtain(drl_model **m, const drl_model_cfg *cfg, const drl_dataset *data, uint64_t seed,
                            drl_threads *team, const char *out, drl_train_run *run, drl_err *err);

/* The dataset a configuration asks for, as drl_dataset_open takes it; cfg's and data_dir's text is lent ("" is NULL).
 */
drl_dataset_cfg drl_model_dataset_cfg(const drl_model_cfg *cfg, const char *data_dir, drl_threads *team);

/* Opens a model that was trained before, and the data it was trained on, from the directory of its checkpoint alone:
 * the checkpoint holds the settings, checkpoint.json the seed. Training that is not finished is no error, a log line
 * says so. The caller closes the model and then frees *data; on failure both are NULL. ERR_NOT_FOUND for a directory,
 * checkpoint or dataset that is not there, ERR_FORMAT for a damaged checkpoint, one of settings that are not known
 * here, or data that are not those it was trained on. */
drl_status drl_model_load(drl_model **m, drl_dataset **data, const char *dir, const char *data_dir, drl_threads *team,
                          drl_err *err);

/* *text = the settings that determine the trained model, as an .ini file, with the name of the method that trains it;
 * drl_free it. */
drl_status drl_model_text(char **text, const drl_model *m, drl_err *err);

/* Size of a code (0: the method learns none), and whether codes depend on t. */
size_t drl_model_code_size(const drl_model *m);
bool drl_model_trajectory(const drl_model *m);

/* Images of a shard that only encodes: with no gradients to keep, so many are encoded in the second-level cache. */
#define DRL_ENCODE_SHARD 8

/* codes (n, d) of images index[0 .. n) of a split (NULL: the first n) at time t (0 where codes do not depend on it):
 * raw (not averaged) weights, evaluation mode. [science, 8] */
drl_status drl_model_encode(drl_model *m, drl_split split, const uint32_t *index, size_t n, double t, drl_real *codes,
                            drl_err *err);

/* Writes and reads the checkpoint (lib/models/checkpoint.c). Reading checks key, shapes and that every number is
 * finite. */
drl_status drl_checkpoint_write(const drl_model *m, const char *dir, const char *provenance, drl_err *err);
drl_status drl_checkpoint_read(drl_model *m, const char *dir, bool *found, drl_err *err);

#endif
