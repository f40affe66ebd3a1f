/* Which training images are labelled: a balanced draw, or a published list (drl/labels.h). */
#include "drl/labels.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drl/mem.h"
#include "drl/rng.h"

void drl_labels_free(drl_labels *l) {
    drl_free(l->index);
    *l = (drl_labels){0};
}

/* The images that are marked, in ascending order. */
static drl_status gather(drl_labels *l, const size_t *mark, size_t n, drl_err *err) {
    size_t marked = 0;
    for (size_t i = 0; i < n; i++) marked += mark[i] != 0;
    drl_status st = drl_alloc(&l->index, marked, sizeof *l->index, "labels", err);
    for (size_t i = 0; i < n && st == DRL_OK; i++)
        if (mark[i] != 0) l->index[l->n++] = (uint32_t)i;
    return st;
}

/* ---- Drawing ----------------------------------------------------------------------------------------------------- */

/* Marks the first k of a permutation of the class's m images. */
static drl_status draw_class(size_t *mark, uint32_t *members, uint32_t *order, const drl_dataset *data, size_t label,
                             size_t k, uint64_t split, drl_err *err) {
    const drl_images *train = &data->split[DRL_SPLIT_TRAIN];
    size_t m = 0;
    for (size_t i = 0; i < train->n; i++)
        if (train->labels[i] == (int32_t)label) members[m++] = (uint32_t)i;
    if (m < k)
        return drl_fail(err, DRL_ERR_CONFIG, "%.200s: %zu labels of each class: class %s has %zu training images only",
                        data->name, k, data->class_names[label], m);
    drl_rng_permutation(drl_rng_stream(split, DRL_RNG_LABELS, (uint32_t)label, 0), order, m);
    for (size_t i = 0; i < k; i++) mark[members[order[i]]] = 1;
    return DRL_OK;
}

drl_status drl_labels_draw(drl_labels *l, const drl_dataset *data, size_t n, uint64_t split, drl_err *err) {
    size_t n_train = data->split[DRL_SPLIT_TRAIN].n, *mark = NULL;
    uint32_t *members = NULL, *order = NULL;
    *l = (drl_labels){0};
    if (n == 0 || n % data->classes != 0)
        return drl_fail(err, DRL_ERR_CONFIG,
                        "%zu labels: want as many of each of the %zu classes of %.200s: %zu, %zu ...", n, data->classes,
                        data->name, data->classes, 2 * data->classes);
    drl_status st = drl_alloc(&mark, n_train, sizeof *mark, "labels", err);
    if (st == DRL_OK) st = drl_alloc(&members, n_train, sizeof *members, "images of a class", err);
    if (st == DRL_OK) st = drl_alloc(&order, n_train, sizeof *order, "images of a class", err);
    for (size_t k = 0; k < data->classes && st == DRL_OK; k++)
        st = draw_class(mark, members, order, data, k, n / data->classes, split, err);
    if (st == DRL_OK) st = gather(l, mark, n_train, err);
    drl_free(order);
    drl_free(members);
    drl_free(mark);
    return st;
}

/* ---- Lines of a file --------------------------------------------------------------------------------------------- */

typedef struct reader {
    const drl_dataset *data;
    const drl_picture_names *names; /* NULL: none */
    FILE *file;
    char text[DRL_LABELS_LINE + 1]; /* of the present line, without blanks around it */
    size_t line;                    /* its number, from 1                            */
    size_t *line_of;                /* (training images) where each is named; 0: not */
} reader;

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static void trim(char *text) {
    size_t from = 0, end = strlen(text);
    while (end > 0 && is_blank(text[end - 1])) end--;
    while (from < end && is_blank(text[from])) from++;
    memmove(text, text + from, end - from);
    text[end - from] = '\0';
}

#define BYTE_ORDER_MARK "\xef\xbb\xbf" /* some editors begin UTF-8 with it */

