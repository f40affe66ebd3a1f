/* Flags of a command line (drl/flags.h). */
#include "drl/flags.h"

#include <string.h>

bool drl_flag_split(drl_flag_word *w, const char *arg) {
    if (strncmp(arg, "--", 2) != 0) return false;
    size_t n = strcspn(arg + 2, "=");
    if (n == 0 || n >= sizeof w->name) return false;
    memcpy(w->name, arg + 2, n);
    w->name[n] = '\0';
    w->value = arg[2 + n] ? arg + 3 + n : NULL;
    return true;
}

drl_status drl_flag_value(drl_flag_word *w, int *i, int argc, char **argv, const char *argument, drl_err *err) {
    if (!w->value && *i + 1 < argc) w->value = argv[++*i];
    if (!w->value) return drl_fail(err, DRL_ERR_CONFIG, "--%s needs a value: --%s %s", w->name, w->name, argument);
    return DRL_OK;
}

drl_status drl_flag_parse(void *self, const drl_flag *flags, size_t n, drl_flag_word *w, int *i, int argc, char **argv,
                          drl_err *err) {
    for (size_t f = 0; f < n; f++) {
        const drl_option *o = &flags[f].option;
        if (strcmp(w->name, o->key) != 0) continue;
        if (!flags[f].argument) {
            if (w->value) return drl_fail(err, DRL_ERR_CONFIG, "--%s takes no value", w->name);
            return drl_option_parse(self, o, "yes", err);
        }
        drl_status st = drl_flag_value(w, i, argc, argv, flags[f].argument, err);
        if (st != DRL_OK) return st;
        st = drl_option_parse(self, o, w->value, err);
        return st == DRL_OK ? st : drl_err_context(err, st, "--%s", w->name);
    }
    return drl_fail(err, DRL_ERR_CONFIG, "unknown flag --%s", w->name);
}

void drl_flags_default(void *self, const drl_flag *flags, size_t n) {
    for (size_t f = 0; f < n; f++) drl_option_parse(self, &flags[f].option, flags[f].option.text, NULL);
}

void drl_flags_help(FILE *out, const drl_flag *flags, size_t n) {
    for (size_t f = 0; f < n; f++) {
        const drl_option *o = &flags[f].option;
        char left[64];
        snprintf(left, sizeof left, "--%s %s", o->key, flags[f].argument ? flags[f].argument : "");
        fprintf(out, "  %-34s %s", left, o->help);
        if (flags[f].argument && o->text[0]) fprintf(out, " [%s]", o->text);
        putc('\n', out);
    }
}
