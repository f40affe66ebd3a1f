/* Messages and progress (drl/log.h). */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drl/log.h"

static void durations(void **state) {
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {
        {0, "0.0 s"},         {12.34, "12.3 s"},       {59.94, "59.9 s"},        {59.96, "1 min 00 s"},
        {60, "1 min 00 s"},   {200, "3 min 20 s"},     {3599, "59 min 59 s"},    {3599.7, "1 h 00 min"},
        {3720, "1 h 02 min"}, {359999, "99 h 59 min"}, {360000, "100 h"},        {1e7, "2778 h"},
        {(double)NAN, "?"},   {(double)INFINITY, "?"}, {-(double)INFINITY, "?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char buf[32];
        assert_ptr_equal(drl_format_duration(buf, sizeof buf, cases[i].seconds), buf);
        assert_string_equal(buf, cases[i].text);
    }
    char tiny[4];
    drl_format_duration(tiny, sizeof tiny, 3720);
    assert_string_equal(tiny, "1 h");
}

static void clock_is_monotonic(void **state) {
    (void)state;
    double last = drl_now();
    for (int i = 0; i < 1000; i++) {
        double now = drl_now();
        assert_true(now >= last);
        last = now;
    }
}

/* What write_lines() sends to standard error, in `text`. */
static void capture(char *text, size_t size, void (*write_lines)(void)) {
    FILE *f = tmpfile();
    assert_non_null(f);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0 && dup2(fileno(f), STDERR_FILENO) >= 0);
    write_lines();
    fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(f);
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
}

static void write_message(void) {
    drl_log("epoch %d", 3);
    drl_log_quiet(true);
    drl_log("not shown");
    drl_log_quiet(false);
}

static void messages(void **state) {
    (void)state;
    char text[256];
    capture(text, sizeof text, write_message);
    static const char pattern[] = "[00:00:00] epoch 3\n"; /* 0: any digit */
    assert_int_equal(strlen(text), sizeof pattern - 1);
    for (size_t i = 0; pattern[i]; i++)
        if (pattern[i] == '0')
            assert_true(text[i] >= '0' && text[i] <= '9');
        else
            assert_int_equal(text[i], pattern[i]);
}

static void write_progress(void) {
    drl_progress p;
    drl_progress_begin(&p, "DRL, seed 1", 10, 30);
    p.plain_seconds = 0;
    p.started -= 5; /* as if five seconds had passed */
    drl_progress_update(&p, 20, 1000, 812.4);
    p.plain_seconds = 1000;
    drl_progress_update(&p, 21, 100, 1.0); /* too early for another line */
    drl_progress_end(&p, 30, (double)NAN);
}

/* Not a terminal: whole lines, rate and ETA from this process's steps only. */
static void progress_lines(void **state) {
    (void)state;
    char text[512];
    capture(text, sizeof text, write_progress);
    assert_non_null(strstr(text, "] DRL, seed 1: step 20/30  loss 812.4  200 images/s  ETA 5.0 s\n["));
    assert_non_null(strstr(text, "] DRL, seed 1: 30 of 30 steps, 5.0 s, 220 images/s\n"));
    assert_null(strstr(text, "step 21"));
    assert_null(strchr(text, '\r'));
}

static void write_download(void) {
    drl_progress p;
    drl_progress_begin_bytes(&p, "x.gz", 1 << 20, 11 << 20);
    p.plain_seconds = 0;
    p.started -= 5;
    drl_progress_update(&p, 6 << 20, 0, (double)NAN);
    drl_progress_end(&p, 11 << 20, (double)NAN);
}

/* The rate is that of the bytes of this process, not of what was there already. */
static void downloads(void **state) {
    (void)state;
    char text[512];
    capture(text, sizeof text, write_download);
    assert_non_null(strstr(text, "] x.gz: 6.0/11.0 MiB  1.0 MiB/s  ETA 5.0 s\n["));
    assert_non_null(strstr(text, "] x.gz: 11.0 of 11.0 MiB, 5.0 s\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),      cmocka_unit_test(clock_is_monotonic), cmocka_unit_test(messages),
        cmocka_unit_test(progress_lines), cmocka_unit_test(downloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
