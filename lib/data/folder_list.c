/* Which pictures a folder holds, their classes, splits and places (folder.h). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "drl/mem.h"
#include "folder.h"
#include "stratify.h"

#define NAMES_LIMIT ((size_t)1 << 30)

#define WANTED "want train/CLASS/PICTURE and test/CLASS/PICTURE, or CLASS/PICTURE"

void drl_folder_list_free(drl_folder_list *list) {
    drl_free(list->pictures);
    drl_free(list->names);
    *list = (drl_folder_list){0};
}

/* ---- Collecting -------------------------------------------------------------------------------------------------- */

/* Makes room for `needed` elements of `size` bytes, by doubling. */
static drl_status widen(void *array, size_t used, size_t *room, size_t needed, size_t size, drl_err *err) {
    if (needed <= *room) return DRL_OK;
    size_t wanted = *room ? *room : 1024;
    while (wanted < needed) wanted *= 2;
    void *wider, *narrow;
    memcpy(&narrow, array, sizeof narrow);
    drl_status st = drl_alloc(&wider, wanted, size, "list of pictures", err);
    if (st != DRL_OK) return st;
    if (used) memcpy(wider, narrow, used * size);
    drl_free(narrow);
    memcpy(array, &wider, sizeof wider);
    *room = wanted;
    return DRL_OK;
}

static drl_status collect(drl_folder_list *l, const char *path, drl_err *err) {
    drl_members *m;
    const char *name;
    drl_status st = drl_members_open(&m, path, err);
    if (st != DRL_OK) return st;
    while ((st = drl_members_next(m, &name, err)) == DRL_OK && name) {
        size_t length = strlen(name) + 1;
        if (l->used + length > NAMES_LIMIT)
            st = drl_fail(err, DRL_ERR_LIMIT, "%s: the pictures' names take more than 1 GiB", path);
        if (st == DRL_OK) st = widen(&l->pictures, l->n, &l->room, l->n + 1, sizeof *l->pictures, err);
        if (st == DRL_OK) st = widen(&l->names, l->used, &l->names_room, l->used + length, 1, err);
        if (st != DRL_OK) break;
        l->pictures[l->n++].at = l->used;
        memcpy(l->names + l->used, name, length);
        l->used += length;
    }
    drl_members_close(m);
    return st;
}

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

