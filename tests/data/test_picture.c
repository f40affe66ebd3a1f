/* Decoding pictures: every kind against what was encoded, limits, cuts and flips; PNG written and read again. */
#include "pictures.h"

#include "data/picture.h"

static const drl_picture_limits limits = {(size_t)64 << 20, (size_t)1 << 15, (size_t)64 << 20};

static drl_picture decode(const uint8_t *bytes, size_t size) {
    drl_picture p;
    drl_err err;
    if (drl_picture_decode(&p, bytes, size, &limits, &err) != DRL_OK) fail_msg("%s", err.message);
    return p;
}

static void refused(const uint8_t *bytes, size_t size, const drl_picture_limits *l, drl_status want,
                    const char *piece) {
    drl_picture p;
    drl_err err;
    assert_refused(drl_picture_decode(&p, bytes, size, l, &err), &err, 0, piece);
    assert_int_equal(err.status, want);
    assert_null(p.pixels);
}

/* What the decoder has to make of sample v of the kind: scaled to 8 bits in integers or by its bits repeated. */
static unsigned eight_bits(size_t y, size_t x, size_t k, int depth) {
    unsigned v = sample(y, x, k);
    if (depth == 16) return (2 * (256 * v + sample(y + 1, x, k)) + 257) / 514;
    v >>= 8 - depth;
    return v * 255 / ((1u << depth) - 1);
}

static void test_png_kinds(void **state) {
    (void)state;
    static buffer out;
    static const struct {
        png_kind kind;
        size_t c;
    } cases[] = {
        {{PNG_COLOR_TYPE_GRAY, 8, false, false}, 1},       {{PNG_COLOR_TYPE_GRAY, 1, false, false}, 1},
        {{PNG_COLOR_TYPE_GRAY, 2, false, false}, 1},       {{PNG_COLOR_TYPE_GRAY, 4, true, false}, 1},
        {{PNG_COLOR_TYPE_GRAY, 16, false, false}, 1},      {{PNG_COLOR_TYPE_GRAY, 8, false, true}, 1},
        {{PNG_COLOR_TYPE_GRAY_ALPHA, 8, false, false}, 1}, {{PNG_COLOR_TYPE_GRAY_ALPHA, 16, true, false}, 1},
        {{PNG_COLOR_TYPE_RGB, 8, false, false}, 3},        {{PNG_COLOR_TYPE_RGB, 8, true, true}, 3},
        {{PNG_COLOR_TYPE_RGB, 16, false, false}, 3},       {{PNG_COLOR_TYPE_RGB_ALPHA, 8, false, false}, 3},
        {{PNG_COLOR_TYPE_RGB_ALPHA, 16, true, false}, 3},  {{PNG_COLOR_TYPE_PALETTE, 8, false, false}, 3},
        {{PNG_COLOR_TYPE_PALETTE, 4, true, false}, 3},     {{PNG_COLOR_TYPE_PALETTE, 8, false, true}, 3},
        {{PNG_COLOR_TYPE_PALETTE, 1, false, true}, 3},
    };
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        png_kind kind = cases[t].kind;
        bool alpha = kind.colour == PNG_COLOR_TYPE_GRAY_ALPHA || kind.colour == PNG_COLOR_TYPE_RGB_ALPHA;
        size_t c = cases[t].c, h = 17, w = 13;
        png_make(&out, h, w, kind);
        drl_picture p = decode(out.bytes, out.size);
        assert_true(p.h == h && p.w == w && p.c == c);
        for (size_t y = 0; y < h; y++)
            for (size_t x = 0; x < w; x++)
                for (size_t k = 0; k < c; k++) {
                    unsigned index = sample(y, x, 0) >> (8 - (kind.depth & 15)), want, opaque = 255, same = 0;
                    want = kind.colour != PNG_COLOR_TYPE_PALETTE ? eight_bits(y, x, k, kind.depth)
                           : k == 0                              ? index
                           : k == 1                              ? 255 - index
                                                                 : (2 * index) % 256;
                    if (alpha) opaque = eight_bits(y, x, c, kind.depth);
                    for (size_t i = 0; i < c; i++) same += sample(y, x, i) == sample(0, 0, i);
                    if (kind.transparent && kind.colour == PNG_COLOR_TYPE_PALETTE)
                        opaque = index == 0 ? 0 : index == 1 ? 100 : 255;
                    else if (kind.transparent && same == c)
                        opaque = 0;
                    want = (2 * want * opaque + 255) / 510;
                    assert_int_equal(p.pixels[(y * w + x) * c + k], want);
                }
        drl_picture_free(&p);
    }
}

