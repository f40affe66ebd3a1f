/* The BLAS guard end to end: which kernels a process ends up with (drl/blas.h, blas_guard_probe.c). */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "drl/blas.h"

/* Runs "VARIABLES bin/blas_guard_DETECTION ARGUMENTS"; out gets what it printed, both streams. A loop of restarts would
 * end in the time limit and fail here. */
static void probe(char *out, size_t size, const char *variables, const char *detection, const char *arguments) {
    char command[1024];
    snprintf(command, sizeof command, "env -u OPENBLAS_CORETYPE %s timeout 30 '%s/blas_guard_%s' %s 2>&1", variables,
             DRL_BIN_DIR, detection, arguments);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    out[fread(out, 1, size - 1, f)] = '\0';
    int status = pclose(f);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("%s: status %d: %s", command, status, out);
}

static size_t occurrences(const char *text, const char *word) {
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, word)) != NULL; p++) n++;
    return n;
}

/* The kernel set the guard should ask for instead of Prescott on this CPU; NULL where there is none. */
static const char *best_core(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return drl_blas_better_core("Prescott", avx512, avx2);
#else
    return NULL;
#endif
}

/* Whatever OpenBLAS detects here, the process ends with kernels that use all of the CPU, after one restart at most. */
static void this_cpu_is_used(void **state) {
    (void)state;
    if (!best_core()) skip();
    char out[1024], core[64];
    probe(out, sizeof out, "", "real", "");
    assert_true(occurrences(out, "restarting") <= 1);
    const char *kernels = strstr(out, "kernels=");
    assert_non_null(kernels);
    assert_int_equal(sscanf(kernels, "kernels=%63s", core), 1);
    bool avx512 = strcmp(best_core(), "SkylakeX") == 0;
    assert_null(drl_blas_better_core(core, avx512, true));
}

/* A wrong detection is mended by one restart that says so in one line and keeps the arguments. */
static void wrong_detection_is_mended(void **state) {
    (void)state;
    if (!best_core()) skip();
    char out[1024], want[256];
    probe(out, sizeof out, "", "fooled", "--scale smoke 'two words' ''");
    snprintf(want, sizeof want,
             "OpenBLAS took this CPU for \"Prescott\"; restarting with OPENBLAS_CORETYPE=%s\n"
             "kernels=%s [--scale] [smoke] [two words] []\n",
             best_core(), best_core());
    assert_string_equal(out, want);
}

static void the_users_choice_is_respected(void **state) {
    (void)state;
    if (!best_core()) skip();
    char out[1024];
    probe(out, sizeof out, "OPENBLAS_CORETYPE=Haswell", "real", "");
    assert_string_equal(out, "kernels=Haswell\n");
    probe(out, sizeof out, "OPENBLAS_CORETYPE=Prescott", "fooled", "");
    assert_string_equal(out, "kernels=Prescott\n");
}

/* Where the restart does not help, the program runs with what it has. */
static void never_loops(void **state) {
    (void)state;
    if (!best_core()) skip();
    char out[1024];
    probe(out, sizeof out, "", "hopeless", "");
    assert_int_equal(occurrences(out, "restarting"), 1);
    assert_non_null(strstr(out, "\nkernels=Prescott\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_cpu_is_used),
        cmocka_unit_test(wrong_detection_is_mended),
        cmocka_unit_test(the_users_choice_is_respected),
        cmocka_unit_test(never_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
