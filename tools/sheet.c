/* Contact sheets (sheet.h). */
#include "sheet.h"

#include <stdlib.h>
#include <string.h>

#include "data/picture.h"
#include "drl/mem.h"

#define GRID_MAX  256                /* rows, columns                                          */
#define SHEET_MAX ((size_t)64 << 20) /* bytes of the sheet                                     */
#define GAP       ((size_t)2)        /* white pixels between pictures                          */
#define WIDTH     ((size_t)800)      /* pictures are enlarged as long as the sheet is narrower */
#define SCALE_MAX ((size_t)8)

drl_status sheet_parse_grid(sheet *s, const char *text, drl_err *err) {
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

drl_status sheet_open(sheet *s, const drl_images *im, drl_err *err) {
    s->picture_h = im->h, s->picture_w = im->w, s->picture_c = im->c;
    s->channels = im->c < 3 ? 1 : 3;
    s->scale = 1;
    while (s->scale < SCALE_MAX && s->columns * (im->w * (s->scale + 1) + GAP) + GAP <= WIDTH) s->scale++;
    s->h = s->rows * (im->h * s->scale + GAP) + GAP;
    s->w = s->columns * (im->w * s->scale + GAP) + GAP;
    if (s->h > SHEET_MAX / s->w / s->channels)
        return drl_fail(err, DRL_ERR_LIMIT,
                        "a sheet of %zu x %zu pixels is too large: use a smaller --grid, or smaller images", s->h,
                        s->w);
    drl_status st = drl_alloc(&s->pixels, s->h * s->w, s->channels, "contact sheet", err);
    if (st == DRL_OK) memset(s->pixels, 255, s->h * s->w * s->channels);
    return st;
}

void sheet_paste(sheet *s, size_t cell, const uint8_t *picture) {
    size_t top = GAP + cell / s->columns * (s->picture_h * s->scale + GAP);
    size_t left = GAP + cell % s->columns * (s->picture_w * s->scale + GAP);
    for (size_t y = 0; y < s->picture_h * s->scale; y++)
        for (size_t x = 0; x < s->picture_w * s->scale; x++)
            memcpy(s->pixels + ((top + y) * s->w + left + x) * s->channels,
                   picture + (y / s->scale * s->picture_w + x / s->scale) * s->picture_c, s->channels);
}

drl_status sheet_write(const sheet *s, const char *path, drl_err *err) {
    return drl_png_write(path, s->pixels, s->h, s->w, s->channels, err);
}

drl_status sheet_choose(uint32_t *index, size_t cells, const drl_dataset *ds, drl_split split, uint64_t seed,
                        drl_err *err) {
    const drl_images *im = &ds->split[split];
    size_t next[256], end[256];
    drl_order order;
    uint32_t *all;
    drl_status st = drl_alloc(&all, im->n, sizeof *all, "order of the images", err);
    if (st != DRL_OK) return st;
    if ((st = drl_order_init(&order, seed, im->n, err)) == DRL_OK) {
        drl_order_batch(&order, 0, im->n, all);
        drl_order_free(&order);
        for (size_t j = 0; j < cells; j++) index[j] = SHEET_NONE;
        for (size_t k = 0; k < ds->classes; k++) {
            next[k] = (k * cells + ds->classes - 1) / ds->classes;
            end[k] = ((k + 1) * cells + ds->classes - 1) / ds->classes;
        }
        for (size_t i = 0; i < im->n; i++) {
            size_t k = (size_t)im->labels[all[i]];
            if (next[k] < end[k]) index[next[k]++] = all[i];
        }
    }
    drl_free(all);
    return st;
}
