/* One configuration value, from and to text (drl/config.h). */
#include "drl/config.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *drl_format_number(char buf[32], double v) {
    if (fabs(v) < 1e15 && v == trunc(v)) {
        snprintf(buf, 32, "%.0f", v);
        return buf;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buf, 32, "%.*g", digits, v);
        if (strtod(buf, NULL) == v) break;
    }
    return buf;
}

/* Limits that no number reaches are not worth mentioning. */
static drl_status out_of_range(const drl_option *o, const char *value, drl_err *err) {
    char lo[32], hi[32];
    drl_format_number(lo, o->min);
    drl_format_number(hi, o->max);
    if (o->min == -DBL_MAX && o->max == DBL_MAX)
        return drl_fail(err, DRL_ERR_CONFIG, "'%s' is too large for a number", value);
    if (o->max == DBL_MAX) return drl_fail(err, DRL_ERR_CONFIG, "'%s' is out of range: want at least %s", value, lo);
    if (o->min == -DBL_MAX) return drl_fail(err, DRL_ERR_CONFIG, "'%s' is out of range: want at most %s", value, hi);
    return drl_fail(err, DRL_ERR_CONFIG, "'%s' is out of range: want %s to %s", value, lo, hi);
}

/* One number, all of it read, finite and within the limits. */
static drl_status parse_real(double *v, const drl_option *o, const char *value, drl_err *err) {
    char *end;
    errno = 0;
    *v = strtod(value, &end);
    if (end == value || *end) return drl_fail(err, DRL_ERR_CONFIG, "'%s' is not a number", value);
    if (!isfinite(*v) && errno != ERANGE) return drl_fail(err, DRL_ERR_CONFIG, "'%s' is not a finite number", value);
    if (errno == ERANGE || !(*v >= o->min && *v <= o->max)) return out_of_range(o, value, err);
    return DRL_OK;
}

static drl_status parse_int(int64_t *v, const drl_option *o, const char *value, drl_err *err) {
    char *end;
    errno = 0;
    long long got = strtoll(value, &end, 10);
    if (end == value || *end) return drl_fail(err, DRL_ERR_CONFIG, "'%s' is not a whole number", value);
    if (errno == ERANGE || !((double)got >= o->min && (double)got <= o->max)) return out_of_range(o, value, err);
    *v = got;
    return DRL_OK;
}

/* strtoull takes "-1" for the largest number: a sign is refused first. */
static drl_status parse_size(size_t *v, const drl_option *o, const char *value, drl_err *err) {
    char *end;
    errno = 0;
    unsigned long long got = strtoull(value, &end, 10);
    if (end == value || *end) return drl_fail(err, DRL_ERR_CONFIG, "'%s' is not a whole number", value);
    if (strchr(value, '-')) return out_of_range(o, value, err);
    if (errno == ERANGE || got > SIZE_MAX || !((double)got >= o->min && (double)got <= o->max))
        return out_of_range(o, value, err);
    *v = (size_t)got;
    return DRL_OK;
}

static drl_status parse_bool(bool *v, const char *value, drl_err *err) {
    static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (int b = 0; b < 2; b++)
            if (strcmp(value, words[i][b]) == 0) {
                *v = b;
                return DRL_OK;
            }
    return drl_fail(err, DRL_ERR_CONFIG, "'%s' is neither yes nor no", value);
}

/* The text must survive being written to an .ini file and read again: no control characters, no white space at the
 * ends, and no ';' where inih would see a comment begin. */
static drl_status parse_string(char *v, size_t size, const char *value, drl_err *err) {
    size_t n = strlen(value);
    if (n >= size)
        return drl_fail(err, DRL_ERR_CONFIG, "'%.40s...' has %zu characters: at most %zu fit", value, n, size - 1);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
            return drl_fail(err, DRL_ERR_CONFIG, "'%s' contains a control character", value);
    if (n && (value[0] == ' ' || value[n - 1] == ' '))
        return drl_fail(err, DRL_ERR_CONFIG, "'%s' begins or ends with a blank", value);
    if (value[0] == ';' || strstr(value, " ;"))
        return drl_fail(err, DRL_ERR_CONFIG, "'%s' contains a ';' that would begin a comment", value);
    memcpy(v, value, n + 1);
    return DRL_OK;
}

