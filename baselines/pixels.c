/* Pixels: the normalised image itself as the code. */
#include "baselines.h"

static drl_tensor encoder(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    (void)m, (void)t;
    return drl_op_add(g, x, x, 0.5); /* an input is no output: (x + x) / 2 is x, exactly */
}

const drl_method drl_method_pixels = {.name = "pixels", .title = "raw pixels", .encoder = encoder};
