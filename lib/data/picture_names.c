/* What the images of a folder: dataset are called (drl/data.h).
 *
 * The listing decides which picture becomes which image, so the names come from the listing too, and no picture has to
 * be decoded. The exception are pictures that were skipped because they are corrupt: which ones only decoding tells. */
#include "picture_names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "drl/mem.h"
#include "folder.h"
#include "source.h"

/* ---- Finding a name ---------------------------------------------------------------------------------------------- */

static int compare(const void *left, const void *right) {
    const drl_picture_name *a = left, *b = right;
    int order = strcmp(a->text, b->text);
    return order ? order : (a->place > b->place) - (a->place < b->place);
}

static const char *base_of(const char *name) {
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* The first of the names that is not below the text: lower bound. */
static size_t first_of(const drl_picture_name *sorted, size_t n, const char *text) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(sorted[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static drl_name_match find_in(const drl_picture_name *sorted, size_t n, uint32_t *place, const char *text) {
    size_t i = first_of(sorted, n, text);
    if (i == n || strcmp(sorted[i].text, text) != 0) return DRL_NAME_UNKNOWN;
    if (i + 1 < n && strcmp(sorted[i + 1].text, text) == 0) return DRL_NAME_AMBIGUOUS;
    *place = sorted[i].place;
    return DRL_NAME_FOUND;
}

drl_name_match drl_picture_names_find(const drl_picture_names *names, uint32_t *place, const char *name) {
    const char *directory = names->split == DRL_SPLIT_TRAIN ? "train/" : "test/";
    size_t length = strlen(directory);
    if (!strchr(name, '/')) return find_in(names->by_base, names->n, place, name);
    drl_name_match match = find_in(names->by_name, names->n, place, name); /* a class may be called train, too */
    if (match == DRL_NAME_UNKNOWN && strncmp(name, directory, length) == 0)
        match = find_in(names->by_name, names->n, place, name + length);
    return match;
}

/* ---- Making them ------------------------------------------------------------------------------------------------- */

void drl_picture_names_free(drl_picture_names *names) {
    if (!names) return;
    drl_free(names->name);
    drl_free(names->by_name);
    drl_free(names->by_base);
    drl_free(names->text);
    drl_free(names);
}

static drl_status fill(drl_picture_names *p, const char *const *name, drl_err *err) {
    size_t used = 0;
    for (size_t i = 0; i < p->n; i++) used += strlen(name[i]) + 1;
    drl_status st = drl_alloc(&p->text, used, 1, "names of pictures", err);
    if (st == DRL_OK) st = drl_alloc(&p->name, p->n, sizeof *p->name, "names of pictures", err);
    if (st == DRL_OK) st = drl_alloc(&p->by_name, p->n, sizeof *p->by_name, "names of pictures", err);
    if (st == DRL_OK) st = drl_alloc(&p->by_base, p->n, sizeof *p->by_base, "names of pictures", err);
    if (st != DRL_OK) return st;
    char *to = p->text;
    for (size_t i = 0; i < p->n; i++) {
        size_t length = strlen(name[i]) + 1;
        p->name[i] = memcpy(to, name[i], length);
        p->by_name[i] = (drl_picture_name){p->name[i], (uint32_t)i};
        p->by_base[i] = (drl_picture_name){base_of(p->name[i]), (uint32_t)i};
        to += length;
    }
    qsort(p->by_name, p->n, sizeof *p->by_name, compare);
    qsort(p->by_base, p->n, sizeof *p->by_base, compare);
    for (size_t i = 1; i < p->n; i++) assert(strcmp(p->by_name[i - 1].text, p->by_name[i].text) < 0);
    return DRL_OK;
}

drl_status drl_picture_names_make(drl_picture_names **out, const char *const *name, size_t n, drl_split split,
                                  drl_err *err) {
    assert(n <= UINT32_MAX);
    *out = NULL;
    drl_picture_names *p;
    drl_status st = drl_alloc(&p, 1, sizeof *p, "names of pictures", err);
    if (st != DRL_OK) return st;
    p->n = n;
    p->split = split;
    if ((st = fill(p, name, err)) == DRL_OK)
        *out = p;
    else
        drl_picture_names_free(p);
    return st;
}

/* ---- Those of a dataset ------------------------------------------------------------------------------------------ */

/* Marks the pictures that are skipped, by decoding all once more. */
static drl_status mark_skipped(drl_folder_list *list, const char *path, const drl_dataset_cfg *cfg, drl_err *err) {
    drl_dataset *again;
    drl_status st = drl_alloc(&again, 1, sizeof *again, "dataset", err);
    if (st != DRL_OK) return st;
    st = drl_folder_decode(again, list, path, cfg, err);
    drl_dataset_free(again);
    return st;
}

/* name (n_split) = the names of the split's places, NULL where the picture is skipped, label likewise; then the gaps
 * are closed as the reader closes them. Returns how many there are. */
static size_t put_in_order(const char **name, int32_t *label, const drl_folder_list *list, drl_split split) {
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        const drl_folder_picture *p = &list->pictures[i];
        if (p->split != split || p->place == DRL_FOLDER_UNUSED || p->skipped) continue;
        name[p->place] = p->class_path;
        label[p->place] = p->label;
    }
    for (size_t i = 0; i < list->n_split[split]; i++) {
        if (!name[i]) continue;
        name[n] = name[i];
        label[n++] = label[i];
    }
    return n;
}

static drl_status name_images(drl_picture_names **names, const drl_dataset *ds, const drl_folder_list *list,
                              const char *path, const drl_dataset_cfg *cfg, drl_split split, drl_err *err) {
    const drl_images *im = &ds->split[split];
    const char **name = NULL;
    int32_t *label = NULL;
    drl_status st = drl_alloc(&name, list->n_split[split], sizeof *name, "names of pictures", err);
    if (st == DRL_OK) st = drl_alloc(&label, list->n_split[split], sizeof *label, "labels", err);
    if (st == DRL_OK) {
        size_t n = put_in_order(name, label, list, split);
        if (ds->seed != cfg->seed || n != im->n || memcmp(label, im->labels, n * sizeof *label) != 0)
            st = drl_fail(err, DRL_ERR_CONFIG, "%s: was opened with other limits or another seed: names would be wrong",
                          path);
        else
            st = drl_picture_names_make(names, name, n, split, err);
    }
    drl_free(name);
    drl_free(label);
    return st;
}

static drl_status name_folder(drl_picture_names **names, const drl_dataset *ds, const char *path,
                              const drl_dataset_cfg *cfg, drl_split split, drl_err *err) {
    char sha256[65];
    drl_folder_list list = {0};
    drl_status st = drl_identify_folder(sha256, cfg, err);
    if (st == DRL_OK && strcmp(sha256, ds->sha256) != 0)
        st = drl_fail(err, DRL_ERR_IO, "%s: has changed since its pictures were read", path);
    if (st == DRL_OK) st = drl_folder_list_make(&list, path, cfg, err);
    if (st == DRL_OK && ds->skipped > 0) st = mark_skipped(&list, path, cfg, err);
    if (st == DRL_OK) st = name_images(names, ds, &list, path, cfg, split, err);
    drl_folder_list_free(&list);
    return st;
}

drl_status drl_dataset_names(drl_picture_names **names, const drl_dataset *ds, const drl_dataset_cfg *cfg,
                             drl_split split, drl_err *err) {
    assert(strcmp(ds->name, cfg->name) == 0);
    *names = NULL;
    if (drl_source_find(cfg->name)->open != drl_source_folder)
        return drl_fail(err, DRL_ERR_NOT_FOUND, "%.200s: has no file names, use indices", cfg->name);
    drl_status st = name_folder(names, ds, drl_source_path(cfg->name), cfg, split, err);
    return st == DRL_OK ? st : drl_source_context(err, st, cfg->name);
}
