/* drl report: report.html, one file that asks for nothing: style, script and figures are inside it. */
#define _POSIX_C_SOURCE 200809L
#include "report.h"

#include <string.h>

#include "drl/log.h"
#include "report_assets.h" /* report_css, report_js: bytes of report.css and report.js, ended by 0 */

static const char *const verdict_class[VERDICTS] = {"yes", "no", "open", "none"};

/* The page may ask nobody for anything; what would is refused by the browser and seen in its console. */
static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:\">\n<title>Diffusion Based Representation Learning: report</title>\n";

/* <TAG>text</TAG> */
static void put_element(FILE *f, const char *tag, const char *text) {
    fprintf(f, "<%s>", tag);
    report_put_html(f, text);
    fprintf(f, "</%.*s>", (int)strcspn(tag, " "), tag);
}

static void put_badge(FILE *f, const char *verdict) {
    const report_verdict v = report_verdict_of(verdict);
    const char *name = report_verdict_name[v];
    fprintf(f, "<span class=\"badge %s\">%s</span>", verdict_class[v], name);
    if (v != VERDICT_NONE) verdict += strlen(name); /* what is said beside it */
    if (verdict[0]) put_element(f, "span class=\"note\"", verdict);
}

/* FILE, linked to where it is as seen from the report. */
static void put_file(FILE *f, const char *dir, const char *stem, const char *ext) {
    fputs("<a href=\"", f);
    report_put_address(f, dir);
    fputc('/', f);
    report_put_address(f, stem);
    report_put_address(f, ext);
    fputs("\">", f);
    report_put_html(f, stem);
    report_put_html(f, ext);
    fputs("</a>", f);
}

/* ---- Tables ------------------------------------------------------------------------------------------------------ */

/* A table's beginning, up to its body; the last column's class is n where numeric[c]. */
static void begin_table(FILE *f, const char *caption, size_t columns, const char *const *names, const bool *numeric,
                        size_t rows) {
    fprintf(f, "<div class=\"box%s\" tabindex=\"0\"><table class=\"sortable\">\n", rows > 24 ? " tall" : "");
    if (caption) put_element(f, "caption", caption);
    fputs("<thead><tr>", f);
    for (size_t c = 0; c < columns; c++)
        put_element(f, numeric[c] ? "th scope=\"col\" class=\"n\"" : "th scope=\"col\"", names[c]);
    fputs("</tr></thead>\n<tbody>\n", f);
}

static void end_table(FILE *f) {
    fputs("</tbody></table></div>\n", f);
}

static void put_cell(FILE *f, const char *head_text, const char *text, bool numeric) {
    if (strcmp(head_text, "verdict") == 0) {
        fputs("<td>", f);
        put_badge(f, text);
        fputs("</td>", f);
        return;
    }
    put_element(f, numeric ? "td class=\"n\"" : strcmp(head_text, "statement") == 0 ? "td class=\"wide\"" : "td", text);
}

static drl_status put_table(FILE *f, report *r, const report_table *t, drl_err *err) {
    const report_csv *csv = &t->csv;
    bool *numeric = report_take(&r->pool, csv->columns * sizeof *numeric, err);
    if (!numeric) return DRL_ERR_MEMORY;
    for (size_t c = 0; c < csv->columns; c++) numeric[c] = report_is_numeric(csv, c);
    begin_table(f, t->title, csv->columns, (const char *const *)csv->cells, numeric, csv->rows);
    for (size_t row = 1; row < csv->rows; row++) {
        fputs("<tr>", f);
        for (size_t c = 0; c < csv->columns; c++)
            put_cell(f, report_cell(csv, 0, c), report_cell(csv, row, c), numeric[c]);
        fputs("</tr>\n", f);
    }
    end_table(f);
    for (size_t i = 0; i < t->notes.n; i++) {
        fputs("<p class=\"note\">", f);
        report_put_inline(f, t->notes.v[i], strlen(t->notes.v[i]));
        fputs("</p>\n", f);
    }
    return DRL_OK;
}

/* ---- Overviews --------------------------------------------------------------------------------------------------- */

