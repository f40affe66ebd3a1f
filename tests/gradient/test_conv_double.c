/* The convolution kernels in double: the same tests as in float, linked with the double library. */
#include "unit/test_conv.c"
