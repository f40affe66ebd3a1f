/* drl data show, and drl data export. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/picture.h"
#include "drl/mem.h"
#include "drl/npz.h"
#include "drl_data.h"

#define GRID_MAX  256                /* rows, columns                                          */
#define SHEET_MAX ((size_t)64 << 20) /* bytes of the sheet                                     */
#define GAP       ((size_t)2)        /* white pixels between pictures                          */
#define WIDTH     ((size_t)800)      /* pictures are enlarged as long as the sheet is narrower */
#define SCALE_MAX ((size_t)8)

typedef struct sheet {
    size_t rows, columns, scale, channels; /* pixels of a picture become scale x scale; 1 (grey) or 3 channels */
    size_t h, w;
    uint8_t *pixels; /* (h, w, channels) */
} sheet;

/* "8x8" */
static drl_status parse_grid(sheet *s, const char *text, drl_err *err) {
    char *end;
    unsigned long rows = strtoul(text, &end, 10), columns = 0;
    bool good = text[0] >= '0' && text[0] <= '9' && *end == 'x' && end[1] >= '0' && end[1] <= '9';
    if (good) columns = strtoul(end + 1, &end, 10);
    if (!good || *end || rows < 1 || rows > GRID_MAX || columns < 1 || columns > GRID_MAX)
        return drl_fail(err, DRL_ERR_CONFIG, "--grid: '%s': want rows x columns, as in 8x8, each 1 to %d", text,
                        GRID_MAX);
    s->rows = rows;
    s->columns = columns;
    return DRL_OK;
}

static drl_status plan(sheet *s, const drl_images *im, drl_err *err) {
    s->channels = im->c < 3 ? 1 : 3;
    s->scale = 1;
    while (s->scale < SCALE_MAX && s->columns * (im->w * (s->scale + 1) + GAP) + GAP <= WIDTH) s->scale++;
    s->h = s->rows * (im->h * s->scale + GAP) + GAP;
    s->w = s->columns * (im->w * s->scale + GAP) + GAP;
    if (s->h > SHEET_MAX / s->w / s->channels)
        return drl_fail(err, DRL_ERR_LIMIT, "a sheet of %zu x %zu pixels is too large: use a smaller --grid or --size",
                        s->h, s->w);
    drl_status st = drl_alloc(&s->pixels, s->h * s->w, s->channels, "contact sheet", err);
    if (st == DRL_OK) memset(s->pixels, 255, s->h * s->w * s->channels);
    return st;
}

static void paste(sheet *s, size_t cell, const drl_images *im, size_t i) {
    const uint8_t *from = im->pixels + i * im->h * im->w * im->c;
    size_t top = GAP + cell / s->columns * (im->h * s->scale + GAP);
    size_t left = GAP + cell % s->columns * (im->w * s->scale + GAP);
    for (size_t y = 0; y < im->h * s->scale; y++)
        for (size_t x = 0; x < im->w * s->scale; x++)
            memcpy(s->pixels + ((top + y) * s->w + left + x) * s->channels,
                   from + (y / s->scale * im->w + x / s->scale) * im->c, s->channels);
}

/* Cell j of K is of class floor(j classes / K): every class has its share of the sheet, in order. The pictures of a
 * class are the first that training with this seed sees. */
static drl_status fill(sheet *s, const drl_dataset *ds, drl_split split, uint64_t seed, drl_err *err) {
    const drl_images *im = &ds->split[split];
    size_t cells = s->rows * s->columns, next[256], end[256];
    drl_order order;
    uint32_t *index;
    drl_status st = drl_alloc(&index, im->n, sizeof *index, "order of the images", err);
    if (st != DRL_OK) return st;
    if ((st = drl_order_init(&order, seed, im->n, err)) == DRL_OK) {
        drl_order_batch(&order, 0, im->n, index);
        drl_order_free(&order);
        for (size_t k = 0; k < ds->classes; k++) {
            next[k] = (k * cells + ds->classes - 1) / ds->classes;
            end[k] = ((k + 1) * cells + ds->classes - 1) / ds->classes;
        }
        for (size_t i = 0; i < im->n; i++) {
            size_t k = (size_t)im->labels[index[i]];
            if (next[k] < end[k]) paste(s, next[k]++, im, index[i]);
        }
    }
    drl_free(index);
    return st;
}

drl_status data_show(const data_args *a, drl_err *err) {
    sheet s = {0};
    drl_dataset *ds = NULL;
    drl_threads *team = NULL;
    drl_split split = (drl_split)a->split;
    drl_status st = parse_grid(&s, a->grid, err);
    if (st == DRL_OK) st = data_open(&ds, &team, a, true, err);
    if (st == DRL_OK) st = plan(&s, &ds->split[split], err);
    if (st == DRL_OK) st = fill(&s, ds, split, a->seed, err);
    if (st == DRL_OK) st = drl_png_write(a->out, s.pixels, s.h, s.w, s.channels, err);
    drl_free(s.pixels);
    drl_dataset_free(ds);
    drl_threads_close(team);
    return st;
}

drl_status data_export(const data_args *a, drl_err *err) {
    drl_dataset *ds = NULL;
    drl_threads *team = NULL;
    drl_status st = data_open(&ds, &team, a, true, err);
    if (st == DRL_OK) st = drl_npz_write(a->out, ds, err);
    drl_dataset_free(ds);
    drl_threads_close(team);
    return st;
}
