/* What the commands that use a trained model share: drl sample, drl likelihood, drl encode. */
#ifndef DRL_TOOLS_MODEL_H
#define DRL_TOOLS_MODEL_H

#include "drl/flags.h"
#include "drl/log.h"
#include "drl/sampling.h"

/* The first member of a command's arguments. */
typedef struct model_args {
    char model[1024], data_dir[1024];
    size_t seed, threads;
    int weights;
    bool quiet;
} model_args;

/* Rows for the table of a command's flags, whose arguments `type` have the member `common`. */
#define MODEL_FLAGS(type)                                                                                              \
    DRL_FLAG(type, "DIR", "model", common.model, STRING, "", "the trained model: OUT/models/METHOD-...", DRL_ANY),     \
        DRL_FLAG(type, "DIR", "data-dir", common.data_dir, STRING, "", "where its data are looked for first",          \
                 DRL_ANY),                                                                                             \
        DRL_FLAG(type, "NAME", "weights", common.weights, ENUM, "ema",                                                 \
                 "ema, their moving average, or raw, the last ones", DRL_CHOICES("ema|raw")),                          \
        DRL_FLAG(type, "N", "seed", common.seed, SIZE, "0", "of the images chosen and all draws", DRL_RANGE(0, 1e15)), \
        DRL_FLAG(type, "N", "threads", common.threads, SIZE, "0", "threads; 0: one per processor",                     \
                 DRL_RANGE(0, 1024)),                                                                                  \
        DRL_FLAG(type, NULL, "quiet", common.quiet, BOOL, "no", "no messages but errors", DRL_ANY)

typedef struct model_command {
    const char *name;
    const drl_flag *flags;
    size_t n_flags;
    const char *text; /* what --help says below the usage */
    drl_status (*run)(void *args, drl_err *err);
    void *args;
} model_command;

/* Reads the flags, answers --help, runs the command; returns the exit status. argv[0] is the command's name. */
int model_main(const model_command *command, int argc, char **argv);

/* A model with its data and its score. */
typedef struct opened_model {
    drl_threads *team;
    drl_dataset *data;
    drl_model *model;
    drl_score_model *score;
} opened_model;
drl_status model_open(opened_model *o, const model_args *a, bool pull, drl_err *err);
void model_close(opened_model *o);

/* Progress of `runs` samplings or likelihoods one after the other. Where the steps are the integrator's own, what is
 * counted is thousandths of the time. */
typedef struct model_progress {
    drl_progress line;
    size_t runs, run, done;
    double t_from, t_to;
    bool begun;
} model_progress;
void model_progress_step(model_progress *p, const char *label, size_t step, size_t steps, double t);
void model_progress_end(model_progress *p);

int sample_main(int argc, char **argv);
int likelihood_main(int argc, char **argv);
int encode_main(int argc, char **argv);

#endif
