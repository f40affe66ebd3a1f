/* Archives made from an input, and the datasets read from them (fuzz.h). */
#include <archive.h>
#include <archive_entry.h>

#include "fuzz.h"

enum { ROOM = 1 << 20, MEMBERS = 32 };

const uint8_t *fuzz_pack(size_t *packed, fuzz_format format, const char *const *names, size_t n_names,
                         const uint8_t *bytes, size_t size) {
    static uint8_t out[ROOM + MEMBERS * 2048];
    struct archive *a = archive_write_new();
    FUZZ_CHECK(a && (format == FUZZ_ZIP ? archive_write_set_format_zip(a) : archive_write_set_format_ustar(a)) ==
                        ARCHIVE_OK);
    if (format == FUZZ_ZIP) archive_write_zip_set_compression_store(a);
    *packed = 0;
    FUZZ_CHECK(archive_write_open_memory(a, out, sizeof out, packed) == ARCHIVE_OK);
    const uint8_t *end = bytes + (size < ROOM ? size : ROOM);
    for (int k = 0; k < MEMBERS && end - bytes >= 3; k++) {
        struct archive_entry *e = archive_entry_new();
        size_t length = bytes[1] | (size_t)bytes[2] << 8, left = (size_t)(end - bytes) - 3;
        if (length > left) length = left;
        archive_entry_set_pathname(e, names[bytes[0] % n_names]);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_size(e, (la_int64_t)length);
        FUZZ_CHECK(archive_write_header(a, e) == ARCHIVE_OK);
        FUZZ_CHECK(archive_write_data(a, bytes + 3, length) == (la_ssize_t)length);
        archive_entry_free(e);
        bytes += 3 + length;
    }
    FUZZ_CHECK(archive_write_close(a) == ARCHIVE_OK && archive_write_free(a) == ARCHIVE_OK);
    return out;
}

drl_status fuzz_open(const drl_dataset_cfg *given, drl_err *err) {
    static volatile uint8_t sink;
    drl_dataset_cfg cfg = *given;
    drl_dataset *ds;
    cfg.cache_dir = "";
    drl_status st = drl_dataset_open(&ds, &cfg, err);
    if (st != DRL_OK) return st;
    for (int s = 0; s < DRL_SPLITS; s++) {
        const drl_images *im = &ds->split[s];
        for (size_t i = 0; i < im->n; i++) FUZZ_CHECK(im->labels[i] >= 0 && (size_t)im->labels[i] < ds->classes);
        for (size_t i = 0; i < im->n * im->h * im->w * im->c; i++) sink = im->pixels[i];
    }
    (void)sink;
    drl_dataset_free(ds);
    return st;
}
