/* NumPy's array format (npy.h). */
#include "npy.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "drl/mem.h"

#define MAGIC       "\x93NUMPY"
#define MAGIC_BYTES (sizeof MAGIC - 1)
#define ALIGNMENT   64            /* of the elements, as NumPy writes them */
#define TEXT_LIMIT  ((size_t)1e4) /* what NumPy itself accepts             */

/* ---- The text of a header: a Python dictionary of three known keys ------------------------------------------------
 */

typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_blanks(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t')) c->at++;
}

/* Takes a character, blanks in front of it included. */
static bool take(cursor *c, char wanted) {
    skip_blanks(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word) {
    size_t length = strlen(word);
    skip_blanks(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0) return false;
    c->at += length;
    return true;
}

/* Takes a quoted string without escapes that fits buf. */
static bool take_string(cursor *c, char *buf, size_t size) {
    skip_blanks(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return false;
    char quote = *c->at++;
    size_t n = 0;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (n + 1 == size || *c->at < ' ' || *c->at > '~' || *c->at == '\\') return false;
        buf[n++] = *c->at;
    }
    buf[n] = '\0';
    return take(c, quote);
}

/* Takes a whole number; false where there is none or it does not fit. */
static bool take_size(cursor *c, size_t *v) {
    skip_blanks(c);
    const char *first = c->at;
    for (*v = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        size_t digit = (size_t)(*c->at - '0');
        if (*v > (SIZE_MAX - digit) / 10) return false;
        *v = *v * 10 + digit;
    }
    return c->at > first;
}

/* "(2, 3)", "(2,)" or "()". */
static drl_status parse_shape(drl_npy *npy, cursor *c, drl_err *err) {
    bool good = take(c, '('), closed = good && take(c, ')');
    while (good && !closed) {
        if (npy->rank == DRL_NPY_RANK) return drl_fail(err, DRL_ERR_LIMIT, "has more than %d dimensions", DRL_NPY_RANK);
        good = take_size(c, &npy->shape[npy->rank++]);
        bool comma = good && take(c, ',');
        closed = good && take(c, ')');
        good = good && (closed ? comma || npy->rank > 1 : comma); /* (2) is no tuple */
    }
    return good ? DRL_OK : drl_fail(err, DRL_ERR_FORMAT, "the header's shape is no tuple of sizes");
}

/* NumPy's name of a type: byte order, kind, bytes. */
static drl_status parse_descr(drl_npy *npy, cursor *c, drl_err *err) {
    char descr[16] = "";
    if (!take_string(c, descr, sizeof descr))
        return drl_fail(err, DRL_ERR_FORMAT, "the header's descr is not the name of a simple type");
    if (descr[0] == '>' && descr[1] && descr[2] != '1')
        return drl_fail(err, DRL_ERR_FORMAT,
                        "elements are big-endian (%s): want little-endian, astype(a.dtype.newbyteorder('<'))", descr);
    static const char *const known[] = {"|u1", "<u2", "<u4", "<u8", "|i1", "<i2", "<i4", "<i8", "<f4"};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (strcmp(descr, known[k]) == 0) {
            npy->type = descr[1];
            npy->item = (size_t)(descr[2] - '0');
            return DRL_OK;
        }
    return drl_fail(err, DRL_ERR_FORMAT, "elements are of type %s: want integers or float32", descr);
}

static drl_status parse_fortran(cursor *c, drl_err *err) {
    if (take_word(c, "False")) return DRL_OK;
    return drl_fail(err, DRL_ERR_FORMAT, "%s",
                    take_word(c, "True") ? "elements are in Fortran order: want C order, numpy.ascontiguousarray(a)"
                                         : "the header's fortran_order is neither True nor False");
}

static drl_status parse_text(drl_npy *npy, cursor c, drl_err *err) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    enum { DESCR, FORTRAN, SHAPE, KEYS };
    bool seen[KEYS] = {false}, good = take(&c, '{');
    for (size_t n = 0; good && !take(&c, '}'); n++) {
        char key[16];
        int k = 0;
        good = take_string(&c, key, sizeof key) && take(&c, ':');
        while (good && k < KEYS && strcmp(key, keys[k]) != 0) k++;
        if (!good || k == KEYS || seen[k])
            return drl_fail(err, DRL_ERR_FORMAT,
                            "the header's key %zu is not one of descr, fortran_order and shape, once", n);
        seen[k] = true;
        drl_status st = k == DESCR     ? parse_descr(npy, &c, err)
                        : k == FORTRAN ? parse_fortran(&c, err)
                                       : parse_shape(npy, &c, err);
        if (st != DRL_OK) return st;
        if (take(&c, ',')) continue;
        good = take(&c, '}');
        break;
    }
    skip_blanks(&c);
    if (!good || c.at != c.end) return drl_fail(err, DRL_ERR_FORMAT, "the header is no Python dictionary");
    for (int k = 0; k < KEYS; k++)
        if (!seen[k]) return drl_fail(err, DRL_ERR_FORMAT, "the header has no %s", keys[k]);
    return DRL_OK;
}

