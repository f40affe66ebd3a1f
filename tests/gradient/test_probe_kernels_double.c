/* The tests of the MLP probe's kernels with the library in double. */
#include "unit/test_probe_kernels.c"
