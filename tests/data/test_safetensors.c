/* Safetensors files: round trip, every cut, every bent byte, claims a header must not get away with, writing. */
#include "files.h"

#include "drl/safetensors.h"

static const float weights[6] = {1, -2, 3.5f, 0, 1e-30f, -0.25f};
static const int32_t labels[3] = {7, -1, 2147483647};
static const uint8_t bytes[5] = {0, 1, 2, 254, 255};
static const double scalar = 0.1;

static void write_small(const char *name) {
    drl_st_writer *w;
    drl_err err;
    assert_int_equal(drl_st_writer_new(&w, &err), DRL_OK);
    assert_int_equal(drl_st_add_metadata(w, "step", "12", &err), DRL_OK);
    assert_int_equal(drl_st_add(w, "a/weight", "F32", 2, (size_t[]){2, 3}, weights, &err), DRL_OK);
    assert_int_equal(drl_st_add(w, "labels", "I32", 1, (size_t[]){3}, labels, &err), DRL_OK);
    assert_int_equal(drl_st_add(w, "bytes", "U8", 1, (size_t[]){5}, bytes, &err), DRL_OK);
    assert_int_equal(drl_st_add(w, "scalar", "F64", 0, NULL, &scalar, &err), DRL_OK);
    assert_int_equal(drl_st_add(w, "empty", "I64", 2, (size_t[]){0, 4}, &scalar, &err), DRL_OK);
    assert_int_equal(drl_st_add_metadata(w, "config", "{\"k\": 2}\n", &err), DRL_OK);
    assert_int_equal(drl_st_write(w, files_path(name), &err), DRL_OK);
    drl_st_writer_free(w);
}

static void check_tensor(const drl_st *st, size_t at, const char *name, const char *dtype, size_t rank,
                         const size_t *shape, const void *data, size_t size) {
    const drl_st_tensor *t = drl_st_find(st, name);
    assert_non_null(t);
    assert_ptr_equal(t, drl_st_at(st, at));
    assert_string_equal(t->name, name);
    assert_string_equal(t->dtype, dtype);
    assert_int_equal(t->rank, rank);
    for (size_t d = 0; d < rank; d++) assert_int_equal(t->shape[d], shape[d]);
    assert_int_equal((uintptr_t)t->data % DRL_ALIGN, 0);
    assert_memory_equal(t->data, data, size);
}

static void test_round_trip(void **state) {
    (void)state;
    drl_st *st;
    drl_err err;
    write_small("small");
    assert_int_equal(drl_st_open(&st, files_path("small"), &err), DRL_OK);
    assert_int_equal(drl_st_count(st), 5);
    check_tensor(st, 0, "a/weight", "F32", 2, (size_t[]){2, 3}, weights, sizeof weights);
    check_tensor(st, 1, "labels", "I32", 1, (size_t[]){3}, labels, sizeof labels);
    check_tensor(st, 2, "bytes", "U8", 1, (size_t[]){5}, bytes, sizeof bytes);
    check_tensor(st, 3, "scalar", "F64", 0, NULL, &scalar, sizeof scalar);
    check_tensor(st, 4, "empty", "I64", 2, (size_t[]){0, 4}, &scalar, 0);
    assert_int_equal(drl_st_at(st, 3)->count, 1);
    assert_null(drl_st_find(st, "a"));
    assert_null(drl_st_find(st, "__metadata__"));
    assert_string_equal(drl_st_metadata(st, "step"), "12");
    assert_string_equal(drl_st_metadata(st, "config"), "{\"k\": 2}\n");
    assert_null(drl_st_metadata(st, "Step"));
    drl_st_close(st);
}

static void test_no_tensors(void **state) {
    (void)state;
    drl_st_writer *w;
    drl_st *st;
    drl_err err;
    assert_int_equal(drl_st_writer_new(&w, &err), DRL_OK);
    assert_int_equal(drl_st_write(w, files_path("none"), &err), DRL_OK);
    drl_st_writer_free(w);
    assert_int_equal(drl_st_open(&st, files_path("none"), &err), DRL_OK);
    assert_int_equal(drl_st_count(st), 0);
    assert_null(drl_st_find(st, "x"));
    assert_null(drl_st_metadata(st, "x"));
    drl_st_close(st);
}

