/* drl report: text as HTML and as Markdown, and the little Markdown that notes are written in. */
#define _POSIX_C_SOURCE 200809L
#include "report.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- Text -------------------------------------------------------------------------------------------------------- */

static void put_byte(FILE *f, char c) {
    switch (c) {
    case '&': fputs("&amp;", f); break;
    case '<': fputs("&lt;", f); break;
    case '>': fputs("&gt;", f); break;
    case '"': fputs("&quot;", f); break;
    case '\'': fputs("&#39;", f); break;
    default:
        if (!iscntrl((unsigned char)c) || c == '\n' || c == '\t') fputc(c, f);
    }
}

void report_put_html(FILE *f, const char *text) {
    for (; *text; text++) put_byte(f, *text);
}

void report_put_markdown(FILE *f, const char *text) {
    for (; *text; text++) {
        if (*text == '<' || *text == '&')
            put_byte(f, *text);
        else if (*text == '\n')
            fputs("<br>", f);
        else if (strchr("\\|*_`[]", *text))
            fprintf(f, "\\%c", *text);
        else if (!iscntrl((unsigned char)*text))
            fputc(*text, f);
    }
}

void report_put_address(FILE *f, const char *text) {
    for (; *text; text++) {
        if (isalnum((unsigned char)*text) || strchr("-_.~/", *text))
            fputc(*text, f);
        else
            fprintf(f, "%%%02X", (unsigned char)*text);
    }
}

/* ---- Inline Markdown --------------------------------------------------------------------------------------------- */

