/* Digests of large files, remembered between runs (cache.h). */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cache.h"
#include "drl/file.h"
#include "drl/hash.h"

#define LEAST_BYTES    (1 << 20) /* smaller files are hashed sooner than their digest is looked up             */
#define SETTLE_SECONDS 2         /* a file changed so lately may change again without its times showing it     */

enum { HEX = 64, RECORD = 2 * HEX + 1 }; /* digest, digest of state and digest, newline */

bool drl_cache_dir(char *dir, size_t size, const drl_dataset_cfg *cfg) {
    const char *given = cfg->cache_dir, *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length = 0;
    if (given)
        length = snprintf(dir, size, "%s", given);
    else if (xdg && *xdg == '/') /* the XDG specification has relative paths ignored */
        length = snprintf(dir, size, "%s/drl", xdg);
    else if (home && *home)
        length = snprintf(dir, size, "%s/.cache/drl", home);
    return length > 0 && (size_t)length < size;
}

static bool record_path(char *path, size_t size, const char *state, const drl_dataset_cfg *cfg) {
    char dir[DRL_PATH_MAX], hex[65];
    if (!drl_cache_dir(dir, sizeof dir, cfg)) return false;
    drl_sha256(hex, state, strlen(state));
    int length = snprintf(path, size, "%s/digest-%s", dir, hex);
    return length > 0 && (size_t)length < size;
}

/* A record proves itself: its second half is the digest of the state and the first half. */
static void make_record(char record[RECORD + 1], const char *sha256, const char *state) {
    char both[2 * HEX + 1], hex[65];
    drl_sha256(both, state, strlen(state));
    snprintf(both + HEX, sizeof both - HEX, "%s", sha256);
    drl_sha256(hex, both, strlen(both));
    snprintf(record, RECORD + 1, "%s%s\n", sha256, hex);
}

bool drl_recall(char sha256[65], const char *state, const drl_dataset_cfg *cfg) {
    char path[DRL_PATH_MAX], found[RECORD + 2], record[RECORD + 1];
    if (!record_path(path, sizeof path, state, cfg)) return false;
    FILE *f = fopen(path, "re");
    if (!f) return false;
    size_t got = fread(found, 1, RECORD + 1, f);
    fclose(f);
    if (got != RECORD) return false;
    memcpy(sha256, found, HEX);
    sha256[HEX] = '\0';
    make_record(record, sha256, state);
    return memcmp(record, found, RECORD) == 0;
}

void drl_remember(const char *sha256, const char *state, const drl_dataset_cfg *cfg) {
    char dir[DRL_PATH_MAX], path[DRL_PATH_MAX], record[RECORD + 1];
    if (!drl_cache_dir(dir, sizeof dir, cfg) || !record_path(path, sizeof path, state, cfg)) return;
    make_record(record, sha256, state);
    if (drl_make_dirs(dir, NULL) == DRL_OK) (void)drl_write_file(path, record, RECORD, NULL);
}

bool drl_settled(time_t changed) {
    return time(NULL) - changed > SETTLE_SECONDS;
}

drl_status drl_identify_file(char sha256[65], const char *path, const drl_dataset_cfg *cfg, drl_err *err) {
    struct stat s;
    if (stat(path, &s) != 0) return drl_fail(err, DRL_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(s.st_mode)) return drl_fail(err, DRL_ERR_IO, "%s: not a regular file", path);
    char *real = s.st_size >= LEAST_BYTES ? realpath(path, NULL) : NULL;
    if (!real) return drl_sha256_file(sha256, path, err);
    char state[DRL_PATH_MAX + 256];
    snprintf(state, sizeof state, "file %lld bytes, modified %lld.%09ld, changed %lld.%09ld, inode %llu of %llu, %s",
             (long long)s.st_size, (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec, (long long)s.st_ctim.tv_sec,
             s.st_ctim.tv_nsec, (unsigned long long)s.st_ino, (unsigned long long)s.st_dev, real);
    free(real);
    if (drl_recall(sha256, state, cfg)) return DRL_OK;
    drl_status st = drl_sha256_file(sha256, path, err);
    if (st == DRL_OK && drl_settled(s.st_mtim.tv_sec)) drl_remember(sha256, state, cfg);
    return st;
}
