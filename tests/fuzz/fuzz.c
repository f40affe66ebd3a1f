/* Files and checks of the fuzz targets (fuzz.h). */
#define _GNU_SOURCE /* memfd_create */
#include "fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drl/file.h"
#include "drl/mem.h"

void fuzz_broken(const char *condition, const char *file, int line) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

static void write_all(int fd, const uint8_t *bytes, size_t size) {
    while (size > 0) {
        ssize_t put = write(fd, bytes, size);
        FUZZ_CHECK(put > 0);
        bytes += put;
        size -= (size_t)put;
    }
}

const char *fuzz_file(const uint8_t *bytes, size_t size) {
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        FUZZ_CHECK((fd = memfd_create("fuzz", MFD_CLOEXEC)) >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    FUZZ_CHECK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    write_all(fd, bytes, size);
    return path;
}

static char dir[256];

static void remove_dir(void) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command) != 0) fprintf(stderr, "%s stays\n", dir);
}

const char *fuzz_below(const char *name, const uint8_t *bytes, size_t size) {
    char path[512];
    if (!dir[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(dir, sizeof dir, "%s/drl-fuzz-XXXXXX",
                 base                            ? base
                 : access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                                 : "/tmp");
        FUZZ_CHECK(mkdtemp(dir) && atexit(remove_dir) == 0);
    }
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    FUZZ_CHECK(f && fwrite(bytes, 1, size, f) == size && fclose(f) == 0);
    return dir;
}

void fuzz_end(drl_status st, const drl_err *err) {
    if (st != DRL_OK) {
        FUZZ_CHECK(err->status == st && strlen(err->message) > 5);
        for (const char *c = err->message; *c; c++) FUZZ_CHECK((unsigned char)*c >= ' ');
    }
    FUZZ_CHECK(drl_mem_get_stats().bytes == 0);
}
