/* Augmentations against values made by other programs (augment_expected.h), and what is drawn for them. */
#include "files.h"

#include <math.h>

#include "augment_expected.h"
#include "drl/augment.h"

#define LENGTH(a) (sizeof(a) / sizeof *(a))

static const picture_shape colour = {ROWS, COLUMNS, 3};

static void draw_picture(uint8_t *x) {
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < COLUMNS; j++)
            for (size_t c = 0; c < 3; c++)
                *x++ = (uint8_t)((37 * i * (1 + c) + 23 * j * j + 53 * c + 17 * j * i) % 211 + 20);
}

static void test_rand_ops(void **state) {
    (void)state;
    bool seen[DRL_RAND_OPS] = {false};
    for (size_t r = 0; r < LENGTH(by_pillow); r++) {
        uint8_t whole[ROWS * COLUMNS * 3], x[sizeof whole], copy[sizeof whole];
        picture_shape s = {ROWS, COLUMNS, (size_t)by_pillow[r].channels};
        draw_picture(whole);
        for (size_t p = 0; p < ROWS * COLUMNS; p++)
            for (size_t c = 0; c < s.c; c++) x[p * s.c + c] = whole[p * 3 + c];
        drl_rand_op(x, copy, &s, by_pillow[r].op, STRENGTH, by_pillow[r].sign);
        for (size_t e = 0; e < picture_size(&s); e++)
            if (x[e] != by_pillow[r].bytes[e])
                fail_msg("operation %d, sign %d, %zu channels: byte %zu is %d, want %d", by_pillow[r].op,
                         by_pillow[r].sign, s.c, e, x[e], by_pillow[r].bytes[e]);
        seen[by_pillow[r].op] = true;
    }
    for (int op = DRL_RAND_IDENTITY + 1; op < DRL_RAND_OPS; op++) assert_true(seen[op]);
}

static void test_equalize(void **state) {
    (void)state;
    uint8_t x[SIDE * SIDE], copy[SIDE * SIDE];
    const picture_shape s = {SIDE, SIDE, 1};
    for (size_t i = 0; i < SIDE; i++)
        for (size_t j = 0; j < SIDE; j++) x[i * SIDE + j] = (uint8_t)((i * j * 3 + j * j) % 97 + 60);
    drl_rand_op(x, copy, &s, DRL_RAND_EQUALIZE, 0, 1);
    assert_memory_equal(x, equalized, sizeof equalized);
}

static void test_numbers(void **state) {
    (void)state;
    for (size_t r = 0; r < LENGTH(by_numpy); r++) {
        uint8_t bytes[ROWS * COLUMNS * 3];
        drl_real x[ROWS * COLUMNS * 3], y[ROWS * COLUMNS * 3];
        draw_picture(bytes);
        for (size_t e = 0; e < LENGTH(x); e++) x[e] = (drl_real)bytes[e] / 255;
        switch (r) {
        case 0: drl_adjust_brightness(x, &colour, (drl_real)1.4); break;
        case 1: drl_adjust_contrast(x, &colour, (drl_real)0.3); break;
        case 2: drl_adjust_saturation(x, &colour, (drl_real)1.7); break;
        case 3: drl_adjust_hue(x, &colour, (drl_real)-0.15); break;
        case 4: drl_make_grey(x, &colour); break;
        case 5:
            memcpy(y, x, sizeof y);
            drl_resize_window(x, y, &colour, 1, 2, 4, 5);
            break;
        default: drl_gaussian_blur(x, y, &colour, 1.3, 5);
        }
        static const size_t places[] = {0, 2 * COLUMNS + 3, 5 * COLUMNS + 6, 4 * COLUMNS + 1};
        double sum = 0;
        for (size_t e = 0; e < LENGTH(x); e++) sum += (double)x[e];
        if (!(fabs(sum - by_numpy[r].sum) <= 1e-4)) fail_msg("%s: sum %g", by_numpy[r].what, sum);
        for (size_t e = 0; e < 12; e++)
            if (!(fabs((double)x[places[e / 3] * 3 + e % 3] - by_numpy[r].pixels[e]) <= 2e-6))
                fail_msg("%s: pixel %zu, channel %zu: %g, want %g", by_numpy[r].what, e / 3, e % 3,
                         (double)x[places[e / 3] * 3 + e % 3], by_numpy[r].pixels[e]);
    }
}

/* ---- What is drawn ----------------------------------------------------------------------------------------------- */

enum { IMAGE = 12, DRAWN = 2000 };

static drl_dataset *open_images(const char *name) {
    drl_dataset_cfg cfg = {.name = name, .size = IMAGE, .train_limit = 30, .test_limit = 30};
    drl_dataset *ds;
    assert_int_equal(drl_dataset_open(&ds, &cfg, NULL), DRL_OK);
    return ds;
}