/* Reads a line; *more = false at the file's end. */
static drl_status next_line(reader *r, bool *more, drl_err *err) {
    size_t n = 0;
    int c = getc(r->file);
    *more = c != EOF;
    r->line += *more;
    for (; c != EOF && c != '\n'; c = getc(r->file)) {
        if (c == '\0') return drl_fail(err, DRL_ERR_FORMAT, "line %zu: holds a NUL byte: want a text file", r->line);
        if (n == DRL_LABELS_LINE)
            return drl_fail(err, DRL_ERR_LIMIT,
                            "line %zu: is longer than %d bytes: want an index or a file name a line", r->line,
                            DRL_LABELS_LINE);
        r->text[n++] = (char)c;
    }
    if (n > 0 && r->text[n - 1] == '\r') n--;
    r->text[n] = '\0';
    if (ferror(r->file)) return drl_fail(err, DRL_ERR_IO, "%s", strerror(errno));
    if (r->line == 1 && strncmp(r->text, BYTE_ORDER_MARK, 3) == 0) memmove(r->text, r->text + 3, n - 2);
    trim(r->text);
    return DRL_OK;
}

/* ---- What a line says -------------------------------------------------------------------------------------------- */

/* Is the text a whole number, and which? Those that are negative or do not fit are SIZE_MAX, which is none. */
static bool parse_number(size_t *value, const char *text) {
    bool negative = *text == '-', fits = !negative;
    const char *digit = text + negative;
    if (!*digit) return false;
    for (*value = 0; *digit; digit++) {
        if (!isdigit((unsigned char)*digit)) return false;
        fits = fits && *value < SIZE_MAX / 10;
        *value = fits ? 10 * *value + (size_t)(*digit - '0') : SIZE_MAX;
    }
    if (!fits) *value = SIZE_MAX;
    return true;
}

/* The class of that name, else of that number; data->classes: none. */
static size_t find_class(const drl_dataset *data, const char *text) {
    size_t number;
    for (size_t k = 0; k < data->classes; k++)
        if (strcmp(data->class_names[k], text) == 0) return k;
    return parse_number(&number, text) && number < data->classes ? number : data->classes;
}

/* The image that the text names; a name that several share is that of the class, where one is given. */
static drl_name_match find_image(const reader *r, size_t *image, const char *text, size_t class) {
    if (parse_number(image, text)) return DRL_NAME_FOUND;
    uint32_t place;
    drl_name_match match = r->names ? drl_picture_names_find(r->names, &place, text) : DRL_NAME_UNKNOWN;
    if (match == DRL_NAME_AMBIGUOUS && class < r->data->classes) {
        char whole[sizeof r->text + sizeof r->data->class_names[0]];
        snprintf(whole, sizeof whole, "%s/%s", r->data->class_names[class], text);
        match = drl_picture_names_find(r->names, &place, whole);
    }
    if (match == DRL_NAME_FOUND) *image = place;
    return match;
}

/* Cuts text at the blank `at`: text is what stands in front, the result what stands behind. */
static char *cut(char *text, size_t at) {
    char *behind = text + at + 1;
    text[at] = '\0';
    trim(text);
    trim(behind);
    return behind;
}

/* Where the line's last word that is a class begins, with the blank in front of it; 0: it has none. Names of classes
 * and pictures may hold blanks: of several readings the one whose picture is known counts. */
static size_t split_line(const reader *r) {
    char text[sizeof r->text];
    size_t first = 0, image;
    for (size_t at = strlen(r->text); at-- > 1;) {
        if (!is_blank(r->text[at])) continue;
        memcpy(text, r->text, sizeof text);
        size_t class = find_class(r->data, cut(text, at));
        if (class == r->data->classes) continue;
        if (find_image(r, &image, text, class) != DRL_NAME_UNKNOWN) return at;
        if (first == 0) first = at;
    }
    return first;
}

static drl_status no_image(const reader *r, drl_name_match match, size_t class, drl_err *err) {
    size_t n = r->data->split[DRL_SPLIT_TRAIN].n;
    bool of_class = class < r->data->classes;
    const char *hint = !of_class && strpbrk(r->text, " \t") ? " (nor is what follows a blank a class)" : "";
    if (match == DRL_NAME_AMBIGUOUS)
        return drl_fail(err, DRL_ERR_FORMAT, "line %zu: several training images are called %.200s: want CLASS/%.200s",
                        r->line, r->text, r->text);
    if (r->names)
        return drl_fail(err, DRL_ERR_FORMAT, "line %zu: none of the %zu training images is called %.200s%s%s%s",
                        r->line, n, r->text, of_class ? " and of class " : "",
                        of_class ? r->data->class_names[class] : "", hint);
    return drl_fail(err, DRL_ERR_FORMAT,
                    "line %zu: %.200s is not a number%s, and there are no file names: want an index from 0 to %zu",
                    r->line, r->text, hint, n - 1);
}