/* Every index of a palette that is shorter than its depth allows is checked; the bits that fill a row up are not. */
static void test_short_palettes(void **state) {
    (void)state;
    static buffer out;
    for (uint8_t depth = 1; depth <= 8; depth = (uint8_t)(2 * depth)) {
        const size_t h = 3, w = 5, row = 1 + (w * depth + 7) / 8;
        uint8_t rows[3 * 6], n = depth == 8 ? 200 : (uint8_t)((1u << depth) - 1);
        for (size_t bad = 0; bad <= h * w; bad++) {
            for (size_t i = 0; i < sizeof rows; i++) rows[i] = i % row ? 0xff : 0;
            for (size_t i = 0; i < h * w; i++) {
                size_t bit = i % w * depth, index = i == bad ? n : i % n;
                uint8_t *at = &rows[i / w * row + 1 + bit / 8];
                unsigned shift = 8 - depth - (unsigned)bit % 8;
                *at = (uint8_t)((*at & ~(((1u << depth) - 1) << shift)) | index << shift);
            }
            png_palette_make(&out, h, w, depth, n, false, rows, h * row);
            char message[100];
            snprintf(message, sizeof message, "PNG: row %zu, column %zu has the colour %d of a palette of %d", bad / w,
                     bad % w, n, n);
            if (bad < h * w) {
                refused(out.bytes, out.size, &limits, DRL_ERR_FORMAT, message);
                continue;
            }
            drl_picture p = decode(out.bytes, out.size);
            assert_true(p.h == h && p.w == w && p.c == 3);
            for (size_t i = 0; i < h * w; i++)
                assert_true(p.pixels[3 * i] == i % n && p.pixels[3 * i + 1] == 255 - i % n &&
                            p.pixels[3 * i + 2] == 2 * (i % n));
            drl_picture_free(&p);
        }
    }
    /* 2 x 2 in Adam7: pixel (0, 0) in the first pass, (0, 1) in the sixth, row 1 in the last. */
    const uint8_t passes[] = {0, 0, 0, 1, 0, 2, 3};
    png_palette_make(&out, 2, 2, 8, 3, true, passes, sizeof passes);
    refused(out.bytes, out.size, &limits, DRL_ERR_FORMAT, "PNG: row 1, column 1 has the colour 3 of a palette of 3");
}

/* Pictures of one colour survive JPEG but for a rounding. */
static void test_jpeg_kinds(void **state) {
    (void)state;
    static const struct {
        int channels;
        J_COLOR_SPACE space;
        bool progressive;
    } cases[] = {{1, JCS_GRAYSCALE, false}, {3, JCS_RGB, false}, {3, JCS_RGB, true}, {1, JCS_GRAYSCALE, true}};
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        size_t size, c = (size_t)cases[t].channels;
        uint8_t *bytes = jpeg_make(&size, 21, 19, cases[t].channels, cases[t].space, 90, cases[t].progressive);
        drl_picture p = decode(bytes, size);
        assert_true(p.h == 21 && p.w == 19 && p.c == c);
        for (size_t i = 0; i < 21 * 19 * c; i++) assert_true(abs(p.pixels[i] - 90 - 40 * (int)(i % c)) <= 2);
        drl_picture_free(&p);
        free(bytes);
    }
    size_t size;
    uint8_t *bytes = jpeg_make(&size, 8, 8, 4, JCS_CMYK, 90, false);
    refused(bytes, size, &limits, DRL_ERR_FORMAT, "is for printing (CMYK)");
    free(bytes);
}

