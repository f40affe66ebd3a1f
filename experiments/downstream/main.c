/* R1: downstream classification along the trajectory.                                       [science.md, section 5]
 *
 * For every seed: train DRL (or load it), encode train and test set at each t, fit the probes on the frozen codes, put
 * their test accuracies into the run store. Reference lines: an untrained encoder, the raw pixels. Then tables and
 * figure are made from the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/blas.h"
#include "drl/hash.h"
#include "drl/interrupt.h"
#include "drl/log.h"
#include "drl/mem.h"
#include "downstream.h"

static DRL_CONFIG_TABLE(downstream_options, downstream_cfg, DOWNSTREAM_OPTIONS)

    const char *const probe_metric[PROBES] = {"mlp_accuracy", "linear_accuracy", "knn_accuracy"};
const char *const probe_title[PROBES] = {"MLP probe", "Linear probe", "k-NN"};

typedef struct program {
    drl_cli cli;
    settings s;
    drl_threads *team;
    drl_dataset *data;
    drl_store *store;
    char *config;         /* canonical text of what determines the numbers */
    char config_hash[65]; /* of it, the data's SHA-256 included */
} program;

/* What would leave nothing to report. */
static drl_status check_own(const settings *s, drl_err *err) {
    bool any = false;
    for (int probe = 0; probe < PROBES; probe++) any = any || probe_wanted(s, probe);
    if (!any)
        return drl_fail(err, DRL_ERR_CONFIG, "probe.mlp, probe.linear, probe.neighbours: every probe is switched off");
    if (s->own.eval_times.n == 0) return drl_fail(err, DRL_ERR_CONFIG, "eval.times: want at least one time");
    for (size_t i = 1; i < s->own.eval_times.n; i++)
        if (!(s->own.eval_times.v[i] > s->own.eval_times.v[i - 1]))
            return drl_fail(err, DRL_ERR_CONFIG, "eval.times: want rising times, got %g before %g",
                            s->own.eval_times.v[i - 1], s->own.eval_times.v[i]);
    if (s->model.model_code == DRL_CODE_STATIC && s->own.eval_times.n > 1)
        return drl_fail(err, DRL_ERR_CONFIG,
                        "eval.times: a static code is the same at all times: give one, as in eval.times=0");
    return DRL_OK;
}

static drl_status read_settings(program *p, int argc, char **argv, drl_err *err) {
    static drl_option table[64]; /* lent to p->cli */
    size_t used = 0, n;
    const drl_option *rows = drl_model_options(&n);
    drl_options_append(table, &used, 64, rows, n, offsetof(settings, model));
    rows = downstream_options(&n);
    drl_options_append(table, &used, 64, rows, n, offsetof(settings, own));
    drl_status st =
        drl_cli_parse(&p->cli, argc, argv, "Accuracy of probes on frozen DRL codes against the encoder's time t (R1).",
                      table, used, err);
    if (st != DRL_OK || p->cli.action != DRL_CLI_RUN) return st;
    st = drl_cli_config(&p->cli, &p->s, DRL_SOURCE_DIR "/experiments/downstream", err);
    static const char *const shorthand[] = {"--dataset", "--seeds"};
    /* these flags are short for keys, and have the keys' limits */
    char assignment[2][DRL_STRING_MAX + 16];
    snprintf(assignment[0], sizeof assignment[0], "data.dataset=%s", p->cli.dataset);
    snprintf(assignment[1], sizeof assignment[1], "eval.seeds=%zu", p->cli.seeds);
    const bool given[] = {p->cli.dataset[0] != 0, p->cli.seeds != 0};
    for (int i = 0; i < 2 && st == DRL_OK; i++) {
        if (given[i]) st = drl_config_set(&p->s, table, used, assignment[i], err);
        if (st != DRL_OK) return drl_err_context(err, st, "%s", shorthand[i]);
    }
    if (st == DRL_OK) st = drl_model_check(&p->s.model, err);
    if (st == DRL_OK) st = check_own(&p->s, err);
    return st;
}

/* The text and hash under which rows are stored: everything that changes a number, and nothing else. */
static drl_status identify(program *p, drl_err *err) {
    settings fixed = p->s;
    fixed.own.eval_seeds = 1;
    fixed.own.run_checkpoint_seconds = 60;
    drl_status st = drl_config_text(&p->config, &fixed, p->cli.options, p->cli.n_options, err);
    if (st != DRL_OK) return st;
    size_t room = strlen(p->config) + 128;
    char *text;
    if ((st = drl_alloc(&text, room, 1, "configuration", err)) != DRL_OK) return st;
    snprintf(text, room, "%s\ndata %s\n", p->config, p->data->sha256);
    drl_sha256(p->config_hash, text, strlen(text));
    drl_free(text);
    return DRL_OK;
}

