/* Opening models and encoding with them (drl/model.h). Training is in train.c, checkpoints in checkpoint.c. */
#include "drl/model.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "drl/hash.h"
#include "drl/interrupt.h"
#include "drl/mem.h"
#include "nn/conv_kernel.h"

#define ENCODE_BATCH 256

drl_status drl_model_text(char **text, const drl_model *m, drl_err *err) {
    drl_option *used;
    drl_model_cfg *cfg = NULL;
    size_t n, kept = 0;
    const drl_option *options = drl_model_options(&n);
    *text = NULL;
    drl_status st = drl_alloc(&used, n, sizeof *used, "model's settings", err);
    if (st == DRL_OK) st = drl_alloc(&cfg, 1, sizeof *cfg, "model's settings", err);
    if (st == DRL_OK) {
        for (size_t i = 0; i < n; i++)
            if (drl_method_depends(m->trainer, &options[i])) used[kept++] = options[i];
        *cfg = m->cfg;
        snprintf(cfg->model_method, sizeof cfg->model_method, "%s", m->trainer->name);
        st = drl_config_text(text, cfg, used, kept, err);
    }
    drl_free(cfg);
    drl_free(used);
    return st;
}

/* SHA-256 over the settings that determine the model, the data, the seed and the precision. Whoever changes what the
 * same settings train raises DRL_MODEL_VERSION, or the number of the pictures where only augmented ones change. */
