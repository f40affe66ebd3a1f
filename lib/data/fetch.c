/* Downloads that can be resumed and are verified (drl/fetch.h). */
#define _GNU_SOURCE /* flock */
#include "drl/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drl/hash.h"
#include "drl/interrupt.h"
#include "drl/mem.h"

#define CONNECT_SECONDS 30L
#define STALL_SECONDS   60L /* without a single byte */
#define REDIRECTS       5L

typedef unsigned long long ull; /* what the messages print */

typedef struct download {
    const drl_published *what;
    const drl_fetch_cfg *cfg;
    char path[DRL_PATH_MAX - 8], part[DRL_PATH_MAX], url[DRL_PATH_MAX]; /* room for the endings .part and .bad */
    int fd;        /* of the .part file, locked                        */
    uint64_t have; /* its bytes                                        */
    bool begun;    /* bytes of this answer have come                   */
    drl_err why;   /* what a callback could not go on for              */
    CURL *curl;
    char text[CURL_ERROR_SIZE];
} download;

/* ---- Names and the .part file ------------------------------------------------------------------------------------ */

static drl_status compose(download *d, drl_err *err) {
    static const char *const schemes[] = {"http://", "https://", "file://"};
    const drl_published *w = d->what;
    const char *mirror = d->cfg->mirror;
    size_t s = 0;
    while (mirror && s < 3 && strncmp(mirror, schemes[s], strlen(schemes[s])) != 0) s++;
    if (s == 3)
        return drl_fail(err, DRL_ERR_CONFIG, "mirror '%.200s': want an address with http://, https:// or file://",
                        mirror);
    int n = mirror ? snprintf(d->url, sizeof d->url, "%s/%s/%s", mirror, w->dataset, w->file)
                   : snprintf(d->url, sizeof d->url, "%s/%s", w->base, w->file);
    int m = snprintf(d->path, sizeof d->path, "%s/%s/%s", d->cfg->data_dir, w->dataset, w->file);
    if (n < 0 || (size_t)n >= sizeof d->url || m < 0 || (size_t)m >= sizeof d->path)
        return drl_fail(err, DRL_ERR_IO, "%.200s...: name too long", d->path);
    snprintf(d->part, sizeof d->part, "%s.part", d->path);
    return DRL_OK;
}

static drl_status make_directory(const download *d, drl_err *err) {
    char dir[DRL_PATH_MAX];
    snprintf(dir, sizeof dir, "%s", d->path);
    *strrchr(dir, '/') = '\0';
    return drl_make_dirs(dir, err);
}

