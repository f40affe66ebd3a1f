/* loss.safetensors: processes, perturbed images and the objective for every process and mode.       [vectors, 8, 9, 11]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drl/sde.h"
#include "golden.h"

static const drl_sde_kind kinds[] = {DRL_SDE_VE, DRL_SDE_VP, DRL_SDE_SUBVP};

/* ---- Tables of the processes
 * -------------------------------------------------------------------------------------------- */

enum { MEAN_COEF, STD, DRIFT_COEF, DIFFUSION, LABEL, TABLES };

static double table_at(const drl_sde *sde, double t, int which) {
    drl_sde_marginal m = drl_sde_marginal_at(sde, t);
    drl_sde_coef c = drl_sde_coef_at(sde, t);
    const double row[TABLES] = {m.mean, m.std, c.drift, c.diffusion, drl_sde_label(sde, t)};
    return row[which];
}

static void compare_tables(golden *gd, const drl_sde *sde) {
    static const char *const names[TABLES] = {"mean_coef", "std", "drift_coef", "diffusion", "label"};
    const drl_st_tensor *t = golden_use(gd, "sde/t");
    for (int which = 0; t && which < TABLES; which++) {
        const drl_st_tensor *want = golden_find(gd, "sde/%s/%s", drl_sde_name(sde->kind), names[which]);
        if (!want) continue;
        double *ours = golden_alloc(t->count, sizeof *ours);
        for (size_t i = 0; i < t->count; i++) ours[i] = table_at(sde, golden_at(t, i), which);
        golden_compare(gd, want, ours, t->count, "double");
        golden_free(ours);
    }
}

/* ---- The objective
 * -------------------------------------------------------------------------------------------------------- */

typedef struct objective {
    drl_sde sde;
    drl_encoder_cfg encoder;
    drl_score_cfg score;
    double lambda;
    double *x_t;                 /* in the file's order */
    double *s, *factor, *weight; /* one an image        */
} objective;

/* x_t = m(t) x0 + s(t) noise and what else depends on t. False after a complaint. */
static bool perturb(golden *gd, objective *o) {
    const drl_st_tensor *x0 = golden_use(gd, "in/x0"), *noise = golden_use(gd, "in/noise"), *t = golden_use(gd, "in/t");
    if (!x0 || !noise || !t || x0->count != noise->count || t->count == 0 || x0->count % t->count) {
        golden_complain(gd, "in: want x0 and noise of one shape, and t");
        return false;
    }
    size_t n = t->count, size = x0->count / n;
    o->x_t = golden_alloc(x0->count + 3 * n, sizeof *o->x_t);
    o->s = o->x_t + x0->count;
    o->factor = o->s + n;
    o->weight = o->factor + n;
    for (size_t i = 0; i < n; i++) {
        drl_sde_marginal m = drl_sde_marginal_at(&o->sde, golden_at(t, i));
        o->s[i] = m.std;
        o->factor[i] = drl_sde_score_factor(&o->sde, golden_at(t, i));
        for (size_t e = i * size; e < (i + 1) * size; e++)
            o->x_t[e] = m.mean * golden_at(x0, e) + m.std * golden_at(noise, e);
    }
    const drl_st_tensor *x_t = golden_find(gd, "%s/x_t", drl_sde_name(o->sde.kind));
    if (x_t) golden_compare(gd, x_t, o->x_t, x0->count, "double");
    return true;
}

/* match = weight/2 sum ( s score + noise )^2 with weight 1, or g^2/s^2 for the likelihood. */
static void set_weight(const golden *gd, objective *o, bool likelihood) {
    const drl_st_tensor *t = golden_find(gd, "in/t");
    for (size_t i = 0; i < t->count; i++) {
        double g = drl_sde_coef_at(&o->sde, golden_at(t, i)).diffusion / o->s[i];
        o->weight[i] = likelihood ? g * g : 1;
    }
}