void report_unescape(char *markdown) {
    char *to = markdown;
    for (const char *from = markdown; *from; from++) {
        if (*from == '\\' && ispunct((unsigned char)from[1])) from++;
        if (strncmp(from, "&lt;", 4) == 0 || strncmp(from, "&gt;", 4) == 0) {
            *to++ = from[1] == 'l' ? '<' : '>';
            from += 3;
        } else if (strncmp(from, "&amp;", 5) == 0) {
            *to++ = '&';
            from += 4;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/* Where `mark` stands in the n bytes of s, behind escapes; n where it does not. */
static size_t find(const char *s, size_t n, const char *mark) {
    const size_t m = strlen(mark);
    for (size_t i = 0; i + m <= n; i++) {
        if (strncmp(s + i, mark, m) == 0) return i;
        if (s[i] == '\\') i++;
    }
    return n;
}

/* An address that a page may link to: http, https or a relative one. */
static bool is_harmless(const char *address, size_t n) {
    if (strncasecmp(address, "https://", 8) == 0 || strncasecmp(address, "http://", 7) == 0) return true;
    for (size_t i = 0; i < n; i++)
        if (address[i] == ':' || iscntrl((unsigned char)address[i])) return false;
    return n > 0;
}

/* [text](address) at s: how many bytes it took; 0: it is none. */
static size_t put_link(FILE *f, const char *s, size_t n) {
    const size_t text = find(s, n, "](");
    if (text == n) return 0;
    const char *address = s + text + 2;
    const size_t size = find(address, n - text - 2, ")");
    if (size == n - text - 2) return 0;
    const bool link = is_harmless(address, size);
    if (link) {
        fputs("<a href=\"", f);
        for (size_t i = 0; i < size; i++) put_byte(f, address[i]);
        fputs("\">", f);
    }
    report_put_inline(f, s + 1, text - 1);
    if (link) fputs("</a>", f);
    return text + 2 + size + 1;
}

/* `code` or **bold** at s: how many bytes it took; 0: it is neither. */
static size_t put_marked(FILE *f, const char *s, size_t n) {
    const bool code = s[0] == '`';
    const size_t mark = code ? 1 : 2;
    if (!code && !(n > 4 && s[0] == '*' && s[1] == '*')) return 0;
    const size_t size = find(s + mark, n - mark, code ? "`" : "**");
    if (size == 0 || size == n - mark) return 0;
    fputs(code ? "<code>" : "<strong>", f);
    if (code)
        for (size_t i = 0; i < size; i++) put_byte(f, s[mark + i]);
    else
        report_put_inline(f, s + mark, size);
    fputs(code ? "</code>" : "</strong>", f);
    return 2 * mark + size;
}

void report_put_inline(FILE *f, const char *s, size_t n) {
    static const char *const as_they_are[] = {"&lt;", "&gt;", "&amp;", "<br>"};
    for (size_t i = 0; i < n;) {
        size_t used = 0;
        if (s[i] == '\\' && i + 1 < n && ispunct((unsigned char)s[i + 1])) {
            put_byte(f, s[i + 1]);
            used = 2;
        }
        for (size_t k = 0; k < 4 && !used; k++) {
            const size_t m = strlen(as_they_are[k]);
            if (n - i < m || strncmp(s + i, as_they_are[k], m) != 0) continue;
            fputs(as_they_are[k], f);
            used = m;
        }
        if (!used && s[i] == '[') used = put_link(f, s + i, n - i);
        if (!used && (s[i] == '*' || s[i] == '`')) used = put_marked(f, s + i, n - i);
        if (!used) {
            put_byte(f, s[i]);
            used = 1;
        }
        i += used;
    }
}

/* ---- Blocks of Markdown ------------------------------------------------------------------------------------------ */

typedef enum block_kind { BLOCK_NONE, BLOCK_TEXT, BLOCK_ITEM, BLOCK_INDENTED, BLOCK_HEADING, BLOCK_FENCE } block_kind;

/* What a line is, of n bytes without its end, and where its text begins. A line behind text or an item goes on with it
 * unless it begins something else. */
static block_kind kind_of(const char *line, size_t n, block_kind before, size_t *text) {
    size_t blanks = strspn(line, " "), marks;
    *text = 0;
    if (blanks >= n) return BLOCK_NONE;
    if (strncmp(line, "```", 3) == 0) return BLOCK_FENCE;
    if ((marks = strspn(line, "#")) > 0 && marks <= 6 && line[marks] == ' ') {
        *text = marks + 1;
        return BLOCK_HEADING;
    }
    if (blanks < 4 && (line[blanks] == '-' || line[blanks] == '*') && line[blanks + 1] == ' ') {
        *text = blanks + 2;
        return BLOCK_ITEM;
    }
    if (before == BLOCK_TEXT || before == BLOCK_ITEM) return before;
    *text = blanks >= 4 ? 4 : blanks;
    return blanks >= 4 ? BLOCK_INDENTED : BLOCK_TEXT;
}

static size_t line_size(const char *line) {
    return strcspn(line, "\n");
}

/* Lines of code as they are, without `indent` bytes of each, up to a line that is not of it; where that is. */
static const char *put_code(FILE *f, const char *at, bool fence) {
    if (fence) at += line_size(at) + (at[line_size(at)] == '\n');
    fputs("<pre><code>", f);
    while (*at) {
        const size_t n = line_size(at);
        if (fence ? strncmp(at, "```", 3) == 0 : strncmp(at, "    ", 4) != 0) break;
        for (size_t i = fence ? 0 : 4; i < n; i++) put_byte(f, at[i]);
        fputc('\n', f);
        at += n + (at[n] == '\n');
    }
    fputs("</code></pre>\n", f);
    if (fence && *at) at += line_size(at) + (at[line_size(at)] == '\n');
    return at;
}

/* A heading, a paragraph or an item; where what follows it begins. */
static const char *put_block(FILE *f, const char *at, block_kind kind, size_t text) {
    const char *begin = at + text, *end = at + line_size(at);
    at = end + (*end == '\n');
    for (size_t skip; kind != BLOCK_HEADING && *at; at = end + (*end == '\n')) {
        /* an item begins a block of its own */
        if (kind_of(at, line_size(at), kind, &skip) != kind || skip > 0) break;
        end = at + line_size(at);
    }
    const size_t level = kind == BLOCK_HEADING && text < 7 ? text : 6;
    if (kind == BLOCK_HEADING)
        fprintf(f, "<h%zu>", level);
    else
        fputs(kind == BLOCK_ITEM ? "<li>" : "<p>", f);
    report_put_inline(f, begin, (size_t)(end - begin));
    if (kind == BLOCK_HEADING)
        fprintf(f, "</h%zu>\n", level);
    else
        fputs(kind == BLOCK_ITEM ? "</li>\n" : "</p>\n", f);
    return at;
}

void report_put_blocks(FILE *f, const char *at) {
    bool in_list = false;
    while (*at) {
        size_t text;
        const block_kind kind = kind_of(at, line_size(at), BLOCK_NONE, &text);
        if (kind == BLOCK_NONE) { /* blank lines between items do not end a list */
            at += line_size(at) + (at[line_size(at)] == '\n');
            continue;
        }
        if (in_list != (kind == BLOCK_ITEM)) fputs(in_list ? "</ul>\n" : "<ul>\n", f);
        in_list = kind == BLOCK_ITEM;
        at = kind == BLOCK_FENCE || kind == BLOCK_INDENTED ? put_code(f, at, kind == BLOCK_FENCE)
                                                           : put_block(f, at, kind, text);
    }
    if (in_list) fputs("</ul>\n", f);
}
