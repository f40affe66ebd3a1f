/* Archives and compressed files of every kind: the first byte says whether members or one bare file are wanted, and
 * sets the limits. */
#include "data/archive.h"
#include "drl/mem.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (size == 0) return 0;
    drl_err err;
    drl_archive *a;
    const char *name, *path = fuzz_file(bytes + 1, size - 1);
    const size_t limit = (size_t)1 << (8 + (bytes[0] >> 4)), total = 4 * limit;
    uint8_t *contents;
    size_t n, sum = 0;
    drl_status st;
    if (bytes[0] & 1) {
        st = drl_archive_read_bare(path, &contents, &n, limit, &err);
        if (st == DRL_OK) FUZZ_CHECK(n <= limit);
        drl_free(contents);
    } else if ((st = drl_archive_open(&a, path, DRL_ARCHIVE_MEMBERS, total, &err)) == DRL_OK) {
        while ((st = drl_archive_next(a, &name, &err)) == DRL_OK && name) {
            FUZZ_CHECK(name[0] && name[0] != '/');
            if (bytes[0] & 2) continue; /* members may be passed over */
            if ((st = drl_archive_read(a, &contents, &n, limit, &err)) != DRL_OK) break;
            FUZZ_CHECK(n <= limit && (sum += n) <= total);
            drl_free(contents);
        }
        drl_archive_close(a);
    }
    fuzz_end(st, &err);
    return 0;
}
