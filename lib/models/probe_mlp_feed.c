/* Minibatches of the MLP probe (models/probe_mlp.h): codes gathered and packed, dropout drawn. */
#include <assert.h>
#include <limits.h>
#include <string.h>

#include "drl/mem.h"
#include "models/probe_kernels.h"
#include "models/probe_mlp.h"

/* As many minibatches as fit these bytes: a fit's parameters and moments come from the last cache once for all of
 * them, and the minibatches too should be found there. */
#define FEED_BYTES ((size_t)2 << 20)

static size_t padded(size_t n) {
    return (n + DRL_MLP_ROWS - 1) / DRL_MLP_ROWS * DRL_MLP_ROWS;
}

/* Words of random bits for one row. */
static size_t words_of(size_t hidden) {
    return (hidden + 1) / 2;
}

static size_t lines(size_t bytes) {
    return (bytes + DRL_ALIGN - 1) / DRL_ALIGN * DRL_ALIGN;
}

drl_status drl_mlp_feed_init(drl_mlp_feed *feed, const drl_mlp_net *net, size_t rows, drl_err *err) {
    size_t row = net->depth * sizeof(drl_real) + sizeof(int32_t) + net->panels * sizeof(uint32_t), one, all;
    size_t words = lines(words_of(net->hidden) * sizeof(uint32_t));
    *feed = (drl_mlp_feed){.rows = rows};
    bool fits = rows <= INT_MAX && drl_mul_size(&one, padded(rows), row);
    size_t capacity = fits ? FEED_BYTES / one : 1;
    capacity = capacity < 1 ? 1 : capacity > DRL_MLP_FEED ? DRL_MLP_FEED : capacity;
    if (!fits || !drl_mul_size(&all, capacity, lines(one) + 3 * (size_t)DRL_ALIGN) || all > SIZE_MAX - words)
        return drl_fail(err, DRL_ERR_MEMORY, "MLP probe: a batch of %zu codes is too large", rows);
    drl_status st = drl_alloc(&feed->block, all + words, 1, "MLP probe: minibatches", err);
    if (st != DRL_OK) return st;
    unsigned char *next = feed->block;
    for (feed->capacity = 0; feed->capacity < capacity; feed->capacity++) {
        drl_mlp_batch *b = &feed->batch[feed->capacity];
        b->x = (drl_real *)(void *)next, next += lines(padded(rows) * net->depth * sizeof *b->x);
        b->y = (int32_t *)(void *)next, next += lines(padded(rows) * sizeof *b->y);
        b->keep = (uint32_t *)(void *)next, next += lines(padded(rows) * net->panels * sizeof *b->keep);
    }
    feed->words = (uint32_t *)(void *)next;
    return DRL_OK;
}

void drl_mlp_feed_free(drl_mlp_feed *feed) {
    drl_free(feed->block);
    *feed = (drl_mlp_feed){0};
}

uint32_t drl_mlp_dropout_below(double p) {
    assert(p >= 0 && p < 1);
    uint32_t below = (uint32_t)(p * 65536 + 0.5);
    return below < 65536 ? below : 65535;
}

void drl_mlp_feed_fill(drl_mlp_feed *feed, size_t k, const drl_mlp_net *net, const drl_codes *codes,
                       const uint32_t *index, size_t first, size_t n, drl_mlp_dropout dropout) {
    assert(k < feed->capacity && n <= feed->rows);
    drl_mlp_batch *b = &feed->batch[k];
    size_t rows = padded(n), words = words_of(net->hidden);
    b->n = n;
    b->rows = rows;
    b->dropout = dropout.below > 0;
    b->scale = (drl_real)(65536.0 / (65536.0 - dropout.below));
    drl_mlp_pack(b->x, index ? codes->x : codes->x + first * net->d, index, n, rows, net->d, net->depth);
    for (size_t i = 0; i < n; i++) b->y[i] = codes->y[index ? index[i] : first + i];
    if (!b->dropout) return;
    memset(b->keep, 0, rows * net->panels * sizeof *b->keep);
    for (size_t i = 0; i < n; i++) {
        drl_rng_u32(dropout.stream, (uint64_t)i * words, feed->words, words);
        drl_mlp_keep_row(b->keep + i, rows, feed->words, dropout.below, net->hidden, net->panels);
    }
}
