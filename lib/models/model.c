/* Opening models and encoding with them (drl/model.h). Training is in train.c, checkpoints in checkpoint.c. */
#include "drl/model.h"

#include <stdio.h>
#include <string.h>

#include "drl/hash.h"
#include "drl/interrupt.h"
#include "drl/mem.h"
#include "nn/conv_kernel.h"

#define ENCODE_BATCH 256

DRL_CONFIG_TABLE(drl_model_options, drl_model_cfg, DRL_MODEL_OPTIONS)

extern const drl_method drl_method_drl;
static const drl_method *const methods[] = {&drl_method_drl};

const drl_method *drl_method_find(const char *name) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i]->name, name) == 0) return methods[i];
    return NULL;
}

const char *drl_method_names(void) {
    static char text[256];
    text[0] = '\0';
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? ", " : "", methods[i]->name);
    return text;
}

void drl_model_encoder_cfg(const drl_model_cfg *cfg, drl_encoder_cfg *out) {
    *out = (drl_encoder_cfg){.depth = cfg->model_encoder_depth, .width = cfg->model_encoder_width};
}

void drl_model_score_cfg(const drl_model_cfg *cfg, const drl_sde *sde, drl_score_cfg *out) {
    *out = (drl_score_cfg){.nf = cfg->model_score_channels,
                           .levels = cfg->model_score_mult.n,
                           .blocks = cfg->model_score_blocks,
                           .dropout = cfg->model_dropout,
                           .time_map = drl_sde_time_map(sde)};
    for (size_t L = 0; L < out->levels && L < DRL_MAX_LEVELS; L++) out->mult[L] = (size_t)cfg->model_score_mult.v[L];
    if (out->levels <= DRL_MAX_LEVELS) drl_score_attention_at(out, cfg->data_size, cfg->model_score_attention);
}

/* SHA-256 over the configuration's text, the data, the seed and the precision. */
static drl_status find_key(drl_model *m, drl_err *err) {
    size_t n;
    const drl_option *options = drl_model_options(&n);
    char *text, *all;
    drl_status st = drl_config_text(&text, &m->cfg, options, n, err);
    if (st != DRL_OK) return st;
    size_t room = strlen(text) + 256;
    if ((st = drl_alloc(&all, room, 1, "model key", err)) == DRL_OK) {
        snprintf(all, room, "drl model 1\n%s\ndata %s\nseed %llu\nprecision %s\n", text, m->data->sha256,
                 (unsigned long long)m->seed, DRL_REAL_NAME);
        drl_sha256(m->key, all, strlen(all));
        drl_free(all);
    }
    drl_free(text);
    return st;
}

/* Images of a shard: a small batch is still cut in four, so that threads have something to share. */
static size_t shard_of(const drl_model_cfg *c) {
    size_t quarter = (c->train_batch + 3) / 4;
    return c->train_shard < quarter ? c->train_shard : quarter;
}

static drl_status build_graphs(drl_model *m, drl_err *err) {
    const drl_model_cfg *c = &m->cfg;
    drl_graph_cfg train = {
        .batch = c->train_batch, .shard = shard_of(c), .training = true, .backward = true, .seed = m->seed};
    drl_graph_cfg encode = {.batch = ENCODE_BATCH, .shard = DRL_ENCODE_SHARD};
    drl_status st = drl_graph_new(&m->train, &train, &m->params, err);
    if (st == DRL_OK) st = m->method->build(m, err);
    if (st == DRL_OK) st = drl_graph_new(&m->encode, &encode, &m->params, err);
    if (st != DRL_OK) return st;
    const drl_images *im = &m->data->split[DRL_SPLIT_TRAIN];
    m->encode_x = drl_graph_input(m->encode, "x", (drl_shape){im->h, im->w, im->c}, false);
    m->encode_t = drl_graph_input(m->encode, "t", (drl_shape){1, 1, 1}, false);
    m->encode_z = m->method->encoder(m, m->encode, m->encode_x, m->encode_t);
    drl_graph_output(m->encode, m->encode_z);

    if ((st = drl_params_alloc(&m->params, err)) != DRL_OK) return st;
    if ((st = drl_graph_plan(m->train, m->team, err)) != DRL_OK) return st;
    return drl_graph_plan(m->encode, m->team, err);
}

