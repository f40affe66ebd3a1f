/* The pictures of detail_control as files: one of a run, and one of all that a figure shows (detail.h).
 *
 * STEM-pictures.safetensors: for panel k = 0, 1, ... of the figure
 *   k.place         F32 (points, 2)             places of the first test images
 *   k.grid          U8  (side, side, channels)  images sampled from the grid of codes
 *   __metadata__    k.method, k.variant         of the arm
 *                   k.config_hash, k.seed       of the run, in every store; run ids are of one store alone
 *                   k.key                       of the model
 *                   k.rows                      SHA-256 of the key and of the rows measured with the picture
 *                   k.place, k.grid             SHA-256 of the tensors' bytes
 * Classes are not in it: config_hash stands for the images too, and so for their labels. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "detail.h"
#include "drl/file.h"
#include "drl/hash.h"
#include "drl/mem.h"
#include "drl/safetensors.h"

/* ---- Of a run ---------------------------------------------------------------------------------------------------- */

static void path_of(char path[DRL_PATH_MAX], const char *out, int64_t run) {
    snprintf(path, DRL_PATH_MAX, "%.3900s/detail/run-%lld.safetensors", out, (long long)run);
}

static drl_status add_tensor(drl_st_writer *w, const char *prefix, const char *name, const detail_picture *p,
                             drl_err *err) {
    char full[32];
    const size_t place[] = {p->points, 2}, grid[] = {p->side, p->side, p->channels};
    snprintf(full, sizeof full, "%s%s", prefix, name);
    if (strcmp(name, "place") == 0) return drl_st_add(w, full, "F32", 2, place, p->place, err);
    if (strcmp(name, "label") == 0) return drl_st_add(w, full, "I32", 1, place, p->label, err);
    return drl_st_add(w, full, "U8", 3, grid, p->grid, err);
}

drl_status detail_write(const detail_picture *p, const char *out, int64_t run, drl_err *err) {
    char dir[DRL_PATH_MAX], path[DRL_PATH_MAX];
    drl_st_writer *w = NULL;
    snprintf(dir, sizeof dir, "%.3900s/detail", out);
    path_of(path, out, run);
    drl_status st = drl_make_dirs(dir, err);
    if (st == DRL_OK) drl_temporary_sweep(dir);
    if (st == DRL_OK) st = drl_st_writer_new(&w, err);
    if (st == DRL_OK) st = add_tensor(w, "", "place", p, err);
    if (st == DRL_OK) st = add_tensor(w, "", "label", p, err);
    if (st == DRL_OK) st = add_tensor(w, "", "grid", p, err);
    if (st == DRL_OK) st = drl_st_add_metadata(w, "key", p->key, err);
    if (st == DRL_OK) st = drl_st_write(w, path, err);
    drl_st_writer_free(w);
    return st;
}

/* The tensors of a picture, and whether they are of its types and shapes. */
typedef struct tensors {
    const drl_st_tensor *place, *grid;
} tensors;

static bool is_picture(tensors t, const char *key) {
    return t.place && t.grid && key && strlen(key) < sizeof((detail_picture *)0)->key &&
           strcmp(t.place->dtype, "F32") == 0 && t.place->rank == 2 && t.place->shape[1] == 2 &&
           t.place->shape[0] >= 1 && t.place->shape[0] <= DETAIL_POINTS && strcmp(t.grid->dtype, "U8") == 0 &&
           t.grid->rank == 3 && t.grid->shape[0] >= 1 && t.grid->shape[0] == t.grid->shape[1] &&
           t.grid->shape[2] >= 1 && t.grid->shape[2] <= DRL_MAX_CHANNELS;
}

/* All but the labels. */
static drl_status take(detail_picture *p, tensors t, const char *key, drl_err *err) {
    drl_status st = drl_alloc(&p->grid, t.grid->count, 1, "grid of images", err);
    if (st != DRL_OK) return st;
    p->points = t.place->shape[0];
    p->side = t.grid->shape[0];
    p->channels = t.grid->shape[2];
    memcpy(p->place, t.place->data, t.place->count * sizeof(float));
    memcpy(p->grid, t.grid->data, t.grid->count);
    snprintf(p->key, sizeof p->key, "%s", key);
    return DRL_OK;
}

drl_status detail_read(detail_picture *p, const char *out, int64_t run, drl_err *err) {
    char path[DRL_PATH_MAX];
    drl_st *file;
    path_of(path, out, run);
    drl_status st = drl_st_open(&file, path, err);
    if (st != DRL_OK) return st;
    const tensors t = {drl_st_find(file, "place"), drl_st_find(file, "grid")};
    const drl_st_tensor *label = drl_st_find(file, "label");
    const char *key = drl_st_metadata(file, "key");
    bool good = is_picture(t, key) && label && strcmp(label->dtype, "I32") == 0 && label->count == t.place->shape[0];
    if (good)
        st = take(p, t, key, err);
    else
        st = drl_fail(err, DRL_ERR_FORMAT, "%s: not a picture of codes; remove it to make it again", path);
    if (good && st == DRL_OK) memcpy(p->label, label->data, label->count * sizeof(int32_t));
    drl_st_close(file);
    return st;
}

