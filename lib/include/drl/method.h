/* What a method of representation learning is, to the rest of the suite.                         [DESIGN, "A method"]
 *
 * It appends its objective to a training graph, fills the inputs of a shard, and appends its encoder to an evaluation
 * graph. DRL, VDRL and plain score matching are part of the library; every file of baselines/ adds one more. */
#ifndef DRL_METHOD_H
#define DRL_METHOD_H

#include "drl/augment.h"
#include "drl/config.h"
#include "drl/data.h"
#include "drl/graph.h"

typedef struct drl_model drl_model;
typedef struct drl_model_cfg drl_model_cfg;

/* Something a method measures of a model besides its codes: a reconstruction error, say. */
typedef struct drl_measure {
    char name[32]; /* metric in the run store */
    double value;
} drl_measure;
#define DRL_MEASURES 8

/* All functions are optional, but `fill` where there is `build`. */
typedef struct drl_method {
    const char *name, *title; /* in configurations and file names ("simclr-gauss"); in tables and figures */
    const char *trained_as;   /* the method whose trained models it reads out, and which builds them; NULL: itself */
    bool diffusion;           /* [diffusion], model.code, model.dropout and model.score_* determine it */
    bool labels;    /* sees labels: trains on the probes' training part alone, as drl_split_validation cuts it */
    size_t views;   /* augmented pictures of an image a step; 0: one */
    bool prior;     /* its codes are to be distributed as N(0, I) */
    bool one_level; /* its score network is trained at one noise level: nothing can be sampled by it */

    /* Settings of its own: rows whose offsets count from a struct of `own_size` bytes, in the section of the method's
     * name ('-' written '_'). Settings of other methods are not part of what determines a model. */
    const drl_option *(*options)(size_t *n);
    size_t own_size;

    /* Refuses (ERR_CONFIG) a configuration it cannot be trained with. */
    drl_status (*check)(const drl_model_cfg *cfg, drl_err *err);
    /* Changes the configured augmentation into the method's: what it cannot do without is switched on where the
     * configuration does not say how. */
    void (*augment)(drl_augment_cfg *augment, const drl_model_cfg *cfg);

    /* Appends inputs, networks and objective (drl_model_term) to m->train; keeps the handles of the inputs in m->in.
     * NULL: there is nothing to train; then `fill` is NULL too, and no key of [train] and [augment] counts. */
    drl_status (*build)(drl_model *m, drl_err *err);
    /* Fills the inputs of images first .. first + n - 1 of the batch for m->optim.step. drl_fill_fn. */
    void (*fill)(void *model, size_t shard, size_t first, size_t n);
    /* Once, after the initial values are drawn. */
    void (*begin)(drl_model *m);
    /* After every optimiser step: moves parameters that are not trained, such as a target network's. */
    void (*after_step)(drl_model *m);

    /* Appends the encoder to an evaluation graph: image x and time t -> code, any shape. NULL: it learns no code. */
    drl_tensor (*encoder)(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t);
    /* Whether codes depend on t. NULL: they do not. */
    bool (*trajectory)(const drl_model_cfg *cfg);
    /* Changes images index[0 .. n) of a split, x (n, h, w, c), into what the encoder takes at time t. */
    void (*encode_fill)(const drl_model *m, drl_split split, const uint32_t *index, size_t n, double t, drl_real *x);

    /* Measures the model as it is now, by images of the training split's validation part (drl_split_validation), which
     * methods without `labels` have trained on too: *n <= DRL_MEASURES. The same images and draws before and after
     * training. */
    drl_status (*measure)(drl_model *m, drl_measure *out, size_t *n, drl_err *err);
} drl_method;

/* ---- The methods known ------------------------------------------------------------------------------------------- */

/* Adds methods behind those of the library; lent. Before any configuration is read; one name once (asserted). */
void drl_methods_add(const drl_method *const *list, size_t n);

/* The i-th; NULL behind the last. */
const drl_method *drl_method_at(size_t i);
/* Finds a method by name, or NULL. */
const drl_method *drl_method_find(const char *name);
/* The names of those that learn a code, "drl, vdrl, ...". */
const char *drl_method_names(void);

/* The method that trains its models: itself, or the one of trained_as. */
const drl_method *drl_method_trainer(const drl_method *method);

/* Whether its codes depend on t, in this configuration. */
bool drl_method_has_times(const drl_method *method, const drl_model_cfg *cfg);

/* The method's own settings in a configuration: its struct. */
#define DRL_METHODS_OWN 64 /* doubles that all methods' structs may take together */
const void *drl_method_settings(const drl_model_cfg *cfg, const drl_method *method);
/* First byte of them in drl_model_cfg.own. */
size_t drl_method_offset(const drl_method *method);
/* Whether a setting of drl_model_options is part of what determines a model of this method, and so of its key. */
bool drl_method_depends(const drl_method *method, const drl_option *option);

#endif