static void put_claim(FILE *f, const report *r, size_t row) {
    char number[64], interval[64], effect[128];
    const report_block *b = report_claim_block(r, row);
    const char *id = report_field(&r->claims, row, "id");
    fputs("<tr>", f);
    put_cell(f, "verdict", report_field(&r->claims, row, "verdict"), false);
    put_element(f, "td class=\"wide\"", report_field(&r->claims, row, "statement"));
    put_element(f, "td", report_field(&r->claims, row, "source"));
    snprintf(effect, sizeof effect, "%s%s", report_effect(number, r, row), report_interval(interval, r, row));
    put_element(f, "td class=\"n\"", effect);
    put_element(f, "td class=\"n\"", report_field(&r->claims, row, "seeds"));
    put_element(f, "td", report_field(&r->claims, row, "dataset"));
    put_element(f, "td", report_field(&r->claims, row, "scale"));
    put_element(f, "td", report_field(&r->claims, row, "probe"));
    fputs("<td>", f);
    if (b) {
        fputs("<a href=\"#", f);
        report_put_address(f, b->stem);
        fputs("\">", f);
    }
    report_put_html(f, id);
    fputs(b ? "</a></td></tr>\n" : "</td></tr>\n", f);
}

static void put_verdicts(FILE *f, const report *r) {
    static const char *const names[] = {"verdict", "statement", "source",      "effect", "seeds",
                                        "dataset", "scale",     "measured by", "claim"};
    static const bool numeric[] = {false, false, false, true, true, false, false, false, false};
    size_t n[VERDICTS];
    fputs("<section id=\"verdicts\">\n<h2>Verdicts</h2>\n", f);
    if (r->claims.rows < 2) {
        fputs("<p class=\"missing\">No claims: there is no claims.csv, or nothing in it.</p>\n</section>\n", f);
        return;
    }
    report_count_verdicts(n, r);
    fputs("<ul class=\"counts\">\n", f);
    for (int v = 0; v < VERDICTS; v++)
        if (n[v] > 0 || v != VERDICT_NONE)
            fprintf(f, "<li class=\"%s\"><b>%zu</b>%s</li>\n", verdict_class[v], n[v], report_verdict_name[v]);
    fputs("</ul>\n<p>A claim is an effect that would be above 0 if it held.", f);
    if (report_field(&r->claims, 1, "rule")[0]) {
        fputs(" The rule, written before any run: ", f);
        report_put_html(f, report_field(&r->claims, 1, "rule"));
        fputs(".", f);
    }
    fputs(" Those that are decided come first.</p>\n", f);
    begin_table(f, NULL, 9, names, numeric, r->claims.rows);
    for (int open = 0; open < 2; open++)
        for (size_t row = 1; row < r->claims.rows; row++)
            if ((report_verdict_of(report_field(&r->claims, row, "verdict")) >= VERDICT_OPEN) == open)
                put_claim(f, r, row);
    end_table(f);
    fputs("</section>\n", f);
}

/* The day of a date. */
static const char *day(char buf[16], const char *when) {
    snprintf(buf, 16, "%.10s", when ? when : "–");
    return buf;
}

static void put_what_was_run(FILE *f, const report *r) {
    static const char *const names[] = {"experiment", "dataset", "scale", "seeds", "runs", "training", "from", "to"};
    static const bool numeric[] = {false, false, false, true, true, true, false, false};
    char buf[16];
    fputs("<section id=\"runs\">\n<h2>What was run</h2>\n", f);
    begin_table(f, NULL, 8, names, numeric, r->n);
    for (size_t i = 0; i < r->n; i++) {
        const report_block *b = &r->blocks[i];
        fputs("<tr><td><a href=\"#", f);
        report_put_address(f, b->stem);
        fputs("\">", f);
        report_put_html(f, b->experiment);
        if (b->variant[0]) fputs(", ", f);
        report_put_html(f, b->variant);
        fputs("</a></td>", f);
        put_element(f, "td", b->dataset);
        put_element(f, "td", b->scale);
        fprintf(f, "<td class=\"n\">%zu</td><td class=\"n\">%zu</td>", b->runs.seeds.n, b->runs.n);
        if (b->runs.seconds > 0)
            fprintf(f, "<td class=\"n\">%.1f min</td>", b->runs.seconds / 60);
        else
            fputs("<td class=\"n\">–</td>", f);
        put_element(f, "td", day(buf, b->runs.first));
        put_element(f, "td", day(buf, b->runs.last));
        fputs("</tr>\n", f);
    }
    end_table(f);
    fputs("<p class=\"note\">Training: the sum over the models used. Experiments with one --out share models: such a "
          "model was trained once and counts in each of them.</p>\n</section>\n",
          f);
}

