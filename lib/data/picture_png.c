/* PNG by libpng (picture.h). */
#define _POSIX_C_SOURCE 200809L
#include "picture.h"

#include <assert.h>
#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/file.h"
#include "drl/mem.h"

/* libpng's way out of an error is a longjmp back to where the call began: what has to be freed is kept here. */
typedef struct context {
    png_struct *png;
    png_info *info;
    char message[128];
    const uint8_t *bytes; /* what is left to read */
    size_t left;
    uint8_t **rows;
    uint8_t palette[256][4]; /* red, green, blue, alpha */
    size_t colours, entry;   /* of the palette; numbers that a pixel becomes, 0: no palette */
} context;

static void on_error(png_struct *png, const char *message) {
    context *x = png_get_error_ptr(png);
    snprintf(x->message, sizeof x->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_struct *png, const char *message) {
    (void)png, (void)message; /* of chunks that are not used: those that are, raise errors */
}

static void on_read(png_struct *png, uint8_t *to, size_t n) {
    context *x = png_get_io_ptr(png);
    if (n > x->left) png_error(png, "the file ends early");
    memcpy(to, x->bytes, n);
    x->bytes += n;
    x->left -= n;
}

/* rows[i] = row i of the pixels, or its last `used` bytes. */
static drl_status point_rows(context *x, uint8_t *pixels, size_t h, size_t stride, size_t used, drl_err *err) {
    drl_status st = drl_alloc(&x->rows, h, sizeof *x->rows, "picture", err);
    for (size_t i = 0; st == DRL_OK && i < h; i++) x->rows[i] = pixels + (i + 1) * stride - used;
    return st;
}

/* libpng gives the indexes, a byte each: made colours of by libpng, those beyond the palette would become black. */
static void take_palette(context *x) {
    png_color *colour = NULL;
    png_byte *alpha = NULL;
    int n = 0, n_alpha = 0;
    png_get_PLTE(x->png, x->info, &colour, &n);
    png_get_tRNS(x->png, x->info, &alpha, &n_alpha, NULL);
    for (int i = 0; i < n && i < 256; i++) {
        x->palette[i][0] = colour[i].red, x->palette[i][1] = colour[i].green, x->palette[i][2] = colour[i].blue;
        x->palette[i][3] = i < n_alpha ? alpha[i] : 255;
    }
    x->colours = (size_t)n;
    x->entry = n_alpha > 0 ? 4 : 3;
    png_set_packing(x->png);
    png_set_check_for_invalid_index(x->png, 0); /* apply_palette says where */
}

/* Whatever the samples are: 8 bits, grey or colour, with alpha where something may be transparent; or indexes. */
static drl_status read_header(context *x, drl_picture *p, const drl_picture_limits *limits, drl_err *err) {
    png_struct *png = x->png;
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_benign_errors(png, 0);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* drl_picture_check says it better */
    png_set_read_fn(png, x, on_read);
    png_read_info(png, x->info);
    p->h = png_get_image_height(png, x->info);
    p->w = png_get_image_width(png, x->info);
    drl_status st = drl_picture_check(p->h, p->w, limits, err);
    if (st != DRL_OK) return st;
    bool indexed = png_get_color_type(png, x->info) == PNG_COLOR_TYPE_PALETTE;
    if (indexed)
        take_palette(x);
    else
        png_set_expand(png);
    png_set_scale_16(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, x->info);
    p->c = indexed ? x->entry : png_get_channels(png, x->info);
    return DRL_OK;
}

/* Where libpng jumps back to: nothing that changes after setjmp is a local variable. */
static drl_status read_picture(context *x, drl_picture *p, const drl_picture_limits *limits, drl_err *err) {
    if (setjmp(png_jmpbuf(x->png))) return drl_fail(err, DRL_ERR_FORMAT, "PNG: %s", x->message);
    drl_status st = read_header(x, p, limits, err);
    if (st == DRL_OK) st = drl_alloc(&p->pixels, p->h, p->w * p->c, "picture", err);
    if (st == DRL_OK) st = point_rows(x, p->pixels, p->h, p->w * p->c, x->entry > 0 ? p->w : p->w * p->c, err);
    if (st != DRL_OK) return st;
    png_read_image(x->png, x->rows);
    png_read_end(x->png, NULL);
    return DRL_OK;
}

/* Indexes -> (h, w, c), in place: those of a row lie at its end, where each is read before colours reach it. */
static drl_status apply_palette(const context *x, drl_picture *p, drl_err *err) {
    for (size_t i = 0; i < p->h; i++) {
        const uint8_t *index = x->rows[i];
        uint8_t *to = p->pixels + i * p->w * p->c;
        for (size_t j = 0; j < p->w; j++, to += p->c) {
            if (index[j] >= x->colours)
                return drl_fail(err, DRL_ERR_FORMAT, "PNG: row %zu, column %zu has the colour %d of a palette of %zu",
                                i, j, index[j], x->colours);
            memcpy(to, x->palette[index[j]], p->c);
        }
    }
    return DRL_OK;
}

/* (h, w, c + 1) with alpha last -> (h, w, c), in place. */
static void blend_over_black(drl_picture *p) {
    size_t c = p->c - 1;
    const uint8_t *from = p->pixels;
    uint8_t *to = p->pixels;
    for (size_t i = 0; i < p->h * p->w; i++, from += c + 1, to += c) {
        unsigned alpha = from[c];
        for (size_t k = 0; k < c; k++) to[k] = (uint8_t)((from[k] * alpha + 127) / 255);
    }
    p->c = c;
}

drl_status drl_png_decode(drl_picture *p, const uint8_t *bytes, size_t size, const drl_picture_limits *limits,
                          drl_err *err) {
    context x = {.bytes = bytes, .left = size};
    x.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &x, on_error, on_warning);
    x.info = x.png ? png_create_info_struct(x.png) : NULL;
    drl_status st = x.info ? read_picture(&x, p, limits, err) : drl_fail(err, DRL_ERR_MEMORY, "cannot start libpng");
    png_destroy_read_struct(&x.png, &x.info, NULL);
    if (st == DRL_OK && x.entry > 0) st = apply_palette(&x, p, err);
    drl_free(x.rows);
    if (st == DRL_OK && p->c % 2 == 0) blend_over_black(p);
    return st;
}

