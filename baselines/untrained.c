/* Untrained: the encoder with its initial weights, at t = 0. What the architecture alone gives. */
#include "baselines.h"

const drl_method drl_method_untrained = {.name = "untrained", .title = "untrained encoder", .encoder = drl_model_code};
