/* report.html in headless Chromium: it loads without a word in the console and without asking for anything, its tables
 * sort, its figures show, and it fits a phone. Skipped where there is no Chromium. */
#include "../report_fixture.h"

static char browser[1024];

static bool find_browser(void) {
    static const char *const names[] = {"chromium", "chromium-browser", "google-chrome"};
    const char *path = getenv("PATH");
    for (size_t i = 0; path && i < sizeof names / sizeof *names; i++) {
        for (const char *at = path; *at;) {
            const size_t n = strcspn(at, ":");
            snprintf(browser, sizeof browser, "%.*s/%s", (int)n, at, names[i]);
            if (access(browser, X_OK) == 0) return true;
            at += n + (at[n] == ':');
        }
    }
    return false;
}

/* What the page is once its script has run, and what the browser printed; free() both. */
static void load(const char *page, char **dom, char **log) {
    char profile[400], url[600];
    size_t size;
    snprintf(profile, sizeof profile, "--user-data-dir=%s/profile", program_dir);
    snprintf(url, sizeof url, "file://%s#selftest", page);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int out = open(in_dir("dom"), O_WRONLY | O_CREAT | O_TRUNC, 0666);
        int err = open(in_dir("log"), O_WRONLY | O_CREAT | O_TRUNC, 0666);
        dup2(out, 1), dup2(err, 2);
        setenv("HOME", program_dir, 1);
        alarm(240);
        execl(browser, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
              "--enable-logging=stderr", "--window-size=400,1200", "--dump-dom", profile, url, (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    *dom = read_whole(in_dir("dom"), &size);
    *log = read_whole(in_dir("log"), &size);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("%s: status %d: %s", browser, status, *log);
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

/* Lines of the browser's log that a page's console has written. */
static size_t console(const char *log) {
    return count(log, ":CONSOLE");
}

static void test_page(void **state) {
    (void)state;
    char *dom, *log, want[200];
    size_t size;
    char *page = read_whole(in_dir("run/report.html"), &size);
    load(in_dir("run/report.html"), &dom, &log);
    if (console(log) != 0) fail_msg("%s", log);

    /* as many tables and columns as the file has, each sorted, no row lost; both figures seen, their parts found */
    snprintf(want, sizeof want, "data-tables=\"%zu tables, %zu columns sorted, 0 lost rows\"",
             count(page, "<table class=\"sortable\">"), count(page, "<th scope"));
    if (!strstr(dom, want)) fail_msg("no %s: %.400s", want, dom);
    if (!strstr(dom, "data-figures=\"2 figures, 0 broken\"")) fail_msg("%.400s", dom);
    if (!strstr(dom, "data-width=\"fits\"")) fail_msg("%.400s", dom);

    /* by the last column, upwards: by value and not by bytes, the missing one last */
    const char *const order[] = {"id=\"downstream-folder-tiny-desk\"",
                                 "aria-sort=\"ascending\"",
                                 ">9.5</td>",
                                 ">83.4</td>",
                                 ">100</td>",
                                 ">nothing</td>",
                                 NULL};
    holds_in_order(dom, order);
    free(page), free(dom), free(log);
}

/* That the log would show an error of a script and a request: a page with one of each. */
static void test_errors_are_seen(void **state) {
    (void)state;
    char *dom, *log;
    size_t size;
    char *page = read_whole(in_dir("run/report.html"), &size), *end = strstr(page, "</body>");
    assert_non_null(end);
    FILE *f = fopen(in_dir("run/broken.html"), "wb");
    assert_non_null(f);
    fwrite(page, 1, (size_t)(end - page), f);
    fputs("<img src=\"http://127.0.0.1:9/picture.png\"><script>no_such_function()</script></body></html>\n", f);
    assert_int_equal(fclose(f), 0);
    load(in_dir("run/broken.html"), &dom, &log);
    if (console(log) < 2 || !strstr(log, "no_such_function") || !strstr(log, "picture.png")) fail_msg("%s", log);
    free(page), free(dom), free(log);
}

static int setup(void **state) {
    if (program_setup(state) != 0) return -1;
    outcome o;
    fixture_make(in_dir("run"), "tables", "figures");
    const char *const args[] = {"drl", "report", "--out", in_dir("run"), NULL};
    run_program(&o, args);
    if (o.status != 0) fprintf(stderr, "%s\n", o.err);
    return o.status;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page), cmocka_unit_test(test_errors_are_seen)};
    if (!find_browser()) {
        printf("skipped: no chromium, chromium-browser or google-chrome in PATH\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, setup, program_teardown);
}
