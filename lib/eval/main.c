/* The frame of every program that evaluates methods: settings, data, methods by seeds, report (drl/eval.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/blas.h"
#include "drl/interrupt.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "drl/share.h"
#include "eval/eval.h"

#define NAME_MAX_LENGTH 64

/* ---- Settings ---------------------------------------------------------------------------------------------------- */

/* A part of file names, between dashes. */
static drl_status check_name(const char *name, drl_err *err) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    if (name[strspn(name, letters)])
        return drl_fail(err, DRL_ERR_CONFIG, "eval.name: '%.60s': want letters, digits and _ alone", name);
    if (strlen(name) > NAME_MAX_LENGTH)
        return drl_fail(err, DRL_ERR_CONFIG, "eval.name: %zu characters, at most %d", strlen(name), NAME_MAX_LENGTH);
    return DRL_OK;
}

/* What would leave nothing to report, or cannot be trained. */
static drl_status check(drl_eval *e, drl_err *err) {
    const drl_list *times = &e->s.eval.eval_times;
    if (!e->program->run && drl_eval_first_probe(&e->s) == DRL_PROBES)
        return drl_fail(err, DRL_ERR_CONFIG, "probe.mlp, probe.linear, probe.neighbours: every probe is switched off");
    if (times->n == 0) return drl_fail(err, DRL_ERR_CONFIG, "eval.times: want at least one time");
    for (size_t i = 1; i < times->n; i++)
        if (!(times->v[i] > times->v[i - 1]))
            return drl_fail(err, DRL_ERR_CONFIG, "eval.times: want rising times, got %g before %g", times->v[i - 1],
                            times->v[i]);
    drl_status st = check_name(e->s.eval.eval_name, err);
    for (size_t i = 0; i < e->n_arms && st == DRL_OK; i++) {
        st = drl_model_check(&e->arms[i].settings.model, err);
        if (st == DRL_OK && e->program->check) st = e->program->check(&e->arms[i], err);
    }
    return st;
}

