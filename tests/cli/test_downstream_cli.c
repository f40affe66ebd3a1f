/* The program `downstream` given what it cannot use: one clear line on standard error, the right exit status (2 for a
 * wrong command line or configuration, 1 for everything else), and nothing half-written. */
#include "program.h"

#include <sys/mount.h>
#include <zlib.h>

/* Runs downstream --scale smoke --out OUT with up to eight more arguments. */
static void run_with(outcome *o, const char *out, const char *const *extra) {
    const char *argv[16] = {"downstream", "--scale=smoke", "--out", out};
    for (int n = 4; *extra; extra++) argv[n++] = *extra;
    run_program(o, argv);
}

/* One line; no crash; nothing in the output directory, no directory even. */
static void refused(int status, const char *pieces, const char *const *extra) {
    static outcome o;
    const char *out = in_dir("none");
    run_with(&o, out, extra);
    assert_refusal(&o, "downstream", status, pieces);
    if (access(out, F_OK) == 0) fail_msg("%s: %s was made", extra[0], out);
}
#define REFUSED(status, pieces, ...) refused(status, pieces, (const char *const[]){__VA_ARGS__, NULL})

/* ---- The command line -------------------------------------------------------------------------------------------- */

static void flags_are_checked(void **state) {
    (void)state;
    REFUSED(2, "--wibble", "--wibble");
    REFUSED(2, "'extra'", "extra");
    REFUSED(2, "--seeds|'abc'", "--seeds", "abc");
    REFUSED(2, "--seeds|-1", "--seeds=-1");
    REFUSED(2, "--seeds|101|1 to 100", "--seeds", "101");
    REFUSED(2, "--threads", "--threads=1e3");
    REFUSED(2, "--scale|tiny|smoke", "--scale", "tiny");
    REFUSED(2, "--resume|maybe", "--resume", "maybe");
    REFUSED(2, "--set needs a value", "--set");
    REFUSED(2, "--dry-run takes no value", "--dry-run=no");
    REFUSED(2, "unknown dataset|nope|fashion-mnist", "--dataset", "nope");
    REFUSED(2, "--budget|money|images", "--budget", "money");
    REFUSED(2, "--methods needs a value", "--methods");
    REFUSED(1, "/no/such.ini", "--config", "/no/such.ini");
}

static void keys_and_values_are_checked(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"train.stepz=1", "train.stepz|did you mean train.steps?"},
        {"nothing.at=1", "unknown section nothing"},
        {"train.steps", "section.key=value"},
        {"train.steps=abc", "train.steps|'abc'"},
        {"train.steps=12x", "train.steps|'12x'"},
        {"train.steps=-1", "train.steps|out of range"},
        {"train.steps=99999999999999999999999", "train.steps"},
        {"train.rate=nan", "train.rate|nan"},
        {"train.rate=1e999", "train.rate"},
        {"train.shard=0", "train.shard|1 to 4096"},
        {"train.batch=0", "train.batch"},
        {"model.dropout=1", "model.dropout|0.99"},
        {"model.encoder_depth=11", "model.encoder_depth = 11|6 n + 4"},
        {"model.encoder_width=0.01", "model.encoder_width|no channels"},
        {"model.score_mult=1.5", "model.score_mult|1.5|whole"},
        {"model.score_mult=", "model.score_mult|levels"},
        {"model.score_mult=1,1,1,1,1,1,1,1,1", "model.score_mult|8"},
        {"model.score_channels=6", "model.score_channels = 6|multiple of 4"},
        {"eval.methods=magic", "eval.methods|magic|drl"},
        {"data.size=17", "data.size = 17|multiple of 2"},
        {"data.train_limit=5", "5 training images|too few"},
        {"diffusion.sde=xx", "diffusion.sde|ve|subvp"},
        {"eval.times=", "eval.times|at least one"},
        {"eval.times=0, 2", "eval.times|out of range"},
        {"eval.times=,", "eval.times"},
        {"eval.times=0.5, 0, 1", "eval.times|rising"},
        {"model.method=drl", "unknown key model.method"},
        {"eval.methods=,", "eval.methods|at least one"},
        {"eval.seeds=0", "eval.seeds|1 to 100"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) REFUSED(2, cases[i][1], "--set", cases[i][0]);
    REFUSED(2, "every probe is switched off", "--set=probe.mlp=none", "--set=probe.linear=no",
            "--set=probe.neighbours=0");
}

