/* Decoding a folder's pictures while they are read (folder.h).
 *
 * A batch of files is decoded by the whole team while its first member reads the next batch, and then joins in. What
 * comes of a batch is put into the dataset in the order of the files, so that neither the result nor the error that is
 * reported depends on the number of threads. The first picture comes alone: it tells how large the others are. */
#include <stdatomic.h>
#include <string.h>

#include "drl/mem.h"
#include "folder.h"
#include "picture.h"
#include "source.h"

/* A batch's files and what they decode to each stay below these, of one picture too many at most. */
#define BATCH_PICTURES 256
#define BATCH_BYTES    ((size_t)8 << 20)
#define BATCH_DECODED  ((size_t)16 << 20)

typedef struct job {
    drl_folder_picture *picture;
    uint8_t *bytes;
    size_t size;
    drl_picture decoded; /* of the dataset's size */
    drl_status status;
    drl_err err;
} job;

typedef struct batch {
    job *jobs; /* (BATCH_PICTURES) */
    size_t n;
} batch;

typedef struct decoder {
    drl_dataset *ds;
    drl_folder_list *list;
    const drl_dataset_cfg *cfg;
    const char *path;
    drl_members *members;
    size_t at, left; /* pictures of the list that have been passed; that are still wanted */
    size_t h, w, c;  /* of the dataset; 0: not known before the first picture             */
    batch *now, *next;
    atomic_size_t taken; /* jobs of the present batch */
    drl_status read_status;
    drl_err read_err;
} decoder;

