/* The inside of the run store, shared by its files. */
#ifndef DRL_RESULTS_STORE_H
#define DRL_RESULTS_STORE_H

#include <sqlite3.h>

#include "drl/results.h"

#define DRL_STORE_WAIT_MS 60000 /* for a lock that another program holds */

struct drl_store {
    sqlite3 *db;
    char path[4096];
};

/* One line about the last error of the database. */
drl_status drl_store_fail(drl_store *s, const char *what, drl_err *err);
/* *q = the statement; finalize it. `what` says in an error what was attempted. */
drl_status drl_store_prepare(drl_store *s, sqlite3_stmt **q, const char *sql, const char *what, drl_err *err);
/* Parameter `at` = a copy of the text. */
void drl_store_bind(sqlite3_stmt *q, int at, const char *text);
/* Statements without parameters, and without rows. */
drl_status drl_store_exec(drl_store *s, const char *sql, const char *what, drl_err *err);
/* Commits the transaction where st is DRL_OK, else takes it back; st, or why it could not be committed. */
drl_status drl_store_end(drl_store *s, drl_status st, const char *what, drl_err *err);

/* Opens one file, and looks at nothing in it. ERR_NOT_FOUND where it does not exist and is not to be made. */
drl_status drl_store_open_file(drl_store **store, const char *path, bool create, drl_err *err);
/* Refuses what is no store, or one of a version above DRL_STORE_VERSION; makes the tables of an empty file, and those
 * of earlier versions, in one transaction. */
drl_status drl_store_migrate(drl_store *s, drl_err *err);
/* Readers and one writer at once, from now on: the write-ahead log. */
drl_status drl_store_log_ahead(drl_store *s, drl_err *err);

#endif
