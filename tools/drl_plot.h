/* drl plot EXPERIMENT...: tables and figures made anew from stored or exported rows. */
#ifndef DRL_TOOLS_PLOT_H
#define DRL_TOOLS_PLOT_H

/* drl plot ARGUMENTS...: argv[0] is "plot". Returns the exit status. */
int plot_main(int argc, char **argv);

#endif
