/* drl data show, and drl data export. */
#include "drl/mem.h"
#include "drl/npz.h"
#include "drl_data.h"
#include "sheet.h"

static drl_status fill(sheet *s, const drl_dataset *ds, drl_split split, uint64_t seed, drl_err *err) {
    const drl_images *im = &ds->split[split];
    const size_t cells = s->rows * s->columns;
    uint32_t *index;
    drl_status st = drl_alloc(&index, cells, sizeof *index, "images of the sheet", err);
    if (st == DRL_OK) st = sheet_choose(index, cells, ds, split, seed, err);
    for (size_t j = 0; j < cells && st == DRL_OK; j++)
        if (index[j] != SHEET_NONE) sheet_paste(s, j, im->pixels + index[j] * im->h * im->w * im->c);
    drl_free(index);
    return st;
}

drl_status data_show(const data_args *a, drl_err *err) {
    sheet s = {0};
    drl_dataset *ds = NULL;
    drl_threads *team = NULL;
    drl_split split = (drl_split)a->split;
    drl_status st = sheet_parse_grid(&s, a->grid, err);
    if (st == DRL_OK) st = data_open(&ds, &team, a, true, err);
    if (st == DRL_OK) st = sheet_open(&s, &ds->split[split], err);
    if (st == DRL_OK) st = fill(&s, ds, split, a->seed, err);
    if (st == DRL_OK) st = sheet_write(&s, a->out, err);
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