drl_status drl_model_check(const drl_model_cfg *c, drl_err *err) {
    const char *kernels;
    drl_status st = drl_conv_describe(&kernels, err);
    if (st != DRL_OK) return st;
    if (!drl_method_find(c->model_method))
        return drl_fail(err, DRL_ERR_CONFIG, "model.method = %s: unknown; the methods are: %s", c->model_method,
                        drl_method_names());
    for (size_t i = 0; i < c->model_score_mult.n; i++)
        if (c->model_score_mult.v[i] != floor(c->model_score_mult.v[i]))
            return drl_fail(err, DRL_ERR_CONFIG, "model.score_mult: %g is not a whole number",
                            c->model_score_mult.v[i]);
    if (c->model_score_channels % 4 != 0)
        return drl_fail(err, DRL_ERR_CONFIG, "model.score_channels = %zu: want a multiple of 4, for the group norms",
                        c->model_score_channels);
    size_t levels = c->model_score_mult.n;
    if (levels == 0 || levels > DRL_MAX_LEVELS)
        return drl_fail(err, DRL_ERR_CONFIG, "model.score_mult: want 1 to %d levels, got %zu", DRL_MAX_LEVELS, levels);
    if (c->data_size % ((size_t)1 << (levels - 1)) != 0)
        return drl_fail(err, DRL_ERR_CONFIG,
                        "data.size = %zu: want a multiple of %zu, for the %zu levels of model.score_mult", c->data_size,
                        (size_t)1 << (levels - 1), levels);
    if (c->model_encoder_depth % 6 != 4)
        return drl_fail(err, DRL_ERR_CONFIG, "model.encoder_depth = %zu: want 6 n + 4, such as 10, 16, 22, 28",
                        c->model_encoder_depth);
    drl_encoder_cfg encoder;
    size_t widths[3];
    drl_model_encoder_cfg(c, &encoder);
    drl_encoder_widths(&encoder, widths);
    if (widths[0] == 0)
        return drl_fail(err, DRL_ERR_CONFIG, "model.encoder_width = %g: leaves no channels; want 0, or at least 0.0625",
                        c->model_encoder_width);
    return DRL_OK;
}

static drl_status open_feed(drl_model *m, drl_err *err) {
#define COPY(kind, section, key, ...) .section##_##key = m->cfg.section##_##key,
    drl_feed_cfg fc = {.data = m->data,
                       .augment = {DRL_AUGMENT_OPTIONS(COPY)},
                       .seed = m->seed,
                       .batch = m->cfg.train_batch,
                       .views = 1,
                       .threads = 1};
#undef COPY
    return drl_augment_active(&fc.augment) ? drl_feed_open(&m->feed, &fc, err) : DRL_OK;
}

void drl_model_images(const drl_model *m, drl_real *x, size_t first, size_t n) {
    const drl_images *im = &m->data->split[DRL_SPLIT_TRAIN];
    size_t size = im->h * im->w * im->c;
    if (m->feed)
        memcpy(x, m->pictures + first * size, n * size * sizeof *x);
    else
        drl_batch_images(x, m->data, DRL_SPLIT_TRAIN, m->index + first, n);
}

