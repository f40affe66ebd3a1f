/* .ini files, read by inih (drl/ini.h). */
#include "drl/ini.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

typedef struct reading {
    FILE *file;
    drl_ini_pair *pair;
    void *arg;
    int line;          /* number of the line last read */
    drl_status status; /* the first error, at error_line */
    int error_line;
    drl_err *err;
} reading;

/* Only the first error counts. */
static int stop(reading *r, drl_status status) {
    r->status = status;
    r->error_line = r->line;
    return 0;
}

/* inih's line reader: counts lines, and refuses those inih would cut in two or end early. */
static char *next_line(char *buf, int size, void *arg) {
    reading *r = arg;
    if (r->status != DRL_OK) return NULL;
    memset(buf, 'x', (size_t)size);
    if (!fgets(buf, size, r->file)) return NULL;
    r->line++;
    size_t length = strlen(buf);
    if (!memchr(buf, '\n', length) && !feof(r->file)) {
        bool full = length + 1 == (size_t)size;
        if (full)
            stop(r, drl_fail(r->err, DRL_ERR_CONFIG, "longer than %d characters", size - 3));
        else
            stop(r, drl_fail(r->err, DRL_ERR_CONFIG, "not text: contains a zero byte"));
        return NULL;
    }
    return buf;
}

static int on_pair(void *arg, const char *section, const char *key, const char *value) {
    reading *r = arg;
    if (r->status != DRL_OK) return 0;
    drl_status st = r->pair(r->arg, section, key, value, r->line, r->err);
    return st == DRL_OK ? 1 : stop(r, st);
}

drl_status drl_ini_read(const char *path, drl_ini_pair *pair, void *arg, drl_err *err) {
    reading r = {.pair = pair, .arg = arg, .err = err};
    if (!(r.file = fopen(path, "r"))) return drl_fail(err, DRL_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    /* inih says which line it could not read; of that and what was refused, the first line counts */
    int bad = ini_parse_stream(next_line, &r, on_pair, &r);
    drl_status st = r.status;
    if (bad > 0 && (st == DRL_OK || bad < r.error_line))
        st = drl_fail(err, DRL_ERR_CONFIG, "%s:%d: neither [section] nor key = value", path, bad);
    else if (st != DRL_OK)
        st = drl_err_context(err, st, "%s:%d", path, r.error_line);
    else if (ferror(r.file))
        st = drl_fail(err, DRL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    else if (bad < 0)
        st = drl_fail(err, DRL_ERR_MEMORY, "%s: cannot parse", path);
    fclose(r.file);
    return st;
}