static drl_status read_line(reader *r, drl_err *err) {
    const drl_dataset *d = r->data;
    const drl_images *train = &d->split[DRL_SPLIT_TRAIN];
    size_t image, label = d->classes, at;
    drl_name_match match = find_image(r, &image, r->text, label);
    if (match != DRL_NAME_FOUND && (at = split_line(r)) > 0) {
        label = find_class(d, cut(r->text, at));
        match = find_image(r, &image, r->text, label);
    }
    if (match != DRL_NAME_FOUND) return no_image(r, match, label, err);
    if (image >= train->n)
        return drl_fail(err, DRL_ERR_FORMAT, "line %zu: %.200s: indices of the training images go from 0 to %zu",
                        r->line, r->text, train->n - 1);
    if (label < d->classes && train->labels[image] != (int32_t)label)
        return drl_fail(err, DRL_ERR_FORMAT, "line %zu: %.200s is of class %s, not %s", r->line, r->text,
                        d->class_names[train->labels[image]], d->class_names[label]);
    if (r->line_of[image])
        return drl_fail(err, DRL_ERR_FORMAT, "lines %zu and %zu name the same image: %.200s", r->line_of[image],
                        r->line, r->text);
    r->line_of[image] = r->line;
    return DRL_OK;
}

/* ---- The file ---------------------------------------------------------------------------------------------------- */

/* Every class has a label, and there is one at all. */
static drl_status check_classes(const reader *r, drl_err *err) {
    const drl_images *train = &r->data->split[DRL_SPLIT_TRAIN];
    size_t count[256] = {0}, n = 0, missing = 0, first = 0;
    for (size_t i = 0; i < train->n; i++)
        if (r->line_of[i]) count[train->labels[i]]++, n++;
    for (size_t k = r->data->classes; k-- > 0;)
        if (count[k] == 0) missing++, first = k;
    if (n == 0) return drl_fail(err, DRL_ERR_FORMAT, "holds no labels: want an index or a file name a line");
    if (missing == 0) return DRL_OK;
    char others[64] = "";
    if (missing > 1) snprintf(others, sizeof others, " (%zu classes have no label)", missing);
    return drl_fail(err, DRL_ERR_FORMAT, "no image of class %s is labelled%s", r->data->class_names[first], others);
}

static drl_status read_file(reader *r, drl_err *err) {
    drl_status st;
    bool more;
    while ((st = next_line(r, &more, err)) == DRL_OK && more)
        if (r->text[0] && r->text[0] != '#' && (st = read_line(r, err)) != DRL_OK) break;
    return st == DRL_OK ? check_classes(r, err) : st;
}

drl_status drl_labels_read(drl_labels *l, const drl_dataset *data, const drl_picture_names *names, const char *path,
                           drl_err *err) {
    size_t n = data->split[DRL_SPLIT_TRAIN].n;
    assert(!names || (names->n == n && names->split == DRL_SPLIT_TRAIN));
    *l = (drl_labels){0};
    reader r = {.data = data, .names = names, .file = fopen(path, "rbe")};
    if (!r.file)
        return drl_fail(err, errno == ENOENT ? DRL_ERR_NOT_FOUND : DRL_ERR_IO, "%s: %s", path, strerror(errno));
    drl_status st = drl_alloc(&r.line_of, n, sizeof *r.line_of, "labels", err);
    if (st == DRL_OK) st = read_file(&r, err);
    if (st == DRL_OK) st = gather(l, r.line_of, n, err);
    drl_free(r.line_of);
    fclose(r.file);
    return st == DRL_OK ? st : drl_err_context(err, st, "%s", path);
}
