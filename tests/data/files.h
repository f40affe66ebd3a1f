/* What the tests of the readers share: a fresh directory, files written into it, gzip and IDX made in memory. */
#ifndef DRL_TESTS_DATA_FILES_H
#define DRL_TESTS_DATA_FILES_H

#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "drl/err.h"
#include "drl/mem.h"

#pragma GCC diagnostic ignored "-Wunused-function"

typedef struct buffer {
    uint8_t bytes[1 << 16];
    size_t size;
} buffer;

/* A fresh directory, removed with what the tests left in it by files_remove. */
static char files_dir[256];

static int files_make(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(files_dir, sizeof files_dir, "%s/drl-test-XXXXXX", base ? base : "/tmp");
    return mkdtemp(files_dir) ? 0 : -1;
}

static int files_remove(void **state) {
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", files_dir);
    return system(command);
}

/* Path of a file in the directory; the last four are valid. */
static const char *files_path(const char *name) {
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", files_dir, name);
    return path;
}

static void files_write(const char *name, const void *bytes, size_t size) {
    FILE *f = fopen(files_path(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Appends one gzip member that holds the bytes. */
static void gzip_append(buffer *out, const void *bytes, size_t size) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)size;
    z.next_out = out->bytes + out->size;
    z.avail_out = (uInt)(sizeof out->bytes - out->size);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->size = sizeof out->bytes - z.avail_out;
    deflateEnd(&z);
}

static void put_be32(buffer *out, uint32_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) out->bytes[out->size++] = (uint8_t)(v >> shift);
}

/* An IDX file of n images h x w whose pixel values count up from 1, or of n labels i % classes. */
static void idx_images(buffer *out, uint32_t n, uint32_t h, uint32_t w) {
    out->size = 0;
    put_be32(out, 0x803), put_be32(out, n), put_be32(out, h), put_be32(out, w);
    for (uint32_t i = 0; i < n * h * w; i++) out->bytes[out->size++] = (uint8_t)(1 + i % 255);
}

static void idx_labels(buffer *out, uint32_t n, uint32_t classes) {
    out->size = 0;
    put_be32(out, 0x801), put_be32(out, n);
    for (uint32_t i = 0; i < n; i++) out->bytes[out->size++] = (uint8_t)(i % classes);
}

/* A failure has one printable, non-empty line that contains every given piece, and leaves nothing allocated. */
static void assert_refused(drl_status status, const drl_err *err, size_t bytes_before, const char *piece) {
    assert_int_not_equal(status, DRL_OK);
    assert_int_equal(err->status, status);
    assert_true(strlen(err->message) > 10 && !strpbrk(err->message, "\n\r"));
    if (!strstr(err->message, piece)) fail_msg("\"%s\" does not contain \"%s\"", err->message, piece);
    assert_int_equal(drl_mem_get_stats().bytes, bytes_before);
}

#endif
