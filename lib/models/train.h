/* What the trainers share. Internal to the library. */
#ifndef DRL_MODELS_TRAIN_H
#define DRL_MODELS_TRAIN_H

#include "drl/lock.h"
#include "drl/model.h"

/* Takes the lock of run->dir, which is there, waiting while another program trains in it (drl_lock_take). */
drl_status drl_train_lock(drl_lock *lock, const drl_train_run *run, drl_err *err);

#endif
