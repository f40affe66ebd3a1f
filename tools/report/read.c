/* drl report: memory, lists, whole files, CSV. */
#define _POSIX_C_SOURCE 200809L
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX ((size_t)64 << 20)

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

typedef struct report_piece {
    struct report_piece *before;
    max_align_t bytes[];
} report_piece;

void *report_take(report_pool *pool, size_t size, drl_err *err) {
    report_piece *p = size < SIZE_MAX / 2 ? calloc(1, sizeof *p + size) : NULL;
    if (!p) {
        drl_fail(err, DRL_ERR_MEMORY, "cannot allocate %zu bytes", size);
        return NULL;
    }
    p->before = pool->last;
    pool->last = p;
    return p->bytes;
}

void report_pool_free(report_pool *pool) {
    while (pool->last) {
        report_piece *p = pool->last;
        pool->last = p->before;
        free(p);
    }
}

char *report_copy(report_pool *pool, const char *text, size_t n, drl_err *err) {
    char *copy = report_take(pool, n + 1, err);
    if (copy) memcpy(copy, text, n);
    return copy;
}

char *report_print(report_pool *pool, drl_err *err, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    char *text = n < 0 ? NULL : report_take(pool, (size_t)n + 1, err);
    if (n < 0) drl_fail(err, DRL_ERR_MEMORY, "cannot print a text");
    if (text) vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(args);
    return text;
}

/* ---- Lists ------------------------------------------------------------------------------------------------------- */

/* Room for one more: the old array stays with the pool. */
static drl_status grow(report_pool *pool, report_list *list, drl_err *err) {
    if (list->n < list->room) return DRL_OK;
    size_t room = list->room ? 2 * list->room : 8;
    char **v = report_take(pool, room * sizeof *v, err);
    if (!v) return DRL_ERR_MEMORY;
    if (list->n) memcpy(v, list->v, list->n * sizeof *v);
    list->v = v;
    list->room = room;
    return DRL_OK;
}

drl_status report_add(report_pool *pool, report_list *list, const char *text, drl_err *err) {
    char *copy = report_copy(pool, text, strlen(text), err);
    drl_status st = copy ? grow(pool, list, err) : DRL_ERR_MEMORY;
    if (st == DRL_OK) list->v[list->n++] = copy;
    return st;
}

drl_status report_add_new(report_pool *pool, report_list *list, const char *text, drl_err *err) {
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i], text) == 0) return DRL_OK;
    return report_add(pool, list, text, err);
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void report_sort(report_list *list) {
    if (list->n) qsort(list->v, list->n, sizeof *list->v, by_bytes);
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

bool report_is_dir(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool report_is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

drl_status report_read(report_pool *pool, char **text, const char *path, drl_err *err) {
    struct stat info;
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &info) != 0 || !S_ISREG(info.st_mode)) {
        int code = f ? EINVAL : errno;
        if (f) fclose(f);
        return drl_fail(err, code == ENOENT ? DRL_ERR_NOT_FOUND : DRL_ERR_IO, "%s: cannot read: %s", path,
                        code == EINVAL ? "no regular file" : strerror(code));
    }
    const size_t size = (size_t)info.st_size;
    drl_status st = size <= FILE_MAX ? DRL_OK : drl_fail(err, DRL_ERR_LIMIT, "%s: larger than 64 MB", path);
    if (st == DRL_OK && !(*text = report_take(pool, size + 1, err))) st = DRL_ERR_MEMORY;
    if (st == DRL_OK && fread(*text, 1, size, f) != size) st = drl_fail(err, DRL_ERR_IO, "%s: cannot read", path);
    fclose(f);
    if (st == DRL_OK && strlen(*text) != size)
        st = drl_fail(err, DRL_ERR_FORMAT, "%s: byte %zu is 0: no text", path, strlen(*text));
    return st;
}

/* ---- CSV --------------------------------------------------------------------------------------------------------- */

/* One field of the text at *at, unquoted in place and ended; *end is what stood behind it: ',', '\n' or 0. */
static drl_status next_field(char **at, char **field, char *end, size_t *line, drl_err *err) {
    char *from = *at, *to = *at;
    const size_t begun = *line;
    *field = to;
    if (*from == '"') {
        for (from++; *from && !(from[0] == '"' && from[1] != '"'); *to++ = *from++) {
            if (*from == '"') from++;
            if (*from == '\n') ++*line;
        }
        if (!*from) return drl_fail(err, DRL_ERR_FORMAT, "line %zu: a quote does not end", begun);
        from++;
    } else {
        while (*from && *from != ',' && *from != '\n' && !(from[0] == '\r' && from[1] == '\n')) *to++ = *from++;
    }
    if (from[0] == '\r' && from[1] == '\n') from++;
    *end = *from;
    if (*end && *end != ',' && *end != '\n')
        return drl_fail(err, DRL_ERR_FORMAT, "line %zu: text behind a quote", *line);
    *at = from + (*end != '\0');
    *to = '\0';
    return DRL_OK;
}

static drl_status parse_csv(report_pool *pool, report_csv *csv, char *text, drl_err *err) {
    report_list cells = {0};
    size_t line = 1, in_row = 0;
    for (char end = '\n', *at = text; *at || end == ',';) {
        char *field;
        const size_t begun = line;
        drl_status st = next_field(&at, &field, &end, &line, err);
        if (st == DRL_OK) st = grow(pool, &cells, err);
        if (st != DRL_OK) return st;
        cells.v[cells.n++] = field;
        in_row++;
        if (end == ',') continue;
        if (csv->rows == 0) csv->columns = in_row;
        if (in_row != csv->columns)
            return drl_fail(err, DRL_ERR_FORMAT, "line %zu: %zu fields, the head has %zu", begun, in_row, csv->columns);
        csv->rows++;
        in_row = 0;
        line++;
    }
    csv->cells = cells.v;
    return csv->rows ? DRL_OK : drl_fail(err, DRL_ERR_FORMAT, "empty");
}

drl_status report_read_csv(report_pool *pool, report_csv *csv, const char *path, drl_err *err) {
    char *text;
    *csv = (report_csv){0};
    drl_status st = report_read(pool, &text, path, err);
    if (st == DRL_OK && (st = parse_csv(pool, csv, text, err)) != DRL_OK) drl_err_context(err, st, "%s", path);
    return st;
}

const char *report_cell(const report_csv *csv, size_t row, size_t column) {
    return csv->cells[row * csv->columns + column];
}

size_t report_column(const report_csv *csv, const char *name) {
    size_t c = 0;
    while (c < csv->columns && strcmp(report_cell(csv, 0, c), name) != 0) c++;
    return c;
}

const char *report_field(const report_csv *csv, size_t row, const char *name) {
    size_t c = csv->rows ? report_column(csv, name) : 0;
    return c < csv->columns ? report_cell(csv, row, c) : "";
}

bool report_is_numeric(const report_csv *csv, size_t column) {
    for (size_t r = 1; r < csv->rows; r++) {
        const char *text = report_cell(csv, r, column);
        bool missing = text[0] == '\0' || strcmp(text, "\u2013") == 0, sign = text[0] == '+' || text[0] == '-';
        if (!missing && !(text[sign] >= '0' && text[sign] <= '9')) return false;
    }
    return csv->rows > 1;
}
