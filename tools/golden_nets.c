/* encoder_*, decoder_* and score_*.safetensors: whole networks, with every inner activation and gradient the file has.
 * The architecture is read off the names and shapes of the parameters.                            [vectors, 3, 5, 6,
 * 11] */
#include <stdio.h>
#include <string.h>

#include "golden.h"

/* Dimension d of the parameter NAME, or 0. */
static size_t param_dim(const golden *gd, const char *name, size_t d) {
    const drl_st_tensor *t = golden_find(gd, "param/%s", name);
    return t && d < t->rank ? t->shape[d] : 0;
}

/* How many of param/PREFIX0REST, param/PREFIX1REST, ... the file has. */
static size_t count_params(const golden *gd, const char *prefix, const char *rest) {
    size_t n = 0;
    while (n < 1000 && golden_find(gd, "param/%s%zu%s", prefix, n, rest)) n++;
    return n;
}

static size_t batch_of(const golden *gd, const char *input) {
    const drl_st_tensor *t = golden_find(gd, "%s", input);
    return t && t->rank > 0 ? t->shape[0] : 0;
}

/* ---- Encoder
 * ------------------------------------------------------------------------------------------------------------- */

/* Depth 6 n + 4 from the blocks of a stage; k = channels / 64 of the last, which rounding down gives back, or the
 * special case of 32, 64, 2 channels. */
bool golden_encoder_cfg(golden *gd, drl_encoder_cfg *cfg) {
    size_t widths[3], made[3];
    for (int s = 0; s < 3; s++) {
        char name[64];
        snprintf(name, sizeof name, "encoder.stage%d.block0.conv2.weight", s + 1);
        widths[s] = param_dim(gd, name, 0);
    }
    *cfg = (drl_encoder_cfg){.depth = 6 * count_params(gd, "encoder.stage1.block", ".conv1.weight") + 4,
                             .width = (double)widths[2] / 64,
                             .variational = golden_find(gd, "param/encoder.latent.weight") != NULL};
    if (widths[0] == 32 && widths[1] == 64 && widths[2] == 2) cfg->width = 0;
    drl_encoder_widths(cfg, made);
    if (widths[2] && memcmp(made, widths, sizeof made) == 0) return true;
    golden_complain(gd, "param/encoder: stages of %zu, %zu, %zu channels belong to no width", widths[0], widths[1],
                    widths[2]);
    return false;
}

static void build_encoder(golden_net *net) {
    drl_tensor x = golden_input(net, "x0"), t = golden_input(net, "t");
    drl_tensor y = drl_encoder(net->g, x, t, net->arg);
    golden_output(net, y, "latent");
    golden_seed(net, y, "G");
}

void golden_encoder(golden *gd) {
    drl_encoder_cfg cfg;
    golden_scale_zeros(gd, false, false);
    if (!golden_encoder_cfg(gd, &cfg)) return;
    printf("encoder: depth %zu, k %g%s\n", cfg.depth, cfg.width, cfg.variational ? ", probabilistic" : "");
    golden_net net = {.gd = gd,
                      .inputs = "in/",
                      .outputs = "out/",
                      .params = "param/",
                      .grads = "grad/",
                      .after = "after/",
                      .acts = "act/",
                      .batch = batch_of(gd, "in/x0"),
                      .training = true,
                      .backward = golden_has_prefix(gd, "grad/"),
                      .build = build_encoder,
                      .arg = &cfg};
    golden_net_run(&net);
    if (!golden_has_prefix(gd, "eval/")) return;
    net.outputs = "eval/";
    net.after = net.acts = NULL;
    net.training = net.backward = false;
    golden_net_run(&net);
}

/* ---- Decoder
 * ------------------------------------------------------------------------------------------------------------- */

static void build_decoder(golden_net *net) {
    drl_tensor y = drl_decoder(net->g, golden_input(net, "z"), net->arg);
    golden_output(net, y, "image");
    golden_seed(net, y, "G");
}

