/* The variational code: its divergence and its gradients are means over draws, and with no variance VDRL is DRL. */
#include "methods.h"

#include "gradient/gradcheck.h" /* gc_draw_params */

/* ---- Means over many draws: closed forms within four standard errors ------------------------------------------- */

enum { D = 3, DRAWS = 4000, RUNS = SLOW ? 5 : 40 };

static const double codes[][2 * D] = {
    /* mean | log variance */
    {0, 0, 0, 0, 0, 0},
    {1.5, -0.7, 0.2, 0.4, -1.1, 0.1},
    {-2, 0.3, 1, -3, 0.8, -0.5},
    {0.1, 0, -0.4, 1.2, 1, -6},
};
#define CODES (sizeof codes / sizeof *codes)
static const double centre[D] = {0.3, -0.8, 1.1};

/* z drawn DRAWS times from one code, its KL divergence, and f(z) = |z - centre|^2. */
typedef struct draws {
    drl_graph *g;
    drl_tensor ml, noise, target, one, two, z, kl, f;
    const double *code;
    uint32_t run;
} draws;

static void fill_draws(void *arg, size_t shard, size_t first, size_t n) {
    const draws *a = arg;
    drl_real *ml = drl_graph_value(a->g, a->ml, shard), *target = drl_graph_value(a->g, a->target, shard);
    for (size_t i = 0; i < n; i++) {
        memcpy(ml + i * 2 * D, a->code, 2 * D * sizeof *ml);
        for (size_t j = 0; j < D; j++) target[i * D + j] = -centre[j];
        drl_graph_value(a->g, a->one, shard)[i] = 1;
        drl_graph_value(a->g, a->two, shard)[i] = 2;
    }
    drl_rng_normal(drl_rng_stream(11, DRL_RNG_CODE, 0, a->run), first * D, drl_graph_value(a->g, a->noise, shard),
                   n * D);
}

static void open_draws(draws *a, drl_params *params) {
    const drl_graph_cfg cfg = {.batch = DRAWS, .shard = 500, .training = true, .backward = true};
    const drl_shape vector = {1, 1, D}, scalar = {1, 1, 1};
    drl_err err;
    assert_int_equal(drl_graph_new(&a->g, &cfg, params, &err), DRL_OK);
    a->ml = drl_graph_input(a->g, "ml", (drl_shape){1, 1, 2 * D}, true);
    a->noise = drl_graph_input(a->g, "noise", vector, false);
    a->target = drl_graph_input(a->g, "target", vector, false);
    a->one = drl_graph_input(a->g, "one", scalar, false);
    a->two = drl_graph_input(a->g, "two", scalar, false);
    a->z = drl_op_reparameterise(a->g, a->ml, a->noise);
    a->kl = drl_op_kl(a->g, a->ml);
    a->f = drl_op_dsm_loss(a->g, a->z, a->target, a->one, a->two);
    drl_graph_output(a->g, a->z);
    drl_graph_output(a->g, a->kl);
    drl_graph_root(a->g, a->f, DRAWS); /* so that an image's gradient is that of its f */
    assert_int_equal(drl_params_alloc(params, &err), DRL_OK);
    if (drl_graph_plan(a->g, team, &err) != DRL_OK) fail_msg("%s", err.message);
}

typedef struct sample {
    double sum, squares, n;
} sample;

static void add(sample *s, double x) {
    s->sum += x;
    s->squares += x * x;
    s->n++;
}

/* The mean is `want` within four standard errors, and those are below `error` (0 where nothing varies). */
static void assert_mean(const sample *s, double want, double error, const char *what, size_t code) {
    double mean = s->sum / s->n, se = sqrt(fmax(0, s->squares / s->n - mean * mean) / (s->n - 1));
    if (!(fabs(mean - want) <= 4 * se + 1e-12 && se <= (SLOW ? 3 : 1) * error))
        fail_msg("code %zu: %s: %g +- %g, want %g", code, what, mean, se, want);
}

static void means_over_draws(void **state) {
    (void)state;
    drl_params params = {0};
    draws a = {0};
    drl_real *z = block(DRAWS * D), *kl = block(DRAWS);
    open_draws(&a, &params);
    for (size_t c = 0; c < CODES; c++) {
        const double *mean = codes[c], *logvar = codes[c] + D;
        sample ratio = {0}, value = {0}, d[2 * D] = {{0}};
        a.code = codes[c];
        for (a.run = 0; a.run < RUNS; a.run++) {
            drl_graph_run(a.g, DRAWS, 0, fill_draws, &a, true);
            drl_graph_read(a.g, a.z, z);
            for (size_t i = 0; i < DRAWS; i++) {
                double log_ratio = 0, f = 0;
                for (size_t j = 0; j < D; j++) {
                    double x = z[i * D + j], u = (x - mean[j]) / sqrt(exp(logvar[j]));
                    log_ratio += 0.5 * (x * x - u * u - logvar[j]); /* log q(z) - log p(z) */
                    f += (x - centre[j]) * (x - centre[j]);
                }
                add(&ratio, log_ratio);
                add(&value, f);
                const size_t S = drl_graph_shard_size(a.g);
                const drl_real *gradient = drl_graph_gradient(a.g, a.ml, i / S) + i % S * 2 * D;
                for (size_t e = 0; e < 2 * D; e++) add(&d[e], gradient[e]);
            }
        }
        drl_graph_read(a.g, a.kl, kl);
        for (size_t i = 1; i < DRAWS; i++) assert_true(kl[i] == kl[0]);
        assert_mean(&ratio, kl[0], 0.02, "log q(z) - log p(z)", c);
        if (c > 0) assert_true(kl[0] > 0.5);
        double want = 0; /* E f = sum (mean - centre)^2 + v */
        for (size_t j = 0; j < D; j++) want += (mean[j] - centre[j]) * (mean[j] - centre[j]) + exp(logvar[j]);
        assert_mean(&value, want, 0.04, "f", c);
        for (size_t j = 0; j < D; j++) {
            assert_mean(&d[j], 2 * (mean[j] - centre[j]), 0.02, "df/dmean", c);
            assert_mean(&d[D + j], exp(logvar[j]), 0.04, "df/dlogvar", c);
        }
    }
    drl_graph_free(a.g);
    drl_params_free(&params);
    drl_free(z), drl_free(kl);
}

