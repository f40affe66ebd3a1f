/* Scores of trained models, and likelihoods of images (drl/sampling.h). */
#include "drl/sampling.h"

#include <assert.h>
#include <string.h>

#include "drl/mem.h"

struct drl_score_model {
    const drl_model *m;
    drl_params params; /* a copy: the graphs' own */
    size_t batch;
    drl_graph *encode, *graph; /* encode: NULL where the network takes no code */
    drl_tensor image, image_t, code;
    drl_tensor x, t, z, raw;

    /* What states are conditioned on: codes of images at time z_t, or given ones. */
    drl_split split;
    uint32_t *index; /* (n); NULL: given */
    size_t n;
    drl_real *codes; /* (n, d) */
    drl_real z_t;    /* NaN: not encoded yet */

    /* The run at work. */
    const drl_real *states, *v;
    size_t from;
    drl_real now, factor; /* factor: of the upstream gradient */
};

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static drl_status build_encoder(drl_score_model *s, drl_err *err) {
    const drl_images *im = &s->m->data->split[DRL_SPLIT_TRAIN];
    const drl_graph_cfg cfg = {.batch = s->batch, .shard = DRL_ENCODE_SHARD};
    drl_status st = drl_graph_new(&s->encode, &cfg, &s->params, err);
    if (st != DRL_OK) return st;
    s->image = drl_graph_input(s->encode, "x", (drl_shape){im->h, im->w, im->c}, false);
    s->image_t = drl_graph_input(s->encode, "t", (drl_shape){1, 1, 1}, false);
    s->code = s->m->trainer->encoder(s->m, s->encode, s->image, s->image_t);
    drl_graph_output(s->encode, s->code);
    return DRL_OK;
}

static drl_status build_network(drl_score_model *s, bool pull, drl_err *err) {
    const drl_images *im = &s->m->data->split[DRL_SPLIT_TRAIN];
    const drl_graph_cfg cfg = {.batch = s->batch, .shard = DRL_ENCODE_SHARD, .backward = pull};
    drl_score_cfg network;
    drl_status st = drl_graph_new(&s->graph, &cfg, &s->params, err);
    if (st != DRL_OK) return st;
    drl_model_score_cfg(&s->m->cfg, &s->m->sde, &network);
    s->x = drl_graph_input(s->graph, "x", (drl_shape){im->h, im->w, im->c}, pull);
    s->t = drl_graph_input(s->graph, "t", (drl_shape){1, 1, 1}, false);
    s->z = s->encode ? drl_graph_input(s->graph, "z", drl_graph_shape(s->encode, s->code), false) : -1;
    s->raw = drl_score_net(s->graph, s->x, s->t, s->z, &network);
    drl_graph_output(s->graph, s->raw);
    if (pull) drl_graph_seed(s->graph, s->raw);
    return DRL_OK;
}

/* The tensors of the two networks, out of the model's blocks: the average has the layout of the trained values. */
static void copy_weights(drl_score_model *s, drl_weights weights) {
    const drl_params *from = &s->m->params;
    const drl_real *trained = weights == DRL_WEIGHTS_EMA ? s->m->optim.ema : from->value;
    for (size_t i = 0; i < s->params.n; i++) {
        const drl_param *to = &s->params.list[i];
        int at = drl_params_find(from, to->name);
        assert(at >= 0 && from->list[at].trained == to->trained && from->list[at].layout == to->layout);
        memcpy(drl_params_at(&s->params, (int)i), (to->trained ? trained : from->state) + from->list[at].offset,
               to->count * sizeof *trained);
    }
}

static drl_status check(const drl_model *m, drl_weights weights, drl_err *err) {
    if (!m->train || !m->trainer->diffusion)
        return drl_fail(err, DRL_ERR_CONFIG, "%s has no score network: sampling takes a model of drl, vdrl or dsm",
                        m->method->title);
    if (m->trainer->one_level)
        return drl_fail(err, DRL_ERR_CONFIG, "%s knows the score at one noise level only: sampling takes all",
                        m->method->title);
    if (weights == DRL_WEIGHTS_EMA && !(m->optim.cfg.ema > 0))
        return drl_fail(err, DRL_ERR_CONFIG,
                        "the model was trained without a moving average: sample with the raw weights");
    return DRL_OK;
}