static const char *name_of(const decoder *d, const drl_folder_picture *p) {
    return d->list->names + p->at;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static size_t batch_limit(const decoder *d) {
    if (d->h == 0) return 1;
    size_t n = BATCH_DECODED / (d->h * d->w * 3);
    return n < 1 ? 1 : n < BATCH_PICTURES ? n : BATCH_PICTURES;
}

/* Moves to the list's next picture, which the listing has found where it has to be still. */
static drl_status next_picture(decoder *d, drl_folder_picture **p, drl_err *err) {
    const char *name;
    drl_status st = drl_members_next(d->members, &name, err);
    if (st != DRL_OK) return st;
    *p = &d->list->pictures[d->at++];
    if (!name || strcmp(name, name_of(d, *p)) != 0)
        return drl_fail(err, DRL_ERR_IO, "%s: has changed while it was read", d->path);
    return DRL_OK;
}

/* A file that is larger than allowed is a bad picture, like one that does not decode. */
static drl_status read_job(decoder *d, job *j, drl_folder_picture *p, drl_err *err) {
    *j = (job){.picture = p};
    drl_status st = drl_members_read(d->members, &j->bytes, &j->size, DRL_PICTURE_LIMITS.bytes, err);
    if (st != DRL_ERR_LIMIT || !d->cfg->skip_bad) return st;
    j->status = st;
    return DRL_OK;
}

/* Reads no further after a failure, which is reported when what came before it has been decoded. */
static void read_batch(decoder *d, batch *b) {
    size_t limit = batch_limit(d), bytes = 0;
    b->n = 0;
    while (d->read_status == DRL_OK && b->n < limit && bytes < BATCH_BYTES && d->left > 0) {
        drl_folder_picture *p;
        d->read_status = next_picture(d, &p, &d->read_err);
        if (d->read_status != DRL_OK || p->place == DRL_FOLDER_UNUSED) continue;
        d->read_status = read_job(d, &b->jobs[b->n], p, &d->read_err);
        if (d->read_status != DRL_OK) continue;
        bytes += b->jobs[b->n++].size;
        d->left--;
    }
}

/* ---- Decoding ---------------------------------------------------------------------------------------------------- */

/* The picture in the size the dataset has, or is to have. */
static drl_status fit(const decoder *d, drl_picture *p, drl_err *err) {
    size_t side = d->cfg->size;
    if (side == 0 && d->h && (p->h != d->h || p->w != d->w))
        return drl_fail(err, DRL_ERR_SHAPE, "is %zu x %zu, but the first picture %zu x %zu: choose a size for all",
                        p->h, p->w, d->h, d->w);
    if (side == 0 || (p->h == side && p->w == side)) return DRL_OK;
    drl_picture square = {side, side, p->c, NULL};
    drl_status st = drl_alloc(&square.pixels, side * side, p->c, "picture", err);
    if (st == DRL_OK) st = drl_picture_resize(square.pixels, p, side, d->cfg->resize, err);
    if (st != DRL_OK) {
        drl_picture_free(&square);
        return st;
    }
    drl_picture_free(p);
    *p = square;
    return DRL_OK;
}

static void decode_job(const decoder *d, job *j) {
    if (j->status != DRL_OK) return;
    drl_picture_limits limits = DRL_PICTURE_LIMITS;
    j->status = drl_picture_decode(&j->decoded, j->bytes, j->size, &limits, &j->err);
    if (j->status == DRL_OK) j->status = fit(d, &j->decoded, &j->err);
    drl_free(j->bytes);
    j->bytes = NULL;
}

/* Member 0 reads while the others decode, then all decode. */
static void work(void *self, size_t member) {
    decoder *d = self;
    if (member == 0 && d->next) read_batch(d, d->next);
    for (size_t i; (i = atomic_fetch_add(&d->taken, 1)) < d->now->n;) decode_job(d, &d->now->jobs[i]);
}

/* ---- Placing ----------------------------------------------------------------------------------------------------- */

/* to (n, c_to) = from (n, c_from), grey in all channels where it becomes colour. */
static void copy_pixels(uint8_t *to, size_t c_to, const uint8_t *from, size_t c_from, size_t n) {
    if (c_to == c_from)
        memcpy(to, from, n * c_to);
    else
        for (size_t i = 0; i < n; i++) memset(to + i * c_to, from[i], c_to);
}

/* The splits as large as the first picture says; a label of -1: no picture yet. */
static drl_status start(decoder *d, const drl_picture *p, drl_err *err) {
    drl_status st = DRL_OK;
    for (int s = 0; s < DRL_SPLITS && st == DRL_OK; s++) {
        drl_images *im = &d->ds->split[s];
        st = drl_images_alloc(im, d->list->n_split[s], p->h, p->w, p->c, 0, err);
        for (size_t i = 0; st == DRL_OK && i < im->n; i++) im->labels[i] = -1;
    }
    d->h = p->h, d->w = p->w, d->c = p->c;
    return st;
}

/* The first picture in colour after grey ones. */
static drl_status become_colour(decoder *d, drl_err *err) {
    drl_status st = DRL_OK;
    for (int s = 0; s < DRL_SPLITS && st == DRL_OK; s++) {
        drl_images *im = &d->ds->split[s], wide = {0};
        if ((st = drl_images_alloc(&wide, im->n, im->h, im->w, 3, 0, err)) == DRL_OK) {
            copy_pixels(wide.pixels, 3, im->pixels, 1, im->n * im->h * im->w);
            memcpy(wide.labels, im->labels, im->n * sizeof *im->labels);
            drl_free(im->pixels);
            drl_free(im->labels);
        } else {
            drl_free(wide.pixels);
            continue;
        }
        *im = wide;
    }
    d->c = 3;
    return st;
}

static drl_status place(decoder *d, const job *j, drl_err *err) {
    const drl_picture *p = &j->decoded;
    drl_status st = DRL_OK;
    if (d->h == 0) st = start(d, p, err);
    if (st == DRL_OK && p->c > d->c) st = become_colour(d, err);
    if (st != DRL_OK) return drl_err_context(err, st, "%s", d->path);
    drl_images *im = &d->ds->split[j->picture->split];
    size_t n = d->h * d->w, at = j->picture->place;
    copy_pixels(im->pixels + at * n * d->c, d->c, p->pixels, p->c, n);
    im->labels[at] = j->picture->label;
    return DRL_OK;
}

static void clear(batch *b) {
    for (size_t i = 0; i < b->n; i++) {
        drl_free(b->jobs[i].bytes);
        drl_picture_free(&b->jobs[i].decoded);
    }
    b->n = 0;
}

/* Takes over what has become of the batch, up to its first failure that counts. */
static drl_status finish(decoder *d, batch *b, drl_err *err) {
    drl_status st = DRL_OK;
    for (size_t i = 0; i < b->n && st == DRL_OK; i++) {
        job *j = &b->jobs[i];
        bool bad = j->status == DRL_ERR_FORMAT || j->status == DRL_ERR_LIMIT;
        if (j->status == DRL_OK)
            st = place(d, j, err);
        else if (bad && d->cfg->skip_bad)
            j->picture->skipped = true, d->ds->skipped++;
        else
            st = drl_fail(err, j->status, "%s: %s: %s", d->path, name_of(d, j->picture), j->err.message);
    }
    clear(b);
    return st;
}

/* Closes the gaps that skipped pictures have left. */
static void close_gaps(drl_images *im) {
    size_t n = 0, size = im->h * im->w * im->c;
    for (size_t i = 0; i < im->n; i++) {
        if (im->labels[i] < 0) continue;
        if (n < i) memmove(im->pixels + n * size, im->pixels + i * size, size);
        im->labels[n++] = im->labels[i];
    }
    im->n = n;
}

static drl_status run(decoder *d, drl_err *err) {
    drl_status st = DRL_OK;
    batch *spare = d->next;
    read_batch(d, d->now);
    while (st == DRL_OK && d->now->n > 0) {
        bool first = d->h == 0;
        d->next = first ? NULL : spare;
        atomic_store(&d->taken, 0);
        if (d->cfg->team)
            drl_threads_run(d->cfg->team, work, d);
        else
            work(d, 0);
        st = finish(d, d->now, err);
        if (first && st == DRL_OK) read_batch(d, spare);
        batch *done = d->now;
        d->now = spare;
        spare = done;
    }
    if (st == DRL_OK && d->read_status != DRL_OK) {
        if (err) *err = d->read_err;
        st = d->read_status;
    }
    clear(d->now); /* after a failure: what has been read ahead */
    return st;
}

drl_status drl_folder_decode(drl_dataset *ds, drl_folder_list *list, const char *path, const drl_dataset_cfg *cfg,
                             drl_err *err) {
    batch batches[2] = {{0}};
    decoder d = {.ds = ds, .list = list, .cfg = cfg, .path = path, .now = &batches[0], .next = &batches[1]};
    for (int s = 0; s < DRL_SPLITS; s++) d.left += list->n_split[s];
    drl_status st = drl_members_open(&d.members, path, err);
    for (int b = 0; b < 2 && st == DRL_OK; b++)
        st = drl_alloc(&batches[b].jobs, BATCH_PICTURES, sizeof *batches[b].jobs, "batch of pictures", err);
    if (st == DRL_OK) st = run(&d, err);
    if (st == DRL_OK && d.h == 0)
        st = drl_fail(err, DRL_ERR_FORMAT, "%s: not one of %zu pictures can be decoded", path, ds->skipped);
    for (int s = 0; s < DRL_SPLITS && st == DRL_OK; s++) close_gaps(&ds->split[s]);
    for (int b = 0; b < 2; b++) drl_free(batches[b].jobs);
    drl_members_close(d.members);
    return st;
}
