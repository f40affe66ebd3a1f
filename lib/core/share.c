/* Where the suite's own files are (drl/share.h). */
#define _DEFAULT_SOURCE /* readlink */
#include "drl/share.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool in(char path[DRL_PATH_MAX], const char *dir, const char *name) {
    int n = snprintf(path, DRL_PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < DRL_PATH_MAX && access(path, F_OK) == 0;
}

/* dir = PREFIX/share/drl of a program PREFIX/bin/PROGRAM; "" where the system does not say. */
static void beside_program(char dir[DRL_PATH_MAX]) {
    ssize_t n = readlink("/proc/self/exe", dir, DRL_PATH_MAX - 32);
    dir[n > 0 ? n : 0] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(dir, '/');
        if (slash) *slash = '\0';
    }
    if (n > 0) strcat(dir, "/share/drl");
}

void drl_share_path(char path[DRL_PATH_MAX], const char *name) {
    char beside[DRL_PATH_MAX];
    const char *wanted = getenv("DRL_SHARE_DIR");
    if (wanted && wanted[0]) {
        in(path, wanted, name);
        return;
    }
    beside_program(beside);
    if (!in(path, DRL_SOURCE_DIR, name) && !in(path, beside, name)) in(path, DRL_INSTALL_SHARE, name);
}
