/* Gradients of the normalisations, with the activations and the dropout fused into them. */
#include "gradcheck.h"

enum { GROUPS, ACT, RATE };

static drl_tensor group_norm(gc_build *b) {
    return drl_op_group_norm(b->g, b->in[0], "norm", (size_t)b->arg[GROUPS], 1e-3, (int)b->arg[ACT], b->arg[RATE]);
}

static drl_tensor batch_norm(gc_build *b) {
    return drl_op_batch_norm(b->g, b->in[0], "norm", 1e-3, 0.1, (int)b->arg[ACT]);
}

static drl_tensor layer_norm(gc_build *b) {
    return drl_op_layer_norm(b->g, b->in[0], "norm.weight", "norm.bias", 1e-3);
}

/* y = norm(x) + x: the norm's gradient comes on top of the shortcut's. */
static drl_tensor group_norm_added(gc_build *b) {
    return drl_op_add(b->g, group_norm(b), b->in[0], 0.7);
}

static drl_tensor batch_norm_added(gc_build *b) {
    return drl_op_add(b->g, b->in[0], batch_norm(b), 0.7);
}

static drl_tensor layer_norm_added(gc_build *b) {
    return drl_op_add(b->g, layer_norm(b), b->in[0], 0.7);
}

/* The same normalisation twice: running statistics move twice, gradients of weight and bias add up. */
static drl_tensor batch_norm_twice(gc_build *b) {
    return drl_op_batch_norm(b->g, batch_norm(b), "norm", 1e-3, 0.1, 0);
}

static const gc_case cases[] = {
    {.name = "group norm, 1 group", .build = group_norm, .arg = {1}, .in = {{{3, 2, 5}}}},
    {.name = "group norm, 1x1 image", .build = group_norm, .arg = {2}, .in = {{{1, 1, 6}}}},
    {.name = "group norm, groups of 1", .build = group_norm, .arg = {3}, .in = {{{3, 5, 3}}}},
    {.name = "group norm, 17 channels", .build = group_norm, .arg = {17}, .in = {{{2, 3, 17}}}},
    {.name = "group norm, 33 channels, 11 groups", .build = group_norm, .arg = {11}, .in = {{{3, 1, 33}}}},
    {.name = "group norm, runs of pixels", .build = group_norm, .arg = {1}, .in = {{{9, 15, 2}}}},
    {.name = "group norm, SiLU", .build = group_norm, .arg = {2, 's'}, .in = {{{3, 5, 6}}}},
    {.name = "group norm, SiLU, dropout", .build = group_norm, .arg = {2, 's', 0.4}, .in = {{{3, 5, 6}}}},
    {.name = "group norm, dropout", .build = group_norm, .arg = {3, 0, 0.3}, .in = {{{3, 3, 3}}}},
    {.name = "group norm, SiLU, evaluation",
     .build = group_norm,
     .arg = {2, 's', 0.4},
     .evaluate = true,
     .in = {{{3, 2, 4}}}},
    {.name = "group norm, added", .build = group_norm_added, .arg = {2, 's', 0.2}, .in = {{{2, 3, 6}}}},
    {.name = "group norm, input without gradient",
     .build = group_norm,
     .arg = {2, 's'},
     .in = {{{3, 2, 4}, .fixed = true}}},
    {.name = "batch norm", .build = batch_norm, .in = {{{3, 2, 5}}}},
    {.name = "batch norm, 1x1 image, 17 channels", .build = batch_norm, .in = {{{1, 1, 17}}}},
    {.name = "batch norm, 33 channels", .build = batch_norm, .in = {{{2, 1, 33}}}},
    {.name = "batch norm, runs of pixels", .build = batch_norm, .in = {{{9, 15, 2}}}},
    {.name = "batch norm, ReLU", .build = batch_norm, .arg = {0, 'r'}, .in = {{{3, 5, 3}}}},
    {.name = "batch norm, evaluation", .build = batch_norm, .evaluate = true, .in = {{{3, 2, 5}}}},
    {.name = "batch norm, ReLU, evaluation",
     .build = batch_norm,
     .arg = {0, 'r'},
     .evaluate = true,
     .in = {{{3, 2, 17}}}},
    {.name = "batch norm, added", .build = batch_norm_added, .arg = {0, 'r'}, .in = {{{2, 3, 5}}}},
    {.name = "batch norm, twice", .build = batch_norm_twice, .in = {{{2, 3, 3}}}},
    {.name = "batch norm, input without gradient",
     .build = batch_norm,
     .arg = {0, 'r'},
     .in = {{{3, 2, 4}, .fixed = true}}},
    {.name = "layer norm", .build = layer_norm, .in = {{{3, 2, 5}}}},
    {.name = "layer norm, 17", .build = layer_norm, .in = {{{1, 1, 17}}}},
    {.name = "layer norm, added", .build = layer_norm_added, .in = {{{2, 1, 33}}}},
    {.name = "layer norm, input without gradient", .build = layer_norm, .in = {{{3, 1, 4}, .fixed = true}}},
};

int main(int argc, char **argv) {
    return gc_main(argc, argv, "normalisations", cases, sizeof cases / sizeof *cases);
}
