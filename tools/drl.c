/* drl GROUP COMMAND...: what is not an experiment. So far there is one group, data. */
#include <stdio.h>
#include <string.h>

#include "drl/cli.h"
#include "drl_data.h"

int main(int argc, char **argv) {
    static const char usage[] = "usage: drl data COMMAND ...   datasets: list, fetch, check, look at and export them\n"
                                "       drl --help | --version\n\n`drl data --help` lists the commands.\n";
    drl_cli cli = {.program = "drl"};
    drl_err err;
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "data") == 0) return data_main(argc - 1, argv + 1);
    if (strcmp(first, "--version") == 0) {
        cli.action = DRL_CLI_VERSION;
        return drl_cli_answer(&cli);
    }
    if (strcmp(first, "--help") == 0) return fputs(usage, stdout) < 0 || fflush(stdout) != 0;
    if (argc > 1)
        drl_fail(&err, DRL_ERR_CONFIG, "unknown argument '%.80s'", first);
    else
        drl_fail(&err, DRL_ERR_CONFIG, "what to do is missing: drl data ...");
    return drl_cli_report(&cli, &err);
}
