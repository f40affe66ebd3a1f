/* The floor seen from the benchmark: the list of layers, the process that times them, medians over rounds (floor.h). */
#define _POSIX_C_SOURCE 200809L
#include "floor.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "drl/mem.h"
#include "nn/graph_impl.h"

struct bench_floor {
    int socket;
    pid_t child;
    size_t n, rounds, max_rounds;
    bench_floor_layer *layers; /* n */
    double *seconds;           /* (max_rounds, n, FLOOR_PASSES) */
};

typedef struct request {
    size_t n, batch, threads; /* n layers follow */
} request;

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

static bool send_all(int s, const void *data, size_t size) {
    for (const char *p = data; size > 0;) {
        ssize_t sent = send(s, p, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        p += sent, size -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int s, void *data, size_t size) {
    for (char *p = data; size > 0;) {
        ssize_t got = recv(s, p, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        p += got, size -= (size_t)got;
    }
    return true;
}

/* ---- The process that measures ----------------------------------------------------------------------------------- */

/* Answers the list of layers, and then every one-byte order for a round, with a drl_err; behind that of a round that
 * went well come its seconds. Ends when the other side has closed, or after a failure. */
static void serve(int s) {
    request r;
    bench_floor_layer *layers = NULL;
    double *seconds = NULL;
    floor_timer *timer = NULL;
    drl_err err = {0};
    char order;
    if (!receive_all(s, &r, sizeof r)) return;
    drl_status st = drl_alloc(&layers, r.n, sizeof *layers, "layers", &err);
    if (st == DRL_OK) st = drl_alloc(&seconds, r.n * FLOOR_PASSES, sizeof *seconds, "layers", &err);
    if (st == DRL_OK && !receive_all(s, layers, r.n * sizeof *layers)) return;
    if (st == DRL_OK) st = floor_timer_open(&timer, layers, r.n, r.batch, r.threads, &err);
    bool more = send_all(s, &err, sizeof err);
    while (st == DRL_OK && more && receive_all(s, &order, 1)) {
        st = floor_timer_run(timer, seconds, &err);
        more = send_all(s, &err, sizeof err);
        if (st == DRL_OK) more = more && send_all(s, seconds, r.n * FLOOR_PASSES * sizeof *seconds);
    }
}

drl_status bench_floor_open(bench_floor **out, drl_err *err) {
    *out = NULL;
    bench_floor *f;
    drl_status st = drl_alloc(&f, 1, sizeof *f, "floor", err);
    if (st != DRL_OK) return st;
    int pair[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && (f->child = fork()) == 0) {
        close(pair[0]);
        serve(pair[1]);
        _exit(0); /* the memory goes with the process */
    }
    if (f->child > 0) {
        close(pair[1]);
        f->socket = pair[0];
        *out = f;
        return DRL_OK;
    }
    st = drl_fail(err, DRL_ERR_IO, "cannot start the process that measures the floor: %s", strerror(errno));
    if (pair[0] >= 0) close(pair[0]), close(pair[1]);
    drl_free(f);
    return st;
}

void bench_floor_close(bench_floor *f) {
    if (!f) return;
    close(f->socket);
    while (waitpid(f->child, NULL, 0) < 0 && errno == EINTR) continue;
    drl_free(f->layers);
    drl_free(f->seconds);
    drl_free(f);
}

static drl_status ended(drl_err *err) {
    return drl_fail(err, DRL_ERR_IO, "the process that measures the floor has ended");
}

static drl_status answer(const bench_floor *f, drl_err *err) {
    drl_err theirs;
    if (!receive_all(f->socket, &theirs, sizeof theirs)) return ended(err);
    return theirs.status == DRL_OK ? DRL_OK : drl_fail(err, theirs.status, "floor: %s", theirs.message);
}

/* ---- Layers ------------------------------------------------------------------------------------------------------ */

/* Equal shapes are one layer. */
static void add_layer(bench_floor *f, const drl_conv_dims *d, bool data) {
    size_t i = 0;
    while (i < f->n && memcmp(&f->layers[i].dims, d, sizeof *d) != 0) i++;
    if (i == f->n) f->layers[f->n++].dims = *d;
    f->layers[i].count[FLOOR_FORWARD]++;
    f->layers[i].count[FLOOR_DATA] += data;
    f->layers[i].count[FLOOR_WEIGHT]++;
}

drl_status bench_floor_plan(bench_floor *f, const drl_graph *g, size_t threads, size_t rounds, drl_err *err) {
    drl_status st = drl_alloc(&f->layers, g->n_nodes, sizeof *f->layers, "layers", err);
    if (st != DRL_OK) return st;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const drl_node *nd = &g->nodes[i];
        if (nd->cfg.k == 0) continue; /* not a convolution */
        drl_conv_dims d = {nd->xs[0].h, nd->xs[0].w, nd->xs[0].c,    nd->ys.h,   nd->ys.w,
                           nd->ys.c,    nd->cfg.k,   nd->cfg.stride, nd->cfg.pad};
        add_layer(f, &d, g->bufs[i].dx[0] != NULL);
    }
    f->max_rounds = rounds;
    st = drl_alloc(&f->seconds, rounds * f->n * FLOOR_PASSES, sizeof *f->seconds, "layers", err);
    if (st != DRL_OK) return st;
    request r = {f->n, g->cfg.batch, threads};
    bool sent = send_all(f->socket, &r, sizeof r) && send_all(f->socket, f->layers, f->n * sizeof *f->layers);
    return sent ? answer(f, err) : ended(err);
}

drl_status bench_floor_round(bench_floor *f, drl_err *err) {
    assert(f->rounds < f->max_rounds && f->max_rounds <= BENCH_MAX_ROUNDS);
    const size_t row = f->n * FLOOR_PASSES;
    double *seconds = f->seconds + f->rounds * row, column[BENCH_MAX_ROUNDS];
    drl_status st = send_all(f->socket, "r", 1) ? answer(f, err) : ended(err);
    if (st != DRL_OK) return st;
    if (!receive_all(f->socket, seconds, row * sizeof *seconds)) return ended(err);
    f->rounds++;
    for (size_t i = 0; i < row; i++) {
        for (size_t k = 0; k < f->rounds; k++) column[k] = f->seconds[k * row + i];
        bench_floor_layer *l = &f->layers[i / FLOOR_PASSES];
        l->seconds[i % FLOOR_PASSES] = bench_median(column, f->rounds);
        l->least[i % FLOOR_PASSES] = column[0]; /* sorted now */
    }
    return DRL_OK;
}

double bench_floor_seconds(const bench_floor *f) {
    double sum = 0;
    for (size_t i = 0; i < f->n; i++)
        for (int p = 0; p < FLOOR_PASSES; p++) sum += (double)f->layers[i].count[p] * f->layers[i].seconds[p];
    return sum;
}

double bench_floor_least(const bench_floor *f) {
    double sum = 0;
    for (size_t i = 0; i < f->n; i++)
        for (int p = 0; p < FLOOR_PASSES; p++) sum += (double)f->layers[i].count[p] * f->layers[i].least[p];
    return sum;
}

const bench_floor_layer *bench_floor_layers(const bench_floor *f, size_t *n) {
    *n = f->n;
    return f->layers;
}
