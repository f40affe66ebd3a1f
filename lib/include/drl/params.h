/* Parameters of a model: named tensors that lie side by side in two flat blocks.              [DESIGN, "Engine"]
 *
 * `value` holds what is trained, `state` what is not (fixed frequencies, running statistics, target networks).
 * Gradients, Adam's moments and the moving average have the layout of `value`, so that clipping, optimiser, averaging
 * and checkpoint are each one loop. Views start at multiples of 64 bytes; the gaps stay zero.
 *
 * Life: networks add their tensors (drl_params_add, while graphs are built), then drl_params_alloc fixes the blocks.
 * Graphs built afterwards on the same store find the tensors by name and share them. */
#ifndef DRL_PARAMS_H
#define DRL_PARAMS_H

#include <stdbool.h>

#include "drl/err.h"
#include "drl/real.h"

#define DRL_PARAM_NAME 80

/* How a tensor lies in memory. Its shape is always the canonical one of the checkpoint: convolution weights are
 * (out, in, ky, kx) there and (ky, kx, in, out) in memory; everything else is plain row-major in both. */
typedef enum drl_layout { DRL_LAYOUT_PLAIN, DRL_LAYOUT_HWIO } drl_layout;

typedef enum drl_init_kind { DRL_INIT_CONSTANT, DRL_INIT_UNIFORM, DRL_INIT_NORMAL } drl_init_kind;

/* Initial value: the constant `scale`, uniform on [-scale, scale], or normal with standard deviation `scale`. */
typedef struct drl_init {
    drl_init_kind kind;
    double scale;
} drl_init;

typedef struct drl_param {
    char name[DRL_PARAM_NAME];
    size_t rank, shape[4], count;
    size_t offset; /* elements from the start of its block */
    bool trained;  /* lies in `value`, else in `state`      */
    drl_layout layout;
    drl_init init;
} drl_param;

typedef struct drl_params {
    drl_param *list;
    size_t n, capacity;
    size_t n_value, n_state; /* elements of the two blocks, gaps included */
    drl_real *value, *state; /* NULL until allocated; owned                */
} drl_params;

void drl_params_free(drl_params *ps);

/* Index of the tensor `p->name`: adds it, or finds one of the same shape and kind added before. ERR_SHAPE where the
 * name exists with another shape, or trained and not; ERR_NOT_FOUND where the store is allocated and the name is new.
 */
drl_status drl_params_add(drl_params *ps, int *index, const drl_param *p, drl_err *err);

/* Allocates the blocks, all zero. */
drl_status drl_params_alloc(drl_params *ps, drl_err *err);

/* Draws every tensor's initial value; a tensor's values depend on (seed, its name) alone.        [vectors, 7] */
void drl_params_init(drl_params *ps, uint64_t seed);

/* For every tensor PREFIX + NAME and its source NAME:  tensor = keep tensor + (1 - keep) source  where the source is
 * trained, as a target network follows the one that learns [BYOL, eq. 1]. With keep 0, once after the draw, copies what
 * is not trained too: drawn by name, the two differ. Running statistics belong to each network's own batches otherwise.
 * Returns how many tensors were written. */
size_t drl_params_follow(drl_params *ps, const char *prefix, double keep);

/* Index by name or -1. */
int drl_params_find(const drl_params *ps, const char *name);

/* First element of tensor i. */
drl_real *drl_params_at(const drl_params *ps, int i);

/* Number of trained numbers, gaps not counted. */
size_t drl_params_trained(const drl_params *ps);

/* Copies a tensor between the memory layout `stored` and canonical order `canonical`, count elements each. */
void drl_param_to_canonical(const drl_param *p, drl_real *canonical, const drl_real *stored);
void drl_param_from_canonical(const drl_param *p, drl_real *stored, const drl_real *canonical);

#endif
