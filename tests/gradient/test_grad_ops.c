/* Gradients of pointwise ops, of ops that move pixels, of attention and of the recurrent unit. */
#include "gradcheck.h"

static drl_tensor relu(gc_build *b) {
    return drl_op_relu(b->g, b->in[0]);
}

static drl_tensor silu(gc_build *b) {
    return drl_op_silu(b->g, b->in[0]);
}

/* arg: rate */
static drl_tensor dropout(gc_build *b) {
    return drl_op_dropout(b->g, b->in[0], b->arg[0]);
}

static drl_tensor mask(gc_build *b) {
    return drl_op_mask(b->g, b->in[0], b->in[1], b->arg[0]);
}

/* arg: scale; one input alone is added to itself */
static drl_tensor add(gc_build *b) {
    return drl_op_add(b->g, b->in[0], b->in[1] < 0 ? b->in[0] : b->in[1], b->arg[0]);
}

static drl_tensor scale_images(gc_build *b) {
    return drl_op_scale_images(b->g, b->in[0], b->in[1]);
}

/* Factor and mask that depend on an input: no gradient passes. */
static drl_tensor factors_stop(gc_build *b) {
    drl_tensor y = drl_op_scale_images(b->g, b->in[0], drl_op_silu(b->g, b->in[1]));
    return drl_op_mask(b->g, y, drl_op_relu(b->g, b->in[2]), 0.4);
}

static drl_tensor downsample(gc_build *b) {
    return drl_op_downsample(b->g, b->in[0]);
}

static drl_tensor upsample(gc_build *b) {
    return drl_op_upsample(b->g, b->in[0]);
}

static drl_tensor global_mean(gc_build *b) {
    return drl_op_global_mean(b->g, b->in[0]);
}

static drl_tensor concat(gc_build *b) {
    return drl_op_concat(b->g, b->in[0], b->in[1] < 0 ? b->in[0] : b->in[1]);
}

/* arg: first channel, how many */
static drl_tensor channels(gc_build *b) {
    return drl_op_channels(b->g, b->in[0], (size_t)b->arg[0], (size_t)b->arg[1]);
}

/* Overlapping pieces, one of them of an intermediate value: each op adds to what the others gave. */
static drl_tensor pieces(gc_build *b) {
    drl_graph *g = b->g;
    drl_tensor x = b->in[0], y = drl_op_silu(g, x);
    drl_tensor sum = drl_op_add(g, drl_op_channels(g, x, 0, 3), drl_op_channels(g, y, 2, 3), 0.7);
    return drl_op_concat(g, drl_op_add(g, sum, drl_op_channels(g, y, 1, 3), 1.3), x);
}

/* arg: h, w, c */
static drl_tensor unflatten(gc_build *b) {
    return drl_op_unflatten(b->g, b->in[0], (drl_shape){(size_t)b->arg[0], (size_t)b->arg[1], (size_t)b->arg[2]});
}

/* arg: heads; one input alone is queries, keys and values */
static drl_tensor attention(gc_build *b) {
    drl_tensor q = b->in[0], k = b->in[1] < 0 ? q : b->in[1], v = b->in[2] < 0 ? q : b->in[2];
    return drl_op_attention(b->g, q, k, v, (size_t)b->arg[0]);
}

/* arg: hidden size */
static drl_tensor gru(gc_build *b) {
    return drl_op_gru(b->g, b->in[0], b->in[1], "gru.", (size_t)b->arg[0], (drl_init){DRL_INIT_CONSTANT, 0});
}

static drl_tensor positions(gc_build *b) {
    drl_shape s = drl_graph_shape(b->g, b->in[0]);
    return drl_op_add(b->g, b->in[0], drl_op_positions(b->g, s.h, s.c), 1);
}

/* x is read by every op that may add to its gradient. Later readers write first, so each op is also one that adds. */
static drl_tensor all_of(gc_build *b) {
    drl_graph *g = b->g;
    drl_tensor x = b->in[0], k = b->in[1], m = b->in[2], y = drl_op_add(g, x, drl_op_relu(g, x), 0.5);
    y = drl_op_add(g, y, drl_op_silu(g, x), 1.1);
    y = drl_op_add(g, y, drl_op_dropout(g, x, 0.3), 0.9);
    y = drl_op_add(g, y, drl_op_mask(g, x, m, 0.4), 1);
    y = drl_op_add(g, y, drl_op_scale_images(g, x, k), 1);
    y = drl_op_add(g, drl_op_upsample(g, drl_op_downsample(g, x)), y, 1.2);
    y = drl_op_add(g, y, drl_op_attention(g, x, drl_op_silu(g, x), x, 2), 1);
    y = drl_op_concat(g, y, drl_op_concat(g, x, drl_op_silu(g, x)));
    return drl_op_add(g, drl_op_downsample(g, y), drl_op_downsample(g, y), 0.5);
}

/* The ops on vectors and sequences, each on top of another reader of its input. */
static drl_tensor all_of_sequences(gc_build *b) {
    drl_graph *g = b->g;
    drl_tensor x = b->in[0], m = drl_op_global_mean(g, x);
    drl_tensor h = drl_op_gru(g, x, m, "gru.", drl_graph_shape(g, x).c, (drl_init){DRL_INIT_CONSTANT, 0});
    drl_tensor y = drl_op_add(g, h, drl_op_global_mean(g, x), 1);
    drl_tensor image = drl_op_unflatten(g, y, (drl_shape){1, 2, drl_graph_shape(g, x).c / 2});
    return drl_op_add(g, drl_op_global_mean(g, drl_op_upsample(g, image)),
                      drl_op_global_mean(g, drl_op_unflatten(g, y, drl_graph_shape(g, image))), 0.7);
}