static drl_tensor build_code(golden_net *net, const objective *o, drl_tensor t, drl_tensor *penalty) {
    drl_tensor code = drl_encoder(net->g, golden_input(net, "x0"), t, &o->encoder);
    if (!o->encoder.variational) {
        *penalty = drl_op_l1(net->g, code);
        return code;
    }
    size_t d = drl_graph_shape(net->g, code).c / 2;
    golden_output_part(net, code, "mean", 0, d);
    golden_output_part(net, code, "logvar", d, d);
    *penalty = drl_op_kl(net->g, code);
    return drl_op_reparameterise(net->g, code, golden_input(net, "z_noise"));
}

static void build_objective(golden_net *net) {
    const objective *o = net->arg;
    drl_tensor t = golden_input(net, "t"), noise = golden_input(net, "noise"), penalty = -1;
    drl_tensor z = build_code(net, o, t, &penalty);
    drl_tensor raw = drl_score_net(net->g, golden_input_values(net, "x0", o->x_t), t, z, &o->score);
    drl_tensor score = drl_op_scale_images(net->g, raw, golden_input_values(net, "t", o->factor));
    drl_tensor match = drl_op_dsm_loss(net->g, score, noise, golden_input_values(net, "t", o->s),
                                       golden_input_values(net, "t", o->weight));
    golden_output(net, z, "z");
    golden_output(net, score, "score");
    golden_output(net, match, "match");
    golden_output(net, penalty, "penalty");
    golden_root(net, match, 1);
    golden_root(net, penalty, o->lambda);
}

/* group is "kind/mode/": the pass whose gradients the file has; then, where the file has them, the loss under
 * likelihood weighting and in evaluation mode. */
static void run_mode(golden *gd, objective *o, const char *group) {
    char grads[GOLDEN_NAME + 8];
    snprintf(grads, sizeof grads, "%sgrad/", group);
    golden_net net = {.gd = gd,
                      .inputs = "in/",
                      .outputs = group,
                      .params = "param/",
                      .grads = grads,
                      .batch = golden_find(gd, "in/t")->count,
                      .training = true,
                      .backward = golden_has_prefix(gd, grads),
                      .build = build_objective,
                      .arg = o};
    set_weight(gd, o, false);
    golden_net_run(&net);
    net.backward = false;
    if ((net.loss = golden_find(gd, "%sloss_likelihood", group)) != NULL) {
        set_weight(gd, o, true);
        golden_net_run(&net);
    }
    set_weight(gd, o, false);
    net.training = false;
    if ((net.loss = golden_find(gd, "%sloss_eval", group)) != NULL) golden_net_run(&net);
}

/* Every "kind/drl...", "kind/vdrl...": the mode may end in _lambda and a number. */
static void run_modes(golden *gd, objective *o) {
    const char *kind = drl_sde_name(o->sde.kind);
    size_t skip = strlen(kind);
    for (size_t i = 0; i < drl_st_count(gd->file); i++) {
        const char *name = drl_st_at(gd->file, i)->name, *end;
        if (strncmp(name, kind, skip) != 0 || name[skip] != '/' || !(end = strchr(name + skip + 1, '/'))) continue;
        char group[GOLDEN_NAME];
        snprintf(group, sizeof group, "%.*s", (int)(end - name + 1), name);
        if (strcmp(end, "/loss") != 0) continue; /* each mode has one */
        const char *lambda = strstr(group, "_lambda");
        o->lambda = lambda ? strtod(lambda + strlen("_lambda"), NULL) : 1e-5;
        o->encoder.variational = strncmp(name + skip + 1, "vdrl", 4) == 0;
        run_mode(gd, o, group);
    }
}

void golden_loss(golden *gd) {
    golden_scale_zeros(gd, false, true);
    gd->spare_parameters = true;
    objective o = {.lambda = 0};
    if (!golden_encoder_cfg(gd, &o.encoder) || !golden_score_cfg(gd, &o.score)) return;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        o.sde = drl_sde_published(kinds[k]);
        o.score.time_map = drl_sde_time_map(&o.sde);
        compare_tables(gd, &o.sde);
        if (perturb(gd, &o)) run_modes(gd, &o);
        golden_free(o.x_t);
        o.x_t = NULL;
    }
}
