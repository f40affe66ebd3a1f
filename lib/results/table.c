/* Tables of text, written as Markdown, CSV and LaTeX (drl/results.h). */
#define _POSIX_C_SOURCE 200809L
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/mem.h"
#include "drl/file.h"
#include "drl/results.h"

/* Texts are kept in growing lists: the head, then rows * columns cells; notes apart. */
typedef struct marked {
    char *text;
    drl_mark mark;
} marked;

typedef struct texts {
    marked *v;
    size_t n, room;
} texts;

struct drl_table {
    char *title, *command; /* command: NULL where there is none */
    size_t columns;
    texts cells; /* the head is row 0 */
    texts notes;
};

static drl_status add_text(texts *list, const char *text, drl_err *err) {
    if (list->n == list->room) {
        size_t room = list->room ? 2 * list->room : 32;
        marked *v = realloc(list->v, room * sizeof *v);
        if (!v) return drl_fail(err, DRL_ERR_MEMORY, "table: cannot allocate %zu cells", room);
        list->v = v;
        list->room = room;
    }
    list->v[list->n] = (marked){.text = strdup(text)};
    if (!list->v[list->n].text) return drl_fail(err, DRL_ERR_MEMORY, "table: cannot copy a cell");
    list->n++;
    return DRL_OK;
}

static void free_texts(texts *list) {
    for (size_t i = 0; i < list->n; i++) free(list->v[i].text);
    free(list->v);
}

drl_status drl_table_new(drl_table **out, const char *title, size_t columns, const char *const *head, drl_err *err) {
    assert(columns > 0);
    *out = NULL;
    drl_table *t;
    drl_status st = drl_alloc(&t, 1, sizeof *t, "table", err);
    if (st != DRL_OK) return st;
    t->columns = columns;
    if (!(t->title = strdup(title))) st = drl_fail(err, DRL_ERR_MEMORY, "table: cannot copy the title");
    if (st == DRL_OK) st = drl_table_add(t, head, err);
    if (st == DRL_OK)
        *out = t;
    else
        drl_table_free(t);
    return st;
}

void drl_table_free(drl_table *t) {
    if (!t) return;
    free(t->title);
    free(t->command);
    free_texts(&t->cells);
    free_texts(&t->notes);
    drl_free(t);
}

drl_status drl_table_add(drl_table *t, const char *const *cells, drl_err *err) {
    drl_status st = DRL_OK;
    size_t before = t->cells.n;
    for (size_t c = 0; c < t->columns && st == DRL_OK; c++) st = add_text(&t->cells, cells[c], err);
    /* half a row is no row */
    while (st != DRL_OK && t->cells.n > before) free(t->cells.v[--t->cells.n].text);
    return st;
}

void drl_table_mark(drl_table *t, size_t row, size_t column, drl_mark mark) {
    assert(column < t->columns && (row + 1) * t->columns + column < t->cells.n);
    t->cells.v[(row + 1) * t->columns + column].mark = mark;
}

drl_status drl_table_note(drl_table *t, const char *note, drl_err *err) {
    return add_text(&t->notes, note, err);
}

drl_status drl_table_command(drl_table *t, const char *command, drl_err *err) {
    free(t->command);
    return (t->command = strdup(command)) ? DRL_OK : drl_fail(err, DRL_ERR_MEMORY, "table: cannot copy the command");
}

/* ---- Escaping ---------------------------------------------------------------------------------------------------- */

/* What a piece of text is written as; longer pieces first. */
typedef struct escape {
    const char *from, *to;
} escape;

static const escape markdown[] = {{"\\", "\\\\"}, {"|", "\\|"}, {"*", "\\*"},   {"_", "\\_"}, {"`", "\\`"},
                                  {"<", "&lt;"},  {"\r", ""},   {"\n", "<br>"}, {0}};

static const escape latex[] = {{"\\", "\\textbackslash{}"},
                               {"&", "\\&"},
                               {"%", "\\%"},
                               {"$", "\\$"},
                               {"#", "\\#"},
                               {"_", "\\_"},
                               {"{", "\\{"},
                               {"}", "\\}"},
                               {"~", "\\textasciitilde{}"},
                               {"^", "\\textasciicircum{}"},
                               {"<", "$<$"},
                               {">", "$>$"},
                               {"|", "$|$"},
                               {"\"", "''"},
                               {"\r", ""},
                               {"\n", " "},
                               {"\u00b1", "$\\pm$"},    /* plus-minus            */
                               {"\u2212", "$-$"},       /* minus                 */
                               {"\u00d7", "$\\times$"}, /* times                 */
                               {"\u2264", "$\\le$"},    /* less or equal         */
                               {"\u2265", "$\\ge$"},    /* greater or equal      */
                               {"\u2013", "--"},        /* en dash               */
                               {"\u2014", "---"},       /* em dash               */
                               {0}};

static void put_escaped(FILE *f, const char *text, const escape *rules) {
    while (*text) {
        const escape *r = rules;
        while (r->from && strncmp(text, r->from, strlen(r->from)) != 0) r++;
        if (r->from) {
            fputs(r->to, f);
            text += strlen(r->from);
        } else {
            fputc(*text++, f);
        }
    }
}

