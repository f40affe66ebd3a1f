/* CIFAR's binary archives. The first byte chooses CIFAR-10 or 100, and whether the rest is the archive itself or what
 * is in its members: a checksum would keep a fuzzer out of those. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char *const members10[] = {"b/batches.meta.txt", "b/data_batch_1.bin", "b/data_batch_2.bin",
                                            "b/data_batch_3.bin", "b/data_batch_4.bin", "b/data_batch_5.bin",
                                            "b/test_batch.bin"};
    static const char *const members100[] = {"fine_label_names.txt", "train.bin", "test.bin"};
    if (size == 0) return 0;
    bool hundred = bytes[0] & 1, whole = bytes[0] & 2;
    const char *file = hundred ? "cifar-100-binary.tar" : "cifar-10-binary.tar";
    if (whole)
        fuzz_write(file, bytes + 1, size - 1);
    else
        fuzz_pack(file, hundred ? members100 : members10, hundred ? 3 : 7, bytes + 1, size - 1);
    fuzz_dataset(hundred ? "cifar100" : "cifar10", 32);
    return 0;
}
