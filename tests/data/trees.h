/* Trees of pictures of one colour, to be written as a directory or an archive. */
#ifndef DRL_TESTS_DATA_TREES_H
#define DRL_TESTS_DATA_TREES_H

#include "archives.h"
#include "pictures.h"

enum { MAX_ENTRIES = 400 };

/* Pictures of one colour by PNG, so that each is known again: value v, or the colour (v, 255 - v, 7). */
typedef struct tree {
    entry entries[MAX_ENTRIES];
    char names[MAX_ENTRIES][64];
    size_t n;
} tree;

static tree t;

static void tree_clear(void) {
    for (size_t i = 0; i < t.n; i++) free((void *)(uintptr_t)t.entries[i].bytes);
    t.n = 0;
}

static void add_bytes(const char *name, const void *bytes, size_t size) {
    assert_true(t.n < MAX_ENTRIES);
    void *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    snprintf(t.names[t.n], sizeof t.names[0], "%s", name);
    t.entries[t.n] = (entry){.name = t.names[t.n], .bytes = copy, .size = size};
    t.n++;
}

static void add_picture(const char *name, size_t h, size_t w, uint8_t v, bool colour) {
    static buffer out;
    uint8_t *rows[128], line[128 * 3];
    for (size_t x = 0; x < w * 3; x++) line[x] = !colour || x % 3 == 0 ? v : x % 3 == 1 ? (uint8_t)(255 - v) : 7;
    for (size_t y = 0; y < h; y++) rows[y] = line;
    png_struct *png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_info *info = png_create_info_struct(png);
    out.size = 0;
    png_set_write_fn(png, &out, png_append, png_no_flush);
    png_set_IHDR(png, info, (uint32_t)w, (uint32_t)h, 8, colour ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, 0, 0, 0);
    png_write_info(png, info);
    png_write_image(png, rows);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    add_bytes(name, out.bytes, out.size);
}

/* The tree as a directory of the test's directory. */
static void write_directory(const char *name) {
    char path[256];
    for (size_t i = 0; i < t.n; i++) {
        snprintf(path, sizeof path, "%s/%s", name, t.entries[i].name);
        for (char *slash = path; (slash = strchr(slash, '/')) != NULL; slash++) {
            *slash = '\0';
            mkdir(files_path(path), 0755);
            *slash = '/';
        }
        files_write(path, t.entries[i].bytes, t.entries[i].size);
    }
}

#endif
