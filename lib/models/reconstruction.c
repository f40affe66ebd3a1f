/* Autoencoders (drl/reconstruction.h). */
#include "drl/reconstruction.h"

#include "drl/mem.h"

#define IMAGES 2000 /* that a measurement takes at most */

drl_status drl_reconstruction_check(size_t width, const char *key, drl_err *err) {
    if (width % 4 == 0) return DRL_OK;
    return drl_fail(err, DRL_ERR_CONFIG, "%s = %zu: want a multiple of 4, for the group norms", key, width);
}

drl_tensor drl_reconstruction_decode(const drl_model *m, drl_graph *g, drl_tensor z, size_t width) {
    const drl_images *im = &m->data->split[DRL_SPLIT_TRAIN];
    const drl_decoder_cfg cfg = {.size = im->h, .channels = im->c, .width = width};
    return drl_decoder(g, z, &cfg);
}

static drl_tensor image(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    (void)m, (void)t;
    return drl_op_add(g, x, x, 0.5);
}

/* Mean over n images x (n, size) of 1/2 || xbar - x ||^2. */
static double spread(const drl_real *x, size_t n, size_t size) {
    double total = 0;
    for (size_t e = 0; e < size; e++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++) sum += (double)x[i * size + e];
        for (size_t i = 0; i < n; i++) {
            double d = (double)x[i * size + e] - sum / (double)n;
            squares += d * d;
        }
        total += squares;
    }
    return 0.5 * total / (double)n;
}

drl_status drl_reconstruction_measure(drl_model *m, drl_views_network network, drl_measure *out, size_t *n_out,
                                      drl_err *err) {
    drl_real *errors, *x = NULL;
    size_t n, one, size;
    drl_status st = drl_views_evaluate(&errors, &n, &one, m, network, NULL, 1, IMAGES, err);
    if (st == DRL_OK) st = drl_views_evaluate(&x, &n, &size, m, image, NULL, 1, IMAGES, err);
    if (st == DRL_OK && n > 0) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += (double)errors[i];
        out[0] = (drl_measure){"reconstruction_error", sum / (double)n};
        out[1] = (drl_measure){"mean_image_error", spread(x, n, size)};
        *n_out = 2;
    }
    drl_free(errors);
    drl_free(x);
    return st;
}