/* Picture `place` of step `step`, made from image 3. */
static void augment(drl_real *out, const drl_augment_cfg *cfg, const drl_dataset *ds, uint32_t view, uint32_t step,
                    size_t place) {
    static drl_real scratch[4 * IMAGE * IMAGE * 3];
    assert_true(drl_augment_scratch(ds) <= LENGTH(scratch));
    const drl_augment_draw draw = {7, view, step, place};
    drl_augment_image(out, cfg, ds, 3, &draw, scratch);
}

/* The image seen from (down, right), perhaps flipped first. */
static void seen_from(drl_real *out, const drl_dataset *ds, bool flipped, int down, int right) {
    drl_real x[IMAGE * IMAGE * 3];
    const size_t c = ds->split[0].c;
    drl_batch_images(x, ds, DRL_SPLIT_TRAIN, (uint32_t[]){3}, 1);
    for (int i = 0; i < IMAGE; i++)
        for (int j = 0; j < IMAGE; j++) {
            int y = abs(i + down), u = abs(j + right);
            if (y >= IMAGE) y = 2 * (IMAGE - 1) - y;
            if (u >= IMAGE) u = 2 * (IMAGE - 1) - u;
            if (flipped) u = IMAGE - 1 - u;
            memcpy(out + (i * IMAGE + j) * (int)c, x + (y * IMAGE + u) * (int)c, c * sizeof *out);
        }
}

/* Every one of the 2 x 25 pictures that flip and crop can make, about equally often, and no other. */
static void test_flip_and_crop(void **state) {
    (void)state;
    drl_dataset *ds = open_images("synthetic:factors");
    const drl_augment_cfg cfg = {.augment_flip = true, .augment_crop = 2};
    static drl_real want[50][IMAGE * IMAGE * 3], got[IMAGE * IMAGE * 3];
    size_t count[50] = {0};
    for (int k = 0; k < 50; k++) seen_from(want[k], ds, k % 2, k / 2 % 5 - 2, k / 10 - 2);
    for (size_t i = 0; i < DRAWN; i++) {
        augment(got, &cfg, ds, 0, (uint32_t)(i / 64), i % 64);
        int k = 0;
        while (k < 50 && memcmp(got, want[k], sizeof got) != 0) k++;
        if (k == 50) fail_msg("picture %zu is none of those that can be", i);
        count[k]++;
    }
    for (int k = 0; k < 50; k++) /* 40 expected, deviation 6.3 */
        if (count[k] < 12 || count[k] > 75) fail_msg("picture %d was drawn %zu times of %d", k, count[k], DRAWN);
    drl_dataset_free(ds);
}

static void test_noise(void **state) {
    (void)state;
    drl_dataset *ds = open_images("synthetic:shapes-grey");
    const drl_augment_cfg cfg = {.augment_noise = 0.5};
    drl_real plain[IMAGE * IMAGE], got[IMAGE * IMAGE];
    drl_batch_images(plain, ds, DRL_SPLIT_TRAIN, (uint32_t[]){3}, 1);
    double sum = 0, square = 0, n = (double)DRAWN * IMAGE * IMAGE;
    for (size_t i = 0; i < DRAWN; i++) {
        augment(got, &cfg, ds, 0, 5, i);
        for (size_t e = 0; e < LENGTH(got); e++) {
            double d = (double)(got[e] - plain[e]);
            sum += d, square += d * d;
        }
    }
    assert_true(fabs(sum / n) < 5 * 0.5 / sqrt(n));
    assert_true(fabs(square / n / 0.25 - 1) < 5 * sqrt(2 / n));
    drl_dataset_free(ds);
}

static drl_augment_cfg everything(void) {
    return (drl_augment_cfg){true, 2, 2, 9, 0.3, 1, 0.2, 0.5, 0.1};
}

/* A probability of p switches an augmentation on p of the time: pictures that it leaves alone are counted. */
static void test_probabilities(void **state) {
    (void)state;
    drl_dataset *ds = open_images("synthetic:factors");
    static const struct {
        drl_augment_cfg cfg;
        double on;
    } cases[] = {{{.augment_grey = 0.2}, 0.2}, {{.augment_blur = 0.5}, 0.5}, {{.augment_jitter = 1}, 0.8}};
    drl_real plain[IMAGE * IMAGE * 3], got[IMAGE * IMAGE * 3];
    drl_batch_images(plain, ds, DRL_SPLIT_TRAIN, (uint32_t[]){3}, 1);
    for (size_t c = 0; c < LENGTH(cases); c++) {
        size_t on = 0;
        for (size_t i = 0; i < DRAWN; i++) {
            augment(got, &cases[c].cfg, ds, 0, 1, i);
            double most = 0;
            for (size_t e = 0; e < LENGTH(got); e++) most = fmax(most, fabs((double)(got[e] - plain[e])));
            on += most > 1e-3;
        }
        double deviation = sqrt(cases[c].on * (1 - cases[c].on) / DRAWN);
        if (!(fabs((double)on / DRAWN - cases[c].on) < 5 * deviation)) fail_msg("case %zu: %zu of %d", c, on, DRAWN);
    }
    drl_dataset_free(ds);
}

