/* layers.safetensors: one op or block a case. The start of a case's name says which op; sizes and settings come from
 * its tensors, so that a file may have other sizes and other endings of the names.                       [vectors, 11]
 */
#include <stdio.h>
#include <string.h>

#include "golden.h"

/* Parameters of a lone op are named CASE.weight, ...; the file has them without the prefix. */
#define CASE "case"

static const drl_st_tensor *tensor(golden_net *net, const char *name) {
    const drl_st_tensor *t = golden_find(net->gd, "%s%s", net->inputs, name);
    if (!t) drl_graph_fail(net->g, DRL_ERR_NOT_FOUND, "the case has no %s", name);
    return t;
}

/* Dimension d of a tensor of the case, 0 after a failure. */
static size_t dim(golden_net *net, const char *name, size_t d) {
    const drl_st_tensor *t = tensor(net, name);
    return t && d < t->rank ? t->shape[d] : 0;
}

static double setting(golden_net *net, const char *name, double fallback) {
    return golden_setting(net->gd, fallback, "%s%s", net->inputs, name);
}

/* A setting that counts something; 0, which every op refuses, where the file's is no such number. */
static size_t count_setting(golden_net *net, const char *name) {
    double v = setting(net, name, 1);
    return v >= 1 && v < 1e6 ? (size_t)v : 0;
}

static bool name_has(const golden_net *net, const char *part) {
    return strstr(net->inputs, part) != NULL;
}

static void finish(golden_net *net, drl_tensor y) {
    golden_output(net, y, "y");
    golden_seed(net, y, "grad_y");
}

static const drl_init none = {DRL_INIT_CONSTANT, 0}; /* parameters come from the file */

/* ---- Ops
 * ----------------------------------------------------------------------------------------------------------------- */

static void build_conv(golden_net *net) {
    const drl_conv_cfg cfg = {.out = dim(net, "weight", 0),
                              .k = dim(net, "weight", 2),
                              .stride = count_setting(net, "stride"),
                              .pad_end = name_has(net, "asym"),
                              .channel_add = -1,
                              .residual = -1};
    finish(net, drl_op_conv(net->g, golden_input(net, "x"), CASE, &cfg));
}

static void build_linear(golden_net *net) {
    finish(net, drl_op_linear(net->g, golden_input(net, "x"), CASE, dim(net, "weight", 0), none, none));
}

static void build_group_norm(golden_net *net) {
    drl_tensor x = golden_input(net, "x");
    finish(net, drl_op_group_norm(net->g, x, CASE, count_setting(net, "groups"), setting(net, "eps", 1e-6), 0, 0));
}

static void build_batch_norm(golden_net *net) {
    drl_tensor x = golden_input(net, "x");
    finish(net, drl_op_batch_norm(net->g, x, CASE, setting(net, "eps", 1e-5), setting(net, "momentum", 0.1), 0));
}

static void build_layer_norm(golden_net *net) {
    drl_tensor x = golden_input(net, "x");
    finish(net, drl_op_layer_norm(net->g, x, CASE ".weight", CASE ".bias", setting(net, "eps", 1e-5)));
}

static void build_relu(golden_net *net) {
    finish(net, drl_op_relu(net->g, golden_input(net, "x")));
}

static void build_silu(golden_net *net) {
    finish(net, drl_op_silu(net->g, golden_input(net, "x")));
}

static void build_upsample(golden_net *net) {
    finish(net, drl_op_upsample(net->g, golden_input(net, "x")));
}

static void build_downsample(golden_net *net) {
    finish(net, drl_op_downsample(net->g, golden_input(net, "x")));
}

static void build_global_mean(golden_net *net) {
    finish(net, drl_op_global_mean(net->g, golden_input(net, "x")));
}

static void build_dropout(golden_net *net) {
    drl_tensor x = golden_input(net, "x");
    finish(net, drl_op_mask(net->g, x, golden_input(net, "mask"), setting(net, "p", 0)));
}