static void put_contents(FILE *f, const report *r) {
    fputs("<nav aria-label=\"Contents\"><ul>\n<li><a href=\"#verdicts\">Verdicts</a></li>\n"
          "<li><a href=\"#runs\">What was run</a></li>\n",
          f);
    for (size_t i = 0; i < r->n; i++) {
        if (i > 0 && strcmp(r->blocks[i].experiment, r->blocks[i - 1].experiment) == 0) continue;
        fputs("<li><a href=\"#", f);
        report_put_address(f, r->blocks[i].experiment);
        fputs("\">", f);
        report_put_html(f, report_experiment_title(r->blocks[i].experiment));
        fputs("</a></li>\n", f);
    }
    fputs("<li><a href=\"#deviations\">Deviations from the paper</a></li>\n</ul></nav>\n", f);
}

/* ---- One block --------------------------------------------------------------------------------------------------- */

static drl_status put_figure(FILE *f, report *r, const char *path, const char *label, size_t *number, drl_err *err) {
    char *svg, prefix[32];
    double width;
    drl_status st = report_read(&r->pool, &svg, path, err);
    if (st != DRL_OK) return st;
    snprintf(prefix, sizeof prefix, "f%zu-", ++*number);
    fputs("<figure><div class=\"figure\" tabindex=\"0\">\n", f);
    st = report_put_svg(f, &width, svg, prefix, label, err);
    if (st != DRL_OK) return drl_err_context(err, st, "%s", path);
    fputs("\n</div><figcaption>", f);
    report_put_html(f, label);
    fputs("</figcaption></figure>\n", f);
    return DRL_OK;
}

/* <dt>name</dt><dd>texts, separated by commas</dd>, where there are any. */
static void put_fact(FILE *f, const char *name, const report_list *list) {
    if (list->n == 0) return;
    put_element(f, "dt", name);
    fputs("<dd>", f);
    for (size_t i = 0; i < list->n; i++) {
        if (i) fputs(", ", f);
        report_put_html(f, list->v[i]);
    }
    fputs("</dd>\n", f);
}

static void put_training(FILE *f, const report_runs *runs) {
    char text[32];
    if (runs->n_times == 0) return;
    fprintf(f, "<dt>Training</dt><dd>%s in all: ", drl_format_duration(text, sizeof text, runs->seconds));
    for (size_t i = 0; i < runs->n_times; i++) {
        const report_time *t = &runs->times[i];
        if (i) fputs(", ", f);
        report_put_html(f, t->method);
        fprintf(f, " %s", drl_format_duration(text, sizeof text, t->seconds));
        if (t->runs > 1) fprintf(f, " (%zu models)", t->runs);
    }
    fputs("</dd>\n", f);
}

static void put_environment(FILE *f, const report *r, const report_block *b) {
    const report_runs *runs = &b->runs;
    fputs("<h4>Where the numbers come from</h4>\n<dl class=\"from\">\n", f);
    if (runs->n == 0) {
        fputs("<dt>Runs</dt><dd>No record: ", f);
        report_put_html(f, b->stem);
        fputs("-runs.json is missing.</dd>\n", f);
    } else {
        fprintf(f, "<dt>Runs</dt><dd>%zu, begun ", runs->n);
        report_put_html(f, runs->first ? runs->first : "at an unknown time");
        if (runs->last && strcmp(runs->first, runs->last) != 0) {
            fputs(" to ", f);
            report_put_html(f, runs->last);
        }
        fputs("</dd>\n", f);
    }
    put_fact(f, "Seeds", &runs->seeds);
    put_training(f, runs);
    put_fact(f, "Git revisions", &runs->revisions);
    put_fact(f, "Version", &runs->versions);
    put_fact(f, "CPU", &runs->cpus);
    put_fact(f, "BLAS kernels", &runs->blas);
    put_fact(f, "Compiler", &runs->compilers);
    put_fact(f, "Precision", &runs->precisions);
    put_fact(f, "Libraries", &runs->libraries);
    put_fact(f, "Data, SHA-256", &runs->dataset_sha256);
    fputs("<dt>Files</dt><dd>", f);
    for (size_t i = 0; i < b->n; i++) {
        if (i) fputs(", ", f);
        put_file(f, r->in_link, b->tables[i].stem, ".csv");
    }
    if (runs->times) fputs(", ", f), put_file(f, r->in_link, b->stem, "-rows.csv");
    if (runs->n) fputs(", ", f), put_file(f, r->in_link, b->stem, "-runs.json");
    if (b->pictures) fputs(", ", f), put_file(f, r->in_link, b->stem, "-pictures.safetensors");
    fputs("</dd>\n</dl>\n", f);
}

