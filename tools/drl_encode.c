/* drl encode: codes of a trained model as NumPy arrays. */
#include <stdio.h>
#include <string.h>

#include "drl/mem.h"
#include "drl/npz.h"
#include "drl_model.h"

typedef struct encode_args {
    model_args common;
    char dataset[DRL_STRING_MAX], out[1024];
    drl_list times;
} encode_args;

#define FLAG(argument, name, field, kind, default_, limits, help)                                                      \
    DRL_FLAG(encode_args, argument, name, field, kind, default_, help, limits)
static const drl_flag flags[] = {
    FLAG("DIR", "model", common.model, STRING, "", DRL_ANY, "the trained model: OUT/models/METHOD-..."),
    FLAG("NAME", "dataset", dataset, STRING, "", DRL_ANY, "other images than those it was trained on"),
    FLAG("LIST", "t", times, LIST, "0.5", DRL_RANGE(0, 1), "times of the codes, where they depend on one"),
    FLAG("FILE", "out", out, STRING, "codes.npz", DRL_ANY, "where the arrays go"),
    FLAG("DIR", "data-dir", common.data_dir, STRING, "", DRL_ANY, "where its data are looked for first"),
    FLAG("N", "threads", common.threads, SIZE, "0", DRL_RANGE(0, 1024), "threads; 0: one per processor"),
    FLAG(NULL, "quiet", common.quiet, BOOL, "no", DRL_ANY, "no messages but errors"),
};

static const char text[] =
    "Writes the codes of all training and test images, by the model's raw weights in evaluation mode:\n"
    "  train_codes, test_codes     float32 (times, n, d), in the order of --t\n"
    "  train_labels, test_labels   int32 (n)\n"
    "  t                           float64 (times); one time, 0, where codes do not depend on it\n"
    "Images of another dataset are brought to the model's size and normalised as those it was trained on.\n";

/* The images to be encoded: the model's own, or others in their place. */
static drl_status open_images(drl_dataset **other, const opened_model *o, const encode_args *a, drl_err *err) {
    *other = NULL;
    if (!a->dataset[0]) return DRL_OK;
    const drl_dataset *own = o->data;
    drl_dataset_cfg dc = drl_model_dataset_cfg(&o->model->cfg, a->common.data_dir, o->team);
    dc.name = a->dataset;
    drl_status st = drl_dataset_open(other, &dc, err);
    if (st != DRL_OK) return st;
    const drl_images *x = &own->split[DRL_SPLIT_TRAIN], *y = &(*other)->split[DRL_SPLIT_TRAIN];
    if (x->h != y->h || x->w != y->w || x->c != y->c)
        return drl_fail(err, DRL_ERR_SHAPE,
                        "%s has images of %zu x %zu x %zu, the model was trained on %zu x %zu x %zu", a->dataset, y->h,
                        y->w, y->c, x->h, x->w, x->c);
    memcpy((*other)->mean, own->mean, sizeof own->mean);
    memcpy((*other)->std, own->std, sizeof own->std);
    memcpy((*other)->normalised, own->normalised, sizeof own->normalised);
    o->model->data = *other;
    return DRL_OK;
}

/* codes (times, n, d) of a split. */
static drl_status encode(drl_real **codes, drl_model *m, drl_split split, const drl_list *times, drl_err *err) {
    size_t n = m->data->split[split].n, d = drl_model_code_size(m);
    drl_status st = drl_alloc(codes, times->n * n * d, sizeof **codes, "codes", err);
    for (size_t k = 0; k < times->n && st == DRL_OK; k++) {
        drl_log("%zu %s images at t = %g", n, split == DRL_SPLIT_TRAIN ? "training" : "test", times->v[k]);
        st = drl_model_encode(m, split, NULL, n, times->v[k], *codes + k * n * d, err);
    }
    return st;
}

static drl_status run(void *args, drl_err *err) {
    encode_args *a = args;
    opened_model o = {0};
    drl_dataset *other = NULL;
    drl_real *codes[DRL_SPLITS] = {NULL};
    drl_status st = drl_threads_open(&o.team, a->common.threads, err);
    if (st == DRL_OK) st = drl_model_load(&o.model, &o.data, a->common.model, a->common.data_dir, o.team, err);
    if (st == DRL_OK) st = open_images(&other, &o, a, err);
    if (st == DRL_OK && drl_model_code_size(o.model) == 0)
        st = drl_fail(err, DRL_ERR_CONFIG, "model %s: %s learns no code", a->common.model, o.model->method->title);
    if (st == DRL_OK && a->times.n == 0) st = drl_fail(err, DRL_ERR_CONFIG, "--t: want at least one time");
    if (st == DRL_OK && !drl_model_trajectory(o.model)) a->times = (drl_list){1, {0}};
    for (int s = 0; s < DRL_SPLITS && st == DRL_OK; s++) st = encode(&codes[s], o.model, (drl_split)s, &a->times, err);
    if (st == DRL_OK) {
        const drl_images *im = o.model->data->split;
        const size_t T = a->times.n, d = drl_model_code_size(o.model);
        const drl_npz_array arrays[] = {{"train_codes", DRL_NPZ_REAL, 3, {T, im[0].n, d}, codes[0]},
                                        {"train_labels", "<i4", 1, {im[0].n}, im[0].labels},
                                        {"test_codes", DRL_NPZ_REAL, 3, {T, im[1].n, d}, codes[1]},
                                        {"test_labels", "<i4", 1, {im[1].n}, im[1].labels},
                                        {"t", "<f8", 1, {T}, a->times.v}};
        st = drl_npz_write_arrays(a->out, arrays, sizeof arrays / sizeof *arrays, err);
    }
    if (st == DRL_OK) printf("codes: %s\n", a->out);
    for (int s = 0; s < DRL_SPLITS; s++) drl_free(codes[s]);
    model_close(&o);
    drl_dataset_free(other);
    return st;
}

int encode_main(int argc, char **argv) {
    static encode_args args;
    const model_command command = {"encode", flags, sizeof flags / sizeof *flags, text, run, &args};
    return model_main(&command, argc, argv);
}
