/* The training loop (drl/model.h): batches, steps, checkpoints, progress, interruption. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drl/file.h"
#include "drl/interrupt.h"
#include "drl/log.h"
#include "drl/model.h"
#include "models/checkpoint.h"
#include "models/train.h"

/* ---- One step ---------------------------------------------------------------------------------------------------- */

static bool all_finite(const drl_real *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

/* Says where it went wrong: a parameter that is not finite itself, else the first whose gradient is not. */
static drl_status not_finite(const drl_model *m, double loss, drl_err *err) {
    const char *value = NULL, *gradient = NULL;
    for (size_t i = m->params.n; i-- > 0;) {
        const drl_param *p = &m->params.list[i];
        if (!all_finite(drl_params_at(&m->params, (int)i), p->count)) value = p->name;
        if (p->trained && !all_finite(m->gradient + p->offset, p->count)) gradient = p->name;
    }
    return drl_fail(err, DRL_ERR_NUMERIC,
                    "step %llu: loss is %g; first parameter %s not finite: %s; a lower train.rate or "
                    "train.clip may help",
                    (unsigned long long)m->optim.step, loss, value ? "that is" : "whose gradient is",
                    value      ? value
                    : gradient ? gradient
                               : "none");
}

drl_status drl_model_step(drl_model *m, double *loss, drl_err *err) {
    drl_status st = m->feed ? drl_feed_take(&m->pictures, m->feed, m->optim.step, err) : DRL_OK;
    if (st != DRL_OK) return st;
    if (!m->feed || m->trainer->labels) drl_order_batch(&m->order, m->optim.step, m->cfg.train_batch, m->index);
    drl_graph_run(m->train, m->cfg.train_batch, (uint32_t)m->optim.step, m->trainer->fill, m, true);
    double norm2 = drl_graph_collect(m->train, m->gradient);
    *loss = 0;
    for (size_t i = 0; i < m->terms; i++) *loss += m->term_weight[i] * drl_graph_mean(m->train, m->term[i]);
    if (!isfinite(*loss) || !isfinite(norm2)) return not_finite(m, *loss, err);
    drl_optim_step(&m->optim, m->params.value, m->gradient, norm2, m->team);
    if (m->trainer->after_step) m->trainer->after_step(m);

    m->history_sum += *loss;
    if (m->optim.step % DRL_HISTORY_STEPS == 0 && m->optim.step <= m->cfg.train_steps) {
        m->history[m->optim.step / DRL_HISTORY_STEPS - 1] = (float)(m->history_sum / DRL_HISTORY_STEPS);
        m->history_sum = 0;
    }
    return DRL_OK;
}

/* ---- The loop ---------------------------------------------------------------------------------------------------- */

/* The result of a run in terms of all its steps, whichever process made them. */
static void measure(const drl_model *m, drl_train_run *run) {
    run->seconds = m->train_seconds;
    if (m->train_seconds > 0)
        run->images_per_second = (double)m->optim.step * (double)m->cfg.train_batch / m->train_seconds;
}

static drl_status save(drl_model *m, const drl_train_run *run, double *since, drl_err *err) {
    double now = drl_now();
    /* whole microseconds, so that the number is the same after its way through checkpoint.json */
    m->train_seconds = round((m->train_seconds + now - *since) * 1e6) / 1e6;
    *since = now;
    return drl_checkpoint_write(m, run->dir, run->provenance, err);
}

/* The steps that are missing. */
static drl_status train(drl_model *m, drl_train_run *run, drl_err *err) {
    size_t steps = m->cfg.train_steps, first = (size_t)m->optim.step;
    drl_status st = DRL_OK;
    double saved = drl_now(), loss = NAN, smooth = NAN;
    drl_progress progress;
    drl_progress_begin(&progress, run->label, first, steps);
    while (m->optim.step < steps && !drl_interrupted()) {
        if ((st = drl_model_step(m, &loss, err)) != DRL_OK) {
            drl_progress_end(&progress, (size_t)m->optim.step, smooth);
            return drl_err_context(err, st, "%s", run->label);
        }
        smooth = isnan(smooth) ? loss : 0.98 * smooth + 0.02 * loss;
        drl_progress_update(&progress, (size_t)m->optim.step, m->cfg.train_batch, smooth);
        if (drl_now() - saved >= run->checkpoint_seconds && m->optim.step < steps)
            if ((st = save(m, run, &saved, err)) != DRL_OK) break;
    }
    if (st == DRL_OK) st = save(m, run, &saved, err); /* before anything is said */
    drl_progress_end(&progress, (size_t)m->optim.step, smooth);
    if (st != DRL_OK) return st;
    measure(m, run);
    if (m->optim.step < steps)
        return drl_fail(err, DRL_ERR_INTERRUPTED,
                        "%s: interrupted at step %llu of %zu; the checkpoint is in %s, the same command continues it",
                        run->label, (unsigned long long)m->optim.step, steps, run->dir);
    return DRL_OK;
}

/* ---- One program at a time --------------------------------------------------------------------------------------- */

drl_status drl_train_lock(drl_lock *lock, const drl_train_run *run, drl_err *err) {
    char path[DRL_PATH_MAX + 8], busy[256];
    snprintf(path, sizeof path, "%s/lock", run->dir);
    snprintf(busy, sizeof busy, "%.200s is being trained", run->label);
    return drl_lock_take(lock, path, busy, err);
}

/* *done: the checkpoint that is there is of the last step. */
static drl_status look(drl_model *m, const drl_train_run *run, bool *found, bool *done, drl_err *err) {
    drl_status st = run->resume ? drl_checkpoint_read(m, run->dir, found, err) : DRL_OK;
    *done = st == DRL_OK && *found && m->optim.step >= m->cfg.train_steps;
    return st;
}

drl_status drl_model_train(drl_model *m, drl_train_run *run, drl_err *err) {
    drl_lock lock = {.held = false};
    bool found = false, done = false;
    run->seconds = run->images_per_second = 0;
    if (!m->train) return DRL_OK; /* there is nothing to learn */
    drl_status st = drl_make_dirs(run->dir, err);
    if (st == DRL_OK) drl_temporary_sweep(run->dir);
    /* what is finished is only read; else once more under the lock: another program may have gone on with it */
    if (st == DRL_OK) st = look(m, run, &found, &done, err);
    if (st == DRL_OK && !(done && drl_checkpoint_settled(m, run->dir))) {
        st = drl_train_lock(&lock, run, err);
        if (st == DRL_OK) st = look(m, run, &found, &done, err);
    }
    if (st == DRL_OK && found)
        drl_log("%s: continued from %s at step %llu of %zu", run->label, run->dir, (unsigned long long)m->optim.step,
                m->cfg.train_steps);
    if (st == DRL_OK) measure(m, run);
    if (st == DRL_OK && !done) st = train(m, run, err);
    drl_lock_release(&lock);
    return st;
}

drl_status drl_model_obtain(drl_model **m, const drl_model_cfg *cfg, const drl_dataset *data, uint64_t seed,
                            drl_threads *team, const char *out, drl_train_run *run, drl_err *err) {
    drl_status st = drl_model_open(m, cfg, data, seed, team, err);
    if (st != DRL_OK) return st;
    char dir[4096], dataset[DRL_DATASET_SHORT_MAX];
    drl_dataset_short_name(dataset, data->name);
    snprintf(dir, sizeof dir, "%s/models/%s-%s-%.12s", out, (*m)->trainer->name, dataset, (*m)->key);
    run->dir = dir;
    st = drl_model_train(*m, run, err);
    run->dir = NULL;
    if (st != DRL_OK) {
        drl_model_close(*m);
        *m = NULL;
    }
    return st;
}
