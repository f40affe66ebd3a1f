/* drl report: the files of a directory of tables, sorted into blocks. */
#define _POSIX_C_SOURCE 200809L
#include "report.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drl/data.h"
#include "drl/log.h"

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* EXPERIMENT-[NAME-]DATASET-SCALE[-PART]: where the dataset, the name before it included, and the scale begin, and how
 * long the stem is without the part. The last scale in the stem counts: a dataset may be called so too. false: the stem
 * is not of that form. */
static bool split_stem(const char *stem, size_t *dataset, size_t *scale, size_t *size) {
    static const char *const scales[] = {"smoke", "desk", "full", "paper"};
    const char *dash = strchr(stem, '-');
    if (!dash || dash == stem) return false;
    *dataset = (size_t)(dash - stem) + 1;
    for (size_t i = strlen(stem); i > *dataset; i--) {
        if (stem[i] != '-') continue;
        for (size_t s = 0; s < 4; s++) {
            const size_t n = strlen(scales[s]);
            const char *behind = stem + i + 1 + n;
            if (strncmp(stem + i + 1, scales[s], n) != 0 || (*behind && *behind != '-')) continue;
            *scale = i + 1;
            *size = (size_t)(behind - stem);
            return i > *dataset;
        }
    }
    return false;
}

/* All NAME of NAME.csv that may be tables, sorted. */
static drl_status list_tables(report *r, report_list *names, drl_err *err) {
    DIR *dir = opendir(r->in);
    if (!dir)
        return drl_fail(err, errno == ENOENT ? DRL_ERR_NOT_FOUND : DRL_ERR_IO, "directory of tables %s: %s", r->in,
                        errno == ENOENT ? "no such directory" : strerror(errno));
    drl_status st = DRL_OK;
    for (const struct dirent *e; st == DRL_OK && (e = readdir(dir));) {
        if (e->d_name[0] == '.' || !ends_in(e->d_name, ".csv") || ends_in(e->d_name, "-rows.csv")) continue;
        if (strcmp(e->d_name, "claims.csv") == 0) continue;
        char *name = report_copy(&r->pool, e->d_name, strlen(e->d_name) - 4, err);
        st = name ? report_add(&r->pool, names, name, err) : DRL_ERR_MEMORY;
    }
    closedir(dir);
    report_sort(names);
    return st;
}

/* ---- One table --------------------------------------------------------------------------------------------------- */

/* DIR/NAME.EXT, NULL where memory ends. */
static char *path_of(report *r, const char *dir, const char *name, const char *ext, drl_err *err) {
    return report_print(&r->pool, err, "%s/%s%s", dir, name, ext);
}

/* The title, **in bold**, and the notes: every line that is neither empty nor of the table. */
static drl_status read_notes(report *r, report_table *t, drl_err *err) {
    char *text, *path = path_of(r, r->in, t->stem, ".md", err), *rest = NULL;
    t->title = t->stem;
    if (!path) return DRL_ERR_MEMORY;
    if (!report_is_file(path)) return DRL_OK;
    drl_status st = report_read(&r->pool, &text, path, err);
    if (st != DRL_OK) return st;
    for (char *line = strtok_r(text, "\r\n", &rest); line && st == DRL_OK; line = strtok_r(NULL, "\r\n", &rest)) {
        const size_t n = strlen(line);
        if (line[0] == '|' || strspn(line, " \t") == n) continue;
        if (t->title == t->stem && t->notes.n == 0 && n > 4 && strncmp(line, "**", 2) == 0 && ends_in(line, "**")) {
            line[n - 2] = '\0';
            t->title = line + 2;
            report_unescape(line + 2);
        } else {
            st = report_add(&r->pool, &t->notes, line, err);
        }
    }
    return st;
}

static drl_status find_figure(report *r, const char **figure, const char *stem, drl_err *err) {
    char *path = path_of(r, r->figures, stem, ".svg", err);
    if (!path) return DRL_ERR_MEMORY;
    *figure = report_is_file(path) ? path : NULL;
    return DRL_OK;
}

static drl_status read_table(report *r, report_table *t, drl_err *err) {
    char *path = path_of(r, r->in, t->stem, ".csv", err);
    drl_status st = path ? report_read_csv(&r->pool, &t->csv, path, err) : DRL_ERR_MEMORY;
    if (st == DRL_OK) st = read_notes(r, t, err);
    if (st == DRL_OK && t->part[0]) st = find_figure(r, &t->figure, t->stem, err);
    return st;
}

/* ---- The command ------------------------------------------------------------------------------------------------- */

/* The text behind `label` of the first note that begins so, without Markdown's escapes; NULL: none. */
static drl_status note_behind(report *r, const report_table *t, const char *label, char **text, size_t *which,
                              drl_err *err) {
    *text = NULL;
    for (size_t i = 0; i < t->notes.n && !*text; i++) {
        const char *note = t->notes.v[i];
        if (strncmp(note, label, strlen(label)) != 0) continue;
        note += strlen(label);
        note += strspn(note, " ");
        if (!(*text = report_copy(&r->pool, note, strlen(note), err))) return DRL_ERR_MEMORY;
        report_unescape(*text);
        *which = i;
    }
    return DRL_OK;
}

