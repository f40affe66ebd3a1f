/* Status codes and error messages.
 *
 * Every call that can fail because of the outside world (files, flags, configuration, memory, a user's shapes)
 * returns a drl_status and takes a caller-owned `drl_err *err` as its last argument. On failure err holds one line
 * that says what was attempted, on what, and what to do. Broken contracts inside the library are asserts. Only
 * programs print. Passing err = NULL is allowed and discards the message. */
#ifndef DRL_ERR_H
#define DRL_ERR_H

#define DRL_STATUS_LIST(X)                                                                                             \
    X(OK, "ok")                                                                                                        \
    X(ERR_IO, "input/output error")                                                                                    \
    X(ERR_FORMAT, "malformed data")                                                                                    \
    X(ERR_LIMIT, "limit exceeded")                                                                                     \
    X(ERR_CONFIG, "bad configuration")                                                                                 \
    X(ERR_SHAPE, "shapes do not fit")                                                                                  \
    X(ERR_MEMORY, "out of memory")                                                                                     \
    X(ERR_NUMERIC, "not a finite number")                                                                              \
    X(ERR_NOT_FOUND, "not found")                                                                                      \
    X(ERR_INTERRUPTED, "interrupted")

typedef enum drl_status {
#define DRL_STATUS_ENUM(code, text) DRL_##code,
    DRL_STATUS_LIST(DRL_STATUS_ENUM)
#undef DRL_STATUS_ENUM
} drl_status;

typedef struct drl_err {
    drl_status status;
    char message[1024]; /* one line, no newline, always terminated */
} drl_err;

/* Static text of a status code. */
const char *drl_status_text(drl_status status);

/* Stores status and the formatted line in err (which may be NULL) and returns status. Newlines and control
 * characters in the result are replaced by '?', so that a message stays one line whatever a file contained. */
drl_status drl_fail(drl_err *err, drl_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Adds context in front of the message err already holds ("archive.tar.gz: member x: ...") and returns
 * err->status; `status` is returned where err is NULL. Each level adds where it was. */
drl_status drl_err_context(drl_err *err, drl_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
