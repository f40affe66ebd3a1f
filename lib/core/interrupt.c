/* The flag that SIGINT and SIGTERM set (drl/interrupt.h). */
#define _POSIX_C_SOURCE 200809L
#include "drl/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_int interrupted; /* lock-free, so a signal handler may write it */

static void on_signal(int number) {
    (void)number;
    atomic_store(&interrupted, 1);
}

void drl_interrupt_install(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* whoever read our messages may be gone before the checkpoint is written */
}

bool drl_interrupted(void) {
    return atomic_load(&interrupted) != 0;
}
