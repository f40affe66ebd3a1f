/* drl report: what is said of the suite, of its experiments and of the verdicts, in whichever format. */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char report_about[] =
    "A benchmark suite in C that reproduces the experiments of Diffusion Based Representation Learning (Mittal, "
    "Abstreiter, Bauer, Schölkopf, Mehrjou, ICML 2023). An encoder E and a score network are trained together by "
    "denoising score matching: the network is given a code z = E(x, t) of the clean image and denoises the better the "
    "more the code says about what noise of level t hides. No labels, augmentation or reconstruction loss are needed. "
    "Each experiment below trains, probes the codes, and puts what was measured beside the paper's claim.";

/* In the order of the report. */
static const struct {
    const char *name, *title, *claim;
} experiments[] = {
    {"downstream", "R1: downstream classification along the trajectory",
     "Codes E(x, t), frozen and classified by a small probe, do best at an intermediate t and worse toward both ends; "
     "the best t beats an autoencoder, a VAE and SimCLR with Gaussian noise alone."},
    {"semi_supervised", "R2: semi-supervised classification with few labels",
     "LaplaceNet on few labels does better when its encoder was pretrained by DRL or VDRL than from nothing."},
    {"detail_control", "R3: control of the level of detail",
     "The noise levels that training sees decide what a code holds: trained at high noise, a 2-dimensional code "
     "separates the classes; trained at low noise, it holds detail and not the class."},
    {"detail_factors", "R3: which factor lives at which noise level",
     "The paper shows control of detail by eye. On images drawn with known factors it is measured, factor by factor."},
    {"sde_ablation", "R4: the process in which codes are learned",
     "What diffusion representation learning gains does not depend on the variance-exploding process (VE): under the "
     "variance-preserving one (VP) the benefit persists."},
    {"compare", "All methods side by side",
     "The methods with the same encoder and budget: cost, accuracy of three probes, and bounds that hold where "
     "everything works. No claim of the paper."},
};
#define EXPERIMENTS ((int)(sizeof experiments / sizeof *experiments))

int report_experiment_rank(const char *experiment) {
    int i = 0;
    while (i < EXPERIMENTS && strcmp(experiments[i].name, experiment) != 0) i++;
    return i;
}

const char *report_experiment_name(int rank) {
    return rank < EXPERIMENTS ? experiments[rank].name : NULL;
}

const char *report_experiment_title(const char *experiment) {
    int i = report_experiment_rank(experiment);
    return i < EXPERIMENTS ? experiments[i].title : experiment;
}

const char *report_experiment_claim(const char *experiment) {
    int i = report_experiment_rank(experiment);
    return i < EXPERIMENTS ? experiments[i].claim : "";
}

/* ---- Verdicts ---------------------------------------------------------------------------------------------------- */

const char *const report_verdict_name[VERDICTS] = {"reproduced", "not reproduced", "inconclusive", "no verdict"};

report_verdict report_verdict_of(const char *text) {
    for (int v = 0; v < VERDICT_NONE; v++) {
        const size_t n = strlen(report_verdict_name[v]);
        if (strncmp(text, report_verdict_name[v], n) == 0 && (text[n] == '\0' || text[n] == ' '))
            return (report_verdict)v;
    }
    return VERDICT_NONE;
}

void report_count_verdicts(size_t n[VERDICTS], const report *r) {
    memset(n, 0, VERDICTS * sizeof *n);
    for (size_t row = 1; row < r->claims.rows; row++) n[report_verdict_of(report_field(&r->claims, row, "verdict"))]++;
}

static bool number_in(double *value, const char *text) {
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*value);
}

const char *report_effect(char buf[64], const report *r, size_t row) {
    const char *text = report_field(&r->claims, row, "effect");
    double value;
    if (number_in(&value, text))
        snprintf(buf, 64, "%+.2f", value);
    else
        snprintf(buf, 64, "%s", text[0] ? text : "–");
    return buf;
}

const char *report_interval(char buf[64], const report *r, size_t row) {
    double half, seeds;
    buf[0] = '\0';
    if (number_in(&half, report_field(&r->claims, row, "half95")) &&
        number_in(&seeds, report_field(&r->claims, row, "seeds")) && seeds >= 2)
        snprintf(buf, 64, " ± %.2f", half);
    return buf;
}

const report_block *report_claim_block(const report *r, size_t row) {
    const char *id = report_field(&r->claims, row, "id"), *dataset = report_field(&r->claims, row, "dataset");
    const char *scale = report_field(&r->claims, row, "scale");
    for (size_t i = 0; i < r->n; i++) {
        const report_block *b = &r->blocks[i];
        if (strcmp(b->dataset, dataset) != 0 || strcmp(b->scale, scale) != 0) continue;
        for (size_t t = 0; t < b->n; t++) {
            const report_csv *csv = &b->tables[t].csv;
            if (strcmp(b->tables[t].part, "claims") != 0) continue;
            for (size_t k = 1; k < csv->rows; k++)
                if (strcmp(report_field(csv, k, "id"), id) == 0) return b;
        }
    }
    return NULL;
}
