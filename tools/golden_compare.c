/* Records of a golden file: comparing, complaining, reporting.                                       [vectors, 2] */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/mem.h"
#include "golden.h"

void *golden_alloc(size_t count, size_t size) {
    void *p;
    drl_err err;
    if (drl_alloc(&p, count, size, "golden", &err) != DRL_OK) {
        fprintf(stderr, "golden: %s\n", err.message);
        exit(1);
    }
    return p;
}

void golden_free(void *p) {
    drl_free(p);
}

/* ---- Tensors of the file
 * ----------------------------------------------------------------------------------------------- */

static const drl_st_tensor *find(const golden *gd, const char *fmt, va_list ap) {
    char name[GOLDEN_NAME];
    vsnprintf(name, sizeof name, fmt, ap);
    return drl_st_find(gd->file, name);
}

static golden_record *record_of(const golden *gd, const drl_st_tensor *t) {
    for (size_t i = 0; i < drl_st_count(gd->file); i++)
        if (drl_st_at(gd->file, i) == t) return &gd->records[i];
    abort();
}

const drl_st_tensor *golden_find(const golden *gd, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const drl_st_tensor *t = find(gd, fmt, ap);
    va_end(ap);
    return t;
}

const drl_st_tensor *golden_use(golden *gd, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const drl_st_tensor *t = find(gd, fmt, ap);
    va_end(ap);
    if (t) record_of(gd, t)->used = true;
    return t;
}

double golden_setting(golden *gd, double fallback, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const drl_st_tensor *t = find(gd, fmt, ap);
    va_end(ap);
    if (t) record_of(gd, t)->used = true;
    return t && t->count > 0 ? golden_at(t, 0) : fallback;
}

bool golden_has_prefix(const golden *gd, const char *prefix) {
    for (size_t i = 0; i < drl_st_count(gd->file); i++)
        if (strncmp(drl_st_at(gd->file, i)->name, prefix, strlen(prefix)) == 0) return true;
    return false;
}

double golden_at(const drl_st_tensor *t, size_t i) {
    if (strcmp(t->dtype, "F32") == 0) return (double)((const float *)t->data)[i];
    if (strcmp(t->dtype, "F64") == 0) return ((const double *)t->data)[i];
    if (strcmp(t->dtype, "I32") == 0) return ((const int32_t *)t->data)[i];
    if (strcmp(t->dtype, "I64") == 0) return (double)((const int64_t *)t->data)[i];
    return ((const uint8_t *)t->data)[i];
}

/* Length of the group of a name: what stands before its last '/'. */
static size_t group_length(const char *name) {
    const char *slash = strrchr(name, '/');
    return slash ? (size_t)(slash - name) : 0;
}

static bool same_group(const char *a, const char *b) {
    size_t n = group_length(a);
    return n == group_length(b) && strncmp(a, b, n) == 0;
}

