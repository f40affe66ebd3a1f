/* Pictures made for the tests by libjpeg and libpng themselves, in memory. */
#ifndef DRL_TESTS_DATA_PICTURES_H
#define DRL_TESTS_DATA_PICTURES_H

#include "files.h"

#include <jpeglib.h>
#include <png.h>

/* Sample k of pixel (y, x): different everywhere nearby, seldom smooth. */
static uint8_t sample(size_t y, size_t x, size_t k) {
    return (uint8_t)(7 * y * y + 13 * x + 31 * y * x + 50 * k);
}

/* A JPEG h x w of those samples, or of one colour where `flat` >= 0; of n_scans scans, those of libjpeg where it is
 * negative, in one where it is 0. The caller frees
 * it. */
static uint8_t *jpeg_make_scans(size_t *size, size_t h, size_t w, int channels, J_COLOR_SPACE space, int flat,
                                const jpeg_scan_info *scans, int n_scans) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *out = NULL;
    unsigned long n = 0;
    uint8_t row[4 * 512];
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &out, &n);
    jpeg.image_width = (JDIMENSION)w;
    jpeg.image_height = (JDIMENSION)h;
    jpeg.input_components = channels;
    jpeg.in_color_space = space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    if (n_scans > 0) {
        jpeg.scan_info = scans;
        jpeg.num_scans = n_scans;
    } else if (n_scans < 0) {
        jpeg_simple_progression(&jpeg);
    }
    jpeg_start_compress(&jpeg, TRUE);
    for (size_t y = 0; y < h; y++) {
        for (size_t x = 0; x < w; x++)
            for (size_t k = 0; k < (size_t)channels; k++)
                row[x * (size_t)channels + k] = flat >= 0 ? (uint8_t)(flat + 40 * (int)k) : sample(y, x, k);
        JSAMPROW rows = row;
        jpeg_write_scanlines(&jpeg, &rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    *size = n;
    return out;
}

static uint8_t *jpeg_make(size_t *size, size_t h, size_t w, int channels, J_COLOR_SPACE space, int flat,
                          bool progressive) {
    return jpeg_make_scans(size, h, w, channels, space, flat, NULL, progressive ? -1 : 0);
}

typedef struct png_kind {
    int colour, depth;            /* PNG_COLOR_TYPE_..., bits of a sample */
    bool interlaced, transparent; /* transparent: a tRNS chunk; of palettes: entries 0 and 1 */
} png_kind;

static void png_append(png_struct *png, uint8_t *from, size_t n) {
    buffer *out = png_get_io_ptr(png);
    assert_true(out->size + n <= sizeof out->bytes);
    memcpy(out->bytes + out->size, from, n);
    out->size += n;
}

static void png_no_flush(png_struct *png) {
    (void)png;
}

/* Samples of 16 bits are sample(y, x, k) and sample(y + 1, x, k); of less than 8 their upper bits. Palette entry i is
 * the colour (i, 255 - i, 2 i). tRNS names sample(0, 0, k), entries 0 and 1 have alpha 0 and 100. */
static void png_make(buffer *out, size_t h, size_t w, png_kind kind) {
    png_struct *png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_info *info = png_create_info_struct(png);
    uint8_t *rows[128], line[128][128 * 8];
    size_t c = kind.colour == PNG_COLOR_TYPE_RGB          ? 3
               : kind.colour == PNG_COLOR_TYPE_RGB_ALPHA  ? 4
               : kind.colour == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                                          : 1;
    memset(line, 0, sizeof line);
    for (size_t y = 0; y < h; y++) {
        rows[y] = line[y];
        for (size_t i = 0; i < w * c; i++) {
            unsigned v = sample(y, i / c, i % c), bit = (unsigned)(i * (size_t)kind.depth);
            if (kind.depth == 16)
                line[y][2 * i] = (uint8_t)v, line[y][2 * i + 1] = sample(y + 1, i / c, i % c);
            else
                line[y][bit / 8] |= (uint8_t)((v >> (8 - kind.depth)) << (8 - kind.depth - (int)(bit % 8)));
        }
    }
    out->size = 0;
    png_set_write_fn(png, out, png_append, png_no_flush);
    png_set_IHDR(png, info, (uint32_t)w, (uint32_t)h, kind.depth, kind.colour,
                 kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_color palette[256];
    for (int i = 0; i < 256; i++) palette[i] = (png_color){(png_byte)i, (png_byte)(255 - i), (png_byte)(2 * i)};
    if (kind.colour == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 1 << kind.depth);
    png_byte alpha[2] = {0, 100};
    png_color_16 one = {
        .red = sample(0, 0, 0), .green = sample(0, 0, 1), .blue = sample(0, 0, 2), .gray = sample(0, 0, 0)};
    if (kind.transparent) png_set_tRNS(png, info, alpha, 2, &one);
    png_write_info(png, info);
    png_write_image(png, rows);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
}

static void png_chunk(buffer *out, const char *type, const void *bytes, size_t size) {
    put_be32(out, (uint32_t)size);
    size_t start = out->size;
    memcpy(out->bytes + out->size, type, 4);
    if (size) memcpy(out->bytes + out->size + 4, bytes, size);
    out->size += 4 + size;
    put_be32(out, (uint32_t)crc32(0, out->bytes + start, (uInt)(4 + size)));
}

/* A PNG of indexes into a palette of n entries, entry i the colour (i, 255 - i, 2 i), by hand: libpng would not write
 * an index beyond the palette. rows: for each a filter byte (0) and its packed indexes; interlaced, those of each pass.
 */
static void png_palette_make(buffer *out, uint32_t h, uint32_t w, uint8_t depth, size_t n, bool interlaced,
                             const uint8_t *rows, size_t size) {
    uint8_t header[13], palette[256 * 3], packed[4096];
    uLongf packed_size = sizeof packed;
    buffer *sizes = calloc(1, sizeof *sizes);
    put_be32(sizes, w), put_be32(sizes, h);
    memcpy(header, sizes->bytes, 8);
    free(sizes);
    memcpy(header + 8, (uint8_t[]){depth, PNG_COLOR_TYPE_PALETTE, 0, 0, interlaced}, 5);
    for (size_t i = 0; i < n; i++)
        palette[3 * i] = (uint8_t)i, palette[3 * i + 1] = (uint8_t)(255 - i), palette[3 * i + 2] = (uint8_t)(2 * i);
    assert_int_equal(compress(packed, &packed_size, rows, size), Z_OK);
    memcpy(out->bytes, "\x89PNG\r\n\x1a\n", 8);
    out->size = 8;
    png_chunk(out, "IHDR", header, sizeof header);
    png_chunk(out, "PLTE", palette, 3 * n);
    png_chunk(out, "IDAT", packed, packed_size);
    png_chunk(out, "IEND", NULL, 0);
}

#endif