/* Views, steps and places have numbers of their own; grey images pass through everything. */
static void test_names(void **state) {
    (void)state;
    static const char *const names[] = {"synthetic:factors", "synthetic:shapes-grey"};
    for (int v = 0; v < 2; v++) {
        drl_dataset *ds = open_images(names[v]);
        const drl_augment_cfg cfg = everything();
        size_t bytes = IMAGE * IMAGE * ds->split[0].c * sizeof(drl_real);
        drl_real a[IMAGE * IMAGE * 3], b[IMAGE * IMAGE * 3];
        augment(a, &cfg, ds, 0, 1, 2);
        augment(b, &cfg, ds, 0, 1, 2);
        assert_memory_equal(a, b, bytes);
        augment(b, &cfg, ds, 1, 1, 2);
        assert_memory_not_equal(a, b, bytes);
        augment(b, &cfg, ds, 0, 2, 2);
        assert_memory_not_equal(a, b, bytes);
        augment(b, &cfg, ds, 0, 1, 3);
        assert_memory_not_equal(a, b, bytes);
        for (size_t e = 0; e < bytes / sizeof *a; e++) assert_true(isfinite(a[e]));
        drl_dataset_free(ds);
    }
}

/* everything() with one kind on or off; resized_crop at the strength with which most of its windows are the whole. */
enum { FLIP, CROP, RAND_OPS, RESIZED_CROP, JITTER, GREY, BLUR, NOISE, KINDS };
static drl_augment_cfg with(drl_augment_cfg cfg, int kind, bool on) {
    const drl_augment_cfg all = everything();
    switch (kind) {
    case FLIP: cfg.augment_flip = on; break;
    case CROP: cfg.augment_crop = on ? 1 : 0; break;
    case RAND_OPS: cfg.augment_rand_ops = on ? 1 : 0, cfg.augment_rand_magnitude = 9; break;
    case RESIZED_CROP: cfg.augment_resized_crop = on ? 1 : 0; break;
    case JITTER: cfg.augment_jitter = on ? all.augment_jitter : 0; break;
    case GREY: cfg.augment_grey = on ? all.augment_grey : 0; break;
    case BLUR: cfg.augment_blur = on ? all.augment_blur : 0; break;
    default: cfg.augment_noise = on ? all.augment_noise : 0;
    }
    return cfg;
}

static double most_different(const drl_real *a, const drl_real *b, size_t n) {
    double most = 0;
    for (size_t e = 0; e < n; e++) most = fmax(most, fabs((double)(a[e] - b[e])));
    return most;
}

/* Where a kind leaves the picture alone, switching it on changes nothing of what the others make of it. */
static void test_kinds_do_not_disturb(void **state) {
    (void)state;
    drl_dataset *ds = open_images("synthetic:factors");
    drl_real plain[IMAGE * IMAGE * 3], alone[LENGTH(plain)], on[LENGTH(plain)], off[LENGTH(plain)];
    drl_batch_images(plain, ds, DRL_SPLIT_TRAIN, (uint32_t[]){3}, 1);
    for (int kind = FLIP; kind < NOISE; kind++) {
        const drl_augment_cfg only = with((drl_augment_cfg){0}, kind, true);
        const drl_augment_cfg others = with(everything(), kind, false), all = with(everything(), kind, true);
        size_t idle = 0;
        for (size_t i = 0; i < 400; i++) {
            augment(alone, &only, ds, 0, 1, i);
            if (most_different(alone, plain, LENGTH(plain)) > 1e-5) continue;
            idle++;
            augment(on, &all, ds, 0, 1, i);
            augment(off, &others, ds, 0, 1, i);
            if (!(most_different(on, off, LENGTH(on)) <= 1e-3))
                fail_msg("kind %d changes what others do to picture %zu", kind, i);
        }
        if (idle < 10) fail_msg("kind %d left %zu pictures alone", kind, idle);
    }
    drl_dataset_free(ds);
}

