/* TARGET FILE|DIRECTORY...: gives the bytes of every file to the fuzz target this is linked with, where libFuzzer is
 * not. A finding ends the process; the last line names the file. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static size_t replayed;

/* The bytes lie in a block of just their size, so that the sanitizers see reads beyond it. */
static int replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    struct stat info;
    if (!f || fstat(fileno(f), &info) != 0) {
        fprintf(stderr, "%s: cannot read\n", path);
        return 1;
    }
    size_t size = (size_t)info.st_size;
    uint8_t *bytes = malloc(size ? size : 1);
    if (!bytes || fread(bytes, 1, size, f) != size) abort();
    fclose(f);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    replayed++;
    return 0;
}

static int replay(const char *path) {
    struct dirent **entries;
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) return replay_file(path);
    int n = scandir(path, &entries, NULL, alphasort), status = n < 0;
    for (int i = 0; i < n; i++) {
        char below[4096];
        snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') status |= replay_file(below);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    return status;
}

int main(int argc, char **argv) {
    int status = 0;
    for (int i = 1; i < argc; i++) status |= replay(argv[i]);
    printf("%zu inputs\n", replayed);
    return status || replayed == 0;
}
