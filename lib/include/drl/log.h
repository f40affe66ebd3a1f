/* Messages and progress, on standard error. Data never goes there and messages never go anywhere else. */
#ifndef DRL_LOG_H
#define DRL_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* One line "[hh:mm:ss] text". Prints nothing after drl_log_quiet(true). */
void drl_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void drl_log_quiet(bool quiet);

/* Wall-clock seconds from a monotonic clock. */
double drl_now(void);

/* "1 h 02 min", "3 min 20 s" or "12.3 s" in buf ("?" for NaN and infinities); returns buf. */
const char *drl_format_duration(char *buf, size_t size, double seconds);

/* The progress line of a long loop: "label: step 1200/5000  loss 812.4  412 images/s  ETA 5 min 10 s". On a terminal
 * it redraws one line a few times a second; elsewhere it writes a plain line every `plain_seconds`. */
typedef struct drl_progress {
    char label[96];
    size_t total, first; /* steps in all; step at which this process started          */
    double started, shown, plain_seconds;
    double items; /* images seen since start, for the rate                     */
    bool terminal;
    bool bytes; /* of a download: "label: 23.4/162.2 MiB  5.1 MiB/s  ETA 27 s"       */
} drl_progress;

void drl_progress_begin(drl_progress *p, const char *label, size_t first_step, size_t total_steps);
/* The same where a step is a byte: `images` and `loss` below are not shown. */
void drl_progress_begin_bytes(drl_progress *p, const char *label, size_t first, size_t total);
/* done = steps finished so far (in all), images = images of the steps since the last call (0 in all: no rate), loss
 * shown unless NaN. */
void drl_progress_update(drl_progress *p, size_t done, size_t images, double loss);
/* Prints the last line: steps, wall time, average rate. Returns images/s. */
double drl_progress_end(drl_progress *p, size_t done, double loss);

#endif
