/* What reading and writing NumPy archives share (drl/npz.h). */
#ifndef DRL_DATA_NPZ_H
#define DRL_DATA_NPZ_H

#include <stdbool.h>

#define DRL_NPZ_NAMES "class_names.txt" /* the member that names the classes, a line each */

/* May a byte be part of a class name? All but control characters: UTF-8 passes. */
static inline bool drl_npz_printable(char c) {
    return (unsigned char)c >= ' ' && c != 0x7f;
}

#endif
