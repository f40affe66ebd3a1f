/* Gradients of the losses, with an upstream gradient and as roots of an objective. */
#include "gradcheck.h"

/* in: score, noise, s, weight */
static drl_tensor dsm(gc_build *b) {
    return drl_op_dsm_loss(b->g, b->in[0], b->in[1], b->in[2], b->in[3]);
}

static drl_tensor dsm_root(gc_build *b) {
    gc_root(b, dsm(b), 0.3);
    return -1;
}

/* in: x, target */
static drl_tensor squared_error(gc_build *b) {
    return drl_op_squared_error(b->g, b->in[0], b->in[1]);
}

static drl_tensor squared_error_root(gc_build *b) {
    gc_root(b, squared_error(b), 0.7);
    return -1;
}

/* The target depends on an input, and x is read once more: the loss adds to what another op has passed on. */
static drl_tensor squared_error_stops(gc_build *b) {
    drl_tensor loss = drl_op_squared_error(b->g, b->in[0], drl_op_silu(b->g, b->in[1]));
    return drl_op_concat(b->g, loss, drl_op_l1(b->g, b->in[0]));
}

/* in: p, target */
static drl_tensor cosine(gc_build *b) {
    return drl_op_cosine_loss(b->g, b->in[0], b->in[1]);
}

static drl_tensor cosine_root(gc_build *b) {
    gc_root(b, cosine(b), 0.7);
    return -1;
}

static drl_tensor cosine_stops(gc_build *b) {
    drl_tensor loss = drl_op_cosine_loss(b->g, b->in[0], drl_op_silu(b->g, b->in[1]));
    return drl_op_concat(b->g, loss, drl_op_l1(b->g, b->in[0]));
}

static drl_tensor l1(gc_build *b) {
    return drl_op_l1(b->g, b->in[0]);
}

static drl_tensor reparameterise(gc_build *b) {
    return drl_op_reparameterise(b->g, b->in[0], b->in[1]);
}

static drl_tensor kl(gc_build *b) {
    return drl_op_kl(b->g, b->in[0]);
}

static drl_tensor cross_entropy(gc_build *b) {
    return drl_op_cross_entropy(b->g, b->in[0], b->in[1]);
}

/* arg: temperature */
static drl_tensor nt_xent(gc_build *b) {
    return drl_op_nt_xent(b->g, b->in[0], b->in[1] < 0 ? b->in[0] : b->in[1], b->arg[0]);
}

static drl_tensor nt_xent_root(gc_build *b) {
    gc_root(b, nt_xent(b), 1);
    return -1;
}

/* arg: invariance, variance, covariance */
static drl_tensor vicreg(gc_build *b) {
    return drl_op_vicreg(b->g, b->in[0], b->in[1] < 0 ? b->in[0] : b->in[1], b->arg[0], b->arg[1], b->arg[2]);
}

static drl_tensor vicreg_root(gc_build *b) {
    gc_root(b, vicreg(b), 0.6);
    return -1;
}

/* A variational objective: every loss reads what another one reads, a root is also an input, and two roots add up. */
static drl_tensor variational(gc_build *b) {
    drl_tensor ml = b->in[0], z = drl_op_reparameterise(b->g, ml, b->in[1]), kl_loss = drl_op_kl(b->g, ml);
    gc_root(b, kl_loss, 0.1);
    gc_root(b, drl_op_l1(b->g, z), -0.4);
    gc_root(b, drl_op_cross_entropy(b->g, z, b->in[2]), 1.5);
    gc_root(b, drl_op_silu(b->g, kl_loss), 2);
    return drl_op_kl(b->g, drl_op_concat(b->g, z, z));
}

/* Noise, factors and weights that depend on an input: the loss passes its gradient to the score alone. */
static drl_tensor dsm_stops(gc_build *b) {
    drl_graph *g = b->g;
    drl_tensor noise = drl_op_relu(g, b->in[1]), s = drl_op_silu(g, b->in[2]), weight = drl_op_silu(g, b->in[3]);
    return drl_op_dsm_loss(g, b->in[0], noise, s, weight);
}

static drl_tensor reparameterise_stops(gc_build *b) {
    return drl_op_reparameterise(b->g, b->in[0], drl_op_silu(b->g, b->in[1]));
}

#define FIXED(h, w, c)                                                                                                 \
    { {h, w, c}, .fixed = true }
#define STOPPED(h, w, c)                                                                                               \
    { {h, w, c}, .stopped = true }

