/* Dropout masks drawn from the counter-based generator: nothing is stored, backward draws the same mask again. */
#ifndef DRL_NN_DROPOUT_H
#define DRL_NN_DROPOUT_H

#include "nn/op.h"

/* out[i] (or +=) in[i] mask[i] / (1 - p) for `size` elements, the first of which is element `first` of the batch's
 * tensor. The mask of an element depends on (seed, step, stream, its index) alone. One 32-bit draw serves two elements.
 */
void drl_dropout_apply(drl_real *out, const drl_real *in, bool add, size_t size, size_t first, double p,
                       uint32_t stream, const drl_run *run);

#endif