void golden_decoder(golden *gd) {
    const drl_st_tensor *image = golden_find(gd, "out/image");
    golden_scale_zeros(gd, false, false);
    drl_decoder_cfg cfg = {.size = image && image->rank == 4 ? image->shape[3] : 0,
                           .channels = param_dim(gd, "decoder.conv_out.weight", 0),
                           .width = param_dim(gd, "decoder.lin1.weight", 0) / 8};
    printf("decoder: side %zu, %zu channels, width %zu\n", cfg.size, cfg.channels, cfg.width);
    golden_net net = {.gd = gd,
                      .inputs = "in/",
                      .outputs = "out/",
                      .params = "param/",
                      .grads = "grad/",
                      .acts = "act/",
                      .batch = batch_of(gd, "in/z"),
                      .training = true,
                      .backward = golden_has_prefix(gd, "grad/"),
                      .build = build_decoder,
                      .arg = &cfg};
    golden_net_run(&net);
}

/* ---- Score network
 * --------------------------------------------------------------------------------------------------------- */

bool golden_score_cfg(golden *gd, drl_score_cfg *cfg) {
    char name[64];
    *cfg = (drl_score_cfg){.nf = param_dim(gd, "score.time.fourier", 0),
                           .levels = count_params(gd, "score.down", ".block0.conv1.weight"),
                           .blocks = count_params(gd, "score.down0.block", ".conv1.weight"),
                           .time_map = DRL_TIME_LOG_LABEL};
    bool ok = cfg->nf > 0 && cfg->levels >= 1 && cfg->levels <= DRL_MAX_LEVELS;
    for (size_t L = 0; ok && L < cfg->levels; L++) {
        snprintf(name, sizeof name, "score.down%zu.block0.conv1.weight", L);
        size_t C = param_dim(gd, name, 0);
        cfg->mult[L] = C / cfg->nf;
        cfg->attention[L] = golden_find(gd, "param/score.down%zu.attn0.q.weight", L) != NULL;
        ok = C > 0 && C % cfg->nf == 0;
    }
    if (!ok)
        golden_complain(gd, "param/score: no score network has these %zu levels on %zu channels", cfg->levels, cfg->nf);
    return ok;
}

/* out/score = out/raw / label */
static void build_score(golden_net *net) {
    drl_tensor x = golden_input(net, "xt"), sigma = golden_input(net, "sigma"), z = -1;
    if (golden_find(net->gd, "param/score.z_temb.weight")) z = golden_input(net, "z");
    drl_tensor raw = drl_score_net(net->g, x, sigma, z, net->arg);
    const drl_st_tensor *label = golden_find(net->gd, "in/sigma");
    if (!label || raw < 0) return;
    double *inverse = golden_alloc(label->count, sizeof *inverse);
    for (size_t i = 0; i < label->count; i++) inverse[i] = 1 / golden_at(label, i);
    drl_tensor score = drl_op_scale_images(net->g, raw, golden_input_values(net, "sigma", inverse));
    golden_free(inverse);
    golden_output(net, raw, "raw");
    golden_output(net, score, "score");
    golden_seed(net, score, "G");
}

static void print_score(const golden *gd, const drl_score_cfg *cfg) {
    printf("score network: nf %zu, multipliers", cfg->nf);
    for (size_t L = 0; L < cfg->levels; L++) printf(" %zu%s", cfg->mult[L], cfg->attention[L] ? " (attention)" : "");
    printf(", %zu blocks, latent %zu\n", cfg->blocks, param_dim(gd, "score.z_temb.weight", 1));
}

void golden_score(golden *gd) {
    drl_score_cfg cfg;
    golden_scale_zeros(gd, false, false);
    if (!golden_score_cfg(gd, &cfg)) return;
    print_score(gd, &cfg);
    golden_net net = {.gd = gd,
                      .inputs = "in/",
                      .outputs = "out/",
                      .params = "param/",
                      .grads = "grad/",
                      .acts = "act/",
                      .batch = batch_of(gd, "in/xt"),
                      .training = true,
                      .backward = golden_has_prefix(gd, "grad/"),
                      .build = build_score,
                      .arg = &cfg};
    golden_net_run(&net);
}