static drl_status open_all(program *p, drl_err *err) {
    const drl_model_cfg *m = &p->s.model;
    drl_dataset_cfg dc = {.name = m->data_dataset,
                          .data_dir = p->cli.data_dir[0] ? p->cli.data_dir : NULL,
                          .size = m->data_size,
                          .resize = (drl_resize)m->data_resize,
                          .skip_bad = m->data_skip_bad,
                          .train_limit = m->data_train_limit,
                          .test_limit = m->data_test_limit};
    drl_status st = drl_threads_open(&p->team, p->cli.threads, err);
    dc.team = p->team;
    if (st == DRL_OK) st = drl_dataset_open(&p->data, &dc, err);
    if (st == DRL_OK && p->data->skipped > 0) drl_log("%zu corrupt pictures are left out", p->data->skipped);
    if (st == DRL_OK && p->data->cache_note[0]) drl_log("the dataset is not cached: %s", p->data->cache_note);
    if (st == DRL_OK && p->data->split[DRL_SPLIT_TRAIN].n < 10)
        st = drl_fail(err, DRL_ERR_CONFIG, "%s: %zu training images are too few to set a tenth apart", m->data_dataset,
                      p->data->split[DRL_SPLIT_TRAIN].n);
    if (st == DRL_OK) st = identify(p, err);
    return st;
}

static drl_status open_run(program *p, const char *method, uint64_t seed, int64_t *id, drl_err *err) {
    drl_run_info info = {.experiment = EXPERIMENT,
                         .method = method,
                         .dataset = p->data->name,
                         .scale = drl_scale_name(p->cli.scale),
                         .config = p->config,
                         .config_hash = p->config_hash,
                         .dataset_sha256 = p->data->sha256,
                         .seed = seed};
    return drl_store_run(p->store, id, &info, err);
}

static void free_codes(code_pair *c) {
    for (int split = 0; split < DRL_SPLITS; split++) drl_free(c->x[split]);
    *c = (code_pair){0};
}

static drl_status alloc_codes(const program *p, code_pair *c, size_t d, drl_err *err) {
    *c = (code_pair){.d = d};
    drl_status st = DRL_OK;
    for (int split = 0; st == DRL_OK && split < DRL_SPLITS; split++) {
        size_t count;
        if (!drl_mul_size(&count, p->data->split[split].n, d)) return drl_fail(err, DRL_ERR_MEMORY, "codes: too many");
        st = drl_alloc(&c->x[split], count, sizeof(drl_real), "codes", err);
    }
    if (st != DRL_OK) free_codes(c);
    return st;
}

/* Encodes both splits with a model at t and probes the codes, unless all rows are there. */
static drl_status probe_model(program *p, drl_model *m, int64_t id, double t, double row_t, uint64_t seed,
                              drl_err *err) {
    bool done = false;
    drl_status st = p->cli.resume ? probe_done(p->store, id, &p->s, row_t, &done, err) : DRL_OK;
    if (st != DRL_OK || done) return st;
    code_pair codes;
    if ((st = alloc_codes(p, &codes, drl_model_code_size(m), err)) != DRL_OK) return st;
    double start = drl_now();
    for (int split = 0; st == DRL_OK && split < DRL_SPLITS; split++)
        st = drl_model_encode(m, (drl_split)split, t, codes.x[split], err);
    double encoded = drl_now() - start;
    if (st == DRL_OK) st = probe_codes(p->store, id, &p->s, p->data, &codes, row_t, seed, p->cli.resume, p->team, err);
    if (st == DRL_OK)
        drl_log("  t = %.2f: encoded in %.1f s, probed in %.1f s", t, encoded, drl_now() - start - encoded);
    free_codes(&codes);
    return st;
}

/* ---- The three methods of this experiment ------------------------------------------------------------------------ */

static drl_status run_trained(program *p, uint64_t seed, drl_err *err) {
    drl_model *m;
    int64_t id;
    char label[DRL_STRING_MAX + 32];
    snprintf(label, sizeof label, "%s seed %llu", p->s.model.model_method, (unsigned long long)seed);
    drl_train_run run = {.label = label,
                         .provenance = drl_provenance(),
                         .checkpoint_seconds = p->s.own.run_checkpoint_seconds,
                         .resume = p->cli.resume};
    drl_status st = drl_model_obtain(&m, &p->s.model, p->data, seed, p->team, p->cli.out, &run, err);
    if (st != DRL_OK) return st;
    if ((st = open_run(p, m->method->name, seed, &id, err)) != DRL_OK) goto done;
    if (run.seconds > 0) {
        st = drl_store_put(p->store, id, "train_seconds", NAN, run.seconds, "", err);
        if (st == DRL_OK)
            st = drl_store_put(p->store, id, "train_images_per_second", NAN, run.images_per_second, "", err);
    }
    drl_log("%s: probing the codes at %zu times", label, p->s.own.eval_times.n);
    for (size_t i = 0; st == DRL_OK && i < p->s.own.eval_times.n; i++)
        st = probe_model(p, m, id, p->s.own.eval_times.v[i], p->s.own.eval_times.v[i], seed, err);
done:
    drl_model_close(m);
    return st;
}

