/* drl sample: images drawn from a trained model. */
#include <math.h>
#include <string.h>

#include "drl/file.h"
#include "drl/mem.h"
#include "drl_model.h"
#include "sheet.h"

typedef struct sample_args {
    model_args common;
    char out[1024], grid[32];
    int sampler, codes;
    size_t steps;
    bool trajectory, same_noise;
} sample_args;

enum { CODES_TEST, CODES_PRIOR };

#define FLAG(argument, name, field, kind, default_, limits, help)                                                      \
    DRL_FLAG(sample_args, argument, name, field, kind, default_, help, limits)
static const drl_flag flags[] = {
    MODEL_FLAGS(sample_args),
    FLAG("FILE", "out", out, STRING, "", DRL_ANY, "the PNG to write"),
    FLAG("RxC", "grid", grid, STRING, "8x8", DRL_ANY, "rows and columns of the sheet"),
    FLAG("NAME", "sampler", sampler, ENUM, "pc", DRL_CHOICES("pc|em|ode"), "pc, em or ode"),
    FLAG("N", "steps", steps, SIZE, "0", DRL_RANGE(0, 1e6), "steps of pc and em; 0: 1000, as published"),
    FLAG("NAME", "codes", codes, ENUM, "test", DRL_CHOICES("test|prior"),
         "codes of test images, or drawn from N(0, I)"),
    FLAG(NULL, "same-noise", same_noise, BOOL, "no", DRL_ANY, "all images from the same noise"),
    FLAG(NULL, "trajectory", trajectory, BOOL, "no", DRL_ANY, "a row an image, from noise to sample"),
};

static const char text[] =
    "Draws images from a model that matches scores, and writes them as one PNG.\n\n"
    "Samplers: pc (predictor and corrector, the published one), em (Euler-Maruyama), ode (the probability flow).\n\n"
    "A model with codes is given those of test images, of each class its share: columns 1, 3, ... are these images, "
    "and\n"
    "right of each is the sample for its code. A model without codes, and --codes prior (of methods whose codes have "
    "a\n"
    "prior), fill all columns with samples. With --trajectory a row is an image at equal distances of time from noise "
    "to\n"
    "sample, behind the test image where there is one; states of VE are divided by sqrt(1 + sigma(t)^2).\n";

/* A sheet being filled. */
typedef struct job {
    const sample_args *a;
    opened_model o;
    sheet s;
    drl_sampler_cfg cfg;
    model_progress progress;
    size_t n, size;   /* images; numbers of each                                             */
    size_t originals; /* 1: the test images are shown                                         */
    size_t times, next;
    uint32_t *index; /* (n) of the test images, NULL: none                                   */
    drl_real *x, *shown;
    uint8_t *pixels; /* (n, size) */
} job;

/* How many images the sheet has room for, and of which shape it is. */
static drl_status plan(job *j, drl_err *err) {
    const size_t d = drl_score_model_code_size(j->o.score), columns = j->s.columns;
    j->originals = d > 0 && j->a->codes == CODES_TEST;
    if (d > 0 && j->a->codes == CODES_PRIOR && !j->o.model->trainer->prior)
        return drl_fail(err, DRL_ERR_CONFIG, "--codes prior: codes of %s have no prior; use --codes test",
                        j->o.model->method->title);
    if (j->a->trajectory) {
        if (columns < 2 + j->originals)
            return drl_fail(err, DRL_ERR_CONFIG, "--grid %s: a trajectory takes at least %zu columns", j->a->grid,
                            2 + j->originals);
        j->times = columns - j->originals;
        j->n = j->s.rows;
    } else {
        if (j->originals && columns % 2)
            return drl_fail(err, DRL_ERR_CONFIG, "--grid %s: pairs of image and sample take an even number of columns",
                            j->a->grid);
        j->n = j->s.rows * columns / (1 + j->originals);
    }
    return sheet_open(&j->s, &j->o.data->split[DRL_SPLIT_TEST], err);
}

/* Column `time` of image i's samples, or its original. */
static size_t cell_of(const job *j, size_t i, size_t time) {
    return j->a->trajectory ? i * j->s.columns + j->originals + time : i * (1 + j->originals) + j->originals;
}

/* Conditions the score on test images, of each class its share, or on codes of the prior. */
static drl_status condition(job *j, drl_err *err) {
    const size_t d = drl_score_model_code_size(j->o.score);
    const drl_images *im = &j->o.data->split[DRL_SPLIT_TEST];
    if (d == 0) return DRL_OK;
    if (!j->originals) {
        drl_real *z;
        drl_status st = drl_alloc(&z, j->n * d, sizeof *z, "codes", err);
        if (st != DRL_OK) return st;
        drl_rng_normal(drl_rng_stream(j->cfg.seed, DRL_RNG_PRIOR_CODE, 0, 0), 0, z, j->n * d);
        st = drl_score_model_codes(j->o.score, z, j->n, err);
        drl_free(z);
        return st;
    }
    drl_status st = drl_alloc(&j->index, j->n, sizeof *j->index, "test images", err);
    if (st == DRL_OK) st = sheet_choose(j->index, j->n, j->o.data, DRL_SPLIT_TEST, j->cfg.seed, err);
    if (st != DRL_OK) return st;
    size_t kept = 0; /* classes without so many test images leave cells at the end free */
    for (size_t i = 0; i < j->n; i++)
        if (j->index[i] != SHEET_NONE) j->index[kept++] = j->index[i];
    j->n = kept;
    for (size_t i = 0; i < j->n; i++)
        sheet_paste(&j->s, cell_of(j, i, 0) - 1, im->pixels + j->index[i] * im->h * im->w * im->c);
    return drl_score_model_images(j->o.score, DRL_SPLIT_TEST, j->index, j->n, err);
}

