/* Heads: small networks on top of a code that a method trains with it and may throw away afterwards. */
#include <stdio.h>

#include "drl/nets.h"

drl_tensor drl_mlp_head(drl_graph *g, drl_tensor z, const char *name, const drl_mlp_head_cfg *cfg) {
    char lin1[DRL_PARAM_NAME], bn[DRL_PARAM_NAME], lin2[DRL_PARAM_NAME];
    drl_shape s = drl_graph_shape(g, z);
    if (s.h != 1 || s.w != 1 || cfg->hidden == 0 || cfg->out == 0)
        return drl_graph_fail(g, DRL_ERR_CONFIG,
                              "%s: a head takes a vector through at least one number to one, not "
                              "%zux%zux%zu through %zu to %zu",
                              name, s.h, s.w, s.c, cfg->hidden, cfg->out);
    snprintf(lin1, sizeof lin1, "%s.lin1", name);
    snprintf(bn, sizeof bn, "%s.bn", name);
    snprintf(lin2, sizeof lin2, "%s.lin2", name);
    drl_init u1 = drl_init_fan_in(s.c, 1), u2 = drl_init_fan_in(cfg->hidden, 1);
    drl_tensor h = drl_op_linear(g, z, lin1, cfg->hidden, u1, u1);
    h = cfg->norm ? drl_op_batch_norm(g, h, bn, 1e-5, 0.1, 'r') : drl_op_relu(g, h);
    return drl_graph_name(g, drl_op_linear(g, h, lin2, cfg->out, u2, u2), name);
}
