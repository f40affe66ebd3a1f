/* The silhouette of classes in codes (drl/probe.h). */
#include <math.h>
#include <string.h>

#include "drl/mem.h"
#include "models/probe_common.h"

typedef struct job {
    const drl_codes *codes;
    const size_t *members; /* (classes) codes of each class        */
    double *sums;          /* (threads, classes)                   */
    double *width;         /* (n) silhouette of each code          */
} job;

static double distance(const drl_real *a, const drl_real *b, size_t d) {
    double sum = 0;
    for (size_t j = 0; j < d; j++) sum += ((double)a[j] - (double)b[j]) * ((double)a[j] - (double)b[j]);
    return sqrt(sum);
}

static void measure_one(void *arg, size_t i, size_t member) {
    const job *w = arg;
    const drl_codes *c = w->codes;
    double *sums = w->sums + member * c->classes, a = 0, b = INFINITY;
    size_t own = (size_t)c->y[i];
    memset(sums, 0, c->classes * sizeof *sums);
    for (size_t k = 0; k < c->n; k++) sums[c->y[k]] += distance(c->x + i * c->d, c->x + k * c->d, c->d);
    for (size_t class = 0; class < c->classes; class ++)
        if (class != own && w->members[class]) b = fmin(b, sums[class] / (double)w->members[class]);
    if (w->members[own] > 1) a = sums[own] / (double)(w->members[own] - 1);
    bool counts = w->members[own] > 1 && isfinite(b) && fmax(a, b) > 0;
    w->width[i] = counts ? (b - a) / fmax(a, b) : 0;
}

drl_status drl_silhouette(double *silhouette, drl_codes codes, drl_threads *team, drl_err *err) {
    job w = {.codes = &codes};
    size_t *members = NULL;
    drl_status st = drl_probe_check(&codes, "codes", err);
    if (st == DRL_OK) st = drl_alloc(&members, codes.classes, sizeof *members, "classes", err);
    if (st == DRL_OK) st = drl_alloc(&w.width, codes.n, sizeof *w.width, "silhouettes", err);
    if (st == DRL_OK) st = drl_alloc(&w.sums, drl_threads_count(team) * codes.classes, sizeof *w.sums, "sums", err);
    if (st == DRL_OK) {
        for (size_t i = 0; i < codes.n; i++) members[codes.y[i]]++;
        w.members = members;
        drl_threads_for(team, codes.n, measure_one, &w);
        *silhouette = 0;
        for (size_t i = 0; i < codes.n; i++) *silhouette += w.width[i] / (double)codes.n;
    }
    drl_free(members);
    drl_free(w.width);
    drl_free(w.sums);
    return st == DRL_OK ? st : drl_err_context(err, st, "silhouette");
}
