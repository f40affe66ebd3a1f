/* Temporary names (drl/file.h). */
#define _POSIX_C_SOURCE 200809L
#include "drl/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ".tmp.HOST.": what the names made on this host have in common. */
static void mark(char buf[96]) {
    char host[65] = "";
    gethostname(host, sizeof host - 1);
    for (char *c = host; *c; c++)
        if (*c == '/' || *c == '.') *c = '-';
    snprintf(buf, 96, ".tmp.%s.", host[0] ? host : "localhost");
}

bool drl_temporary_name(char *buf, size_t size, const char *path) {
    static atomic_uint serial;
    char common[96];
    mark(common);
    int n = snprintf(buf, size, "%s%s%ld.%u", path, common, (long)getpid(), atomic_fetch_add(&serial, 1));
    return n > 0 && (size_t)n < size;
}

void drl_temporary_sweep(const char *dir) {
    char common[96];
    mark(common);
    DIR *d = opendir(dir);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        const char *at = strstr(e->d_name, common);
        if (!at) continue;
        char *end;
        long process = strtol(at + strlen(common), &end, 10);
        if (process > 0 && *end == '.' && kill((pid_t)process, 0) != 0 && errno == ESRCH)
            unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
}
