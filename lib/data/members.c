/* The pictures of a directory or of an archive (members.h). */
#define _DEFAULT_SOURCE /* fts(3) */
#include "members.h"

#include <assert.h>
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "archive.h"
#include "cache.h"
#include "drl/file.h"
#include "drl/hash.h"
#include "drl/mem.h"

#define ARCHIVE_LIMIT ((uint64_t)1 << 38)

struct drl_members {
    drl_archive *archive; /* NULL: a directory            */
    FTS *tree;            /* NULL: an archive             */
    FTSENT *entry;        /* present picture of the tree  */
    size_t seen, below;   /* entries; where the name below the directory begins in an entry's path */
    char path[DRL_PATH_MAX];
};

static bool is_picture(const char *name) {
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (*part == '.' || strncmp(part, "__MACOSX/", strlen("__MACOSX/")) == 0) return false;
    }
    const char *dot = strrchr(name, '.');
    return dot && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 || strcasecmp(dot, ".png") == 0);
}

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* A directory's name without slashes at its end, so that a member's begins behind it and one more. */
static drl_status open_tree(drl_members *m, drl_err *err) {
    char *paths[] = {m->path, NULL};
    for (size_t n = strlen(m->path); n > 1 && m->path[n - 1] == '/';) m->path[--n] = '\0';
    m->below = strlen(m->path) + (strcmp(m->path, "/") != 0);
    m->tree = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    return m->tree ? DRL_OK : drl_fail(err, DRL_ERR_IO, "%s: %s", m->path, strerror(errno));
}

drl_status drl_members_open(drl_members **out, const char *path, drl_err *err) {
    *out = NULL;
    struct stat info;
    drl_members *m;
    assert(strlen(path) < sizeof m->path); /* a part of a dataset's name */
    drl_status st = drl_alloc(&m, 1, sizeof *m, "reader of pictures", err);
    if (st != DRL_OK) return st;
    snprintf(m->path, sizeof m->path, "%s", path);
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        st = open_tree(m, err);
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
    if (m->tree) fts_close(m->tree);
    drl_free(m);
}

static drl_status next_of_tree(drl_members *m, const char **name, drl_err *err) {
    *name = NULL;
    for (;;) {
        errno = 0;
        FTSENT *e = m->entry = fts_read(m->tree);
        if (!e) return errno ? drl_fail(err, DRL_ERR_IO, "%s: %s", m->path, strerror(errno)) : DRL_OK;
        if (++m->seen > DRL_ARCHIVE_MEMBER_LIMIT)
            return drl_fail(err, DRL_ERR_LIMIT, "%s: has more than the %zu entries allowed", m->path,
                            DRL_ARCHIVE_MEMBER_LIMIT);
        if (e->fts_level == 0 && (e->fts_info == FTS_D || e->fts_info == FTS_DP)) continue;
        if (e->fts_level > 0 && e->fts_name[0] == '.') {
            if (e->fts_info == FTS_D) fts_set(m->tree, e, FTS_SKIP);
            continue;
        }
        if (e->fts_info == FTS_DC) return drl_fail(err, DRL_ERR_IO, "%s: is a link in a circle", e->fts_path);
        if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR)
            return drl_fail(err, DRL_ERR_IO, "%s: %s", e->fts_path, strerror(e->fts_errno));
        const char *below = e->fts_path + m->below;
        if (e->fts_info == FTS_D || e->fts_info == FTS_DP || !is_picture(below)) continue;
        if (e->fts_info == FTS_SLNONE) return drl_fail(err, DRL_ERR_NOT_FOUND, "%s: is a link to nothing", e->fts_path);
        if (e->fts_info != FTS_F) return drl_fail(err, DRL_ERR_IO, "%s: not a regular file", e->fts_path);
        *name = below;
        return DRL_OK;
    }
}

drl_status drl_members_next(drl_members *m, const char **name, drl_err *err) {
    if (m->tree) return next_of_tree(m, name, err);
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
    return m->tree ? read_file(bytes, size, m->entry->fts_accpath, limit, err)
                   : drl_archive_read(m->archive, bytes, size, limit, err);
}

/* ---- Digest ------------------------------------------------------------------------------------------------------ */

/* text = a line for each picture: its name and its size, and what shows that it has changed or, slower, its digest. */
static drl_status describe(FILE *text, time_t *newest, drl_members *m, bool digest, drl_err *err) {
    const char *name;
    drl_status st;
    while ((st = drl_members_next(m, &name, err)) == DRL_OK && name) {
        const struct stat *s = m->entry->fts_statp;
        char hex[65] = "";
        if (digest && (st = drl_sha256_file(hex, m->entry->fts_accpath, err)) != DRL_OK) return st;
        fprintf(text, "%s %lld %s", name, (long long)s->st_size, hex);
        if (!digest)
            fprintf(text, "%lld.%09ld %lld.%09ld %llu %llu", (long long)s->st_mtim.tv_sec, s->st_mtim.tv_nsec,
                    (long long)s->st_ctim.tv_sec, s->st_ctim.tv_nsec, (unsigned long long)s->st_ino,
                    (unsigned long long)s->st_dev);
        fputc('\n', text);
        if (s->st_ctim.tv_sec > *newest) *newest = s->st_ctim.tv_sec;
    }
    return st;
}

static drl_status hash_description(char sha256[65], time_t *newest, const char *path, bool digest, drl_err *err) {
    char *text = NULL;
    size_t size = 0;
    drl_members *m;
    drl_status st = drl_members_open(&m, path, err);
    if (st != DRL_OK) return st;
    FILE *f = open_memstream(&text, &size);
    st = f ? describe(f, newest, m, digest, err) : drl_fail(err, DRL_ERR_MEMORY, "%s: out of memory", path);
    if (f && (ferror(f) | (fclose(f) != 0)) && st == DRL_OK)
        st = drl_fail(err, DRL_ERR_MEMORY, "%s: out of memory", path);
    if (st == DRL_OK) drl_sha256(sha256, text, size);
    free(text);
    drl_members_close(m);
    return st;
}

drl_status drl_members_identify(char sha256[65], const char *path, const drl_dataset_cfg *cfg, drl_err *err) {
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) return drl_identify_file(sha256, path, cfg, err);
    char state[80] = "directory ";
    time_t newest = 0;
    drl_status st = hash_description(state + strlen(state), &newest, path, false, err);
    if (st != DRL_OK || drl_recall(sha256, state, cfg)) return st;
    st = hash_description(sha256, &newest, path, true, err);
    if (st == DRL_OK && drl_settled(newest)) drl_remember(sha256, state, cfg);
    return st;
}
