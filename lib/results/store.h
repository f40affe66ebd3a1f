/* The inside of the run store, shared by its files. */
#ifndef DRL_RESULTS_STORE_H
#define DRL_RESULTS_STORE_H

#include <cjson/cJSON.h>
#include <sqlite3.h>

#include "drl/lock.h"
#include "drl/results.h"

#define DRL_STORE_WAIT_MS 60000 /* for a lock that another program holds */

struct drl_store {
    sqlite3 *db;
    char path[DRL_PATH_MAX];
    /* the session that is open (session 0: none) */
    int64_t session, session_run, session_changes;
    bool session_was_done; /* the run, before */
    double wall, cpu;      /* at its begin    */
    drl_lock lock;         /* of its run      */
};

/* One line about the last error of the database. */
drl_status drl_store_fail(drl_store *s, const char *what, drl_err *err);
/* *q = the statement; finalize it. `what` says in an error what was attempted. */
drl_status drl_store_prepare(drl_store *s, sqlite3_stmt **q, const char *sql, const char *what, drl_err *err);
/* Parameter `at` = a copy of the text. */
void drl_store_bind(sqlite3_stmt *q, int at, const char *text);
/* Writes a text as a field of a CSV file: in quotes, its own doubled. */
void drl_store_quote(FILE *f, const char *text);
/* Statements without parameters, and without rows. */
drl_status drl_store_exec(drl_store *s, const char *sql, const char *what, drl_err *err);
/* Commits the transaction where st is DRL_OK, else takes it back; st, or why it could not be committed. */
drl_status drl_store_end(drl_store *s, drl_status st, const char *what, drl_err *err);

/* Opens one file, and looks at nothing in it. ERR_NOT_FOUND where it does not exist and is not to be made. */
typedef enum drl_store_mode {
    DRL_STORE_READ_FIXED, /* to read what surely does not change meanwhile: nothing is locked or looked for beside it */
    DRL_STORE_READ,
    DRL_STORE_WRITE,
    DRL_STORE_CREATE /* where it is not there */
} drl_store_mode;
drl_status drl_store_open_file(drl_store **store, const char *path, drl_store_mode mode, drl_err *err);
/* Whether the file or its directory, which is needed too, may not be written by us; *why is the errno. What is not
 * there is not protected. */
bool drl_store_is_protected(const char *path, int *why);
/* Opens a copy in memory of the store in a file, of this version whatever the file's is: the file stays as it is. Under
 * SQLite's locks where it may be written; else what another program does meanwhile is noticed, and it is read again.
 * ERR_NOT_FOUND, ERR_FORMAT (an empty file, too). */
drl_status drl_store_copy(drl_store **store, const char *path, drl_err *err);
/* All pages of one store, into the database `name` of another. */
drl_status drl_store_copy_pages(drl_store *to, const char *name, drl_store *from, const char *what, drl_err *err);
/* Refuses what is no store, or one of a version above DRL_STORE_VERSION; makes the tables of an empty file, and those
 * of earlier versions, in one transaction. */
drl_status drl_store_migrate(drl_store *s, drl_err *err);
/* ERR_FORMAT for an empty file too. */
drl_status drl_store_refuse_empty(drl_store *s, drl_err *err);
/* Readers and one writer at once, from now on: the write-ahead log. */
drl_status drl_store_log_ahead(drl_store *s, drl_err *err);

/* drl_alive(boot, pid, pid_start): whether the process of a session lives. */
drl_status drl_store_add_functions(drl_store *s, drl_err *err);
/* A row was added or changed by the session: it did something, and this is what it used so far. */
drl_status drl_store_session_row(drl_store *s, drl_err *err);
/* Adds an object for each session of a run. */
drl_status drl_store_describe_sessions(drl_store *s, int64_t run, cJSON *array, drl_err *err);
/* A run is made anew: what was used before does not count. */
drl_status drl_store_forget_sessions(drl_store *s, int64_t run, drl_err *err);

#endif