static void help_and_version(void **state) {
    (void)state;
    static outcome o;
    run_with(&o, in_dir("none"), (const char *const[]){"--help", NULL});
    assert_int_equal(o.status, 0);
    assert_string_equal(o.err, "");
    assert_non_null(strstr(o.out, "usage: downstream"));
    assert_non_null(strstr(o.out, "train.steps"));
    assert_non_null(strstr(o.out, "--dry-run"));
    run_with(&o, in_dir("none"), (const char *const[]){"--version", NULL});
    assert_int_equal(o.status, 0);
    assert_true(strncmp(o.out, "downstream ", 11) == 0 && strchr(o.out, '\n') == o.out + strlen(o.out) - 1);
    /* what cannot be printed is not passed over */
    if (access("/dev/full", W_OK) == 0) {
        char line[256];
        finish_program(&o, start_program((const char *const[]){"downstream", "--help", NULL}, "/dev/full"));
        assert_int_equal(o.status, 1);
        assert_int_equal(error_lines(o.err, line, sizeof line), 1);
    }
}

/* A resolution no level has is no error: attention is then in the middle only. */
static void dry_run_leaves_nothing(void **state) {
    (void)state;
    static outcome o;
    run_with(&o, in_dir("none"),
             (const char *const[]){"--dry-run", "--methods=drl", "--set=model.score_attention=7", NULL});
    if (o.status != 0) fail_msg("exit status %d: %s", o.status, o.err);
    assert_non_null(strstr(o.out, "models to train: 2"));
    assert_non_null(strstr(o.out, "60 steps of 32 images"));
    assert_null(strstr(o.err, "60 steps"));
    assert_int_not_equal(access(in_dir("none"), F_OK), 0);
}

/* ---- Data -------------------------------------------------------------------------------------------------------- */

/* Writes an IDX file, gzip-compressed, the last `cut` bytes left out. */
static void write_idx(const char *dir, const char *name, uint32_t magic, uint32_t n, size_t item, size_t cut) {
    uint8_t header[16] = {0}, *bytes = calloc(16 + n * item, 1), *packed = malloc(4096 + 2 * n * item);
    assert_true(bytes && packed);
    const uint32_t words[] = {magic, n, 8, 8};
    size_t size = item > 1 ? 16 : 8;
    for (size_t i = 0; i < size; i++) header[i] = (uint8_t)(words[i / 4] >> (24 - 8 * (i % 4)));
    memcpy(bytes, header, size);
    for (size_t i = 0; i < n * item; i++) bytes[size + i] = (uint8_t)(item > 1 ? i * 7 : i % 10);
    z_stream z = {.next_in = bytes,
                  .avail_in = (uInt)(size + n * item),
                  .next_out = packed,
                  .avail_out = (uInt)(4096 + 2 * n * item)};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    write_whole(path, packed, z.total_out - cut);
    deflateEnd(&z);
    free(bytes), free(packed);
}