static drl_status put_block(FILE *f, report *r, const report_block *b, size_t *number, drl_err *err) {
    drl_status st = DRL_OK;
    fputs("<article id=\"", f);
    report_put_html(f, b->stem);
    fputs("\">\n<h3>", f);
    report_put_html(f, b->dataset);
    fputs(", ", f);
    report_put_html(f, b->scale);
    fputs(" scale", f);
    if (b->variant[0]) {
        fputs(": ", f);
        report_put_html(f, b->variant);
    }
    fputs("</h3>\n", f);
    if (b->figure) {
        st = put_figure(f, r, b->figure, b->tables[0].title, number, err);
    } else {
        fputs("<p class=\"missing\">The figure is missing: there is no ", f);
        report_put_html(f, b->stem);
        fputs(".svg.</p>\n", f);
    }
    fputs("<h4>How to reproduce these numbers</h4>\n<pre><code>", f);
    report_put_html(f, b->command);
    fputs("</code></pre>\n", f);
    for (size_t i = 0; i < b->n && st == DRL_OK; i++) {
        if (b->tables[i].figure) st = put_figure(f, r, b->tables[i].figure, b->tables[i].title, number, err);
        if (st == DRL_OK) st = put_table(f, r, &b->tables[i], err);
    }
    put_environment(f, r, b);
    fputs("</article>\n", f);
    return st;
}

static drl_status put_experiments(FILE *f, report *r, drl_err *err) {
    drl_status st = DRL_OK;
    size_t number = 0;
    for (size_t i = 0; i < r->n && st == DRL_OK; i++) {
        const report_block *b = &r->blocks[i];
        if (i == 0 || strcmp(b->experiment, b[-1].experiment) != 0) {
            fputs("<section id=\"", f);
            report_put_html(f, b->experiment);
            fputs("\">\n", f);
            put_element(f, "h2", report_experiment_title(b->experiment));
            fputs("\n<p>", f);
            report_put_html(f, report_experiment_claim(b->experiment));
            fputs("</p>\n", f);
        }
        st = put_block(f, r, b, &number, err);
        if (i + 1 == r->n || strcmp(b->experiment, b[1].experiment) != 0) fputs("</section>\n", f);
    }
    return st;
}

/* ---- The page ---------------------------------------------------------------------------------------------------- */

static drl_status put_page(FILE *f, report *r, drl_err *err) {
    fputs(head, f);
    fprintf(f, "<style>\n%s</style>\n</head>\n<body>\n<header>\n", (const char *)report_css);
    fputs("<h1>Diffusion Based Representation Learning, reproduced</h1>\n", f);
    put_element(f, "p", report_about);
    fputs("\n</header>\n", f);
    put_contents(f, r);
    fputs("<main>\n", f);
    put_verdicts(f, r);
    put_what_was_run(f, r);
    drl_status st = put_experiments(f, r, err);
    fputs("<section id=\"deviations\">\n<h2>Deviations from the paper</h2>\n", f);
    if (r->deviations)
        report_put_blocks(f, r->deviations);
    else
        fputs("<p class=\"missing\">Not written down: there is no deviations.md.</p>\n", f);
    fprintf(f, "</section>\n</main>\n<script>\n%s</script>\n</body>\n</html>\n", (const char *)report_js);
    return st;
}

drl_status report_write_html(report *r, drl_err *err) {
    char path[DRL_PATH_MAX];
    drl_new_file file;
    snprintf(path, sizeof path, "%.*s/report.html", DRL_PATH_MAX - 16, r->out);
    drl_status st = drl_new_file_open(&file, path, err);
    if (st != DRL_OK) return st;
    if ((st = put_page(file.f, r, err)) == DRL_OK) return drl_new_file_commit(&file, err);
    drl_new_file_discard(&file);
    return st;
}