/* ---- VDRL without variance and penalty is DRL ------------------------------------------------------------------- */

/* to's tensors = from's of the same names. Returns how many. */
static size_t copy_shared(drl_model *to, const drl_model *from) {
    size_t n = 0;
    for (size_t i = 0; i < from->params.n; i++) {
        const drl_param *p = &from->params.list[i];
        int at = drl_params_find(&to->params, p->name);
        if (at < 0) fail_msg("%s has no %s", to->method->name, p->name);
        assert_int_equal(to->params.list[at].count, p->count);
        memcpy(drl_params_at(&to->params, at), drl_params_at(&from->params, (int)i), p->count * sizeof(drl_real));
        n++;
    }
    return n;
}

/* encoder.latent: z -> [z | log variance] */
static void set_latent(drl_model *m, double log_variance) {
    int w = drl_params_find(&m->params, "encoder.latent.weight"),
        b = drl_params_find(&m->params, "encoder.latent.bias");
    assert_true(w >= 0 && b >= 0);
    const size_t d = m->params.list[w].shape[1];
    assert_int_equal(m->params.list[w].shape[0], 2 * d);
    drl_real *weight = drl_params_at(&m->params, w), *bias = drl_params_at(&m->params, b);
    memset(weight, 0, 2 * d * d * sizeof *weight);
    for (size_t j = 0; j < d; j++) {
        weight[j * d + j] = 1;
        bias[j] = 0;
        bias[d + j] = log_variance;
    }
}

/* Largest difference of the gradients of shared tensors, relative to the tensor's largest. */
static double gradients_differ(const drl_model *a, const drl_model *b) {
    double worst = 0;
    for (size_t i = 0; i < a->params.n; i++) {
        const drl_param *p = &a->params.list[i];
        if (!p->trained) continue;
        const drl_param *q = &b->params.list[drl_params_find(&b->params, p->name)];
        double largest = 0, off = 0;
        for (size_t e = 0; e < p->count; e++) {
            largest = fmax(largest, fabs(a->gradient[p->offset + e]));
            off = fmax(off, fabs(a->gradient[p->offset + e] - b->gradient[q->offset + e]));
        }
        worst = fmax(worst, off / fmax(largest, 1e-6));
    }
    return worst;
}

static void without_variance_it_is_drl(void **state) {
    (void)state;
    static const char *const sets[] = {"diffusion.sde=ve", "diffusion.sde=vp", "model.code=static",
                                       "diffusion.mixup=yes"};
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
        drl_model *drl = open_small("drl", SETS("diffusion.gamma=0", sets[k]), 4);
        drl_model *vdrl = open_small("vdrl", SETS("diffusion.gamma=0", sets[k]), 4);
        gc_draw_params(&drl->params);
        assert_true(copy_shared(vdrl, drl) > 40);
        set_latent(vdrl, -200);
        double want = objective(drl, 2, true), got = objective(vdrl, 2, true);
        assert_true(fabs(got - want) <= 1e-9 * fabs(want));
        double worst = gradients_differ(drl, vdrl);
        if (!(worst <= 1e-8)) fail_msg("%s: gradients differ by %g", sets[k], worst);

        copy_shared(vdrl, drl); /* running statistics */
        drl_real *a = encode(drl, 0.4), *b = encode(vdrl, 0.4);
        assert_int_equal(drl_model_code_size(drl), drl_model_code_size(vdrl));
        for (size_t e = 0; e < TEST_IMAGES * drl_model_code_size(drl); e++) assert_true(a[e] == b[e]);
        drl_free(a), drl_free(b);

        /* and with some variance it is not */
        set_latent(vdrl, -2);
        assert_true(fabs(objective(vdrl, 2, true) - want) > 1e-6 * fabs(want));
        assert_true(gradients_differ(drl, vdrl) > 1e-4);
        drl_model_close(drl), drl_model_close(vdrl);
    }
}

int main(int argc, char **argv) {
    (void)argc;
    methods_begin(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_over_draws),
        cmocka_unit_test(without_variance_it_is_drl),
    };
    return cmocka_run_group_tests(tests, methods_setup, methods_teardown) ? 1 : 0;
}
