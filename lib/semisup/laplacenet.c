/* LaplaceNet's networks: an encoder taken over from pretraining, a linear head, codes and test (drl/laplacenet.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/hash.h"
#include "drl/interrupt.h"
#include "drl/mem.h"
#include "semisup/laplacenet_impl.h"

#define ENCODE_BATCH 256
#define VERSION      1 /* part of every key: raised where the same settings train another network */

DRL_CONFIG_TABLE(drl_laplacenet_options, drl_laplacenet_cfg, DRL_LAPLACENET_OPTIONS)

/* ---- Networks ---------------------------------------------------------------------------------------------------- */

static bool learns_time(const drl_laplacenet *net) {
    return net->from.trajectory && net->cfg.semi_learn_time;
}

/* The encoder's time: learnt, or an input, whose handle goes to *input. */
static drl_tensor append_time(const drl_laplacenet *net, drl_graph *g, drl_tensor *input) {
    *input = -1;
    if (learns_time(net)) return drl_op_learnt_time(g, "tau", 0);
    return *input = drl_graph_input(g, "t", (drl_shape){1, 1, 1}, false);
}

/* x (n, h, w, c) -> z (n, 1, 1, d), the mean over the pixels of the last stage, and logits (n, 1, 1, classes). */
static drl_tensor append_network(const drl_laplacenet *net, drl_graph *g, drl_tensor x, drl_tensor t, drl_tensor *z) {
    drl_encoder_cfg encoder;
    drl_model_encoder_cfg(net->from.model, &encoder);
    *z = drl_encoder(g, x, t, &encoder);
    drl_init init = drl_init_fan_in(drl_graph_shape(g, *z).c, 1);
    return drl_op_linear(g, *z, "head", net->from.data->classes, init, init);
}

static void add_term(drl_laplacenet *net, drl_tensor logits, drl_tensor label, drl_tensor weight) {
    drl_graph *g = net->train;
    drl_tensor ce = drl_op_cross_entropy(g, logits, label);
    if (weight >= 0) ce = drl_op_scale_images(g, ce, weight);
    drl_graph_root(g, ce, 1.0 / (double)net->cfg.semi_views);
    net->term[net->terms++] = ce;
}

static void build_train(drl_laplacenet *net, drl_shape image) {
    const drl_shape scalar = {1, 1, 1};
    drl_graph *g = net->train;
    bool mixup = net->cfg.semi_mixup;
    drl_tensor z, t = append_time(net, g, &net->time);
    net->label = drl_graph_input(g, "label", scalar, false);
    net->other = mixup ? drl_graph_input(g, "other label", scalar, false) : -1;
    net->lambda = mixup ? drl_graph_input(g, "lambda", scalar, false) : -1;
    net->rest = mixup ? drl_graph_input(g, "1 - lambda", scalar, false) : -1;
    for (size_t v = 0; v < net->cfg.semi_views; v++) {
        net->x[v] = drl_graph_input(g, "x", image, false);
        drl_tensor logits = append_network(net, g, net->x[v], t, &z);
        add_term(net, logits, net->label, net->lambda);
        if (mixup) add_term(net, logits, net->other, net->rest);
    }
}

static void build_eval(drl_laplacenet *net, drl_shape image) {
    drl_tensor t = append_time(net, net->eval, &net->eval_time);
    net->eval_x = drl_graph_input(net->eval, "x", image, false);
    net->eval_logits = append_network(net, net->eval, net->eval_x, t, &net->eval_z);
    drl_graph_output(net->eval, net->eval_z);
    drl_graph_output(net->eval, net->eval_logits);
}

static drl_status build_graphs(drl_laplacenet *net, drl_err *err) {
    const drl_images *im = &net->from.data->split[DRL_SPLIT_TRAIN];
    const drl_shape image = {im->h, im->w, im->c};
    size_t quarter = (net->cfg.semi_batch + 3) / 4; /* a small batch still has something to share */
    drl_graph_cfg train = {.batch = net->cfg.semi_batch,
                           .shard = net->cfg.semi_shard < quarter ? net->cfg.semi_shard : quarter,
                           .training = true,
                           .backward = true,
                           .seed = net->from.seed};
    drl_graph_cfg eval = {.batch = ENCODE_BATCH, .shard = DRL_ENCODE_SHARD};
    drl_status st = drl_graph_new(&net->train, &train, &net->params, err);
    if (st == DRL_OK) st = drl_graph_new(&net->eval, &eval, &net->params, err);
    if (st != DRL_OK) return st;
    build_train(net, image);
    build_eval(net, image);
    st = drl_params_alloc(&net->params, err);
    if (st == DRL_OK) st = drl_graph_plan(net->train, net->team, err);
    return st == DRL_OK ? drl_graph_plan(net->eval, net->team, err) : st;
}