drl_status drl_score_model_open(drl_score_model **out, const drl_model *m, const drl_score_model_cfg *cfg,
                                drl_err *err) {
    drl_score_model *s;
    *out = NULL;
    drl_status st = check(m, cfg->weights, err);
    if (st == DRL_OK) st = drl_alloc(&s, 1, sizeof *s, "score model", err);
    if (st != DRL_OK) return st;
    s->m = m;
    s->batch = cfg->batch ? cfg->batch : DRL_SCORE_BATCH;
    if (m->trainer->encoder) st = build_encoder(s, err);
    if (st == DRL_OK) st = build_network(s, cfg->pull, err);
    if (st == DRL_OK) st = drl_params_alloc(&s->params, err);
    if (st == DRL_OK && s->encode) st = drl_graph_plan(s->encode, m->team, err);
    if (st == DRL_OK) st = drl_graph_plan(s->graph, m->team, err);
    if (st != DRL_OK) {
        drl_score_model_close(s);
        return st;
    }
    copy_weights(s, cfg->weights);
    *out = s;
    return DRL_OK;
}

void drl_score_model_close(drl_score_model *s) {
    if (!s) return;
    drl_graph_free(s->encode);
    drl_graph_free(s->graph);
    drl_params_free(&s->params);
    drl_free(s->index);
    drl_free(s->codes);
    drl_free(s);
}

/* ---- What states are conditioned on ------------------------------------------------------------------------------ */

size_t drl_score_model_code_size(const drl_score_model *s) {
    return s->encode ? drl_graph_shape(s->encode, s->code).c : 0;
}

/* Room for n codes; an index too where they are those of images. */
static drl_status condition(drl_score_model *s, size_t n, bool images, drl_err *err) {
    if (!s->encode) return drl_fail(err, DRL_ERR_CONFIG, "%s takes no codes", s->m->method->title);
    drl_free(s->codes);
    drl_free(s->index);
    s->codes = NULL;
    s->index = NULL;
    s->n = 0;
    drl_status st = drl_alloc(&s->codes, n * drl_score_model_code_size(s), sizeof *s->codes, "codes", err);
    if (st == DRL_OK && images) st = drl_alloc(&s->index, n, sizeof *s->index, "images", err);
    if (st == DRL_OK) s->n = n;
    return st;
}

drl_status drl_score_model_codes(drl_score_model *s, const drl_real *z, size_t n, drl_err *err) {
    drl_status st = condition(s, n, false, err);
    if (st == DRL_OK) memcpy(s->codes, z, n * drl_score_model_code_size(s) * sizeof *z);
    return st;
}

drl_status drl_score_model_images(drl_score_model *s, drl_split split, const uint32_t *index, size_t n, drl_err *err) {
    drl_status st = condition(s, n, true, err);
    if (st != DRL_OK) return st;
    memcpy(s->index, index, n * sizeof *index);
    s->split = split;
    s->z_t = NAN;
    return DRL_OK;
}

static void fill_images(void *arg, size_t shard, size_t first, size_t n) {
    drl_score_model *s = arg;
    const uint32_t *index = s->index + s->from + first;
    drl_real *x = drl_graph_value(s->encode, s->image, shard);
    drl_batch_images(x, s->m->data, s->split, index, n);
    for (size_t i = 0; i < n; i++) drl_graph_value(s->encode, s->image_t, shard)[i] = s->z_t;
}

/* Codes of the images at time t, 0 where codes do not depend on it, unless these are the codes there are. */
static void encode_at(drl_score_model *s, drl_real t) {
    if (!drl_method_has_times(s->m->trainer, &s->m->cfg)) t = 0;
    if (s->z_t == t) return;
    s->z_t = t;
    for (s->from = 0; s->from < s->n; s->from += s->batch) {
        drl_graph_run(s->encode, s->n - s->from < s->batch ? s->n - s->from : s->batch, 0, fill_images, s, false);
        drl_graph_read(s->encode, s->code, s->codes + s->from * drl_score_model_code_size(s));
    }
}

/* ---- The score --------------------------------------------------------------------------------------------------- */

static size_t state_size(const drl_score_model *s) {
    drl_shape shape = drl_graph_shape(s->graph, s->raw);
    return shape.h * shape.w * shape.c;
}

static void fill_states(void *arg, size_t shard, size_t first, size_t n) {
    drl_score_model *s = arg;
    const size_t size = state_size(s), d = drl_score_model_code_size(s), at = s->from + first;
    memcpy(drl_graph_value(s->graph, s->x, shard), s->states + at * size, n * size * sizeof *s->states);
    for (size_t i = 0; i < n; i++) drl_graph_value(s->graph, s->t, shard)[i] = s->now;
    if (d) memcpy(drl_graph_value(s->graph, s->z, shard), s->codes + at * d, n * d * sizeof *s->codes);
    if (!s->v) return;
    drl_real *restrict up = drl_graph_gradient(s->graph, s->raw, shard);
    for (size_t i = 0; i < n * size; i++) up[i] = s->factor * s->v[at * size + i];
}

