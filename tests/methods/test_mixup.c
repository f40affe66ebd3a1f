/* What score matching writes into its inputs, against plain loops of the rule in drl/score_matching.h, with mixup and
 * without. */
#include "methods.h"

#include "drl/sde.h"

enum { SIZE = SIDE * SIDE * 3, DRAWS = SLOW ? 1000 : 4000 };

/* The inputs of a training graph, by name, of all images of the batch. */
static const char *const names[] = {"x0", "t", "t_code", "x_t", "noise", "std", "factor", "weight"};
enum { X0, T, T_CODE, X_T, NOISE, STD, FACTOR, WEIGHT, INPUTS };

typedef struct seen {
    drl_model *m;
    drl_real in[INPUTS][BATCH * SIZE];
} seen;

/* Fills as the method does, and looks. */
static void look(void *arg, size_t shard, size_t first, size_t n) {
    seen *s = arg;
    s->m->trainer->fill(s->m, shard, first, n);
    for (int i = 0; i < INPUTS; i++) {
        drl_tensor t = drl_graph_find(s->m->train, names[i]);
        if (t < 0) continue;
        drl_shape shape = drl_graph_shape(s->m->train, t);
        size_t size = shape.h * shape.w * shape.c;
        memcpy(s->in[i] + first * size, drl_graph_value(s->m->train, t, shard), n * size * sizeof(drl_real));
    }
}

static void see(seen *s, drl_model *m, uint64_t k) {
    s->m = m;
    take_batch(m, k);
    drl_graph_run(m->train, BATCH, (uint32_t)k, look, s, false);
}

static bool close_to(double a, double b, double size) {
    return fabs(a - b) <= 2e-6 * (size + fabs(b));
}

/* Of mixup: lambda of each image, and how many places on its partner stands. */
static size_t draw_mixup(const drl_model *m, uint64_t k, double lambda[BATCH]) {
    drl_rng rng = drl_rng_stream(m->seed, DRL_RNG_MIXUP, 0, (uint32_t)k);
    for (size_t i = 0; i < BATCH; i++) lambda[i] = drl_rng_uniform_at(rng, i);
    return 1 + (size_t)floor(drl_rng_uniform_at(rng, BATCH) * (BATCH - 1));
}

/* Everything of one step. x (BATCH, SIZE): the clean images. */
static void assert_inputs(const seen *s, const drl_real *x, uint64_t k, bool mixup, bool timed, size_t *by) {
    double lambda[BATCH];
    const drl_model *m = s->m;
    *by = draw_mixup(m, k, lambda);
    assert_true(*by >= 1 && *by < BATCH);
    for (size_t i = 0; i < BATCH; i++) {
        const size_t partner = (i + *by) % BATCH;
        const double t = (double)s->in[T][i];
        drl_sde_marginal at = drl_sde_marginal_at(&m->sde, t);
        assert_int_not_equal(partner, i);
        assert_true(t >= m->sde.t_min * (1 - 1e-6) && t <= 1);
        assert_true(s->in[T_CODE][i] == (timed ? s->in[T][i] : 0));
        assert_true(close_to((double)s->in[STD][i], at.std, 0));
        assert_true(close_to((double)s->in[FACTOR][i], drl_sde_score_factor(&m->sde, t), 0));
        assert_true(close_to((double)s->in[WEIGHT][i], mixup ? 2 * lambda[i] : 1, 0));
        for (size_t e = 0; e < SIZE; e++) {
            double own = (double)x[i * SIZE + e], other = (double)x[partner * SIZE + e];
            double noise = (double)s->in[NOISE][i * SIZE + e];
            /* what is denoised is the image itself, whatever the encoder sees */
            assert_true(close_to((double)s->in[X_T][i * SIZE + e], at.mean * own + at.std * noise, 1 + at.std));
            double want = mixup ? lambda[i] * own + (1 - lambda[i]) * other : own;
            assert_true(close_to((double)s->in[X0][i * SIZE + e], want, 1));
        }
    }
}

static void inputs_are_as_documented(void **state) {
    (void)state;
    static const struct {
        const char *method, *set[3];
    } cases[] = {{"drl", {"diffusion.mixup=yes"}},
                 {"vdrl", {"diffusion.mixup=yes", "diffusion.sde=vp"}},
                 {"drl", {"diffusion.mixup=yes", "augment.flip=yes", "augment.jitter=0.5"}},
                 {"drl", {"diffusion.mixup=yes", "model.code=static", "diffusion.t_density=gaussian"}},
                 {"drl", {"diffusion.mixup=no", "diffusion.sde=subvp"}}};
    static seen s;
    drl_real x[BATCH * SIZE];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        drl_model *m = open_small(cases[c].method,
                                  SETS(cases[c].set[0], cases[c].set[1] ? cases[c].set[1] : "train.warmup=0",
                                       cases[c].set[2] ? cases[c].set[2] : "train.warmup=0"),
                                  2);
        bool shift[BATCH] = {false};
        for (uint64_t k = 0; k < 40; k++) {
            size_t by;
            see(&s, m, k);
            if (m->feed)
                memcpy(x, m->pictures, sizeof x);
            else
                drl_batch_images(x, data, DRL_SPLIT_TRAIN, m->index, BATCH);
            assert_inputs(&s, x, k, m->cfg.diffusion_mixup, m->cfg.model_code == DRL_CODE_TIME, &by);
            shift[by] = true;
        }
        for (size_t by = 1; by < BATCH; by++) assert_true(shift[by]); /* every other image is a partner */
        drl_model_close(m);
    }
}

/* lambda = weight / 2 is uniform, by mean, variance and the largest distance of its distribution function
 * (Kolmogorov-Smirnov: 1.95 / sqrt(n) is passed once in a thousand), and not the same for all images of a batch. */
static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void lambda_is_uniform(void **state) {
    (void)state;
    static double lambda[DRAWS];
    drl_model *m = open_small("drl", SETS("diffusion.mixup=yes"), 6);
    drl_tensor weight = drl_graph_find(m->train, "weight");
    double sum = 0, squares = 0, products = 0, distance = 0;
    for (size_t i = 0; i < DRAWS; i += 2) {
        take_batch(m, i / 2);
        m->trainer->fill(m, 0, 0, 2);
        for (size_t k = 0; k < 2; k++) {
            double l = lambda[i + k] = (double)drl_graph_value(m->train, weight, 0)[k] / 2;
            assert_true(l >= 0 && l <= 1);
            sum += l;
            squares += (l - 0.5) * (l - 0.5);
        }
        products += (lambda[i] - 0.5) * (lambda[i + 1] - 0.5);
    }
    const double n = DRAWS;
    assert_true(fabs(sum / n - 0.5) < 4 * sqrt(1.0 / 12 / n));
    assert_true(fabs(squares / n - 1.0 / 12) < 4 * sqrt(1.0 / 180 / n));
    assert_true(fabs(products / (n / 2)) < 4 * (1.0 / 12) / sqrt(n / 2));
    qsort(lambda, DRAWS, sizeof *lambda, ascending);
    for (size_t i = 0; i < DRAWS; i++)
        distance = fmax(distance, fmax(fabs(lambda[i] - (double)i / n), fabs(lambda[i] - (double)(i + 1) / n)));
    assert_true(distance < 1.95 / sqrt(n));
    drl_model_close(m);
}

int main(int argc, char **argv) {
    (void)argc;
    methods_begin(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_are_as_documented),
        cmocka_unit_test(lambda_is_uniform),
    };
    return cmocka_run_group_tests(tests, methods_setup, methods_teardown) ? 1 : 0;
}
