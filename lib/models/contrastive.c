/* Two pictures of each image (drl/contrastive.h). */
#include "drl/contrastive.h"

#include <string.h>

#include "drl/blas.h"
#include "drl/mem.h"

#define IMAGES 2000 /* that a measurement takes at most */

void drl_simclr_augment(drl_augment_cfg *augment, const drl_model_cfg *cfg) {
    (void)cfg;
    if (drl_augment_active(augment)) return;
    augment->augment_flip = true;
    augment->augment_resized_crop = 0.08;
    augment->augment_jitter = 1;
    augment->augment_grey = 0.2;
    augment->augment_blur = 0.5;
}

drl_status drl_simclr_check(const drl_model_cfg *cfg, drl_err *err) {
    if (cfg->train_batch > 1) return DRL_OK;
    return drl_fail(err, DRL_ERR_CONFIG, "train.batch = 1: %s compares the images of a batch with each other",
                    cfg->model_method);
}

static drl_tensor head(drl_graph *g, drl_tensor z, size_t projection) {
    const drl_mlp_head_cfg cfg = {.hidden = drl_graph_shape(g, z).c, .out = projection};
    return drl_mlp_head(g, z, "head", &cfg);
}

drl_status drl_simclr_build(drl_model *m, size_t projection, double temperature) {
    drl_tensor p[2];
    drl_views_inputs(m);
    for (size_t v = 0; v < 2; v++) p[v] = head(m->train, drl_views_code(m, v), projection);
    drl_model_term(m, drl_op_nt_xent(m->train, p[0], p[1], temperature), 1);
    return DRL_OK;
}

drl_tensor drl_simclr_project(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t, size_t projection) {
    return head(g, drl_model_code(m, g, x, t), projection);
}

static void to_unit_length(drl_real *f, size_t n, size_t d) {
    for (size_t i = 0; i < n; i++) {
        double sum = 1e-24;
        for (size_t k = 0; k < d; k++) sum += (double)f[i * d + k] * (double)f[i * d + k];
        for (size_t k = 0; k < d; k++) f[i * d + k] = (drl_real)((double)f[i * d + k] / sqrt(sum));
    }
}

/* |a - b|^2 of unit vectors is 2 - 2 a.b */
static double alignment_of(const drl_real *f, size_t n, size_t d) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const drl_real *a = f + i * d, *b = f + (n + i) * d;
        for (size_t k = 0; k < d; k++) sum += (double)(a[k] - b[k]) * (double)(a[k] - b[k]);
    }
    return sum / (double)n;
}

/* Over all pairs of the first pictures of different images; gram (n, n) is overwritten. */
static void pairs_of(double *uniformity, double *distance, const drl_real *f, drl_real *gram, size_t n, size_t d) {
    drl_gemm(false, true, n, n, d, 1, f, d, f, d, 0, gram, n);
    double kernel = 0, sum = 0, pairs = (double)n * (double)(n - 1);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            if (i == j) continue;
            double squared = fmax(0, 2 - 2 * (double)gram[i * n + j]);
            kernel += exp(-2 * squared);
            sum += squared;
        }
    *uniformity = log(kernel / pairs);
    *distance = sum / pairs;
}

drl_status drl_simclr_measure(drl_model *m, drl_views_network network, drl_measure *out, size_t *n_out, drl_err *err) {
    drl_real *f, *gram = NULL;
    size_t n, d;
    drl_status st = drl_views_evaluate(&f, &n, &d, m, network, &m->augment, 2, IMAGES, err);
    if (st != DRL_OK) return st;
    *n_out = 0;
    if (n > 1 && (st = drl_alloc(&gram, n * n, sizeof *gram, "similarities", err)) == DRL_OK) {
        double alignment, uniformity, distance;
        to_unit_length(f, 2 * n, d);
        alignment = alignment_of(f, n, d);
        pairs_of(&uniformity, &distance, f, gram, n, d);
        out[0] = (drl_measure){"alignment", alignment};
        out[1] = (drl_measure){"uniformity", uniformity};
        out[2] = (drl_measure){"contrast", alignment / fmax(distance, 1e-12)};
        *n_out = 3;
    }
    drl_free(gram);
    drl_free(f);
    return st;
}
