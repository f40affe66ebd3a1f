/* The pictures of a directory or of an archive (members.h). */
#define _POSIX_C_SOURCE 200809L
#include "members.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive.h"
#include "cache.h"
#include "drl/file.h"
#include "drl/hash.h"
#include "drl/mem.h"
#include "tree.h"

#define ARCHIVE_LIMIT ((uint64_t)1 << 38)

struct drl_members {
    drl_archive *archive; /* NULL: a directory */
    drl_tree *tree;       /* NULL: an archive  */
};

static bool is_picture(const char *name) {
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (*part == '.' || strncmp(part, "__MACOSX/", strlen("__MACOSX/")) == 0) return false;
    }
    const char *dot = strrchr(name, '.');
    return dot && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 || strcasecmp(dot, ".png") == 0);
}

drl_status drl_members_open(drl_members **out, const char *path, drl_err *err) {
    *out = NULL;
    struct stat info;
    drl_members *m;
    drl_status st = drl_alloc(&m, 1, sizeof *m, "reader of pictures", err);
    if (st != DRL_OK) return st;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        st = drl_tree_open(&m->tree, path, is_picture, err);
    else
        st = drl_archive_open(&m->archive, path, DRL_ARCHIVE_MEMBERS, ARCHIVE_LIMIT, err);
    if (st != DRL_OK)
        drl_members_close(m);
    else
        *out = m;
    return st;
}

void drl_members_close(drl_members *m) {
    if (!m) return;
    drl_archive_close(m->archive);
    drl_tree_close(m->tree);
    drl_free(m);
}

drl_status drl_members_next(drl_members *m, const char **name, drl_err *err) {
    if (m->tree) return drl_tree_next(m->tree, name, err);
    drl_status st;
    do {
        st = drl_archive_next(m->archive, name, err);
    } while (st == DRL_OK && *name && !is_picture(*name));
    return st;
}

static drl_status read_file(uint8_t **bytes, size_t *size, const char *path, size_t limit, drl_err *err) {
    FILE *f = fopen(path, "rbe");
    if (!f) return drl_fail(err, DRL_ERR_IO, "%s: %s", path, strerror(errno));
    struct stat info;
    drl_status st = DRL_OK;
    if (fstat(fileno(f), &info) != 0 || !S_ISREG(info.st_mode))
        st = drl_fail(err, DRL_ERR_IO, "%s: not a regular file", path);
    else if ((uint64_t)info.st_size > limit)
        st = drl_fail(err, DRL_ERR_LIMIT, "%s: holds more than the %zu bytes allowed", path, limit);
    if (st == DRL_OK) st = drl_alloc(bytes, (size_t)info.st_size, 1, "picture", err);
    if (st == DRL_OK && fread(*bytes, 1, (size_t)info.st_size, f) != (size_t)info.st_size) {
        st = drl_fail(err, DRL_ERR_IO, "%s: cannot read it whole", path);
        drl_free(*bytes);
        *bytes = NULL;
    }
    if (st == DRL_OK) *size = (size_t)info.st_size;
    fclose(f);
    return st;
}

drl_status drl_members_read(drl_members *m, uint8_t **bytes, size_t *size, size_t limit, drl_err *err) {
    *bytes = NULL;
    *size = 0;
    return m->tree ? read_file(bytes, size, drl_tree_path(m->tree), limit, err)
                   : drl_archive_read(m->archive, bytes, size, limit, err);
}

/* ---- Digest ------------------------------------------------------------------------------------------------------ */

/* What shows that a file has changed. Numbers of 8 bytes without gaps: hashed as they lie. */
typedef struct trace {
    int64_t size, modified, modified_ns, changed, changed_ns;
    uint64_t inode, device;
    int64_t why_not; /* errno where the file cannot be looked at; -1: it is no regular file */
} trace;

/* The pictures of a directory, and what is seen of them. */
typedef struct survey {
    int directory;
    size_t n, size;
    char *names; /* (size) each ended by 0 */
    const char **name;
    trace *traces;
} survey;
#define FILES_AT_ONCE ((size_t)256)

static drl_status list(survey *s, drl_members *m, const char *path, drl_err *err) {
    const char *name;
    drl_status st;
    FILE *f = open_memstream(&s->names, &s->size);
    if (!f) return drl_fail(err, DRL_ERR_MEMORY, "%s: out of memory", path);
    for (; (st = drl_members_next(m, &name, err)) == DRL_OK && name; s->n++) fwrite(name, 1, strlen(name) + 1, f);
    if ((ferror(f) | (fclose(f) != 0)) && st == DRL_OK) st = drl_fail(err, DRL_ERR_MEMORY, "%s: out of memory", path);
    if (st == DRL_OK) st = drl_alloc(&s->name, s->n, sizeof *s->name, "names of pictures", err);
    if (st == DRL_OK) st = drl_alloc(&s->traces, s->n, sizeof *s->traces, "times of pictures", err);
    const char *next = s->names;
    for (size_t i = 0; st == DRL_OK && i < s->n; i++, next += strlen(next) + 1) s->name[i] = next;
    return st;
}

