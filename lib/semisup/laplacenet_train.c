/* Steps, epochs and checkpoints of LaplaceNet (drl/laplacenet.h).
 *
 *   checkpoint.safetensors   NAME every parameter and running statistic; sgd/NAME the momentum;
 *                            pseudo/labels (n) of the epoch; pseudo/history (epochs, 2) accuracy and time of each
 * Random numbers have no state, so equal runs give equal bytes. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/file.h"
#include "drl/interrupt.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "models/checkpoint_file.h"
#include "models/train.h"
#include "semisup/laplacenet_impl.h"

#define FORMAT "drl-laplacenet-1"

/* ---- An epoch: pseudo-labels ------------------------------------------------------------------------------------- */

static drl_status begin_epoch(drl_laplacenet *net, drl_err *err) {
    const drl_propagation_cfg cfg = drl_propagation_published();
    const int32_t *truth = net->from.data->split[DRL_SPLIT_TRAIN].labels;
    size_t d = drl_laplacenet_code_size(net), right = 0;
    drl_real *codes;
    drl_propagation_result result;
    drl_status st = drl_alloc(&codes, net->n * d, sizeof *codes, "codes", err);
    if (st == DRL_OK) st = drl_laplacenet_encode(net, DRL_SPLIT_TRAIN, net->n, codes, err);
    if (st == DRL_OK)
        st = drl_pseudo_label(net->pseudo, &result, codes, net->n, d, net->cfg.semi_neighbours, net->known,
                              net->from.data->classes, &cfg, net->team, err);
    drl_free(codes);
    if (st != DRL_OK) return st;
    for (size_t i = 0; i < net->n_unlabelled; i++)
        right += net->pseudo[net->unlabelled[i]] == truth[net->unlabelled[i]];
    net->history[net->epochs++] =
        (drl_laplacenet_epoch){(double)right / (double)net->n_unlabelled, drl_laplacenet_time(net)};
    return DRL_OK;
}

/* ---- A step ------------------------------------------------------------------------------------------------------ */

/* The parts of the batch in their order: the start's, or the labelled and the pseudo-labelled images. */
static size_t first_part(const drl_laplacenet *net) {
    return net->optim.step < net->start_steps ? DRL_PART_START : DRL_PART_LABELLED;
}

static size_t last_part(const drl_laplacenet *net) {
    return net->optim.step < net->start_steps ? DRL_PART_START : DRL_PART_PSEUDO;
}

static drl_status take_parts(drl_laplacenet *net, drl_err *err) {
    uint64_t step = net->optim.step < net->start_steps ? net->optim.step : net->optim.step - net->start_steps;
    drl_status st = DRL_OK;
    for (size_t i = first_part(net); i <= last_part(net) && st == DRL_OK; i++) {
        drl_laplacenet_part *p = &net->part[i];
        drl_order_batch(&p->order, step, p->batch, p->index);
        st = drl_feed_take(&p->pictures, p->feed, step, err);
    }
    return st;
}

/* The part that place i of the batch belongs to; *i becomes its place there. */
static const drl_laplacenet_part *part_at(const drl_laplacenet *net, size_t *i) {
    const drl_laplacenet_part *p = &net->part[first_part(net)];
    if (*i < p->batch) return p;
    *i -= p->batch;
    return p + 1;
}

static int32_t label_at(const drl_laplacenet *net, size_t i) {
    const drl_laplacenet_part *p = part_at(net, &i);
    return net->pseudo[p->index[i]];
}

/* The picture of view v at place i, size numbers; lent. */
static const drl_real *picture_at(const drl_laplacenet *net, size_t v, size_t i, size_t size) {
    const drl_laplacenet_part *p = part_at(net, &i);
    return p->pictures + (v * p->batch + i) * size;
}

