/* golden [--if-present] FILE.safetensors...: runs our ops, networks, objective and optimisers on the inputs of golden
 * files and compares every output, inner activation and gradient the files have. [vectors]
 *
 * Exit status: 0 all within the limits, 1 a miss, 2 a file that cannot be read or is of no known kind, or wrong usage;
 * 77 where --if-present is given and a file does not exist. */
#include "golden.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drl/blas.h"

typedef enum file_kind { UNKNOWN, LAYERS, ENCODER, DECODER, SCORE, LOSS, OPTIM } file_kind;

static file_kind kind_of(const golden *gd) {
    if (golden_find(gd, "in/x0") && golden_find(gd, "in/noise")) return LOSS;
    if (golden_find(gd, "in/xt")) return SCORE;
    if (golden_find(gd, "in/x0")) return ENCODER;
    if (golden_find(gd, "param/decoder.conv_out.weight")) return DECODER;
    for (size_t i = 0; i < drl_st_count(gd->file); i++)
        if (strstr(drl_st_at(gd->file, i)->name, "/p0_start")) return OPTIM;
    return LAYERS;
}

static bool check_contents(golden *gd) {
    switch (kind_of(gd)) {
    case ENCODER: golden_encoder(gd); return true;
    case DECODER: golden_decoder(gd); return true;
    case SCORE: golden_score(gd); return true;
    case LOSS: golden_loss(gd); return true;
    case OPTIM: golden_optim(gd); return true;
    default: return golden_layers(gd);
    }
}

/* Exit status of one file. */
static int check_file(const char *path, drl_threads *const team[2]) {
    drl_err err;
    golden gd = {.path = path, .team = {team[0], team[1]}};
    if (drl_st_open(&gd.file, path, &err) != DRL_OK) {
        fprintf(stderr, "golden: %s\n", err.message);
        return 2;
    }
    gd.records = golden_alloc(drl_st_count(gd.file), sizeof *gd.records);
    int status = 2;
    if (check_contents(&gd))
        status = golden_report(&gd) ? 1 : 0;
    else
        fprintf(stderr, "golden: %s: holds no layers, encoder, decoder, score network, loss or optimiser steps\n",
                path);
    golden_free(gd.records);
    drl_st_close(gd.file);
    return status;
}

static int check_files(char **paths, int n) {
    drl_threads *team[2] = {NULL, NULL};
    drl_err err;
    int status = 0;
    for (size_t i = 0; i < 2; i++)
        if (drl_threads_open(&team[i], i + 1, &err) != DRL_OK) {
            fprintf(stderr, "golden: %s\n", err.message);
            return 1;
        }
    for (int i = 0; i < n; i++) {
        int s = check_file(paths[i], team);
        status = s > status ? s : status;
    }
    for (size_t i = 0; i < 2; i++) drl_threads_close(team[i]);
    return status;
}

static bool is_absent(const char *path) {
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return !f && errno == ENOENT;
}

int main(int argc, char **argv) {
    static const char usage[] =
        "usage: golden [--if-present] FILE.safetensors...\n"
        "Compares the library with golden vectors. Exit status: 0 all within the limits, 1 a miss,\n"
        "2 a file cannot be used, 77 a file does not exist and --if-present is given.\n";
    drl_blas_guard(argv);
    int first = argc > 1 && strcmp(argv[1], "--if-present") == 0 ? 2 : 1;
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc <= first || argv[first][0] == '-') {
        fputs(usage, stderr);
        return 2;
    }
    for (int i = first; first == 2 && i < argc; i++)
        if (is_absent(argv[i])) {
            printf("skipped: there is no %s\n", argv[i]);
            return 77;
        }
    return check_files(argv + first, argc - first);
}