int64_t detail_run(const drl_evaluation *e, size_t arm) {
    return e->runs[arm * e->settings->eval.eval_seeds];
}

/* ---- What belongs to a panel ------------------------------------------------------------------------------------- */

/* The pictures of a report, with the arms they are of: those that have a run. */
typedef struct album {
    size_t n, arm[DRL_EVAL_ARMS];
    detail_picture *picture; /* (arms) */
} album;

static drl_status open_album(album *a, const drl_evaluation *e, drl_err *err) {
    *a = (album){0};
    for (size_t i = 0; i < e->n_arms; i++)
        if (detail_run(e, i) > 0) a->arm[a->n++] = i;
    if (a->n == 0) return drl_fail(err, DRL_ERR_NOT_FOUND, "%s: no run of seed 1 for the figure", e->out);
    return drl_alloc(&a->picture, e->n_arms, sizeof *a->picture, "pictures", err);
}

static void close_album(album *a) {
    for (size_t k = 0; k < a->n && a->picture; k++) drl_free(a->picture[k].grid);
    drl_free(a->picture);
}

enum { METHOD, VARIANT, CONFIG, SEED, KEY, ROWS, PLACE, GRID, FACTS };
static const char *const fact_name[FACTS] = {"method", "variant", "config_hash", "seed",
                                             "key",    "rows",    "place",       "grid"};
typedef struct facts {
    char text[FACTS][80];
} facts;

static void hash_rows(char hash[65], const drl_evaluation *e, size_t arm, const char *key) {
    static const char *const metrics[] = {DETAIL_KNN, DETAIL_SILHOUETTE, DETAIL_LOW, DETAIL_HIGH, DETAIL_DONE};
    char text[512], number[32];
    size_t used = (size_t)snprintf(text, sizeof text, "%s\n", key);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %s\n", metrics[i],
                                 drl_format_number(number, drl_eval_value(e, arm, metrics[i], NAN, 1)));
    drl_sha256(hash, text, used);
}

/* What a file has to say of an arm's picture. */
static facts facts_of(const drl_evaluation *e, size_t arm, const detail_picture *p) {
    facts f = {{{0}}};
    snprintf(f.text[METHOD], sizeof *f.text, "%s", e->arms[arm].method->name);
    snprintf(f.text[VARIANT], sizeof *f.text, "%s", e->arms[arm].variant);
    snprintf(f.text[CONFIG], sizeof *f.text, "%s", e->config_hash[arm]);
    snprintf(f.text[SEED], sizeof *f.text, "1");
    snprintf(f.text[KEY], sizeof *f.text, "%s", p->key);
    hash_rows(f.text[ROWS], e, arm, p->key);
    drl_sha256(f.text[PLACE], p->place, p->points * sizeof *p->place);
    drl_sha256(f.text[GRID], p->grid, p->side * p->side * p->channels);
    return f;
}

static drl_status path_of_all(char path[DRL_PATH_MAX], const char *stem, drl_err *err) {
    int n = snprintf(path, DRL_PATH_MAX, "%s-pictures.safetensors", stem);
    return n < DRL_PATH_MAX ? DRL_OK : drl_fail(err, DRL_ERR_IO, "%.200s...: name too long", stem);
}

/* ---- Beside the rows --------------------------------------------------------------------------------------------- */

static drl_status add_panel(drl_st_writer *w, const drl_evaluation *e, const album *a, size_t k, drl_err *err) {
    char prefix[24], name[48];
    snprintf(prefix, sizeof prefix, "%zu.", k);
    const facts f = facts_of(e, a->arm[k], &a->picture[k]);
    drl_status st = add_tensor(w, prefix, "place", &a->picture[k], err);
    if (st == DRL_OK) st = add_tensor(w, prefix, "grid", &a->picture[k], err);
    for (int i = 0; i < FACTS && st == DRL_OK; i++) {
        snprintf(name, sizeof name, "%s%s", prefix, fact_name[i]);
        st = drl_st_add_metadata(w, name, f.text[i], err);
    }
    return st;
}

