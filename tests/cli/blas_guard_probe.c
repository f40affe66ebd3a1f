/* Calls the BLAS guard and prints the kernels in use and the arguments, as the guard left them.
 *
 * PROBE_FOOLED puts an openblas_get_corename() in front of OpenBLAS's own that answers "Prescott" while
 * OPENBLAS_CORETYPE is not set: what OpenBLAS before 0.3.25 says on CPUs it does not know. With PROBE_HOPELESS it
 * answers so always: setting the variable does not help, and the guard must give up after one restart. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/blas.h"

#ifdef PROBE_FOOLED
char *openblas_get_corename(void);
char *openblas_get_corename(void) {
    static char prescott[] = "Prescott";
#ifndef PROBE_HOPELESS
    if (getenv("OPENBLAS_CORETYPE")) {
        char *(*real)(void);
        void *symbol = dlsym(RTLD_NEXT, "openblas_get_corename");
        memcpy(&real, &symbol, sizeof real);
        return real();
    }
#endif
    return prescott;
}
#endif

int main(int argc, char **argv) {
    drl_blas_guard(argv);
    printf("kernels=%s", drl_blas_kernels());
    for (int i = 1; i < argc; i++) printf(" [%s]", argv[i]);
    printf("\n");
    return 0;
}