/* ---- Arrays --------------------------------------------------------------------------------------------------------
 */

static uint64_t little_endian(const uint8_t *p, size_t n) {
    uint64_t v = 0;
    for (size_t k = n; k-- > 0;) v = v << 8 | p[k];
    return v;
}

/* The header's text lies between *start and *end. */
static drl_status find_text(size_t *start, size_t *end, const uint8_t *bytes, size_t size, drl_err *err) {
    if (size < MAGIC_BYTES || memcmp(bytes, MAGIC, MAGIC_BYTES) != 0)
        return drl_fail(err, DRL_ERR_FORMAT, "does not start with the magic of a NumPy array");
    size_t length_bytes = size >= MAGIC_BYTES + 1 && bytes[MAGIC_BYTES] > 1 ? 4 : 2;
    *start = MAGIC_BYTES + 2 + length_bytes;
    if (size < *start) return drl_fail(err, DRL_ERR_FORMAT, "the header is cut off after %zu bytes", size);
    unsigned major = bytes[MAGIC_BYTES], minor = bytes[MAGIC_BYTES + 1];
    if (major < 1 || major > 3 || minor != 0)
        return drl_fail(err, DRL_ERR_FORMAT, "version %u.%u of the array format: want 1.0, 2.0 or 3.0", major, minor);
    uint64_t length = little_endian(bytes + MAGIC_BYTES + 2, length_bytes);
    if (length > TEXT_LIMIT)
        return drl_fail(err, DRL_ERR_LIMIT, "a header of %llu bytes: want at most %zu", (unsigned long long)length,
                        TEXT_LIMIT);
    *end = *start + (size_t)length;
    if (*end > size)
        return drl_fail(err, DRL_ERR_FORMAT, "header: want %zu bytes, got %zu", (size_t)length, size - *start);
    if (length == 0 || bytes[*end - 1] != '\n')
        return drl_fail(err, DRL_ERR_FORMAT, "the header does not end with a newline");
    return DRL_OK;
}

drl_status drl_npy_parse(drl_npy *npy, const uint8_t *bytes, size_t size, drl_err *err) {
    size_t start = 0, end = 0;
    *npy = (drl_npy){0};
    drl_status st = find_text(&start, &end, bytes, size, err);
    if (st == DRL_OK) st = parse_text(npy, (cursor){(const char *)bytes + start, (const char *)bytes + end}, err);
    if (st != DRL_OK) return st;
    size_t wanted = npy->item;
    bool fits = true;
    for (size_t k = 0; fits && k < npy->rank; k++) fits = drl_mul_size(&wanted, wanted, npy->shape[k]);
    if (!fits) return drl_fail(err, DRL_ERR_LIMIT, "the product of the dimensions does not fit 64 bits");
    if (wanted != size - end)
        return drl_fail(err, DRL_ERR_FORMAT, "elements: want %zu bytes, got %zu", wanted, size - end);
    npy->count = wanted / npy->item;
    npy->data = bytes + end;
    return DRL_OK;
}

int64_t drl_npy_index(const drl_npy *npy, size_t i, size_t limit) {
    assert(npy->type != 'f' && i < npy->count && limit <= INT64_MAX);
    const uint8_t *p = npy->data + i * npy->item;
    bool negative = npy->type == 'i' && p[npy->item - 1] & 0x80;
    uint64_t v = little_endian(p, npy->item);
    return negative || v >= limit ? -1 : (int64_t)v;
}

float drl_npy_float(const drl_npy *npy, size_t i) {
    assert(npy->type == 'f' && i < npy->count);
    uint32_t bits = (uint32_t)little_endian(npy->data + i * sizeof bits, sizeof bits);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

size_t drl_npy_header(char header[DRL_NPY_HEADER], const char *type, size_t rank, const size_t *shape) {
    enum { START = MAGIC_BYTES + 4 };
    assert(rank >= 1 && rank <= DRL_NPY_RANK && strlen(type) == 3);
    memset(header, ' ', DRL_NPY_HEADER);
    memcpy(header, MAGIC "\x01\x00", MAGIC_BYTES + 2);
    size_t n = START;
    n += (size_t)sprintf(header + n, "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
    for (size_t k = 0; k < rank; k++) n += (size_t)sprintf(header + n, "%zu%s", shape[k], k + 1 < rank ? ", " : "");
    n += (size_t)sprintf(header + n, "%s), }", rank == 1 ? "," : "");
    header[n] = ' '; /* over sprintf's end of string */
    size_t total = (n + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, length = total - START;
    header[MAGIC_BYTES + 2] = (char)(length & 0xff);
    header[MAGIC_BYTES + 3] = (char)(length >> 8);
    header[total - 1] = '\n';
    return total;
}
