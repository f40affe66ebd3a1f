/* What only checkpoint.json knows. */
#ifndef DRL_CHECKPOINT_H
#define DRL_CHECKPOINT_H

#include <cjson/cJSON.h>

#include "drl/model.h"

/* The object in DIR/checkpoint.json, or NULL; cJSON_Delete it. */
cJSON *drl_checkpoint_json(const char *dir);

/* Whether it is of the same step as the model, just read from DIR: it is written after the checkpoint, so that one of
 * an earlier step is still to be replaced (or its writer was killed). */
bool drl_checkpoint_settled(const drl_model *m, const char *dir);

#endif
