/* drl COMMAND ...: what is not an experiment. */
#include <stdio.h>
#include <string.h>

#include "baselines.h"
#include "drl/blas.h"
#include "drl/cli.h"
#include "drl_data.h"
#include "drl_model.h"
#include "drl_plot.h"
#include "drl_runs.h"
#include "report/report.h"

int main(int argc, char **argv) {
    static const char usage[] =
        "usage: drl data COMMAND ...   datasets: list, fetch, check, look at and export them\n"
        "       drl runs COMMAND ...   the run store: list, show, compare, delete, export and merge runs\n"
        "       drl sample ...         images drawn from a trained model\n"
        "       drl likelihood ...     bits per dimension of test images under a trained model\n"
        "       drl encode ...         codes of images by a trained model, as NumPy arrays\n"
        "       drl plot ...           tables and figures of experiments, anew from their rows\n"
        "       drl report ...         what experiments found, as one page: report.md, report.html\n"
        "       drl --help | --version\n\n`drl data --help`, `drl sample --help` ... say more.\n";
    drl_cli cli = {.program = "drl"};
    drl_err err;
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "data") == 0) return data_main(argc - 1, argv + 1);
    if (strcmp(first, "plot") == 0) return plot_main(argc - 1, argv + 1);
    if (strcmp(first, "report") == 0) return report_main(argc - 1, argv + 1);
    if (strcmp(first, "runs") == 0) return runs_main(argc - 1, argv + 1);
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } of_models[] = {{"sample", sample_main}, {"likelihood", likelihood_main}, {"encode", encode_main}};
    for (size_t i = 0; i < sizeof of_models / sizeof *of_models; i++) {
        if (strcmp(first, of_models[i].name) != 0) continue;
        drl_blas_guard(argv);
        drl_baselines_add(); /* so that models of all methods are known for what they are */
        return of_models[i].run(argc - 1, argv + 1);
    }
    if (strcmp(first, "--version") == 0) {
        cli.action = DRL_CLI_VERSION;
        return drl_cli_answer(&cli);
    }
    if (strcmp(first, "--help") == 0) return fputs(usage, stdout) < 0 || fflush(stdout) != 0;
    if (argc > 1)
        drl_fail(&err, DRL_ERR_CONFIG, "unknown argument '%.80s'", first);
    else
        drl_fail(&err, DRL_ERR_CONFIG,
                 "what to do is missing: drl data ..., runs ..., plot ..., report ..., sample ..., likelihood ... or "
                 "encode ...");
    return drl_cli_report(&cli, &err);
}
