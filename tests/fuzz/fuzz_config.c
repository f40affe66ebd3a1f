/* Configuration: as a file, as a text, and its first line as the argument of --set. What is accepted is written and
 * read again, to the same text, where lines are short enough for that. */
#include <stdlib.h>
#include <string.h>

#include "drl/config.h"
#include "drl/mem.h"
#include "fuzz.h"

/* Longer than a line that drl_config_read takes. */
static bool has_long_line(const char *text) {
    const size_t most = 197;
    for (size_t length; *text; text += length + (text[length] == '\n'))
        if ((length = strcspn(text, "\n")) > most) return true;
    return false;
}

#define FUZZ_OPTIONS(X)                                                                                                \
    X(SIZE, train, steps, "5000", DRL_RANGE(1, 1e6), "optimiser steps")                                                \
    X(REAL, train, rate, "1e-3", DRL_RANGE(0, 1), "learning rate")                                                     \
    X(INT, train, offset, "-3", DRL_ANY, "signed")                                                                     \
    X(ENUM, model, method, "drl", DRL_CHOICES("ae|drl|vdrl"), "objective")                                             \
    X(BOOL, model, mixup, "no", DRL_ANY, "mix images")                                                                 \
    X(STRING, model, name, "", DRL_ANY, "free text")                                                                   \
    X(LIST, probe, times, "0, 0.1, 1", DRL_RANGE(0, 1), "times")

DRL_CONFIG_STRUCT(fuzz_config, FUZZ_OPTIONS);
static DRL_CONFIG_TABLE(fuzz_options, fuzz_config, FUZZ_OPTIONS);

static void check_round_trip(const fuzz_config *c, const drl_option *options, size_t n) {
    fuzz_config again;
    char *text, *second;
    drl_err err;
    FUZZ_CHECK(drl_config_text(&text, c, options, n, &err) == DRL_OK);
    for (int file = 0; file < (has_long_line(text) ? 1 : 2); file++) {
        drl_config_defaults(&again, options, n);
        if (file)
            FUZZ_CHECK(drl_config_read(&again, options, n, fuzz_file((const uint8_t *)text, strlen(text)), &err) ==
                       DRL_OK);
        else
            FUZZ_CHECK(drl_config_parse(&again, options, n, text, &err) == DRL_OK);
        FUZZ_CHECK(drl_config_text(&second, &again, options, n, &err) == DRL_OK);
        FUZZ_CHECK(strcmp(text, second) == 0);
        drl_free(second);
    }
    drl_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_config c, before;
    drl_err err;
    size_t n;
    const drl_option *options = fuzz_options(&n);
    drl_config_defaults(&c, options, n);
    before = c;
    drl_status st = drl_config_read(&c, options, n, fuzz_file(bytes, size), &err);
    if (st == DRL_OK)
        check_round_trip(&c, options, n);
    else
        FUZZ_CHECK(memcmp(&c, &before, sizeof c) == 0);
    fuzz_end(st, &err);

    char *line = malloc(size + 1);
    FUZZ_CHECK(line);
    memcpy(line, bytes, size);
    line[size] = '\0';
    before = c;
    if ((st = drl_config_parse(&c, options, n, line, &err)) == DRL_OK)
        check_round_trip(&c, options, n);
    else
        FUZZ_CHECK(memcmp(&c, &before, sizeof c) == 0);
    fuzz_end(st, &err);
    line[strcspn(line, "\n")] = '\0';
    if ((st = drl_config_set(&c, options, n, line, &err)) == DRL_OK) check_round_trip(&c, options, n);
    free(line);
    fuzz_end(st, &err);
    return 0;
}