static const char *base_name(const char *name) {
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* ---- Comparing
 * ---------------------------------------------------------------------------------------------------------- */

/* max |b|, NaN where any b is no finite number */
static double largest(const drl_st_tensor *t) {
    double top = 0;
    for (size_t i = 0; i < t->count; i++) {
        double v = fabs(golden_at(t, i));
        if (!isfinite(v)) return NAN;
        top = fmax(top, v);
    }
    return top;
}

/* A gradient that is a result: "case/grad_NAME" (but not the upstream "case/grad_y") or ".../grad/NAME". */
static bool is_gradient(const char *name) {
    const char *base = base_name(name);
    if (strncmp(base, "grad_", 5) == 0) return strcmp(base, "grad_y") != 0;
    return strncmp(name, "grad/", 5) == 0 || strstr(name, "/grad/");
}

void golden_scale_zeros(golden *gd, bool by_group, bool strict) {
    size_t n = drl_st_count(gd->file);
    for (size_t i = 0; i < n; i++) {
        const char *name = drl_st_at(gd->file, i)->name;
        gd->records[i].zero_scale = 0;
        if (strict && !is_gradient(name)) continue;
        for (size_t j = 0; j < n; j++) {
            const drl_st_tensor *t = drl_st_at(gd->file, j);
            if (!is_gradient(t->name) || (by_group && !same_group(name, t->name))) continue;
            double top = largest(t);
            if (top > gd->records[i].zero_scale) gd->records[i].zero_scale = top;
        }
    }
}

/* The element where ours is furthest from t; a difference that is no number is the furthest. */
static size_t furthest(const drl_st_tensor *t, const double *ours, double *distance) {
    size_t at = 0;
    *distance = 0;
    for (size_t i = 0; i < t->count; i++) {
        double d = fabs(ours[i] - golden_at(t, i));
        if (d <= *distance) continue;
        *distance = d;
        at = i;
        if (!isfinite(d)) break;
    }
    return at;
}

void golden_compare(golden *gd, const drl_st_tensor *t, const double *ours, size_t count, const char *how) {
    if (count != t->count) {
        golden_complain(gd, "%s: %zu numbers in the file, ours has %zu (%s)", t->name, t->count, count, how);
        return;
    }
    golden_record *r = record_of(gd, t);
    double distance, scale = largest(t), limit = GOLDEN_LIMIT;
    size_t at = furthest(t, ours, &distance);
    if (scale == 0) {
        scale = r->zero_scale;
        limit = GOLDEN_ZERO_LIMIT;
    }
    double error = distance == 0 && scale == 0 ? 0 : distance / scale;
    /* Written so that an error that is no number replaces any other, and stays. */
    if (r->compared && (isnan(r->error) || error / limit <= r->error / r->limit)) return;
    r->compared = true;
    r->error = error;
    r->limit = limit;
    r->at = at;
    if (count) r->got = ours[at], r->want = golden_at(t, at);
    snprintf(r->how, sizeof r->how, "%s", how);
}

/* ---- Reporting
 * ---------------------------------------------------------------------------------------------------------- */

void golden_complain(golden *gd, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    printf("  MISS ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    gd->complaints++;
}

/* Inputs, settings and, where allowed, parameters may be left over. */
static bool may_be_unused(const golden *gd, const char *name) {
    static const char *const settings[] = {"stride", "groups",    "eps",         "momentum",
                                           "heads",  "p",         "temperature", "clip",
                                           "warmup", "ema_first", "first_step",  "weight_decay"};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (strcmp(base_name(name), settings[i]) == 0) return true;
    return strncmp(name, "in/", 3) == 0 || (gd->spare_parameters && strncmp(name, "param/", 6) == 0);
}

static bool tensor_misses(const golden *gd, size_t i) {
    const golden_record *r = &gd->records[i];
    const char *name = drl_st_at(gd->file, i)->name;
    if (!r->compared) {
        if (r->used || may_be_unused(gd, name)) return false;
        printf("  MISS %s: nothing of ours was compared with it\n", name);
        return true;
    }
    if (r->error <= r->limit) return false;
    printf("  MISS %s: error %.2e, limit %.0e; element %zu is %.9g, want %.9g (%s)\n", name, r->error, r->limit, r->at,
           r->got, r->want, r->how);
    return true;
}

/* The line of the group of tensor `first`; returns its misses and adds what it compared to *compared. */
static size_t report_group(const golden *gd, size_t first, size_t *compared) {
    const char *name = drl_st_at(gd->file, first)->name;
    size_t n = 0, misses = 0, worst = first;
    for (size_t i = first; i < drl_st_count(gd->file); i++) {
        if (!same_group(name, drl_st_at(gd->file, i)->name)) continue;
        misses += tensor_misses(gd, i);
        const golden_record *r = &gd->records[i], *w = &gd->records[worst];
        if (!r->compared) continue;
        if (n++ == 0 || !(r->error / r->limit <= w->error / w->limit)) worst = i;
    }
    *compared += n;
    if (n == 0 && misses == 0) return 0;
    printf("%-28.*s %3zu tensors  worst %.1e %-32s %s\n", (int)group_length(name), name, n,
           n ? gd->records[worst].error : 0.0, n ? base_name(drl_st_at(gd->file, worst)->name) : "-",
           misses ? "MISS" : "ok");
    return misses;
}

size_t golden_report(golden *gd) {
    size_t misses = gd->complaints, compared = 0, n = drl_st_count(gd->file);
    for (size_t i = 0; i < n; i++) {
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++)
            seen = same_group(drl_st_at(gd->file, j)->name, drl_st_at(gd->file, i)->name);
        if (!seen) misses += report_group(gd, i, &compared);
    }
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        if (gd->records[i].compared && !(gd->records[i].error <= worst)) worst = gd->records[i].error;
    if (compared == 0) { /* nothing to be right about is no success */
        golden_complain(gd, "the file holds no result to compare with");
        misses++;
    }
    printf("%s: %zu tensors compared in %s, worst error %.1e, %zu missed\n", gd->path, compared, DRL_REAL_NAME, worst,
           misses);
    return misses;
}