static void look_at_files(void *self, size_t part, size_t member) {
    survey *s = self;
    (void)member;
    for (size_t i = part * FILES_AT_ONCE; i < s->n && i < (part + 1) * FILES_AT_ONCE; i++) {
        struct stat f;
        if (fstatat(s->directory, s->name[i], &f, 0) != 0)
            s->traces[i].why_not = errno;
        else
            s->traces[i] = (trace){(int64_t)f.st_size,        (int64_t)f.st_mtim.tv_sec,  (int64_t)f.st_mtim.tv_nsec,
                                   (int64_t)f.st_ctim.tv_sec, (int64_t)f.st_ctim.tv_nsec, (uint64_t)f.st_ino,
                                   (uint64_t)f.st_dev,        S_ISREG(f.st_mode) ? 0 : -1};
    }
}

/* Waiting for the file system is most of it: the team does that together. */
static drl_status look(survey *s, const char *path, drl_threads *team, drl_err *err) {
    size_t parts = (s->n + FILES_AT_ONCE - 1) / FILES_AT_ONCE;
    s->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->directory < 0) return drl_fail(err, DRL_ERR_IO, "%s: %s", path, strerror(errno));
    if (team)
        drl_threads_for(team, parts, look_at_files, s);
    else
        for (size_t k = 0; k < parts; k++) look_at_files(s, k, 0);
    close(s->directory);
    for (size_t i = 0; i < s->n; i++) {
        int64_t why = s->traces[i].why_not;
        if (why != 0)
            return drl_fail(err, DRL_ERR_IO, "%s/%s: %s", path, s->name[i],
                            why < 0 ? "not a regular file" : strerror((int)why));
    }
    return DRL_OK;
}

/* sha256 = digest of a line for each picture: its name, its size and its digest. */
static drl_status digest(char sha256[65], const survey *s, const char *path, drl_err *err) {
    char *text = NULL, file[DRL_PATH_MAX], hex[65];
    size_t size = 0;
    drl_status st = DRL_OK;
    FILE *f = open_memstream(&text, &size);
    if (!f) return drl_fail(err, DRL_ERR_MEMORY, "%s: out of memory", path);
    for (size_t i = 0; i < s->n && st == DRL_OK; i++) {
        snprintf(file, sizeof file, "%s/%s", path, s->name[i]);
        if ((st = drl_sha256_file(hex, file, err)) == DRL_OK)
            fprintf(f, "%s %lld %s\n", s->name[i], (long long)s->traces[i].size, hex);
    }
    if ((ferror(f) | (fclose(f) != 0)) && st == DRL_OK) st = drl_fail(err, DRL_ERR_MEMORY, "%s: out of memory", path);
    if (st == DRL_OK) drl_sha256(sha256, text, size);
    free(text);
    return st;
}

static drl_status identify(char sha256[65], survey *s, const char *path, const drl_dataset_cfg *cfg, drl_err *err) {
    char state[200], names[65], traces[65];
    time_t newest = 0;
    drl_status st = look(s, path, cfg->team, err);
    if (st != DRL_OK) return st;
    drl_sha256(names, s->names, s->size);
    drl_sha256(traces, s->traces, s->n * sizeof *s->traces);
    snprintf(state, sizeof state, "directory of %s with %s", names, traces);
    if (drl_recall(sha256, state, cfg)) return DRL_OK;
    if ((st = digest(sha256, s, path, err)) != DRL_OK) return st;
    for (size_t i = 0; i < s->n; i++)
        if (s->traces[i].changed > newest) newest = (time_t)s->traces[i].changed;
    if (drl_settled(newest)) drl_remember(sha256, state, cfg);
    return DRL_OK;
}

drl_status drl_members_identify(char sha256[65], const char *path, const drl_dataset_cfg *cfg, drl_err *err) {
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) return drl_identify_file(sha256, path, cfg, err);
    char dir[DRL_PATH_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    for (size_t n = strlen(dir); n > 1 && dir[n - 1] == '/';) dir[--n] = '\0';
    survey s = {0};
    drl_members *m;
    drl_status st = drl_members_open(&m, dir, err);
    if (st == DRL_OK) st = list(&s, m, dir, err);
    drl_members_close(m);
    if (st == DRL_OK) st = identify(sha256, &s, dir, cfg, err);
    drl_free(s.traces);
    drl_free(s.name);
    free(s.names);
    return st;
}
