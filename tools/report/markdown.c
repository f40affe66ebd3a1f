/* drl report: report.md, with links to the tables' files and figures. */
#define _POSIX_C_SOURCE 200809L
#include "report.h"

#include <string.h>

#include "drl/log.h"

/* ---- Tables ------------------------------------------------------------------------------------------------------ */

static void put_row(FILE *f, size_t columns, const char *const *cells) {
    for (size_t c = 0; c < columns; c++) {
        fputs(c ? " | " : "| ", f);
        report_put_markdown(f, cells[c]);
    }
    fputs(" |\n", f);
}

static void put_head(FILE *f, size_t columns, const char *const *names, const bool *numeric) {
    put_row(f, columns, names);
    for (size_t c = 0; c < columns; c++) fputs(numeric[c] ? "| ---: " : "| --- ", f);
    fputs("|\n", f);
}

static drl_status put_table(FILE *f, report *r, const report_table *t, drl_err *err) {
    const report_csv *csv = &t->csv;
    bool *numeric = report_take(&r->pool, csv->columns * sizeof *numeric, err);
    if (!numeric) return DRL_ERR_MEMORY;
    for (size_t c = 0; c < csv->columns; c++) numeric[c] = report_is_numeric(csv, c);
    fputs("**", f);
    report_put_markdown(f, t->title);
    fputs("**\n\n", f);
    put_head(f, csv->columns, (const char *const *)csv->cells, numeric);
    for (size_t row = 1; row < csv->rows; row++)
        put_row(f, csv->columns, (const char *const *)csv->cells + row * csv->columns);
    /* notes are Markdown already */
    for (size_t i = 0; i < t->notes.n; i++) fprintf(f, "\n%s\n", t->notes.v[i]);
    fputc('\n', f);
    return DRL_OK;
}

/* ---- Overviews --------------------------------------------------------------------------------------------------- */

static void put_claim(FILE *f, const report *r, size_t row) {
    char number[64], interval[64], effect[128];
    const report_csv *c = &r->claims;
    const bool decided = report_verdict_of(report_field(c, row, "verdict")) < VERDICT_OPEN;
    snprintf(effect, sizeof effect, "%s%s", report_effect(number, r, row), report_interval(interval, r, row));
    const char *const cells[] = {report_field(c, row, "verdict"), report_field(c, row, "statement"),
                                 report_field(c, row, "source"),  effect,
                                 report_field(c, row, "seeds"),   report_field(c, row, "dataset"),
                                 report_field(c, row, "scale"),   report_field(c, row, "probe"),
                                 report_field(c, row, "id")};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        const char *bold = i == 0 && decided ? "**" : "";
        fprintf(f, "| %s", bold);
        report_put_markdown(f, cells[i]);
        fprintf(f, "%s ", bold);
    }
    fputs("|\n", f);
}

static void put_verdicts(FILE *f, const report *r) {
    static const char *const names[] = {"verdict", "statement", "source",      "effect", "seeds",
                                        "dataset", "scale",     "measured by", "claim"};
    static const bool numeric[] = {false, false, false, true, true, false, false, false, false};
    size_t n[VERDICTS];
    fputs("## Verdicts\n\n", f);
    if (r->claims.rows < 2) {
        fputs("No claims: there is no claims.csv, or nothing in it.\n\n", f);
        return;
    }
    report_count_verdicts(n, r);
    for (int v = 0; v < VERDICTS; v++)
        if (n[v] > 0 || v != VERDICT_NONE) fprintf(f, "- **%zu** %s\n", n[v], report_verdict_name[v]);
    fputs("\nA claim is an effect that would be above 0 if it held.", f);
    if (report_field(&r->claims, 1, "rule")[0]) {
        fputs(" The rule, written before any run: ", f);
        report_put_markdown(f, report_field(&r->claims, 1, "rule"));
        fputs(".", f);
    }
    fputs("\n\n", f);
    put_head(f, 9, names, numeric);
    for (int open = 0; open < 2; open++)
        for (size_t row = 1; row < r->claims.rows; row++)
            if ((report_verdict_of(report_field(&r->claims, row, "verdict")) >= VERDICT_OPEN) == open)
                put_claim(f, r, row);
    fputc('\n', f);
}

