/* Status codes, messages and their context (drl/err.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drl/err.h"

static void message_and_status(void **state) {
    (void)state;
    drl_err err = {0};
    assert_int_equal(drl_fail(&err, DRL_ERR_FORMAT, "image %d: want %d bytes", 7, 3073), DRL_ERR_FORMAT);
    assert_int_equal(err.status, DRL_ERR_FORMAT);
    assert_string_equal(err.message, "image 7: want 3073 bytes");
}

static void every_code_has_its_text(void **state) {
    (void)state;
    assert_int_equal(DRL_OK, 0);
#define CHECK_TEXT(code, text) assert_string_equal(drl_status_text(DRL_##code), text);
    DRL_STATUS_LIST(CHECK_TEXT)
#undef CHECK_TEXT
    assert_string_equal(drl_status_text((drl_status)999), "unknown status");
}

static void context_comes_first(void **state) {
    (void)state;
    drl_err err = {0};
    drl_fail(&err, DRL_ERR_FORMAT, "image 7: too short");
    assert_int_equal(drl_err_context(&err, DRL_ERR_FORMAT, "%s", "data_batch_3.bin"), DRL_ERR_FORMAT);
    assert_int_equal(drl_err_context(&err, DRL_ERR_IO, "%s", "cifar10.tar.gz"),
                     DRL_ERR_FORMAT); /* the first cause stays */
    assert_string_equal(err.message, "cifar10.tar.gz: data_batch_3.bin: image 7: too short");
}

static void null_err_is_allowed(void **state) {
    (void)state;
    assert_int_equal(drl_fail(NULL, DRL_ERR_IO, "x"), DRL_ERR_IO);
    assert_int_equal(drl_err_context(NULL, DRL_ERR_LIMIT, "x"), DRL_ERR_LIMIT);
}

/* Long messages are cut, never overrun: the word behind the struct keeps its value. */
static void long_messages_are_cut(void **state) {
    (void)state;
    struct {
        drl_err err;
        uint64_t sentinel;
    } s = {.sentinel = 0x5e171e15e171e1u};
    const size_t last = sizeof s.err.message - 1;
    char text[2 * sizeof s.err.message];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';

    drl_fail(&s.err, DRL_ERR_IO, "%s", text);
    assert_int_equal(strlen(s.err.message), last);
    drl_err_context(&s.err, DRL_ERR_IO, "archive");
    assert_int_equal(strlen(s.err.message), last);
    assert_memory_equal(s.err.message, "archive: aaaa", 13);
    drl_err_context(&s.err, DRL_ERR_IO, "%s", text); /* no room for the old message */
    assert_int_equal(strlen(s.err.message), last);
    assert_int_equal(s.sentinel, 0x5e171e15e171e1u);
}

/* A context that leaves 0, 1, 2, 3 bytes for ": " and the old message. */
static void context_at_the_edge(void **state) {
    (void)state;
    static const char *const tails[] = {"", ":", ": ", ": o"};
    for (size_t room = 0; room < 4; room++) {
        drl_err err = {0};
        const size_t last = sizeof err.message - 1;
        drl_fail(&err, DRL_ERR_IO, "old");
        drl_err_context(&err, DRL_ERR_IO, "%0*d", (int)(last - room), 0);
        assert_int_equal(strlen(err.message), last);
        assert_string_equal(err.message + last - room, tails[room]);
    }
}

static void one_printable_line(void **state) {
    (void)state;
    drl_err err = {0};
    drl_fail(&err, DRL_ERR_FORMAT, "magic '%s' in Schölkopf", "\n\r\t\033[2J\177");
    assert_string_equal(err.message, "magic '????[2J?' in Schölkopf");
    drl_err_context(&err, DRL_ERR_FORMAT, "line\nbreak");
    assert_string_equal(err.message, "line?break: magic '????[2J?' in Schölkopf");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_and_status),    cmocka_unit_test(every_code_has_its_text),
        cmocka_unit_test(context_comes_first),   cmocka_unit_test(null_err_is_allowed),
        cmocka_unit_test(long_messages_are_cut), cmocka_unit_test(context_at_the_edge),
        cmocka_unit_test(one_printable_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
