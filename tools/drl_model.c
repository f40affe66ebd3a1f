/* The command line of drl sample, likelihood and encode, and the model they open (drl_model.h). */
#include "drl_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/cli.h"
#include "drl/interrupt.h"

static drl_status parse(const model_command *c, int argc, char **argv, drl_err *err) {
    const model_args *common = c->args;
    drl_flags_default(c->args, c->flags, c->n_flags);
    for (int i = 1; i < argc; i++) {
        drl_flag_word w;
        if (!drl_flag_split(&w, argv[i])) return drl_fail(err, DRL_ERR_CONFIG, "unknown argument '%.80s'", argv[i]);
        drl_status st = drl_flag_parse(c->args, c->flags, c->n_flags, &w, &i, argc, argv, err);
        if (st != DRL_OK) return st;
    }
    return common->model[0] ? DRL_OK : drl_fail(err, DRL_ERR_CONFIG, "--model DIR is missing");
}

int model_main(const model_command *c, int argc, char **argv) {
    const drl_cli cli = {.program = "drl"};
    const model_args *common = c->args;
    drl_err err;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") != 0) continue;
        printf("usage: drl %s [flags]\n\n%s\nFlags (also as --flag=value):\n", c->name, c->text);
        drl_flags_help(stdout, c->flags, c->n_flags);
        return fflush(stdout) != 0 || ferror(stdout);
    }
    drl_status st = parse(c, argc, argv, &err);
    if (st == DRL_OK) {
        drl_log_quiet(common->quiet);
        drl_interrupt_install();
        st = c->run(c->args, &err);
    }
    if (st == DRL_OK && (fflush(stdout) != 0 || ferror(stdout)))
        st = drl_fail(&err, DRL_ERR_IO, "cannot write to standard output");
    if (st == DRL_OK) return 0;
    drl_err_context(&err, st, "%s", c->name);
    return drl_cli_report(&cli, &err);
}

drl_status model_open(opened_model *o, const model_args *a, bool pull, drl_err *err) {
    const drl_score_model_cfg cfg = {.weights = (drl_weights)a->weights, .pull = pull};
    *o = (opened_model){0};
    drl_status st = drl_threads_open(&o->team, a->threads, err);
    if (st == DRL_OK) st = drl_model_load(&o->model, &o->data, a->model, a->data_dir, o->team, err);
    if (st == DRL_OK && (st = drl_score_model_open(&o->score, o->model, &cfg, err)) != DRL_OK)
        drl_err_context(err, st, "model %s", a->model);
    return st;
}

void model_close(opened_model *o) {
    drl_score_model_close(o->score);
    drl_model_close(o->model);
    drl_dataset_free(o->data);
    drl_threads_close(o->team);
}

void model_progress_step(model_progress *p, const char *label, size_t step, size_t steps, double t) {
    const size_t one = steps ? steps : 1000;
    if (!p->begun) drl_progress_begin(&p->line, label, 0, p->runs * one);
    if (step == 0 && p->begun) p->run++;
    p->begun = true;
    p->done = p->run * one + (steps ? step : (size_t)(1000 * (t - p->t_from) / (p->t_to - p->t_from)));
    drl_progress_update(&p->line, p->done, 0, (double)NAN);
}

void model_progress_end(model_progress *p) {
    if (p->begun) drl_progress_end(&p->line, p->done, (double)NAN);
}