static void put_what_was_run(FILE *f, const report *r) {
    static const char *const names[] = {"experiment", "dataset", "scale", "seeds", "runs", "training", "from", "to"};
    static const bool numeric[] = {false, false, false, true, true, true, false, false};
    fputs("## What was run\n\n", f);
    put_head(f, 8, names, numeric);
    for (size_t i = 0; i < r->n; i++) {
        const report_block *b = &r->blocks[i];
        char name[300], seeds[32], runs[32], minutes[48], first[16], last[16];
        snprintf(name, sizeof name, "%s%s%s", b->experiment, b->variant[0] ? ", " : "", b->variant);
        snprintf(seeds, sizeof seeds, "%zu", b->runs.seeds.n);
        snprintf(runs, sizeof runs, "%zu", b->runs.n);
        snprintf(minutes, sizeof minutes, "–");
        if (b->runs.seconds > 0) snprintf(minutes, sizeof minutes, "%.1f min", b->runs.seconds / 60);
        snprintf(first, sizeof first, "%.10s", b->runs.first ? b->runs.first : "–");
        snprintf(last, sizeof last, "%.10s", b->runs.last ? b->runs.last : "–");
        const char *const cells[] = {name, b->dataset, b->scale, seeds, runs, minutes, first, last};
        put_row(f, 8, cells);
    }
    fputs("\nTraining: the sum over the models used. Experiments with one --out share models: such a model was trained "
          "once and counts in each of them.\n\n",
          f);
}

/* ---- One block --------------------------------------------------------------------------------------------------- */

static void put_link(FILE *f, const char *dir, const char *stem, const char *ext) {
    fputc('[', f);
    report_put_markdown(f, stem);
    fprintf(f, "%s](", ext);
    report_put_address(f, dir);
    fputc('/', f);
    report_put_address(f, stem);
    fprintf(f, "%s)", ext);
}

static void put_figure(FILE *f, const report *r, const char *stem, const char *label) {
    fputs("![", f);
    report_put_markdown(f, label);
    fputs("](", f);
    report_put_address(f, r->figures_link);
    fputc('/', f);
    report_put_address(f, stem);
    fputs(".svg)\n\n", f);
}

static void put_fact(FILE *f, const char *name, const report_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        fprintf(f, i ? ", " : "- %s: ", name);
        report_put_markdown(f, list->v[i]);
    }
    if (list->n) fputc('\n', f);
}

static void put_training(FILE *f, const report_runs *runs) {
    char text[32];
    if (runs->n_times == 0) return;
    fprintf(f, "- Training: %s in all: ", drl_format_duration(text, sizeof text, runs->seconds));
    for (size_t i = 0; i < runs->n_times; i++) {
        const report_time *t = &runs->times[i];
        if (i) fputs(", ", f);
        report_put_markdown(f, t->method);
        fprintf(f, " %s", drl_format_duration(text, sizeof text, t->seconds));
        if (t->runs > 1) fprintf(f, " (%zu models)", t->runs);
    }
    fputc('\n', f);
}

