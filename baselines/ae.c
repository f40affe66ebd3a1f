/* AE: an autoencoder. The code of the clean image is decoded again: 1/2 || decoder(E(x)) - x ||^2.       [science, 6]
 */
#include "baselines.h"
#include "drl/reconstruction.h"

#define AE_OPTIONS(X) X(SIZE, ae, decoder_width, "16", DRL_RANGE(4, 1024), "channels of the decoder at full resolution")
DRL_CONFIG_STRUCT(ae_cfg, AE_OPTIONS);
static DRL_CONFIG_TABLE(options, ae_cfg, AE_OPTIONS);

static size_t width(const drl_model *m) {
    return ((const ae_cfg *)drl_method_settings(&m->cfg, m->method))->ae_decoder_width;
}

static drl_status check(const drl_model_cfg *cfg, drl_err *err) {
    const ae_cfg *own = drl_method_settings(cfg, drl_method_find("ae"));
    return drl_reconstruction_check(own->ae_decoder_width, "ae.decoder_width", err);
}

static drl_status build(drl_model *m, drl_err *err) {
    (void)err;
    drl_views_inputs(m);
    drl_tensor x = drl_views_picture(m, 0), y = drl_reconstruction_decode(m, m->train, drl_views_code(m, 0), width(m));
    drl_model_term(m, drl_op_squared_error(m->train, y, x), 1);
    return DRL_OK;
}

static drl_tensor error(const drl_model *m, drl_graph *g, drl_tensor x, drl_tensor t) {
    return drl_op_squared_error(g, drl_reconstruction_decode(m, g, drl_model_code(m, g, x, t), width(m)), x);
}

static drl_status measure(drl_model *m, drl_measure *out, size_t *n, drl_err *err) {
    return drl_reconstruction_measure(m, error, out, n, err);
}

const drl_method drl_method_ae = {.name = "ae",
                                  .title = "AE",
                                  .options = options,
                                  .own_size = sizeof(ae_cfg),
                                  .check = check,
                                  .build = build,
                                  .fill = drl_views_fill,
                                  .encoder = drl_model_code,
                                  .measure = measure};
