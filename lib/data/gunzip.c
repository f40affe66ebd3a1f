/* A gzip file as a stream of verified blocks (gunzip.h). */
#include "gunzip.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#include "drl/mem.h"

#define BLOCK            ((size_t)1 << 16)
#define GZIP_WINDOW_BITS (MAX_WBITS + 16) /* gzip wrapper only, its trailer checked by inflate */

struct drl_gunzip {
    FILE *file;
    z_stream z;
    bool in_member;        /* a gzip member has begun and its trailer has not been seen */
    size_t member;         /* members begun so far                                      */
    uint64_t total, limit; /* bytes unpacked                                            */
    uint8_t in[BLOCK], out[BLOCK];
};

drl_status drl_gunzip_open(drl_gunzip **out, FILE *file, uint64_t limit, drl_err *err) {
    *out = NULL;
    drl_gunzip *g;
    drl_status st = drl_alloc(&g, 1, sizeof *g, "gzip reader", err);
    if (st != DRL_OK) {
        fclose(file);
        return st;
    }
    g->file = file;
    g->limit = limit;
    if (inflateInit2(&g->z, GZIP_WINDOW_BITS) != Z_OK) {
        fclose(file);
        drl_free(g);
        return drl_fail(err, DRL_ERR_MEMORY, "gzip reader: cannot start zlib");
    }
    /* The first member has to be there: an empty file is a truncated one. */
    g->in_member = true;
    g->member = 1;
    *out = g;
    return DRL_OK;
}

void drl_gunzip_close(drl_gunzip *g) {
    if (!g) return;
    inflateEnd(&g->z);
    fclose(g->file);
    drl_free(g);
}

static drl_status refill(drl_gunzip *g, drl_err *err) {
    g->z.next_in = g->in;
    g->z.avail_in = (uInt)fread(g->in, 1, sizeof g->in, g->file);
    if (ferror(g->file)) return drl_fail(err, DRL_ERR_IO, "cannot read: %s", strerror(errno));
    return DRL_OK;
}

/* One call of inflate on input that is there; opens the next member where the last one has ended. */
static drl_status inflate_some(drl_gunzip *g, drl_err *err) {
    if (!g->in_member) {
        inflateReset(&g->z);
        g->in_member = true;
        g->member++;
    }
    int code = inflate(&g->z, Z_NO_FLUSH);
    if (code == Z_STREAM_END)
        g->in_member = false;
    else if (code == Z_MEM_ERROR)
        return drl_fail(err, DRL_ERR_MEMORY, "gzip reader: zlib is out of memory");
    else if (code != Z_OK)
        return drl_fail(err, DRL_ERR_FORMAT, "gzip member %zu: %s%s", g->member, g->z.msg ? g->z.msg : "damaged",
                        g->member > 1 ? " (or other bytes after the end of the gzip stream)" : "");
    return DRL_OK;
}

drl_status drl_gunzip_read(drl_gunzip *g, const uint8_t **block, size_t *size, drl_err *err) {
    drl_status st;
    *block = g->out;
    *size = 0;
    g->z.next_out = g->out;
    g->z.avail_out = (uInt)sizeof g->out;
    while (g->z.avail_out > 0) {
        if (g->z.avail_in == 0 && (st = refill(g, err)) != DRL_OK) return st;
        if (g->z.avail_in == 0) {
            if (!g->in_member) break;
            return drl_fail(err, DRL_ERR_FORMAT, "gzip member %zu is cut short", g->member);
        }
        if ((st = inflate_some(g, err)) != DRL_OK) return st;
    }
    *size = sizeof g->out - g->z.avail_out;
    g->total += *size;
    if (g->total > g->limit)
        return drl_fail(err, DRL_ERR_LIMIT, "unpacks to more than the %llu bytes allowed",
                        (unsigned long long)g->limit);
    return DRL_OK;
}
