/* NumPy's array format.                              [numpy.org/doc/stable/reference/generated/numpy.lib.format.html]
 *
 *   "\x93NUMPY", version (2 bytes), length of the text (2 bytes; 4 from version 2 on), the text, the elements
 *   {'descr': '|u1', 'fortran_order': False, 'shape': (60000, 28, 28), }            spaces, and a newline at its end
 *
 * Read are little-endian integers and float32 in C order. Sizes are claims: the product of the dimensions is compared
 * with the bytes that are there. Messages do not name the file: the caller does. */
#ifndef DRL_NPY_H
#define DRL_NPY_H

#include <stdint.h>

#include "drl/err.h"
#include "drl/real.h"

#define DRL_NPY_RANK   4
#define DRL_NPY_HEADER 192 /* bytes of a header written, at most */

typedef struct drl_npy {
    char type;   /* 'u' unsigned, 'i' signed, 'f' float                                              */
    size_t item; /* bytes of an element: 1, 2, 4 or 8; 4 of a float                                  */
    size_t rank, shape[DRL_NPY_RANK], count;
    const uint8_t *data; /* (count) elements, little-endian, not aligned; lent from the bytes parsed */
} drl_npy;

/* Checks an array held in memory and lends pointers into it. ERR_FORMAT; ERR_LIMIT beyond DRL_NPY_RANK dimensions. */
drl_status drl_npy_parse(drl_npy *npy, const uint8_t *bytes, size_t size, drl_err *err);

/* Element i of an array of integers, where it lies in 0 .. limit - 1; -1: it does not. */
int64_t drl_npy_index(const drl_npy *npy, size_t i, size_t limit);
/* Element i of an array of floats. */
float drl_npy_float(const drl_npy *npy, size_t i);

/* header = what stands in front of the elements of an array of that type ("|u1", "<i4", "<f4", "<f8"); returns its
 * length, a multiple of 64. */
size_t drl_npy_header(char header[DRL_NPY_HEADER], const char *type, size_t rank, const size_t *shape);

#endif
