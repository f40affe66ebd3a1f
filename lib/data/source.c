/* The table of sources (source.h). */
#define _POSIX_C_SOURCE 200809L /* strncasecmp */
#include "source.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* X(name, open, locate, identify, help) */
#define EMNIST(X, split)                                                                                               \
    X("emnist-" split, drl_source_idx, drl_locate_idx, drl_identify_idx,                                               \
      "IDX files, or gzip.zip, below emnist/ in the data directory")
#define SOURCES(X)                                                                                                     \
    X("fashion-mnist", drl_source_idx, drl_locate_idx, drl_identify_idx,                                               \
      "IDX files, plain or .gz, or an archive of them, in the data directory or fashion-mnist/ below it, or "          \
      "in " DRL_FASHION_MNIST_SYSTEM_DIR " (apt-get install dataset-fashion-mnist)")                                   \
    X("mnist", drl_source_idx, drl_locate_idx, drl_identify_idx,                                                       \
      "IDX files, or an archive of them, in mnist/ below the data directory")                                          \
    X("kmnist", drl_source_idx, drl_locate_idx, drl_identify_idx, "the same in kmnist/")                               \
    EMNIST(X, "balanced")                                                                                              \
    EMNIST(X, "byclass")                                                                                               \
    EMNIST(X, "bymerge")                                                                                               \
    EMNIST(X, "digits")                                                                                                \
    EMNIST(X, "letters")                                                                                               \
    EMNIST(X, "mnist")                                                                                                 \
    X("cifar10", drl_source_cifar, drl_locate_cifar, drl_identify_cifar,                                               \
      "cifar-10-binary.tar.gz in the data directory or cifar10/ below it")                                             \
    X("cifar100", drl_source_cifar, drl_locate_cifar, drl_identify_cifar,                                              \
      "cifar-100-binary.tar.gz in the data directory or cifar100/ below it")                                           \
    X("synthetic:factors", drl_source_synthetic_factors, NULL, NULL,                                                   \
      "drawn: colour images with known factors, no files needed")                                                      \
    X("synthetic:shapes-grey", drl_source_synthetic_grey, NULL, NULL, "drawn: the same with one channel")

/* Prefixes of a path, X(name, open, identify, help). */
#define PATH_SOURCES(X)                                                                                                \
    X("npz:", drl_source_npz, drl_identify_npz,                                                                        \
      "a NumPy archive of train_images, train_labels, test_images and test_labels (or x_train ..., or images and "     \
      "labels): uint8 or float32 in [0, 1]")                                                                           \
    X("folder:", drl_source_folder, drl_identify_folder,                                                               \
      "a directory, or an archive (.tar.gz, .zip, .7z ...), of train/CLASS/*.jpg|png and test/CLASS/*, or of "         \
      "CLASS/*, a sixth of which are then drawn for testing")

#define ROW(name, open, locate, identify, help)  {name, open, locate, identify, help},
#define PATH_ROW(name, open, identify, help)     {name, open, NULL, identify, help},
#define LINE(name, open, locate, identify, help) name ": " help "\n"
#define PATH_LINE(name, open, identify, help)    name "PATH: " help "\n"
static const drl_source sources[] = {SOURCES(ROW) PATH_SOURCES(PATH_ROW)};
static const char help_text[] = SOURCES(LINE) PATH_SOURCES(PATH_LINE);
enum { N_SOURCES = sizeof sources / sizeof *sources };

const char *drl_dataset_help(void) {
    return help_text;
}

const char *drl_dataset_known(size_t i, const char **help) {
    if (i >= N_SOURCES) return NULL;
    *help = sources[i].help;
    return sources[i].name;
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

/* Length of a file's name without the endings of archives. */
static size_t stem_length(const char *name) {
    static const char *const endings[] = {".gz", ".tgz", ".zst", ".xz", ".bz2", ".tar", ".zip", ".7z", ".npz"};
    size_t n = strlen(name);
    for (size_t k = 0; k < sizeof endings / sizeof *endings; k++) {
        size_t length = strlen(endings[k]);
        if (n <= length || strncasecmp(name + n - length, endings[k], length) != 0) continue;
        n -= length;
        k = (size_t)-1; /* once more from the first: .tar.gz */
    }
    return n;
}

void drl_dataset_short_name(char out[DRL_DATASET_SHORT_MAX], const char *name) {
    const char *path = drl_source_path(name);
    if (path) {
        char base[1024];
        size_t n = strlen(path), from;
        while (n > 1 && path[n - 1] == '/') n--;
        for (from = n; from > 0 && path[from - 1] != '/';) from--;
        snprintf(base, sizeof base, "%.*s", (int)(n - from), path + from);
        snprintf(out, DRL_DATASET_SHORT_MAX, "%.*s%.*s", (int)(path - name), name, (int)stem_length(base), base);
    } else {
        snprintf(out, DRL_DATASET_SHORT_MAX, "%s", name);
    }
    for (char *c = out; *c; c++)
        if (!(isalnum((unsigned char)*c) && (unsigned char)*c < 128) && !strchr("._-", *c)) *c = '-';
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

/* Does a message begin with a path, or what is below it? Slashes at the path's end may be gone. */
static bool begins_with(const char *message, const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    return strncmp(message, path, n) == 0 && (message[n] == ':' || message[n] == '/' || path[n - 1] == '/');
}

drl_status drl_source_context(drl_err *err, drl_status status, const char *name) {
    const char *path = drl_source_path(name);
    if (err && path && begins_with(err->message, path))
        return drl_err_context(err, status, "%.*s", (int)(path - name) - 1, name);
    return drl_err_context(err, status, "%.200s", name);
}

drl_status drl_dataset_locate(drl_dataset_files *files, const drl_dataset_cfg *cfg, drl_err *err) {
    const drl_source *s = drl_source_find(cfg->name);
    if (!s) return drl_source_unknown(cfg->name, err);
    files->n = 0;
    drl_status st = DRL_OK;
    const char *path = drl_source_path(cfg->name);
    struct stat info;
    if (s->locate) {
        st = s->locate(files, cfg, err);
    } else if (path && strlen(path) >= DRL_PATH_MAX) {
        st = drl_fail(err, DRL_ERR_CONFIG, "the path is too long");
    } else if (path) {
        if (stat(path, &info) != 0)
            st = drl_fail(err, errno == ENOENT ? DRL_ERR_NOT_FOUND : DRL_ERR_IO, "%s: %s", path, strerror(errno));
        snprintf(files->path[files->n++], DRL_PATH_MAX, "%s", path);
    }
    return st == DRL_OK ? st : drl_source_context(err, st, cfg->name);
}
