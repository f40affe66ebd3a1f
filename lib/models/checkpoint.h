/* For load.c: what only checkpoint.json knows. */
#ifndef DRL_CHECKPOINT_H
#define DRL_CHECKPOINT_H

#include <cjson/cJSON.h>

/* The object in DIR/checkpoint.json, or NULL; cJSON_Delete it. */
cJSON *drl_checkpoint_json(const char *dir);

#endif