static void put_environment(FILE *f, const report *r, const report_block *b) {
    const report_runs *runs = &b->runs;
    fputs("Where the numbers come from:\n\n", f);
    if (runs->n == 0) {
        fputs("- Runs: no record, ", f);
        report_put_markdown(f, b->stem);
        fputs("-runs.json is missing\n", f);
    } else {
        fprintf(f, "- Runs: %zu, begun ", runs->n);
        report_put_markdown(f, runs->first ? runs->first : "at an unknown time");
        if (runs->last && strcmp(runs->first, runs->last) != 0) {
            fputs(" to ", f);
            report_put_markdown(f, runs->last);
        }
        fputc('\n', f);
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
    fputs("- Files: ", f);
    for (size_t i = 0; i < b->n; i++) {
        if (i) fputs(", ", f);
        put_link(f, r->in_link, b->tables[i].stem, ".csv");
    }
    if (runs->times) fputs(", ", f), put_link(f, r->in_link, b->stem, "-rows.csv");
    if (runs->n) fputs(", ", f), put_link(f, r->in_link, b->stem, "-runs.json");
    if (b->pictures) fputs(", ", f), put_link(f, r->in_link, b->stem, "-pictures.safetensors");
    fputs("\n\n", f);
}

static drl_status put_block(FILE *f, report *r, const report_block *b, drl_err *err) {
    drl_status st = DRL_OK;
    fputs("### ", f);
    report_put_markdown(f, b->dataset);
    fputs(", ", f);
    report_put_markdown(f, b->scale);
    fputs(b->variant[0] ? " scale: " : " scale", f);
    report_put_markdown(f, b->variant);
    fputs("\n\n", f);
    if (b->figure) {
        put_figure(f, r, b->stem, b->tables[0].title);
    } else {
        fputs("The figure is missing: there is no ", f);
        report_put_markdown(f, b->stem);
        fputs(".svg.\n\n", f);
    }
    fprintf(f, "How to reproduce these numbers:\n\n    %s\n\n", b->command);
    for (size_t i = 0; i < b->n && st == DRL_OK; i++) {
        if (b->tables[i].figure) put_figure(f, r, b->tables[i].stem, b->tables[i].title);
        st = put_table(f, r, &b->tables[i], err);
    }
    put_environment(f, r, b);
    return st;
}

/* ---- The file ---------------------------------------------------------------------------------------------------- */

/* The text of deviations.md, its headings one level lower. */
static void put_deviations(FILE *f, const char *text) {
    bool fence = false;
    for (text += strspn(text, "\n"); *text;) {
        const size_t n = strcspn(text, "\n");
        if (strncmp(text, "```", 3) == 0) fence = !fence;
        if (*text == '#' && !fence) fputc('#', f);
        fwrite(text, 1, n, f);
        fputc('\n', f);
        text += n + (text[n] == '\n');
    }
}

static drl_status put_report(FILE *f, report *r, drl_err *err) {
    drl_status st = DRL_OK;
    fprintf(f, "# Diffusion Based Representation Learning, reproduced\n\n%s\n\n", report_about);
    put_verdicts(f, r);
    put_what_was_run(f, r);
    for (size_t i = 0; i < r->n && st == DRL_OK; i++) {
        const char *experiment = r->blocks[i].experiment;
        if (i == 0 || strcmp(experiment, r->blocks[i - 1].experiment) != 0) {
            fputs("## ", f);
            report_put_markdown(f, report_experiment_title(experiment));
            fputs("\n\n", f);
            const char *claim = report_experiment_claim(experiment);
            if (claim[0]) fprintf(f, "%s\n\n", claim);
        }
        st = put_block(f, r, &r->blocks[i], err);
    }
    fputs("## Deviations from the paper\n\n", f);
    if (r->deviations)
        put_deviations(f, r->deviations);
    else
        fputs("Not written down: there is no deviations.md.\n", f);
    return st;
}

drl_status report_write_markdown(report *r, drl_err *err) {
    char path[DRL_PATH_MAX];
    drl_new_file file;
    snprintf(path, sizeof path, "%.*s/report.md", DRL_PATH_MAX - 16, r->out);
    drl_status st = drl_new_file_open(&file, path, err);
    if (st != DRL_OK) return st;
    if ((st = put_report(file.f, r, err)) == DRL_OK) return drl_new_file_commit(&file, err);
    drl_new_file_discard(&file);
    return st;
}
