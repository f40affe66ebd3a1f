/* NumPy archives: the first byte is the size of the images, the others a recipe for fuzz_pack. */
#include <stdio.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char *const names[] = {"train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy",
                                        "class_names.txt",  "images.npy",       "labels.npy",      "x_train.npy",
                                        "y_train.npy",      "other.npy"};
    if (size == 0) return 0;
    size_t packed;
    const uint8_t *zip = fuzz_pack(&packed, FUZZ_ZIP, names, sizeof names / sizeof *names, bytes + 1, size - 1);
    char name[128];
    snprintf(name, sizeof name, "npz:%s", fuzz_file(zip, packed));
    drl_err err;
    drl_status st = fuzz_open(&(drl_dataset_cfg){.name = name, .size = bytes[0] >> 2}, &err);
    fuzz_end(st, &err);
    return 0;
}
