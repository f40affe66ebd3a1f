/* Which convolution kernels serve which shape (nn/conv_kernel.h). */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/blas.h"
#include "nn/conv_vector.h"

const drl_conv_family *const drl_conv_families[] = {&drl_conv_gemm, &drl_conv_direct, &drl_conv_winograd2,
                                                    &drl_conv_winograd4, NULL};
enum { FAMILIES = sizeof drl_conv_families / sizeof *drl_conv_families - 1 };

/* Index of the family DRL_CONV names, the last where it names none. */
static size_t allowed(void) {
    static atomic_size_t known; /* index + 1; 0: not asked yet */
    size_t value = atomic_load(&known);
    if (value == 0) {
        const char *wanted = getenv("DRL_CONV");
        for (value = FAMILIES; value > 1; value--)
            if (wanted && strcmp(wanted, drl_conv_families[value - 1]->name) == 0) break;
        if (value == 1 && !(wanted && strcmp(wanted, drl_conv_families[0]->name) == 0)) value = FAMILIES;
        atomic_store(&known, value);
    }
    return value - 1;
}

const drl_conv_family *drl_conv_choose(const drl_conv_dims *d) {
    size_t i = allowed();
    while (!drl_conv_families[i]->applies(d)) i--;
    return drl_conv_families[i];
}

drl_status drl_conv_describe(const char **description, drl_err *err) {
    static char text[128];
    const char *wanted = getenv("DRL_CONV"), *used = drl_conv_families[allowed()]->name;
    if (wanted && strcmp(wanted, used) != 0)
        return drl_fail(err, DRL_ERR_CONFIG, "DRL_CONV=%s: want gemm, direct, winograd2 or winograd4", wanted);
    snprintf(text, sizeof text, "%s, vectors of %d bytes, OpenBLAS %s", used, VECTOR_BYTES, drl_blas_kernels());
    *description = text;
    return DRL_OK;
}
