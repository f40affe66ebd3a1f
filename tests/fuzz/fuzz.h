/* What the fuzz targets share. A target is one LLVMFuzzerTestOneInput: libFuzzer's main calls it in the preset `fuzz`,
 * replay.c's in every other build. It must not crash, leak or hang, whatever the bytes; what a reader answers is free,
 * but what it accepts is looked at. */
#ifndef DRL_TESTS_FUZZ_H
#define DRL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "drl/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The path of a file in this process's own directory, below /dev/shm where there is one; lent until the next call.
 * fuzz_write makes the file first, and its directory. Both end the process where that fails. */
const char *fuzz_path(const char *name);
const char *fuzz_write(const char *name, const void *bytes, size_t size);

/* Makes NAME, a .zip or .tar, of members whose contents are pieces of the bytes: a length of two bytes, little-endian,
 * then as much as there is of it; the last name gets the rest. */
const char *fuzz_pack(const char *name, const char *const *members, size_t n, const uint8_t *bytes, size_t size);

/* Reads every byte, for the sanitizers to see. */
void fuzz_read(const void *bytes, size_t size);

/* Opens a dataset below fuzz_path(""), without a cache; where it opens, every image and label is looked at; where it
 * does not, and FUZZ_VERBOSE is set, the error is printed. */
void fuzz_dataset(const char *name, size_t image_size);

/* Ends the process with a line where something that has to be true is not. */
void fuzz_check(bool good, const char *what);

#endif