static void paste(job *j, const drl_real *x, size_t time) {
    drl_batch_pixels(j->pixels, j->o.data, x, j->n);
    for (size_t i = 0; i < j->n; i++) sheet_paste(&j->s, cell_of(j, i, time), j->pixels + i * j->size);
}

/* Columns of the trajectory are states at 1 - c (1 - t_end)/(times - 1), or the first ones after; the last is the
 * sample. */
static drl_status on_step(void *arg, size_t step, size_t steps, double t, const drl_real *x, drl_err *err) {
    job *j = arg;
    (void)err;
    model_progress_step(&j->progress, steps ? "sampling" : "sampling, in thousandths of the time", step, steps, t);
    for (; j->next + 1 < j->times; j->next++) {
        if (t > 1 - (double)j->next * (1 - j->progress.t_to) / (double)(j->times - 1) + 1e-9) break;
        double s = j->o.model->sde.kind == DRL_SDE_VE ? drl_sde_marginal_at(&j->o.model->sde, t).std : 0;
        const drl_real part = (drl_real)(1 / sqrt(1 + s * s));
        for (size_t i = 0; i < j->n * j->size; i++) j->shown[i] = part * x[i];
        paste(j, j->shown, j->next);
    }
    return DRL_OK;
}

static drl_status draw(job *j, drl_err *err) {
    const drl_score score = drl_score_model_score(j->o.score);
    size_t evaluations;
    j->size = score.size;
    j->progress = (model_progress){.runs = 1, .t_from = 1, .t_to = drl_sampler_end(&j->cfg, &j->o.model->sde)};
    drl_status st = drl_alloc(&j->x, j->n * j->size, sizeof *j->x, "samples", err);
    if (st == DRL_OK) st = drl_alloc(&j->shown, j->n * j->size, sizeof *j->shown, "samples", err);
    if (st == DRL_OK) st = drl_alloc(&j->pixels, j->n * j->size, 1, "samples", err);
    if (st != DRL_OK) return st;
    st = drl_sample(j->x, j->n, &j->o.model->sde, &score, &j->cfg, &evaluations, err);
    model_progress_end(&j->progress);
    if (st != DRL_OK) return st;
    paste(j, j->x, j->times ? j->times - 1 : 0);
    drl_log("%zu images, %zu evaluations of the score: %s", j->n, evaluations, j->a->out);
    return DRL_OK;
}

/* Whether a file can be made there is tried before anything takes time. */
static drl_status check(job *j, drl_err *err) {
    drl_new_file file;
    if (!j->a->out[0]) return drl_fail(err, DRL_ERR_CONFIG, "--out FILE is missing");
    if (j->a->steps && j->a->sampler == DRL_SAMPLER_ODE)
        return drl_fail(err, DRL_ERR_CONFIG, "--steps: the ode chooses its own");
    drl_status st = sheet_parse_grid(&j->s, j->a->grid, err);
    if (st == DRL_OK && (st = drl_new_file_open(&file, j->a->out, err)) == DRL_OK) drl_new_file_discard(&file);
    return st;
}

static drl_status run(void *args, drl_err *err) {
    job j = {.a = args, .cfg = drl_sampler_published()};
    j.cfg.kind = (drl_sampler_kind)j.a->sampler;
    if (j.a->steps) j.cfg.steps = j.a->steps;
    j.cfg.seed = j.a->common.seed;
    j.cfg.same_noise = j.a->same_noise;
    j.cfg.progress = on_step;
    j.cfg.arg = &j;
    drl_status st = check(&j, err);
    if (st == DRL_OK) st = model_open(&j.o, &j.a->common, false, err);
    if (st == DRL_OK) st = plan(&j, err);
    if (st == DRL_OK) st = condition(&j, err);
    if (st == DRL_OK) st = draw(&j, err);
    if (st == DRL_OK) st = sheet_write(&j.s, j.a->out, err);
    drl_free(j.s.pixels);
    drl_free(j.index);
    drl_free(j.x);
    drl_free(j.shown);
    drl_free(j.pixels);
    model_close(&j.o);
    return st;
}

int sample_main(int argc, char **argv) {
    static sample_args args;
    const model_command command = {"sample", flags, sizeof flags / sizeof *flags, text, run, &args};
    return model_main(&command, argc, argv);
}
