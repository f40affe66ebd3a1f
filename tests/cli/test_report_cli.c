/* drl report: what is in the report of a small run directory, that nothing in it is taken for markup, and refusals. */
#include "../report_fixture.h"

static char *make_report(const char *dir, const char *name) {
    outcome o;
    char path[600];
    size_t size;
    const char *const args[] = {"drl", "report", "--out", dir, NULL};
    run_program(&o, args);
    if (o.status != 0) fail_msg("%s", o.err);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return read_whole(path, &size);
}

static void holds(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("no %s in\n%s", part, text);
}

static void lacks(const char *text, const char *part) {
    const char *at = strstr(text, part);
    if (at) fail_msg("%s stands there: %.200s", part, at);
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

/* ---- What it says ------------------------------------------------------------------------------------------------ */

static void test_html(void **state) {
    (void)state;
    fixture_make(in_dir("run"), "tables", "figures");
    char *t = make_report(in_dir("run"), "report.html");

    /* verdicts: counted, decided ones first, with their interval, linked to the experiment */
    holds(t, "<li class=\"yes\"><b>1</b>reproduced</li>");
    holds(t, "<li class=\"no\"><b>1</b>not reproduced</li>");
    holds(t, "<li class=\"open\"><b>1</b>inconclusive</li>");
    holds(t, "<li class=\"none\"><b>1</b>no verdict</li>");
    const char *const verdicts[] = {"held</td><td>own</td><td class=\"n\">+2.50 ± 1.12</td>",
                                    "<a href=\"#downstream-folder-tiny-desk\">C2</a>",
                                    "did not</td>",
                                    ">C3</td>",
                                    "open &amp; &lt;b&gt;</td><td>paper</td><td class=\"n\">-1.25</td>",
                                    "smoke</td>",
                                    NULL};
    holds_in_order(t, verdicts);

    /* experiments in the paper's order, the unknown one last; dataset as the runs call it; the command */
    const char *const order[] = {"<h2>R1:",
                                 "folder:tiny.zip, desk scale</h3>",
                                 "<pre><code>build/bin/downstream --set &quot;a_b=1 | 2&quot; --seeds 7</code></pre>",
                                 "<h2>R3:",
                                 "folder:tiny.zip, desk scale: levels</h3>",
                                 "build/bin/detail_control --name levels --scale desk --dataset folder:tiny.zip "
                                 "--seeds 2 --variants &quot;a: t_x=1 | b: t_x=2&quot;</code>",
                                 "detail_control-levels-folder-tiny-desk-claims.csv",
                                 "<h2>All methods",
                                 "desk-pictures, desk scale</h3>",
                                 "build/bin/compare --scale desk --dataset desk-pictures</code>",
                                 "<h2>own_thing</h2>",
                                 "build/bin/own_thing --scale paper --dataset tiny</code>",
                                 "<h2>Deviations",
                                 NULL};
    holds_in_order(t, order);
    lacks(t, "Command:");
    lacks(t, "unrelated");

    /* where it comes from */
    holds(t, "<dd>2, begun 2026-01-01T00:00:00Z to 2026-01-02T03:04:05Z</dd>");
    holds(t, "1 min 40 s in all: drl 1 min 40 s (2 models)");
    holds(t, "abc&lt;123");
    holds(t, "Some CPU, 2 processors");
    holds(t, "zlib 1.2");
    holds(t, "<a href=\"tables/downstream-folder-tiny-desk-rows.csv\">");
    holds(t, "<a href=\"tables/detail_control-levels-folder-tiny-desk-pictures.safetensors\">");
    assert_int_equal(count(t, "-pictures.safetensors</a>"), 1);
    holds(t, "compare-desk-pictures-desk-runs.json is missing");

    /* missing figures are said to be missing */
    assert_int_equal(count(t, "The figure is missing"), 2);
    holds(t, "there is no detail_control-levels-folder-tiny-desk.svg");
    free(t);
}

/* Cells, titles and notes are text, whatever they hold. */
static void test_escapes(void **state) {
    (void)state;
    char *t = make_report(in_dir("run"), "report.html");
    holds(t, "<td>a &lt; b &amp; &quot;c&quot;</td><td class=\"n\">83.4</td>");
    holds(t, "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>");
    holds(t, "<caption>R1: a _title_ &lt;b&gt;</caption>");
    holds(t,
          "One <strong>bold</strong> note with <code>code &lt;i&gt;</code>, <a href=\"other.md\">a link</a>, no link "
          "and &lt;u&gt;tags&lt;/u&gt;.");
    lacks(t, "<script>alert");
    lacks(t, "javascript:");
    assert_int_equal(count(t, "<script"), 1);
    free(t);

    t = make_report(in_dir("run"), "report.md");
    holds(t, "| a &lt; b &amp; \"c\" | 83.4 |\n");
    holds(t, "| &lt;script>alert(1)&lt;/script> | 9.5 |\n");
    holds(t, "![R1: a \\_title\\_ &lt;b>](figures/downstream-folder-tiny-desk.svg)");
    holds(t, "\n    build/bin/downstream --set \"a_b=1 | 2\" --seeds 7\n");
    holds(t, "| **reproduced** | held | own | +2.50 ± 1.12 | 3 |");
    holds(t, "The figure is missing: there is no own\\_thing-tiny-paper.svg.");
    holds(t, "## Deviations from the paper\n\n");
    free(t);
}

/* ---- Figures ----------------------------------------------------------------------------------------------------- */

/* The value of the next attribute that begins so, quoted either way; NULL: none. */
static const char *next_value(const char **at, const char *name, char value[200]) {
    const char *found = *at;
    const size_t n = strlen(name);
    while ((found = strstr(found, name)) && found[n] != '"' && found[n] != '\'') found += n;
    if (!found) return NULL;
    const char quote[] = {found[n], '\0'};
    snprintf(value, 200, "%.*s", (int)strcspn(found + n + 1, quote), found + n + 1);
    *at = found + n;
    return value;
}

/* Every id is there once, and every reference into the page has one. */
static void test_ids(void **state) {
    (void)state;
    char *t = make_report(in_dir("run"), "report.html"), value[200], ids[100][200];
    size_t n = 0, references = 0;
    for (const char *at = t; next_value(&at, " id=", value); n++) {
        for (size_t i = 0; i < n; i++)
            if (strcmp(ids[i], value) == 0) fail_msg("id %s is there twice", value);
        assert_true(n < 100);
        snprintf(ids[n], sizeof ids[0], "%s", value);
    }
    static const char *const names[] = {"href=", "xlink:href="};
    for (int k = 0; k < 2; k++) {
        for (const char *at = t; next_value(&at, names[k], value);) {
            size_t i = 0;
            if (value[0] != '#') continue;
            while (i < n && strcmp(ids[i], value + 1) != 0) i++;
            if (i == n) fail_msg("nothing has the id %s", value);
            references++;
        }
    }
    assert_true(references > 10);
    /* two figures of two uses of the filter each */
    assert_int_equal(count(t, "id='f1-gpPt5'"), 1);
    assert_int_equal(count(t, "id='f2-gpPt5'"), 1);
    holds(t, "filter=\"url(#f2-textbox)\" fill=\"url('#f2-textbox')\"");
    holds(t, "<use xlink:href='#f2-gpPt5' transform='translate(50,50)'/>");
    free(t);
}

/* Nothing asks for anything outside, and nothing of a figure acts on the page. */
static void test_self_contained(void **state) {
    (void)state;
    char *t = make_report(in_dir("run"), "report.html");
    static const char *const never[] = {"src=",        "<link",    "@import", "alert(2)", "alert(3)",
                                        "onload",      "<style>b", "example", "<image ",  "foreignObject",
                                        "<p>html</p>", "Gnuplot",  "url(h"};
    assert_int_equal(count(t, "http"), count(t, "http-equiv"));
    assert_int_equal(count(t, "http"), 1);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        if (strcmp(never[i], "<image ") == 0)
            assert_int_equal(count(t, "<image"), count(t, "<image/>"));
        else
            lacks(t, never[i]);
    }
    holds(t, "<text>1 &lt; 2</text>");
    holds(t, "default-src 'none'");
    holds(t, "prefers-color-scheme: dark");
    holds(t, "@media print");
    free(t);
}