static drl_status read_settings(drl_eval *e, int argc, char **argv, drl_err *err) {
    size_t n;
    const drl_option *options = drl_eval_options(e->program, &n);
    drl_status st = drl_cli_parse(&e->cli, argc, argv, e->program->summary, options, n, err);
    if (st != DRL_OK || e->cli.action != DRL_CLI_RUN) return st;
    char scales[DRL_PATH_MAX];
    drl_share_path(scales, e->program->config_dir);
    st = drl_cli_config(&e->cli, &e->s, scales, err);
    if (st == DRL_OK) st = drl_eval_arms(e, err);
    if (st == DRL_OK && e->program->claims) {
        char claims[DRL_PATH_MAX + 16];
        snprintf(claims, sizeof claims, "%s/claims.ini", scales);
        st = drl_claims_read(&e->claims, claims, e->program, err);
    }
    return st == DRL_OK ? check(e, err) : st;
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

static drl_status open_all(drl_eval *e, drl_err *err) {
    const drl_model_cfg *m = &e->s.model;
    drl_status st = drl_threads_open(&e->team, e->cli.threads, err);
    const drl_dataset_cfg dc = drl_model_dataset_cfg(m, e->cli.data_dir, e->team);
    if (st == DRL_OK) st = drl_dataset_open(&e->data, &dc, err);
    if (st == DRL_OK && e->data->skipped > 0) drl_log("%zu corrupt pictures are left out", e->data->skipped);
    if (st == DRL_OK && e->data->cache_note[0]) drl_log("the dataset is not cached: %s", e->data->cache_note);
    if (st == DRL_OK && drl_validation_size(e->data->split[DRL_SPLIT_TRAIN].n) == 0)
        st = drl_fail(err, DRL_ERR_CONFIG, "%s: %zu training images are too few to set a tenth apart", m->data_dataset,
                      e->data->split[DRL_SPLIT_TRAIN].n);
    if (st == DRL_OK && e->program->check_data) st = e->program->check_data(e->data, err);
    return st;
}

/* Rows being read back. */
typedef struct reader {
    const drl_eval_program *program;
    drl_evaluation *into;
    size_t arm, capacity;
} reader;

static drl_status keep_row(void *arg, const drl_row *from, drl_err *err) {
    reader *r = arg;
    drl_evaluation *e = r->into;
    if (r->program->wants && !r->program->wants(e->settings, from->metric)) return DRL_OK;
    if (e->n_rows == r->capacity) {
        drl_eval_row *rows;
        size_t capacity = r->capacity ? 2 * r->capacity : 256;
        drl_status st = drl_alloc(&rows, capacity, sizeof *rows, "rows", err);
        if (st != DRL_OK) return st;
        if (e->n_rows) memcpy(rows, e->rows, e->n_rows * sizeof *rows);
        drl_free(e->rows);
        e->rows = rows;
        r->capacity = capacity;
    }
    drl_eval_row *row = &e->rows[e->n_rows++];
    *row = (drl_eval_row){.arm = r->arm, .seed = from->seed, .t = from->t, .value = from->value};
    snprintf(row->metric, sizeof row->metric, "%s", from->metric);
    return DRL_OK;
}

/* The report is made from the rows of the store alone. */
static drl_status report(drl_eval *e, drl_evaluation *v, drl_err *err) {
    reader r = {.program = e->program, .into = v};
    drl_status st = DRL_OK;
    size_t seeds = e->s.eval.eval_seeds;
    for (size_t i = 0; i < e->n_arms && st == DRL_OK; i++) {
        char *text;
        st = drl_eval_identify(&text, v->config_hash[i], e, &e->arms[i], err);
        drl_free(text);
    }
    for (size_t i = 0; i < e->n_arms * seeds && st == DRL_OK; i++) {
        r.arm = i / seeds;
        st = drl_store_run_rows(e->store, v->runs[i], keep_row, &r, err);
    }
    if (st == DRL_OK) st = e->program->report(v, err);
    drl_free(v->rows);
    return st;
}

/* Without a row there is nothing to report. */
static drl_status find_all(drl_eval *e, drl_evaluation *v, drl_err *err) {
    size_t seeds = e->s.eval.eval_seeds, found = 0;
    drl_status st = DRL_OK;
    for (size_t i = 0; i < e->n_arms * seeds && st == DRL_OK; i++) {
        st = drl_eval_find_run(e, NULL, &e->arms[i / seeds], 1 + i % seeds, &v->runs[i], err);
        found += v->runs[i] > 0;
    }
    if (st == DRL_OK && found == 0)
        st = drl_fail(err, DRL_ERR_NOT_FOUND, "%s: no run of these settings on %s at scale %s", e->cli.out,
                      e->data->name, drl_scale_name(e->cli.scale));
    if (st == DRL_OK && found < e->n_arms * seeds)
        drl_log("%zu of %zu runs are there; the others are left out", found, e->n_arms * seeds);
    return st;
}

static drl_status run_all(drl_eval *e, drl_evaluation *v, drl_err *err) {
    size_t seeds = e->s.eval.eval_seeds;
    drl_status st = DRL_OK;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        for (size_t i = 0; i < e->n_arms && st == DRL_OK; i++)
            st = drl_eval_run(e, &e->arms[i], seed, &v->runs[i * seeds + seed - 1], err);
    return st;
}

static drl_status run(drl_eval *e, drl_err *err) {
    static drl_evaluation v;
    bool report_only = e->cli.report || e->cli.from[0];
    drl_status st = DRL_OK;
    if ((st = open_all(e, err)) != DRL_OK) return st;
    if (e->cli.dry_run) return drl_eval_dry_run(e, err);
    if ((st = drl_store_open(&e->store, e->cli.out, err)) != DRL_OK) return st;
    drl_log("%s on %s (%zu training, %zu test images), scale %s, %zu threads", e->program->name, e->data->name,
            e->data->split[DRL_SPLIT_TRAIN].n, e->data->split[DRL_SPLIT_TEST].n, drl_scale_name(e->cli.scale),
            drl_threads_count(e->team));
    v = (drl_evaluation){.settings = &e->s,
                         .dataset = e->data->name,
                         .data = e->data,
                         .scale = drl_scale_name(e->cli.scale),
                         .out = e->cli.out,
                         .program = e->program->name,
                         .command = e->cli.command,
                         .claims = e->program->claims ? &e->claims : NULL,
                         .from = e->cli.from,
                         .store = e->store,
                         .n_arms = e->n_arms,
                         .arms = e->arms};
    if (e->cli.from[0]) st = drl_store_import(e->store, e->cli.from, err);
    if (st == DRL_OK) st = drl_eval_budget(e, !report_only, err);
    if (st == DRL_OK) st = report_only ? find_all(e, &v, err) : run_all(e, &v, err);
    return st == DRL_OK ? report(e, &v, err) : st;
}

int drl_eval_main(const drl_eval_program *program, int argc, char **argv) {
    static drl_eval e; /* too large for the stack */
    drl_err err = {0};
    drl_blas_guard(argv);
    e.program = program;
    drl_status st = read_settings(&e, argc, argv, &err);
    if (st != DRL_OK) return drl_cli_report(&e.cli, &err);
    if (e.cli.action != DRL_CLI_RUN) return drl_cli_answer(&e.cli);
    drl_log_quiet(e.cli.quiet);
    drl_interrupt_install();
    st = run(&e, &err);
    if (st == DRL_OK && (fflush(stdout) != 0 || ferror(stdout)))
        st = drl_fail(&err, DRL_ERR_IO, "cannot write to standard output");
    drl_store_close(e.store);
    drl_dataset_free(e.data);
    drl_threads_close(e.team);
    return st == DRL_OK ? EXIT_SUCCESS : drl_cli_report(&e.cli, &err);
}
