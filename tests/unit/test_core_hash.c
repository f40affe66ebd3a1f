/* SHA-256 against the examples of FIPS 180-4 and NIST's long message (drl/hash.h). */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drl/hash.h"

static const struct {
    const char *text, *digest;
} vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};
#define MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

/* Digest of a file that holds these bytes. */
static void hash_through_file(char hex[65], const void *bytes, size_t size) {
    char path[] = "drl_hash_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(drl_sha256_file(hex, path, NULL), DRL_OK);
    assert_int_equal(remove(path), 0);
}

static void published_vectors(void **state) {
    (void)state;
    char hex[65];
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        drl_sha256(hex, vectors[i].text, strlen(vectors[i].text));
        assert_string_equal(hex, vectors[i].digest);
        hash_through_file(hex, vectors[i].text, strlen(vectors[i].text));
        assert_string_equal(hex, vectors[i].digest);
    }
}

static void a_million_letters(void **state) {
    (void)state;
    const size_t n = 1000000; /* many read buffers and a tail */
    char hex[65], *text = malloc(n);
    assert_non_null(text);
    memset(text, 'a', n);
    drl_sha256(hex, text, n);
    assert_string_equal(hex, MILLION_A);
    hash_through_file(hex, text, n);
    assert_string_equal(hex, MILLION_A);
    free(text);
}

static void unreadable_files_are_named(void **state) {
    (void)state;
    char hex[65];
    drl_err err = {0};
    assert_int_equal(drl_sha256_file(hex, "no/such/file", &err), DRL_ERR_IO);
    assert_string_equal(err.message, "no/such/file: cannot open: No such file or directory");
    assert_int_equal(drl_sha256_file(hex, "/", &err), DRL_ERR_IO);
    assert_string_equal(err.message, "/: cannot read: Is a directory");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(a_million_letters),
        cmocka_unit_test(unreadable_files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
