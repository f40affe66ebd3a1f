/* Configurations: the text of an .ini file, and its first line as an assignment. What is accepted is written out, which
 * has to read back to the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/config.h"
#include "drl/mem.h"
#include "fuzz.h"

#define OPTIONS(X)                                                                                                     \
    X(INT, a, whole, "-3", DRL_RANGE(-10, 10), "a whole number")                                                       \
    X(SIZE, a, count, "5000", DRL_RANGE(1, 1e9), "a count")                                                            \
    X(REAL, a, real, "0.1", DRL_ANY, "a real number")                                                                  \
    X(BOOL, a, yes, "yes", DRL_ANY, "yes or no")                                                                       \
    X(STRING, b, text, "some text", DRL_ANY, "a line")                                                                 \
    X(ENUM, b, choice, "one", DRL_CHOICES("one|two|three"), "one of three")                                            \
    X(LIST, b, list, "0, 0.5, 1", DRL_RANGE(0, 1), "numbers")
DRL_CONFIG_STRUCT(fuzz_cfg, OPTIONS);
static DRL_CONFIG_TABLE(fuzz_options, fuzz_cfg, OPTIONS)

    int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    size_t n;
    const drl_option *options = fuzz_options(&n);
    fuzz_cfg cfg, again;
    char *text, *text_again, line[256];
    drl_config_defaults(&cfg, options, n);
    drl_config_defaults(&again, options, n);
    snprintf(line, sizeof line, "%.*s", size < 200 ? (int)size : 200, (const char *)bytes);
    line[strcspn(line, "\n")] = '\0';
    (void)drl_config_set(&cfg, options, n, line, NULL);
    (void)drl_config_read(&cfg, options, n, fuzz_write("a.ini", bytes, size), NULL);
    fuzz_check(drl_config_text(&text, &cfg, options, n, NULL) == DRL_OK, "a configuration that has no text");
    drl_err err;
    if (drl_config_read(&again, options, n, fuzz_write("b.ini", text, strlen(text)), &err) != DRL_OK)
        fuzz_check(false, err.message);
    fuzz_check(drl_config_text(&text_again, &again, options, n, NULL) == DRL_OK, "a configuration that has no text");
    fuzz_check(strcmp(text, text_again) == 0, "a configuration whose text reads back to another one");
    drl_free(text);
    drl_free(text_again);
    return 0;
}
