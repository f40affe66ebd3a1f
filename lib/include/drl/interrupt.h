/* Ctrl-C, politely: SIGINT and SIGTERM set a flag that long work looks at between its steps. */
#ifndef DRL_INTERRUPT_H
#define DRL_INTERRUPT_H

#include <stdbool.h>

/* From now on the first SIGINT or SIGTERM only sets the flag; a second one ends the process as usual.
 * SIGPIPE is ignored: Ctrl-C also ends the programs that read our messages, and work must be saved all the same. */
void drl_interrupt_install(void);

/* Whether the flag is set. Work that stops because of it returns DRL_ERR_INTERRUPTED. */
bool drl_interrupted(void);

#endif
