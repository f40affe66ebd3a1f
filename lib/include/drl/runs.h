/* The runs of a store: how they went, and what is done to them as a whole.
 *
 *     drl_store_begin(store, run, threads, &err);      this process works on a run: a session of it
 *     ... drl_store_put(store, run, ...) ...           rows of the run name the session that made them
 *     drl_store_finish(store, status, &err);
 *
 * A session records status, start, end, wall and CPU time, peak memory, threads and provenance. The status of a run is
 * "running" while one of its sessions' processes lives, else that of the last session: "done", "failed", "interrupted"
 * (also where the process is gone without a word, or belongs to another machine), or "unknown" (no session, or made
 * before sessions were recorded). Times of a run are added over its sessions, peak memory is their largest; a killed
 * session counts up to the last row it stored. */
#ifndef DRL_RUNS_H
#define DRL_RUNS_H

#include "drl/results.h"

/* A store has at most one session at a time (asserted), and so has a run: where another process works on it this waits
 * until that is done with it, says so in one line, and is ended by Ctrl-C (ERR_INTERRUPTED, drl/lock.h). Look for rows
 * after that. Sessions of processes that are gone become "interrupted". */
drl_status drl_store_begin(drl_store *store, int64_t run_id, size_t threads, drl_err *err);

/* Ends the session as `outcome` says: DRL_OK done, ERR_INTERRUPTED interrupted, else failed with err's message.
 * A session that changed no row of a run that was done leaves no trace. Returns outcome, or where that is DRL_OK, what
 * recording it met; err keeps what it holds where outcome is no DRL_OK. Nothing where no session is open. */
drl_status drl_store_finish(drl_store *store, drl_status outcome, drl_err *err);

/* What runs are wanted; NULL: any. */
typedef struct drl_run_filter {
    const char *experiment, *method, *dataset, *status;
} drl_run_filter;

typedef struct drl_run_state {
    int64_t id;
    uint64_t seed;
    const char *experiment, *method, *dataset, *scale, *config_hash, *status, *message;
    const char *started, *ended;      /* UTC, "2026-01-02T03:04:05Z"; ended "" while it runs or is not known */
    double wall_seconds, cpu_seconds; /* NaN: not known                                                      */
    int64_t peak_bytes, threads;      /* 0: not known; threads of the last session                           */
    int64_t rows, sessions;
} drl_run_state;

/* Calls run() for each run that passes, by id; strings are lent for the call. Stops at anything but DRL_OK. */
drl_status drl_store_runs(drl_store *store, const drl_run_filter *filter,
                          drl_status (*run)(void *arg, const drl_run_state *run, drl_err *err), void *arg,
                          drl_err *err);
/* The same for one run. ERR_NOT_FOUND. */
drl_status drl_store_run_state(drl_store *store, int64_t id,
                               drl_status (*run)(void *arg, const drl_run_state *run, drl_err *err), void *arg,
                               drl_err *err);

/* Deletes runs with their rows, sessions, and claims that rest on them, all or none. ERR_NOT_FOUND for an unknown id,
 * ERR_IO for a run that is running. Trained models are files of their own and stay. */
drl_status drl_store_delete(drl_store *store, const int64_t *runs, size_t n, drl_err *err);

/* Every row of the runs that pass, with its run: run, experiment, method, dataset, scale, seed, status, metric, t,
 * value, detail, config_hash, dataset_sha256, git_revision (of the session that made the row). */
drl_status drl_store_write_csv(drl_store *store, const drl_run_filter *filter, FILE *f, drl_err *err);

/* Adds the runs, sessions and rows of another store, which is only read, in one transaction. A run is the same as one
 * here where experiment, method, dataset, scale, seed and config_hash are; of rows that are here with another value or
 * detail, ours stay and are counted. Ours also stay the newest configurations. Merging again adds nothing. Claims
 * are not merged: reports make them from the rows. ERR_NOT_FOUND, ERR_FORMAT as for a store that is opened. */
typedef struct drl_merge_counts {
    int64_t runs, rows; /* added                                  */
    int64_t same;       /* rows that were here                    */
    int64_t conflicts;  /* rows that differ from ours, left out   */
} drl_merge_counts;
drl_status drl_store_merge(drl_store *store, const char *other, drl_merge_counts *counts, drl_err *err);

#endif