/* RFC 4180: a field with a comma, a quote, a line break or outer blanks is quoted, its quotes doubled. */
static void put_csv(FILE *f, const char *text) {
    size_t n = strlen(text);
    if (!strpbrk(text, ",\"\r\n") && (n == 0 || (text[0] != ' ' && text[n - 1] != ' '))) {
        fputs(text, f);
        return;
    }
    fputc('"', f);
    for (; *text; text++) {
        if (*text == '"') fputc('"', f);
        fputc(*text, f);
    }
    fputc('"', f);
}

/* ---- Formats ----------------------------------------------------------------------------------------------------- */

static const char *cell(const drl_table *t, size_t row, size_t column) {
    return t->cells.v[row * t->columns + column].text;
}

static bool is_missing(const char *text) {
    return text[0] == '\0' || strcmp(text, "\u2013") == 0;
}

/* A cell in its mark: around it stands before[mark] and after[mark]. A missing value is an en dash, without a mark. */
static void put_cell(FILE *f, const drl_table *t, size_t row, size_t column, const escape *rules,
                     const char *const before[3], const char *const after[3]) {
    const marked *c = &t->cells.v[row * t->columns + column];
    drl_mark mark = is_missing(c->text) ? DRL_MARK_NONE : c->mark;
    fputs(before[mark], f);
    put_escaped(f, is_missing(c->text) ? "\u2013" : c->text, rules);
    fputs(after[mark], f);
}

/* Whether a column goes to the right: every cell below its head starts as a number does, or stands for a missing one.
 */
static bool is_numeric(const drl_table *t, size_t column) {
    size_t rows = t->cells.n / t->columns;
    for (size_t r = 1; r < rows; r++) {
        const char *text = cell(t, r, column);
        bool sign = strchr("+-", text[0]) != NULL;
        if (!is_missing(text) && !(text[sign] >= '0' && text[sign] <= '9')) return false;
    }
    return rows > 1;
}

static void write_markdown(FILE *f, const drl_table *t) {
    static const char *const marks[] = {"", "**", "*"};
    fputs("**", f);
    put_escaped(f, t->title, markdown);
    fputs("**\n\n", f);
    for (size_t r = 0; r < t->cells.n / t->columns; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            fputs(c ? " | " : "| ", f);
            put_cell(f, t, r, c, markdown, marks, marks);
        }
        fputs(" |\n", f);
        for (size_t c = 0; r == 0 && c < t->columns; c++)
            fprintf(f, "%s %s |", c ? "" : "|", is_numeric(t, c) ? "---:" : "---");
        if (r == 0) fputc('\n', f);
    }
    for (size_t i = 0; i < t->notes.n; i++) {
        fputc('\n', f);
        put_escaped(f, t->notes.v[i].text, markdown);
        fputc('\n', f);
    }
    if (t->command) fprintf(f, "\nCommand: `%s`\n", t->command);
}

static void write_csv(FILE *f, const drl_table *t) {
    for (size_t i = 0; i < t->cells.n; i++) {
        const char *text = t->cells.v[i].text;
        put_csv(f, is_missing(text) ? "" : text);
        fputc((i + 1) % t->columns ? ',' : '\n', f);
    }
}

static void write_latex(FILE *f, const drl_table *t) {
    static const char *const before[] = {"", "\\textbf{", "\\underline{"}, *const after[] = {"", "}", "}"};
    fputs("% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n\\caption{", f);
    put_escaped(f, t->title, latex);
    fputs("}\n\\begin{tabular}{", f);
    for (size_t c = 0; c < t->columns; c++) fputc(is_numeric(t, c) ? 'r' : 'l', f);
    fputs("}\n\\toprule\n", f);
    for (size_t r = 0; r < t->cells.n / t->columns; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            if (c) fputs(" & ", f);
            put_cell(f, t, r, c, latex, before, after);
        }
        fputs(r ? " \\\\\n" : " \\\\\n\\midrule\n", f);
    }
    fputs("\\bottomrule\n\\end{tabular}\n", f);
    for (size_t i = 0; i < t->notes.n; i++) {
        fputs("\n\\footnotesize ", f);
        put_escaped(f, t->notes.v[i].text, latex);
        fputc('\n', f);
    }
    if (t->command) {
        fputs("\n\\footnotesize Command: \\texttt{", f);
        put_escaped(f, t->command, latex);
        fputs("}\n", f);
    }
    fputs("\\end{table}\n", f);
}

static drl_status write_format(const drl_table *t, const char *stem, const char *suffix,
                               void (*write)(FILE *, const drl_table *), drl_err *err) {
    char path[DRL_PATH_MAX];
    int n = snprintf(path, sizeof path, "%s%s", stem, suffix);
    if (n < 0 || (size_t)n >= sizeof path) return drl_fail(err, DRL_ERR_IO, "%.200s...: name too long", stem);
    drl_new_file file;
    drl_status st = drl_new_file_open(&file, path, err);
    if (st != DRL_OK) return st;
    write(file.f, t);
    return drl_new_file_commit(&file, err);
}

drl_status drl_table_write(const drl_table *t, const char *stem, drl_err *err) {
    drl_status st = write_format(t, stem, ".md", write_markdown, err);
    if (st == DRL_OK) st = write_format(t, stem, ".csv", write_csv, err);
    if (st == DRL_OK) st = write_format(t, stem, ".tex", write_latex, err);
    return st;
}
