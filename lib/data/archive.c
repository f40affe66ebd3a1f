/* Reading archives member by member (archive.h). */
#define _POSIX_C_SOURCE 200809L
#include "archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "drl/mem.h"
#include "gunzip.h"
#include "names.h"
#include "unpack.h"

#define FIRST_BLOCK ((size_t)1 << 16)

struct drl_archive {
    struct archive *a;
    drl_unpack *unpack; /* NULL where libarchive reads the file itself          */
    drl_err source;     /* why unpack failed: libarchive would only say "truncated" */
    drl_archive_kind kind;
    uint64_t total, unpacked; /* bytes of members allowed, and seen                   */
    size_t limit, entries;    /* entries allowed, and seen                            */
    size_t claimed;           /* size the present member says it has; SIZE_MAX: does not say */
    drl_names names;
    bool in_member;
    char path[512], member[512]; /* for messages and drl_archive_next */
};

/* "path: member: what went wrong". */
static drl_status fail(drl_archive *r, drl_err *err, drl_status status, const char *what) {
    drl_status st = drl_fail(err, status, "%s", what);
    if (r->member[0]) st = drl_err_context(err, st, "%s", r->member);
    return drl_err_context(err, st, "%s", r->path);
}

static drl_status fail_archive(drl_archive *r, drl_err *err) {
    if (r->source.status != DRL_OK) return fail(r, err, r->source.status, r->source.message);
    const char *what = archive_error_string(r->a);
    return fail(r, err, archive_errno(r->a) == ENOMEM ? DRL_ERR_MEMORY : DRL_ERR_FORMAT, what ? what : "cannot read");
}

static drl_status check_total(drl_archive *r, drl_err *err) {
    la_int64_t seen = archive_filter_bytes(r->a, 0); /* headers and padding included, but of zip and 7z still packed */
    if ((seen < 0 || (uint64_t)seen <= r->total) && r->unpacked <= r->total) return DRL_OK;
    char what[80];
    snprintf(what, sizeof what, "unpacks to more than the %llu bytes allowed", (unsigned long long)r->total);
    return fail(r, err, DRL_ERR_LIMIT, what);
}

/* libarchive's source of bytes when the file is compressed as a whole. */
static la_ssize_t read_unpacked(struct archive *a, void *self, const void **block) {
    drl_archive *r = self;
    const uint8_t *bytes;
    size_t size;
    if (drl_unpack_read(r->unpack, &bytes, &size, &r->source) != DRL_OK) {
        archive_set_error(a, EIO, "%s", r->source.message);
        return ARCHIVE_FATAL;
    }
    *block = bytes;
    return (la_ssize_t)size;
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcasecmp(s + n - m, end) == 0;
}

/* Opens the file once to see what it is: r->unpack is set where it is compressed. */
static drl_status open_source(drl_archive *r, const char *path, drl_err *err) {
    struct stat info;
    FILE *f = fopen(path, "rb");
    if (!f) return fail(r, err, errno == ENOENT ? DRL_ERR_NOT_FOUND : DRL_ERR_IO, strerror(errno));
    const char *what = NULL;
    unsigned char magic[2] = {0};
    drl_status status = DRL_ERR_FORMAT;
    if (fstat(fileno(f), &info) != 0 || !S_ISREG(info.st_mode))
        what = "not a regular file", status = DRL_ERR_IO;
    else if (info.st_size == 0)
        what = "the file is empty";
    else if ((ends_with(path, ".gz") || ends_with(path, ".tgz")) &&
             (fread(magic, 1, 2, f) != 2 || magic[0] != 0x1f || magic[1] != 0x8b))
        what = "named like a gzip file but does not start with the gzip magic 1f 8b";
    if (what) {
        fclose(f);
        return fail(r, err, status, what);
    }
    rewind(f);
    drl_status st = drl_unpack_open(&r->unpack, f, r->total, err);
    return st == DRL_OK ? st : drl_err_context(err, st, "%s", r->path);
}

drl_status drl_archive_open(drl_archive **out, const char *path, drl_archive_kind kind, uint64_t total, drl_err *err) {
    *out = NULL;
    drl_archive *r;
    drl_status st = drl_alloc(&r, 1, sizeof *r, "archive reader", err);
    if (st != DRL_OK) return st;
    r->kind = kind;
    r->total = total;
    r->limit = DRL_ARCHIVE_MEMBER_LIMIT;
    snprintf(r->path, sizeof r->path, "%s", path);
    if ((st = open_source(r, path, err)) != DRL_OK) goto failed;
    if (!(r->a = archive_read_new())) {
        st = fail(r, err, DRL_ERR_MEMORY, "cannot start libarchive");
        goto failed;
    }
    if (kind == DRL_ARCHIVE_BARE) {
        archive_read_support_format_raw(r->a);
        archive_read_support_format_empty(r->a);
    } else {
        archive_read_support_format_tar(r->a);
        archive_read_support_format_zip_seekable(r->a); /* by its directory, at its end: cuts between members show */
        archive_read_support_format_7zip(r->a);
    }
    int code = r->unpack ? archive_read_open(r->a, r, NULL, read_unpacked, NULL)
                         : archive_read_open_filename(r->a, path, FIRST_BLOCK);
    if (code != ARCHIVE_OK) {
        st = fail_archive(r, err);
        goto failed;
    }
    *out = r;
    return DRL_OK;
failed:
    drl_archive_close(r);
    return st;
}