/* out = factor raw; and pulled = (factor d raw / d x)^T v, whose factor went into the upstream gradient. */
static drl_status run(drl_score_model *s, const drl_real *x, const drl_real *v, size_t n, double t, drl_real *out,
                      drl_real *pulled, drl_err *err) {
    const size_t size = state_size(s);
    if (s->encode && n != s->n)
        return drl_fail(err, DRL_ERR_SHAPE, "the score of %zu states was asked for, with codes of %zu", n, s->n);
    s->now = (drl_real)t; /* rounded as in training, so that network and process mean the same t */
    s->factor = (drl_real)drl_sde_score_factor(&s->m->sde, (double)s->now);
    s->states = x;
    s->v = v;
    if (s->index) encode_at(s, s->now);
    for (s->from = 0; s->from < n; s->from += s->batch) {
        const size_t k = n - s->from < s->batch ? n - s->from : s->batch;
        drl_graph_run(s->graph, k, 0, fill_states, s, v != NULL);
        drl_graph_read(s->graph, s->raw, out + s->from * size);
        if (!v) continue;
        const size_t shard = drl_graph_shard_size(s->graph);
        for (size_t i = 0; i < k; i += shard)
            memcpy(pulled + (s->from + i) * size, drl_graph_gradient(s->graph, s->x, i / shard),
                   (k - i < shard ? k - i : shard) * size * sizeof *pulled);
    }
    for (size_t i = 0; i < n * size; i++) out[i] *= s->factor;
    return DRL_OK;
}

static drl_status at(void *arg, const drl_real *x, size_t n, double t, drl_real *out, drl_err *err) {
    return run(arg, x, NULL, n, t, out, NULL, err);
}

static drl_status pull(void *arg, const drl_real *x, const drl_real *v, size_t n, double t, drl_real *out,
                       drl_real *pulled, drl_err *err) {
    return run(arg, x, v, n, t, out, pulled, err);
}

drl_score drl_score_model_score(drl_score_model *s) {
    bool derivative = drl_graph_gradient(s->graph, s->x, 0) != NULL;
    return (drl_score){.size = state_size(s), .at = at, .pull = derivative ? pull : NULL, .arg = s};
}

/* ---- Likelihoods of images --------------------------------------------------------------------------------------- */

/* x (n, size) = (byte + u)/256, normalised; u by the images' numbers first, first + 1, ... */
static void dequantise(drl_real *x, const drl_dataset *ds, drl_split split, const uint32_t *index, size_t n,
                       uint64_t seed, uint64_t first) {
    const drl_images *im = &ds->split[split];
    const size_t size = im->h * im->w * im->c;
    drl_rng_uniform(drl_rng_stream(seed, DRL_RNG_DEQUANTISE, 0, 0), first * size, x, n * size);
    for (size_t i = 0; i < n; i++)
        for (size_t e = 0; e < size; e++) {
            double level = ((double)im->pixels[index[i] * size + e] + (double)x[i * size + e]) / 256;
            x[i * size + e] = (drl_real)((level - ds->mean[e % im->c]) / ds->std[e % im->c]);
        }
}

drl_status drl_bits_per_dim(double *bits, drl_score_model *s, drl_split split, const uint32_t *index, size_t n,
                            size_t probes, const drl_sampler_cfg *cfg, size_t *evaluations, drl_err *err) {
    const drl_dataset *ds = s->m->data;
    const size_t channels = ds->split[split].c, size = state_size(s);
    const drl_score score = drl_score_model_score(s);
    double unit = 0;
    size_t asked = 0;
    drl_real *x;
    for (size_t c = 0; c < channels; c++) unit += log2(256 * ds->std[c]) / (double)channels;
    drl_status st = drl_alloc(&x, (n < s->batch ? n : s->batch) * size, sizeof *x, "dequantised images", err);
    for (size_t from = 0; from < n && st == DRL_OK; from += s->batch) {
        const size_t k = n - from < s->batch ? n - from : s->batch;
        drl_sampler_cfg part = *cfg;
        part.first += from;
        dequantise(x, ds, split, index + from, k, cfg->seed, part.first);
        if (s->encode) st = drl_score_model_images(s, split, index + from, k, err);
        if (st == DRL_OK) st = drl_log_likelihood(bits + from, x, k, probes, &s->m->sde, &score, &part, &asked, err);
        for (size_t i = from; i < from + k && st == DRL_OK; i++) bits[i] = unit - bits[i] / (double)size / log(2);
        if (evaluations) *evaluations = asked + (from ? *evaluations : 0);
    }
    drl_free(x);
    return st;
}