static drl_status find_key(drl_model *m, drl_err *err) {
    char *text, *all;
    drl_status st = drl_model_text(&text, m, err);
    if (st != DRL_OK) return st;
    size_t room = strlen(text) + 256;
    if ((st = drl_alloc(&all, room, 1, "model key", err)) == DRL_OK) {
        snprintf(all, room, "drl model %d\n%s%s\ndata %s\nseed %llu\nprecision %s\n", DRL_MODEL_VERSION,
                 m->feed ? "pictures 2\n" : "", text, m->data->sha256, (unsigned long long)m->seed, DRL_REAL_NAME);
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
    drl_status st = DRL_OK;
    if (m->trainer->build) {
        st = drl_graph_new(&m->train, &train, &m->params, err);
        if (st == DRL_OK) st = m->trainer->build(m, err);
    }
    if (st == DRL_OK && m->method->encoder) {
        const drl_images *im = &m->data->split[DRL_SPLIT_TRAIN];
        if ((st = drl_graph_new(&m->encode, &encode, &m->params, err)) != DRL_OK) return st;
        m->encode_x = drl_graph_input(m->encode, "x", (drl_shape){im->h, im->w, im->c}, false);
        m->encode_t = drl_graph_input(m->encode, "t", (drl_shape){1, 1, 1}, false);
        m->encode_z = m->method->encoder(m, m->encode, m->encode_x, m->encode_t);
        drl_graph_output(m->encode, m->encode_z);
    }
    if (st == DRL_OK) st = drl_params_alloc(&m->params, err);
    if (st == DRL_OK && m->train) st = drl_graph_plan(m->train, m->team, err);
    if (st == DRL_OK && m->encode) st = drl_graph_plan(m->encode, m->team, err);
    return st;
}

void drl_model_term(drl_model *m, drl_tensor t, double weight) {
    assert(m->terms < DRL_MODEL_TERMS);
    m->term[m->terms] = t;
    m->term_weight[m->terms++] = weight;
    drl_graph_root(m->train, t, weight);
}

static drl_status check_score_net(const drl_model_cfg *c, drl_err *err) {
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
    return DRL_OK;
}

drl_status drl_model_check(const drl_model_cfg *c, drl_err *err) {
    const char *kernels;
    const drl_method *method = drl_method_find(c->model_method);
    drl_status st = drl_conv_describe(&kernels, err);
    if (st != DRL_OK) return st;
    if (!method)
        return drl_fail(err, DRL_ERR_CONFIG, "model.method = %s: unknown; the methods are: %s", c->model_method,
                        drl_method_names());
    if (method->diffusion && (st = check_score_net(c, err)) != DRL_OK) return st;
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
    return method->check ? method->check(c, err) : DRL_OK;
}

static drl_status open_feed(drl_model *m, drl_err *err) {
#define COPY(kind, section, key, ...) .section##_##key = m->cfg.section##_##key,
    m->augment = (drl_augment_cfg){DRL_AUGMENT_OPTIONS(COPY)};
#undef COPY
    if (m->trainer->augment) m->trainer->augment(&m->augment, &m->cfg);
    drl_feed_cfg fc = {.data = m->data,
                       .part = m->part,
                       .n = m->order.n,
                       .augment = m->augment,
                       .seed = m->seed,
                       .batch = m->cfg.train_batch,
                       .views = m->trainer->views ? m->trainer->views : 1,
                       .threads = 1};
    return drl_augment_active(&m->augment) ? drl_feed_open(&m->feed, &fc, err) : DRL_OK;
}

/* The order of the images; a method that sees labels keeps away from the probes' validation part. */
static drl_status open_order(drl_model *m, drl_err *err) {
    size_t n = m->data->split[DRL_SPLIT_TRAIN].n;
    if (m->trainer->labels) {
        drl_status st = drl_alloc(&m->part, n, sizeof *m->part, "training part", err);
        if (st != DRL_OK) return st;
        drl_split_validation(m->part, n, m->seed);
        n -= drl_validation_size(n);
    }
    drl_status st = drl_order_init(&m->order, m->seed, n, err);
    m->order.part = m->part;
    return st;
}

void drl_model_images(const drl_model *m, drl_real *x, size_t view, size_t first, size_t n) {
    const drl_images *im = &m->data->split[DRL_SPLIT_TRAIN];
    size_t size = im->h * im->w * im->c;
    if (m->feed)
        memcpy(x, m->pictures + (view * m->cfg.train_batch + first) * size, n * size * sizeof *x);
    else
        drl_batch_images(x, m->data, DRL_SPLIT_TRAIN, m->index + first, n);
}

void drl_model_labels(const drl_model *m, drl_real *x, size_t first, size_t n) {
    assert(m->trainer->labels);
    for (size_t i = 0; i < n; i++) x[i] = (drl_real)m->data->split[DRL_SPLIT_TRAIN].labels[m->index[first + i]];
}

/* What training needs besides the graph. */
static drl_status open_training(drl_model *m, drl_err *err) {
    const drl_model_cfg *c = &m->cfg;
    drl_optim_cfg oc = {
        .kind = DRL_ADAM, .rate = c->train_rate, .warmup = c->train_warmup, .clip = c->train_clip, .ema = c->train_ema};
    drl_status st = drl_optim_init(&m->optim, &oc, m->params.value, m->params.n_value, err);
    if (st == DRL_OK) st = drl_alloc(&m->gradient, m->params.n_value, sizeof *m->gradient, "gradient", err);
    if (st == DRL_OK) st = drl_alloc(&m->index, c->train_batch, sizeof *m->index, "batch", err);
    if (st == DRL_OK)
        st = drl_alloc(&m->history, c->train_steps / DRL_HISTORY_STEPS + 1, sizeof *m->history, "loss history", err);
    if (st == DRL_OK) st = open_order(m, err);
    return st == DRL_OK ? open_feed(m, err) : st;
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
    m->trainer = drl_method_trainer(m->method);
    m->data = data;
    m->team = team;
    m->seed = seed;
    m->sde = drl_sde_published((drl_sde_kind)cfg->diffusion_sde);
    m->density =
        (drl_t_density){(drl_t_density_kind)cfg->diffusion_t_density, cfg->diffusion_t_mean, cfg->diffusion_t_std};
    if ((st = build_graphs(m, err)) != DRL_OK) goto failed;
    drl_params_init(&m->params, seed);
    if (m->trainer->begin) m->trainer->begin(m);
    if (m->train) st = open_training(m, err);
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
    drl_free(m->part);
    drl_free(m->history);
    drl_free(m);
}

size_t drl_model_code_size(const drl_model *m) {
    if (!m->encode) return 0;
    drl_shape s = drl_graph_shape(m->encode, m->encode_z);
    return s.h * s.w * s.c;
}

bool drl_model_trajectory(const drl_model *m) {
    return drl_method_has_times(m->method, &m->cfg);
}

drl_status drl_model_measure(drl_model *m, drl_measure *out, size_t *n, drl_err *err) {
    *n = 0;
    return m->method->measure ? m->method->measure(m, out, n, err) : DRL_OK;
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
    drl_real *x = drl_graph_value(m->encode, m->encode_x, shard);
    drl_batch_images(x, m->data, a->split, a->index + first, n);
    if (m->method->encode_fill) m->method->encode_fill(m, a->split, a->index + first, n, (double)a->t, x);
    for (size_t i = 0; i < n; i++) drl_graph_value(m->encode, m->encode_t, shard)[i] = a->t;
}

drl_status drl_model_encode(drl_model *m, drl_split split, const uint32_t *index, size_t n, double t, drl_real *codes,
                            drl_err *err) {
    size_t d = drl_model_code_size(m);
    uint32_t all[ENCODE_BATCH];
    if (!m->encode) return drl_fail(err, DRL_ERR_CONFIG, "%s learns no code", m->method->title);
    encode_arg a = {m, split, all, drl_model_trajectory(m) ? (drl_real)t : 0};
    for (size_t from = 0; from < n; from += ENCODE_BATCH) {
        size_t k = n - from < ENCODE_BATCH ? n - from : ENCODE_BATCH;
        if (drl_interrupted()) return drl_fail(err, DRL_ERR_INTERRUPTED, "interrupted while encoding at t = %g", t);
        for (size_t i = 0; i < k; i++) all[i] = index ? index[from + i] : (uint32_t)(from + i);
        drl_graph_run(m->encode, k, 0, encode_fill, &a, false);
        drl_graph_read(m->encode, m->encode_z, codes + from * d);
    }
    for (size_t i = 0; i < n * d; i++)
        if (!isfinite(codes[i]))
            return drl_fail(err, DRL_ERR_NUMERIC, "code of image %zu at t = %g is not finite", i / d, t);
    return DRL_OK;
}
