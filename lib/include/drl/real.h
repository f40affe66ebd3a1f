/* The one number type of the library.
 *
 * The library is compiled twice from the same sources: `drl` with drl_real = float, which trains, and
 * `drl_f64` (DRL_F64 defined) with drl_real = double, in which the gradient checks run. Nothing else differs. */
#ifndef DRL_REAL_H
#define DRL_REAL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifdef DRL_F64
typedef double drl_real;
#define DRL_REAL_NAME  "double"
#define DRL_REAL_DTYPE "F64" /* safetensors' name of the type */
#else
typedef float drl_real;
#define DRL_REAL_NAME  "float"
#define DRL_REAL_DTYPE "F32"
#endif

#endif
