/* SHA-256 (drl/hash.h). */
#include "drl/hash.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void to_hex(char hex[65], const unsigned char digest[32]) {
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void drl_sha256(char hex[65], const void *bytes, size_t size) {
    unsigned char digest[32];
    unsigned length = 0;
    int ok = EVP_Digest(bytes, size, digest, &length, EVP_sha256(), NULL);
    assert(ok == 1 && length == 32);
    (void)ok;
    to_hex(hex, digest);
}

drl_status drl_sha256_file(char hex[65], const char *path, drl_err *err) {
    FILE *f = fopen(path, "rb");
    if (!f) return drl_fail(err, DRL_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    drl_status st = DRL_OK;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char buf[1 << 16], digest[32];
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    for (size_t got; ok && (got = fread(buf, 1, sizeof buf, f)) > 0;) ok = EVP_DigestUpdate(ctx, buf, got) == 1;
    if (ferror(f))
        st = drl_fail(err, DRL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    else if (!ok || EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
        st = drl_fail(err, DRL_ERR_MEMORY, "%s: cannot compute SHA-256", path);
    else
        to_hex(hex, digest);
    EVP_MD_CTX_free(ctx);
    fclose(f);
    return st;
}
