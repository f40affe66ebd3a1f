/* Lists of labelled images, of a dataset with file names and of one without. What is accepted is ascending, in range
 * and of every class, and written as indices it is read as the same again. */
#include <stdio.h>
#include <string.h>

#include "data/picture_names.h"
#include "drl/labels.h"
#include "fuzz.h"

enum { N = 12 };

static void check(const drl_labels *l, const drl_dataset *ds, const drl_picture_names *names) {
    char text[8 * N] = "";
    bool labelled[3] = {false};
    FUZZ_CHECK(l->n >= ds->classes && l->n <= N);
    for (size_t i = 0; i < l->n; i++) {
        FUZZ_CHECK(l->index[i] < N && (i == 0 || l->index[i] > l->index[i - 1]));
        labelled[ds->split[DRL_SPLIT_TRAIN].labels[l->index[i]]] = true;
        snprintf(text + strlen(text), sizeof text - strlen(text), "%u\n", l->index[i]);
    }
    for (size_t k = 0; k < ds->classes; k++) FUZZ_CHECK(labelled[k]);
    drl_labels again;
    drl_err err;
    FUZZ_CHECK(drl_labels_read(&again, ds, names, fuzz_file((const uint8_t *)text, strlen(text)), &err) == DRL_OK);
    FUZZ_CHECK(again.n == l->n && memcmp(again.index, l->index, l->n * sizeof *l->index) == 0);
    drl_labels_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static int32_t labels[N] = {0, 1, 0, 2, 1, 0, 2, 0, 1, 1, 2, 2};
    static const char *const pictures[N] = {"ant/1.png",   "b/1.png", "ant/2 x.png", "c c/1.png",
                                            "b/train.png", "ant/3",   "c c/4",       "ant/b",
                                            "b/2.png",     "b/d",     "c c/2.png",   "c c/e c c"};
    const drl_dataset ds = {.name = "fuzz",
                            .classes = 3,
                            .class_names = {"ant", "b", "c c"},
                            .split[DRL_SPLIT_TRAIN] = {.n = N, .labels = labels}};
    drl_picture_names *names;
    drl_labels l;
    drl_err err;
    FUZZ_CHECK(drl_picture_names_make(&names, pictures, N, DRL_SPLIT_TRAIN, &err) == DRL_OK);
    for (int named = 0; named < 2; named++) {
        drl_status st = drl_labels_read(&l, &ds, named ? names : NULL, fuzz_file(bytes, size), &err);
        if (st == DRL_OK)
            check(&l, &ds, named ? names : NULL);
        else
            FUZZ_CHECK(l.n == 0 && !l.index && strstr(err.message, ": "));
        drl_labels_free(&l);
        if (named) drl_picture_names_free(names);
        if (named) fuzz_end(st, &err);
    }
    return 0;
}
