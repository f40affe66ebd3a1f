/* JPEG by libjpeg-turbo (picture.h). */
#include "picture.h"

#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>

#include "drl/mem.h"

#define MAX_SCANS 100 /* of a progressive picture: each costs the time of the whole, whatever little it holds */

/* libjpeg's way out of an error: a longjmp back to where the call began. */
typedef struct context {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    char message[JMSG_LENGTH_MAX];
} context;

static void on_error(j_common_ptr jpeg) {
    context *x = jpeg->client_data;
    jpeg->err->format_message(jpeg, x->message);
    longjmp(x->back, 1);
}

/* A negative level is a warning: libjpeg has met damage and would go on with invented data. */
static void on_message(j_common_ptr jpeg, int level) {
    if (level < 0) on_error(jpeg);
}

static void on_progress(j_common_ptr jpeg) {
    context *x = jpeg->client_data;
    if (x->jpeg.input_scan_number <= MAX_SCANS) return;
    snprintf(x->message, sizeof x->message, "more than %d scans", MAX_SCANS);
    longjmp(x->back, 1);
}

static drl_status read_header(context *x, drl_picture *p, const uint8_t *bytes, size_t size,
                              const drl_picture_limits *limits, drl_err *err) {
    struct jpeg_decompress_struct *jpeg = &x->jpeg;
    jpeg_create_decompress(jpeg);
    jpeg->client_data = x;
    jpeg->progress = &x->progress;
    jpeg_mem_src(jpeg, bytes, size);
    jpeg_read_header(jpeg, TRUE);
    if (jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK)
        return drl_fail(err, DRL_ERR_FORMAT, "JPEG: is for printing (CMYK): convert it to RGB");
    if (jpeg->jpeg_color_space == JCS_UNKNOWN)
        return drl_fail(err, DRL_ERR_FORMAT, "JPEG: has %d channels of no known meaning", jpeg->num_components);
    p->h = jpeg->image_height;
    p->w = jpeg->image_width;
    p->c = jpeg->jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
    jpeg->out_color_space = p->c == 1 ? JCS_GRAYSCALE : JCS_RGB;
    return drl_picture_check(p->h, p->w, limits, err);
}

/* Where libjpeg jumps back to: nothing that is used behind a jump is a local variable that has changed. */
static drl_status read_picture(context *x, drl_picture *p, const uint8_t *bytes, size_t size,
                               const drl_picture_limits *limits, drl_err *err) {
    if (setjmp(x->back)) return drl_fail(err, DRL_ERR_FORMAT, "JPEG: %s", x->message);
    drl_status st = read_header(x, p, bytes, size, limits, err);
    if (st == DRL_OK) st = drl_alloc(&p->pixels, p->h, p->w * p->c, "picture", err);
    if (st != DRL_OK) return st;
    jpeg_start_decompress(&x->jpeg);
    while (x->jpeg.output_scanline < p->h) {
        uint8_t *row = p->pixels + x->jpeg.output_scanline * p->w * p->c;
        jpeg_read_scanlines(&x->jpeg, &row, 1);
    }
    jpeg_finish_decompress(&x->jpeg);
    return DRL_OK;
}

drl_status drl_jpeg_decode(drl_picture *p, const uint8_t *bytes, size_t size, const drl_picture_limits *limits,
                           drl_err *err) {
    context x = {.progress.progress_monitor = on_progress};
    x.jpeg.err = jpeg_std_error(&x.errors);
    x.jpeg.client_data = &x;
    x.errors.error_exit = on_error;
    x.errors.emit_message = on_message;
    drl_status st = read_picture(&x, p, bytes, size, limits, err);
    jpeg_destroy_decompress(&x.jpeg); /* fits one that was never created, being zeroed */
    return st;
}
