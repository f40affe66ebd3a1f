/* The key of a trained model: it changes with every setting that determines the model, and with no other. */
#include "methods.h"

/* The key of a configuration, which has to be one that can be opened. */
static void key_of(char key[65], const drl_model_cfg *cfg, uint64_t seed) {
    drl_model *m = open_cfg(cfg, seed, team);
    memcpy(key, m->key, 65);
    drl_model_close(m);
}

/* The same of one that may be refused: false then. */
static bool try_key(char key[65], const drl_model_cfg *cfg) {
    drl_err err;
    drl_model *m;
    if (drl_model_open(&m, cfg, data, 1, team, &err) != DRL_OK) return false;
    memcpy(key, m->key, 65);
    drl_model_close(m);
    return true;
}

/* The key with another value of one setting, the first of several that the method can be opened with. */
static bool changed_key(char key[65], const drl_model_cfg *cfg, const drl_option *option) {
    drl_model_cfg changed;
    static const double add[] = {1, -1, 4, 6, 8, 0.25, -0.25, 0.001, 1e-5, -1e-5};
    char old[DRL_STRING_MAX], value[DRL_STRING_MAX + 8];
    drl_option_format(old, sizeof old, cfg, option);
    for (size_t i = 0; i < sizeof add / sizeof *add; i++) {
        char number[32];
        switch (option->kind) {
        case DRL_OPTION_BOOL: snprintf(value, sizeof value, "%s", strcmp(old, "yes") == 0 ? "no" : "yes"); break;
        case DRL_OPTION_ENUM: {
            const char *bar = strrchr(option->choices, '|');
            assert_non_null(bar);
            snprintf(value, sizeof value, "%s", bar + 1); /* the last, or else the first */
            if (strcmp(value, old) == 0)
                snprintf(value, sizeof value, "%.*s", (int)strcspn(option->choices, "|"), option->choices);
            break;
        }
        case DRL_OPTION_LIST: snprintf(value, sizeof value, "%s, %zu", old, i + 2); break;
        case DRL_OPTION_STRING: return false;
        default: snprintf(value, sizeof value, "%s", drl_format_number(number, strtod(old, NULL) + add[i])); break;
        }
        changed = *cfg;
        if (drl_option_parse(&changed, option, value, NULL) == DRL_OK && try_key(key, &changed)) return true;
    }
    return false;
}

/* The rule of drl/method.h, by itself. `base` is the method whose models they are. */
static bool determines(const drl_method *base, const drl_option *o) {
    static const char *const diffusion[] = {"code",         "score_channels",  "score_mult",
                                            "score_blocks", "score_attention", "dropout"};
    if (strcmp(o->section, "diffusion") == 0) return base->diffusion;
    if (strcmp(o->section, "train") == 0 || strcmp(o->section, "augment") == 0) return base->build;
    for (size_t i = 0; i < sizeof diffusion / sizeof *diffusion; i++)
        if (strcmp(o->section, "model") == 0 && strcmp(o->key, diffusion[i]) == 0) return base->diffusion;
    if (strcmp(o->section, "model") == 0 || strcmp(o->section, "data") == 0) return true;
    char own[64]; /* section of another method, or of this one */
    snprintf(own, sizeof own, "%s", base->name);
    for (char *c = own; *c; c++)
        if (*c == '-') *c = '_';
    return strcmp(o->section, own) == 0;
}

static const drl_method *base_of(const drl_method *method) {
    return method->trained_as ? drl_method_find(method->trained_as) : method;
}

static void every_setting(void **state) {
    const drl_method *method = *state;
    char key[65], other[65];
    size_t n, moved = 0, same = 0;
    const drl_option *options = drl_model_options(&n);
    drl_model_cfg cfg = small_cfg(method, NULL);
    key_of(key, &cfg, 1);
    for (size_t i = 0; i < n; i++) {
        if (options[i].kind == DRL_OPTION_STRING) continue; /* data set and method */
        if (!changed_key(other, &cfg, &options[i]))
            fail_msg("%s.%s: found no other value", options[i].section, options[i].key);
        bool moves = strcmp(key, other) != 0;
        if (moves != determines(base_of(method), &options[i]))
            fail_msg("%s.%s %s the key", options[i].section, options[i].key, moves ? "changes" : "does not change");
        moved += moves;
        same += !moves;
    }
    key_of(other, &cfg, 1);
    assert_string_equal(other, key); /* the same once more */
    key_of(other, &cfg, 2);
    assert_string_not_equal(other, key); /* another seed */
    /* its own settings lie in a section that counts */
    const drl_option *own = method->options ? method->options(&n) : NULL;
    for (size_t i = 0; own && i < n; i++) assert_true(determines(method, &own[i]));
    print_message("    %zu settings count, %zu do not\n", moved, same);
}

/* What the rule comes to, for some that everybody knows. */
static void some_settings(void **state) {
    (void)state;
    static const struct {
        const char *method, *set;
        bool moves;
    } cases[] = {
        {"supervised", "diffusion.sde=vp", false},
        {"supervised", "train.steps=7", true},
        {"supervised", "model.dropout=0.3", false},
        {"supervised", "augment.flip=yes", true},
        {"untrained", "train.steps=7", false},
        {"untrained", "model.encoder_width=0.5", true},
        {"untrained", "augment.flip=yes", false},
        {"pixels", "train.rate=0.5", false},
        {"drl", "diffusion.sde=vp", true},
        {"drl", "model.code=static", true},
        {"dsm", "diffusion.gamma=1", true},
        {"vdrl", "diffusion.mixup=yes", true},
        {"drl", "train.ema=0.9", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char key[65], other[65];
        const drl_method *method = drl_method_find(cases[i].method);
        drl_model_cfg cfg = small_cfg(method, NULL), changed = small_cfg(method, SETS(cases[i].set));
        key_of(key, &cfg, 1), key_of(other, &changed, 1);
        if ((strcmp(key, other) != 0) != cases[i].moves) fail_msg("%s: %s", cases[i].method, cases[i].set);
    }
}

/* Two methods have the same key only where one reads out the other's models, or both those of a third. */
static void no_two_methods_share_a_key(void **state) {
    (void)state;
    char keys[MANY_METHODS][65];
    const drl_method *a, *b;
    for (size_t i = 0; (a = drl_method_at(i)); i++) {
        drl_model_cfg cfg = small_cfg(a, NULL);
        key_of(keys[i], &cfg, 1);
        assert_int_equal(strspn(keys[i], "0123456789abcdef"), 64);
        if (a->trained_as) assert_non_null(drl_method_find(a->trained_as));
        for (size_t j = 0; j < i; j++) {
            b = drl_method_at(j);
            bool shared = strcmp(keys[i], keys[j]) == 0;
            if (shared != (base_of(a) == base_of(b)))
                fail_msg("%s and %s %s a key", a->name, b->name, shared ? "share" : "do not share");
        }
    }
}

int main(int argc, char **argv) {
    struct CMUnitTest tests[MANY_METHODS + 2] = {
        cmocka_unit_test(some_settings),
        cmocka_unit_test(no_two_methods_share_a_key),
    };
    team_size = 1;
    methods_begin(argv);
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    size_t n = 2 + methods_tests(tests + 2, every_setting, NULL);
    return _cmocka_run_group_tests("keys", tests, n, methods_setup, methods_teardown) ? 1 : 0;
}