static size_t load(const char *name, uint8_t *out, size_t room) {
    FILE *f = fopen(files_path(name), "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, room, f);
    fclose(f);
    assert_true(n > 0 && n < room);
    return n;
}

/* Opens what lies in "bent": fine, or refused with one line that names the file. */
static void open_bent(bool may_be_fine) {
    drl_st *st;
    drl_err err;
    size_t before = drl_mem_get_stats().bytes;
    drl_status status = drl_st_open(&st, files_path("bent"), &err);
    if (status != DRL_OK)
        assert_refused(status, &err, before, "/bent: ");
    else
        assert_true(may_be_fine);
    drl_st_close(st);
}

static void test_every_cut(void **state) {
    (void)state;
    uint8_t file[4096];
    write_small("small");
    size_t n = load("small", file, sizeof file);
    for (size_t cut = 0; cut < n; cut++) {
        files_write("bent", file, cut);
        open_bent(false);
    }
    files_write("bent", file, n + 1);
    open_bent(false);
}

static void test_every_bent_byte(void **state) {
    (void)state;
    uint8_t file[4096];
    write_small("small");
    size_t n = load("small", file, sizeof file), header = 8 + file[0] + 256u * file[1];
    for (size_t i = 0; i < header; i++) {
        uint8_t old = file[i];
        const uint8_t bent[] = {old ^ 1, old ^ 2, old ^ 0x10, old ^ 0x80, 0,   0xff, '0',
                                '9',     '"',     '\\',       ']',        '}', ',',  ' '};
        for (size_t b = 0; b < sizeof bent; b++) {
            file[i] = bent[b];
            files_write("bent", file, n);
            open_bent(i >= 8 || bent[b] == old);
        }
        file[i] = old;
    }
}

/* A file with the given header and `data` bytes after it. */
static void write_raw(const char *header, size_t length, size_t data) {
    uint8_t file[4096] = {0};
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)length >> (8 * i));
    memcpy(file + 8, header, length);
    files_write("bent", file, 8 + length + data);
}

static void refuse(const char *header, size_t data, const char *piece) {
    drl_st *st;
    drl_err err;
    size_t before = drl_mem_get_stats().bytes;
    write_raw(header, strlen(header), data);
    assert_refused(drl_st_open(&st, files_path("bent"), &err), &err, before, piece);
}

#define ONE(dtype, shape, offsets) "{\"x\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define TWO(a, b)                                                                                                      \
    "{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" a "},"                                                  \
    "\"y\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" b "}}"

