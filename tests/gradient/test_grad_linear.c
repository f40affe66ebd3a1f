/* Gradients of the linear maps: convolutions with all that is fused into them, and linear layers. */
#include "gradcheck.h"

static const drl_init none = {DRL_INIT_CONSTANT, 0};

enum { OUT, K, STRIDE, PAD_END, SCALE };

/* in: x, channel addend or none, residual or none. */
static drl_tensor conv(gc_build *b) {
    const drl_conv_cfg cfg = {.out = (size_t)b->arg[OUT],
                              .k = (size_t)b->arg[K],
                              .stride = (size_t)b->arg[STRIDE],
                              .pad_end = b->arg[PAD_END] > 0,
                              .weight = none,
                              .bias = none,
                              .channel_add = b->in[1],
                              .residual = b->in[2],
                              .scale = b->arg[SCALE]};
    return drl_op_conv(b->g, b->in[0], "conv", &cfg);
}

/* Two convolutions with the same parameters: their gradients add up, over both and over the shards. */
static drl_tensor conv_shared(gc_build *b) {
    return conv(&(gc_build){.g = b->g, .in = {conv(b), -1, -1}, .arg = b->arg});
}

/* One tensor in every place: x, addend and residual. */
static drl_tensor conv_itself(gc_build *b) {
    return conv(&(gc_build){.g = b->g, .in = {b->in[0], b->in[0], b->in[0]}, .arg = b->arg});
}

static drl_tensor linear(gc_build *b) {
    return drl_op_linear(b->g, b->in[0], "linear", (size_t)b->arg[OUT], none, none);
}

static drl_tensor linear_twice(gc_build *b) {
    drl_tensor y = drl_op_linear(b->g, b->in[0], "linear", (size_t)b->arg[OUT], none, none);
    return drl_op_linear(b->g, y, "linear", (size_t)b->arg[OUT], none, none);
}

#define CONV(text, h, w, c, ...)                                                                                       \
    {                                                                                                                  \
        .name = "conv " text, .build = conv, .linear = true, .in = {{{h, w, c}}}, .arg = { __VA_ARGS__ }               \
    }

static const gc_case cases[] = {
    CONV("3x3, 1x1 image", 1, 1, 1, 1, 3, 1),
    CONV("3x3, 2x1 image", 2, 1, 3, 2, 3, 1),
    CONV("3x3, 5x3 image", 5, 3, 3, 5, 3, 1),
    CONV("3x3, 3x2 image, 17 to 5", 3, 2, 17, 5, 3, 1),
    CONV("3x3, 2x3 image, 3 to 33", 2, 3, 3, 33, 3, 1),
    CONV("3x3 stride 2, even", 4, 6, 3, 5, 3, 2),
    CONV("3x3 stride 2, odd", 5, 7, 2, 3, 3, 2),
    CONV("3x3 stride 2, 1x1 image", 1, 1, 2, 3, 3, 2),
    CONV("3x3 padded at the end", 4, 3, 3, 2, 3, 1, 1),
    CONV("3x3 stride 2 padded at the end", 4, 6, 3, 5, 3, 2, 1),
    CONV("3x3 stride 2 padded at the end, odd", 5, 7, 2, 3, 3, 2, 1),
    CONV("1x1", 3, 2, 17, 5, 1, 1),
    CONV("1x1, 1x1 image, 33 to 7", 1, 1, 33, 7, 1, 1),
    CONV("1x1 stride 2, even", 4, 2, 5, 3, 1, 2),
    CONV("1x1 stride 2, odd", 5, 3, 5, 7, 1, 2),
    CONV("3x3, scale", 3, 4, 2, 3, 3, 1, 0, -0.7),
    {.name = "conv with addend", .build = conv, .linear = true, .in = {{{3, 5, 2}}, {{1, 1, 7}}}, .arg = {7, 3, 1}},
    {.name = "conv with residual",
     .build = conv,
     .linear = true,
     .arg = {5, 3, 1},
     .in = {{{3, 2, 3}}, {{0}}, {{3, 2, 5}}}},
    {.name = "conv with addend, residual, scale",
     .build = conv,
     .linear = true,
     .arg = {3, 3, 2, 0, 0.71},
     .in = {{{5, 4, 2}}, {{1, 1, 3}}, {{3, 2, 3}}}},
    {.name = "conv 1x1 with addend, residual, scale",
     .build = conv,
     .linear = true,
     .arg = {17, 1, 1, 0, 1.3},
     .in = {{{2, 3, 3}}, {{1, 1, 17}}, {{2, 3, 17}}}},
    {.name = "conv, input without gradient", .build = conv, .arg = {3, 3, 1}, .in = {{{4, 3, 2}, .fixed = true}}},
    {.name = "conv, addend and residual without gradient",
     .build = conv,
     .arg = {3, 3, 1},
     .in = {{{4, 3, 2}}, {{1, 1, 3}, .fixed = true}, {{4, 3, 3}, .fixed = true}}},
    {.name = "conv, shared parameters", .build = conv_shared, .arg = {3, 3, 1}, .in = {{{3, 4, 3}}}},
    {.name = "conv of x plus x plus x", .build = conv_itself, .linear = true, .arg = {5, 3, 1}, .in = {{{1, 1, 5}}}},
    {.name = "conv 1x1 of x plus x plus x",
     .build = conv_itself,
     .linear = true,
     .arg = {3, 1, 1, 0, 0.5},
     .in = {{{1, 1, 3}}}},
    {.name = "linear 1 to 1", .build = linear, .linear = true, .arg = {1}, .in = {{{1, 1, 1}}}},
    {.name = "linear 17 to 33", .build = linear, .linear = true, .arg = {33}, .in = {{{1, 1, 17}}}},
    {.name = "linear on pixels", .build = linear, .linear = true, .arg = {7}, .in = {{{3, 2, 5}}}},
    {.name = "linear, input without gradient", .build = linear, .arg = {3}, .in = {{{1, 1, 5}, .fixed = true}}},
    {.name = "linear, shared parameters", .build = linear_twice, .arg = {5}, .in = {{{2, 1, 5}}}},
};

int main(int argc, char **argv) {
    return gc_main(argc, argv, "linear maps", cases, sizeof cases / sizeof *cases);
}
