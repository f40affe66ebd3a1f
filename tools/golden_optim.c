/* optim.safetensors: some steps of an optimiser on tensors p0, p1, ... with given gradients.          [vectors, 10, 11]
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/mem.h"
#include "drl/optim.h"
#include "golden.h"

#define MAX_TENSORS 16

/* One case: its tensors lie one after another in a flat block, as in a model. */
typedef struct optim_case {
    golden *gd;
    const char *group; /* "case/" */
    const drl_st_tensor *start[MAX_TENSORS], *grad[MAX_TENSORS];
    size_t tensors, steps, at[MAX_TENSORS], n;
    drl_real *params, *gradient;
} optim_case;

static bool read_case(optim_case *c) {
    for (size_t i = 0; i < MAX_TENSORS; i++) {
        const drl_st_tensor *p = golden_use(c->gd, "%sp%zu_start", c->group, i);
        const drl_st_tensor *g = golden_use(c->gd, "%sp%zu_grad", c->group, i);
        if (!p || !g) break;
        if (i == 0 && g->rank > 0) c->steps = g->shape[0];
        if (g->count != c->steps * p->count) break;
        c->start[i] = p;
        c->grad[i] = g;
        c->at[i] = c->n;
        c->n += drl_align_count(p->count, sizeof(drl_real));
        c->tensors++;
    }
    if (c->tensors == 0 || c->steps == 0) {
        golden_complain(c->gd, "%s: want p0_start and p0_grad, one gradient a step", c->group);
        return false;
    }
    c->params = golden_alloc(c->n, sizeof *c->params);
    c->gradient = golden_alloc(c->n, sizeof *c->gradient);
    for (size_t i = 0; i < c->tensors; i++)
        for (size_t e = 0; e < c->start[i]->count; e++) c->params[c->at[i] + e] = (drl_real)golden_at(c->start[i], e);
    return true;
}

/* The file has no peak rate. It is the published one where the warm-up is; else it is what gives the rate of the last
 * step, and the steps before check the warm-up. */
static double peak_rate(const optim_case *c, double warmup, double first) {
    const drl_st_tensor *lr = golden_find(c->gd, "%slr", c->group);
    const drl_optim_cfg published = drl_optim_published();
    if (!lr || lr->count == 0 || warmup == (double)published.warmup) return published.rate;
    double made = first + (double)lr->count - 1, part = warmup > 0 ? fmin(made / warmup, 1) : 1;
    return golden_at(lr, lr->count - 1) / part;
}

/* A setting that counts steps; 0 where the file's is no such number. */
static uint64_t count_setting(const optim_case *c, const char *name) {
    double v = golden_setting(c->gd, 0, "%s%s", c->group, name);
    return v >= 0 && v < 1e15 ? (uint64_t)v : 0;
}

static void configure(optim_case *c, drl_optim *o) {
    drl_err err;
    uint64_t warmup = count_setting(c, "warmup"), first = count_setting(c, "first_step");
    const drl_optim_cfg cfg = {.kind = strncmp(c->group, "sgd", 3) == 0 ? DRL_SGD_NESTEROV : DRL_ADAM,
                               .rate = peak_rate(c, (double)warmup, (double)first),
                               .warmup = warmup,
                               .clip = golden_setting(c->gd, -1, "%sclip", c->group),
                               .weight_decay = golden_setting(c->gd, 0, "%sweight_decay", c->group),
                               .ema = golden_find(c->gd, "%sema_decay", c->group) ? drl_optim_published().ema : 0};
    if (drl_optim_init(o, &cfg, c->params, c->n, &err) != DRL_OK)
        golden_complain(c->gd, "%s: %s", c->group, err.message);
    o->step = first;
    o->ema_updates = count_setting(c, "ema_first");
}

/* What the file has a row a step of. */
typedef struct trace {
    const drl_st_tensor *want;
    const drl_real *from; /* in the flat block; NULL: a scalar, *scalar */
    const double *scalar;
    size_t count;
    double *rows;
} trace;

static void add_trace(const optim_case *c, trace *list, size_t *n, const char *name, const drl_real *from,
                      const double *scalar, size_t count) {
    const drl_st_tensor *want = golden_find(c->gd, "%s%s", c->group, name);
    if (!want) return;
    list[(*n)++] = (trace){want, from, scalar, count, golden_alloc(c->steps * count, sizeof(double))};
}

static void record(trace *list, size_t n, size_t step, bool scalars) {
    for (size_t k = 0; k < n; k++)
        for (size_t e = 0; e < list[k].count && !list[k].from == scalars; e++)
            list[k].rows[step * list[k].count + e] = scalars ? *list[k].scalar : (double)list[k].from[e];
}

/* Row `step` of all gradients; returns their squared norm. */
static double set_gradient(optim_case *c, size_t step) {
    double square = 0;
    for (size_t i = 0; i < c->tensors; i++)
        for (size_t e = 0; e < c->start[i]->count; e++) {
            double g = golden_at(c->grad[i], step * c->start[i]->count + e);
            c->gradient[c->at[i] + e] = (drl_real)g;
            square += g * g;
        }
    return square;
}

static size_t add_traces(const optim_case *c, trace *list, const drl_optim *o, const double scalars[3]) {
    static const char *const names[3] = {"norm", "lr", "ema_decay"}, *const suffixes[4] = {"after", "m", "v", "ema"};
    size_t n = 0;
    for (int k = 0; k < 3; k++) add_trace(c, list, &n, names[k], NULL, &scalars[k], 1);
    for (size_t i = 0; i < c->tensors; i++) {
        const drl_real *blocks[4] = {c->params, o->m, o->v, o->ema};
        for (int k = 0; k < 4; k++) {
            char name[32];
            snprintf(name, sizeof name, "p%zu_%s", i, suffixes[k]);
            add_trace(c, list, &n, name, blocks[k] + c->at[i], NULL, c->start[i]->count);
        }
    }
    return n;
}

static void run_case(golden *gd, const char *group, drl_threads *team) {
    optim_case c = {.gd = gd, .group = group};
    drl_optim o;
    if (!read_case(&c)) return;
    configure(&c, &o);
    double scalars[3]; /* norm before clipping, rate, decay of the average */
    trace list[3 + 4 * MAX_TENSORS];
    size_t n = add_traces(&c, list, &o, scalars);
    for (size_t step = 0; step < c.steps; step++) {
        double square = set_gradient(&c, step);
        scalars[0] = sqrt(square);
        scalars[1] = drl_optim_rate(&o);
        scalars[2] = drl_optim_ema_decay(&o);
        record(list, n, step, true);
        drl_optim_step(&o, c.params, c.gradient, square, team);
        record(list, n, step, false);
    }
    for (size_t k = 0; k < n; k++) {
        golden_compare(gd, list[k].want, list[k].rows, c.steps * list[k].count, "all steps");
        golden_free(list[k].rows);
    }
    drl_optim_free(&o);
    golden_free(c.params);
    golden_free(c.gradient);
}

void golden_optim(golden *gd) {
    golden_scale_zeros(gd, true, true);
    for (size_t i = 0; i < drl_st_count(gd->file); i++) {
        const char *name = drl_st_at(gd->file, i)->name, *end = strstr(name, "/p0_start");
        if (!end || end[strlen("/p0_start")]) continue;
        char group[GOLDEN_NAME];
        snprintf(group, sizeof group, "%.*s", (int)(end - name + 1), name);
        for (int threads = 0; threads < 2; threads++) run_case(gd, group, gd->team[threads]);
    }
}