/* Opens and locks the .part file. One that another process has just renamed is not the file of that name any more. */
static drl_status open_part(download *d, drl_err *err) {
    struct stat mine, there;
    d->fd = open(d->part, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (d->fd < 0) return drl_fail(err, DRL_ERR_IO, "%s: cannot create: %s", d->part, strerror(errno));
    if (flock(d->fd, LOCK_EX | LOCK_NB) != 0 || fstat(d->fd, &mine) != 0 || stat(d->part, &there) != 0 ||
        mine.st_ino != there.st_ino)
        return drl_fail(err, DRL_ERR_IO, "%s: another process is downloading it", d->part);
    d->have = (uint64_t)mine.st_size;
    return DRL_OK;
}

static drl_status start_over(download *d, drl_err *err) {
    if (ftruncate(d->fd, 0) != 0) return drl_fail(err, DRL_ERR_IO, "%s: cannot cut: %s", d->part, strerror(errno));
    d->have = 0;
    return DRL_OK;
}

/* A file that is complete and wrong: kept for a look at it, but under a name nobody reads. */
static drl_status set_aside(download *d, const char *what, drl_err *err) {
    char bad[DRL_PATH_MAX];
    snprintf(bad, sizeof bad, "%s.bad", d->path);
    drl_status st = drl_rename(d->part, bad, err);
    if (st != DRL_OK) return st;
    return drl_fail(err, DRL_ERR_FORMAT, "%s: %s; it is set aside as %s", d->url, what, bad);
}

/* ---- Transfer ---------------------------------------------------------------------------------------------------- */

static size_t on_bytes(char *bytes, size_t one, size_t n, void *self) {
    download *d = self;
    curl_off_t announced = -1;
    (void)one;
    if (!d->begun && curl_easy_getinfo(d->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced) == CURLE_OK &&
        announced >= 0 && d->have + (uint64_t)announced != d->what->size) {
        drl_fail(&d->why, DRL_ERR_FORMAT, "%s: the server offers %llu bytes, but %llu are published", d->url,
                 (ull)d->have + (ull)announced, (ull)d->what->size);
        return 0;
    }
    d->begun = true;
    if (n > d->what->size - d->have) {
        char what[80];
        snprintf(what, sizeof what, "sends more than the %llu bytes that are published", (ull)d->what->size);
        set_aside(d, what, &d->why);
        return 0;
    }
    for (size_t done = 0; done < n;) {
        ssize_t put = write(d->fd, bytes + done, n - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            drl_fail(&d->why, DRL_ERR_IO, "%s: cannot write: %s; %llu of %llu bytes are kept", d->part, strerror(errno),
                     (ull)d->have, (ull)d->what->size);
            return 0;
        }
        done += (size_t)put;
        d->have += (uint64_t)put;
    }
    return n;
}

/* Called about once a second even where nothing arrives. */
static int on_progress(void *self, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now) {
    download *d = self;
    (void)total, (void)now, (void)up_total, (void)up_now;
    if (d->cfg->progress && d->begun) d->cfg->progress(d->cfg->arg, d->what->file, d->have, d->what->size);
    return drl_interrupted();
}

static drl_status set_options(download *d, drl_err *err) {
    CURL *c = d->curl;
    bool ok = curl_easy_setopt(c, CURLOPT_URL, d->url) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https,file") == CURLE_OK &&
              /* no server may point us at a file of this machine */
              curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECTS) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_USERAGENT, "drl/" DRL_VERSION) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_ERRORBUFFER, d->text) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_WRITEDATA, d) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_XFERINFODATA, d) == CURLE_OK;
    return ok ? DRL_OK : drl_fail(err, DRL_ERR_CONFIG, "%s: libcurl %s cannot do this", d->url, curl_version());
}

/* "address: what went wrong; 5 of 9 bytes are in FILE.part, and the same command goes on from there". */
static drl_status fail_transfer(const download *d, CURLcode code, drl_err *err) {
    char text[CURL_ERROR_SIZE + 16], kept[DRL_PATH_MAX + 120] = "";
    long answer = 0;
    drl_status st = DRL_ERR_IO;
    if (d->why.status != DRL_OK) return drl_fail(err, d->why.status, "%s", d->why.message);
    snprintf(text, sizeof text, "%s", d->text[0] ? d->text : curl_easy_strerror(code));
    if (code == CURLE_HTTP_RETURNED_ERROR) {
        curl_easy_getinfo(d->curl, CURLINFO_RESPONSE_CODE, &answer);
        snprintf(text, sizeof text, "the server answers %ld", answer);
    }
    if (answer == 404 || code == CURLE_FILE_COULDNT_READ_FILE) st = DRL_ERR_NOT_FOUND;
    if (code == CURLE_ABORTED_BY_CALLBACK) {
        snprintf(text, sizeof text, "interrupted");
        st = DRL_ERR_INTERRUPTED;
    }
    if (d->have > 0)
        snprintf(kept, sizeof kept, "; %llu of %llu bytes are in %s, and the same command goes on from there",
                 (ull)d->have, (ull)d->what->size, d->part);
    return drl_fail(err, st, "%s: %s%s", d->url, text, kept);
}