static void test_same_bytes(void **state) {
    (void)state;
    static const char *const names[] = {"report.html", "report.md"};
    for (int i = 0; i < 2; i++) {
        char *a = make_report(in_dir("run"), names[i]), *b = make_report(in_dir("run"), names[i]);
        assert_string_equal(a, b);
        free(a), free(b);
    }
}

/* The repository's own layout: results/ and plots/, with the deviations beside the tables. */
static void test_committed_layout(void **state) {
    (void)state;
    fixture_make(in_dir("repository"), "results", "plots");
    fixture_write(in_dir("repository/results"), "deviations.md",
                  "# Deviations\n\n## Budget\n\n- **Less** of\n  `it`\n- [more](x.md)\n\ntext <b>\n\n    code <i>\n");
    outcome o;
    size_t size;
    const char *const args[] = {
        "drl", "report", "--in", in_dir("repository/results"), "--out", in_dir("repository/new/out"), NULL};
    run_program(&o, args);
    if (o.status != 0) fail_msg("%s", o.err);
    char *t = read_whole(in_dir("repository/new/out/report.html"), &size);
    holds(t,
          "<h3>Budget</h3>\n<ul>\n<li><strong>Less</strong> of\n  <code>it</code></li>\n<li><a href=\"x.md\">more</a>"
          "</li>\n</ul>\n<p>text &lt;b&gt;</p>\n<pre><code>code &lt;i&gt;\n</code></pre>");
    holds(t, "../../results/downstream-folder-tiny-desk.csv");
    assert_int_equal(count(t, "<svg"), 2);
    free(t);
    t = read_whole(in_dir("repository/new/out/report.md"), &size);
    holds(t, "](../../plots/downstream-folder-tiny-desk.svg)");
    holds(t, "### Budget\n");
    free(t);
}

