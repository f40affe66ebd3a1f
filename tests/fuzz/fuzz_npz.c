/* NumPy archives. The first byte chooses whether the rest is the file itself or what is in its members, and if the
 * images have a test split of their own and are resized. */
#include <stdio.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char *const split[] = {"class_names.txt", "x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"};
    static const char *const whole[] = {"class_names.txt", "images.npy", "labels.npy"};
    if (size == 0) return 0;
    char name[160];
    const char *path = bytes[0] & 1   ? fuzz_write("a.zip", bytes + 1, size - 1)
                       : bytes[0] & 2 ? fuzz_pack("a.zip", split, 5, bytes + 1, size - 1)
                                      : fuzz_pack("a.zip", whole, 3, bytes + 1, size - 1);
    snprintf(name, sizeof name, "npz:%s", path);
    fuzz_dataset(name, bytes[0] & 4 ? 5 : 0);
    return 0;
}
