/* IDX files: the two parsers in memory, and mnist's four files cut out of one input. The first byte chooses. */
#include "data/idx.h"
#include "fuzz.h"

static void parse(const uint8_t *bytes, size_t size) {
    drl_idx_images images;
    drl_idx_labels labels;
    if (drl_idx_parse_images(&images, bytes, size, NULL) == DRL_OK)
        fuzz_check(images.pixels + images.n * images.h * images.w == bytes + size,
                   "images that do not fill their file");
    for (size_t first = 0; first < 2; first++)
        if (drl_idx_parse_labels(&labels, bytes, size, first, 10, NULL) == DRL_OK)
            for (size_t i = 0; i < labels.n; i++)
                fuzz_check(labels.labels[i] >= first && labels.labels[i] < first + 10, "a label out of range");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char *const members[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                          "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
    if (size == 0) return 0;
    if (bytes[0] % 2 == 0) {
        parse(bytes + 1, size - 1);
    } else {
        fuzz_pack("kmnist.tar", members, 4, bytes + 1, size - 1);
        fuzz_dataset("kmnist", 0);
    }
    return 0;
}