static void test_absurd_claims(void **state) {
    (void)state;
    drl_st *st;
    drl_err err;
    write_raw(ONE("F32", "[1]", "[0,4]") "  ", strlen(ONE("F32", "[1]", "[0,4]")) + 2, 4);
    assert_int_equal(drl_st_open(&st, files_path("bent"), &err), DRL_OK);
    drl_st_close(st);
    refuse(ONE("F16", "[2]", "[0,4]"), 4, "dtype F16");
    refuse(ONE("F32", "[2]", "[0,4]"), 4, "do not fill");
    refuse(ONE("F32", "[1]", "[0,8]"), 4, "do not lie in");
    refuse(ONE("F32", "[1]", "[4,0]"), 4, "do not lie in");
    refuse(ONE("F32", "[1]", "[0]"), 4, "data_offsets");
    refuse(ONE("F32", "[1]", "[0,4,4]"), 4, "data_offsets");
    refuse(ONE("F32", "[1]", "[0,-4]"), 4, "data_offsets");
    refuse(ONE("F32", "[1]", "[0,3.5]"), 4, "data_offsets");
    refuse(ONE("F32", "[1]", "[0,9007199254740993]"), 4, "data_offsets");
    refuse(ONE("F32", "[1]", "[0,1e999]"), 4, "data_offsets");
    refuse(ONE("F32", "[-1]", "[0,4]"), 4, "dimension 0");
    refuse(ONE("F32", "[1.5]", "[0,4]"), 4, "dimension 0");
    refuse(ONE("F32", "[\"1\"]", "[0,4]"), 4, "dimension 0");
    refuse(ONE("F32", "[4294967296,4294967296]", "[0,0]"), 0, "more elements than can be addressed");
    refuse(ONE("F64", "[4611686018427387,1000]", "[0,0]"), 0, "do not fill");
    refuse(ONE("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "more than 8 dimensions");
    refuse(ONE("F32", "1", "[0,4]"), 4, "no shape");
    refuse(TWO("[0,4]", "[3,7]"), 7, "begins at byte 3");
    refuse(TWO("[0,4]", "[5,9]"), 9, "begins at byte 5");
    refuse(TWO("[1,5]", "[5,9]"), 9, "begins at byte 1");
    refuse(TWO("[0,4]", "[4,8]"), 9, "9 bytes of data");
    refuse("{\"x\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
           "\"x\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
           4, "two tensors of this name");
    refuse("{\"x\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2],\"data_offsets\":[0,2]}}", 2, "each once");
    refuse("{\"x\":3}", 0, "x: want dtype");
    refuse("{\"__metadata__\":{\"k\":3}}", 0, "k is not a string");
    refuse("{\"__metadata__\":[]}", 0, "not an object");
    refuse("{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "NUL");
    refuse("[]", 0, "not a JSON object");
    refuse("{} x", 0, "other than spaces");
    refuse("{}", 1, "1 bytes of data");
}

static void test_absurd_length(void **state) {
    (void)state;
    drl_st *st;
    drl_err err;
    uint8_t file[64];
    memset(file, 0xff, sizeof file);
    files_write("bent", file, sizeof file);
    assert_refused(drl_st_open(&st, files_path("bent"), &err), &err, 0,
                   "claims a header of 18446744073709551615 bytes");
    assert_refused(drl_st_open(&st, files_path("absent"), &err), &err, 0, "absent: No such file");
    assert_refused(drl_st_open(&st, files_dir, &err), &err, 0, "not a regular file");
    /* Nested deeper than any parser should follow. */
    char deep[2048];
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"x\":", 5);
    write_raw(deep, sizeof deep, 0);
    assert_refused(drl_st_open(&st, files_path("bent"), &err), &err, 0, "not a JSON object");
}

/* Tensors may lie in another order than the header names them. */
static void test_any_order(void **state) {
    (void)state;
    drl_st *st;
    drl_err err;
    write_raw(TWO("[4,8]", "[0,4]"), strlen(TWO("[4,8]", "[0,4]")), 8);
    assert_int_equal(drl_st_open(&st, files_path("bent"), &err), DRL_OK);
    assert_string_equal(drl_st_at(st, 0)->name, "x");
    drl_st_close(st);
}

static void test_writer_refuses(void **state) {
    (void)state;
    drl_st_writer *w;
    drl_err err;
    assert_int_equal(drl_st_writer_new(&w, &err), DRL_OK);
    size_t held = drl_mem_get_stats().bytes;
    assert_int_equal(drl_st_add(w, "x", "F16", 1, (size_t[]){1}, &scalar, &err), DRL_ERR_CONFIG);
    assert_int_equal(drl_st_add(w, "__metadata__", "F64", 0, NULL, &scalar, &err), DRL_ERR_CONFIG);
    assert_int_equal(drl_st_add(w, "x", "F64", 9, (size_t[9]){0}, &scalar, &err), DRL_ERR_SHAPE);
    assert_int_equal(drl_st_add(w, "x", "F64", 2, (size_t[]){SIZE_MAX / 2, 9}, &scalar, &err), DRL_ERR_LIMIT);
    assert_int_equal(drl_mem_get_stats().bytes, held);
    assert_int_equal(drl_st_add(w, "x", "F64", 0, NULL, &scalar, &err), DRL_OK);
    assert_int_equal(drl_st_add(w, "x", "F64", 0, NULL, &scalar, &err), DRL_ERR_CONFIG);
    assert_non_null(strstr(err.message, "the name is taken"));
    assert_int_equal(drl_st_add_metadata(w, "k", "v", &err), DRL_OK);
    assert_int_equal(drl_st_add_metadata(w, "k", "v", &err), DRL_ERR_CONFIG);
    assert_int_equal(drl_st_write(w, files_path("no/such/directory"), &err), DRL_ERR_IO);
    assert_non_null(strstr(err.message, "no/such/directory"));
    drl_st_writer_free(w);
}

/* A write that fails leaves the old file and nothing else: here the target is a directory, so the rename fails. */
static void test_failed_write_leaves_nothing(void **state) {
    (void)state;
    drl_st_writer *w;
    drl_err err;
    char listing[1024] = "";
    assert_int_equal(mkdir(files_path("target"), 0700), 0);
    assert_int_equal(drl_st_writer_new(&w, &err), DRL_OK);
    assert_int_equal(drl_st_write(w, files_path("target"), &err), DRL_ERR_IO);
    drl_st_writer_free(w);
    snprintf(listing, sizeof listing, "ls '%s' | grep -q tmp", files_dir);
    assert_int_not_equal(system(listing), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_tensors),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_every_bent_byte),
        cmocka_unit_test(test_absurd_claims),
        cmocka_unit_test(test_absurd_length),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_failed_write_leaves_nothing),
    };
    return cmocka_run_group_tests_name("safetensors", tests, files_make, files_remove);
}
