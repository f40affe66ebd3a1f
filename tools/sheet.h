/* Contact sheets: pictures in rows and columns, written as one PNG. */
#ifndef DRL_TOOLS_SHEET_H
#define DRL_TOOLS_SHEET_H

#include "drl/data.h"

typedef struct sheet {
    size_t rows, columns, scale, channels; /* pixels of a picture become scale x scale; 1 (grey) or 3 channels */
    size_t picture_h, picture_w, picture_c;
    size_t h, w;
    uint8_t *pixels; /* (h, w, channels), owned: drl_free */
} sheet;

/* "8x8", rows x columns, of the flag --grid. */
drl_status sheet_parse_grid(sheet *s, const char *text, drl_err *err);

/* A white sheet for pictures of the shape of `im`, once the grid is known. */
drl_status sheet_open(sheet *s, const drl_images *im, drl_err *err);

/* Puts a picture (h, w, c) into a cell; cells are counted along the rows. */
void sheet_paste(sheet *s, size_t cell, const uint8_t *picture);

drl_status sheet_write(const sheet *s, const char *path, drl_err *err);

/* index (cells) = images of a split such that every class has its share, in order: the j-th of K is of class
 * floor(j classes / K), and the images of a class are the first that training with this seed sees. SHEET_NONE where a
 * class has no image left. */
#define SHEET_NONE UINT32_MAX
drl_status sheet_choose(uint32_t *index, size_t cells, const drl_dataset *ds, drl_split split, uint64_t seed,
                        drl_err *err);

#endif