/* Appends what is missing. A server that does not send parts of files is asked once more, for all of it. */
static drl_status transfer(download *d, drl_err *err) {
    drl_status st = DRL_OK;
    CURLcode code = CURLE_OK;
    for (bool again = d->have > 0;; again = false) {
        d->begun = false;
        if (curl_easy_setopt(d->curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)d->have) != CURLE_OK)
            return drl_fail(err, DRL_ERR_LIMIT, "%s: too large for libcurl", d->url);
        code = curl_easy_perform(d->curl);
        if (!again || (code != CURLE_RANGE_ERROR && code != CURLE_BAD_DOWNLOAD_RESUME)) break;
        if ((st = start_over(d, err)) != DRL_OK) return st;
    }
    if (code != CURLE_OK) return fail_transfer(d, code, err);
    if (d->have < d->what->size)
        return drl_fail(err, DRL_ERR_FORMAT, "%s: ends after %llu of the %llu bytes that are published", d->url,
                        (ull)d->have, (ull)d->what->size);
    return DRL_OK;
}

static drl_status download_rest(download *d, drl_err *err) {
    if (d->have > d->what->size) {
        drl_status st = start_over(d, err);
        if (st != DRL_OK) return st;
    }
    if (d->have == d->what->size) return DRL_OK;
    drl_status st = DRL_ERR_MEMORY;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(d->curl = curl_easy_init()))
        drl_fail(err, st, "cannot start libcurl");
    else if ((st = set_options(d, err)) == DRL_OK)
        st = transfer(d, err);
    curl_easy_cleanup(d->curl);
    curl_global_cleanup();
    return st;
}

/* ---- Verification ------------------------------------------------------------------------------------------------ */

/* Is a file of the final name there already? One that is not what is published may be somebody's own. */
static drl_status look(bool *there, const download *d, drl_err *err) {
    struct stat info;
    char sha256[65] = "";
    *there = stat(d->path, &info) == 0;
    if (!*there) return DRL_OK;
    bool same = S_ISREG(info.st_mode) && (uint64_t)info.st_size == d->what->size;
    if (same) {
        drl_status st = drl_sha256_file(sha256, d->path, err);
        if (st != DRL_OK) return st;
    }
    if (strcmp(sha256, d->what->sha256) == 0) return DRL_OK;
    return drl_fail(err, DRL_ERR_FORMAT, "%s: is there, but is not the published file: move it away to fetch that",
                    d->path);
}

/* The bytes are on the disk before the final name is. */
static drl_status verify(download *d, drl_err *err) {
    char sha256[65], what[160];
    if (fsync(d->fd) != 0) return drl_fail(err, DRL_ERR_IO, "%s: cannot write: %s", d->part, strerror(errno));
    drl_status st = drl_sha256_file(sha256, d->part, err);
    if (st != DRL_OK) return st;
    if (strcmp(sha256, d->what->sha256) == 0) return drl_rename(d->part, d->path, err);
    snprintf(what, sizeof what, "what came has SHA-256 %.12s..., not %.12s... as published", sha256, d->what->sha256);
    return set_aside(d, what, err);
}

drl_status drl_fetch_file(char path[DRL_PATH_MAX], drl_fetched *fetched, const drl_published *what,
                          const drl_fetch_cfg *cfg, drl_err *err) {
    bool there = false;
    download *d;
    drl_status st = drl_alloc(&d, 1, sizeof *d, "download", err);
    if (st != DRL_OK) return st;
    d->what = what, d->cfg = cfg, d->fd = -1;
    if ((st = compose(d, err)) != DRL_OK || (st = look(&there, d, err)) != DRL_OK || there) goto done;
    if ((st = make_directory(d, err)) != DRL_OK || (st = open_part(d, err)) != DRL_OK) goto done;
    if ((st = download_rest(d, err)) == DRL_OK) st = verify(d, err);
    if (st != DRL_OK && d->have == 0) unlink(d->part); /* an empty file is nothing to go on from */
done:
    if (st == DRL_OK) {
        snprintf(path, DRL_PATH_MAX, "%s", d->path);
        *fetched = there ? DRL_FETCH_THERE : DRL_FETCH_DONE;
    }
    if (d->fd >= 0) close(d->fd);
    drl_free(d);
    return st;
}
