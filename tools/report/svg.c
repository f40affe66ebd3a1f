/* drl report: figures inside an HTML page.
 *
 * A tag at a time: elements and attributes of a drawing are copied, everything else is left out. gnuplot gives the same
 * ids (gpPt0, gnuplot_plot_1 ...) in every figure, so that in one page each figure's get a prefix of their own. */
#define _POSIX_C_SOURCE 200809L
#include "report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 256

static const char *const elements[] = {"svg",
                                       "g",
                                       "defs",
                                       "path",
                                       "rect",
                                       "circle",
                                       "ellipse",
                                       "line",
                                       "polyline",
                                       "polygon",
                                       "text",
                                       "tspan",
                                       "use",
                                       "symbol",
                                       "marker",
                                       "clipPath",
                                       "mask",
                                       "pattern",
                                       "image",
                                       "stop",
                                       "filter",
                                       "feFlood",
                                       "feMerge",
                                       "feBlend",
                                       "linearGradient",
                                       "radialGradient",
                                       "feComposite",
                                       "feOffset",
                                       "feColorMatrix",
                                       "feGaussianBlur",
                                       "feMergeNode"};

typedef struct name {
    const char *at;
    size_t n;
} name;

typedef struct reader {
    FILE *f;
    const char *begin, *at, *prefix, *label;
    name open[DEPTH_MAX];
    size_t depth, dropped; /* elements open; the depth of one that is left out, 0: none */
    size_t roots;
    double width;
    drl_err *err;
} reader;

static drl_status malformed(reader *r, const char *what) {
    size_t line = 1;
    for (const char *at = r->begin; at < r->at; at++) line += *at == '\n';
    return drl_fail(r->err, DRL_ERR_FORMAT, "line %zu: %s", line, what);
}

static bool is(name n, const char *text) {
    return n.n == strlen(text) && strncmp(n.at, text, n.n) == 0;
}

static bool is_drawing(name n) {
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (is(n, elements[i])) return true;
    return false;
}

static name next_name(reader *r) {
    name n = {r->at, 0};
    while (isalnum((unsigned char)*r->at) || (*r->at && strchr(":_-.", *r->at))) r->at++;
    n.n = (size_t)(r->at - n.at);
    return n;
}

static void skip_blanks(reader *r) {
    while (isspace((unsigned char)*r->at)) r->at++;
}

/* ---- Attributes -------------------------------------------------------------------------------------------------- */

/* Is what stands behind "url(" inside the figure? */
static bool is_local(const char *at) {
    if (*at == '\'' || *at == '"') at++;
    return *at == '#';
}

static bool names_outside(name value) {
    for (size_t i = 0; i + 4 <= value.n; i++)
        if (strncasecmp(value.at + i, "url(", 4) == 0 && !is_local(value.at + i + 4)) return true;
    return false;
}

static bool is_picture(name value) {
    return strncmp(value.at, "data:image/png;base64,", 22) == 0 ||
           strncmp(value.at, "data:image/jpeg;base64,", 23) == 0;
}

static bool is_kept(const reader *r, name element, name key, name value) {
    static const char *const never[] = {"class", "role", "aria-label", "version", "xml:base"};
    const bool root = r->depth == 0, href = is(key, "href") || is(key, "xlink:href");
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (is(key, never[i])) return false;
    if (strncasecmp(key.at, "on", 2) == 0 || strncmp(key.at, "xmlns", 5) == 0) return false;
    if (root && (is(key, "width") || is(key, "height"))) return false;
    if (href) return value.at[0] == '#' || (is(element, "image") && is_picture(value));
    return !names_outside(value);
}

static void put_attribute(const reader *r, name key, name value, char quote) {
    const bool id = is(key, "id"), href = is(key, "href") || is(key, "xlink:href");
    fprintf(r->f, " %.*s=%c%s", (int)key.n, key.at, quote, id ? r->prefix : "");
    for (size_t i = 0; i < value.n; i++) {
        fputc(value.at[i], r->f);
        const bool url = value.at[i] == '#' && i >= 4 && !href &&
                         (strncasecmp(value.at + i - 4, "url(", 4) == 0 ||
                          (i >= 5 && strncasecmp(value.at + i - 5, "url(", 4) == 0));
        if (url || (href && i == 0 && value.at[0] == '#')) fputs(r->prefix, r->f);
    }
    fputc(quote, r->f);
}

