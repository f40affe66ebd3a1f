/* A program outside the suite: a few steps of DRL on drawn images, and their codes. */
#include <stdio.h>
#include <drl/blas.h>
#include <drl/model.h>

int main(int argc, char **argv) {
    static drl_model_cfg cfg;
    drl_err err;
    drl_threads *team;
    drl_dataset *data;
    drl_model *model;
    drl_real codes[8 * 16];
    double loss = 0;
    size_t n;
    (void)argc;
    drl_blas_guard(argv);
    const drl_option *options = drl_model_options(&n);
    drl_config_defaults(&cfg, options, n);
    const char *sets[] = {"data.dataset=synthetic:factors",
                          "data.size=16",
                          "data.train_limit=64",
                          "data.test_limit=32",
                          "model.encoder_depth=10",
                          "model.encoder_width=0.25",
                          "model.score_channels=4",
                          "model.score_mult=1, 2",
                          "model.score_blocks=1",
                          "train.batch=8",
                          "train.warmup=2"};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (drl_config_set(&cfg, options, n, sets[i], &err) != DRL_OK) return fprintf(stderr, "%s\n", err.message), 1;
    if (drl_threads_open(&team, 2, &err) != DRL_OK) return 1;
    const drl_dataset_cfg dc = drl_model_dataset_cfg(&cfg, NULL, team);
    if (drl_dataset_open(&data, &dc, &err) != DRL_OK || drl_model_open(&model, &cfg, data, 1, team, &err) != DRL_OK)
        return fprintf(stderr, "%s\n", err.message), 1;
    for (int i = 0; i < 5; i++)
        if (drl_model_step(model, &loss, &err) != DRL_OK) return fprintf(stderr, "%s\n", err.message), 1;
    if (drl_model_encode(model, DRL_SPLIT_TEST, NULL, 8, 0.5, codes, &err) != DRL_OK) return 1;
    printf("loss %.3f, %zu numbers a code\n", loss, drl_model_code_size(model));
    size_t size = drl_model_code_size(model);
    drl_model_close(model);
    drl_dataset_free(data);
    drl_threads_close(team);
    return !(loss > 0 && size == 16);
}