static void data_is_checked(void **state) {
    (void)state;
    const char *dir = in_dir("data"), *empty = in_dir("empty");
    assert_int_equal(mkdir(dir, 0777) | mkdir(empty, 0777), 0);
    static const char *const names[] = {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
                                        "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"};
    setenv("DRL_SYSTEM_DATA_DIR", empty, 1);
    REFUSED(1, "no {train,t10k}|apt-get install|/empty", "--dataset=fashion-mnist", "--data-dir", empty);
    REFUSED(1, "no such directory|/no/such", "--dataset=fashion-mnist", "--data-dir", "/no/such");
    setenv("DRL_DATA_DIR", empty, 1);
    REFUSED(1, "no {train,t10k}", "--dataset=fashion-mnist");
    unsetenv("DRL_DATA_DIR");

    /* good files first, so that what is refused below is the damage */
    for (int i = 0; i < 4; i++) write_idx(dir, names[i], i % 2 ? 0x801 : 0x803, 40, i % 2 ? 1 : 64, 0);
    static outcome o;
    run_with(&o, in_dir("none"),
             (const char *const[]){"--dataset=fashion-mnist", "--data-dir", dir, "--dry-run", "--methods=drl",
                                   "--set=train.batch=2", NULL});
    if (o.status != 0) fail_msg("good data refused: %s", o.err);

    write_idx(dir, names[0], 0x803, 40, 64, 9);
    REFUSED(1, "train-images-idx3-ubyte", "--dataset=fashion-mnist", "--data-dir", dir);
    write_idx(dir, names[0], 0x807, 40, 64, 0);
    REFUSED(1, "train-images-idx3-ubyte|magic", "--dataset=fashion-mnist", "--data-dir", dir);
    write_idx(dir, names[0], 0x803, 39, 64, 0);
    REFUSED(1, "39 images|40 labels", "--dataset=fashion-mnist", "--data-dir", dir);
    write_idx(dir, names[0], 0x803, 40, 64, 0);
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, names[3]);
    assert_int_equal(remove(path), 0);
    REFUSED(1, "t10k-labels-idx1-ubyte", "--dataset=fashion-mnist", "--data-dir", dir);
    unsetenv("DRL_SYSTEM_DATA_DIR");
}

/* ---- Where the results go ---------------------------------------------------------------------------------------- */

static void unwritable_output_is_told(void **state) {
    (void)state;
    const char *file = in_dir("file");
    char below[600];
    write_whole(file, "mine", 4);
    snprintf(below, sizeof below, "%s/runs", file);
    REFUSED(1, "file of that name is in the way", "--out", file);
    REFUSED(1, "in the way", "--out", below);
    REFUSED(1, "/proc/drl", "--out", "/proc/drl");
    size_t size;
    char *text = read_whole(file, &size);
    assert_string_equal(text, "mine");
    free(text);
    /* a store that is none */
    const char *out = in_dir("store");
    assert_int_equal(mkdir(out, 0777), 0);
    snprintf(below, sizeof below, "%s/results.sqlite", out);
    write_whole(below, "this is no database, whatever its name may be", 45);
    REFUSED(1, "results.sqlite|not a results store", "--out", out);
}

/* A disk that fills up while the model is saved: an error that says so, no partial checkpoint; with room it goes on. */
static void full_disk_is_told(void **state) {
    (void)state;
    static outcome o;
    char line[1024];
    const char *disk = in_dir("disk");
    assert_int_equal(mkdir(disk, 0777), 0);
    if (mount("drl-test", disk, "tmpfs", 0, "size=300k") != 0) {
        print_message("skipped: mounting a small tmpfs takes more rights than this process has\n");
        skip();
    }
    const char *const tiny[] = {"--set=train.steps=3",
                                "--set=data.train_limit=64",
                                "--set=data.test_limit=32",
                                "--set=eval.times=0",
                                "--set=probe.mlp=none",
                                "--methods=drl",
                                "--seeds=1",
                                NULL};
    run_with(&o, disk, tiny);
    size_t lines = error_lines(o.err, line, sizeof line), left = temporaries(disk);
    bool partial = checkpoint_of(disk)[0] != 0;
    int roomier = mount("drl-test", disk, "tmpfs", MS_REMOUNT, "size=30m");
    static outcome again;
    if (roomier == 0) run_with(&again, disk, tiny);
    umount2(disk, MNT_DETACH);
    assert_int_equal(o.status, 1);
    assert_int_equal(lines, 1);
    if (!strstr(line, "No space left") || !strstr(line, "checkpoint")) fail_msg("%s", line);
    assert_true(left == 0 && !partial);
    if (roomier == 0 && again.status != 0) fail_msg("%s", again.err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_checked), cmocka_unit_test(keys_and_values_are_checked),
        cmocka_unit_test(help_and_version),  cmocka_unit_test(dry_run_leaves_nothing),
        cmocka_unit_test(data_is_checked),   cmocka_unit_test(unwritable_output_is_told),
        cmocka_unit_test(full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, program_setup, program_teardown);
}