static void build_fourier(golden_net *net) {
    drl_tensor sigma = golden_input(net, "sigma");
    finish(net, drl_op_time_features(net->g, sigma, CASE ".fourier", dim(net, "fourier", 0), DRL_TIME_LOG_LABEL));
}

static void build_positional(golden_net *net) {
    finish(net, drl_op_positions(net->g, dim(net, "y", 0), dim(net, "y", 1)));
}

static void build_gru(golden_net *net) {
    drl_tensor x = golden_input(net, "x"), h = -1;
    if (golden_find(net->gd, "%sh", net->inputs)) h = golden_input(net, "h");
    finish(net, drl_op_gru(net->g, x, h, CASE ".", dim(net, "weight_hh", 1), none));
}

/* The op takes labels on trust. */
static void check_labels(golden_net *net, size_t classes) {
    const drl_st_tensor *t = tensor(net, "labels");
    for (size_t i = 0; t && i < t->count; i++)
        if (!(golden_at(t, i) >= 0 && golden_at(t, i) < (double)classes))
            drl_graph_fail(net->g, DRL_ERR_FORMAT, "label %zu is not one of %zu classes", i, classes);
}

static void build_softmax_ce(golden_net *net) {
    check_labels(net, dim(net, "logits", 1));
    drl_tensor logits = golden_input(net, "logits");
    golden_root(net, drl_op_cross_entropy(net->g, logits, golden_input(net, "labels")), 1);
}

static void build_nt_xent(golden_net *net) {
    drl_tensor z1 = golden_input(net, "z1"), z2 = golden_input(net, "z2");
    golden_root(net, drl_op_nt_xent(net->g, z1, z2, setting(net, "temperature", 0.5)), 1);
}

/* The losses of pairs: y of every image, and their mean. */
static void build_squared_error(golden_net *net) {
    drl_tensor x = golden_input(net, "x"), y = drl_op_squared_error(net->g, x, golden_input(net, "target"));
    golden_output(net, y, "y");
    golden_root(net, y, 1);
}

static void build_cosine_loss(golden_net *net) {
    drl_tensor x = golden_input(net, "x"), y = drl_op_cosine_loss(net->g, x, golden_input(net, "target"));
    golden_output(net, y, "y");
    golden_root(net, y, 1);
}

static void build_vicreg(golden_net *net) {
    drl_tensor z1 = golden_input(net, "z1"), z2 = golden_input(net, "z2");
    double weights[3] = {setting(net, "invariance", 0), setting(net, "variance", 0), setting(net, "covariance", 0)};
    golden_root(net, drl_op_vicreg(net->g, z1, z2, weights[0], weights[1], weights[2]), 1);
}

/* ---- Blocks
 * -------------------------------------------------------------------------------------------------------------- */

static void build_attention(golden_net *net) {
    finish(net, drl_attention_block(net->g, golden_input(net, "x"), CASE));
}

static void build_time_embedding(golden_net *net) {
    drl_tensor sigma = golden_input(net, "sigma");
    finish(net, drl_time_embedding(net->g, sigma, CASE, dim(net, "fourier", 0), DRL_TIME_LOG_LABEL));
}

/* The kind shows in the number of rows. */
static void build_res_block(golden_net *net) {
    drl_tensor x = golden_input(net, "x"), a = golden_input(net, "act_temb");
    size_t in = dim(net, "x", 2), out = dim(net, "y", 2);
    int kind = out < in ? 'd' : out > in ? 'u' : 'p';
    finish(net, drl_res_block(net->g, x, a, CASE, dim(net, "conv1.weight", 0), kind, 0));
}

/* So does the stride; an image of one row and column has a shortcut with unchanged channels only where it is 2. */
static void build_wide_block(golden_net *net) {
    drl_tensor x = golden_input(net, "x"), a = golden_input(net, "act_temb");
    bool shrinks = dim(net, "y", 2) < dim(net, "x", 2) || dim(net, "y", 3) < dim(net, "x", 3);
    bool shortcut = golden_find(net->gd, "%sshortcut.weight", net->inputs) && dim(net, "x", 1) == dim(net, "y", 1);
    finish(net, drl_wide_block(net->g, x, a, CASE, dim(net, "conv1.weight", 0), shrinks || shortcut ? 2 : 1));
}