static void fill(void *arg, size_t shard, size_t first, size_t n) {
    const drl_laplacenet *net = arg;
    const drl_images *im = &net->from.data->split[DRL_SPLIT_TRAIN];
    const drl_real lambda = (drl_real)net->mix;
    size_t size = im->h * im->w * im->c;
    for (size_t i = 0; i < n; i++) {
        size_t at = first + i, partner = net->partner[at];
        drl_graph_value(net->train, net->label, shard)[i] = (drl_real)label_at(net, at);
        if (net->time >= 0) drl_graph_value(net->train, net->time, shard)[i] = (drl_real)drl_laplacenet_time(net);
        if (net->lambda >= 0) {
            drl_graph_value(net->train, net->other, shard)[i] = (drl_real)label_at(net, partner);
            drl_graph_value(net->train, net->lambda, shard)[i] = lambda;
            drl_graph_value(net->train, net->rest, shard)[i] = 1 - lambda;
        }
        for (size_t v = 0; v < net->cfg.semi_views; v++) {
            drl_real *restrict x = drl_graph_value(net->train, net->x[v], shard) + i * size;
            const drl_real *a = picture_at(net, v, at, size), *b = picture_at(net, v, partner, size);
            if (net->lambda < 0)
                memcpy(x, a, size * sizeof *x);
            else
                for (size_t e = 0; e < size; e++) x[e] = lambda * a[e] + (1 - lambda) * b[e];
        }
    }
}

/* lambda ~ Beta(1, 1), which is uniform, and the permutation of the step. */
static void draw_mixup(drl_laplacenet *net) {
    drl_rng rng = drl_rng_stream(net->from.seed, DRL_RNG_LAPLACENET, DRL_PARTS, (uint32_t)net->optim.step);
    drl_rng_permutation(rng, net->partner, net->cfg.semi_batch);
    net->mix =
        drl_rng_uniform_at(drl_rng_stream(net->from.seed, DRL_RNG_LAPLACENET, DRL_PARTS + 1, 0), net->optim.step);
}

/* rate (1 + cos(pi k / K)) / 2 in the last phase, `rate` before. */
static double rate_now(const drl_laplacenet *net) {
    size_t step = (size_t)net->optim.step, from = net->steps ? net->start_steps : 0;
    if (step < from) return net->cfg.semi_rate;
    double k = (double)(step - from), all = (double)(drl_laplacenet_steps(net) - from);
    return net->cfg.semi_rate * (1 + cos(acos(-1) * k / all)) / 2;
}

/* The encoder learns at another rate than the head: so many times its gradient. */
static void scale_encoder(drl_laplacenet *net) {
    const drl_real factor = (drl_real)net->cfg.semi_encoder_rate;
    for (size_t i = 0; factor != 1 && i < net->params.n; i++) {
        const drl_param *p = &net->params.list[i];
        if (!p->trained || strncmp(p->name, "encoder.", 8) != 0) continue;
        for (size_t e = 0; e < p->count; e++) net->gradient[p->offset + e] *= factor;
    }
}

drl_status drl_laplacenet_step(drl_laplacenet *net, double *loss, drl_err *err) {
    drl_status st = DRL_OK;
    assert(net->optim.step < drl_laplacenet_steps(net));
    if (net->optim.step >= net->start_steps && net->epochs * net->epoch_steps <= net->optim.step - net->start_steps)
        st = begin_epoch(net, err);
    if (st == DRL_OK) st = take_parts(net, err);
    if (st != DRL_OK) return st;
    draw_mixup(net);
    drl_graph_run(net->train, net->cfg.semi_batch, (uint32_t)net->optim.step, fill, net, true);
    double norm2 = drl_graph_collect(net->train, net->gradient);
    *loss = 0;
    for (size_t i = 0; i < net->terms; i++)
        *loss += drl_graph_mean(net->train, net->term[i]) / (double)net->cfg.semi_views;
    if (!isfinite(*loss) || !isfinite(norm2))
        return drl_fail(err, DRL_ERR_NUMERIC, "step %llu: loss is %g, squared gradient %g; a lower semi.rate may help",
                        (unsigned long long)net->optim.step, *loss, norm2);
    scale_encoder(net);
    net->optim.cfg.rate = rate_now(net);
    drl_optim_step(&net->optim, net->params.value, net->gradient, norm2, net->team);
    return DRL_OK;
}

