/* Rows of an evaluation in memory, and what reports ask of them (drl/eval.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/eval.h"

double drl_eval_value(const drl_evaluation *e, size_t arm, const char *metric, double t, uint64_t seed) {
    for (size_t i = 0; i < e->n_rows; i++) {
        const drl_eval_row *r = &e->rows[i];
        bool same_t = isnan(t) ? isnan(r->t) : r->t == t;
        if (r->arm == arm && r->seed == seed && same_t && strcmp(r->metric, metric) == 0) return r->value;
    }
    return NAN;
}

/* Statistics over the seeds for which of(e, arg, seed) is a number. */
static drl_stats over_seeds(const drl_evaluation *e, double (*of)(const drl_evaluation *, const void *, uint64_t),
                            const void *arg) {
    double values[DRL_EVAL_SEEDS];
    size_t n = 0;
    for (uint64_t seed = 1; seed <= e->settings->eval.eval_seeds; seed++) {
        double v = of(e, arg, seed);
        if (isfinite(v)) values[n++] = v;
    }
    return n ? drl_stats_of(values, n) : (drl_stats){0};
}

typedef struct cell {
    size_t arm;
    const char *metric;
    double t;
    drl_probe_kind probe;
} cell;

static double value_of(const drl_evaluation *e, const void *arg, uint64_t seed) {
    const cell *c = arg;
    return drl_eval_value(e, c->arm, c->metric, c->t, seed);
}

drl_stats drl_eval_stats(const drl_evaluation *e, size_t arm, const char *metric, double t) {
    return over_seeds(e, value_of, &(cell){.arm = arm, .metric = metric, .t = t});
}

const double *drl_eval_times(const drl_evaluation *e, size_t arm, size_t *n) {
    static const double none[] = {NAN};
    const drl_arm *a = &e->arms[arm];
    bool trajectory = drl_method_has_times(a->method, &a->settings.model);
    *n = trajectory ? a->settings.eval.eval_times.n : 1;
    return trajectory ? a->settings.eval.eval_times.v : none;
}

double drl_eval_best_time(const drl_evaluation *e, size_t arm, drl_probe_kind probe) {
    size_t n;
    const double *times = drl_eval_times(e, arm, &n);
    double best = -INFINITY, chosen = NAN;
    for (size_t i = 0; i < n; i++) {
        drl_stats s = drl_eval_stats(e, arm, drl_probe_val_metric[probe], times[i]);
        if (s.n && s.mean > best) best = s.mean, chosen = times[i];
    }
    return chosen;
}

double drl_eval_best(const drl_evaluation *e, size_t arm, drl_probe_kind probe, uint64_t seed) {
    size_t n;
    const double *times = drl_eval_times(e, arm, &n);
    double best = -INFINITY, chosen = NAN;
    for (size_t i = 0; i < n; i++) {
        double val = drl_eval_value(e, arm, drl_probe_val_metric[probe], times[i], seed);
        if (!(val > best)) continue;
        best = val;
        chosen = 100 * drl_eval_value(e, arm, drl_probe_metric[probe], times[i], seed);
    }
    return chosen;
}

static double best_of(const drl_evaluation *e, const void *arg, uint64_t seed) {
    const cell *c = arg;
    return drl_eval_best(e, c->arm, c->probe, seed);
}

drl_stats drl_eval_best_stats(const drl_evaluation *e, size_t arm, drl_probe_kind probe) {
    return over_seeds(e, best_of, &(cell){.arm = arm, .probe = probe});
}

typedef struct pair {
    size_t a, b;
    drl_probe_kind probe;
    const char *metric;
} pair;

static double difference_of(const drl_evaluation *e, const void *arg, uint64_t seed) {
    const pair *p = arg;
    return drl_eval_best(e, p->a, p->probe, seed) - drl_eval_best(e, p->b, p->probe, seed);
}

drl_stats drl_eval_difference(const drl_evaluation *e, size_t a, size_t b, drl_probe_kind probe) {
    return over_seeds(e, difference_of, &(pair){.a = a, .b = b, .probe = probe});
}

static double metric_difference_of(const drl_evaluation *e, const void *arg, uint64_t seed) {
    const pair *p = arg;
    return drl_eval_value(e, p->a, p->metric, NAN, seed) - drl_eval_value(e, p->b, p->metric, NAN, seed);
}

drl_stats drl_eval_metric_difference(const drl_evaluation *e, size_t a, size_t b, const char *metric) {
    return over_seeds(e, metric_difference_of, &(pair){.a = a, .b = b, .metric = metric});
}

drl_stats drl_eval_scaled(drl_stats x, double k) {
    return (drl_stats){x.n, k * x.mean, fabs(k) * x.std, fabs(k) * x.half95};
}

drl_probe_kind drl_eval_first_probe(const drl_settings *s) {
    for (int probe = 0; probe < DRL_PROBES; probe++)
        if (drl_eval_wants(s, (drl_probe_kind)probe)) return (drl_probe_kind)probe;
    return DRL_PROBES;
}

int drl_eval_find(const drl_evaluation *e, const char *method, const char *variant) {
    for (size_t i = 0; i < e->n_arms; i++)
        if (strcmp(e->arms[i].method->name, method) == 0 && (!variant || strcmp(e->arms[i].variant, variant) == 0))
            return (int)i;
    return -1;
}
