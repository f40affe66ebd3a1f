/* The codes that others are compared with: supervised, which must not see a validation image, untrained, and pixels. */
#include "methods.h"

enum { SIZE = SIDE * SIDE * 3, EPOCHS = 4 };

/* Where the probes' training part ends: images part[0 .. size). */
typedef struct validation {
    uint32_t order[TRAIN_IMAGES];
    size_t size;
    bool training[TRAIN_IMAGES], used[TRAIN_IMAGES];
} validation;

static void split(validation *v, uint64_t seed) {
    memset(v, 0, sizeof *v);
    drl_split_validation(v->order, TRAIN_IMAGES, seed);
    v->size = TRAIN_IMAGES - drl_validation_size(TRAIN_IMAGES);
    assert_true(v->size < TRAIN_IMAGES);
    for (size_t i = 0; i < v->size; i++) v->training[v->order[i]] = true;
}

static bool takes_labels(const drl_method *method) {
    return method->labels && method->build;
}

/* A picture as the feed may have made it with augment.flip: the image, or its mirror image. */
static bool is_image_or_mirror(const drl_real *picture, uint32_t image) {
    drl_real x[SIZE];
    bool same = true, mirrored = true;
    drl_batch_images(x, data, DRL_SPLIT_TRAIN, &image, 1);
    for (size_t i = 0; i < SIDE; i++)
        for (size_t j = 0; j < SIDE; j++)
            for (size_t c = 0; c < 3; c++) {
                drl_real p = picture[(i * SIDE + j) * 3 + c];
                same = same && fabs((double)(p - x[(i * SIDE + j) * 3 + c])) < 1e-5;
                mirrored = mirrored && fabs((double)(p - x[(i * SIDE + SIDE - 1 - j) * 3 + c])) < 1e-5;
            }
    return same || mirrored;
}

/* Over some epochs every image is of the training part, and all of that is seen; the pictures are of those images. */
static void validation_images_stay_unseen(void **state) {
    const drl_method *method = *state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        for (int augmented = 0; augmented < 2; augmented++) {
            static validation v;
            drl_model *m = open_small(method->name, SETS(augmented ? "augment.flip=yes" : "augment.flip=no"), seed);
            split(&v, seed);
            assert_int_equal(augmented, m->feed != NULL);
            size_t steps = (EPOCHS * v.size + BATCH - 1) / BATCH;
            for (size_t k = 0; k < steps; k++) {
                drl_real x[BATCH * SIZE];
                step(m);
                for (size_t i = 0; i < BATCH; i++) {
                    assert_true(m->index[i] < TRAIN_IMAGES && v.training[m->index[i]]);
                    v.used[m->index[i]] = true;
                }
                drl_model_images(m, x, 0, 0, BATCH);
                for (size_t i = 0; i < BATCH; i++) assert_true(is_image_or_mirror(x + i * SIZE, m->index[i]));
            }
            for (size_t i = 0; i < TRAIN_IMAGES; i++) assert_int_equal(v.used[i], v.training[i]);
            drl_model_close(m);
        }
}

/* And a method without labels takes all of them. */
static void others_see_all_images(void **state) {
    (void)state;
    drl_model *m = open_small("dsm", NULL, 1);
    bool used[TRAIN_IMAGES] = {false};
    for (size_t k = 0; k < (TRAIN_IMAGES + BATCH - 1) / BATCH; k++) {
        take_batch(m, k);
        for (size_t i = 0; i < BATCH; i++) used[m->index[i]] = true;
    }
    for (size_t i = 0; i < TRAIN_IMAGES; i++) assert_true(used[i]);
    drl_model_close(m);
}

typedef struct labelled {
    drl_model *m;
    drl_tensor label, picture, t;
    size_t compared, wrong; /* no check that jumps out of a run */
} labelled;