/* An encoder with its initial weights, at t = 0: what the architecture alone gives. Its running statistics are the
 * initial ones too. */
static drl_status run_untrained(program *p, uint64_t seed, drl_err *err) {
    drl_model *m;
    int64_t id;
    drl_status st = drl_model_open(&m, &p->s.model, p->data, seed, p->team, err);
    if (st != DRL_OK) return st;
    drl_log("untrained encoder, seed %llu", (unsigned long long)seed);
    st = open_run(p, "untrained", seed, &id, err);
    if (st == DRL_OK) st = probe_model(p, m, id, 0, NAN, seed, err);
    drl_model_close(m);
    return st;
}

/* The normalised pixels themselves as codes. */
static drl_status run_pixels(program *p, uint64_t seed, drl_err *err) {
    int64_t id;
    bool done = false;
    const drl_images *im = &p->data->split[DRL_SPLIT_TRAIN];
    drl_status st = open_run(p, "pixels", seed, &id, err);
    if (st == DRL_OK && p->cli.resume) st = probe_done(p->store, id, &p->s, NAN, &done, err);
    if (st != DRL_OK || done) return st;
    drl_log("raw pixels, seed %llu", (unsigned long long)seed);
    code_pair codes;
    if ((st = alloc_codes(p, &codes, im->h * im->w * im->c, err)) != DRL_OK) return st;
    for (int split = 0; split < DRL_SPLITS; split++)
        for (uint32_t i = 0; i < p->data->split[split].n; i++)
            drl_batch_images(codes.x[split] + i * codes.d, p->data, (drl_split)split, &i, 1);
    st = probe_codes(p->store, id, &p->s, p->data, &codes, NAN, seed, p->cli.resume, p->team, err);
    free_codes(&codes);
    return st;
}

/* ---- Dry run: the plan and what it would take -------------------------------------------------------------------- */

/* *seconds = what the MLP probe of one set of d-dimensional codes takes at most, from one epoch on a few random ones.
 */
static drl_status time_mlp(program *p, size_t d, double *seconds, drl_err *err) {
    enum { ROWS = 4096 };
    *seconds = 0;
    if (!probe_wanted(&p->s, PROBE_MLP)) return DRL_OK;
    drl_mlp_cfg full = p->s.own.probe_mlp == MLP_FAST ? drl_mlp_fast() : drl_mlp_published(), one = full;
    one.epochs = one.rates = 1;
    drl_real *x = NULL;
    int32_t *y = NULL;
    drl_probe_result result;
    drl_classifier *fit = NULL;
    drl_status st = drl_alloc(&x, ROWS * d, sizeof *x, "codes", err);
    if (st == DRL_OK) st = drl_alloc(&y, ROWS, sizeof *y, "labels", err);
    if (st == DRL_OK) {
        drl_rng_normal(drl_rng_stream(1, DRL_RNG_TEST, 0, 0), 0, x, ROWS * d);
        for (size_t i = 0; i < ROWS; i++) y[i] = (int32_t)(i % p->data->classes);
        drl_codes codes = {ROWS, d, p->data->classes, x, y}, few = {16, d, p->data->classes, x, y};
        drl_mlp_job job = {codes, few, 1};
        double start = drl_now();
        st = drl_probe_mlp(&fit, &result, &job, 1, &one, p->team, err);
        double epochs = (double)(full.epochs * full.rates) / (double)drl_threads_count(p->team);
        *seconds = (drl_now() - start) * epochs * 0.9 * (double)p->data->split[DRL_SPLIT_TRAIN].n / ROWS;
    }
    drl_classifier_free(fit);
    drl_free(x);
    drl_free(y);
    return st;
}

