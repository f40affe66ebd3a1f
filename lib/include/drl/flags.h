/* Flags of a command line, `--flag value` or `--flag=value`, as configuration options: one table parses, checks and
 * prints them. Given twice, the last one counts. */
#ifndef DRL_FLAGS_H
#define DRL_FLAGS_H

#include "drl/config.h"

typedef struct drl_flag {
    const char *argument; /* what --help calls its value; NULL: takes none and is a BOOL   */
    drl_option option;    /* key = name of the flag; what it fills of the program's struct */
} drl_flag;

/* A row of the table. The limits (drl/config.h: DRL_RANGE ...) come last. */
#define DRL_FLAG(type, argument_, name, field, kind_, default_, help_, ...)                                            \
    {                                                                                                                  \
        argument_, {                                                                                                   \
            .section = "", .key = name, .kind = DRL_OPTION_##kind_, .offset = offsetof(type, field),                   \
            .size = sizeof(((type *)0)->field), .text = default_, .help = help_, __VA_ARGS__                           \
        }                                                                                                              \
    }

/* One argument "--name" or "--name=value", split: the name, and the value or NULL. */
typedef struct drl_flag_word {
    char name[32];
    const char *value; /* points into the argument */
} drl_flag_word;

/* false: the argument is no flag. */
bool drl_flag_split(drl_flag_word *w, const char *arg);

/* The value of a flag: after its '=', or the next argument, argv[*i + 1], which is then used up. */
drl_status drl_flag_value(drl_flag_word *w, int *i, int argc, char **argv, const char *argument, drl_err *err);

/* Sets the field of the flag that argv[*i] was split into. An unknown flag or a value that cannot be used is
 * ERR_CONFIG. */
drl_status drl_flag_parse(void *self, const drl_flag *flags, size_t n, drl_flag_word *w, int *i, int argc, char **argv,
                          drl_err *err);

void drl_flags_default(void *self, const drl_flag *flags, size_t n);
void drl_flags_help(FILE *out, const drl_flag *flags, size_t n);

#endif