drl_status drl_model_open(drl_model **out, const drl_model_cfg *cfg, const drl_dataset *data, uint64_t seed,
                          drl_threads *team, drl_err *err) {
    *out = NULL;
    drl_model *m;
    drl_status st = drl_model_check(cfg, err);
    if (st == DRL_OK) st = drl_alloc(&m, 1, sizeof *m, "model", err);
    if (st != DRL_OK) return st;
    m->cfg = *cfg;
    m->method = drl_method_find(cfg->model_method);
    m->data = data;
    m->team = team;
    m->seed = seed;
    m->sde = drl_sde_published((drl_sde_kind)cfg->diffusion_sde);
    m->density =
        (drl_t_density){(drl_t_density_kind)cfg->diffusion_t_density, cfg->diffusion_t_mean, cfg->diffusion_t_std};
    drl_optim_cfg oc = {.kind = DRL_ADAM,
                        .rate = cfg->train_rate,
                        .warmup = cfg->train_warmup,
                        .clip = cfg->train_clip,
                        .ema = cfg->train_ema};
    if ((st = build_graphs(m, err)) != DRL_OK) goto failed;
    drl_params_init(&m->params, seed);
    if ((st = drl_optim_init(&m->optim, &oc, m->params.value, m->params.n_value, err)) != DRL_OK) goto failed;
    st = drl_alloc(&m->gradient, m->params.n_value, sizeof *m->gradient, "gradient", err);
    if (st == DRL_OK) st = drl_alloc(&m->index, cfg->train_batch, sizeof *m->index, "batch", err);
    if (st == DRL_OK)
        st = drl_alloc(&m->history, cfg->train_steps / DRL_HISTORY_STEPS + 1, sizeof *m->history, "loss history", err);
    if (st == DRL_OK) st = drl_order_init(&m->order, seed, data->split[DRL_SPLIT_TRAIN].n, err);
    if (st == DRL_OK) st = open_feed(m, err);
    if (st == DRL_OK) st = find_key(m, err);
    if (st != DRL_OK) goto failed;
    *out = m;
    return DRL_OK;
failed:
    drl_model_close(m);
    return st;
}

void drl_model_close(drl_model *m) {
    if (!m) return;
    drl_graph_free(m->train);
    drl_graph_free(m->encode);
    drl_params_free(&m->params);
    drl_optim_free(&m->optim);
    drl_feed_close(m->feed);
    drl_order_free(&m->order);
    drl_free(m->gradient);
    drl_free(m->index);
    drl_free(m->history);
    drl_free(m);
}

size_t drl_model_code_size(const drl_model *m) {
    return drl_graph_shape(m->encode, m->encode_z).c;
}

/* ---- Encoding ---------------------------------------------------------------------------------------------------- */

typedef struct encode_arg {
    drl_model *m;
    drl_split split;
    const uint32_t *index;
    drl_real t;
} encode_arg;

static void encode_fill(void *arg, size_t shard, size_t first, size_t n) {
    const encode_arg *a = arg;
    const drl_model *m = a->m;
    drl_batch_images(drl_graph_value(m->encode, m->encode_x, shard), m->data, a->split, a->index + first, n);
    for (size_t i = 0; i < n; i++) drl_graph_value(m->encode, m->encode_t, shard)[i] = a->t;
}

drl_status drl_model_encode(drl_model *m, drl_split split, double t, drl_real *codes, drl_err *err) {
    size_t n = m->data->split[split].n, d = drl_model_code_size(m);
    uint32_t index[ENCODE_BATCH];
    encode_arg a = {m, split, index, m->cfg.model_code == DRL_CODE_TIME ? (drl_real)t : 0};
    for (size_t from = 0; from < n; from += ENCODE_BATCH) {
        size_t k = n - from < ENCODE_BATCH ? n - from : ENCODE_BATCH;
        if (drl_interrupted()) return drl_fail(err, DRL_ERR_INTERRUPTED, "interrupted while encoding at t = %g", t);
        for (size_t i = 0; i < k; i++) index[i] = (uint32_t)(from + i);
        drl_graph_run(m->encode, k, 0, encode_fill, &a, false);
        drl_graph_read(m->encode, m->encode_z, codes + from * d);
    }
    for (size_t i = 0; i < n * d; i++)
        if (!isfinite(codes[i]))
            return drl_fail(err, DRL_ERR_NUMERIC, "code of image %zu at t = %g is not finite", i / d, t);
    return DRL_OK;
}
