/* Configuration tables: defaults, .ini files, assignments, record and help (drl/config.h). */
#define _POSIX_C_SOURCE 200809L
#include "drl/config.h"

#include <assert.h>
#include <string.h>

#include "drl/ini.h"
#include "drl/mem.h"

#define OPTIONS_MAX 256

void drl_options_append(drl_option *table, size_t *used, size_t room, const drl_option *from, size_t n, size_t offset) {
    assert(*used + n <= room);
    for (size_t i = 0; i < n; i++) {
        table[*used] = from[i];
        table[(*used)++].offset += offset;
    }
}

/* Bytes of the struct up to the end of its last field. */
static size_t size_of(const drl_option *options, size_t n) {
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        if (options[i].offset + options[i].size > size) size = options[i].offset + options[i].size;
    return size;
}

void drl_config_defaults(void *cfg, const drl_option *options, size_t n) {
    assert(n <= OPTIONS_MAX);
    memset(cfg, 0, size_of(options, n));
    for (size_t i = 0; i < n; i++) {
        drl_status st = drl_option_parse(cfg, &options[i], options[i].text, NULL);
        assert(st == DRL_OK && "a default is refused by its own row");
        (void)st;
    }
}

/* ---- Finding a key, and helping who did not -------------------------------------------------------------------- */

/* Levenshtein distance: insertions, deletions and replacements that turn a into b (both cut at 63 characters). */
static size_t edit_distance(const char *a, const char *b) {
    size_t row[64], nb = strnlen(b, 63);
    for (size_t j = 0; j <= nb; j++) row[j] = j;
    for (size_t i = 1; a[i - 1] && i < 64; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[nb];
}

static const drl_option *find(const drl_option *options, size_t n, const char *section, const char *key) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(options[i].section, section) == 0 && strcmp(options[i].key, key) == 0) return &options[i];
    return NULL;
}

static void append(char *buf, size_t size, const char *separator, const char *text) {
    size_t used = strlen(buf);
    snprintf(buf + used, size - used, "%s%s", used ? separator : "", text);
}

/* "unknown key train.stepz; did you mean train.steps?", or all keys of the section, or all sections. */
static drl_status unknown_key(const drl_option *options, size_t n, const char *section, const char *key, drl_err *err) {
    char want[128], have[128], near[128] = "", keys[768] = "", sections[768] = "";
    snprintf(want, sizeof want, "%.60s.%.60s", section, key);
    size_t best = 4; /* further than three edits is another word */
    for (size_t i = 0; i < n; i++) {
        snprintf(have, sizeof have, "%s.%s", options[i].section, options[i].key);
        size_t distance = edit_distance(want, have);
        if (distance < best) {
            best = distance;
            memcpy(near, have, sizeof near);
        }
        if (strcmp(options[i].section, section) == 0) append(keys, sizeof keys, ", ", options[i].key);
        if (i == 0 || strcmp(options[i].section, options[i - 1].section) != 0)
            append(sections, sizeof sections, ", ", options[i].section);
    }
    if (near[0]) return drl_fail(err, DRL_ERR_CONFIG, "unknown key %s; did you mean %s?", want, near);
    if (keys[0]) return drl_fail(err, DRL_ERR_CONFIG, "unknown key %s; section %s has: %s", want, section, keys);
    return drl_fail(err, DRL_ERR_CONFIG, "unknown section %.60s; there are: %s", section, sections);
}

drl_status drl_config_set(void *cfg, const drl_option *options, size_t n, const char *assignment, drl_err *err) {
    /* section . key = value, the key ending at the first '=' */
    char name[128];
    const char *equals = strchr(assignment, '=');
    size_t length = equals ? (size_t)(equals - assignment) : 0;
    if (!equals || length >= sizeof name)
        return drl_fail(err, DRL_ERR_CONFIG, "'%.80s': want section.key=value", assignment);
    memcpy(name, assignment, length);
    name[length] = '\0';
    char *dot = strchr(name, '.');
    if (!dot || dot == name || !dot[1])
        return drl_fail(err, DRL_ERR_CONFIG, "'%.80s': want section.key=value", assignment);
    *dot = '\0';

    const drl_option *o = find(options, n, name, dot + 1);
    if (!o) return unknown_key(options, n, name, dot + 1, err);
    drl_status st = drl_option_parse(cfg, o, equals + 1, err);
    return st == DRL_OK ? st : drl_err_context(err, st, "%s.%s", o->section, o->key);
}

/* ---- .ini files -------------------------------------------------------------------------------------------------- */

typedef struct reading {
    const drl_option *options;
    size_t n;
    char *cfg;            /* the copy that is filled        */
    int set[OPTIONS_MAX]; /* line that set the option, or 0 */
} reading;

static drl_status on_pair(void *arg, const char *section, const char *key, const char *value, int line, drl_err *err) {
    reading *r = arg;
    const drl_option *o = find(r->options, r->n, section, key);
    if (!o) return unknown_key(r->options, r->n, section[0] ? section : "(none)", key, err);
    int *set = &r->set[o - r->options];
    if (*set) return drl_fail(err, DRL_ERR_CONFIG, "%s.%s was set in line %d already", section, key, *set);
    *set = line;
    drl_status st = drl_option_parse(r->cfg, o, value, err);
    return st == DRL_OK ? st : drl_err_context(err, st, "%s.%s", section, key);
}