/* ---- Checkpoints ------------------------------------------------------------------------------------------------- */

enum { BLOCKS = 3 };

static void blocks_of(const drl_laplacenet *net, drl_checkpoint_block out[BLOCKS]) {
    const drl_checkpoint_block all[BLOCKS] = {
        {"", net->params.value, true}, {"", net->params.state, false}, {"sgd/", net->optim.m, true}};
    memcpy(out, all, sizeof all);
}

_Static_assert(sizeof(drl_laplacenet_epoch) == 2 * sizeof(double), "an epoch is two numbers of the checkpoint");

static drl_status save(const drl_laplacenet *net, const char *dir, drl_err *err) {
    drl_checkpoint_out out = {0};
    drl_checkpoint_block blocks[BLOCKS];
    char *config = NULL;
    size_t n;
    const drl_option *options = drl_laplacenet_options(&n);
    blocks_of(net, blocks);
    drl_status st = drl_config_text(&config, &net->cfg, options, n, err);
    if (st == DRL_OK)
        st = drl_checkpoint_begin(&out, FORMAT, net->key, net->optim.step, config,
                                  2 * net->params.n_value + net->params.n_state, err);
    for (int b = 0; b < BLOCKS && st == DRL_OK; b++) st = drl_checkpoint_put_block(&out, &net->params, blocks[b], err);
    if (st == DRL_OK && net->epochs) {
        st = drl_checkpoint_put(&out, "pseudo/labels", "I32", net->n, net->pseudo, err);
        if (st == DRL_OK) st = drl_checkpoint_put(&out, "pseudo/history", "F64", 2 * net->epochs, net->history, err);
    }
    if (st == DRL_OK) st = drl_checkpoint_commit(&out, dir, err);
    drl_checkpoint_end(&out);
    drl_free(config);
    return st;
}

/* Epochs that have begun before the step. */
static size_t epochs_before(const drl_laplacenet *net, uint64_t step) {
    return step <= net->start_steps ? 0 : ((size_t)step - net->start_steps + net->epoch_steps - 1) / net->epoch_steps;
}

static drl_status load_all(drl_laplacenet *net, const drl_st *file, drl_err *err) {
    drl_checkpoint_block blocks[BLOCKS];
    uint64_t step;
    blocks_of(net, blocks);
    drl_status st = drl_checkpoint_verify(&step, file, FORMAT, net->key, drl_laplacenet_steps(net), err);
    for (int b = 0; b < BLOCKS && st == DRL_OK; b++) st = drl_checkpoint_get_block(&net->params, blocks[b], file, err);
    if (st != DRL_OK) return st;
    /* One that was interrupted between the pseudo-labels of an epoch and its first step makes them again. */
    size_t epochs = epochs_before(net, step);
    if (epochs) {
        const int32_t *pseudo = drl_checkpoint_get(file, "pseudo/labels", "I32", net->n, err);
        const double *history = pseudo ? drl_checkpoint_get(file, "pseudo/history", "F64", 2 * epochs, err) : NULL;
        if (!history) return DRL_ERR_FORMAT;
        memcpy(net->pseudo, pseudo, net->n * sizeof *pseudo);
        memcpy(net->history, history, epochs * sizeof *net->history);
    }
    for (size_t i = 0; i < net->n; i++)
        if (net->pseudo[i] < -1 || net->pseudo[i] >= (int32_t)net->from.data->classes)
            return drl_fail(err, DRL_ERR_FORMAT, "pseudo-label %zu is no class", i);
    net->epochs = epochs;
    net->optim.step = net->optim.updates = step;
    return DRL_OK;
}

