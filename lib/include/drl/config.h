/* Typed configuration: one table is the struct, the defaults, the parser, the help and the record of a run.
 *
 * A program lists its options once, as an X-macro of rows X(kind, section, key, default, limits, help):
 *
 *     #define MY_OPTIONS(X)                                                                      \
 *         X(SIZE, train, steps, "5000", DRL_RANGE(1, 1e9), "optimiser steps")                    \
 *         X(ENUM, model, method, "drl", DRL_CHOICES("drl|vdrl"), "objective")                    \
 *         X(LIST, probe, times, "0, 0.5, 1", DRL_RANGE(0, 1), "times at which codes are probed")
 *     DRL_CONFIG_STRUCT(my_config, MY_OPTIONS);             struct my_config { size_t train_steps; int model_method;
 * ... DRL_CONFIG_TABLE(my_options, my_config, MY_OPTIONS);  const drl_option *my_options(size_t *n)
 *
 * Values come from the defaults, then an .ini file, then --set assignments. A value is refused (ERR_CONFIG) unless all
 * of it parses and it lies within its limits; a key that is not in the table is refused too. */
#ifndef DRL_CONFIG_H
#define DRL_CONFIG_H

#include <float.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "drl/err.h"

#define DRL_STRING_MAX 1024 /* bytes of a STRING field, its terminator included: a path fits */
#define DRL_LIST_MAX   32   /* numbers of a LIST                                */

/* kind: what the field of the struct is, and what its text looks like. */
typedef enum drl_option_kind {
    DRL_OPTION_INT,    /* int64_t; decimal                                                          */
    DRL_OPTION_SIZE,   /* size_t; decimal, no sign                                                  */
    DRL_OPTION_REAL,   /* double; finite                                                            */
    DRL_OPTION_BOOL,   /* bool; yes or no (true/false, on/off, 1/0 are understood too)              */
    DRL_OPTION_STRING, /* char [DRL_STRING_MAX]; one line, not cut at either end by white space     */
    DRL_OPTION_ENUM,   /* int, the place of the name in `choices` ("a|b|c" gives 0, 1, 2)           */
    DRL_OPTION_LIST,   /* drl_list; numbers separated by commas or blanks, each within the limits   */
} drl_option_kind;

typedef struct drl_list {
    size_t n;
    double v[DRL_LIST_MAX];
} drl_list;

typedef struct drl_option {
    const char *section, *key;
    drl_option_kind kind;
    size_t offset, size; /* of the field in the struct                   */
    const char *text;    /* the default                                  */
    double min, max;     /* of a number, or of each number of a list     */
    const char *choices; /* of an ENUM: the names, separated by '|'      */
    const char *help;    /* one line                                     */
} drl_option;

/* The limits column of a row. */
#define DRL_RANGE(lo, hi)  .min = (lo), .max = (hi)
#define DRL_ANY            .min = -DBL_MAX, .max = DBL_MAX
#define DRL_CHOICES(names) .choices = (names)

#define DRL_FIELD_INT(name)                                      int64_t name
#define DRL_FIELD_SIZE(name)                                     size_t name
#define DRL_FIELD_REAL(name)                                     double name
#define DRL_FIELD_BOOL(name)                                     bool name
#define DRL_FIELD_STRING(name)                                   char name[DRL_STRING_MAX]
#define DRL_FIELD_ENUM(name)                                     int name
#define DRL_FIELD_LIST(name)                                     drl_list name
#define DRL_OPTION_FIELD(kind, section, key, text, limits, help) DRL_FIELD_##kind(section##_##key);
#define DRL_OPTION_ROW(kind_, section_, key_, text_, limits_, help_)                                                   \
    {.section = #section_,                                                                                             \
     .key = #key_,                                                                                                     \
     .kind = DRL_OPTION_##kind_,                                                                                       \
     .offset = offsetof(config_self, section_##_##key_),                                                               \
     .size = sizeof(((config_self *)0)->section_##_##key_),                                                            \
     .text = text_,                                                                                                    \
     .help = help_,                                                                                                    \
     limits_},

/* The struct (fields are called section_key), and the function that lends the table and its length. */
#define DRL_CONFIG_STRUCT(name, LIST)                                                                                  \
    typedef struct name {                                                                                              \
        LIST(DRL_OPTION_FIELD)                                                                                         \
    } name
#define DRL_CONFIG_TABLE(function, name, LIST)                                                                         \
    const drl_option *function(size_t *n) {                                                                            \
        typedef name config_self;                                                                                      \
        static const drl_option table[] = {LIST(DRL_OPTION_ROW)};                                                      \
        *n = sizeof table / sizeof *table;                                                                             \
        return table;                                                                                                  \
    }

/* Joins tables: appends the n rows of `from`, whose struct lies `offset` bytes into the joint one, to table[*used ..]
 * (room for `room` rows, asserted). For a program whose configuration holds another module's. */
void drl_options_append(drl_option *table, size_t *used, size_t room, const drl_option *from, size_t n, size_t offset);

/* Every field of *cfg at its default; the fields' padding is zeroed. A default that its own row refuses is a bug
 * (asserted). */
void drl_config_defaults(void *cfg, const drl_option *options, size_t n);

/* Reads "key = value" lines below "[section]" lines (inih: comments start with ; or #, lines have at most 197
 * characters) over what *cfg holds. Errors say "file:line:"; a key may be set once in a file. *cfg is unchanged on
 * error. */
drl_status drl_config_read(void *cfg, const drl_option *options, size_t n, const char *path, drl_err *err);

/* Reads what drl_config_text wrote, over what *cfg holds: as above, but lines of any length, taken as they are. Errors
 * say "line N:". */
drl_status drl_config_parse(void *cfg, const drl_option *options, size_t n, const char *text, drl_err *err);

/* Applies one "section.key=value". An unknown key is answered with the closest one or with all keys of its section.
 * cfg = NULL only checks the assignment. */
drl_status drl_config_set(void *cfg, const drl_option *options, size_t n, const char *assignment, drl_err *err);

/* *text = the whole configuration as an .ini file, in the order of the table, numbers in the fewest digits that give
 * the same double back. Equal configurations give equal texts: hash it, store it, read it again by
 * drl_config_parse (drl_config_read takes no line as long as that of a long list or path can be). drl_free it. */
drl_status drl_config_text(char **text, const void *cfg, const drl_option *options, size_t n, drl_err *err);

/* One line per option: key, default, limits, help. */
void drl_config_help(FILE *out, const drl_option *options, size_t n);

/* The field of one option, from and to text. cfg = NULL only checks. drl_option_format returns the number of bytes the
 * text needs (without its terminator), as snprintf does. */
drl_status drl_option_parse(void *cfg, const drl_option *option, const char *value, drl_err *err);
size_t drl_option_format(char *buf, size_t size, const void *cfg, const drl_option *option);

/* The fewest digits (%.0f of a whole number below 1e15, else %.1g ... %.17g) that read back as the same double;
 * returns buf. */
const char *drl_format_number(char buf[32], double v);

#endif
