/* Folders of pictures, in an archive: the first byte chooses size, filter and what becomes of corrupt pictures, the
 * others are a recipe for fuzz_pack. */
#include <stdio.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char *const names[] = {"train/a/1.png", "train/a/2.jpg", "train/b/1.png",  "train/b/2.jpg",
                                        "test/a/1.png",  "test/b/1.jpg",  "test/c/1.jpeg",  "a/1.png",
                                        "a/2.png",       "b/1.png",       "b/2.png",        "x/train/a/1.png",
                                        "readme.txt",    "train/a/x.txt", "train/a/b/1.png"};
    if (size == 0) return 0;
    size_t packed;
    const uint8_t *tar = fuzz_pack(&packed, FUZZ_TAR, names, sizeof names / sizeof *names, bytes + 1, size - 1);
    char name[512];
    snprintf(name, sizeof name, "folder:%s/pictures.tar", fuzz_below("pictures.tar", tar, packed));
    drl_err err;
    drl_status st = fuzz_open(&(drl_dataset_cfg){.name = name,
                                                 .size = bytes[0] >> 3,
                                                 .seed = 1,
                                                 .resize = bytes[0] & 1 ? DRL_RESIZE_BICUBIC : DRL_RESIZE_AREA,
                                                 .skip_bad = bytes[0] & 2},
                              &err);
    fuzz_end(st, &err);
    return 0;
}
