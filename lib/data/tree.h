/* The files below a directory, one after the other: by name within each directory, whose files come where its name
 * stands. Links are followed; what is hidden (a name that starts with a dot) is passed over. */
#ifndef DRL_TREE_H
#define DRL_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "drl/err.h"

typedef struct drl_tree drl_tree;

/* wanted(name): is the file of this path below the directory one of those? Messages name the path. */
drl_status drl_tree_open(drl_tree **tree, const char *path, bool (*wanted)(const char *name), drl_err *err);
void drl_tree_close(drl_tree *tree);

/* Moves to the next file that is wanted: *name, its path below the directory, is lent until the next call; NULL after
 * the last one. Refused are links in a circle, wanted names of what is no regular file, directories that cannot be read
 * or are nested too deep, and more entries than an archive may have. The file itself is not looked at. */
drl_status drl_tree_next(drl_tree *tree, const char **name, drl_err *err);

/* Path of the present file, lent until the next call. */
const char *drl_tree_path(const drl_tree *tree);

#endif