/* An image is flipped or not whatever comes after it: with colours changed and blurred it is the mirror image. */
static void test_flip_with_others(void **state) {
    (void)state;
    drl_dataset *ds = open_images("synthetic:factors");
    drl_real plain[IMAGE * IMAGE * 3], got[LENGTH(plain)], others[LENGTH(plain)], mirrored[LENGTH(plain)];
    drl_augment_cfg flip = {.augment_flip = true},
                    rest = {.augment_jitter = 1, .augment_grey = 0.2, .augment_blur = 0.5};
    drl_augment_cfg both = rest;
    both.augment_flip = true;
    drl_batch_images(plain, ds, DRL_SPLIT_TRAIN, (uint32_t[]){3}, 1);
    size_t flipped = 0;
    for (size_t i = 0; i < 200; i++) {
        augment(got, &flip, ds, 0, 1, i);
        bool flips = memcmp(got, plain, sizeof got) != 0;
        flipped += flips;
        augment(others, &rest, ds, 0, 1, i);
        augment(got, &both, ds, 0, 1, i);
        for (size_t p = 0; p < IMAGE * IMAGE; p++)
            memcpy(mirrored + 3 * p, others + 3 * (p - p % IMAGE + IMAGE - 1 - p % IMAGE), 3 * sizeof *mirrored);
        if (!(most_different(got, flips ? mirrored : others, LENGTH(got)) <= 1e-4)) fail_msg("picture %zu", i);
    }
    assert_true(flipped > 60 && flipped < 140);
    drl_dataset_free(ds);
}

static void test_check(void **state) {
    (void)state;
    drl_err err;
    const drl_augment_cfg crop = {.augment_crop = 12}, none = {.augment_rand_magnitude = 9}, all = everything();
    assert_int_equal(drl_augment_check(&crop, 12, 40, &err), DRL_ERR_CONFIG);
    assert_non_null(strstr(err.message, "augment.crop = 12"));
    assert_int_equal(drl_augment_check(&crop, 13, 40, &err), DRL_OK);
    assert_false(drl_augment_active(&none));
    assert_true(drl_augment_active(&all));
}

/* ---- The feed ---------------------------------------------------------------------------------------------------- */

enum { BATCH = 5, STEPS = 9, PICTURE = IMAGE * IMAGE * 3 };

/* The same pictures from any number of threads, from a feed that starts late, and after a jump. */
static void test_feed(void **state) {
    (void)state;
    drl_dataset *ds = open_images("synthetic:factors");
    static drl_real want[STEPS][2 * BATCH * PICTURE];
    drl_real scratch[4 * PICTURE];
    drl_order order;
    uint32_t index[BATCH];
    const drl_augment_cfg cfg = everything();
    assert_int_equal(drl_order_init(&order, 7, ds->split[0].n, NULL), DRL_OK);
    for (uint32_t step = 0; step < STEPS; step++) {
        drl_order_batch(&order, step, BATCH, index);
        for (uint32_t view = 0; view < 2; view++)
            for (size_t i = 0; i < BATCH; i++) {
                const drl_augment_draw draw = {7, view, step, i};
                drl_augment_image(want[step] + (view * BATCH + i) * PICTURE, &cfg, ds, index[i], &draw, scratch);
            }
    }
    drl_order_free(&order);
    static const uint64_t steps[] = {4, 5, 6, 6, 7, 8, 0, 1, 2, 3, 7, 8};
    for (size_t threads = 1; threads <= 3; threads++) {
        drl_feed *feed;
        const drl_feed_cfg fc = {ds, cfg, 7, BATCH, 2, threads, NULL, 0};
        assert_int_equal(drl_feed_open(&feed, &fc, NULL), DRL_OK);
        for (size_t k = 0; k < LENGTH(steps); k++) {
            const drl_real *got;
            assert_int_equal(drl_feed_take(&got, feed, steps[k], NULL), DRL_OK);
            if (memcmp(got, want[steps[k]], sizeof *want) != 0)
                fail_msg("%zu threads: step %d differs", threads, (int)steps[k]);
        }
        drl_feed_close(feed); /* threads are at work on the steps to come */
        assert_int_equal(drl_feed_open(&feed, &fc, NULL), DRL_OK);
        drl_feed_close(feed);
    }
    drl_dataset_free(ds);
    assert_int_equal(drl_mem_get_stats().bytes, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rand_ops),
        cmocka_unit_test(test_equalize),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_flip_and_crop),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_probabilities),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_feed),
        cmocka_unit_test(test_kinds_do_not_disturb),
        cmocka_unit_test(test_flip_with_others),
    };
    return cmocka_run_group_tests_name("augmentation", tests, NULL, NULL) ? 1 : 0;
}
