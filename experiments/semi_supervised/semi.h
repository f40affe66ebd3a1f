/* R2: semi-supervised classification. What main.c reports and runs.c makes. */
#ifndef SEMI_H
#define SEMI_H

#include "drl/eval.h"
#include "drl/laplacenet.h"

#define SEMI_OWN_OPTIONS(X)                                                                                            \
    X(LIST, semi, labels, "100", DRL_RANGE(1, 1e9), "numbers of labelled images, drawn evenly from the classes")       \
    X(STRING, semi, label_files, "", DRL_ANY, "files of labels instead of draws, separated by commas")                 \
    X(SIZE, semi, supervised_steps, "1000", DRL_RANGE(1, 1e9), "steps on the labelled images alone")                   \
    X(SIZE, semi, models, "0", DRL_RANGE(0, 100), "pretrained models that splits take in turn; 0: one a split")
DRL_CONFIG_STRUCT(semi_own, SEMI_OWN_OPTIONS);

/* Lies in drl_settings.own. */
typedef struct semi_cfg {
    drl_laplacenet_cfg net;
    semi_own own;
} semi_cfg;
const semi_cfg *semi_settings(const drl_settings *s);
const drl_option *semi_options(size_t *n);
bool semi_counts(const drl_method *method, const drl_option *option);

/* Three ways to use the labels; rows of the store are WAY/LABELS. */
enum { SEMI_PROPAGATION, SEMI_SUPERVISED, SEMI_LAPLACENET, SEMI_WAYS };
#define SEMI_METRIC 48
void semi_metric(char metric[SEMI_METRIC], const char *way, size_t labels);
extern const char *const semi_way[SEMI_WAYS];
#define SEMI_PSEUDO "pseudo"      /* accuracy of LaplaceNet's pseudo-labels by epoch, 1, 2, ... */
#define SEMI_TIME   "pseudo_time" /* and the encoder's time then                                */

/* Whether an arm pretrains nothing: LaplaceNet from random weights. */
bool semi_is_none(const drl_arm *arm);

/* drl_eval_program.check, run and plan. */
drl_status semi_check(const drl_arm *arm, drl_err *err);
drl_status semi_run(const drl_subject *s, drl_err *err);
drl_status semi_plan(size_t *models, double *seconds, const drl_subject *s, drl_err *err);

#endif
