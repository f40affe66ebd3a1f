/* Samplers of the reverse process, and likelihoods.                                               [science, 7]
 *
 *   reverse SDE        dx = ( f(t) x - g(t)^2 score(x, t) ) dt + g(t) dw        backwards in t, from 1 to t_end
 *   probability flow   dx = ( f(t) x - g(t)^2 score(x, t) / 2 ) dt
 *
 * Both have the marginals of the forward process (drl/sde.h) [Song et al. 2021]. The score is a function of the
 * caller's: a network's (drl/sampling.h), or one in closed form. States are rows x (n, size). Everything random is
 * drawn by (seed, step, image), so that a batch gives the same bits for any number of threads; the step sizes of the
 * Langevin corrector and of the adaptive integrator are those of the batch as a whole, so that there an image's sample
 * depends on its batch. */
#ifndef DRL_SAMPLER_H
#define DRL_SAMPLER_H

#include "drl/sde.h"

/* A score, grad log p_t(x). */
typedef struct drl_score {
    size_t size; /* numbers of a state */
    /* out (n, size) = scores of n states x at one time t. */
    drl_status (*at)(void *arg, const drl_real *x, size_t n, double t, drl_real *out, drl_err *err);
    /* out as above, and pulled (n, size) = J^T v with the Jacobian J = d score / d x of each state. For likelihoods
     * only; may be NULL. */
    drl_status (*pull)(void *arg, const drl_real *x, const drl_real *v, size_t n, double t, drl_real *out,
                       drl_real *pulled, drl_err *err);
    void *arg;
} drl_score;

typedef enum drl_sampler_kind {
    DRL_SAMPLER_PC,  /* predictor (reverse diffusion) and corrector (Langevin), the published one                */
    DRL_SAMPLER_EM,  /* Euler-Maruyama on the reverse SDE                                                        */
    DRL_SAMPLER_ODE, /* the probability flow by Dormand-Prince 5(4), adaptive                                    */
} drl_sampler_kind;

typedef struct drl_sampler_cfg {
    drl_sampler_kind kind;
    size_t steps;      /* N of PC and EM, at least 2; published: 1000                                             */
    double t_end;      /* the last time of the score; 0: as published, 1e-5 of VE and 1e-3 of VP and sub-VP       */
    size_t corrector;  /* Langevin steps before each predictor step of PC; published: 1                           */
    double snr;        /* r of a Langevin step; published: 0.16                                                   */
    double rtol, atol; /* of the ODE, positive; published: 1e-5 both                                              */
    bool denoise;      /* PC, EM: the last step adds no noise [published]                                         */
    bool same_noise;   /* every image gets the draws of image 0: what differs is what they are conditioned on     */
    uint64_t seed;
    uint64_t first; /* number of the batch's first image: names its draws */
    /* May be NULL. Before the first step (step 0) and after every one: x (n, size) is the state at time t; steps is 0
     * where their number is not known. What it returns ends the sampling unless DRL_OK. */
    drl_status (*progress)(void *arg, size_t step, size_t steps, double t, const drl_real *x, drl_err *err);
    void *arg;
} drl_sampler_cfg;

/* PC, 1000 steps, one corrector step of snr 0.16, tolerances 1e-5, final denoising. */
drl_sampler_cfg drl_sampler_published(void);

/* Where sampling stops: cfg->t_end, or the published time of the process. */
double drl_sampler_end(const drl_sampler_cfg *cfg, const drl_sde *sde);

/* x (n, size) = samples, from x(1) ~ N(0, prior_std^2).
 *
 * PC and EM ask for the score at t_i = 1 - i (1 - t_end)/(N - 1), i = 0 .. N - 1, and step from t_i to t_{i+1}, the
 * last one from t_end to 0; h is the length of a step, z standard normal. With k = N - 1 - i:
 *
 *   EM, sub-VP of PC   x <- x - h f x + h g^2 score + sqrt(h) g z                                f, g at t_i
 *   VE of PC           x <- x + v score + sqrt(v) z,  v = sigma_k^2 - sigma_{k-1}^2              sigma_{-1} = 0
 *   VP of PC           x <- (2 - sqrt(1 - beta_k)) x + beta_k score + sqrt(beta_k) z             beta_k = h b(k/(N-1))
 *   corrector          x <- x + e score + sqrt(2 e) z,  e = 2 alpha (r |z| / |score|)^2          before each of PC's
 * with sigma_k = sigma_min (sigma_max/sigma_min)^(k/(N-1)), alpha = 1 - beta_k of VP and sub-VP and 1 of VE, and |.|
 * averaged over the batch [Song et al. 2021, algorithms 2 to 5]. As published, h is 1/N everywhere: at its N and t_end
 * that is the same but for VE's 1e-5; with fewer steps a last step of 1/N would reach far beyond 0 and add noise.
 *
 * evaluations (may be NULL): how often the score was asked for. ERR_CONFIG for settings out of range (VP and sub-VP of
 * PC need beta_k < 1: 21 steps); ERR_NUMERIC where a state is not finite, ERR_INTERRUPTED after SIGINT or SIGTERM, or
 * what the score returns. */
drl_status drl_sample(drl_real *x, size_t n, const drl_sde *sde, const drl_score *score, const drl_sampler_cfg *cfg,
                      size_t *evaluations, drl_err *err);

/* log_p (n) = natural logarithm of the density of states x (n, size) at time t_end, by the probability flow:
 *
 *   log p(x) = log N( x(1); 0, prior_std^2 ) + integral from t_end to 1 of div( drift )(x(t), t) dt
 *   div( drift ) = f size - g^2/2 tr J,   tr J ~ mean over the probes of v^T J v,  v in {-1, 1}^size   [Hutchinson]
 *
 * The probes are drawn once for each image. State and log density per dimension are integrated together and both held
 * to the tolerances. Uses rtol, atol, t_end, seed, first and progress of cfg. Unbiased for any number of probes
 * (published: 1), up to the tolerances and the prior, which is not quite p_1. Errors as above; ERR_CONFIG without
 * score->pull or probes. */
drl_status drl_log_likelihood(double *log_p, const drl_real *x, size_t n, size_t probes, const drl_sde *sde,
                              const drl_score *score, const drl_sampler_cfg *cfg, size_t *evaluations, drl_err *err);

#endif