static drl_status load(drl_laplacenet *net, const char *dir, bool *found, drl_err *err) {
    drl_st *file;
    drl_status st = drl_checkpoint_open(&file, dir, err);
    *found = file != NULL;
    if (!file) return st;
    st = load_all(net, file, err);
    drl_st_close(file);
    return st == DRL_OK ? st : drl_err_context(err, st, "%s/checkpoint.safetensors", dir);
}

/* ---- The loop ---------------------------------------------------------------------------------------------------- */

/* Saves and says so; `st` is what the loop ended with. */
static drl_status leave(drl_laplacenet *net, const drl_train_run *run, drl_status st, drl_err *err) {
    size_t steps = drl_laplacenet_steps(net);
    if (st != DRL_OK && st != DRL_ERR_INTERRUPTED) return drl_err_context(err, st, "%s", run->label);
    if ((st = save(net, run->dir, err)) != DRL_OK || net->optim.step >= steps) return st;
    return drl_fail(err, DRL_ERR_INTERRUPTED,
                    "%s: interrupted at step %llu of %zu; the checkpoint is in %s, the same command continues it",
                    run->label, (unsigned long long)net->optim.step, steps, run->dir);
}

/* The steps that are missing. */
static drl_status train(drl_laplacenet *net, drl_train_run *run, drl_err *err) {
    size_t steps = drl_laplacenet_steps(net), first = (size_t)net->optim.step;
    size_t images = net->cfg.semi_batch * net->cfg.semi_views;
    drl_status st = DRL_OK;
    double started = drl_now(), saved = started, loss = NAN, smooth = NAN;
    drl_progress progress;
    drl_progress_begin(&progress, run->label, first, steps);
    while (st == DRL_OK && net->optim.step < steps && !drl_interrupted()) {
        if ((st = drl_laplacenet_step(net, &loss, err)) != DRL_OK) break;
        smooth = isnan(smooth) ? loss : 0.98 * smooth + 0.02 * loss;
        drl_progress_update(&progress, (size_t)net->optim.step, images, smooth);
        if (drl_now() - saved < run->checkpoint_seconds || net->optim.step >= steps) continue;
        st = save(net, run->dir, err);
        saved = drl_now();
    }
    st = leave(net, run, st, err);
    drl_progress_end(&progress, (size_t)net->optim.step, smooth);
    run->seconds = drl_now() - started;
    run->images_per_second = (double)((size_t)net->optim.step - first) * (double)images / run->seconds;
    return st;
}

/* *done: the checkpoint that is there is of the last step. */
static drl_status look(drl_laplacenet *net, const drl_train_run *run, bool *found, bool *done, drl_err *err) {
    drl_status st = run->resume ? load(net, run->dir, found, err) : DRL_OK;
    *done = st == DRL_OK && *found && net->optim.step >= drl_laplacenet_steps(net);
    return st;
}

drl_status drl_laplacenet_train(drl_laplacenet *net, drl_train_run *run, drl_err *err) {
    drl_lock lock = {.held = false};
    bool found = false, done = false;
    run->seconds = run->images_per_second = 0;
    drl_status st = drl_make_dirs(run->dir, err);
    if (st == DRL_OK) drl_temporary_sweep(run->dir);
    /* what is finished is only read; else once more under the lock: another program may have gone on with it */
    if (st == DRL_OK) st = look(net, run, &found, &done, err);
    if (st == DRL_OK && !done) {
        st = drl_train_lock(&lock, run, err);
        if (st == DRL_OK) st = look(net, run, &found, &done, err);
    }
    if (st == DRL_OK && found)
        drl_log("%s: continued from %s at step %zu of %zu", run->label, run->dir, (size_t)net->optim.step,
                drl_laplacenet_steps(net));
    if (st == DRL_OK && !done) st = train(net, run, err);
    drl_lock_release(&lock);
    return st;
}
