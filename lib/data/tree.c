/* The files below a directory (tree.h). A directory's entries tell what they are: only links are looked at. */
#define _GNU_SOURCE /* scandir, d_type */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive.h"
#include "drl/file.h"
#include "drl/mem.h"

#define MAX_DEPTH 256

/* A directory that is being read. */
typedef struct level {
    struct dirent **list; /* (n) by name */
    int n, next;
    size_t length; /* of its path with a slash behind it */
    dev_t device;
    ino_t inode;
} level;

struct drl_tree {
    bool (*wanted)(const char *name);
    size_t depth, seen, below; /* where the name below the directory begins in a path */
    char path[DRL_PATH_MAX];   /* of the present entry                                */
    level levels[MAX_DEPTH];
};

static int is_visible(const struct dirent *e) {
    return e->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Reads the directory that path names. */
static drl_status enter(drl_tree *t, drl_err *err) {
    struct stat info;
    if (t->depth == MAX_DEPTH)
        return drl_fail(err, DRL_ERR_LIMIT, "%s: is nested more than %d directories deep", t->path, MAX_DEPTH - 1);
    level *l = &t->levels[t->depth];
    *l = (level){.length = strlen(t->path)};
    if (stat(t->path, &info) != 0 || (l->n = scandir(t->path, &l->list, is_visible, by_name)) < 0)
        return drl_fail(err, DRL_ERR_IO, "%s: %s", t->path, strerror(errno));
    l->device = info.st_dev, l->inode = info.st_ino;
    t->depth++;
    for (level *above = t->levels; above < l; above++)
        if (above->device == l->device && above->inode == l->inode)
            return drl_fail(err, DRL_ERR_IO, "%s: is a link in a circle", t->path);
    if (t->path[l->length - 1] != '/') t->path[l->length++] = '/';
    return DRL_OK;
}

static void leave(drl_tree *t) {
    level *l = &t->levels[--t->depth];
    for (int i = 0; i < l->n; i++) free(l->list[i]);
    free(l->list);
}

drl_status drl_tree_open(drl_tree **out, const char *path, bool (*wanted)(const char *name), drl_err *err) {
    *out = NULL;
    drl_tree *t;
    drl_status st = drl_alloc(&t, 1, sizeof *t, "reader of directories", err);
    if (st != DRL_OK) return st;
    t->wanted = wanted;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    if (n + 2 > sizeof t->path)
        st = drl_fail(err, DRL_ERR_LIMIT, "%.200s...: the path is too long", path);
    else
        memcpy(t->path, path, n), st = enter(t, err);
    if (st != DRL_OK) {
        drl_tree_close(t);
        return st;
    }
    t->below = t->levels[0].length;
    *out = t;
    return DRL_OK;
}

void drl_tree_close(drl_tree *t) {
    if (!t) return;
    while (t->depth > 0) leave(t);
    drl_free(t);
}

/* path = that of an entry, with room for a slash; *type = what it is, DT_LNK: a link to nothing. */
static drl_status look(drl_tree *t, unsigned char *type, const level *l, const struct dirent *e, drl_err *err) {
    struct stat info;
    size_t length = strlen(e->d_name);
    if (l->length + length + 2 > sizeof t->path)
        return drl_fail(err, DRL_ERR_LIMIT, "%.200s...: the path is too long", t->path);
    memcpy(t->path + l->length, e->d_name, length + 1);
    *type = e->d_type;
    if (*type != DT_LNK && *type != DT_UNKNOWN) return DRL_OK;
    if (stat(t->path, &info) == 0)
        *type = IFTODT(info.st_mode);
    else if (*type == DT_UNKNOWN && lstat(t->path, &info) == 0)
        *type = IFTODT(info.st_mode);
    return DRL_OK;
}

drl_status drl_tree_next(drl_tree *t, const char **name, drl_err *err) {
    *name = NULL;
    while (t->depth > 0) {
        level *l = &t->levels[t->depth - 1];
        unsigned char type = DT_UNKNOWN;
        if (l->next == l->n) {
            leave(t);
            continue;
        }
        drl_status st = look(t, &type, l, l->list[l->next++], err);
        if (st == DRL_OK && ++t->seen > DRL_ARCHIVE_MEMBER_LIMIT)
            st = drl_fail(err, DRL_ERR_LIMIT, "%.*s: has more than the %zu entries allowed", (int)t->below - 1, t->path,
                          DRL_ARCHIVE_MEMBER_LIMIT);
        if (st == DRL_OK && type == DT_DIR) st = enter(t, err);
        if (st != DRL_OK) return st;
        const char *below = t->path + t->below;
        if (type == DT_DIR || !t->wanted(below)) continue;
        if (type == DT_LNK) return drl_fail(err, DRL_ERR_NOT_FOUND, "%s: is a link to nothing", t->path);
        if (type != DT_REG) return drl_fail(err, DRL_ERR_IO, "%s: not a regular file", t->path);
        *name = below;
        return DRL_OK;
    }
    return DRL_OK;
}

const char *drl_tree_path(const drl_tree *t) {
    return t->path;
}
