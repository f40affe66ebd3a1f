/* Calls a fuzz target with every file named, and every file of a directory named: without libFuzzer, in any build.
 * Fails where there is no input at all. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static size_t replayed;

static int replay(const char *path) {
    struct stat info;
    FILE *f = stat(path, &info) == 0 ? fopen(path, "rb") : NULL;
    uint8_t *bytes = f ? malloc((size_t)info.st_size + !info.st_size) : NULL;
    int bad = !bytes || fread(bytes, 1, (size_t)info.st_size, f) != (size_t)info.st_size;
    if (bad)
        fprintf(stderr, "%s: cannot read\n", path);
    else
        LLVMFuzzerTestOneInput(bytes, (size_t)info.st_size);
    free(bytes);
    if (f) fclose(f);
    replayed++;
    return bad;
}

static int replay_directory(const char *path) {
    struct dirent **entries;
    char below[4096];
    int bad = 0, n = scandir(path, &entries, NULL, alphasort);
    for (int k = 0; k < n; k++) {
        snprintf(below, sizeof below, "%s/%s", path, entries[k]->d_name);
        if (entries[k]->d_name[0] != '.') bad |= replay(below);
        free(entries[k]);
    }
    if (n >= 0) free(entries);
    return bad || n < 0;
}

int main(int argc, char **argv) {
    int bad = 0;
    for (int k = 1; k < argc; k++) {
        struct stat info;
        bool directory = stat(argv[k], &info) == 0 && S_ISDIR(info.st_mode);
        bad |= directory ? replay_directory(argv[k]) : replay(argv[k]);
    }
    printf("%zu inputs replayed\n", replayed);
    return bad || replayed == 0;
}