/* The encoder's weights and running statistics become those of the pretrained model. */
static drl_status take_over(drl_laplacenet *net, drl_err *err) {
    const drl_model *from = net->from.pretrained;
    for (size_t i = 0; i < net->params.n; i++) {
        const drl_param *p = &net->params.list[i];
        if (strncmp(p->name, "encoder.", 8) != 0) continue;
        int k = drl_params_find(&from->params, p->name);
        const drl_param *q = k < 0 ? NULL : &from->params.list[k];
        if (!q || q->rank != p->rank || memcmp(q->shape, p->shape, p->rank * sizeof *p->shape) != 0)
            return drl_fail(err, DRL_ERR_CONFIG, "%s has no encoder to start from: %s is missing", from->method->title,
                            p->name);
        memcpy(drl_params_at(&net->params, (int)i), drl_params_at(&from->params, k), p->count * sizeof(drl_real));
    }
    return DRL_OK;
}

/* ---- What identifies a run --------------------------------------------------------------------------------------- */

/* Whether a setting changes the plain supervised run. */
static bool concerns_supervised(const char *key) {
    static const char *const second_phase[] = {"start_passes",   "start_repeats", "steps",     "epoch_steps",
                                               "unlabelled_ops", "labelled",      "neighbours"};
    for (size_t i = 0; i < sizeof second_phase / sizeof *second_phase; i++)
        if (strcmp(key, second_phase[i]) == 0) return false;
    return true;
}

