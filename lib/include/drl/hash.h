/* SHA-256 (OpenSSL), in hexadecimal. */
#ifndef DRL_HASH_H
#define DRL_HASH_H

#include <stddef.h>

#include "drl/err.h"

/* hex (65 bytes) = digest of the bytes; of a file's bytes (ERR_IO names the path). */
void drl_sha256(char hex[65], const void *bytes, size_t size);
drl_status drl_sha256_file(char hex[65], const char *path, drl_err *err);

#endif
