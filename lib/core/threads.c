/* A fixed team of threads (drl/threads.h): one generation counter wakes the members, one counts them in. Waiting
 * spins for a few microseconds, which covers the gaps between ops, and then sleeps on a condition variable. */
#define _GNU_SOURCE
#include "drl/threads.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "drl/mem.h"

#define SPINS 4000

typedef struct gate { /* opens when `value` moves on; waiters sleep on `moved` */
    atomic_uint value;
    pthread_mutex_t lock;
    pthread_cond_t moved;
} gate;

struct drl_threads {
    size_t count;
    pthread_t *ids;
    gate start, finish, barrier;
    atomic_uint arrived, done;
    atomic_size_t next; /* next index of a drl_threads_for */
    void (*fn)(void *, size_t);
    void *arg;
    int quit;
    bool running;
};

typedef struct member_arg {
    drl_threads *team;
    size_t member;
} member_arg;

static void gate_init(gate *g) {
    atomic_init(&g->value, 0);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->moved, NULL);
}

static void gate_free(gate *g) {
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->moved);
}

static void gate_advance(gate *g) {
    pthread_mutex_lock(&g->lock);
    atomic_fetch_add_explicit(&g->value, 1, memory_order_release);
    pthread_cond_broadcast(&g->moved);
    pthread_mutex_unlock(&g->lock);
}

static void gate_wait(gate *g, unsigned seen) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&g->value, memory_order_acquire) != seen) return;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    pthread_mutex_lock(&g->lock);
    while (atomic_load_explicit(&g->value, memory_order_acquire) == seen) pthread_cond_wait(&g->moved, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void *member_main(void *p) {
    member_arg a = *(member_arg *)p;
    free(p);
    for (unsigned seen = 0;; seen++) {
        gate_wait(&a.team->start, seen);
        if (a.team->quit) return NULL;
        a.team->fn(a.team->arg, a.member);
        if (atomic_fetch_add(&a.team->done, 1) + 2 == a.team->count) gate_advance(&a.team->finish);
    }
}

size_t drl_threads_available(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return (size_t)CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

drl_status drl_threads_open(drl_threads **team, size_t n, drl_err *err) {
    *team = NULL;
    if (n == 0) n = drl_threads_available();
    if (n > 1024) return drl_fail(err, DRL_ERR_CONFIG, "%zu threads asked for, at most 1024 are allowed", n);
    drl_threads *t;
    drl_status st = drl_alloc(&t, 1, sizeof *t, "thread team", err);
    if (st != DRL_OK) return st;
    t->count = 1;
    gate_init(&t->start);
    gate_init(&t->finish);
    gate_init(&t->barrier);
    if ((st = drl_alloc(&t->ids, n, sizeof *t->ids, "thread team", err)) != DRL_OK) goto failed;
    for (size_t m = 1; m < n; m++) {
        member_arg *a = malloc(sizeof *a);
        if (a) *a = (member_arg){t, m};
        if (!a || pthread_create(&t->ids[m], NULL, member_main, a) != 0) {
            free(a);
            st = drl_fail(err, DRL_ERR_MEMORY, "cannot start thread %zu of %zu", m + 1, n);
            goto failed;
        }
        t->count = m + 1;
    }
    *team = t;
    return DRL_OK;
failed:
    drl_threads_close(t);
    return st;
}

void drl_threads_close(drl_threads *t) {
    if (!t) return;
    t->quit = 1;
    gate_advance(&t->start);
    for (size_t m = 1; m < t->count; m++) pthread_join(t->ids[m], NULL);
    gate_free(&t->start);
    gate_free(&t->finish);
    gate_free(&t->barrier);
    drl_free(t->ids);
    drl_free(t);
}

size_t drl_threads_count(const drl_threads *t) {
    return t->count;
}

void drl_threads_run(drl_threads *t, void (*fn)(void *, size_t), void *arg) {
    assert(!t->running && "a run inside a run of the same team");
    t->running = true;
    if (t->count == 1) {
        fn(arg, 0);
        t->running = false;
        return;
    }
    t->fn = fn;
    t->arg = arg;
    atomic_store(&t->done, 0);
    unsigned seen = atomic_load(&t->finish.value);
    gate_advance(&t->start);
    fn(arg, 0);
    gate_wait(&t->finish, seen);
    t->running = false;
}

void drl_threads_barrier(drl_threads *t) {
    if (t->count == 1) return;
    unsigned seen = atomic_load(&t->barrier.value);
    if (atomic_fetch_add(&t->arrived, 1) + 1 == t->count) {
        atomic_store(&t->arrived, 0);
        gate_advance(&t->barrier);
    } else {
        gate_wait(&t->barrier, seen);
    }
}

typedef struct for_arg {
    drl_threads *team;
    size_t n;
    void (*fn)(void *, size_t, size_t);
    void *arg;
} for_arg;

static void for_member(void *p, size_t member) {
    for_arg *f = p;
    for (size_t i; (i = atomic_fetch_add(&f->team->next, 1)) < f->n;) f->fn(f->arg, i, member);
}

void drl_threads_for(drl_threads *t, size_t n, void (*fn)(void *, size_t, size_t), void *arg) {
    for_arg f = {t, n, fn, arg};
    atomic_store(&t->next, 0);
    drl_threads_run(t, for_member, &f);
}