drl_status detail_export(const drl_evaluation *e, drl_err *err) {
    char stem[DRL_PATH_MAX], path[DRL_PATH_MAX];
    drl_st_writer *w = NULL;
    album a;
    drl_status st = open_album(&a, e, err);
    if (st == DRL_OK) st = drl_st_writer_new(&w, err);
    for (size_t k = 0; k < a.n && st == DRL_OK; k++) {
        st = detail_read(&a.picture[k], e->out, detail_run(e, a.arm[k]), err);
        if (st == DRL_OK) st = add_panel(w, e, &a, k, err);
    }
    if (st == DRL_OK) st = drl_eval_stem(stem, e, "tables", err);
    if (st == DRL_OK) st = path_of_all(path, stem, err);
    if (st == DRL_OK) st = drl_st_write(w, path, err);
    if (st == DRL_OK) printf("pictures: %s\n", path);
    drl_st_writer_free(w);
    close_album(&a);
    return st;
}

/* ---- And back ---------------------------------------------------------------------------------------------------- */

/* A fact of panel k; NULL where the file does not say it. */
static const char *fact_in(const drl_st *file, size_t k, int fact) {
    char name[48];
    snprintf(name, sizeof name, "%zu.%s", k, fact_name[fact]);
    return drl_st_metadata(file, name);
}

static const drl_st_tensor *tensor_in(const drl_st *file, size_t k, int fact) {
    char name[48];
    snprintf(name, sizeof name, "%zu.%s", k, fact_name[fact]);
    return drl_st_find(file, name);
}

/* The panel of an arm, by what determines its run: a variant may have another name by now. */
static bool find_panel(size_t *k, const drl_st *file, const char *config_hash) {
    for (*k = 0; *k < DRL_EVAL_ARMS; ++*k) {
        const char *its = fact_in(file, *k, CONFIG);
        if (its && strcmp(its, config_hash) == 0) return true;
    }
    return false;
}

/* Takes the panel of an arm, if it is of these images and rows and as it was written. */
static drl_status take_panel(detail_picture *p, const drl_st *file, const drl_evaluation *e, size_t arm, drl_err *err) {
    static const char *const wrong[FACTS] = {[METHOD] = "is of another method",
                                             [SEED] = "is of another seed",
                                             [ROWS] = "was made with other rows",
                                             [PLACE] = "is damaged: the SHA-256 of its places is another",
                                             [GRID] = "is damaged: the SHA-256 of its images is another"};
    const drl_images *im = &e->data->split[DRL_SPLIT_TEST];
    size_t k;
    if (!find_panel(&k, file, e->config_hash[arm]))
        return drl_fail(err, DRL_ERR_FORMAT, "no picture of a run of these settings (%.12s)", e->config_hash[arm]);
    const tensors t = {tensor_in(file, k, PLACE), tensor_in(file, k, GRID)};
    const char *key = fact_in(file, k, KEY);
    bool fits = is_picture(t, key) && t.place->shape[0] == detail_points(im) &&
                t.grid->shape[0] == DETAIL_GRID * im->h && t.grid->shape[2] == im->c;
    if (!fits) return drl_fail(err, DRL_ERR_FORMAT, "picture %zu has not the shapes of codes of these images", k);
    drl_status st = take(p, t, key, err);
    if (st != DRL_OK) return st;
    memcpy(p->label, im->labels, p->points * sizeof *p->label);
    const facts want = facts_of(e, arm, p);
    for (int i = 0; i < FACTS; i++) {
        const char *its = fact_in(file, k, i);
        if (wrong[i] && !(its && strcmp(its, want.text[i]) == 0))
            return drl_fail(err, DRL_ERR_FORMAT, "picture %zu %s", k, wrong[i]);
    }
    return DRL_OK;
}

static drl_status open_pictures(drl_st **file, const char *path, drl_err *err) {
    struct stat info;
    if (stat(path, &info) != 0 && errno == ENOENT)
        return drl_fail(err, DRL_ERR_NOT_FOUND,
                        "%s: no such file; the rows were read and the tables made, but the figure is drawn from it",
                        path);
    return drl_st_open(file, path, err);
}

drl_status detail_import(const drl_evaluation *e, drl_err *err) {
    char path[DRL_PATH_MAX];
    drl_st *file = NULL;
    album a = {0};
    drl_status st = path_of_all(path, e->from, err);
    if (st == DRL_OK) st = open_pictures(&file, path, err);
    if (st == DRL_OK) st = open_album(&a, e, err);
    for (size_t k = 0; k < a.n && st == DRL_OK; k++) {
        st = take_panel(&a.picture[k], file, e, a.arm[k], err);
        if (st != DRL_OK) drl_err_context(err, st, "%s: %s", path, e->arms[a.arm[k]].title);
    }
    for (size_t k = 0; k < a.n && st == DRL_OK; k++)
        st = detail_write(&a.picture[k], e->out, detail_run(e, a.arm[k]), err);
    close_album(&a);
    drl_st_close(file);
    return st;
}