static void on_write(png_struct *png, uint8_t *from, size_t n) {
    if (fwrite(from, 1, n, png_get_io_ptr(png)) != n) png_error(png, "out of memory");
}

static void on_flush(png_struct *png) {
    (void)png;
}

static drl_status encode(context *x, FILE *f, size_t h, size_t w, size_t c, drl_err *err) {
    if (setjmp(png_jmpbuf(x->png))) return drl_fail(err, DRL_ERR_FORMAT, "PNG: %s", x->message);
    png_set_write_fn(x->png, f, on_write, on_flush);
    png_set_IHDR(x->png, x->info, (uint32_t)w, (uint32_t)h, 8, c == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(x->png, x->info);
    png_write_image(x->png, x->rows);
    png_write_end(x->png, NULL);
    return DRL_OK;
}

/* Made in memory, written when it is whole. */
drl_status drl_png_write(const char *path, const uint8_t *pixels, size_t h, size_t w, size_t c, drl_err *err) {
    assert((c == 1 || c == 3) && h > 0 && w > 0 && h <= PNG_UINT_31_MAX && w <= PNG_UINT_31_MAX);
    context x = {0};
    char *bytes = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&bytes, &size);
    drl_status st = point_rows(&x, (uint8_t *)(uintptr_t)pixels, h, w * c, w * c, err); /* libpng only reads them */
    x.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &x, on_error, on_warning);
    x.info = x.png ? png_create_info_struct(x.png) : NULL;
    if (st == DRL_OK && !(f && x.info)) st = drl_fail(err, DRL_ERR_MEMORY, "cannot start libpng");
    if (st == DRL_OK) st = encode(&x, f, h, w, c, err);
    png_destroy_write_struct(&x.png, &x.info);
    drl_free(x.rows);
    if (f && fclose(f) != 0 && st == DRL_OK) st = drl_fail(err, DRL_ERR_MEMORY, "PNG: out of memory");
    st = st == DRL_OK ? drl_write_file(path, bytes, size, err) : drl_err_context(err, st, "%s", path);
    free(bytes);
    return st;
}
