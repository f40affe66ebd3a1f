/* NumPy's array format: what is read, what is refused, and every cut and flip of a header. */
#include "arrays.h"

#include "data/npy.h"

static buffer array;

static drl_status parse(drl_npy *npy, drl_err *err) {
    /* a copy of its exact size, so that the address sanitizer sees a read behind the end */
    uint8_t *bytes = malloc(array.size + !array.size);
    memcpy(bytes, array.bytes, array.size);
    drl_status st = drl_npy_parse(npy, bytes, array.size, err);
    if (st == DRL_OK) npy->data = array.bytes + (npy->data - bytes);
    free(bytes);
    return st;
}

/* Each integer type: its smallest and largest values, and which of them are an index below 256. */
static void test_types(void **state) {
    (void)state;
    static const struct {
        const char *descr;
        char type;
        size_t item;
    } types[] = {{"|u1", 'u', 1}, {"<u2", 'u', 2}, {"<u4", 'u', 4}, {"<u8", 'u', 8},
                 {"|i1", 'i', 1}, {"<i2", 'i', 2}, {"<i4", 'i', 4}, {"<i8", 'i', 8}};
    drl_npy npy;
    drl_err err;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        uint8_t bytes[4 * 8] = {0};
        size_t item = types[t].item;
        bytes[0] = 127;                      /* 127                      */
        memset(bytes + item, 0xff, item);    /* -1, or the largest       */
        bytes[3 * item - 1] = 0x80;          /* the smallest, or 2^(b-1) */
        bytes[3 * item] = item > 1 ? 0 : 40; /* 256, or 40               */
        if (item > 1) bytes[3 * item + 1] = 1;
        npy_make(&array, types[t].descr, "4,", bytes, 4 * item);
        if (parse(&npy, &err) != DRL_OK) fail_msg("%s: %s", types[t].descr, err.message);
        assert_true(npy.type == types[t].type && npy.item == item && npy.rank == 1 && npy.shape[0] == 4 &&
                    npy.count == 4);
        bool byte = types[t].type == 'u' && item == 1;
        assert_int_equal(drl_npy_index(&npy, 0, 256), 127);
        assert_int_equal(drl_npy_index(&npy, 0, 127), -1);
        assert_int_equal(drl_npy_index(&npy, 1, 256), byte ? 255 : -1);
        assert_int_equal(drl_npy_index(&npy, 2, 256), byte ? 128 : -1);
        assert_int_equal(drl_npy_index(&npy, 3, 256), item > 1 ? -1 : 40);
        assert_int_equal(drl_npy_index(&npy, 3, 257), item > 1 ? 256 : 40);
    }
    static const uint8_t floats[] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0}; /* 1, -2 */
    npy_make(&array, "<f4", "2,", floats, sizeof floats);
    assert_int_equal(parse(&npy, &err), DRL_OK);
    assert_true(npy.type == 'f' && drl_npy_float(&npy, 0) == 1 && drl_npy_float(&npy, 1) == -2);
}