static void compare_labels(void *arg, size_t shard, size_t first, size_t n) {
    labelled *l = arg;
    l->m->trainer->fill(l->m, shard, first, n);
    const drl_real *label = drl_graph_value(l->m->train, l->label, shard);
    const drl_real *picture = drl_graph_value(l->m->train, l->picture, shard);
    for (size_t i = 0; i < n; i++) {
        uint32_t image = l->m->index[first + i];
        l->wrong += label[i] != (drl_real)data->split[DRL_SPLIT_TRAIN].labels[image];
        l->wrong += !is_image_or_mirror(picture + i * SIZE, image);
        l->wrong += drl_graph_value(l->m->train, l->t, shard)[i] != 0;
        l->compared++;
    }
}

/* The graph's labels are those of the images whose pictures lie beside them. On one thread, which counts. */
static void labels_belong_to_the_pictures(void **state) {
    (void)state;
    drl_threads *usual = team, *one;
    assert_int_equal(drl_threads_open(&one, 1, NULL), DRL_OK);
    team = one;
    for (int augmented = 0; augmented < 2; augmented++) {
        drl_model *m = open_small("supervised", SETS(augmented ? "augment.flip=yes" : "augment.flip=no"), 5);
        labelled l = {
            m, drl_graph_find(m->train, "label"), drl_graph_find(m->train, "x0"), drl_graph_find(m->train, "t"), 0, 0};
        assert_true(l.label >= 0 && l.picture >= 0 && l.t >= 0);
        for (uint64_t k = 0; k < 20; k++) {
            take_batch(m, k);
            drl_graph_run(m->train, BATCH, (uint32_t)k, compare_labels, &l, false);
        }
        assert_int_equal(l.compared, 20 * BATCH);
        assert_int_equal(l.wrong, 0);
        drl_model_close(m);
    }
    team = usual;
    drl_threads_close(one);
}

/* Tensors are drawn by name: untrained codes are those that DRL starts from, at t = 0, and do not depend on t. */
static void untrained_is_where_drl_starts(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        drl_model *untrained = open_small("untrained", NULL, seed), *drl = open_small("drl", NULL, seed);
        const size_t d = drl_model_code_size(drl), bytes = TEST_IMAGES * d * sizeof(drl_real);
        assert_int_equal(drl_model_code_size(untrained), d);
        assert_null(untrained->train);
        assert_false(drl_model_trajectory(untrained));
        drl_real *want = encode(drl, 0), *got = encode(untrained, 0), *late = encode(untrained, 0.8);
        double sum = 0;
        for (size_t i = 0; i < TEST_IMAGES * d; i++) sum += (double)want[i];
        assert_true(sum > 0);
        assert_memory_equal(got, want, bytes);
        assert_memory_equal(late, want, bytes);
        drl_free(want);
        for (int i = 0; i < 3; i++) step(drl);
        want = encode(drl, 0);
        assert_true(memcmp(got, want, bytes) != 0); /* training moves them */
        drl_free(want), drl_free(got), drl_free(late);
        drl_model_close(untrained), drl_model_close(drl);
    }
}

static void pixels_are_the_images(void **state) {
    (void)state;
    drl_model *m = open_small("pixels", NULL, 1);
    uint32_t index[TEST_IMAGES];
    for (uint32_t i = 0; i < TEST_IMAGES; i++) index[i] = i;
    assert_int_equal(drl_model_code_size(m), SIZE);
    drl_real *codes = encode(m, 0.5), *images = block(TEST_IMAGES * SIZE);
    drl_batch_images(images, data, DRL_SPLIT_TEST, index, TEST_IMAGES);
    for (size_t i = 0; i < TEST_IMAGES * SIZE; i++) assert_true(codes[i] == images[i]);
    drl_free(codes), drl_free(images);
    drl_model_close(m);
}

int main(int argc, char **argv) {
    struct CMUnitTest tests[MANY_METHODS + 8] = {
        cmocka_unit_test(others_see_all_images),
        cmocka_unit_test(labels_belong_to_the_pictures),
        cmocka_unit_test(untrained_is_where_drl_starts),
        cmocka_unit_test(pixels_are_the_images),
    };
    methods_begin(argv);
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    size_t n = 4 + methods_tests(tests + 4, validation_images_stay_unseen, takes_labels);
    assert(n > 4);
    return _cmocka_run_group_tests("references", tests, n, methods_setup, methods_teardown) ? 1 : 0;
}