static drl_status parse_enum(int *v, const drl_option *o, const char *value, drl_err *err) {
    size_t length = strlen(value);
    int place = 0;
    for (const char *c = o->choices;; place++) {
        size_t n = strcspn(c, "|");
        if (n == length && memcmp(c, value, n) == 0) {
            *v = place;
            return DRL_OK;
        }
        if (!c[n]) break;
        c += n + 1;
    }
    return drl_fail(err, DRL_ERR_CONFIG, "'%s' is not one of %s", value, o->choices);
}

static drl_status parse_list(drl_list *v, const drl_option *o, const char *value, drl_err *err) {
    const char *blanks = " \t";
    *v = (drl_list){0};
    for (const char *p = value + strspn(value, blanks); *p;) {
        size_t n = strcspn(p, ", \t");
        char word[64];
        if (v->n == DRL_LIST_MAX)
            return drl_fail(err, DRL_ERR_CONFIG, "'%s' has more than %d numbers", value, DRL_LIST_MAX);
        if (n == 0 || n >= sizeof word) return drl_fail(err, DRL_ERR_CONFIG, "'%s' is not a list of numbers", value);
        memcpy(word, p, n);
        word[n] = '\0';
        drl_status st = parse_real(&v->v[v->n++], o, word, err);
        if (st != DRL_OK) return st;
        /* one comma at most between two numbers, none after the last */
        p += n;
        p += strspn(p, blanks);
        if (*p == ',') {
            p++;
            p += strspn(p, blanks);
            if (!*p) return drl_fail(err, DRL_ERR_CONFIG, "'%s' ends with a comma", value);
        }
    }
    return DRL_OK;
}

drl_status drl_option_parse(void *cfg, const drl_option *o, const char *value, drl_err *err) {
    union {
        int64_t i;
        size_t z;
        double d;
        bool b;
        int e;
        drl_list list;
        char s[4096];
    } v;
    assert(o->size <= sizeof v);
    memset(&v, 0, sizeof v);
    drl_status st = DRL_OK;
    switch (o->kind) {
    case DRL_OPTION_INT: st = parse_int(&v.i, o, value, err); break;
    case DRL_OPTION_SIZE: st = parse_size(&v.z, o, value, err); break;
    case DRL_OPTION_REAL: st = parse_real(&v.d, o, value, err); break;
    case DRL_OPTION_BOOL: st = parse_bool(&v.b, value, err); break;
    case DRL_OPTION_STRING: st = parse_string(v.s, o->size, value, err); break;
    case DRL_OPTION_ENUM: st = parse_enum(&v.e, o, value, err); break;
    case DRL_OPTION_LIST: st = parse_list(&v.list, o, value, err); break;
    }
    if (st == DRL_OK && cfg) memcpy((char *)cfg + o->offset, &v, o->size);
    return st;
}

static size_t format_enum(char *buf, size_t size, const drl_option *o, int place) {
    const char *c = o->choices;
    for (; place > 0; place--) c += strcspn(c, "|") + 1;
    return (size_t)snprintf(buf, size, "%.*s", (int)strcspn(c, "|"), c);
}

static size_t format_list(char *buf, size_t size, const drl_list *list) {
    size_t used = 0;
    char number[32];
    if (size) buf[0] = '\0';
    for (size_t i = 0; i < list->n; i++)
        used += (size_t)snprintf(used < size ? buf + used : NULL, used < size ? size - used : 0, "%s%s", i ? ", " : "",
                                 drl_format_number(number, list->v[i]));
    return used;
}

size_t drl_option_format(char *buf, size_t size, const void *cfg, const drl_option *o) {
    const void *p = (const char *)cfg + o->offset;
    char number[32];
    switch (o->kind) {
    case DRL_OPTION_INT: return (size_t)snprintf(buf, size, "%lld", (long long)*(const int64_t *)p);
    case DRL_OPTION_SIZE: return (size_t)snprintf(buf, size, "%zu", *(const size_t *)p);
    case DRL_OPTION_REAL: return (size_t)snprintf(buf, size, "%s", drl_format_number(number, *(const double *)p));
    case DRL_OPTION_BOOL: return (size_t)snprintf(buf, size, "%s", *(const bool *)p ? "yes" : "no");
    case DRL_OPTION_STRING: return (size_t)snprintf(buf, size, "%s", (const char *)p);
    case DRL_OPTION_ENUM: return format_enum(buf, size, o, *(const int *)p);
    case DRL_OPTION_LIST: return format_list(buf, size, p);
    }
    return 0;
}
