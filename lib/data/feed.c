/* Batches made ahead of the step by threads of their own (drl/augment.h).
 *
 * A ring of slots: step k lies in slot k mod SLOTS and is made by thread k mod threads. A thread may begin step k when
 * the consumer has taken step k - SLOTS + 1, that is, has given back the slot. One lock guards the counters; pictures
 * are made outside it. */
#define _POSIX_C_SOURCE 200809L
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "drl/augment.h"
#include "drl/mem.h"

enum { MAX_THREADS = 8, SLOTS = MAX_THREADS + 2 };

typedef struct maker { /* a thread and what is its own */
    drl_feed *feed;
    pthread_t thread;
    drl_order order;
    uint32_t *index; /* (batch) */
    drl_real *scratch;
    uint64_t first; /* step to begin with */
} maker;

struct drl_feed {
    drl_feed_cfg cfg;
    maker makers[MAX_THREADS];
    size_t size, slots, running; /* numbers of a batch; slots in use; threads that run */
    drl_real *pictures;          /* (slots, views, batch, h, w, c)                       */
    pthread_mutex_t lock;
    pthread_cond_t moved;   /* any of the following has changed */
    uint64_t ready[SLOTS];  /* 1 + the step a slot holds; 0: none */
    uint64_t taken;         /* the step the consumer holds, or will take next */
    bool started, stopping; /* started: `taken` counts                        */
};

static void make(maker *m, uint64_t step) {
    const drl_feed *f = m->feed;
    const drl_feed_cfg *c = &f->cfg;
    const drl_images *im = &c->data->split[DRL_SPLIT_TRAIN];
    drl_order_batch(&m->order, step, c->batch, m->index);
    drl_real *out = f->pictures + step % f->slots * f->size;
    for (uint32_t view = 0; view < c->views; view++)
        for (size_t i = 0; i < c->batch; i++, out += im->h * im->w * im->c) {
            const drl_augment_draw draw = {c->seed, view, (uint32_t)step, i};
            drl_augment_image(out, &c->augment, c->data, m->index[i], &draw, m->scratch);
        }
}

static void *run(void *arg) {
    maker *m = arg;
    drl_feed *f = m->feed;
    pthread_mutex_lock(&f->lock);
    for (uint64_t step = m->first;; step += f->cfg.threads) {
        while (!f->stopping && step >= f->taken + f->slots) pthread_cond_wait(&f->moved, &f->lock);
        if (f->stopping) break;
        pthread_mutex_unlock(&f->lock);
        make(m, step);
        pthread_mutex_lock(&f->lock);
        f->ready[step % f->slots] = step + 1;
        pthread_cond_broadcast(&f->moved);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static void stop(drl_feed *f) {
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_cond_broadcast(&f->moved);
    pthread_mutex_unlock(&f->lock);
    while (f->running > 0) pthread_join(f->makers[--f->running].thread, NULL);
    f->stopping = f->started = false;
}

/* Signals stay with the threads of the program: these would only take them away from a wait that they should end. */
static drl_status start(drl_feed *f, uint64_t step, drl_err *err) {
    sigset_t all, before;
    f->taken = step;
    f->started = true;
    for (size_t s = 0; s < f->slots; s++) f->ready[s] = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    for (size_t t = 0; t < f->cfg.threads && !failed; t++) {
        f->makers[t].first = step + t;
        failed = pthread_create(&f->makers[t].thread, NULL, run, &f->makers[t]);
        if (!failed) f->running++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed) return DRL_OK;
    stop(f);
    return drl_fail(err, DRL_ERR_MEMORY, "feed: cannot start a thread");
}

drl_status drl_feed_open(drl_feed **out, const drl_feed_cfg *cfg, drl_err *err) {
    assert(cfg->batch > 0 && cfg->views > 0 && cfg->threads > 0 && cfg->threads <= MAX_THREADS);
    *out = NULL;
    const drl_images *im = &cfg->data->split[DRL_SPLIT_TRAIN];
    drl_status st = drl_augment_check(&cfg->augment, im->h, im->w, err);
    drl_feed *f;
    if (st == DRL_OK) st = drl_alloc(&f, 1, sizeof *f, "feed", err);
    if (st != DRL_OK) return st;
    f->cfg = *cfg;
    f->slots = cfg->threads + 2; /* one held, one a thread, one ahead */
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->moved, NULL);
    size_t all;
    if (!drl_mul_size(&f->size, cfg->views * cfg->batch, im->h * im->w * im->c) ||
        !drl_mul_size(&all, f->slots, f->size))
        st = drl_fail(err, DRL_ERR_MEMORY, "feed: a batch of %zu is too large", cfg->batch);
    if (st == DRL_OK) st = drl_alloc(&f->pictures, all, sizeof *f->pictures, "augmented images", err);
    for (size_t t = 0; t < cfg->threads && st == DRL_OK; t++) {
        maker *m = &f->makers[t];
        m->feed = f;
        st = drl_order_init(&m->order, cfg->seed, cfg->part ? cfg->n : im->n, err);
        m->order.part = cfg->part;
        if (st == DRL_OK) st = drl_alloc(&m->index, cfg->batch, sizeof *m->index, "batch", err);
        if (st == DRL_OK) st = drl_alloc(&m->scratch, drl_augment_scratch(cfg->data), sizeof *m->scratch, "feed", err);
    }
    if (st == DRL_OK)
        *out = f;
    else
        drl_feed_close(f);
    return st;
}

void drl_feed_close(drl_feed *f) {
    if (!f) return;
    stop(f);
    for (size_t t = 0; t < MAX_THREADS; t++) {
        drl_order_free(&f->makers[t].order);
        drl_free(f->makers[t].index);
        drl_free(f->makers[t].scratch);
    }
    pthread_cond_destroy(&f->moved);
    pthread_mutex_destroy(&f->lock);
    drl_free(f->pictures);
    drl_free(f);
}

drl_status drl_feed_take(const drl_real **pictures, drl_feed *f, uint64_t step, drl_err *err) {
    *pictures = NULL;
    if (!f->started || step < f->taken || step > f->taken + 1) {
        stop(f);
        drl_status st = start(f, step, err);
        if (st != DRL_OK) return st;
    }
    pthread_mutex_lock(&f->lock);
    f->taken = step; /* gives the slot of the step before back */
    pthread_cond_broadcast(&f->moved);
    while (f->ready[step % f->slots] != step + 1) pthread_cond_wait(&f->moved, &f->lock);
    pthread_mutex_unlock(&f->lock);
    *pictures = f->pictures + step % f->slots * f->size;
    return DRL_OK;
}
