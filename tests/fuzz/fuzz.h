/* What the fuzz targets share. A target is one function of a few bytes; it must not crash, leak, read beyond them, or
 * refuse them without saying why. libFuzzer calls it with bytes that it makes up (preset `fuzz`), replay.c with those
 * of the committed corpus (the tests labelled fuzz). */
#ifndef DRL_TESTS_FUZZ_H
#define DRL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "drl/data.h"
#include "drl/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Path of a file in memory that holds the bytes, valid until the next call. */
const char *fuzz_file(const uint8_t *bytes, size_t size);

/* Writes a file below a directory of this process, which is removed at its end; returns the directory. */
const char *fuzz_below(const char *name, const uint8_t *bytes, size_t size);

/* Packs an archive as the bytes say, so that every input gets past the archive's own format and checksums: each member
 * is one byte that chooses its name, two of size (little-endian), and its contents. Returns the archive, which is lent
 * until the next call, and its size. */
typedef enum fuzz_format { FUZZ_TAR, FUZZ_ZIP } fuzz_format;
const uint8_t *fuzz_pack(size_t *packed, fuzz_format format, const char *const *names, size_t n_names,
                         const uint8_t *bytes, size_t size);

/* Opens a dataset without a cache, and looks at every label and pixel of what it gives. */
drl_status fuzz_open(const drl_dataset_cfg *given, drl_err *err);

/* Aborts where the condition does not hold. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_broken(#condition, __FILE__, __LINE__))
void fuzz_broken(const char *condition, const char *file, int line);

/* A status is what its message says, in one line; nothing is left allocated. Call it when all is freed. */
void fuzz_end(drl_status st, const drl_err *err);

#endif