drl_status drl_config_read(void *cfg, const drl_option *options, size_t n, const char *path, drl_err *err) {
    assert(n <= OPTIONS_MAX);
    reading r = {.options = options, .n = n};
    size_t size = size_of(options, n);
    drl_status st = drl_alloc(&r.cfg, size, 1, "configuration", err);
    if (st != DRL_OK) return st;
    memcpy(r.cfg, cfg, size);
    if ((st = drl_ini_read(path, on_pair, &r, err)) == DRL_OK) memcpy(cfg, r.cfg, size);
    drl_free(r.cfg);
    return st;
}

/* ---- What drl_config_text wrote --------------------------------------------------------------------------------- */

/* One line, "[section]" or "key = value", `length` bytes. */
static drl_status parse_line(void *cfg, const drl_option *options, size_t n, char section[128], const char *line,
                             size_t length, drl_err *err) {
    char word[128], value[DRL_STRING_MAX];
    const char *equals = memchr(line, '=', length);
    bool heads = length > 2 && line[0] == '[' && line[length - 1] == ']' && length - 2 < sizeof word;
    if (heads) {
        snprintf(section, 128, "%.*s", (int)(length - 2), line + 1);
        return DRL_OK;
    }
    size_t key = equals ? (size_t)(equals - line) : 0, rest = length - key;
    if (key < 2 || key > sizeof word || equals[-1] != ' ' || rest < 2 || equals[1] != ' ' || rest - 2 >= sizeof value)
        return drl_fail(err, DRL_ERR_CONFIG, "neither [section] nor key = value");
    snprintf(word, sizeof word, "%.*s", (int)(key - 1), line);
    snprintf(value, sizeof value, "%.*s", (int)(rest - 2), equals + 2);
    const drl_option *o = find(options, n, section, word);
    if (!o) return unknown_key(options, n, section[0] ? section : "(none)", word, err);
    drl_status st = drl_option_parse(cfg, o, value, err);
    return st == DRL_OK ? st : drl_err_context(err, st, "%s.%s", section, word);
}

drl_status drl_config_parse(void *cfg, const drl_option *options, size_t n, const char *text, drl_err *err) {
    char *copy, section[128] = "";
    size_t size = size_of(options, n), number = 1;
    drl_status st = drl_alloc(&copy, size, 1, "configuration", err);
    if (st != DRL_OK) return st;
    memcpy(copy, cfg, size);
    for (const char *line = text; *line && st == DRL_OK; number++) {
        size_t length = strcspn(line, "\n");
        st = parse_line(copy, options, n, section, line, length, err);
        if (st != DRL_OK) st = drl_err_context(err, st, "line %zu", number);
        line += length + (line[length] == '\n');
    }
    if (st == DRL_OK) memcpy(cfg, copy, size);
    drl_free(copy);
    return st;
}

/* ---- Record and help --------------------------------------------------------------------------------------------- */

static bool starts_section(const drl_option *options, size_t i) {
    return i == 0 || strcmp(options[i].section, options[i - 1].section) != 0;
}

drl_status drl_config_text(char **text, const void *cfg, const drl_option *options, size_t n, drl_err *err) {
    /* first the size, then the text */
    size_t size = 1;
    for (size_t i = 0; i < n; i++)
        size += strlen(options[i].section) + strlen(options[i].key) + drl_option_format(NULL, 0, cfg, &options[i]) + 8;
    drl_status st = drl_alloc(text, size, 1, "configuration text", err);
    if (st != DRL_OK) return st;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (starts_section(options, i))
            used += (size_t)snprintf(*text + used, size - used, "[%s]\n", options[i].section);
        used += (size_t)snprintf(*text + used, size - used, "%s = ", options[i].key);
        used += drl_option_format(*text + used, size - used, cfg, &options[i]);
        used += (size_t)snprintf(*text + used, size - used, "\n");
    }
    assert(used < size);
    return DRL_OK;
}

/* "1 to 100", "at least 0", the names of an enumeration, or nothing. */
static void format_limits(char *buf, size_t size, const drl_option *o) {
    char lo[32], hi[32];
    drl_format_number(lo, o->min);
    drl_format_number(hi, o->max);
    buf[0] = '\0';
    if (o->kind == DRL_OPTION_ENUM) snprintf(buf, size, " (%s)", o->choices);
    if (o->kind == DRL_OPTION_BOOL) snprintf(buf, size, " (yes|no)");
    if (o->kind == DRL_OPTION_ENUM || o->kind == DRL_OPTION_BOOL || o->kind == DRL_OPTION_STRING) return;
    if (o->min > -DBL_MAX && o->max < DBL_MAX)
        snprintf(buf, size, " (%s to %s)", lo, hi);
    else if (o->min > -DBL_MAX)
        snprintf(buf, size, " (at least %s)", lo);
    else if (o->max < DBL_MAX)
        snprintf(buf, size, " (at most %s)", hi);
}

void drl_config_help(FILE *out, const drl_option *options, size_t n) {
    char name[128], limits[256];
    for (size_t i = 0; i < n; i++) {
        const drl_option *o = &options[i];
        snprintf(name, sizeof name, "%s.%s = %s", o->section, o->key, o->text);
        format_limits(limits, sizeof limits, o);
        if (starts_section(options, i) && i > 0) fputc('\n', out);
        /* a long default gets a line to itself */
        fprintf(out, "  %-34s", name);
        if (strlen(name) > 34) fprintf(out, "\n%36s", "");
        fprintf(out, " %s%s\n", o->help, limits);
    }
}