static const gc_case cases[] = {
    {.name = "dsm_loss", .build = dsm, .in = {{{3, 2, 5}}, FIXED(3, 2, 5), FIXED(1, 1, 1), FIXED(1, 1, 1)}},
    {.name = "dsm_loss, tail", .build = dsm, .in = {{{33, 1, 1}}, FIXED(33, 1, 1), FIXED(1, 1, 1), FIXED(1, 1, 1)}},
    {.name = "dsm_loss, runs",
     .build = dsm,
     .in = {{{3, 11, 33}}, FIXED(3, 11, 33), FIXED(1, 1, 1), FIXED(1, 1, 1)},
     .most = 50},
    {.name = "dsm_loss as root",
     .build = dsm_root,
     .in = {{{3, 2, 5}}, FIXED(3, 2, 5), FIXED(1, 1, 1), FIXED(1, 1, 1)}},
    {.name = "dsm_loss stops gradients",
     .build = dsm_stops,
     .in = {{{3, 2, 5}}, STOPPED(3, 2, 5), STOPPED(1, 1, 1), STOPPED(1, 1, 1)}},
    {.name = "reparameterise stops gradients", .build = reparameterise_stops, .in = {{{1, 1, 14}}, STOPPED(1, 1, 7)}},
    {.name = "squared_error", .build = squared_error, .in = {{{3, 2, 5}}, FIXED(3, 2, 5)}},
    {.name = "squared_error, runs", .build = squared_error, .in = {{{3, 11, 33}}, FIXED(3, 11, 33)}, .most = 50},
    {.name = "squared_error as root", .build = squared_error_root, .in = {{{1, 1, 17}}, FIXED(1, 1, 17)}},
    {.name = "squared_error stops gradients",
     .build = squared_error_stops,
     .in = {{{3, 2, 5}, GC_AWAY}, STOPPED(3, 2, 5)}},
    {.name = "cosine_loss", .build = cosine, .in = {{{1, 1, 7}}, FIXED(1, 1, 7)}},
    {.name = "cosine_loss, images", .build = cosine, .in = {{{3, 2, 5}}, FIXED(3, 2, 5)}},
    {.name = "cosine_loss as root", .build = cosine_root, .in = {{{1, 1, 17}}, FIXED(1, 1, 17)}},
    {.name = "cosine_loss stops gradients", .build = cosine_stops, .in = {{{1, 1, 7}, GC_AWAY}, STOPPED(1, 1, 7)}},
    {.name = "l1", .build = l1, .in = {{{1, 1, 17}, GC_AWAY}}},
    {.name = "reparameterise", .build = reparameterise, .in = {{{1, 1, 14}}, FIXED(1, 1, 7)}},
    {.name = "kl", .build = kl, .in = {{{1, 1, 34}}}},
    {.name = "cross_entropy", .build = cross_entropy, .in = {{{1, 1, 7}}, {{1, 1, 1}, GC_LABEL, true, 7}}},
    {.name = "cross_entropy, 1 class",
     .build = cross_entropy,
     .zero = true,
     .in = {{{1, 1, 2}}, {{1, 1, 1}, GC_LABEL, true, 1}}},
    {.name = "nt_xent", .build = nt_xent, .arg = {0.5}, .in = {{{1, 1, 7}}, {{1, 1, 7}}}},
    {.name = "nt_xent, 17 numbers, cold", .build = nt_xent, .arg = {0.1}, .in = {{{1, 1, 17}}, {{1, 1, 17}}}},
    {.name = "nt_xent as root", .build = nt_xent_root, .arg = {0.5}, .in = {{{1, 1, 5}}, {{1, 1, 5}}}},
    {.name = "nt_xent, one side fixed", .build = nt_xent, .arg = {0.5}, .in = {{{1, 1, 5}}, FIXED(1, 1, 5)}},
    {.name = "nt_xent of x with x", .build = nt_xent, .arg = {0.5}, .in = {{{1, 1, 3}}}},
    {.name = "vicreg", .build = vicreg, .arg = {25, 25, 1}, .in = {{{1, 1, 7}, GC_UNIT}, {{1, 1, 7}}}},
    {.name = "vicreg, 17 numbers", .build = vicreg, .arg = {1, 2, 3}, .in = {{{1, 1, 17}}, {{1, 1, 17}, GC_AWAY}}},
    {.name = "vicreg, 2 numbers", .build = vicreg, .arg = {1, 2, 3}, .in = {{{1, 1, 2}, GC_UNIT}, {{1, 1, 2}}}},
    {.name = "vicreg, 1 number", .build = vicreg, .arg = {1, 2, 3}, .in = {{{1, 1, 1}, GC_UNIT}, {{1, 1, 1}}}},
    {.name = "vicreg, invariance", .build = vicreg, .arg = {1, 0, 0}, .in = {{{1, 1, 5}}, {{1, 1, 5}}}},
    {.name = "vicreg, variance", .build = vicreg, .arg = {0, 1, 0}, .in = {{{1, 1, 5}, GC_UNIT}, {{1, 1, 5}, GC_UNIT}}},
    {.name = "vicreg, covariance", .build = vicreg, .arg = {0, 0, 1}, .in = {{{1, 1, 5}}, {{1, 1, 5}}}},
    {.name = "vicreg as root", .build = vicreg_root, .arg = {25, 25, 1}, .in = {{{1, 1, 5}}, {{1, 1, 5}, GC_UNIT}}},
    {.name = "vicreg, one side fixed", .build = vicreg, .arg = {1, 2, 3}, .in = {FIXED(1, 1, 5), {{1, 1, 5}, GC_UNIT}}},
    {.name = "vicreg of x with x", .build = vicreg, .arg = {1, 2, 3}, .in = {{{1, 1, 3}, GC_UNIT}}},
    {.name = "variational objective",
     .build = variational,
     .in = {{{1, 1, 10}}, FIXED(1, 1, 5), {{1, 1, 1}, GC_LABEL, true, 5}}},
};

int main(int argc, char **argv) {
    return gc_main(argc, argv, "losses", cases, sizeof cases / sizeof *cases);
}
