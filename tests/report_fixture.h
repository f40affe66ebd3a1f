/* What the tests of drl report read: a run directory of four results, two of them with figures. */
#ifndef DRL_TESTS_REPORT_FIXTURE_H
#define DRL_TESTS_REPORT_FIXTURE_H

#include "program.h"

/* In the order of the values: 9.5, 83.4, 100, none; of the bytes: none, 100, 83.4, 9.5. */
static const char fixture_table[] = "code,MLP probe\n\"a < b & \"\"c\"\"\",83.4\n<script>alert(1)</script>,9.5\n"
                                    "nothing,\nhundred,100\n";
static const char fixture_notes[] =
    "**R1: a \\_title\\_ &lt;b>**\n\n| code | MLP probe |\n| --- | ---: |\n| x | 1 |\n\n"
    "One **bold** note with `code <i>`, [a link](other.md), [no link](javascript:x) "
    "and <u>tags</u>.\n\n"
    "Command: build/bin/downstream --set \"a\\_b=1 \\| 2\" --seeds 7\n";
static const char fixture_runs[] =
    "[{\"run\": 1, \"seed\": 1, \"dataset\": \"folder:tiny.zip\", \"created\": \"2026-01-02T03:04:05Z\", "
    "\"provenance\": "
    "{\"git_revision\": \"abc<123\", \"cpu\": \"Some CPU\", \"processors\": 2, \"libraries\": {\"zlib\": \"1.2\"}}},\n"
    " {\"run\": 2, \"seed\": 2, \"dataset\": \"folder:tiny.zip\", \"created\": \"2026-01-01T00:00:00Z\"}]\n";
static const char fixture_rows[] = "run,method,seed,metric,t,value,detail,config_hash\n"
                                   "1,drl,1,train_seconds,,60.5,\"\",x\n1,drl,1,knn_accuracy,0,1000,\"\",x\n"
                                   "2,drl,2,train_seconds,,39.5,\"\",x\n";
static const char fixture_claims[] =
    "id,dataset,scale,probe,statement,source,effect,half95,seeds,verdict,rule,runs\n"
    "C1,folder:tiny.zip,desk,MLP,open & <b>,paper,-1.25,0,1,inconclusive (fewer than 3 seeds),above 0,1\n"
    "C2,folder:tiny.zip,desk,MLP,held,own,2.5,1.125,3,reproduced,above 0,1\n"
    "C3,other,desk,MLP,did not,paper,-2.5,1,3,not reproduced,above 0,1\n"
    "C4,other,smoke,MLP,smoke,paper,1,0,1,none at this scale,above 0,1\n";
/* As gnuplot writes it, with what a figure should not have. */
static const char fixture_svg[] =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!DOCTYPE svg PUBLIC \"-//W3C\" \"http://www.w3.org/x.dtd\">\n"
    "<svg width=\"1\" height=\"1\" viewBox=\"0 0 930 454\" xmlns=\"http://www.w3.org/2000/svg\" "
    "xmlns:xlink=\"http://www.w3.org/1999/xlink\" onload=\"alert(2)\">\n<title>Gnuplot</title>\n"
    "<defs><circle id='gpPt5' r='9'/><filter id='textbox'><feFlood flood-color='white'/></filter></defs>\n"
    "<script>alert(3)</script><style>body { display: none }</style><!-- <g> -->\n"
    "<g id = \"plot\" filter=\"url(#textbox)\" fill=\"url('#textbox')\" stroke='url(http://example.org/x)'>"
    "<use xlink:href='#gpPt5' transform='translate(50,50)'/><image xlink:href='http://example.org/x.png'/>"
    "<foreignObject><p>html</p></foreignObject><text>1 &lt; 2</text></g>\n</svg>\n";

static void fixture_write(const char *dir, const char *name, const char *text) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    write_whole(path, text, strlen(text));
}

/* DIR/TABLES and DIR/FIGURES, which are made, and DIR/claims.csv. */
static void fixture_make(const char *dir, const char *tables, const char *figures) {
    char t[520], f[520];
    snprintf(t, sizeof t, "%s/%s", dir, tables);
    snprintf(f, sizeof f, "%s/%s", dir, figures);
    assert_int_equal(mkdir(dir, 0777), 0);
    assert_int_equal(mkdir(t, 0777), 0);
    assert_int_equal(mkdir(f, 0777), 0);
    fixture_write(dir, "claims.csv", fixture_claims);
    fixture_write(t, "downstream-folder-tiny-desk.csv", fixture_table);
    fixture_write(t, "downstream-folder-tiny-desk.md", fixture_notes);
    fixture_write(t, "downstream-folder-tiny-desk-runs.json", fixture_runs);
    fixture_write(t, "downstream-folder-tiny-desk-rows.csv", fixture_rows);
    fixture_write(t, "downstream-folder-tiny-desk-claims.csv", "id,statement,verdict\nC2,held,reproduced\n");
    fixture_write(f, "downstream-folder-tiny-desk.svg", fixture_svg);
    /* under a name, whose dataset is found in the runs; no figure */
    fixture_write(t, "detail_control-levels-folder-tiny-desk.csv", "codes,k-NN\nx,1\n");
    fixture_write(t, "detail_control-levels-folder-tiny-desk.md",
                  "**Levels**\n\n| codes |\n\nVariants of these settings: a: t\\_x=1 \\| b: t\\_x=2.\n");
    fixture_write(t, "detail_control-levels-folder-tiny-desk-runs.json", fixture_runs);
    fixture_write(t, "detail_control-levels-folder-tiny-desk-pictures.safetensors", "x");
    fixture_write(t, "detail_control-levels-folder-tiny-desk-claims.csv", "id,statement,verdict\nC4,smoke,none\n");
    /* no runs, a further table, and an experiment nobody knows */
    fixture_write(t, "compare-desk-pictures-desk-bounds.csv", "bound,holds\nx,yes\n");
    fixture_write(f, "compare-desk-pictures-desk.svg", fixture_svg);
    fixture_write(t, "own_thing-tiny-paper.csv", "a\n1\n");
    fixture_write(t, "unrelated.csv", "a,b\n1\n");
}

#endif