/* A word of a shell's command line. */
static char *shell_word(report *r, const char *text, drl_err *err) {
    size_t plain = 0;
    while (isalnum((unsigned char)text[plain]) || (text[plain] && strchr("-_./:=,%+@", text[plain]))) plain++;
    if (text[0] && !text[plain]) return report_copy(&r->pool, text, plain, err);
    if (!strpbrk(text, "\"$`\\!")) return report_print(&r->pool, err, "\"%s\"", text);
    char *word = report_take(&r->pool, 4 * strlen(text) + 3, err), *to = word;
    if (!word) return NULL;
    *to++ = '\'';
    for (; *text; text++) {
        if (*text == '\'')
            to += sprintf(to, "'\\''");
        else
            *to++ = *text;
    }
    *to = '\'';
    return word;
}

/* The command as the settings say it: the name, as many seeds as there were, and variants that are not the program's
 * own. */
static drl_status make_command(report *r, report_block *b, drl_err *err) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const char *name = b->variant[strspn(b->variant, letters)] ? "" : b->variant; /* files renamed by hand */
    char seeds[32] = "", *variants = NULL, *word = shell_word(r, b->dataset, err);
    size_t which;
    if (!word) return DRL_ERR_MEMORY;
    if (b->runs.seeds.n > 1) snprintf(seeds, sizeof seeds, " --seeds %zu", b->runs.seeds.n);
    for (size_t i = 0; i < b->n && b->variant[0] && !variants; i++) {
        drl_status st = note_behind(r, &b->tables[i], "Variants of these settings:", &variants, &which, err);
        if (st != DRL_OK) return st;
    }
    if (variants) {
        if (ends_in(variants, ".")) variants[strlen(variants) - 1] = '\0';
        if (!(variants = shell_word(r, variants, err))) return DRL_ERR_MEMORY;
    }
    b->command = report_print(&r->pool, err, "build/bin/%s%s%s --scale %s --dataset %s%s%s%s", b->experiment,
                              name[0] ? " --name " : "", name, b->scale, word, seeds, variants ? " --variants " : "",
                              variants ? variants : "");
    return b->command ? DRL_OK : DRL_ERR_MEMORY;
}

/* The line "Command: ..." among the notes, which then is no note any more. */
static drl_status find_command(report *r, report_block *b, drl_err *err) {
    for (size_t i = 0; i < b->n; i++) {
        report_table *t = &b->tables[i];
        char *text;
        size_t which;
        drl_status st = note_behind(r, t, "Command:", &text, &which, err);
        if (st != DRL_OK) return st;
        if (!text) continue;
        size_t n = strlen(text);
        if (n > 1 && text[0] == '`' && text[n - 1] == '`') {
            text[n - 1] = '\0';
            text++;
        }
        if (!b->command) b->command = text;
        for (size_t k = which; k + 1 < t->notes.n; k++) t->notes.v[k] = t->notes.v[k + 1];
        t->notes.n--;
    }
    return b->command ? DRL_OK : make_command(r, b, err);
}

/* ---- Blocks ------------------------------------------------------------------------------------------------------ */

/* The dataset as the runs call it. What stands before its short name in the stem is what --name said. */
static drl_status name_dataset(report *r, report_block *b, drl_err *err) {
    char name[DRL_DATASET_SHORT_MAX];
    if (b->runs.datasets.n != 1) return DRL_OK;
    drl_dataset_short_name(name, b->runs.datasets.v[0]);
    const size_t n = strlen(b->dataset), m = strlen(name);
    if (!ends_in(b->dataset, name) || (n > m && b->dataset[n - m - 1] != '-')) return DRL_OK;
    if (n > m && !(b->variant = report_copy(&r->pool, b->dataset, n - m - 1, err))) return DRL_ERR_MEMORY;
    b->dataset = b->runs.datasets.v[0];
    return DRL_OK;
}

static int rank_of(const report_table *t) {
    return t->part[0] == '\0' ? 0 : strcmp(t->part, "claims") == 0 ? 2 : 1;
}

static int by_rank(const void *a, const void *b) {
    const report_table *x = a, *y = b;
    int order = rank_of(x) - rank_of(y);
    return order ? order : strcmp(x->part, y->part);
}

static drl_status read_block(report *r, report_block *b, drl_err *err) {
    drl_status st = DRL_OK;
    char *path = path_of(r, r->in, b->stem, "", err);
    char *pictures = path_of(r, r->in, b->stem, "-pictures.safetensors", err);
    if (!path || !pictures) return DRL_ERR_MEMORY;
    b->pictures = report_is_file(pictures);
    qsort(b->tables, b->n, sizeof *b->tables, by_rank);
    for (size_t i = 0; i < b->n && st == DRL_OK; i++) st = read_table(r, &b->tables[i], err);
    if (st == DRL_OK) st = find_figure(r, &b->figure, b->stem, err);
    if (st == DRL_OK) st = report_read_runs(&r->pool, &b->runs, path, err);
    if (st == DRL_OK) st = name_dataset(r, b, err);
    return st == DRL_OK ? find_command(r, b, err) : st;
}