static drl_status dry_run(program *p, drl_err *err) {
    drl_model *m;
    drl_status st = drl_model_open(&m, &p->s.model, p->data, 1, p->team, err);
    if (st != DRL_OK) return st;
    double loss, start, step_seconds, encode_seconds, mlp_seconds = 0, pixel_seconds = 0;
    size_t steps = 0, images = 0, pixels = p->data->split[0].h * p->data->split[0].w * p->data->split[0].c;
    if ((st = drl_model_step(m, &loss, err)) != DRL_OK) goto done; /* warms caches */
    for (start = drl_now(); st == DRL_OK && drl_now() - start < 2; steps++) st = drl_model_step(m, &loss, err);
    step_seconds = (drl_now() - start) / (double)steps;
    size_t codes_size = drl_model_code_size(m);
    code_pair codes;
    if (st != DRL_OK || (st = alloc_codes(p, &codes, codes_size, err)) != DRL_OK) goto done;
    start = drl_now();
    st = drl_model_encode(m, DRL_SPLIT_TEST, 0, codes.x[DRL_SPLIT_TEST], err);
    encode_seconds = (drl_now() - start) / (double)p->data->split[DRL_SPLIT_TEST].n;
    free_codes(&codes);
    if (st == DRL_OK) st = time_mlp(p, codes_size, &mlp_seconds, err);
    if (st == DRL_OK && p->s.own.eval_references) st = time_mlp(p, pixels, &pixel_seconds, err);
    if (st != DRL_OK) goto done;

    char train[32], encode[32], probes[32], all[32];
    size_t seeds = p->s.own.eval_seeds, times = p->s.own.eval_times.n, each = p->s.model.train_steps;
    for (int split = 0; split < DRL_SPLITS; split++) images += p->data->split[split].n;
    drl_graph_stats gs = drl_graph_get_stats(m->train);
    printf("%s on %s, scale %s: plan\n", EXPERIMENT, p->data->name, drl_scale_name(p->cli.scale));
    printf("  models to train: %zu (%s), %zu parameters, %.1f M multiply-accumulates an image forward\n", seeds,
           m->method->title, drl_params_trained(&m->params), gs.macs * 1e-6);
    size_t sets = seeds * (times + (p->s.own.eval_references ? 1 : 0));
    double train_all = step_seconds * (double)(each * seeds);
    double encode_all = encode_seconds * (double)(images * sets);
    double probe_all = mlp_seconds * (double)sets + pixel_seconds * (double)seeds;
    printf("  each: %zu steps of %zu images; measured %.0f images/s: %s in all\n", each, p->s.model.train_batch,
           (double)p->s.model.train_batch / step_seconds, drl_format_duration(train, sizeof train, train_all));
    printf("  encode %zu images for %zu sets of codes: %s in all\n", images, sets,
           drl_format_duration(encode, sizeof encode, encode_all));
    printf("  MLP probes of these%s: at most %s; linear and k-NN probes take seconds each\n",
           p->s.own.eval_references ? " and of the pixels" : "", drl_format_duration(probes, sizeof probes, probe_all));
    printf("  together about %s from nothing; models and rows found in --out are used again\n",
           drl_format_duration(all, sizeof all, train_all + encode_all + probe_all));
    printf("  memory of a step %.0f MB\n", (double)(gs.tensor_bytes + gs.gradient_bytes) * 1e-6);
done:
    drl_model_close(m);
    return st;
}

static drl_status run(program *p, drl_err *err) {
    drl_status st = open_all(p, err);
    if (st != DRL_OK) return st;
    if (p->cli.dry_run) return dry_run(p, err);
    if ((st = drl_store_open(&p->store, p->cli.out, err)) != DRL_OK) return st;
    drl_log("%s on %s (%zu training, %zu test images), scale %s, %zu threads", EXPERIMENT, p->data->name,
            p->data->split[DRL_SPLIT_TRAIN].n, p->data->split[DRL_SPLIT_TEST].n, drl_scale_name(p->cli.scale),
            drl_threads_count(p->team));
    for (uint64_t seed = 1; st == DRL_OK && seed <= p->s.own.eval_seeds; seed++) {
        if (p->s.own.eval_references) {
            if ((st = run_pixels(p, seed, err)) == DRL_OK) st = run_untrained(p, seed, err);
        }
        if (st == DRL_OK) st = run_trained(p, seed, err);
    }
    if (st != DRL_OK) return st;
    return write_report(p->store, p->cli.out, p->data->name, drl_scale_name(p->cli.scale), p->config_hash, &p->s, err);
}

int main(int argc, char **argv) {
    drl_blas_guard(argv);
    static program p; /* too large for the stack */
    drl_err err = {0};
    drl_status st = read_settings(&p, argc, argv, &err);
    if (st != DRL_OK) return drl_cli_report(&p.cli, &err);
    if (p.cli.action != DRL_CLI_RUN) return drl_cli_answer(&p.cli);
    drl_log_quiet(p.cli.quiet);
    drl_interrupt_install();
    st = run(&p, &err);
    if (st == DRL_OK && (fflush(stdout) != 0 || ferror(stdout)))
        st = drl_fail(&err, DRL_ERR_IO, "cannot write to standard output");
    drl_store_close(p.store);
    drl_dataset_free(p.data);
    drl_threads_close(p.team);
    drl_free(p.config);
    return st == DRL_OK ? EXIT_SUCCESS : drl_cli_report(&p.cli, &err);
}
