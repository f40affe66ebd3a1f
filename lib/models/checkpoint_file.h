/* What checkpoints have in common (drl/model.h, drl/laplacenet.h). Internal to the library.
 *
 * DIR/checkpoint.safetensors holds named tensors, and as metadata its format, the key of what it belongs to, the step,
 * the configuration, the kernels it was made with, and a SHA-256 over all of this in which any bent byte is seen. It is
 * written to a temporary file, synchronised and renamed. */
#ifndef DRL_CHECKPOINT_FILE_H
#define DRL_CHECKPOINT_FILE_H

#include "drl/params.h"
#include "drl/safetensors.h"

/* A flat block with the layout of the trained parameters, or of the others, and the prefix of its tensors' names. */
typedef struct drl_checkpoint_block {
    const char *prefix;
    drl_real *base;
    bool trained;
} drl_checkpoint_block;

/* A checkpoint being written. What is put is lent until the commit. */
typedef struct drl_checkpoint_out {
    drl_st_writer *w;
    const char *format, *key, *config, *kernels; /* lent */
    char step[32], digest[65];
    drl_real *copy; /* of the blocks, in canonical order */
    size_t used;
} drl_checkpoint_out;

/* `reals`: elements of all blocks to be put. */
drl_status drl_checkpoint_begin(drl_checkpoint_out *out, const char *format, const char *key, uint64_t step,
                                const char *config, size_t reals, drl_err *err);
/* A vector of `count` elements. */
drl_status drl_checkpoint_put(drl_checkpoint_out *out, const char *name, const char *dtype, size_t count,
                              const void *data, drl_err *err);
drl_status drl_checkpoint_put_block(drl_checkpoint_out *out, const drl_params *params, drl_checkpoint_block block,
                                    drl_err *err);
drl_status drl_checkpoint_commit(drl_checkpoint_out *out, const char *dir, drl_err *err);
/* After the commit or instead of it. */
void drl_checkpoint_end(drl_checkpoint_out *out);

/* Opens DIR/checkpoint.safetensors; *file is NULL where there is none. */
drl_status drl_checkpoint_open(drl_st **file, const char *dir, drl_err *err);
/* Whether it is whole, of this format and key, and can be continued: *step of at most `steps`. An unfinished one is
 * continued with the kernels it began with, or its bits would be neither's; a finished one may be used by any. */
drl_status drl_checkpoint_verify(uint64_t *step, const drl_st *file, const char *format, const char *key, size_t steps,
                                 drl_err *err);
/* A vector of the file, of that type and length; NULL, and ERR_FORMAT, where it is not so. */
const void *drl_checkpoint_get(const drl_st *file, const char *name, const char *dtype, size_t count, drl_err *err);
/* Every tensor has to be of the model's shape, every number finite. */
drl_status drl_checkpoint_get_block(const drl_params *params, drl_checkpoint_block block, const drl_st *file,
                                    drl_err *err);

#endif
