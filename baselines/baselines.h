/* The methods beside DRL: every other .c file of this directory defines `const drl_method drl_method_FILE`, and CMake
 * makes the list of them. A new method is one new file. */
#ifndef BASELINES_H
#define BASELINES_H

#include "drl/model.h"
#include "drl/views.h"

/* Adds them to the methods known. Before any configuration is read. */
void drl_baselines_add(void);

#endif