/* Adds a table to the block of its stem, which is made where there is none yet. */
static drl_status add_table(report *r, const char *stem, size_t tables, drl_err *err) {
    size_t dataset, scale, size, i = 0;
    if (!split_stem(stem, &dataset, &scale, &size)) {
        drl_log("left out: %s/%s.csv: its name is not EXPERIMENT-DATASET-SCALE", r->in, stem);
        return DRL_OK;
    }
    while (i < r->n && !(strlen(r->blocks[i].stem) == size && strncmp(r->blocks[i].stem, stem, size) == 0)) i++;
    report_block *b = &r->blocks[i];
    if (i == r->n) {
        r->n++;
        b->variant = "";
        b->stem = report_copy(&r->pool, stem, size, err);
        b->experiment = report_copy(&r->pool, stem, dataset - 1, err);
        b->dataset = report_copy(&r->pool, stem + dataset, scale - dataset - 1, err);
        b->scale = report_copy(&r->pool, stem + scale, size - scale, err);
        b->tables = report_take(&r->pool, tables * sizeof *b->tables, err);
        if (!b->stem || !b->experiment || !b->dataset || !b->scale || !b->tables) return DRL_ERR_MEMORY;
    }
    b->tables[b->n++] = (report_table){.stem = stem, .part = stem[size] ? stem + size + 1 : ""};
    return DRL_OK;
}

static int by_experiment(const void *a, const void *b) {
    const report_block *x = a, *y = b;
    int order = report_experiment_rank(x->experiment) - report_experiment_rank(y->experiment);
    if (order == 0) order = strcmp(x->experiment, y->experiment);
    if (order == 0) order = strcmp(x->variant, y->variant);
    return order ? order : strcmp(x->stem, y->stem);
}

/* ---- All of it --------------------------------------------------------------------------------------------------- */

static drl_status read_claims(report *r, drl_err *err) {
    static const char *const needed[] = {"id", "dataset", "scale", "statement", "effect", "half95", "seeds", "verdict"};
    char *path = path_of(r, r->in, "claims", ".csv", err);
    if (path && !report_is_file(path)) path = path_of(r, r->in, "../claims", ".csv", err);
    if (!path) return DRL_ERR_MEMORY;
    if (!report_is_file(path)) return DRL_OK;
    drl_status st = report_read_csv(&r->pool, &r->claims, path, err);
    for (size_t i = 0; i < sizeof needed / sizeof *needed && st == DRL_OK; i++)
        if (report_column(&r->claims, needed[i]) == r->claims.columns)
            st = drl_fail(err, DRL_ERR_FORMAT, "%s: no column %s", path, needed[i]);
    return st;
}

static drl_status read_deviations(report *r, drl_err *err) {
    const char *const dirs[] = {"", "../"};
    char *path = NULL, *text;
    for (size_t i = 0; i < 2 && !(path && report_is_file(path)); i++)
        if (!(path = report_print(&r->pool, err, "%s/%sdeviations.md", r->in, dirs[i]))) return DRL_ERR_MEMORY;
    if (!report_is_file(path)) path = report_print(&r->pool, err, "%s/results/deviations.md", DRL_SOURCE_DIR);
    if (!path) return DRL_ERR_MEMORY;
    if (!report_is_file(path)) return DRL_OK;
    drl_status st = report_read(&r->pool, &text, path, err);
    if (st != DRL_OK) return st;
    /* the section has a title already */
    if (strncmp(text, "# ", 2) == 0) text += strcspn(text, "\n");
    r->deviations = text;
    return DRL_OK;
}

drl_status report_collect(report *r, drl_err *err) {
    report_list names = {0};
    drl_status st = list_tables(r, &names, err);
    if (st == DRL_OK && !(r->blocks = report_take(&r->pool, (names.n + 1) * sizeof *r->blocks, err)))
        st = DRL_ERR_MEMORY;
    for (size_t i = 0; i < names.n && st == DRL_OK; i++) st = add_table(r, names.v[i], names.n, err);
    if (st == DRL_OK && r->n == 0)
        st = drl_fail(err, DRL_ERR_NOT_FOUND, "directory of tables %s: no EXPERIMENT-DATASET-SCALE.csv in it", r->in);
    for (size_t i = 0; i < r->n && st == DRL_OK; i++) st = read_block(r, &r->blocks[i], err);
    if (st == DRL_OK) qsort(r->blocks, r->n, sizeof *r->blocks, by_experiment);
    if (st == DRL_OK) st = read_claims(r, err);
    return st == DRL_OK ? read_deviations(r, err) : st;
}
