/* A zstd file as a stream of verified blocks (unzstd.h). */
#include "unzstd.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <zstd.h>

#include "drl/mem.h"

#define BLOCK          ((size_t)1 << 16)
#define HEAD           ((size_t)5) /* a frame's magic number and the descriptor with the checksum flag */
#define MAX_WINDOW_LOG 27          /* 128 MiB of memory, the most that `zstd -d` takes unasked           */
#define CHECKSUM_FLAG  0x04

struct drl_unzstd {
    FILE *file;
    ZSTD_DStream *z;
    bool in_frame;
    size_t frame;          /* frames begun so far */
    uint64_t total, limit; /* bytes unpacked      */
    ZSTD_inBuffer input;   /* of `in`             */
    uint8_t in[BLOCK], out[BLOCK];
};

drl_status drl_unzstd_open(drl_unzstd **out, FILE *file, uint64_t limit, drl_err *err) {
    *out = NULL;
    drl_unzstd *u;
    drl_status st = drl_alloc(&u, 1, sizeof *u, "zstd reader", err);
    if (st != DRL_OK) {
        fclose(file);
        return st;
    }
    u->file = file;
    u->limit = limit;
    u->input.src = u->in;
    u->z = ZSTD_createDStream();
    if (!u->z || ZSTD_isError(ZSTD_DCtx_setParameter(u->z, ZSTD_d_windowLogMax, MAX_WINDOW_LOG))) {
        drl_unzstd_close(u);
        return drl_fail(err, DRL_ERR_MEMORY, "zstd reader: cannot start libzstd");
    }
    *out = u;
    return DRL_OK;
}

void drl_unzstd_close(drl_unzstd *u) {
    if (!u) return;
    ZSTD_freeDStream(u->z);
    fclose(u->file);
    drl_free(u);
}

/* Moves what is left of the input to the front and reads more behind it. */
static drl_status refill(drl_unzstd *u, drl_err *err) {
    size_t left = u->input.size - u->input.pos;
    memmove(u->in, u->in + u->input.pos, left);
    u->input.pos = 0;
    u->input.size = left + fread(u->in + left, 1, sizeof u->in - left, u->file);
    if (ferror(u->file)) return drl_fail(err, DRL_ERR_IO, "cannot read: %s", strerror(errno));
    return DRL_OK;
}

/* Is a frame with a checksum at the front of the input? *end: the input ended where a frame would begin. */
static drl_status begin_frame(drl_unzstd *u, bool *end, drl_err *err) {
    drl_status st = DRL_OK;
    if (u->input.size - u->input.pos < HEAD) st = refill(u, err);
    size_t left = u->input.size - u->input.pos;
    *end = left == 0 && u->frame > 0;
    if (st != DRL_OK || *end) return st;
    u->frame++;
    const uint8_t *p = u->in + u->input.pos;
    if (left < HEAD) return drl_fail(err, DRL_ERR_FORMAT, "zstd frame %zu is cut short", u->frame);
    uint32_t magic = (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
    bool skippable = (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
    if (magic != ZSTD_MAGICNUMBER && !skippable)
        return drl_fail(err, DRL_ERR_FORMAT, "zstd frame %zu: other bytes after the end of the zstd stream", u->frame);
    if (!skippable && !(p[4] & CHECKSUM_FLAG))
        return drl_fail(err, DRL_ERR_FORMAT,
                        "zstd frame %zu has no checksum, so that damage could not be seen: pack it with zstd --check",
                        u->frame);
    u->in_frame = true;
    return DRL_OK;
}

drl_status drl_unzstd_read(drl_unzstd *u, const uint8_t **block, size_t *size, drl_err *err) {
    drl_status st = DRL_OK;
    ZSTD_outBuffer output = {u->out, sizeof u->out, 0};
    *block = u->out;
    *size = 0;
    for (bool end = false; output.pos < output.size;) {
        if (!u->in_frame) {
            if ((st = begin_frame(u, &end, err)) != DRL_OK) return st;
            if (end) break;
        }
        if (u->input.pos == u->input.size && (st = refill(u, err)) != DRL_OK) return st;
        size_t pos = u->input.pos, made = output.pos;
        size_t code = ZSTD_decompressStream(u->z, &output, &u->input);
        if (ZSTD_isError(code))
            return drl_fail(err, DRL_ERR_FORMAT, "zstd frame %zu: %s", u->frame, ZSTD_getErrorName(code));
        if (code == 0)
            u->in_frame = false;
        else if (pos == u->input.size && made == output.pos)
            return drl_fail(err, DRL_ERR_FORMAT, "zstd frame %zu is cut short", u->frame);
    }
    *size = output.pos;
    u->total += output.pos;
    if (u->total > u->limit)
        return drl_fail(err, DRL_ERR_LIMIT, "unpacks to more than the %llu bytes allowed",
                        (unsigned long long)u->limit);
    return DRL_OK;
}
