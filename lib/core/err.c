/* Status codes and one-line error messages (drl/err.h). */
#include "drl/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *drl_status_text(drl_status status) {
    switch (status) {
#define DRL_STATUS_CASE(code, text)                                                                                    \
    case DRL_##code: return text;
        DRL_STATUS_LIST(DRL_STATUS_CASE)
#undef DRL_STATUS_CASE
    }
    return "unknown status";
}

/* A message may quote bytes of a damaged file: keep it one printable line (UTF-8 passes). */
static void one_line(char *s) {
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < 0x20 || c == 0x7f) *s = '?';
    }
}

drl_status drl_fail(drl_err *err, drl_status status, const char *fmt, ...) {
    if (!err) return status;
    va_list ap;
    va_start(ap, fmt);
    err->status = status;
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    one_line(err->message);
    return status;
}

drl_status drl_err_context(drl_err *err, drl_status status, const char *fmt, ...) {
    if (!err) return status;
    assert(err->status != DRL_OK && "context for an error that was never reported");
    /* The context comes first; what no longer fits of the old message is cut at its end. */
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int used = vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    size_t at = used < 0 ? 0 : (size_t)used < sizeof old ? (size_t)used : sizeof old - 1;
    size_t room = sizeof old - 1 - at;
    const char *parts[] = {": ", old};
    for (int p = 0; p < 2 && room > 0; p++) {
        size_t n = strlen(parts[p]) < room ? strlen(parts[p]) : room;
        memcpy(err->message + at, parts[p], n);
        at += n, room -= n;
    }
    err->message[at] = '\0';
    one_line(err->message);
    return err->status;
}