static void build_self_attention(golden_net *net) {
    finish(net, drl_self_attention(net->g, golden_input(net, "x"), CASE, count_setting(net, "heads")));
}

static void build_transformer(golden_net *net) {
    drl_tensor x = golden_input(net, "x");
    finish(net, drl_transformer_block(net->g, x, CASE, count_setting(net, "heads"), dim(net, "w1", 0)));
}

static void build_mlp_head(golden_net *net) {
    const drl_mlp_head_cfg cfg = {dim(net, "lin1.weight", 0), dim(net, "lin2.weight", 0), name_has(net, "norm")};
    finish(net, drl_mlp_head(net->g, golden_input(net, "x"), CASE, &cfg));
}

/* ---- Cases
 * ------------------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *prefix;
    void (*build)(golden_net *net);
} ops[] = {
    {"conv", build_conv},
    {"linear", build_linear},
    {"groupnorm", build_group_norm},
    {"batchnorm", build_batch_norm},
    {"layernorm", build_layer_norm},
    {"relu", build_relu},
    {"silu", build_silu},
    {"upsample2x", build_upsample},
    {"avgpool2x2", build_downsample},
    {"global_avgpool", build_global_mean},
    {"dropout", build_dropout},
    {"fourier", build_fourier},
    {"positional", build_positional},
    {"gru", build_gru},
    {"softmax_ce", build_softmax_ce},
    {"nt_xent", build_nt_xent},
    {"cosine_loss", build_cosine_loss},
    {"vicreg", build_vicreg},
    {"squared_error", build_squared_error},
    {"attention", build_attention},
    {"time_embedding", build_time_embedding},
    {"resblock", build_res_block},
    {"wideblock", build_wide_block},
    {"mhsa", build_self_attention},
    {"mlp_head", build_mlp_head},
    {"transformer", build_transformer},
};

/* Images of a case: the first dimension of its input. A table has none and counts as one. */
static size_t batch_of(const golden *gd, const char *group) {
    static const char *const inputs[] = {"x", "logits", "sigma", "z1"};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        const drl_st_tensor *t = golden_find(gd, "%s%s", group, inputs[i]);
        if (t && t->rank > 0) return t->shape[0];
    }
    return 1;
}

/* group is "case/". */
static bool run_case(golden *gd, const char *group) {
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (strncmp(group, ops[i].prefix, strlen(ops[i].prefix)) != 0) continue;
        char grads[GOLDEN_NAME + 8], after[GOLDEN_NAME + 8];
        snprintf(grads, sizeof grads, "%sgrad_", group);
        snprintf(after, sizeof after, "%safter_", group);
        golden_net net = {.gd = gd,
                          .inputs = group,
                          .outputs = group,
                          .params = group,
                          .grads = grads,
                          .after = after,
                          .strip = strlen(CASE "."),
                          .batch = batch_of(gd, group),
                          .training = !strstr(group, "eval"),
                          .backward = golden_has_prefix(gd, grads),
                          .build = ops[i].build};
        golden_net_run(&net);
        return true;
    }
    return false;
}

bool golden_layers(golden *gd) {
    char group[GOLDEN_NAME], last[GOLDEN_NAME] = "";
    bool any = false;
    golden_scale_zeros(gd, true, false);
    for (size_t i = 0; i < drl_st_count(gd->file); i++) {
        const char *name = drl_st_at(gd->file, i)->name, *slash = strchr(name, '/');
        if (!slash || slash - name >= GOLDEN_NAME - 1) continue;
        snprintf(group, sizeof group, "%.*s", (int)(slash - name + 1), name);
        if (strcmp(group, last) == 0) continue;
        any |= run_case(gd, group); /* running a case that the file holds in two pieces twice does no harm */
        memcpy(last, group, sizeof last);
    }
    return any;
}
