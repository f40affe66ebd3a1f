/* What augmentation costs: processor time of a picture for each kind, and training steps with and without it, in turn,
 * the feed's thread sharing the processors with the step. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "drl/augment.h"
#include "drl/mem.h"

#define BENCH_OPTIONS(X)                                                                                               \
    X(ENUM, bench, net, "paper", DRL_CHOICES(BENCH_NETS), "network and image")                                         \
    X(SIZE, bench, batch, "64", DRL_RANGE(1, 4096), "images a step")                                                   \
    X(SIZE, bench, rounds, "5", DRL_RANGE(1, BENCH_MAX_ROUNDS), "rounds; the median counts")                           \
    X(REAL, bench, seconds, "3", DRL_RANGE(0.1, 600), "least time of a round")                                         \
    X(BOOL, bench, json, "no", DRL_ANY, "print one JSON object")
DRL_CONFIG_STRUCT(bench_cfg, BENCH_OPTIONS);
static DRL_CONFIG_TABLE(bench_options, bench_cfg, BENCH_OPTIONS);

/* The last one is what the steps are made with. */
static const struct {
    const char *name;
    drl_augment_cfg cfg;
} kinds[] = {
    {"flip", {.augment_flip = true}},
    {"crop", {.augment_crop = 4}},
    {"rand_ops", {.augment_rand_ops = 2, .augment_rand_magnitude = 9}},
    {"resized_crop", {.augment_resized_crop = 0.08}},
    {"jitter", {.augment_jitter = 1}},
    {"grey", {.augment_grey = 1}},
    {"blur", {.augment_blur = 1}},
    {"noise", {.augment_noise = 1}},
    {"simclr",
     {.augment_flip = true,
      .augment_resized_crop = 0.08,
      .augment_jitter = 1,
      .augment_grey = 0.2,
      .augment_blur = 0.5}},
    {"flip_crop_jitter", {.augment_flip = true, .augment_crop = 4, .augment_jitter = 1}},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Microseconds a picture of each kind. */
static drl_status measure_kinds(double us[KINDS], const drl_dataset *data, double seconds, drl_err *err) {
    const drl_images *im = &data->split[DRL_SPLIT_TRAIN];
    drl_real *out = NULL, *scratch = NULL;
    drl_status st = drl_alloc(&out, im->h * im->w * im->c, sizeof *out, "picture", err);
    if (st == DRL_OK) st = drl_alloc(&scratch, drl_augment_scratch(data), sizeof *scratch, "picture", err);
    for (int k = 0; k < KINDS && st == DRL_OK; k++) {
        size_t n = 0;
        double start = bench_cpu_seconds();
        for (; n < 100 || bench_cpu_seconds() - start < seconds / KINDS; n++) {
            const drl_augment_draw draw = {1, 0, (uint32_t)(n / 64), n % 64};
            drl_augment_image(out, &kinds[k].cfg, data, (uint32_t)(n % im->n), &draw, scratch);
        }
        us[k] = 1e6 * (bench_cpu_seconds() - start) / (double)n;
    }
    drl_free(out);
    drl_free(scratch);
    return st;
}

static drl_status step(void *arg, drl_err *err) {
    double loss;
    return drl_model_step(arg, &loss, err);
}

/* *ratio = median over rounds of images/s with augmentation, relative to without. */
static drl_status measure_steps(double *ratio, double seconds[2], drl_model *const m[2], const bench_cfg *b,
                                drl_err *err) {
    double ratios[BENCH_MAX_ROUNDS], times[2][BENCH_MAX_ROUNDS];
    drl_status st = DRL_OK;
    for (size_t r = 0; r < b->bench_rounds; r++) {
        for (int k = 0; k < 2 && st == DRL_OK; k++) st = bench_round(&times[k][r], step, m[k], b->bench_seconds, err);
        if (st != DRL_OK) return st;
        ratios[r] = times[0][r] / times[1][r];
    }
    *ratio = bench_median(ratios, b->bench_rounds);
    for (int k = 0; k < 2; k++) seconds[k] = bench_median(times[k], b->bench_rounds);
    return DRL_OK;
}

static void print_result(const bench_cfg *b, const double us[KINDS], double ratio, const double seconds[2],
                         size_t threads) {
    if (b->bench_json) {
        char more[1024] = "";
        for (int k = 0; k < KINDS; k++)
            snprintf(more + strlen(more), sizeof more - strlen(more), "\"%s_us\": %.2f, ", kinds[k].name, us[k]);
        snprintf(more + strlen(more), sizeof more - strlen(more), "\"plain_seconds\": %.6f, \"ratio\": %.4f, ",
                 seconds[0], ratio);
        bench_print_json(&(bench_result){"augment", bench_net_name(b->bench_net), b->bench_batch, threads, seconds[1],
                                         bench_peak_rss_mb()},
                         more);
        return;
    }
    printf("%s network's images, processor time of a picture\n", bench_net_name(b->bench_net));
    for (int k = 0; k < KINDS; k++) printf("  %-18s %8.2f us\n", kinds[k].name, us[k]);
    printf("a step of %zu images, %zu threads: %.1f ms without, %.1f ms with flip, crop and jitter; images/s %.3f of "
           "those without\n",
           b->bench_batch, threads, 1e3 * seconds[0], 1e3 * seconds[1], ratio);
}

static drl_status run(const drl_cli *cli, const void *cfg, drl_err *err) {
    const bench_cfg *b = cfg;
    drl_threads *team = NULL;
    drl_dataset *data = NULL;
    drl_model *m[2] = {NULL};
    drl_model_cfg mc;
    double us[KINDS], seconds[2], ratio;
    drl_status st = drl_threads_open(&team, cli->threads, err);
    if (st == DRL_OK) st = bench_net_open(b->bench_net, b->bench_batch, &mc, &data, err);
    if (st == DRL_OK) st = measure_kinds(us, data, b->bench_seconds, err);
    if (st == DRL_OK) st = drl_model_open(&m[0], &mc, data, 1, team, err);
    const drl_augment_cfg *with = &kinds[KINDS - 1].cfg;
    mc.augment_flip = with->augment_flip;
    mc.augment_crop = with->augment_crop;
    mc.augment_jitter = with->augment_jitter;
    if (st == DRL_OK) st = drl_model_open(&m[1], &mc, data, 1, team, err);
    if (st == DRL_OK) st = measure_steps(&ratio, seconds, m, b, err);
    if (st == DRL_OK) print_result(b, us, ratio, seconds, drl_threads_count(team));
    for (int k = 0; k < 2; k++) drl_model_close(m[k]);
    drl_dataset_free(data);
    drl_threads_close(team);
    return st;
}

int main(int argc, char **argv) {
    bench_cfg cfg;
    size_t n;
    const drl_option *options = bench_options(&n);
    return bench_main(argc, argv, "What augmentation of training images costs.", options, n, &cfg, run);
}
