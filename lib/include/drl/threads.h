/* A fixed team of threads.
 *
 * The caller is member 0; members 1 .. n-1 are created once and sleep between jobs (after a short spin). Work is cut
 * into pieces whose number never depends on the number of threads, and results are combined in the order of the
 * pieces, so that the number of threads never changes a bit of any result. */
#ifndef DRL_THREADS_H
#define DRL_THREADS_H

#include <stddef.h>

#include "drl/err.h"

typedef struct drl_threads drl_threads;

/* Starts a team of n threads (n >= 1, the caller included; n = 0 means one per available processor). */
drl_status drl_threads_open(drl_threads **team, size_t n, drl_err *err);
void drl_threads_close(drl_threads *team);
size_t drl_threads_count(const drl_threads *team);

/* Number of processors this process may run on. */
size_t drl_threads_available(void);

/* Runs fn(arg, member) once on every member and returns when all are done. Not reentrant (asserted). */
void drl_threads_run(drl_threads *team, void (*fn)(void *arg, size_t member), void *arg);

/* Inside a run: waits until every member has come here. All members must call it equally often. */
void drl_threads_barrier(drl_threads *team);

/* Runs fn(arg, i, member) for i = 0 .. n-1, each once, in any order and on any member. */
void drl_threads_for(drl_threads *team, size_t n, void (*fn)(void *arg, size_t i, size_t member), void *arg);

#endif
