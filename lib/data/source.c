/* The table of sources (source.h). */
#include "source.h"

#include <stdio.h>
#include <string.h>

/* X(name, open, identify, help) */
#define SOURCES(X)                                                                                                     \
    X("fashion-mnist", drl_source_fashion_mnist, NULL,                                                                 \
      "IDX files in the data directory, $DRL_DATA_DIR or " DRL_FASHION_MNIST_SYSTEM_DIR                                \
      " (apt-get install dataset-fashion-mnist)")                                                                      \
    X("synthetic:factors", drl_source_synthetic_factors, NULL,                                                         \
      "drawn: colour images with known factors, no files needed")                                                      \
    X("synthetic:shapes-grey", drl_source_synthetic_grey, NULL, "drawn: the same with one channel")

#define ROW(name, open, identify, help)  {name, open, identify, help},
#define LINE(name, open, identify, help) name ": " help "\n"
static const drl_source sources[] = {SOURCES(ROW)};
static const char help_text[] = SOURCES(LINE);
enum { N_SOURCES = sizeof sources / sizeof *sources };

const char *drl_dataset_help(void) {
    return help_text;
}

static bool is_prefix(const char *name) {
    return name[strlen(name) - 1] == ':';
}

const drl_source *drl_source_find(const char *name) {
    for (const drl_source *s = sources; name && s < sources + N_SOURCES; s++) {
        size_t length = strlen(s->name);
        if (is_prefix(s->name) ? strncmp(name, s->name, length) == 0 && name[length] : strcmp(name, s->name) == 0)
            return s;
    }
    return NULL;
}

const char *drl_source_path(const char *name) {
    const drl_source *s = drl_source_find(name);
    return s && is_prefix(s->name) ? name + strlen(s->name) : NULL;
}

drl_status drl_source_unknown(const char *name, drl_err *err) {
    char known[600] = "";
    for (const drl_source *s = sources; s < sources + N_SOURCES; s++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s%s", used ? ", " : "", s->name,
                 is_prefix(s->name) ? "PATH" : "");
    }
    return drl_fail(err, DRL_ERR_CONFIG, "unknown dataset \"%s\": known are %s", name ? name : "", known);
}
