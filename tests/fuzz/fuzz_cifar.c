/* CIFAR: the bytes are a recipe for an archive, so that every input gets past the archive's own format. The first byte
 * chooses the dataset; each member is one byte of name, two of size, one that says what the size is a multiple of, and
 * sixteen that its contents repeat: 3073 and 3074 leave 1 and 2 of 16, so a label moves on by that with each image. */
#include <archive.h>
#include <archive_entry.h>

#include "fuzz.h"

enum { MEMBER = 20, MEMBERS = 12, LARGEST = 16 * 3074, ROOM = MEMBERS * (LARGEST + 2048) };

static const char *const names[] = {"d/data_batch_1.bin",   "d/data_batch_2.bin", "d/data_batch_3.bin",
                                    "d/data_batch_4.bin",   "d/data_batch_5.bin", "d/test_batch.bin",
                                    "d/batches.meta.txt",   "d/train.bin",        "d/test.bin",
                                    "fine_label_names.txt", "d/readme.html",      "e/test.bin"};

static size_t size_of(const uint8_t *member) {
    static const size_t units[] = {1, 3073, 3074, 1};
    size_t size = (member[1] | (size_t)member[2] << 8) * units[member[3] & 3];
    return size < LARGEST ? size : LARGEST;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static uint8_t packed[ROOM], contents[LARGEST];
    if (size == 0) return 0;
    size_t used = 0;
    struct archive *a = archive_write_new();
    FUZZ_CHECK(a && archive_write_set_format_ustar(a) == ARCHIVE_OK &&
               archive_write_open_memory(a, packed, sizeof packed, &used) == ARCHIVE_OK);
    for (size_t k = 0, at = 1; k < MEMBERS && at + MEMBER <= size; k++, at += MEMBER) {
        struct archive_entry *e = archive_entry_new();
        size_t length = size_of(bytes + at);
        for (size_t i = 0; i < length; i++) contents[i] = bytes[at + 4 + i % 16];
        archive_entry_set_pathname(e, names[bytes[at] % (sizeof names / sizeof *names)]);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_size(e, (la_int64_t)length);
        FUZZ_CHECK(archive_write_header(a, e) == ARCHIVE_OK);
        FUZZ_CHECK(archive_write_data(a, contents, length) == (la_ssize_t)length);
        archive_entry_free(e);
    }
    FUZZ_CHECK(archive_write_close(a) == ARCHIVE_OK && archive_write_free(a) == ARCHIVE_OK);

    bool hundred = bytes[0] & 1;
    drl_err err;
    drl_dataset_cfg cfg = {.name = hundred ? "cifar100" : "cifar10", .train_limit = bytes[0] >> 4};
    cfg.data_dir = fuzz_below(hundred ? "cifar-100-binary.tar" : "cifar-10-binary.tar", packed, used);
    drl_status st = fuzz_open(&cfg, &err);
    fuzz_end(st, &err);
    return 0;
}