static void test_limits(void **state) {
    (void)state;
    static buffer out;
    const drl_picture_limits narrow = {1 << 20, 20, 1000}, few = {1 << 20, 100, 440}, small = {100, 100, 1000};
    png_make(&out, 21, 19, (png_kind){PNG_COLOR_TYPE_RGB, 8, false, false});
    size_t size;
    uint8_t *jpeg = jpeg_make(&size, 21, 22, 3, JCS_RGB, -1, false);
    refused(out.bytes, out.size, &narrow, DRL_ERR_LIMIT, "is 21 x 19: no side may be longer than 20");
    refused(jpeg, size, &narrow, DRL_ERR_LIMIT, "is 21 x 22: no side may be longer than 20");
    refused(jpeg, size, &few, DRL_ERR_LIMIT, "is 21 x 22: at most 440 pixels are allowed");
    refused(out.bytes, out.size, &small, DRL_ERR_LIMIT, "at most 100 are allowed");
    refused(out.bytes, 0, &limits, DRL_ERR_FORMAT, "the file is empty");
    refused((const uint8_t *)"GIF89a..", 8, &limits, DRL_ERR_FORMAT, "neither a JPEG nor a PNG");
    /* A bomb: a sound header of 2^31 - 1 x 2^31 - 1 pixels (bytes 16 to 23, then their checksum); nothing is allocated.
     */
    size_t peak = drl_mem_get_stats().peak_bytes;
    memcpy(out.bytes + 16, "\x7f\xff\xff\xff\x7f\xff\xff\xff", 8);
    uint32_t crc = (uint32_t)crc32(0, out.bytes + 12, 17);
    for (int i = 0; i < 4; i++) out.bytes[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
    refused(out.bytes, out.size, &limits, DRL_ERR_LIMIT, "is 2147483647 x 2147483647: no side may be longer");
    assert_int_equal(drl_mem_get_stats().peak_bytes, peak);
    free(jpeg);
}

/* A progressive JPEG of more scans than anyone uses, each of which costs the time of the whole picture. */
static void test_scans(void **state) {
    (void)state;
    static jpeg_scan_info scans[2 + 63 * 2];
    for (int many = 0; many < 2; many++) {
        int n = 0;
        scans[n++] = (jpeg_scan_info){1, {0}, 0, 0, 0, 0};
        for (int k = 1; k < 64; k++) scans[n++] = (jpeg_scan_info){1, {0}, k, k, 0, many ? 1 : 0};
        for (int k = 1; many && k < 64; k++) scans[n++] = (jpeg_scan_info){1, {0}, k, k, 1, 0};
        size_t size;
        uint8_t *bytes = jpeg_make_scans(&size, 8, 8, 1, JCS_GRAYSCALE, -1, scans, n);
        if (many) {
            refused(bytes, size, &limits, DRL_ERR_FORMAT, "JPEG: more than 100 scans");
        } else {
            drl_picture p = decode(bytes, size);
            drl_picture_free(&p);
        }
        free(bytes);
    }
}

/* No cut is accepted; a changed byte is refused or, where a JPEG cannot tell, gives a picture of some kind. */
static size_t bend(const uint8_t *good, size_t size, bool checked) {
    size_t accepted = 0;
    uint8_t *bytes = malloc(size);
    drl_picture p, want = decode(good, size);
    drl_err err;
    for (size_t i = 0; i < size; i++) {
        size_t held = drl_mem_get_stats().bytes;
        memcpy(bytes, good, size);
        drl_status st = drl_picture_decode(&p, bytes, i, &limits, &err);
        if (st == DRL_OK) fail_msg("cut to %zu of %zu bytes: accepted", i, size);
        assert_refused(st, &err, held, i == 0 ? "the file is empty" : "");
        for (int bit = 0; bit < 8; bit += 3) {
            bytes[i] = good[i] ^ (uint8_t)(1u << bit);
            if (drl_picture_decode(&p, bytes, size, &limits, &err) == DRL_OK) {
                if (checked) {
                    assert_true(p.h == want.h && p.w == want.w && p.c == want.c);
                    assert_memory_equal(p.pixels, want.pixels, p.h * p.w * p.c);
                }
                accepted++;
                drl_picture_free(&p);
            }
            assert_int_equal(drl_mem_get_stats().bytes, held);
        }
    }
    drl_picture_free(&want);
    free(bytes);
    return accepted;
}

static void test_cuts_and_flips(void **state) {
    (void)state;
    static buffer out;
    png_make(&out, 16, 16, (png_kind){PNG_COLOR_TYPE_RGB_ALPHA, 8, true, false});
    assert_int_equal(bend(out.bytes, out.size, true), 0);
    png_make(&out, 16, 16, (png_kind){PNG_COLOR_TYPE_PALETTE, 8, false, true});
    assert_int_equal(bend(out.bytes, out.size, true), 0);
    for (int progressive = 0; progressive < 2; progressive++) {
        size_t size;
        uint8_t *bytes = jpeg_make(&size, 16, 16, 3, JCS_RGB, -1, progressive);
        assert_true(bend(bytes, size, false) < 3 * size);
        free(bytes);
    }
}

static void test_png_write(void **state) {
    (void)state;
    uint8_t pixels[9 * 5 * 3], *bytes = malloc(4096);
    drl_err err;
    for (size_t c = 1; c <= 3; c += 2) {
        for (size_t i = 0; i < 45 * c; i++) pixels[i] = (uint8_t)(37 * i);
        if (drl_png_write(files_path("a.png"), pixels, 9, 5, c, &err) != DRL_OK) fail_msg("%s", err.message);
        FILE *f = fopen(files_path("a.png"), "rb");
        drl_picture p = decode(bytes, fread(bytes, 1, 4096, f));
        fclose(f);
        assert_true(p.h == 9 && p.w == 5 && p.c == c);
        assert_memory_equal(p.pixels, pixels, 45 * c);
        drl_picture_free(&p);
    }
    assert_refused(drl_png_write(files_path("no/a.png"), pixels, 9, 5, 1, &err), &err, 0, "no/a.png: cannot create");
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_kinds),      cmocka_unit_test(test_jpeg_kinds),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_scans),          cmocka_unit_test(test_cuts_and_flips), cmocka_unit_test(test_png_write),
        cmocka_unit_test(test_short_palettes),
    };
    return cmocka_run_group_tests_name("pictures", tests, files_make, files_remove);
}
