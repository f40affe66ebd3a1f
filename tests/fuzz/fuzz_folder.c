/* Image folders. The first byte chooses: a picture, decoded in memory and resized; pictures in a tar packed here; or
 * the rest of the input as the archive itself, with its name ending as the byte says. */
#include <stdio.h>

#include "data/picture.h"
#include "fuzz.h"

static void decode(const uint8_t *bytes, size_t size) {
    static const drl_picture_limits limits = {1 << 20, 1 << 12, 1 << 18};
    drl_picture p;
    uint8_t out[7 * 7 * 3];
    if (drl_picture_decode(&p, bytes, size, &limits, NULL) != DRL_OK) {
        fuzz_check(p.pixels == NULL, "a picture in spite of an error");
        return;
    }
    fuzz_check(p.h > 0 && p.w > 0 && (p.c == 1 || p.c == 3) && p.h * p.w <= limits.pixels, "a picture of a wrong size");
    fuzz_read(p.pixels, p.h * p.w * p.c);
    fuzz_check(drl_picture_resize(out, &p, 7, DRL_RESIZE_AREA, NULL) == DRL_OK &&
                   drl_picture_resize(out, &p, 7, DRL_RESIZE_BICUBIC, NULL) == DRL_OK,
               "a picture that cannot be resized");
    drl_picture_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char *const members[] = {"train/a/1.png", "train/b/2.png", "test/a/1.jpg", "test/b/4.jpg"};
    static const char *const files[] = {"f.tar", "f.zip", "f.7z", "f.tar.gz"};
    char name[160];
    const char *path;
    if (size == 0) return 0;
    unsigned what = bytes[0] % 8;
    if (what < 2) {
        decode(bytes + 1, size - 1);
        return 0;
    }
    if (what < 4)
        path = fuzz_pack("f.tar", members, 4, bytes + 1, size - 1);
    else
        path = fuzz_write(files[what - 4], bytes + 1, size - 1);
    snprintf(name, sizeof name, "folder:%s", path);
    fuzz_dataset(name, 6);
    return 0;
}
