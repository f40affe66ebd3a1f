/* Gradient checks by central differences, in double.                                       [style.md, "Gradient check"]
 *
 * A case names inputs and a builder. The harness draws inputs, parameters and an upstream gradient u, and compares
 * every element of every gradient of L = <u, y> (+ sum over roots of weight * batch mean) with ( L(v + h) - L(v - h) )
 * / 2h, relative to the largest gradient of the element's tensor. It does so for several plans of the same graph:
 * memory reused or kept, one thread or two, fused or not, several shards with a partial last one or a single shard. All
 * memory of a graph is NaN before a run, and every run is made twice and has to end in the same bits. */
#ifndef GRADCHECK_H
#define GRADCHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "drl/graph.h"
#include "drl/nets.h"
#include "drl/ops.h"

#define GC_IMAGES   5 /* images of a run: shards of 2, 2 and 1 */
#define GC_MAX_IN   6
#define GC_MAX_ARG  6
#define GC_MAX_ROOT 4

/* How an input is drawn: standard normal; 0.3 <= |x| <= 1.3 of either sign; in [0.1, 0.9]; a class below `classes`; 0
 * or 1. */
typedef enum gc_draw { GC_NORMAL, GC_AWAY, GC_UNIT, GC_LABEL, GC_MASK } gc_draw;

typedef struct gc_input {
    drl_shape shape; /* {0, 0, 0}: the input is missing, its handle is -1 */
    gc_draw draw;
    bool fixed; /* has no gradient */
    size_t classes;
    bool stopped; /* asks for a gradient, but no op passes one on: none must be reported */
} gc_input;

/* What a builder sees. */
typedef struct gc_build {
    drl_graph *g;
    drl_tensor in[GC_MAX_IN];
    const double *arg;
    drl_tensor root[GC_MAX_ROOT];
    double weight[GC_MAX_ROOT];
    size_t roots;
} gc_build;

typedef struct gc_case {
    const char *name;
    drl_tensor (*build)(gc_build *b); /* returns the tensor that gets the upstream gradient, or -1: roots alone */
    gc_input in[GC_MAX_IN];
    double arg[GC_MAX_ARG];
    bool evaluate;    /* the graph does not train                                                          */
    bool linear;      /* y is affine in the inputs: <A x, u> = <x, A^T u> is checked too                   */
    bool zero;        /* some tensor's gradient may vanish                                                 */
    size_t most;      /* at most so many elements a tensor, and one direction of all of them (0: everything) */
    double tolerance; /* 0: 1e-7 */
} gc_case;

/* x = n numbers drawn as the input says; weights of size 1/sqrt(fan in), vectors around 0 or, where they multiply, 1.
 */
void gc_draw_input(drl_real *x, size_t n, const gc_input *in, uint32_t stream);
void gc_draw_params(drl_params *ps);

/* Makes the tensor a root of the objective, with a weight. */
void gc_root(gc_build *b, drl_tensor t, double weight);

/* Falsifies one tensor's analytic gradient (n elements) before the comparison: proves that the check can fail. */
typedef void (*gc_hook)(drl_real *gradient, size_t n);

typedef struct gc_report {
    size_t compared, failures;
    double worst; /* largest relative error of an element that passed */
} gc_report;

/* Threads and BLAS; before the first check and after the last one. gc_main calls them itself. */
void gc_open(char **argv);
void gc_close(void);

/* Runs one case; says on stderr what failed unless a hook is given. */
gc_report gc_check(const gc_case *c, gc_hook hook);

/* main of a program of cases, one cmocka test each: `PROGRAM [pattern]` runs the cases whose names match. */
int gc_main(int argc, char **argv, const char *group, const gc_case *cases, size_t n);

#endif
