/* Golden vectors: what the parts of the program `golden` share.                       [vectors, 1, 2, 11]
 *
 * Every tensor of a file gets a record. Reading it as an input, a parameter or a setting marks it used; comparing one
 * of our results with it marks it compared and keeps the worst comparison. What is neither at the end is a miss:
 * nothing in a file goes unchecked. */
#ifndef DRL_TOOLS_GOLDEN_H
#define DRL_TOOLS_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>

#include "drl/graph.h"
#include "drl/nets.h"
#include "drl/safetensors.h"
#include "drl/threads.h"

/* max |a - b| / max |b|: the files' own suggestion for float; in double all that is left is the files' rounding. */
#ifdef DRL_F64
#define GOLDEN_LIMIT 1e-6
#else
#define GOLDEN_LIMIT 3e-5
#endif
#define GOLDEN_ZERO_LIMIT 1e-5 /* max |a| / largest gradient, where the golden tensor is all zero */
#define GOLDEN_NAME       256

typedef struct golden_record {
    bool used, compared;
    double zero_scale;   /* of an all-zero tensor: the largest gradient of its case or file; 0: zero is meant exactly */
    double error, limit; /* of the worst comparison                                                                   */
    size_t at;           /* its element, and the two numbers there                                                    */
    double got, want;
    char how[64]; /* the variant it happened in */
} golden_record;

typedef struct golden {
    const char *path;
    drl_st *file;
    golden_record *records; /* one a tensor, in header order */
    drl_threads *team[2];   /* of one and two threads        */
    bool spare_parameters;  /* param/... that no network has are no miss */
    size_t complaints;
} golden;

/* ---- golden_compare.c
 * ------------------------------------------------------------------------------------------------ */

/* Zeroed memory; ends the program where there is none. */
void *golden_alloc(size_t count, size_t size);
void golden_free(void *p);

/* The tensor of a printf-like name, or NULL; `use` also marks it used. */
const drl_st_tensor *golden_find(const golden *gd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const drl_st_tensor *golden_use(golden *gd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool golden_has_prefix(const golden *gd, const char *prefix);
/* Element i as a double. */
double golden_at(const drl_st_tensor *t, size_t i);
/* First element of a setting, or the fallback where the file has none. */
double golden_setting(golden *gd, double fallback, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Finds the scale of all-zero tensors: the largest gradient of the tensor's own group, or of the file. Unless `strict`,
 * results other than gradients are scaled by it too. */
void golden_scale_zeros(golden *gd, bool by_group, bool strict);
/* Compares count numbers with t; `how` names the variant. */
void golden_compare(golden *gd, const drl_st_tensor *t, const double *ours, size_t count, const char *how);
/* A miss that is no comparison: prints it and counts it. */
void golden_complain(golden *gd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints a line a group of the file, every miss, and the summary; returns the number of misses. */
size_t golden_report(golden *gd);

/* ---- golden_net.c: a graph fed from the file, in all variants
 * ---------------------------------------------------------- */

typedef struct golden_net golden_net;

/* What is done with a tensor of the graph. */
typedef enum golden_role { GOLDEN_INPUT, GOLDEN_SEED, GOLDEN_OUTPUT, GOLDEN_GRADIENT } golden_role;

typedef struct golden_binding {
    golden_role role;
    drl_tensor t;
    const drl_st_tensor *file;
    size_t first, channels; /* output: these channels only    */
    drl_real *values;       /* input, seed: in our layout, owned */
} golden_binding;

#define GOLDEN_BINDINGS 32

struct golden_net {
    golden *gd;
    /* What stands before names in the file. acts and after may be NULL: not compared. */
    const char *inputs, *outputs, *params, *grads, *after, *acts;
    size_t strip; /* characters at the start of our parameters' names that the file does not have */
    size_t batch;
    bool training, backward;
    void (*build)(golden_net *net); /* appends the network to net->g and binds its tensors */
    const void *arg;                /* for build */
    const drl_st_tensor *loss;      /* where given, the objective is compared with this and nothing else is compared */

    /* The variant that runs now. */
    drl_graph *g;
    drl_params ps;
    bool unfused, keep;
    char how[64];
    golden_binding list[GOLDEN_BINDINGS];
    size_t n;
    struct {
        drl_tensor t;
        double weight;
    } roots[4];
    size_t n_roots;
};

/* Runs and compares fused and unfused, with shards of 1, 2 and all images, on one and two threads. */
void golden_net_run(golden_net *net);

/* For build. An input NAME; its gradient is compared where the file has one. */
drl_tensor golden_input(golden_net *net, const char *name);
/* An input of the shape of the file's NAME, holding `values` in the file's order. */
drl_tensor golden_input_values(golden_net *net, const char *name, const double *values);
/* Compares a tensor, or some of its channels, with NAME where the file has it. */
void golden_output(golden_net *net, drl_tensor t, const char *name);
void golden_output_part(golden_net *net, drl_tensor t, const char *name, size_t first, size_t channels);
/* The upstream gradient of t is NAME, one of the inputs. */
void golden_seed(golden_net *net, drl_tensor t, const char *name);
/* The objective, sum over roots of weight * mean, is compared with "loss" where the file has it. */
void golden_root(golden_net *net, drl_tensor t, double weight);

/* ---- The kinds of files
 * ------------------------------------------------------------------------------------------------ */

/* False where nothing in the file is known. */
bool golden_layers(golden *gd);
void golden_encoder(golden *gd);
void golden_decoder(golden *gd);
void golden_score(golden *gd);
void golden_loss(golden *gd);
void golden_optim(golden *gd);

/* The networks' settings, from names and shapes alone. False after a complaint. */
bool golden_encoder_cfg(golden *gd, drl_encoder_cfg *cfg);
bool golden_score_cfg(golden *gd, drl_score_cfg *cfg);

#endif
