/* The inside of the run store, shared by store.c and claims.c. */
#ifndef DRL_RESULTS_STORE_H
#define DRL_RESULTS_STORE_H

#include <sqlite3.h>

#include "drl/results.h"

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

#endif
