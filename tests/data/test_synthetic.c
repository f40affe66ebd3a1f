/* The synthetic datasets: labels, frequencies, determinism, and factors that are really in the picture. */
#include "files.h"

#include <math.h>

#include "drl/data.h"
#include "drl/hash.h"

enum { SHAPE, X, Y, FOREGROUND, BACKGROUND, SCALE, TEXTURE, FACTORS };
enum { DISC, SQUARE, TRIANGLE, DIAMOND, CROSS, RING };

static const char *const names[] = {"synthetic:factors", "synthetic:shapes-grey"};

static drl_dataset *open_or_fail(const char *name, size_t size, size_t train, size_t test, uint64_t seed) {
    drl_dataset_cfg cfg = {.name = name, .size = size, .train_limit = train, .test_limit = test, .seed = seed};
    drl_dataset *ds;
    drl_err err = {0};
    if (drl_dataset_open(&ds, &cfg, &err) != DRL_OK) fail_msg("%s", err.message);
    return ds;
}

static void test_shape_of_the_dataset(void **state) {
    (void)state;
    for (int v = 0; v < 2; v++) {
        drl_dataset *ds = open_or_fail(names[v], 0, 0, 0, 1);
        const drl_images *im = ds->split;
        assert_true(im[0].n == 4096 && im[1].n == 1024 && im[0].h == 32 && im[0].w == 32);
        assert_int_equal(im[0].c, v == 0 ? 3 : 1);
        assert_int_equal(ds->classes, 6);
        assert_int_equal(ds->factors, FACTORS);
        assert_null(im[0].factors[FACTORS]);
        assert_string_equal(ds->factor_names[SHAPE], "shape");
        assert_string_equal(ds->class_names[RING], "ring");
        assert_memory_equal(im[0].labels, im[0].factors[SHAPE], im[0].n * sizeof(int32_t));
        drl_dataset_free(ds);
    }
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

/* Every factor's classes are uniform, and every pair of factors is independent: chi-square at mean + 5 deviations. */
static void test_frequencies(void **state) {
    (void)state;
    for (int v = 0; v < 2; v++) {
        drl_dataset *ds = open_or_fail(names[v], 8, 12000, 1, 3);
        const drl_images *im = &ds->split[0];
        for (int f = 0; f < FACTORS; f++)
            for (int g = 0; g <= f; g++) {
                size_t kf = ds->factor_classes[f], kg = f == g ? 1 : ds->factor_classes[g], cells = kf * kg;
                double count[8][8] = {{0}}, chi2 = 0, expected = (double)im->n / (double)cells;
                for (size_t i = 0; i < im->n; i++) {
                    assert_in_range(im->factors[f][i], 0, kf - 1);
                    count[im->factors[f][i]][f == g ? 0 : im->factors[g][i]]++;
                }
                for (size_t a = 0; a < kf; a++)
                    for (size_t b = 0; b < kg; b++) chi2 += pow(count[a][b] - expected, 2) / expected;
                double df = (double)(cells - 1);
                if (!(chi2 <= df + 5 * sqrt(2 * df)))
                    fail_msg("%s x %s: chi-square %g on %g", ds->factor_names[f], ds->factor_names[g], chi2, df);
            }
        drl_dataset_free(ds);
    }
}

/* Same seed, same bytes, whatever the number of images; other seeds and the other split differ. */
static void test_determinism(void **state) {
    (void)state;
    for (int v = 0; v < 2; v++) {
        drl_dataset *a = open_or_fail(names[v], 16, 64, 64, 5), *b = open_or_fail(names[v], 16, 200, 64, 5);
        drl_dataset *other = open_or_fail(names[v], 16, 64, 64, 6);
        size_t bytes = 64 * 16 * 16 * a->split[0].c;
        assert_memory_equal(a->split[0].pixels, b->split[0].pixels, bytes);
        assert_memory_equal(a->split[1].pixels, b->split[1].pixels, bytes);
        assert_memory_not_equal(a->split[0].pixels, a->split[1].pixels, bytes);
        assert_memory_not_equal(a->split[0].labels, a->split[1].labels, 64 * sizeof(int32_t));
        assert_memory_not_equal(a->split[0].pixels, other->split[0].pixels, bytes);
        assert_string_not_equal(a->sha256, b->sha256);
        assert_string_not_equal(a->sha256, other->sha256);
        drl_dataset_free(a);
        drl_dataset_free(b);
        drl_dataset_free(other);
    }
}

/* The very bytes of generator version 1, the same on every machine: a change needs a new version number. */
static void test_golden_bytes(void **state) {
    (void)state;
    static const char *const want[] = {"df28938a1cb855a2174a444a5665d5efd177d77569660ad618e384cf5b5c1b72",
                                       "a0f2fc15c4299864e9c7b0b66b1d5931d844bd9ddcd97b13618e0dc0ba367614"};
    for (int v = 0; v < 2; v++) {
        drl_dataset *ds = open_or_fail(names[v], 32, 256, 1, 0x123456789abcdef);
        char sha[65];
        drl_sha256(sha, ds->split[0].pixels, 256 * 32 * 32 * ds->split[0].c);
        assert_string_equal(sha, want[v]);
        drl_dataset_free(ds);
    }
}

/* Extent of the shape as the picture shows it: all pixels unlike the corner. */
typedef struct blob {
    size_t area, x0, x1, y0, y1;
    double x, y;
} blob;

static blob find_blob(const drl_images *im, size_t i) {
    const uint8_t *p = im->pixels + i * im->h * im->w * im->c;
    blob b = {.x0 = im->w, .y0 = im->h};
    for (size_t y = 0; y < im->h; y++)
        for (size_t x = 0; x < im->w; x++) {
            if (memcmp(p + (y * im->w + x) * im->c, p, im->c) == 0) continue;
            b.area++;
            b.x0 = x < b.x0 ? x : b.x0, b.x1 = x > b.x1 ? x : b.x1;
            b.y0 = y < b.y0 ? y : b.y0, b.y1 = y > b.y1 ? y : b.y1;
        }
    b.x = ((double)b.x0 + (double)b.x1 + 1) / 2, b.y = ((double)b.y0 + (double)b.y1 + 1) / 2;
    return b;
}

/* Position and scale measured on the picture (shapes that are symmetric about their centre). */
static void test_geometry(void **state) {
    (void)state;
    static const size_t sizes[] = {8, 13, 32, 64};
    for (size_t k = 0; k < 8; k++) {
        double size = (double)sizes[k % 4];
        drl_dataset *ds = open_or_fail(names[k / 4], sizes[k % 4], 600, 1, k);
        const drl_images *im = &ds->split[0];
        for (size_t i = 0; i < im->n; i++) {
            int shape = im->labels[i];
            if (shape == TRIANGLE) continue;
            blob b = find_blob(im, i);
            /* The centre is in its quarter of [0.3, 0.7) size, up to half a pixel of rounding. */
            double x0 = (0.3 + 0.1 * im->factors[X][i]) * size, y0 = (0.3 + 0.1 * im->factors[Y][i]) * size;
            assert_true(b.x >= x0 - 0.6 && b.x <= x0 + 0.1 * size + 0.6);
            assert_true(b.y >= y0 - 0.6 && b.y <= y0 + 0.1 * size + 0.6);
            /* The bounding box is twice the radius (a square's 0.82 of it), up to a pixel at each end. */
            double r0 = (0.14 + 0.04 * im->factors[SCALE][i]) * size * (shape == SQUARE ? 0.82 : 1);
            double half = (double)(b.x1 + 1 - b.x0) / 2;
            assert_true(half >= r0 - 0.6 && half <= r0 + 0.02 * size + 1.1);
        }
        drl_dataset_free(ds);
    }
}

/* Which channels of the colour are above half its largest: a hue that brightness does not change. */
static int hue(const uint8_t *p) {
    int top = p[0] > p[1] ? p[0] : p[1], code = 0;
    top = p[2] > top ? p[2] : top;
    for (int c = 0; c < 3; c++) code = 2 * code + (2 * p[c] > top);
    return code;
}

/* Red, yellow, green, cyan, blue, magenta: at the shape's centre bright, in the corner dark. */
static void test_colours(void **state) {
    (void)state;
    static const int hues[] = {4, 6, 2, 3, 1, 5};
    drl_dataset *ds = open_or_fail(names[0], 32, 2000, 1, 11);
    const drl_images *im = &ds->split[0];
    for (size_t i = 0; i < im->n; i++) {
        const uint8_t *p = im->pixels + i * 32 * 32 * 3;
        assert_int_equal(hue(p), hues[im->factors[BACKGROUND][i]]);
        if (im->labels[i] == RING || im->labels[i] == TRIANGLE) continue;
        blob b = find_blob(im, i);
        const uint8_t *centre = p + ((size_t)b.y * 32 + (size_t)b.x) * 3;
        assert_int_equal(hue(centre), hues[im->factors[FOREGROUND][i]]);
    }
    drl_dataset_free(ds);
}

/* Grey: brighter classes are brighter at the centre, darker ones in the corner, and the shape always stands out. */
static void test_greys(void **state) {
    (void)state;
    static const int fg[] = {150, 183, 217, 245}, bg[] = {12, 37, 62, 85};
    drl_dataset *ds = open_or_fail(names[1], 32, 2000, 1, 11);
    const drl_images *im = &ds->split[0];
    for (size_t i = 0; i < im->n; i++) {
        const uint8_t *p = im->pixels + i * 32 * 32;
        assert_in_range(p[0], bg[im->factors[BACKGROUND][i]] - 8, bg[im->factors[BACKGROUND][i]] + 8);
        if (im->labels[i] == RING || im->labels[i] == TRIANGLE) continue;
        blob b = find_blob(im, i);
        int centre = p[(size_t)b.y * 32 + (size_t)b.x], level = fg[im->factors[FOREGROUND][i]];
        assert_true(centre > p[0] && centre <= level + 8 && centre >= (level - 8) * 11 / 16);
        if (im->factors[TEXTURE][i] == 0) assert_true(centre >= level - 8);
    }
    drl_dataset_free(ds);
}

/* Texture at 16 x 16 and 32 x 32: rows and columns through the middle of large squares. Plain: no change; stripes:
 * changes down a column and not along a row; checker and dots: both. */
static void test_textures(void **state) {
    (void)state;
    for (size_t size = 16; size <= 32; size *= 2) {
        drl_dataset *ds = open_or_fail(names[1], size, 4000, 1, 2);
        const drl_images *im = &ds->split[0];
        size_t seen[4] = {0};
        for (size_t i = 0; i < im->n; i++) {
            if (im->labels[i] != SQUARE || im->factors[SCALE][i] != 3) continue;
            blob b = find_blob(im, i);
            int rows = 0, columns = 0;
            const uint8_t *p = im->pixels + i * size * size;
            for (size_t y = b.y0 + 1; y + 1 < b.y1; y++)
                for (size_t x = b.x0 + 1; x + 1 < b.x1; x++) {
                    rows += p[y * size + x] != p[y * size + x + 1];
                    columns += p[y * size + x] != p[(y + 1) * size + x];
                }
            int texture = im->factors[TEXTURE][i];
            seen[texture]++;
            assert_int_equal(rows > 0, texture >= 2);
            assert_int_equal(columns > 0, texture >= 1);
        }
        for (int t = 0; t < 4; t++) assert_true(seen[t] > 10);
        drl_dataset_free(ds);
    }
}

/* Shapes by the fraction of their bounding box they fill, at a size where edges hardly count. */
static void test_shapes(void **state) {
    (void)state;
    static const double fill[] = {0.785, 1.0, 0.5, 0.5, 0.51, 0.548};
    drl_dataset *ds = open_or_fail(names[0], 200, 60, 1, 4);
    const drl_images *im = &ds->split[0];
    for (size_t i = 0; i < im->n; i++) {
        blob b = find_blob(im, i);
        double w = (double)(b.x1 + 1 - b.x0), h = (double)(b.y1 + 1 - b.y0), got = (double)b.area / (w * h);
        if (!(fabs(got - fill[im->labels[i]]) < 0.05)) fail_msg("shape %d fills %g", im->labels[i], got);
        /* Shapes of like fill told apart: a triangle is wider than high, a ring is empty in the middle, and of the
         * point 0.4 radii right and below the centre a diamond holds it and a cross does not. */
        assert_int_equal(w > 1.1 * h, im->labels[i] == TRIANGLE);
        const uint8_t *p = im->pixels + i * 200 * 200 * 3;
        size_t x = (size_t)b.x, y = (size_t)b.y, step = (size_t)(0.2 * w);
        assert_int_equal(memcmp(p + (y * 200 + x) * 3, p, 3) == 0, im->labels[i] == RING);
        if (im->labels[i] == DIAMOND || im->labels[i] == CROSS)
            assert_int_equal(memcmp(p + ((y + step) * 200 + x + step) * 3, p, 3) == 0, im->labels[i] == CROSS);
    }
    drl_dataset_free(ds);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        drl_dataset_cfg cfg;
        const char *piece;
    } cases[] = {
        {{.name = "synthetic:factors", .size = 7}, "image size 7: want at least 8"},
        {{.name = "synthetic:factors", .size = 5000}, "image size 5000"},
        {{.name = "synthetic:factors", .train_limit = SIZE_MAX}, "use a limit"},
        {{.name = "synthetic:factors", .test_limit = SIZE_MAX / 3000}, "use a limit"},
        {{.name = "synthetic"}, "known are fashion-mnist"},
        {{.name = "bad\nname"}, "unknown dataset"},
        {{.name = NULL}, "unknown dataset"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        drl_dataset *ds;
        drl_err err;
        assert_refused(drl_dataset_open(&ds, &cases[k].cfg, &err), &err, 0, cases[k].piece);
        assert_null(ds);
    }
    for (int v = 0; v < 2; v++) assert_non_null(strstr(drl_dataset_help(), names[v]));
    assert_non_null(strstr(drl_dataset_help(), "fashion-mnist: "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape_of_the_dataset),
        cmocka_unit_test(test_frequencies),
        cmocka_unit_test(test_determinism),
        cmocka_unit_test(test_golden_bytes),
        cmocka_unit_test(test_geometry),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_greys),
        cmocka_unit_test(test_textures),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("synthetic", tests, NULL, NULL);
}
