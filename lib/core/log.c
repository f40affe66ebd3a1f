/* Messages and the progress line (drl/log.h). */
#define _POSIX_C_SOURCE 200809L
#include "drl/log.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool is_quiet;
static bool line_drawn; /* the terminal's cursor stands behind a progress line */

/* Messages start on a clean line: wipes the progress line, which its next update draws again. */
static void wipe_line(void) {
    if (line_drawn) fputs("\r\033[K", stderr);
    line_drawn = false;
}

void drl_log_quiet(bool quiet) {
    is_quiet = quiet;
}

void drl_log(const char *fmt, ...) {
    if (is_quiet) return;
    char line[1024], clock[16];
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    wipe_line();
    fprintf(stderr, "[%s] %s\n", clock, line);
}

double drl_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

const char *drl_format_duration(char *buf, size_t size, double s) {
    if (!isfinite(s)) {
        snprintf(buf, size, "?");
    } else if (s < 59.95) {
        snprintf(buf, size, "%.1f s", s);
    } else {
        long long t = llround(s);
        if (t < 3600)
            snprintf(buf, size, "%lld min %02lld s", t / 60, t % 60);
        else if (t < 360000)
            snprintf(buf, size, "%lld h %02lld min", t / 3600, t / 60 % 60);
        else
            snprintf(buf, size, "%.0f h", s / 3600);
    }
    return buf;
}

void drl_progress_begin(drl_progress *p, const char *label, size_t first_step, size_t total_steps) {
    *p = (drl_progress){.total = total_steps, .first = first_step, .started = drl_now(), .plain_seconds = 15};
    snprintf(p->label, sizeof p->label, "%s", label);
    p->terminal = isatty(STDERR_FILENO) != 0;
    p->shown = p->started;
}

void drl_progress_begin_bytes(drl_progress *p, const char *label, size_t first, size_t total) {
    drl_progress_begin(p, label, first, total);
    p->bytes = true;
}

static double mebibytes(size_t bytes) {
    return (double)bytes / (1 << 20);
}

void drl_progress_update(drl_progress *p, size_t done, size_t images, double loss) {
    p->items += (double)images;
    double now = drl_now(), spent = now - p->started;
    if (is_quiet || now - p->shown < (p->terminal ? 0.2 : p->plain_seconds)) return;
    p->shown = now;
    char eta[32], shown_loss[32] = "", rate[32] = "";
    double per_step = spent / (double)(done > p->first ? done - p->first : 1);
    drl_format_duration(eta, sizeof eta, per_step * (double)(p->total > done ? p->total - done : 0));
    if (!isnan(loss)) snprintf(shown_loss, sizeof shown_loss, "  loss %.5g", loss);
    if (p->items > 0) snprintf(rate, sizeof rate, "  %.0f images/s", p->items / spent);
    char line[256];
    if (p->bytes)
        snprintf(line, sizeof line, "%s: %.1f/%.1f MiB  %.1f MiB/s  ETA %s", p->label, mebibytes(done),
                 mebibytes(p->total), mebibytes(done - p->first) / spent, eta);
    else
        snprintf(line, sizeof line, "%s: step %zu/%zu%s%s  ETA %s", p->label, done, p->total, shown_loss, rate, eta);
    if (p->terminal) {
        fprintf(stderr, "\r\033[K%s", line);
        fflush(stderr);
        line_drawn = true;
    } else {
        drl_log("%s", line);
    }
}

double drl_progress_end(drl_progress *p, size_t done, double loss) {
    double spent = drl_now() - p->started, rate = spent > 0 ? p->items / spent : 0;
    wipe_line();
    char took[32], shown_loss[32] = "", shown_rate[32] = "";
    drl_format_duration(took, sizeof took, spent);
    if (!isnan(loss)) snprintf(shown_loss, sizeof shown_loss, ", loss %.5g", loss);
    if (p->items > 0) snprintf(shown_rate, sizeof shown_rate, ", %.0f images/s", rate);
    if (p->bytes)
        drl_log("%s: %.1f of %.1f MiB, %s", p->label, mebibytes(done), mebibytes(p->total), took);
    else
        drl_log("%s: %zu of %zu steps%s, %s%s", p->label, done, p->total, shown_loss, took, shown_rate);
    return rate;
}