void drl_archive_limit_members(drl_archive *r, size_t limit) {
    r->limit = limit;
}

void drl_archive_close(drl_archive *r) {
    if (!r) return;
    if (r->a) archive_read_free(r->a);
    drl_unpack_close(r->unpack);
    drl_names_free(&r->names);
    drl_free(r);
}

/* Passes over what is left of the present member, within the limit on the whole archive. In a zip that is a jump. */
static drl_status skip_member(drl_archive *r, drl_err *err) {
    const void *block;
    size_t size;
    la_int64_t offset;
    int code = ARCHIVE_OK;
    drl_status st = DRL_OK;
    bool jump = r->in_member && (archive_format(r->a) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_ZIP;
    if (jump && archive_read_data_skip(r->a) != ARCHIVE_OK) st = fail_archive(r, err);
    while (!jump && r->in_member && st == DRL_OK && code != ARCHIVE_EOF) {
        code = archive_read_data_block(r->a, &block, &size, &offset);
        if (code == ARCHIVE_OK) r->unpacked += size;
        st = code == ARCHIVE_OK || code == ARCHIVE_EOF ? check_total(r, err) : fail_archive(r, err);
    }
    r->in_member = false;
    r->member[0] = '\0';
    return st;
}

/* Behind the end mark of a tar there is padding, and then the trailer of the compressed stream. */
static drl_status verify_end(drl_archive *r, drl_err *err) {
    const uint8_t *block;
    drl_status st = DRL_OK;
    for (size_t size = r->unpack ? 1 : 0; st == DRL_OK && size > 0;)
        st = drl_unpack_read(r->unpack, &block, &size, &r->source);
    return st == DRL_OK ? st : fail_archive(r, err);
}

/* Does a path stay below the directory it starts from? */
static const char *wrong_with_path(const char *path) {
    if (path[0] == '/') return "has an absolute path";
    for (const char *part = path; *part;) {
        size_t length = strcspn(part, "/");
        if (length == 2 && part[0] == '.' && part[1] == '.') return "has a path with \"..\"";
        part += length + (part[length] == '/');
    }
    return NULL;
}

/* Takes an entry's name for messages, and refuses what is no plain file or directory of its own. */
static drl_status check_entry(drl_archive *r, struct archive_entry *entry, bool *is_file, drl_err *err) {
    const char *given = archive_entry_pathname(entry), *what;
    if (!given) given = archive_entry_pathname_utf8(entry);
    if (!given || !*given) return fail(r, err, DRL_ERR_FORMAT, "a member has no readable name");
    while (given[0] == '.' && given[1] == '/') given += 2 + strspn(given + 2, "/");
    if (strlen(given) >= sizeof r->member) return fail(r, err, DRL_ERR_LIMIT, "a member's name is too long");
    snprintf(r->member, sizeof r->member, "%s", given);
    if ((what = wrong_with_path(r->member)) != NULL) return fail(r, err, DRL_ERR_FORMAT, what);
    *is_file = archive_entry_filetype(entry) == AE_IFREG;
    if (archive_entry_hardlink(entry)) return fail(r, err, DRL_ERR_FORMAT, "is a hard link, which is not followed");
    if (archive_entry_filetype(entry) == AE_IFLNK)
        return fail(r, err, DRL_ERR_FORMAT, "is a symbolic link, which is not followed");
    if (!*is_file && archive_entry_filetype(entry) != AE_IFDIR)
        return fail(r, err, DRL_ERR_FORMAT, "is neither a file nor a directory");
    bool again = false;
    drl_status st = *is_file ? drl_names_add(&r->names, &again, r->member, err) : DRL_OK;
    return again ? fail(r, err, DRL_ERR_FORMAT, "is there twice") : st;
}

drl_status drl_archive_next(drl_archive *r, const char **name, drl_err *err) {
    *name = NULL;
    for (bool is_file = false; !is_file;) {
        drl_status st = skip_member(r, err);
        if (st != DRL_OK) return st;
        struct archive_entry *entry;
        int code = archive_read_next_header(r->a, &entry);
        if (code == ARCHIVE_EOF) return verify_end(r, err);
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return fail_archive(r, err);
        r->in_member = true;
        la_int64_t claimed = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : -1;
        r->claimed = claimed >= 0 ? (size_t)claimed : SIZE_MAX;
        if (++r->entries > r->limit) {
            char what[80];
            snprintf(what, sizeof what, "has more than the %zu members allowed", r->limit);
            return fail(r, err, DRL_ERR_LIMIT, what);
        }
        if ((st = check_total(r, err)) != DRL_OK) return st;
        is_file = r->kind == DRL_ARCHIVE_BARE;
        if (!is_file && (st = check_entry(r, entry, &is_file, err)) != DRL_OK) return st;
    }
    *name = r->member;
    return DRL_OK;
}

/* Doubles a full buffer, which begins with `first` bytes, up to one byte more than the limit: that byte tells "too
 * long" from "just fits". */
static drl_status grow(uint8_t **bytes, size_t *capacity, size_t first, size_t limit, drl_err *err) {
    size_t wanted = *capacity == 0 ? first : *capacity > SIZE_MAX / 2 ? SIZE_MAX : 2 * *capacity;
    if (wanted > limit + 1) wanted = limit + 1;
    uint8_t *larger;
    drl_status st = drl_alloc(&larger, wanted, 1, "archive member", err);
    if (st != DRL_OK) return st;
    if (*bytes) memcpy(larger, *bytes, *capacity);
    drl_free(*bytes);
    *bytes = larger;
    *capacity = wanted;
    return DRL_OK;
}

drl_status drl_archive_read(drl_archive *r, uint8_t **bytes, size_t *size, size_t limit, drl_err *err) {
    assert(r->in_member && limit < SIZE_MAX);
    *bytes = NULL;
    *size = 0;
    drl_status st = DRL_OK;
    uint8_t *buf = NULL;
    size_t n = 0, capacity = 0, first = r->claimed < FIRST_BLOCK ? r->claimed + 1 : FIRST_BLOCK;
    for (la_ssize_t got = 1; got > 0;) {
        if (n == capacity && (st = grow(&buf, &capacity, first, limit, err)) != DRL_OK) {
            st = drl_err_context(err, st, "%s", r->path);
            goto failed;
        }
        got = archive_read_data(r->a, buf + n, capacity - n);
        if (got > 0) r->unpacked += (uint64_t)got;
        st = got < 0 ? fail_archive(r, err) : check_total(r, err);
        if (st != DRL_OK) goto failed;
        n += (size_t)got;
        if (n > limit) {
            char what[80];
            snprintf(what, sizeof what, "holds more than the %zu bytes allowed", limit);
            st = fail(r, err, DRL_ERR_LIMIT, what);
            goto failed;
        }
    }
    *bytes = buf;
    *size = n;
    return DRL_OK;
failed:
    drl_free(buf);
    return st;
}

drl_status drl_archive_unpack_gzip(uint8_t **bytes, size_t *size, const uint8_t *packed, size_t packed_size,
                                   size_t limit, drl_err *err) {
    *bytes = NULL;
    *size = 0;
    drl_gunzip *gz = NULL;
    uint8_t *buf = NULL;
    size_t n = 0, capacity = 0;
    if (packed_size == 0) return drl_fail(err, DRL_ERR_FORMAT, "is empty");
    FILE *f = fmemopen((void *)(uintptr_t)packed, packed_size, "rb");
    drl_status st = f ? drl_gunzip_open(&gz, f, limit, err) : drl_fail(err, DRL_ERR_MEMORY, "%s", strerror(errno));
    for (size_t got = 1; st == DRL_OK && got > 0;) {
        const uint8_t *block;
        if ((st = drl_gunzip_read(gz, &block, &got, err)) != DRL_OK) break;
        while (st == DRL_OK && n + got > capacity) st = grow(&buf, &capacity, FIRST_BLOCK, limit, err);
        if (st == DRL_OK && got > 0) memcpy(buf + n, block, got), n += got;
    }
    drl_gunzip_close(gz);
    if (st != DRL_OK) {
        drl_free(buf);
        return st;
    }
    *bytes = buf;
    *size = n;
    return DRL_OK;
}

drl_status drl_archive_read_bare(const char *path, uint8_t **bytes, size_t *size, size_t limit, drl_err *err) {
    *bytes = NULL;
    *size = 0;
    drl_archive *r;
    const char *name;
    drl_status st = drl_archive_open(&r, path, DRL_ARCHIVE_BARE, limit, err);
    if (st != DRL_OK) return st;
    if ((st = drl_archive_next(r, &name, err)) != DRL_OK) goto done;
    if (!name)
        st = fail(r, err, DRL_ERR_FORMAT, "the file is empty");
    else
        st = drl_archive_read(r, bytes, size, limit, err);
done:
    drl_archive_close(r);
    return st;
}