/* All that is legal in a header beside what NumPy writes today. */
static void test_headers(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3)}",
        "{\"shape\":(2,3,),\"fortran_order\":False,\"descr\":\"|u1\"}",
        " { 'fortran_order' : False , 'shape' : ( 2 , 3 ) , 'descr' : '|u1' , } ",
    };
    drl_npy npy;
    drl_err err;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        for (int version = 1; version <= 3; version++) {
            npy_text(&array, version, texts[k], "abcdef", 6);
            if (parse(&npy, &err) != DRL_OK) fail_msg("%s: %s", texts[k], err.message);
            assert_true(npy.rank == 2 && npy.shape[0] == 2 && npy.shape[1] == 3 && npy.count == 6);
            assert_memory_equal(npy.data, "abcdef", 6);
        }
    npy_make(&array, "|u1", "", "a", 1);
    assert_int_equal(parse(&npy, &err), DRL_OK);
    assert_true(npy.rank == 0 && npy.count == 1);
    npy_make(&array, "|u1", "0,", "", 0);
    assert_int_equal(parse(&npy, &err), DRL_OK);
    assert_true(npy.rank == 1 && npy.count == 0);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *piece;
    } cases[] = {
        {"{'descr': '>u2', 'fortran_order': False, 'shape': (6,), }", "big-endian (>u2): want little-endian"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (6,), }", "big-endian (>f4)"},
        {"{'descr': '=u2', 'fortran_order': False, 'shape': (6,), }", "of type =u2: want integers or float32"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (6,), }", "of type <f8"},
        {"{'descr': '<f2', 'fortran_order': False, 'shape': (6,), }", "of type <f2"},
        {"{'descr': '|b1', 'fortran_order': False, 'shape': (6,), }", "of type |b1"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (6,), }", "of type |O"},
        {"{'descr': '<U3', 'fortran_order': False, 'shape': (6,), }", "of type <U3"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (6,), }", "of type <c8"},
        {"{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (6,), }", "of type <M8[ns]"},
        {"{'descr': '', 'fortran_order': False, 'shape': (6,), }", "of type : want"},
        {"{'descr': '<a very long name of a type', 'fortran_order': False, 'shape': (6,), }",
         "not the name of a simple"},
        {"{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (6,), }", "not the name of a simple type"},
        {"{'descr': '|u1', 'fortran_order': True, 'shape': (6,), }", "Fortran order: want C order"},
        {"{'descr': '|u1', 'fortran_order': 0, 'shape': (6,), }", "fortran_order is neither True nor False"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6), }", "shape is no tuple"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': 6, }", "shape is no tuple"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': [6], }", "shape is no tuple"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (,), }", "shape is no tuple"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6,,), }", "shape is no tuple"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (-6,), }", "shape is no tuple"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6.0,), }", "shape is no tuple"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6L,), }", "shape is no tuple"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (2 3), }", "shape is no tuple"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (18446744073709551616,), }", "shape is no tuple"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1, 1, 6), }", "more than 4 dimensions"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }", "elements: want 5 bytes, got 6"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (7,), }", "elements: want 7 bytes, got 6"},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (6,), }", "elements: want 12 bytes, got 6"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (), }", "elements: want 1 bytes, got 6"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (18446744073709551615,), }",
         "want 18446744073709551615 bytes"},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (9223372036854775811,), }", "does not fit 64 bits"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "does not fit 64 bits"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296, 0), }", "does not fit 64 bits"},
        {"{'descr': '|u1', 'fortran_order': False, }", "the header has no shape"},
        {"{'descr': '|u1', 'shape': (6,), }", "the header has no fortran_order"},
        {"{'fortran_order': False, 'shape': (6,), }", "the header has no descr"},
        {"{}", "the header has no descr"},
        {"{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (6,), }", "key 1 is not one of"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6,), 'more': 1}", "key 3 is not one of"},
        {"{'descr' '|u1'}", "key 0 is not one of"},
        {"{'des\\x63r': '|u1'}", "key 0 is not one of"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6,)", "no Python dictionary"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6,), } x", "no Python dictionary"},
        {"{'descr': '|u1' 'fortran_order': False, 'shape': (6,), }", "no Python dictionary"},
        {"'descr': '|u1', 'fortran_order': False, 'shape': (6,)", "no Python dictionary"},
        {"", "no Python dictionary"},
    };
    drl_npy npy;
    drl_err err;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        npy_text(&array, 1 + (int)(k % 3), cases[k].text, "abcdef", 6);
        assert_refused(parse(&npy, &err), &err, 0, cases[k].piece);
    }
    static const struct {
        size_t at;
        uint8_t to;
        const char *piece;
    } bytes[] = {{0, 0x92, "magic of a NumPy array"},
                 {6, 4, "version 4.0 of the array format"},
                 {6, 0, "version 0.0"},
                 {7, 1, "version 1.1"},
                 {8, 0, "does not end with a newline"},
                 {9, 1, "header: want 374 bytes, got 124"},
                 {9, 0xff, "a header of 65398 bytes: want at most 10000"},
                 {127, ' ', "does not end with a newline"}};
    for (size_t k = 0; k < sizeof bytes / sizeof *bytes; k++) {
        npy_make(&array, "|u1", "6,", "abcdef", 6);
        array.bytes[bytes[k].at] = bytes[k].to;
        if (bytes[k].at == 8) array.bytes[9] = 0;
        assert_refused(parse(&npy, &err), &err, 0, bytes[k].piece);
    }
}

/* No cut is accepted; a changed header is refused, or describes as many bytes as are there. */
static void test_cuts_and_flips(void **state) {
    (void)state;
    drl_npy npy;
    drl_err err;
    npy_make(&array, "<i2", "2, 3", "abcdefghijkl", 12);
    size_t whole = array.size, accepted = 0;
    for (array.size = 0; array.size < whole; array.size++) assert_refused(parse(&npy, &err), &err, 0, "");
    for (size_t at = 0; at < whole - 12; at++)
        for (unsigned to = 0; to < 256; to++) {
            uint8_t was = array.bytes[at];
            array.bytes[at] = (uint8_t)to;
            if (parse(&npy, &err) == DRL_OK) {
                accepted++;
                assert_true(npy.count * npy.item == 12 && npy.data == array.bytes + whole - 12);
            } else {
                assert_refused(err.status, &err, 0, "");
            }
            array.bytes[at] = was;
        }
    /* the bytes themselves, blanks of other kinds, u for i */
    assert_true(accepted >= whole - 12 && accepted < 4 * whole);
}

/* What is written is what numpy.save writes. */
static void test_writer(void **state) {
    (void)state;
    static const size_t shapes[][DRL_NPY_RANK] = {
        {7}, {2, 3}, {60000, 28, 28}, {SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX}};
    char header[DRL_NPY_HEADER];
    assert_int_equal(drl_npy_header(header, "|u1", 3, shapes[2]), 128);
    npy_make(&array, "|u1", "60000, 28, 28", NULL, 0);
    assert_memory_equal(header, array.bytes, 128);
    npy_make(&array, "|u1", "7,", NULL, 0);
    assert_int_equal(drl_npy_header(header, "|u1", 1, shapes[0]), array.size);
    assert_memory_equal(header, array.bytes, array.size);
    size_t longest = drl_npy_header(header, "|u1", 4, shapes[3]);
    assert_true(longest <= DRL_NPY_HEADER && longest % 64 == 0 && header[longest - 1] == '\n');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),          cmocka_unit_test(test_headers), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cuts_and_flips), cmocka_unit_test(test_writer),
    };
    return cmocka_run_group_tests_name("npy", tests, NULL, NULL);
}
