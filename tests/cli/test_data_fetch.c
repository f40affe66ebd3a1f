/* The program `drl data fetch`, from a server of our own: with the published files of Fashion-MNIST, which are those of
 * Debian's package with the original gzip headers put back, and with a file that only has the right size. */
#include "program.h"

#include "http_server.h"

#define SYSTEM_DIR "/usr/share/datasets/fashion-mnist"

static outcome o;
static const struct {
    const char *stem;
    uint32_t time; /* in the gzip header */
    long size;
} published[4] = {{"train-images-idx3-ubyte", 1504176606, 26421880},
                  {"train-labels-idx1-ubyte", 1504176606, 29515},
                  {"t10k-images-idx3-ubyte", 1504176627, 4422102},
                  {"t10k-labels-idx1-ubyte", 1504176627, 5148}};

/* web/fashion-mnist/STEM.gz as published: flag "has a name", time, and the name behind the ten bytes of the header. */
static void publish(int f) {
    char from[300], to[700];
    size_t size, name = strlen(published[f].stem) + 1;
    snprintf(from, sizeof from, "%s/%s.gz", SYSTEM_DIR, published[f].stem);
    snprintf(to, sizeof to, "%s/%s.gz", in_dir("web/fashion-mnist"), published[f].stem);
    char *debian = read_whole(from, &size), *whole = malloc(size + name);
    assert_non_null(whole);
    memcpy(whole, debian, 10);
    whole[3] = 8;
    for (int i = 0; i < 4; i++) whole[4 + i] = (char)(published[f].time >> 8 * i);
    memcpy(whole + 10, published[f].stem, name);
    memcpy(whole + 10 + name, debian + 10, size - 10);
    assert_int_equal(size + name, published[f].size);
    write_whole(to, whole, size + name);
    free(debian), free(whole);
}

static void run_fetch(const char *name, const char *url) {
    run_program(&o, (const char *const[]){"drl", "data", "fetch", name, "--data-dir", in_dir("data"), "--quiet",
                                          "--mirror", url, NULL});
}

static long size_below(const char *name) {
    struct stat info;
    return stat(in_dir(name), &info) == 0 ? (long)info.st_size : -1;
}

/* Ctrl-C in the middle of the first file, the rest of it, the other three, and what is then made of them. */
static void fetches_fashion_mnist(void **state) {
    (void)state;
    if (access(SYSTEM_DIR "/train-images-idx3-ubyte.gz", R_OK) != 0) {
        print_message("skipped: dataset-fashion-mnist is not installed\n");
        skip();
    }
    const char *data = in_dir("data");
    static const char part[] = "data/fashion-mnist/train-images-idx3-ubyte.gz.part";
    static outcome info;
    http_server s;
    for (int f = 0; f < 4; f++) publish(f);
    http_start(&s, in_dir("web"), HTTP_STALL, 1000000);
    const char *const argv[] = {"drl", "data", "fetch", "fashion-mnist", "--data-dir", data, "--mirror", s.url, NULL};
    pid_t child = start_program(argv, NULL);
    for (double begin = clock_now(); size_below(part) < 1000000 && clock_now() - begin < 60;) usleep(10000);
    kill(child, SIGINT);
    finish_program(&o, child);
    http_stop(&s);
    assert_refusal(&o, "drl", 1, "train-images-idx3-ubyte.gz: interrupted; 1000000 of 26421880 bytes are in |.gz.part");
    assert_int_equal(size_below(part), 1000000);

    http_start(&s, in_dir("web"), HTTP_GOOD, 0);
    run_fetch("fashion-mnist", s.url);
    http_stop(&s);
    if (o.status != 0) fail_msg("%s", o.err);
    assert_string_equal(o.err, "");
    assert_int_equal(size_below(part), -1);
    for (int f = 0; f < 4; f++) {
        char line[100];
        snprintf(line, sizeof line, "/fashion-mnist/%s.gz: downloaded, SHA-256 as published\n", published[f].stem);
        if (!strstr(o.out, line)) fail_msg("%s", o.out);
    }
    size_t size;
    char *requests = read_whole(in_dir("web/requests"), &size);
    assert_non_null(
        strstr(requests, "train-images-idx3-ubyte.gz -1\n/fashion-mnist/train-images-idx3-ubyte.gz 1000000\n"));
    free(requests);

    run_fetch("fashion-mnist", "http://127.0.0.1:1"); /* nothing is asked for */
    assert_int_equal(o.status, 0);
    assert_non_null(strstr(o.out, "t10k-labels-idx1-ubyte.gz: was there, SHA-256 as published\n"));
    run_program(&info, (const char *const[]){"drl", "data", "verify", "fashion-mnist", "--data-dir", data, NULL});
    if (info.status != 0) fail_msg("%s", info.err);
    assert_non_null(
        strstr(info.out, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5, as published\n"));
    assert_non_null(strstr(info.out, "fashion-mnist: 60000 training and 10000 test images decoded\n"));
}

/* The published size of a file, but not its contents. */
static void refuses_wrong_files(void **state) {
    (void)state;
    http_server s;
    char *zeros = calloc(1, 9912422);
    assert_non_null(zeros);
    write_whole(in_dir("web/mnist/train-images-idx3-ubyte.gz"), zeros, 9912422);
    free(zeros);
    http_start(&s, in_dir("web"), HTTP_GOOD, 0);
    run_fetch("mnist", s.url);
    assert_refusal(&o, "drl", 1,
                   "/mnist/train-images-idx3-ubyte.gz: what came has SHA-256 |not 440fcabf73cc|set aside");
    assert_int_equal(size_below("data/mnist/train-images-idx3-ubyte.gz.bad"), 9912422);
    assert_int_equal(size_below("data/mnist/train-images-idx3-ubyte.gz"), -1);
    setenv("DRL_MIRROR", s.url, 1);
    run_program(&o,
                (const char *const[]){"drl", "data", "fetch", "emnist-letters", "--data-dir", in_dir("data"), NULL});
    unsetenv("DRL_MIRROR");
    http_stop(&s);
    assert_refusal(&o, "drl", 1, "/emnist/gzip.zip: the server answers 404");
    run_fetch("mnist", s.url);
    assert_refusal(&o, "drl", 1, "/mnist/train-images-idx3-ubyte.gz: ");
    write_whole(in_dir("data/kmnist"), "mine", 4);
    run_fetch("kmnist", s.url);
    assert_refusal(&o, "drl", 1, "/data/kmnist: cannot make the directory: a file of that name is in the way");
}

static int setup(void **state) {
    unsetenv("DRL_DATA_DIR");
    unsetenv("DRL_MIRROR");
    setenv("no_proxy", "127.0.0.1", 1);
    if (program_setup(state) != 0) return -1;
    setenv("XDG_CACHE_HOME", in_dir("cache"), 1);
    return mkdir(in_dir("web"), 0777) | mkdir(in_dir("web/mnist"), 0777) | mkdir(in_dir("web/fashion-mnist"), 0777);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fetches_fashion_mnist),
        cmocka_unit_test(refuses_wrong_files),
    };
    return cmocka_run_group_tests(tests, setup, program_teardown);
}