static drl_status find_key(drl_laplacenet *net, drl_err *err) {
    const drl_laplacenet_start *from = &net->from;
    drl_option used[64];
    size_t n, kept = 0;
    const drl_option *options = drl_laplacenet_options(&n);
    char *text, labels[65], all[8192];
    for (size_t i = 0; i < n; i++)
        if (from->supervised_steps == 0 || concerns_supervised(options[i].key)) used[kept++] = options[i];
    drl_status st = drl_config_text(&text, &net->cfg, used, kept, err);
    if (st != DRL_OK) return st;
    drl_sha256(labels, from->labels->index, from->labels->n * sizeof *from->labels->index);
    int length =
        snprintf(all, sizeof all,
                 "drl laplacenet %d\n%s\nstart %s\nencoder %zu %.17g\ndata %s\nlabels %s\nseed %llu\nsupervised %zu\n"
                 "trajectory %d\nprecision %s\n",
                 VERSION, text, from->pretrained ? from->pretrained->key : "none", from->model->model_encoder_depth,
                 from->model->model_encoder_width, from->data->sha256, labels, (unsigned long long)from->seed,
                 from->supervised_steps, from->trajectory, DRL_REAL_NAME);
    drl_free(text);
    if (length < 0 || (size_t)length >= sizeof all) return drl_fail(err, DRL_ERR_CONFIG, "settings are too long");
    drl_sha256(net->key, all, (size_t)length);
    return DRL_OK;
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static drl_status check(const drl_laplacenet *net, drl_err *err) {
    const drl_laplacenet_cfg *c = &net->cfg;
    if (net->from.supervised_steps > 0) return DRL_OK;
    if (c->semi_labelled >= c->semi_batch)
        return drl_fail(err, DRL_ERR_CONFIG, "semi.labelled = %zu: leaves no room in semi.batch = %zu for others",
                        c->semi_labelled, c->semi_batch);
    if (c->semi_neighbours >= net->n)
        return drl_fail(err, DRL_ERR_CONFIG, "semi.neighbours = %zu: %s has only %zu training images",
                        c->semi_neighbours, net->from.data->name, net->n);
    if (net->from.labels->n >= net->n)
        return drl_fail(err, DRL_ERR_CONFIG, "all %zu training images of %s are labelled", net->n,
                        net->from.data->name);
    return DRL_OK;
}

/* known, unlabelled, and the lengths of the phases. */
static drl_status open_images(drl_laplacenet *net, drl_err *err) {
    const drl_laplacenet_cfg *c = &net->cfg;
    const drl_labels *labels = net->from.labels;
    drl_status st = drl_alloc(&net->known, net->n, sizeof *net->known, "labels", err);
    if (st == DRL_OK) st = drl_alloc(&net->pseudo, net->n, sizeof *net->pseudo, "pseudo-labels", err);
    if (st == DRL_OK) st = drl_alloc(&net->unlabelled, net->n, sizeof *net->unlabelled, "unlabelled images", err);
    if (st == DRL_OK) st = drl_alloc(&net->partner, c->semi_batch, sizeof *net->partner, "batch", err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; i < net->n; i++) net->known[i] = -1;
    for (size_t i = 0; i < labels->n; i++)
        net->known[labels->index[i]] = net->from.data->split[DRL_SPLIT_TRAIN].labels[labels->index[i]];
    for (size_t i = 0; i < net->n; i++)
        if (net->known[i] < 0) net->unlabelled[net->n_unlabelled++] = (uint32_t)i;
    memcpy(net->pseudo, net->known, net->n * sizeof *net->pseudo);

    if (net->from.supervised_steps > 0) {
        net->start_steps = net->from.supervised_steps;
        return DRL_OK;
    }
    size_t others = c->semi_batch - c->semi_labelled;
    net->start_steps = c->semi_start_passes * ((c->semi_start_repeats * labels->n + c->semi_batch - 1) / c->semi_batch);
    net->steps = c->semi_steps;
    net->epoch_steps = c->semi_epoch_steps ? c->semi_epoch_steps : (net->n_unlabelled + others - 1) / others;
    size_t epochs = (net->steps + net->epoch_steps - 1) / net->epoch_steps;
    return drl_alloc(&net->history, epochs, sizeof *net->history, "epochs", err);
}

/* Numbers of its own for every part: two parts show the same image differently. */
static uint64_t seed_of(uint64_t seed, uint32_t part) {
    uint32_t word[2];
    drl_rng_u32(drl_rng_stream(seed, DRL_RNG_LAPLACENET, part, 0), 0, word, 2);
    return (uint64_t)word[0] << 32 | word[1];
}

static drl_status open_part(drl_laplacenet *net, uint32_t which, size_t batch, const uint32_t *images, size_t n,
                            size_t rand_ops, drl_err *err) {
    drl_laplacenet_part *p = &net->part[which];
    const drl_laplacenet_cfg *c = &net->cfg;
    drl_feed_cfg fc = {.data = net->from.data,
                       .augment = {.augment_flip = c->semi_flip,
                                   .augment_crop = c->semi_crop,
                                   .augment_rand_ops = rand_ops,
                                   .augment_rand_magnitude = 9},
                       .seed = seed_of(net->from.seed, which),
                       .batch = batch,
                       .views = c->semi_views,
                       .threads = 1,
                       .part = images,
                       .n = n};
    p->batch = batch;
    drl_status st = drl_order_init(&p->order, fc.seed, n, err);
    p->order.part = images;
    if (st == DRL_OK) st = drl_alloc(&p->index, batch, sizeof *p->index, "batch", err);
    return st == DRL_OK ? drl_feed_open(&p->feed, &fc, err) : st;
}

static drl_status open_parts(drl_laplacenet *net, drl_err *err) {
    const drl_laplacenet_cfg *c = &net->cfg;
    const drl_labels *l = net->from.labels;
    drl_status st = open_part(net, DRL_PART_START, c->semi_batch, l->index, l->n, c->semi_labelled_ops, err);
    if (st != DRL_OK || net->steps == 0) return st;
    st = open_part(net, DRL_PART_LABELLED, c->semi_labelled, l->index, l->n, c->semi_labelled_ops, err);
    if (st == DRL_OK)
        st = open_part(net, DRL_PART_PSEUDO, c->semi_batch - c->semi_labelled, net->unlabelled, net->n_unlabelled,
                       c->semi_unlabelled_ops, err);
    return st;
}

drl_status drl_laplacenet_open(drl_laplacenet **out, const drl_laplacenet_start *start, drl_threads *team,
                               drl_err *err) {
    drl_laplacenet *net;
    *out = NULL;
    drl_status st = drl_alloc(&net, 1, sizeof *net, "LaplaceNet", err);
    if (st != DRL_OK) return st;
    net->cfg = *start->cfg;
    net->from = *start;
    net->from.cfg = &net->cfg;
    if (start->pretrained) net->from.model = &start->pretrained->cfg;
    net->team = team;
    net->n = start->data->split[DRL_SPLIT_TRAIN].n;
    drl_optim_cfg oc = {
        .kind = DRL_SGD_NESTEROV, .rate = net->cfg.semi_rate, .weight_decay = net->cfg.semi_weight_decay};
    st = check(net, err);
    if (st == DRL_OK) st = open_images(net, err);
    if (st == DRL_OK) st = build_graphs(net, err);
    if (st != DRL_OK) goto failed;
    drl_params_init(&net->params, start->seed);
    if (start->pretrained && (st = take_over(net, err)) != DRL_OK) goto failed;
    st = drl_optim_init(&net->optim, &oc, net->params.value, net->params.n_value, err);
    if (st == DRL_OK) st = drl_alloc(&net->gradient, net->params.n_value, sizeof *net->gradient, "gradient", err);
    if (st == DRL_OK) st = open_parts(net, err);
    if (st == DRL_OK) st = find_key(net, err);
    if (st != DRL_OK) goto failed;
    *out = net;
    return DRL_OK;
failed:
    drl_laplacenet_close(net);
    return st;
}

void drl_laplacenet_close(drl_laplacenet *net) {
    if (!net) return;
    for (int i = 0; i < DRL_PARTS; i++) {
        drl_feed_close(net->part[i].feed);
        drl_order_free(&net->part[i].order);
        drl_free(net->part[i].index);
    }
    drl_graph_free(net->train);
    drl_graph_free(net->eval);
    drl_params_free(&net->params);
    drl_optim_free(&net->optim);
    drl_free(net->gradient);
    drl_free(net->known);
    drl_free(net->pseudo);
    drl_free(net->unlabelled);
    drl_free(net->partner);
    drl_free(net->history);
    drl_free(net);
}

const char *drl_laplacenet_key(const drl_laplacenet *net) {
    return net->key;
}

size_t drl_laplacenet_steps(const drl_laplacenet *net) {
    return net->start_steps + net->steps;
}

size_t drl_laplacenet_epochs(const drl_laplacenet *net) {
    return net->steps ? (net->steps + net->epoch_steps - 1) / net->epoch_steps : 0;
}

const drl_laplacenet_epoch *drl_laplacenet_history(const drl_laplacenet *net, size_t *n) {
    *n = net->epochs;
    return net->history;
}

double drl_laplacenet_time(const drl_laplacenet *net) {
    if (!learns_time(net)) return net->from.trajectory ? DRL_LAPLACENET_TIME : 0;
    return 1 / (1 + exp(-(double)drl_params_at(&net->params, drl_params_find(&net->params, "tau"))[0]));
}

/* ---- Evaluation mode --------------------------------------------------------------------------------------------- */

typedef struct evaluation {
    const drl_laplacenet *net;
    drl_split split;
    const uint32_t *index; /* of the batch */
} evaluation;

static void fill(void *arg, size_t shard, size_t first, size_t n) {
    const evaluation *e = arg;
    const drl_laplacenet *net = e->net;
    drl_batch_images(drl_graph_value(net->eval, net->eval_x, shard), net->from.data, e->split, e->index + first, n);
    for (size_t i = 0; net->eval_time >= 0 && i < n; i++)
        drl_graph_value(net->eval, net->eval_time, shard)[i] = (drl_real)drl_laplacenet_time(net);
}

/* out (n, d) = the values of a tensor for the first n images of a split. */
static drl_status evaluate(drl_laplacenet *net, drl_tensor y, drl_split split, size_t n, drl_real *out, drl_err *err) {
    uint32_t index[ENCODE_BATCH];
    evaluation e = {net, split, index};
    size_t d = drl_graph_shape(net->eval, y).c;
    for (size_t from = 0; from < n; from += ENCODE_BATCH) {
        size_t k = n - from < ENCODE_BATCH ? n - from : ENCODE_BATCH;
        if (drl_interrupted()) return drl_fail(err, DRL_ERR_INTERRUPTED, "interrupted while encoding");
        for (size_t i = 0; i < k; i++) index[i] = (uint32_t)(from + i);
        drl_graph_run(net->eval, k, 0, fill, &e, false);
        drl_graph_read(net->eval, y, out + from * d);
    }
    for (size_t i = 0; i < n * d; i++)
        if (!isfinite(out[i]))
            return drl_fail(err, DRL_ERR_NUMERIC, "step %llu: what image %zu is encoded to is not finite",
                            (unsigned long long)net->optim.step, i / d);
    return DRL_OK;
}

size_t drl_laplacenet_code_size(const drl_laplacenet *net) {
    return drl_graph_shape(net->eval, net->eval_z).c;
}

drl_status drl_laplacenet_encode(drl_laplacenet *net, drl_split split, size_t n, drl_real *codes, drl_err *err) {
    return evaluate(net, net->eval_z, split, n, codes, err);
}

drl_status drl_laplacenet_test(drl_laplacenet *net, double *accuracy, drl_err *err) {
    const drl_images *im = &net->from.data->split[DRL_SPLIT_TEST];
    size_t classes = net->from.data->classes, right = 0;
    drl_real *logits;
    drl_status st = drl_alloc(&logits, im->n * classes, sizeof *logits, "logits", err);
    if (st == DRL_OK) st = evaluate(net, net->eval_logits, DRL_SPLIT_TEST, im->n, logits, err);
    for (size_t i = 0; st == DRL_OK && i < im->n; i++) {
        size_t best = 0;
        for (size_t c = 1; c < classes; c++)
            if (logits[i * classes + c] > logits[i * classes + best]) best = c;
        right += (int32_t)best == im->labels[i];
    }
    drl_free(logits);
    if (st == DRL_OK) *accuracy = (double)right / (double)im->n;
    return st;
}
