/* The fitted MLP probe (models/probe_mlp.h): counting what given weights classify right, without dropout. */
#include "drl/mem.h"
#include "models/probe_classifier.h"
#include "models/probe_mlp.h"

#define PIECE (4 * (size_t)DRL_MLP_EVALUATION_ROWS) /* codes a thread takes at a time */

void drl_mlp_count_correct(size_t *correct, drl_real *const *params, size_t count, const drl_mlp_net *net,
                           const drl_codes *codes, drl_mlp_feed *feed, const drl_mlp_scratch *s) {
    for (size_t r = 0; r < count; r++) correct[r] = 0;
    for (size_t at = 0; at < codes->n;) {
        size_t batches = 0;
        for (; batches < feed->capacity && at < codes->n; batches++) {
            size_t rows = codes->n - at < feed->rows ? codes->n - at : feed->rows;
            drl_mlp_feed_fill(feed, batches, net, codes, NULL, at, rows, (drl_mlp_dropout){0});
            at += rows;
        }
        for (size_t r = 0; r < count; r++)
            for (size_t b = 0; params[r] && b < batches; b++)
                correct[r] += drl_mlp_correct(params[r], net, &feed->batch[b], s);
    }
}

typedef struct mlp_fit {
    drl_classifier base;
    drl_mlp_net net;
    drl_real *weights; /* (net.params) */
} mlp_fit;

/* The codes cut into pieces, and what each member of the team needs for its own. */
typedef struct evaluation {
    const mlp_fit *fit;
    const drl_codes *codes;
    drl_mlp_feed *feed;       /* (threads) */
    drl_mlp_scratch *scratch; /* (threads) */
    size_t *correct;          /* (pieces)  */
} evaluation;

static void evaluate_piece(void *arg, size_t piece, size_t member) {
    evaluation *e = arg;
    size_t first = piece * PIECE, left = e->codes->n - first;
    drl_codes part = *e->codes;
    part.n = left < PIECE ? left : PIECE;
    part.x += first * part.d;
    part.y += first;
    drl_mlp_count_correct(&e->correct[piece], &e->fit->weights, 1, &e->fit->net, &part, &e->feed[member],
                          &e->scratch[member]);
}

static drl_status mlp_accuracy(double *accuracy, const drl_classifier *fit, const drl_codes *codes, drl_threads *team,
                               drl_err *err) {
    evaluation e = {.fit = (const mlp_fit *)fit, .codes = codes};
    size_t members = drl_threads_count(team), pieces = (codes->n + PIECE - 1) / PIECE, correct = 0;
    drl_status st = drl_alloc(&e.feed, members, sizeof *e.feed, "minibatches", err);
    if (st == DRL_OK) st = drl_alloc(&e.scratch, members, sizeof *e.scratch, "activations", err);
    if (st == DRL_OK) st = drl_alloc(&e.correct, pieces, sizeof *e.correct, "counts", err);
    for (size_t m = 0; m < members && st == DRL_OK; m++) {
        st = drl_mlp_feed_init(&e.feed[m], &e.fit->net, DRL_MLP_EVALUATION_ROWS, err);
        if (st == DRL_OK) st = drl_mlp_scratch_init(&e.scratch[m], &e.fit->net, DRL_MLP_EVALUATION_ROWS, err);
    }
    if (st == DRL_OK) {
        drl_threads_for(team, pieces, evaluate_piece, &e);
        for (size_t k = 0; k < pieces; k++) correct += e.correct[k];
        *accuracy = (double)correct / (double)codes->n;
    }
    for (size_t m = 0; m < members && e.feed && e.scratch; m++) {
        drl_mlp_scratch_free(&e.scratch[m]);
        drl_mlp_feed_free(&e.feed[m]);
    }
    drl_free(e.correct);
    drl_free(e.scratch);
    drl_free(e.feed);
    return st;
}

static void mlp_release(drl_classifier *fit) {
    drl_free(((mlp_fit *)fit)->weights);
}

static const drl_classifier_type mlp_type = {"MLP probe", mlp_accuracy, mlp_release};

drl_status drl_mlp_classifier(drl_classifier **fit, const drl_mlp_net *net, drl_real *weights, drl_err *err) {
    mlp_fit *f;
    drl_status st = drl_alloc(&f, 1, sizeof *f, "MLP probe: classifier", err);
    if (st != DRL_OK) return st;
    *f = (mlp_fit){{&mlp_type, net->d, net->classes}, *net, weights};
    *fit = &f->base;
    return DRL_OK;
}
