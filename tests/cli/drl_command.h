/* What the tests of `drl COMMAND` share: the command run, and what it printed. COMMAND is defined before. */
#ifndef DRL_TESTS_DRL_COMMAND_H
#define DRL_TESTS_DRL_COMMAND_H

#include "program.h"

static outcome o;

static void run(const char *const *args) {
    const char *argv[PROGRAM_ARGS] = {"drl", COMMAND};
    for (int n = 2; *args; args++) argv[n++] = *args;
    run_program(&o, argv);
}

static void done(const char *const *args) {
    run(args);
    if (o.status != 0) fail_msg("%s: exit status %d: %s", args[0], o.status, o.err);
}
#define DONE(...) done((const char *const[]){__VA_ARGS__, NULL})

static void refused(int status, const char *pieces, const char *const *args) {
    run(args);
    assert_refusal(&o, "drl", status, pieces);
#ifdef NOT_WRITTEN
    if (access(in_dir(NOT_WRITTEN), F_OK) == 0 || temporaries(program_dir) > 0) fail_msg("%s: half-written", pieces);
#endif
}
#define REFUSED(status, pieces, ...) refused(status, pieces, (const char *const[]){__VA_ARGS__, NULL})

#endif