/* ---- Refusals ---------------------------------------------------------------------------------------------------- */

static void refuse(const char *dir, int status, const char *pieces) {
    outcome o;
    const char *const args[] = {"drl", "report", "--in", dir, "--out", in_dir("refused"), NULL};
    run_program(&o, args);
    assert_refusal(&o, "drl", status, pieces);
    if (access(in_dir("refused/report.html"), F_OK) == 0) fail_msg("%s: there is a report", dir);
    assert_int_equal(temporaries(program_dir), 0);
}

static void test_refusals(void **state) {
    (void)state;
    outcome o;
    refuse(in_dir("nowhere"), 1, "nowhere|no such directory");
    assert_int_equal(mkdir(in_dir("empty"), 0777), 0);
    refuse(in_dir("empty"), 1, "empty|EXPERIMENT-DATASET-SCALE.csv");
    const char *const unknown[] = {"drl", "report", "--inn", "x", NULL};
    run_program(&o, unknown);
    assert_refusal(&o, "drl", 2, "report|inn");

    static const struct {
        const char *name, *text, *pieces;
    } bad[] = {{"downstream-a-desk.csv", "a,b\n1,2\n3\n", "line 3|1 fields|2"},
               {"downstream-a-desk.csv", "", "empty"},
               {"downstream-a-desk.csv", "a\n\"b\n\n", "line 2|quote"},
               {"downstream-a-desk.csv", "a\n\"b\"c\n", "line 2|quote"},
               {"downstream-a-desk-runs.json", "[{\"run\": ", "runs.json|JSON"},
               {"downstream-a-desk-runs.json", "[1]", "runs.json|run 0"},
               {"downstream-a-desk-rows.csv", "metric,value\ntrain_seconds,nan\n", "row 1|nan"},
               {"claims.csv", "id,verdict\n1,reproduced\n", "claims.csv|no column dataset"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *dir = in_dir("bad");
        assert_int_equal(mkdir(dir, 0777), 0);
        fixture_write(dir, "downstream-a-desk.csv", "a,b\n1,2\n");
        fixture_write(dir, bad[i].name, bad[i].text);
        refuse(dir, 1, bad[i].pieces);
        remove_tree(dir);
    }
}

/* A figure cut short, or with an element that is not closed, would spoil the page. */
static void test_bad_figures(void **state) {
    (void)state;
    const char *dir = in_dir("bad");
    assert_int_equal(mkdir(dir, 0777), 0);
    fixture_write(dir, "downstream-a-desk.csv", "a,b\n1,2\n");
    for (size_t n = 0; n + 7 < sizeof fixture_svg; n += PROGRAM_SLOW ? 211 : 41) {
        char path[600];
        snprintf(path, sizeof path, "%s/downstream-a-desk.svg", dir);
        write_whole(path, fixture_svg, n);
        refuse(dir, 1, "downstream-a-desk.svg|line");
    }
    static const char *const bad[] = {"<svg><g></svg></g>",  "<svg/><svg/>",    "<html/>",
                                      "<svg><g a=b/></svg>", "<svg></svg></g>", "text"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture_write(dir, "downstream-a-desk.svg", bad[i]);
        refuse(dir, 1, "downstream-a-desk.svg|line 1");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_html),       cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_ids),        cmocka_unit_test(test_self_contained),
        cmocka_unit_test(test_same_bytes), cmocka_unit_test(test_committed_layout),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_bad_figures),
    };
    return cmocka_run_group_tests(tests, program_setup, program_teardown);
}