static const gc_case cases[] = {
    {.name = "relu", .build = relu, .in = {{{3, 2, 17}, GC_AWAY}}},
    {.name = "silu", .build = silu, .in = {{{3, 2, 17}}}},
    {.name = "dropout", .build = dropout, .linear = true, .arg = {0.4}, .in = {{{3, 5, 7}}}},
    {.name = "mask", .build = mask, .linear = true, .arg = {0.4}, .in = {{{3, 2, 5}}, {{3, 2, 5}, GC_MASK, true}}},
    {.name = "add", .build = add, .linear = true, .arg = {0.7}, .in = {{{3, 1, 5}}, {{3, 1, 5}}}},
    {.name = "add, one input fixed", .build = add, .arg = {-1}, .in = {{{3, 1, 5}, .fixed = true}, {{3, 1, 5}}}},
    {.name = "add x to x", .build = add, .linear = true, .arg = {0.7}, .in = {{{3, 1, 5}}}},
    {.name = "scale_images", .build = scale_images, .linear = true, .in = {{{3, 2, 5}}, {{1, 1, 1}, .fixed = true}}},
    {.name = "scale_images and mask stop gradients",
     .build = factors_stop,
     .in = {{{3, 2, 5}}, {{1, 1, 1}, .stopped = true}, {{3, 2, 5}, GC_MASK, .stopped = true}}},
    {.name = "downsample", .build = downsample, .linear = true, .in = {{{6, 2, 5}}}},
    {.name = "upsample", .build = upsample, .linear = true, .in = {{{3, 1, 5}}}},
    {.name = "global_mean", .build = global_mean, .linear = true, .in = {{{3, 5, 17}}}},
    {.name = "concat", .build = concat, .linear = true, .in = {{{3, 2, 5}}, {{3, 2, 17}}}},
    {.name = "concat x with x", .build = concat, .linear = true, .in = {{{3, 2, 3}}}},
    {.name = "channels", .build = channels, .linear = true, .arg = {2, 3}, .in = {{{3, 2, 7}}}},
    {.name = "channels, the last one", .build = channels, .linear = true, .arg = {16, 1}, .in = {{{1, 1, 17}}}},
    {.name = "channels, all", .build = channels, .linear = true, .arg = {0, 5}, .in = {{{2, 3, 5}}}},
    {.name = "channels of one tensor, overlapping", .build = pieces, .in = {{{3, 1, 5}}}},
    {.name = "unflatten", .build = unflatten, .linear = true, .arg = {2, 3, 5}, .in = {{{1, 1, 30}}}},
    {.name = "attention, 1 head", .build = attention, .arg = {1}, .in = {{{3, 2, 5}}, {{3, 2, 5}}, {{3, 2, 5}}}},
    {.name = "attention, 3 heads", .build = attention, .arg = {3}, .in = {{{5, 1, 6}}, {{5, 1, 6}}, {{5, 1, 6}}}},
    {.name = "attention, 17 pixels", .build = attention, .arg = {2}, .in = {{{17, 1, 2}}, {{17, 1, 2}}, {{17, 1, 2}}}},
    {.name = "attention, 33 pixels", .build = attention, .arg = {1}, .in = {{{3, 11, 1}}, {{3, 11, 1}}, {{3, 11, 1}}}},
    {.name = "attention, 1 pixel",
     .build = attention,
     .arg = {1},
     .zero = true,
     .in = {{{1, 1, 3}}, {{1, 1, 3}}, {{1, 1, 3}}}},
    {.name = "attention, values fixed",
     .build = attention,
     .arg = {1},
     .in = {{{3, 2, 3}}, {{3, 2, 3}}, {{3, 2, 3}, .fixed = true}}},
    {.name = "attention of x", .build = attention, .arg = {2}, .in = {{{3, 2, 4}}}},
    {.name = "gru", .build = gru, .arg = {5}, .in = {{{3, 1, 2}}}},
    {.name = "gru with h0", .build = gru, .arg = {3}, .in = {{{5, 1, 2}}, {{1, 1, 3}}}},
    {.name = "gru, 1 step", .build = gru, .arg = {7}, .in = {{{1, 1, 1}}, {{1, 1, 7}}}},
    {.name = "gru, 17 units, input fixed", .build = gru, .arg = {17}, .in = {{{2, 1, 3}, .fixed = true}}},
    {.name = "positions", .build = positions, .linear = true, .in = {{{5, 1, 3}}}},
    {.name = "one tensor into all ops",
     .build = all_of,
     .in = {{{2, 4, 6}, GC_AWAY}, {{1, 1, 1}, .fixed = true}, {{2, 4, 6}, GC_MASK, true}}},
    {.name = "one sequence into all ops", .build = all_of_sequences, .in = {{{3, 1, 6}}}},
};

int main(int argc, char **argv) {
    return gc_main(argc, argv, "ops", cases, sizeof cases / sizeof *cases);
}