/* name = "value", blanks and either quote as you like. */
static drl_status attribute(reader *r, name element, bool write) {
    const name key = next_name(r);
    if (key.n == 0) return malformed(r, "want an attribute or the end of the tag");
    skip_blanks(r);
    if (*r->at != '=') return malformed(r, "an attribute has no value");
    r->at++;
    skip_blanks(r);
    const char quote = *r->at;
    if (quote != '"' && quote != '\'') return malformed(r, "an attribute's value is not quoted");
    const name value = {r->at + 1, strcspn(r->at + 1, quote == '"' ? "\"<" : "'<")};
    if (value.at[value.n] != quote) return malformed(r, "an attribute's value does not end");
    r->at = value.at + value.n + 1;
    if (r->depth == 0 && is(key, "viewBox")) {
        char text[80];
        snprintf(text, sizeof text, "%.*s", (int)value.n, value.at);
        if (sscanf(text, "%*f %*f %lf", &r->width) != 1 || !(r->width > 0 && r->width < 1e5)) r->width = 0;
    }
    if (write && is_kept(r, element, key, value)) put_attribute(r, key, value, quote);
    return DRL_OK;
}

/* ---- Tags -------------------------------------------------------------------------------------------------------- */

static drl_status open_tag(reader *r) {
    r->at++;
    const name element = next_name(r);
    const bool root = r->depth == 0, write = !r->dropped && is_drawing(element);
    if (element.n == 0) return malformed(r, "want an element's name");
    if (root && (!is(element, "svg") || r->roots++)) return malformed(r, "want one element svg");
    if (r->depth == DEPTH_MAX) return malformed(r, "elements are nested too deep");
    if (write) fprintf(r->f, "<%.*s", (int)element.n, element.at);
    if (root) {
        fputs(" role=\"img\" aria-label=\"", r->f);
        report_put_html(r->f, r->label);
        fputc('"', r->f);
    }
    for (skip_blanks(r); *r->at != '>' && *r->at != '/'; skip_blanks(r)) {
        drl_status st = attribute(r, element, write);
        if (st != DRL_OK) return st;
    }
    const bool empty = *r->at == '/';
    r->at += empty;
    if (*r->at != '>') return malformed(r, "a tag does not end");
    r->at++;
    if (write) fputs(empty ? "/>" : ">", r->f);
    if (empty) return DRL_OK;
    r->open[r->depth++] = element;
    if (!write && !r->dropped) r->dropped = r->depth;
    return DRL_OK;
}

static drl_status close_tag(reader *r) {
    r->at += 2;
    const name element = next_name(r);
    skip_blanks(r);
    if (r->depth == 0 || element.n != r->open[r->depth - 1].n ||
        strncmp(element.at, r->open[r->depth - 1].at, element.n) != 0)
        return malformed(r, "an element is closed that is not open");
    if (*r->at != '>') return malformed(r, "a tag does not end");
    r->at++;
    if (!r->dropped) fprintf(r->f, "</%.*s>", (int)element.n, element.at);
    if (r->dropped == r->depth) r->dropped = 0;
    r->depth--;
    return DRL_OK;
}

/* Comments, declarations and processing instructions: left out. */
static drl_status skip_to(reader *r, const char *end) {
    const char *found = strstr(r->at, end);
    if (!found) return malformed(r, "a comment or declaration does not end");
    r->at = found + strlen(end);
    return DRL_OK;
}

drl_status report_put_svg(FILE *f, double *width, char *svg, const char *prefix, const char *label, drl_err *err) {
    reader r = {.f = f, .begin = svg, .at = svg, .prefix = prefix, .label = label, .err = err};
    drl_status st = DRL_OK;
    if (strncmp(r.at, "\xef\xbb\xbf", 3) == 0) r.at += 3;
    while (st == DRL_OK && *r.at) {
        if (*r.at != '<') {
            const size_t n = strcspn(r.at, "<");
            if (r.depth > 0 && !r.dropped) fwrite(r.at, 1, n, f);
            r.at += n;
        } else if (strncmp(r.at, "<!--", 4) == 0) {
            st = skip_to(&r, "-->");
        } else if (strncmp(r.at, "<![CDATA[", 9) == 0) {
            st = skip_to(&r, "]]>");
        } else if (r.at[1] == '?' || r.at[1] == '!') {
            st = skip_to(&r, ">");
        } else {
            st = r.at[1] == '/' ? close_tag(&r) : open_tag(&r);
        }
    }
    if (st == DRL_OK && (r.roots == 0 || r.depth > 0)) st = malformed(&r, "the drawing does not end");
    *width = r.width;
    return st;
}