/* Length of a path's first directory with its slash; 0: none. */
static size_t first_directory(const char *path) {
    const char *slash = strchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Does the path start with that directory? */
static bool is_in(const char *path, const char *directory) {
    return strncmp(path, directory, strlen(directory)) == 0;
}

static size_t depth_of(const char *path) {
    size_t depth = 0;
    for (; *path; path++) depth += *path == '/';
    return depth;
}

/* Length of the one directory that is around all classes; 0: there is none. */
static size_t wrapping(const drl_folder_list *l) {
    const char *first = l->names;
    size_t length = first_directory(first);
    if (depth_of(first) < 2 || is_in(first, "train/") || is_in(first, "test/")) return 0;
    for (size_t i = 1; i < l->n; i++)
        if (strncmp(l->names + l->pictures[i].at, first, length) != 0) return 0;
    return length;
}

/* Finds class and, with train/ and test/, split of every picture in its path. */
static drl_status parse(drl_folder_list *l, bool *has_splits, const char *path, drl_err *err) {
    size_t skip = wrapping(l), depth = depth_of(l->names + skip);
    *has_splits = depth == 2;
    for (size_t i = 0; i < l->n; i++) {
        drl_folder_picture *p = &l->pictures[i];
        const char *name = l->names + p->at, *below = name + skip;
        if ((depth != 1 && depth != 2) || depth_of(below) != depth || strstr(name, "//"))
            return drl_fail(err, DRL_ERR_FORMAT, "%s: %s: " WANTED ", all in one way", path, name);
        p->class_path = below;
        if (*has_splits) {
            bool test = is_in(below, "test/");
            if (!test && !is_in(below, "train/"))
                return drl_fail(err, DRL_ERR_FORMAT, "%s: %s: is neither in train/ nor in test/: " WANTED, path, name);
            p->split = test ? DRL_SPLIT_TEST : DRL_SPLIT_TRAIN;
            p->class_path += first_directory(below);
        }
        size_t length = first_directory(p->class_path); /* as long as the name with a 0 */
        if (length > sizeof l->class_names[0])
            return drl_fail(err, DRL_ERR_LIMIT, "%s: %s: the class's name is longer than %zu bytes", path, name,
                            sizeof l->class_names[0] - 1);
    }
    return DRL_OK;
}

/* ---- Order ------------------------------------------------------------------------------------------------------- */

static int compare_class(const drl_folder_picture *a, const drl_folder_picture *b) {
    const unsigned char *p = (const unsigned char *)a->class_path, *q = (const unsigned char *)b->class_path;
    while (*p == *q && *p != '/') p++, q++;
    return (*p == '/' ? 0 : *p) - (*q == '/' ? 0 : *q);
}

/* By class, split and name. */
static int compare(const void *left, const void *right) {
    const drl_folder_picture *a = *(drl_folder_picture *const *)left, *b = *(drl_folder_picture *const *)right;
    int order = compare_class(a, b);
    if (order == 0) order = a->split - b->split;
    return order ? order : strcmp(a->class_path, b->class_path);
}

/* Moves a drawn part of a class's pictures, which are sorted by name, to the test split. */
static drl_status draw_test(drl_folder_picture **of_class, size_t n, size_t label, uint64_t seed, drl_err *err) {
    uint32_t *order;
    drl_status st = drl_alloc(&order, n, sizeof *order, "test split", err);
    if (st != DRL_OK) return st;
    size_t n_test = drl_draw_test(order, n, label, seed);
    for (size_t i = 0; i < n_test; i++) of_class[order[i]]->split = DRL_SPLIT_TEST;
    drl_free(order);
    return DRL_OK;
}

/* Labels, and ranks within (class, split); count[s][k] = pictures of them. */
static drl_status rank(drl_folder_list *l, drl_folder_picture **sorted, size_t count[DRL_SPLITS][256], bool draw,
                       const char *path, uint64_t seed, drl_err *err) {
    for (size_t i = 0, end; i < l->n; i = end) {
        size_t label = l->classes++;
        if (l->classes > 256) return drl_fail(err, DRL_ERR_LIMIT, "%s: has more than 256 classes", path);
        memcpy(l->class_names[label], sorted[i]->class_path, first_directory(sorted[i]->class_path) - 1);
        for (end = i + 1; end < l->n && compare_class(sorted[i], sorted[end]) == 0;) end++;
        drl_status st = draw ? draw_test(sorted + i, end - i, label, seed, err) : DRL_OK;
        if (st != DRL_OK) return st;
        for (size_t k = i; k < end; k++) {
            sorted[k]->label = (uint16_t)label;
            sorted[k]->rank = (uint32_t)count[sorted[k]->split][label]++;
        }
    }
    return DRL_OK;
}

/* Pictures in front of it in its split: those of lower rank, and those of its rank of classes with lower labels. */
static size_t place_of(const drl_folder_picture *p, const size_t *count, size_t classes) {
    size_t place = 0;
    for (size_t k = 0; k < classes; k++) {
        place += count[k] < p->rank ? count[k] : p->rank;
        place += k < p->label && count[k] > p->rank;
    }
    return place;
}

static drl_status check_classes(const drl_folder_list *l, size_t count[DRL_SPLITS][256], const char *path,
                                drl_err *err) {
    size_t total[DRL_SPLITS] = {0};
    if (l->classes < 2)
        return drl_fail(err, DRL_ERR_SHAPE, "%s: has one class only (%s): want at least two", path, l->class_names[0]);
    for (int s = 0; s < DRL_SPLITS; s++)
        for (size_t k = 0; k < l->classes; k++) total[s] += count[s][k];
    if (total[DRL_SPLIT_TRAIN] == 0 || total[DRL_SPLIT_TEST] == 0)
        return drl_fail(err, DRL_ERR_SHAPE, "%s: there are no pictures in %s/", path,
                        total[DRL_SPLIT_TRAIN] ? "test" : "train");
    for (size_t k = 0; k < l->classes; k++)
        if (count[DRL_SPLIT_TRAIN][k] == 0)
            return drl_fail(err, DRL_ERR_SHAPE, "%s: class %s is in test/ but not in train/", path, l->class_names[k]);
    return DRL_OK;
}

static drl_status arrange(drl_folder_list *l, const char *path, const drl_dataset_cfg *cfg, drl_err *err) {
    bool has_splits;
    size_t count[DRL_SPLITS][256] = {{0}}, limit[DRL_SPLITS] = {cfg->train_limit, cfg->test_limit};
    drl_folder_picture **sorted;
    drl_status st = parse(l, &has_splits, path, err);
    if (st != DRL_OK || (st = drl_alloc(&sorted, l->n, sizeof(void *), "list of pictures", err)) != DRL_OK) return st;
    for (size_t i = 0; i < l->n; i++) sorted[i] = &l->pictures[i];
    qsort(sorted, l->n, sizeof(void *), compare);
    st = rank(l, sorted, count, !has_splits, path, cfg->seed, err);
    if (st == DRL_OK) st = check_classes(l, count, path, err);
    for (size_t i = 0; st == DRL_OK && i < l->n; i++) {
        drl_folder_picture *p = &l->pictures[i];
        size_t place = place_of(p, count[p->split], l->classes);
        bool used = limit[p->split] == 0 || place < limit[p->split];
        p->place = used ? (uint32_t)place : DRL_FOLDER_UNUSED;
        l->n_split[p->split] += used;
    }
    drl_free(sorted);
    return st;
}

drl_status drl_folder_list_make(drl_folder_list *list, const char *path, const drl_dataset_cfg *cfg, drl_err *err) {
    drl_status st = collect(list, path, err);
    if (st != DRL_OK) return st;
    assert(list->n < DRL_FOLDER_UNUSED);
    if (list->n == 0)
        return drl_fail(err, DRL_ERR_NOT_FOUND, "%s: holds no pictures (.jpg, .jpeg, .png): " WANTED, path);
    return arrange(list, path, cfg, err);
}
